/* probe_attempt.h - one look at a container: a connection, a question, the first of an answer.
 *
 * Whoever was asked something may say all of its answer and close: a connection that was cut in the
 * middle would leave a complaint in the container's log at each look.  A few such connections stay
 * for a moment after the look is over; all others are reset, because thousands of looks would else
 * leave as many connections in TIME_WAIT here.
 */
#ifndef RECONCILER_SOURCES_PROBE_ATTEMPT_H
#define RECONCILER_SOURCES_PROBE_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

struct attempt;

/* What the attempts of one prober share; all zero but for the loop at the start. */
struct attempts {
	uv_loop_t *loop;
	struct attempt *parting; /* oldest first */
	unsigned nparting;
	char octets[4096]; /* for what is read */
};

struct question {
	const struct sockaddr *where;
	const char *request; /* lives until the answer; NULL: a connection is enough */
	bool any; /* the first octet is an answer, whatever it is */
};

/* Done is called once, from the loop, with an HTTP status, 0 where the connection or any octet was
 * enough, or an error of libuv's, among them UV_EPROTO: what came is not HTTP.  NULL where not even
 * the beginning succeeded: the error is in *ret_error, and done is not called. */
struct attempt *attempt_start(struct attempts *all, const struct question *q,
	void (*done)(void *arg, int said), void *arg, int *ret_error);

/* Is somebody there, whatever comes? */
bool attempt_is_connected(const struct attempt *a);

/* Nobody wants to know any more; not for one that is done. */
void attempt_drop(struct attempt *a);

/* Hangs up on those that part; the caller has dropped the others. */
void attempts_finish(struct attempts *all);

#endif
