/* standing.h - how a source stands: new, ready or stale, since when, and why.
 *
 * The promises of source.h in one place: a source that was never seen stays new when it is lost,
 * one that was keeps what it last said.
 */
#ifndef RECONCILER_SOURCES_STANDING_H
#define RECONCILER_SOURCES_STANDING_H

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/sources/source.h"

struct standing {
	enum source_status status;
	uint64_t since_ms, seen_ms; /* wall clock */
	char error[600];
};

/* New, since now. */
void standing_init(struct standing *s);
/* An earlier run saw it: stale until it is seen again. */
void standing_restored(struct standing *s);
/* Returns whether the status or the words are others now. */
bool standing_set(struct standing *s, enum source_status status, const char *error);
bool standing_ready(struct standing *s);
/* It does not answer. */
bool standing_lose(struct standing *s, const char *error);
/* It said something. */
void standing_seen(struct standing *s);
/* Its part of the info. */
void standing_info(const struct standing *s, struct source_info *ret);

#endif
