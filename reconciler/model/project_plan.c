#include "reconciler/model/project_plan.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/text.h"
#include "reconciler/model/damping.h"
#include "reconciler/model/project_plan_inside.h"

void
plan_due(struct maker *k, uint64_t due_ms)
{
	if (due_ms > k->view->now_ms && due_ms < k->plan->due_ms)
		k->plan->due_ms = due_ms;
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

const struct holding *
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
configured_static(const struct settings *s, const char *host)
{
	for (size_t i = 0; i < s->nstatics; i++)
		if (strcmp(s->statics[i].host, host) == 0)
			return &s->statics[i];
	return NULL;
}

/* Who says that the host is a static route; NULL where it is none. */
static const char *
static_place(const struct maker *k, const char *host)
{
	const struct registered_static *s = registrar_static(k->view->registrar, host);

	if (configured_static(k->settings, host))
		return "the configuration";
	return s ? s->place : NULL;
}

const char *
group_text(struct arena *a, const struct group *g)
{
	return arena_printf(a, "project %s, environment %s%s%s%s%s", text_quote(a, g->project),
		g->environment, *g->branch ? ", branch " : "",
		*g->branch ? text_quote(a, g->branch) : "", *g->service ? ", service " : "",
		*g->service ? text_quote(a, g->service) : "");
}

/* The registry's own claim lost. */
static void
complain_entry(struct maker *k, const struct ledger_claim *c, const char *what)
{
	const struct registered_project *p = registrar_project(k->view->registrar, k->view->name);
	const struct entitlements *all = k->view->entitled;

	for (size_t i = 0; p && all && i < all->n; i++)
		if ((strcmp(all->list[i].host, c->host) == 0 ||
			    text_compare(all->list[i].suffixed, c->host) == 0) &&
			strcmp(all->list[i].slot, c->slot) == 0)
			problem_add(&k->problems,
				&(struct problem){.code = PROBLEM_HOST_TAKEN,
					.object = p->place,
					.field = all->list[i].field
							 ? all->list[i].field
							 : arena_printf(k->arena, "project %s",
								   text_quote(k->arena, p->name)),
					.what = what,
					.remedy = "take the host out of one of them",
					.project = p->name,
					.host = c->host});
}

/* Why a host that nobody else owns is not the project's. */
static const char *
why_forbidden(struct maker *k, const struct ledger_claim *c)
{
	const char *name = k->view->name;
	const char *owner = ledger_registered(k->ledger, c->host, k->settings->base_domain);

	if (owner && strcmp(owner, name) != 0)
		return arena_printf(k->arena, "%s belongs to project %s in the registry", c->host,
			text_quote(k->arena, owner));
	return arena_printf(k->arena, "%s is under no domain that the registry gives project %s",
		c->host, text_quote(k->arena, name));
}

/* The claim lost: each container that made it hears of it. */
static void
complain_lost(struct maker *k, const struct ledger_claim *c)
{
	const struct ledger_claim *owner = ledger_owner(k->ledger, c->host, c->path);
	const char *place = static_place(k, c->host), *what;
	enum problem_code code = PROBLEM_HOST_TAKEN;
	const char *remedy =
		"choose another host or path; it goes to this container by itself when "
		"the owner gives it up";
	size_t n;
	const struct holding *h = holdings_of(k, c, &n);

	if (!owner)
		owner = ledger_host_owner(k->ledger, c->host);
	if (place) {
		what = arena_printf(k->arena, "%s is a static route of %s", c->host, place);
	} else if (c->rank == CLAIM_FORBIDDEN) {
		code = PROBLEM_HOST_FORBIDDEN;
		what = why_forbidden(k, c);
		remedy = "use a host of the container's own project, or change the registry";
	} else {
		what = arena_printf(k->arena, "%s%s belongs to %s, which %s", c->host, c->path,
			group_text(k->arena, &owner->group),
			owner->rank > c->rank ? "is registered" : "claimed it first");
	}

	for (size_t i = 0; i < n; i++)
		complain(k, code, h[i].member,
			h[i].from->kind ? origin_text(k->arena, h[i].from) : NULL, c->host, what,
			remedy);
	if (c->entries && (place || strcmp(owner->group.project, k->view->name) != 0))
		complain_entry(k, c, what);
}

static void
add_routes(struct maker *k)
{
	const struct ledger_claim *claims = ledger_project(k->ledger, k->plan->project);
	size_t n = 0;

	for (const struct ledger_claim *c = claims; c; c = c->project_next)
		n++;
	k->routes = ARENA_ARRAY(k->arena, struct route, n);
	for (const struct ledger_claim *c = claims; c; c = c->project_next)
		if (static_place(k, c->host) || ledger_owner(k->ledger, c->host, c->path) != c)
			complain_lost(k, c);
		else if (!*c->slot)
			route_add(k, c);
	/* Whether a slot's own URL is routed depends on who has the traffic of the shared ones. */
	slots_make(k);
	for (const struct ledger_claim *c = claims; c; c = c->project_next)
		if (*c->slot && !static_place(k, c->host) &&
			ledger_owner(k->ledger, c->host, c->path) == c)
			route_add(k, c);
}

/* It stays as it is while it is damped, be the container there at the moment or not, for each
 * change would be a snapshot of its own. */
static void
add_flapping_problems(struct maker *k)
{
	for (const struct ledger_damping *d = ledger_project_dampings(k->ledger, k->view->name); d;
		d = d->project_next)
		if (!d->over)
			problem_add(&k->problems,
				&(struct problem){.code = PROBLEM_FLAPPING,
					.object = arena_printf(k->arena, "container %s on %s",
						d->container, d->engine),
					.what = damping_text(k->arena, d),
					.remedy = "see why it ends, or why its health check fails, "
						  "in its log",
					.project = k->plan->project});
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
	if (m->ready == READY_NO || m->ready == READY_CANNOT_TELL) {
		const char *remedy, *what = member_probe_fault(k->arena, m, &remedy);
		complain(k, m->ready == READY_NO ? PROBLEM_NOT_READY : PROBLEM_UNREACHABLE, m, NULL,
			NULL, what, remedy);
	}
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
			.slot = "",
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
		.answer = st->nupstreams ? ANSWER_SERVED : ANSWER_DOWN,
		.nservers = st->nupstreams,
		.servers = servers,
		.nrouted = servers_choose(servers, st->nupstreams),
	};
}

static void
complain_duplicate(
	struct maker *k, const char *place, const char *field, const char *host, const char *other)
{
	problem_add(&k->problems,
		&(struct problem){
			.code = PROBLEM_REGISTRY_DUPLICATE,
			.object = place,
			.field = field,
			.what = arena_printf(k->arena, "it stands in %s, too, which counts", other),
			.remedy = "take it out of one of them",
			.project = k->plan->project,
			.host = host,
		});
}

static void
count_static(void *arg, const struct registered_static *s)
{
	size_t *n = arg;
	(void)s;
	++*n;
}

static void
add_registered_static(void *arg, const struct registered_static *s)
{
	struct maker *k = arg;
	const struct registered_static *rival =
		registrar_static_rival(k->view->registrar, s->route.host);
	const char *field = arena_printf(k->arena, "static route %s", s->route.host);

	if (configured_static(k->settings, s->route.host))
		complain_duplicate(k, s->place, field, s->route.host, "the configuration");
	else
		add_static(k, &s->route);
	if (rival)
		complain_duplicate(k, rival->place, field, s->route.host, s->place);
}

static void
add_statics(struct maker *k)
{
	size_t n = k->settings->nstatics;

	registrar_each_static(k->view->registrar, count_static, &n);
	k->routes = ARENA_ARRAY(k->arena, struct route, n);
	for (size_t i = 0; i < k->settings->nstatics; i++)
		add_static(k, &k->settings->statics[i]);
	registrar_each_static(k->view->registrar, add_registered_static, k);
}

/* What is wrong with its entry, or keeps it from being followed. */
static void
add_entry_problems(struct maker *k)
{
	const struct entitlements *all = k->view->entitled;
	const struct registered_project *p = registrar_project(k->view->registrar, k->view->name);
	const struct registered_project *rival = registrar_rival(k->view->registrar, k->view->name);

	for (size_t i = 0; all && i < all->problems.n; i++)
		problem_add(&k->problems, &all->problems.list[i]);
	if (rival)
		complain_duplicate(k, rival->place,
			arena_printf(k->arena, "project %s", text_quote(k->arena, p->name)), NULL,
			p->place);
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
	p->nslots = k->nslots;
	p->slots = k->slots;
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
project_plan_make(
	const struct project_view *v, const struct renderer *const renderers[PLAN_OUTPUTS])
{
	struct project_plan *plan = xcalloc(1, sizeof(*plan));
	struct maker k = {.view = v,
		.settings = v->settings,
		.ledger = v->ledger,
		.plan = plan,
		.arena = &plan->arena,
		.problems = {.arena = &plan->arena}};

	plan->refs = 1;
	plan->due_ms = UINT64_MAX;
	plan->project = arena_strdup(k.arena, v->name);
	if (strcmp(v->name, PROJECT_STATIC) == 0) {
		add_statics(&k);
	} else {
		collect_holdings(&k, v->members);
		branches_make(&k);
		add_routes(&k);
		for (const struct member *m = v->members; m; m = m->next)
			add_member_problems(&k, m);
		add_flapping_problems(&k);
		add_entry_problems(&k);
		add_slot_problems(&k);
		free(k.holdings);
		free(k.branches);
	}
	plan_seal(&k, renderers);
	return plan;
}
