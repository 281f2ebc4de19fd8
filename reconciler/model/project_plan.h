/* project_plan.h - what one project should be, from what its containers ask for and history.  Pure.
 */
#ifndef RECONCILER_MODEL_PROJECT_PLAN_H
#define RECONCILER_MODEL_PROJECT_PLAN_H

#include "reconciler/model/ledger.h"
#include "reconciler/model/member.h"
#include "reconciler/model/planner.h"
#include "reconciler/model/settings.h"

/* The project that static routes stand in; no container can be of it. */
#define PROJECT_STATIC ""

/* Where the registry does not name the active slot: the first slot seen ready is it, and stays so
 * until it has no ready container and another slot has.  Writes what it decides to the ledger. */
void project_choose_slots(const struct settings *s, struct ledger *l, const struct member *members);

/* The plan of a project, with one reference.  members is the head of its list; their claims stand
 * in the ledger. */
struct project_plan *project_plan_make(const struct settings *s, const struct ledger *l,
	const char *project, const struct member *members,
	const struct renderer *const renderers[PLAN_OUTPUTS]);

/* Do both say the same?  (Their revisions do not count.) */
bool project_plan_equal(const struct project_plan *a, const struct project_plan *b);

#endif
