/* child.h - one command run as a child process, without a shell and without input.
 *
 * It gets no descriptor of ours.  What it says on standard error is kept, up to CHILD_SAYS_MAX
 * octets.  One thread.
 */
#ifndef PROVIDER_CLI_CHILD_H
#define PROVIDER_CLI_CHILD_H

#include <uv.h>

#include "reconciler/base/err.h"

#define CHILD_SAYS_MAX 4096

struct child;

/* How it ended: its exit code, or -1 with the signal that ended it. */
struct child_end {
	int code, signal;
	const char *said; /* may be any bytes but NUL */
};

/* argv[0] is the program, NULL ends it; the environment is inherited.  on_end is called once, on
 * the loop, and the child is gone after it.  NULL where it cannot be started. */
struct child *child_start(uv_loop_t *loop, char *const *argv,
	void (*on_end)(void *arg, const struct child_end *end), void *arg, struct err *reterr);

void child_signal(struct child *c, int number);

/* Leaves it to finish by itself; on_end is not called any more.  Takes NULL.  Its handles close on
 * the loop. */
void child_abandon(struct child *c);

#endif
