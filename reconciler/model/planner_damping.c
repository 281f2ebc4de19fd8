/* The planner's damping: who served and was lost, who serves again, and who counts as not ready for
 * it.  Between two steps that is only noted, for time comes with the step. */
#include <stdlib.h>
#include <string.h>

#include "reconciler/model/damping.h"
#include "reconciler/model/planner_inside.h"

static bool
serves(const struct planner *p, const struct member *m)
{
	return m->project && *m->endpoint->name && !m->endpoint->leaving &&
	       member_condition(m, p->settings) == SERVER_SERVING;
}

/* Do requests of the environment's hosts go to its slot? */
static bool
carries_traffic(const struct planner *p, const struct member *m)
{
	if (!*m->slot || m->supersedes)
		return true;

	const char *active = ledger_active(p->ledger, &m->group);
	if (active && strcmp(active, m->slot) == 0)
		return true;
	const struct registered_project *r = registrar_project(p->registrar, m->group.project);
	const struct registered_environment *e =
		r && !*m->group.branch ? registered_environment_find(r, m->group.environment)
				       : NULL;
	const struct registered_slot *slot =
		e && e->weighted ? registered_slot_find(e, m->slot) : NULL;
	return slot && slot->weight;
}

static void
fact_note(struct planner *p, const struct member *m, bool lost)
{
	struct damping_facts *f = &p->facts;

	f->list = planner_grow(f->list, f->n, &f->cap, sizeof(*f->list));
	f->list[f->n++] = (struct damping_fact){.lost = lost,
		.traffic = m->traffic,
		.serving_ms = m->serving_ms,
		.project = m->project,
		.endpoint = endpoint_ref(m->endpoint)};
}

static void
touch(struct planner *p, struct ledger_damping *row)
{
	if (row->touched)
		return;
	row->touched = true;
	row->touched_next = p->touched;
	p->touched = row;
}

/* Where it was before the last step, nobody has seen it serve.  Its group may be gone with what a
 * registry said of it. */
void
damping_note_lost(struct planner *p, const struct member *m)
{
	if (m->serving_ms && serves(p, m))
		fact_note(p, m, true);
}

void
damping_note_serves(struct planner *p, const struct member *m)
{
	if (p->damps && (p->facts.n || damping_waits(p->damping)) && serves(p, m))
		fact_note(p, m, false);
}

/* What somebody did to it is no loss: it was told to stop, paused, renamed, connected elsewhere;
 * nor is it one that nobody saw it restart. */
void
damping_note_replaced(struct planner *p, const struct member *old, const struct member *m)
{
	const struct endpoint *e = m->endpoint;

	if (old->endpoint == e || !old->project || m->stranger ||
		strcmp(old->endpoint->name, e->name) != 0 ||
		strcmp(old->project->name, m->group.project) != 0)
		return;
	if (e->leaving ? e->died
		       : e->state == ENDPOINT_RESTARTING ||
				 (member_is_same_run(old, m) &&
					 member_condition(m, p->settings) == SERVER_UNHEALTHY))
		damping_note_lost(p, old);
}

void
damping_touch(struct planner *p, const struct member *m)
{
	if (m->damping)
		touch(p, m->damping);
}

void
damping_attach(struct planner *p, struct member *m)
{
	const struct endpoint *e = m->endpoint;

	/* What an earlier run remembers is not whole before the first step. */
	if (!p->damps)
		return;
	m->damping = ledger_damping(p->ledger, m->group.project, e->engine, e->name);
	damping_touch(p, m);
}

static struct project *
project_of(const struct planner *p, const struct ledger_damping *row)
{
	struct project *pr;
	HASH_FIND_STR(p->projects, row->project, pr);
	return pr;
}

static bool
is_of(const struct member *m, const struct ledger_damping *row)
{
	return strcmp(m->endpoint->name, row->container) == 0 &&
	       strcmp(m->endpoint->engine, row->engine) == 0;
}

/* Tells the members of its name, which are rarely more than one, of it. */
static void
row_attach(struct planner *p, struct ledger_damping *row, bool gone)
{
	struct project *pr = project_of(p, row);

	for (struct member *m = pr ? pr->members : NULL; m; m = m->next)
		if (is_of(m, row))
			m->damping = gone ? NULL : row;
	if (pr)
		project_ring(p, pr);
}

static void
begin(struct planner *p, uint64_t now_ms)
{
	p->damps = true;
	for (struct ledger_damping *row = ledger_dampings(p->ledger); row; row = row->next) {
		row->touched = false; /* by another planner, in its last moment */
		damping_take_up(p->damping, row, now_ms);
		row_attach(p, row, false);
		touch(p, row);
	}
}

void
damping_redate(struct planner *p, uint64_t now_ms)
{
	for (struct ledger_damping *row = ledger_dampings(p->ledger); p->damps && row;
		row = row->next) {
		damping_take_up(p->damping, row, now_ms);
		touch(p, row);
	}
}

static void
fact_judge(struct planner *p, const struct damping_fact *f, uint64_t now_ms)
{
	const struct endpoint *e = f->endpoint;
	const struct damping_who who = {f->project->name, e->engine, e->name, e->id, e->run};
	uint64_t served_ms = f->serving_ms ? now_ms - f->serving_ms : 0;

	if (f->lost) {
		damping_lose(
			p->damping, &(struct damping_loss){who, served_ms, f->traffic}, now_ms);
		return;
	}
	struct ledger_damping *row = damping_return(p->damping, &who, now_ms);
	if (!row)
		return;
	row_attach(p, row, false);
	touch(p, row);
}

static void
facts_judge(struct planner *p, uint64_t now_ms)
{
	for (size_t i = 0; i < p->facts.n; i++) {
		fact_judge(p, &p->facts.list[i], now_ms);
		endpoint_unref(p->facts.list[i].endpoint);
	}
	p->facts.n = 0;
}

static void
row_look(struct planner *p, struct ledger_damping *row, uint64_t now_ms)
{
	struct project *pr = project_of(p, row);
	bool ready = false;

	for (const struct member *m = pr ? pr->members : NULL; m && !ready; m = m->next)
		ready = m->damping == row && serves(p, m);
	if (damping_look(p->damping, row, ready, now_ms) && pr)
		project_ring(p, pr);
	if (!damping_is_past(row, now_ms))
		return;
	row_attach(p, row, true);
	ledger_undamp(p->ledger, row);
}

/* The earliest time that is kept may be that of one which is due later by now; never the other way
 * round. */
static void
look_at_due(struct planner *p, uint64_t now_ms)
{
	struct ledger_damping *next;
	uint64_t due = UINT64_MAX;

	for (struct ledger_damping *row = ledger_dampings(p->ledger); row; row = next) {
		next = row->next;
		if (damping_due_ms(row) <= now_ms)
			touch(p, row);
		else if (damping_due_ms(row) < due)
			due = damping_due_ms(row);
	}
	p->damping_due_ms = due;
}

static void
look_at_touched(struct planner *p, uint64_t now_ms)
{
	while (p->touched) {
		struct ledger_damping *row = p->touched;
		p->touched = row->touched_next;
		row->touched = false;
		bool stays = !damping_is_past(row, now_ms);
		row_look(p, row, now_ms);
		if (stays && damping_due_ms(row) < p->damping_due_ms)
			p->damping_due_ms = damping_due_ms(row);
	}
}

void
damping_date(struct planner *p, struct project *pr)
{
	for (struct member *m = pr->members; m; m = m->next) {
		bool serving = serves(p, m);

		if (!serving || !m->serving_ms)
			m->serving_ms = serving ? p->serving_since_ms : 0;
		m->traffic = serving && carries_traffic(p, m);
	}
}

bool
damping_is_dirty(const struct planner *p)
{
	return p->facts.n || p->touched;
}

void
damping_step(struct planner *p, uint64_t now_ms)
{
	bool first = !p->damps;

	if (first)
		begin(p, now_ms);
	facts_judge(p, now_ms);
	if (p->damping_due_ms <= now_ms)
		look_at_due(p, now_ms);
	look_at_touched(p, now_ms);
	/* What served at the start did so for long. */
	p->serving_since_ms = first ? 1 : now_ms;
	damping_tidy(p->damping, now_ms);
}

void
damping_finish(struct planner *p)
{
	for (size_t i = 0; i < p->facts.n; i++)
		endpoint_unref(p->facts.list[i].endpoint);
	free(p->facts.list);
	damping_destroy(p->damping);
}
