/* registry_write.h - a slot command carried out in the registry directory.
 *
 * Under the lock {directory}/.lock: read again, decide on what stands there now, compare with what
 * was seen when health was asked, write another file beside it and rename.  Whoever is killed at
 * any moment leaves the old file or the new one.  For commands: it blocks.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_WRITE_H
#define RECONCILER_REGISTRY_REGISTRY_WRITE_H

#include <stdbool.h>

#include "reconciler/base/err.h"
#include "reconciler/model/settings.h"
#include "reconciler/model/slot_table.h"

/* What is to be done, in whichever registry. */
struct registry_write {
	const struct settings *settings;
	const struct slot_request *request;
	/* The environment as it was when health was asked, or one without slots. */
	const struct registered_environment *seen;
	uint32_t lock_ms; /* how long to wait for others */
	uint32_t settle_ms; /* after that it is looked at once more; 0: not */
	bool dry_run; /* decide, and write nothing */
};

enum registry_wrote {
	WROTE_DONE,
	WROTE_REFUSED, /* the table does not allow it, or somebody else was first */
	WROTE_FAILED, /* the registry could not be read or written */
};

/* Fills *ret when done, *retrefusal when refused, *reterr when failed; texts are in the arena or in
 * what was given.  With WROTE_FAILED the registry is as it was, unless the error says otherwise. */
enum registry_wrote registry_write_directory(struct arena *a, const struct registry_write *w,
	struct slot_change *ret, struct slot_refusal *retrefusal, struct err *reterr);

/* For the writers: decides on the slots that stand there now, and compares. */
enum registry_wrote registry_write_decide(struct arena *a, const struct registry_write *w,
	const struct registered_environment *now, struct slot_change *ret,
	struct slot_refusal *retrefusal);

#endif
