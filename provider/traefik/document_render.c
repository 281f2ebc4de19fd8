#include "provider/traefik/document_render.h"

#include <stdlib.h>
#include <string.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

#define REDIRECT_MIDDLEWARE                                                                        \
	"\"" TRAEFIK_REDIRECT "\":{\"redirectScheme\":{\"scheme\":\"https\",\"permanent\":true}}"

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
	add(r, text, strlen(text), NULL, 0);
}

/* All fragments of a snapshot come from the same settings, so the first router speaks for all. */
static bool
wants_redirect(const struct snapshot *s)
{
	static const char name[] = "\"" TRAEFIK_REDIRECT "\"";
	for (size_t i = 0; i < s->nchunks; i++) {
		const struct snapshot_chunk *c = s->chunks[i];
		if (!c->joined[TRAEFIK_OUTPUT][TRAEFIK_ROUTERS].n)
			continue;
		for (size_t k = 0; k < c->n; k++) {
			const struct fragment *f = &c->plan[k]->fragment[TRAEFIK_OUTPUT];
			size_t n = f->section[TRAEFIK_ROUTERS].n;
			if (n)
				return memmem(f->section[TRAEFIK_ROUTERS].p, n, name,
					       strlen(name)) != NULL;
		}
	}
	return false;
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
		if (open || comma)
			add_literal(r, ",");
		comma = false;
		if (!open)
			add_literal(r, section_open[section]);
		open = true;
		if (c)
			add(r, b->p, b->n, c, section);
		else
			add_literal(r, first);
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
ranges_init(struct ranges *r, const struct snapshot *s, const struct settings_traefik *settings)
{
	/* A chunk and a comma for each section, and less than this for what is around them. */
	size_t most = s->nchunks * FRAGMENT_SECTIONS * 2 + 32;
	*r = (struct ranges){.tls = tls_text(settings)};
	r->list = xmalloc(most * sizeof(*r->list));

	add_literal(r, "{");
	size_t before = r->n;
	bool any = false;
	add_literal(r, "\"http\":{");
	for (int i = 0; i < FRAGMENT_SECTIONS; i++) {
		bool redirect = i == TRAEFIK_MIDDLEWARES && wants_redirect(s);
		any |= add_section(r, s, i, redirect ? REDIRECT_MIDDLEWARE : NULL, any);
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
}

void
ranges_finish(struct ranges *r)
{
	free(r->list);
	free(r->tls);
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
