/* traefik_render.h - a project plan as Traefik's dynamic configuration.
 *
 * Three sections of JSON members without braces around them, so that fragments can be joined with
 * commas into one document.  Same plan and settings, same bytes.
 *
 * Names are "{project}_{environment}_{host}", with the path behind it where there is one ('/' as
 * "_-"), and "static_{host}": nothing a tenant writes can make two routes come out under one name,
 * for which Traefik would refuse or drop both.  Pure.
 */
#ifndef PROVIDER_TRAEFIK_TRAEFIK_RENDER_H
#define PROVIDER_TRAEFIK_TRAEFIK_RENDER_H

#include "reconciler/model/planner.h"

enum traefik_section { TRAEFIK_ROUTERS, TRAEFIK_SERVICES, TRAEFIK_MIDDLEWARES };

/* Where the renderer and the output stand among the planner's outputs. */
#define TRAEFIK_OUTPUT 0

/* The middleware that sends http to https; the document adds it, no fragment has it. */
#define TRAEFIK_REDIRECT "waymark-redirect"

extern const struct renderer traefik_renderer;

#endif
