#include "reconciler/model/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "reconciler/base/arena.h"

enum row_kind { ROW_CLAIM, ROW_BRANCH, ROW_ACTIVE };

static const char *const row_text[] = {"claim", "branch", "active"};

/* What a key is made of: the first four name a group. */
enum part { PROJECT, ENVIRONMENT, BRANCH, SERVICE, HOST, PATH, SLOT, PARTS };

static const char *const part_text[] = {
	"project", "environment", "branch", "service", "host", "path", "slot"};

struct row {
	UT_hash_handle hh;
	enum row_kind kind;
	char *key; /* the kind and the parts, each part with its NUL */
	const char *part[PARTS]; /* into the key */
	struct ledger_claim claim; /* ROW_CLAIM */
	char *value; /* ROW_BRANCH: the plain host; ROW_ACTIVE: the slot */
	bool suffixed; /* ROW_BRANCH */
};

/* The head of a list of claims, by host or by project. */
struct head {
	UT_hash_handle hh;
	char *name;
	struct ledger_claim *first;
};

struct ledger {
	struct row *rows;
	struct head *hosts;
	struct head *projects;
	uint64_t next;
	struct buf changes;
};

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

static void
row_free(struct row *row)
{
	free(row->key);
	free(row->value);
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
	HASH_ITER(hh, l->rows, row, tmp)
	{
		HASH_DEL(l->rows, row);
		row_free(row);
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

static struct row *
row_find(const struct ledger *l, enum row_kind kind, const char *const part[PARTS])
{
	struct buf key = {0};
	struct row *row;
	size_t n = key_write(kind, part, &key);
	HASH_FIND(hh, l->rows, key.p, n, row);
	buf_finish(&key);
	return row;
}

static struct row *
row_add(struct ledger *l, enum row_kind kind, const char *const part[PARTS])
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

static void
head_drop_if_empty(struct head **heads, struct head *h)
{
	if (h->first)
		return;
	HASH_DEL(*heads, h);
	free(h->name);
	free(h);
}

static void
group_parts(const struct group *g, const char *part[PARTS])
{
	part[PROJECT] = g->project;
	part[ENVIRONMENT] = g->environment;
	part[BRANCH] = g->branch;
	part[SERVICE] = g->service;
	part[HOST] = part[PATH] = part[SLOT] = "";
}

static struct row *
claim_row(const struct ledger *l, const struct group *g, const char *host, const char *path,
	const char *slot)
{
	const char *part[PARTS];
	group_parts(g, part);
	part[HOST] = host;
	part[PATH] = path;
	part[SLOT] = slot;
	return row_find(l, ROW_CLAIM, part);
}

/* The row that a claim is part of. */
static struct row *
row_of(const struct ledger *l, const struct ledger_claim *c)
{
	struct row *row = claim_row(l, &c->group, c->host, c->path, c->slot);
	assert(row && &row->claim == c);
	return row;
}

/* {"row":"claim","project":"shop",…}; a row that went has "gone":true and no more than its key. */
static void
row_print(const struct row *row, bool went, struct buf *b)
{
	buf_addf(b, "{\"row\":\"%s\"", row_text[row->kind]);
	for (size_t i = 0; i < PARTS; i++) {
		if (!*row->part[i])
			continue;
		buf_addf(b, ",\"%s\":", part_text[i]);
		buf_json(b, row->part[i]);
	}
	if (went) {
		buf_adds(b, ",\"gone\":true");
	} else if (row->kind == ROW_CLAIM) {
		buf_addf(b, ",\"kind\":\"%s\",\"first\":%llu,\"project_first\":%llu",
			route_kind_text(row->claim.kind), (unsigned long long)row->claim.first,
			(unsigned long long)row->claim.project_first);
		if (row->claim.gone_ms)
			buf_addf(b, ",\"gone_ms\":%llu", (unsigned long long)row->claim.gone_ms);
	} else {
		buf_adds(b, ",\"value\":");
		buf_json(b, row->value);
		if (row->suffixed)
			buf_adds(b, ",\"suffixed\":true");
	}
	buf_adds(b, "}\n");
}

static void
row_changed(struct ledger *l, const struct row *row)
{
	row_print(row, false, &l->changes);
}

static void
row_drop(struct ledger *l, struct row *row)
{
	row_print(row, true, &l->changes);
	HASH_DEL(l->rows, row);
	row_free(row);
}

static void
claim_link(struct ledger *l, struct ledger_claim *c)
{
	struct head *host = head_need(&l->hosts, c->host);
	struct head *project = head_need(&l->projects, c->group.project);

	c->host_next = host->first;
	host->first = c;
	c->project_next = project->first;
	project->first = c;
}

static void
claim_unlink(struct ledger *l, struct ledger_claim *c)
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

static struct row *
claim_add(struct ledger *l, const char *const part[PARTS], enum route_kind kind)
{
	struct row *row = row_add(l, ROW_CLAIM, part);
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
ledger_claim(struct ledger *l, const struct group *g, const char *host, const char *path,
	const char *slot, enum route_kind kind, bool *ret_changed)
{
	struct row *row = claim_row(l, g, host, path, slot);
	*ret_changed = !row || row->claim.gone_ms || row->claim.kind != kind;
	if (!*ret_changed)
		return &row->claim;

	if (!row) {
		const char *part[PARTS];
		group_parts(g, part);
		part[HOST] = host;
		part[PATH] = path;
		part[SLOT] = slot;
		row = claim_add(l, part, kind);
		row->claim.first = l->next++;
		row->claim.project_first = project_first(l, &row->claim);
	}
	row->claim.kind = kind;
	row->claim.gone_ms = 0;
	row_changed(l, row);
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

void
ledger_release(struct ledger *l, const struct ledger_claim *c, uint64_t now_ms)
{
	struct row *row = row_of(l, c);
	assert(now_ms);
	if (row->claim.gone_ms && row->claim.gone_ms <= now_ms)
		return;
	row->claim.gone_ms = now_ms;
	row_changed(l, row);
}

/* What else is kept of a group goes with its last claim. */
static void
group_forget(struct ledger *l, const struct group *g)
{
	const char *part[PARTS];

	for (const struct ledger_claim *c = ledger_project(l, g->project); c; c = c->project_next)
		if (group_equal(&c->group, g))
			return;

	group_parts(g, part);
	for (enum row_kind kind = ROW_BRANCH; kind <= ROW_ACTIVE; kind++) {
		struct row *row = row_find(l, kind, part);
		if (row)
			row_drop(l, row);
	}
}

void
ledger_drop(struct ledger *l, const struct ledger_claim *c)
{
	struct row *row = row_of(l, c);
	claim_unlink(l, &row->claim);
	group_forget(l, &row->claim.group);
	row_drop(l, row);
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

/* Does a come before b among the claims of one project? */
static bool
claim_precedes(const struct ledger_claim *a, const struct ledger_claim *b)
{
	if (!a->gone_ms != !b->gone_ms)
		return !a->gone_ms;
	return a->first < b->first;
}

const struct ledger_claim *
ledger_host_owner(const struct ledger *l, const char *host)
{
	const struct ledger_claim *oldest = ledger_host(l, host);

	for (const struct ledger_claim *c = oldest; c; c = c->host_next)
		if (c->project_first < oldest->project_first)
			oldest = c;
	return oldest;
}

const struct ledger_claim *
ledger_owner(const struct ledger *l, const char *host, const char *path)
{
	const struct ledger_claim *oldest = ledger_host_owner(l, host), *owner = NULL;

	for (const struct ledger_claim *c = ledger_host(l, host); c; c = c->host_next)
		if (strcmp(c->group.project, oldest->group.project) == 0 &&
			strcmp(c->path, path) == 0 && (!owner || claim_precedes(c, owner)))
			owner = c;
	return owner;
}

static struct row *
group_row(const struct ledger *l, enum row_kind kind, const struct group *g)
{
	const char *part[PARTS];
	group_parts(g, part);
	return row_find(l, kind, part);
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
	group_parts(g, part);
	row = row_add(l, ROW_BRANCH, part);
	row->value = xstrdup(plain_host);
	row->suffixed = true;
	row_changed(l, row);
	return true;
}

const char *
ledger_active(const struct ledger *l, const struct group *g)
{
	struct row *row = group_row(l, ROW_ACTIVE, g);
	return row ? row->value : NULL;
}

void
ledger_set_active(struct ledger *l, const struct group *g, const char *slot)
{
	struct row *row = group_row(l, ROW_ACTIVE, g);

	if (row && strcmp(row->value, slot) == 0)
		return;
	if (!row) {
		const char *part[PARTS];
		group_parts(g, part);
		row = row_add(l, ROW_ACTIVE, part);
	}
	free(row->value);
	row->value = xstrdup(slot);
	row_changed(l, row);
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

static int
row_compare(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
	size_t n = x->hh.keylen < y->hh.keylen ? x->hh.keylen : y->hh.keylen;
	int order = memcmp(x->key, y->key, n);
	return order ? order : (x->hh.keylen > y->hh.keylen) - (x->hh.keylen < y->hh.keylen);
}

void
ledger_print(const struct ledger *l, struct buf *lines)
{
	size_t n = 0;
	struct row **sorted = xmalloc(HASH_COUNT(l->rows) * sizeof(struct row *));
	struct row *row, *tmp;

	HASH_ITER(hh, l->rows, row, tmp)
	sorted[n++] = row;
	qsort(sorted, n, sizeof(struct row *), row_compare);
	for (size_t i = 0; i < n; i++)
		row_print(sorted[i], false, lines);
	free(sorted);
}

static int
row_kind_find(const char *text)
{
	for (int i = 0; text && i <= ROW_ACTIVE; i++)
		if (strcmp(row_text[i], text) == 0)
			return i;
	return -1;
}

static int
route_kind_find(const char *text)
{
	for (int i = 0; text && i <= ROUTE_STATIC; i++)
		if (strcmp(route_kind_text((enum route_kind)i), text) == 0)
			return i;
	return -1;
}

static uint64_t
number_member(const json_t *o, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(o, name));
	return n > 0 ? (uint64_t)n : 0;
}

static int
claim_load(struct ledger *l, const json_t *o, struct row *row, const char *const part[PARTS],
	struct err *reterr)
{
	int kind = route_kind_find(json_string_value(json_object_get(o, "kind")));
	uint64_t first = number_member(o, "first");

	if (kind < 0 || !first || !*part[HOST])
		return err_set(reterr, EINVAL, "a claim needs host, kind and first");
	if (!row)
		row = claim_add(l, part, (enum route_kind)kind);
	row->claim.kind = (enum route_kind)kind;
	row->claim.first = first;
	row->claim.project_first = number_member(o, "project_first");
	if (!row->claim.project_first || row->claim.project_first > first)
		row->claim.project_first = first;
	row->claim.gone_ms = number_member(o, "gone_ms");
	if (first >= l->next)
		l->next = first + 1;
	return 0;
}

int
ledger_load(struct ledger *l, const json_t *o, struct err *reterr)
{
	const char *part[PARTS];
	int kind = row_kind_find(json_string_value(json_object_get(o, "row")));
	if (kind < 0)
		return err_set(reterr, EINVAL, "not a row of the ledger");
	for (size_t i = 0; i < PARTS; i++) {
		part[i] = json_string_value(json_object_get(o, part_text[i]));
		if (!part[i])
			part[i] = "";
	}
	if (!*part[PROJECT])
		return err_set(reterr, EINVAL, "a row needs a project");

	struct row *row = row_find(l, (enum row_kind)kind, part);
	if (json_is_true(json_object_get(o, "gone"))) {
		if (row && row->kind == ROW_CLAIM)
			claim_unlink(l, &row->claim);
		if (row) {
			HASH_DEL(l->rows, row);
			row_free(row);
		}
		return 0;
	}
	if (kind == ROW_CLAIM)
		return claim_load(l, o, row, part, reterr);

	const char *value = json_string_value(json_object_get(o, "value"));
	if (!value)
		return err_set(reterr, EINVAL, "a row needs a value");
	if (!row)
		row = row_add(l, (enum row_kind)kind, part);
	free(row->value);
	row->value = xstrdup(value);
	row->suffixed = json_is_true(json_object_get(o, "suffixed"));
	return 0;
}

struct ledger *
ledger_copy(const struct ledger *l)
{
	struct ledger *copy = ledger_create();
	struct row *row, *tmp;

	HASH_ITER(hh, l->rows, row, tmp)
	{
		if (row->kind == ROW_CLAIM) {
			struct row *c = claim_add(copy, row->part, row->claim.kind);
			c->claim.first = row->claim.first;
			c->claim.project_first = row->claim.project_first;
			c->claim.gone_ms = row->claim.gone_ms;
			continue;
		}
		struct row *r = row_add(copy, row->kind, row->part);
		r->value = xstrdup(row->value);
		r->suffixed = row->suffixed;
	}
	copy->next = l->next;
	return copy;
}
