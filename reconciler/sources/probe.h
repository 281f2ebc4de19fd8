/* probe.h - is a container ready, as far as Waymark itself can see?
 *
 * Where it has a health path, that is asked for: GET, to the container's own address and with that
 * as Host, one request a connection.  A status from 200 to 399 is an answer, so a redirect is one
 * and is not followed; 404 is one where the path is only a guess.  Every other status, what is not
 * HTTP, a connection that is refused or cut, and silence are failures.  Of the answer the status
 * line is read, and no body is looked at.  Plain HTTP/1 is all that is spoken: a container with
 * another scheme is given without a path.
 *
 * Where it has none, a connection is enough.  Where the port is a published one, the engine's port
 * proxy accepts before the container does, so there any octet counts: HEAD is asked for, and the
 * first one back is the answer.  Refused is not ready; silence means that Waymark cannot tell, for
 * it may be on the wrong side of a firewall.  So does an unreachable network, with a path or
 * without, and silence where the path is a guess and nobody even accepts.
 *
 * So many answers in a row (rise) make ready what is not, so many failures (fall) make what is
 * ready not ready.  What is ready is looked at every interval, and again after a tenth of it while
 * failures or answers are being counted.  What is not ready is looked at again within milliseconds
 * at first: after 1 ms, later after an eighth of the time that it has been waited for, up to the
 * interval (so that a port which opens after 200 ms is noticed at most 25 ms late).
 *
 * Thousands at once on the loop: at most `rate` attempts are begun in a second, evenly, and at most
 * PROBE_AT_ONCE are under way.  Containers of which nothing is known yet come first, and the others
 * in turn.  One that hangs delays nobody: an attempt that others wait for gives up its place after
 * PROBE_PATIENCE_MS, and those that did so, or did not answer in time, have places of their own the
 * next time.
 */
#ifndef RECONCILER_SOURCES_PROBE_H
#define RECONCILER_SOURCES_PROBE_H

#include <uv.h>

#include "reconciler/model/planner.h"

#define PROBE_AT_ONCE 256
#define PROBE_PATIENCE_MS 100

struct prober;

/* What counts where a target does not say otherwise; a 0 is taken as 1. */
struct prober_settings {
	uint32_t interval_ms, timeout_ms, rise, fall;
	uint32_t rate; /* attempts begun in a second, at most */
};

/* What is told: the readiness, and why it is READY_NO, as planner_set_why takes it. */
typedef void prober_result_fn(
	void *arg, const char *engine, const char *id, enum readiness ready, unsigned why);

struct prober *prober_create(
	uv_loop_t *loop, const struct prober_settings *s, prober_result_fn *result, void *arg);
/* Its handles close on the loop, which the caller runs until it is empty. */
void prober_destroy(struct prober *p);

/* From the next attempts on, and those come after the new interval where it is shorter. */
void prober_configure(struct prober *p, const struct prober_settings *s);

/* Probe this container there from now on, starting at once where target differs from what was set
 * before, or its ready_before is not what was told last: whoever was told has forgotten.  A NULL
 * target: no more.  The result is called when the readiness changes, and at most once an interval
 * when only the reason does; never from inside prober_set. */
void prober_set(
	struct prober *p, const char *engine, const char *id, const struct probe_target *target);

/* Each container that is probed; the callback may set that one. */
void prober_each(
	struct prober *p, void (*fn)(void *arg, const char *engine, const char *id), void *arg);

#endif
