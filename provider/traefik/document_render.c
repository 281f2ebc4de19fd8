#include "provider/traefik/document_render.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

/* A literal is no longer than a block of a compressed reply bears. */
#define LITERAL_MAX 0xffff

/* One that Traefik takes, and that would do no harm if a router named it. */
#define MARK_FORMAT                                                                                \
	"\"" DOCUMENT_MARK "%016" PRIx64 "\":{\"stripPrefix\":{\"prefixes\":[\"/waymark\"]}}"

#define MARK_SIZE (sizeof(MARK_FORMAT) + DOCUMENT_MARK_DIGITS)

/* Opens each section; the braces are closed by "}". */
static const char *const section_open[FRAGMENT_SECTIONS] = {
	[TRAEFIK_ROUTERS] = "\"routers\":{",
	[TRAEFIK_SERVICES] = "\"services\":{",
	[TRAEFIK_MIDDLEWARES] = "\"middlewares\":{",
};

static void
add(struct ranges *r, const char *p, size_t n, struct snapshot_chunk *c, int section)
{
	r->list[r->n++] = (struct range){.p = p, .n = n, .chunk = c, .section = section};
	r->size += n;
}

static void
add_literal(struct ranges *r, const char *text)
{
	for (size_t n = strlen(text); n;) {
		size_t part = n < LITERAL_MAX ? n : LITERAL_MAX;
		add(r, text, part, NULL, 0);
		text += part;
		n -= part;
	}
}

static void
add_list(struct buf *b, size_t n, const char *const *items)
{
	for (size_t i = 0; i < n; i++) {
		buf_adds(b, i ? "," : "[");
		buf_json(b, items[i]);
	}
	buf_adds(b, "]");
}

/* Fragments made before the settings changed may stand beside the new ones for a while, and name
 * what these do not have any more: Traefik would take a route away for that. */
static void
add_nothing(struct buf *b)
{
	buf_adds(b, "{\"ipAllowList\":{\"sourceRange\":[\"0.0.0.0/0\",\"::/0\"]}}");
}

static void
add_redirect(struct buf *b, const struct settings *s)
{
	(void)s;
	buf_adds(b, "{\"redirectScheme\":{\"scheme\":\"https\",\"permanent\":true}}");
}

static void
add_allow(struct buf *b, const struct settings *s)
{
	if (!s->preview.nallow) {
		add_nothing(b);
		return;
	}
	buf_adds(b, "{\"ipAllowList\":{\"sourceRange\":");
	add_list(b, s->preview.nallow, s->preview.allow);
	buf_adds(b, "}}");
}

/* The password is for Traefik, not for what stands behind it. */
static void
add_auth(struct buf *b, const struct settings *s)
{
	if (!s->preview.nusers) {
		add_nothing(b);
		return;
	}
	buf_adds(b, "{\"basicAuth\":{\"users\":");
	add_list(b, s->preview.nusers, s->preview.users);
	buf_adds(b, ",\"removeHeader\":true}}");
}

static void
add_noindex(struct buf *b, const struct settings *s)
{
	if (!s->preview.noindex)
		add_nothing(b);
	else
		buf_adds(b, "{\"headers\":{\"customResponseHeaders\":"
			    "{\"X-Robots-Tag\":\"noindex\"}}}");
}

/* Those that some fragment names; NULL: none. */
static char *
shared_text(const struct snapshot *s, const struct settings *settings)
{
	static void (*const body[TRAEFIK_SHARED_COUNT])(struct buf *, const struct settings *) = {
		[TRAEFIK_REDIRECT] = add_redirect,
		[TRAEFIK_PREVIEW_ALLOW] = add_allow,
		[TRAEFIK_PREVIEW_AUTH] = add_auth,
		[TRAEFIK_PREVIEW_NOINDEX] = add_noindex,
	};
	struct buf b = {0};
	unsigned uses = 0;

	for (size_t i = 0; i < s->nchunks; i++)
		uses |= s->chunks[i]->uses[TRAEFIK_OUTPUT];
	for (unsigned m = 0; m < TRAEFIK_SHARED_COUNT; m++) {
		if (!(uses & 1u << m))
			continue;
		buf_addf(&b, "%s\"%s\":", b.n ? "," : "", traefik_shared_name[m]);
		body[m](&b, settings);
	}
	return b.n ? buf_steal(&b, NULL) : NULL;
}

/* Before each member of a section: the section's name before the first, a comma where one is due.
 */
static void
begin_member(struct ranges *r, int section, bool *open, bool *comma)
{
	if (*open || *comma)
		add_literal(r, ",");
	*comma = false;
	if (!*open)
		add_literal(r, section_open[section]);
	*open = true;
}

/* Adds the section where it is not empty; says whether it did. */
static bool
add_section(struct ranges *r, const struct snapshot *s, int section, const char *first, bool comma)
{
	bool open = false;

	for (size_t i = 0; i <= s->nchunks; i++) {
		struct snapshot_chunk *c = i ? s->chunks[i - 1] : NULL;
		const struct bytes *b = c ? &c->joined[TRAEFIK_OUTPUT][section] : NULL;
		if (c ? !b->n : !first)
			continue;
		begin_member(r, section, &open, &comma);
		if (c)
			add(r, b->p, b->n, c, section);
		else
			add_literal(r, first);
	}
	if (section == TRAEFIK_MIDDLEWARES && r->marker) {
		begin_member(r, section, &open, &comma);
		add_literal(r, r->marker);
	}
	if (open)
		add_literal(r, "}");
	return open;
}

static char *
tls_text(const struct settings_traefik *s)
{
	struct buf b = {0};
	if (!s->default_cert_file)
		return NULL;
	buf_adds(&b, "\"tls\":{\"stores\":{\"default\":{\"defaultCertificate\":{\"certFile\":");
	buf_json(&b, s->default_cert_file);
	buf_adds(&b, ",\"keyFile\":");
	buf_json(&b, s->default_key_file);
	buf_adds(&b, "}}}}");
	return buf_steal(&b, NULL);
}

void
ranges_set_mark(struct ranges *r, uint64_t mark)
{
	if (!r->marker)
		return;
	/* The range that is the marker has its length already. */
	r->mark = mark;
	snprintf(r->marker, MARK_SIZE, MARK_FORMAT, mark);
}

/* Costs as much as there are chunks, not bytes.  Commas do not count: how many of them stand
 * between the chunks and how many in them is history. */
static uint64_t
digest_make(const struct ranges *r, const struct snapshot *s)
{
	struct sha256_ctx c;
	uint8_t digest[SHA256_DIGEST_SIZE];
	uint64_t sum = 0;

	for (size_t i = 0; i < s->nchunks; i++)
		sum += s->chunks[i]->digest[TRAEFIK_OUTPUT];
	sha256_init(&c);
	sha256_update(&c, sizeof(sum), (const uint8_t *)&sum);
	for (size_t i = 0; i < r->n; i++) {
		const struct range *x = &r->list[i];
		if (!x->chunk && x->p != r->marker && !(x->n == 1 && *x->p == ','))
			sha256_update(&c, x->n, (const uint8_t *)x->p);
	}
	sha256_digest(&c, sizeof(digest), digest);
	memcpy(&sum, digest, sizeof(sum));
	return sum;
}

void
ranges_init(struct ranges *r, const struct snapshot *s, const struct settings *settings)
{
	*r = (struct ranges){
		.shared = shared_text(s, settings), .tls = tls_text(&settings->traefik)};
	/* A chunk and a comma for each section, and less than this for what is around them. */
	size_t most = s->nchunks * FRAGMENT_SECTIONS * 2 + 32;
	most += ((r->shared ? strlen(r->shared) : 0) + (r->tls ? strlen(r->tls) : 0)) / LITERAL_MAX;
	if (settings->traefik.api) {
		r->marker = xmalloc(MARK_SIZE);
		ranges_set_mark(r, 0);
	}
	r->list = xmalloc(most * sizeof(*r->list));

	add_literal(r, "{");
	size_t before = r->n;
	bool any = false;
	add_literal(r, "\"http\":{");
	for (int i = 0; i < FRAGMENT_SECTIONS; i++) {
		const char *first = i == TRAEFIK_MIDDLEWARES ? r->shared : NULL;
		any |= add_section(r, s, i, first, any);
	}
	if (any) {
		add_literal(r, "}");
	} else {
		r->n = before;
		r->size = 1;
	}
	if (r->tls) {
		if (any)
			add_literal(r, ",");
		add_literal(r, r->tls);
	}
	add_literal(r, "}");
	if (r->marker) {
		r->digest = digest_make(r, s);
		ranges_set_mark(r, r->digest);
	}
}

void
ranges_finish(struct ranges *r)
{
	free(r->list);
	free(r->shared);
	free(r->tls);
	free(r->marker);
	*r = (struct ranges){0};
}

bool
ranges_equal(const struct ranges *a, const struct ranges *b)
{
	size_t i = 0, k = 0, ioff = 0, koff = 0;

	if (a->size != b->size)
		return false;
	while (i < a->n && k < b->n) {
		const struct range *x = &a->list[i], *y = &b->list[k];
		size_t n = x->n - ioff < y->n - koff ? x->n - ioff : y->n - koff;
		if (x->p + ioff != y->p + koff && memcmp(x->p + ioff, y->p + koff, n))
			return false;
		ioff += n;
		koff += n;
		if (ioff == x->n) {
			i++;
			ioff = 0;
		}
		if (koff == y->n) {
			k++;
			koff = 0;
		}
	}
	return true;
}

char *
ranges_flatten(const struct ranges *r)
{
	char *text = xmalloc(r->size + 1);
	size_t n = 0;
	for (size_t i = 0; i < r->n; i++) {
		memcpy(text + n, r->list[i].p, r->list[i].n);
		n += r->list[i].n;
	}
	text[n] = '\0';
	return text;
}
