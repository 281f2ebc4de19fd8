/* site_world.h - site files of plans that somebody made up as JSON, for tests without a planner.
 *
 *   {"tls": false, "template": "…", "stream_close_delay": 30000, "pages_url": "http://…",
 *    "preview": {"noindex": true, "users": ["anna:$2y$…"], "allow": ["10.0.0.0/8"]},
 *    "projects": {"shop": {
 *        "routes": [{"host": "shop.test", "path": "/x", "environment": "production",
 *            "kind": "preview", "slot": "blue", "branch": "b", "strip": true, "sticky": true,
 *            "guarded": true, "answer": "gone", "urls": ["http://10.0.0.1:80"],
 *            "shares": [["blue", 90, 1]]}],
 *        "slots": [{"environment": "production", "slot": "blue", "since": 1767323045000}]}}}
 *
 * All but host may be left out; a project's "name" stands for its key.
 */
#ifndef TESTS_UNIT_SITE_WORLD_H
#define TESTS_UNIT_SITE_WORLD_H

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "provider/caddy/site_render.h"

struct site_world {
	struct arena arena;
	struct settings_caddy caddy;
	struct settings settings;
	struct problems problems;
};

static inline const char *
site_world_text(json_t *o, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text ? text : otherwise;
}

static inline const char **
site_world_list(struct arena *a, json_t *list, size_t *ret_n)
{
	const char **texts = ARENA_ARRAY(a, const char *, json_array_size(list));
	*ret_n = json_array_size(list);
	for (size_t i = 0; i < *ret_n; i++)
		texts[i] = json_string_value(json_array_get(list, i));
	return texts;
}

static inline enum route_kind
site_world_kind(const char *text)
{
	enum route_kind kind = ROUTE_PRODUCTION;
	while (strcmp(route_kind_text(kind), text) != 0)
		kind++;
	return kind;
}

static inline enum route_answer
site_world_answer(const char *text)
{
	enum route_answer answer = ANSWER_SERVED;
	while (strcmp(route_answer_text(answer), text) != 0)
		answer++;
	return answer;
}

static inline void
site_world_servers(struct arena *a, json_t *j, struct route *r)
{
	json_t *shares = json_object_get(j, "shares");
	const char **urls = site_world_list(a, json_object_get(j, "urls"), &r->nservers);
	struct server *servers = ARENA_ARRAY(a, struct server, r->nservers);
	struct route_share *list = ARENA_ARRAY(a, struct route_share, json_array_size(shares));
	size_t first = 0;

	for (size_t i = 0; i < r->nservers; i++)
		servers[i] = (struct server){.url = urls[i], .slot = "", .routed = true};
	r->servers = servers;
	r->nrouted = r->nservers;
	for (; r->nshares < json_array_size(shares); r->nshares++) {
		json_t *share = json_array_get(shares, r->nshares);
		size_t n = (size_t)json_integer_value(json_array_get(share, 2));
		list[r->nshares] =
			(struct route_share){.slot = json_string_value(json_array_get(share, 0)),
				.weight = (unsigned)json_integer_value(json_array_get(share, 1)),
				.first = first,
				.n = n};
		first += n;
	}
	r->shares = list;
}

static inline struct route
site_world_route(struct arena *a, const char *project, json_t *j)
{
	struct route r = {.host = site_world_text(j, "host", ""),
		.path = site_world_text(j, "path", ""),
		.kind = site_world_kind(site_world_text(j, "kind", "production")),
		.project = project,
		.environment = site_world_text(j, "environment", "production"),
		.branch = site_world_text(j, "branch", ""),
		.service = "",
		.slot = site_world_text(j, "slot", ""),
		.strip = json_is_true(json_object_get(j, "strip")),
		.sticky = json_is_true(json_object_get(j, "sticky")),
		.guarded = json_is_true(json_object_get(j, "guarded")),
		.answer = site_world_answer(site_world_text(j, "answer", "served"))};
	site_world_servers(a, j, &r);
	return r;
}

static inline struct project_plan
site_world_plan(struct arena *a, const char *project, json_t *j)
{
	json_t *routes = json_object_get(j, "routes"), *slots = json_object_get(j, "slots");
	struct project_plan p = {.refs = 1,
		.project = project,
		.nroutes = json_array_size(routes),
		.nslots = json_array_size(slots)};
	struct route *r = ARENA_ARRAY(a, struct route, p.nroutes);
	struct plan_slot *s = ARENA_ARRAY(a, struct plan_slot, p.nslots);

	for (size_t i = 0; i < p.nroutes; i++)
		r[i] = site_world_route(a, project, json_array_get(routes, i));
	for (size_t i = 0; i < p.nslots; i++) {
		json_t *slot = json_array_get(slots, i);
		s[i] = (struct plan_slot){
			.environment = site_world_text(slot, "environment", "production"),
			.slot = site_world_text(slot, "slot", ""),
			.registered = !json_is_false(json_object_get(slot, "registered")),
			.since_ms = (uint64_t)json_integer_value(json_object_get(slot, "since"))};
	}
	p.routes = r;
	p.slots = s;
	return p;
}

static inline void
site_world_init(struct site_world *w, json_t *j)
{
	json_t *preview = json_object_get(j, "preview");
	struct settings_preview *p = &w->settings.preview;

	memset(w, 0, sizeof(*w));
	w->caddy.tls = !json_is_false(json_object_get(j, "tls"));
	w->caddy.template = site_world_text(j, "template", NULL);
	w->caddy.stream_close_delay_ms =
		(uint32_t)json_integer_value(json_object_get(j, "stream_close_delay"));
	w->settings.caddy = &w->caddy;
	w->settings.pages_url = site_world_text(j, "pages_url", NULL);
	p->noindex = json_is_true(json_object_get(preview, "noindex"));
	p->users = site_world_list(&w->arena, json_object_get(preview, "users"), &p->nusers);
	p->allow = site_world_list(&w->arena, json_object_get(preview, "allow"), &p->nallow);
	w->problems.arena = &w->arena;
}

static inline void
site_world_finish(struct site_world *w)
{
	arena_finish(&w->arena);
}

/* Calls back for each file of each project, in the order in which they stand in the JSON. */
static inline void
site_world_render(struct site_world *w, const struct site_template *t, json_t *j,
	void (*fn)(void *arg, const struct site_file *file), void *arg)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(j, "projects"), name, value)
	{
		struct project_plan p =
			site_world_plan(&w->arena, site_world_text(value, "name", name), value);
		struct site_files files;
		site_render(&p, &w->settings, t, &w->arena, &files, &w->problems);
		for (size_t i = 0; i < files.n; i++)
			fn(arg, &files.list[i]);
	}
}

#endif
