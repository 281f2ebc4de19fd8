/* project_plan_inside.h - a plan while it is being made, for project_plan.c (claims, problems),
 * project_routes.c (who serves a claim) and project_slots.c (how the slots stand).  For nobody
 * else. */
#ifndef RECONCILER_MODEL_PROJECT_PLAN_INSIDE_H
#define RECONCILER_MODEL_PROJECT_PLAN_INSIDE_H

#include "reconciler/model/project_plan.h"
#include "reconciler/model/slot_choice.h"

struct maker {
	const struct project_view *view;
	const struct settings *settings;
	const struct ledger *ledger;
	struct project_plan *plan;
	struct arena *arena;
	struct problems problems;
	struct route *routes;
	size_t nroutes;
	struct plan_slot *slots;
	size_t nslots;
	/* Who holds which claim, sorted by claim. */
	struct holding {
		const struct ledger_claim *claim;
		const struct member *member;
		const struct convention_origin *from;
	} * holdings;
	size_t nholdings;
	/* When the newest container of each branch was made; none where previews live for ever. */
	struct branch_age {
		const char *environment, *branch;
		uint64_t newest_ms; /* 0: nobody knows */
	} * branches;
	size_t nbranches;
};

/* The holdings of one claim, which stand side by side. */
const struct holding *holdings_of(
	const struct maker *k, const struct ledger_claim *c, size_t *ret_n);
/* "project 'shop', environment production" */
const char *group_text(struct arena *a, const struct group *g);
/* The plan has to be made anew at that time. */
void plan_due(struct maker *k, uint64_t due_ms);

/* Before the first route. */
void branches_make(struct maker *k);
/* The route of a claim that has its host.  Those of a slot's own URL come after slots_make. */
void route_add(struct maker *k, const struct ledger_claim *c);
/* A route's servers, who is routed first; returns how many are. */
size_t servers_choose(struct server *servers, size_t n);

/* How the slots of all environments stand, after the routes of the shared hosts. */
void slots_make(struct maker *k);
/* NULL: it is no slot of an environment. */
const struct plan_slot *plan_slot_find(
	const struct maker *k, const char *environment, const char *slot);
/* Does its own URL lead nowhere, so that its container can go? */
bool plan_slot_is_over(const struct plan_slot *s);
void add_slot_problems(struct maker *k);

#endif
