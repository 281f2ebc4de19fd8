/* probe.h - is a container ready that nothing else checks?
 *
 * A TCP connect to its port, tried again within milliseconds at first: after 1 ms, later after an
 * eighth of the time that it has been waited for, up to the interval (so that a port which opens
 * after 200 ms is noticed at most 25 ms late), then every interval while it is ready.  Where the
 * port is a published one, the engine's port proxy accepts before the container does, so there any
 * HTTP answer counts: one HEAD request is sent, and the first byte back is the answer.  Refused is
 * not ready; a time-out or an unreachable network means that Waymark cannot tell.  A container that
 * was ready is refused twice in a row, an interval's tenth apart, before it counts as not ready.
 *
 * Thousands at once on the loop; at most PROBE_AT_ONCE connections are under way, in a fair order,
 * and a quarter of them is kept for containers of which nothing is known yet, so that those that
 * hang delay nobody.
 */
#ifndef RECONCILER_SOURCES_PROBE_H
#define RECONCILER_SOURCES_PROBE_H

#include <uv.h>

#include "reconciler/model/planner.h"

#define PROBE_AT_ONCE 256

struct prober;

struct prober *prober_create(uv_loop_t *loop, uint32_t interval_ms, uint32_t timeout_ms,
	void (*result)(void *arg, const char *engine, const char *id, enum readiness ready),
	void *arg);
/* Its handles close on the loop, which the caller runs until it is empty. */
void prober_destroy(struct prober *p);

/* Probe this container there from now on, starting at once where target differs from what was set
 * before (address, port, published or run); a NULL target: no more.  The result is called when the
 * readiness changes, never from inside prober_set. */
void prober_set(
	struct prober *p, const char *engine, const char *id, const struct probe_target *target);

#endif
