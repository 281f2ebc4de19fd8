/* addresses.h - which container of one engine claims which address.
 *
 * Docker gives a stopped container's address to the next one at once (moby/libnetwork#1038), and
 * events may be late or lost: two containers with one address mean that at least one of them is not
 * what was last seen of it.  Pure.
 */
#ifndef RECONCILER_SOURCES_ADDRESSES_H
#define RECONCILER_SOURCES_ADDRESSES_H

#include <stdbool.h>

#include "reconciler/model/endpoint.h"

struct claim;

/* All zero is an empty book. */
struct addresses {
	struct claim *claims;
};

void addresses_finish(struct addresses *a);

/* What owner claims is now what `to` does, and no more what `from` did; either may be NULL.  What
 * stops or restarts claims nothing.  `left` is called for an owner that has now for itself what it
 * shared with this one; it must not change the book. */
void addresses_move(struct addresses *a, const struct endpoint *from, const struct endpoint *to,
	void *owner, void (*left)(void *arg, void *owner), void *arg);

/* Calls back for each other owner of an address that e claims. */
void addresses_others(struct addresses *a, const struct endpoint *e, const void *owner,
	void (*other)(void *arg, void *owner), void *arg);

/* An address is disputed from when two owners were found to claim it still, until one is left. */
void addresses_dispute(struct addresses *a, const struct endpoint *e);
bool addresses_is_disputed(const struct addresses *a, const struct endpoint *e);

#endif
