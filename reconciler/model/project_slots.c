/* How the slots of a project's environments stand: what the registry says, and what is there. */
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/text.h"
#include "reconciler/model/project_plan_inside.h"

static int
slot_compare(const void *a, const void *b)
{
	const struct plan_slot *x = a, *y = b;
	int order = strcmp(x->environment, y->environment);

	return order ? order : strcmp(x->slot, y->slot);
}

const struct plan_slot *
plan_slot_find(const struct maker *k, const char *environment, const char *slot)
{
	const struct plan_slot key = {.environment = environment, .slot = slot};

	return k->nslots ? bsearch(&key, k->slots, k->nslots, sizeof(key), slot_compare) : NULL;
}

bool
plan_slot_is_over(const struct plan_slot *s)
{
	return s->ended || (s->registered && s->state == SLOT_EMPTY && !s->traffic);
}

/* A place for each slot that is registered or has a container; a few may be there twice. */
static size_t
slots_count(const struct maker *k, const struct registered_project *p)
{
	size_t n = 0;

	for (size_t i = 0; p && i < p->nenvironments; i++)
		n += p->environments[i].nslots;
	for (const struct member *m = k->view->members; m; m = m->next)
		n += member_has_slot(m) && !*m->group.branch;
	return n;
}

static struct plan_slot
slot_registered_make(const struct maker *k, const struct registered_environment *e,
	const struct registered_slot *s)
{
	return (struct plan_slot){
		.environment = arena_strdup(k->arena, e->name),
		.slot = arena_strdup(k->arena, s->name),
		.registered = true,
		.state = s->state,
		.active = e->active && strcmp(e->active, s->name) == 0,
		.port = s->port,
		.since_ms = s->since_ms,
		.until_ms = slot_until_ms(k->view, e, s),
		.id = arena_strdup(k->arena, s->id),
	};
}

static void
slots_collect(struct maker *k, const struct registered_project *p)
{
	for (size_t i = 0; p && i < p->nenvironments; i++)
		for (size_t s = 0; s < p->environments[i].nslots; s++)
			k->slots[k->nslots++] = slot_registered_make(
				k, &p->environments[i], &p->environments[i].slot[s]);
	for (const struct member *m = k->view->members; m; m = m->next)
		if (member_has_slot(m) && !*m->group.branch)
			k->slots[k->nslots++] = (struct plan_slot){
				.environment = arena_strdup(k->arena, m->group.environment),
				.slot = arena_strdup(k->arena, m->slot),
			};
}

/* Of equal ones the registered one stays. */
static int
slot_compare_registered(const void *a, const void *b)
{
	const struct plan_slot *x = a, *y = b;
	int order = slot_compare(a, b);

	return order ? order : y->registered - x->registered;
}

static void
slots_sort(struct maker *k)
{
	size_t n = 0;

	if (k->nslots)
		qsort(k->slots, k->nslots, sizeof(*k->slots), slot_compare_registered);
	for (size_t i = 0; i < k->nslots; i++)
		if (!n || slot_compare(&k->slots[n - 1], &k->slots[i]) != 0)
			k->slots[n++] = k->slots[i];
	k->nslots = n;
}

/* Its own entry; the table is the maker's, and still being filled. */
static struct plan_slot *
slot_of(struct maker *k, const char *environment, const char *slot)
{
	return k->slots + (plan_slot_find(k, environment, slot) - k->slots);
}

static void
slots_count_servers(struct maker *k)
{
	for (const struct member *m = k->view->members; m; m = m->next) {
		if (!member_has_slot(m) || *m->group.branch)
			continue;
		struct plan_slot *s = slot_of(k, m->group.environment, m->slot);
		bool fit = member_is_fit(k->view, m);
		s->servers++;
		s->ready += fit;
		/* A ready one's name; of several the first. */
		if (!s->container || (fit && s->ready == 1) ||
			((fit || !s->ready) && strcmp(m->endpoint->name, s->container) < 0))
			s->container = arena_strdup(k->arena, m->endpoint->name);
	}
}

static void
slots_add_traffic(struct maker *k)
{
	for (size_t i = 0; i < k->nroutes; i++) {
		const struct route *r = &k->routes[i];
		for (size_t n = 0; n < r->nrouted && !*r->branch; n++)
			if (*r->servers[n].slot)
				slot_of(k, r->environment, r->servers[n].slot)->traffic = true;
	}
}

/* The one that stands in for the active one: a group of its environment says so.  Where the
 * registry names none any more, there is none to stand in for. */
static bool
is_fallback(const struct maker *k, const struct plan_slot *s)
{
	const struct group g = {k->view->name, s->environment, "", ""};
	struct ledger_choice c;

	if (!slot_registered(k->view, &g))
		return false;
	for (const struct member *m = k->view->members; m; m = m->next)
		if (member_has_slot(m) && !*m->group.branch && strcmp(m->slot, s->slot) == 0 &&
			strcmp(m->group.environment, s->environment) == 0 &&
			ledger_choice(k->ledger, &m->group, &c) && c.fallback &&
			strcmp(c.slot, s->slot) == 0)
			return true;
	return false;
}

static bool
is_carried(const struct maker *k, const struct plan_slot *s)
{
	const struct group g = {k->view->name, s->environment, "", ""};
	const struct registered_environment *e = slot_environment(k->view, &g);

	return s->traffic || (e && slot_carries(k->view, e, s->slot));
}

static void
slot_judge(struct maker *k, struct plan_slot *s)
{
	s->fallback = s->registered && s->traffic && !s->active && is_fallback(k, s);
	if (!s->until_ms || is_carried(k, s))
		return;
	s->ended = s->until_ms <= k->view->now_ms;
	plan_due(k, s->until_ms);
}

void
slots_make(struct maker *k)
{
	const struct registered_project *p = registrar_project(k->view->registrar, k->view->name);

	k->slots = ARENA_ARRAY(k->arena, struct plan_slot, slots_count(k, p));
	slots_collect(k, p);
	slots_sort(k);
	slots_count_servers(k);
	slots_add_traffic(k);
	for (size_t i = 0; i < k->nslots; i++)
		slot_judge(k, &k->slots[i]);
}

/* -- problems -- */

static void
complain(struct maker *k, enum problem_code code, const struct plan_slot *s, const char *what,
	const char *remedy)
{
	const struct group g = {k->view->name, s->environment, "", ""};

	problem_add(&k->problems, &(struct problem){
					  .code = code,
					  .object = group_text(k->arena, &g),
					  .field = arena_printf(k->arena, "slot %s", s->slot),
					  .what = what,
					  .remedy = remedy,
					  .project = k->plan->project,
				  });
}

static void
complain_over(struct maker *k, const struct plan_slot *s)
{
	struct arena *a = k->arena;

	if (s->ended)
		complain(k, PROBLEM_SLOT_DUE, s,
			s->state == SLOT_GRACE ? "its grace period has ended"
					       : "its reservation has ended",
			arena_printf(a, "waymark slot cleanup %s %s %s", k->plan->project,
				s->environment, s->slot));
	else if (s->registered && s->state == SLOT_EMPTY && s->servers)
		complain(k, PROBLEM_SLOT_OCCUPIED, s,
			arena_printf(a, "the registry says that it is empty, and %s runs%s",
				s->container, s->traffic ? " and serves" : ""),
			s->traffic ? "register it as the active one"
				   : "remove the container, or reserve the slot for it first");
}

/* The registry names another slot than the one that serves. */
static void
complain_waiting(
	struct maker *k, const struct group *g, const char *wanted, const struct ledger_choice *c)
{
	const char *serves =
		*c->slot ? arena_printf(k->arena, "slot %s", c->slot) : "what has no slot";
	const char *what = arena_printf(k->arena,
		c->fallback ? "slot %s is active and lost all its containers; %s serves instead, "
			      "and will until a promote or a rollback"
			    : "the registry says that slot %s is active, and no container of it is "
			      "ready; %s serves until then",
		wanted, serves);
	const char *remedy =
		c->fallback ? arena_printf(k->arena, "make it so: waymark slot rollback %s %s %s",
				      k->plan->project, g->environment, c->slot)
			    : "see what its containers wait for, or make the other slot active "
			      "again";

	problem_add(&k->problems,
		&(struct problem){
			.code = c->fallback ? PROBLEM_SLOT_FALLBACK : PROBLEM_SLOT_WAITING,
			.object = group_text(k->arena, g),
			.what = what,
			.remedy = remedy,
			.project = k->plan->project,
		});
}

/* One of each group speaks for it. */
static bool
is_first_of_group(const struct member *members, const struct member *m)
{
	for (const struct member *o = members; o != m; o = o->next)
		if (member_has_slot(o) && group_equal(&o->group, &m->group))
			return false;
	return true;
}

void
add_slot_problems(struct maker *k)
{
	struct ledger_choice c;

	for (const struct member *m = k->view->members; m; m = m->next) {
		if (member_has_slot(m) && ledger_choice(k->ledger, &m->group, &c) && c.lost_ms)
			plan_due(k, c.lost_ms + SLOT_LATE_MS);
		const char *wanted =
			member_has_slot(m) ? slot_registered(k->view, &m->group) : NULL;
		if (wanted && ledger_choice(k->ledger, &m->group, &c) &&
			strcmp(wanted, c.slot) != 0 && is_first_of_group(k->view->members, m))
			complain_waiting(k, &m->group, wanted, &c);
	}
	for (size_t i = 0; i < k->nslots; i++)
		complain_over(k, &k->slots[i]);
}
