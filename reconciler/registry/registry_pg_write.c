#include "reconciler/registry/registry_pg_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "reconciler/base/json.h"
#include "reconciler/base/pgc_dial.h"
#include "reconciler/registry/registry_parse.h"
#include "reconciler/registry/registry_pg.h"
#include "reconciler/registry/registry_time_parse.h"
#include "reconciler/registry/registry_trust.h"

#define PASSWORD_MAX 4096

struct writing {
	struct arena *arena;
	const struct registry_write *w;
	PGconn *conn;
	struct registered_project *project; /* as it stands there now */
	struct registered_environment now;
};

static const char sql_lock_environment[] =
	"SELECT FROM waymark.environment WHERE project = $1 AND name = $2 FOR UPDATE";
/* Whoever writes slots alone is waited for, too. */
static const char sql_lock_slots[] =
	"SELECT FROM waymark.slot WHERE project = $1 AND environment = $2 FOR UPDATE";
static const char sql_read[] = "SELECT entry::text FROM waymark.entry WHERE name = $1";
static const char sql_slot[] =
	"INSERT INTO waymark.slot AS s (project, environment, name, state, port, since, until, id, "
	"container) VALUES ($1, $2, $3, $4, $5::integer, $6::timestamptz, $7::timestamptz, $8, $9) "
	"ON CONFLICT (project, environment, name) DO UPDATE SET state = EXCLUDED.state, "
	"port = EXCLUDED.port, since = EXCLUDED.since, until = EXCLUDED.until, "
	"id = EXCLUDED.id, container = EXCLUDED.container";
static const char sql_active[] =
	"UPDATE waymark.environment SET active = $3 WHERE project = $1 AND name = $2";
static const char sql_weights[] =
	"UPDATE waymark.slot SET weight = NULL WHERE project = $1 AND environment = $2 "
	"AND weight IS NOT NULL";

/* -- asking -- */

static void
ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

static int
fail(const struct writing *g, const char *text, struct err *reterr)
{
	char line[400];

	pgc_line(text, line, sizeof(line));
	(void)g;
	return err_set(reterr, EIO, "%s: %s", REGISTRY_PG_NAME, line);
}

/* The result, which the caller clears; NULL where it failed. */
static PGresult *
ask(const struct writing *g, const char *sql, const char *const *values, int n, struct err *reterr)
{
	PGresult *r = PQexecParams(g->conn, sql, n, NULL, values, NULL, NULL, 0);
	ExecStatusType status = PQresultStatus(r);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return r;
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	if (state && strcmp(state, "42501") == 0)
		err_set(reterr, EACCES,
			"%s: the user may not write there; GRANT waymark_writer to it, of "
			"schema/registry.sql",
			REGISTRY_PG_NAME);
	else if (state && (!strcmp(state, "42P01") || !strcmp(state, "42703") ||
				  !strcmp(state, "3F000") || !strcmp(state, "23514")))
		err_set(reterr, EINVAL,
			"%s: the tables are not Waymark's own of this version; run "
			"schema/registry.sql again",
			REGISTRY_PG_NAME);
	else
		fail(g, PQerrorMessage(g->conn), reterr);
	PQclear(r);
	return NULL;
}

/* How many rows, or a negative errno value. */
static int
run(const struct writing *g, const char *sql, const char *const *values, int n, struct err *reterr)
{
	PGresult *r = ask(g, sql, values, n, reterr);
	if (!r)
		return -reterr->code;
	int rows = PQntuples(r);
	PQclear(r);
	return rows;
}

/* -- connecting -- */

static int
read_password(const char *path, char *ret, size_t size, struct err *reterr)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return err_set(reterr, errno, "the password's file %s cannot be read: %s", path,
			strerror(errno));
	if (!fgets(ret, (int)size, f))
		*ret = '\0';
	fclose(f);
	ret[strcspn(ret, "\r\n")] = '\0';
	return 0;
}

static int
open_connection(struct writing *g, struct err *reterr)
{
	const struct settings_registry *s = &g->w->settings->registry;
	char password[PASSWORD_MAX + 1] = "";
	int r = s->password_file
			? read_password(s->password_file, password, sizeof(password), reterr)
			: 0;
	if (r < 0)
		return r;

	/* A value that comes later counts. */
	const char *keys[] = {"connect_timeout", "tcp_user_timeout", "gssencmode",
		"application_name", "dbname", "client_encoding", password[0] ? "password" : NULL,
		NULL};
	const char *values[] = {"5", "15000", "disable", "waymark slot", s->url ? s->url : "",
		"UTF8", password, NULL};
	g->conn = PQconnectdbParams(keys, values, 1);
	explicit_bzero(password, sizeof(password));
	PQsetNoticeReceiver(g->conn, ignore_notice, NULL);
	return PQstatus(g->conn) == CONNECTION_OK ? 0 : fail(g, PQerrorMessage(g->conn), reterr);
}

/* -- reading -- */

static int
decode(struct writing *g, const char *text, struct err *reterr)
{
	const struct registry_options o = {
		.source = REGISTRY_PG_NAME,
		.file = REGISTRY_PG_NAME,
		.dialect = DIALECT_WAYMARK,
		.grace_ms = g->w->settings->grace_ms,
	};
	struct registry_reading *r = registry_reading_create();
	json_t *entry = json_read(text, strlen(text));

	g->project = registry_parse_project(g->w->request->project, entry, &o, r);
	if (!g->project) {
		struct buf b = {0};
		registry_fault_print(&r->faults[0], &b);
		err_set(reterr, EINVAL, "%s; %s", b.p, r->faults[0].remedy);
		buf_finish(&b);
	}
	json_decref(entry);
	registry_reading_destroy(r);
	return g->project ? 0 : -EINVAL;
}

/* With the rows locked. */
static int
read_slots(struct writing *g, struct err *reterr)
{
	const char *const names[] = {g->w->request->project, g->w->seen->name};
	char timeout[64];

	snprintf(timeout, sizeof(timeout), "SET LOCAL lock_timeout = %u",
		g->w->lock_ms ? g->w->lock_ms : 1);
	int r = run(g, timeout, NULL, 0, reterr);
	if (r < 0 || (r = run(g, "SET LOCAL statement_timeout = '20s'", NULL, 0, reterr)) < 0 ||
		(r = run(g, sql_lock_environment, names, 2, reterr)) < 0)
		return r;
	if (r == 0)
		return err_set(reterr, ENOENT,
			"%s: there is no environment %s of %s; insert it into waymark.environment",
			REGISTRY_PG_NAME, names[1], names[0]);
	if ((r = run(g, sql_lock_slots, names, 2, reterr)) < 0)
		return r;
	PGresult *rows = ask(g, sql_read, names, 1, reterr);
	if (!rows)
		return -reterr->code;
	r = decode(g, PQntuples(rows) ? PQgetvalue(rows, 0, 0) : "{}", reterr);
	PQclear(rows);
	if (r < 0)
		return r;
	const struct registered_environment *e =
		registered_environment_find(g->project, g->w->seen->name);
	g->now = e ? *e : *g->w->seen;
	return 0;
}

/* -- writing -- */

/* NULL for none. */
static const char *
time_text(struct writing *g, uint64_t ms)
{
	struct buf b = {0};

	if (!ms)
		return NULL;
	registry_time_print(&b, ms);
	const char *text = arena_strndup(g->arena, b.p + 1, b.n - 2);
	buf_finish(&b);
	return text;
}

static int
write_slot(struct writing *g, const struct registered_slot *s, struct err *reterr)
{
	const char *const values[] = {
		g->w->request->project,
		g->w->seen->name,
		s->name,
		slot_state_text(s->state),
		s->port ? arena_printf(g->arena, "%u", s->port) : NULL,
		time_text(g, s->since_ms),
		time_text(g, s->until_ms),
		s->id,
		s->container,
	};
	return run(g, sql_slot, values, 9, reterr);
}

static bool
differs(const struct registered_slot *s, const struct registered_slot *was)
{
	return !was ? s->state != SLOT_EMPTY
		    : s->state != was->state || s->since_ms != was->since_ms ||
			       s->until_ms != was->until_ms;
}

static int
write_change(struct writing *g, const struct slot_change *c, struct err *reterr)
{
	const char *const active[] = {g->w->request->project, g->w->seen->name, c->after.active};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < c->after.nslots; i++) {
		const struct registered_slot *s = &c->after.slot[i];
		if (differs(s, registered_slot_find(&g->now, s->name)))
			r = write_slot(g, s, reterr);
	}
	if (r >= 0)
		r = run(g, sql_active, active, 3, reterr);
	/* Tables of before have no such column, and no weights. */
	if (r >= 0 && g->now.weighted && !c->after.weighted)
		r = run(g, sql_weights, active, 2, reterr);
	if (r >= 0)
		r = run(g, "COMMIT", NULL, 0, reterr);
	if (r < 0 && PQstatus(g->conn) != CONNECTION_OK)
		err_wrap(reterr, "whether it was written is not known, see `waymark slot list`");
	return r;
}

/* How the slots stand afterwards; the rest is as it was given, for what was read ends here. */
static struct registered_environment
after_of(const struct registered_environment *seen, const struct registered_environment *after)
{
	struct registered_environment e = *seen;

	e.slots = after->slots;
	e.active = after->active;
	e.weighted = after->weighted;
	e.nslots = after->nslots;
	e.slot = after->slot;
	return e;
}

enum registry_wrote
registry_write_postgres(struct arena *a, const struct registry_write *w, struct slot_change *ret,
	struct slot_refusal *retrefusal, struct err *reterr)
{
	struct writing g = {.arena = a, .w = w};
	enum registry_wrote result = WROTE_FAILED;
	struct slot_change c;

	int r = open_connection(&g, reterr);
	if (r >= 0)
		r = run(&g, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", NULL, 0, reterr);
	if (r >= 0)
		r = read_slots(&g, reterr);
	if (r >= 0)
		result = registry_write_decide(a, w, &g.now, &c, retrefusal);
	if (result == WROTE_DONE && !w->dry_run && write_change(&g, &c, reterr) < 0)
		result = WROTE_FAILED;
	if (result == WROTE_DONE) {
		*ret = c;
		ret->after = after_of(w->seen, &c.after);
	}
	PQfinish(g.conn); /* which ends a transaction that was not committed */
	registered_project_unref(g.project);
	return result;
}
