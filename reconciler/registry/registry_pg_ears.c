#include "reconciler/registry/registry_pg_ears.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/registry/registry_sql.h"

#define ANSWER_MS 10000
#define PROOF_MS 5000
#define BEAT_MS 10000
#define BEAT_LOST_MS 10000
#define BUSY_MS 1000

enum ears_phase {
	EARS_IDLE,
	EARS_PROOF, /* the first one is awaited */
	EARS_DEAF, /* it did not come */
	EARS_REST, /* until the next is sent */
	EARS_BEAT, /* one is awaited */
};

struct registry_pg_ears {
	uv_loop_t *loop;
	struct registry_pg_ears_options o;
	uv_timer_t timer;
	enum ears_phase phase;
	bool direct;
	char channel[40], token[24];
	unsigned long ntokens;
	struct pgc *other; /* sends the first one where a pooler is in between */
};

static void
ignore_answer(void *arg, const PGresult *result, const char *sqlstate, const struct err *e)
{
	(void)arg;
	(void)result;
	(void)sqlstate;
	(void)e;
}

static void
conclude(struct registry_pg_ears *e, const char *why)
{
	uv_timer_stop(&e->timer);
	pgc_destroy(e->other);
	e->other = NULL;
	e->phase = why ? EARS_DEAF : EARS_REST;
	e->o.proved(e->o.arg, why);
}

/* What stays in somebody else's session would wake it for nothing. */
static void
give_up(struct registry_pg_ears *e, const char *why)
{
	struct buf sql = {0};

	registry_sql_channel(&sql, "UNLISTEN", e->channel);
	pgc_ask(e->o.pg, &(struct pgc_query){
				 .sql = sql.p, .timeout_ms = ANSWER_MS, .on_done = ignore_answer});
	buf_finish(&sql);
	conclude(e, why);
}

static void
send_token(struct registry_pg_ears *e, struct pgc *by,
	void (*done)(void *arg, const PGresult *result, const char *sqlstate, const struct err *e))
{
	const char *params[] = {e->channel, e->token};

	pgc_ask(by, &(struct pgc_query){.sql = "SELECT pg_notify($1, $2)",
			    .nparams = 2,
			    .params = params,
			    .timeout_ms = ANSWER_MS,
			    .on_done = done,
			    .arg = e});
}

static void
next_token(struct registry_pg_ears *e)
{
	snprintf(e->token, sizeof(e->token), "%lu", ++e->ntokens);
}

/* -- the proof -- */

static void
on_other_up(void *arg)
{
	struct registry_pg_ears *e = arg;
	send_token(e, e->other, ignore_answer);
}

/* It is tried again until the time is over. */
static void
on_other_down(void *arg, const struct err *e)
{
	(void)arg;
	(void)e;
}

static void
ask_other(struct registry_pg_ears *e)
{
	struct pgc_options o = *e->o.session;

	o.settings = NULL;
	o.on_up = on_other_up;
	o.on_down = on_other_down;
	o.on_notify = NULL;
	o.arg = e;
	e->other = pgc_create(e->loop, &o);
	pgc_start(e->other);
}

static void
on_proof_over(uv_timer_t *timer)
{
	struct registry_pg_ears *e = timer->data;

	pgc_read(e->o.pg);
	if (e->phase == EARS_PROOF)
		give_up(e, "a notification that was sent for a try did not arrive within 5 s");
}

static void
on_listened(void *arg, const PGresult *result, const char *sqlstate, const struct err *err)
{
	struct registry_pg_ears *e = arg;

	(void)sqlstate;
	if (e->phase != EARS_PROOF)
		return;
	uv_timer_start(&e->timer, on_proof_over, PROOF_MS, 0);
	if (!result)
		conclude(e, err->text);
	else if (e->direct)
		send_token(e, e->o.pg, ignore_answer);
	else
		ask_other(e);
}

void
registry_pg_ears_prove(struct registry_pg_ears *e, bool direct)
{
	struct buf sql = {0};
	uint64_t number;

	assert(e->phase == EARS_IDLE);
	if (uv_random(NULL, NULL, &number, sizeof(number), 0, NULL) < 0)
		number = uv_hrtime();
	snprintf(e->channel, sizeof(e->channel), "waymark_self_%016" PRIx64, number);
	next_token(e);
	e->phase = EARS_PROOF;
	e->direct = direct;
	registry_sql_channel(&sql, "LISTEN", e->channel);
	pgc_ask(e->o.pg,
		&(struct pgc_query){
			.sql = sql.p, .timeout_ms = ANSWER_MS, .on_done = on_listened, .arg = e});
	buf_finish(&sql);
}

/* -- the beat -- */

static void
on_beat_lost(uv_timer_t *timer)
{
	struct registry_pg_ears *e = timer->data;

	pgc_read(e->o.pg);
	if (e->phase == EARS_BEAT)
		pgc_drop(e->o.pg, "notifications do not arrive any more");
}

static void
on_beat(uv_timer_t *timer)
{
	struct registry_pg_ears *e = timer->data;

	if (e->o.is_busy(e->o.busy_arg)) {
		uv_timer_start(&e->timer, on_beat, BUSY_MS, 0);
		return;
	}
	next_token(e);
	e->phase = EARS_BEAT;
	uv_timer_start(&e->timer, on_beat_lost, BEAT_LOST_MS, 0);
	send_token(e, e->o.pg, ignore_answer);
}

void
registry_pg_ears_watch(struct registry_pg_ears *e)
{
	assert(e->phase == EARS_REST);
	uv_timer_start(&e->timer, on_beat, BEAT_MS, 0);
}

bool
registry_pg_ears_hear(struct registry_pg_ears *e, const char *channel, const char *payload)
{
	if (strcmp(channel, e->channel) != 0)
		return false;
	if (strcmp(payload, e->token) != 0)
		return true;
	if (e->phase == EARS_PROOF) {
		conclude(e, NULL);
	} else if (e->phase == EARS_BEAT) {
		e->phase = EARS_REST;
		uv_timer_start(&e->timer, on_beat, BEAT_MS, 0);
	}
	return true;
}

/* -- life -- */

void
registry_pg_ears_stop(struct registry_pg_ears *e)
{
	uv_timer_stop(&e->timer);
	pgc_destroy(e->other);
	e->other = NULL;
	e->phase = EARS_IDLE;
	e->channel[0] = '\0';
}

struct registry_pg_ears *
registry_pg_ears_create(uv_loop_t *loop, const struct registry_pg_ears_options *o)
{
	struct registry_pg_ears *e = xcalloc(1, sizeof(*e));

	e->loop = loop;
	e->o = *o;
	uv_timer_init(loop, &e->timer);
	e->timer.data = e;
	return e;
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
registry_pg_ears_destroy(struct registry_pg_ears *e)
{
	if (!e)
		return;
	registry_pg_ears_stop(e);
	uv_close((uv_handle_t *)&e->timer, on_closed);
}
