/* admin.h - Caddy's admin API on the loop: adapt, load, read back.
 *
 * One call at a time.  Every wait and every body is bounded; a Caddy that hangs, lies or is not
 * there is an error with a text.  Works with Caddy 2.6 (which wants an empty Host on a unix socket)
 * and 2.11, with and without enforce_origin.  A status alone says too little: where Caddy 2.6 has
 * warnings, it answers 200 to a load that it refuses, with the error behind them.
 */
#ifndef PROVIDER_CADDY_ADMIN_H
#define PROVIDER_CADDY_ADMIN_H

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/err.h"
#include "reconciler/base/httpc.h"

struct admin;

/* url as settings_caddy's admin, which must outlive it. */
struct admin *admin_create(struct httpc *http, const char *url);
/* No callback comes any more.  A callback may call it. */
void admin_destroy(struct admin *a);

/* Bounds every call by so long instead: 30 s, and 60 s for a load. */
void admin_set_timeout(struct admin *a, uint32_t ms);

enum admin_outcome {
	ADMIN_DONE, /* body: the reply */
	ADMIN_REFUSED, /* Caddy says what is wrong with what it got: body is its error's text */
	ADMIN_FAILED, /* it cannot be reached, or answers rubbish: err */
};

struct admin_reply {
	enum admin_outcome outcome;
	const char *body; /* NUL-terminated; NULL: failed */
	size_t n;
	const struct err *err; /* NULL: not failed; it names the request and the endpoint */
	uint64_t took_ms;
};

typedef void (*admin_fn)(void *arg, const struct admin_reply *reply);

/* fn is called once, from the loop, and may start the next call.
 *
 * POST /adapt of a Caddyfile: body is the JSON under "result". */
void admin_adapt(struct admin *a, const char *caddyfile, admin_fn fn, void *arg);
/* POST /load of a Caddyfile: body is what Caddy warns of, or empty.  One that failed may have been
 * loaded all the same. */
void admin_load(struct admin *a, const char *caddyfile, admin_fn fn, void *arg);
/* GET /config/: what runs; "null" where that is nothing. */
void admin_read(struct admin *a, admin_fn fn, void *arg);

#endif
