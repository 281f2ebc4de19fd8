/* traefik.h - the output that keeps Traefiks equal to the snapshot.
 *
 * It serves the newest document at GET /traefik, where ?wait= holds the reply until there is one
 * that this connection did not have yet, and pushes it where the settings say so.  The first change
 * goes out at once; the next one waits for a time that grows with the document, so that a storm
 * costs a bounded share of the time of all who read it.
 */
#ifndef PROVIDER_TRAEFIK_TRAEFIK_H
#define PROVIDER_TRAEFIK_TRAEFIK_H

#include <uv.h>

#include "provider/status/server.h"
#include "reconciler/base/httpc.h"
#include "reconciler/model/settings.h"
#include "reconciler/output.h"

struct traefik;

/* settings must outlive it, or be replaced by traefik_reload. */
struct traefik *traefik_create(
	uv_loop_t *loop, struct httpc *http, const struct settings *settings);
/* After the server and the reconciler; its handles close on the loop, which the caller runs until
 * it is empty. */
void traefik_destroy(struct traefik *t);

/* New settings, after the reconciler got them. */
void traefik_reload(struct traefik *t, const struct settings *settings);

struct output *traefik_output(struct traefik *t);
/* What the server serves of it. */
struct server_routes traefik_routes(struct traefik *t);

#endif
