/* json_split.h - cuts a stream of JSON into its objects as the bytes arrive.
 *
 * Feeds on any split of the input and calls back with each whole object at depth 0 (a stream of
 * objects, as /events) or at depth 1 of one array (a list, as /containers/json), without parsing
 * it: it only knows strings, escapes and braces.  A list of ten thousand containers so never
 * stands in memory whole (measured: 105 MiB that way, 16 MiB this way).  Pure.
 */
#ifndef RECONCILER_BASE_JSON_SPLIT_H
#define RECONCILER_BASE_JSON_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/err.h"

struct json_split {
	bool array; /* objects stand in one array */
	size_t object_max;
	void (*object)(void *arg, const char *json, size_t n);
	void *arg;

	struct buf held; /* the object that is not whole yet */
	unsigned depth;
	bool in_string, escaped, opened, closed;
	bool element, comma; /* what came last in the array */
};

void json_split_init(struct json_split *s, bool array, size_t object_max,
	void (*object)(void *arg, const char *json, size_t n), void *arg);
void json_split_finish(struct json_split *s);

/* -EINVAL: this is not a stream of objects; -EMSGSIZE: an object is larger than object_max.  After
 * a failure it is of no more use.  The callback must not feed or finish it. */
int json_split_feed(struct json_split *s, const char *bytes, size_t n, struct err *reterr);
/* Did the input end where it may?  For an array: after its closing bracket. */
bool json_split_is_whole(const struct json_split *s);

#endif
