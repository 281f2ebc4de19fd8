/* reconcile_inside.h - the reconciler, for reconcile.c, which decides, reconcile_registry.c, which
 * watches the registries, reconcile_outputs.c, which hands out snapshots, and reconcile_state.c,
 * which remembers.  For nobody else. */
#ifndef RECONCILER_RECONCILE_INSIDE_H
#define RECONCILER_RECONCILE_INSIDE_H

#include "reconciler/reconcile.h"
#include "reconciler/sources/probe.h"
#include "reconciler/state.h"
#include "reconciler/watched.h"

struct reconciler {
	uv_loop_t *loop;
	struct httpc *http;
	const struct settings *settings;
	char *state_dir; /* NULL: none */
	bool without_engines;
	size_t noutputs, naside;
	struct output *const *outputs;
	struct observer *observer; /* NULL: none */

	struct ledger *ledger;
	struct planner *planner;
	struct prober *prober;
	struct state *state; /* NULL: none is kept */
	size_t nwatched;
	struct watched *watched;

	uv_prepare_t before_poll;
	uv_check_t after_poll;
	uv_timer_t due;
	int nhandles;

	uint64_t wall_base_ms, loop_base_ms;
	uint64_t started_ms, sources_ready_ms; /* 0: not yet */
	bool ready;
	bool rang;
	const char *cause; /* who rang, for the log */
	uint64_t revision; /* the last one that was published */
};

/* A step is wanted; the cause is for the log. */
void reconcile_ring(struct reconciler *r, const char *cause);
/* A name that lives as long as the source is watched. */
const char *reconcile_source_name(const struct reconciler *r, const char *name);
/* A source's status changed, or it was seen whole: the sinks' callback. */
void reconcile_on_status(void *arg, const char *source);
/* Those that the settings name. */
void watch_registries(struct reconciler *r);
/* What registries said that are not watched any more. */
void forget_registries(struct reconciler *r);
/* NULL where it is not watched. */
struct watched *watched_find(const struct reconciler *r, const char *name);
/* Where what changes is kept; NULL where no state is. */
struct buf *lines_of(struct reconciler *r);
/* The planner says whether and where a container is probed; so it is. */
void probe_sync(struct reconciler *r, const char *engine, const char *id);

/* Hands the snapshot to every output, and says so in the log. */
void reconcile_publish(struct reconciler *r, struct snapshot *s, uint64_t began_ns);

/* What the state on disk is told of, and asked for. */
struct state_owner reconcile_state_owner(struct reconciler *r);
/* Hands every source what the planner knows of it from an earlier run. */
void reconcile_restore(struct reconciler *r);

#endif
