/* document_render.h - Traefik's whole document as a list of byte ranges over a snapshot.
 *
 * Nothing is copied: a range is a chunk's joined section or one of the few literals between them,
 * so a document costs the same whatever is in the chunks.  Empty maps are left out, for Traefik
 * refuses them; a world that is known to be empty gives "{}".
 *
 * Where Traefik's API is asked what is in force, the document carries a mark: a middleware that no
 * router uses, whose name holds 16 hexadecimal digits.  They are a digest of all the rest; whoever
 * gives the document out may choose others, where the same rest was given out before.  Pure.
 */
#ifndef PROVIDER_TRAEFIK_DOCUMENT_RENDER_H
#define PROVIDER_TRAEFIK_DOCUMENT_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/model/settings.h"
#include "reconciler/model/snapshot.h"

/* What the name of the mark's middleware begins with; the digits follow. */
#define DOCUMENT_MARK "waymark_DOCUMENT_"
#define DOCUMENT_MARK_DIGITS 16

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
	char *marker; /* the mark's middleware; NULL: the document has none */
	uint64_t digest; /* of what is not the mark; 0 without one */
	uint64_t mark;
};

/* The snapshot must outlive the ranges, settings need not. */
void ranges_init(struct ranges *r, const struct snapshot *s, const struct settings *settings);
void ranges_finish(struct ranges *r);

/* Another mark than the digest; nothing where there is none. */
void ranges_set_mark(struct ranges *r, uint64_t mark);

/* The same bytes?  Looks into those only that do not lie at the same place. */
bool ranges_equal(const struct ranges *a, const struct ranges *b);

/* All bytes in one piece, with a NUL behind them, to be freed. */
char *ranges_flatten(const struct ranges *r);

#endif
