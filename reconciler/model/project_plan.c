#include "reconciler/model/project_plan.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/text.h"

/* A plan while it is being made. */
struct maker {
	const struct settings *settings;
	const struct ledger *ledger;
	struct project_plan *plan;
	struct arena *arena;
	struct problems problems;
	struct route *routes;
	size_t nroutes;
	/* Who holds which claim, sorted by claim. */
	struct holding {
		const struct ledger_claim *claim;
		const struct member *member;
		const struct convention_origin *from;
	} * holdings;
	size_t nholdings;
};

static bool
slot_is_ready(const struct settings *s, const struct member *members, const struct group *g,
	const char *slot)
{
	for (const struct member *m = members; m; m = m->next)
		if (strcmp(m->slot, slot) == 0 && group_equal(&m->group, g) && m->nclaims &&
			!m->endpoint->leaving && member_state(m, s) == SERVER_SERVING)
			return true;
	return false;
}

/* The ready slot whose name comes first; NULL where none is ready. */
static const char *
slot_first_ready(const struct settings *s, const struct member *members, const struct group *g)
{
	const char *first = NULL;
	for (const struct member *m = members; m; m = m->next)
		if (group_equal(&m->group, g) && (!first || strcmp(m->slot, first) < 0) &&
			slot_is_ready(s, members, g, m->slot))
			first = m->slot;
	return first;
}

void
project_choose_slots(const struct settings *s, struct ledger *l, const struct member *members)
{
	for (const struct member *m = members; m; m = m->next) {
		const char *active = ledger_active(l, &m->group);
		if (!active && !*m->slot)
			continue;
		if (active && slot_is_ready(s, members, &m->group, active))
			continue;
		const char *next = slot_first_ready(s, members, &m->group);
		if (next)
			ledger_set_active(l, &m->group, next);
	}
}

static int
holding_compare(const void *a, const void *b)
{
	const struct holding *x = a, *y = b;
	return (x->claim > y->claim) - (x->claim < y->claim);
}

static void
collect_holdings(struct maker *k, const struct member *members)
{
	size_t n = 0;
	for (const struct member *m = members; m; m = m->next)
		n += m->nclaims;
	k->holdings = xmalloc(n * sizeof(*k->holdings));
	for (const struct member *m = members; m; m = m->next)
		for (size_t i = 0; i < m->nclaims; i++)
			k->holdings[k->nholdings++] =
				(struct holding){m->claim[i].claim, m, &m->claim[i].from};
	if (n)
		qsort(k->holdings, n, sizeof(*k->holdings), holding_compare);
}

/* The holdings of one claim stand side by side. */
static const struct holding *
holdings_of(const struct maker *k, const struct ledger_claim *c, size_t *ret_n)
{
	size_t low = 0, high = k->nholdings;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (k->holdings[mid].claim < c)
			low = mid + 1;
		else
			high = mid;
	}
	size_t end = low;
	while (end < k->nholdings && k->holdings[end].claim == c)
		end++;
	*ret_n = end - low;
	return k->holdings + low;
}

static void
complain(struct maker *k, enum problem_code code, const struct member *m, const char *field,
	const char *host, const char *what, const char *remedy)
{
	problem_add(&k->problems, &(struct problem){.code = code,
					  .object = member_object(k->arena, m->endpoint),
					  .field = field,
					  .what = what,
					  .remedy = remedy,
					  .project = k->plan->project,
					  .host = host});
}

static const struct settings_static *
static_find(const struct settings *s, const char *host)
{
	for (size_t i = 0; i < s->nstatics; i++)
		if (strcmp(s->statics[i].host, host) == 0)
			return &s->statics[i];
	return NULL;
}

static const char *
group_text(struct arena *a, const struct group *g)
{
	return arena_printf(a, "project %s, environment %s%s%s%s%s", text_quote(a, g->project),
		g->environment, *g->branch ? ", branch " : "",
		*g->branch ? text_quote(a, g->branch) : "", *g->service ? ", service " : "",
		*g->service ? text_quote(a, g->service) : "");
}

/* The claim lost: each container that made it hears of it. */
static void
complain_taken(struct maker *k, const struct ledger_claim *c, const struct ledger_claim *owner)
{
	size_t n;
	const struct holding *h = holdings_of(k, c, &n);
	const char *what =
		owner ? arena_printf(k->arena, "%s%s belongs to %s, which claimed it first",
				c->host, c->path, group_text(k->arena, &owner->group))
		      : arena_printf(
				k->arena, "%s is a static route of the configuration", c->host);

	for (size_t i = 0; i < n; i++)
		complain(k, PROBLEM_HOST_TAKEN, h[i].member,
			h[i].from->kind ? origin_text(k->arena, h[i].from) : NULL, c->host, what,
			"choose another host or path; it goes to this container by itself when the "
			"owner gives it up");
}

static enum server_state
server_state_of(const struct maker *k, const struct member *m, bool in_active_slot)
{
	enum server_state state = member_state(m, k->settings);

	if (state != SERVER_SERVING)
		return state;
	if (!in_active_slot)
		return SERVER_STANDBY;
	return m->endpoint->leaving ? SERVER_DRAINING : SERVER_SERVING;
}

static int
server_compare(const void *a, const void *b)
{
	const struct server *x = a, *y = b;
	int order = y->routed - x->routed;

	if (!order)
		order = text_compare(x->url, y->url);
	if (!order)
		order = text_compare(x->container_id, y->container_id);
	return order ? order : text_compare(x->engine, y->engine);
}

/* Who serves gets the requests; where nobody does, those that are leaving still can. */
static size_t
servers_choose(struct server *servers, size_t n)
{
	enum server_state wanted = SERVER_DRAINING;
	size_t routed = 0;

	for (size_t i = 0; i < n; i++)
		if (servers[i].state == SERVER_SERVING)
			wanted = SERVER_SERVING;
	for (size_t i = 0; i < n; i++)
		routed += servers[i].routed = servers[i].state == wanted;
	if (n)
		qsort(servers, n, sizeof(*servers), server_compare);
	return routed;
}

static struct server
server_make(struct maker *k, const struct member *m, bool in_active_slot)
{
	return (struct server){
		.url = arena_strdup(k->arena, m->url),
		.container = arena_strdup(k->arena, m->endpoint->name),
		.container_id = arena_strdup(k->arena, m->endpoint->id),
		.engine = arena_strdup(k->arena, m->endpoint->engine),
		.health = member_health_text(m, k->settings),
		.state = server_state_of(k, m, in_active_slot),
	};
}

/* The slot that a claim's requests go to: a slot's own URL goes there, a shared one to the active
 * slot; NULL where the group has slots and none of them was ever ready. */
static const char *
claim_slot(const struct maker *k, const struct ledger_claim *c, const struct holding *h, size_t n)
{
	if (*c->slot)
		return c->slot;
	const char *active = ledger_active(k->ledger, &c->group);
	for (size_t i = 0; i < n && !active; i++)
		if (*h[i].member->slot)
			return NULL;
	return active ? active : "";
}

static void
complain_no_servers(struct maker *k, const struct route *r)
{
	problem_add(&k->problems,
		&(struct problem){
			.code = PROBLEM_NO_SERVERS,
			.object = arena_printf(k->arena, "host %s%s", r->host, r->path),
			.what = r->held ? "its last container has gone; it answers 503 for a "
					  "while, "
					  "then 404"
					: "no container of it is ready; it answers 503",
			.remedy = r->held ? "start a container for it, if it is to stay"
					  : "see what its containers wait for",
			.project = k->plan->project,
			.host = r->host,
		});
}

static void
route_add(struct maker *k, const struct ledger_claim *c)
{
	size_t n;
	const struct holding *h = holdings_of(k, c, &n);
	const char *slot = claim_slot(k, c, h, n);
	struct server *servers = ARENA_ARRAY(k->arena, struct server, n);
	struct route *r = &k->routes[k->nroutes++];

	*r = (struct route){
		.host = arena_strdup(k->arena, c->host),
		.path = arena_strdup(k->arena, c->path),
		.kind = c->kind,
		.project = k->plan->project,
		.environment = arena_strdup(k->arena, c->group.environment),
		.branch = arena_strdup(k->arena, c->group.branch),
		.service = arena_strdup(k->arena, c->group.service),
		.slot = slot ? arena_strdup(k->arena, slot) : "",
		.held = n == 0,
		.nservers = n,
		.servers = servers,
	};
	for (size_t i = 0; i < n; i++) {
		const struct member *m = h[i].member;
		servers[i] = server_make(k, m, slot && strcmp(m->slot, slot) == 0);
		r->strip = r->strip || m->strip;
		r->sticky = r->sticky || m->sticky;
	}
	r->nrouted = servers_choose(servers, n);
	if (!r->nrouted)
		complain_no_servers(k, r);
}

static void
add_routes(struct maker *k)
{
	const struct ledger_claim *claims = ledger_project(k->ledger, k->plan->project);
	size_t n = 0;

	for (const struct ledger_claim *c = claims; c; c = c->project_next)
		n++;
	k->routes = ARENA_ARRAY(k->arena, struct route, n);
	for (const struct ledger_claim *c = claims; c; c = c->project_next) {
		const struct ledger_claim *owner = ledger_owner(k->ledger, c->host, c->path);
		if (static_find(k->settings, c->host))
			complain_taken(k, c, NULL);
		else if (owner == c)
			route_add(k, c);
		else
			complain_taken(k, c, owner ? owner : ledger_host_owner(k->ledger, c->host));
	}
}

static void
add_member_problems(struct maker *k, const struct member *m)
{
	static const struct {
		enum problem_code code;
		const char *what, *remedy;
	} by_state[] = {
		[SERVER_UNHEALTHY] = {PROBLEM_UNHEALTHY, "its health check fails",
			"see the container's log; it gets traffic when it is healthy"},
		[SERVER_WITHHELD] = {PROBLEM_ADDRESS_SHARED,
			"its address may belong to another container by now",
			"wait for the engine to tell; restart the container if this stays"},
	};

	for (size_t i = 0; i < m->problems.n; i++)
		problem_add(&k->problems, &m->problems.list[i]);

	enum server_state state = member_state(m, k->settings);
	if (state < sizeof(by_state) / sizeof(*by_state) && by_state[state].what)
		complain(k, by_state[state].code, m, NULL, NULL, by_state[state].what,
			by_state[state].remedy);
	if (!member_wants_probe(m, k->settings))
		return;
	if (m->ready == READY_NO)
		complain(k, PROBLEM_NOT_READY, m, NULL, NULL,
			arena_printf(k->arena, "nothing accepts connections at %s", m->url),
			"check that it listens on that port and on all addresses, not on 127.0.0.1 "
			"alone");
	if (m->ready == READY_CANNOT_TELL)
		complain(k, PROBLEM_UNREACHABLE, m, NULL, NULL,
			arena_printf(k->arena, "%s cannot be reached from here", m->url),
			"join Waymark to that network, or set `probe.default: none`");
}

static int
route_compare(const void *a, const void *b)
{
	const struct route *x = a, *y = b;
	int order = strcmp(x->host, y->host);
	size_t nx = strlen(x->path), ny = strlen(y->path);

	if (!order)
		order = (nx < ny) - (nx > ny);
	return order ? order : strcmp(x->path, y->path);
}

static int
problem_order(const void *a, const void *b)
{
	return problem_compare(a, b);
}

static void
add_static(struct maker *k, const struct settings_static *st)
{
	struct server *servers = ARENA_ARRAY(k->arena, struct server, st->nupstreams);

	for (size_t i = 0; i < st->nupstreams; i++)
		servers[i] = (struct server){
			.url = arena_strdup(k->arena, st->upstreams[i]),
			.health = "none",
			.state = SERVER_SERVING,
		};
	k->routes[k->nroutes++] = (struct route){
		.host = arena_strdup(k->arena, st->host),
		.path = "",
		.kind = ROUTE_STATIC,
		.project = k->plan->project,
		.environment = "",
		.branch = "",
		.service = "",
		.slot = "",
		.nservers = st->nupstreams,
		.servers = servers,
		.nrouted = servers_choose(servers, st->nupstreams),
	};
}

static void
add_statics(struct maker *k)
{
	k->routes = ARENA_ARRAY(k->arena, struct route, k->settings->nstatics);
	for (size_t i = 0; i < k->settings->nstatics; i++)
		add_static(k, &k->settings->statics[i]);
}

/* Sorted, so that the same world gives the same bytes whatever order it was seen in. */
static void
plan_seal(struct maker *k, const struct renderer *const renderers[PLAN_OUTPUTS])
{
	struct project_plan *p = k->plan;

	if (k->nroutes)
		qsort(k->routes, k->nroutes, sizeof(*k->routes), route_compare);
	p->nroutes = k->nroutes;
	p->routes = k->routes;
	for (size_t o = 0; o < PLAN_OUTPUTS; o++)
		if (renderers[o])
			renderers[o]->render(
				p, k->settings, k->arena, &p->fragment[o], &k->problems);
	if (k->problems.n)
		qsort(k->problems.list, k->problems.n, sizeof(struct problem), problem_order);
	p->nproblems = k->problems.n;
	p->problems = k->problems.list;
}

struct project_plan *
project_plan_make(const struct settings *s, const struct ledger *l, const char *project,
	const struct member *members, const struct renderer *const renderers[PLAN_OUTPUTS])
{
	struct project_plan *plan = xcalloc(1, sizeof(*plan));
	struct maker k = {.settings = s,
		.ledger = l,
		.plan = plan,
		.arena = &plan->arena,
		.problems = {.arena = &plan->arena}};

	plan->refs = 1;
	plan->project = arena_strdup(k.arena, project);
	if (strcmp(project, PROJECT_STATIC) == 0) {
		add_statics(&k);
	} else {
		collect_holdings(&k, members);
		add_routes(&k);
		for (const struct member *m = members; m; m = m->next)
			add_member_problems(&k, m);
		free(k.holdings);
	}
	plan_seal(&k, renderers);
	return plan;
}

static bool
server_equal(const struct server *a, const struct server *b)
{
	return a->state == b->state && a->routed == b->routed &&
	       text_compare(a->url, b->url) == 0 && text_compare(a->health, b->health) == 0 &&
	       text_compare(a->container, b->container) == 0 &&
	       text_compare(a->container_id, b->container_id) == 0 &&
	       text_compare(a->engine, b->engine) == 0;
}

static bool
route_equal(const struct route *a, const struct route *b)
{
	if (a->kind != b->kind || a->strip != b->strip || a->sticky != b->sticky ||
		a->held != b->held || a->nservers != b->nservers || a->nrouted != b->nrouted ||
		strcmp(a->host, b->host) || strcmp(a->path, b->path) ||
		strcmp(a->environment, b->environment) || strcmp(a->branch, b->branch) ||
		strcmp(a->service, b->service) || strcmp(a->slot, b->slot))
		return false;
	for (size_t i = 0; i < a->nservers; i++)
		if (!server_equal(&a->servers[i], &b->servers[i]))
			return false;
	return true;
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

bool
project_plan_equal(const struct project_plan *a, const struct project_plan *b)
{
	if (a->nroutes != b->nroutes || a->nproblems != b->nproblems)
		return false;
	for (size_t i = 0; i < a->nroutes; i++)
		if (!route_equal(&a->routes[i], &b->routes[i]))
			return false;
	for (size_t i = 0; i < a->nproblems; i++)
		if (problem_compare(&a->problems[i], &b->problems[i]) != 0)
			return false;
	for (size_t o = 0; o < PLAN_OUTPUTS; o++)
		if (!fragment_equal(&a->fragment[o], &b->fragment[o]))
			return false;
	return true;
}
