#include "provider/caddy/site_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "provider/caddy/site_render.h"
#include "reconciler/base/arena.h"

#define MARK SITE_MARK ", 1234\n"
#define OLD MARK "old.test {\n}\n"
#define NEW MARK "new.test {\n\trespond 200\n}\n"
#define RACE_MS 1000

struct world {
	char base[40], sites[64], aside[64];
};

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	strcpy(w->base, "/tmp/waymark-sites-XXXXXX");
	assert_non_null(mkdtemp(w->base));
	snprintf(w->sites, sizeof(w->sites), "%s/sites", w->base);
	snprintf(w->aside, sizeof(w->aside), "%s/sites.waymark", w->base);
	assert_int_equal(mkdir(w->sites, 0755), 0);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	nftw(w->base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(w);
	return 0;
}

static const char *
in_sites(const struct world *w, const char *name)
{
	static char path[4][256];
	static unsigned i;
	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", w->sites, name);
	return path[i];
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static const char *
get(const char *path)
{
	static char text[4096];
	FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static unsigned
count(const char *path)
{
	unsigned n = 0;
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (d)
		closedir(d);
	return n;
}

/* One change, and that it changed so many files. */
static struct site_change
apply(const struct world *w, const char *name, const char *text, size_t changed)
{
	struct site_change c = {.name = name, .text = text, .error = 1};
	assert_int_equal(site_store_apply(w->sites, &c, 1), changed);
	return c;
}

static void
is(const struct site_change *c, int error, enum site_standing standing, const char *why)
{
	if (c->error != error || c->standing != standing || (why && !strstr(c->why.text, why)))
		fail_msg("%d, %d: %s", c->error, c->standing, c->why.text);
}

#define IS(w, name, text, changed, ...)                                                            \
	do {                                                                                       \
		struct site_change is_c = apply((w), (name), (text), (changed));                   \
		is(&is_c, __VA_ARGS__);                                                            \
	} while (0)

/* -- ours -- */

static void
test_life_of_a_file(void **state)
{
	struct world *w = *state;
	const char *path = in_sites(w, "a.caddy");
	struct stat before, after;

	mode_t old_mask = umask(077);
	IS(w, "a.caddy", OLD, 1, 0, SITE_OURS, NULL);
	umask(old_mask);
	assert_string_equal(get(path), OLD);
	stat(path, &before);
	assert_int_equal(before.st_mode & 07777, 0644);
	/* What is there is not written again. */
	IS(w, "a.caddy", OLD, 0, 0, SITE_OURS, NULL);
	stat(path, &after);
	assert_int_equal(before.st_ino, after.st_ino);
	IS(w, "a.caddy", NEW, 1, 0, SITE_OURS, NULL);
	assert_string_equal(get(path), NEW);
	IS(w, "a.caddy", NULL, 1, 0, SITE_ABSENT, NULL);
	assert_null(get(path));
	IS(w, "a.caddy", NULL, 0, 0, SITE_ABSENT, NULL);
	assert_int_equal(count(w->sites), 0);
	assert_int_equal(count(w->aside), 0);
	stat(w->aside, &after);
	assert_int_equal(after.st_mode & 07777, 0700);
}

/* A file of ours that somebody has written in. */
static void
test_spoilt(void **state)
{
	struct world *w = *state;
	struct site_listing l;

	put(in_sites(w, "a.caddy"), MARK "half");
	int fd = open(in_sites(w, "b.caddy"), O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, MARK "\0", sizeof(MARK)), sizeof(MARK));
	close(fd);
	assert_int_equal(site_store_list(w->sites, &l, NULL), 0);
	assert_true(l.list[1].ours);
	assert_string_equal(l.list[1].text, "");
	site_listing_finish(&l);
	IS(w, "a.caddy", NEW, 1, 0, SITE_OURS, NULL);
	IS(w, "b.caddy", MARK, 1, 0, SITE_OURS, NULL);
	assert_string_equal(get(in_sites(w, "a.caddy")), NEW);
}

/* One that fails stops no other. */
static void
test_several(void **state)
{
	struct world *w = *state;
	struct site_change c[] = {
		{.name = "a.caddy", .text = NEW},
		{.name = "b.caddy", .text = NEW},
		{.name = "c.caddy"},
		{.name = "d.caddy", .text = OLD},
	};

	put(in_sites(w, "b.caddy"), "b.test {\n}\n");
	put(in_sites(w, "c.caddy"), OLD);
	put(in_sites(w, "d.caddy"), OLD);
	assert_int_equal(site_store_apply(w->sites, c, 4), 2);
	is(&c[0], 0, SITE_OURS, NULL);
	is(&c[1], 0, SITE_FOREIGN, "/b.caddy is not of Waymark's");
	is(&c[2], 0, SITE_ABSENT, NULL);
	is(&c[3], 0, SITE_OURS, NULL);
}

static char *
large(const char *begin, size_t n)
{
	char *text = xmalloc(n + 1);
	memset(text, '#', n);
	memcpy(text, begin, strlen(begin));
	text[n] = '\0';
	return text;
}

/* A project may have thousands of previews. */
static void
test_large(void **state)
{
	struct world *w = *state;
	char *text = large(MARK, 5u << 20), *huge = large(MARK, (64u << 20) + 1);
	struct site_listing l;

	IS(w, "a.caddy", text, 1, 0, SITE_OURS, NULL);
	IS(w, "a.caddy", text, 0, 0, SITE_OURS, NULL);
	assert_int_equal(site_store_list(w->sites, &l, NULL), 0);
	assert_string_equal(l.list[0].text, text);
	site_listing_finish(&l);
	IS(w, "a.caddy", huge, 0, -EFBIG, SITE_OURS, "has at most 64 MiB");
	IS(w, "a.caddy", NULL, 1, 0, SITE_ABSENT, NULL);
	free(text);
	free(huge);
}

/* -- others' -- */

static void
test_satisfied(void **state)
{
	struct world *w = *state;

	put(in_sites(w, "a.caddy"), &NEW[strlen(MARK)]);
	IS(w, "a.caddy", NEW, 0, 0, SITE_SATISFIED, NULL);
	IS(w, "a.caddy", OLD, 0, 0, SITE_FOREIGN, "left alone");
	IS(w, "a.caddy", NULL, 0, 0, SITE_FOREIGN, "left alone");
	assert_string_equal(get(in_sites(w, "a.caddy")), &NEW[strlen(MARK)]);
	/* A mark without more is satisfied by an empty file. */
	put(in_sites(w, "b.caddy"), "");
	IS(w, "b.caddy", SITE_MARK, 0, 0, SITE_SATISFIED, NULL);
	/* The mark belongs into the first line. */
	put(in_sites(w, "c.caddy"), "\n" NEW);
	IS(w, "c.caddy", NEW, 0, 0, SITE_FOREIGN, "left alone");
}

static void
make_socket(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
}

static const struct {
	const char *name, *why;
} kinds[] = {
	{"dangling.caddy", "is a symbolic link"},
	{"directory.caddy", "is a directory"},
	{"fifo.caddy", "is a FIFO"},
	{"large.caddy", "is larger than 1 MiB"},
	{"link.caddy", "is a symbolic link"},
	{"nul.caddy", "is not of Waymark's"},
	{"socket.caddy", "is a socket"},
};
#define NKINDS (sizeof(kinds) / sizeof(*kinds))

static void
make_kinds(const struct world *w)
{
	char *text = large("x", (1u << 20) + 1), real[128];

	put(in_sites(w, "large.caddy"), text);
	free(text);
	/* What a link leads to may be marked and wanted: it is a link all the same. */
	snprintf(real, sizeof(real), "%s/real", w->base);
	put(real, NEW);
	assert_int_equal(symlink(real, in_sites(w, "link.caddy")), 0);
	assert_int_equal(symlink("nowhere", in_sites(w, "dangling.caddy")), 0);
	assert_int_equal(mkdir(in_sites(w, "directory.caddy"), 0755), 0);
	assert_int_equal(mkfifo(in_sites(w, "fifo.caddy"), 0644), 0);
	make_socket(in_sites(w, "socket.caddy"));
	int fd = open(in_sites(w, "nul.caddy"), O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "\0\0\0", 3), 3);
	close(fd);
}

static void
test_kinds(void **state)
{
	struct world *w = *state;
	struct stat before[NKINDS], after;

	make_kinds(w);
	for (size_t i = 0; i < NKINDS; i++) {
		struct timespec old[2] = {{1000, 0}, {2000, 0}};
		utimensat(AT_FDCWD, in_sites(w, kinds[i].name), old, AT_SYMLINK_NOFOLLOW);
		lstat(in_sites(w, kinds[i].name), &before[i]);
	}
	for (size_t i = 0; i < NKINDS; i++) {
		IS(w, kinds[i].name, NEW, 0, 0, SITE_FOREIGN, kinds[i].why);
		IS(w, kinds[i].name, NULL, 0, 0, SITE_FOREIGN, kinds[i].why);
	}
	for (size_t i = 0; i < NKINDS; i++) {
		lstat(in_sites(w, kinds[i].name), &after);
		assert_memory_equal(&before[i], &after, sizeof(after));
	}
}

/* Whoever waits for a reader must not take a look for one. */
static void
test_fifo_not_opened(void **state)
{
	struct world *w = *state;
	struct site_listing l;

	mkfifo(in_sites(w, "a.caddy"), 0644);
	pid_t child = fork();
	if (child == 0) {
		int fd = open(in_sites(w, "a.caddy"), O_WRONLY | O_CLOEXEC);
		_exit(fd < 0);
	}
	usleep(50000);
	IS(w, "a.caddy", NEW, 0, 0, SITE_FOREIGN, "FIFO");
	assert_int_equal(site_store_list(w->sites, &l, NULL), 0);
	site_listing_finish(&l);
	usleep(50000);
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* In a process of its own, for root may read everything. */
static int
as_nobody(const struct world *w, int (*fn)(const struct world *w))
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0) ? 99 : fn(w));
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int
change_without_rights(const struct world *w)
{
	struct site_change c = {.name = "a.caddy", .text = NEW};
	site_store_apply(w->sites, &c, 1);
	bool right = c.standing == SITE_FOREIGN && strstr(c.why.text, "Permission denied");
	struct site_listing l;
	if (site_store_list(w->sites, &l, NULL) < 0 || l.n != 1 || l.list[0].ours || l.list[0].text)
		right = false;
	return !right;
}

static void
test_without_rights(void **state)
{
	struct world *w = *state;
	put(in_sites(w, "a.caddy"), OLD);
	chmod(in_sites(w, "a.caddy"), 0);
	chmod(w->base, 0755);
	assert_int_equal(as_nobody(w, change_without_rights), 0);
}

/* -- where files are written -- */

static int
change_where_only_sites_is_ours(const struct world *w)
{
	struct site_change c[] = {{.name = "a.caddy", .text = NEW}, {.name = "b.caddy"}};
	return site_store_apply(w->sites, c, 2) != 2;
}

static void
test_no_place_beside(void **state)
{
	struct world *w = *state;
	put(in_sites(w, "b.caddy"), OLD);
	chmod(w->base, 0755);
	chmod(w->sites, 0777);
	assert_int_equal(as_nobody(w, change_where_only_sites_is_ours), 0);
	assert_string_equal(get(in_sites(w, "a.caddy")), NEW);
	assert_int_equal(access(w->aside, F_OK), -1);
	assert_int_equal(count(w->sites), 1);
}

/* A link in its place leads nowhere. */
static void
test_planted(void **state)
{
	struct world *w = *state;
	char trap[64];

	snprintf(trap, sizeof(trap), "%s/trap", w->base);
	mkdir(trap, 0700);
	assert_int_equal(symlink("trap", w->aside), 0);
	struct stat before, after;
	stat(trap, &before);
	IS(w, "a.caddy", NEW, 1, 0, SITE_OURS, NULL);
	stat(trap, &after);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(after.st_mtim));
	/* Nor is one that others may write in good enough. */
	unlink(w->aside);
	mkdir(w->aside, 0777);
	chmod(w->aside, 0777);
	stat(w->aside, &before);
	IS(w, "a.caddy", OLD, 1, 0, SITE_OURS, NULL);
	stat(w->aside, &after);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(after.st_mtim));
	assert_int_equal(count(w->sites), 1);
}

/* However it is written, "." and "/" at its end too, and itself a link. */
static void
test_paths(void **state)
{
	struct world *w = *state;
	char path[128], link[64];
	static const char *const ends[] = {"/", "///", "/.", "/../sites", "/sub/.."};

	mkdir(in_sites(w, "sub"), 0755);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		snprintf(path, sizeof(path), "%s%s", w->sites, ends[i]);
		struct site_change c = {.name = "a.caddy", .text = i % 2 ? OLD : NEW};
		assert_int_equal(site_store_apply(path, &c, 1), 1);
		is(&c, 0, SITE_OURS, NULL);
	}
	assert_int_equal(count(w->sites), 2);
	snprintf(link, sizeof(link), "%s/link", w->base);
	assert_int_equal(symlink("sites", link), 0);
	struct site_change c = {.name = "b.caddy", .text = NEW};
	assert_int_equal(site_store_apply(link, &c, 1), 1);
	assert_string_equal(get(in_sites(w, "b.caddy")), NEW);
}

static void
test_no_directory(void **state)
{
	struct world *w = *state;
	struct site_listing l;
	struct err e;

	rmdir(w->sites);
	IS(w, "a.caddy", NEW, 0, -ENOENT, SITE_ABSENT, "/sites cannot be opened: No such file");
	IS(w, "a.caddy", NULL, 0, -ENOENT, SITE_ABSENT, "/sites cannot be opened");
	assert_int_equal(site_store_list(w->sites, &l, &e), -ENOENT);
	assert_non_null(strstr(e.text, w->sites));
	site_store_sweep(w->sites);
	put(w->sites, "a file");
	IS(w, "a.caddy", NEW, 0, -ENOTDIR, SITE_ABSENT, "Not a directory");
}

static int
change_read_only(const struct world *w)
{
	struct site_change c[] = {{.name = "a.caddy", .text = NEW},
		{.name = "b.caddy", .text = NEW}, {.name = "a.caddy"}};
	site_store_apply(w->sites, c, 3);
	return !(c[0].error == -EACCES && c[0].standing == SITE_OURS &&
		 strstr(c[0].why.text, "/a.caddy cannot be written: Permission denied; give") &&
		 c[1].error == -EACCES && c[1].standing == SITE_ABSENT && c[2].error == -EACCES &&
		 strstr(c[2].why.text, "/a.caddy cannot be removed: Permission denied"));
}

static void
test_no_right_to_write(void **state)
{
	struct world *w = *state;
	put(in_sites(w, "a.caddy"), OLD);
	chmod(w->sites, 0555);
	/* Beside it there may be a place all the same. */
	for (int i = 0; i < 2; i++) {
		chmod(w->base, i ? 0777 : 0755);
		assert_int_equal(as_nobody(w, change_read_only), 0);
		assert_string_equal(get(in_sites(w, "a.caddy")), OLD);
		assert_int_equal(count(w->sites), 1);
		assert_int_equal(count(w->aside), 0);
	}
	chmod(w->sites, 0755);
}

/* Whose the directory is, the files are. */
static void
test_owner(void **state)
{
	struct world *w = *state;
	struct stat st;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(w->sites, 65534, 65533), 0);
	IS(w, "a.caddy", NEW, 1, 0, SITE_OURS, NULL);
	stat(in_sites(w, "a.caddy"), &st);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 65533);
	stat(w->sites, &st);
	assert_int_equal(st.st_uid, 65534);
}

/* -- listing and sweeping -- */

static void
test_list(void **state)
{
	struct world *w = *state;
	struct site_listing l;

	make_kinds(w);
	put(in_sites(w, "b.caddy"), NEW);
	put(in_sites(w, "a.caddy"), "a.test {\n}\n");
	put(in_sites(w, "a.caddy.bak"), NEW);
	put(in_sites(w, "caddy"), NEW);
	put(in_sites(w, ".waymark-0123456789abcdef.tmp"), NEW);
	assert_int_equal(site_store_list(w->sites, &l, NULL), 0);
	assert_int_equal(l.n, NKINDS + 2);
	assert_string_equal(l.list[0].name, "a.caddy");
	assert_string_equal(l.list[0].text, "a.test {\n}\n");
	assert_false(l.list[0].ours);
	assert_string_equal(l.list[1].name, "b.caddy");
	assert_string_equal(l.list[1].text, NEW);
	assert_true(l.list[1].ours);
	for (size_t i = 0; i < NKINDS; i++) {
		assert_string_equal(l.list[i + 2].name, kinds[i].name);
		assert_null(l.list[i + 2].text);
		assert_false(l.list[i + 2].ours);
	}
	site_listing_finish(&l);
}

static void
test_sweep(void **state)
{
	struct world *w = *state;
	char path[128];
	static const char *const names[] = {".waymark-0123456789abcdef.tmp",
		".waymark-0123456789abcdee.tmp", ".waymark-0123456789abcded.tmp",
		".waymark-0123456789abcde.tmp", ".waymark-0123456789abcdeg.tmp", "a.tmp"};
	static const char *const texts[] = {"", SITE_MARK "half", "not ours", OLD, OLD, OLD};

	mkdir(w->aside, 0700);
	for (size_t i = 0; i < 6; i++) {
		put(in_sites(w, names[i]), texts[i]);
		snprintf(path, sizeof(path), "%s/%s", w->aside, names[i]);
		put(path, texts[i]);
	}
	put(in_sites(w, "a.caddy"), NEW);
	site_store_sweep(w->sites);
	assert_int_equal(count(w->sites), 5);
	assert_int_equal(count(w->aside), 4);
	assert_string_equal(get(in_sites(w, names[2])), texts[2]);
}

/* -- somebody else at the same time -- */

static uint64_t
now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool
is_theirs(const struct world *w)
{
	const char *text = get(in_sites(w, "a.caddy"));
	return text && strcmp(text, "theirs.test {\n}\n") == 0;
}

/* Another program puts its own file in the place of ours by rename, again and again, until the
 * directory `over` is there.  A change that is under way may hide its file for a moment; then it
 * has to be back. */
static void
be_somebody_else(const struct world *w)
{
	char aside[128];
	unsigned seed = 1;
	snprintf(aside, sizeof(aside), "%s/theirs", w->base);
	while (access(in_sites(w, "over"), F_OK) < 0) {
		unlink(in_sites(w, "a.caddy"));
		for (uint64_t end = now_ms() + 20; now_ms() < end;)
			if (access(in_sites(w, "a.caddy"), F_OK) == 0)
				break;
		usleep((useconds_t)(rand_r(&seed) % 2000));
		put(aside, "theirs.test {\n}\n");
		rename(aside, in_sites(w, "a.caddy"));
		usleep(5000);
		for (uint64_t end = now_ms() + 2000; !is_theirs(w);)
			if (now_ms() > end)
				_exit(1);
	}
	_exit(0);
}

static void
test_race(void **state)
{
	struct world *w = *state;
	int status;
	pid_t child = fork();
	if (child == 0)
		be_somebody_else(w);
	uint64_t end = now_ms() + RACE_MS;
	for (unsigned i = 0; now_ms() < end; i++) {
		struct site_change c = {
			.name = "a.caddy", .text = i % 3 ? i % 2 ? OLD : NEW : NULL};
		site_store_apply(w->sites, &c, 1);
		if (c.error)
			assert_int_equal(c.error, -EBUSY);
	}
	mkdir(in_sites(w, "over"), 0755);
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("theirs was lost");
}

/* Two of us, and a third that sweeps. */
static void
test_two_at_once(void **state)
{
	struct world *w = *state;
	pid_t children[2];

	for (int k = 0; k < 2; k++) {
		children[k] = fork();
		for (unsigned i = 0; children[k] == 0; i++) {
			if (k == 1)
				site_store_sweep(w->sites);
			struct site_change c = {.name = "a.caddy", .text = i % 2 ? OLD : NEW};
			site_store_apply(w->sites, &c, 1);
			if (c.standing == SITE_FOREIGN || (c.error && c.error != -EBUSY))
				_exit(1);
		}
	}
	uint64_t end = now_ms() + RACE_MS;
	while (now_ms() < end) {
		const char *text = get(in_sites(w, "a.caddy"));
		assert_true(!text || strcmp(text, OLD) == 0 || strcmp(text, NEW) == 0);
	}
	for (int k = 0; k < 2; k++) {
		int status;
		kill(children[k], SIGKILL);
		waitpid(children[k], &status, 0);
		assert_true(WIFSIGNALED(status));
	}
	site_store_sweep(w->sites);
	assert_int_equal(count(w->aside), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life_of_a_file),
		TEST(test_spoilt),
		TEST(test_several),
		TEST(test_large),
		TEST(test_satisfied),
		TEST(test_kinds),
		TEST(test_fifo_not_opened),
		TEST(test_without_rights),
		TEST(test_no_place_beside),
		TEST(test_planted),
		TEST(test_paths),
		TEST(test_no_directory),
		TEST(test_no_right_to_write),
		TEST(test_owner),
		TEST(test_list),
		TEST(test_sweep),
		TEST(test_race),
		TEST(test_two_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
