/* damping.h - which containers are ready and not ready too often to be given traffic.
 *
 * A swing is a container that served, was lost without having been told to stop, and serves again:
 * the same one, or another of its name where it had not served for long, for a platform may make a
 * new one each time (and a redeploy that follows the last one after a while is none).  In a slot
 * that carries no traffic it takes a swing of one run, or one within seconds, since such slots are
 * started and stopped for every deploy.  Who swings too often is damped: it counts as not ready
 * until it has been ready without a break for a while, which doubles with each further swing.
 *
 * What is damped stands in the ledger, and all that a plan depends on with it.  What leads there is
 * kept in memory, since most losses lead nowhere.  Pure; time comes in as an argument.
 */
#ifndef RECONCILER_MODEL_DAMPING_H
#define RECONCILER_MODEL_DAMPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/model/ledger.h"

/* Five in 90 s: a health check that swings every 15 s is among them, what happens every half a
 * minute is left alone. */
#define DAMPING_LOSSES 5
#define DAMPING_WINDOW_MS 90000
#define DAMPING_WAIT_MS 10000
#define DAMPING_WAIT_MAX_MS 300000
#define DAMPING_FORGET_MS 600000
/* Who served for less did not serve long. */
#define DAMPING_SHORT_MS 10000
/* Nobody's script, but a restart policy brings a container back so soon. */
#define DAMPING_SOON_MS 3000

/* Who serves, or did. */
struct damping_who {
	const char *project, *engine, *container;
	const char *id, *run;
};

/* How one was lost. */
struct damping_loss {
	struct damping_who who;
	uint64_t served_ms; /* for so long */
	bool traffic; /* its slot carries traffic */
};

struct damping;

/* The ledger outlives it. */
struct damping *damping_create(struct ledger *l);
/* Takes NULL. */
void damping_destroy(struct damping *d);

void damping_lose(struct damping *d, const struct damping_loss *loss, uint64_t now_ms);
/* One serves again, or for the first time.  Returns what is damped now and was not remembered
 * before; NULL: nothing. */
struct ledger_damping *damping_return(
	struct damping *d, const struct damping_who *who, uint64_t now_ms);
/* Is anything remembered that a return could complete? */
bool damping_waits(const struct damping *d);
/* Forgets what was lost too long ago to matter. */
void damping_tidy(struct damping *d, uint64_t now_ms);

/* Takes what an earlier run remembered of one, whatever the clock said then. */
void damping_take_up(struct damping *d, struct ledger_damping *row, uint64_t now_ms);
/* Is it ready now?  Returns whether it is not damped any more since this moment. */
bool damping_look(struct damping *d, struct ledger_damping *row, bool ready, uint64_t now_ms);
/* Is it to be forgotten? */
bool damping_is_past(const struct ledger_damping *row, uint64_t now_ms);
/* When to look at it again. */
uint64_t damping_due_ms(const struct ledger_damping *row);

/* Why it is damped, and until when. */
const char *damping_text(struct arena *a, const struct ledger_damping *row);

#endif
