/* observer.h - one who is shown every snapshot that is published, as outputs are, but brings
 * nothing into the world that a proxy takes; what goes wrong with it is a problem like any other.
 */
#ifndef RECONCILER_OBSERVER_H
#define RECONCILER_OBSERVER_H

#include "reconciler/model/snapshot.h"

struct observer {
	/* The newest snapshot; the observer takes a reference if it keeps it. */
	void (*publish)(struct observer *o, struct snapshot *s);
	/* What is wrong with it now. */
	void (*problems)(
		struct observer *o, void (*fn)(void *arg, const struct problem *p), void *arg);
};

#endif
