/* slot_choice.h - which slot of a group serves, and the clocks of grace periods.  Pure. */
#ifndef RECONCILER_MODEL_SLOT_CHOICE_H
#define RECONCILER_MODEL_SLOT_CHOICE_H

#include "reconciler/model/project_plan.h"

/* A slot that was not ready when the active one was lost stands in for it after this only. */
#define SLOT_LATE_MS 30000

/* The registry's environment of a group; NULL: it is of a branch, or not registered. */
const struct registered_environment *slot_environment(
	const struct project_view *v, const struct group *g);
/* The slot that the registry says is active; NULL where it does not say. */
const char *slot_registered(const struct project_view *v, const struct group *g);

/* Is it one of several slots of its group, and no deployment that supersedes others? */
bool member_has_slot(const struct member *m);
/* Could it serve as one of the group's slots? */
bool member_is_fit(const struct project_view *v, const struct member *m);

/* Does traffic of the environment's hosts go to the slot, or would it if a container of it were
 * ready?  What carries traffic is never cleaned up. */
bool slot_carries(
	const struct project_view *v, const struct registered_environment *e, const char *slot);
/* When its grace period or reservation ends, with what it stood still; 0: never, or it is in none.
 */
uint64_t slot_until_ms(const struct project_view *v, const struct registered_environment *e,
	const struct registered_slot *s);

/* Which slot of each group serves.
 *
 * The registry names one: that one, as soon as it is ready, or where none was chosen before and
 * nothing without a slot is ready.  It had one ready and has none, and a slot in its grace period
 * has: that one, where settings->auto_rollback says so, until the registry names another or the
 * same anew, until only the named one can serve, or until requests are shared by weight.  Where it
 * dies, too, the next one in its grace period.
 *
 * The registry names none: the first slot seen ready, until it has no ready container and another
 * slot has.
 *
 * Then the clocks of all grace periods.  Writes what it decides to the ledger, which is the view's.
 */
void project_choose_slots(const struct project_view *v, struct ledger *l);

#endif
