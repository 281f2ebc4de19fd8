#include "reconciler/model/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "reconciler/base/text.h"

const char *
route_kind_text(enum route_kind kind)
{
	static const char *const text[] = {"production", "preview", "slot", "static"};
	assert(kind < sizeof(text) / sizeof(*text));
	return text[kind];
}

const char *
server_state_text(enum server_state state)
{
	static const char *const text[] = {"serving", "starting", "draining", "unhealthy", "paused",
		"withheld", "standby", "broken", "damped", "expired"};
	assert(state < sizeof(text) / sizeof(*text));
	return text[state];
}

const char *
route_answer_text(enum route_answer answer)
{
	static const char *const text[] = {"served", "starting", "down", "gone"};
	assert(answer < sizeof(text) / sizeof(*text));
	return text[answer];
}

struct project_plan *
project_plan_ref(const struct project_plan *p)
{
	/* The count is the one thing that changes in a value that is shared. */
	union {
		const struct project_plan *shared;
		struct project_plan *counted;
	} u = {.shared = p};
	u.counted->refs++;
	return u.counted;
}

struct project_plan *
project_plan_unref(const struct project_plan *p)
{
	union {
		const struct project_plan *shared;
		struct project_plan *counted;
	} u = {.shared = p};

	if (p && --u.counted->refs == 0) {
		arena_finish(&u.counted->arena);
		free(u.counted);
	}
	return NULL;
}

/* The first route of a host, or where it would stand. */
static size_t
first_of_host(const struct project_plan *p, const char *host)
{
	size_t low = 0, high = p->nroutes;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (strcmp(p->routes[mid].host, host) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
path_is_under(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);
	return strncmp(path, prefix, n) == 0 && (!n || path[n] == '/' || !path[n]);
}

const struct route *
project_plan_route(const struct project_plan *p, const char *host, const char *path)
{
	for (size_t i = first_of_host(p, host); i < p->nroutes; i++) {
		if (strcmp(p->routes[i].host, host))
			break;
		if (path_is_under(path, p->routes[i].path))
			return &p->routes[i];
	}
	return NULL;
}

static bool
server_equal(const struct server *a, const struct server *b)
{
	return a->state == b->state && a->routed == b->routed &&
	       text_compare(a->url, b->url) == 0 && text_compare(a->health, b->health) == 0 &&
	       text_compare(a->container, b->container) == 0 &&
	       text_compare(a->container_id, b->container_id) == 0 &&
	       text_compare(a->engine, b->engine) == 0 && text_compare(a->slot, b->slot) == 0;
}

static bool
share_equal(const struct route_share *a, const struct route_share *b)
{
	return a->weight == b->weight && a->first == b->first && a->n == b->n &&
	       strcmp(a->slot, b->slot) == 0;
}

static bool
route_equal(const struct route *a, const struct route *b)
{
	if (a->kind != b->kind || a->strip != b->strip || a->sticky != b->sticky ||
		a->guarded != b->guarded || a->answer != b->answer || a->held != b->held ||
		a->nmiddlewares != b->nmiddlewares || a->nshares != b->nshares ||
		a->nservers != b->nservers || a->nrouted != b->nrouted ||
		strcmp(a->host, b->host) || strcmp(a->path, b->path) ||
		strcmp(a->environment, b->environment) || strcmp(a->branch, b->branch) ||
		strcmp(a->service, b->service) || strcmp(a->slot, b->slot))
		return false;
	for (size_t i = 0; i < a->nservers; i++)
		if (!server_equal(&a->servers[i], &b->servers[i]))
			return false;
	for (size_t i = 0; i < a->nshares; i++)
		if (!share_equal(&a->shares[i], &b->shares[i]))
			return false;
	for (size_t i = 0; i < a->nmiddlewares; i++)
		if (strcmp(a->middlewares[i], b->middlewares[i]))
			return false;
	return true;
}

static bool
slot_equal(const struct plan_slot *a, const struct plan_slot *b)
{
	return a->registered == b->registered && a->state == b->state && a->active == b->active &&
	       a->port == b->port && a->since_ms == b->since_ms && a->until_ms == b->until_ms &&
	       a->ended == b->ended && a->traffic == b->traffic && a->fallback == b->fallback &&
	       a->servers == b->servers && a->ready == b->ready &&
	       strcmp(a->environment, b->environment) == 0 && strcmp(a->slot, b->slot) == 0 &&
	       text_compare(a->id, b->id) == 0 && text_compare(a->container, b->container) == 0;
}

static bool
fragment_equal(const struct fragment *a, const struct fragment *b)
{
	for (size_t i = 0; i < FRAGMENT_SECTIONS; i++)
		if (a->section[i].n != b->section[i].n ||
			(a->section[i].n &&
				memcmp(a->section[i].p, b->section[i].p, a->section[i].n)))
			return false;
	return true;
}

static bool
fragments_equal(const struct project_plan *a, const struct project_plan *b)
{
	for (size_t o = 0; o < PLAN_OUTPUTS; o++)
		if (!fragment_equal(&a->fragment[o], &b->fragment[o]))
			return false;
	return true;
}

uint64_t
fragment_digest(const struct fragment *f)
{
	struct sha256_ctx c;
	uint8_t digest[SHA256_DIGEST_SIZE];
	uint64_t first;
	size_t size = 0;

	sha256_init(&c);
	for (size_t i = 0; i < FRAGMENT_SECTIONS; i++) {
		uint64_t n = f->section[i].n;
		sha256_update(&c, sizeof(n), (const uint8_t *)&n);
		sha256_update(&c, f->section[i].n, (const uint8_t *)f->section[i].p);
		size += f->section[i].n;
	}
	sha256_digest(&c, sizeof(digest), digest);
	memcpy(&first, digest, sizeof(first));
	return size ? first : 0;
}

bool
project_plan_equal(const struct project_plan *a, const struct project_plan *b)
{
	if (a->nroutes != b->nroutes || a->nslots != b->nslots || a->nproblems != b->nproblems)
		return false;
	for (size_t i = 0; i < a->nroutes; i++)
		if (!route_equal(&a->routes[i], &b->routes[i]))
			return false;
	for (size_t i = 0; i < a->nslots; i++)
		if (!slot_equal(&a->slots[i], &b->slots[i]))
			return false;
	for (size_t i = 0; i < a->nproblems; i++)
		if (problem_compare(&a->problems[i], &b->problems[i]) != 0)
			return false;
	return fragments_equal(a, b);
}

static bool
route_serves_equal(const struct route *a, const struct route *b)
{
	if (a->nrouted != b->nrouted || strcmp(a->host, b->host) || strcmp(a->path, b->path))
		return false;
	for (size_t i = 0; i < a->nrouted; i++) {
		const struct server *x = &a->servers[i], *y = &b->servers[i];
		if (text_compare(x->url, y->url) || text_compare(x->container, y->container) ||
			text_compare(x->container_id, y->container_id) ||
			text_compare(x->slot, y->slot))
			return false;
	}
	return true;
}

/* How a route serves stands in what the outputs made of it. */
bool
project_plan_serves_equal(const struct project_plan *a, const struct project_plan *b)
{
	if (a->nroutes != b->nroutes)
		return false;
	for (size_t i = 0; i < a->nroutes; i++)
		if (!route_serves_equal(&a->routes[i], &b->routes[i]))
			return false;
	return fragments_equal(a, b);
}
