/* upstreams_render.h - the servers of a route as Caddy dials them.  Pure.
 *
 * Caddy 2.6 has no weights (lb_policy weighted_round_robin came with 2.7), but chooses among the
 * upstreams as often as they are named: shares are told by naming a server more than once.
 */
#ifndef PROVIDER_CADDY_UPSTREAMS_RENDER_H
#define PROVIDER_CADDY_UPSTREAMS_RENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"
#include "reconciler/model/plan.h"

/* How many upstreams shares are told by, where there are not more servers than that: finer shares
 * are rounded, and none becomes nothing. */
#define UPSTREAMS_MAX 100

struct upstreams {
	const char *scheme; /* "http", "https" or "h2c" */
	size_t n;
	const char *const *dials; /* "172.17.0.9:80", "[fd00::2]:80" */
	bool several; /* more than one server */
	bool mixed; /* others had another scheme than the first: they are left out, for one
		       reverse_proxy has one */
};

/* Of those that get requests; there is at least one.  -EINVAL where one is no upstream. */
int upstreams_render(
	struct arena *a, const struct route *r, struct upstreams *ret, struct err *reterr);

/* Of one address, "http://127.0.0.1:9181". */
int upstreams_render_one(
	struct arena *a, const char *url, struct upstreams *ret, struct err *reterr);

#endif
