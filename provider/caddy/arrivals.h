/* arrivals.h - which revisions have arrived, and when.  Time comes in as an argument. */
#ifndef PROVIDER_CADDY_ARRIVALS_H
#define PROVIDER_CADDY_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

/* So many are remembered. */
#define ARRIVALS 4096

/* All zero: none has arrived, or it is not so any more. */
struct arrivals {
	size_t n;
	struct {
		uint64_t revision, ms;
	} list[ARRIVALS]; /* the oldest first */
};

void arrivals_add(struct arrivals *a, uint64_t revision, uint64_t now_ms);
/* 0: none. */
uint64_t arrivals_newest(const struct arrivals *a);
/* How long ago that revision or a later one arrived; UINT64_MAX: it has not. */
uint64_t arrivals_ago_ms(const struct arrivals *a, uint64_t revision, uint64_t now_ms);

#endif
