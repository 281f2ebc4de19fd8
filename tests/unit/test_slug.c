#include "reconciler/model/slug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEN(s) s s s s s s s s s s
#define SIXTY TEN("aaaaaa")
#define PARTY "\xf0\x9f\x8e\x89"

struct slug_case {
	const char *branch;
	size_t room;
	const char *want;
};

static void
test_branch(void **state)
{
	(void)state;
	static const struct slug_case cases[] = {
		{"feature-x", 63, "feature-x"},
		{"feature/x", 63, "feature-x"},
		{"Feature/JIRA-1234_Try..again", 63, "feature-jira-1234-try-again"},
		{"--a--", 63, "a"},
		{"a \t" PARTY "b", 63, "a-b"},
		{"b\xc3\xbc"
		 "cher",
			63, "b-cher"},
		{"v1.2.3", 63, "v1-2-3"},
		{"{$HOME}", 63, "home"},
		{"a`b", 63, "a-b"},
		{SIXTY "aaa", 63, SIXTY "aaa"},
		{SIXTY "aaa/", 63, SIXTY "aaa"},
		{SIXTY "aaaa", 63,
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-ffe054fe"},
		{"feature/x", 9, "feature-x"},
		/* The cut falls behind a '-', which goes. */
		{TEN("ab-ab-ab-"), 15, "ab-ab-ddd85945"},
		{"", 63, "e3b0c442"},
		{"---", 63, "cb3f91d5"},
		{PARTY, 63, "6146299c"},
		{"feature/x", 8, "217d2bf5"},
		{"", 8, "e3b0c442"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char got[SLUG_MAX + 1];
		size_t n = slug_branch(cases[i].branch, cases[i].room, got);
		assert_string_equal(got, cases[i].want);
		assert_int_equal(n, strlen(cases[i].want));
	}
}

static void
test_suffixed(void **state)
{
	(void)state;
	static const struct slug_case cases[] = {
		{"feature/x", 63, "feature-x-217d2bf5"},
		{"feature/x", 18, "feature-x-217d2bf5"},
		{"feature/x", 17, "feature-217d2bf5"},
		{"feature/x", 16, "feature-217d2bf5"},
		{"feature/x", 10, "f-217d2bf5"},
		{"feature/x", 9, "217d2bf5"},
		{"feature/x", 8, "217d2bf5"},
		{PARTY, 63, "6146299c"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char got[SLUG_MAX + 1];
		size_t n = slug_branch_suffixed(cases[i].branch, cases[i].room, got);
		assert_string_equal(got, cases[i].want);
		assert_int_equal(n, strlen(cases[i].want));
	}
}

/* Whatever the branch and the room: a legal label that fits. */
static void
test_branch_is_a_label(void **state)
{
	(void)state;
	static const char *const branches[] = {
		"", "-", "a", "a-", "feature/x", PARTY PARTY, SIXTY SIXTY, TEN("a-/b" PARTY)};
	for (size_t i = 0; i < COUNT(branches); i++)
		for (size_t room = 8; room <= SLUG_MAX; room++) {
			char got[SLUG_MAX + 1];
			size_t n = slug_branch(branches[i], room, got);
			assert_true(n >= 1 && n <= room && n == strlen(got));
			assert_true(got[0] != '-' && got[n - 1] != '-');
			assert_int_equal(strspn(got, "abcdefghijklmnopqrstuvwxyz0123456789-"), n);
			assert_null(strstr(got, "--"));
		}
}

static void
test_codi(void **state)
{
	(void)state;
	static const struct {
		const char *branch, *want;
	} cases[] = {
		{"feature-x", "feature-x"},
		{"feature/x", "feature-x"},
		{"Feature_X", "feature-x"},
		{"v1.2", "v12"},
		{"fix: a b", "fixab"},
		{"-/_a_/-b-_", "a-b"},
		{"abcdefghijabcdefghijabcdefghijklm", "abcdefghijabcdefghijabcdefghij"},
		{"abcdefghijabcdefghijabcdefghi/jklm", "abcdefghijabcdefghijabcdefghi"},
		{"abcdefghijabcdefghijabcdefgh/jklm", "abcdefghijabcdefghijabcdefgh-j"},
		{"...", ""},
		{"", ""},
		{PARTY, ""},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char got[SLUG_MAX + 1];
		size_t n = slug_branch_codi(cases[i].branch, got);
		assert_string_equal(got, cases[i].want);
		assert_int_equal(n, strlen(cases[i].want));
	}
}

static void
test_name(void **state)
{
	(void)state;
	char got[9];
	assert_int_equal(slug_name("My_App", got, sizeof(got)), 6);
	assert_string_equal(got, "my-app");
	assert_int_equal(slug_name("12345678", got, sizeof(got)), 8);
	assert_int_equal(slug_name("123456789", got, sizeof(got)), 0);
	assert_string_equal(got, "");
	assert_int_equal(slug_name("1234567-/", got, sizeof(got)), 7);
	assert_int_equal(slug_name("...", got, sizeof(got)), 0);
	assert_int_equal(slug_name("", got, sizeof(got)), 0);
	assert_int_equal(slug_name("a", got, 1), 0);
	assert_int_equal(slug_name("a", got, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_branch),
		cmocka_unit_test(test_suffixed),
		cmocka_unit_test(test_branch_is_a_label),
		cmocka_unit_test(test_codi),
		cmocka_unit_test(test_name),
	};
	return cmocka_run_group_tests_name("slug", tests, NULL, NULL);
}
