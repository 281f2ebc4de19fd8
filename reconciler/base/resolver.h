/* resolver.h - the addresses of a host name, without holding anybody up.
 *
 * getaddrinfo(3) cannot be stopped and may take minutes where a resolver does not answer.  In
 * libuv's pool it would hold up the end of the program, which waits for the pool's threads; here
 * each look-up has a thread of its own, which is left behind when nobody waits for it any more.
 */
#ifndef RECONCILER_BASE_RESOLVER_H
#define RECONCILER_BASE_RESOLVER_H

#include <netdb.h>

#include <uv.h>

#include "reconciler/base/err.h"

struct resolver;

/* done is called once, from the loop, with the addresses (for freeaddrinfo) or with an error; r is
 * gone by then.  NULL where too many are under way that nobody waits for, or the system refuses. */
struct resolver *resolver_start(uv_loop_t *loop, const char *name,
	void (*done)(void *arg, struct addrinfo *found, const struct err *e), void *arg,
	struct err *reterr);
/* done is not called any more; the handle closes on the loop.  NULL is none. */
void resolver_abandon(struct resolver *r);

#endif
