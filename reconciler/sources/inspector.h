/* inspector.h - looks at single containers of one engine, not too often and not too many at once.
 *
 * Whoever rings for a container has it inspected from then on at least once: at once the first
 * INSPECT_BURST times (a start and a stop are several events each), and under a storm every
 * INSPECT_GAP_MS.  Rings for one that is being inspected are one more
 * inspect afterwards.  At most INSPECT_AT_ONCE are under way; one that hangs ends by its time limit
 * and is not tried again before as long has passed.
 */
#ifndef RECONCILER_SOURCES_INSPECTOR_H
#define RECONCILER_SOURCES_INSPECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "reconciler/base/httpc.h"

#define INSPECT_AT_ONCE 4
#define INSPECT_BURST 4
#define INSPECT_GAP_MS 20
#define INSPECT_TIMEOUT_MS 5000
#define INSPECT_TRIES 3

struct inspector;

/* key is what was rung for; status, body and e are as httpc's on_done has them.  target must
 * outlive it. */
struct inspector *inspector_create(uv_loop_t *loop, struct httpc *http,
	const struct httpc_target *target,
	void (*result)(void *arg, const char *key, int status, const char *body, size_t n,
		const struct err *e),
	void *arg);
/* Its handles close on the loop, which the caller runs until it is empty. */
void inspector_destroy(struct inspector *in);

/* What comes before "/containers" in a path: "/v1.41", or "".  Copied. */
void inspector_set_prefix(struct inspector *in, const char *prefix);

/* key is an id or a name that engine_parse_is_id says yes to. */
void inspector_ring(struct inspector *in, const char *key);
/* Is it waiting, or under way? */
bool inspector_has(const struct inspector *in, const char *key);
/* Forgets all that waits or is under way. */
void inspector_clear(struct inspector *in);

uint64_t inspector_count(const struct inspector *in);

#endif
