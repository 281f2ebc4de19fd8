/* pack.h - a snapshot chunk's sections, compressed so that they can be put together.
 *
 * Each section is a run of raw deflate blocks that ends at a byte and refers to nothing before it,
 * with its CRC, so that a gzip member of a whole document is a list of such pieces.  A pack is a
 * value, counted, made on any thread; references are taken and given on the loop's.
 */
#ifndef PROVIDER_TRAEFIK_PACK_H
#define PROVIDER_TRAEFIK_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/model/snapshot.h"

struct pack {
	unsigned refs;
	bool stored; /* not compressed, for now */
	struct pack_section {
		unsigned char *p;
		size_t n;
		uint32_t crc;
		uint32_t combine; /* zlib's operator that appends this piece's CRC to another's */
	} section[FRAGMENT_SECTIONS];
};

/* Compresses; about 10 ms for a megabyte. */
struct pack *pack_create(const struct snapshot_chunk *c);
/* The same bytes as stored blocks: a copy and a CRC. */
struct pack *pack_create_stored(const struct snapshot_chunk *c);
struct pack *pack_ref(struct pack *p);
void pack_unref(struct pack *p);

/* The pack that hangs on the chunk; NULL: none. */
struct pack *pack_of(const struct snapshot_chunk *c);
/* Hangs it there in place of what was, with the caller's reference. */
void pack_attach(struct snapshot_chunk *c, struct pack *p);

#endif
