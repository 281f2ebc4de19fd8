/* snapshot.h - what should be, whole: an ordered set of project plans.
 *
 * A value.  The plans stand in chunks that successive snapshots share, so that a change of one
 * project makes one chunk anew and costs the same at ten containers and at ten thousand.  A chunk
 * also carries what an output made of its plans: their sections joined with commas, and whatever
 * the output keeps beside that (a compressed form).  One thread.  Pure.
 */
#ifndef RECONCILER_MODEL_SNAPSHOT_H
#define RECONCILER_MODEL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/model/nameset.h"
#include "reconciler/model/plan.h"

#define SNAPSHOT_CHUNK_MAX 64

struct bytes {
	char *p;
	size_t n;
};

struct snapshot_chunk {
	unsigned refs;
	size_t n;
	size_t nroutes, nproblems;
	struct project_plan *plan[SNAPSHOT_CHUNK_MAX]; /* sorted by project */
	/* The plans' sections joined with ',' (no leading or trailing one; "" where all are empty).
	 */
	struct bytes joined[PLAN_OUTPUTS][FRAGMENT_SECTIONS];
	/* The sum of the fragments' digests: whatever chunks the plans stand in, all of them
	 * together come to the same. */
	uint64_t digest[PLAN_OUTPUTS];
	unsigned uses[PLAN_OUTPUTS]; /* the bits of all its fragments */
	struct nameset *names; /* NULL: nobody looked for any yet */
	/* For an output to hang something on; freed with the chunk. */
	void *extra[PLAN_OUTPUTS];
	void (*extra_free[PLAN_OUTPUTS])(void *extra);
};

struct snapshot {
	unsigned refs;
	uint64_t revision; /* counts up with every snapshot that differs from the one before */
	size_t nchunks;
	struct snapshot_chunk **chunks;
	size_t nplans;
	size_t nroutes;
	size_t nproblems;
};

/* Revision 0, nothing in it. */
struct snapshot *snapshot_create(void);
struct snapshot *snapshot_ref(struct snapshot *s);
struct snapshot *snapshot_unref(struct snapshot *s);

/* A change: the new plan of a project (a reference is taken), or NULL where it has gone. */
struct snapshot_change {
	const char *project;
	struct project_plan *plan;
};

/* The next snapshot, with one reference; s is left as it is.  Changes need no order; a project
 * stands in them once. */
struct snapshot *snapshot_next(
	const struct snapshot *s, const struct snapshot_change *changes, size_t n);

/* NULL where there is none. */
const struct project_plan *snapshot_find(const struct snapshot *s, const char *project);

/* May a plan of it have the host, or a container that gets requests, that is meant by that text?
 * So that who looks for one passes over nearly all the others. */
bool snapshot_chunk_may_name(struct snapshot_chunk *c, const char *text);

struct snapshot_chunk *snapshot_chunk_ref(struct snapshot_chunk *c);
void snapshot_chunk_unref(struct snapshot_chunk *c);

#endif
