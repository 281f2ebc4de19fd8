#include "reconciler/registry/registry_pg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/clock.h"
#include "reconciler/registry/registry_book.h"
#include "reconciler/registry/registry_parse.h"
#include "reconciler/registry/registry_pg_adopt.h"
#include "reconciler/registry/registry_pg_faults.h"
#include "reconciler/registry/registry_pg_read.h"
#include "reconciler/registry/registry_pg_session.h"
#include "reconciler/registry/registry_sql.h"
#include "reconciler/sources/standing.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
/* Repairs what happened without a notification: triggers can be disabled.  Somebody else's may not
 * say everything. */
#define RELIST_OWN_MS 300000
#define RELIST_ROWS_MS 60000
#define DOUBT_MS 5000 /* at most so long until a doubted one is looked at again */
/* More projects than this are read all at once. */
#define NAMES_MAX 200

/* What is wrong with the whole of it. */
struct complaint {
	char what[600];
	const char *remedy;
};

/* A project that is to be read again. */
struct wanted {
	UT_hash_handle hh;
	char name[];
};

struct registry_pg {
	struct registry base;
	uv_loop_t *loop;
	const struct settings *settings;
	const struct settings_registry *cfg;
	struct registry_sink sink;
	struct registry_book *book;
	struct registry_pg_session *session;
	struct registry_pg_read *read;
	struct registry_options entries; /* how they are decoded */
	char *file;
	uv_timer_t timer; /* of the next full read, or the next attempt */

	bool up; /* one may read */
	bool want_all;
	bool resting; /* after a failure, until the timer */
	struct wanted *wanted;
	unsigned failures; /* in a row */

	struct standing standing;
	bool doubted;
	uint64_t doubted_at;
	struct complaint broken, doubt; /* what[0]: there is one */
	struct registry_pg_faults faults;
	uint64_t nevents, nlists, ninspects;
};

/* -- status -- */

static void
tell(struct registry_pg *g)
{
	g->sink.status(g->sink.arg, REGISTRY_PG_NAME);
}

static void
set_gone(struct registry_pg *g, const char *error)
{
	if (standing_lose(&g->standing, error))
		tell(g);
}

static void
complain(struct registry_pg *g, struct complaint *c, const char *what, const char *remedy)
{
	if (strcmp(c->what, what) == 0)
		return;
	snprintf(c->what, sizeof(c->what), "%s", what);
	c->remedy = remedy;
	tell(g);
}

/* -- what to read next -- */

static void proceed(struct registry_pg *g);

static void
on_timer(uv_timer_t *timer)
{
	struct registry_pg *g = timer->data;

	g->resting = false;
	g->want_all = true;
	proceed(g);
}

static void
plan(struct registry_pg *g, uint64_t ms)
{
	uv_timer_start(&g->timer, on_timer, ms, 0);
}

static uint64_t
backoff(struct registry_pg *g)
{
	uint64_t ms = BACKOFF_MIN_MS << (g->failures < 6 ? g->failures : 6);
	g->failures++;
	ms = clock_jittered(ms);
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static void
plan_relist(struct registry_pg *g)
{
	bool own = registry_pg_session_tables(g->session) == REGISTRY_PG_OWN;

	if (!registry_pg_session_hears(g->session))
		plan(g, g->cfg->poll_ms);
	else
		plan(g, clock_jittered(own ? RELIST_OWN_MS : RELIST_ROWS_MS));
}

static void
forget_wanted(struct registry_pg *g)
{
	struct wanted *w, *next;

	HASH_ITER(hh, g->wanted, w, next)
	{
		HASH_DEL(g->wanted, w);
		free(w);
	}
}

static void
want(struct registry_pg *g, const char *name)
{
	struct wanted *w;
	size_t n = strlen(name) + 1;

	HASH_FIND_STR(g->wanted, name, w);
	if (w || g->want_all)
		return;
	if (HASH_COUNT(g->wanted) == NAMES_MAX) {
		g->want_all = true;
		return;
	}
	w = xmalloc(sizeof(*w) + n);
	memcpy(w->name, name, n);
	HASH_ADD_STR(g->wanted, name, w);
}

static const char *
sql_of(const struct registry_pg *g)
{
	switch (registry_pg_session_tables(g->session)) {
	case REGISTRY_PG_SQL:
		return g->cfg->sql;
	case REGISTRY_PG_MVP:
		return registry_sql_mvp;
	default:
		return NULL;
	}
}

static void
read_all(struct registry_pg *g)
{
	uv_timer_stop(&g->timer);
	registry_pg_read_use(g->read, sql_of(g));
	forget_wanted(g);
	g->want_all = false;
	g->nlists++;
	registry_pg_read_start(g->read, NULL, 0);
}

static void
read_wanted(struct registry_pg *g)
{
	const char *names[NAMES_MAX];
	size_t n = 0;

	for (const struct wanted *w = g->wanted; w; w = w->hh.next)
		names[n++] = w->name;
	g->ninspects += n;
	registry_pg_read_start(g->read, names, n);
	forget_wanted(g);
}

static void
proceed(struct registry_pg *g)
{
	if (!g->up || g->resting || registry_pg_read_is_busy(g->read))
		return;
	if (g->want_all)
		read_all(g);
	else if (g->wanted)
		read_wanted(g);
}

/* -- what was read -- */

static size_t
book_size(const struct registry_pg *g)
{
	return registry_book_nprojects(g->book) + registry_book_nstatics(g->book);
}

static bool
believes(struct registry_pg *g, const struct registry_pg_reading *reading)
{
	size_t projects, n = registry_pg_adopt_count(g->book, reading, &projects);
	uint64_t now = uv_now(g->loop);
	char what[200];

	/* Many static routes must not hide that the projects are gone. */
	if (2 * n >= book_size(g) && 2 * projects >= registry_book_nprojects(g->book))
		return true;
	if (!g->doubted)
		g->doubted_at = now;
	g->doubted = true;
	if (now - g->doubted_at >= g->cfg->shrink_after_ms)
		return true;
	uint64_t left = g->cfg->shrink_after_ms - (now - g->doubted_at);
	plan(g, left < DOUBT_MS ? left : DOUBT_MS);
	snprintf(what, sizeof(what),
		"there are %zu entries where there were %zu, %zu of them projects", n, book_size(g),
		projects);
	complain(g, &g->doubt, what,
		"nothing, where it is meant: it is believed when it has said so for "
		"registry.shrink_after; what was there stays in force until then");
	if (g->standing.status != SOURCE_READY)
		set_gone(g, what);
	return false;
}

static void
take_all(struct registry_pg *g, const struct registry_pg_reading *reading)
{
	if (!reading->unchanged && !believes(g, reading))
		return;
	registry_pg_read_believe(g->read);
	g->doubted = false;
	if (!reading->unchanged) {
		registry_pg_adopt_all(g->book, reading);
		if (registry_pg_faults_take(&g->faults, reading))
			tell(g);
	}
	complain(g, &g->doubt, "", NULL);
	if (standing_ready(&g->standing))
		tell(g);
	plan_relist(g);
}

/* A name that is no project's, then as now, says that something else has changed. */
static void
take_some(struct registry_pg *g, const struct registry_pg_reading *reading)
{
	bool known = registry_pg_adopt_some(g->book, reading);

	registry_pg_read_believe(g->read);
	if (registry_pg_faults_take(&g->faults, reading))
		tell(g);
	if (!known && registry_pg_session_tables(g->session) != REGISTRY_PG_OWN &&
		uv_timer_get_due_in(&g->timer) > g->cfg->poll_ms)
		plan(g, g->cfg->poll_ms);
}

static const char *
remedy_of(const struct registry_pg *g, const char *sqlstate)
{
	static const char *const of_shape[] = {
		[REGISTRY_PG_NONE] = "load schema/registry.sql, or give registry.postgres.sql",
		[REGISTRY_PG_OWN] = "load schema/registry.sql again",
		[REGISTRY_PG_SQL] = "mend registry.postgres.sql: one SELECT, without a semicolon",
		[REGISTRY_PG_MVP] = "give registry.postgres.sql, a query that fits these tables",
	};
	enum registry_pg_tables tables = registry_pg_session_tables(g->session);

	if (strcmp(sqlstate, "42501") == 0)
		return tables == REGISTRY_PG_SQL || tables == REGISTRY_PG_MVP
			       ? "GRANT SELECT on these tables to the user of registry.postgres.url"
			       : "GRANT waymark_reader TO the user of registry.postgres.url";
	if (strcmp(sqlstate, "57014") == 0)
		return "make the query faster: 10 s are given to it";
	if (!*sqlstate || strncmp(sqlstate, "42", 2) == 0)
		return of_shape[tables];
	return "see the server's log; it is tried again, what was read last stays in force";
}

/* The connection stays, and so does what was read last. */
static void
on_refused(void *arg, const char *sqlstate, const struct err *e)
{
	struct registry_pg *g = arg;
	char text[sizeof(g->broken.what)];

	snprintf(text, sizeof(text), "%s%s%s%s", e->text, *sqlstate ? " (SQLSTATE " : "", sqlstate,
		*sqlstate ? ")" : "");
	complain(g, &g->broken, text, remedy_of(g, sqlstate));
	set_gone(g, text);
}

static void
on_read(void *arg, const struct registry_pg_reading *reading, const char *sqlstate,
	const struct err *e)
{
	struct registry_pg *g = arg;

	if (!reading) {
		g->resting = true;
		g->doubted = false; /* what cannot be read has not stayed so */
		complain(g, &g->doubt, "", NULL);
		plan(g, backoff(g));
		on_refused(g, sqlstate, e);
		return;
	}
	g->failures = 0;
	standing_seen(&g->standing);
	complain(g, &g->broken, "", NULL);
	if (reading->nnames)
		take_some(g, reading);
	else
		take_all(g, reading);
	proceed(g);
}

/* -- what the session says -- */

static void
on_rang(void *arg, const char *project)
{
	struct registry_pg *g = arg;

	g->nevents++;
	standing_seen(&g->standing);
	if (project)
		want(g, project);
	else
		g->want_all = true;
	proceed(g);
}

static void
on_ready(void *arg)
{
	struct registry_pg *g = arg;

	g->up = true;
	g->want_all = true;
	proceed(g);
}

static void
on_lost(void *arg, const struct err *e)
{
	struct registry_pg *g = arg;

	g->up = g->resting = g->doubted = false; /* reads of one connection have to agree */
	g->failures = 0;
	uv_timer_stop(&g->timer);
	registry_pg_read_stop(g->read);
	forget_wanted(g);
	complain(g, &g->doubt, "", NULL);
	set_gone(g, e->text);
}

static void
on_changed(void *arg)
{
	tell(arg);
}

static bool
is_reading(void *arg)
{
	const struct registry_pg *g = arg;
	return registry_pg_read_is_busy(g->read);
}

/* -- the interface -- */

static struct registry_pg *
of(struct registry *r)
{
	return (struct registry_pg *)r;
}

static void
restored(struct registry *r)
{
	standing_restored(&of(r)->standing);
}

static void
restore(struct registry *r, const struct registered_project *p)
{
	registry_book_restore(of(r)->book, p);
	restored(r);
}

static void
restore_static(struct registry *r, const struct registered_static *s)
{
	registry_book_restore_static(of(r)->book, s);
	restored(r);
}

static void
start(struct registry *r)
{
	struct registry_pg *g = of(r);
	struct err e;

	if (registry_pg_session_start(g->session, &e) == 0)
		return;
	complain(g, &g->broken, e.text, PGC_URL_REMEDY);
	set_gone(g, e.text);
}

static void
on_closed(uv_handle_t *handle)
{
	struct registry_pg *g = handle->data;

	free(g->file);
	free(g);
}

static void
destroy(struct registry *r)
{
	struct registry_pg *g = of(r);

	registry_pg_read_destroy(g->read);
	registry_pg_session_destroy(g->session);
	forget_wanted(g);
	registry_pg_faults_finish(&g->faults);
	registry_book_destroy(g->book);
	uv_close((uv_handle_t *)&g->timer, on_closed);
}

static void
info(const struct registry *r, struct source_info *ret)
{
	const struct registry_pg *g = (const struct registry_pg *)r;

	*ret = (struct source_info){
		.name = REGISTRY_PG_NAME,
		.kind = "postgres",
		.address = registry_pg_session_address(g->session),
		.version = registry_pg_session_version(g->session),
		.doubted = g->doubted,
		.objects = registry_book_nprojects(g->book),
		.events = g->nevents,
		.lists = g->nlists,
		.inspects = g->ninspects,
		.connects = registry_pg_session_connects(g->session),
	};
	standing_info(&g->standing, ret);
}

static void
faults(const struct registry *r, void (*fn)(void *arg, const struct registry_fault *f), void *arg)
{
	const struct registry_pg *g = (const struct registry_pg *)r;
	const struct registry_fault all[] = {
		{.what = g->broken.what, .remedy = g->broken.remedy},
		{.what = g->doubt.what, .remedy = g->doubt.remedy},
		{.what = registry_pg_session_deaf(g->session),
			.warning = true,
			.remedy = "use a session-pooled or direct connection to the primary for "
				  "registry.postgres.url"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct registry_fault f = all[i];
		f.file = g->file;
		f.path = "";
		if (f.what[0])
			fn(arg, &f);
	}
	registry_pg_faults_each(&g->faults, fn, arg);
}

static const struct registry_ops ops = {
	.restore = restore,
	.restore_static = restore_static,
	.restored = restored,
	.start = start,
	.destroy = destroy,
	.info = info,
	.faults = faults,
};

static void
open_parts(struct registry_pg *g)
{
	struct buf file = {0};

	g->session = registry_pg_session_create(
		g->loop, &(struct registry_pg_session_options){.cfg = g->cfg,
				 .ready = on_ready,
				 .lost = on_lost,
				 .refused = on_refused,
				 .rang = on_rang,
				 .changed = on_changed,
				 .is_busy = is_reading,
				 .arg = g});
	const char *address = registry_pg_session_address(g->session);
	buf_addf(&file, "postgres%s%s", *address ? " " : "", address);
	g->file = buf_steal(&file, NULL);
	g->entries = (struct registry_options){
		.source = REGISTRY_PG_NAME,
		.file = g->file,
		.dialect = DIALECT_WAYMARK,
		.grace_ms = g->settings->grace_ms,
	};
	g->read = registry_pg_read_create(g->loop,
		&(struct registry_pg_read_options){.pg = registry_pg_session_pgc(g->session),
			.entries = &g->entries,
			.base_domain = g->settings->base_domain,
			.done = on_read,
			.arg = g});
}

struct registry *
registry_pg_create(
	uv_loop_t *loop, const struct settings *settings, const struct registry_sink *sink)
{
	struct registry_pg *g = xcalloc(1, sizeof(*g));

	g->base.ops = &ops;
	g->loop = loop;
	g->settings = settings;
	g->cfg = &settings->registry;
	g->sink = *sink;
	g->book = registry_book_create(REGISTRY_PG_NAME, &g->sink);
	standing_init(&g->standing);
	uv_timer_init(loop, &g->timer);
	g->timer.data = g;
	open_parts(g);
	return &g->base;
}
