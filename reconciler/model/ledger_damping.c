/* The ledger's rows of containers that are damped. */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "reconciler/base/arena.h"
#include "reconciler/model/ledger_inside.h"

/* A name that never comes again stays for minutes. */
#define DAMPINGS_MAX 10000

static void
damping_parts(
	const char *part[PARTS], const char *project, const char *engine, const char *container)
{
	for (size_t i = 0; i < PARTS; i++)
		part[i] = "";
	part[PROJECT] = project;
	part[ENGINE] = engine;
	part[CONTAINER] = container;
}

static struct damped *
damped_find(const struct ledger *l, const char *project)
{
	struct damped *h;
	HASH_FIND_STR(l->damped, project, h);
	return h;
}

static void
damped_link(struct ledger *l, struct ledger_damping *d)
{
	struct damped *h = damped_find(l, d->project);

	if (!h) {
		h = xcalloc(1, sizeof(*h));
		h->project = xstrdup(d->project);
		HASH_ADD_KEYPTR(hh, l->damped, h->project, strlen(h->project), h);
	}
	DL_APPEND2(h->first, d, project_prev, project_next);
}

static void
damped_unlink(struct ledger *l, struct ledger_damping *d)
{
	struct damped *h = damped_find(l, d->project);

	DL_DELETE2(h->first, d, project_prev, project_next);
	if (h->first)
		return;
	HASH_DEL(l->damped, h);
	free(h->project);
	free(h);
}

struct row *
ledger_damping_add(struct ledger *l, const char *const part[PARTS])
{
	struct row *row = ledger_row_add(l, ROW_DAMPED, part);

	row->damping = (struct ledger_damping){.project = row->part[PROJECT],
		.engine = row->part[ENGINE],
		.container = row->part[CONTAINER]};
	DL_APPEND(l->dampings, &row->damping);
	damped_link(l, &row->damping);
	l->ndampings++;
	return row;
}

void
ledger_damping_unlink(struct ledger *l, struct ledger_damping *d)
{
	DL_DELETE(l->dampings, d);
	damped_unlink(l, d);
	l->ndampings--;
}

void
ledger_dampings_finish(struct ledger *l)
{
	while (l->dampings)
		ledger_damping_unlink(l, l->dampings);
}

void
ledger_damping_copy(struct ledger *to, const struct row *row)
{
	struct ledger_damping *d = &ledger_damping_add(to, row->part)->damping;

	d->since_ms = row->damping.since_ms;
	d->lost_ms = row->damping.lost_ms;
	d->ready_ms = row->damping.ready_ms;
	d->wait_ms = row->damping.wait_ms;
	d->over = row->damping.over;
}

static struct row *
damping_row(const struct ledger *l, const char *project, const char *engine, const char *container)
{
	const char *part[PARTS];

	if (!l->dampings)
		return NULL;
	damping_parts(part, project, engine, container);
	return ledger_row_find(l, ROW_DAMPED, part);
}

struct ledger_damping *
ledger_damping(
	const struct ledger *l, const char *project, const char *engine, const char *container)
{
	struct row *row = damping_row(l, project, engine, container);
	return row ? &row->damping : NULL;
}

struct ledger_damping *
ledger_damp(struct ledger *l, const char *project, const char *engine, const char *container)
{
	const char *part[PARTS];

	if (l->ndampings >= DAMPINGS_MAX)
		return NULL;
	damping_parts(part, project, engine, container);
	return &ledger_damping_add(l, part)->damping;
}

void
ledger_damping_changed(struct ledger *l, const struct ledger_damping *d)
{
	ledger_print_row(damping_row(l, d->project, d->engine, d->container), false, &l->changes);
}

void
ledger_undamp(struct ledger *l, struct ledger_damping *d)
{
	struct row *row = damping_row(l, d->project, d->engine, d->container);

	ledger_print_row(row, true, &l->changes);
	ledger_damping_unlink(l, d);
	HASH_DEL(l->rows, row);
	ledger_row_free(row);
}

struct ledger_damping *
ledger_dampings(const struct ledger *l)
{
	return l->dampings;
}

const struct ledger_damping *
ledger_project_dampings(const struct ledger *l, const char *project)
{
	struct damped *h = l->damped ? damped_find(l, project) : NULL;
	return h ? h->first : NULL;
}
