/* A deploy taken back: the slot stands as it did before. */
#include <string.h>

#include "reconciler/model/slot_table.h"

static bool
holds(const struct registered_slot *s, const struct slot_request *r)
{
	return s->state == SLOT_RESERVED && s->id && strcmp(s->id, r->id) == 0;
}

bool
slot_restore(struct arena *a, const struct registered_environment *e, const struct slot_request *r,
	struct slot_change *ret, struct slot_refusal *retrefusal)
{
	struct registered_slot *slots = ARENA_ARRAY(a, struct registered_slot, e->nslots + 1);
	const char *slot = NULL;

	for (size_t i = 0; i < e->nslots; i++) {
		const struct registered_slot *s = &e->slot[i];
		if (holds(s, r) && strcmp(s->name, r->restore->name) == 0)
			s = r->restore;
		slots[i] = *s;
		slots[i].name = arena_strdup(a, s->name);
		slots[i].id = arena_strdup(a, s->id);
		slots[i].container = arena_strdup(a, s->container);
		slots[i].weight = e->slot[i].weight; /* which no deploy touches */
		if (s == r->restore)
			slot = slots[i].name;
	}
	if (!slot) {
		*retrefusal = (struct slot_refusal){
			.what = arena_printf(a, "slot %s is not reserved by %s any more",
				r->restore->name, r->id),
			.remedy = "see how the slots stand with `waymark slot list`",
		};
		return false;
	}
	*ret = (struct slot_change){.after = *e, .slot = slot};
	ret->after.active = arena_strdup(a, e->active);
	ret->after.slot = slots;
	return true;
}
