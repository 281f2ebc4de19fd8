#include "provider/caddy/arrivals.h"

#include <string.h>

void
arrivals_add(struct arrivals *a, uint64_t revision, uint64_t now_ms)
{
	if (a->n && arrivals_newest(a) == revision)
		return;
	if (a->n == ARRIVALS)
		memmove(a->list, a->list + 1, --a->n * sizeof(a->list[0]));
	a->list[a->n].revision = revision;
	a->list[a->n++].ms = now_ms;
}

uint64_t
arrivals_newest(const struct arrivals *a)
{
	return a->n ? a->list[a->n - 1].revision : 0;
}

uint64_t
arrivals_ago_ms(const struct arrivals *a, uint64_t revision, uint64_t now_ms)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].revision >= revision)
			return now_ms - a->list[i].ms;
	return UINT64_MAX;
}
