#include "reconciler/model/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEN(s) s s s s s s s s s s
#define FIFTY TEN("abcde")
#define PARTY "\xf0\x9f\x8e\x89"

struct url_case {
	struct url_parts parts;
	const char *want; /* NULL: refused … */
	const char *why; /* … with these words in the message */
};

static struct settings *
settings_make(const char *base)
{
	static const struct settings_url others[] = {{"qa", "{project}.qa.{base}"}};
	struct settings *s = settings_create();
	s->base_domain = base;
	s->urls.nothers = COUNT(others);
	s->urls.others = others;
	return s;
}

static void
check_urls(const struct settings *s, const struct url_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct arena a = {0};
		struct err e = {0};
		const char *got = NULL;
		int r = url_host(&a, s, &cases[i].parts, &got, &e);
		if (cases[i].want) {
			if (r < 0)
				fail_msg("%s: %s", cases[i].want, e.text);
			assert_string_equal(got, cases[i].want);
		} else {
			if (r >= 0)
				fail_msg("case %zu gave %s", i, got);
			if (!strstr(e.text, cases[i].why))
				fail_msg("case %zu: %s", i, e.text);
		}
		arena_finish(&a);
	}
}

static void
test_host(void **state)
{
	(void)state;
	static const struct url_case cases[] = {
		{{.project = "my-app"}, "my-app.codi.local", NULL},
		{{.project = "My_App", .environment = ""}, "my-app.codi.local", NULL},
		{{.project = "shop", .environment = "staging"}, "shop-staging.codi.local", NULL},
		{{.project = "shop", .environment = "qa"}, "shop.qa.codi.local", NULL},
		{{.project = "shop", .environment = "demo"}, "shop-demo.codi.local", NULL},
		{{.project = "shop", .environment = "preview"}, "shop-preview.codi.local", NULL},
		{{.project = "my-app", .environment = "preview", .branch = "feature/x"},
			"my-app-preview-feature-x.codi.local", NULL},
		{{.project = "my-app", .branch = "feature/x", .suffixed = true},
			"my-app-preview-feature-x-217d2bf5.codi.local", NULL},
		{{.project = "my-app", .branch = PARTY}, "my-app-preview-6146299c.codi.local",
			NULL},
		{{.project = "my-app", .branch = "v1.2/X", .codi = true},
			"my-app-preview-v12-x.codi.local", NULL},
		{{.project = "my-app", .branch = "...", .codi = true}, NULL, "the branch '...'"},
		{{.project = "shop", .service = "web"}, "shop-web.codi.local", NULL},
		{{.project = "shop", .service = "web", .environment = "staging"},
			"shop-web-staging.codi.local", NULL},
		{{.project = "shop", .service = "web", .branch = "x"},
			"shop-web-preview-x.codi.local", NULL},
		{{.project = "shop", .slot = "blue"}, "shop-production-blue.codi.local", NULL},
		{{.project = "shop", .slot = "blue", .environment = "staging", .service = "web"},
			"shop-web-staging-blue.codi.local", NULL},
		{{.project = "shop", .slot = "", .branch = "", .service = ""}, "shop.codi.local",
			NULL},
		{{.project = NULL}, NULL, "the project has no name"},
		{{.project = "..."}, NULL, "the project '...' has no letter or digit"},
		{{.project = "shop", .service = PARTY}, NULL, "the service"},
	};
	struct settings *s = settings_make("codi.local");
	check_urls(s, cases, COUNT(cases));
	settings_destroy(s);
}

static void
test_room(void **state)
{
	(void)state;
	static const struct url_case cases[] = {
		{{.project = "my-app", .branch = FIFTY},
			"my-app-preview-abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcd-"
			"789f9a73.codi.local",
			NULL},
		/* 8 octets are left for the branch: its hash. */
		{{.project = "abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdea",
			 .branch = "feature/x"},
			"abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdea-preview-"
			"217d2bf5.codi.local",
			NULL},
		{{.project = "abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeab", .branch = "x"},
			NULL, "the project 'abcde"},
		{{.project = "abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcde",
			 .branch = "x",
			 .codi = true},
			"abcdeabcdeabcdeabcdeabcdeabcdeabcdeabcdeabcde-preview-x.codi.local", NULL},
		{{.project = "abcdeabcdeabcdeabcdeabcdeabcde",
			 .branch = "abcdeabcdeabcdeabcdeabcdeabcde",
			 .codi = true},
			NULL, "too long: it makes a label of 69 octets"},
		{{.project = "abc", .service = FIFTY "abcdeabcdea"}, NULL,
			"the service 'abcdeabcde"},
		{{.project = "abc", .service = FIFTY FIFTY}, NULL, "the service 'abcde"},
	};
	struct settings *s = settings_make("codi.local");
	check_urls(s, cases, COUNT(cases));
	settings_destroy(s);
}

/* A long base leaves less than a label's 63 octets. */
static void
test_room_of_name(void **state)
{
	(void)state;
	static const char base[] = FIFTY "." FIFTY "." FIFTY "." FIFTY ".abcdeabcde";
	static const struct url_case cases[] = {
		{{.project = "shop", .branch = FIFTY},
			"shop-preview-abcdeabcdeabcdea-789f9a73." FIFTY "." FIFTY "." FIFTY
			"." FIFTY ".abcdeabcde",
			NULL},
	};
	assert_int_equal(strlen(base), 214);
	struct settings *s = settings_make(base);
	check_urls(s, cases, COUNT(cases));
	settings_destroy(s);
}

static void
test_template_check(void **state)
{
	(void)state;
	static const struct {
		const char *template, *needs, *why;
	} cases[] = {
		{"{project}.{base}", "project", NULL},
		{"{project}.apps.example", "project", NULL},
		{"{branch}.{project}.{base}", "project,branch", NULL},
		{"{base}", "project", "{project} is missing"},
		{"{project}.{base}", "project,branch", "{branch} is missing"},
		{"{project}-{branch}.{base}", "project", "{branch} has no value here"},
		{"{project}.{bas}", "project", "unknown placeholder {bas}"},
		{"{project}.{base", "project", "a brace has no partner"},
		{"{project}}.{base}", "project", "a brace has no partner"},
		{"{project}.{}", "project", "unknown placeholder {}"},
		{"{project}{base}", "project", "{base} needs a dot"},
		{"{base}-{project}", "project", "{base} needs a dot"},
		{"{project}-{branch}-{branch}.{base}", "project,branch", "{branch} stands twice"},
		{"{project}-.{base}", "project", "must not begin or end with '-'"},
		{"{project}_x.{base}", "project", "only letters"},
		{"http://{project}.{base}", "project", "only letters"},
		{"", "", "it is empty"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = {0};
		int r = url_template_check(cases[i].template, cases[i].needs, &e);
		assert_int_equal(r < 0, cases[i].why != NULL);
		if (cases[i].why && !strstr(e.text, cases[i].why))
			fail_msg("%s: %s", cases[i].template, e.text);
	}
}

/* The defaults pass their own check. */
static void
test_defaults(void **state)
{
	(void)state;
	struct settings *s = settings_create();
	assert_int_equal(url_template_check(s->urls.production, "project", NULL), 0);
	assert_int_equal(url_template_check(s->urls.staging, "project", NULL), 0);
	assert_int_equal(url_template_check(s->urls.preview, "project,branch", NULL), 0);
	assert_int_equal(url_template_check(s->urls.slot, "project,slot", NULL), 0);
	assert_int_equal(url_template_check(s->urls.service, "project,service", NULL), 0);
	settings_destroy(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_room_of_name),
		cmocka_unit_test(test_template_check),
		cmocka_unit_test(test_defaults),
	};
	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
