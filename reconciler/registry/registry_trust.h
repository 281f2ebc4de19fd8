/* registry_trust.h - what is believed of the files of a registry directory.
 *
 * Of each file the last good reading is in force.  A newer one replaces it, unless it is broken or
 * not there (which is looked at again for a second before it counts, for it may be half written or
 * just being replaced), or has lost more than half of what is in force (which is believed after
 * shrink_after).  Time is given.  No descriptor, no log.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_TRUST_H
#define RECONCILER_REGISTRY_REGISTRY_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/registry/registry_book.h"
#include "reconciler/registry/registry_files.h"
#include "reconciler/registry/registry_merge.h"

struct registry_trust;

/* What is so at a look. */
struct registry_moment {
	uint64_t now_ms; /* of a clock that nobody sets */
	uint64_t wall_ms;
	uint32_t shrink_after_ms;
	const struct registry_book *book; /* what is in force */
};

struct registry_trust *registry_trust_create(const char *directory);
void registry_trust_destroy(struct registry_trust *t);

/* For registry_look: what was last read of a file; NULL where it is to be read. */
const struct registry_file_id *registry_trust_known(const void *t, const char *name);

/* Takes the readings of a look.  Returns whether what is to be in force may have changed. */
bool registry_trust_absorb(
	struct registry_trust *t, struct registry_look *look, const struct registry_moment *m);

/* Fills what is given to a merge, which borrows from t.  whole: the book is a whole observation, of
 * this run or an earlier one.  False where too little is known. */
bool registry_trust_merge(const struct registry_trust *t, struct registry_merge *m, bool whole);

/* In how many milliseconds another look may tell more by itself; UINT64_MAX: not. */
uint64_t registry_trust_next(const struct registry_trust *t, uint64_t now_ms);

bool registry_trust_is_doubted(const struct registry_trust *t);
/* Why the directory as a whole, ssot.json or slots.json cannot be used: appends it, and nothing
 * where they can.  At once, or only after that second. */
void registry_trust_error(const struct registry_trust *t, bool at_once, struct buf *b);
void registry_trust_faults(const struct registry_trust *t,
	void (*fn)(void *arg, const struct registry_fault *f), void *arg);
/* "FILE:LINE: PATH: WHAT". */
void registry_fault_print(const struct registry_fault *f, struct buf *b);

#endif
