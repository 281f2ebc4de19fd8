/* document.h - a snapshot in Traefik's language: bytes, ready to be served.
 *
 * A value over a snapshot, which it holds; replies that are under way keep it alive after its owner
 * let it go.  Plain it is there at once; compressed once its chunks are packed, where a few that
 * are not are stored as they are.  One thread.
 */
#ifndef PROVIDER_TRAEFIK_DOCUMENT_H
#define PROVIDER_TRAEFIK_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "reconciler/model/settings.h"
#include "reconciler/model/snapshot.h"

/* libmicrohttpd keeps a copy of the list in each connection's memory; a longer one is served in
 * one piece. */
#define DOCUMENT_RANGES_MAX 3500

struct document;

/* Takes a reference to the snapshot. */
struct document *document_create(
	struct snapshot *s, const struct settings *settings, uint64_t serial);
/* The owner's end of it. */
void document_destroy(struct document *d);

bool document_equal(const struct document *a, const struct document *b);
size_t document_size(const struct document *d);
uint64_t document_serial(const struct document *d);
struct snapshot *document_snapshot(const struct document *d);

/* See document_render.h; both 0 where it carries no mark.  To be set before the document is given
 * to anybody. */
uint64_t document_digest(const struct document *d);
uint64_t document_mark(const struct document *d);
void document_set_mark(struct document *d, uint64_t mark);

/* All bytes in one piece, with a NUL behind them, to be freed. */
char *document_text(const struct document *d);

/* The document as a reply.  Compressed: NULL while too little of it is packed.  Both stay the
 * document's. */
struct MHD_Response *document_response(struct document *d);
struct MHD_Response *document_response_gzip(struct document *d);

/* Chunks were packed: the next compressed reply is put together anew if it can be smaller. */
void document_repack(struct document *d);
/* Has every chunk been compressed? */
bool document_is_packed(struct document *d);

#endif
