/* The planner's registry side: projects come and go, and with them whose a host is. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/model/planner_inside.h"
#include "reconciler/model/project_plan.h"

/* From so many hosts on, every claim is looked at. */
#define RECOVERED_MAX 1000
#define ID_DIGITS 12

void
entry_ring(struct planner *p, struct project *pr)
{
	/* Members may be read anew more than once before a step takes up the entry. */
	if (!pr->stale) {
		p->stale =
			planner_grow(p->stale, p->nstale, &p->stale_cap, sizeof(struct project *));
		p->stale[p->nstale++] = pr;
		pr->stale = true;
	}
	if (pr->entry_dirty)
		return;
	pr->entry_dirty = true;
	pr->next_entry = p->entries;
	p->entries = pr;
}

static struct named *
named_find(const struct planner *p, const char *text, size_t n)
{
	struct named *d;
	HASH_FIND(hh, p->named, text, n, d);
	return d;
}

static void
named_add_by(struct planner *p, const char *text, size_t n, struct member *m)
{
	struct named *d = named_find(p, text, n);
	if (!d) {
		d = xcalloc(1, sizeof(*d));
		d->text = memcpy(xcalloc(1, n + 1), text, n);
		HASH_ADD_KEYPTR(hh, p->named, d->text, n, d);
	}
	d->members = xrealloc(d->members, (d->n + 1) * sizeof(struct member *));
	d->members[d->n++] = m;
}

static void
named_drop_by(struct planner *p, const char *text, size_t n, const struct member *m)
{
	struct named *d = named_find(p, text, n);
	size_t i = 0;

	while (d && i < d->n && d->members[i] != m)
		i++;
	if (!d || i == d->n)
		return;
	d->members[i] = d->members[--d->n];
	if (d->n)
		return;
	HASH_DEL(p->named, d);
	free(d->members);
	free(d->text);
	free(d);
}

void
named_add(struct planner *p, struct member *m)
{
	const struct endpoint *e = m->endpoint;

	if (!settings_has_registry(p->settings))
		return;
	if (*e->name)
		named_add_by(p, e->name, strlen(e->name), m);
	if (strlen(e->id) >= ID_DIGITS)
		named_add_by(p, e->id, ID_DIGITS, m);
}

void
named_drop(struct planner *p, struct member *m)
{
	const struct endpoint *e = m->endpoint;

	named_drop_by(p, e->name, strlen(e->name), m);
	if (strlen(e->id) >= ID_DIGITS)
		named_drop_by(p, e->id, ID_DIGITS, m);
}

static void
call_one(struct planner *p, const char *text, size_t n)
{
	struct called *c;

	HASH_FIND(hh, p->called, text, n, c);
	if (c)
		return;
	c = xcalloc(1, sizeof(*c));
	c->text = memcpy(xcalloc(1, n + 1), text, n);
	HASH_ADD_KEYPTR(hh, p->called, c->text, n, c);
}

/* The containers that its deployments name may belong to another project by now. */
static void
call_containers(struct planner *p, const struct registered_project *entry)
{
	for (size_t i = 0; entry && i < entry->ndeployments; i++) {
		const char *text = entry->deployments[i].container;
		if (!text)
			continue;
		call_one(p, text, strlen(text));
		if (strlen(text) >= ID_DIGITS)
			call_one(p, text, ID_DIGITS);
	}
}

static struct leaving *
leaving_find(const struct planner *p, const char *source, const char *name)
{
	struct leaving *l;
	char *key = planner_key(source, name);

	HASH_FIND(hh, p->leaving, key, planner_key_size(source, name), l);
	free(key);
	return l;
}

static void
leaving_add(struct planner *p, const struct registered_project *entry)
{
	struct leaving *l = xcalloc(1, sizeof(*l));

	l->entry = registered_project_ref(entry);
	l->key = planner_key(entry->source, entry->name);
	HASH_ADD_KEYPTR(hh, p->leaving, l->key, planner_key_size(entry->source, entry->name), l);
	p->leaving_last = l;
}

static void
leaving_drop(struct planner *p, struct leaving *l)
{
	if (p->leaving_last == l)
		p->leaving_last = l->hh.prev;
	HASH_DEL(p->leaving, l);
	registered_project_unref(l->entry);
	free(l->key);
	free(l);
}

/* The clocks of slots that are not there any more. */
static void
forget_clocks(struct planner *p, const struct registered_project *old,
	const struct registered_project *entry)
{
	for (size_t i = 0; old && i < old->nenvironments; i++) {
		const struct registered_environment *o = &old->environments[i];
		const struct registered_environment *e =
			entry ? registered_environment_find(entry, o->name) : NULL;
		const struct group g = {old->name, o->name, "", ""};
		for (size_t k = 0; k < o->nslots; k++)
			if (!e || !registered_slot_find(e, o->slot[k].name))
				ledger_set_grace(p->ledger, &g, o->slot[k].name, NULL);
	}
}

bool
planner_put_project(struct planner *p, const struct registered_project *entry)
{
	const struct registered_project *old =
		registrar_find(p->registrar, entry->source, entry->name);
	struct leaving *leaving = leaving_find(p, entry->source, entry->name);

	if (leaving)
		leaving_drop(p, leaving);
	if (old && registered_project_equal(old, entry))
		return leaving; /* which it was not about to before */
	call_containers(p, registrar_project(p->registrar, entry->name));
	forget_clocks(p, old, entry);
	registrar_put(p->registrar, entry);
	call_containers(p, registrar_project(p->registrar, entry->name));
	entry_ring(p, project_need(p, entry->name));
	return true;
}

static void
project_forget(struct planner *p, const struct registered_project *entry)
{
	struct project *pr = project_need(p, entry->name);

	call_containers(p, registrar_project(p->registrar, pr->name));
	forget_clocks(p, entry, NULL);
	registrar_remove(p->registrar, entry->source, pr->name);
	call_containers(p, registrar_project(p->registrar, pr->name));
	entry_ring(p, pr);
}

void
planner_remove_project(struct planner *p, const char *source, const char *name, bool at_once)
{
	const struct registered_project *entry = registrar_find(p->registrar, source, name);
	struct leaving *leaving = leaving_find(p, source, name);

	if (!entry)
		return;
	if (at_once) {
		if (leaving)
			leaving_drop(p, leaving);
		project_forget(p, entry);
	} else if (!leaving) {
		leaving_add(p, entry);
	}
}

bool
planner_is_leaving(const struct planner *p, const char *source, const char *name)
{
	return leaving_find(p, source, name);
}

static void
static_ring(struct planner *p, const char *host)
{
	project_ring(p, project_need(p, PROJECT_STATIC));
	host_ring(p, host);
}

bool
planner_put_static(struct planner *p, const struct registered_static *s)
{
	const struct registered_static *old =
		registrar_find_static(p->registrar, s->source, s->route.host);

	if (old && registered_static_equal(old, s))
		return false;
	registrar_put_static(p->registrar, s);
	static_ring(p, s->route.host);
	return true;
}

void
planner_remove_static(struct planner *p, const char *source, const char *host)
{
	if (!registrar_find_static(p->registrar, source, host))
		return;
	static_ring(p, host);
	registrar_remove_static(p->registrar, source, host);
}

const struct registrar *
planner_registrar(const struct planner *p)
{
	return p->registrar;
}

static void
called_clear(struct planner *p)
{
	struct called *c, *tmp;
	HASH_ITER(hh, p->called, c, tmp)
	{
		HASH_DEL(p->called, c);
		free(c->text);
		free(c);
	}
}

static void
leave_due(struct planner *p, uint64_t now_ms)
{
	for (struct leaving *l = p->leaving_last; l && !l->since_ms; l = l->hh.prev)
		l->since_ms = now_ms;
	while (p->leaving && registry_due_ms(p) <= now_ms) {
		project_forget(p, p->leaving->entry);
		leaving_drop(p, p->leaving);
	}
}

/* Members to be read anew, each once. */
struct rereading {
	struct member **list;
	size_t n, cap;
};

static void
rereading_add(struct rereading *r, struct member *m)
{
	if (m->rereading)
		return;
	m->rereading = true;
	r->list = planner_grow(r->list, r->n, &r->cap, sizeof(struct member *));
	r->list[r->n++] = m;
}

static void
rereading_collect(struct planner *p, struct rereading *r)
{
	struct called *c, *tmp;

	for (size_t i = 0; i < p->nstale; i++) {
		p->stale[i]->stale = false;
		for (struct member *m = p->stale[i]->members; m; m = m->next)
			rereading_add(r, m);
	}
	p->nstale = 0;
	HASH_ITER(hh, p->called, c, tmp)
	{
		const struct named *d = named_find(p, c->text, c->hh.keylen);
		for (size_t i = 0; d && i < d->n; i++)
			rereading_add(r, d->members[i]);
	}
	called_clear(p);
}

void
planner_reread(struct planner *p, uint64_t now_ms, void (*fn)(void *arg, const struct endpoint *e),
	void *arg)
{
	struct rereading r = {0};

	leave_due(p, now_ms);
	rereading_collect(p, &r);
	for (size_t i = 0; i < r.n; i++) {
		const struct endpoint *e = endpoint_ref(r.list[i]->endpoint);
		member_reread(p, r.list[i]);
		if (fn)
			fn(arg, e);
		endpoint_unref(e);
	}
	free(r.list);
}

static void
recover(struct planner *p, const char *host)
{
	if (p->rank_all)
		return;
	if (p->nrecovered == RECOVERED_MAX) {
		p->rank_all = true;
		return;
	}
	p->recovered = planner_grow(p->recovered, p->nrecovered, &p->recovered_cap, sizeof(char *));
	p->recovered[p->nrecovered++] = xstrdup(host);
}

enum claim_rank
claim_rank(const struct planner *p, const struct ledger_claim *c)
{
	if (!settings_has_registry(p->settings))
		return CLAIM_LABEL;

	const char *project = c->group.project;
	const char *owner = ledger_registered(p->ledger, c->host, p->settings->base_domain);
	bool mine = owner && strcmp(owner, project) == 0;

	if (!registrar_project(p->registrar, project))
		return owner || p->settings->registry.ignore_unregistered ? CLAIM_FORBIDDEN
									  : CLAIM_LABEL;
	if (c->entries)
		return CLAIM_ENTRY;
	return mine || (!owner && c->derived) ? CLAIM_MEMBER : CLAIM_FORBIDDEN;
}

static void
host_rank(void *arg, const char *host)
{
	struct planner *p = arg;
	bool changed = false;

	/* One that stays forbidden may be so for another's sake. */
	for (const struct ledger_claim *c = ledger_host(p->ledger, host); c; c = c->host_next)
		changed = ledger_set_rank(p->ledger, c, claim_rank(p, c)) ||
			  c->rank == CLAIM_FORBIDDEN || changed;
	if (changed)
		host_ring(p, host);
}

void
registry_rank(struct planner *p)
{
	if (p->rank_all)
		ledger_each_host(p->ledger, NULL, host_rank, p);
	while (p->nrecovered) {
		char *host = p->recovered[--p->nrecovered];
		if (!p->rank_all)
			ledger_each_host(p->ledger, host, host_rank, p);
		free(host);
	}
	p->rank_all = false;
}

static void
entry_claim(struct planner *p, struct project *pr, size_t i)
{
	const struct entitlement *t = &pr->entitled->list[i];
	bool suffixed = t->suffixed && ledger_branch_suffixed(p->ledger, &t->group, t->host);
	const char *host = suffixed ? t->suffixed : t->host;
	const struct ledger_wish wish = {&t->group, host, "", t->slot, t->kind, t->derived, true};
	bool changed;

	pr->entry_claims[i] = ledger_claim(p->ledger, &wish, &changed);
	bool first = ledger_use_entry(p->ledger, pr->entry_claims[i], 1) == 1;
	if (first)
		recover(p, host);
	if (first || changed)
		host_ring(p, host);
}

static void
entry_unclaim(struct planner *p, const struct ledger_claim *c)
{
	if (ledger_use_entry(p->ledger, c, -1))
		return;
	recover(p, c->host);
	host_ring(p, c->host);
	claim_orphan(p, c);
}

/* An entry that takes the place of another one. */
struct applying {
	struct project *pr;
	struct entitlements *old;
	const struct ledger_claim **old_claims;
};

/* Derived hosts are what its name gives a project, the others what its entry asks for. */
static void
entry_claim_all(struct planner *p, struct project *pr, bool derived)
{
	for (size_t i = 0; pr->entitled && i < pr->entitled->n; i++)
		if (pr->entitled->list[i].derived == derived)
			entry_claim(p, pr, i);
}

static void
entry_begin(struct planner *p, struct applying *a)
{
	struct project *pr = a->pr;
	const struct registered_project *entry = registrar_project(p->registrar, pr->name);

	a->old = pr->entitled;
	a->old_claims = pr->entry_claims;
	pr->entry_dirty = false;
	pr->entitled = entry ? entitlements_create(p->settings, entry) : NULL;
	pr->entry_claims = entry ? xcalloc(pr->entitled->n + 1, sizeof(*pr->entry_claims)) : NULL;
	entry_claim_all(p, pr, true);
}

static void
entry_end(struct planner *p, const struct applying *a)
{
	struct project *pr = a->pr;

	entry_claim_all(p, pr, false);
	for (size_t i = 0; a->old && i < a->old->n; i++)
		entry_unclaim(p, a->old_claims[i]);
	if (!a->old != !pr->entitled)
		for (const struct ledger_claim *c = ledger_project(p->ledger, pr->name); c;
			c = c->project_next)
			recover(p, c->host);
	project_ring(p, pr);
	entitlements_destroy(a->old);
	free(a->old_claims);
}

static int
applying_compare(const void *a, const void *b)
{
	const struct applying *x = a, *y = b;
	return strcmp(x->pr->name, y->pr->name);
}

/* Those of one look are seen at once: in it nobody's domain comes before what another project's
 * name gives that. */
static void
entries_apply(struct planner *p)
{
	struct applying *sorted;
	size_t n = 0;

	for (struct project *pr = p->entries; pr; pr = pr->next_entry)
		n++;
	sorted = xcalloc(n, sizeof(*sorted));
	n = 0;
	for (struct project *pr = p->entries; pr; pr = pr->next_entry)
		sorted[n++].pr = pr;
	p->entries = NULL;
	qsort(sorted, n, sizeof(*sorted), applying_compare);
	for (size_t i = 0; i < n; i++)
		entry_begin(p, &sorted[i]);
	for (size_t i = 0; i < n; i++)
		entry_end(p, &sorted[i]);
	free(sorted);
}

bool
registry_is_dirty(const struct planner *p, uint64_t now_ms)
{
	return p->entries || p->nstale || p->called || p->rank_all || p->nrecovered ||
	       registry_due_ms(p) <= now_ms;
}

uint64_t
registry_due_ms(const struct planner *p)
{
	if (!p->leaving)
		return UINT64_MAX;
	return p->leaving_last->since_ms ? p->leaving->since_ms + p->settings->drain_ms : 0;
}

void
registry_date(struct planner *p, uint64_t now_ms)
{
	for (struct leaving *l = p->leaving; l; l = l->hh.next)
		if (l->since_ms > now_ms)
			l->since_ms = now_ms;
}

void
registry_take_up(struct planner *p, uint64_t now_ms)
{
	planner_reread(p, now_ms, NULL, NULL);
	if (p->entries)
		entries_apply(p);
}

void
registry_finish(struct planner *p)
{
	while (p->leaving)
		leaving_drop(p, p->leaving);
	called_clear(p);
	while (p->nrecovered)
		free(p->recovered[--p->nrecovered]);
	free(p->recovered);
	free(p->stale);
	registrar_destroy(p->registrar);
}
