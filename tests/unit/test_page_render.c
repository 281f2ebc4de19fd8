#include "provider/pages/page_render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/base/arena.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
expect_page(const char *text, const char *host, unsigned retry_s, const char *wanted)
{
	struct page_fault fault;
	struct buf b = {0};
	struct page *p = page_create(text, strlen(text), &fault);
	if (!p)
		fail_msg("%s: %s", text, fault.what);
	page_render(p, host, retry_s, &b);
	assert_string_equal(b.p, wanted);
	page_destroy(p);
	buf_finish(&b);
}

static void
test_fills(void **state)
{
	(void)state;
	expect_page("plain", "a.test", 5, "plain");
	expect_page("{{host}}", "a.test", 5, "a.test");
	expect_page("<{{host}}|{{retry}}|{{host}}>", "a.test", 30, "<a.test|30|a.test>");
	expect_page("{{host}}{{retry}}", "a.test", 0, "a.test0");
	expect_page("{{ host\t}}", "a.test", 1, "a.test");
	/* Styles and programs have single braces, and closing ones by two. */
	expect_page("@media x{p{y:z}}{ {}}", "a.test", 1, "@media x{p{y:z}}{ {}}");
	expect_page("\xc3\xbc{{host}}\xe2\x80\xa6", "a.test", 1,
		"\xc3\xbc"
		"a.test\xe2\x80\xa6");
}

static void
test_escapes(void **state)
{
	(void)state;
	expect_page("<p title=\"{{host}}\">", "\"><script>'&", 1,
		"<p title=\"&#34;&#62;&#60;script&#62;&#39;&#38;\">");
	/* What is filled in is not read again. */
	expect_page("{{host}}", "{{retry}}", 1, "{{retry}}");
}

static void
test_faults(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *what;
	} bad[] = {
		{"", 0, "it is empty"},
		{"{{project}}", 1, "unknown placeholder '{{project}}'"},
		{"a\nb\n  {{ Host }}", 3, "unknown placeholder '{{ Host }}'"},
		{"{{host}}\n{{}}", 2, "unknown placeholder '{{}}'"},
		{"{{{host}}}", 1, "unknown placeholder '{{{host}}'"},
		{"{{host", 1, "'{{host' is not closed"},
		{"{{host\n}}", 1, "'{{host' is not closed"},
		{"x\r\n{{host }\r\n}}", 2, "'{{host }' is not closed"},
		{"{{", 1, "'{{' is not closed"},
		{"{{0123456789012345678901234567890123456789012345}}", 1,
			"unknown placeholder '{{0123456789012345678901234567890123456789}}'"},
		{"{{\x1b[31m}}", 1, "unknown placeholder '{{}}'"},
		{"a\n\xff", 2, "there is a byte that is not text"},
		{"{{\xff}}", 1, "there is a byte that is not text"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct page_fault fault;
		if (page_create(bad[i].text, strlen(bad[i].text), &fault))
			fail_msg("'%s' passes", bad[i].text);
		assert_string_equal(fault.what, bad[i].what);
		assert_int_equal(fault.line, bad[i].line);
		assert_true(*fault.remedy);
	}
}

static void
test_sizes(void **state)
{
	struct page_fault fault;
	char *text = xmalloc(PAGE_SIZE_MAX + 1);
	(void)state;
	memset(text, 'x', PAGE_SIZE_MAX + 1);
	struct page *p = page_create(text, PAGE_SIZE_MAX, &fault);
	assert_non_null(p);
	page_destroy(p);
	assert_null(page_create(text, PAGE_SIZE_MAX + 1, &fault));
	assert_string_equal(fault.what, "it has more than 256 KiB");
	text[7] = '\0';
	assert_null(page_create(text, 10, &fault));
	assert_string_equal(fault.what, "there is a byte that is not text");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fills),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
