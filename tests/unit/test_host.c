#include "reconciler/model/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEN(s) s s s s s s s s s s
#define SIXTY TEN("abcdef")
#define LABEL_63 SIXTY "abc"

struct text_case {
	const char *text;
	const char *want; /* NULL: refused */
};

static void
check_texts(const struct text_case *cases, size_t n,
	int (*parse)(struct arena *, const char *, const char **, struct err *))
{
	for (size_t i = 0; i < n; i++) {
		struct arena a = {0};
		struct err e = {0};
		const char *got = NULL;
		int r = parse(&a, cases[i].text, &got, &e);
		if (cases[i].want) {
			if (r < 0)
				fail_msg("%s: %s", cases[i].text, e.text);
			assert_string_equal(got, cases[i].want);
		} else {
			if (r >= 0)
				fail_msg("%s: taken as %s", cases[i].text, got);
			assert_null(got);
			assert_true(e.text[0] != '\0');
		}
		arena_finish(&a);
	}
}

static void
test_host(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{"localhost", "localhost"},
		{"My-App.Codi.LOCAL", "my-app.codi.local"},
		{"a.b.", "a.b"},
		{"1a.2b", "1a.2b"},
		{"123.codi.local", "123.codi.local"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{LABEL_63 ".x", LABEL_63 ".x"},
		{LABEL_63 "d.x", NULL},
		{LABEL_63 "." LABEL_63 "." LABEL_63 "." SIXTY "a",
			LABEL_63 "." LABEL_63 "." LABEL_63 "." SIXTY "a"},
		{LABEL_63 "." LABEL_63 "." LABEL_63 "." SIXTY "ab", NULL},
		{LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, NULL},
		{"", NULL},
		{".", NULL},
		{"a..b", NULL},
		{"a..", NULL},
		{".a", NULL},
		{"-a.b", NULL},
		{"a-.b", NULL},
		{"a b", NULL},
		{"a_b", NULL},
		{"*.a", NULL},
		{"a`b", NULL},
		{"a)||Host(`b", NULL},
		{"{$HOME}", NULL},
		{"b\xc3\xbc"
		 "cher.example",
			NULL},
		{"\xf0\x9f\x8e\x89.x", NULL},
		{"a:80", NULL},
		{"a/b", NULL},
		{"a\n", NULL},
		{"127.0.0.1", NULL},
		{"127.1", NULL},
		{"0x7f000001", NULL},
		{"a.0x7f", NULL},
		{"2130706433", NULL},
		{"::1", NULL},
		{"[::1]", NULL},
	};
	check_texts(cases, COUNT(cases), host_parse);
}

static void
test_host_message(void **state)
{
	(void)state;
	struct arena a = {0};
	struct err e = {0};
	const char *got;
	assert_true(host_parse(&a, "a b", &got, &e) < 0);
	assert_string_equal(
		e.text, "not a host name: 'a b': only letters, digits, '-' and '.' may be in it");

	/* A long text is cut, and not inside a character. */
	const char *party = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			    "\xf0\x9f\x8e\x89\xf0\x9f\x8e\x89";
	assert_true(host_parse(&a, party, &got, &e) < 0);
	assert_non_null(strstr(e.text, "aaa…'"));
	arena_finish(&a);
}

static void
test_under(void **state)
{
	(void)state;
	static const struct {
		const char *host, *domain;
		bool under;
		size_t label; /* 0: not directly */
	} cases[] = {
		{"codi.local", "codi.local", true, 0},
		{"my-app.codi.local", "codi.local", true, 6},
		{"a.b.codi.local", "codi.local", true, 0},
		{"xcodi.local", "codi.local", false, 0},
		{"local", "codi.local", false, 0},
		{"a.b", "c.b", false, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t label = 0;
		assert_int_equal(host_is_under(cases[i].host, cases[i].domain), cases[i].under);
		assert_int_equal(host_is_directly_under(cases[i].host, cases[i].domain, &label),
			cases[i].label > 0);
		assert_int_equal(label, cases[i].label);
	}
}

static void
test_port(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned want;
	} cases[] = {
		{"1", 1},
		{"80", 80},
		{"65535", 65535},
		{"00080", 80},
		{"0", 0},
		{"65536", 0},
		{"99999", 0},
		{"100000", 0},
		{"18446744073709551696", 0},
		{"", 0},
		{"abc", 0},
		{"+80", 0},
		{"-1", 0},
		{" 80", 0},
		{"80 ", 0},
		{"80/tcp", 0},
		{"0x50", 0},
		{"000080", 0},
		{"8\xd9\xa0", 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint16_t port = 0;
		struct err e = {0};
		int r = port_parse(cases[i].text, &port, &e);
		assert_int_equal(r < 0, cases[i].want == 0);
		assert_int_equal(port, cases[i].want);
	}
}

static void
test_path(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{"/", ""},
		{"/api", "/api"},
		{"/api/", "/api"},
		{"/api/v1.0/~x_y-z", "/api/v1.0/~x_y-z"},
		{"/..a/.b", "/..a/.b"},
		{"", NULL},
		{"api", NULL},
		{"//", NULL},
		{"/a//b", NULL},
		{"/a//", NULL},
		{"/.", NULL},
		{"/..", NULL},
		{"/a/../b", NULL},
		{"/a/./", NULL},
		{"/a b", NULL},
		{"/a%2fb", NULL},
		{"/a`", NULL},
		{"/a{b}", NULL},
		{"/a?b", NULL},
		{"/a\xc3\xa9", NULL},
		{"/" SIXTY SIXTY SIXTY SIXTY "abcdefabcdefab",
			"/" SIXTY SIXTY SIXTY SIXTY "abcdefabcdefab"},
		{"/" SIXTY SIXTY SIXTY SIXTY "abcdefabcdefabc", NULL},
	};
	check_texts(cases, COUNT(cases), path_parse);
}

static void
test_bool(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int want; /* -1: refused */
	} cases[] = {
		{"true", 1},
		{"TRUE", 1},
		{"1", 1},
		{"Yes", 1},
		{"on", 1},
		{"false", 0},
		{"0", 0},
		{"no", 0},
		{"OFF", 0},
		{"", -1},
		{"2", -1},
		{"truee", -1},
		{" true", -1},
		{"none", -1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool got = !cases[i].want;
		int r = bool_parse(cases[i].text, &got, NULL);
		assert_int_equal(r < 0, cases[i].want < 0);
		if (r >= 0)
			assert_int_equal(got, cases[i].want);
	}
}

static void
test_duration(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		long long want; /* -1: refused */
	} cases[] = {
		{"0", 0},
		{"250ms", 250},
		{"2s", 2000},
		{"30", 30000},
		{"5m", 300000},
		{"48h", 172800000},
		{"7d", 604800000},
		{"3650d", 315360000000},
		{"3651d", -1},
		{"315360001", -1},
		{"99999999999999999999999ms", -1},
		{"", -1},
		{"s", -1},
		{"-1s", -1},
		{"1.5s", -1},
		{"1h30m", -1},
		{"5 s", -1},
		{"5S", -1},
		{"1w", -1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t got = 7;
		int r = duration_parse(cases[i].text, &got, NULL);
		assert_int_equal(r < 0, cases[i].want < 0);
		assert_int_equal(got, r < 0 ? 7 : cases[i].want);
	}
}

static void
test_upstream(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{"http://10.0.0.5:8000", "http://10.0.0.5:8000"},
		{"http://10.0.0.5", "http://10.0.0.5:80"},
		{"HTTPS://Db.Codeb.KR/", "https://db.codeb.kr:443"},
		{"h2c://grpc:50051", "h2c://grpc:50051"},
		{"h2c://grpc", "h2c://grpc:80"},
		{"http://[2001:DB8:0::1]:81", "http://[2001:db8::1]:81"},
		{"https://[::1]", "https://[::1]:443"},
		{"http://", NULL},
		{"http:///", NULL},
		{"10.0.0.5:80", NULL},
		{"ftp://a:1", NULL},
		{"http://a:", NULL},
		{"http://a:0", NULL},
		{"http://a:65536", NULL},
		{"http://::1:80", NULL},
		{"http://[::1", NULL},
		{"http://[", NULL},
		{"http://[]", NULL},
		{"http://[10.0.0.1]", NULL},
		{"http://[::1]x:80", NULL},
		{"http://a]:80", NULL},
		{"http://user@a", NULL},
		{"http://a/b", NULL},
		{"http://a?b", NULL},
		{"http://a#b", NULL},
		{"http://a b", NULL},
		{"http://127.1:80", NULL},
	};
	check_texts(cases, COUNT(cases), upstream_parse);
}

static void
test_address(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
		bool v6;
	} cases[] = {
		{"172.17.0.2", "172.17.0.2", false},
		{"2001:DB8:0:0::1", "2001:db8::1", true},
		{"::ffff:10.0.0.1", "::ffff:10.0.0.1", true},
		{"", NULL, false},
		{"1.2.3", NULL, false},
		{"1.2.3.256", NULL, false},
		{"01.2.3.4", NULL, false},
		{"fe80::1%eth0", NULL, false},
		{"[::1]", NULL, false},
		{"localhost", NULL, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char got[46];
		bool v6 = false;
		assert_int_equal(address_parse(cases[i].text, got, &v6), cases[i].want != NULL);
		if (cases[i].want) {
			assert_string_equal(got, cases[i].want);
			assert_int_equal(v6, cases[i].v6);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_host_message),
		cmocka_unit_test(test_under),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_upstream),
		cmocka_unit_test(test_address),
	};
	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
