/* losses.h - in which snapshot a host ended, or a container got requests for the last time.
 *
 * What is gone stands in no plan that could tell.  The newest ones are remembered; of those that
 * are forgotten it is known since when none of them was lost.  Pure.
 */
#ifndef RECONCILER_MODEL_LOSSES_H
#define RECONCILER_MODEL_LOSSES_H

#include <stdint.h>

#include "reconciler/model/plan.h"

#define LOSSES 1024

struct losses {
	uint64_t n; /* since ever */
	uint64_t forgotten; /* the newest snapshot with one that is not remembered; 0: none */
	struct loss {
		uint64_t digest; /* nameset.h */
		uint64_t revision;
	} list[LOSSES];
};

/* One plan of a project gives way to another (NULL: none) in that snapshot. */
void losses_note(struct losses *l, const struct project_plan *last, const struct project_plan *next,
	uint64_t revision);
/* The newest snapshot in which one was lost that is meant by that text (a host, a container's name
 * or id); where that is forgotten, or never was, one that is no older; 0: nothing is forgotten. */
uint64_t losses_revision(const struct losses *l, const char *text);

#endif
