#include "provider/traefik/traefik_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "provider/traefik/traefik_render.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define ROUTER(rule, rest)                                                                         \
	"\"r\":{\"entryPoints\":[\"web\"],\"rule\":\"" rule                                        \
	"\",\"service\":\"s\",\"priority\":10000" rest "}"
#define HOST "Host(`a.b`)"
#define SERVICE(url) "\"s\":{\"loadBalancer\":{\"servers\":[{\"url\":\"" url "\"}]}}"
#define GOOD_SERVICE "\"s\":{\"loadBalancer\":{\"servers\":[]}}"
#define SLOT "\"s_SLOT_a\":{\"loadBalancer\":{\"servers\":[]}}"
#define WEIGHTED(name, weight)                                                                     \
	"\"s\":{\"weighted\":{\"sticky\":{\"cookie\":{\"name\":\"w-slot\",\"httpOnly\":true}},"    \
	"\"services\":[{\"name\":" name ",\"weight\":" weight "}]}}"
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
	{{ROUTER(HOST, ""), WEIGHTED("\"s_SLOT_a\"", "1000") "," SLOT, ""}, NULL},
	{{ROUTER(HOST, ",\"middlewares\":[\"waymark_PREVIEW_AUTH\",\"A.b_c-d@file\"]"),
		 GOOD_SERVICE, ""},
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
	{{"", "\"s\":{\"weighted\":{}}", ""}, "an empty map"},
	{{"", "\"s\":{\"mirroring\":{}}", ""}, "unknown field"},
	{{"", "\"s\":{}", ""}, "an empty map"},
	{{"", "\"s\":{\"weighted\":{\"services\":[]}}", ""}, "an empty list"},
	{{"", "\"s\":{\"weighted\":{\"services\":[{\"name\":\"s_SLOT_a\"}]}}", ""},
		"no field 'weight'"},
	{{"", WEIGHTED("\"s_SLOT_a\"", "0") "," SLOT, ""}, "not a positive number"},
	{{"", WEIGHTED("\"s_SLOT_a\"", "-1") "," SLOT, ""}, "not a positive number"},
	{{"",
		 "\"s\":{\"weighted\":{\"services\":[{\"name\":\"s_SLOT_a\",\"weight\":1}]},"
		 "\"loadBalancer\":{\"servers\":[]}}," SLOT,
		 ""},
		"s: more than one kind"},
	{{"", "", "\"m\":{\"stripPrefix\":{\"prefixes\":[]}}"}, "an empty list"},
	{{"", "", "\"m\":{\"stripPrefix\":{\"prefixes\":[\"/x\",7]}}"}, "[1]: not a string"},
	{{"", "", "\"waymark-redirect\":{\"stripPrefix\":{\"prefixes\":[\"/x\"]}}"}, "document's"},
	{{"", "", "\"waymark_PREVIEW_NOINDEX\":{\"stripPrefix\":{\"prefixes\":[\"/x\"]}}"},
		"document's"},
	{{"", "", "\"m\":{\"basicAuth\":{\"users\":[\"a:b\"]}}"}, "unknown field"},
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
	{{"", WEIGHTED("\"s_SLOT_b\"", "1") "," SLOT, ""}, "services: there is no 's_SLOT_b'"},
	{{"", WEIGHTED("\"s_SLOT_a@file\"", "1") "," SLOT, ""}, "not ours"},
	/* Named, and the document would not know. */
	{{ROUTER(HOST, ",\"middlewares\":[\"waymark_PREVIEW_ALLOW\"]"), GOOD_SERVICE, ""},
		"middlewares: there is no 'waymark_PREVIEW_ALLOW'"},
	{{ROUTER(HOST, ",\"middlewares\":[\"@file\"]"), GOOD_SERVICE, ""}, "[0]: not ours"},
	{{ROUTER(HOST, ",\"middlewares\":[\"m@\"]"), GOOD_SERVICE, STRIP}, "[0]: not ours"},
	{{ROUTER(HOST, ",\"middlewares\":[\"m@file@file\"]"), GOOD_SERVICE, ""}, "[0]: not ours"},
	{{ROUTER(HOST, ",\"middlewares\":[\"m@File\"]"), GOOD_SERVICE, ""}, "[0]: not ours"},
	{{ROUTER(HOST, ",\"middlewares\":[\"m n@file\"]"), GOOD_SERVICE, ""}, "[0]: not ours"},
	{{ROUTER(HOST, ",\"middlewares\":[\"" SIXTY SIXTY "aaaa@file\"]"), GOOD_SERVICE, ""},
		"[0]: not ours"},
	{{ROUTER(HOST, ",\"service\":\"s@file\""), GOOD_SERVICE, ""}, "duplicate"},

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
		f.uses = 1u << TRAEFIK_REDIRECT | 1u << TRAEFIK_PREVIEW_AUTH;
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
assert_refused(const struct settings *s, const char *why)
{
	struct err e = {0};
	assert_true(traefik_check_settings(s, &e) < 0);
	assert_string_equal(e.text, why);
}

static void
test_settings(void **state)
{
	(void)state;
	static const char *const good[] = {"web", "web-2"};
	static const char *const bad[] = {"web", "w@b"};
	static const char *const empty[] = {""};
	struct settings_tls_domain domain = {.main = "codeb.kr", .nsans = 0};
	struct settings all = {
		.traefik = {.nhttp = 2, .http = good, .ndomains = 1, .domains = &domain}};
	struct settings_traefik *s = &all.traefik;
	struct err e;

	assert_int_equal(traefik_check_settings(&all, &e), 0);
	domain.main = "Code b";
	assert_refused(&all, "traefik: tls.domains[0]: main: not a domain: 'Code b'");
	domain.main = "*.codeb.kr";
	s->resolver = "";
	assert_true(traefik_check_settings(&all, &e) < 0);
	s->resolver = "le";
	s->nhttps = 2;
	s->https = bad;
	assert_true(traefik_check_settings(&all, &e) < 0);
	assert_non_null(strstr(e.text, "https[1]"));
	s->nhttps = 0;
	s->nhttp = 1;
	s->http = empty;
	assert_true(traefik_check_settings(&all, &e) < 0);
	s->nhttp = 0;
	assert_true(traefik_check_settings(&all, &e) < 0);
	s->nhttp = 1;
	s->http = good;
	s->default_cert_file = "c";
	assert_true(traefik_check_settings(&all, &e) < 0);
}

/* Where one of them is refused, and where all are taken. */
static void
assert_preview(const char *user, const char *network, const char *why)
{
	struct settings s = {.traefik = {.nhttp = 1, .http = (const char *const[]){"web"}},
		.preview = {.nusers = 1, .users = &user, .nallow = 1, .allow = &network}};
	struct err e = {0};
	if (why)
		assert_refused(&s, why);
	else if (traefik_check_settings(&s, &e) < 0)
		fail_msg("%s", e.text);
}

#define USER "a\"b\\c,d#:$2y$05$abcdefghijklmnopqrstuv"

static void
test_settings_of_previews(void **state)
{
	(void)state;
	static const char *const networks[] = {"0.0.0.0/0", "10.0.0.0/8", "192.168.255.1/32",
		"::/0", "fd00::/8", "::ffff:10.0.0.0/104"};
	static const char *const users[] = {
		"", "a", "a:", ":b", "a:b:c", "a b:c", "a:b c", "\xc3\xa4:b"};

	for (size_t i = 0; i < COUNT(networks); i++)
		assert_preview(USER, networks[i], NULL);
	assert_preview(USER, "10.0.0.0", "preview: allow[0]: not a network: '10.0.0.0'");
	assert_preview(USER, "10.0.0.0/33", "preview: allow[0]: not a network: '10.0.0.0/33'");
	assert_preview(USER, "10.0.0/8", "preview: allow[0]: not a network: '10.0.0/8'");
	assert_preview(USER, "10.0.0.010/8", "preview: allow[0]: not a network: '10.0.0.010/8'");
	assert_preview(USER, "::1%1/64", "preview: allow[0]: not a network: '::1%1/64'");
	assert_preview(USER, "1:2/64", "preview: allow[0]: not a network: '1:2/64'");
	assert_preview(USER, "::/129", "preview: allow[0]: not a network: '::/129'");
	assert_preview(USER, "::/", "preview: allow[0]: not a network: '::/'");
	/* No message has a hash in it. */
	for (size_t i = 0; i < COUNT(users); i++)
		assert_preview(users[i], "::/0",
			"preview: basic_auth_file: user 1: not a name, ':' and a hash");
}

static void
test_settings_of_pages(void **state)
{
	(void)state;
	struct settings s = {.traefik = {.nhttp = 1, .http = (const char *const[]){"web"}},
		.pages_url = "http://127.0.0.1:9181"};
	struct err e;
	assert_int_equal(traefik_check_settings(&s, &e), 0);
	s.pages_url = "http://127.0.0.1";
	assert_refused(&s, "pages: url: not a URL with a port: 'http://127.0.0.1'");
	s.pages_url = "http://:9181";
	assert_refused(&s, "pages: url: not a URL with a port: 'http://:9181'");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_a_nul_inside),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_settings_of_previews),
		cmocka_unit_test(test_settings_of_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
