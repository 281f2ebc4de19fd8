#include "provider/caddy/site_render.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glob.h>

#include <cmocka.h>

#include "provider/caddy/site_inside.h"
#include "provider/caddy/upstreams_render.h"
#include "reconciler/base/buf.h"
#include "tests/unit/site_world.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GOLDEN "tests/golden/sites/"

/* -- golden cases -- */

static void
print_file(void *arg, const struct site_file *file)
{
	buf_addf(arg, "# %s\n%s", file->name, file->text ? file->text : "(none)\n");
}

static void
print_problems(const struct problems *ps, struct buf *b)
{
	for (size_t i = 0; i < ps->n; i++)
		buf_addf(b, "! %s: %s%s%s: %s; %s\n", problem_code_text(ps->list[i].code),
			ps->list[i].object, ps->list[i].field ? ": " : "",
			ps->list[i].field ? ps->list[i].field : "", ps->list[i].what,
			ps->list[i].remedy);
}

static char *
render_case(json_t *j)
{
	struct site_world w;
	struct buf b = {0};
	struct err e;

	site_world_init(&w, j);
	struct site_template *t = site_template_parse(w.caddy.template, &e);
	assert_non_null(t);
	site_world_render(&w, t, j, print_file, &b);
	print_problems(&w.problems, &b);
	site_template_destroy(t);
	site_world_finish(&w);
	return buf_steal(&b, NULL);
}

static char *
file_text(const char *path)
{
	char *text = xcalloc(1, 1 << 18);
	FILE *f = fopen(path, "r");
	if (f) {
		text[fread(text, 1, (1 << 18) - 1, f)] = '\0';
		fclose(f);
	}
	return text;
}

/* WAYMARK_UPDATE=1 writes what comes out in the place of what is wanted. */
static void
compare_case(const char *path)
{
	json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	char want_path[256];

	assert_non_null(j);
	snprintf(want_path, sizeof(want_path), "%.*s.txt", (int)strlen(path) - 5, path);
	char *got = render_case(j), *again = render_case(j);
	assert_string_equal(got, again);
	if (getenv("WAYMARK_UPDATE")) {
		FILE *f = fopen(want_path, "w");
		fputs(got, f);
		fclose(f);
	}
	char *want = file_text(want_path);
	if (strcmp(want, got) != 0)
		fprintf(stderr, "%s:\n%s", path, got);
	assert_string_equal(want, got);
	free(want);
	free(got);
	free(again);
	json_decref(j);
}

static void
test_golden(void **state)
{
	(void)state;
	glob_t g;

	assert_int_equal(glob(GOLDEN "*.json", 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 7);
	for (size_t i = 0; i < g.gl_pathc; i++)
		compare_case(g.gl_pathv[i]);
	globfree(&g);
}

/* -- templates -- */

static void
test_template_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"{{#sites}}\n{{address}} {\n", "line 1: {{#sites}} has no end"},
		{"\n\n{{hosts}}", "line 3: there is no {{hosts}} for a site"},
		{"{{#sites}}{{^nothing}}{{/nothing}}{{/sites}}",
			"line 1: there is no {{nothing}} for a site"},
		{"{{sites.address}}", "line 1: there is no {{sites.address}} for a site"},
		{"{{#sites}}\n{{/routes}}",
			"line 2: {{/routes}} ends {{#sites}}, which began on line 1"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e;
		assert_null(site_template_parse(cases[i].text, &e));
		assert_string_equal(e.text, cases[i].error);
	}
	site_template_destroy(NULL);
}

/* What the manual lists is what there is. */
static void
test_names_in_the_manual(void **state)
{
	(void)state;
	static const char *const rows[] = {
#define X(text) "| `" text "` |",
		SITE_NAMES(X)
#undef X
	};
	char *manual = file_text("templates/README.md");

	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(rows[i], "| `.` |") != 0 && !strstr(manual, rows[i]))
			fail_msg("templates/README.md has no row %s", rows[i]);
	free(manual);
}

static void
test_default(void **state)
{
	(void)state;
	const struct settings s = {0};
	struct arena a = {0};

	assert_string_equal(site_render_default(&s, &a),
		SITE_MARK "; what is changed here is written over.\n\n"
			  "http:// {\n\trespond 404\n}\n");
	arena_finish(&a);
}

/* -- upstreams -- */

struct weights {
	unsigned weight[3];
	size_t n[3];
	const char *want; /* how often each is named */
};

static void
check_weights(const struct weights *c)
{
	struct arena a = {0};
	struct server servers[200] = {0};
	struct route_share shares[3];
	struct route r = {.servers = servers, .shares = shares};
	struct upstreams u;
	struct buf b = {0};

	for (size_t s = 0; s < 3 && c->n[s]; s++) {
		shares[r.nshares++] = (struct route_share){
			.slot = "x", .weight = c->weight[s], .first = r.nrouted, .n = c->n[s]};
		for (size_t i = 0; i < c->n[s]; i++, r.nrouted++)
			servers[r.nrouted].url =
				arena_printf(&a, "http://10.0.0.%zu:80", r.nrouted);
	}
	r.nservers = r.nrouted;
	assert_int_equal(upstreams_render(&a, &r, &u, NULL), 0);
	for (size_t i = 0, n; i < u.n; i += n) {
		for (n = 1; i + n < u.n && strcmp(u.dials[i], u.dials[i + n]) == 0; n++)
			;
		buf_addf(&b, "%s%zu", i ? " " : "", n);
	}
	assert_string_equal(b.p, c->want);
	assert_true(u.n <= UPSTREAMS_MAX || u.n == r.nrouted);
	buf_finish(&b);
	arena_finish(&a);
}

static void
test_weights(void **state)
{
	(void)state;
	static const struct weights cases[] = {
		{{50, 50}, {1, 1}, "1 1"},
		{{90, 10}, {1, 1}, "9 1"},
		{{90, 10}, {2, 1}, "9 9 2"},
		{{90, 10}, {1, 2}, "18 1 1"},
		{{1, 2, 3}, {1, 1, 1}, "1 2 3"},
		{{1, 1, 1}, {2, 3, 5}, "15 15 10 10 10 6 6 6 6 6"},
		{{999, 1}, {1, 1}, "99 1"},
		{{1000, 1}, {1, 3}, "97 1 1 1"},
		{{333, 334}, {1, 1}, "1 1"},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		check_weights(&cases[i]);
}

/* More servers than entries: each is named once at least, and little more is. */
static void
test_weights_of_many(void **state)
{
	(void)state;
	struct arena a = {0};
	struct server servers[300] = {0};
	struct route_share shares[] = {{"x", 1000, 0, 97}, {"y", 1, 97, 203}};
	struct route r = {.servers = servers,
		.nservers = 300,
		.nrouted = 300,
		.shares = shares,
		.nshares = 2};
	struct upstreams u;

	for (size_t i = 0; i < 300; i++)
		servers[i].url = arena_printf(&a, "http://10.0.%zu.%zu:80", i / 250, i % 250);
	assert_int_equal(upstreams_render(&a, &r, &u, NULL), 0);
	assert_true(u.n >= 300 && u.n <= 400);
	arena_finish(&a);
}

static void
test_no_upstreams(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "x", "http://", "unix//run/x", "http://a b:80",
		"http://a:80/x", "http://{env.X}:80", "http://a:80\\", "http://a:80\n",
		"http://a\xc2\xa0:80", "http://\xff:80"};
	struct arena a = {0};
	struct upstreams u;
	struct err e;

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(upstreams_render_one(&a, bad[i], &u, &e), -EINVAL);
	assert_int_equal(upstreams_render_one(&a, NULL, &u, &e), -EINVAL);
	arena_finish(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_template_errors),
		cmocka_unit_test(test_names_in_the_manual),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_weights_of_many),
		cmocka_unit_test(test_no_upstreams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
