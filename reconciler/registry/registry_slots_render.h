/* registry_slots_render.h - writes how an environment's slots stand into the text of slots.json, or
 * of a file of slots/, as that file spells it.
 *
 * What does not change stays byte for byte, other programs' members too; so does the way the file
 * names things: active or activeSlot, state or status, its words for states, slots under `slots` or
 * beside it, null for an empty one, CodeB's names for times.  Weights go where there are none any
 * more; no change brings any.  Pure.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_SLOTS_RENDER_H
#define RECONCILER_REGISTRY_REGISTRY_SLOTS_RENDER_H

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "reconciler/model/registry.h"

struct registry_slots_edit {
	bool single; /* the text is slots/{project}-{environment}.json */
	const char *project;
	const struct registered_environment *before; /* as the text has it; NULL: not at all */
	const struct registered_environment *after;
};

/* The least text of a file that is not there yet. */
const char *registry_slots_least(bool single);

/* False, with nothing changed, where the text is none that the decoder takes. */
bool registry_slots_render(struct buf *text, const struct registry_slots_edit *e);

#endif
