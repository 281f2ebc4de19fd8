/* Registries as the reconciler's sources: what they say goes to the planner and into the state. */
#include "reconciler/reconcile_inside.h"
#include "reconciler/registry/registry_dir.h"
#include "reconciler/registry/registry_pg.h"
#include "reconciler/state_parse.h"

static void
on_put_project(void *arg, const struct registered_project *p)
{
	struct reconciler *r = arg;
	struct buf *lines;

	if (!planner_put_project(r->planner, p))
		return;
	lines = lines_of(r);
	if (lines)
		state_print_project(lines, p);
	reconcile_ring(r, reconcile_source_name(r, p->source));
}

static void
on_remove_project(void *arg, const char *source, const char *project)
{
	struct reconciler *r = arg;
	struct buf *lines = lines_of(r);

	if (lines)
		state_print_project_gone(lines, source, project);
	planner_remove_project(r->planner, source, project, false);
	reconcile_ring(r, reconcile_source_name(r, source));
}

static void
on_put_static(void *arg, const struct registered_static *s)
{
	struct reconciler *r = arg;
	struct buf *lines;

	if (!planner_put_static(r->planner, s))
		return;
	lines = lines_of(r);
	if (lines)
		state_print_static(lines, s);
	reconcile_ring(r, reconcile_source_name(r, s->source));
}

static void
on_remove_static(void *arg, const char *source, const char *host)
{
	struct reconciler *r = arg;
	struct buf *lines = lines_of(r);

	if (lines)
		state_print_static_gone(lines, source, host);
	planner_remove_static(r->planner, source, host);
	reconcile_ring(r, reconcile_source_name(r, source));
}

void
watch_registries(struct reconciler *r)
{
	const struct registry_sink sink = {.put = on_put_project,
		.remove = on_remove_project,
		.put_static = on_put_static,
		.remove_static = on_remove_static,
		.status = reconcile_on_status,
		.arg = r};

	if (r->settings->registry.directory)
		r->watched[r->nwatched++] = (struct watched){.name = REGISTRY_DIR_NAME,
			.registry = registry_dir_create(r->loop, r->settings, &sink)};
	if (r->settings->registry.postgres)
		r->watched[r->nwatched++] = (struct watched){.name = REGISTRY_PG_NAME,
			.registry = registry_pg_create(r->loop, r->settings, &sink)};
}

static void
forget_project(void *arg, const struct registered_project *p)
{
	struct reconciler *r = arg;
	struct buf *lines;

	if (watched_find(r, p->source))
		return;
	lines = lines_of(r);
	if (lines)
		state_print_project_gone(lines, p->source, p->name);
	planner_remove_project(r->planner, p->source, p->name, true);
}

static void
forget_static(void *arg, const struct registered_static *s)
{
	struct reconciler *r = arg;
	struct buf *lines;

	if (watched_find(r, s->source))
		return;
	lines = lines_of(r);
	if (lines)
		state_print_static_gone(lines, s->source, s->route.host);
	planner_remove_static(r->planner, s->source, s->route.host);
}

void
forget_registries(struct reconciler *r)
{
	registrar_each_said(planner_registrar(r->planner), forget_project, forget_static, r);
}
