#include "reconciler/sources/probe_parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int
parse(const char *text, size_t piece)
{
	struct probe_status s = {0};
	size_t n = strlen(text);

	for (size_t at = 0; at < n; at += piece) {
		int r = probe_status_parse(&s, text + at, n - at < piece ? n - at : piece);
		if (r)
			return r;
	}
	return 0;
}

static const struct {
	const char *text;
	int said;
} cases[] = {
	{"HTTP/1.1 200 OK\r\n", 200},
	{"HTTP/1.0 404 Not Found\r\n", 404},
	{"HTTP/1.1 200\r\n", 200},
	{"HTTP/1.1 200\n", 200},
	{"HTTP/1.1 200 ", 200},
	{"HTTP/1.9 999 What", 999},
	{"HTTP/1.1 101 Switching\r\n", 101},
	{"HTTP/1.1 100\n\nHTTP/1.1 204\n", 204},
	{"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 500 No\r\n", 500},
	{"HTTP/1.1 103 Hints\r\n\rX\r\n\r\nHTTP/1.1 500 No\r\n", 500},
	{"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 301 No\r\n", 301},
	/* Not yet. */
	{"", 0},
	{"HTTP/1.1 200", 0},
	{"HTTP/1.1 103 Hints\r\nHTTP/1.1 200 OK\r\n", 0},
	{"HTTP/1.1 103 Hints\r\n\r\n", 0},
	/* Never. */
	{"http/1.1 200 OK\r\n", -EPROTO},
	{"HTTP/2.0 200 OK\r\n", -EPROTO},
	{"HTTP/2 200 OK\r\n", -EPROTO},
	{"HTTP/1.1  200 OK\r\n", -EPROTO},
	{"HTTP/1.1 2000 OK\r\n", -EPROTO},
	{"HTTP/1.1 20 OK\r\n", -EPROTO},
	{"HTTP/1.1 099 OK\r\n", -EPROTO},
	{"HTTP/1.1 000 OK\r\n", -EPROTO},
	{"HTTP/1.1 2x0 OK\r\n", -EPROTO},
	{"HTTP/1.1 -20 OK\r\n", -EPROTO},
	{" HTTP/1.1 200 OK\r\n", -EPROTO},
	{"\r\nHTTP/1.1 200 OK\r\n", -EPROTO},
	{"HTTP/1.1 103 Hints\r\n\r\nwhat", -EPROTO},
	{"ICY 200 OK\r\n", -EPROTO},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t piece = 1; piece < 9; piece++) {
			int said = parse(cases[i].text, piece);
			if (said != cases[i].said)
				fail_msg("%s in pieces of %zu: %d", cases[i].text, piece, said);
		}
}

/* Whoever goes on with interim answers for ever is heard out for so long and no longer. */
static void
test_endless(void **state)
{
	(void)state;
	static const char hint[] = "HTTP/1.1 103 H\r\nLink: </a>\r\n\r\n";
	struct probe_status s = {0};
	size_t fed = 0;
	int r = 0;

	for (; !r && fed < 2 * PROBE_STATUS_MAX; fed += sizeof(hint) - 1)
		r = probe_status_parse(&s, hint, sizeof(hint) - 1);
	assert_int_equal(r, -EPROTO);
	assert_in_range(fed, PROBE_STATUS_MAX, PROBE_STATUS_MAX + sizeof(hint));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_endless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
