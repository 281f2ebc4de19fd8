/* Who may serve, said without the planner: long random stories of an environment with three slots
 * and two services, judged after every step by rules of their own.
 *
 *	test_slot_oracle [STORIES [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/model/convention.h"
#include "tests/unit/world.h"

#define SLOTS 3
#define SERVICES 2
#define COPIES 2
#define STEPS 200

static const struct renderer *const renderers[PLAN_OUTPUTS] = {&traefik_renderer};
static const char *const slot_names[SLOTS] = {"blue", "green", "red"};
static const char *const hosts[SERVICES] = {"shop.test", "shop-api.test"};

enum condition { ABSENT, STARTING, HEALTHY, UNHEALTHY, LEAVING, CONDITIONS };

/* What the oracle knows of one service: a slot's number, or -1. */
struct memory {
	int serves; /* the slot that the route was meant for */
	bool was_ready; /* `serves` was the registry's, and ready, in a promotion of it */
	int instead_of; /* a fallback: for the slot that is active; -1: none */
	uint64_t promotion; /* which it stands in for */
	uint64_t lost_ms; /* it was ready, and is not, and nothing stood ready to stand in; 0: no */
};

struct world {
	unsigned random;
	uint64_t now;
	struct settings *settings;
	struct ledger *ledger;
	struct planner *planner;
	enum condition is[SERVICES][SLOTS][COPIES];
	/* The registry. */
	int active; /* -1: none */
	bool weighted;
	struct registered_slot slot[SLOTS];
	/* The oracle. */
	struct memory of[SERVICES];
	uint64_t carried_ms[SLOTS]; /* in this grace period */
	bool carried[SLOTS]; /* since the last step */
	uint64_t until[SLOTS]; /* by which a grace period is known */
};

static unsigned
any(struct world *w, unsigned n)
{
	w->random = w->random * 1664525u + 1013904223u;
	return (w->random >> 8) % n;
}

/* -- what happens -- */

static void
container_set(struct world *w, unsigned service, unsigned slot, unsigned copy, enum condition c)
{
	char id[32], ip[32];

	w->is[service][slot][copy] = c;
	snprintf(id, sizeof(id), "c%u%u%u", service, slot, copy);
	snprintf(ip, sizeof(ip), "172.17.%u.%u", service, 1 + slot * 10 + copy);
	if (c == ABSENT) {
		planner_remove(w->planner, "app1", id);
		return;
	}
	BOX(w->planner, .id = id, .ip = ip, .leaving = c == LEAVING,
		.health = c == STARTING    ? HEALTH_STARTING
			  : c == UNHEALTHY ? HEALTH_UNHEALTHY
					   : HEALTH_HEALTHY,
		.labels = {"waymark.project", "shop", "waymark.slot", slot_names[slot],
			service ? "waymark.service" : NULL, "api"});
}

static void
registry_tell(struct world *w)
{
	struct registered_project *p =
		registered_project_create("registry.directory", "ssot.json", "shop");
	struct registered_environment *e = ARENA_NEW(&p->arena, struct registered_environment);

	*e = (struct registered_environment){.name = "production",
		.slots = true,
		.active = w->active < 0 ? NULL : slot_names[w->active],
		.nslots = SLOTS,
		.slot = memcpy(ARENA_ARRAY(&p->arena, struct registered_slot, SLOTS), w->slot,
			sizeof(w->slot))};
	for (unsigned i = 0; i < SLOTS; i++)
		e->weighted = e->weighted || (w->weighted && w->slot[i].weight);
	w->weighted = e->weighted;
	p->environments = e;
	p->nenvironments = 1;
	p->lists_environments = true;
	planner_put_project(w->planner, p);
	registered_project_unref(p);
}

static void
promote(struct world *w, unsigned to)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if ((int)i == w->active && i != to) {
			w->slot[i].state = SLOT_GRACE;
			w->slot[i].since_ms = w->now;
			w->slot[i].until_ms = any(w, 6) ? w->now + any(w, 20) * 1000 : 0;
		}
	w->active = (int)to;
	w->slot[to].state = SLOT_ACTIVE;
	w->slot[to].since_ms = w->now;
	w->slot[to].until_ms = 0;
	w->weighted = false;
}

static void
registry_happens(struct world *w)
{
	unsigned i = any(w, SLOTS), what = any(w, 10);

	if (what < 5) {
		promote(w, i);
	} else if (what < 8) {
		struct registered_slot *s = &w->slot[i];
		if ((int)i == w->active)
			return;
		s->state = (enum slot_state[]){
			SLOT_EMPTY, SLOT_RESERVED, SLOT_DEPLOYED, SLOT_GRACE}[any(w, 4)];
		s->since_ms = any(w, 2) ? w->now : 0;
		s->until_ms = (s->state == SLOT_GRACE || s->state == SLOT_RESERVED) && any(w, 4)
				      ? w->now + any(w, 20) * 1000
				      : 0;
	} else if (what == 8) {
		w->weighted = any(w, 2);
		for (unsigned k = 0; k < SLOTS; k++)
			w->slot[k].weight = (uint16_t)(any(w, 3) * 10);
	} else {
		if (w->active >= 0)
			w->slot[w->active].state = SLOT_DEPLOYED;
		w->active = -1;
	}
	registry_tell(w);
}

static void
restart(struct world *w)
{
	struct ledger *copy = ledger_copy(w->ledger);

	planner_destroy(w->planner);
	ledger_destroy(w->ledger);
	w->ledger = copy;
	w->planner = planner_create(w->settings, copy, renderers);
	registry_tell(w);
	for (unsigned v = 0; v < SERVICES; v++)
		for (unsigned s = 0; s < SLOTS; s++)
			for (unsigned c = 0; c < COPIES; c++)
				if (w->is[v][s][c])
					container_set(w, v, s, c, w->is[v][s][c]);
}

static void
happen(struct world *w)
{
	for (unsigned n = 1 + any(w, 2); n; n--) {
		unsigned what = any(w, 20);
		if (what < 13)
			container_set(w, any(w, SERVICES), any(w, SLOTS), any(w, COPIES),
				any(w, 2) ? HEALTHY : (enum condition)any(w, CONDITIONS));
		else if (what < 17)
			registry_happens(w);
		else if (what == 17)
			restart(w);
	}
	w->now += any(w, 4) ? any(w, 3000) : 0;
}

/* -- the oracle -- */

static unsigned
copies(const struct world *w, unsigned service, int slot, enum condition c)
{
	unsigned n = 0;
	for (unsigned i = 0; slot >= 0 && i < COPIES; i++)
		n += w->is[service][slot][i] == c;
	return n;
}

static bool
ready(const struct world *w, unsigned service, int slot)
{
	return copies(w, service, slot, HEALTHY);
}

static bool
there(const struct world *w, unsigned service, int slot)
{
	return slot >= 0 && copies(w, service, slot, ABSENT) < COPIES;
}

static unsigned
weight(const struct world *w, unsigned slot)
{
	return w->weighted ? w->slot[slot].weight : 0;
}

static bool
shares(const struct world *w, unsigned service)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (weight(w, i) && ready(w, service, (int)i))
			return true;
	return false;
}

/* Its end, with the time that it carried traffic; 0: none. */
static uint64_t
end_of(const struct world *w, unsigned slot)
{
	const struct registered_slot *s = &w->slot[slot];

	if (!s->until_ms)
		return 0;
	return s->until_ms +
	       (s->state == SLOT_GRACE && w->until[slot] == s->until_ms ? w->carried_ms[slot] : 0);
}

static int
way_back(const struct world *w, unsigned service)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		uint64_t end = end_of(w, i);
		if (w->slot[i].state == SLOT_GRACE && ready(w, service, (int)i) &&
			(!end || end > w->now))
			return (int)i;
	}
	return -1;
}

static void
remember_fallback(struct world *w, struct memory *m, int to)
{
	m->serves = to;
	m->instead_of = w->active;
	m->promotion = w->slot[w->active].since_ms;
}

/* The registry names one. */
static void
judge_named(struct world *w, unsigned service, struct memory *m)
{
	bool stands_in = m->instead_of >= 0 && m->instead_of == w->active &&
			 m->promotion == w->slot[w->active].since_ms && !shares(w, service);
	int to = shares(w, service) ? -1 : way_back(w, service);

	if (stands_in && ready(w, service, m->serves))
		return;
	if (ready(w, service, w->active)) {
		*m = (struct memory){w->active, true, -1, 0, 0};
		return;
	}
	if (m->serves < 0) {
		*m = (struct memory){w->active, false, -1, 0, 0};
		return;
	}
	bool lost = m->serves == w->active && m->was_ready;
	bool early = m->lost_ms && m->lost_ms <= w->now && w->now < m->lost_ms + 30000;
	if (to >= 0 && (stands_in || (lost && !early))) {
		remember_fallback(w, m, to);
		m->lost_ms = 0;
	} else if (!stands_in) {
		m->instead_of = -1;
		m->lost_ms = !lost ? 0 : m->lost_ms && m->lost_ms <= w->now ? m->lost_ms : w->now;
	}
}

static void
judge_unnamed(struct world *w, unsigned service, struct memory *m)
{
	if (ready(w, service, m->serves))
		return;
	for (int i = 0; i < SLOTS; i++)
		if (ready(w, service, i)) {
			*m = (struct memory){i, false, -1, 0, 0};
			return;
		}
}

/* Before it the clocks go on, by who carried traffic until now. */
static void
clocks_go(struct world *w, uint64_t passed_ms)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct registered_slot *s = &w->slot[i];
		if (s->state != SLOT_GRACE || s->until_ms != w->until[i]) {
			w->until[i] = s->state == SLOT_GRACE ? s->until_ms : 0;
			w->carried_ms[i] = 0;
		} else if (w->carried[i]) {
			w->carried_ms[i] += passed_ms;
		}
	}
}

static bool
carries(const struct world *w, unsigned slot)
{
	for (unsigned v = 0; v < SERVICES; v++)
		if ((w->of[v].serves == (int)slot && there(w, v, (int)slot)) ||
			(weight(w, slot) && ready(w, v, (int)slot)))
			return true;
	return false;
}

static void
judge(struct world *w)
{
	for (unsigned v = 0; v < SERVICES; v++) {
		bool any_there = false;
		for (int i = 0; i < SLOTS; i++)
			any_there = any_there || there(w, v, i);
		if (any_there && w->active >= 0)
			judge_named(w, v, &w->of[v]);
		else if (any_there)
			judge_unnamed(w, v, &w->of[v]);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		w->carried[i] = carries(w, i);
}

/* -- comparing -- */

static bool
wrong(const struct world *w, const char *what, const char *where)
{
	struct buf b = {0};

	printf("at %llu: %s: %s\n", (unsigned long long)w->now, where, what);
	world_print(planner_snapshot(w->planner), &b);
	printf("%s\n", b.p ? b.p : "");
	buf_finish(&b);
	return false;
}

static const struct project_plan *
plan_of(const struct world *w)
{
	return snapshot_find(planner_snapshot(w->planner), "shop");
}

/* How many of the slot's containers get the service's requests. */
static unsigned
expected(const struct world *w, unsigned service, int slot)
{
	const struct memory *m = &w->of[service];

	if (shares(w, service))
		return weight(w, (unsigned)slot) ? copies(w, service, slot, HEALTHY) : 0;
	if (m->serves != slot)
		return 0;
	return ready(w, service, slot) ? copies(w, service, slot, HEALTHY)
				       : copies(w, service, slot, LEAVING);
}

static unsigned
routed_to(const struct route *r, int slot)
{
	unsigned n = 0;
	for (size_t i = 0; i < r->nrouted; i++)
		n += strcmp(r->servers[i].slot, slot_names[slot]) == 0;
	return n;
}

static bool
route_is_right(const struct world *w, unsigned service)
{
	const struct route *r = project_plan_route(plan_of(w), hosts[service], "");
	unsigned slots = 0;

	if (!r)
		return true;
	for (int i = 0; i < SLOTS; i++) {
		if (routed_to(r, i) != expected(w, service, i))
			return wrong(w, slot_names[i], hosts[service]);
		slots += routed_to(r, i) > 0;
	}
	if (r->nshares != (slots > 1 ? slots : 0))
		return wrong(w, "shares", hosts[service]);
	for (size_t i = 0, at = 0; i < r->nshares; at += r->shares[i++].n)
		for (int s = 0; s < SLOTS; s++)
			if (strcmp(r->shares[i].slot, slot_names[s]) == 0 &&
				(r->shares[i].weight != weight(w, (unsigned)s) ||
					r->shares[i].first != at ||
					r->shares[i].n != routed_to(r, s)))
				return wrong(w, "a share", hosts[service]);
	return true;
}

static bool
has_traffic(const struct world *w, int slot)
{
	for (unsigned v = 0; v < SERVICES; v++)
		if (expected(w, v, slot))
			return true;
	return false;
}

static bool
is_over(const struct world *w, unsigned slot)
{
	const struct registered_slot *s = &w->slot[slot];
	bool ends = s->state == SLOT_GRACE || s->state == SLOT_RESERVED;

	return ends && end_of(w, slot) && end_of(w, slot) <= w->now && !w->carried[slot] &&
	       !has_traffic(w, (int)slot);
}

/* Its own URL leads to it unless its time is over, or it is empty and serves nobody. */
static bool
own_url_is_right(const struct world *w, unsigned slot)
{
	char host[64];

	snprintf(host, sizeof(host), "shop-production-%s.test", slot_names[slot]);
	const struct route *r = project_plan_route(plan_of(w), host, "");
	bool closed = is_over(w, slot) ||
		      (w->slot[slot].state == SLOT_EMPTY && !has_traffic(w, (int)slot));
	unsigned n = closed                   ? 0
		     : ready(w, 0, (int)slot) ? copies(w, 0, (int)slot, HEALTHY)
					      : copies(w, 0, (int)slot, LEAVING);
	return !r || r->nrouted == n || wrong(w, "its own URL", host);
}

static bool
stands_in(const struct world *w, int slot)
{
	for (unsigned v = 0; v < SERVICES; v++)
		if (w->active >= 0 && w->of[v].instead_of >= 0 && w->of[v].serves == slot &&
			there(w, v, slot))
			return true;
	return false;
}

static bool
slot_is_right(const struct world *w, unsigned slot)
{
	const struct project_plan *p = plan_of(w);
	const struct plan_slot *s = NULL;

	for (size_t i = 0; i < p->nslots; i++)
		if (strcmp(p->slots[i].slot, slot_names[slot]) == 0)
			s = &p->slots[i];
	if (!s || s->active != ((int)slot == w->active) || s->state != w->slot[slot].state)
		return wrong(w, "what the registry says", slot_names[slot]);
	if (s->traffic != has_traffic(w, (int)slot))
		return wrong(w, "traffic", slot_names[slot]);
	if (s->ended != is_over(w, slot))
		return wrong(w, "ended", slot_names[slot]);
	if (s->fallback != (s->traffic && !s->active && stands_in(w, (int)slot)))
		return wrong(w, "fallback", slot_names[slot]);
	return own_url_is_right(w, slot);
}

static bool
is_right(const struct world *w)
{
	uint64_t revision = planner_snapshot(w->planner)->revision;

	for (unsigned v = 0; v < SERVICES; v++)
		if (!route_is_right(w, v))
			return false;
	for (unsigned i = 0; i < SLOTS; i++)
		if (!slot_is_right(w, i))
			return false;
	if (planner_due_ms(w->planner) <= w->now || planner_is_dirty(w->planner, w->now))
		return wrong(w, "never at rest", "planner");
	return planner_step(w->planner, w->now)->revision == revision ||
	       wrong(w, "another revision for nothing", "planner");
}

/* -- stories -- */

static bool
story(unsigned seed)
{
	static const struct convention *conventions[1];
	struct world w = {.random = seed, .now = 1000000, .active = -1};
	bool right = true;

	conventions[0] = convention_find("waymark");
	w.settings = settings_create();
	w.settings->base_domain = "test";
	w.settings->probe = false;
	w.settings->auto_rollback = ROLLBACK_ROUTE;
	w.settings->registry.directory = "/registry";
	w.settings->nconventions = 1;
	w.settings->conventions = conventions;
	w.ledger = ledger_create();
	w.planner = planner_create(w.settings, w.ledger, renderers);
	for (unsigned i = 0; i < SLOTS; i++)
		w.slot[i].name = slot_names[i];
	for (unsigned v = 0; v < SERVICES; v++)
		w.of[v] = (struct memory){-1, false, -1, 0, 0};
	registry_tell(&w);
	for (unsigned i = 0; i < STEPS && right; i++) {
		uint64_t before = w.now;
		happen(&w);
		planner_step(w.planner, w.now);
		clocks_go(&w, w.now - before);
		judge(&w);
		right = is_right(&w);
	}
	planner_destroy(w.planner);
	ledger_destroy(w.ledger);
	settings_destroy(w.settings);
	return right;
}

int
main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100;
	unsigned seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)time(NULL);

	printf("slot oracle: %u stories of %d steps, seed %u\n", n, STEPS, seed);
	for (unsigned i = 0; i < n; i++)
		if (!story(seed + i)) {
			printf("slot oracle: story %u\n", seed + i);
			return 1;
		}
	printf("slot oracle: holds\n");
	return 0;
}
