/* watched.h - one source of the reconciler, an engine or a registry, and how it stands.
 *
 * For reconcile.c and listing.c. */
#ifndef RECONCILER_WATCHED_H
#define RECONCILER_WATCHED_H

#include <stdbool.h>

#include "reconciler/sources/engine.h"
#include "reconciler/registry/registry.h"

struct watched {
	struct engine *engine; /* either this */
	struct registry *registry; /* or that */
	const char *name;
	bool seen; /* whole, in this run or an earlier one */
	bool looked; /* whole, in this run */
	enum source_status status; /* as it was logged last */
	bool failed; /* it has said why it is not ready, and that was logged */
};

void watched_info(const struct watched *w, struct source_info *ret);
/* Everything it saw in an earlier run was handed to it. */
void watched_restored(struct watched *w);
void watched_start(struct watched *w);
/* What it watches ends; the struct stays its owner's. */
void watched_finish(struct watched *w);
/* Notes how it stands now, and logs it where that changed.  Returns whether it was seen whole for
 * the first time ever. */
bool watched_note(struct watched *w);

#endif
