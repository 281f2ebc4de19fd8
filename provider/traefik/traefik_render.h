/* traefik_render.h - a project plan as Traefik's dynamic configuration.
 *
 * Three sections of JSON members without braces around them, so that fragments can be joined with
 * commas into one document.  Same plan and settings, same bytes.
 *
 * Names are "{project}_{environment}_{host}", with the path behind it where there is one ('/' as
 * "_-"), and "static_{host}": nothing a tenant writes can make two routes come out under one name,
 * for which Traefik would refuse or drop both.  A route whose requests are shared among slots has a
 * service of each beside its own, "…_SLOT_{slot}".  Pure.
 */
#ifndef PROVIDER_TRAEFIK_TRAEFIK_RENDER_H
#define PROVIDER_TRAEFIK_TRAEFIK_RENDER_H

#include "reconciler/model/planner.h"

enum traefik_section { TRAEFIK_ROUTERS, TRAEFIK_SERVICES, TRAEFIK_MIDDLEWARES };

/* Where the renderer and the output stand among the planner's outputs. */
#define TRAEFIK_OUTPUT 0

/* Middlewares that the document adds once, where any fragment refers to them: no fragment has them,
 * and fragment->uses has the bit 1 << x of those that it names. */
enum traefik_shared {
	TRAEFIK_REDIRECT, /* sends http to https */
	TRAEFIK_PREVIEW_ALLOW, /* what settings->preview says, in this order */
	TRAEFIK_PREVIEW_AUTH,
	TRAEFIK_PREVIEW_NOINDEX,
	TRAEFIK_SHARED_COUNT
};
extern const char *const traefik_shared_name[TRAEFIK_SHARED_COUNT];

extern const struct renderer traefik_renderer;

#endif
