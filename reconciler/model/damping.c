#include "reconciler/model/damping.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

/* One that was lost of late. */
struct suspect {
	UT_hash_handle hh;
	struct suspect *prev, *next; /* in the order in which they were lost */
	uint64_t touched_ms;
	unsigned n; /* swings that are remembered */
	uint64_t swung_ms[DAMPING_LOSSES];
	bool lost; /* and did not come back yet: */
	uint64_t lost_ms;
	bool served_short, traffic;
	char *id; /* and its NUL, and the run */
	const char *run;
	char key[];
};

struct damping {
	struct ledger *ledger;
	struct suspect *suspects; /* the table */
	struct suspect *order;
	struct buf scratch;
};

struct damping *
damping_create(struct ledger *l)
{
	struct damping *d = xcalloc(1, sizeof(*d));
	d->ledger = l;
	return d;
}

static void
suspect_drop(struct damping *d, struct suspect *s)
{
	HASH_DEL(d->suspects, s);
	DL_DELETE(d->order, s);
	free(s->id);
	free(s);
}

void
damping_destroy(struct damping *d)
{
	if (!d)
		return;
	while (d->order)
		suspect_drop(d, d->order);
	buf_finish(&d->scratch);
	free(d);
}

/* Project, engine and container, each with its NUL. */
static size_t
key_write(const struct damping_who *who, struct buf *key)
{
	buf_add(key, who->project, strlen(who->project) + 1);
	buf_add(key, who->engine, strlen(who->engine) + 1);
	buf_add(key, who->container, strlen(who->container) + 1);
	return key->n;
}

/* The key is in d->scratch. */
static struct suspect *
suspect_find(struct damping *d, const struct damping_who *who)
{
	struct suspect *s;

	buf_reset(&d->scratch);
	size_t n = key_write(who, &d->scratch);
	HASH_FIND(hh, d->suspects, d->scratch.p, n, s);
	return s;
}

static struct suspect *
suspect_need(struct damping *d, const struct damping_who *who)
{
	struct suspect *s = suspect_find(d, who);

	if (s)
		return s;
	s = xcalloc(1, sizeof(*s) + d->scratch.n);
	memcpy(s->key, d->scratch.p, d->scratch.n);
	HASH_ADD(hh, d->suspects, key, d->scratch.n, s);
	DL_APPEND(d->order, s);
	return s;
}

void
damping_lose(struct damping *d, const struct damping_loss *loss, uint64_t now_ms)
{
	struct suspect *s = suspect_need(d, &loss->who);
	size_t nid = strlen(loss->who.id) + 1, nrun = strlen(loss->who.run) + 1;

	s->lost = true;
	s->lost_ms = s->touched_ms = now_ms;
	s->served_short = loss->served_ms < DAMPING_SHORT_MS;
	s->traffic = loss->traffic;
	s->id = xrealloc(s->id, nid + nrun);
	s->run = memcpy(s->id + nid, loss->who.run, nrun);
	memcpy(s->id, loss->who.id, nid);
	DL_DELETE(d->order, s);
	DL_APPEND(d->order, s);
}

static bool
is_swing(const struct suspect *s, const struct damping_who *who, uint64_t now_ms)
{
	if (strcmp(s->id, who->id) != 0)
		return s->traffic && s->served_short;
	return s->traffic || now_ms - s->lost_ms <= DAMPING_SOON_MS ||
	       (*s->run && strcmp(s->run, who->run) == 0);
}

/* One more of a container that is damped, or was a while ago. */
static void
swing_again(struct damping *d, struct ledger_damping *row, uint64_t lost_ms, uint64_t now_ms)
{
	if (row->over)
		row->since_ms = now_ms;
	row->over = false;
	row->lost_ms = lost_ms;
	row->ready_ms = 0;
	row->wait_ms =
		row->wait_ms < DAMPING_WAIT_MAX_MS / 2 ? row->wait_ms * 2 : DAMPING_WAIT_MAX_MS;
	ledger_damping_changed(d->ledger, row);
}

static struct ledger_damping *
damp(struct damping *d, const struct damping_who *who, uint64_t lost_ms, uint64_t now_ms)
{
	struct ledger_damping *row =
		ledger_damp(d->ledger, who->project, who->engine, who->container);

	if (!row)
		return NULL;
	row->since_ms = now_ms;
	row->lost_ms = lost_ms;
	row->wait_ms = DAMPING_WAIT_MS;
	ledger_damping_changed(d->ledger, row);
	return row;
}

/* Is this the one too many? */
static bool
suspect_swing(struct suspect *s)
{
	if (s->n == DAMPING_LOSSES)
		memmove(s->swung_ms, s->swung_ms + 1, --s->n * sizeof(*s->swung_ms));
	s->swung_ms[s->n++] = s->lost_ms;
	return s->n == DAMPING_LOSSES && s->lost_ms - s->swung_ms[0] < DAMPING_WINDOW_MS;
}

struct ledger_damping *
damping_return(struct damping *d, const struct damping_who *who, uint64_t now_ms)
{
	struct suspect *s = d->suspects ? suspect_find(d, who) : NULL;

	if (!s || !s->lost)
		return NULL;
	s->lost = false;
	if (!is_swing(s, who, now_ms))
		return NULL;
	struct ledger_damping *row =
		ledger_damping(d->ledger, who->project, who->engine, who->container);
	if (row) {
		swing_again(d, row, s->lost_ms, now_ms);
		return NULL;
	}
	if (!suspect_swing(s))
		return NULL;
	s->n = 0;
	return damp(d, who, s->lost_ms, now_ms);
}

bool
damping_waits(const struct damping *d)
{
	return d->suspects;
}

void
damping_tidy(struct damping *d, uint64_t now_ms)
{
	while (d->order && d->order->touched_ms + DAMPING_WINDOW_MS <= now_ms)
		suspect_drop(d, d->order);
}

void
damping_take_up(struct damping *d, struct ledger_damping *row, uint64_t now_ms)
{
	struct ledger_damping was = *row;
	uint64_t *times[] = {&row->since_ms, &row->lost_ms, &row->ready_ms};

	for (size_t i = 0; i < 3; i++)
		if (*times[i] > now_ms)
			*times[i] = now_ms;
	if (row->wait_ms > DAMPING_WAIT_MAX_MS)
		row->wait_ms = DAMPING_WAIT_MAX_MS;
	if (was.since_ms != row->since_ms || was.lost_ms != row->lost_ms ||
		was.ready_ms != row->ready_ms || was.wait_ms != row->wait_ms)
		ledger_damping_changed(d->ledger, row);
}

bool
damping_look(struct damping *d, struct ledger_damping *row, bool ready, uint64_t now_ms)
{
	if (row->over)
		return false;
	bool changed = ready != (row->ready_ms != 0);
	if (changed)
		row->ready_ms = ready ? now_ms : 0;
	row->over = ready && row->ready_ms + row->wait_ms <= now_ms;
	if (changed || row->over)
		ledger_damping_changed(d->ledger, row);
	return row->over;
}

bool
damping_is_past(const struct ledger_damping *row, uint64_t now_ms)
{
	return row->lost_ms + DAMPING_FORGET_MS <= now_ms;
}

uint64_t
damping_due_ms(const struct ledger_damping *row)
{
	uint64_t past = row->lost_ms + DAMPING_FORGET_MS;
	uint64_t over = row->ready_ms + row->wait_ms;

	return row->over || !row->ready_ms || past < over ? past : over;
}

const char *
damping_text(struct arena *a, const struct ledger_damping *row)
{
	return arena_printf(a,
		"it was ready and then not %u times within %u s, or soon again after that; it gets "
		"traffic when it has been ready for %u s without a break",
		DAMPING_LOSSES, DAMPING_WINDOW_MS / 1000, (unsigned)(row->wait_ms / 1000));
}
