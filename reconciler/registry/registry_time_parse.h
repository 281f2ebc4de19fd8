/* registry_time_parse.h - points in time, as registries write them.  Pure. */
#ifndef RECONCILER_REGISTRY_REGISTRY_TIME_PARSE_H
#define RECONCILER_REGISTRY_REGISTRY_TIME_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/buf.h"

/* The last millisecond that RFC 3339 can write. */
#define REGISTRY_TIME_MAX UINT64_C(253402300799999)

/* RFC 3339 with any fraction and offset, from 1970 on, to milliseconds since then; Go's zero time
 * is 0.  False where it is none. */
bool registry_time_parse(const char *text, uint64_t *ret_ms);
/* "2026-01-02T03:04:05.678Z", with its quotes; at most REGISTRY_TIME_MAX. */
void registry_time_print(struct buf *b, uint64_t ms);

#endif
