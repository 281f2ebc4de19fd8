#include "provider/traefik/traefik_render.h"

#include <stdlib.h>
#include <string.h>

#include "provider/traefik/traefik_check.h"
#include "reconciler/base/buf.h"
#include "reconciler/model/slug.h"

/* Above any default priority, which is a rule's length: side by side with Traefik's own Docker
 * provider ours wins, and longer paths win among ours. */
#define PRIORITY_BASE 10000

struct render {
	const struct settings *settings;
	struct buf section[FRAGMENT_SECTIONS];
	struct buf name; /* of the route under way */
	unsigned uses; /* 1 << x: of what all share */
};

const char *const traefik_shared_name[TRAEFIK_SHARED_COUNT] = {
	[TRAEFIK_REDIRECT] = "waymark-redirect",
	[TRAEFIK_PREVIEW_ALLOW] = "waymark_PREVIEW_ALLOW",
	[TRAEFIK_PREVIEW_AUTH] = "waymark_PREVIEW_AUTH",
	[TRAEFIK_PREVIEW_NOINDEX] = "waymark_PREVIEW_NOINDEX",
};

/* Names are put together with '_', which neither slugs, environments, slots nor hosts can have.  In
 * a path '_' begins an escape: "_-" is '/', "__" is '_', "_t" is '~'; so "_TLS", "_STRIP" and
 * "_SLOT_" behind it are nobody's path, and "_PREVIEW" behind a project is nobody's environment. */
static void
name_add_path(struct buf *b, const char *path)
{
	for (; *path; path++) {
		if (*path == '/')
			buf_adds(b, "_-");
		else if (*path == '_')
			buf_adds(b, "__");
		else if (*path == '~')
			buf_adds(b, "_t");
		else
			buf_add(b, path, 1);
	}
}

static void
name_add_slug(struct buf *b, const char *text)
{
	size_t size = strlen(text) + 1;
	char *slug = xmalloc(size);
	char hash[9];
	if (!slug_name(text, slug, size))
		slug_hash(text, hash);
	else
		hash[0] = '\0';
	buf_adds(b, hash[0] ? hash : slug);
	free(slug);
}

static void
name_make(struct buf *b, const struct route *r)
{
	buf_reset(b);
	if (r->kind == ROUTE_STATIC) {
		buf_adds(b, "static_");
	} else {
		name_add_slug(b, r->project);
		buf_adds(b, "_");
		name_add_slug(b, r->environment);
		buf_adds(b, "_");
	}
	buf_adds(b, r->host);
	name_add_path(b, r->path);
}

/* The name ends in the two, which may be empty. */
static struct buf *
member_begin(struct render *t, enum traefik_section s, const char *suffix, const char *of)
{
	struct buf *b = &t->section[s];
	if (b->n)
		buf_adds(b, ",");
	buf_adds(b, "\"");
	buf_add(b, t->name.p, t->name.n);
	buf_adds(b, suffix);
	buf_adds(b, of);
	buf_adds(b, "\":");
	return b;
}

static void
add_list(struct buf *b, size_t n, const char *const *items)
{
	buf_adds(b, "[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_adds(b, ",");
		buf_json(b, items[i]);
	}
	buf_adds(b, "]");
}

/* A prefix at segment boundaries: /api and all below it, and not /apis. */
static void
add_rule(struct buf *b, const struct route *r)
{
	struct buf rule = {0};
	buf_addf(&rule, "Host(`%s`)", r->host);
	if (*r->path)
		buf_addf(&rule, " && (Path(`%s`) || PathPrefix(`%s/`))", r->path, r->path);
	buf_json(b, rule.p);
	buf_finish(&rule);
}

static void
add_tls(struct buf *b, const struct settings_traefik *s)
{
	buf_adds(b, ",\"tls\":{");
	if (s->resolver) {
		buf_adds(b, "\"certResolver\":");
		buf_json(b, s->resolver);
	}
	for (size_t i = 0; i < s->ndomains; i++) {
		buf_adds(b, i ? "," : s->resolver ? ",\"domains\":[" : "\"domains\":[");
		buf_adds(b, "{\"main\":");
		buf_json(b, s->domains[i].main);
		if (s->domains[i].nsans) {
			buf_adds(b, ",\"sans\":");
			add_list(b, s->domains[i].nsans, s->domains[i].sans);
		}
		buf_adds(b, "}");
	}
	buf_adds(b, s->ndomains ? "]}" : "}");
}

/* Nobody serves it: a page says so. */
static bool
leads_to_pages(const struct render *t, const struct route *r)
{
	return !r->nrouted && t->settings->pages_url;
}

/* A page is found by the path as the visitor sent it. */
static bool
strips(const struct render *t, const struct route *r)
{
	return r->strip && *r->path && !leads_to_pages(t, r);
}

/* The list is opened with the first one. */
static void
next_middleware(struct buf *b, size_t *n)
{
	buf_adds(b, (*n)++ ? "," : ",\"middlewares\":[");
}

static void
add_shared(struct render *t, struct buf *b, size_t *n, enum traefik_shared m)
{
	next_middleware(b, n);
	buf_json(b, traefik_shared_name[m]);
	t->uses |= 1u << m;
}

/* Who may not see it learns nothing by a page either.  A project's own are for its answers. */
static void
add_middlewares(struct render *t, struct buf *b, const struct route *r)
{
	const struct settings_preview *guards = &t->settings->preview;
	size_t n = 0;

	if (r->guarded && guards->nallow)
		add_shared(t, b, &n, TRAEFIK_PREVIEW_ALLOW);
	if (r->guarded && guards->nusers)
		add_shared(t, b, &n, TRAEFIK_PREVIEW_AUTH);
	if (r->guarded && guards->noindex)
		add_shared(t, b, &n, TRAEFIK_PREVIEW_NOINDEX);
	for (size_t i = 0; i < r->nmiddlewares && !leads_to_pages(t, r); i++) {
		next_middleware(b, &n);
		buf_json(b, r->middlewares[i]);
	}
	if (strips(t, r)) {
		next_middleware(b, &n);
		buf_addf(b, "\"%s_STRIP\"", t->name.p);
	}
	if (n)
		buf_adds(b, "]");
}

static void
add_redirect(struct render *t, struct buf *b)
{
	size_t n = 0;
	add_shared(t, b, &n, TRAEFIK_REDIRECT);
	buf_adds(b, "]");
}

static void
render_router(struct render *t, const struct route *r, bool secure)
{
	const struct settings_traefik *s = &t->settings->traefik;
	struct buf *b = member_begin(t, TRAEFIK_ROUTERS, secure ? "_TLS" : "", "");

	buf_adds(b, "{\"entryPoints\":");
	if (secure)
		add_list(b, s->nhttps, s->https);
	else
		add_list(b, s->nhttp, s->http);
	buf_adds(b, ",\"rule\":");
	add_rule(b, r);
	buf_addf(b, ",\"service\":\"%s\",\"priority\":%zu", t->name.p,
		PRIORITY_BASE + strlen(r->path));
	if (!secure && s->nhttps && s->redirect)
		add_redirect(t, b);
	else
		add_middlewares(t, b, r);
	if (secure)
		add_tls(b, s);
	buf_adds(b, "}");
}

/* Two sticky services may share a host by path, so each has a cookie of its own.  The one that
 * keeps a visitor with a slot stands beside the one that keeps him with a server of it, whose name
 * is the same whether requests are shared or not: the last promote moves nobody. */
static void
add_sticky(struct buf *b, const struct route *r, const char *suffix)
{
	char hash[9] = "";
	if (*r->path)
		slug_hash(r->path, hash);
	buf_addf(b, "\"sticky\":{\"cookie\":{\"name\":\"waymark%s%s%s\",\"httpOnly\":true}},",
		*hash ? "-" : "", hash, suffix);
}

static void
add_balancer(struct buf *b, const struct route *r, size_t first, size_t n)
{
	buf_adds(b, "{\"loadBalancer\":{");
	if (r->sticky)
		add_sticky(b, r, "");
	buf_adds(b, "\"servers\":[");
	for (size_t i = 0; i < n; i++) {
		buf_adds(b, i ? ",{\"url\":" : "{\"url\":");
		buf_json(b, r->servers[first + i].url);
		buf_adds(b, "}");
	}
	buf_adds(b, "]}}");
}

static void
render_shares(struct render *t, const struct route *r)
{
	struct buf *b = member_begin(t, TRAEFIK_SERVICES, "", "");

	buf_adds(b, "{\"weighted\":{");
	if (r->sticky)
		add_sticky(b, r, "-slot");
	for (size_t i = 0; i < r->nshares; i++)
		buf_addf(b, "%s{\"name\":\"%s_SLOT_%s\",\"weight\":%u}", i ? "," : "\"services\":[",
			t->name.p, r->shares[i].slot, r->shares[i].weight);
	buf_adds(b, "]}}");
	for (size_t i = 0; i < r->nshares; i++) {
		const struct route_share *share = &r->shares[i];
		b = member_begin(t, TRAEFIK_SERVICES, "_SLOT_", share->slot);
		add_balancer(b, r, share->first, share->n);
	}
}

static void
render_service(struct render *t, const struct route *r)
{
	if (r->nshares) {
		render_shares(t, r);
		return;
	}
	struct buf *b = member_begin(t, TRAEFIK_SERVICES, "", "");
	if (!leads_to_pages(t, r)) {
		add_balancer(b, r, 0, r->nrouted);
		return;
	}
	buf_adds(b, "{\"loadBalancer\":{\"servers\":[{\"url\":");
	buf_json(b, t->settings->pages_url);
	buf_adds(b, "}]}}");
}

static void
render_strip(struct render *t, const struct route *r)
{
	struct buf *b = member_begin(t, TRAEFIK_MIDDLEWARES, "_STRIP", "");
	buf_adds(b, "{\"stripPrefix\":{\"prefixes\":[");
	buf_json(b, r->path);
	buf_adds(b, "]}}");
}

static void
render_route(struct render *t, const struct route *r)
{
	if (r->kind == ROUTE_STATIC && !r->nservers)
		return; /* the name only resolves */
	name_make(&t->name, r);
	render_router(t, r, false);
	if (t->settings->traefik.nhttps)
		render_router(t, r, true);
	render_service(t, r);
	if (strips(t, r))
		render_strip(t, r);
}

static void
refuse(const struct project_plan *plan, const struct err *e, struct problems *problems)
{
	char *object = arena_printf(problems->arena, "project %s", plan->project);
	problem_add(problems,
		&(struct problem){
			.code = PROBLEM_INTERNAL,
			.object = object,
			.what = e->text,
			.remedy = "Its routes are left out of Traefik's document, the others are "
				  "in it. "
				  "This is a mistake in Waymark: please report it with this line.",
			.project = plan->project,
		});
}

static void
traefik_render(const struct project_plan *plan, const struct settings *settings, struct arena *a,
	struct fragment *ret, struct problems *problems)
{
	struct render t = {.settings = settings};
	struct fragment f = {0};
	struct err e;

	for (size_t i = 0; i < plan->nroutes; i++)
		render_route(&t, &plan->routes[i]);
	f.uses = t.uses;
	for (int s = 0; s < FRAGMENT_SECTIONS; s++) {
		f.section[s].p = t.section[s].n ? t.section[s].p : "";
		f.section[s].n = t.section[s].n;
	}
	if (traefik_check_fragment(&f, &e) < 0) {
		refuse(plan, &e, problems);
		f = (struct fragment){0};
	}
	ret->uses = f.uses;
	for (int s = 0; s < FRAGMENT_SECTIONS; s++) {
		ret->section[s].p =
			arena_strndup(a, f.section[s].n ? f.section[s].p : "", f.section[s].n);
		ret->section[s].n = f.section[s].n;
		buf_finish(&t.section[s]);
	}
	ret->digest = fragment_digest(ret);
	buf_finish(&t.name);
}

const struct renderer traefik_renderer = {.render = traefik_render};
