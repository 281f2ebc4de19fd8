/* reconcile.h - the step: who rang, look, plan, adopt, drive outputs.
 *
 * Callbacks of sources, probes and timers only note facts; everything is decided in one place a
 * turn.  Owns the sources, the prober, the planner, the ledger and the state on disk.
 */
#ifndef RECONCILER_RECONCILE_H
#define RECONCILER_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "reconciler/base/httpc.h"
#include "reconciler/model/planner.h"
#include "reconciler/model/settings.h"
#include "reconciler/observer.h"
#include "reconciler/output.h"
#include "reconciler/sources/source.h"

struct reconciler;

struct reconciler_config {
	uv_loop_t *loop;
	struct httpc *http;
	const struct settings *settings; /* must outlive it, or be replaced by reconciler_reload */
	const char *state_dir; /* NULL: no state is kept */
	bool without_engines; /* for one look: an engine that refuses is not waited for, where there
				 is a registry */
	const struct renderer *renderers[PLAN_OUTPUTS];
	size_t noutputs; /* that count: what has arrived there has arrived */
	size_t naside; /* as many more, which are brought up to date, and count for nothing */
	struct output *const *outputs;
	struct observer *observer; /* NULL: none */
};

struct reconciler *reconciler_create(const struct reconciler_config *cfg);
/* Loads the state, starts the sources.  -EBUSY and others: the state directory cannot be used. */
int reconciler_start(struct reconciler *r, struct err *reterr);
/* New settings: every source is opened anew, with what it last saw still in force. */
void reconciler_reload(struct reconciler *r, const struct settings *settings);
/* Others in the list that it was given; each gets the current snapshot. */
void reconciler_set_outputs(struct reconciler *r, size_t noutputs, size_t naside);
/* Writes the state; handles close on the loop, which the caller runs until it is empty. */
void reconciler_destroy(struct reconciler *r);

/* Has there been a first complete look, or its equal from the state?  Before that nothing is
 * published. */
bool reconciler_ready(const struct reconciler *r);
/* The current snapshot, never NULL. */
struct snapshot *reconciler_snapshot(const struct reconciler *r);
/* The route in it that a request for this host (canonical) and path takes; NULL: none. */
const struct route *reconciler_route(
	const struct reconciler *r, const char *host, const char *path);
/* See planner_lost_revision. */
uint64_t reconciler_lost_revision(const struct reconciler *r, const char *text);
const struct settings *reconciler_settings(const struct reconciler *r);

size_t reconciler_nsources(const struct reconciler *r);
void reconciler_source(const struct reconciler *r, size_t i, struct source_info *ret);
size_t reconciler_noutputs(const struct reconciler *r);
void reconciler_output(const struct reconciler *r, size_t i, struct output_info *ret);
/* What is wrong with parts of it. */
void reconciler_output_problems(const struct reconciler *r, size_t i,
	void (*fn)(void *arg, const struct problem *p), void *arg);
/* See output.h; UINT64_MAX from an output that cannot tell. */
uint64_t reconciler_applied_ago(const struct reconciler *r, size_t i, uint64_t revision);
/* NULL: none. */
struct observer *reconciler_observer(const struct reconciler *r);

/* Projects as registered and in force, by name. */
void reconciler_each_project(const struct reconciler *r,
	void (*fn)(void *arg, const struct registered_project *p), void *arg);
/* What is wrong with the registries. */
struct registry_fault;
void reconciler_each_fault(const struct reconciler *r,
	void (*fn)(void *arg, const struct registry_fault *f), void *arg);
/* Why the state could not be kept; "" where it could. */
const char *reconciler_state_error(const struct reconciler *r, const char **ret_dir);

/* Everything that is wrong now: sources, outputs, observer, state, then the snapshot's problems.
 * since_ms is 0 where nobody knows since when. */
void reconciler_problems(
	const struct reconciler *r, void (*fn)(void *arg, const struct problem *p), void *arg);

#endif
