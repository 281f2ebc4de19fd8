/* Looking names up: a resolver that does not answer holds nobody up. */
#include "reconciler/base/resolver.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	unsigned calls;
	struct addrinfo *found;
	struct err e;
} got;

/* The C library's, as the tests want it. */
int
getaddrinfo(
	const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	(void)service;
	(void)hints;
	*ret = NULL;
	if (strcmp(name, "slow") == 0)
		sleep(2);
	return EAI_AGAIN;
}

static void
on_done(void *arg, struct addrinfo *found, const struct err *e)
{
	assert_ptr_equal(arg, &got);
	got.calls++;
	got.found = found;
	if (e)
		got.e = *e;
}

static void
says_why_not(void **state)
{
	struct err e;
	(void)state;
	got.calls = 0;
	assert_non_null(resolver_start(uv_default_loop(), "quick", on_done, &got, &e));
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(got.calls, 1);
	assert_null(got.found);
	assert_string_equal(got.e.text, gai_strerror(EAI_AGAIN));
}

static void
is_left_behind(void **state)
{
	struct err e;
	uint64_t begin = uv_hrtime();
	(void)state;
	got.calls = 0;
	for (int i = 0; i < 8; i++)
		resolver_abandon(resolver_start(uv_default_loop(), "slow", on_done, &got, &e));
	assert_null(resolver_start(uv_default_loop(), "slow", on_done, &got, &e));
	assert_int_equal(e.code, EAGAIN);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_true(uv_hrtime() - begin < 1000000000);
	assert_int_equal(got.calls, 0);
	sleep(3);
	says_why_not(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_why_not),
		cmocka_unit_test(is_left_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
