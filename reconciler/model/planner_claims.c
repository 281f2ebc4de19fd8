/* The planner's claims: from what containers ask for into the ledger, and out of it again. */
#include <stdlib.h>
#include <string.h>

#include "reconciler/model/planner_inside.h"

static void
hold(struct planner *p, const struct ledger_claim *c, uint64_t due_ms)
{
	if (p->held_end == p->held_cap && p->held_first) {
		memmove(p->held, p->held + p->held_first,
			(p->held_end - p->held_first) * sizeof(*p->held));
		p->held_end -= p->held_first;
		p->held_first = 0;
	}
	p->held = planner_grow(p->held, p->held_end, &p->held_cap, sizeof(*p->held));
	p->held[p->held_end++] = (struct held){due_ms, xstrdup(c->host)};
}

static int
gone_compare(const void *a, const void *b)
{
	const struct ledger_claim *x = *(const struct ledger_claim *const *)a;
	const struct ledger_claim *y = *(const struct ledger_claim *const *)b;
	return (x->gone_ms > y->gone_ms) - (x->gone_ms < y->gone_ms);
}

struct claims {
	struct planner *p;
	const struct ledger_claim **list;
	size_t n, cap;
};

static void
claims_collect(void *arg, const char *project)
{
	struct claims *all = arg;
	for (const struct ledger_claim *c = ledger_project(all->p->ledger, project); c;
		c = c->project_next) {
		all->list = planner_grow(all->list, all->n, &all->cap, sizeof(*all->list));
		all->list[all->n++] = c;
	}
	project_ring(all->p, project_need(all->p, project));
}

void
ledger_take_up(struct planner *p, uint64_t now_ms)
{
	struct claims all = {.p = p};

	p->fresh = false;
	ledger_each_project(p->ledger, claims_collect, &all);
	if (all.n)
		qsort(all.list, all.n, sizeof(*all.list), gone_compare);
	for (size_t i = 0; i < all.n; i++) {
		const struct ledger_claim *c = all.list[i];
		if (c->gone_ms > now_ms)
			ledger_release(p->ledger, c, now_ms);
		if (c->gone_ms)
			hold(p, c, c->gone_ms + p->settings->hold_ms);
		else if (!c->users && !c->entries)
			claim_orphan(p, c);
	}
	free(all.list);
}

static int
older_first(const void *a, const void *b)
{
	const struct endpoint *x = (*(struct member *const *)a)->endpoint;
	const struct endpoint *y = (*(struct member *const *)b)->endpoint;
	int order = (x->created > y->created) - (x->created < y->created);

	if (!order)
		order = strcmp(x->id, y->id);
	return order ? order : strcmp(x->engine, y->engine);
}

static void
attach_host(struct planner *p, struct member *m, const struct ledger_wish *w,
	struct convention_origin from)
{
	bool changed;
	const struct ledger_claim *c = ledger_claim(p->ledger, w, &changed);

	for (size_t i = 0; i < m->nclaims; i++)
		if (m->claim[i].claim == c)
			return;
	changed = ledger_use(p->ledger, c, 1) == 1 || changed;
	m->claim[m->nclaims++] = (struct member_claim){c, from};
	if (ledger_set_rank(p->ledger, c, claim_rank(p, c)) || changed)
		host_ring(p, w->host);
}

static void
member_attach(struct planner *p, struct member *m)
{
	m->attached = true;
	if (!m->claims)
		return;
	m->claim = ARENA_ARRAY(&m->arena, struct member_claim, m->nhosts + 1);
	if (m->derived) {
		bool suffixed = m->derived_suffixed &&
				ledger_branch_suffixed(p->ledger, &m->group, m->derived);
		attach_host(p, m,
			&(struct ledger_wish){&m->group, member_derived(m, suffixed), m->path, "",
				m->kind, true, false},
			m->derived_from);
	}
	for (size_t i = 0; i < m->nhosts; i++) {
		const struct member_host *h = &m->hosts[i];
		attach_host(p, m,
			&(struct ledger_wish){&m->group, h->host, m->path, h->slot ? m->slot : "",
				h->kind, h->derived, false},
			h->from);
	}
}

void
attach_members(struct planner *p)
{
	if (p->nunattached)
		qsort(p->unattached, p->nunattached, sizeof(*p->unattached), older_first);
	for (size_t i = 0; i < p->nunattached; i++)
		member_attach(p, p->unattached[i]);
	p->nunattached = 0;
}

void
release_orphans(struct planner *p, uint64_t now_ms)
{
	for (size_t i = 0; i < p->norphans; i++) {
		const struct ledger_claim *c = p->orphans[i];
		if (c->users || c->gone_ms)
			continue;
		host_ring(p, c->host);
		if (c->entries)
			continue;
		ledger_release(p->ledger, c, now_ms);
		hold(p, c, now_ms + p->settings->hold_ms);
	}
	p->norphans = 0;
}

static void
host_expire(struct planner *p, const char *host, uint64_t now_ms)
{
	const struct ledger_claim *next;
	bool first = true;

	for (const struct ledger_claim *c = ledger_host(p->ledger, host); c; c = next) {
		next = c->host_next;
		if (!c->gone_ms || c->gone_ms + p->settings->hold_ms > now_ms)
			continue;
		if (first)
			host_ring(p, host);
		first = false;
		ledger_drop(p->ledger, c);
	}
}

void
expire_held(struct planner *p, uint64_t now_ms)
{
	while (p->held_first < p->held_end && p->held[p->held_first].due_ms <= now_ms) {
		char *host = p->held[p->held_first++].host;
		host_expire(p, host, now_ms);
		free(host);
	}
}

void
forget_held(struct planner *p)
{
	while (p->held_first < p->held_end)
		free(p->held[p->held_first++].host);
}
