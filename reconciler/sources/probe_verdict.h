/* probe_verdict.h - what the outcome of one look says of a container.  Nothing here looks. */
#ifndef RECONCILER_SOURCES_PROBE_VERDICT_H
#define RECONCILER_SOURCES_PROBE_VERDICT_H

#include <stdbool.h>

#include "reconciler/model/planner.h"

/* Of what attempt_start's callback was told, or UV_ETIMEDOUT where it was not in time; connected:
 * by then somebody had accepted. */
enum readiness probe_verdict(
	const struct probe_target *t, int said, bool connected, unsigned *ret_why);

/* That there was no descriptor, port or memory left here says nothing of the container. */
bool probe_says_nothing(int error);

#endif
