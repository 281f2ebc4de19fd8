/* registry_pg_ears.h - do notifications arrive on this connection?
 *
 * A part of registry_pg.h.  LISTEN succeeds behind a transaction pooler, and is then the business
 * of a session that serves others; so it is tried out.  A notification that the connection sends to
 * itself arrives even there as a rule, for the pooler hands on all that the server says until the
 * query ends (pgbouncer 1.18); so where the process that serves is not the one that the connection
 * was given, another connection sends it.  From then on one is sent every 10 s: whatever
 * breaks, the network or the server, is noticed that way, too.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_PG_EARS_H
#define RECONCILER_REGISTRY_REGISTRY_PG_EARS_H

#include <stdbool.h>

#include <uv.h>

#include "reconciler/base/pgc.h"

struct registry_pg_ears_options {
	struct pgc *pg;
	const struct pgc_options *session; /* for another connection to the same place */
	/* Notifications arrive (why is NULL), or they do not, and why.  Once for each proof. */
	void (*proved)(void *arg, const char *why);
	/* May one ask in between, or is an answer under way that takes its time? */
	bool (*is_busy)(void *busy_arg);
	void *busy_arg;
	void *arg;
};

struct registry_pg_ears;

struct registry_pg_ears *registry_pg_ears_create(
	uv_loop_t *loop, const struct registry_pg_ears_options *o);
void registry_pg_ears_destroy(struct registry_pg_ears *e);

/* Connected: tries it out, on a channel of its own, within 5 s.  direct: nothing is in between. */
void registry_pg_ears_prove(struct registry_pg_ears *e, bool direct);
/* Takes what was heard; false where it is for somebody else. */
bool registry_pg_ears_hear(struct registry_pg_ears *e, const char *channel, const char *payload);
/* Proved: from now on the connection is dropped once its notifications do not come. */
void registry_pg_ears_watch(struct registry_pg_ears *e);
/* The connection is lost. */
void registry_pg_ears_stop(struct registry_pg_ears *e);

#endif
