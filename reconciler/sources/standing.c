#include "reconciler/sources/standing.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/base/clock.h"

void
standing_init(struct standing *s)
{
	*s = (struct standing){.status = SOURCE_NEW, .since_ms = clock_wall_ms()};
}

void
standing_restored(struct standing *s)
{
	s->status = SOURCE_STALE;
	snprintf(s->error, sizeof(s->error), "not seen yet since the start");
}

bool
standing_set(struct standing *s, enum source_status status, const char *error)
{
	if (s->status == status && strncmp(s->error, error, sizeof(s->error) - 1) == 0)
		return false;
	if (s->status != status)
		s->since_ms = clock_wall_ms();
	s->status = status;
	snprintf(s->error, sizeof(s->error), "%s", error);
	return true;
}

bool
standing_ready(struct standing *s)
{
	return standing_set(s, SOURCE_READY, "");
}

bool
standing_lose(struct standing *s, const char *error)
{
	return standing_set(s, s->status == SOURCE_NEW ? SOURCE_NEW : SOURCE_STALE, error);
}

void
standing_seen(struct standing *s)
{
	s->seen_ms = clock_wall_ms();
}

void
standing_info(const struct standing *s, struct source_info *ret)
{
	ret->status = s->status;
	ret->since_ms = s->since_ms;
	ret->seen_ms = s->seen_ms;
	ret->error = s->error;
}
