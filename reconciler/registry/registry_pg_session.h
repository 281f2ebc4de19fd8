/* registry_pg_session.h - a connection to a registry's database, until it is known what to read
 * there and whether changes are told.
 *
 * A part of registry_pg.h.  It looks which tables there are, finds out whether notifications
 * arrive, and listens, anew for each connection.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_PG_SESSION_H
#define RECONCILER_REGISTRY_REGISTRY_PG_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "reconciler/base/err.h"
#include "reconciler/base/pgc.h"
#include "reconciler/model/settings.h"

enum registry_pg_tables {
	REGISTRY_PG_NONE,
	REGISTRY_PG_OWN, /* schema/registry.sql */
	REGISTRY_PG_SQL, /* the operator's query */
	REGISTRY_PG_MVP, /* the MVP backend's */
};

struct registry_pg_session_options {
	const struct settings_registry *cfg;
	/* All is to be read: what was listened to since then is told.  May come several times. */
	void (*ready)(void *arg);
	/* Not connected any more, or not yet.  It is tried again by itself. */
	void (*lost)(void *arg, const struct err *e);
	/* Connected, and it cannot be found out what to read, which is tried again by itself, too.
	 * "" where the server did not refuse. */
	void (*refused)(void *arg, const char *sqlstate, const struct err *e);
	/* A project has changed, or NULL: anything. */
	void (*rang)(void *arg, const char *project);
	/* Whether notifications arrive has changed, or why not. */
	void (*changed)(void *arg);
	/* Is an answer under way that may take its time? */
	bool (*is_busy)(void *arg);
	void *arg;
};

struct registry_pg_session;

struct registry_pg_session *registry_pg_session_create(
	uv_loop_t *loop, const struct registry_pg_session_options *o);
void registry_pg_session_destroy(struct registry_pg_session *s);

/* -EINVAL: the URL is none, for good; then there is no connection, and no callback ever. */
int registry_pg_session_start(struct registry_pg_session *s, struct err *reterr);

/* NULL where the URL is none. */
struct pgc *registry_pg_session_pgc(const struct registry_pg_session *s);
/* "db:5432/shop"; "" where the URL is none. */
const char *registry_pg_session_address(const struct registry_pg_session *s);
/* The server's; "" while unknown. */
const char *registry_pg_session_version(const struct registry_pg_session *s);
enum registry_pg_tables registry_pg_session_tables(const struct registry_pg_session *s);
/* Are changes told?  Else one has to poll. */
bool registry_pg_session_hears(const struct registry_pg_session *s);
/* Why not, where they should be; else "". */
const char *registry_pg_session_deaf(const struct registry_pg_session *s);
uint64_t registry_pg_session_connects(const struct registry_pg_session *s);

#endif
