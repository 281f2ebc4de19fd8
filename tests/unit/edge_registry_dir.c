/* The registry directory: every way of changing a file is seen within a second, and whatever stands
 * in a file's place, what the last good one had stays. */
#include "reconciler/registry/registry_dir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "reconciler/registry/registry_parse.h"
#include "tests/unit/fake_http.h"

#define NROWS 64

static struct world {
	uv_loop_t *loop;
	char base[64]; /* ours */
	char dir[128]; /* the registry */
	struct settings *settings;
	struct registry *r;
	const struct registered_project *projects[NROWS];
	const struct registered_static *statics[NROWS];
	unsigned puts, removes, statuses;
	char calls[512]; /* "+blog -shop " */
} w;

/* -- the sink -- */

static size_t
row_of(const char *name)
{
	size_t i = 0;
	while (i < NROWS && !(w.projects[i] && !strcmp(w.projects[i]->name, name)))
		i++;
	for (size_t k = 0; i == NROWS && k < NROWS; k++)
		if (!w.projects[k])
			return k;
	return i;
}

static void
note(const char *sign, const char *name)
{
	size_t n = strlen(w.calls);
	snprintf(w.calls + n, sizeof(w.calls) - n, "%s%s ", sign, name);
}

static void
on_put(void *arg, const struct registered_project *p)
{
	size_t i = row_of(p->name);
	(void)arg;
	if (i < NROWS) {
		registered_project_unref(w.projects[i]);
		w.projects[i] = registered_project_ref(p);
	}
	assert_string_equal(p->source, REGISTRY_DIR_NAME);
	w.puts++;
	note("+", p->name);
}

static void
on_remove(void *arg, const char *source, const char *project)
{
	size_t i = row_of(project);
	(void)arg;
	assert_string_equal(source, REGISTRY_DIR_NAME);
	if (i < NROWS)
		w.projects[i] = registered_project_unref(w.projects[i]);
	w.removes++;
	note("-", project);
}

static void
on_put_static(void *arg, const struct registered_static *s)
{
	(void)arg;
	for (size_t i = 0; i < NROWS; i++) {
		if (w.statics[i] && strcmp(w.statics[i]->route.host, s->route.host) != 0)
			continue;
		registered_static_unref(w.statics[i]);
		w.statics[i] = registered_static_ref(s);
		break;
	}
	note("+", s->route.host);
}

static void
on_remove_static(void *arg, const char *source, const char *host)
{
	(void)arg;
	(void)source;
	for (size_t i = 0; i < NROWS; i++)
		if (w.statics[i] && strcmp(w.statics[i]->route.host, host) == 0)
			w.statics[i] = registered_static_unref(w.statics[i]);
	note("-", host);
}

static void
on_status(void *arg, const char *source)
{
	(void)arg;
	assert_string_equal(source, REGISTRY_DIR_NAME);
	w.statuses++;
}

static bool
has(const char *name)
{
	size_t i = row_of(name);
	return i < NROWS && w.projects[i];
}

/* The first domain; "" where there is none. */
static const char *
domain(const char *name)
{
	const struct registered_project *p = has(name) ? w.projects[row_of(name)] : NULL;
	return p && p->ndomains ? p->domains[0].host : "";
}

static bool
has_domain(const char *name, const char *host)
{
	return strcmp(domain(name), host) == 0;
}

static const char *
active(const char *name, const char *environment)
{
	const struct registered_project *p = has(name) ? w.projects[row_of(name)] : NULL;
	const struct registered_environment *e =
		p ? registered_environment_find(p, environment) : NULL;
	return e && e->active ? e->active : "";
}

static bool
is_active(const char *name, const char *environment, const char *slot)
{
	return strcmp(active(name, environment), slot) == 0;
}

/* Of a slot of production. */
static unsigned
weight(const char *name, const char *slot)
{
	const struct registered_project *p = has(name) ? w.projects[row_of(name)] : NULL;
	const struct registered_environment *e =
		p ? registered_environment_find(p, "production") : NULL;
	const struct registered_slot *s = e ? registered_slot_find(e, slot) : NULL;
	return s && e->weighted ? s->weight : 0;
}

static struct source_info
info(void)
{
	struct source_info i;
	w.r->ops->info(w.r, &i);
	return i;
}

struct search {
	const char *text;
	unsigned n, hits;
};

static void
on_fault(void *arg, const struct registry_fault *f)
{
	struct search *s = arg;
	char line[2048];
	snprintf(line, sizeof(line), "%s:%u: %s: %s; %s", f->file, f->line, f->path, f->what,
		f->remedy);
	s->n++;
	s->hits += strstr(line, s->text) != NULL;
	assert_true(*f->file && *f->what && *f->remedy);
}

static unsigned
faults_with(const char *text)
{
	struct search s = {.text = text};
	w.r->ops->faults(w.r, on_fault, &s);
	return s.hits;
}

static unsigned
nfaults(void)
{
	return faults_with("");
}

/* -- files -- */

static const char *
at(const char *name)
{
	static char text[8][256];
	static unsigned i;
	char *p = text[i++ % 8];
	snprintf(p, sizeof(text[0]), "%s/%s", w.dir, name);
	return p;
}

static const char *
above(const char *name)
{
	static char text[8][256];
	static unsigned i;
	char *p = text[i++ % 8];
	snprintf(p, sizeof(text[0]), "%s/%s", w.base, name);
	return p;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	if (!f)
		fail_msg("%s", path);
	fputs(text, f);
	fclose(f);
}

static void
replace_file(const char *path, const char *text)
{
	char aside[300];
	snprintf(aside, sizeof(aside), "%s.new", path);
	write_file(aside, text);
	assert_int_equal(rename(aside, path), 0);
}

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
shell(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

/* One project named blog with that domain. */
#define BLOG(domain)                                                                               \
	"{\"version\": 1, \"projects\": {\"blog\": {\"domains\": [\"" domain                       \
	"\"], \"environments\": {\"production\": {\"port\": 3000}}}}}"
#define SLOT(name, state) "\"" name "\": {\"state\": \"" state "\", \"port\": 4051}"
#define SLOTS(which)                                                                               \
	"{\"version\": 1, \"slots\": {\"blog\": {\"production\": {\"active\": \"" which            \
	"\", " SLOT("blue", "active") ", " SLOT("green", "deployed") "}}}}"
#define WEIGHTED(weights)                                                                          \
	"{\"slots\": {\"blog\": {\"production\": {\"active\": \"blue\", \"weights\": " weights     \
	", " SLOT("blue", "active") ", " SLOT("green", "deployed") "}}}}"

/* -- the world -- */

/* Within a second, which a busy machine may make more of; a look by the clock comes much later. */
#define SOON(condition)                                                                            \
	do {                                                                                       \
		uint64_t soon_begin = uv_hrtime();                                                 \
		RUN_UNTIL(w.loop, condition);                                                      \
		assert_true(uv_hrtime() - soon_begin < 5000000000ull);                             \
	} while (0)

static struct registry *
create(void)
{
	const struct registry_sink sink = {.put = on_put,
		.remove = on_remove,
		.put_static = on_put_static,
		.remove_static = on_remove_static,
		.status = on_status};
	w.settings->registry.directory = w.dir;
	w.settings->registry.shrink_after_ms = 400;
	w.r = registry_dir_create(w.loop, w.settings, &sink);
	return w.r;
}

static void
start(void)
{
	w.r->ops->start(w.r);
}

static int
set_up(void **state)
{
	(void)state;
	w = (struct world){.loop = uv_default_loop(), .base = "/tmp/waymark-registry-XXXXXX"};
	assert_non_null(mkdtemp(w.base));
	snprintf(w.dir, sizeof(w.dir), "%s/opt/registry", w.base);
	shell("mkdir -p %s", w.dir);
	w.settings = settings_create();
	create();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	w.r->ops->destroy(w.r);
	uv_run(w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(w.loop), 0);
	for (size_t i = 0; i < NROWS; i++) {
		registered_project_unref(w.projects[i]);
		registered_static_unref(w.statics[i]);
	}
	settings_destroy(w.settings);
	shell("rm -rf %s", w.base);
	return 0;
}

/* With the blog at a.example and blue. */
static void
start_blog(void)
{
	write_file(at("ssot.json"), BLOG("a.example"));
	write_file(at("slots.json"), SLOTS("blue"));
	start();
	SOON(info().status == SOURCE_READY);
	assert_true(has_domain("blog", "a.example"));
	assert_true(is_active("blog", "production", "blue"));
}

/* -- stories: how files change -- */

static void
the_first_look(void **state)
{
	(void)state;
	write_file(at("ssot.json"),
		"{\"version\": 1, \"projects\": {\"blog\": {\"domains\": [\"a.example\"]},"
		" \"shop\": {}}, \"static\": {\"ws.example\": {\"upstreams\": "
		"[\"http://10.0.0.1:8000\"]}}}");
	assert_int_equal(info().status, SOURCE_NEW);
	start();
	SOON(info().status == SOURCE_READY);
	assert_true(has("blog") && has("shop"));
	assert_non_null(w.statics[0]);
	struct source_info i = info();
	assert_string_equal(i.name, REGISTRY_DIR_NAME);
	assert_string_equal(i.kind, "directory");
	assert_string_equal(i.address, w.dir);
	assert_string_equal(i.version, "");
	assert_string_equal(i.error, "");
	assert_int_equal(i.objects, 2);
	assert_true(i.since_ms && i.seen_ms);
	assert_int_equal(nfaults(), 0);

	/* The same again is no work. */
	unsigned puts = w.puts, statuses = w.statuses;
	shell("cp %s %s && mv %s %s", at("ssot.json"), at("copy"), at("copy"), at("ssot.json"));
	RUN_FOR(w.loop, 100);
	assert_int_equal(w.puts, puts);
	assert_int_equal(w.statuses, statuses);
}

static void
every_habit_of_editors(void **state)
{
	(void)state;
	start_blog();
	replace_file(at("ssot.json"), BLOG("b.example"));
	SOON(has_domain("blog", "b.example"));
	write_file(at("ssot.json"), BLOG("c.example"));
	SOON(has_domain("blog", "c.example"));
	/* vim: a number to try, a backup, the file anew, the backup away */
	write_file(at("4913"), "");
	assert_int_equal(unlink(at("4913")), 0);
	assert_int_equal(rename(at("ssot.json"), at("ssot.json~")), 0);
	write_file(at("ssot.json"), BLOG("d.example"));
	assert_int_equal(unlink(at("ssot.json~")), 0);
	SOON(has_domain("blog", "d.example"));
	shell("sed -i s/d.example/e.example/ %s", at("ssot.json"));
	SOON(has_domain("blog", "e.example"));
	shell("ln %s %s; rm %s; sleep 0.1; sed s/e.example/f.example/ %s > %s", at("ssot.json"),
		at("saved"), at("ssot.json"), at("saved"), at("ssot.json"));
	SOON(has_domain("blog", "f.example"));
	/* Left open. */
	FILE *f = fopen(at("ssot.json"), "we");
	fputs(BLOG("g.example"), f);
	fflush(f);
	SOON(has_domain("blog", "g.example"));
	fclose(f);
	assert_int_equal(w.removes, 0);
	assert_int_equal(nfaults(), 0);
	assert_int_equal(info().status, SOURCE_READY);
	assert_true(is_active("blog", "production", "blue"));
}

static void
half_a_file_is_waited_for(void **state)
{
	(void)state;
	const char *text = BLOG("b.example");
	size_t half = strlen(text) / 2;
	start_blog();
	unsigned statuses = w.statuses;
	int fd = open(at("ssot.json"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, text, half), (ssize_t)half);
	RUN_FOR(w.loop, 300);
	assert_true(has_domain("blog", "a.example"));
	assert_int_equal(w.statuses, statuses);
	assert_int_equal(nfaults(), 0);
	assert_int_equal(
		write(fd, text + half, strlen(text) - half), (ssize_t)(strlen(text) - half));
	close(fd);
	SOON(has_domain("blog", "b.example"));
	assert_int_equal(w.statuses, statuses);
	assert_int_equal(w.removes, 0);
}

static void
one_write_is_one_turn(void **state)
{
	(void)state;
	write_file(at("ssot.json"),
		"{\"projects\": {\"a\": {\"domains\": [\"x.example\"]}, \"b\": {}}}");
	start();
	SOON(info().status == SOURCE_READY);
	w.calls[0] = '\0';
	replace_file(at("ssot.json"),
		"{\"projects\": {\"c\": {\"domains\": [\"x.example\"]}, \"b\": {}}}");
	RUN_UNTIL(w.loop, w.calls[0]);
	assert_string_equal(w.calls, "+c -a ");
}

static void
rm_and_later_again(void **state)
{
	(void)state;
	start_blog();
	assert_int_equal(unlink(at("ssot.json")), 0);
	RUN_FOR(w.loop, 500);
	assert_int_equal(info().status, SOURCE_READY);
	assert_int_equal(nfaults(), 0);
	SOON(info().status == SOURCE_STALE);
	assert_non_null(strstr(info().error, "ssot.json: is not there"));
	assert_int_equal(faults_with("ssot.json:0: : is not there"), 1);
	assert_true(has_domain("blog", "a.example"));
	/* The other file goes on. */
	write_file(at("slots.json"), SLOTS("green"));
	SOON(is_active("blog", "production", "green"));
	write_file(at("ssot.json"), BLOG("b.example"));
	SOON(info().status == SOURCE_READY);
	assert_true(has_domain("blog", "b.example"));
	assert_int_equal(nfaults(), 0);
	assert_int_equal(w.removes, 0);
}

static void
the_directory_made_anew(void **state)
{
	(void)state;
	start_blog();
	shell("rm -rf %s", w.dir);
	RUN_FOR(w.loop, 200);
	shell("mkdir %s", w.dir);
	write_file(at("ssot.json"), BLOG("b.example"));
	write_file(at("slots.json"), SLOTS("blue"));
	SOON(has_domain("blog", "b.example"));
	/* Several levels up, and for longer. */
	shell("rm -rf %s", above("opt"));
	RUN_UNTIL(w.loop, info().status == SOURCE_STALE);
	assert_non_null(strstr(info().error, "is not there"));
	assert_int_equal(nfaults(), 1);
	shell("mkdir -p %s", w.dir);
	RUN_FOR(w.loop, 100);
	write_file(at("ssot.json"), BLOG("c.example"));
	write_file(at("slots.json"), SLOTS("blue"));
	SOON(has_domain("blog", "c.example"));
	SOON(info().status == SOURCE_READY);
	/* Moved away, with another in its place. */
	shell("cp -r %s %s && sed -i s/c.example/d.example/ %s/ssot.json", w.dir, above("next"),
		above("next"));
	assert_int_equal(rename(w.dir, above("before")), 0);
	assert_int_equal(rename(above("next"), w.dir), 0);
	SOON(has_domain("blog", "d.example"));
	write_file(at("ssot.json"), BLOG("e.example"));
	SOON(has_domain("blog", "e.example"));
	assert_int_equal(w.removes, 0);
}

/* As kubelet does: ..data is a link to the directory of now, and the files are links through it. */
static void
a_swapped_link(void **state)
{
	(void)state;
	shell("cd %s && mkdir ..1 && ln -s ..1 ..data && ln -s ..data/ssot.json ssot.json", w.dir);
	write_file(at("..1/ssot.json"), BLOG("a.example"));
	start();
	SOON(has_domain("blog", "a.example"));
	shell("cd %s && mkdir ..2", w.dir);
	write_file(at("..2/ssot.json"), BLOG("b.example"));
	RUN_FOR(w.loop, 50);
	assert_true(has_domain("blog", "a.example"));
	shell("cd %s && ln -s ..2 ..new && mv -T ..new ..data && rm -r ..1", w.dir);
	SOON(has_domain("blog", "b.example"));
	write_file(at("..2/ssot.json"), BLOG("c.example"));
	SOON(has_domain("blog", "c.example"));
}

static void
a_linked_directory(void **state)
{
	(void)state;
	shell("cd %s && rmdir opt/registry && mkdir one two && ln -s ../one opt/registry", w.base);
	write_file(above("one/ssot.json"), BLOG("a.example"));
	write_file(above("two/ssot.json"), BLOG("b.example"));
	start();
	SOON(has_domain("blog", "a.example"));
	shell("ln -sfn ../two %s", w.dir);
	SOON(has_domain("blog", "b.example"));
	replace_file(above("two/ssot.json"), BLOG("c.example"));
	SOON(has_domain("blog", "c.example"));
	/* An absolute one, through another. */
	shell("cd %s && ln -s %s three && ln -sfn ../three opt/registry", w.base, above("one"));
	SOON(has_domain("blog", "a.example"));
	shell("ln -sfn two %s", above("three"));
	SOON(has_domain("blog", "c.example"));
	/* In a circle, and out of it. */
	shell("ln -sfn registry %s", w.dir);
	RUN_UNTIL(w.loop, info().status == SOURCE_STALE);
	shell("ln -sfn ../one %s", w.dir);
	SOON(info().status == SOURCE_READY);
	SOON(has_domain("blog", "a.example"));
	assert_int_equal(w.removes, 0);
}

static void
a_linked_file(void **state)
{
	(void)state;
	shell("cd %s && mkdir far && ln -s %s %s", w.base, above("far/real.json"), at("ssot.json"));
	write_file(above("far/real.json"), BLOG("a.example"));
	start();
	SOON(has_domain("blog", "a.example"));
	write_file(above("far/real.json"), BLOG("b.example"));
	SOON(has_domain("blog", "b.example"));
	replace_file(above("far/real.json"), BLOG("c.example"));
	SOON(has_domain("blog", "c.example"));
	shell("mv %s %s", above("far"), above("away"));
	RUN_FOR(w.loop, 100);
	shell("mkdir %s", above("far"));
	write_file(above("far/real.json"), BLOG("d.example"));
	SOON(has_domain("blog", "d.example"));
}

/* -- stories: what is wrong -- */

static void
put_socket(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
}

static void
put_deep(const char *path)
{
	struct buf b = {0};
	for (int i = 0; i < 3000; i++)
		buf_adds(&b, "{\"projects\":");
	write_file(path, b.p);
	buf_finish(&b);
}

static void
put_sparse(const char *path)
{
	write_file(path, BLOG("b.example"));
	assert_int_equal(truncate(path, 100 << 20), 0);
}

static void
put_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void
put_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void
put_empty(const char *path)
{
	write_file(path, "");
}

static void
put_half(const char *path)
{
	write_file(path, "{\"projects\": {\"blog\": ");
}

static void
put_twice(const char *path)
{
	write_file(path, "{\"projects\": {}, \"projects\": {}, \"slots\": {}, \"slots\": {}}");
}

static void
put_nowhere(const char *path)
{
	assert_int_equal(symlink("nowhere", path), 0);
}

static void
put_circle(const char *path)
{
	assert_int_equal(symlink(strrchr(path, '/') + 1, path), 0);
}

static void
put_device(const char *path)
{
	assert_int_equal(symlink("/dev/zero", path), 0);
}

static const struct {
	void (*put)(const char *path);
	const char *what;
} bad[] = {
	{put_fifo, "is a FIFO, not a file"},
	{put_directory, "is a directory, not a file"},
	{put_socket, "is a socket, not a file"},
	{put_device, "is a device, not a file"},
	{put_sparse, "is larger than 16384 KiB"},
	{put_deep, ""},
	{put_empty, ""},
	{put_half, ""},
	{put_twice, ""},
	{put_nowhere, "is not there"},
	{put_circle, "cannot be read: "},
};

/* Without a last good one there is nothing to wait for. */
static void
whatever_stands_there_is_named(void **state)
{
	(void)state;
	static const char *const names[] = {"ssot.json", "slots.json"};
	for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(*bad); i++) {
		const char *name = names[i % 2];
		shell("rm -rf %s && mkdir %s", w.dir, w.dir);
		write_file(at("ssot.json"), BLOG("a.example"));
		write_file(at("slots.json"), SLOTS("blue"));
		shell("rm %s", at(name));
		bad[i / 2].put(at(name));
		if (bad[i / 2].put == put_nowhere)
			continue; /* as good as absent */
		start();
		SOON(*info().error);
		if (!strstr(info().error, bad[i / 2].what) || !strstr(info().error, name))
			fail_msg("%s", info().error);
		assert_int_equal(info().status, SOURCE_NEW);
		w.r->ops->destroy(w.r);
		uv_run(w.loop, UV_RUN_DEFAULT);
		create();
	}
	assert_int_equal(w.puts, 0);
}

static void
whatever_stands_there_takes_nothing(void **state)
{
	(void)state;
	start_blog();
	for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(*bad); i++) {
		const char *name = i % 2 ? "slots.json" : "ssot.json";
		shell("rm -rf %s", at(name));
		bad[i / 2].put(at(name));
		RUN_FOR(w.loop, 50);
		assert_true(has_domain("blog", "a.example"));
		assert_true(is_active("blog", "production", "blue"));
	}
	RUN_UNTIL(w.loop, info().status == SOURCE_STALE && nfaults() == 2);
	assert_int_equal(faults_with("ssot.json:0: : cannot be read"), 1);
	assert_int_equal(faults_with("slots.json:0: : cannot be read"), 1);
	shell("rm %s %s", at("ssot.json"), at("slots.json"));
	write_file(at("slots.json"), SLOTS("green"));
	SOON(is_active("blog", "production", "green"));
	write_file(at("ssot.json"), BLOG("b.example"));
	SOON(info().status == SOURCE_READY);
	assert_true(has_domain("blog", "b.example"));
	assert_int_equal(nfaults(), 0);
	assert_int_equal(w.removes, 0);
}

static void
broken_for_a_second_counts(void **state)
{
	(void)state;
	start_blog();
	uint64_t begin = uv_hrtime();
	write_file(at("ssot.json"), "{");
	RUN_UNTIL(w.loop, info().status == SOURCE_STALE);
	assert_in_range((uv_hrtime() - begin) / 1000000, 900, 1600);
	assert_int_equal(nfaults(), 1);
	assert_non_null(strstr(info().error, "ssot.json:1: not JSON"));
	RUN_FOR(w.loop, 500); /* its timestamp is not young any more */
	write_file(at("ssot.json"), BLOG("b.example"));
	SOON(info().status == SOURCE_READY);
	assert_true(has_domain("blog", "b.example"));
}

/* Refused to us: root reads everything, so this is somebody else's look. */
static void
what_may_not_be_read(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	start_blog();
	shell("chmod 755 %s && chmod 700 %s", w.base, w.dir);
	assert_int_equal(seteuid(65534), 0);
	write_file("/dev/null", "");
	RUN_UNTIL(w.loop, info().status == SOURCE_STALE);
	assert_non_null(strstr(info().error, "Permission denied"));
	assert_int_equal(seteuid(0), 0);
	assert_true(has_domain("blog", "a.example"));
	shell("chmod 755 %s", w.dir);
	SOON(info().status == SOURCE_READY);
}

static void
a_bad_entry_keeps_its_last_good_self(void **state)
{
	(void)state;
	start_blog();
	replace_file(at("ssot.json"),
		"{\"projects\": {\"blog\": {\"domains\": [\"not a host\"]}, \"shop\": {}}}");
	SOON(has("shop"));
	assert_true(has_domain("blog", "a.example"));
	assert_true(is_active("blog", "production", "blue"));
	assert_int_equal(info().status, SOURCE_READY);
	assert_int_equal(faults_with("projects.blog.domains[0]"), 1);
	/* Its slots go on. */
	write_file(at("slots.json"), SLOTS("green"));
	SOON(is_active("blog", "production", "green"));
	assert_true(has_domain("blog", "a.example"));
	/* And the other way round. */
	replace_file(at("slots.json"),
		"{\"slots\": {\"blog\": {\"production\": {\"active\": 7, \"blue\": 9}}}}");
	SOON(faults_with("slots.json"));
	assert_true(is_active("blog", "production", "green"));
	replace_file(at("ssot.json"), BLOG("b.example"));
	SOON(has_domain("blog", "b.example"));
	assert_true(is_active("blog", "production", "green"));
	assert_int_equal(faults_with("ssot.json"), 0);
	write_file(at("slots.json"), SLOTS("blue"));
	SOON(is_active("blog", "production", "blue"));
	assert_int_equal(nfaults(), 0);
}

/* Weights are how the slots stand: they come, stay over a mistake, and go. */
static void
weights_come_and_go(void **state)
{
	(void)state;
	start_blog();
	assert_int_equal(weight("blog", "green"), 0);
	replace_file(at("slots.json"), WEIGHTED("{\"blue\": 90, \"green\": 10}"));
	SOON(weight("blog", "green") == 10);
	replace_file(at("slots.json"), WEIGHTED("{\"blue\": 0, \"gren\": 100}"));
	SOON(faults_with("weights.gren"));
	assert_int_equal(weight("blog", "green"), 10);
	replace_file(at("ssot.json"), BLOG("b.example"));
	SOON(has_domain("blog", "b.example"));
	assert_int_equal(weight("blog", "green"), 10);
	replace_file(at("slots.json"), WEIGHTED("{\"blue\": 0}"));
	SOON(weight("blog", "green") == 0);
	assert_int_equal(nfaults(), 0);
}

static void
slots_of_nobody(void **state)
{
	(void)state;
	start_blog();
	replace_file(at("slots.json"),
		"{\"slots\": {\"blog\": {\"production\": {\"active\": \"green\"," SLOT(
			"green", "active") "," SLOT("blue",
			"deployed") "}},"
				    "\"shop\": {\"production\": {\"active\": \"blue\"," SLOT(
					    "blue", "active") "}}}}");
	SOON(is_active("blog", "production", "green"));
	assert_false(has("shop"));
	assert_int_equal(faults_with("there is no project 'shop'"), 1);
	assert_int_equal(info().status, SOURCE_READY);
	replace_file(at("ssot.json"), "{\"projects\": {\"blog\": {}, \"shop\": {}}}");
	SOON(is_active("shop", "production", "blue"));
	assert_int_equal(nfaults(), 0);
}

static void
slots_alone(void **state)
{
	(void)state;
	write_file(at("slots.json"), SLOTS("blue"));
	start();
	SOON(is_active("blog", "production", "blue"));
	assert_int_equal(info().status, SOURCE_READY);
	write_file(at("ssot.json"), BLOG("a.example"));
	SOON(has_domain("blog", "a.example"));
	assert_true(is_active("blog", "production", "blue"));
	assert_int_equal(w.removes, 0);
}

static void
nothing_there(void **state)
{
	(void)state;
	start();
	SOON(*info().error);
	assert_int_equal(info().status, SOURCE_NEW);
	assert_non_null(strstr(info().error, "has neither ssot.json nor slots.json"));
	RUN_FOR(w.loop, 1200);
	assert_int_equal(nfaults(), 1);
	write_file(at("slots"), "");
	SOON(strstr(info().error, "/slots: is not a directory"));
	assert_int_equal(info().status, SOURCE_NEW);
	shell("rm -r %s", w.dir);
	SOON(strstr(info().error, "is not there"));
	assert_int_equal(info().status, SOURCE_NEW);
	shell("mkdir %s", w.dir);
	write_file(at("ssot.json"), "{");
	SOON(strstr(info().error, "ssot.json"));
	assert_int_equal(info().status, SOURCE_NEW);
	write_file(at("ssot.json"), "{\"projects\": {}}");
	SOON(info().status == SOURCE_READY);
	assert_int_equal(nfaults(), 0);
	assert_int_equal(info().objects, 0);
}

/* -- stories: what shrinks -- */

static void
write_projects(unsigned n)
{
	struct buf b = {0};
	buf_adds(&b, "{\"projects\": {");
	for (unsigned i = 0; i < n; i++)
		buf_addf(&b, "%s\"p%u\": {}", i ? ", " : "", i);
	buf_adds(&b, "}}");
	replace_file(at("ssot.json"), b.p);
	buf_finish(&b);
}

static void
a_shrunk_file_is_doubted(void **state)
{
	(void)state;
	write_projects(10);
	start();
	SOON(info().objects == 10);
	write_projects(5); /* half of them: no more than that */
	SOON(info().objects == 5);
	write_projects(2);
	SOON(info().doubted);
	assert_int_equal(info().status, SOURCE_READY);
	assert_int_equal(faults_with("it lost 3 of 5 projects"), 1);
	assert_int_equal(faults_with("it is believed at "), 1);
	RUN_FOR(w.loop, 200);
	assert_int_equal(info().objects, 5);
	/* It comes back. */
	write_projects(5);
	SOON(!info().doubted);
	assert_int_equal(nfaults(), 0);
	RUN_FOR(w.loop, 500);
	assert_int_equal(info().objects, 5);
	/* It stays, though it is written again. */
	write_projects(2);
	RUN_FOR(w.loop, 300);
	assert_int_equal(info().objects, 5);
	write_projects(1);
	SOON(info().objects == 1);
	assert_false(info().doubted);
	assert_int_equal(nfaults(), 0);
	/* The last one, too. */
	write_projects(0);
	SOON(info().doubted);
	assert_int_equal(info().objects, 1);
	SOON(info().objects == 0);
	assert_int_equal(w.removes, 10);
}

/* Else who writes the same few again and again would never be believed. */
static void
a_doubt_outlives_a_broken_moment(void **state)
{
	(void)state;
	write_projects(10);
	start();
	SOON(info().objects == 10);
	uint64_t begin = uv_hrtime();
	write_projects(1);
	SOON(info().doubted);
	write_file(at("ssot.json"), "{");
	RUN_FOR(w.loop, 200);
	assert_true(info().doubted);
	write_projects(1);
	SOON(info().objects == 1);
	assert_in_range((uv_hrtime() - begin) / 1000000, 390, 800);
	assert_false(info().doubted);
}

/* Longer than a moment: then it has not stayed so. */
static void
a_doubt_ends_with_the_directory(void **state)
{
	(void)state;
	write_projects(10);
	start();
	SOON(info().objects == 10);
	write_projects(1);
	SOON(info().doubted);
	shell("mv %s %s", w.dir, above("away"));
	RUN_UNTIL(w.loop, info().status == SOURCE_STALE);
	shell("mv %s %s", above("away"), w.dir);
	RUN_UNTIL(w.loop, info().status == SOURCE_READY);
	RUN_FOR(w.loop, 100);
	assert_int_equal(info().objects, 10);
	SOON(info().objects == 1);
}

static void
shrunk_slots_are_doubted(void **state)
{
	(void)state;
	start_blog();
	write_file(at("slots.json"), "{\"slots\": {}}");
	SOON(info().doubted);
	assert_true(is_active("blog", "production", "blue"));
	assert_int_equal(faults_with("slots.json:0: : it lost 2 of 2 slots"), 1);
	write_file(at("slots.json"), SLOTS("green"));
	SOON(!info().doubted);
	assert_true(is_active("blog", "production", "green"));
	write_file(at("slots.json"), "{\"slots\": {}}");
	RUN_FOR(w.loop, 300);
	assert_true(is_active("blog", "production", "green"));
	SOON(is_active("blog", "production", ""));
	assert_true(has("blog"));
}

/* -- stories: slots/ -- */

#define OWN(which)                                                                                 \
	"{\"active\": \"" which "\", " SLOT("blue", "active") ", " SLOT("green", "deployed") "}"

static void
files_of_their_own(void **state)
{
	(void)state;
	replace_file(at("ssot.json"), "{\"projects\": {\"blog\": {\"environments\": "
				      "{\"production\": {}, \"staging\": {}}}}}");
	write_file(at("slots.json"), SLOTS("blue"));
	start();
	SOON(is_active("blog", "production", "blue"));
	shell("mkdir %s", at("slots"));
	write_file(at("slots/blog-staging.json"), OWN("green"));
	SOON(is_active("blog", "staging", "green"));
	assert_true(is_active("blog", "production", "blue"));
	replace_file(at("slots/blog-staging.json"), OWN("blue"));
	SOON(is_active("blog", "staging", "blue"));
	/* They agree, then not. */
	write_file(at("slots/blog-production.json"), OWN("blue"));
	write_file(at("slots/.blog-production.json.swp"), "x");
	write_file(at("slots/blog-production.json~"), "x");
	RUN_FOR(w.loop, 200);
	assert_int_equal(nfaults(), 0);
	write_file(at("slots/blog-production.json"), OWN("green"));
	SOON(nfaults());
	assert_int_equal(
		faults_with("slots/blog-production.json:0: blog.production: says other than"), 1);
	assert_int_equal(faults_with("slots.json, which counts"), 1);
	assert_true(is_active("blog", "production", "blue"));
	/* slots.json may go where slots/ has it all. */
	assert_int_equal(unlink(at("slots.json")), 0);
	SOON(is_active("blog", "production", "green"));
	RUN_FOR(w.loop, 1200);
	assert_int_equal(info().status, SOURCE_READY);
	assert_int_equal(nfaults(), 0);
	/* A broken one is one project's trouble. */
	write_file(at("slots/blog-staging.json"), "{");
	RUN_UNTIL(w.loop, nfaults());
	assert_int_equal(faults_with("slots/blog-staging.json"), 1);
	assert_int_equal(info().status, SOURCE_READY);
	assert_true(is_active("blog", "staging", "blue"));
	write_file(at("slots/blog-staging.json"), OWN("green"));
	SOON(is_active("blog", "staging", "green"));
	/* One that goes is missed for a while. */
	assert_int_equal(unlink(at("slots/blog-staging.json")), 0);
	SOON(info().doubted);
	assert_int_equal(faults_with("blog-staging.json:0: : is not there; it had 2 slots"), 1);
	assert_true(is_active("blog", "staging", "green"));
	SOON(is_active("blog", "staging", ""));
	assert_int_equal(nfaults(), 0);
	assert_true(is_active("blog", "production", "green"));
	/* No directory at all where it was. */
	shell("mv %s %s", at("slots"), at("gone"));
	write_file(at("slots"), "");
	RUN_UNTIL(w.loop, info().status == SOURCE_STALE);
	assert_int_equal(faults_with("/slots:0: : is not a directory"), 1);
	assert_non_null(strstr(info().error, "/slots: is not a directory"));
	assert_true(is_active("blog", "production", "green"));
	shell("rm %s && mv %s %s", at("slots"), at("gone"), at("slots"));
	SOON(info().status == SOURCE_READY);
	assert_int_equal(nfaults(), 0);
}

static void
slots_that_are_links(void **state)
{
	(void)state;
	write_file(at("ssot.json"), BLOG("a.example"));
	shell("cd %s && mkdir -p slots/..1 far && ln -s ..1 slots/..data &&"
	      " ln -s ..data/x slots/blog-production.json && ln -s %s slots/blog-staging.json",
		w.dir, at("far/y"));
	write_file(at("slots/..1/x"), OWN("blue"));
	write_file(at("far/y"), OWN("blue"));
	start();
	SOON(is_active("blog", "staging", "blue"));
	assert_true(is_active("blog", "production", "blue"));
	write_file(at("far/y"), OWN("green"));
	SOON(is_active("blog", "staging", "green"));
	shell("cd %s/slots && mkdir ..2", w.dir);
	write_file(at("slots/..2/x"), OWN("green"));
	shell("cd %s/slots && ln -s ..2 ..new && mv -T ..new ..data", w.dir);
	SOON(is_active("blog", "production", "green"));
}

/* More directories than are watched: then it is looked at every other second. */
static void
what_cannot_be_watched_is_looked_at(void **state)
{
	(void)state;
	struct buf b = {0};
	buf_adds(&b, "{\"projects\": {");
	for (int i = 1; i <= 600; i++)
		buf_addf(&b, "%s\"p%d\": {}", i > 1 ? "," : "", i);
	buf_adds(&b, "}}");
	write_file(at("ssot.json"), b.p);
	write_file(at("own"), OWN("blue"));
	shell("cd %s && mkdir slots && for i in $(seq 600); do mkdir -p far/$i && cp own far/$i/x "
	      "&&"
	      " ln -s ../far/$i/x slots/p$i-production.json; done",
		w.dir);
	start();
	SOON(info().status == SOURCE_READY);
	assert_int_equal(w.puts, 600);
	write_file(at("own"), OWN("green"));
	shell("cd %s/far && for i in *; do cp ../own $i/x; done", w.dir);
	RUN_UNTIL(w.loop, w.puts == 1200);
	buf_finish(&b);
}

/* -- stories: after a restart -- */

static void
hand_over(const struct registered_project *p)
{
	w.r->ops->restore(w.r, p);
}

/* Ends this one; another begins with what the sink has. */
static void
restart(void)
{
	w.r->ops->destroy(w.r);
	uv_run(w.loop, UV_RUN_DEFAULT);
	create();
	for (size_t i = 0; i < NROWS; i++)
		if (w.projects[i])
			hand_over(w.projects[i]);
	for (size_t i = 0; i < NROWS; i++)
		if (w.statics[i])
			w.r->ops->restore_static(w.r, w.statics[i]);
	w.r->ops->restored(w.r);
	w.puts = w.removes = w.statuses = 0;
	assert_int_equal(info().status, SOURCE_STALE);
	assert_string_equal(info().error, "not seen yet since the start");
}

static void
restored_and_the_same(void **state)
{
	(void)state;
	start_blog();
	restart();
	start();
	SOON(info().status == SOURCE_READY);
	assert_int_equal(w.puts + w.removes, 0);
	assert_int_equal(w.statuses, 1);
}

static void
restored_and_broken(void **state)
{
	(void)state;
	start_blog();
	restart();
	write_file(at("ssot.json"), "{");
	write_file(at("slots.json"), SLOTS("green"));
	start();
	SOON(is_active("blog", "production", "green"));
	assert_true(has_domain("blog", "a.example"));
	assert_int_equal(info().status, SOURCE_STALE);
	RUN_UNTIL(w.loop, strstr(info().error, "ssot.json"));
	write_file(at("ssot.json"), BLOG("b.example"));
	SOON(info().status == SOURCE_READY);
	assert_true(has_domain("blog", "b.example"));

	restart();
	write_file(at("slots.json"), "");
	write_file(at("ssot.json"), BLOG("c.example"));
	start();
	SOON(has_domain("blog", "c.example"));
	assert_true(is_active("blog", "production", "green"));
	assert_int_equal(w.removes, 0);
}

static void
restored_and_gone(void **state)
{
	(void)state;
	start_blog();
	restart();
	shell("rm %s", at("ssot.json"));
	start();
	RUN_UNTIL(w.loop, strstr(info().error, "ssot.json: is not there"));
	assert_true(has_domain("blog", "a.example"));
	restart();
	shell("rm %s", at("slots.json"));
	write_file(at("ssot.json"), BLOG("b.example"));
	start();
	RUN_UNTIL(w.loop, strstr(info().error, "slots.json: is not there"));
	assert_true(has_domain("blog", "b.example"));
	assert_true(is_active("blog", "production", "blue"));
	restart();
	shell("rm -r %s", w.dir);
	start();
	RUN_UNTIL(w.loop, nfaults());
	assert_int_equal(info().status, SOURCE_STALE);
	assert_int_equal(info().objects, 1);
	assert_int_equal(w.removes, 0);
}

static void
restored_and_shrunk(void **state)
{
	(void)state;
	write_projects(10);
	start();
	SOON(info().objects == 10);
	restart();
	write_projects(1);
	start();
	SOON(info().doubted);
	assert_int_equal(info().objects, 10);
	SOON(info().objects == 1);
	assert_int_equal(info().status, SOURCE_READY);
}

static void
restored_with_files_of_their_own(void **state)
{
	(void)state;
	write_file(at("ssot.json"), BLOG("a.example"));
	shell("mkdir %s", at("slots"));
	write_file(at("slots/blog-production.json"), OWN("blue"));
	start();
	SOON(is_active("blog", "production", "blue"));
	restart();
	start();
	SOON(info().status == SOURCE_READY); /* slots.json is not missing */
	assert_int_equal(w.puts + w.removes, 0);
	restart();
	write_file(at("slots/blog-production.json"), "{");
	start();
	RUN_UNTIL(w.loop, nfaults());
	assert_true(is_active("blog", "production", "blue"));
	write_file(at("slots/blog-production.json"), OWN("green"));
	SOON(is_active("blog", "production", "green"));
	assert_int_equal(nfaults(), 0);
	restart();
	write_file(at("slots/blog-production.json"), "{}");
	start();
	SOON(info().doubted);
	assert_true(is_active("blog", "production", "green"));
	SOON(is_active("blog", "production", ""));
}

/* Whatever its file was last, what the book has of it is not let go of at once. */
static void
a_file_of_its_own_that_was_wrong(void **state)
{
	(void)state;
	static const char wrong[] = "{\"active\": \"blue\", " SLOT("blue", "running") "}";
	write_file(at("ssot.json"), BLOG("a.example"));
	shell("mkdir %s", at("slots"));
	write_file(at("slots/blog-production.json"), OWN("blue"));
	start();
	SOON(is_active("blog", "production", "blue"));
	write_file(at("slots/blog-production.json"), wrong);
	SOON(nfaults());
	write_file(at("slots/blog-production.json"), "{\"slots\": {}}");
	SOON(info().doubted);
	assert_true(is_active("blog", "production", "blue"));
	write_file(at("slots/blog-production.json"), wrong);
	SOON(!info().doubted);
	assert_int_equal(unlink(at("slots/blog-production.json")), 0);
	SOON(info().doubted);
	assert_true(is_active("blog", "production", "blue"));
	/* Not read at all in this run. */
	restart();
	write_file(at("slots/blog-production.json"), "{");
	start();
	RUN_UNTIL(w.loop, nfaults());
	assert_int_equal(unlink(at("slots/blog-production.json")), 0);
	SOON(info().doubted);
	assert_true(is_active("blog", "production", "blue"));
	SOON(is_active("blog", "production", ""));
	assert_int_equal(nfaults(), 0);
}

/* -- stories: much at once -- */

static void
foreign_files(void **state)
{
	(void)state;
	start_blog();
	RUN_FOR(w.loop, 50);
	uint64_t looks = info().lists, rings = info().events;
	for (int i = 0; i < 1000; i++)
		write_file(at("foreign"), "x");
	RUN_FOR(w.loop, 50);
	assert_int_equal(info().events, rings);
	/* More than the queue takes, as it is set nearly everywhere. */
	for (int i = 0; i < 17000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "f%d", i);
		int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		close(fd);
	}
	write_file(at("ssot.json"), BLOG("b.example"));
	SOON(has_domain("blog", "b.example"));
	assert_in_range(info().events - rings, 1, 5);
	assert_in_range(info().lists - looks, 1, 20); /* mounts ring as well */
}

static void
a_hammer(void **state)
{
	(void)state;
	uint64_t longest = 0;
	start_blog();
	uint64_t before = info().lists, begin = uv_hrtime(), looked = begin;
	for (int i = 0; i < 3000; i++) {
		uint64_t looks = info().lists;
		if (i % 2)
			write_file(at("ssot.json"),
				i % 4 == 1 ? BLOG("b.example") : BLOG("c.example"));
		else
			replace_file(at("ssot.json"),
				i % 4 == 0 ? BLOG("d.example") : BLOG("e.example"));
		uv_run(w.loop, UV_RUN_NOWAIT);
		assert_true(has("blog"));
		uint64_t now = uv_hrtime();
		if (info().lists > looks) {
			longest = now - looked > longest ? now - looked : longest;
			looked = now;
		}
	}
	uint64_t ms = (uv_hrtime() - begin) / 1000000, looks = info().lists - before;
	print_message("%d ms, %d looks, %d ms between two at most\n", (int)ms, (int)looks,
		(int)(longest / 1000000));
	assert_in_range(looks, 1, ms / 5 + 2);
	assert_in_range(longest / 1000000, 0, 3000);
	write_file(at("ssot.json"), BLOG("z.example"));
	SOON(has_domain("blog", "z.example"));
	assert_int_equal(w.removes, 0);
	assert_int_equal(nfaults(), 0);
}

/* With a job in the pool, and with another waiting for it. */
static void
destroyed_at_any_time(void **state)
{
	(void)state;
	write_projects(200);
	for (int i = 0; i < 100; i++) {
		start();
		uint64_t end = uv_hrtime() + (uint64_t)i * 20000;
		while (uv_hrtime() < end)
			uv_run(w.loop, UV_RUN_NOWAIT);
		w.r->ops->destroy(w.r);
		if (i % 2)
			uv_run(w.loop, UV_RUN_DEFAULT);
		create();
	}
}

int
main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		STORY(the_first_look),
		STORY(every_habit_of_editors),
		STORY(half_a_file_is_waited_for),
		STORY(one_write_is_one_turn),
		STORY(rm_and_later_again),
		STORY(the_directory_made_anew),
		STORY(a_swapped_link),
		STORY(a_linked_directory),
		STORY(a_linked_file),
		STORY(whatever_stands_there_is_named),
		STORY(whatever_stands_there_takes_nothing),
		STORY(broken_for_a_second_counts),
		STORY(what_may_not_be_read),
		STORY(a_bad_entry_keeps_its_last_good_self),
		STORY(weights_come_and_go),
		STORY(slots_of_nobody),
		STORY(slots_alone),
		STORY(nothing_there),
		STORY(a_shrunk_file_is_doubted),
		STORY(a_doubt_outlives_a_broken_moment),
		STORY(a_doubt_ends_with_the_directory),
		STORY(shrunk_slots_are_doubted),
		STORY(files_of_their_own),
		STORY(slots_that_are_links),
		STORY(what_cannot_be_watched_is_looked_at),
		STORY(restored_and_the_same),
		STORY(restored_and_broken),
		STORY(restored_and_gone),
		STORY(restored_and_shrunk),
		STORY(restored_with_files_of_their_own),
		STORY(a_file_of_its_own_that_was_wrong),
		STORY(foreign_files),
		STORY(a_hammer),
		STORY(destroyed_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
