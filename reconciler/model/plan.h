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
#include "reconciler/model/registry.h"

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
	SERVER_DAMPED, /* ready, and was so and not so too often of late */
	SERVER_EXPIRED, /* of a preview whose time is over */
};

/* What a visitor of a route gets. */
enum route_answer {
	ANSWER_SERVED, /* the servers' */
	ANSWER_STARTING, /* 503: something is on its way */
	ANSWER_DOWN, /* 503: nothing is there, or all of it fails */
	ANSWER_GONE, /* 410: an expired preview */
};

struct server {
	const char *url; /* "http://172.17.0.2:80"; NULL where it cannot be told */
	const char *container; /* name; NULL for static upstreams */
	const char *container_id;
	const char *engine;
	const char *slot; /* "" where none */
	const char *health; /* "healthy", "starting", "unhealthy", "none", "ready", "refused", … */
	enum server_state state;
	bool routed; /* does it get requests? */
};

/* A share of a route's requests, for the servers of one slot. */
struct route_share {
	const char *slot;
	unsigned weight; /* from 1 on; what counts is its part in the sum */
	size_t first, n; /* in the route's servers */
};

/* One host and path.  Servers are sorted by URL, those that are routed first, by share. */
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
	bool guarded; /* settings->preview stands before it: a preview, or a slot's own URL */
	size_t nmiddlewares; /* the project's, of the proxy's own, in this order */
	const char *const *middlewares; /* "headers@file" */
	enum route_answer answer;
	bool held; /* its last container has gone; the claim is kept for a while */
	size_t nservers;
	const struct server *servers;
	size_t nrouted; /* how many of them, from the front, get requests */
	size_t nshares; /* 0: all who are routed stand in for each other; else at least 2 */
	const struct route_share *shares; /* all that are routed, without gaps */
};

/* How one slot of an environment stands: what the registry says, and what is there. */
struct plan_slot {
	const char *environment;
	const char *slot;
	bool registered; /* the registry says anything of it: what follows */
	enum slot_state state;
	bool active; /* the registry says so of it */
	uint16_t port; /* published; 0: not said */
	uint64_t since_ms;
	uint64_t until_ms; /* with what a grace period stood still while it carried traffic; 0: none
			    */
	const char *id; /* NULL: none */

	bool ended; /* its grace period or reservation is over, and it carries no traffic: it is not
		       routed by its own URL any more */
	bool traffic; /* requests of the environment's hosts go to it */
	bool fallback; /* … for the active one lost all its containers */
	size_t servers; /* containers of it */
	size_t ready; /* those that could serve */
	const char *container; /* the name of one; NULL: none */
};

/* What an output made of one project plan: sections of text that are joined with commas. */
#define FRAGMENT_SECTIONS 3
#define PLAN_OUTPUTS 1 /* Traefik; Caddy and DNS have files and record sets instead */

struct fragment {
	struct {
		const char *p;
		size_t n;
	} section[FRAGMENT_SECTIONS];
	uint64_t digest; /* of the sections; 0 where all are empty */
	unsigned uses; /* a bit for each thing that all fragments share, and that this one names */
};

struct project_plan {
	unsigned refs;
	struct arena arena;
	const char *project;
	uint64_t revision; /* the snapshot in which it last changed */
	uint64_t served_revision; /* … and in which what anybody gets of it did */
	size_t nroutes; /* sorted by host, then path, longest first */
	const struct route *routes;
	size_t nslots; /* sorted by environment, then slot; previews' branches have none */
	const struct plan_slot *slots;
	size_t nproblems;
	struct problem *problems; /* sorted */
	uint64_t due_ms; /* when it is to be planned anew, whatever happens; UINT64_MAX: never */
	struct fragment fragment[PLAN_OUTPUTS];
};

const char *route_kind_text(enum route_kind kind);
const char *server_state_text(enum server_state state);
const char *route_answer_text(enum route_answer answer);

/* What a renderer gives as its fragment's digest. */
uint64_t fragment_digest(const struct fragment *f);

struct project_plan *project_plan_ref(const struct project_plan *p);
struct project_plan *project_plan_unref(const struct project_plan *p);

/* The route that a request for this host (canonical) and path takes: the one with the longest path
 * that the request's starts with, whole segments counted; NULL: none. */
const struct route *project_plan_route(
	const struct project_plan *p, const char *host, const char *path);

/* Do both say the same?  (Their revisions do not count.) */
bool project_plan_equal(const struct project_plan *a, const struct project_plan *b);
/* Do visitors get the same of both?  Who does not serve, slots and problems do not count. */
bool project_plan_serves_equal(const struct project_plan *a, const struct project_plan *b);

#endif
