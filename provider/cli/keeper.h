/* keeper.h - what Waymark writes to the registry by itself, where it is told to.
 *
 * With slots.cleanup: auto a slot whose grace period has ended is set empty, when every output has
 * unrouted it and requests in flight have had slots.drain.  With slots.auto_rollback: record a
 * fallback of the route is written down as a rollback.
 *
 * Waymark itself never writes: it runs `waymark slot` for it, one at a time, which decides under
 * the registry's lock and refuses where the slot does not stand any more as it was seen.  What
 * fails is tried again, ever more seldom, and is a problem meanwhile.  One thread.
 */
#ifndef PROVIDER_CLI_KEEPER_H
#define PROVIDER_CLI_KEEPER_H

#include <uv.h>

#include "reconciler/observer.h"
#include "reconciler/output.h"

struct keeper;

struct keeper_config {
	uv_loop_t *loop;
	const struct settings *settings; /* must outlive it, or be replaced by keeper_reload */
	const char *program; /* NULL: this one */
	const char *config_path; /* NULL: the command finds it as this program did */
	size_t noutputs;
	struct output *const *outputs;
};

struct keeper *keeper_create(const struct keeper_config *cfg);
struct observer *keeper_observer(struct keeper *k);
/* Other settings; the newest snapshot is looked at again. */
void keeper_reload(struct keeper *k, const struct settings *settings, size_t noutputs);
/* A command under way is left to finish by itself.  Handles close on the loop, which the caller
 * runs until it is empty. */
void keeper_destroy(struct keeper *k);

#endif
