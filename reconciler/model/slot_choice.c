#include "reconciler/model/slot_choice.h"

#include <string.h>

/* Could it serve as one of the group's slots? */
static bool
is_ready(const struct settings *s, const struct member *m, const struct group *g)
{
	return !m->supersedes && m->nclaims && !m->endpoint->leaving && group_equal(&m->group, g) &&
	       member_state(m, s) == SERVER_SERVING;
}

static bool
slot_is_ready(const struct settings *s, const struct member *members, const struct group *g,
	const char *slot)
{
	for (const struct member *m = members; m; m = m->next)
		if (strcmp(m->slot, slot) == 0 && is_ready(s, m, g))
			return true;
	return false;
}

/* The ready slot whose name comes first; NULL where none is ready. */
static const char *
slot_first_ready(const struct settings *s, const struct member *members, const struct group *g)
{
	const char *first = NULL;
	for (const struct member *m = members; m; m = m->next)
		if ((!first || strcmp(m->slot, first) < 0) && is_ready(s, m, g))
			first = m->slot;
	return first;
}

const char *
slot_registered(const struct project_view *v, const struct group *g)
{
	const struct registered_project *p = registrar_project(v->registrar, v->name);
	const struct registered_environment *e =
		p && !*g->branch ? registered_environment_find(p, g->environment) : NULL;

	return e ? e->active : NULL;
}

static void
choose_slot(const struct project_view *v, struct ledger *l, const struct group *g)
{
	const char *active = ledger_active(l, g), *wanted = slot_registered(v, g);

	if (wanted && slot_is_ready(v->settings, v->members, g, wanted)) {
		ledger_set_active(l, g, wanted);
		return;
	}
	if (wanted) {
		/* What has no slot may have served until now. */
		if (!active)
			ledger_set_active(
				l, g, slot_is_ready(v->settings, v->members, g, "") ? "" : wanted);
		return;
	}
	if (active && slot_is_ready(v->settings, v->members, g, active))
		return;
	const char *next = slot_first_ready(v->settings, v->members, g);
	if (next)
		ledger_set_active(l, g, next);
}

void
project_choose_slots(const struct project_view *v, struct ledger *l)
{
	const struct group *last = NULL; /* most projects have one */

	for (const struct member *m = v->members; m; m = m->next) {
		if (m->supersedes || (last && group_equal(last, &m->group)) ||
			(!*m->slot && !ledger_active(l, &m->group)))
			continue;
		choose_slot(v, l, &m->group);
		last = &m->group;
	}
}
