/* pgc.h - one PostgreSQL connection on the loop: asynchronous libpq driven by libuv.
 *
 * It connects, and connects again whenever it is lost, with a back-off of 0.1 s that doubles to 5
 * s; several hosts are tried in turn.  Questions are asked one after the other; what is under way
 * when the connection is lost is gone without a word but that of on_down.  Nothing blocks the loop:
 * names are looked up in threads of their own, and of many rows as many are handed out at a time as
 * fit in a few milliseconds.  One thread.
 *
 * Callbacks may ask and drop, but not destroy.
 */
#ifndef RECONCILER_BASE_PGC_H
#define RECONCILER_BASE_PGC_H

#include <stdbool.h>
#include <stddef.h>

#include <libpq-fe.h>
#include <uv.h>

#include "reconciler/base/err.h"
#include "reconciler/base/pgc_url.h"

struct pgc;

struct pgc_options {
	const struct pgc_url *url; /* must outlive it, and so must the texts below */
	const char *password_file; /* read at each connect, before the URL's password; NULL: none */
	const char *application; /* where the URL does not say its application_name */
	/* "-c statement_timeout=10s …" for the session.  Poolers refuse them (pgbouncer 1.18:
	 * "unsupported startup parameter: options") or ignore them; it goes on without, so ask the
	 * server whether they are in force.  NULL: none. */
	const char *settings;

	/* Connected: from now on until on_down one may ask. */
	void (*on_up)(void *arg);
	/* The connection is lost, or no host could be reached; it is tried again by itself. */
	void (*on_down)(void *arg, const struct err *e);
	/* LISTEN heard something.  May be NULL. */
	void (*on_notify)(void *arg, const char *channel, const char *payload);
	void *arg;
};

struct pgc_query {
	const char *sql; /* copied, one statement */
	size_t nparams;
	const char *const *params; /* copied, texts; NULL is NULL */
	unsigned timeout_ms; /* so long without a byte of the answer loses the connection */
	/* Each row as it arrives, a result of one row.  NULL: they are collected for on_done. */
	void (*on_row)(void *arg, const PGresult *row);
	/* The end of it; result goes with the call.  Where the server refused, it is NULL, and
	 * sqlstate ("42501") and e say why. */
	void (*on_done)(
		void *arg, const PGresult *result, const char *sqlstate, const struct err *e);
	void *arg;
};

struct pgc *pgc_create(uv_loop_t *loop, const struct pgc_options *options);
/* No callback comes any more; the handles close on the loop, which the caller runs until it is
 * empty. */
void pgc_destroy(struct pgc *c);

void pgc_start(struct pgc *c);
/* Between on_up and on_down only. */
void pgc_ask(struct pgc *c, const struct pgc_query *q);
/* Takes in what has come by now, where a deadline is about to be judged; may call back. */
void pgc_read(struct pgc *c);
/* Gives the connection up, and tells on_down so; then it connects again. */
void pgc_drop(struct pgc *c, const char *why);

/* Between on_up and on_down: "server_version", "client_encoding", …; NULL where not told. */
const char *pgc_parameter(const struct pgc *c, const char *name);
/* The process that the other end says it is. */
int pgc_backend(const struct pgc *c);

#endif
