/* registry_pg_read.h - one read of a registry's tables, whole or of some projects.
 *
 * A part of registry_pg.h.  Waymark's own tables give one object for each entry: it is decoded as
 * it arrives, unless its text is that of the last time.  The rows of somebody else's query are
 * collected, and decoded only where the whole of them differs from the last time.  Either way in
 * slices of a few milliseconds, so that the loop goes on.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_PG_READ_H
#define RECONCILER_REGISTRY_REGISTRY_PG_READ_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "reconciler/base/pgc.h"
#include "reconciler/registry/registry_parse.h"

/* What a read gave.  Goes with the callback. */
struct registry_pg_reading {
	size_t nnames; /* of those projects; 0: of all */
	const char *const *names;
	bool unchanged; /* all is as it was believed last; the rest is empty */
	const struct registry_reading *reading;
	const char *const *owners; /* of its faults: the project; NULL: the whole */
	/* As they were believed last, in an observation of all. */
	size_t nkept_projects, nkept_statics;
	const char *const *kept_projects;
	const char *const *kept_statics;
};

struct registry_pg_read_options {
	struct pgc *pg;
	const struct registry_options *entries; /* the decoder's */
	const char *base_domain;
	/* The end of a read: what it gave, or NULL and why (with "" where the server did not
	 * refuse, but gave what is none). */
	void (*done)(void *arg, const struct registry_pg_reading *reading, const char *sqlstate,
		const struct err *e);
	void *arg;
};

struct registry_pg_read;

struct registry_pg_read *registry_pg_read_create(
	uv_loop_t *loop, const struct registry_pg_read_options *o);
void registry_pg_read_destroy(struct registry_pg_read *r);

/* Reads by this query from now on, whose rows are deployments; NULL: Waymark's own tables. */
void registry_pg_read_use(struct registry_pg_read *r, const char *sql);
/* One at a time.  No names: all. */
void registry_pg_read_start(struct registry_pg_read *r, const char *const *names, size_t n);
bool registry_pg_read_is_busy(const struct registry_pg_read *r);
/* The connection is lost: what is under way is forgotten, without a callback. */
void registry_pg_read_stop(struct registry_pg_read *r);

/* In done: the reading is in force now.  What is not believed is decoded anew the next time. */
void registry_pg_read_believe(struct registry_pg_read *r);

#endif
