#include "reconciler/model/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* As in a plan: by host, the longest path of one first. */
static const struct route routes[] = {
	{.host = "a.test", .path = "/api/v1"},
	{.host = "a.test", .path = "/api"},
	{.host = "a.test", .path = ""},
	{.host = "b.test", .path = "/shop"},
	{.host = "c.test", .path = ""},
};
static const struct project_plan plan = {.nroutes = COUNT(routes), .routes = routes};

static void
test_route(void **state)
{
	static const struct {
		const char *host, *path;
		int wanted; /* -1: none */
	} cases[] = {
		{"a.test", "/", 2},
		{"a.test", "/api", 1},
		{"a.test", "/api/", 1},
		{"a.test", "/api/v1", 0},
		{"a.test", "/api/v1/x", 0},
		{"a.test", "/api/v10", 1},
		{"a.test", "/apix", 2},
		{"a.test", "/API", 2},
		{"a.test", "*", 2},
		{"a.test", "", 2},
		{"b.test", "/shop/1", 3},
		{"b.test", "/", -1},
		{"b.test", "/shopping", -1},
		{"c.test", "/shop", 4},
		{"", "/", -1},
		{"a", "/", -1},
		{"b.tes", "/", -1},
		{"z.test", "/", -1},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct route *r = project_plan_route(&plan, cases[i].host, cases[i].path);
		const struct route *wanted = cases[i].wanted < 0 ? NULL : &routes[cases[i].wanted];
		if (r != wanted)
			fail_msg("%s%s leads to %s", cases[i].host, cases[i].path,
				r ? r->path : "nothing");
	}
	assert_null(project_plan_route(&(struct project_plan){0}, "a.test", "/"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_route)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
