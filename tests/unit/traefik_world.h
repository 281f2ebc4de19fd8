/* traefik_world.h - project plans and snapshots for tests of the Traefik output, without a planner.
 */
#ifndef TESTS_UNIT_TRAEFIK_WORLD_H
#define TESTS_UNIT_TRAEFIK_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/model/snapshot.h"

/* What a test says of a route; what it leaves out is production, without a path. */
struct way {
	const char *host, *path, *environment;
	const char *urls[8];
	bool strip, sticky, guarded;
	enum route_kind kind;
	const char *middlewares[4];
	struct {
		const char *slot;
		unsigned weight;
		size_t n; /* of the urls, one share after the other */
	} shares[4];
};

static inline struct route
way_route(struct arena *a, const char *project, const struct way *w)
{
	struct server *servers = ARENA_ARRAY(a, struct server, 8);
	struct route_share *shares = ARENA_ARRAY(a, struct route_share, 4);
	const char **middlewares = ARENA_ARRAY(a, const char *, 4);
	struct route r = {
		.host = arena_strdup(a, w->host),
		.path = arena_strdup(a, w->path ? w->path : ""),
		.kind = w->kind,
		.project = project,
		.environment = arena_strdup(a, w->environment ? w->environment : "production"),
		.branch = "",
		.service = "",
		.slot = "",
		.strip = w->strip,
		.sticky = w->sticky,
		.guarded = w->guarded,
		.middlewares = middlewares,
		.servers = servers,
		.shares = shares,
	};
	for (size_t i = 0; i < 8 && w->urls[i]; i++)
		servers[r.nservers++] = (struct server){.url = arena_strdup(a, w->urls[i]),
			.container = "c",
			.container_id = "1",
			.engine = "e",
			.health = "ready",
			.state = SERVER_SERVING,
			.routed = true};
	r.nrouted = r.nservers;
	for (; r.nmiddlewares < 4 && w->middlewares[r.nmiddlewares]; r.nmiddlewares++)
		middlewares[r.nmiddlewares] = arena_strdup(a, w->middlewares[r.nmiddlewares]);
	for (size_t first = 0; r.nshares < 4 && w->shares[r.nshares].slot; r.nshares++) {
		size_t n = w->shares[r.nshares].n;
		shares[r.nshares] =
			(struct route_share){.slot = arena_strdup(a, w->shares[r.nshares].slot),
				.weight = w->shares[r.nshares].weight,
				.first = first,
				.n = n};
		first += n;
	}
	return r;
}

/* With one reference, rendered. */
static inline struct project_plan *
world_plan(const struct settings *settings, const char *project, const struct way *ways, size_t n)
{
	struct project_plan *p = xcalloc(1, sizeof(*p));
	struct problems problems = {.arena = &p->arena};
	p->refs = 1;
	p->project = arena_strdup(&p->arena, project);
	struct route *routes = ARENA_ARRAY(&p->arena, struct route, n);
	for (size_t i = 0; i < n; i++)
		routes[i] = way_route(&p->arena, p->project, &ways[i]);
	p->routes = routes;
	p->nroutes = n;
	traefik_renderer.render(p, settings, &p->arena, &p->fragment[TRAEFIK_OUTPUT], &problems);
	p->problems = problems.list;
	p->nproblems = problems.n;
	return p;
}

#define PLAN(settings, project, ...)                                                               \
	world_plan((settings), (project), (const struct way[]){__VA_ARGS__},                       \
		sizeof((const struct way[]){__VA_ARGS__}) / sizeof(struct way))

/* The snapshot after s (which is unreferenced) with that plan (likewise; NULL: without it). */
static inline struct snapshot *
world_next(struct snapshot *s, const char *project, struct project_plan *plan)
{
	struct snapshot_change change = {project, plan};
	struct snapshot *next = snapshot_next(s, &change, 1);
	project_plan_unref(plan);
	snapshot_unref(s);
	return next;
}

#endif
