#include "reconciler/base/json_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "reconciler/base/arena.h"

static void
note_object(void *arg, const char *json, size_t n)
{
	buf_add(arg, json, n);
	buf_adds(arg, "|");
}

/* What comes out when text is fed in pieces; the end says what became of it. */
static char *
split(bool array, const char *text, size_t n, size_t piece, size_t object_max)
{
	struct buf out = {0};
	struct json_split s;
	int r = 0;

	json_split_init(&s, array, object_max, note_object, &out);
	for (size_t at = 0; at < n && r == 0; at += piece) {
		size_t len = n - at < piece ? n - at : piece;
		char *copy = xmalloc(len); /* reading past the piece is seen by the sanitizer */
		memcpy(copy, text + at, len);
		r = json_split_feed(&s, copy, len, NULL);
		free(copy);
	}
	buf_adds(&out, r == -EMSGSIZE            ? "large"
		       : r == -EINVAL            ? "bad"
		       : json_split_is_whole(&s) ? "whole"
						 : "cut");
	json_split_finish(&s);
	return buf_steal(&out, NULL);
}

static void
assert_split(bool array, const char *text, const char *want)
{
	for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
		char *got = split(array, text, strlen(text), piece, 64);
		assert_string_equal(got, want);
		free(got);
	}
}

static void
test_stream(void **state)
{
	(void)state;
	assert_split(false, "", "whole");
	assert_split(false, "{\"a\":1}\n{\"b\":{\"c\":[2,{}]}}\r\n",
		"{\"a\":1}|{\"b\":{\"c\":[2,{}]}}|whole");
	assert_split(false, "{}{}", "{}|{}|whole");
	assert_split(false, "{\"a\":\"}{\\\"\\\\\"} {\"b\"", "{\"a\":\"}{\\\"\\\\\"}|cut");
	assert_split(false, "{} x", "{}|bad");
	assert_split(false, "[{}]", "bad");
	assert_split(false, "HTTP/1.1 200", "bad");
	assert_split(false, "{\"a\":1},{\"b\":2}", "{\"a\":1}|bad");
}

static void
test_list(void **state)
{
	(void)state;
	assert_split(true, "[]", "whole");
	assert_split(true, " [ ] \n", "whole");
	assert_split(true, "[{\"a\":[1,2]} , {\"b\":\"]\"}]", "{\"a\":[1,2]}|{\"b\":\"]\"}|whole");
	assert_split(true, "", "cut");
	assert_split(true, "[", "cut");
	assert_split(true, "[{}", "{}|cut");
	assert_split(true, "[{},", "{}|cut");
	assert_split(true, "[{\"a\":\"", "cut");
	assert_split(true, "null", "bad");
	assert_split(true, "{}", "bad");
	assert_split(true, "[null]", "bad");
	assert_split(true, "[{}{}]", "{}|bad");
	assert_split(true, "[{},]", "{}|bad");
	assert_split(true, "[,{}]", "bad");
	assert_split(true, "[{},,{}]", "{}|bad");
	assert_split(true, "[]]", "bad");
	assert_split(true, "[][{}]", "bad");
	assert_split(true, "<html>", "bad");
}

static void
test_size(void **state)
{
	(void)state;
	char text[200];

	memset(text, 'x', sizeof(text));
	memcpy(text, "{}{\"", 4);
	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		char *got = split(false, text, sizeof(text), piece, 64);
		assert_string_equal(got, "{}|large");
		free(got);
	}
}

static void
test_bytes(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":\"\0\xff\"}";
	char *got = split(false, text, sizeof(text) - 1, 3, 64);
	assert_memory_equal(got, text, sizeof(text) - 1);
	free(got);
	got = split(false, "\0{}", 3, 3, 64);
	assert_string_equal(got, "bad");
	free(got);
}

/* Closed without having been opened, deeper than any stack: the split only counts. */
static void
test_depth(void **state)
{
	(void)state;
	size_t n = 1000000;
	char *text = xmalloc(n);
	memset(text, '[', n);
	text[0] = '{';
	char *got = split(false, text, n, 4096, n);
	assert_string_equal(got, "cut");
	free(got);
	memset(text, '}', n);
	got = split(false, text, n, 4096, n);
	assert_string_equal(got, "bad");
	free(got);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
