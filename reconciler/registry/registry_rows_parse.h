/* registry_rows_parse.h - somebody else's table of deployments, row by row, into projects.
 *
 * The operator's query gives the rows; their columns are known by name, in any order:
 *
 *	project      whose deployment it is; the only column that must be there
 *	environment  production where it is absent, preview where there is a branch
 *	branch       makes it a preview; with an environment of another name it counts for nothing
 *	slot         "blue"
 *	status       running, pending, standby, failed, or what other programs call these; without
 *	             the column all run
 *	container    the name of the container or the beginning of its id
 *	hosts        names of its own: an array, a JSON list, or words between commas; one without
 *	             a dot is under base_domain
 *	port         the container's
 *	created_at   the newest counts: a time, or seconds or milliseconds since 1970; where it is
 *	             absent a later row is newer
 *
 * A row that has nothing in status, container and hosts only says that there is the project.  A row
 * that is wrong is left out, and its project among the bad ones.  Callable from any thread.  Pure.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_ROWS_PARSE_H
#define RECONCILER_REGISTRY_REGISTRY_ROWS_PARSE_H

#include <stddef.h>

#include "reconciler/base/err.h"
#include "reconciler/registry/registry_parse.h"

struct registry_rows_options {
	const char *source; /* goes into every value */
	const char *file; /* for faults and places: "postgres db:5432/shop" */
	const char *base_domain; /* of hosts without a dot */
};

struct registry_rows;

/* The options must outlive it. */
struct registry_rows *registry_rows_create(const struct registry_rows_options *o);
void registry_rows_destroy(struct registry_rows *r);

/* The names of the columns, before the first row: -EINVAL, and which there are, without project. */
int registry_rows_columns(
	struct registry_rows *r, size_t n, const char *const *names, struct err *reterr);
/* One row: as many cells as there are columns; NULL is NULL. */
void registry_rows_add(struct registry_rows *r, const char *const *cells);

/* What they say, and the end of r.  Unlike a file's, a project that is bad is among the projects,
 * too, with those of its rows that are not.  *ret_owners (in the reading's arena): for each fault
 * the project that it is about, or NULL. */
struct registry_reading *registry_rows_end(struct registry_rows *r, const char *const **ret_owners);

#endif
