#include "reconciler/model/planner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/model/damping.h"
#include "reconciler/model/planner_inside.h"
#include "reconciler/model/project_plan.h"
#include "reconciler/model/slot_choice.h"

const char *
readiness_text(enum readiness r)
{
	static const char *const text[] = {"starting", "ready", "refused", "unreachable"};
	assert(r < sizeof(text) / sizeof(*text));
	return text[r];
}

bool
readiness_counts(enum readiness r)
{
	return r == READY_YES || r == READY_CANNOT_TELL;
}

void *
planner_grow(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 16;
	return xrealloc(array, *cap * size);
}

void
project_ring(struct planner *p, struct project *pr)
{
	if (pr->dirty)
		return;
	pr->dirty = true;
	pr->next_dirty = p->dirty;
	p->dirty = pr;
}

struct project *
project_need(struct planner *p, const char *name)
{
	struct project *pr;
	HASH_FIND_STR(p->projects, name, pr);
	if (!pr) {
		pr = xcalloc(1, sizeof(*pr));
		pr->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, p->projects, pr->name, strlen(pr->name), pr);
	}
	return pr;
}

static void
project_free(struct planner *p, struct project *pr)
{
	HASH_DEL(p->projects, pr);
	project_due(p, pr, UINT64_MAX);
	project_plan_unref(pr->plan);
	entitlements_destroy(pr->entitled);
	free(pr->entry_claims);
	free(pr->name);
	free(pr);
}

void
host_ring(struct planner *p, const char *host)
{
	for (const struct ledger_claim *c = ledger_host(p->ledger, host); c; c = c->host_next)
		project_ring(p, project_need(p, c->group.project));
}

struct planner *
planner_create(const struct settings *settings, struct ledger *ledger,
	const struct renderer *const renderers[PLAN_OUTPUTS])
{
	struct planner *p = xcalloc(1, sizeof(*p));
	p->settings = settings;
	p->ledger = ledger;
	p->damping = damping_create(ledger);
	p->damping_due_ms = UINT64_MAX;
	memcpy(p->renderers, renderers, sizeof(p->renderers));
	p->snapshot = snapshot_create();
	p->registrar = registrar_create();
	p->fresh = true;
	p->rank_all = true;
	project_ring(p, project_need(p, PROJECT_STATIC));
	return p;
}

static void
member_attach_later(struct planner *p, struct member *m)
{
	p->unattached = planner_grow(
		p->unattached, p->nunattached, &p->unattached_cap, sizeof(*p->unattached));
	p->unattached[p->nunattached++] = m;
}

void
claim_orphan(struct planner *p, const struct ledger_claim *c)
{
	p->orphans = planner_grow(p->orphans, p->norphans, &p->orphans_cap, sizeof(*p->orphans));
	p->orphans[p->norphans++] = c;
}

static void
member_detach(struct planner *p, struct member *m)
{
	for (size_t i = 0; i < m->nclaims; i++)
		if (ledger_use(p->ledger, m->claim[i].claim, -1) == 0)
			claim_orphan(p, m->claim[i].claim);
	m->nclaims = 0;
	if (m->attached)
		return;
	for (size_t i = 0; i < p->nunattached; i++)
		if (p->unattached[i] == m) {
			p->unattached[i] = p->unattached[--p->nunattached];
			return;
		}
}

static void
member_unlink(struct planner *p, struct member *m)
{
	HASH_DEL(p->members, m);
	named_drop(p, m);
	if (!m->project)
		return;
	if (m->prev)
		m->prev->next = m->next;
	else
		m->project->members = m->next;
	if (m->next)
		m->next->prev = m->prev;
	project_ring(p, m->project);
	damping_touch(p, m);
	member_detach(p, m);
}

size_t
planner_key_size(const char *source, const char *name)
{
	return strlen(source) + 1 + strlen(name) + 1;
}

char *
planner_key(const char *source, const char *name)
{
	size_t n = strlen(source) + 1;
	char *key = xmalloc(planner_key_size(source, name));
	memcpy(key, source, n);
	memcpy(key + n, name, strlen(name) + 1);
	return key;
}

static struct member *
member_find(const struct planner *p, const char *engine, const char *id)
{
	char *key = planner_key(engine, id);
	struct member *m;
	HASH_FIND(hh, p->members, key, planner_key_size(engine, id), m);
	free(key);
	return m;
}

static void
member_link(struct planner *p, struct member *m)
{
	const struct endpoint *e = m->endpoint;

	m->key = planner_key(e->engine, e->id);
	HASH_ADD_KEYPTR(hh, p->members, m->key, planner_key_size(e->engine, e->id), m);
	named_add(p, m);
	if (m->stranger)
		return;
	m->project = project_need(p, m->group.project);
	m->next = m->project->members;
	if (m->next)
		m->next->prev = m;
	m->project->members = m;
	project_ring(p, m->project);
	damping_attach(p, m);
	member_attach_later(p, m);
}

bool
member_is_same_run(const struct member *a, const struct member *b)
{
	const char *x = a->endpoint->run, *y = b->endpoint->run;

	return (!*x || !*y || strcmp(x, y) == 0) && a->url && b->url &&
	       strcmp(a->url, b->url) == 0 && b->endpoint->state == ENDPOINT_RUNNING;
}

/* What was found out about the container before.  One that served on another's word, and is probed
 * from now on, serves until that finds otherwise. */
static void
member_inherit(struct member *m, const struct settings *s, const struct member *old,
	const struct settings *old_settings)
{
	if (!member_is_same_run(old, m))
		return;
	m->ready = old->ready;
	m->why = old->why;
	m->serving_ms = old->serving_ms;
	if (member_is_probed(m, s) && !member_is_probed(old, old_settings))
		m->ready = member_condition(old, old_settings) == SERVER_SERVING ? READY_YES
										 : READY_UNKNOWN;
}

/* What the container asks for instead of what it asked for, if it did. */
static bool
member_replace(struct planner *p, struct member *old, const struct endpoint *e)
{
	struct member *m = member_create(p->settings, p->registrar, e);

	if (m && old) {
		member_inherit(m, p->settings, old, p->settings);
		damping_note_replaced(p, old, m);
	}
	if (old)
		member_unlink(p, old);
	member_destroy(old);
	if (m) {
		member_link(p, m);
		damping_note_serves(p, m);
	}
	return m || old;
}

bool
planner_put(struct planner *p, const struct endpoint *e)
{
	struct member *old = member_find(p, e->engine, e->id);

	if (old && endpoint_equal(old->endpoint, e))
		return false;
	return member_replace(p, old, e);
}

void
member_reread(struct planner *p, struct member *m)
{
	const struct endpoint *e = endpoint_ref(m->endpoint);

	member_replace(p, m, e);
	endpoint_unref(e);
}

void
planner_remove(struct planner *p, const char *engine, const char *id)
{
	struct member *m = member_find(p, engine, id);
	if (!m)
		return;
	damping_note_lost(p, m);
	member_unlink(p, m);
	member_destroy(m);
}

const struct endpoint *
planner_find(const struct planner *p, const char *engine, const char *id)
{
	struct member *m = member_find(p, engine, id);
	return m ? m->endpoint : NULL;
}

void
planner_each(const struct planner *p,
	void (*fn)(void *arg, const struct endpoint *e, enum readiness ready), void *arg)
{
	struct member *m, *tmp;
	HASH_ITER(hh, p->members, m, tmp)
	fn(arg, m->endpoint, m->ready);
}

void
planner_set_ready(struct planner *p, const char *engine, const char *id, enum readiness ready)
{
	struct member *m = member_find(p, engine, id);
	if (!m || m->ready == ready)
		return;
	if (ready == READY_NO)
		damping_note_lost(p, m);
	m->ready = ready;
	damping_note_serves(p, m);
	damping_touch(p, m);
	if (m->project)
		project_ring(p, m->project);
}

void
planner_set_why(struct planner *p, const char *engine, const char *id, unsigned why)
{
	struct member *m = member_find(p, engine, id);
	if (!m || m->why == why)
		return;
	m->why = why;
	if (m->project && m->ready == READY_NO)
		project_ring(p, m->project);
}

bool
planner_probe_target(
	const struct planner *p, const char *engine, const char *id, struct probe_target *ret)
{
	const struct member *m = member_find(p, engine, id);
	if (!m || !member_wants_probe(m, p->settings))
		return false;
	*ret = (struct probe_target){
		.address = m->address,
		.port = m->port,
		.published = m->published,
		.run = m->endpoint->run,
		.ready_before = readiness_counts(m->ready),
		.path = member_probe_path(m),
		.missing_counts = m->health_guessed,
		.interval_ms = m->health_interval_ms,
		.timeout_ms = m->health_timeout_ms,
		.rise = m->health_rise,
		.fall = m->health_fall,
	};
	return true;
}

void
planner_set_settings(struct planner *p, const struct settings *settings)
{
	struct member **old = xmalloc(HASH_COUNT(p->members) * sizeof(struct member *));
	const struct settings *before = p->settings;
	struct member *m, *tmp;
	size_t n = 0;

	HASH_ITER(hh, p->members, m, tmp)
	{
		member_unlink(p, m);
		old[n++] = m;
	}
	p->settings = settings;
	for (size_t i = 0; i < n; i++) {
		planner_put(p, old[i]->endpoint);
		m = member_find(p, old[i]->endpoint->engine, old[i]->endpoint->id);
		/* The settings may have chosen another address of it. */
		if (m)
			member_inherit(m, settings, old[i], before);
		member_destroy(old[i]);
	}
	free(old);

	struct project *pr, *next;
	HASH_ITER(hh, p->projects, pr, next)
	{
		project_ring(p, pr);
		if (pr->entitled)
			entry_ring(p, pr);
	}
	p->rank_all = true;
}

/* A problem that stays keeps the time at which it began. */
static void
date_problems(struct project_plan *next, const struct project_plan *last, uint64_t now_ms)
{
	size_t k = 0;
	for (size_t i = 0; i < next->nproblems; i++) {
		struct problem *q = &next->problems[i];
		while (last && k < last->nproblems && problem_compare(&last->problems[k], q) < 0)
			k++;
		bool stays =
			last && k < last->nproblems && problem_compare(&last->problems[k], q) == 0;
		q->since_ms = stays ? last->problems[k].since_ms : now_ms;
	}
}

/* Has it anything to show?  Containers that the registry says to ignore are nothing. */
static bool
project_is_there(const struct planner *p, const struct project *pr)
{
	if (strcmp(pr->name, PROJECT_STATIC) == 0)
		return p->settings->nstatics || registrar_has_statics(p->registrar);
	for (const struct member *m = pr->members; m; m = m->next)
		if (!m->ignored)
			return true;
	return pr->entitled || ledger_project(p->ledger, pr->name);
}

static void
revise(struct planner *p, const struct project_plan *last, struct project_plan *next)
{
	uint64_t revision = p->snapshot->revision + 1;
	bool same = last && next && project_plan_serves_equal(next, last);

	if (next) {
		next->revision = revision;
		next->served_revision = same ? last->served_revision : revision;
	}
	if (!same)
		losses_note(&p->losses, last, next, revision);
}

/* Plans one project; true where its plan is another now. */
static bool
project_replan(struct planner *p, struct project *pr, uint64_t now_ms)
{
	const struct project_view view = {.settings = p->settings,
		.ledger = p->ledger,
		.registrar = p->registrar,
		.name = pr->name,
		.entitled = pr->entitled,
		.now_ms = now_ms,
		.members = pr->members};
	struct project_plan *next = NULL;

	project_choose_slots(&view, p->ledger);
	damping_date(p, pr);
	if (project_is_there(p, pr))
		next = project_plan_make(&view, p->renderers);
	project_due(p, pr, next ? next->due_ms : UINT64_MAX);
	if (next ? pr->plan && project_plan_equal(next, pr->plan) : !pr->plan) {
		project_plan_unref(next);
		return false;
	}
	if (next)
		date_problems(next, pr->plan, now_ms);
	revise(p, pr->plan, next);
	project_plan_unref(pr->plan);
	pr->plan = next;
	return true;
}

static void
snapshot_adopt(struct planner *p, const struct snapshot_change *changes, size_t n)
{
	struct snapshot *next = snapshot_next(p->snapshot, changes, n);
	snapshot_unref(p->snapshot);
	p->snapshot = next;
}

static void
replan_dirty(struct planner *p, uint64_t now_ms)
{
	struct project *dirty = p->dirty, *next;
	struct snapshot_change *changes = NULL;
	size_t n = 0, cap = 0;

	p->dirty = NULL;
	p->planned = 0;
	for (struct project *pr = dirty; pr; pr = pr->next_dirty, p->planned++) {
		if (!project_replan(p, pr, now_ms))
			continue;
		changes = planner_grow(changes, n, &cap, sizeof(*changes));
		changes[n++] = (struct snapshot_change){pr->name, pr->plan};
	}
	if (n)
		snapshot_adopt(p, changes, n);
	free(changes);

	for (struct project *pr = dirty; pr; pr = next) {
		next = pr->next_dirty;
		pr->dirty = false;
		if (!pr->plan && !pr->members && !pr->entitled && !pr->entry_dirty &&
			strcmp(pr->name, PROJECT_STATIC) != 0)
			project_free(p, pr);
	}
}

bool
planner_is_dirty(const struct planner *p, uint64_t now_ms)
{
	return p->dirty || p->fresh || p->nunattached || p->norphans ||
	       registry_is_dirty(p, now_ms) || damping_is_dirty(p) || planner_due_ms(p) <= now_ms ||
	       clock_went_back(p, now_ms);
}

uint64_t
planner_due_ms(const struct planner *p)
{
	const uint64_t dues[] = {
		p->held_first < p->held_end ? p->held[p->held_first].due_ms : UINT64_MAX,
		registry_due_ms(p), projects_due_ms(p), p->damping_due_ms};
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < sizeof(dues) / sizeof(*dues); i++)
		first = dues[i] < first ? dues[i] : first;
	return first;
}

struct snapshot *
planner_step(struct planner *p, uint64_t now_ms)
{
	if (!planner_is_dirty(p, now_ms))
		return p->snapshot;

	clock_follow(p, now_ms);
	registry_take_up(p, now_ms);
	attach_members(p);
	if (p->fresh)
		ledger_take_up(p, now_ms);
	release_orphans(p, now_ms);
	registry_rank(p);
	expire_held(p, now_ms);
	projects_ring_due(p, now_ms);
	damping_step(p, now_ms);
	replan_dirty(p, now_ms);
	return p->snapshot;
}

struct snapshot *
planner_snapshot(const struct planner *p)
{
	return p->snapshot;
}

uint64_t
planner_lost_revision(const struct planner *p, const char *text)
{
	return losses_revision(&p->losses, text);
}

size_t
planner_last_planned(const struct planner *p)
{
	return p->planned;
}

void
planner_destroy(struct planner *p)
{
	struct member *m, *mtmp;
	struct project *pr, *ptmp;

	if (!p)
		return;
	HASH_ITER(hh, p->members, m, mtmp)
	{
		HASH_DEL(p->members, m);
		named_drop(p, m);
		member_destroy(m);
	}
	HASH_ITER(hh, p->projects, pr, ptmp)
	project_free(p, pr);
	forget_held(p);
	snapshot_unref(p->snapshot);
	registry_finish(p);
	damping_finish(p);
	free(p->unattached);
	free(p->orphans);
	free(p->due);
	free(p->held);
	free(p);
}
