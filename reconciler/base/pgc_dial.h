/* pgc_dial.h - connecting to PostgreSQL: each host in turn, each address of it in turn.
 *
 * A part of pgc.h.  libpq would wait for name servers, and does not count the seconds where it does
 * not block; here each address has five of them.
 */
#ifndef RECONCILER_BASE_PGC_DIAL_H
#define RECONCILER_BASE_PGC_DIAL_H

#include <libpq-fe.h>
#include <uv.h>

#include "reconciler/base/err.h"
#include "reconciler/base/pgc.h"

/* One socket of libpq's that the loop watches; it lives until its handle is closed. */
struct pgc_watch;

/* Makes it where *w is NULL. */
void pgc_watch_start(struct pgc_watch **w, uv_loop_t *loop, PGconn *conn, int events,
	void (*ready)(void *arg), void *arg);
/* Rests: nothing is reported until it is started again. */
void pgc_watch_pause(struct pgc_watch *w);
/* Before libpq may close the socket, for a new one may have the same number. */
void pgc_watch_stop(struct pgc_watch **w);

struct pgc_dial;

/* done is called for each start: with a connection, which is the caller's then, or with why there
 * is none. */
struct pgc_dial *pgc_dial_create(uv_loop_t *loop, const struct pgc_options *options,
	void (*done)(void *arg, PGconn *conn, const struct err *e), void *arg);
void pgc_dial_destroy(struct pgc_dial *d);

void pgc_dial_start(struct pgc_dial *d);
void pgc_dial_stop(struct pgc_dial *d);

/* What libpq says, as one line: lines that begin with a tab are advice to somebody at a terminal.
 */
void pgc_line(const char *text, char *ret, size_t size);

#endif
