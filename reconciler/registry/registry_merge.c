#include "reconciler/registry/registry_merge.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/text.h"

/* What one file says of one project's slots. */
struct piece {
	const char *project;
	const struct registered_project *p; /* NULL: its entry is wrong */
	const char *file;
	size_t order;
};

/* One environment as one file, or the book, has it. */
struct stand {
	struct registered_environment e;
	const char *file; /* NULL: the book */
	size_t order;
};

/* One project, by who says that it is there. */
struct identity {
	const char *name;
	const struct registered_project *p; /* NULL: its entry is wrong */
	bool slots_only; /* p is a piece */
};

struct merging {
	struct registry_merge *m;
	struct arena arena; /* for what is needed for a while */
	size_t npieces;
	struct piece *pieces; /* by project, then order */
	size_t nidentities;
	struct identity *identities; /* by name */
	size_t nstands, stands_cap;
	struct stand *stands; /* of one project */
	bool unsure; /* slots.json is not known */
	size_t nunknown;
	const char **unknown; /* "blog-production": a file of slots/ that is not known; sorted */
};

/* -- pieces -- */

static int
compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	int r = strcmp(x->project, y->project);
	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static void
collect_piece(struct merging *g, const struct registry_part *part, size_t order)
{
	const struct registry_reading *r = part->reading;

	for (size_t i = 0; i < r->nprojects; i++)
		g->pieces[g->npieces++] =
			(struct piece){r->projects[i]->name, r->projects[i], part->file, order};
	for (size_t i = 0; i < r->nbad_projects; i++)
		g->pieces[g->npieces++] =
			(struct piece){r->bad_projects[i], NULL, part->file, order};
}

static void
collect_pieces(struct merging *g)
{
	const struct registry_merge *m = g->m;
	size_t n = 0;

	for (size_t i = 0; i < m->nslots; i++)
		if (m->slots[i].kind == PART_READING)
			n += m->slots[i].reading->nprojects + m->slots[i].reading->nbad_projects;
	g->pieces = ARENA_ARRAY(&g->arena, struct piece, n + 1); /* never of nothing */
	for (size_t i = 0; i < m->nslots; i++)
		if (m->slots[i].kind == PART_READING)
			collect_piece(g, &m->slots[i], i);
	if (n)
		qsort(g->pieces, n, sizeof(*g->pieces), compare_pieces);
}

static int
compare_texts(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	return strcmp(*x, *y);
}

/* The first part is slots.json, the others have their names from what they are about. */
static void
collect_unknown(struct merging *g)
{
	const struct registry_merge *m = g->m;

	g->unsure = m->nslots && m->slots[0].kind == PART_BOOK;
	g->unknown = ARENA_ARRAY(&g->arena, const char *, m->nslots);
	for (size_t i = 1; i < m->nslots; i++) {
		const char *name = strrchr(m->slots[i].file, '/') + 1;
		if (m->slots[i].kind == PART_BOOK)
			g->unknown[g->nunknown++] =
				arena_strndup(&g->arena, name, strlen(name) - strlen(".json"));
	}
	if (g->nunknown)
		qsort(g->unknown, g->nunknown, sizeof(*g->unknown), compare_texts);
}

static bool
is_unknown(struct merging *g, const char *project, const char *environment)
{
	if (!g->nunknown)
		return false;
	const char *name = arena_printf(&g->arena, "%s-%s", project, environment);
	return bsearch(&name, g->unknown, g->nunknown, sizeof(*g->unknown), compare_texts);
}

/* -- identities -- */

/* Good ones first. */
static int
compare_identities(const void *a, const void *b)
{
	const struct identity *x = a, *y = b;
	int r = strcmp(x->name, y->name);
	return r ? r : (x->p == NULL) - (y->p == NULL);
}

static void
add_identity(struct merging *g, const char *name, const struct registered_project *p, bool slots)
{
	g->identities[g->nidentities++] = (struct identity){name, p, slots};
}

static void
identities_of_ssot(struct merging *g, const struct registry_reading *r)
{
	g->identities = ARENA_ARRAY(&g->arena, struct identity, r->nprojects + r->nbad_projects);
	for (size_t i = 0; i < r->nprojects; i++)
		add_identity(g, r->projects[i]->name, r->projects[i], false);
	for (size_t i = 0; i < r->nbad_projects; i++)
		add_identity(g, r->bad_projects[i], NULL, false);
}

static void
identity_of_book(void *arg, const struct registered_project *p)
{
	add_identity(arg, p->name, NULL, false);
}

static void
collect_identities(struct merging *g)
{
	const struct registry_merge *m = g->m;
	size_t n = 0;

	if (m->ssot.kind == PART_READING) {
		identities_of_ssot(g, m->ssot.reading);
	} else if (m->ssot.kind == PART_BOOK) {
		n = registry_book_nprojects(m->book);
		g->identities = ARENA_ARRAY(&g->arena, struct identity, n);
		registry_book_each(m->book, identity_of_book, g);
	} else {
		g->identities = ARENA_ARRAY(&g->arena, struct identity, g->npieces);
		for (size_t i = 0; i < g->npieces; i++)
			add_identity(g, g->pieces[i].project, g->pieces[i].p, true);
	}
	if (g->nidentities)
		qsort(g->identities, g->nidentities, sizeof(*g->identities), compare_identities);
	n = 0;
	for (size_t i = 0; i < g->nidentities; i++)
		if (!n || strcmp(g->identities[n - 1].name, g->identities[i].name) != 0)
			g->identities[n++] = g->identities[i];
	g->nidentities = n;
}

/* -- how the slots of one project stand -- */

static bool
has_slots(const struct registered_environment *e)
{
	return e->nslots || e->active;
}

static void
add_stand(struct merging *g, const struct registered_environment *e, const char *file, size_t order)
{
	if (g->nstands == g->stands_cap) {
		g->stands_cap = g->stands_cap ? 2 * g->stands_cap : 8;
		g->stands = xrealloc(g->stands, g->stands_cap * sizeof(*g->stands));
	}
	g->stands[g->nstands++] = (struct stand){*e, file, order};
}

static int
compare_stands(const void *a, const void *b)
{
	const struct stand *x = a, *y = b;
	int r = strcmp(x->e.name, y->e.name);
	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static bool
is_same_slot(const struct registered_slot *a, const struct registered_slot *b)
{
	return strcmp(a->name, b->name) == 0 && a->state == b->state && a->port == b->port &&
	       a->since_ms == b->since_ms && a->until_ms == b->until_ms && a->weight == b->weight &&
	       text_compare(a->container, b->container) == 0;
}

static bool
agree(const struct registered_environment *a, const struct registered_environment *b)
{
	if (a->nslots != b->nslots || text_compare(a->active, b->active) != 0)
		return false;
	for (size_t i = 0; i < a->nslots; i++)
		if (!is_same_slot(&a->slot[i], &b->slot[i]))
			return false;
	return true;
}

static void
fault_disagree(struct merging *g, const char *project, const struct stand *first,
	const struct stand *other)
{
	struct arena *a = &g->arena;
	registry_reading_fault(g->m->faults,
		&(struct registry_fault){
			.file = other->file,
			.path = arena_printf(a, "%s.%s", project, other->e.name),
			.what = arena_printf(a, "says other than %s, which counts", first->file),
			.remedy = "keep this environment's slots in one of the two files",
		});
}

/* One of each environment: the first; then in order of names. */
static void
settle_stands(struct merging *g, const char *project)
{
	size_t n = 0;

	if (g->nstands)
		qsort(g->stands, g->nstands, sizeof(*g->stands), compare_stands);
	for (size_t i = 0; i < g->nstands; i++) {
		const struct stand *s = &g->stands[i], *first = n ? &g->stands[n - 1] : NULL;
		if (!first || strcmp(first->e.name, s->e.name) != 0)
			g->stands[n++] = *s;
		else if (s->file && !agree(&first->e, &s->e))
			fault_disagree(g, project, first, s);
	}
	g->nstands = n;
}

static void
collect_stands(struct merging *g, const char *project, const struct piece *pieces, size_t n)
{
	const struct registered_project *old = registry_book_find(g->m->book, project);
	bool unsure = g->unsure;

	g->nstands = 0;
	for (size_t i = 0; i < n; i++) {
		const struct registered_project *p = pieces[i].p;
		unsure = unsure || !p;
		for (size_t k = 0; p && k < p->nenvironments; k++)
			add_stand(g, &p->environments[k], pieces[i].file, pieces[i].order);
	}
	for (size_t k = 0; old && k < old->nenvironments; k++) {
		const struct registered_environment *e = &old->environments[k];
		if (has_slots(e) && (unsure || is_unknown(g, project, e->name)))
			add_stand(g, e, NULL, SIZE_MAX);
	}
	settle_stands(g, project);
}

/* -- one project -- */

static void
observe(struct merging *g, const struct registered_project *p)
{
	struct registry_observation *o = &g->m->observation;
	/* const for others; whoever adopts it takes a reference. */
	((struct registered_project **)(uintptr_t)o->projects)[o->nprojects++] =
		(struct registered_project *)(uintptr_t)p;
}

/* The values stand on the stack, with environments that are borrowed: combining copies. */
static void
make(struct merging *g, const struct registered_project *identity, bool of_book)
{
	struct registered_project who = *identity, slots = {0};
	struct registered_environment *mine, *theirs;

	mine = xcalloc(identity->nenvironments + g->nstands, sizeof(*mine));
	theirs = mine + identity->nenvironments;
	for (size_t i = 0; i < identity->nenvironments; i++) {
		mine[i] = identity->environments[i];
		if (of_book) {
			mine[i].nslots = 0;
			mine[i].active = NULL;
			mine[i].weighted = false;
		}
	}
	for (size_t i = 0; i < g->nstands; i++)
		theirs[i] = g->stands[i].e;
	who.environments = mine;
	slots.environments = theirs;
	slots.nenvironments = g->nstands;
	struct registered_project *made = registered_project_combine(&who, &slots);
	g->m->made[g->m->nmade++] = made;
	observe(g, made);
	free(mine);
}

static void
merge_one(struct merging *g, const struct identity *id, const struct piece *pieces, size_t n)
{
	const struct registered_project *old = registry_book_find(g->m->book, id->name);

	if (!id->p && !old)
		return; /* wrong from the first */
	collect_stands(g, id->name, pieces, n);
	if (id->p && !id->slots_only && !g->nstands)
		observe(g, id->p);
	else
		make(g, id->p ? id->p : old, !id->p);
}

static bool
says_something(const struct registered_project *p)
{
	for (size_t i = 0; p && i < p->nenvironments; i++)
		if (p->environments[i].active || registry_environment_nslots(&p->environments[i]))
			return true;
	return false;
}

static void
fault_stray(struct merging *g, const struct piece *piece)
{
	if (g->m->ssot.kind != PART_READING || !says_something(piece->p))
		return;
	registry_reading_fault(
		g->m->faults, &(struct registry_fault){
				      .file = piece->file,
				      .path = piece->project,
				      .what = arena_printf(&g->arena,
					      "there is no project '%s' in %s, so its slots "
					      "do not count",
					      piece->project, g->m->ssot.file),
				      .remedy = "add the project there, or remove its slots here",
			      });
}

/* Both lists are in order of names. */
static void
merge_all(struct merging *g)
{
	size_t k = 0;

	for (size_t i = 0; i < g->nidentities; i++) {
		const char *name = g->identities[i].name;
		for (; k < g->npieces && strcmp(g->pieces[k].project, name) < 0; k++)
			fault_stray(g, &g->pieces[k]);
		size_t first = k;
		while (k < g->npieces && strcmp(g->pieces[k].project, name) == 0)
			k++;
		merge_one(g, &g->identities[i], g->pieces + first, k - first);
	}
	for (; k < g->npieces; k++)
		fault_stray(g, &g->pieces[k]);
}

/* -- static routes -- */

struct hosts {
	size_t n;
	const char **list;
};

static void
add_host(void *arg, const struct registered_static *s)
{
	struct hosts *h = arg;
	h->list[h->n++] = s->route.host;
}

static void
merge_statics(struct registry_merge *m)
{
	struct registry_observation *o = &m->observation;
	const struct registry_reading *r = m->ssot.reading;

	if (m->ssot.kind == PART_READING) {
		o->nstatics = r->nstatics;
		o->statics = r->statics;
		o->nkept_statics = r->nbad_statics;
		o->kept_statics = r->bad_statics;
	} else if (m->ssot.kind == PART_BOOK) {
		struct hosts h = {0};
		h.list = xcalloc(registry_book_nstatics(m->book), sizeof(*h.list));
		registry_book_each_static(m->book, add_host, &h);
		o->nkept_statics = h.n;
		o->kept_statics = h.list;
	}
}

void
registry_merge_run(struct registry_merge *m)
{
	struct merging g = {.m = m};

	m->faults = registry_reading_create();
	collect_pieces(&g);
	collect_unknown(&g);
	collect_identities(&g);
	m->made = xcalloc(g.nidentities, sizeof(*m->made));
	m->observation.projects = xcalloc(g.nidentities, sizeof(*m->observation.projects));
	merge_all(&g);
	merge_statics(m);
	free(g.stands);
	arena_finish(&g.arena);
}

void
registry_merge_finish(struct registry_merge *m)
{
	for (size_t i = 0; i < m->nmade; i++)
		registered_project_unref(m->made[i]);
	free(m->made);
	free((void *)(uintptr_t)m->observation.projects);
	if (m->ssot.kind == PART_BOOK)
		free((void *)(uintptr_t)m->observation.kept_statics);
	registry_reading_destroy(m->faults);
	free(m->slots);
	*m = (struct registry_merge){0};
}
