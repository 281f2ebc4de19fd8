#include "reconciler/registry/registry_rows_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define COLUMNS_MAX 12
#define ROWS_MAX 6
#define P(name) "{\"project\":{},\"slots\":{},\"deployments\":[" name "]}"

static const struct registry_rows_options options = {
	.source = "registry.postgres",
	.file = "postgres db:5432/shop",
	.base_domain = "codi.local",
};

/* A result: its columns, its rows, then the projects as they are printed, and the faults. */
struct rows_case {
	const char *about;
	const char *columns[COLUMNS_MAX];
	const char *rows[ROWS_MAX][COLUMNS_MAX];
	size_t nrows;
	const char *projects[ROWS_MAX];
	const char *faults[ROWS_MAX]; /* "path: what" begins so */
	const char *bad; /* the one project that is bad; NULL: none is */
};

static size_t
count(const char *const *texts, size_t max)
{
	size_t n = 0;
	while (n < max && texts[n])
		n++;
	return n;
}

static struct registry_reading *
read_case(const struct rows_case *c, const char *const **ret_owners)
{
	struct registry_rows *r = registry_rows_create(&options);
	struct err e;

	assert_int_equal(
		registry_rows_columns(r, count(c->columns, COLUMNS_MAX), c->columns, &e), 0);
	for (size_t i = 0; i < c->nrows; i++)
		registry_rows_add(r, c->rows[i]);
	return registry_rows_end(r, ret_owners);
}

static void
check_projects(const struct rows_case *c, const struct registry_reading *got)
{
	for (size_t i = 0; i < got->nprojects; i++) {
		struct buf b = {0};
		registry_print_project(got->projects[i], &b);
		if (i >= ROWS_MAX || !c->projects[i] || strcmp(b.p, c->projects[i]) != 0)
			fail_msg("%s: got %s", c->about, b.p);
		buf_finish(&b);
		assert_true(got->projects[i]->has_deployments);
		assert_false(got->projects[i]->lists_environments);
	}
	assert_int_equal(got->nprojects, count(c->projects, ROWS_MAX));
}

static void
check_faults(const struct rows_case *c, const struct registry_reading *got)
{
	for (size_t i = 0; i < got->nfaults; i++) {
		const struct registry_fault *f = &got->faults[i];
		char text[700];
		snprintf(text, sizeof(text), "%s: %s", f->path, f->what);
		if (i >= ROWS_MAX || !c->faults[i] ||
			strncmp(text, c->faults[i], strlen(c->faults[i])) != 0)
			fail_msg("%s: got the fault %s", c->about, text);
		assert_string_equal(f->file, options.file);
		assert_true(f->remedy[0] != '\0');
	}
	assert_int_equal(got->nfaults, count(c->faults, ROWS_MAX));
	assert_int_equal(got->nbad_projects, c->bad ? 1 : 0);
	if (c->bad)
		assert_string_equal(got->bad_projects[0], c->bad);
}

static void
check_cases(const struct rows_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *const *owners;
		struct registry_reading *got = read_case(&cases[i], &owners);
		check_projects(&cases[i], got);
		check_faults(&cases[i], got);
		registry_reading_destroy(got);
	}
}

#define PRODUCTION "\"environment\":\"production\""
#define PREVIEW "\"environment\":\"preview\""
#define RUNNING "\"status\":\"running\""

static void
test_columns(void **state)
{
	(void)state;
	static const struct rows_case cases[] = {
		{.about = "all of them, in another order, and one more",
			.columns = {"id", "created_at", "port", "hosts", "container", "status",
				"slot", "branch", "environment", "project"},
			.rows = {{"7", "2026-01-02 03:04:05.678+00", "3000", "{www.shop.kr}",
				"/shop-blue", "LIVE", "Blue", NULL, "Production", "shop"}},
			.nrows = 1,
			.projects = {P("{" PRODUCTION ",\"slot\":\"blue\"," RUNNING
				       ",\"container\":\"shop-blue\",\"port\":3000,"
				       "\"created_ms\":1767323045678,\"hosts\":[\"www.shop.kr\"]"
				       "}")}},
		{.about = "the project alone registers it",
			.columns = {"project"},
			.rows = {{"shop"}, {"blog"}},
			.nrows = 2,
			.projects = {P(""), P("")}},
		{.about = "as does the row of a LEFT JOIN",
			.columns = {"project", "environment", "status", "container", "hosts"},
			.rows = {{"shop", "production", NULL, NULL, NULL}},
			.nrows = 1,
			.projects = {P("")}},
		{.about = "but a slot is a deployment, where no status is given",
			.columns = {"project", "slot"},
			.rows = {{"shop", "green"}},
			.nrows = 1,
			.projects = {P("{" PRODUCTION ",\"slot\":\"green\"," RUNNING
				       ",\"created_ms\":1}")}},
		{.about = "no rows", .columns = {"project"}},
		{.about = "a name as it is",
			.columns = {"project"},
			.rows = {{"My Shop"}},
			.nrows = 1,
			.projects = {P("")}},
	};
	check_cases(cases, COUNT(cases));
}

static void
test_no_project(void **state)
{
	(void)state;
	static const char *const names[] = {"name", "Project", "id"};
	struct registry_rows *r = registry_rows_create(&options);
	struct err e;

	assert_true(registry_rows_columns(r, COUNT(names), names, &e) < 0);
	assert_string_equal(e.text, "the query gives no column project, but name, Project, id");
	registry_rows_destroy(r);
}

static void
test_environment(void **state)
{
	(void)state;
	static const char *const columns[] = {"project", "environment", "branch", "container"};
	static const struct {
		const char *environment, *branch, *want;
	} cases[] = {
		{NULL, NULL, PRODUCTION},
		{"", " ", PRODUCTION},
		{"Staging", NULL, "\"environment\":\"staging\""},
		{NULL, "feature/x", PREVIEW ",\"branch\":\"feature/x\""},
		{"preview", "feature/x", PREVIEW ",\"branch\":\"feature/x\""},
		{"preview", NULL, PREVIEW},
		{"production", "main", PRODUCTION},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char want[200];
		struct rows_case c = {.about = cases[i].want, .nrows = 1, .projects = {want}};
		snprintf(want, sizeof(want),
			P("{%s," RUNNING ",\"container\":\"a\",\"created_ms\":1}"), cases[i].want);
		memcpy(c.columns, columns, sizeof(columns));
		c.rows[0][0] = "shop";
		c.rows[0][1] = cases[i].environment;
		c.rows[0][2] = cases[i].branch;
		c.rows[0][3] = "a";
		check_cases(&c, 1);
	}
}

static void
test_status(void **state)
{
	(void)state;
	static const struct {
		const char *status, *want;
	} cases[] = {
		{"running", "running"},
		{"Healthy", "running"},
		{"SUCCESS", "running"},
		{"building", "pending"},
		{"created", "pending"},
		{"grace-period", "standby"},
		{"deployed", "standby"},
		{"failed", "failed"},
		{"Cancelled", "failed"},
		{"empty", "failed"},
		{NULL, "pending"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char want[200];
		struct rows_case c = {
			.about = cases[i].status ? cases[i].status : "NULL",
			.columns = {"project", "status", "container"},
			.rows = {{"shop", cases[i].status, "a"}},
			.nrows = 1,
			.projects = {want},
		};
		snprintf(want, sizeof(want),
			P("{" PRODUCTION
			  ",\"status\":\"%s\",\"container\":\"a\",\"created_ms\":1}"),
			cases[i].want);
		check_cases(&c, 1);
	}
}

static void
test_hosts(void **state)
{
	(void)state;
	static const struct {
		const char *hosts, *want; /* NULL: refused */
	} cases[] = {
		{"{}", ""},
		{"{a.kr,\"B.kr\",shop-42}",
			",\"hosts\":[\"a.kr\",\"b.kr\",\"shop-42.codi.local\"]"},
		{"{\"a.kr\",NULL,b.kr}", ",\"hosts\":[\"a.kr\",\"b.kr\"]"},
		{"{\"a\\.kr\"}", ",\"hosts\":[\"a.kr\"]"},
		{" a.kr, b.kr\tc.kr,, ", ",\"hosts\":[\"a.kr\",\"b.kr\",\"c.kr\"]"},
		{"[\"a.kr\", \"b\"]", ",\"hosts\":[\"a.kr\",\"b.codi.local\"]"},
		{"[]", ""},
		{"a.kr,A.KR.", ",\"hosts\":[\"a.kr\"]"},
		{"{\"b c\"}", NULL},
		{"{a.kr", NULL},
		{"{\"a.kr", NULL},
		{"{a.kr}x", NULL},
		{"{{a.kr}}", NULL},
		{"[1]", NULL},
		{"[\"a.kr\"", NULL},
		{"https://a.kr", NULL},
		{"10.0.0.1", NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char want[300];
		struct rows_case c = {
			.about = cases[i].hosts,
			.columns = {"project", "hosts"},
			.rows = {{"shop", cases[i].hosts}},
			.nrows = 1,
			.projects = {want},
			.faults = {cases[i].want ? NULL : "row of project shop: hosts: not "},
			.bad = cases[i].want ? NULL : "shop",
		};
		snprintf(want, sizeof(want),
			cases[i].want ? P("{" PRODUCTION "," RUNNING ",\"created_ms\":1%s}")
				      : P("%s"),
			cases[i].want ? cases[i].want : "");
		check_cases(&c, 1);
	}
}

static void
test_created(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned long long want; /* 0: refused */
	} cases[] = {
		{"2026-01-02 03:04:05+00", 1767323045000},
		{"2026-01-02 03:04:05.678901+00", 1767323045678},
		{"2026-01-02 08:34:05+05:30", 1767323045000},
		{"2026-01-01 22:04:05-05", 1767323045000},
		{"2026-01-02 03:04:05", 1767323045000},
		{"2026-01-02T03:04:05Z", 1767323045000},
		{"2026-01-02", 1767312000000},
		{"1767323045", 1767323045000},
		{"1767323045.6789", 1767323045678},
		{"1767323045678", 1767323045678},
		{"02.01.2026 03:04:05 CET", 0},
		{"infinity", 0},
		{"yesterday", 0},
		{"2026-13-02 03:04:05+00", 0},
		{"999999999999999", 0},
		{"-5", 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char want[300];
		struct rows_case c = {
			.about = cases[i].text,
			.columns = {"project", "container", "created_at"},
			.rows = {{"shop", "a", cases[i].text}},
			.nrows = 1,
			.projects = {want},
			.faults = {cases[i].want ? NULL
						 : "row of project shop: created_at: not a time"},
			.bad = cases[i].want ? NULL : "shop",
		};
		snprintf(want, sizeof(want), P(""));
		if (cases[i].want)
			snprintf(want, sizeof(want),
				P("{" PRODUCTION "," RUNNING
				  ",\"container\":\"a\",\"created_ms\":%llu}"),
				cases[i].want);
		check_cases(&c, 1);
	}
}

static void
test_order(void **state)
{
	(void)state;
	static const struct rows_case cases[] = {
		{.about = "without a time the later row is the newer",
			.columns = {"project", "container"},
			.rows = {{"shop", "z"}, {"blog", "x"}, {"shop", "a"}},
			.nrows = 3,
			.projects = {P("{" PRODUCTION "," RUNNING
				       ",\"container\":\"x\",\"created_ms\":1}"),
				P("{" PRODUCTION "," RUNNING
				  ",\"container\":\"a\",\"created_ms\":2},"
				  "{" PRODUCTION "," RUNNING
				  ",\"container\":\"z\",\"created_ms\":1}")}},
		{.about = "and older than any that has one",
			.columns = {"project", "container", "created_at"},
			.rows = {{"shop", "b", "2020-01-01"}, {"shop", "c", NULL}},
			.nrows = 2,
			.projects = {P("{" PRODUCTION "," RUNNING
				       ",\"container\":\"b\",\"created_ms\":1577836800000},"
				       "{" PRODUCTION "," RUNNING
				       ",\"container\":\"c\",\"created_ms\":2}")}},
	};
	check_cases(cases, COUNT(cases));
}

#define LONG_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
test_faults(void **state)
{
	(void)state;
	static const struct rows_case cases[] = {
		{.about = "a bad row is left out, the others stay",
			.columns = {"project", "container", "port"},
			.rows = {{"shop", "a", "99999"}, {"shop", "b", "80"}, {"blog", "c", "0"}},
			.nrows = 3,
			.projects = {P("{" PRODUCTION "," RUNNING
				       ",\"container\":\"c\",\"created_ms\":1}"),
				P("{" PRODUCTION "," RUNNING
				  ",\"container\":\"b\",\"port\":80,\"created_ms\":2}")},
			.faults =
				{"row of project shop: port: not a port from 1 to 65535: '99999'"},
			.bad = "shop"},
		{.about = "an unknown status is pending, and not bad",
			.columns = {"project", "container", "status"},
			.rows = {{"shop", "a", "weird"}},
			.nrows = 1,
			.projects = {P("{" PRODUCTION ",\"status\":\"pending\","
				       "\"container\":\"a\",\"created_ms\":1}")},
			.faults = {"row of project shop: status: not a status that is known: "
				   "'weird'"}},
		{.about = "rows of nobody",
			.columns = {"project"},
			.rows = {{NULL}, {" "}, {"///"}, {LONG_64}, {"a\xff"}},
			.nrows = 5,
			.faults = {"row 1: project: it is NULL or empty",
				"row 2: project: it is NULL or empty",
				"row 3: project: no host label of at most 63 octets can be made of "
				"'///'",
				"row 4: project: no host label", "row 5: project: no host label"}},
		{.about = "two names of one label",
			.columns = {"project"},
			.rows = {{"My Shop"}, {"my-shop"}, {"My Shop"}},
			.nrows = 3,
			.projects = {P("")},
			.faults =
				{"row 2: project: the host label 'my-shop' of 'my-shop' is that of "
				 "the project 'My Shop' already"}},
		{.about = "names that cannot be",
			.columns = {"project", "environment", "slot", "container", "branch"},
			.rows = {{"shop", "a-b", NULL, NULL, NULL},
				{"shop", NULL, "a b", NULL, NULL},
				{"shop", NULL, NULL, "a b", NULL}, {"shop", NULL, NULL, "/", NULL},
				{"shop", NULL, NULL, NULL, "a\nb"}},
			.nrows = 5,
			.projects = {P("")},
			.faults = {"row of project shop: environment: not a name: 'a-b'",
				"row of project shop: slot: not a name: 'a b'",
				"row of project shop: container: not the name of a container: 'a "
				"b'",
				"row of project shop: container: not the name of a container: '/'",
				"row of project shop: branch: not the name of a Git branch"},
			.bad = "shop"},
	};
	check_cases(cases, COUNT(cases));
}

static void
test_owners(void **state)
{
	(void)state;
	static const struct rows_case c = {
		.columns = {"project", "port", "slot"},
		.rows = {{NULL, NULL, NULL}, {"shop", "x", "-"}, {"blog", "y", NULL}},
		.nrows = 3,
	};
	const char *const *owners;
	struct registry_reading *got = read_case(&c, &owners);

	assert_int_equal(got->nfaults, 4);
	assert_null(owners[0]);
	assert_string_equal(owners[1], "shop");
	assert_string_equal(owners[2], "shop");
	assert_string_equal(owners[3], "blog");
	assert_int_equal(got->nbad_projects, 2);
	registry_reading_destroy(got);
}

/* More faults than are kept: nobody writes past the owners. */
static void
test_flood(void **state)
{
	(void)state;
	static const char *const columns[] = {"project", "port"};
	static const char *const row[] = {"shop", "x"};
	struct registry_rows *r = registry_rows_create(&options);
	const char *const *owners;

	assert_int_equal(registry_rows_columns(r, COUNT(columns), columns, NULL), 0);
	for (int i = 0; i < 5000; i++)
		registry_rows_add(r, row);
	struct registry_reading *got = registry_rows_end(r, &owners);
	assert_true(got->nfaults < 2000);
	assert_string_equal(got->faults[0].path, "row of project shop: port");
	registry_reading_destroy(got);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_no_project),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_created),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_flood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
