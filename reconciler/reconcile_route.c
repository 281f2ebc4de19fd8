/* reconcile_route.c - which route a request takes, and since when there is none. */
#include "reconciler/model/planner.h"
#include "reconciler/model/project_plan.h"
#include "reconciler/reconcile_inside.h"

/* Snapshots are in the order of projects.  The ledger knows whose a host is, for as long as there
 * is a route for it, so that nothing is kept for this beside it; static routes alone are not in
 * it. */
const struct route *
reconciler_route(const struct reconciler *r, const char *host, const char *path)
{
	const struct snapshot *s = reconciler_snapshot(r);
	const struct ledger_claim *owner = ledger_host_owner(r->ledger, host);
	const char *const projects[] = {owner ? owner->group.project : NULL, PROJECT_STATIC};

	for (size_t i = 0; i < sizeof(projects) / sizeof(projects[0]); i++) {
		const struct project_plan *p = projects[i] ? snapshot_find(s, projects[i]) : NULL;
		const struct route *route = p ? project_plan_route(p, host, path) : NULL;
		if (route)
			return route;
	}
	return NULL;
}

uint64_t
reconciler_lost_revision(const struct reconciler *r, const char *text)
{
	return planner_lost_revision(r->planner, text);
}
