#include "reconciler/registry/registry_book.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "reconciler/base/arena.h"

/* Names live in the values. */
struct project_row {
	UT_hash_handle hh;
	const struct registered_project *p;
	unsigned long seen;
};

struct static_row {
	UT_hash_handle hh;
	const struct registered_static *s;
	unsigned long seen;
};

struct registry_book {
	char *source;
	const struct registry_sink *sink;
	struct project_row *projects;
	struct static_row *statics;
	unsigned long adoption; /* the one under way */
};

struct registry_book *
registry_book_create(const char *source, const struct registry_sink *sink)
{
	struct registry_book *b = xcalloc(1, sizeof(*b));
	b->source = xstrdup(source);
	b->sink = sink;
	return b;
}

/* -- rows -- */

static struct project_row *
project_find(const struct registry_book *b, const char *name)
{
	struct project_row *row;
	HASH_FIND_STR(b->projects, name, row);
	return row;
}

static struct static_row *
static_find(const struct registry_book *b, const char *host)
{
	struct static_row *row;
	HASH_FIND_STR(b->statics, host, row);
	return row;
}

/* The key lives in the value, so both are replaced together. */
static struct project_row *
project_set(struct registry_book *b, const struct registered_project *p)
{
	struct project_row *row = project_find(b, p->name);
	const struct registered_project *old = row ? row->p : NULL;

	if (row)
		HASH_DEL(b->projects, row);
	else
		row = xcalloc(1, sizeof(*row));
	row->p = registered_project_ref(p);
	HASH_ADD_KEYPTR(hh, b->projects, row->p->name, strlen(row->p->name), row);
	registered_project_unref(old);
	return row;
}

static struct static_row *
static_set(struct registry_book *b, const struct registered_static *s)
{
	struct static_row *row = static_find(b, s->route.host);
	const struct registered_static *old = row ? row->s : NULL;

	if (row)
		HASH_DEL(b->statics, row);
	else
		row = xcalloc(1, sizeof(*row));
	row->s = registered_static_ref(s);
	HASH_ADD_KEYPTR(hh, b->statics, row->s->route.host, strlen(row->s->route.host), row);
	registered_static_unref(old);
	return row;
}

static void
project_drop(struct registry_book *b, struct project_row *row)
{
	HASH_DEL(b->projects, row);
	registered_project_unref(row->p);
	free(row);
}

static void
static_drop(struct registry_book *b, struct static_row *row)
{
	HASH_DEL(b->statics, row);
	registered_static_unref(row->s);
	free(row);
}

void
registry_book_destroy(struct registry_book *b)
{
	struct project_row *p, *next_project;
	struct static_row *s, *next_static;

	if (!b)
		return;
	HASH_ITER(hh, b->projects, p, next_project)
	project_drop(b, p);
	HASH_ITER(hh, b->statics, s, next_static)
	static_drop(b, s);
	free(b->source);
	free(b);
}

void
registry_book_restore(struct registry_book *b, const struct registered_project *p)
{
	project_set(b, p);
}

void
registry_book_restore_static(struct registry_book *b, const struct registered_static *s)
{
	static_set(b, s);
}

/* -- looking -- */

const struct registered_project *
registry_book_find(const struct registry_book *b, const char *name)
{
	const struct project_row *row = project_find(b, name);
	return row ? row->p : NULL;
}

size_t
registry_book_nprojects(const struct registry_book *b)
{
	return HASH_COUNT(b->projects);
}

size_t
registry_book_nstatics(const struct registry_book *b)
{
	return HASH_COUNT(b->statics);
}

size_t
registry_book_nslots(const struct registry_book *b)
{
	size_t n = 0;
	for (const struct project_row *row = b->projects; row; row = row->hh.next)
		for (size_t i = 0; i < row->p->nenvironments; i++)
			n += registry_environment_nslots(&row->p->environments[i]);
	return n;
}

size_t
registry_environment_nslots(const struct registered_environment *e)
{
	size_t n = 0;
	for (size_t i = 0; i < e->nslots; i++)
		n += e->slot[i].state != SLOT_EMPTY;
	return n;
}

size_t
registry_book_nslots_of(const struct registry_book *b, const struct registry_reading *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->nprojects; i++) {
		const struct registered_project *p = r->projects[i];
		const struct registered_project *old = registry_book_find(b, p->name);
		for (size_t k = 0; old && k < p->nenvironments; k++) {
			const struct registered_environment *e =
				registered_environment_find(old, p->environments[k].name);
			n += e ? registry_environment_nslots(e) : 0;
		}
	}
	return n;
}

size_t
registry_book_nslots_kept(const struct registry_book *b, const struct registry_reading *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->nbad_projects; i++) {
		const struct registered_project *old = registry_book_find(b, r->bad_projects[i]);
		for (size_t k = 0; old && k < old->nenvironments; k++)
			n += registry_environment_nslots(&old->environments[k]);
	}
	return n;
}

void
registry_book_each(const struct registry_book *b,
	void (*fn)(void *arg, const struct registered_project *p), void *arg)
{
	for (const struct project_row *row = b->projects; row; row = row->hh.next)
		fn(arg, row->p);
}

void
registry_book_each_static(const struct registry_book *b,
	void (*fn)(void *arg, const struct registered_static *s), void *arg)
{
	for (const struct static_row *row = b->statics; row; row = row->hh.next)
		fn(arg, row->s);
}

/* -- adopting -- */

static bool
adopt_project(struct registry_book *b, const struct registered_project *p)
{
	struct project_row *row = project_find(b, p->name);
	bool news = !row || !registered_project_equal(row->p, p);

	if (news)
		row = project_set(b, p);
	row->seen = b->adoption;
	if (news)
		b->sink->put(b->sink->arg, row->p);
	return news;
}

static bool
adopt_static(struct registry_book *b, const struct registered_static *s)
{
	struct static_row *row = static_find(b, s->route.host);
	bool news = !row || !registered_static_equal(row->s, s);

	if (news)
		row = static_set(b, s);
	row->seen = b->adoption;
	if (news)
		b->sink->put_static(b->sink->arg, row->s);
	return news;
}

/* The sink is told before the name goes. */
static void
remove_project(struct registry_book *b, struct project_row *row)
{
	b->sink->remove(b->sink->arg, b->source, row->p->name);
	project_drop(b, row);
}

static void
remove_static(struct registry_book *b, struct static_row *row)
{
	b->sink->remove_static(b->sink->arg, b->source, row->s->route.host);
	static_drop(b, row);
}

static void
keep(struct registry_book *b, const struct registry_observation *o)
{
	for (size_t i = 0; i < o->nkept_projects; i++) {
		struct project_row *row = project_find(b, o->kept_projects[i]);
		if (row)
			row->seen = b->adoption;
	}
	for (size_t i = 0; i < o->nkept_statics; i++) {
		struct static_row *row = static_find(b, o->kept_statics[i]);
		if (row)
			row->seen = b->adoption;
	}
}

static size_t
remove_unseen(struct registry_book *b)
{
	struct project_row *p, *next_project;
	struct static_row *s, *next_static;
	size_t n = 0;

	HASH_ITER(hh, b->projects, p, next_project)
	if (p->seen != b->adoption) {
		remove_project(b, p);
		n++;
	}
	HASH_ITER(hh, b->statics, s, next_static)
	if (s->seen != b->adoption) {
		remove_static(b, s);
		n++;
	}
	return n;
}

size_t
registry_book_adopt(struct registry_book *b, const struct registry_observation *o)
{
	size_t n = 0;

	b->adoption++;
	keep(b, o);
	for (size_t i = 0; i < o->nprojects; i++)
		n += adopt_project(b, o->projects[i]);
	for (size_t i = 0; i < o->nstatics; i++)
		n += adopt_static(b, o->statics[i]);
	return n + remove_unseen(b);
}

bool
registry_book_adopt_one(
	struct registry_book *b, const char *name, const struct registered_project *p)
{
	struct project_row *row = project_find(b, name);

	if (p)
		return adopt_project(b, p);
	if (row)
		remove_project(b, row);
	return row != NULL;
}
