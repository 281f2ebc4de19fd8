/* A project's routes: who serves a claim, and what a visitor gets where nobody does. */
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/text.h"
#include "reconciler/model/project_plan_inside.h"

static int
server_compare(const void *a, const void *b)
{
	const struct server *x = a, *y = b;
	int order = y->routed - x->routed;

	if (!order && x->routed)
		order = text_compare(x->slot, y->slot);
	if (!order)
		order = text_compare(x->url, y->url);
	if (!order)
		order = text_compare(x->container_id, y->container_id);
	return order ? order : text_compare(x->engine, y->engine);
}

/* Who serves gets the requests; where nobody does, those that are leaving still can. */
size_t
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

/* How well a deployment could serve: ready, ready and about to leave, not ready. */
static int
member_fitness(const struct maker *k, const struct member *m)
{
	if (member_state(m, k->settings) != SERVER_SERVING)
		return 0;
	return m->endpoint->leaving ? 1 : 2;
}

/* "shop-42" is newer than "shop-9". */
static int
name_newer(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b);

	return x != y ? (x > y ? 1 : -1) : strcmp(a, b);
}

/* 0: they are one deployment. */
static int
member_newer(const struct member *a, const struct member *b)
{
	int order = (a->deployed_ms > b->deployed_ms) - (a->deployed_ms < b->deployed_ms);

	if (!order)
		order = name_newer(a->slot, b->slot);
	return order ? order : name_newer(a->deployment, b->deployment);
}

/* A claim while it becomes a route. */
struct taking {
	const struct ledger_claim *claim;
	const struct holding *holdings;
	size_t n;
	const struct registered_environment *e; /* NULL: not registered */
	const struct member *newest; /* whose deployment takes the traffic; NULL: a slot does */
	const char *slot; /* which does; NULL: none was ever ready */
	bool shared; /* slots share it by weight */
	bool over; /* it is the URL of a slot that is over */
	bool expired; /* it is a preview, and its time is over */
};

/* Where deployments supersede each other: the newest of those that can serve best; NULL where they
 * do not, and where what is no deployment can serve and none of them. */
static const struct member *
claim_newest(const struct maker *k, const struct taking *t)
{
	const struct member *best = NULL;
	int other = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct member *m = t->holdings[i].member;
		if (!m->supersedes) {
			other = member_fitness(k, m) > other ? member_fitness(k, m) : other;
			continue;
		}
		int order = best ? member_fitness(k, m) - member_fitness(k, best) : 1;
		if (order > 0 || (order == 0 && member_newer(m, best) > 0))
			best = m;
	}
	return best && !member_fitness(k, best) && other ? NULL : best;
}

/* The slot that a claim's requests go to: a slot's own URL goes there, a shared one to the active
 * slot; NULL where the group has slots and none of them was ever ready. */
static const char *
claim_slot(const struct maker *k, const struct taking *t)
{
	const struct ledger_claim *c = t->claim;

	if (*c->slot)
		return c->slot;
	const char *active = ledger_active(k->ledger, &c->group);
	for (size_t i = 0; i < t->n && !active; i++)
		if (member_has_slot(t->holdings[i].member))
			return NULL;
	return active ? active : "";
}

static unsigned
slot_weight(const struct taking *t, const char *slot)
{
	const struct registered_slot *s = t->e ? registered_slot_find(t->e, slot) : NULL;
	return s ? s->weight : 0;
}

/* Has the registry weights for it, and a slot that has one a container that is fit? */
static bool
is_shared(const struct maker *k, const struct taking *t)
{
	if (!t->e || !t->e->weighted || *t->claim->slot)
		return false;
	for (size_t i = 0; i < t->n; i++) {
		const struct member *m = t->holdings[i].member;
		if (slot_weight(t, m->slot) && member_is_fit(k->view, m))
			return true;
	}
	return false;
}

/* -- previews -- */

static int
branch_compare(const void *a, const void *b)
{
	const struct branch_age *x = a, *y = b;
	int order = strcmp(x->environment, y->environment);

	return order ? order : strcmp(x->branch, y->branch);
}

/* Of equal ones the newest comes first, and stays. */
static int
branch_compare_age(const void *a, const void *b)
{
	const struct branch_age *x = a, *y = b;
	int order = branch_compare(a, b);

	return order ? order : (x->newest_ms < y->newest_ms) - (x->newest_ms > y->newest_ms);
}

static bool
has_end(const struct maker *k)
{
	const struct registered_project *p = registrar_project(k->view->registrar, k->view->name);

	for (size_t i = 0; p && i < p->nenvironments; i++)
		if (p->environments[i].expires_ms)
			return true;
	return false;
}

void
branches_make(struct maker *k)
{
	size_t n = 0, all = 0;

	if (!has_end(k))
		return;
	for (const struct member *m = k->view->members; m; m = m->next)
		all += *m->group.branch != '\0';
	k->branches = xmalloc(all * sizeof(*k->branches));
	for (const struct member *m = k->view->members; m; m = m->next) {
		int64_t created = m->endpoint->created;
		if (*m->group.branch)
			k->branches[n++] = (struct branch_age){m->group.environment,
				m->group.branch, created > 0 ? (uint64_t)created * 1000 : 0};
	}
	if (n)
		qsort(k->branches, n, sizeof(*k->branches), branch_compare_age);
	for (size_t i = 0; i < n; i++)
		if (!i || branch_compare(&k->branches[k->nbranches - 1], &k->branches[i]) != 0)
			k->branches[k->nbranches++] = k->branches[i];
}

/* A preview lives for a time after the newest container of its branch was made, of whatever
 * service. */
static bool
is_expired(struct maker *k, const struct taking *t)
{
	const struct group *g = &t->claim->group;
	const struct registered_project *p = registrar_project(k->view->registrar, k->view->name);
	const struct registered_environment *e =
		p && *g->branch ? registered_environment_find(p, g->environment) : NULL;
	const struct branch_age key = {g->environment, g->branch, 0}, *age;

	if (!e || !e->expires_ms || !t->n)
		return false;
	age = bsearch(&key, k->branches, k->nbranches, sizeof(key), branch_compare);
	if (!age || !age->newest_ms)
		return false;
	plan_due(k, age->newest_ms + e->expires_ms);
	return age->newest_ms + e->expires_ms <= k->view->now_ms;
}

/* -- */

static struct taking
claim_take(struct maker *k, const struct ledger_claim *c)
{
	struct taking t = {.claim = c, .e = slot_environment(k->view, &c->group)};
	const struct plan_slot *own = plan_slot_find(k, c->group.environment, c->slot);

	t.holdings = holdings_of(k, c, &t.n);
	t.newest = claim_newest(k, &t);
	t.slot = t.newest ? t.newest->slot : claim_slot(k, &t);
	t.shared = !t.newest && is_shared(k, &t);
	t.over = *c->slot && !t.newest && !*c->group.branch && own && plan_slot_is_over(own);
	t.expired = is_expired(k, &t);
	return t;
}

/* Does the claim's traffic go where this container is? */
static bool
is_chosen(const struct taking *t, const struct member *m)
{
	if (t->newest)
		return m->supersedes && member_newer(m, t->newest) == 0;
	if (t->shared)
		return slot_weight(t, m->slot) > 0;
	return t->slot && !t->over && strcmp(m->slot, t->slot) == 0;
}

static enum server_state
server_state_of(const struct maker *k, const struct taking *t, const struct member *m)
{
	enum server_state state = member_state(m, k->settings);

	if (state != SERVER_SERVING)
		return state;
	if (t->expired)
		return SERVER_EXPIRED;
	if (!is_chosen(t, m))
		return SERVER_STANDBY;
	return m->endpoint->leaving ? SERVER_DRAINING : SERVER_SERVING;
}

static struct server
server_make(const struct maker *k, const struct taking *t, const struct member *m)
{
	return (struct server){
		.url = arena_strdup(k->arena, m->url),
		.container = arena_strdup(k->arena, m->endpoint->name),
		.container_id = arena_strdup(k->arena, m->endpoint->id),
		.engine = arena_strdup(k->arena, m->endpoint->engine),
		.slot = member_has_slot(m) ? arena_strdup(k->arena, m->slot) : "",
		.health = member_health_text(m, k->settings),
		.state = server_state_of(k, t, m),
	};
}

/* Runs of one slot among those that are routed. */
static void
shares_make(struct maker *k, const struct taking *t, struct route *r)
{
	struct route_share *shares = ARENA_ARRAY(k->arena, struct route_share, r->nrouted);
	size_t n = 0;

	for (size_t i = 0; i < r->nrouted; i++) {
		const char *slot = r->servers[i].slot;
		if (!n || strcmp(shares[n - 1].slot, slot) != 0)
			shares[n++] = (struct route_share){slot, slot_weight(t, slot), i, 0};
		shares[n - 1].n++;
	}
	r->nshares = n > 1 ? n : 0;
	r->shares = shares;
}

/* -- nobody serves -- */

static bool
has_state(const struct route *r, enum server_state state)
{
	for (size_t i = 0; i < r->nservers; i++)
		if (r->servers[i].state == state)
			return true;
	return false;
}

static enum route_answer
answer_of(const struct taking *t, const struct route *r)
{
	static const enum server_state hopeful[] = {SERVER_STARTING, SERVER_PAUSED, SERVER_WITHHELD,
		SERVER_STANDBY, SERVER_DAMPED, SERVER_DRAINING};

	if (r->nrouted)
		return ANSWER_SERVED;
	if (t->expired)
		return ANSWER_GONE;
	for (size_t i = 0; i < sizeof(hopeful) / sizeof(*hopeful) && !t->over; i++)
		if (has_state(r, hopeful[i]))
			return ANSWER_STARTING;
	return r->held ? ANSWER_STARTING : ANSWER_DOWN;
}

/* What is wrong with a route that nothing serves, and what to do. */
static const char *
why_no_servers(struct arena *a, const struct route *r, const char **ret_remedy)
{
	*ret_remedy = "start a container for it, if it is to stay";
	if (!r->nservers)
		return r->held ? "its last container has gone; it answers 503 for a while, then 404"
			       : "it is registered, and no container of it runs; it answers 503";
	*ret_remedy = "see what its containers wait for";
	if (!has_state(r, SERVER_STANDBY) || !*r->slot)
		return "no container of it is ready; it answers 503";
	*ret_remedy =
		"see to the active slot's container, give it the slot's label (waymark.slot), or "
		"make the other slot active";
	return arena_printf(a,
		"a container of it is ready, and none in slot %s, which is active; it answers 503",
		r->slot);
}

static void
complain_no_servers(struct maker *k, const struct route *r)
{
	const char *remedy, *what = why_no_servers(k->arena, r, &remedy);
	enum problem_code code = PROBLEM_NO_SERVERS;

	if (r->answer == ANSWER_GONE) {
		code = PROBLEM_PREVIEW_EXPIRED;
		what = "the preview's time is over; it answers 410";
		remedy = "remove its containers, or deploy the branch again";
	}
	problem_add(&k->problems,
		&(struct problem){
			.code = code,
			.object = arena_printf(k->arena, "host %s%s", r->host, r->path),
			.what = what,
			.remedy = remedy,
			.project = k->plan->project,
			.host = r->host,
		});
}

/* -- */

/* What the registry says of the whole environment, previews' too. */
static void
route_configure(struct maker *k, const struct ledger_claim *c, struct route *r)
{
	const struct registered_project *p = registrar_project(k->view->registrar, k->view->name);
	const struct registered_environment *e =
		p ? registered_environment_find(p, c->group.environment) : NULL;

	r->guarded = c->kind == ROUTE_PREVIEW || c->kind == ROUTE_SLOT;
	if (!e)
		return;
	r->sticky = r->sticky || e->sticky;
	r->nmiddlewares = e->nmiddlewares;
	r->middlewares = arena_strdups(k->arena, e->middlewares, e->nmiddlewares);
}

static void
route_add_servers(struct maker *k, const struct taking *t, struct route *r)
{
	struct server *servers = ARENA_ARRAY(k->arena, struct server, t->n);

	for (size_t i = 0; i < t->n; i++) {
		const struct member *m = t->holdings[i].member;
		servers[i] = server_make(k, t, m);
		r->strip = r->strip || m->strip;
		r->sticky = r->sticky || m->sticky;
	}
	r->nservers = t->n;
	r->servers = servers;
	r->nrouted = servers_choose(servers, t->n);
	if (t->shared)
		shares_make(k, t, r);
	r->answer = answer_of(t, r);
}

void
route_add(struct maker *k, const struct ledger_claim *c)
{
	const struct taking t = claim_take(k, c);
	struct route *r = &k->routes[k->nroutes++];

	*r = (struct route){
		.host = arena_strdup(k->arena, c->host),
		.path = arena_strdup(k->arena, c->path),
		.kind = c->kind,
		.project = k->plan->project,
		.environment = arena_strdup(k->arena, c->group.environment),
		.branch = arena_strdup(k->arena, c->group.branch),
		.service = arena_strdup(k->arena, c->group.service),
		.slot = t.slot ? arena_strdup(k->arena, t.slot) : "",
		.held = t.n == 0 && !c->entries,
	};
	route_add_servers(k, &t, r);
	route_configure(k, c, r);
	/* A slot that is registered and empty is nothing to mend, nor is one that is over. */
	if (!r->nrouted && !t.over && (t.n || r->held || c->kind != ROUTE_SLOT))
		complain_no_servers(k, r);
}
