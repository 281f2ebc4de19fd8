/* ledger.h - history as a value: who claimed a host first, which branch has a suffixed label, which
 * slot is active, which container is damped.
 *
 * Rows are JSON objects when they are written and read, one a line, so that a journal can hold
 * them; a row is written again when it changes.  Times are milliseconds of the caller's clock
 * (wall clock, so that they mean something after a restart).  Pure.
 *
 * A host belongs to the project whose claims on it rank highest, of several to the one that claimed
 * it first (of registry entries to the one that named it first), on whatever path; within a project
 * each path belongs to the group that claimed it first, among those that still have a container
 * (and are of the environment that the registry gives it).  A claim whose last container has gone
 * is held for a while (gone_ms says since when), so that stop-then-start loses no host.
 */
#ifndef RECONCILER_MODEL_LEDGER_H
#define RECONCILER_MODEL_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/err.h"
#include "reconciler/model/plan.h"

/* Containers of one group stand in for each other; its slots take turns.  "" where none. */
struct group {
	const char *project;
	const char *environment;
	const char *branch;
	const char *service;
};

bool group_equal(const struct group *a, const struct group *b);

/* What a claim rests on; the higher wins. */
enum claim_rank {
	CLAIM_FORBIDDEN = -1, /* the registry gives the host to somebody else: never an owner */
	CLAIM_LABEL, /* a container's word */
	CLAIM_MEMBER, /* a container of the registered project that the host belongs to */
	CLAIM_ENTRY, /* the registry itself */
};

/* The owner-to-be of one host and path.  slot is "" but for a slot's own URL. */
struct ledger_claim {
	struct group group;
	const char *host;
	const char *path;
	const char *slot;
	enum route_kind kind;
	uint64_t first; /* the order in which claims were first seen */
	uint64_t project_first; /* the same, for the project's oldest claim on the host */
	uint64_t entry_first; /* the same, for the project's entry that names the host; 0: none */
	uint64_t gone_ms; /* 0: it has a container */
	bool derived; /* its host was made by a URL template */
	/* The planner's, and not kept: how many containers and registry entries hold it now, and
	 * what it rests on. */
	unsigned users;
	unsigned entries;
	enum claim_rank rank;
	struct ledger_claim *host_next; /* claims on the same host, in no order */
	struct ledger_claim *project_next; /* claims of the same project, in no order */
};

struct ledger;

struct ledger *ledger_create(void);
void ledger_destroy(struct ledger *l);
/* A deep copy, for tests and for rebuilding beside what runs. */
struct ledger *ledger_copy(const struct ledger *l);

/* What is claimed, and for whom. */
struct ledger_wish {
	const struct group *group;
	const char *host, *path, *slot;
	enum route_kind kind; /* the registry's counts, else that of who claimed it first */
	bool derived;
	bool entry; /* the registry's */
};

/* The claim with this key (host, path, slot and group), made where there is none, and live again;
 * *ret_changed says whether it was made or revived. */
const struct ledger_claim *ledger_claim(
	struct ledger *l, const struct ledger_wish *w, bool *ret_changed);
/* NULL where there is none. */
const struct ledger_claim *ledger_find(const struct ledger *l, const struct group *g,
	const char *host, const char *path, const char *slot);
/* One container more, or less, holds it; returns how many do. */
unsigned ledger_use(struct ledger *l, const struct ledger_claim *c, int more);
/* One registry entry more, or less. */
unsigned ledger_use_entry(struct ledger *l, const struct ledger_claim *c, int more);
/* Returns whether it was another.  Below CLAIM_ENTRY it is forgotten since when an entry names the
 * host. */
bool ledger_set_rank(struct ledger *l, const struct ledger_claim *c, enum claim_rank rank);
/* Its last container has gone, or went at a time that has not come yet (the clock was wrong). */
void ledger_release(struct ledger *l, const struct ledger_claim *c, uint64_t now_ms);
/* It is over. */
void ledger_drop(struct ledger *l, const struct ledger_claim *c);

/* The first of a list, or NULL. */
const struct ledger_claim *ledger_host(const struct ledger *l, const char *host);
const struct ledger_claim *ledger_project(const struct ledger *l, const char *project);

/* Every project with a claim. */
void ledger_each_project(
	const struct ledger *l, void (*fn)(void *arg, const char *project), void *arg);

/* Every host with a claim that is the domain or below it; NULL: every one.  The callback changes no
 * claims. */
void ledger_each_host(const struct ledger *l, const char *domain,
	void (*fn)(void *arg, const char *host), void *arg);

/* The oldest of the highest claims on a host, by whatever path: its project owns the host.  NULL:
 * nobody may have it. */
const struct ledger_claim *ledger_host_owner(const struct ledger *l, const char *host);
/* Whose a host is by the registry: the project whose entry was the first to name it, else the
 * nearest domain above it.  What stands at or above the apex gives nothing below the apex, and a
 * slot's own URL nothing below itself.  NULL: nobody's. */
const char *ledger_registered(const struct ledger *l, const char *host, const char *apex);
/* The claim that owns a host and path, or NULL where nobody claims it. */
const struct ledger_claim *ledger_owner(const struct ledger *l, const char *host, const char *path);

/* Does this branch's label carry the suffix?  Decided when the branch is first seen: yes where
 * another branch of the project already has the plain host. */
bool ledger_branch_suffixed(struct ledger *l, const struct group *g, const char *plain_host);

/* Which slot of a group serves. */
struct ledger_choice {
	const char *slot;
	const char *promotion; /* what the registry said when a slot that it names was seen ready,
				  as slot_promotion makes it; "": none was */
	bool fallback; /* the slot stands in for the one that was promoted */
	uint64_t lost_ms; /* since when it has no container that is ready, and nothing stands in; 0:
			     it has one */
};

/* False where none was ever chosen. */
bool ledger_choice(const struct ledger *l, const struct group *g, struct ledger_choice *ret);
void ledger_choose(struct ledger *l, const struct group *g, const struct ledger_choice *c);
/* The slot alone; NULL where none was ever chosen. */
const char *ledger_active(const struct ledger *l, const struct group *g);

/* The clock of a slot's grace period, which stands still while the slot carries traffic. */
struct ledger_grace {
	uint64_t until_ms; /* the end by the registry, by which it is known */
	uint64_t held_ms; /* for how long it stood still, up to since_ms */
	uint64_t since_ms; /* it stands still since then; 0: it does not */
};

/* Of the group's project and environment.  False where it never stood still. */
bool ledger_grace(
	const struct ledger *l, const struct group *g, const char *slot, struct ledger_grace *ret);
/* NULL: forget it. */
void ledger_set_grace(struct ledger *l, const struct group *g, const char *slot,
	const struct ledger_grace *grace);

/* A container, by its name, that was ready and then not too often. */
struct ledger_damping {
	const char *project, *engine, *container;
	uint64_t since_ms;
	uint64_t lost_ms; /* when it was last not ready any more */
	uint64_t ready_ms; /* ready without a break since; 0: it is not ready */
	uint64_t wait_ms; /* so long it has to be ready to count as that again */
	bool over; /* it was; what comes next is judged by what has been */
	/* The planner's, and not kept. */
	bool touched;
	struct ledger_damping *touched_next;
	struct ledger_damping *prev, *next; /* all of them, in no order */
	struct ledger_damping *project_prev, *project_next; /* those of the project */
};

/* NULL where it is not damped and was not of late. */
struct ledger_damping *ledger_damping(
	const struct ledger *l, const char *project, const char *engine, const char *container);
/* A new one, for its caller to fill; NULL where there are too many. */
struct ledger_damping *ledger_damp(
	struct ledger *l, const char *project, const char *engine, const char *container);
/* Its caller changed it. */
void ledger_damping_changed(struct ledger *l, const struct ledger_damping *d);
void ledger_undamp(struct ledger *l, struct ledger_damping *d);
/* The first of all, and of a project's. */
struct ledger_damping *ledger_dampings(const struct ledger *l);
const struct ledger_damping *ledger_project_dampings(const struct ledger *l, const char *project);

/* Appends every change since the last call, a line each, and forgets them; how many bytes. */
size_t ledger_take_changes(struct ledger *l, struct buf *lines);
/* Appends every row, sorted: equal ledgers give equal bytes. */
void ledger_print(const struct ledger *l, struct buf *lines);
/* Takes in one row as printed.  -EINVAL where it is none. */
int ledger_load(struct ledger *l, const json_t *row, struct err *reterr);

#endif
