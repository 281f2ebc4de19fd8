#include "provider/traefik/traefik_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define ROUTER(rule, rest)                                                                         \
	"\"r\":{\"entryPoints\":[\"web\"],\"rule\":\"" rule                                        \
	"\",\"service\":\"s\",\"priority\":10000" rest "}"
#define HOST "Host(`a.b`)"
#define SERVICE(url) "\"s\":{\"loadBalancer\":{\"servers\":[{\"url\":\"" url "\"}]}}"
#define GOOD_SERVICE "\"s\":{\"loadBalancer\":{\"servers\":[]}}"
#define STRIP "\"m\":{\"stripPrefix\":{\"prefixes\":[\"/x\"]}}"
#define SIXTY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct check_case {
	const char *section[FRAGMENT_SECTIONS];
	const char *why; /* part of the message; NULL: it passes */
};

static const struct check_case cases[] = {
	{{"", "", ""}, NULL},
	{{ROUTER(HOST, ""), GOOD_SERVICE, ""}, NULL},
	{{ROUTER(HOST, ",\"tls\":{}"), GOOD_SERVICE, ""}, NULL},
	{{ROUTER(HOST, ",\"tls\":{\"domains\":[{\"main\":\"a.b\",\"sans\":[\"*.a.b\"]}]}"),
		 GOOD_SERVICE, ""},
		NULL},
	{{ROUTER(HOST, ",\"middlewares\":[\"m\",\"waymark-redirect\"]"), GOOD_SERVICE, STRIP},
		NULL},
	{{ROUTER("Host(`a.b`) && (Path(`/x`) || PathPrefix(`/x/`))", ""), GOOD_SERVICE, ""}, NULL},
	{{ROUTER(HOST, ""), SERVICE("http://172.17.0.2:80"), ""}, NULL},
	{{ROUTER(HOST, ""), SERVICE("https://a.b:65535"), ""}, NULL},
	{{ROUTER(HOST, ""), SERVICE("h2c://[fd00::1]:1"), ""}, NULL},
	{{"",
		 "\"s\":{\"loadBalancer\":{\"sticky\":{\"cookie\":{\"name\":\"w\",\"httpOnly\":"
		 "true}},"
		 "\"servers\":[]}}",
		 ""},
		NULL},

	/* Unknown, missing, of another type, empty, twice. */
	{{ROUTER(HOST, ",\"observability\":{}"), GOOD_SERVICE, ""}, "unknown field"},
	{{ROUTER(HOST, ",\"Tls\":{}"), GOOD_SERVICE, ""}, "unknown field"},
	{{"\"r\":{\"rule\":\"Host(`a.b`)\",\"service\":\"s\",\"priority\":1}", GOOD_SERVICE, ""},
		"no field 'entryPoints'"},
	{{"\"r\":{}", GOOD_SERVICE, ""}, "an empty map"},
	{{ROUTER(HOST, ",\"middlewares\":[]"), GOOD_SERVICE, ""}, "an empty list"},
	{{ROUTER(HOST, ",\"middlewares\":\"m\""), GOOD_SERVICE, STRIP}, "not a list"},
	{{ROUTER(HOST, ",\"priority\":1"), GOOD_SERVICE, ""}, "duplicate"},
	{{ROUTER(HOST, "") "," ROUTER(HOST, ""), GOOD_SERVICE, ""}, "duplicate"},
	{{"\"r\":{\"entryPoints\":[\"web\"],\"rule\":\"" HOST
	  "\",\"service\":\"s\",\"priority\":\"x\"}",
		 GOOD_SERVICE, ""},
		"not a positive number"},
	{{"", "\"s\":{\"loadBalancer\":{}}", ""}, "an empty map"},
	{{"", "\"s\":{\"weighted\":{}}", ""}, "unknown field"},
	{{"", "", "\"m\":{\"stripPrefix\":{\"prefixes\":[]}}"}, "an empty list"},
	{{"", "", "\"m\":{\"stripPrefix\":{\"prefixes\":[\"/x\",7]}}"}, "[1]: not a string"},
	{{"", "", "\"waymark-redirect\":{\"stripPrefix\":{\"prefixes\":[\"/x\"]}}"}, "document's"},
	{{"", GOOD_SERVICE "}", ""}, "services"},
	{{"", GOOD_SERVICE ",", ""}, "services"},

	/* What does not stand for itself. */
	{{"", "\"s\\ud83d\\udcaf\":{\"loadBalancer\":{\"servers\":[]}}", ""}, "a backslash"},
	{{"", "\"\xf0\x9f\x92\xaf\":{\"loadBalancer\":{\"servers\":[]}}", ""}, "not printable"},
	{{"", "\"s@file\":{\"loadBalancer\":{\"servers\":[]}}", ""}, "not a name"},
	{{"", "\"\":{\"loadBalancer\":{\"servers\":[]}}", ""}, "not a name"},

	/* References. */
	{{ROUTER(HOST, ""), "", ""}, "services: there is no 's'"},
	{{ROUTER(HOST, ",\"middlewares\":[\"m\"]"), GOOD_SERVICE, ""},
		"middlewares: there is no 'm'"},

	/* Rules. */
	{{ROUTER("", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(``)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`a.b`", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`A.b`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`a..b`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`.b`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`b.`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`-a.b`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`a-.b`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`" SIXTY "aaaa.b`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`a.b`) || Host(`c.d`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`a.b`) && PathPrefix(`/x`)", ""), GOOD_SERVICE, ""}, "not ours"},
	{{ROUTER("Host(`a.b`) && (Path(`/x`) || PathPrefix(`/x`))", ""), GOOD_SERVICE, ""},
		"not ours"},
	{{ROUTER("Host(`a.b`) && (Path(`/x`) || PathPrefix(`/y/`))", ""), GOOD_SERVICE, ""},
		"not ours"},
	{{ROUTER("Host(`a.b`) && (Path(`/x/`) || PathPrefix(`/x//`))", ""), GOOD_SERVICE, ""},
		"not ours"},
	{{ROUTER("Host(`a.b`) && (Path(`/..`) || PathPrefix(`/../`))", ""), GOOD_SERVICE, ""},
		"not ours"},
	{{ROUTER("Host(`a.b`) && (Path(`/{x}`) || PathPrefix(`/{x}/`))", ""), GOOD_SERVICE, ""},
		"not ours"},
	{{ROUTER("Host(`a.b`) && (Path(`/x`) || PathPrefix(`/x/`)) ", ""), GOOD_SERVICE, ""},
		"not ours"},

	/* URLs. */
	{{"", SERVICE("http://a.b"), ""}, "not ours"},
	{{"", SERVICE("http://a.b:0"), ""}, "not ours"},
	{{"", SERVICE("http://a.b:65536"), ""}, "not ours"},
	{{"", SERVICE("http://a.b:80/"), ""}, "not ours"},
	{{"", SERVICE("http://u@a.b:80"), ""}, "not ours"},
	{{"", SERVICE("http://[fd00::1%25eth0]:80"), ""}, "not ours"},
	{{"", SERVICE("unix:///run/x"), ""}, "not ours"},
	{{"", SERVICE("ftp://a.b:80"), ""}, "not ours"},
};

/* What passes is JSON: another reader says so. */
static void
assert_json(const struct fragment *f)
{
	for (int s = 0; s < FRAGMENT_SECTIONS; s++) {
		char text[4096];
		snprintf(text, sizeof(text), "{%.*s}", (int)f->section[s].n, f->section[s].p);
		json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(j);
		json_decref(j);
	}
}

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fragment f;
		struct err e = {0};
		for (int s = 0; s < FRAGMENT_SECTIONS; s++) {
			f.section[s].p = cases[i].section[s];
			f.section[s].n = strlen(cases[i].section[s]);
		}
		int r = traefik_check_fragment(&f, &e);
		if ((r < 0) != !!cases[i].why || (r < 0 && !strstr(e.text, cases[i].why)))
			fail_msg("case %zu: %s %s %s: %d %s", i, f.section[0].p, f.section[1].p,
				f.section[2].p, r, e.text);
		if (r >= 0)
			assert_json(&f);
	}
}

static void
test_a_nul_inside(void **state)
{
	(void)state;
	static const char text[] = "\"s\0\":{\"loadBalancer\":{\"servers\":[]}}";
	struct fragment f = {.section = {{"", 0}, {text, sizeof(text) - 1}, {"", 0}}};
	struct err e;
	assert_true(traefik_check_fragment(&f, &e) < 0);
}

static void
test_settings(void **state)
{
	(void)state;
	static const char *const good[] = {"web", "web-2"};
	static const char *const bad[] = {"web", "w@b"};
	static const char *const empty[] = {""};
	struct settings_tls_domain domain = {.main = "codeb.kr", .nsans = 0};
	struct settings_traefik s = {.nhttp = 2, .http = good, .ndomains = 1, .domains = &domain};
	struct err e;

	assert_int_equal(traefik_check_settings(&s, &e), 0);
	domain.main = "Code b";
	assert_true(traefik_check_settings(&s, &e) < 0);
	assert_string_equal(e.text, "tls.domains[0]: main: not a domain: 'Code b'");
	domain.main = "*.codeb.kr";
	s.resolver = "";
	assert_true(traefik_check_settings(&s, &e) < 0);
	s.resolver = "le";
	s.nhttps = 2;
	s.https = bad;
	assert_true(traefik_check_settings(&s, &e) < 0);
	assert_non_null(strstr(e.text, "https[1]"));
	s.nhttps = 0;
	s.nhttp = 1;
	s.http = empty;
	assert_true(traefik_check_settings(&s, &e) < 0);
	s.nhttp = 0;
	assert_true(traefik_check_settings(&s, &e) < 0);
	s.nhttp = 1;
	s.http = good;
	s.default_cert_file = "c";
	assert_true(traefik_check_settings(&s, &e) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_a_nul_inside),
		cmocka_unit_test(test_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
