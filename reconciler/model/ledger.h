/* ledger.h - history as a value: who claimed a host first, which branch label is whose, which slot
 * is active.
 *
 * Rows are JSON objects when they are written and read, one a line, so that a journal can hold
 * them; a row is written again when it changes.  Times are milliseconds of the caller's clock
 * (wall clock, so that they mean something after a restart).  Pure.
 */
#ifndef RECONCILER_MODEL_LEDGER_H
#define RECONCILER_MODEL_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/err.h"

struct ledger;

struct ledger *ledger_create(void);
void ledger_destroy(struct ledger *l);
/* A deep copy, for tests and for rebuilding beside what runs. */
struct ledger *ledger_copy(const struct ledger *l);

/* Appends every row that changed since the last call (a row that went is {"row":…,"gone":true}), a
 * line each, and forgets that they changed.  Returns how many. */
size_t ledger_take_changes(struct ledger *l, struct buf *lines);
/* Appends every row, sorted: equal ledgers give equal bytes. */
void ledger_print(const struct ledger *l, struct buf *lines);
/* Takes in one row as printed.  -EINVAL where it is none. */
int ledger_load(struct ledger *l, const json_t *row, struct err *reterr);

#endif
