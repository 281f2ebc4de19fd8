/* plan.h - the vocabulary of a snapshot: what one project should be.
 *
 * A project plan is a value: made by plan_project, never changed, shared by counting.  It holds the
 * project's routes with their servers, its problems, and what each output rendered of it.  Pure.
 */
#ifndef RECONCILER_MODEL_PLAN_H
#define RECONCILER_MODEL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/model/problem.h"

enum route_kind { ROUTE_PRODUCTION, ROUTE_PREVIEW, ROUTE_SLOT, ROUTE_STATIC };

enum server_state {
	SERVER_SERVING,
	SERVER_STARTING, /* runs, and is not ready yet */
	SERVER_DRAINING, /* told to stop; takes no new requests while another serves */
	SERVER_UNHEALTHY,
	SERVER_PAUSED,
	SERVER_WITHHELD, /* its address may be another's by now */
	SERVER_STANDBY, /* ready, in a slot that is not active */
	SERVER_BROKEN, /* port or address unknown: see the problems */
};

struct server {
	const char *url; /* "http://172.17.0.2:80"; NULL where it cannot be told */
	const char *container; /* name; NULL for static upstreams */
	const char *container_id;
	const char *engine;
	const char *health; /* "healthy", "starting", "unhealthy", "none", "ready", "refused", … */
	enum server_state state;
	bool routed; /* does it get requests? */
};

/* One host and path.  Servers are sorted by URL, those that are routed first. */
struct route {
	const char *host;
	const char *path; /* "" or "/api" */
	enum route_kind kind;
	const char *project;
	const char *environment;
	const char *branch; /* "" where none */
	const char *service; /* "" where none */
	const char *slot; /* the active one; "" where none */
	bool strip; /* take the path off before the upstream sees it */
	bool sticky;
	bool held; /* its last container has gone; the claim is kept for a while */
	size_t nservers;
	const struct server *servers;
	size_t nrouted; /* how many of them, from the front, get requests */
};

/* What an output made of one project plan: sections of text that are joined with commas. */
#define FRAGMENT_SECTIONS 3
#define PLAN_OUTPUTS 1 /* Traefik; Caddy and DNS have files and record sets instead */

struct fragment {
	struct {
		const char *p;
		size_t n;
	} section[FRAGMENT_SECTIONS];
};

struct project_plan {
	unsigned refs;
	struct arena arena;
	const char *project;
	uint64_t revision; /* the snapshot in which it last changed */
	size_t nroutes; /* sorted by host, then path, longest first */
	const struct route *routes;
	size_t nproblems;
	struct problem *problems; /* sorted */
	struct fragment fragment[PLAN_OUTPUTS];
};

const char *route_kind_text(enum route_kind kind);
const char *server_state_text(enum server_state state);

struct project_plan *project_plan_ref(const struct project_plan *p);
struct project_plan *project_plan_unref(const struct project_plan *p);

/* Do both say the same?  (Their revisions do not count.) */
bool project_plan_equal(const struct project_plan *a, const struct project_plan *b);

#endif
