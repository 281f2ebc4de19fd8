/* caddy.h - the output that keeps a Caddy equal to the snapshot: site files, and reloads.
 *
 * A change is adapted by Caddy first, beside the globals and snippets of the main Caddyfile, so
 * that what it does not take never lies under the glob; then written, then loaded.  What is refused
 * yet is found by the place that Caddy names, else by halves; it goes back to its last good
 * version and the others move on.  The first change goes at once, the next one waits for a multiple
 * of what the last reload took, so that Caddy spends a bounded share of its time reloading.  What
 * runs is read back after each load, and now and then: somebody else's load is undone.
 */
#ifndef PROVIDER_CADDY_CADDY_H
#define PROVIDER_CADDY_CADDY_H

#include <uv.h>

#include "reconciler/base/httpc.h"
#include "reconciler/model/settings.h"
#include "reconciler/output.h"

struct caddy;

/* settings have a caddy whose template can be read (the configuration sees to that), and must
 * outlive it, or be replaced by caddy_reload. */
struct caddy *caddy_create(uv_loop_t *loop, struct httpc *http, const struct settings *settings);
/* New settings, which have a caddy, too. */
void caddy_reload(struct caddy *c, const struct settings *settings);
/* After the reconciler.  Its handles close on the loop, which the caller runs until it is empty. */
void caddy_destroy(struct caddy *c);

struct output *caddy_output(struct caddy *c);

#endif
