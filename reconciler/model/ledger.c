#include "reconciler/model/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/model/ledger_inside.h"

bool
group_equal(const struct group *a, const struct group *b)
{
	return strcmp(a->project, b->project) == 0 && strcmp(a->environment, b->environment) == 0 &&
	       strcmp(a->branch, b->branch) == 0 && strcmp(a->service, b->service) == 0;
}

struct ledger *
ledger_create(void)
{
	struct ledger *l = xcalloc(1, sizeof(*l));
	l->next = 1;
	return l;
}

void
ledger_row_free(struct row *row)
{
	free(row->key);
	free(row->value);
	free(row->promotion);
	free(row);
}

static void
heads_free(struct head **heads)
{
	struct head *h, *tmp;
	HASH_ITER(hh, *heads, h, tmp)
	{
		HASH_DEL(*heads, h);
		free(h->name);
		free(h);
	}
}

void
ledger_destroy(struct ledger *l)
{
	struct row *row, *tmp;

	if (!l)
		return;
	ledger_dampings_finish(l);
	HASH_ITER(hh, l->rows, row, tmp)
	{
		HASH_DEL(l->rows, row);
		ledger_row_free(row);
	}
	heads_free(&l->hosts);
	heads_free(&l->projects);
	buf_finish(&l->changes);
	free(l);
}

static size_t
key_write(enum row_kind kind, const char *const part[PARTS], struct buf *key)
{
	char k = (char)('0' + kind);
	buf_add(key, &k, 1);
	for (size_t i = 0; i < PARTS; i++)
		buf_add(key, part[i], strlen(part[i]) + 1);
	return key->n;
}

struct row *
ledger_row_find(const struct ledger *l, enum row_kind kind, const char *const part[PARTS])
{
	struct buf key = {0};
	struct row *row;
	size_t n = key_write(kind, part, &key);
	HASH_FIND(hh, l->rows, key.p, n, row);
	buf_finish(&key);
	return row;
}

struct row *
ledger_row_add(struct ledger *l, enum row_kind kind, const char *const part[PARTS])
{
	struct row *row = xcalloc(1, sizeof(*row));
	struct buf key = {0};
	size_t n = key_write(kind, part, &key);

	row->kind = kind;
	row->key = memcpy(xmalloc(n), key.p, n);
	buf_finish(&key);

	const char *at = row->key + 1;
	for (size_t i = 0; i < PARTS; i++) {
		row->part[i] = at;
		at += strlen(at) + 1;
	}
	HASH_ADD_KEYPTR(hh, l->rows, row->key, n, row);
	return row;
}

static struct head *
head_find(struct head *heads, const char *name)
{
	struct head *h;
	HASH_FIND_STR(heads, name, h);
	return h;
}

static struct head *
head_need(struct head **heads, const char *name)
{
	struct head *h = head_find(*heads, name);
	if (!h) {
		h = xcalloc(1, sizeof(*h));
		h->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, *heads, h->name, strlen(h->name), h);
	}
	return h;
}

static struct head *
host_need(struct head **hosts, const char *name)
{
	struct head *h = head_find(*hosts, name);
	if (h)
		return h;

	const char *dot = strchr(name, '.');
	h = head_need(hosts, name);
	if (!dot)
		return h;
	h->above = host_need(hosts, dot + 1);
	h->next = h->above->below;
	if (h->next)
		h->next->prev = h;
	h->above->below = h;
	return h;
}

static void
head_drop_if_empty(struct head **heads, struct head *h)
{
	struct head *above = h->above;

	if (h->first || h->below)
		return;
	if (h->prev)
		h->prev->next = h->next;
	else if (above)
		above->below = h->next;
	if (h->next)
		h->next->prev = h->prev;
	HASH_DEL(*heads, h);
	free(h->name);
	free(h);
	if (above)
		head_drop_if_empty(heads, above);
}

void
ledger_group_parts(const struct group *g, const char *part[PARTS])
{
	part[PROJECT] = g->project;
	part[ENVIRONMENT] = g->environment;
	part[BRANCH] = g->branch;
	part[SERVICE] = g->service;
	part[HOST] = part[PATH] = part[SLOT] = part[ENGINE] = part[CONTAINER] = "";
}

static struct row *
claim_row(const struct ledger *l, const struct group *g, const char *host, const char *path,
	const char *slot)
{
	const char *part[PARTS];
	ledger_group_parts(g, part);
	part[HOST] = host;
	part[PATH] = path;
	part[SLOT] = slot;
	return ledger_row_find(l, ROW_CLAIM, part);
}

/* The row that a claim is part of. */
static struct row *
row_of(const struct ledger *l, const struct ledger_claim *c)
{
	struct row *row = claim_row(l, &c->group, c->host, c->path, c->slot);
	assert(row && &row->claim == c);
	return row;
}

void
ledger_row_changed(struct ledger *l, const struct row *row)
{
	ledger_print_row(row, false, &l->changes);
}

void
ledger_row_drop(struct ledger *l, struct row *row)
{
	ledger_print_row(row, true, &l->changes);
	HASH_DEL(l->rows, row);
	ledger_row_free(row);
}

static void
claim_link(struct ledger *l, struct ledger_claim *c)
{
	struct head *host = host_need(&l->hosts, c->host);
	struct head *project = head_need(&l->projects, c->group.project);

	c->host_next = host->first;
	host->first = c;
	c->project_next = project->first;
	project->first = c;
}

void
ledger_claim_unlink(struct ledger *l, struct ledger_claim *c)
{
	struct head *host = head_find(l->hosts, c->host);
	struct head *project = head_find(l->projects, c->group.project);
	struct ledger_claim **at;

	for (at = &host->first; *at != c; at = &(*at)->host_next)
		;
	*at = c->host_next;
	for (at = &project->first; *at != c; at = &(*at)->project_next)
		;
	*at = c->project_next;
	head_drop_if_empty(&l->hosts, host);
	head_drop_if_empty(&l->projects, project);
}

struct row *
ledger_claim_add(struct ledger *l, const char *const part[PARTS], enum route_kind kind)
{
	struct row *row = ledger_row_add(l, ROW_CLAIM, part);
	row->claim = (struct ledger_claim){
		.group = {row->part[PROJECT], row->part[ENVIRONMENT], row->part[BRANCH],
			row->part[SERVICE]},
		.host = row->part[HOST],
		.path = row->part[PATH],
		.slot = row->part[SLOT],
		.kind = kind,
	};
	claim_link(l, &row->claim);
	return row;
}

/* The project's oldest claim on the host decides whose the host is, so that a project may move a
 * host from one of its services to another and stay its owner. */
static uint64_t
project_first(const struct ledger *l, const struct ledger_claim *c)
{
	uint64_t first = c->first;
	for (const struct ledger_claim *o = ledger_host(l, c->host); o; o = o->host_next)
		if (strcmp(o->group.project, c->group.project) == 0 && o->project_first &&
			o->project_first < first)
			first = o->project_first;
	return first;
}

const struct ledger_claim *
ledger_claim(struct ledger *l, const struct ledger_wish *w, bool *ret_changed)
{
	struct row *row = claim_row(l, w->group, w->host, w->path, w->slot);
	*ret_changed = !row || row->claim.gone_ms || (w->entry && row->claim.kind != w->kind) ||
		       (w->derived && !row->claim.derived);
	if (!*ret_changed)
		return &row->claim;

	if (!row) {
		const char *part[PARTS];
		ledger_group_parts(w->group, part);
		part[HOST] = w->host;
		part[PATH] = w->path;
		part[SLOT] = w->slot;
		row = ledger_claim_add(l, part, w->kind);
		row->claim.first = l->next++;
		row->claim.project_first = project_first(l, &row->claim);
	}
	if (w->entry || row->claim.gone_ms)
		row->claim.kind = w->kind;
	row->claim.derived = row->claim.derived || w->derived;
	row->claim.gone_ms = 0;
	ledger_row_changed(l, row);
	return &row->claim;
}

const struct ledger_claim *
ledger_find(const struct ledger *l, const struct group *g, const char *host, const char *path,
	const char *slot)
{
	struct row *row = claim_row(l, g, host, path, slot);
	return row ? &row->claim : NULL;
}

unsigned
ledger_use(struct ledger *l, const struct ledger_claim *c, int more)
{
	struct row *row = row_of(l, c);
	assert(more >= 0 || row->claim.users);
	return row->claim.users += (unsigned)more;
}

/* Since when an entry of its project names the host: a claim that a label made before is no older
 * for that. */
static uint64_t
entry_first(struct ledger *l, const struct ledger_claim *c)
{
	uint64_t first = 0;

	for (const struct ledger_claim *o = ledger_host(l, c->host); o; o = o->host_next)
		if (strcmp(o->group.project, c->group.project) == 0 && o->entry_first &&
			(!first || o->entry_first < first))
			first = o->entry_first;
	return first ? first : l->next++;
}

unsigned
ledger_use_entry(struct ledger *l, const struct ledger_claim *c, int more)
{
	struct row *row = row_of(l, c);
	assert(more >= 0 || row->claim.entries);
	if (more > 0 && !c->entry_first) {
		row->claim.entry_first = entry_first(l, c);
		ledger_row_changed(l, row);
	}
	return row->claim.entries += (unsigned)more;
}

bool
ledger_set_rank(struct ledger *l, const struct ledger_claim *c, enum claim_rank rank)
{
	bool forget = rank != CLAIM_ENTRY && c->entry_first;
	if (c->rank == rank && !forget)
		return false;

	struct row *row = row_of(l, c);
	bool changed = row->claim.rank != rank;
	row->claim.rank = rank;
	if (forget) {
		row->claim.entry_first = 0;
		ledger_row_changed(l, row);
	}
	return changed;
}

void
ledger_release(struct ledger *l, const struct ledger_claim *c, uint64_t now_ms)
{
	struct row *row = row_of(l, c);
	assert(now_ms);
	if (row->claim.gone_ms && row->claim.gone_ms <= now_ms)
		return;
	row->claim.gone_ms = now_ms;
	ledger_row_changed(l, row);
}

/* What else is kept of a group goes with its last claim. */
static void
group_forget(struct ledger *l, const struct group *g)
{
	const char *part[PARTS];

	for (const struct ledger_claim *c = ledger_project(l, g->project); c; c = c->project_next)
		if (group_equal(&c->group, g))
			return;

	ledger_group_parts(g, part);
	for (enum row_kind kind = ROW_BRANCH; kind <= ROW_ACTIVE; kind++) {
		struct row *row = ledger_row_find(l, kind, part);
		if (row)
			ledger_row_drop(l, row);
	}
}

void
ledger_drop(struct ledger *l, const struct ledger_claim *c)
{
	struct row *row = row_of(l, c);
	ledger_claim_unlink(l, &row->claim);
	group_forget(l, &row->claim.group);
	ledger_row_drop(l, row);
}

const struct ledger_claim *
ledger_host(const struct ledger *l, const char *host)
{
	struct head *h = head_find(l->hosts, host);
	return h ? h->first : NULL;
}

const struct ledger_claim *
ledger_project(const struct ledger *l, const char *project)
{
	struct head *h = head_find(l->projects, project);
	return h ? h->first : NULL;
}

void
ledger_each_project(const struct ledger *l, void (*fn)(void *arg, const char *project), void *arg)
{
	struct head *h, *tmp;
	HASH_ITER(hh, l->projects, h, tmp)
	fn(arg, h->name);
}

static void
each_from(const struct head *h, void (*fn)(void *arg, const char *host), void *arg)
{
	if (h->first)
		fn(arg, h->name);
	for (const struct head *in = h->below; in; in = in->next)
		each_from(in, fn, arg);
}

void
ledger_each_host(const struct ledger *l, const char *domain,
	void (*fn)(void *arg, const char *host), void *arg)
{
	const struct head *from = domain ? head_find(l->hosts, domain) : NULL;
	struct head *h, *tmp;

	if (from)
		each_from(from, fn, arg);
	if (domain)
		return;
	HASH_ITER(hh, l->hosts, h, tmp)
	if (h->first)
		fn(arg, h->name);
}

static struct row *
group_row(const struct ledger *l, enum row_kind kind, const struct group *g)
{
	const char *part[PARTS];
	ledger_group_parts(g, part);
	return ledger_row_find(l, kind, part);
}

/* Has another branch of the project the plain host, and this one not yet? */
static bool
plain_host_is_taken(const struct ledger *l, const struct group *g, const char *plain_host)
{
	bool taken = false;

	for (const struct ledger_claim *c = ledger_host(l, plain_host); c; c = c->host_next) {
		if (group_equal(&c->group, g))
			return false;
		if (strcmp(c->group.project, g->project) == 0 && *c->group.branch &&
			strcmp(c->group.branch, g->branch) != 0)
			taken = true;
	}
	return taken;
}

bool
ledger_branch_suffixed(struct ledger *l, const struct group *g, const char *plain_host)
{
	struct row *row = group_row(l, ROW_BRANCH, g);
	if (row)
		return row->suffixed;
	if (!plain_host_is_taken(l, g, plain_host))
		return false;

	const char *part[PARTS];
	ledger_group_parts(g, part);
	row = ledger_row_add(l, ROW_BRANCH, part);
	row->value = xstrdup(plain_host);
	row->suffixed = true;
	ledger_row_changed(l, row);
	return true;
}

size_t
ledger_take_changes(struct ledger *l, struct buf *lines)
{
	size_t n = l->changes.n;
	if (n)
		buf_add(lines, l->changes.p, n);
	/* The first look at ten thousand containers needs megabytes, and no later one does. */
	buf_finish(&l->changes);
	return n;
}

struct ledger *
ledger_copy(const struct ledger *l)
{
	struct ledger *copy = ledger_create();
	struct row *row, *tmp;

	HASH_ITER(hh, l->rows, row, tmp)
	{
		if (row->kind == ROW_CLAIM) {
			struct row *c = ledger_claim_add(copy, row->part, row->claim.kind);
			c->claim.first = row->claim.first;
			c->claim.project_first = row->claim.project_first;
			c->claim.entry_first = row->claim.entry_first;
			c->claim.gone_ms = row->claim.gone_ms;
			c->claim.derived = row->claim.derived;
			continue;
		}
		if (row->kind == ROW_DAMPED) {
			ledger_damping_copy(copy, row);
			continue;
		}
		struct row *r = ledger_row_add(copy, row->kind, row->part);
		r->value = row->value ? xstrdup(row->value) : NULL;
		r->suffixed = row->suffixed;
		r->promotion = row->promotion ? xstrdup(row->promotion) : NULL;
		r->fallback = row->fallback;
		r->lost_ms = row->lost_ms;
		r->grace = row->grace;
	}
	copy->next = l->next;
	return copy;
}
