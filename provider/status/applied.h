/* applied.h - has what is planned for a host arrived with every output: GET /api/v1/applied, which
 * `waymark wait` asks.
 *
 * {"host", "known": such a host is routed or held, "routed": it has servers (of that slot or
 * container), "serves": [{"container", "id", "slot"}], "revision": the newest snapshot in which
 * what visitors get of its project became another, the host ended, or the container was taken from
 * any, "applied": {output: milliseconds since that arrived, or null}, "applied_ago_ms": the least
 * of them, "drain_ms", "elsewhere": [other hosts but slots' own URLs that lead to the container or
 * slot]}
 */
#ifndef PROVIDER_STATUS_APPLIED_H
#define PROVIDER_STATUS_APPLIED_H

#include "reconciler/base/buf.h"
#include "reconciler/reconcile.h"

struct applied_query {
	const char *host; /* canonical; NULL: none */
	const char *project; /* what its visitors get counts, too; NULL: none is named */
	const char *slot; /* NULL: any */
	const char *container; /* a name, or 4 digits and more of an id; NULL: any */
};

/* Appends the answer.  The reconciler is ready. */
void applied_render(struct buf *b, const struct reconciler *r, const struct applied_query *q);

#endif
