#include "reconciler/model/slot_choice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a promotion is known by: the slot, and since when it is active. */
struct promotion {
	char text[64];
};

static struct promotion
promotion_of(const struct registered_environment *e)
{
	const struct registered_slot *s = registered_slot_find(e, e->active);
	struct promotion p;

	snprintf(p.text, sizeof(p.text), "%s %" PRIu64, e->active, s ? s->since_ms : 0);
	return p;
}

const struct registered_environment *
slot_environment(const struct project_view *v, const struct group *g)
{
	const struct registered_project *p = registrar_project(v->registrar, v->name);

	return p && !*g->branch ? registered_environment_find(p, g->environment) : NULL;
}

const char *
slot_registered(const struct project_view *v, const struct group *g)
{
	const struct registered_environment *e = slot_environment(v, g);

	return e ? e->active : NULL;
}

bool
member_has_slot(const struct member *m)
{
	return *m->slot && !m->supersedes;
}

bool
member_is_fit(const struct project_view *v, const struct member *m)
{
	return !m->supersedes && m->nclaims && !m->endpoint->leaving &&
	       member_state(m, v->settings) == SERVER_SERVING;
}

static bool
slot_is_ready(const struct project_view *v, const struct group *g, const char *slot)
{
	for (const struct member *m = v->members; m; m = m->next)
		if (strcmp(m->slot, slot) == 0 && group_equal(&m->group, g) && member_is_fit(v, m))
			return true;
	return false;
}

/* The ready slot whose name comes first; NULL where none is ready. */
static const char *
slot_first_ready(const struct project_view *v, const struct group *g)
{
	const char *first = NULL;

	for (const struct member *m = v->members; m; m = m->next)
		if ((!first || strcmp(m->slot, first) < 0) && group_equal(&m->group, g) &&
			member_is_fit(v, m))
			first = m->slot;
	return first;
}

/* The registry does not say. */
static void
choose_freely(const struct project_view *v, struct ledger *l, const struct group *g)
{
	const char *active = ledger_active(l, g);

	if (active && slot_is_ready(v, g, active))
		return;
	const char *next = slot_first_ready(v, g);
	if (next)
		ledger_choose(l, g, &(struct ledger_choice){.slot = next, .promotion = ""});
}

/* For another group it may carry traffic: then its clock stands, as of the last step, lest the
 * order of groups matter. */
static bool
grace_is_over(const struct project_view *v, const struct registered_environment *e,
	const struct registered_slot *s)
{
	const struct group g = {v->name, e->name, "", ""};
	uint64_t until = slot_until_ms(v, e, s);
	struct ledger_grace grace;
	bool stands = ledger_grace(v->ledger, &g, s->name, &grace) &&
		      grace.until_ms == s->until_ms && grace.since_ms;

	return until && until <= (stands ? grace.since_ms : v->now_ms);
}

/* Requests that are shared by weight have lost nothing as long as one of the slots is ready. */
static bool
is_shared(
	const struct project_view *v, const struct registered_environment *e, const struct group *g)
{
	for (size_t i = 0; e->weighted && i < e->nslots; i++)
		if (e->slot[i].weight && slot_is_ready(v, g, e->slot[i].name))
			return true;
	return false;
}

/* A slot that a rollback could go back to now; NULL where there is none. */
static const char *
slot_to_fall_back_to(
	const struct project_view *v, const struct registered_environment *e, const struct group *g)
{
	if (v->settings->auto_rollback == ROLLBACK_NONE || is_shared(v, e, g))
		return NULL;
	for (size_t i = 0; i < e->nslots; i++) {
		const struct registered_slot *s = &e->slot[i];
		if (s->state == SLOT_GRACE && strcmp(s->name, e->active) != 0 &&
			!grace_is_over(v, e, s) && slot_is_ready(v, g, s->name))
			return s->name;
	}
	return NULL;
}

static bool
fall_back(const struct project_view *v, struct ledger *l, const struct group *g,
	const struct registered_environment *e, const struct promotion *p)
{
	const char *next = slot_to_fall_back_to(v, e, g);

	if (next)
		ledger_choose(l, g, &(struct ledger_choice){next, p->text, true, 0});
	return next;
}

/* Both were lost at once, as where a machine or an engine starts anew: the one that comes back
 * first is not to be the old one for that. */
static bool
is_late(const struct project_view *v, const struct ledger_choice *last)
{
	return last->lost_ms && last->lost_ms <= v->now_ms &&
	       v->now_ms < last->lost_ms + SLOT_LATE_MS;
}

/* The active slot has no container that is ready. */
static void
choose_instead(const struct project_view *v, struct ledger *l, const struct group *g,
	const struct registered_environment *e, const struct promotion *p)
{
	struct ledger_choice last;

	if (!ledger_choice(l, g, &last)) {
		/* What has no slot may have served until now. */
		ledger_choose(l, g,
			&(struct ledger_choice){
				slot_is_ready(v, g, "") ? "" : e->active, "", false, 0});
		return;
	}
	/* One that never was ready has lost nothing: what served before goes on, and is no fallback
	 * any more, for the promotion that it stood in for is over. */
	bool lost = strcmp(last.slot, e->active) == 0 && *last.promotion;
	if (lost && !is_late(v, &last) && fall_back(v, l, g, e, p))
		return;
	if (!last.lost_ms || last.lost_ms > v->now_ms)
		last.lost_ms = v->now_ms;
	if (!lost || v->settings->auto_rollback == ROLLBACK_NONE)
		last.lost_ms = 0;
	last.fallback = false;
	ledger_choose(l, g, &last);
}

static void
choose_registered(const struct project_view *v, struct ledger *l, const struct group *g,
	const struct registered_environment *e)
{
	const struct promotion p = promotion_of(e);
	struct ledger_choice last;
	bool stays = ledger_choice(l, g, &last) && last.fallback &&
		     strcmp(last.promotion, p.text) == 0 && !is_shared(v, e, g);

	if (stays && slot_is_ready(v, g, last.slot))
		return;
	if (slot_is_ready(v, g, e->active))
		ledger_choose(l, g, &(struct ledger_choice){e->active, p.text, false, 0});
	else if (stays)
		fall_back(v, l, g, e, &p);
	else
		choose_instead(v, l, g, e, &p);
}

static void
choose_slot(const struct project_view *v, struct ledger *l, const struct group *g)
{
	const struct registered_environment *e = slot_environment(v, g);

	if (e && e->active)
		choose_registered(v, l, g, e);
	else
		choose_freely(v, l, g);
}

/* -- clocks -- */

static bool
is_of(const struct member *m, const struct registered_environment *e)
{
	return member_has_slot(m) && !*m->group.branch &&
	       strcmp(m->group.environment, e->name) == 0;
}

bool
slot_carries(const struct project_view *v, const struct registered_environment *e, const char *slot)
{
	for (const struct member *m = v->members; m; m = m->next) {
		if (!is_of(m, e) || strcmp(m->slot, slot) != 0)
			continue;
		const char *active = ledger_active(v->ledger, &m->group);
		const struct registered_slot *s = registered_slot_find(e, slot);
		if ((active && strcmp(active, slot) == 0) ||
			(e->weighted && s && s->weight && member_is_fit(v, m)))
			return true;
	}
	return false;
}

uint64_t
slot_until_ms(const struct project_view *v, const struct registered_environment *e,
	const struct registered_slot *s)
{
	const struct group g = {v->name, e->name, "", ""};
	struct ledger_grace grace;

	if (s->state != SLOT_GRACE || !s->until_ms ||
		!ledger_grace(v->ledger, &g, s->name, &grace) || grace.until_ms != s->until_ms)
		return s->state == SLOT_GRACE || s->state == SLOT_RESERVED ? s->until_ms : 0;
	return s->until_ms + grace.held_ms;
}

/* Not for longer than the slot has been in its grace period: a machine may boot years ago. */
static uint64_t
stood_ms(const struct project_view *v, const struct registered_slot *s,
	const struct ledger_grace *grace)
{
	uint64_t since_ms = grace->since_ms > s->since_ms ? grace->since_ms : s->since_ms;

	return v->now_ms > since_ms ? v->now_ms - since_ms : 0;
}

static void
keep_clock(const struct project_view *v, struct ledger *l, const struct registered_environment *e,
	const struct registered_slot *s)
{
	const struct group g = {v->name, e->name, "", ""};
	bool ends = s->state == SLOT_GRACE && s->until_ms;
	bool stands = ends && slot_carries(v, e, s->name);
	struct ledger_grace grace;
	bool known = ledger_grace(l, &g, s->name, &grace) && grace.until_ms == s->until_ms;

	if (!ends || (!known && !stands)) {
		ledger_set_grace(l, &g, s->name, NULL);
		return;
	}
	if (!known)
		grace = (struct ledger_grace){.until_ms = s->until_ms};
	if (stands && !grace.since_ms)
		grace.since_ms = v->now_ms;
	if (!stands && grace.since_ms) {
		grace.held_ms += stood_ms(v, s, &grace);
		grace.since_ms = 0;
	}
	ledger_set_grace(l, &g, s->name, &grace);
}

void
project_choose_slots(const struct project_view *v, struct ledger *l)
{
	const struct registered_project *p = registrar_project(v->registrar, v->name);
	const struct group *last = NULL; /* most projects have one */

	for (const struct member *m = v->members; m; m = m->next) {
		if (m->supersedes || (last && group_equal(last, &m->group)) ||
			(!*m->slot && !ledger_active(l, &m->group)))
			continue;
		choose_slot(v, l, &m->group);
		last = &m->group;
	}
	for (size_t i = 0; p && i < p->nenvironments; i++)
		for (size_t k = 0; k < p->environments[i].nslots; k++)
			keep_clock(v, l, &p->environments[i], &p->environments[i].slot[k]);
}
