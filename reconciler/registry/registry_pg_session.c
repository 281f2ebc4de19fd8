#include "reconciler/registry/registry_pg_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/log.h"
#include "reconciler/registry/registry_pg.h"
#include "reconciler/registry/registry_pg_ears.h"
#include "reconciler/registry/registry_sql.h"

#define ANSWER_MS 10000
#define HELLO_AGAIN_MS 5000
/* A standby becomes the primary, and a pooler is set up anew, under a connection that stays. */
#define EARS_AGAIN_MS 60000
#define NAME_MAX_OCTETS 255

enum session_phase {
	PHASE_DOWN,
	PHASE_HELLO, /* which tables are there? */
	PHASE_LISTEN, /* do notifications arrive? */
	PHASE_FOLLOW,
};

static const char *const tables_texts[] = {
	[REGISTRY_PG_NONE] = "none",
	[REGISTRY_PG_OWN] = "waymark",
	[REGISTRY_PG_SQL] = "sql",
	[REGISTRY_PG_MVP] = "mvp",
};

struct registry_pg_session {
	uv_loop_t *loop;
	struct registry_pg_session_options o;
	struct pgc_url url;
	struct err url_error;
	struct pgc_options connection;
	struct pgc *pg; /* NULL: the URL is none */
	struct registry_pg_ears *ears;
	uv_timer_t timer; /* of the next hello */

	enum session_phase phase;
	enum registry_pg_tables tables;
	bool hears;
	bool settings_in_force;
	char deaf[500], version[40];
	const char *logged; /* the tables that the log was told of */
	bool logged_hears;
	uint64_t nconnects;
};

static void
log_tables(struct registry_pg_session *s)
{
	const char *tables = tables_texts[s->tables];

	if (s->logged == tables && s->logged_hears == s->hears)
		return;
	s->logged = tables;
	s->logged_hears = s->hears;
	LOG(LOG_INFO, "registry connected", LOG_S("source", REGISTRY_PG_NAME),
		LOG_S("address", s->url.address), LOG_S("version", s->version),
		LOG_S("tables", tables), LOG_S("changes", s->hears ? "notified" : "polled"),
		LOG_N("poll_ms", s->hears ? 0 : s->o.cfg->poll_ms));
}

static void
ask(struct registry_pg_session *s, const char *sql,
	void (*done)(void *arg, const PGresult *result, const char *sqlstate, const struct err *e))
{
	pgc_ask(s->pg, &(struct pgc_query){
			       .sql = sql, .timeout_ms = ANSWER_MS, .on_done = done, .arg = s});
}

/* -- do notifications arrive? -- */

static void
set_deaf(struct registry_pg_session *s, const char *text)
{
	if (strcmp(s->deaf, text) == 0)
		return;
	snprintf(s->deaf, sizeof(s->deaf), "%s", text);
	s->o.changed(s->o.arg);
}

static void
follow(struct registry_pg_session *s)
{
	s->phase = PHASE_FOLLOW;
	log_tables(s);
	if (s->hears)
		registry_pg_ears_watch(s->ears);
	s->o.ready(s->o.arg);
}

static void on_timer(uv_timer_t *timer);

static void
go_deaf(struct registry_pg_session *s, const char *why)
{
	char text[sizeof(s->deaf)];

	snprintf(text, sizeof(text),
		"notifications do not arrive here (%s); the tables are read every %.3g s instead",
		why, s->o.cfg->poll_ms / 1000.0);
	set_deaf(s, text);
	uv_timer_start(&s->timer, on_timer, EARS_AGAIN_MS, 0);
	follow(s);
}

static void
ignore_answer(void *arg, const PGresult *result, const char *sqlstate, const struct err *e)
{
	(void)arg;
	(void)result;
	(void)sqlstate;
	(void)e;
}

static void
on_subscribed(void *arg, const PGresult *result, const char *sqlstate, const struct err *e)
{
	struct registry_pg_session *s = arg;

	(void)sqlstate;
	if (!result)
		pgc_drop(s->pg, e->text);
}

static void
on_subscribed_last(void *arg, const PGresult *result, const char *sqlstate, const struct err *e)
{
	on_subscribed(arg, result, sqlstate, e);
	if (result)
		follow(arg);
}

static void
subscribe(struct registry_pg_session *s)
{
	const char *channels[2];
	size_t n = 0;

	if (s->tables == REGISTRY_PG_OWN)
		channels[n++] = REGISTRY_SQL_CHANNEL;
	if (s->o.cfg->channel)
		channels[n++] = s->o.cfg->channel;
	for (size_t i = 0; i < n; i++) {
		struct buf sql = {0};
		registry_sql_channel(&sql, "LISTEN", channels[i]);
		ask(s, sql.p, i + 1 < n ? on_subscribed : on_subscribed_last);
		buf_finish(&sql);
	}
}

static void
on_proved(void *arg, const char *why)
{
	struct registry_pg_session *s = arg;

	if (why) {
		go_deaf(s, why);
		return;
	}
	s->hears = true;
	set_deaf(s, "");
	/* Only now is it known that the session is not shared with others. */
	if (!s->settings_in_force)
		ask(s, registry_sql_set, ignore_answer);
	subscribe(s);
}

/* '@' begins the name of a static route, of which there are few. */
static void
on_notify(void *arg, const char *channel, const char *payload)
{
	struct registry_pg_session *s = arg;
	size_t n = strlen(payload);

	if (registry_pg_ears_hear(s->ears, channel, payload))
		return;
	s->o.rang(s->o.arg, n == 0 || n > NAME_MAX_OCTETS || *payload == '@' ? NULL : payload);
}

/* -- which tables are there? -- */

static enum registry_pg_tables
choose_tables(const struct registry_pg_session *s, const PGresult *hello)
{
	if (s->o.cfg->sql)
		return REGISTRY_PG_SQL;
	if (*PQgetvalue(hello, 0, HELLO_OWN) == 't')
		return REGISTRY_PG_OWN;
	if (s->o.cfg->mvp && *PQgetvalue(hello, 0, HELLO_MVP) == 't')
		return REGISTRY_PG_MVP;
	return REGISTRY_PG_NONE;
}

static void
refuse(struct registry_pg_session *s, const char *sqlstate, const struct err *e)
{
	uv_timer_start(&s->timer, on_timer, HELLO_AGAIN_MS, 0);
	s->o.refused(s->o.arg, sqlstate, e);
}

static void
find_nothing(struct registry_pg_session *s)
{
	struct err e;

	err_set(&e, ENOENT, "the database %s Waymark's tables%s",
		s->o.cfg->mvp ? "has neither" : "does not have",
		s->o.cfg->mvp ? " nor apps and deployments" : "");
	log_tables(s);
	refuse(s, "", &e);
}

static void
listen_where_possible(struct registry_pg_session *s, const PGresult *hello)
{
	bool direct = atoi(PQgetvalue(hello, 0, HELLO_BACKEND)) == pgc_backend(s->pg);

	s->phase = PHASE_LISTEN;
	if (s->tables != REGISTRY_PG_OWN && !s->o.cfg->channel) {
		follow(s);
	} else if (*PQgetvalue(hello, 0, HELLO_RECOVERY) == 't') {
		go_deaf(s, "the server is a standby");
	} else {
		registry_pg_ears_prove(s->ears, direct);
		/* Through a pooler it may take 5 s; until then it is as if they did not arrive. */
		if (!direct)
			s->o.ready(s->o.arg);
	}
}

static void
on_hello(void *arg, const PGresult *result, const char *sqlstate, const struct err *e)
{
	struct registry_pg_session *s = arg;

	if (!result) {
		refuse(s, sqlstate, e);
		return;
	}
	if (PQntuples(result) != 1 || PQnfields(result) != HELLO_COUNT) {
		pgc_drop(s->pg, "the server answers something else than was asked");
		return;
	}
	s->tables = choose_tables(s, result);
	s->settings_in_force = *PQgetvalue(result, 0, HELLO_SETTINGS) == 't';
	if (s->tables == REGISTRY_PG_NONE)
		find_nothing(s);
	else
		listen_where_possible(s, result);
}

static void
say_hello(struct registry_pg_session *s)
{
	s->phase = PHASE_HELLO;
	s->hears = false;
	ask(s, registry_sql_hello, on_hello);
}

static void
on_timer(uv_timer_t *timer)
{
	struct registry_pg_session *s = timer->data;

	registry_pg_ears_stop(s->ears);
	say_hello(s);
}

/* -- up and down -- */

static void
on_up(void *arg)
{
	struct registry_pg_session *s = arg;
	const char *version = pgc_parameter(s->pg, "server_version");
	const char *encoding = pgc_parameter(s->pg, "client_encoding");

	s->nconnects++;
	version = version ? version : "";
	snprintf(s->version, sizeof(s->version), "%.*s", (int)strcspn(version, " "), version);
	if (encoding && strcmp(encoding, "UTF8") != 0)
		pgc_drop(s->pg, "the server does not speak UTF-8 with us (client_encoding)");
	else
		say_hello(s);
}

static void
on_down(void *arg, const struct err *e)
{
	struct registry_pg_session *s = arg;

	s->phase = PHASE_DOWN;
	s->hears = false;
	uv_timer_stop(&s->timer);
	registry_pg_ears_stop(s->ears);
	s->o.lost(s->o.arg, e);
}

int
registry_pg_session_start(struct registry_pg_session *s, struct err *reterr)
{
	if (!s->pg) {
		*reterr = s->url_error;
		return -s->url_error.code;
	}
	pgc_start(s->pg);
	return 0;
}

/* -- life -- */

static void
open_url(struct registry_pg_session *s)
{
	const struct settings_registry *cfg = s->o.cfg;

	if (pgc_url_parse(cfg->url ? cfg->url : "", &s->url, &s->url_error) < 0)
		return;
	s->connection = (struct pgc_options){
		.url = &s->url,
		.password_file = cfg->password_file,
		.application = "waymark",
		.settings = REGISTRY_SQL_SETTINGS,
		.on_up = on_up,
		.on_down = on_down,
		.on_notify = on_notify,
		.arg = s,
	};
	s->pg = pgc_create(s->loop, &s->connection);
}

struct registry_pg_session *
registry_pg_session_create(uv_loop_t *loop, const struct registry_pg_session_options *o)
{
	struct registry_pg_session *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->o = *o;
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	open_url(s);
	s->ears = registry_pg_ears_create(loop, &(struct registry_pg_ears_options){.pg = s->pg,
							.session = &s->connection,
							.proved = on_proved,
							.is_busy = o->is_busy,
							.busy_arg = o->arg,
							.arg = s});
	return s;
}

static void
on_closed(uv_handle_t *handle)
{
	struct registry_pg_session *s = handle->data;
	pgc_url_finish(&s->url);
	free(s);
}

void
registry_pg_session_destroy(struct registry_pg_session *s)
{
	if (!s)
		return;
	registry_pg_ears_destroy(s->ears);
	pgc_destroy(s->pg);
	uv_close((uv_handle_t *)&s->timer, on_closed);
}

struct pgc *
registry_pg_session_pgc(const struct registry_pg_session *s)
{
	return s->pg;
}

const char *
registry_pg_session_address(const struct registry_pg_session *s)
{
	return s->pg ? s->url.address : "";
}

const char *
registry_pg_session_version(const struct registry_pg_session *s)
{
	return s->version;
}

enum registry_pg_tables
registry_pg_session_tables(const struct registry_pg_session *s)
{
	return s->tables;
}

bool
registry_pg_session_hears(const struct registry_pg_session *s)
{
	return s->hears;
}

const char *
registry_pg_session_deaf(const struct registry_pg_session *s)
{
	return s->deaf;
}

uint64_t
registry_pg_session_connects(const struct registry_pg_session *s)
{
	return s->nconnects;
}
