#include "reconciler/model/plan.h"

#include <assert.h>
#include <stdlib.h>

const char *
route_kind_text(enum route_kind kind)
{
	static const char *const text[] = {"production", "preview", "slot", "static"};
	assert(kind < sizeof(text) / sizeof(*text));
	return text[kind];
}

const char *
server_state_text(enum server_state state)
{
	static const char *const text[] = {"serving", "starting", "draining", "unhealthy", "paused",
		"withheld", "standby", "broken"};
	assert(state < sizeof(text) / sizeof(*text));
	return text[state];
}

struct project_plan *
project_plan_ref(const struct project_plan *p)
{
	/* The count is the one thing that changes in a value that is shared. */
	union {
		const struct project_plan *shared;
		struct project_plan *counted;
	} u = {.shared = p};
	u.counted->refs++;
	return u.counted;
}

struct project_plan *
project_plan_unref(const struct project_plan *p)
{
	union {
		const struct project_plan *shared;
		struct project_plan *counted;
	} u = {.shared = p};

	if (p && --u.counted->refs == 0) {
		arena_finish(&u.counted->arena);
		free(u.counted);
	}
	return NULL;
}
