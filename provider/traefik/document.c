#include "provider/traefik/document.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "provider/traefik/document_render.h"
#include "provider/traefik/pack.h"
#include "provider/traefik/traefik_render.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

/* Not worth compressing. */
#define GZIP_LEAST 1024
/* So much of a compressed reply may stand in it as it is. */
#define STORED_PART 16

struct document {
	unsigned refs; /* the owner's and one for each response */
	uint64_t serial;
	struct snapshot *snapshot;
	struct ranges ranges;
	struct MHD_Response *plain;
	struct MHD_Response *gzip;
	bool gzip_stored; /* something in gzip is stored as it is */
	bool packed; /* every chunk has been found compressed */
};

/* What a compressed response is made of. */
struct gzip {
	struct document *document;
	struct buf literals; /* header, blocks between the packs, trailer */
	size_t npacks;
	struct pack **packs;
	char *flat; /* NULL: a list of ranges */
};

static void
document_unref(struct document *d)
{
	if (--d->refs)
		return;
	ranges_finish(&d->ranges);
	snapshot_unref(d->snapshot);
	free(d);
}

struct document *
document_create(struct snapshot *s, const struct settings *settings, uint64_t serial)
{
	struct document *d = xcalloc(1, sizeof(*d));
	d->refs = 1;
	d->serial = serial;
	d->snapshot = snapshot_ref(s);
	ranges_init(&d->ranges, s, settings);
	return d;
}

void
document_destroy(struct document *d)
{
	if (!d)
		return;
	if (d->plain)
		MHD_destroy_response(d->plain);
	if (d->gzip)
		MHD_destroy_response(d->gzip);
	d->plain = d->gzip = NULL;
	document_unref(d);
}

bool
document_equal(const struct document *a, const struct document *b)
{
	return ranges_equal(&a->ranges, &b->ranges);
}

size_t
document_size(const struct document *d)
{
	return d->ranges.size;
}

uint64_t
document_serial(const struct document *d)
{
	return d->serial;
}

struct snapshot *
document_snapshot(const struct document *d)
{
	return d->snapshot;
}

uint64_t
document_digest(const struct document *d)
{
	return d->ranges.digest;
}

uint64_t
document_mark(const struct document *d)
{
	return d->ranges.mark;
}

void
document_set_mark(struct document *d, uint64_t mark)
{
	assert(!d->plain && !d->gzip);
	ranges_set_mark(&d->ranges, mark);
}

char *
document_text(const struct document *d)
{
	return ranges_flatten(&d->ranges);
}

static struct MHD_Response *
add_headers(struct MHD_Response *r, const struct document *d)
{
	char revision[24];
	snprintf(revision, sizeof(revision), "%llu", (unsigned long long)d->snapshot->revision);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "X-Waymark-Revision", revision);
	return r;
}

static void
on_plain_free(void *arg)
{
	document_unref(arg);
}

struct MHD_Response *
document_response(struct document *d)
{
	if (d->plain)
		return d->plain;
	if (d->ranges.n > DOCUMENT_RANGES_MAX) {
		d->plain = MHD_create_response_from_buffer(
			d->ranges.size, ranges_flatten(&d->ranges), MHD_RESPMEM_MUST_FREE);
	} else {
		struct MHD_IoVec *iov = xmalloc(d->ranges.n * sizeof(*iov));
		for (size_t i = 0; i < d->ranges.n; i++)
			iov[i] = (struct MHD_IoVec){d->ranges.list[i].p, d->ranges.list[i].n};
		d->refs++;
		d->plain = MHD_create_response_from_iovec(
			iov, (unsigned)d->ranges.n, on_plain_free, d);
		free(iov);
	}
	assert(d->plain);
	return add_headers(d->plain, d);
}

/* ── Compressed ────────────────────────────────────────────────────────────────────────────── */

/* Bytes of chunks that are not compressed, and of those that have no pack at all. */
static size_t
bytes_unpacked(const struct document *d)
{
	size_t n = 0;
	for (size_t i = 0; i < d->ranges.n; i++) {
		const struct range *r = &d->ranges.list[i];
		const struct pack *p = r->chunk ? pack_of(r->chunk) : NULL;
		if (r->chunk && (!p || p->stored))
			n += r->n;
	}
	return n;
}

bool
document_is_packed(struct document *d)
{
	if (!d->packed)
		d->packed = d->ranges.size < GZIP_LEAST || bytes_unpacked(d) == 0;
	return d->packed;
}

static void
gzip_free(void *arg)
{
	struct gzip *g = arg;
	for (size_t i = 0; i < g->npacks; i++)
		pack_unref(g->packs[i]);
	free(g->packs);
	buf_finish(&g->literals);
	free(g->flat);
	document_unref(g->document);
	free(g);
}

/* The list while it is made: of literals the offset is known, and not yet the address. */
struct gzip_list {
	struct gzip *gzip;
	struct MHD_IoVec *iov;
	size_t n;
	size_t size;
	uLong crc;
};

static void
list_add(struct gzip_list *l, const void *p, size_t n)
{
	l->iov[l->n++] = (struct MHD_IoVec){p, n};
	l->size += n;
}

static void
list_add_literal(struct gzip_list *l, const void *p, size_t n)
{
	buf_add(&l->gzip->literals, p, n);
	list_add(l, NULL, n);
}

static void
list_add_range(struct gzip_list *l, const struct range *r)
{
	if (!r->chunk) {
		unsigned char block[5] = {0, r->n & 0xff, (unsigned char)(r->n >> 8), ~r->n & 0xff,
			(unsigned char)(~r->n >> 8)};
		assert(r->n <= 0xffff);
		l->crc = crc32_z(l->crc, (const Bytef *)r->p, r->n);
		buf_add(&l->gzip->literals, block, sizeof(block));
		buf_add(&l->gzip->literals, r->p, r->n);
		list_add(l, NULL, sizeof(block) + r->n);
		return;
	}
	struct pack *p = pack_of(r->chunk);
	const struct pack_section *s = &p->section[r->section];
	l->gzip->packs[l->gzip->npacks++] = pack_ref(p);
	list_add(l, s->p, s->n);
	l->crc = crc32_combine_op(l->crc, s->crc, s->combine);
}

/* RFC 1952: a header that says nothing but "deflate"; at the end the CRC and the size. */
static void
list_fill(struct gzip_list *l, const struct document *d)
{
	static const unsigned char header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
	unsigned char trailer[10] = {3, 0}; /* an empty last block */

	list_add_literal(l, header, sizeof(header));
	for (size_t i = 0; i < d->ranges.n; i++)
		list_add_range(l, &d->ranges.list[i]);
	for (int i = 0; i < 4; i++) {
		trailer[2 + i] = (unsigned char)(l->crc >> (8 * i));
		trailer[6 + i] = (unsigned char)(d->ranges.size >> (8 * i));
	}
	list_add_literal(l, trailer, sizeof(trailer));

	const char *literal = l->gzip->literals.p;
	for (size_t i = 0; i < l->n; i++) {
		if (!l->iov[i].iov_base) {
			l->iov[i].iov_base = literal;
			literal += l->iov[i].iov_len;
		}
	}
}

static struct MHD_Response *
list_response(struct gzip_list *l)
{
	if (l->n <= DOCUMENT_RANGES_MAX)
		return MHD_create_response_from_iovec(l->iov, (unsigned)l->n, gzip_free, l->gzip);

	char *flat = l->gzip->flat = xmalloc(l->size);
	for (size_t i = 0; i < l->n; i++)
		flat = (char *)memcpy(flat, l->iov[i].iov_base, l->iov[i].iov_len) +
		       l->iov[i].iov_len;
	struct MHD_IoVec whole = {l->gzip->flat, l->size};
	return MHD_create_response_from_iovec(&whole, 1, gzip_free, l->gzip);
}

static void
gzip_make(struct document *d)
{
	struct gzip *g = xcalloc(1, sizeof(*g));
	g->document = d;
	g->packs = xmalloc(d->ranges.n * sizeof(struct pack *));
	d->refs++;

	struct gzip_list l = {.gzip = g, .iov = xmalloc((d->ranges.n + 2) * sizeof(*l.iov))};
	list_fill(&l, d);
	d->gzip = list_response(&l);
	free(l.iov);
	assert(d->gzip);
	MHD_add_response_header(d->gzip, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	add_headers(d->gzip, d);
}

struct MHD_Response *
document_response_gzip(struct document *d)
{
	if (d->gzip)
		return d->gzip;
	size_t unpacked = bytes_unpacked(d);
	if (d->ranges.size < GZIP_LEAST || unpacked > d->ranges.size / STORED_PART)
		return NULL;
	for (size_t i = 0; i < d->ranges.n && unpacked; i++) {
		struct snapshot_chunk *c = d->ranges.list[i].chunk;
		if (c && !pack_of(c))
			pack_attach(c, pack_create_stored(c));
	}
	d->gzip_stored = unpacked > 0;
	gzip_make(d);
	return d->gzip;
}

void
document_repack(struct document *d)
{
	if (!d->gzip || !d->gzip_stored)
		return;
	MHD_destroy_response(d->gzip);
	d->gzip = NULL;
}
