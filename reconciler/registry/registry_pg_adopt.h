/* registry_pg_adopt.h - what a read of a registry's tables changes in the book.
 *
 * A part of registry_pg.h.  Of a project that is wrong the last good form stays in force; where it
 * has none, what is right of it is. */
#ifndef RECONCILER_REGISTRY_REGISTRY_PG_ADOPT_H
#define RECONCILER_REGISTRY_REGISTRY_PG_ADOPT_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/registry/registry_book.h"
#include "reconciler/registry/registry_pg_read.h"

/* How many entries of a read of all would be in force, and how many of them are projects. */
size_t registry_pg_adopt_count(const struct registry_book *b,
	const struct registry_pg_reading *reading, size_t *ret_projects);
void registry_pg_adopt_all(struct registry_book *b, const struct registry_pg_reading *reading);
/* False where one of the names is no project's, neither in the book nor in the read. */
bool registry_pg_adopt_some(struct registry_book *b, const struct registry_pg_reading *reading);

#endif
