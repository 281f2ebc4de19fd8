/* registry_pg_faults.h - what is wrong with the entries of a database, by project.
 *
 * A part of registry_pg.h: a project that is read again has the faults of that reading alone.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_PG_FAULTS_H
#define RECONCILER_REGISTRY_REGISTRY_PG_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/registry/registry_pg_read.h"

struct registry_pg_fault;

/* All zero is empty. */
struct registry_pg_faults {
	size_t n;
	struct registry_pg_fault **list;
};

void registry_pg_faults_finish(struct registry_pg_faults *f);
/* Takes over those of a reading, in place of what it had of the same projects, or of all.  Returns
 * whether there were or are any. */
bool registry_pg_faults_take(
	struct registry_pg_faults *f, const struct registry_pg_reading *reading);
void registry_pg_faults_each(const struct registry_pg_faults *f,
	void (*fn)(void *arg, const struct registry_fault *f), void *arg);

#endif
