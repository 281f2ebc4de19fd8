/* api_render.h - the values of the model as the API's JSON.  Pure.
 *
 * Each function appends one JSON value.
 */
#ifndef PROVIDER_STATUS_API_RENDER_H
#define PROVIDER_STATUS_API_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/base/buf.h"
#include "reconciler/model/plan.h"
#include "reconciler/output.h"
#include "reconciler/sources/source.h"

/* Milliseconds since 1970 as "2026-11-21T12:00:00.123Z"; 0 as null. */
void api_render_time(struct buf *b, uint64_t ms);
void api_render_source(struct buf *b, const struct source_info *s);
void api_render_output(struct buf *b, const struct output_info *o);
void api_render_problem(struct buf *b, const struct problem *p);
/* A route of a plan that last changed in that revision, and whether the outputs have it. */
void api_render_route(struct buf *b, const struct route *r, uint64_t revision,
	const struct output_info *outputs, size_t noutputs);
/* A slot of a project's plan that last changed in that revision. */
void api_render_slot(
	struct buf *b, const char *project, const struct plan_slot *s, uint64_t revision);

/* Members of an object under way: a comma where one is due, the name and the value. */
void api_member(struct buf *b, const char *name);
void api_member_text(struct buf *b, const char *name, const char *text); /* NULL: null */
void api_member_number(struct buf *b, const char *name, uint64_t n);
void api_member_bool(struct buf *b, const char *name, bool value);
/* An element of a list under way: the comma alone. */
void api_element(struct buf *b);

#endif
