/* What the reconciler remembers: the rows that the state on disk holds, and what sources are handed
 * of them at a start. */
#include "reconciler/reconcile_inside.h"
#include "reconciler/state_parse.h"

static void
load_endpoint(void *arg, struct endpoint *e)
{
	struct reconciler *r = arg;
	const struct settings_engine *cfg = settings_engine_find(r->settings, e->engine);

	if (!cfg)
		return; /* the operator took the engine out of the configuration meanwhile */
	if (cfg->published)
		e->withheld = false; /* its address is the host's, which no container inherits */
	planner_put(r->planner, e);
	/* A later row of the same run says better than an earlier one. */
	planner_set_ready(
		r->planner, e->engine, e->id, e->ready_before ? READY_YES : READY_UNKNOWN);
}

static void
load_gone(void *arg, const char *engine, const char *id)
{
	struct reconciler *r = arg;
	planner_remove(r->planner, engine, id);
}

static void
load_source(void *arg, const char *engine)
{
	struct watched *w = watched_find(arg, engine);
	if (w)
		w->seen = true;
}

static void
load_registered(struct reconciler *r, const struct state_registered *it)
{
	if (!watched_find(r, it->source))
		return; /* the operator took the registry out of the configuration meanwhile */
	if (it->project)
		planner_put_project(r->planner, it->project);
	else if (it->route)
		planner_put_static(r->planner, it->route);
	else if (it->is_static)
		planner_remove_static(r->planner, it->source, it->name);
	else
		planner_remove_project(r->planner, it->source, it->name, true);
}

static void
load_row(void *arg, const json_t *row)
{
	struct reconciler *r = arg;
	struct state_registered it = state_parse_registered(row);

	if (it.source)
		load_registered(r, &it);
	else
		ledger_load(r->ledger, row, NULL);
	registered_project_unref(it.project);
	registered_static_unref(it.route);
}

struct printing {
	const struct planner *planner;
	struct buf *lines;
};

/* Its registry does not have one that is leaving any more, and nothing tells when it has left. */
static void
print_project(void *arg, const struct registered_project *p)
{
	const struct printing *to = arg;
	if (!planner_is_leaving(to->planner, p->source, p->name))
		state_print_project(to->lines, p);
}

static void
print_static(void *arg, const struct registered_static *s)
{
	const struct printing *to = arg;
	state_print_static(to->lines, s);
}

static void
print_one(void *arg, const struct endpoint *e, enum readiness ready)
{
	state_print_endpoint(arg, e, readiness_counts(ready));
}

static void
print_all(void *arg, struct buf *lines)
{
	struct reconciler *r = arg;
	struct printing to = {r->planner, lines};

	for (size_t i = 0; i < r->nwatched; i++)
		if (r->watched[i].seen)
			state_print_source(lines, r->watched[i].name);
	planner_each(r->planner, print_one, lines);
	registrar_each_said(planner_registrar(r->planner), print_project, print_static, &to);
	ledger_print(r->ledger, lines);
}

static void
restore_one(void *arg, const struct endpoint *e, enum readiness ready)
{
	struct reconciler *r = arg;
	struct watched *w = watched_find(r, e->engine);

	(void)ready;
	if (w && w->engine)
		engine_restore(w->engine, e);
	probe_sync(r, e->engine, e->id);
}

static void
restore_project(void *arg, const struct registered_project *p)
{
	struct watched *w = watched_find(arg, p->source);
	if (w && w->registry)
		w->registry->ops->restore(w->registry, p);
}

static void
restore_static(void *arg, const struct registered_static *s)
{
	struct watched *w = watched_find(arg, s->source);
	if (w && w->registry)
		w->registry->ops->restore_static(w->registry, s);
}

struct state_owner
reconcile_state_owner(struct reconciler *r)
{
	return (struct state_owner){.load_endpoint = load_endpoint,
		.load_gone = load_gone,
		.load_source = load_source,
		.load_row = load_row,
		.print_all = print_all,
		.arg = r};
}

void
reconcile_restore(struct reconciler *r)
{
	planner_each(r->planner, restore_one, r);
	registrar_each_said(planner_registrar(r->planner), restore_project, restore_static, r);
}
