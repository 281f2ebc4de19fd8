#include "reconciler/model/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"

/* A chunk made anew is filled to this, so that it can take some more before it splits. */
#define CHUNK_FILL (SNAPSHOT_CHUNK_MAX * 3 / 4)

struct snapshot_chunk *
snapshot_chunk_ref(struct snapshot_chunk *c)
{
	c->refs++;
	return c;
}

void
snapshot_chunk_unref(struct snapshot_chunk *c)
{
	if (!c || --c->refs)
		return;
	for (size_t i = 0; i < c->n; i++)
		project_plan_unref(c->plan[i]);
	for (size_t o = 0; o < PLAN_OUTPUTS; o++) {
		for (size_t s = 0; s < FRAGMENT_SECTIONS; s++)
			free(c->joined[o][s].p);
		if (c->extra_free[o])
			c->extra_free[o](c->extra[o]);
	}
	free(c->names);
	free(c);
}

bool
snapshot_chunk_may_name(struct snapshot_chunk *c, const char *text)
{
	if (!c->names) {
		c->names = xcalloc(1, sizeof(*c->names));
		for (size_t i = 0; i < c->n; i++)
			nameset_add_plan(c->names, c->plan[i]);
	}
	return nameset_may_have(c->names, text);
}

static size_t
joined_size(const struct snapshot_chunk *c, size_t output, size_t section)
{
	size_t size = 0;
	for (size_t i = 0; i < c->n; i++) {
		size_t n = c->plan[i]->fragment[output].section[section].n;
		size += n ? n + (size != 0) : 0;
	}
	return size;
}

static struct bytes
join_section(const struct snapshot_chunk *c, size_t output, size_t section)
{
	struct bytes joined = {.n = joined_size(c, output, section)};
	char *at = joined.p = xmalloc(joined.n);

	for (size_t i = 0; i < c->n; i++) {
		const struct fragment *f = &c->plan[i]->fragment[output];
		size_t n = f->section[section].n;
		if (!n)
			continue;
		if (at != joined.p)
			*at++ = ',';
		memcpy(at, f->section[section].p, n);
		at += n;
	}
	assert(at == joined.p + joined.n);
	return joined;
}

/* Takes over the references of the plans. */
static struct snapshot_chunk *
chunk_create(struct project_plan *const *plans, size_t n)
{
	assert(n && n <= SNAPSHOT_CHUNK_MAX);
	struct snapshot_chunk *c = xcalloc(1, sizeof(*c));
	c->refs = 1;
	c->n = n;
	memcpy(c->plan, plans, n * sizeof(*plans));
	for (size_t i = 0; i < n; i++) {
		c->nroutes += plans[i]->nroutes;
		c->nproblems += plans[i]->nproblems;
		for (size_t o = 0; o < PLAN_OUTPUTS; o++)
			c->uses[o] |= plans[i]->fragment[o].uses;
	}
	for (size_t o = 0; o < PLAN_OUTPUTS; o++) {
		for (size_t s = 0; s < FRAGMENT_SECTIONS; s++)
			c->joined[o][s] = join_section(c, o, s);
		for (size_t i = 0; i < n; i++)
			c->digest[o] += plans[i]->fragment[o].digest;
	}
	return c;
}

struct snapshot *
snapshot_create(void)
{
	struct snapshot *s = xcalloc(1, sizeof(*s));
	s->refs = 1;
	return s;
}

struct snapshot *
snapshot_ref(struct snapshot *s)
{
	s->refs++;
	return s;
}

struct snapshot *
snapshot_unref(struct snapshot *s)
{
	if (s && --s->refs == 0) {
		for (size_t i = 0; i < s->nchunks; i++)
			snapshot_chunk_unref(s->chunks[i]);
		free(s->chunks);
		free(s);
	}
	return NULL;
}

static int
change_compare(const void *a, const void *b)
{
	const struct snapshot_change *x = a, *y = b;
	return strcmp(x->project, y->project);
}

/* How many of the sorted changes belong into chunk i: those before the next chunk's first. */
static size_t
changes_for(const struct snapshot *s, size_t i, const struct snapshot_change *changes, size_t n)
{
	if (i + 1 >= s->nchunks)
		return n;
	const char *limit = s->chunks[i + 1]->plan[0]->project;
	size_t k = 0;
	while (k < n && strcmp(changes[k].project, limit) < 0)
		k++;
	return k;
}

/* Merges a chunk's plans (NULL: none) with the changes that fall into it; each plan in the result
 * carries a reference. */
static size_t
merge_plans(const struct snapshot_chunk *c, const struct snapshot_change *changes, size_t n,
	struct project_plan **out)
{
	size_t i = 0, k = 0, m = 0;
	size_t have = c ? c->n : 0;

	while (i < have || k < n) {
		int order = i >= have ? 1
			    : k >= n  ? -1
				      : strcmp(c->plan[i]->project, changes[k].project);
		if (order < 0) {
			out[m++] = project_plan_ref(c->plan[i++]);
			continue;
		}
		if (order == 0)
			i++;
		if (changes[k].plan)
			out[m++] = project_plan_ref(changes[k].plan);
		k++;
	}
	return m;
}

static void
append_chunk(struct snapshot *next, struct snapshot_chunk *c)
{
	next->chunks[next->nchunks++] = c;
	next->nplans += c->n;
	next->nroutes += c->nroutes;
	next->nproblems += c->nproblems;
}

static void
append_plans(struct snapshot *next, struct project_plan **plans, size_t n)
{
	size_t fill = n <= SNAPSHOT_CHUNK_MAX ? SNAPSHOT_CHUNK_MAX : CHUNK_FILL;
	for (size_t at = 0; at < n; at += fill)
		append_chunk(next, chunk_create(plans + at, n - at < fill ? n - at : fill));
}

struct snapshot *
snapshot_next(const struct snapshot *s, const struct snapshot_change *changes, size_t n)
{
	struct snapshot_change *sorted = xmalloc(n * sizeof(*sorted));
	memcpy(sorted, changes, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), change_compare);

	struct snapshot *next = snapshot_create();
	next->revision = s->revision + 1;
	next->chunks = xmalloc((3 * s->nchunks + n / CHUNK_FILL + 2) * sizeof(*next->chunks));
	struct project_plan **plans = xmalloc((n + SNAPSHOT_CHUNK_MAX) * sizeof(*plans));

	size_t k = 0;
	for (size_t i = 0; i < s->nchunks || k < n; i++) {
		struct snapshot_chunk *c = i < s->nchunks ? s->chunks[i] : NULL;
		size_t here = changes_for(s, i, sorted + k, n - k);
		if (c && !here)
			append_chunk(next, snapshot_chunk_ref(c));
		else
			append_plans(next, plans, merge_plans(c, sorted + k, here, plans));
		k += here;
	}
	free(plans);
	free(sorted);
	return next;
}

static const struct snapshot_chunk *
find_chunk(const struct snapshot *s, const char *project)
{
	size_t low = 0, high = s->nchunks;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (strcmp(s->chunks[mid]->plan[0]->project, project) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? s->chunks[low - 1] : NULL;
}

const struct project_plan *
snapshot_find(const struct snapshot *s, const char *project)
{
	const struct snapshot_chunk *c = find_chunk(s, project);
	size_t low = 0, high = c ? c->n : 0;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(c->plan[mid]->project, project);
		if (order == 0)
			return c->plan[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
