/* output.h - what an output promises.
 *
 * It is handed every new snapshot and brings the newest into the world; at most one apply is in
 * flight, and it holds its snapshot.  The same bytes again are no work.  A failure backs off and
 * leaves the last good document in force.  It knows which revision has arrived.
 */
#ifndef RECONCILER_OUTPUT_H
#define RECONCILER_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "reconciler/model/snapshot.h"

struct output_info {
	const char *name;
	const char *kind; /* "traefik" */
	uint64_t revision; /* has arrived there; 0: none */
	uint64_t published; /* the newest it was handed */
	bool converged; /* the newest has arrived (never where nobody takes it) */
	const char *error; /* "" where all is well */
	json_t *details; /* borrowed; for the API; may be NULL */
};

struct output {
	/* The newest snapshot; the output takes a reference if it keeps it. */
	void (*publish)(struct output *o, struct snapshot *s);
	void (*info)(struct output *o, struct output_info *ret);
	/* How long ago, in milliseconds, that revision had arrived with everyone who takes it;
	 * UINT64_MAX: it has not, or nobody takes it.  A later one counts for an earlier one. */
	uint64_t (*applied_ago_ms)(struct output *o, uint64_t revision);
	/* What is wrong with parts of it, while the others are brought up to date.  May be NULL. */
	void (*problems)(
		struct output *o, void (*fn)(void *arg, const struct problem *p), void *arg);
};

#endif
