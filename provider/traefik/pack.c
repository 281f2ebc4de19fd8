#include "provider/traefik/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/base/arena.h"

/* The text is so repetitive that higher levels gain little and cost much. */
#define LEVEL 1
#define STORED_MAX 65535

struct pack *
pack_ref(struct pack *p)
{
	p->refs++;
	return p;
}

void
pack_unref(struct pack *p)
{
	if (!p || --p->refs)
		return;
	for (int i = 0; i < FRAGMENT_SECTIONS; i++)
		free(p->section[i].p);
	free(p);
}

static struct pack *
pack_alloc(const struct snapshot_chunk *c)
{
	struct pack *p = xcalloc(1, sizeof(*p));
	p->refs = 1;
	for (int i = 0; i < FRAGMENT_SECTIONS; i++) {
		const struct bytes *b = &c->joined[TRAEFIK_OUTPUT][i];
		p->section[i].crc = (uint32_t)crc32_z(0, (const Bytef *)b->p, b->n);
		p->section[i].combine = (uint32_t)crc32_combine_gen((z_off_t)b->n);
	}
	return p;
}

static void
section_deflate(z_stream *z, const struct bytes *b, struct pack_section *ret)
{
	/* A flush adds an empty stored block; deflateBound does not count it. */
	size_t most = deflateBound(z, b->n) + 16;
	ret->p = xmalloc(most);
	z->next_in = (Bytef *)b->p;
	z->avail_in = (uInt)b->n;
	z->next_out = ret->p;
	z->avail_out = (uInt)most;
	int r = deflate(z, Z_FULL_FLUSH);
	assert(r == Z_OK && !z->avail_in && z->avail_out);
	ret->n = most - z->avail_out;
	ret->p = xrealloc(ret->p, ret->n);
	r = deflateReset(z);
	assert(r == Z_OK);
}

struct pack *
pack_create(const struct snapshot_chunk *c)
{
	struct pack *p = pack_alloc(c);
	z_stream z = {0};
	int r = deflateInit2(&z, LEVEL, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	assert(r == Z_OK);
	for (int i = 0; i < FRAGMENT_SECTIONS; i++) {
		if (c->joined[TRAEFIK_OUTPUT][i].n)
			section_deflate(&z, &c->joined[TRAEFIK_OUTPUT][i], &p->section[i]);
	}
	deflateEnd(&z);
	return p;
}

/* RFC 1951, 3.2.4: a header of five octets, then up to 65,535 as they are. */
static void
section_store(const struct bytes *b, struct pack_section *ret)
{
	size_t blocks = (b->n + STORED_MAX - 1) / STORED_MAX;
	unsigned char *out = ret->p = xmalloc(b->n + blocks * 5);
	for (size_t at = 0; at < b->n;) {
		size_t n = b->n - at < STORED_MAX ? b->n - at : STORED_MAX;
		*out++ = 0;
		*out++ = n & 0xff;
		*out++ = (unsigned char)(n >> 8);
		*out++ = ~n & 0xff;
		*out++ = (unsigned char)(~n >> 8);
		memcpy(out, b->p + at, n);
		out += n;
		at += n;
	}
	ret->n = (size_t)(out - ret->p);
}

struct pack *
pack_create_stored(const struct snapshot_chunk *c)
{
	struct pack *p = pack_alloc(c);
	p->stored = true;
	for (int i = 0; i < FRAGMENT_SECTIONS; i++) {
		if (c->joined[TRAEFIK_OUTPUT][i].n)
			section_store(&c->joined[TRAEFIK_OUTPUT][i], &p->section[i]);
	}
	return p;
}

struct pack *
pack_of(const struct snapshot_chunk *c)
{
	return c->extra[TRAEFIK_OUTPUT];
}

static void
extra_free(void *extra)
{
	pack_unref(extra);
}

void
pack_attach(struct snapshot_chunk *c, struct pack *p)
{
	pack_unref(c->extra[TRAEFIK_OUTPUT]);
	c->extra[TRAEFIK_OUTPUT] = p;
	c->extra_free[TRAEFIK_OUTPUT] = extra_free;
}
