/* planner.h - from observations to snapshots, a change at a time.
 *
 * The planner holds what every container asks for (its member), grouped by project; the index of
 * who claims which host; and the ledger, which is history.  What changed marks projects dirty;
 * planner_step plans the dirty ones anew.  The invariant: after any sequence of calls the snapshot
 * has, byte for byte, the fragments that a planner made from nothing has, given the same endpoints,
 * readiness and ledger.  Time comes in as an argument.  Pure.
 */
#ifndef RECONCILER_MODEL_PLANNER_H
#define RECONCILER_MODEL_PLANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/model/endpoint.h"
#include "reconciler/model/ledger.h"
#include "reconciler/model/registrar.h"
#include "reconciler/model/settings.h"
#include "reconciler/model/snapshot.h"

/* What a probe found out about a container that nothing else checks. */
enum readiness {
	READY_UNKNOWN, /* not probed yet */
	READY_YES,
	READY_NO, /* refused, or what its health path gives is no answer */
	READY_CANNOT_TELL, /* unreachable from here: running counts */
};

const char *readiness_text(enum readiness r);
/* Does it get traffic? */
bool readiness_counts(enum readiness r);

/* Why a probe found that it is not ready, where that is no HTTP status, which begin at 100. */
enum probe_why {
	WHY_UNKNOWN,
	WHY_REFUSED,
	WHY_CLOSED, /* without a word */
	WHY_LATE, /* nothing came in time */
	WHY_GARBAGE, /* what came is not HTTP */
};

/* Where to probe.  Strings live as long as the member, until the next put or remove. */
struct probe_target {
	const char *address;
	uint16_t port;
	bool published; /* an engine's port proxy accepts early: wait for an answer */
	const char *run; /* endpoint->run */
	bool ready_before; /* assume ready until found otherwise */
	const char *path; /* what is asked for, "/health"; NULL: no more than a connection */
	bool missing_counts; /* 404 is an answer, too: nobody said that there is such a path */
	uint32_t interval_ms, timeout_ms, rise, fall; /* 0: as for all */
};

/* An output's pure renderer: writes its sections of one project plan into the arena and leaves out,
 * with a problem, what its own check refuses. */
struct renderer {
	void (*render)(const struct project_plan *plan, const struct settings *settings,
		struct arena *a, struct fragment *ret, struct problems *problems);
};

struct planner;

/* settings and ledger must outlive it; renderers has PLAN_OUTPUTS entries (NULL: none). */
struct planner *planner_create(const struct settings *settings, struct ledger *ledger,
	const struct renderer *const renderers[PLAN_OUTPUTS]);
void planner_destroy(struct planner *p);

/* The settings changed: everything is read and planned anew at the next step. */
void planner_set_settings(struct planner *p, const struct settings *settings);

/* A container is as e says (a reference is taken).  Returns whether anything changed. */
bool planner_put(struct planner *p, const struct endpoint *e);
/* A container is not there any more. */
void planner_remove(struct planner *p, const char *engine, const char *id);
/* What is known of it; NULL where it is not there. */
const struct endpoint *planner_find(const struct planner *p, const char *engine, const char *id);
void planner_each(const struct planner *p,
	void (*fn)(void *arg, const struct endpoint *e, enum readiness ready), void *arg);

/* A registry says this of a project (a reference is taken).  Returns whether anything changed, be
 * it that the project was about to leave. */
bool planner_put_project(struct planner *p, const struct registered_project *entry);
/* A registry does not have the project any more: it serves for settings->drain_ms yet, or leaves at
 * once. */
void planner_remove_project(
	struct planner *p, const char *source, const char *project, bool at_once);
/* Does it serve only for a while yet? */
bool planner_is_leaving(const struct planner *p, const char *source, const char *project);
bool planner_put_static(struct planner *p, const struct registered_static *s);
void planner_remove_static(struct planner *p, const char *source, const char *host);
/* What all registries say, borrowed. */
const struct registrar *planner_registrar(const struct planner *p);
/* Reads anew what containers ask for where the registry changed, and tells of each (its address or
 * port may be another, and where to probe it).  planner_step does it where nobody did. */
void planner_reread(struct planner *p, uint64_t now_ms,
	void (*fn)(void *arg, const struct endpoint *e), void *arg);

/* What a probe found. */
void planner_set_ready(struct planner *p, const char *engine, const char *id, enum readiness ready);
/* Why it is not ready, for people: an HTTP status, or one of enum probe_why. */
void planner_set_why(struct planner *p, const char *engine, const char *id, unsigned why);
/* Does this container want a probe, and where? */
bool planner_probe_target(
	const struct planner *p, const char *engine, const char *id, struct probe_target *ret);

/* Is there anything to plan at that time? */
bool planner_is_dirty(const struct planner *p, uint64_t now_ms);
/* When a held claim ends next, a project that left its registry, a damping, a grace period or a
 * preview; UINT64_MAX: never. */
uint64_t planner_due_ms(const struct planner *p);

/* Plans what is dirty.  Returns the current snapshot, which is a new one (a higher revision) where
 * anything differs; the planner keeps its own reference, the caller takes one if it wants. */
struct snapshot *planner_step(struct planner *p, uint64_t now_ms);

/* The current snapshot, borrowed. */
struct snapshot *planner_snapshot(const struct planner *p);

/* In which snapshot a host ended, or a container (name or id) got requests for the last time, as
 * losses_revision has it. */
uint64_t planner_lost_revision(const struct planner *p, const char *text);

/* Projects planned in the last step, for the log. */
size_t planner_last_planned(const struct planner *p);

#endif
