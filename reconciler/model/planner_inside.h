/* planner_inside.h - what the planner's files share: planner.c (containers, plans),
 * planner_due.c (what the clock brings), planner_claims.c (who claims what), planner_registry.c
 * (what the registries say) and planner_damping.c (who swings).  For nobody else. */
#ifndef RECONCILER_MODEL_PLANNER_INSIDE_H
#define RECONCILER_MODEL_PLANNER_INSIDE_H

#include <uthash.h>

#include "reconciler/model/entitlement.h"
#include "reconciler/model/losses.h"
#include "reconciler/model/member.h"
#include "reconciler/model/planner.h"
#include "reconciler/model/registrar.h"

struct project {
	UT_hash_handle hh;
	char *name;
	struct member *members;
	struct project_plan *plan; /* its current one; NULL: none */
	bool dirty;
	struct project *next_dirty;
	uint64_t due_ms; /* when it is to be planned anew, whatever happens */
	size_t due_at; /* its place in the heap, from 1 on; 0: it has none */

	/* By the registry. */
	struct entitlements *entitled; /* NULL: it is not registered */
	const struct ledger_claim **entry_claims; /* as many as entitled->n */
	bool entry_dirty; /* the registry says something else than what stands here */
	bool stale; /* its members are to be read anew */
	struct project *next_entry;
};

/* Claims that are held end in the order in which they were released, for all are held equally
 * long: a queue of hosts to look at. */
struct held {
	uint64_t due_ms;
	char *host;
};

/* A project that its registry does not have any more, and that still serves for a while: all
 * equally long, so that they end in the order in which they stand. */
struct leaving {
	UT_hash_handle hh; /* by source and name, each with its NUL */
	char *key;
	const struct registered_project *entry;
	uint64_t since_ms; /* 0: since the next step */
};

/* Containers by name, and by the first digits of their id: what deployments name them by. */
struct named {
	UT_hash_handle hh;
	char *text;
	size_t n;
	struct member **members;
};

/* A name or id of a container that a deployment named before or names now. */
struct called {
	UT_hash_handle hh;
	char *text;
};

/* One that served was lost, or one serves. */
struct damping_fact {
	bool lost;
	bool traffic; /* its slot carries traffic */
	uint64_t serving_ms;
	const struct project *project; /* none goes between two steps */
	const struct endpoint *endpoint;
};

struct planner {
	const struct settings *settings;
	struct ledger *ledger;
	const struct renderer *renderers[PLAN_OUTPUTS];
	struct snapshot *snapshot;
	struct losses losses;
	struct member *members; /* by engine and id */
	struct project *projects;
	struct project *dirty;
	struct project **due; /* a heap by due_ms */
	size_t ndue, due_cap;
	bool fresh; /* the ledger was not looked through yet */
	uint64_t stepped_ms; /* the last step's time */
	size_t planned;

	struct member **unattached; /* whose claims do not stand in the ledger yet */
	size_t nunattached, unattached_cap;
	const struct ledger_claim **orphans; /* whose last container may have gone */
	size_t norphans, orphans_cap;
	struct held *held;
	size_t held_first, held_end, held_cap;

	struct registrar *registrar;
	struct project *entries; /* entry_dirty */
	struct named *named;
	struct called *called; /* containers to read anew */
	struct leaving *leaving, *leaving_last;
	bool rank_all;
	struct project **stale; /* projects whose members are to be read anew */
	size_t nstale, stale_cap;
	struct damping *damping;
	bool damps; /* from the first step on */
	struct damping_facts {
		struct damping_fact *list;
		size_t n, cap;
	} facts; /* since the last step */
	struct ledger_damping *touched; /* to be looked at in the next one */
	uint64_t damping_due_ms;
	uint64_t serving_since_ms; /* of those that serve since this step */
	char **recovered; /* hosts that an entry names now, or does not any more */
	size_t nrecovered, recovered_cap;
};

/* Room for one more in a growing array. */
void *planner_grow(void *array, size_t n, size_t *cap, size_t size);
/* A source and what it names, each with its NUL; the caller frees it. */
char *planner_key(const char *source, const char *name);
size_t planner_key_size(const char *source, const char *name);
void project_ring(struct planner *p, struct project *pr);
struct project *project_need(struct planner *p, const char *name);
/* Its plan is to be made anew at that time; UINT64_MAX: not by the clock. */
void project_due(struct planner *p, struct project *pr, uint64_t due_ms);
uint64_t projects_due_ms(const struct planner *p);
void projects_ring_due(struct planner *p, uint64_t now_ms);
/* Was it later at the last step, so that what was dated then is in the future now? */
bool clock_went_back(const struct planner *p, uint64_t now_ms);
/* Dates anew what is in the future, if it was so. */
void clock_follow(struct planner *p, uint64_t now_ms);
/* Who owns this host changed, or may have: everyone who claims it is planned anew. */
void host_ring(struct planner *p, const char *host);
void claim_orphan(struct planner *p, const struct ledger_claim *c);
/* Is it the same process at the same address, so that what was found out about it still holds? */
bool member_is_same_run(const struct member *a, const struct member *b);
/* Reads a member's container anew, with what the registry says now. */
void member_reread(struct planner *p, struct member *m);

/* What the ledger says from before: claims that nobody makes any more, and claims that are held. */
void ledger_take_up(struct planner *p, uint64_t now_ms);
/* Claims first seen in one look go to the older container, then the lower id, whatever order the
 * look lists them in. */
void attach_members(struct planner *p);
/* Claims that lost their last container are held, or go on by their entry alone. */
void release_orphans(struct planner *p, uint64_t now_ms);
void expire_held(struct planner *p, uint64_t now_ms);
void forget_held(struct planner *p);

/* A container can be found by its name and id, or cannot any more. */
void named_add(struct planner *p, struct member *m);
void named_drop(struct planner *p, struct member *m);
/* Its entry, or what the settings make of it, has to be looked at anew. */
void entry_ring(struct planner *p, struct project *pr);
/* What a claim rests on. */
enum claim_rank claim_rank(const struct planner *p, const struct ledger_claim *c);
/* Is there anything that registry_take_up would do? */
bool registry_is_dirty(const struct planner *p, uint64_t now_ms);
uint64_t registry_due_ms(const struct planner *p);
void registry_date(struct planner *p, uint64_t now_ms);
/* Lets go of projects that have left, reads members anew, and brings the claims of every changed
 * entry into the ledger. */
void registry_take_up(struct planner *p, uint64_t now_ms);
/* Every claim's rank, once all claims stand. */
void registry_rank(struct planner *p);
void registry_finish(struct planner *p);

/* A container that served does not any more; one serves now; it is another one than it was, be it
 * in its state alone. */
void damping_note_lost(struct planner *p, const struct member *m);
void damping_note_serves(struct planner *p, const struct member *m);
void damping_note_replaced(struct planner *p, const struct member *old, const struct member *m);
/* A member came into its project; or what it is damped by has to be looked at. */
void damping_attach(struct planner *p, struct member *m);
void damping_touch(struct planner *p, const struct member *m);
bool damping_is_dirty(const struct planner *p);
/* Nothing that is remembered may lie in the future. */
void damping_redate(struct planner *p, uint64_t now_ms);
/* Judges what was noted, and rings whose damping begins or ends. */
void damping_step(struct planner *p, uint64_t now_ms);
/* Notes who serves, once it is known which slot is active. */
void damping_date(struct planner *p, struct project *pr);
void damping_finish(struct planner *p);

#endif
