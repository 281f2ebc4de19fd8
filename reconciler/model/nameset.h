/* nameset.h - by which hosts and containers are looked for: a host's name, a container's name, and
 * an id, of which the first digits are enough.
 *
 * Digests stand for them.  Two names may have one, so what is found by a digest is to be looked at,
 * or it must do no harm to take more than there is.  Pure.
 */
#ifndef RECONCILER_MODEL_NAMESET_H
#define RECONCILER_MODEL_NAMESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/model/plan.h"

/* So much of a container's id names it. */
#define NAME_ID_DIGITS 12

uint64_t name_digest(const char *text);
uint64_t name_digest_id(const char *id);

/* A set of names that forgets which they are: what it does not have is not in it.  A chunk's plans
 * name about a thousand, which set one bit in nine. */
#define NAMESET_BITS 16384

struct nameset {
	uint64_t bits[NAMESET_BITS / 64];
};

/* The plan's hosts, and the containers that get requests. */
void nameset_add_plan(struct nameset *n, const struct project_plan *p);
/* May a host or a container be in it that is meant by that text? */
bool nameset_may_have(const struct nameset *n, const char *text);

#endif
