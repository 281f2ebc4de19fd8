/* api.h - what Waymark says of itself over HTTP: /api/v1/…, the health checks and a first page.
 *
 * Reads the reconciler when it is asked and keeps nothing.  A path is one line of the table in
 * api.c.
 */
#ifndef PROVIDER_STATUS_API_H
#define PROVIDER_STATUS_API_H

#include "provider/status/server.h"
#include "reconciler/reconcile.h"

struct api;

/* The reconciler must outlive it. */
struct api *api_create(struct reconciler *r);
/* After the server. */
void api_destroy(struct api *a);

/* What the server serves of it. */
struct server_routes api_routes(struct api *a);

#endif
