/* project_plan.h - what one project should be, from what its containers ask for and history.  Pure.
 */
#ifndef RECONCILER_MODEL_PROJECT_PLAN_H
#define RECONCILER_MODEL_PROJECT_PLAN_H

#include "reconciler/model/entitlement.h"
#include "reconciler/model/ledger.h"
#include "reconciler/model/member.h"
#include "reconciler/model/planner.h"
#include "reconciler/model/settings.h"

/* The project that static routes stand in; no container can be of it. */
#define PROJECT_STATIC ""

/* All that a project's plan is made of. */
struct project_view {
	const struct settings *settings;
	const struct ledger *ledger;
	const struct registrar *registrar;
	const char *name;
	const struct entitlements *entitled; /* NULL: it is not registered */
	uint64_t now_ms; /* wall clock */
	const struct member *members; /* the head of its list; their claims stand in the ledger */
};

/* The plan of a project, with one reference. */
struct project_plan *project_plan_make(
	const struct project_view *v, const struct renderer *const renderers[PLAN_OUTPUTS]);

#endif
