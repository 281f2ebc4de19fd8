#include "provider/caddy/upstreams_render.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "reconciler/model/host.h"

/* Beyond that, counts are rounded: products stay in 64 bits. */
#define MULTIPLE_MAX 1000000000u

struct dial {
	const char *scheme, *address;
};

static int
dial_parse(struct arena *a, const char *url, struct dial *ret, struct err *reterr)
{
	const char *canonical;
	int r = url ? upstream_parse(a, url, &canonical, reterr)
		    : err_set(reterr, EINVAL, "a server without an address");

	if (r < 0)
		return r;
	size_t n = strcspn(canonical, ":");
	*ret = (struct dial){arena_strndup(a, canonical, n), canonical + n + strlen("://")};
	return 0;
}

/* -- how often each is named -- */

static uint64_t
divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* The least number that each share's servers divide, if it is small enough. */
static uint64_t
common_multiple(const struct route *r)
{
	uint64_t multiple = 1;
	for (size_t i = 0; i < r->nshares; i++) {
		uint64_t n = r->shares[i].n;
		uint64_t next = n ? multiple / divisor(multiple, n) * n : multiple;
		multiple = next > MULTIPLE_MAX ? multiple : next;
	}
	return multiple;
}

static uint64_t
reduce(uint64_t *counts, size_t n)
{
	uint64_t common = 0, sum = 0;
	for (size_t i = 0; i < n; i++)
		common = divisor(common, counts[i]);
	for (size_t i = 0; i < n; i++)
		sum += counts[i] /= common ? common : 1;
	return sum;
}

/* The largest give what rounding up has added. */
static void
trim(uint64_t *counts, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += counts[i];
	for (; sum > UPSTREAMS_MAX && n <= UPSTREAMS_MAX; sum--) {
		size_t largest = 0;
		for (size_t i = 1; i < n; i++)
			if (counts[i] > counts[largest])
				largest = i;
		counts[largest]--;
	}
}

static void
bound(uint64_t *counts, size_t n, uint64_t sum)
{
	if (sum <= UPSTREAMS_MAX)
		return;
	for (size_t i = 0; i < n; i++) {
		counts[i] = (counts[i] * UPSTREAMS_MAX + sum / 2) / sum;
		counts[i] += !counts[i];
	}
	trim(counts, n);
	reduce(counts, n);
}

static uint64_t *
share_counts(struct arena *a, const struct route *r)
{
	uint64_t *counts = ARENA_ARRAY(a, uint64_t, r->nrouted);
	uint64_t multiple = common_multiple(r);

	for (size_t i = 0; i < r->nrouted; i++)
		counts[i] = 1;
	for (size_t s = 0; s < r->nshares; s++) {
		const struct route_share *share = &r->shares[s];
		for (size_t i = 0; i < share->n && share->first + i < r->nrouted; i++)
			counts[share->first + i] = share->weight * (multiple / share->n);
	}
	if (r->nshares) {
		for (size_t i = 0; i < r->nrouted; i++)
			counts[i] += !counts[i];
		bound(counts, r->nrouted, reduce(counts, r->nrouted));
	}
	return counts;
}

/* -- the list -- */

static size_t
list_fill(const char **list, const struct dial *dials, const uint64_t *counts, size_t n)
{
	size_t filled = 0;
	for (size_t i = 0; i < n; i++)
		for (uint64_t c = 0; c < counts[i]; c++)
			list[filled++] = dials[i].address;
	return filled;
}

int
upstreams_render(struct arena *a, const struct route *r, struct upstreams *ret, struct err *reterr)
{
	struct dial *dials = ARENA_ARRAY(a, struct dial, r->nrouted);
	uint64_t *counts = share_counts(a, r), sum = 0;
	struct upstreams u = {0};
	size_t others = 0;

	for (size_t i = 0; i < r->nrouted; i++) {
		int e = dial_parse(a, r->servers[i].url, &dials[i], reterr);
		if (e < 0)
			return e;
		if (strcmp(dials[i].scheme, dials[0].scheme) != 0) {
			counts[i] = 0;
			others++;
		}
		sum += counts[i];
	}
	const char **list = ARENA_ARRAY(a, const char *, sum);
	u.n = list_fill(list, dials, counts, r->nrouted);
	u.dials = list;
	u.scheme = dials[0].scheme;
	u.several = r->nrouted - others > 1;
	u.mixed = others > 0;
	*ret = u;
	return 0;
}

int
upstreams_render_one(struct arena *a, const char *url, struct upstreams *ret, struct err *reterr)
{
	const struct server server = {.url = url};
	const struct route r = {.servers = &server, .nservers = 1, .nrouted = 1};
	return upstreams_render(a, &r, ret, reterr);
}
