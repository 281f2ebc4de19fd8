#include "reconciler/base/pgc.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/pgc_dial.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
/* A connection that held for this long starts the back-off anew. */
#define STEADY_MS 10000
/* So long are rows handed out in one turn of the loop. */
#define TURN_NS 4000000

enum phase { PHASE_IDLE, PHASE_DIAL, PHASE_UP, PHASE_BACKOFF };

struct query {
	struct query *next;
	struct arena arena;
	struct pgc_query q;
	PGresult *result; /* the last one: the whole, or the refusal */
};

struct pgc {
	uv_loop_t *loop;
	struct pgc_options o;
	struct pgc_dial *dial;
	enum phase phase;
	uv_timer_t timer; /* of the answer, or the back-off */
	uv_idle_t idle; /* runs while rows wait that libpq has already */
	unsigned nhandles;

	PGconn *conn;
	struct pgc_watch *watch;
	struct query *first, **last;
	bool asked; /* the first query is at the server */
	bool broken; /* it could not be sent */
	unsigned epoch; /* grows when a connection ends: callbacks may end it */

	unsigned failures; /* in a row */
	uint64_t up_at; /* 0: it was not up since the last failure */
	char last_words[200]; /* what the server says before it ends a connection that asks nothing
			       */
};

/* -- how it ends -- */

static void
query_free(struct query *q)
{
	PQclear(q->result);
	arena_finish(&q->arena);
	free(q);
}

static void
forget_queries(struct pgc *c)
{
	while (c->first) {
		struct query *q = c->first;
		c->first = q->next;
		query_free(q);
	}
	c->last = &c->first;
	c->asked = false;
}

static void
hang_up(struct pgc *c)
{
	c->epoch++;
	c->broken = false;
	pgc_watch_stop(&c->watch);
	PQfinish(c->conn);
	c->conn = NULL;
	forget_queries(c);
	uv_idle_stop(&c->idle);
	uv_timer_stop(&c->timer);
}

/* Between 3/4 and 5/4, so that many who lost the same server do not come back all at once. */
static uint64_t
next_delay(struct pgc *c)
{
	if (c->up_at && uv_now(c->loop) + 1 - c->up_at >= STEADY_MS)
		c->failures = 0;
	c->up_at = 0;

	uint64_t ms = BACKOFF_MIN_MS << (c->failures < 6 ? c->failures : 6);
	c->failures++;
	ms = ms * 3 / 4 + uv_hrtime() / 1000 % (ms / 2 + 1);
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static void
on_backoff(uv_timer_t *timer)
{
	struct pgc *c = timer->data;
	c->phase = PHASE_DIAL;
	pgc_dial_start(c->dial);
}

static void
lose(struct pgc *c, const struct err *e)
{
	hang_up(c);
	c->phase = PHASE_BACKOFF;
	uv_timer_start(&c->timer, on_backoff, next_delay(c), 0);
	c->o.on_down(c->o.arg, e);
}

static void
lose_by(struct pgc *c, const char *text)
{
	struct err e;
	char line[300];

	pgc_line(text, line, sizeof(line));
	err_set(&e, ECONNRESET, "%s%s%s", c->last_words, c->last_words[0] ? "; " : "", line);
	lose(c, &e);
}

/* -- asking -- */

/* Bytes may have come while the loop was busy, or while all of the program was stopped. */
static bool
has_bytes(const struct pgc *c)
{
	struct pollfd p = {.fd = PQsocket(c->conn), .events = POLLIN};
	return poll(&p, 1, 0) > 0;
}

static void
on_no_answer(uv_timer_t *timer)
{
	struct pgc *c = timer->data;

	if (c->broken)
		lose_by(c, PQerrorMessage(c->conn));
	else if (has_bytes(c))
		uv_timer_start(&c->timer, on_no_answer, 1000, 0);
	else
		lose_by(c, "the server does not answer");
}

/* What cannot be sent is told from the loop, so that whoever asks is not called back meanwhile. */
static void
note_broken(struct pgc *c)
{
	c->broken = true;
	uv_timer_start(&c->timer, on_no_answer, 0, 0);
}

static void on_ready(void *arg);

static void
flush(struct pgc *c)
{
	int r = PQflush(c->conn);
	if (r < 0)
		note_broken(c);
	else
		pgc_watch_start(&c->watch, c->loop, c->conn,
			r ? UV_READABLE | UV_WRITABLE : UV_READABLE, on_ready, c);
}

static void
ask_next(struct pgc *c)
{
	struct query *q = c->first;

	if (!q || c->asked || c->broken)
		return;
	if (!PQsendQueryParams(
		    c->conn, q->q.sql, (int)q->q.nparams, NULL, q->q.params, NULL, NULL, 0)) {
		note_broken(c);
		return;
	}
	if (q->q.on_row)
		PQsetSingleRowMode(c->conn);
	c->asked = true;
	uv_timer_start(&c->timer, on_no_answer, q->q.timeout_ms, 0);
	flush(c);
}

/* -- hearing -- */

static void
refuse(const struct query *q)
{
	const char *text = PQresultErrorField(q->result, PG_DIAG_MESSAGE_PRIMARY);
	const char *state = PQresultErrorField(q->result, PG_DIAG_SQLSTATE);
	char line[400];
	struct err e;

	pgc_line(text ? text : PQresultErrorMessage(q->result), line, sizeof(line));
	err_set(&e, EPROTO, "%s", line[0] ? line : "an answer of no known kind");
	q->q.on_done(q->q.arg, NULL, state ? state : "", &e);
}

static void
finish_query(struct pgc *c)
{
	struct query *q = c->first;
	unsigned epoch = c->epoch;
	ExecStatusType status = PQresultStatus(q->result);

	c->first = q->next;
	if (!c->first)
		c->last = &c->first;
	c->asked = false;
	uv_timer_stop(&c->timer);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		q->q.on_done(q->q.arg, q->result, "", NULL);
	else
		refuse(q);
	query_free(q);
	if (epoch == c->epoch)
		ask_next(c);
}

/* The callback may drop the connection and the query with it, but not the row. */
static void
take_result(struct pgc *c, PGresult *result)
{
	struct query *q = c->first;

	switch (PQresultStatus(result)) {
	case PGRES_SINGLE_TUPLE:
		q->q.on_row(q->q.arg, result);
		PQclear(result);
		break;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		PQclear(result);
		lose_by(c, "the server wants to copy a table");
		break;
	default:
		PQclear(q->result);
		q->result = result;
		break;
	}
}

/* One thing that libpq has whole; false where there is none. */
static bool
take_one(struct pgc *c)
{
	if (!c->asked || PQisBusy(c->conn))
		return false;
	PGresult *result = PQgetResult(c->conn);
	if (PQstatus(c->conn) == CONNECTION_BAD) {
		PQclear(result);
		lose_by(c, PQerrorMessage(c->conn));
	} else if (result) {
		take_result(c, result);
	} else {
		finish_query(c);
	}
	return true;
}

static void
tell_notifies(struct pgc *c)
{
	unsigned epoch = c->epoch;
	PGnotify *n;

	while (epoch == c->epoch && (n = PQnotifies(c->conn))) {
		if (c->o.on_notify)
			c->o.on_notify(c->o.arg, n->relname, n->extra);
		PQfreemem(n);
	}
}

static void pump(struct pgc *c);

static void
on_idle(uv_idle_t *idle)
{
	pump(idle->data);
}

/* Hands out what libpq has.  What does not fit in this turn of the loop waits for the next, and no
 * more is read until then. */
static void
pump(struct pgc *c)
{
	unsigned epoch = c->epoch;
	uint64_t end = uv_hrtime() + TURN_NS;
	bool more = true;

	if (c->asked && !c->broken)
		uv_timer_start(&c->timer, on_no_answer, c->first->q.timeout_ms, 0);
	while (more && uv_hrtime() < end) {
		tell_notifies(c);
		more = epoch == c->epoch && take_one(c);
		if (epoch != c->epoch)
			return;
	}
	if (more) {
		pgc_watch_pause(c->watch);
		uv_idle_start(&c->idle, on_idle);
	} else {
		uv_idle_stop(&c->idle);
		flush(c);
	}
}

static void
on_ready(void *arg)
{
	struct pgc *c = arg;

	if (PQconsumeInput(c->conn))
		pump(c);
	else
		lose_by(c, PQerrorMessage(c->conn));
}

void
pgc_read(struct pgc *c)
{
	if (c->phase == PHASE_UP && !uv_is_active((uv_handle_t *)&c->idle))
		on_ready(c);
}

/* -- the interface -- */

static void
on_notice(void *arg, const PGresult *result)
{
	struct pgc *c = arg;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (severity && text && !strcmp(severity, "FATAL"))
		pgc_line(text, c->last_words, sizeof(c->last_words));
}

static void
on_dialled(void *arg, PGconn *conn, const struct err *e)
{
	struct pgc *c = arg;

	if (!conn) {
		lose(c, e);
		return;
	}
	c->conn = conn;
	PQsetnonblocking(conn, 1);
	PQsetNoticeReceiver(conn, on_notice, c);
	c->last_words[0] = '\0';
	c->phase = PHASE_UP;
	c->up_at = uv_now(c->loop) + 1;
	flush(c);
	c->o.on_up(c->o.arg);
}

struct pgc *
pgc_create(uv_loop_t *loop, const struct pgc_options *options)
{
	struct pgc *c = xcalloc(1, sizeof(*c));

	assert(options->url && options->on_up && options->on_down);
	c->loop = loop;
	c->o = *options;
	c->last = &c->first;
	c->dial = pgc_dial_create(loop, &c->o, on_dialled, c);
	uv_timer_init(loop, &c->timer);
	uv_idle_init(loop, &c->idle);
	c->timer.data = c->idle.data = c;
	c->nhandles = 2;
	return c;
}

static void
on_closed(uv_handle_t *handle)
{
	struct pgc *c = handle->data;
	if (--c->nhandles == 0)
		free(c);
}

void
pgc_destroy(struct pgc *c)
{
	if (!c)
		return;
	hang_up(c);
	pgc_dial_destroy(c->dial);
	uv_close((uv_handle_t *)&c->timer, on_closed);
	uv_close((uv_handle_t *)&c->idle, on_closed);
}

void
pgc_start(struct pgc *c)
{
	assert(c->phase == PHASE_IDLE);
	c->phase = PHASE_BACKOFF;
	uv_timer_start(&c->timer, on_backoff, 0, 0);
}

void
pgc_ask(struct pgc *c, const struct pgc_query *query)
{
	struct query *q = xcalloc(1, sizeof(*q));

	assert(c->phase == PHASE_UP && query->on_done && query->timeout_ms);
	q->q = *query;
	q->q.sql = arena_strdup(&q->arena, query->sql);
	const char **params = ARENA_ARRAY(&q->arena, const char *, query->nparams);
	for (size_t i = 0; i < query->nparams; i++)
		params[i] = arena_strdup(&q->arena, query->params[i]);
	q->q.params = params;
	*c->last = q;
	c->last = &q->next;
	ask_next(c);
}

void
pgc_drop(struct pgc *c, const char *why)
{
	if (c->phase == PHASE_UP)
		lose_by(c, why);
}

const char *
pgc_parameter(const struct pgc *c, const char *name)
{
	return c->phase == PHASE_UP ? PQparameterStatus(c->conn, name) : NULL;
}

int
pgc_backend(const struct pgc *c)
{
	return c->phase == PHASE_UP ? PQbackendPID(c->conn) : 0;
}
