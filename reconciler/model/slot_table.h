/* slot_table.h - what `waymark slot` may do to a slot, as one table.
 *
 * A command takes one slot from a state to another.  The table has a row for each command and each
 * state: where it leads and what it needs, or why not and what to do instead.  The function below,
 * the manual (`waymark help slots`) and the tests read it.  Pure: time, health and ids are given.
 */
#ifndef RECONCILER_MODEL_SLOT_TABLE_H
#define RECONCILER_MODEL_SLOT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/model/registry.h"

#define SLOT_RESERVATION_MS (UINT64_C(30) * 60 * 1000)
#define SLOT_ID_DIGITS 32

enum slot_command { SLOT_DEPLOY, SLOT_PROMOTE, SLOT_ROLLBACK, SLOT_CLEANUP, SLOT_COMMANDS };

/* What a row may need, in the order in which it is looked at. */
/* bit, name, what it means in the manual */
#define SLOT_NEEDS(X)                                                                              \
	X(1, IDLE, "it carries no traffic")                                                        \
	X(2, ENDED, "the reservation has ended")                                                   \
	X(4, LIVE, "the reservation has not ended")                                                \
	X(8, ID, "--id, where given, is its id")                                                   \
	X(16, DISCARD, "the grace period has ended, or --discard-rollback")                        \
	X(32, READY, "a container of it is ready")

enum slot_need {
	SLOT_NEEDS_NOTHING = 0,
#define X(bit, name, means) SLOT_NEEDS_##name = (bit),
	SLOT_NEEDS(X)
#undef X
		SLOT_NEVER = 1024, /* not from this state */
};

/* command, from, to, what it needs, why it is refused otherwise ("slot blue …"), the way out.  In
 * the texts {p}, {e} and {s} are the project, the environment and the slot, {other} the slot
 * beside it, {id} and {until} a reservation's or a grace period's.  Traffic has one text for all
 * rows. */
/* clang-format off */
#define SLOT_TRANSITIONS(X)                                                                        \
	X(DEPLOY, EMPTY, RESERVED, SLOT_NEEDS_IDLE, "", "")                                            \
	X(DEPLOY, RESERVED, RESERVED, SLOT_NEEDS_IDLE | SLOT_NEEDS_ENDED,                              \
		"is reserved by another deploy, {id}, {until}",                                        \
		"wait for it, or give its reservation up: waymark slot cleanup {p} {e} {s}")           \
	X(DEPLOY, DEPLOYED, RESERVED, SLOT_NEEDS_IDLE, "", "")                                         \
	X(DEPLOY, ACTIVE, ACTIVE, SLOT_NEVER, "is active",                                             \
		"deploy to the other one: waymark slot deploy {p} {e} {other}")                        \
	X(DEPLOY, GRACE, RESERVED, SLOT_NEEDS_IDLE | SLOT_NEEDS_DISCARD,                               \
		"is what a rollback goes back to, {until}",                                            \
		"wait for the end of its grace period, or give the way back up with "                  \
		"--discard-rollback")                                                                  \
	X(PROMOTE, EMPTY, EMPTY, SLOT_NEVER, "is empty",                                               \
		"deploy to it first: waymark slot deploy {p} {e}")                                     \
	X(PROMOTE, RESERVED, ACTIVE, SLOT_NEEDS_LIVE | SLOT_NEEDS_ID | SLOT_NEEDS_READY,               \
		"is reserved {until}", "reserve it again: waymark slot deploy {p} {e}")               \
	X(PROMOTE, DEPLOYED, ACTIVE, SLOT_NEEDS_ID | SLOT_NEEDS_READY, "", "")                         \
	X(PROMOTE, ACTIVE, ACTIVE, SLOT_NEVER, "is active already", "nothing is left to do")           \
	X(PROMOTE, GRACE, GRACE, SLOT_NEVER, "is in its grace period {until}",                        \
		"go back to it with: waymark slot rollback {p} {e} {s}")                               \
	X(ROLLBACK, EMPTY, EMPTY, SLOT_NEVER, "is empty, so there is no way back to it",               \
		"deploy what is to run: waymark slot deploy {p} {e}")                                  \
	X(ROLLBACK, RESERVED, RESERVED, SLOT_NEVER,                                                    \
		"is reserved for a deploy {until}, so there is no way back to it",                    \
		"promote it when it is ready: waymark slot promote {p} {e} {s}")                       \
	X(ROLLBACK, DEPLOYED, DEPLOYED, SLOT_NEVER, "is in no grace period",                           \
		"promote it: waymark slot promote {p} {e} {s}")                                        \
	X(ROLLBACK, ACTIVE, ACTIVE, SLOT_NEVER, "is active already", "nothing is left to do")          \
	X(ROLLBACK, GRACE, ACTIVE, SLOT_NEEDS_READY, "", "")                                           \
	X(CLEANUP, EMPTY, EMPTY, SLOT_NEVER, "is empty already", "nothing is left to do")              \
	X(CLEANUP, RESERVED, EMPTY, SLOT_NEEDS_IDLE, "", "")                                           \
	X(CLEANUP, DEPLOYED, EMPTY, SLOT_NEEDS_IDLE, "", "")                                           \
	X(CLEANUP, ACTIVE, ACTIVE, SLOT_NEVER, "is active",                                            \
		"promote the other one first: waymark slot promote {p} {e} {other}")                   \
	X(CLEANUP, GRACE, EMPTY, SLOT_NEEDS_IDLE, "", "")
/* clang-format on */

struct slot_transition {
	enum slot_command command;
	enum slot_state from, to;
	unsigned needs; /* of enum slot_need */
	const char *why, *remedy;
};

const char *slot_command_text(enum slot_command command);
/* False where there is no such command. */
bool slot_command_parse(const char *text, enum slot_command *ret);
/* There is one for each. */
const struct slot_transition *slot_transition_find(enum slot_command command, enum slot_state from);
/* The table in words, for the manual. */
void slot_table_print(struct buf *b);

/* What the running Waymark sees of a slot. */
struct slot_fact {
	const char *slot;
	size_t servers; /* containers of it */
	size_t ready; /* those that could serve */
	bool traffic; /* requests of the environment's hosts go to it */
	const char *container; /* the name of one; NULL: none */
	uint64_t until_ms; /* when its time ends, with what a grace period stood still; 0: not known
			    */
};

struct slot_facts {
	size_t n;
	const struct slot_fact *list;
};

struct slot_request {
	enum slot_command command;
	const char *project; /* its name */
	const char *slot; /* NULL: the one that it can only be */
	const char *id; /* deploy: the new reservation's; promote: the one it must be, or NULL */
	bool discard_rollback;
	bool ending; /* cleanup: the first of its two steps, after which the slot's time is over */
	uint64_t now_ms; /* wall clock */
	uint64_t grace_ms;
	uint64_t reservation_ms;
	const struct slot_facts *facts; /* NULL: nobody was asked, so all is taken for well */
	const uint64_t *grace_since_ms; /* only in the grace period that began then; NULL: any */
	const struct registered_slot *restore; /* see slot_restore */
};

struct slot_change {
	struct registered_environment after; /* its slots, sorted, are the arena's */
	const char *slot; /* the one that the command is about */
	const char *left; /* the slot that went into its grace period; NULL: none */
};

struct slot_refusal {
	const char *slot; /* NULL: none is meant */
	const char *what; /* "slot green is active" */
	const char *remedy;
	bool unready; /* it may be allowed when a container is ready */
};

/* Never NULL, but of a slot nobody has seen. */
const struct slot_fact *slot_fact_find(const struct slot_facts *facts, const char *slot);
/* The container of a slot as the registry has it, else {project}-{environment}-{slot}. */
const char *slot_container(struct arena *a, const char *project,
	const struct registered_environment *e, const char *slot);
/* When a reservation or a grace period ends: as the registry says, or later where the running
 * Waymark knows that the clock stood still; 0: never.  The fact may be NULL. */
uint64_t slot_end_ms(const struct registered_slot *s, const struct slot_fact *f);
/* Has it an end, and is it past? */
bool slot_has_ended(const struct registered_slot *s, const struct slot_fact *f, uint64_t now_ms);

/* A promote, a rollback and a cleanup take the environment's weights away: all requests go to the
 * active slot then.
 *
 * From the environment as it is registered (one without slots has two that are empty) to the one
 * that is to be registered.  False with the reason and the way out where that must not be. */
bool slot_apply(struct arena *a, const struct registered_environment *e,
	const struct slot_request *r, struct slot_change *ret, struct slot_refusal *retrefusal);

/* Takes a deploy back: the slot that is reserved by the request's id gets what `restore` says of
 * it, as it was before.  False where it is not reserved by that id any more. */
bool slot_restore(struct arena *a, const struct registered_environment *e,
	const struct slot_request *r, struct slot_change *ret, struct slot_refusal *retrefusal);

#endif
