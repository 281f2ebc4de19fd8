/* The property that keeps the incremental planner honest: after any sequence of events its snapshot
 * equals, byte for byte, the one that is built from nothing with the same ledger; and what one look
 * saw counts the same in whatever order it was listed.
 *
 *	test_property [SEQUENCES [SEED]]
 *
 * prints its seed; a failing sequence is shrunk to the events that matter and printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/model/convention.h"
#include "reconciler/model/entitlement.h"
#include "reconciler/model/host.h"
#include "tests/unit/world.h"

#define BOXES 10
#define EVENTS 40

enum event_kind {
	PUT,
	REMOVE,
	READY,
	LEAVE,
	STEP,
	LATER,
	RELOAD,
	REGISTER,
	UNREGISTER,
	STATIC,
	SWING,
	CLOCK,
	EVENT_KINDS
};

struct event {
	enum event_kind kind;
	unsigned box; /* which container */
	unsigned seed; /* what it becomes */
};

#define KINDS_OF_SETTINGS 4

/* The truth that both planners are told of. */
struct truth {
	struct endpoint *endpoint[BOXES];
	enum readiness ready[BOXES];
	const struct settings *settings;
};

static const struct renderer *const renderers[PLAN_OUTPUTS] = {&traefik_renderer};

static unsigned
next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static const char *
pick(unsigned *seed, const char *const *from, size_t n)
{
	return from[next_random(seed) % n];
}

#define PICK(seed, ...)                                                                            \
	pick((seed), (const char *const[]){__VA_ARGS__},                                           \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void
box_label(struct box *b, const char *name, const char *value)
{
	size_t i = 0;
	while (b->labels[i])
		i += 2;
	if (!value || i + 2 >= 16)
		return;
	b->labels[i] = name;
	b->labels[i + 1] = value;
}

static const char *const engines[] = {"app1", "app2"};
/* Deployments name some by their first digits, and one container has another's digits as its name.
 */
static const char *const ids[BOXES] = {"a0", "b1", "c2", "d3", "e4", "f5", "a6aaaaaaaaaaaaaa",
	"b7bbbbbbbbbbbbbb", "c8cccccccccccccc", "a6aaaaaaaaaaaabb"};

/* Few names, so that hosts are fought for. */
static struct endpoint *
random_endpoint(unsigned box, unsigned seed)
{
	unsigned s = seed;
	struct box b = {.id = ids[box], .engine = engines[box % 2]};

	b.name = PICK(&s, "web", "api", "codi-shop", "codi-shop-preview-x", "w", "shop-1", "shop-2",
		"blog-1", "b7bbbbbbbbbb");
	b.created = (int64_t[]){1000, 1001, 700, 5000}[next_random(&s) % 4];
	b.ip = PICK(&s, "172.17.0.2", "172.17.0.3", "172.17.0.4");
	b.run = PICK(&s, "", "r1", "r2");
	b.state = next_random(&s) % 8 ? ENDPOINT_RUNNING : ENDPOINT_PAUSED;
	b.health = next_random(&s) % 2 ? HEALTH_NONE : (enum endpoint_health)(next_random(&s) % 4);
	b.withheld = next_random(&s) % 16 == 0;
	b.ports[0] = 80;
	b.ports[1] = next_random(&s) % 6 ? 0 : 81;
	if (next_random(&s) % 4 == 0) {
		box_label(&b, "codi.project.slug", PICK(&s, "shop", "blog"));
		box_label(&b, "codi.deployment.preview", PICK(&s, "true", "false", NULL));
		box_label(&b, "codi.deployment.branch", PICK(&s, "f/x", "f_x", "main"));
	} else if (next_random(&s) % 4 == 0) {
		box_label(&b, "traefik.enable", "true");
		box_label(&b, "traefik.http.routers.shop-1.rule", "x");
		box_label(&b, "traefik.http.routers.blog-1.rule", "x");
	} else {
		box_label(&b, "waymark.project",
			PICK(&s, "shop", "blog", "shop-2", "Shop", "🚀", NULL));
	}
	box_label(&b, "waymark.branch", PICK(&s, "f/x", "f-x", "F x", NULL, NULL, NULL));
	box_label(&b, "waymark.slot",
		PICK(&s, "blue", "green", "red", "blue", "green", "no slot", NULL, NULL, NULL));
	box_label(&b, "waymark.host",
		PICK(&s, "h.test", "h.test, i.test", "bad host", "s.test", "test", "x.h.test",
			"shop.localhost", "x.s.test", NULL, NULL));
	box_label(&b, "waymark.path", PICK(&s, "/api", "/a b", "/", NULL, NULL));
	box_label(&b, "waymark.port", PICK(&s, "8080", "abc", NULL, NULL));
	box_label(&b, "waymark.service", PICK(&s, "db", NULL, NULL, NULL));
	return box_endpoint(&b);
}

static const char *const sources[] = {"registry.directory", "registry.postgres"};

/* Of a grace period: none, or around the time at which the sequences play. */
static uint64_t
random_end(unsigned *s)
{
	return next_random(s) % 3 ? 1000000 + next_random(s) % 20 * 40000 : 0;
}

static struct registered_environment *
random_environments(struct arena *a, unsigned *s, size_t *ret_n)
{
	struct registered_environment *e = ARENA_ARRAY(a, struct registered_environment, 2);
	struct registered_slot *slots = ARENA_ARRAY(a, struct registered_slot, 3);

	static const char *const names[] = {"blue", "green", "red"};
	for (size_t i = 0; i < 3; i++)
		slots[i] = (struct registered_slot){.name = names[i],
			.state = (enum slot_state[]){SLOT_EMPTY, SLOT_RESERVED, SLOT_DEPLOYED,
				SLOT_GRACE, SLOT_GRACE, SLOT_GRACE}[next_random(s) % 6],
			.port = (uint16_t)(4001 + i),
			.since_ms = next_random(s) % 3,
			.until_ms = random_end(s),
			.weight = (uint16_t)(next_random(s) % 3 * 25)};
	e[0] = (struct registered_environment){.name = PICK(s, "preview", "staging"),
		.expires_ms = (uint64_t[]){0, 1, 300000, 500000}[next_random(s) % 4]};
	e[1] = (struct registered_environment){.name = "production",
		.port = next_random(s) % 2 ? 0 : 8081,
		.active = PICK(s, "blue", "green", NULL),
		.weighted = next_random(s) % 3 == 0,
		.nslots = next_random(s) % 4,
		.slot = slots};
	for (size_t i = 0; e[1].active && i < e[1].nslots; i++)
		if (strcmp(slots[i].name, e[1].active) == 0) {
			slots[i].state = SLOT_ACTIVE;
			slots[i].until_ms = 0;
		}
	*ret_n = 1 + next_random(s) % 2;
	return e;
}

static struct registered_deployment *
random_deployments(struct arena *a, unsigned *s, size_t *ret_n)
{
	static const char *const own_hosts[][2] = {{"web.localhost", "h.test"},
		{"shop-1.localhost", "s.test"}, {"x.h.test", "blog.localhost"}};
	struct registered_deployment *d = ARENA_ARRAY(a, struct registered_deployment, 3);

	*ret_n = next_random(s) % 4;
	for (size_t i = 0; i < *ret_n; i++)
		d[i] = (struct registered_deployment){
			.environment = PICK(s, "production", "production", "preview", "staging"),
			.branch = PICK(s, "", "", "f/x", "f-x"),
			.slot = PICK(s, "", "", "blue", "green"),
			.status = next_random(s) % 2 ? DEPLOYMENT_RUNNING
						     : (enum deployment_status)(next_random(s) % 4),
			.container = PICK(s, "web", "api", "w", "shop-1", "shop-2", "blog-1",
				"a6aaaaaaaaaa", "b7bbbbbbbbbb", "c8cccccccccccc", NULL, NULL),
			.port = next_random(s) % 2 ? 0 : 8082,
			.created_ms = next_random(s) % 3,
			.nhosts = next_random(s) % 3,
			.hosts = own_hosts[next_random(s) % 3]};
	return d;
}

static struct registered_project *
random_project(unsigned seed)
{
	unsigned s = seed;
	const char *source = sources[next_random(&s) % 8 == 0];
	struct registered_project *p = registered_project_create(
		source, "place", PICK(&s, "shop", "shop", "blog", "blog", "shop-2", "Shop"));
	struct registered_domain *d = ARENA_ARRAY(&p->arena, struct registered_domain, 2);

	for (size_t i = 0; i < next_random(&s) % 3; i++)
		d[p->ndomains++] = (struct registered_domain){
			PICK(&s, "h.test", "test", "s.test", "localhost", "x.h.test",
				"blog.localhost", "elsewhere.org"),
			"domains"};
	p->domains = d;
	p->has_deployments = next_random(&s) % 3 == 0;
	if (p->has_deployments)
		p->deployments = random_deployments(&p->arena, &s, &p->ndeployments);
	if (next_random(&s) % (p->has_deployments ? 2 : 4)) {
		p->lists_environments = true;
		p->environments = random_environments(&p->arena, &s, &p->nenvironments);
	}
	registered_project_seal(p);
	return p;
}

static struct registered_static *
random_static(unsigned seed)
{
	static const char *const upstreams[] = {"http://10.0.0.9:80"};
	unsigned s = seed;
	const char *source = sources[next_random(&s) % 4 == 0];
	struct registered_static *route = registered_static_create(
		source, "place", PICK(&s, "h.test", "web.localhost", "own.test"));

	route->route.nupstreams = next_random(&s) % 2;
	route->route.upstreams = upstreams;
	return route;
}

/* Who is read anew at another address is probed anew. */
static void
probe_all(struct planner *p, const struct truth *t, uint64_t now)
{
	planner_reread(p, now, NULL, NULL);
	for (unsigned i = 0; i < BOXES; i++)
		if (t->endpoint[i])
			planner_set_ready(
				p, t->endpoint[i]->engine, t->endpoint[i]->id, t->ready[i]);
}

static bool
is_watched(const struct settings *s, const char *source)
{
	return strcmp(source, sources[0]) ? s->registry.postgres : s->registry.directory != NULL;
}

static void
registry_happens(struct planner *p, const struct truth *t, const struct event *ev)
{
	struct registered_project *project = random_project(ev->seed);
	struct registered_static *route = random_static(ev->seed);

	if (!is_watched(t->settings, ev->kind == STATIC ? route->source : project->source))
		; /* nobody would tell */
	else if (ev->kind == REGISTER)
		planner_put_project(p, project);
	else if (ev->kind == UNREGISTER)
		planner_remove_project(p, project->source, project->name, ev->box % 3 == 0);
	else if (ev->box % 2)
		planner_put_static(p, route);
	else
		planner_remove_static(p, route->source, route->route.host);
	registered_project_unref(project);
	registered_static_unref(route);
}

static void
tell(struct planner *p, const struct truth *t, unsigned box)
{
	planner_put(p, t->endpoint[box]);
	planner_set_ready(p, t->endpoint[box]->engine, t->endpoint[box]->id, t->ready[box]);
}

struct forgetting {
	struct planner *p;
	const struct settings *s;
};

static void
forget_project(void *arg, const struct registered_project *project)
{
	struct forgetting *f = arg;
	if (!is_watched(f->s, project->source))
		planner_remove_project(f->p, project->source, project->name, true);
}

static void
forget_static(void *arg, const struct registered_static *route)
{
	struct forgetting *f = arg;
	if (!is_watched(f->s, route->source))
		planner_remove_static(f->p, route->source, route->route.host);
}

/* As the reconciler does it: what is not watched any more is forgotten, and engines tell anew of
 * what nobody wanted before. */
static void
reload(struct planner *p, struct truth *t, const struct settings *s)
{
	struct forgetting f = {p, s};

	registrar_each_said(planner_registrar(p), forget_project, forget_static, &f);
	planner_set_settings(p, s);
	t->settings = s;
	for (unsigned i = 0; i < BOXES; i++)
		if (t->endpoint[i])
			tell(p, t, i);
}

static struct endpoint *
with_leaving(struct endpoint *e)
{
	struct endpoint *copy = endpoint_copy(e);
	copy->leaving = !copy->leaving;
	endpoint_unref(e);
	return copy;
}

/* Its process ends and comes back, too often. */
static void
swing(struct planner *p, struct truth *t, unsigned box, uint64_t *now)
{
	struct endpoint **e = &t->endpoint[box];

	for (unsigned i = 0; *e && i < 12; i++) {
		struct endpoint *copy = endpoint_copy(*e);
		copy->leaving = copy->died = i % 2 == 0;
		endpoint_unref(*e);
		*e = copy;
		t->ready[box] = READY_YES;
		tell(p, t, box);
		probe_all(p, t, *now);
		planner_step(p, *now += 500);
	}
}

/* By hand, by the network, by a battery that is empty. */
static void
clock_jump(const struct event *ev, uint64_t *now)
{
	if (ev->seed % 3 == 0)
		*now -= 2000 + ev->seed % 200000;
	else if (ev->seed % 3 == 1)
		*now += ev->seed % 400000;
}

static void
happen(struct planner *p, struct truth *t, const struct event *ev,
	struct settings *const settings[KINDS_OF_SETTINGS], uint64_t *now)
{
	struct endpoint **e = &t->endpoint[ev->box];

	switch (ev->kind) {
	case PUT:
		endpoint_unref(*e);
		*e = random_endpoint(ev->box, ev->seed);
		t->ready[ev->box] = READY_UNKNOWN;
		tell(p, t, ev->box);
		break;
	case REMOVE:
		if (*e)
			planner_remove(p, (*e)->engine, (*e)->id);
		*e = endpoint_unref(*e);
		break;
	case READY:
		t->ready[ev->box] = (enum readiness)(ev->seed % 4);
		if (*e)
			planner_set_ready(p, (*e)->engine, (*e)->id, t->ready[ev->box]);
		break;
	case LEAVE:
		if (*e) {
			*e = with_leaving(*e);
			tell(p, t, ev->box);
		}
		break;
	case LATER:
		*now += ev->seed % 90000;
		break;
	case RELOAD:
		reload(p, t, settings[ev->seed % KINDS_OF_SETTINGS]);
		break;
	case SWING:
		swing(p, t, ev->box, now);
		break;
	case REGISTER:
	case UNREGISTER:
	case STATIC:
		registry_happens(p, t, ev);
		break;
	case CLOCK:
		clock_jump(ev, now);
		break;
	case STEP:
	case EVENT_KINDS:
		break;
	}
}

static void
retell_project(void *arg, const struct registered_project *project)
{
	planner_put_project(arg, project);
}

static void
retell_static(void *arg, const struct registered_static *route)
{
	planner_put_static(arg, route);
}

/* A planner from nothing, told the truth in an order of its own. */
static struct planner *
rebuild(struct ledger *l, const struct truth *t, const struct registrar *registrar, unsigned turn)
{
	struct planner *p = planner_create(t->settings, l, renderers);
	if (turn % 2 && registrar)
		registrar_each_said(registrar, retell_project, retell_static, p);
	for (unsigned i = 0; i < BOXES; i++) {
		unsigned box = (i * 3 + turn) % BOXES;
		if (t->endpoint[box])
			tell(p, t, box);
	}
	if (registrar)
		registrar_each_said(registrar, retell_project, retell_static, p);
	probe_all(p, t, 1);
	return p;
}

/* With what was written down. */
static struct planner *
restart(struct planner *p, struct ledger **l, const struct truth *t, const struct event *ev)
{
	struct ledger *copy = ledger_copy(*l);
	struct planner *q = rebuild(copy, t, planner_registrar(p), ev->seed);

	planner_destroy(p);
	ledger_destroy(*l);
	*l = copy;
	return q;
}

static bool
same_as_rebuilt(struct planner *p, const struct ledger *l, const struct truth *t, uint64_t now,
	unsigned turn, bool loud)
{
	struct ledger *copy = ledger_copy(l);
	struct buf before = {0}, a = {0}, b = {0};
	ledger_print(l, &before);
	struct planner *q = rebuild(copy, t, planner_registrar(p), turn);

	world_print(planner_snapshot(p), &a);
	buf_adds(&a, before.p ? before.p : "");
	world_print(planner_step(q, now), &b);
	ledger_print(copy, &b);

	bool same = a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
	if (!same && loud)
		printf("incremental:\n%s\nrebuilt:\n%s\n", a.p ? a.p : "", b.p ? b.p : "");
	planner_destroy(q);
	ledger_destroy(copy);
	buf_finish(&before);
	buf_finish(&a);
	buf_finish(&b);
	return same;
}

/* Whose a host is, said without the planner: whoever is entitled to it, else to the nearest domain
 * above it. */
struct claimant {
	const struct settings *settings;
	const struct ledger *ledger;
	const char *host, *owner; /* its route */
	const char *at; /* the nearest domain that somebody is entitled to */
	bool is_one; /* the owner is among them */
};

/* Of two branches that come out equal one has another host than it would have alone. */
static bool
is_suffixed(const struct claimant *c, const struct entitlement *t)
{
	const struct ledger_claim *plain = ledger_find(c->ledger, &t->group, t->host, "", t->slot);
	return t->suffixed && !(plain && plain->entries);
}

static void
ask_project(void *arg, const struct registered_project *project)
{
	struct claimant *c = arg;
	struct entitlements *e = entitlements_create(c->settings, project);

	for (size_t i = 0; i < e->n; i++) {
		const struct entitlement *t = &e->list[i];
		const char *at = is_suffixed(c, t) ? t->suffixed : t->host;
		bool here = strcmp(at, c->host) == 0;
		if (!here && (*t->slot || !host_is_under(c->host, at)))
			continue;
		if (!here && host_is_under(c->host, c->settings->base_domain) &&
			host_is_under(c->settings->base_domain, at))
			continue;
		if (c->at && strlen(c->at) > strlen(at))
			continue;
		if (!c->at || strlen(c->at) < strlen(at))
			c->is_one = false;
		c->at = c->host + strlen(c->host) - strlen(at);
		c->is_one = c->is_one || strcmp(project->name, c->owner) == 0;
	}
	entitlements_destroy(e);
}

static bool
owner_is_right(struct planner *p, const struct ledger *l, const struct truth *t,
	const struct route *r, bool loud)
{
	struct claimant who = {
		.settings = t->settings, .ledger = l, .host = r->host, .owner = r->project};

	if (r->kind == ROUTE_STATIC || !settings_has_registry(t->settings))
		return true;
	registrar_each(planner_registrar(p), ask_project, &who);
	if (!who.at)
		return true;
	/* Below a domain that two want, it is who got the domain. */
	const struct ledger_claim *c =
		strcmp(who.at, who.host) ? ledger_host_owner(l, who.at) : NULL;
	if (who.is_one && (!c || strcmp(c->group.project, r->project) == 0))
		return true;
	if (loud)
		printf("%s is %s's, who is not entitled to %s\n", r->host, r->project, who.at);
	return false;
}

/* The deployment that a server is by name or id; NULL where it is any, or none. */
static const struct registered_deployment *
server_deployment(struct planner *p, const struct server *s)
{
	const struct registered_project *project, *rival;
	const struct endpoint *e = planner_find(p, s->engine, s->container_id);

	return registrar_deployment(planner_registrar(p), e, NULL, &project, &rival);
}

/* Requests go to one deployment, and to none that has failed. */
static bool
servers_are_right(struct planner *p, const struct route *r, bool loud)
{
	const struct registered_deployment *one = NULL;
	size_t i;

	for (i = 0; r->kind != ROUTE_STATIC && i < r->nrouted; i++) {
		const struct registered_deployment *d = server_deployment(p, &r->servers[i]);
		if (!d)
			continue;
		if (deployment_status_share(d->status) == 0 ||
			(one && (one->created_ms != d->created_ms ||
					strcmp(one->container, d->container))))
			break;
		one = d;
	}
	if (r->kind == ROUTE_STATIC || i == r->nrouted)
		return true;
	if (loud)
		printf("%s has servers of several deployments, or of a failed one\n", r->host);
	return false;
}

/* Without weights all that are routed are of one slot. */
static bool
slots_are_apart(const struct route *r, bool loud)
{
	size_t i = 1;

	while (i < r->nrouted &&
		(r->nshares || strcmp(r->servers[i].slot, r->servers[0].slot) == 0))
		i++;
	if (i >= r->nrouted)
		return true;
	if (loud)
		printf("%s leads to %s and to %s\n", r->host, r->servers[0].slot,
			r->servers[i].slot);
	return false;
}

static bool
leads_to(const struct project_plan *p, const struct plan_slot *s)
{
	for (size_t i = 0; i < p->nroutes; i++) {
		const struct route *r = &p->routes[i];
		if (r->kind == ROUTE_SLOT || *r->branch || strcmp(r->environment, s->environment))
			continue;
		for (size_t k = 0; k < r->nrouted; k++)
			if (strcmp(r->servers[k].slot, s->slot) == 0)
				return true;
	}
	return false;
}

/* What is over, or serves, is seen to be. */
static bool
slots_are_right(const struct project_plan *p, uint64_t now, bool loud)
{
	for (size_t i = 0; i < p->nslots; i++) {
		const struct plan_slot *s = &p->slots[i];
		if (s->traffic == leads_to(p, s) && !(s->ended && s->traffic) &&
			(!s->ended || (s->until_ms && s->until_ms <= now)) &&
			(!s->fallback || (s->traffic && !s->active)))
			continue;
		if (loud)
			printf("slot %s of %s is not what it seems\n", s->slot, p->project);
		return false;
	}
	return true;
}

/* A second step changes nothing, and none is wanted before its time. */
static bool
is_at_rest(struct planner *p, uint64_t now, bool loud)
{
	uint64_t revision = planner_snapshot(p)->revision, due = planner_due_ms(p);

	if (!planner_is_dirty(p, now) && planner_step(p, now)->revision == revision && due > now)
		return true;
	if (loud)
		printf("at %llu it is due at %llu, revision %llu\n", (unsigned long long)now,
			(unsigned long long)due, (unsigned long long)revision);
	return false;
}

static bool
routes_are_right(struct planner *p, const struct ledger *l, const struct truth *t, bool loud)
{
	const struct snapshot *s = planner_snapshot(p);

	for (size_t c = 0; c < s->nchunks; c++)
		for (size_t i = 0; i < s->chunks[c]->n; i++)
			for (size_t k = 0; k < s->chunks[c]->plan[i]->nroutes; k++) {
				const struct route *r = &s->chunks[c]->plan[i]->routes[k];
				if (!owner_is_right(p, l, t, r, loud) ||
					!servers_are_right(p, r, loud) || !slots_are_apart(r, loud))
					return false;
			}
	return true;
}

static bool
plans_are_right(struct planner *p, uint64_t now, bool loud)
{
	const struct snapshot *s = planner_snapshot(p);

	for (size_t c = 0; c < s->nchunks; c++)
		for (size_t i = 0; i < s->chunks[c]->n; i++)
			if (!slots_are_right(s->chunks[c]->plan[i], now, loud))
				return false;
	return is_at_rest(p, now, loud);
}

/* Who has a host by an entry keeps it as long as the entry names it. */
struct owned {
	char *host, *project;
};

struct owners {
	struct owned list[256];
	size_t n;
};

static bool
has_by_entry(const struct ledger *l, const char *host, const char *project)
{
	for (const struct ledger_claim *c = ledger_host(l, host); c; c = c->host_next)
		if (c->entries && strcmp(c->group.project, project) == 0)
			return true;
	return false;
}

static void
owners_forget(struct owners *o)
{
	while (o->n) {
		free(o->list[--o->n].host);
		free(o->list[o->n].project);
	}
}

static bool
owners_stay(struct owners *o, const struct ledger *l, bool loud)
{
	bool stay = true;

	for (size_t i = 0; i < o->n && stay; i++) {
		const struct owned *w = &o->list[i];
		const struct ledger_claim *c = ledger_host_owner(l, w->host);
		stay = !has_by_entry(l, w->host, w->project) || !c ||
		       strcmp(c->group.project, w->project) == 0;
		if (!stay && loud)
			printf("%s was %s's and is %s's\n", w->host, w->project, c->group.project);
	}
	return stay;
}

static void
owners_note(struct owners *o, const struct ledger *l, const struct snapshot *s)
{
	owners_forget(o);
	for (size_t c = 0; c < s->nchunks; c++)
		for (size_t i = 0; i < s->chunks[c]->n; i++)
			for (size_t k = 0; k < s->chunks[c]->plan[i]->nroutes; k++) {
				const struct route *r = &s->chunks[c]->plan[i]->routes[k];
				if (o->n < 256 && has_by_entry(l, r->host, r->project))
					o->list[o->n++] =
						(struct owned){strdup(r->host), strdup(r->project)};
			}
}

static bool
sequence_holds(const struct event *events, size_t n,
	struct settings *const settings[KINDS_OF_SETTINGS], bool loud)
{
	struct truth t = {.settings = settings[0]};
	struct ledger *l = ledger_create();
	struct planner *p = planner_create(t.settings, l, renderers);
	uint64_t now = 1000000;
	bool holds = true;
	struct owners owners = {0};

	for (size_t i = 0; i < n && holds; i++) {
		happen(p, &t, &events[i], settings, &now);
		if (events[i].kind == CLOCK && events[i].box % 2)
			p = restart(p, &l, &t, &events[i]);
		probe_all(p, &t, now);
		if (events[i].seed % (events[i].kind == PUT ? 3 : 5) == 1)
			continue; /* several changes in one look */
		planner_step(p, now);
		holds = owners_stay(&owners, l, loud) && routes_are_right(p, l, &t, loud) &&
			plans_are_right(p, now, loud) &&
			same_as_rebuilt(p, l, &t, now, events[i].seed, loud);
		owners_note(&owners, l, planner_snapshot(p));
	}
	owners_forget(&owners);
	for (unsigned i = 0; i < BOXES; i++)
		endpoint_unref(t.endpoint[i]);
	planner_destroy(p);
	ledger_destroy(l);
	return holds;
}

/* Two looks at one world that list it in different orders. */
static bool
order_does_not_matter(unsigned seed, const struct settings *s)
{
	struct truth t = {.settings = s};
	struct buf out[2] = {{0}};

	for (unsigned i = 0; i < BOXES; i++) {
		t.endpoint[i] = random_endpoint(i, seed + i * 7919);
		t.ready[i] = (enum readiness)(i % 4);
	}
	for (unsigned k = 0; k < 2; k++) {
		struct ledger *l = ledger_create();
		struct planner *p = rebuild(l, &t, NULL, k * 5 + seed);
		world_print(planner_step(p, 5000), &out[k]);
		ledger_print(l, &out[k]);
		planner_destroy(p);
		ledger_destroy(l);
	}
	bool same =
		out[0].n == out[1].n && (!out[0].n || memcmp(out[0].p, out[1].p, out[0].n) == 0);
	if (!same)
		printf("one order:\n%s\nanother:\n%s\n", out[0].p, out[1].p);
	buf_finish(&out[0]);
	buf_finish(&out[1]);
	for (unsigned i = 0; i < BOXES; i++)
		endpoint_unref(t.endpoint[i]);
	return same;
}

/* Leaves out runs of events, long ones first, as long as it still fails. */
static size_t
shrink(struct event *events, size_t n, struct settings *const s[KINDS_OF_SETTINGS])
{
	for (size_t run = n / 2; run; run /= 2) {
		for (size_t at = 0; at + run <= n;) {
			struct event fewer[EVENTS];
			memcpy(fewer, events, at * sizeof(*events));
			memcpy(fewer + at, events + at + run, (n - at - run) * sizeof(*events));
			if (sequence_holds(fewer, n - run, s, false)) {
				at += run;
				continue;
			}
			memcpy(events, fewer, (n - run) * sizeof(*events));
			n -= run;
		}
	}
	return n;
}

static int
fail(struct event *events, size_t n, struct settings *const s[KINDS_OF_SETTINGS], unsigned sequence)
{
	static const char *const text[] = {"put", "remove", "ready", "leave", "step", "later",
		"reload", "register", "unregister", "static", "swing", "clock"};

	n = shrink(events, n, s);
	printf("sequence %u fails; shrunk to %zu events:\n", sequence, n);
	for (size_t i = 0; i < n; i++)
		printf("  %s box %u seed %u\n", text[events[i].kind], events[i].box,
			events[i].seed);
	sequence_holds(events, n, s, true);
	return 1;
}

static struct event
random_event(unsigned *state, bool registry)
{
	unsigned kinds = registry ? EVENT_KINDS : REGISTER;
	unsigned kind = next_random(state) % (kinds + 4);

	if (kind >= kinds)
		kind = registry && kind % 2 ? REGISTER : PUT;
	if (next_random(state) % 16 == 0)
		kind = SWING;
	return (struct event){
		(enum event_kind)kind, next_random(state) % BOXES, next_random(state)};
}

/* Half of the sequences have a registry, some of which ignore who is not in it; a reload changes
 * what `turn` says. */
static struct settings *
random_settings(unsigned i, unsigned turn)
{
	static const char *const allowed[] = {"test"};
	static const struct convention *conventions[3];
	struct settings *s = settings_create();

	conventions[0] = convention_find("codi");
	conventions[1] = convention_find("mvp");
	conventions[2] = convention_find("waymark");
	if (i % 4 > 1) {
		s->nconventions = 3;
		s->conventions = conventions;
	}
	s->auto_rollback = (i + turn) % 5 < 3 ? ROLLBACK_ROUTE : ROLLBACK_NONE;
	if (turn == 1 && i % 3 == 0)
		s->base_domain = "test";
	if (i % 2 == 0 || turn == 3)
		return s;
	s->registry.directory = turn == 1 && i % 3 == 1 ? NULL : "/registry";
	s->registry.postgres = i % 4 == 3;
	s->registry.ignore_unregistered = (i % 8 == 1) != (turn == 2);
	s->any_domain = i % 16 == 5;
	s->nallowed = 1;
	s->allowed_domains = allowed;
	return s;
}

static bool
sequence(unsigned i, unsigned *state)
{
	struct settings *s[KINDS_OF_SETTINGS];
	struct event events[EVENTS];

	for (unsigned k = 0; k < KINDS_OF_SETTINGS; k++)
		s[k] = random_settings(i, k);
	for (size_t k = 0; k < EVENTS; k++)
		events[k] = random_event(state, i % 2);
	bool holds = sequence_holds(events, EVENTS, s, false);
	if (!holds)
		fail(events, EVENTS, s, i);
	holds = holds && order_does_not_matter(next_random(state), s[0]);
	for (unsigned k = 0; k < KINDS_OF_SETTINGS; k++)
		settings_destroy(s[k]);
	return holds;
}

int
main(int argc, char **argv)
{
	unsigned sequences = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 300;
	unsigned seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)time(NULL);
	unsigned state = seed;
	bool holds = true;

	printf("property: %u sequences of %d events, seed %u\n", sequences, EVENTS, seed);
	for (unsigned i = 0; i < sequences && holds; i++)
		holds = sequence(i, &state);
	if (holds)
		printf("property: holds\n");
	return !holds;
}
