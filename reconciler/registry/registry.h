/* registry.h - a registry as a source: what every kind of it can do.
 *
 * A directory of files and a PostgreSQL database are both one.  The promises of source.h hold:
 * whole observations only, ready after the first, stale when it is gone with its last observation
 * in force.  Besides: an entry that is wrong leaves its last good self in force; one that is whole
 * but has lost more than half of its projects is believed after shrink_after.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_H
#define RECONCILER_REGISTRY_REGISTRY_H

#include "reconciler/model/registry.h"
#include "reconciler/sources/source.h"

struct registry_fault;

/* Where a registry puts what it sees.  All are called on the loop. */
struct registry_sink {
	/* A project is like this now.  The sink takes a reference if it keeps it. */
	void (*put)(void *arg, const struct registered_project *p);
	void (*remove)(void *arg, const char *source, const char *project);
	void (*put_static)(void *arg, const struct registered_static *s);
	void (*remove_static)(void *arg, const char *source, const char *host);
	/* The observation became whole, the status or the faults changed. */
	void (*status)(void *arg, const char *source);
	void *arg;
};

/* The first member of every kind. */
struct registry {
	const struct registry_ops *ops;
};

struct registry_ops {
	/* From the state of an earlier run: part of the last observation.  Before start; the sink
	 * is not called. */
	void (*restore)(struct registry *r, const struct registered_project *p);
	void (*restore_static)(struct registry *r, const struct registered_static *s);
	/* An earlier run saw it whole, even if nothing was in it. */
	void (*restored)(struct registry *r);
	void (*start)(struct registry *r);
	/* Its handles close on the loop, which the caller runs until it is empty. */
	void (*destroy)(struct registry *r);
	void (*info)(const struct registry *r, struct source_info *ret);
	/* What is wrong with it now: fn for each fault. */
	void (*faults)(const struct registry *r,
		void (*fn)(void *arg, const struct registry_fault *f), void *arg);
};

#endif
