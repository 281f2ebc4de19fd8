/* ledger_inside.h - the ledger's rows, for ledger.c, which keeps them, ledger_slots.c and
 * ledger_damping.c, which keep those of slots and dampings, and ledger_rows.c, which prints and
 * reads them.  For nobody else. */
#ifndef RECONCILER_MODEL_LEDGER_INSIDE_H
#define RECONCILER_MODEL_LEDGER_INSIDE_H

#include <uthash.h>

#include "reconciler/model/ledger.h"

enum row_kind { ROW_CLAIM, ROW_BRANCH, ROW_ACTIVE, ROW_GRACE, ROW_DAMPED, ROW_KINDS };

/* What a key is made of: the first four name a group. */
enum part { PROJECT, ENVIRONMENT, BRANCH, SERVICE, HOST, PATH, SLOT, ENGINE, CONTAINER, PARTS };

struct row {
	UT_hash_handle hh;
	enum row_kind kind;
	char *key; /* the kind and the parts, each part with its NUL */
	const char *part[PARTS]; /* into the key */
	struct ledger_claim claim; /* ROW_CLAIM */
	struct ledger_damping damping; /* ROW_DAMPED */
	char *value; /* ROW_BRANCH: the plain host; ROW_ACTIVE: the slot */
	bool suffixed; /* ROW_BRANCH */
	char *promotion; /* ROW_ACTIVE */
	bool fallback; /* ROW_ACTIVE */
	uint64_t lost_ms; /* ROW_ACTIVE */
	struct ledger_grace grace; /* ROW_GRACE */
};

/* The head of a list of claims, by project or by host.  Hosts stand in a tree of domains besides,
 * in which those above a host have heads, too, be there claims on them or not. */
struct head {
	UT_hash_handle hh;
	char *name;
	struct ledger_claim *first;
	struct head *above, *below; /* the domain that it is in; the first that is in it */
	struct head *prev, *next; /* in that domain */
};

/* The head of a project's list of dampings. */
struct damped {
	UT_hash_handle hh;
	char *project;
	struct ledger_damping *first;
};

struct ledger {
	struct row *rows;
	struct head *hosts;
	struct head *projects;
	struct ledger_damping *dampings;
	struct damped *damped;
	size_t ndampings;
	uint64_t next;
	struct buf changes;
};

/* NULL where there is none. */
struct row *ledger_row_find(
	const struct ledger *l, enum row_kind kind, const char *const part[PARTS]);
struct row *ledger_row_add(struct ledger *l, enum row_kind kind, const char *const part[PARTS]);
void ledger_row_free(struct row *row);
/* It is another now, and to be kept. */
void ledger_row_changed(struct ledger *l, const struct row *row);
/* It goes. */
void ledger_row_drop(struct ledger *l, struct row *row);
/* The parts of a group's key, the others "". */
void ledger_group_parts(const struct group *g, const char *part[PARTS]);
struct row *ledger_claim_add(struct ledger *l, const char *const part[PARTS], enum route_kind kind);
void ledger_claim_unlink(struct ledger *l, struct ledger_claim *c);

struct row *ledger_damping_add(struct ledger *l, const char *const part[PARTS]);
void ledger_damping_copy(struct ledger *to, const struct row *row);
/* Before the rows themselves go. */
void ledger_dampings_finish(struct ledger *l);
void ledger_damping_unlink(struct ledger *l, struct ledger_damping *d);

/* {"row":"claim","project":"shop",…}; a row that went has "gone":true and no more than its key. */
void ledger_print_row(const struct row *row, bool went, struct buf *b);

#endif
