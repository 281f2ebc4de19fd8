/* registry_pg.h - PostgreSQL as a registry: Waymark's own tables, or somebody else's by SQL.
 *
 * LISTEN, then read all; each notification names a project, which alone is read again.  A full read
 * after a reconnect, a gap, or a notification that names none.  Where notifications do not arrive
 * (a transaction pooler, a standby), which a notification to itself finds out, it says so and
 * polls.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_PG_H
#define RECONCILER_REGISTRY_REGISTRY_PG_H

#include <uv.h>

#include "reconciler/registry/registry.h"

#define REGISTRY_PG_NAME "registry.postgres"

/* Never fails: an absent server is a source that is not ready yet.  settings (of which it uses
 * registry and slots) and sink's arg must outlive it. */
struct registry *registry_pg_create(
	uv_loop_t *loop, const struct settings *settings, const struct registry_sink *sink);

#endif
