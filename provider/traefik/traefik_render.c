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
	const struct settings_traefik *settings;
	struct buf section[FRAGMENT_SECTIONS];
	struct buf name; /* of the route under way */
};

/* Names are put together with '_', which neither slugs, environments nor hosts can have.  In a path
 * '_' begins an escape: "_-" is '/', "__" is '_', "_t" is '~'; so "_TLS" and "_STRIP" at the end
 * are nobody's path. */
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

static struct buf *
member_begin(struct render *t, enum traefik_section s, const char *suffix)
{
	struct buf *b = &t->section[s];
	if (b->n)
		buf_adds(b, ",");
	buf_adds(b, "\"");
	buf_add(b, t->name.p, t->name.n);
	buf_adds(b, suffix);
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

static void
render_router(struct render *t, const struct route *r, bool secure)
{
	const struct settings_traefik *s = t->settings;
	struct buf *b = member_begin(t, TRAEFIK_ROUTERS, secure ? "_TLS" : "");

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
		buf_adds(b, ",\"middlewares\":[\"" TRAEFIK_REDIRECT "\"]");
	else if (r->strip && *r->path)
		buf_addf(b, ",\"middlewares\":[\"%s_STRIP\"]", t->name.p);
	if (secure)
		add_tls(b, s);
	buf_adds(b, "}");
}

/* Two sticky services may share a host by path, so each has a cookie of its own. */
static void
add_sticky(struct buf *b, const struct route *r)
{
	char hash[9] = "";
	if (*r->path)
		slug_hash(r->path, hash);
	buf_addf(b, "\"sticky\":{\"cookie\":{\"name\":\"waymark%s%s\",\"httpOnly\":true}},",
		*hash ? "-" : "", hash);
}

static void
render_service(struct render *t, const struct route *r)
{
	struct buf *b = member_begin(t, TRAEFIK_SERVICES, "");

	buf_adds(b, "{\"loadBalancer\":{");
	if (r->sticky)
		add_sticky(b, r);
	buf_adds(b, "\"servers\":[");
	for (size_t i = 0; i < r->nrouted; i++) {
		buf_adds(b, i ? ",{\"url\":" : "{\"url\":");
		buf_json(b, r->servers[i].url);
		buf_adds(b, "}");
	}
	buf_adds(b, "]}}");
}

static void
render_strip(struct render *t, const struct route *r)
{
	struct buf *b = member_begin(t, TRAEFIK_MIDDLEWARES, "_STRIP");
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
	if (t->settings->nhttps)
		render_router(t, r, true);
	render_service(t, r);
	if (r->strip && *r->path)
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
	struct render t = {.settings = &settings->traefik};
	struct fragment f = {0};
	struct err e;

	for (size_t i = 0; i < plan->nroutes; i++)
		render_route(&t, &plan->routes[i]);
	for (int s = 0; s < FRAGMENT_SECTIONS; s++) {
		f.section[s].p = t.section[s].n ? t.section[s].p : "";
		f.section[s].n = t.section[s].n;
	}
	if (traefik_check_fragment(&f, &e) < 0) {
		refuse(plan, &e, problems);
		f = (struct fragment){0};
	}
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
