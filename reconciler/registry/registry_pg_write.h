/* registry_pg_write.h - a slot command carried out in Waymark's own tables.
 *
 * One transaction: the rows are locked, read, decided on, compared with what was seen when health
 * was asked, and updated.  For commands: it blocks.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_PG_WRITE_H
#define RECONCILER_REGISTRY_REGISTRY_PG_WRITE_H

#include "reconciler/registry/registry_write.h"

/* As registry_write_directory. */
enum registry_wrote registry_write_postgres(struct arena *a, const struct registry_write *w,
	struct slot_change *ret, struct slot_refusal *retrefusal, struct err *reterr);

#endif
