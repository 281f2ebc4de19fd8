/* document_render.h - Traefik's whole document as a list of byte ranges over a snapshot.
 *
 * Nothing is copied: a range is a chunk's joined section or one of the few literals between them,
 * so a document costs the same whatever is in the chunks.  Empty maps are left out, for Traefik
 * refuses them; a world that is known to be empty gives "{}".  Pure.
 */
#ifndef PROVIDER_TRAEFIK_DOCUMENT_RENDER_H
#define PROVIDER_TRAEFIK_DOCUMENT_RENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/model/settings.h"
#include "reconciler/model/snapshot.h"

struct range {
	const char *p;
	size_t n;
	struct snapshot_chunk *chunk; /* NULL: a literal */
	int section;
};

struct ranges {
	size_t n;
	struct range *list;
	size_t size; /* bytes in all */
	char *shared, *tls; /* the texts that depend on settings; NULL: none */
};

/* The snapshot must outlive the ranges, settings need not. */
void ranges_init(struct ranges *r, const struct snapshot *s, const struct settings *settings);
void ranges_finish(struct ranges *r);

/* The same bytes?  Looks into those only that do not lie at the same place. */
bool ranges_equal(const struct ranges *a, const struct ranges *b);

/* All bytes in one piece, with a NUL behind them, to be freed. */
char *ranges_flatten(const struct ranges *r);

#endif
