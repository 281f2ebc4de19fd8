/* engine.h - a container engine (Docker or Podman) as a source.
 *
 * GET only: /version, /events, /containers/json, /containers/{id}/json.  One inspect for what an
 * event named, one list for a gap, a slow periodic relist.  On Podman, whose list says neither
 * health nor exposed ports, one inspect for each container that is new or that the list shows to
 * have changed; what only an inspect tells survives a relist.
 */
#ifndef RECONCILER_SOURCES_ENGINE_H
#define RECONCILER_SOURCES_ENGINE_H

#include <uv.h>

#include "reconciler/base/httpc.h"
#include "reconciler/model/settings.h"
#include "reconciler/sources/source.h"

struct engine;

/* Never fails: an absent engine is a source that is not ready yet.  cfg, settings and sink's arg
 * must outlive it.  Nothing happens before engine_start. */
struct engine *engine_create(uv_loop_t *loop, struct httpc *http, const struct settings_engine *cfg,
	const struct settings *settings, const struct source_sink *sink);

/* A container from the state of an earlier run: part of the last observation, which makes the
 * source stale instead of new.  Before engine_start; the sink is not called. */
void engine_restore(struct engine *g, const struct endpoint *e);
/* An earlier run saw it whole, even if it had no container. */
void engine_restored(struct engine *g);

void engine_start(struct engine *g);
/* Its handles close on the loop, which the caller runs until it is empty. */
void engine_destroy(struct engine *g);

void engine_info(const struct engine *g, struct source_info *ret);

#endif
