/* registry_cells_parse.h - cells of somebody else's table whose form is theirs: lists of hosts,
 * points in time.
 *
 * A part of registry_rows_parse.h.  Pure. */
#ifndef RECONCILER_REGISTRY_REGISTRY_CELLS_PARSE_H
#define RECONCILER_REGISTRY_REGISTRY_CELLS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"

/* An array of PostgreSQL's, a JSON list, or words between commas and white space; a name without a
 * dot is under base_domain, and one that stands there twice is there once.  At most 64. */
int registry_cell_hosts(struct arena *a, const char *text, const char *base_domain,
	const char *const **ret, size_t *ret_n, struct err *reterr);

/* A timestamp in ISO style, where one without an offset is UTC, or seconds or milliseconds since
 * 1970. */
bool registry_cell_time(const char *text, uint64_t *ret_ms);

#endif
