/* state.h - observations and ledger on disk, so that a restart is merely stale sources.
 *
 * One journal in state_dir: what changed is appended at most once a second, written and synced in
 * libuv's pool.  When it has outgrown the whole, or anything went wrong with it, it is made anew
 * from what is in memory: written aside, fsync, rename, fsync of the directory.  A torn last line
 * (a crash) is left out on loading.  A lock in the directory keeps a second Waymark away.
 */
#ifndef RECONCILER_STATE_H
#define RECONCILER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/err.h"
#include "reconciler/model/endpoint.h"

struct state;

struct state_owner {
	/* What the journal held, row by row, in order.  Endpoints whose address may have changed
	 * hands since (the machine was started anew) are withheld already. */
	void (*load_endpoint)(void *arg, struct endpoint *e);
	void (*load_gone)(void *arg, const char *engine, const char *id);
	void (*load_source)(void *arg, const char *engine);
	void (*load_row)(void *arg, const json_t *row);
	/* Appends every row there is. */
	void (*print_all)(void *arg, struct buf *lines);
	void *arg;
};

/* Makes the directory where it is missing, takes the lock, reads nothing yet.  -EBUSY: another
 * Waymark has it. */
int state_open(uv_loop_t *loop, const char *dir, const struct state_owner *owner,
	struct state **ret, struct err *reterr);
/* Hands every row to the owner; returns how many lines could not be read. */
size_t state_load(struct state *s);

/* Lines to append: the buffer of what is not written yet. */
struct buf *state_lines(struct state *s);
/* Lines were added: they are written within a second. */
void state_ring(struct state *s);

/* Why the last write failed; "" where it did not. */
const char *state_error(const struct state *s);

/* Writes what is left, waits for it, lets go of the lock.  Handles close on the loop. */
void state_close(struct state *s);

#endif
