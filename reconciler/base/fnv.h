/* fnv.h - FNV-1a: a hash that tells texts apart that nobody made to collide. */
#ifndef RECONCILER_BASE_FNV_H
#define RECONCILER_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)

/* Of what came before (FNV_BASIS: nothing), and these bytes. */
static inline uint64_t
fnv_add(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *c = bytes;
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ c[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#endif
