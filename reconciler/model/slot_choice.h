/* slot_choice.h - which slot of a group is active.  Pure. */
#ifndef RECONCILER_MODEL_SLOT_CHOICE_H
#define RECONCILER_MODEL_SLOT_CHOICE_H

#include "reconciler/model/project_plan.h"

/* The slot that the registry says is active; NULL where it does not say. */
const char *slot_registered(const struct project_view *v, const struct group *g);

/* Which slot of each group is active: the one that the registry names, as soon as it is ready, or
 * where none was active before and nothing without a slot is ready.  Where the registry names none:
 * the first slot seen ready, until it has no ready container and another slot has.  Writes what it
 * decides to the ledger, which is the view's. */
void project_choose_slots(const struct project_view *v, struct ledger *l);

#endif
