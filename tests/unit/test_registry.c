#include "reconciler/registry/registry_parse.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "reconciler/base/json.h"
#include "reconciler/registry/registry_time_parse.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define HOUR UINT64_C(3600000)
#define GRACE (48 * HOUR)
/* 2026-01-02T03:04:05Z */
#define NEW_YEAR UINT64_C(1767323045000)

static struct registry_options
options(const char *file)
{
	return (struct registry_options){"registry.directory", file, DIALECT_AUTO, GRACE};
}

static struct registry_reading *
parse(const char *file, const char *text, size_t n, bool *ret_broken)
{
	struct registry_options o = options(file);
	return (strcmp(file, "ssot.json") ? registry_parse_slots : registry_parse_ssot)(
		text, n, &o, ret_broken);
}

static void
add_lines(const struct registry_reading *r, struct buf *b)
{
	for (size_t i = 0; i < r->nfaults; i++) {
		const struct registry_fault *f = &r->faults[i];
		assert_true(f->what[0] && f->remedy[0]);
		buf_adds(b, f->file);
		if (*f->path)
			buf_addf(b, ": %s", f->path);
		buf_addf(b, ": %s", f->what);
		if (f->line)
			buf_addf(b, " (line %u)", f->line);
		buf_addf(b, "; %s\n", f->remedy);
	}
}

/* What a text is wrong in, in lines. */
static char *
lines_of(const char *file, const char *text)
{
	struct buf b = {0};
	bool broken;
	struct registry_reading *r = parse(file, text, strlen(text), &broken);
	buf_adds(&b, "");
	add_lines(r, &b);
	registry_reading_destroy(r);
	return buf_steal(&b, NULL);
}

static void
check_line(const char *file, const char *text, const char *want)
{
	char *got = lines_of(file, text);
	if (!strstr(got, want))
		fail_msg("%s: wanted '%s', got '%s'", text, want, got);
	free(got);
}

/* A file without faults. */
static struct registry_reading *
read_good(const char *file, const char *text)
{
	bool broken;
	struct registry_reading *r = parse(file, text, strlen(text), &broken);
	if (broken || r->nfaults)
		fail_msg("%s: %s", text, r->faults[0].what);
	return r;
}

/* -- there and back -- */

static struct registered_project *
reparse(const struct registered_project *p, struct registry_reading *faults)
{
	struct registry_options o = options("state");
	struct buf b = {0};
	registry_print_project(p, &b);
	json_t *entry = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(entry);
	o.dialect = DIALECT_CODEB;
	o.grace_ms = 1;
	struct registered_project *again = registry_parse_project(p->name, entry, &o, faults);
	if (!again)
		fail_msg("%s: %s", b.p, faults->faults[0].what);
	json_decref(entry);
	buf_finish(&b);

	struct registered_project *copy = registered_project_combine(p, NULL);
	assert_true(registered_project_equal(p, copy));
	registered_project_unref(copy);
	return again;
}

static void
check_back(const struct registry_reading *r)
{
	struct registry_reading *faults = registry_reading_create();

	for (size_t i = 0; i < r->nprojects; i++) {
		struct registered_project *again = reparse(r->projects[i], faults);
		assert_true(registered_project_equal(r->projects[i], again));
		registered_project_unref(again);
	}
	for (size_t i = 0; i < r->nstatics; i++) {
		struct registry_options o = options("state");
		const struct registered_static *s = r->statics[i];
		struct buf b = {0};
		registry_print_static(s, &b);
		json_t *entry = json_read(b.p, b.n);
		struct registered_static *again =
			registry_parse_static(s->route.host, entry, &o, faults);
		assert_true(again && registered_static_equal(s, again));
		registered_static_unref(again);
		json_decref(entry);
		buf_finish(&b);
	}
	assert_int_equal(faults->nfaults, 0);
	registry_reading_destroy(faults);
}

/* -- the corpus -- */

static char *
read_file(const char *path, size_t *ret_n)
{
	struct buf b = {0};
	char block[4096];
	size_t n;
	FILE *f = fopen(path, "r");
	if (!f)
		return NULL;
	buf_adds(&b, "");
	while ((n = fread(block, 1, sizeof(block), f)))
		buf_add(&b, block, n);
	fclose(f);
	return buf_steal(&b, ret_n);
}

/* Every name lies in one list and one only. */
static void
check_lists(const struct registry_reading *r, bool broken)
{
	assert_true(!broken || (r->nfaults == 1 && r->nprojects == 0 && r->nstatics == 0));
	assert_true((r->nfaults > 0) ==
		    (broken || r->nbad_projects || r->nbad_statics ||
			    strstr(r->nfaults ? r->faults[0].what : "", "stands twice")));
	for (size_t i = 1; i < r->nprojects; i++)
		assert_true(strcmp(r->projects[i - 1]->name, r->projects[i]->name) < 0);
	for (size_t i = 1; i < r->nbad_projects; i++)
		assert_true(strcmp(r->bad_projects[i - 1], r->bad_projects[i]) < 0);
	for (size_t i = 0; i < r->nprojects; i++)
		for (size_t k = 0; k < r->nbad_projects; k++)
			assert_string_not_equal(r->projects[i]->name, r->bad_projects[k]);
	assert_true(r->dialect == DIALECT_WAYMARK || r->dialect == DIALECT_CODEB);
}

static int
decode_file(const char *folder, const char *file, struct buf *lines)
{
	char path[512];
	size_t n;
	bool broken;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	char *text = read_file(path, &n);
	if (!text)
		return 0;
	struct registry_reading *r = parse(file, text, n, &broken);
	add_lines(r, lines);
	check_lists(r, broken);
	check_back(r);
	registry_reading_destroy(r);
	free(text);
	return 1;
}

static int
is_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* How many files there are. */
static int
decode_folder(const char *folder, struct buf *lines)
{
	char path[512], name[300];
	struct dirent **list;
	int files =
		decode_file(folder, "ssot.json", lines) + decode_file(folder, "slots.json", lines);

	snprintf(path, sizeof(path), "%s/slots", folder);
	int n = scandir(path, &list, is_visible, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "slots/%s", list[i]->d_name);
		files += decode_file(folder, name, lines);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return files;
}

/* Every folder of tests/registry/KIND; returns how many. */
static int
walk(const char *kind, void (*fn)(const char *folder))
{
	char path[512];
	struct dirent **list;
	struct stat st;
	int folders = 0;

	snprintf(path, sizeof(path), "tests/registry/%s", kind);
	int n = scandir(path, &list, is_visible, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "tests/registry/%s/%s", kind, list[i]->d_name);
		free(list[i]);
		if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		fn(path);
		folders++;
	}
	assert_true(n >= 0);
	free(list);
	return folders;
}

static void
check_good(const char *folder)
{
	struct buf lines = {0};
	buf_adds(&lines, "");
	assert_true(decode_folder(folder, &lines) > 0);
	if (lines.n)
		fail_msg("%s: %s", folder, lines.p);
	buf_finish(&lines);
}

static void
check_bad(const char *folder)
{
	struct buf lines = {0};
	char path[560];
	size_t n;

	buf_adds(&lines, "");
	assert_true(decode_folder(folder, &lines) > 0);
	snprintf(path, sizeof(path), "%s.txt", folder);
	char *want = read_file(path, &n);
	if (!want || !n || strcmp(want, lines.p) != 0)
		fail_msg("%s: wanted\n%sgot\n%s", folder, want ? want : "(no file)\n", lines.p);
	free(want);
	buf_finish(&lines);
}

static void
test_corpus_good(void **state)
{
	(void)state;
	assert_true(walk("good", check_good) >= 25);
}

static void
test_corpus_bad(void **state)
{
	(void)state;
	assert_true(walk("bad", check_bad) >= 60);
}

/* -- ssot.json -- */

static const char interface_ssot[] =
	"{\"version\": 1, \"projects\": {\"myapp\": {\"domains\": [\"WWW.myapp.kr.\", "
	"\"myapp.kr\", "
	"\"www.myapp.kr\"], \"environments\": {"
	"\"staging\": {\"port\": \"3000\"},"
	"\"production\": {\"port\": 3000, \"health\": {\"path\": \"/health\"}, \"slots\": true, "
	"\"middlewares\": [\"headers@file\"]},"
	"\"preview\": {\"port\": 3000, \"expires\": \"168h\"}}}, \"blog\": {}},"
	"\"static\": {\"ws.codeb.kr\": {\"upstreams\": [\"http://141.164.42.213:8000\"]},"
	"\"DB.codeb.kr\": {\"address\": [\"64.176.226.119\"]}}}";

static void
test_ssot(void **state)
{
	(void)state;
	struct registry_reading *r = read_good("ssot.json", interface_ssot);
	assert_int_equal(r->nprojects, 2);
	assert_string_equal(r->projects[0]->name, "blog");
	assert_false(r->projects[0]->lists_environments);
	assert_false(r->projects[0]->has_deployments);

	const struct registered_project *p = r->projects[1];
	assert_string_equal(p->source, "registry.directory");
	assert_string_equal(p->place, "ssot.json");
	assert_int_equal(p->ndomains, 2);
	assert_string_equal(p->domains[0].host, "www.myapp.kr");
	assert_string_equal(p->domains[0].field, "projects.myapp.domains[0]");
	assert_string_equal(p->domains[1].field, "projects.myapp.domains[1]");
	assert_true(p->lists_environments);
	assert_int_equal(p->nenvironments, 3);
	assert_string_equal(p->environments[0].name, "preview");
	assert_int_equal(p->environments[0].expires_ms, 168 * HOUR);
	const struct registered_environment *e = registered_environment_find(p, "production");
	assert_string_equal(e->health_path, "/health");
	assert_true(e->slots);
	assert_int_equal(e->port, 3000);
	assert_int_equal(e->base_port, 0);
	assert_int_equal(registered_environment_find(p, "staging")->port, 3000);
	assert_null(registered_environment_find(p, "qa"));

	assert_int_equal(r->nstatics, 2);
	assert_string_equal(r->statics[0]->route.host, "db.codeb.kr");
	assert_string_equal(r->statics[0]->route.addresses[0], "64.176.226.119");
	assert_string_equal(r->statics[1]->route.upstreams[0], "http://141.164.42.213:8000");
	assert_int_equal(r->dialect, DIALECT_WAYMARK);
	registry_reading_destroy(r);
}

/* How an environment is asked and served. */
static void
test_serving(void **state)
{
	(void)state;
	struct registry_reading *r = read_good("ssot.json",
		"{\"projects\": {\"a\": {\"environments\": {"
		"\"p\": {\"health\": {\"path\": \"/up\", \"interval\": \"250ms\", \"timeout\": "
		"\"1m\", \"rise\": 3, \"fall\": 4}, \"sticky\": true, \"middlewares\": "
		"[\"headers@file\", \"limit@docker\", \"headers@file\"]},"
		"\"q\": {\"health\": {\"interval\": \"1\"}}, \"r\": {\"health\": \"/\"}}}}}");
	const struct registered_environment *e = r->projects[0]->environments;
	assert_string_equal(e[0].health_path, "/up");
	assert_int_equal(e[0].health_interval_ms, 250);
	assert_int_equal(e[0].health_timeout_ms, 60000);
	assert_int_equal(e[0].health_rise, 3);
	assert_int_equal(e[0].health_fall, 4);
	assert_true(e[0].sticky);
	assert_int_equal(e[0].nmiddlewares, 2);
	assert_string_equal(e[0].middlewares[0], "headers@file");
	assert_string_equal(e[0].middlewares[1], "limit@docker");
	assert_null(e[1].health_path);
	assert_int_equal(e[1].health_interval_ms, 1000);
	assert_string_equal(e[2].health_path, "");
	assert_int_equal(e[2].health_interval_ms, 0);
	assert_false(e[2].sticky);
	assert_int_equal(e[2].nmiddlewares, 0);
	registry_reading_destroy(r);
}

struct dialect_case {
	const char *text;
	enum settings_dialect told, want; /* AUTO: broken */
};

static void
test_dialect(void **state)
{
	(void)state;
#define ENV(e) "\"projects\": {\"a\": {\"environments\": {\"production\": " e "}}}}"
	static const struct dialect_case cases[] = {
		{"{" ENV("{\"port\": 4051}"), DIALECT_AUTO, DIALECT_CODEB},
		{"{" ENV("{\"port\": \"4051\"}"), DIALECT_AUTO, DIALECT_CODEB},
		{"{" ENV("{\"port\": 4000}"), DIALECT_AUTO, DIALECT_CODEB},
		{"{" ENV("{\"port\": 4999}"), DIALECT_AUTO, DIALECT_CODEB},
		{"{" ENV("{\"port\": 3999}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{" ENV("{\"port\": 5000}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{" ENV("{}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{" ENV("{\"port\": 4051, \"slots\": true}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{" ENV("{\"port\": 4051, \"health\": {}}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{" ENV("{\"port\": 4051, \"expires\": \"1h\"}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{" ENV("{\"port\": 4051, \"sticky\": true, \"middlewares\": [\"a@file\"]}"),
			DIALECT_AUTO, DIALECT_CODEB},
		{"{\"static\": {}," ENV("{\"port\": 4051}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{\"version\": 1," ENV("{\"port\": 4051}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{\"version\": \"1\"," ENV("{\"port\": 4051}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{\"version\": \"1.0\"," ENV("{\"port\": 4051}"), DIALECT_AUTO, DIALECT_CODEB},
		{"{\"version\": \"1.0\"," ENV("{\"port\": 3000}"), DIALECT_AUTO, DIALECT_WAYMARK},
		{"{\"version\": 2," ENV("{\"port\": 4051}"), DIALECT_AUTO, DIALECT_CODEB},
		{"{\"version\": 2," ENV("{\"port\": 3000}"), DIALECT_AUTO, DIALECT_AUTO},
		{"{\"version\": 2," ENV("{\"port\": 3000}"), DIALECT_CODEB, DIALECT_CODEB},
		{"{\"version\": \"7.0\"," ENV("{\"port\": 3000}"), DIALECT_AUTO, DIALECT_CODEB},
		{"{\"version\": \"7.0\"," ENV("{\"port\": 3000}"), DIALECT_WAYMARK, DIALECT_AUTO},
		{"{\"version\": \"v7\"," ENV("{\"port\": 3000}"), DIALECT_CODEB, DIALECT_CODEB},
		{"{\"version\": []," ENV("{\"port\": 3000}"), DIALECT_CODEB, DIALECT_AUTO},
		{"{" ENV("{\"port\": 4051}"), DIALECT_WAYMARK, DIALECT_WAYMARK},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct registry_options o = options("ssot.json");
		bool broken;
		o.dialect = cases[i].told;
		struct registry_reading *r =
			registry_parse_ssot(cases[i].text, strlen(cases[i].text), &o, &broken);
		if (broken != (cases[i].want == DIALECT_AUTO) ||
			(!broken && r->dialect != cases[i].want))
			fail_msg("%s: broken %d, dialect %d", cases[i].text, broken, r->dialect);
		registry_reading_destroy(r);
	}
#undef ENV
}

static void
test_codeb_ports(void **state)
{
	(void)state;
	struct registry_reading *r = read_good("ssot.json",
		"{\"projects\": {\"myapp\": {\"environments\": {\"production\": {\"port\": 4051}, "
		"\"staging\": null}}, \"shop\": {\"environments\": [\"staging\"]}}}");
	const struct registered_environment *e = r->projects[0]->environments;
	assert_int_equal(r->dialect, DIALECT_CODEB);
	assert_int_equal(e[0].port, 3000);
	assert_int_equal(e[0].base_port, 4051);
	assert_int_equal(e[1].port, 3000);
	assert_int_equal(e[1].base_port, 0);
	assert_string_equal(r->projects[1]->environments[0].name, "staging");
	registry_reading_destroy(r);
}

/* A wrong entry is bad, the others go on. */
static void
test_bad_entries(void **state)
{
	(void)state;
	static const char text[] =
		"{\"projects\": {\"z\": {\"domains\": [1, 2]}, \"My App\": {}, \"my-app\": {}, "
		"\"b\": "
		"{}}, \"static\": {\"X.kr\": {}, \"a b\": {}, \"y.kr\": {\"address\": \"::1\"}}}";
	bool broken;
	struct registry_reading *r = parse("ssot.json", text, strlen(text), &broken);

	assert_false(broken);
	assert_int_equal(r->nprojects, 2);
	assert_string_equal(r->projects[0]->name, "My App");
	assert_string_equal(r->projects[1]->name, "b");
	assert_int_equal(r->nbad_projects, 2);
	assert_string_equal(r->bad_projects[0], "my-app");
	assert_string_equal(r->bad_projects[1], "z");
	assert_int_equal(r->nstatics, 1);
	assert_string_equal(r->statics[0]->route.addresses[0], "::1");
	assert_int_equal(r->nbad_statics, 2);
	assert_string_equal(r->bad_statics[0], "a b");
	assert_string_equal(r->bad_statics[1], "x.kr");
	registry_reading_destroy(r);
}

/* -- slots.json -- */

static const struct registered_environment *
environment(const struct registry_reading *r, const char *project, const char *name)
{
	for (size_t i = 0; i < r->nprojects; i++)
		if (strcmp(r->projects[i]->name, project) == 0)
			return registered_environment_find(r->projects[i], name);
	return NULL;
}

static void
check_slot(const struct registered_environment *e, const char *name, enum slot_state want,
	uint16_t port, uint64_t since, uint64_t until)
{
	const struct registered_slot *s = registered_slot_find(e, name);
	assert_non_null(s);
	assert_string_equal(slot_state_text(s->state), slot_state_text(want));
	assert_int_equal(s->port, port);
	assert_int_equal(s->since_ms, since);
	assert_int_equal(s->until_ms, until);
}

static void
test_slots(void **state)
{
	(void)state;
	struct registry_reading *r = read_good("slots.json",
		"{\"version\": 1, \"slots\": {\"myapp\": {\"production\": {\"active\": \"blue\","
		"\"green\": {\"state\": \"grace-period\", \"port\": 4052, \"until\": "
		"\"2026-01-02T04:04:05Z\"},"
		"\"blue\": {\"state\": \"active\", \"port\": 4051, \"since\": "
		"\"2026-01-02T03:04:05Z\"}}, \"staging\": {}}}}");
	const struct registered_project *p = r->projects[0];
	assert_int_equal(r->nslots, 2);
	assert_false(p->lists_environments);
	assert_int_equal(p->nenvironments, 2);
	const struct registered_environment *e = &p->environments[0];
	assert_true(e->slots);
	assert_string_equal(e->active, "blue");
	assert_string_equal(e->slot[0].name, "blue");
	check_slot(e, "blue", SLOT_ACTIVE, 4051, NEW_YEAR, 0);
	check_slot(e, "green", SLOT_GRACE, 4052, 0, NEW_YEAR + HOUR);
	assert_null(registered_slot_find(e, "red"));
	registry_reading_destroy(r);
}

static void
test_slots_codeb(void **state)
{
	(void)state;
	struct registry_reading *r = read_good("slots.json",
		"{\"slots\": {\"my:app:production\": {\"activeSlot\": \"blue\", \"slots\": {"
		"\"blue\": {\"container\": \"my-app-production-blue\", \"port\": \"4051\", "
		"\"image\": "
		"\"x\", \"deployedAt\": \"2026-01-02T03:04:05.678Z\", \"status\": \"active\", "
		"\"promotedAt\": \"2026-01-02T12:04:05+09:00\", \"scheduledCleanup\": "
		"\"2026-01-02T03:04:05Z\"},"
		"\"green\": {\"status\": \"grace-period\", \"promotedAt\": "
		"\"2025-01-01T00:00:00Z\", "
		"\"gracePeriodStart\": \"2026-01-02T03:04:05Z\"}}},"
		"\"b:staging\": {\"activeSlot\": null, \"slots\": {\"blue\": {\"status\": "
		"\"ACTIVE\"}, "
		"\"green\": null}}}}");
	const struct registered_environment *e = environment(r, "my:app", "production");
	check_slot(e, "blue", SLOT_ACTIVE, 4051, NEW_YEAR, 0);
	assert_string_equal(registered_slot_find(e, "blue")->container, "my-app-production-blue");
	check_slot(e, "green", SLOT_GRACE, 0, NEW_YEAR, NEW_YEAR + GRACE);
	e = environment(r, "b", "staging");
	assert_string_equal(e->active, "blue");
	check_slot(e, "green", SLOT_EMPTY, 0, 0, 0);
	assert_int_equal(r->nslots, 3);
	registry_reading_destroy(r);
}

struct slot_case {
	const char *entry; /* of an environment */
	const char *active;
	enum slot_state blue, green;
	uint64_t until; /* green's */
};

static void
test_slot_states(void **state)
{
	(void)state;
	static const struct slot_case cases[] = {
		/* `active` decides. */
		{"'active':'blue','blue':{'state':'grace','until':'2026-01-02T03:04:05Z'},"
		 "'green':{'state':'active','until':'2026-01-02T03:04:05Z'}",
			"blue", SLOT_ACTIVE, SLOT_DEPLOYED, 0},
		{"'active':'blue','blue':null,'green':null", "blue", SLOT_ACTIVE, SLOT_EMPTY, 0},
		{"'active':'blue','blue':{'state':'empty'},'green':{}", "blue", SLOT_ACTIVE,
			SLOT_DEPLOYED, 0},
		/* The other one may stay unsaid. */
		{"'active':'green','blue':{}", "green", SLOT_DEPLOYED, SLOT_ACTIVE, 0},
		/* Nobody says which: the one that says so itself. */
		{"'blue':{'state':'deployed'},'green':{'status':'ACTIVE'}", "green", SLOT_DEPLOYED,
			SLOT_ACTIVE, 0},
		{"'blue':{'state':'deployed'},'green':{'state':'empty'}", NULL, SLOT_DEPLOYED,
			SLOT_EMPTY, 0},
		/* Words. */
		{"'blue':{'state':'Deployed'},'green':{'state':'Grace_Period'}", NULL,
			SLOT_DEPLOYED, SLOT_GRACE, 0},
		{"'blue':{'state':'EMPTY'},'green':{'state':'GRACE'}", NULL, SLOT_EMPTY, SLOT_GRACE,
			0},
		{"'blue':{'state':'grace-period','status':'grace'},'green':{}", NULL, SLOT_GRACE,
			SLOT_DEPLOYED, 0},
		{"'blue':{},'green':{'until':'2026-01-02T03:04:05Z'}", NULL, SLOT_DEPLOYED,
			SLOT_GRACE, NEW_YEAR},
		/* Ends. */
		{"'blue':{},'green':{'state':'grace','since':'2026-01-02T03:04:05Z'}", NULL,
			SLOT_DEPLOYED, SLOT_GRACE, NEW_YEAR + GRACE},
		{"'blue':{},'green':{'state':'grace','promotedAt':'2026-01-02T03:04:05Z'}", NULL,
			SLOT_DEPLOYED, SLOT_GRACE, NEW_YEAR + GRACE},
		{"'blue':{},'green':{'state':'grace','deployedAt':'2026-01-02T03:04:05Z',"
		 "'since':'2026-01-02T02:04:05Z'}",
			NULL, SLOT_DEPLOYED, SLOT_GRACE, NEW_YEAR + GRACE - HOUR},
		{"'blue':{},'green':{'state':'grace','since':'9999-12-31T00:00:00Z'}", NULL,
			SLOT_DEPLOYED, SLOT_GRACE, REGISTRY_TIME_MAX},
		{"'blue':{},'green':{'state':'grace','until':'2026-01-02T03:04:05Z',"
		 "'since':'2020-01-02T03:04:05Z','scheduledCleanup':'2026-01-02T04:04:05+01:00'}",
			NULL, SLOT_DEPLOYED, SLOT_GRACE, NEW_YEAR},
		{"'blue':{},'green':{'state':'deployed','until':'2026-01-02T03:04:05Z'}", NULL,
			SLOT_DEPLOYED, SLOT_DEPLOYED, 0},
		/* Reservations; an id is only theirs. */
		{"'blue':{'status':'active','id':7},'green':{'state':'Reserved','until':"
		 "'2026-01-02T03:04:05Z','id':'00112233445566778899aabbccddeeff'}",
			"blue", SLOT_ACTIVE, SLOT_RESERVED, NEW_YEAR},
		{"'blue':{},'green':{'state':'reserved','since':'2026-01-02T03:04:05Z'}", NULL,
			SLOT_DEPLOYED, SLOT_RESERVED, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[512];
		snprintf(text, sizeof(text), "{'slots':{'a':{'qa':{%s}}}}", cases[i].entry);
		for (char *c = text; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		struct registry_reading *r = read_good("slots.json", text);
		const struct registered_environment *e = environment(r, "a", "qa");
		const struct registered_slot *green = registered_slot_find(e, "green");
		if (registered_slot_find(e, "blue")->state != cases[i].blue ||
			green->state != cases[i].green || green->until_ms != cases[i].until)
			fail_msg("%s: blue %d, green %d, until %llu", text,
				registered_slot_find(e, "blue")->state, green->state,
				(unsigned long long)green->until_ms);
		if (cases[i].active)
			assert_string_equal(e->active, cases[i].active);
		else
			assert_null(e->active);
		check_back(r);
		registry_reading_destroy(r);
	}
}

/* "blue 9, green 1, red 0", or "not" weighted. */
static void
add_weights(const struct registered_environment *e, struct buf *b)
{
	for (size_t i = 0; e->weighted && i < e->nslots; i++)
		buf_addf(b, "%s%s %u", i ? ", " : "", e->slot[i].name, e->slot[i].weight);
	if (!e->weighted)
		buf_adds(b, "not");
	for (size_t i = 0; i < e->nslots; i++)
		assert_true(e->weighted || !e->slot[i].weight);
}

static void
test_weights(void **state)
{
	(void)state;
	static const struct {
		const char *entry, *want;
	} cases[] = {
		{"'weights':{'blue':9,'green':1},'blue':{},'green':{}", "blue 9, green 1"},
		{"'weights':{'green':1000},'blue':{},'green':{}", "blue 0, green 1000"},
		{"'slots':{'red':{},'blue':null},'weights':{'red':5,'blue':3.0}", "blue 3, red 5"},
		{"'weights':{'blue':0,'green':null,'red':null},'blue':{},'green':{}", "not"},
		{"'weights':{},'blue':{}", "not"},
		{"'weights':null,'blue':{}", "not"},
		{"'active':'green','weights':{'green':7}", "green 7"},
		{"'weights':{'weights':7},'slots':{'weights':{'state':'active'}}", "weights 7"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[256];
		struct buf b = {0};
		snprintf(text, sizeof(text), "{'slots':{'a':{'qa':{%s}}}}", cases[i].entry);
		for (char *c = text; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		struct registry_reading *r = read_good("slots.json", text);
		add_weights(environment(r, "a", "qa"), &b);
		if (strcmp(b.p, cases[i].want) != 0)
			fail_msg("%s: %s", text, b.p);
		check_back(r);
		buf_finish(&b);
		registry_reading_destroy(r);
	}
}

static void
test_single(void **state)
{
	(void)state;
	static const struct {
		const char *file, *text, *project, *environment;
	} cases[] = {
		{"slots/myapp-production.json", "{\"active\": \"blue\", \"blue\": {}}", "myapp",
			"production"},
		{"/opt/codeb/registry/slots/my-other-app-qa.json", "{}", "my-other-app", "qa"},
		{"/x/slots/a-b", "{\"environment\": \"qa\"}", "a", "qa"},
		{"/x/slots/whatever.json", "{\"project\": \"My App\", \"environment\": \"qa\"}",
			"My App", "qa"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct registry_reading *r = read_good(cases[i].file, cases[i].text);
		assert_int_equal(r->nprojects, 1);
		assert_string_equal(r->projects[0]->name, cases[i].project);
		assert_string_equal(r->projects[0]->place, cases[i].file);
		assert_string_equal(r->projects[0]->environments[0].name, cases[i].environment);
		registry_reading_destroy(r);
	}
	/* Only by the folder's own name. */
	check_line("/x/myslots/a-b.json", "{\"active\": \"blue\"}", "no member slots");
	check_line("slots-b.json", "{\"active\": \"blue\"}", "no member slots");
}

/* -- one project as one object -- */

static struct registered_project *
project_of(const char *text, struct registry_reading *r)
{
	struct registry_options o = options("registry.postgres");
	json_t *entry = json_read(text, strlen(text));
	assert_non_null(entry);
	struct registered_project *p = registry_parse_project("shop", entry, &o, r);
	json_decref(entry);
	return p;
}

static void
test_project(void **state)
{
	(void)state;
	struct registry_reading *r = registry_reading_create();
	struct registered_project *p = project_of(
		"{\"project\": {\"domains\": [\"shop.kr\"], \"environments\": {\"production\": "
		"{\"port\": 4051, \"base_port\": 4100}}},"
		"\"slots\": {\"qa\": {}, \"production\": {\"active\": \"blue\", \"blue\": {}}},"
		"\"deployments\": [{\"container\": \"shop-41\", \"created_ms\": 41, \"status\": "
		"\"failed\"},"
		"{\"container\": \"shop-42\", \"created_ms\": 42, \"port\": \"80\", \"branch\": "
		"\"x/y\","
		"\"slot\": \"blue\", \"environment\": \"qa\", \"hosts\": [\"Shop.localhost\", "
		"\"b.kr\"]}, {}]}",
		r);
	assert_non_null(p);
	assert_string_equal(p->domains[0].field, "shop.project.domains[0]");
	/* Waymark's own dialect, whatever the ports look like. */
	const struct registered_environment *e = registered_environment_find(p, "production");
	assert_int_equal(e->port, 4051);
	assert_int_equal(e->base_port, 4100);
	assert_string_equal(e->active, "blue");
	assert_true(registered_environment_find(p, "qa")->slots);

	assert_true(p->has_deployments);
	assert_int_equal(p->ndeployments, 3);
	const struct registered_deployment *d = p->deployments;
	assert_string_equal(d[0].container, "shop-42");
	assert_string_equal(d[0].environment, "qa");
	assert_string_equal(d[0].branch, "x/y");
	assert_string_equal(d[0].slot, "blue");
	assert_string_equal(d[0].hosts[0], "shop.localhost");
	assert_int_equal(d[0].nhosts, 2);
	assert_int_equal(d[0].port, 80);
	assert_int_equal(d[0].status, DEPLOYMENT_RUNNING);
	assert_int_equal(d[1].status, DEPLOYMENT_FAILED);
	assert_string_equal(deployment_status_text(d[1].status), "failed");
	assert_null(d[2].container);
	assert_string_equal(d[2].environment, "production");

	struct registered_project *again = reparse(p, r);
	assert_true(registered_project_equal(p, again));
	registered_project_unref(again);
	registered_project_unref(p);
	registry_reading_destroy(r);
}

static void
test_project_faults(void **state)
{
	(void)state;
	static const struct {
		const char *text, *path;
	} cases[] = {
		{"[]", "shop"},
		{"{\"project\": 1}", "shop.project"},
		{"{\"project\": {\"domains\": [\"a b\"]}}", "shop.project.domains[0]"},
		{"{\"slots\": []}", "shop.slots"},
		{"{\"slots\": {\"qa\": {\"blue\": {\"port\": 0}}}}", "shop.slots.qa.blue.port"},
		{"{\"slots\": {\"QA\": {}}}", "shop.slots.QA"},
		{"{\"slots\": {\"qa\": {\"blue\": {}, \"weights\": {\"blue\": true}}}}",
			"shop.slots.qa.weights.blue"},
		{"{\"project\": {\"environments\": {\"qa\": {\"middlewares\": [\"a\"]}}}}",
			"shop.project.environments.qa.middlewares[0]"},
		{"{\"project\": {\"environments\": {\"qa\": {\"health\": {\"rise\": 0}}}}}",
			"shop.project.environments.qa.health.rise"},
		{"{\"deployments\": {}}", "shop.deployments"},
		{"{\"deployments\": [1]}", "shop.deployments[0]"},
		{"{\"deployments\": [{}, {\"status\": \"up\"}]}", "shop.deployments[1].status"},
		{"{\"deployments\": [{\"port\": 0}]}", "shop.deployments[0].port"},
		{"{\"deployments\": [{\"created_ms\": -1}]}", "shop.deployments[0].created_ms"},
		{"{\"deployments\": [{\"created_ms\": \"x\"}]}", "shop.deployments[0].created_ms"},
		{"{\"deployments\": [{\"environment\": \"Q\"}]}",
			"shop.deployments[0].environment"},
		{"{\"deployments\": [{\"slot\": \"B\"}]}", "shop.deployments[0].slot"},
		{"{\"deployments\": [{\"container\": 1}]}", "shop.deployments[0].container"},
		{"{\"deployments\": [{\"hosts\": [\"*\"]}]}", "shop.deployments[0].hosts[0]"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct registry_reading *r = registry_reading_create();
		if (project_of(cases[i].text, r))
			fail_msg("%s: taken", cases[i].text);
		assert_int_equal(r->nfaults, 1);
		assert_string_equal(r->faults[0].path, cases[i].path);
		assert_string_equal(r->faults[0].file, "registry.postgres");
		assert_int_equal(r->faults[0].line, 0);
		registry_reading_destroy(r);
	}
}

static void
test_has_deployments(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool want;
	} cases[] = {
		{"{}", false}, {"{\"deployments\": null}", false}, {"{\"deployments\": []}", true}};
	struct registry_reading *r = registry_reading_create();

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct registered_project *p = project_of(cases[i].text, r);
		assert_int_equal(p->has_deployments, cases[i].want);
		struct registered_project *again = reparse(p, r);
		assert_true(registered_project_equal(p, again));
		registered_project_unref(again);
		registered_project_unref(p);
	}
	registry_reading_destroy(r);
}

/* -- values -- */

static void
test_equal(void **state)
{
	(void)state;
	/* Each differs from all others. */
	static const char *const texts[] = {
		"{}",
		"{\"project\": {\"domains\": [\"a.kr\"]}}",
		"{\"project\": {\"domains\": [\"a.kr\", \"b.kr\"]}}",
		"{\"project\": {\"domains\": [\"b.kr\", \"a.kr\"]}}",
		"{\"project\": {\"environments\": {}}}",
		"{\"project\": {\"environments\": {\"qa\": {}}}}",
		"{\"project\": {\"environments\": {\"qb\": {}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"port\": 1}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"base_port\": 1}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"health\": \"/\"}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"health\": \"/a\"}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"health\": {\"interval\": "
		"\"1s\"}}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"health\": {\"timeout\": "
		"\"1s\"}}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"health\": {\"rise\": 1}}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"health\": {\"fall\": 1}}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"sticky\": true}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"middlewares\": [\"a@b\"]}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"middlewares\": [\"a@b\", "
		"\"c@d\"]}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"middlewares\": [\"c@d\", "
		"\"a@b\"]}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"slots\": true}}}}",
		"{\"project\": {\"environments\": {\"qa\": {\"expires\": \"1s\"}}}}",
		"{\"slots\": {\"qa\": {}}}",
		"{\"slots\": {\"qa\": {\"blue\": null}}}",
		"{\"slots\": {\"qa\": {\"blue\": {}}}}",
		"{\"slots\": {\"qa\": {\"green\": {}}}}",
		"{\"slots\": {\"qa\": {\"active\": \"blue\"}}}",
		"{\"slots\": {\"qa\": {\"blue\": {}, \"weights\": {\"blue\": 1}}}}",
		"{\"slots\": {\"qa\": {\"blue\": {}, \"weights\": {\"blue\": 2}}}}",
		"{\"slots\": {\"qa\": {\"blue\": {\"port\": 1}}}}",
		"{\"slots\": {\"qa\": {\"blue\": {\"container\": \"x\"}}}}",
		"{\"slots\": {\"qa\": {\"blue\": {\"since\": \"2026-01-02T03:04:05Z\"}}}}",
		"{\"slots\": {\"qa\": {\"blue\": {\"until\": \"2026-01-02T03:04:05Z\"}}}}",
		"{\"deployments\": []}",
		"{\"deployments\": [{}]}",
		"{\"deployments\": [{\"environment\": \"qa\"}]}",
		"{\"deployments\": [{\"branch\": \"b\"}]}",
		"{\"deployments\": [{\"slot\": \"b\"}]}",
		"{\"deployments\": [{\"status\": \"pending\"}]}",
		"{\"deployments\": [{\"container\": \"b\"}]}",
		"{\"deployments\": [{\"port\": 1}]}",
		"{\"deployments\": [{\"created_ms\": 1}]}",
		"{\"deployments\": [{\"hosts\": [\"a.kr\"]}]}",
		"{\"deployments\": [{\"hosts\": [\"b.kr\"]}]}",
		"{\"deployments\": [{}, {}]}",
	};
	struct registry_reading *r = registry_reading_create();
	struct registered_project *p[COUNT(texts)];

	for (size_t i = 0; i < COUNT(texts); i++)
		assert_non_null(p[i] = project_of(texts[i], r));
	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t k = 0; k < COUNT(texts); k++)
			if (registered_project_equal(p[i], p[k]) != (i == k))
				fail_msg("%s and %s", texts[i], texts[k]);
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct registered_project *again = reparse(p[i], r);
		assert_true(registered_project_equal(p[i], again));
		registered_project_unref(again);
		registered_project_unref(p[i]);
	}
	registry_reading_destroy(r);
}

/* The order of what came does not matter. */
static void
test_seal(void **state)
{
	(void)state;
	struct registry_reading *r = registry_reading_create();
	struct registered_project *a = project_of("{\"deployments\": [{\"created_ms\": 1}, "
						  "{\"created_ms\": 2, \"container\": \"b\"}, "
						  "{\"created_ms\": 2, \"container\": \"a\"}, "
						  "{\"created_ms\": 2, \"branch\": \"x\"}]}",
		r);
	struct registered_project *b = project_of(
		"{\"deployments\": [{\"created_ms\": 2, \"branch\": \"x\"}, {\"created_ms\": 2, "
		"\"container\": \"a\"}, {\"created_ms\": 1}, {\"created_ms\": 2, \"container\": "
		"\"b\"}]}",
		r);
	assert_true(registered_project_equal(a, b));
	assert_null(a->deployments[0].container);
	assert_string_equal(a->deployments[1].container, "a");
	assert_string_equal(a->deployments[2].container, "b");
	assert_int_equal(a->deployments[3].created_ms, 1);
	registered_project_unref(a);
	registered_project_unref(b);
	registry_reading_destroy(r);
}

static void
test_combine(void **state)
{
	(void)state;
	struct registry_reading *i = read_good("ssot.json", interface_ssot);
	struct registry_reading *s = read_good("slots.json",
		"{\"slots\": {\"myapp\": {\"production\": {\"active\": \"blue\", \"weights\": "
		"{\"blue\": 8}, \"blue\": {\"container\": \"x\"}}, \"a\": {\"blue\": {}}, \"z\": "
		"{}}}}");
	struct registered_project *p = registered_project_combine(i->projects[1], s->projects[0]);
	struct registered_project *alone = registered_project_combine(i->projects[1], NULL);
	assert_true(registered_project_equal(alone, i->projects[1]));
	registry_reading_destroy(i);
	registry_reading_destroy(s);

	/* All its strings are its own. */
	static const char *const names[] = {"a", "preview", "production", "staging", "z"};
	assert_int_equal(p->nenvironments, COUNT(names));
	for (size_t k = 0; k < COUNT(names); k++)
		assert_string_equal(p->environments[k].name, names[k]);
	const struct registered_environment *e = registered_environment_find(p, "production");
	assert_string_equal(e->active, "blue");
	assert_string_equal(e->health_path, "/health");
	assert_string_equal(e->slot[0].container, "x");
	assert_true(e->weighted);
	assert_int_equal(e->slot[0].weight, 8);
	assert_string_equal(e->middlewares[0], "headers@file");
	assert_true(registered_environment_find(p, "z")->slots);
	assert_true(p->lists_environments);
	assert_string_equal(p->place, "ssot.json");
	assert_int_equal(p->ndomains, 2);
	registered_project_unref(p);
	registered_project_unref(alone);
}

static void
test_references(void **state)
{
	(void)state;
	struct registered_project *p = registered_project_create("s", "p", "n");
	assert_ptr_equal(registered_project_ref(p), p);
	assert_null(registered_project_unref(p));
	assert_string_equal(p->name, "n");
	registered_project_unref(p);
	assert_null(registered_project_unref(NULL));
	struct registered_static *t = registered_static_create("s", "p", "h");
	assert_ptr_equal(registered_static_ref(t), t);
	registered_static_unref(t);
	assert_string_equal(t->route.host, "h");
	registered_static_unref(t);
	assert_null(registered_static_unref(NULL));
	registry_reading_destroy(NULL);
}

/* -- time -- */

static void
test_time(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t want;
	} good[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:00.001Z", 1},
		{"2026-01-02T03:04:05Z", NEW_YEAR},
		{"2026-01-02t03:04:05z", NEW_YEAR},
		{"2026-01-02 12:04:05+09:00", NEW_YEAR},
		{"2026-01-01T15:34:05.5-11:30", NEW_YEAR + 500},
		{"2026-01-02T03:04:05.67899999999999999999999Z", NEW_YEAR + 678},
		{"2026-01-02T03:04:05-00:00", NEW_YEAR},
		{"2024-02-29T00:00:00Z", UINT64_C(1709164800000)},
		{"2000-02-29T00:00:00Z", UINT64_C(951782400000)},
		{"2016-12-31T23:59:60Z", UINT64_C(1483228800000)},
		{"1970-01-01T00:30:00+00:30", 0},
		{"9999-12-31T23:59:59.999Z", REGISTRY_TIME_MAX},
		{"0001-01-01T00:00:00Z", 0},
	};
	static const char *const bad[] = {"", "2026", "2026-01-02", "2026-01-02T03:04:05",
		"2026-01-02T03:04Z", "2026-13-02T03:04:05Z", "2026-00-02T03:04:05Z",
		"2026-01-32T03:04:05Z", "2026-01-00T03:04:05Z", "2026-02-29T03:04:05Z",
		"1900-02-29T00:00:00Z", "2026-01-02T24:00:00Z", "2026-01-02T03:60:05Z",
		"2026-01-02T03:04:61Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05+9",
		"2026-01-02T03:04:05+0900", "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05Z ",
		" 2026-01-02T03:04:05Z", "2026-1-2T3:4:5Z", "1969-12-31T23:59:59.999Z",
		"1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z",
		"-001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "now", "2026-01-02T03:04:05\n"};

	for (size_t i = 0; i < COUNT(good); i++) {
		uint64_t ms = 1;
		if (!registry_time_parse(good[i].text, &ms) || ms != good[i].want)
			fail_msg("%s: %llu", good[i].text, (unsigned long long)ms);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		uint64_t ms = 7;
		if (registry_time_parse(bad[i], &ms) || ms != 7)
			fail_msg("%s: %llu", bad[i], (unsigned long long)ms);
	}
}

static void
test_time_back(void **state)
{
	(void)state;
	/* A prime step, so that all days and hours come up. */
	for (uint64_t ms = 1; ms <= REGISTRY_TIME_MAX; ms += UINT64_C(86028121) * 37) {
		struct buf b = {0};
		uint64_t again = 0;
		registry_time_print(&b, ms);
		b.p[b.n - 1] = '\0';
		if (!registry_time_parse(b.p + 1, &again) || again != ms)
			fail_msg("%llu: %s", (unsigned long long)ms, b.p);
		buf_finish(&b);
	}
}

/* -- what is hostile -- */

static void
test_too_large(void **state)
{
	(void)state;
	struct buf b = {0};
	bool broken;

	buf_adds(&b, "{\"projects\": {}, \"x\": \"");
	size_t head = b.n;
	char *text = xmalloc(REGISTRY_FILE_MAX + 2);
	memset(text, 'a', REGISTRY_FILE_MAX + 1);
	memcpy(text, b.p, head);
	memcpy(text + REGISTRY_FILE_MAX - 1, "\"}", 2);
	struct registry_reading *r = parse("ssot.json", text, REGISTRY_FILE_MAX + 1, &broken);
	assert_true(broken);
	assert_non_null(strstr(r->faults[0].what, "larger than 16 MiB"));
	registry_reading_destroy(r);

	memcpy(text + REGISTRY_FILE_MAX - 2, "\"}", 2);
	r = parse("ssot.json", text, REGISTRY_FILE_MAX, &broken);
	assert_false(broken);
	registry_reading_destroy(r);
	free(text);
	buf_finish(&b);
}

/* Objects of three octets would cost a gigabyte. */
static void
test_too_many_values(void **state)
{
	(void)state;
	struct buf b = {0};
	bool broken;

	buf_adds(&b, "{\"projects\": {}, \"x\": [{}");
	for (size_t i = 0; i < 1000000; i++)
		buf_add(&b, ",{}", 3);
	buf_adds(&b, "]}");
	struct registry_reading *r = parse("ssot.json", b.p, b.n, &broken);
	assert_true(broken);
	assert_non_null(strstr(r->faults[0].what, "two million"));
	registry_reading_destroy(r);
	buf_finish(&b);

	/* What stands in quotes does not count. */
	buf_adds(&b, "{\"projects\": {}, \"x\": \"\\\"");
	for (size_t i = 0; i < 1000000; i++)
		buf_add(&b, ",{}", 3);
	buf_adds(&b, "\"}");
	registry_reading_destroy(read_good("ssot.json", b.p));
	buf_finish(&b);
}

/* Many wrong entries are all bad; the messages are not more than anyone reads. */
static void
test_many_faults(void **state)
{
	(void)state;
	struct buf b = {0};
	bool broken;

	buf_adds(&b, "{\"projects\": {\"good\": {}");
	for (int i = 0; i < 5000; i++)
		buf_addf(&b, ",\n\"p%d\": []", i);
	buf_adds(&b, "}}");
	struct registry_reading *r = parse("ssot.json", b.p, b.n, &broken);
	assert_false(broken);
	assert_int_equal(r->nprojects, 1);
	assert_int_equal(r->nbad_projects, 5000);
	assert_int_equal(r->nfaults, 1001);
	assert_int_equal(r->faults[0].line, 2);
	assert_string_equal(r->faults[999].path, "projects.p999");
	assert_int_equal(r->faults[999].line, 1001);
	assert_non_null(strstr(r->faults[1000].what, "more is wrong"));
	registry_reading_destroy(r);
	buf_finish(&b);
}

static void
test_many_projects(void **state)
{
	(void)state;
	struct buf b = {0};
	buf_adds(&b, "{\"projects\": {\"x\": {}");
	for (int i = 0; i < 10000; i++)
		buf_addf(&b,
			", \"p%d\": {\"domains\": [\"p%d.kr\"], \"environments\": {\"production\": "
			"{\"port\": 3000}}}",
			i, i);
	buf_adds(&b, "}}");
	struct registry_reading *r = read_good("ssot.json", b.p);
	assert_int_equal(r->nprojects, 10001);
	registry_reading_destroy(r);
	buf_finish(&b);

	/* Domains, slots and environments by the ten thousand take no time that grows faster. */
	buf_adds(&b, "{\"projects\": {\"x\": {\"domains\": [\"a.kr\"");
	for (int i = 0; i < 100000; i++)
		buf_addf(&b, ", \"p%d.kr\"", i);
	buf_adds(&b, "], \"environments\": {\"a\": {}");
	for (int i = 0; i < 100000; i++)
		buf_addf(&b, ", \"a%d\": {}", i);
	buf_adds(&b, "}}}}");
	r = read_good("ssot.json", b.p);
	assert_int_equal(r->projects[0]->ndomains, 100001);
	assert_int_equal(r->projects[0]->nenvironments, 100001);
	registry_reading_destroy(r);
	buf_finish(&b);

	buf_adds(&b, "{\"slots\": {\"x\": {\"production\": {\"slots\": {\"a\": {}");
	for (int i = 0; i < 100000; i++)
		buf_addf(&b, ", \"a%d\": {}", i);
	buf_adds(&b, "}}}}}");
	check_line("slots.json", b.p, "more than 16 slots");
	buf_finish(&b);
}

/* Names of any length are cut, and what a terminal would obey is not passed on. */
static void
test_messages(void **state)
{
	(void)state;
	struct buf b = {0};
	buf_adds(&b, "{\"projects\": {\"");
	for (int i = 0; i < 100000; i++)
		buf_adds(&b, "x");
	buf_adds(&b, "\": {\"domains\": [1]}}}");
	char *lines = lines_of("ssot.json", b.p);
	assert_true(strlen(lines) < 1000);
	free(lines);
	buf_finish(&b);

	lines = lines_of("ssot.json",
		"{\"projects\": {\"a\\u001b[2J\": {\"domains\": [\"\\u009b\\u0007\\u007f\\n\"]}}}");
	for (const char *c = lines; *c; c++)
		assert_true((unsigned char)*c >= 0x20 || (*c == '\n' && c[1] == '\0'));
	assert_null(strstr(lines, "\xc2\x9b"));
	free(lines);
}

/* Whatever is left of a file, it is refused whole. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t n = 0; n < strlen(interface_ssot); n++) {
		bool broken = false;
		struct registry_reading *r = parse("ssot.json", interface_ssot, n, &broken);
		assert_true(broken);
		assert_int_equal(r->nfaults, 1);
		assert_int_equal(r->nbad_projects, 0);
		registry_reading_destroy(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus_good),
		cmocka_unit_test(test_corpus_bad),
		cmocka_unit_test(test_ssot),
		cmocka_unit_test(test_serving),
		cmocka_unit_test(test_dialect),
		cmocka_unit_test(test_codeb_ports),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_slots_codeb),
		cmocka_unit_test(test_slot_states),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_project),
		cmocka_unit_test(test_project_faults),
		cmocka_unit_test(test_has_deployments),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_combine),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_time_back),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_too_many_values),
		cmocka_unit_test(test_many_faults),
		cmocka_unit_test(test_many_projects),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
