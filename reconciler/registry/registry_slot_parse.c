#include <string.h>
#include <strings.h>

#include "reconciler/model/host.h"
#include "reconciler/registry/registry_reader.h"
#include "reconciler/registry/registry_time_parse.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* There are two; more are no mistake, thousands are. */
#define SLOTS_MAX 16

#define SLOT_REMEDY "write {\"state\": \"deployed\", \"port\": 4051}, or null where it is empty"
#define ID_REMEDY "write 32 of 0-9 and a-f, or leave it out"
#define WEIGHT_MAX 1000
#define SLOTS_REMEDY                                                                               \
	"write {\"active\": \"blue\", \"blue\": {\"state\": \"active\", \"port\": 4051}}"

/* -- one slot -- */

static const struct {
	const char *text;
	enum slot_state state;
} states[] = {
	{"empty", SLOT_EMPTY},
	{"reserved", SLOT_RESERVED},
	{"deployed", SLOT_DEPLOYED},
	{"active", SLOT_ACTIVE},
	{"grace-period", SLOT_GRACE},
	{"grace_period", SLOT_GRACE},
	{"grace", SLOT_GRACE},
};

static bool
read_state(struct registry_reader *r, const struct registry_at *up, const json_t *o,
	const char *key, enum slot_state *ret)
{
	const struct registry_at at = {up, key, 0};
	const json_t *v = reader_member(o, key);
	const char *text = json_string_value(v);

	for (size_t i = 0; text && i < COUNT(states); i++)
		if (strcasecmp(text, states[i].text) == 0) {
			*ret = states[i].state;
			return true;
		}
	if (v)
		reader_refuse(r, &at, "write empty, reserved, deployed, active or grace-period",
			"not a slot's state: %s", registry_shown(v).text);
	return false;
}

static void
read_states(struct registry_reader *r, const struct registry_at *at, const json_t *o,
	struct registered_slot *ret)
{
	enum slot_state state = SLOT_EMPTY, status = SLOT_EMPTY;
	bool has_state = read_state(r, at, o, "state", &state);
	bool has_status = read_state(r, at, o, "status", &status);

	if (has_state && has_status && state != status)
		reader_refuse(r, at, "take one of the two away", "state and status disagree");
	if (has_state || has_status)
		ret->state = has_state ? state : status;
	else
		ret->state = ret->until_ms ? SLOT_GRACE : SLOT_DEPLOYED;
}

static void
read_until(struct registry_reader *r, const struct registry_at *at, const json_t *o,
	struct registered_slot *ret)
{
	uint64_t until = 0, cleanup = 0;

	reader_time(r, at, o, "until", &until);
	reader_time(r, at, o, "scheduledCleanup", &cleanup);
	if (until && cleanup && until != cleanup)
		reader_refuse(
			r, at, "take one of the two away", "until and scheduledCleanup disagree");
	ret->until_ms = until ? until : cleanup;
}

/* CodeB notes each step of a slot's life, so several of these stand there: the first that tells
 * when it came into the state it is in. */
static void
read_since(struct registry_reader *r, const struct registry_at *at, const json_t *o,
	struct registered_slot *ret)
{
	static const char *const keys[] = {"since", "gracePeriodStart", "promotedAt", "deployedAt"};

	for (size_t i = 0; i < COUNT(keys); i++) {
		uint64_t ms = 0;
		reader_time(r, at, o, keys[i], &ms);
		if (i == 1 && ret->state != SLOT_GRACE)
			continue;
		if (!ret->since_ms)
			ret->since_ms = ms;
	}
}

/* Only a reservation's: other programs have an `id` of their own, of whatever kind. */
static void
read_id(struct registry_reader *r, const struct registry_at *up, const json_t *o, struct arena *a,
	struct registered_slot *ret)
{
	const struct registry_at at = {up, "id", 0};
	const char *id = NULL;

	if (ret->state != SLOT_RESERVED)
		return;
	reader_text(r, up, o, "id", ID_REMEDY, &id);
	if (id && (strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32))
		reader_refuse(r, &at, ID_REMEDY, "not the id of a reservation: '%s'",
			host_shown(id).text);
	ret->id = id ? arena_strdup(a, id) : NULL;
}

static void
read_slot(struct registry_reader *r, const struct registry_at *at, const json_t *v, struct arena *a,
	struct registered_slot *ret)
{
	const char *container = NULL;

	*ret = (struct registered_slot){.name = arena_strdup(a, at->key)};
	if (!registry_word_ok(at->key))
		reader_refuse(r, at, "use at most 32 of a-z and 0-9, such as blue",
			"not a slot's name: '%s'", host_shown(at->key).text);
	if (json_is_null(v))
		return;
	if (!json_is_object(v)) {
		reader_refuse_kind(r, at, v, "a slot", SLOT_REMEDY);
		return;
	}
	read_until(r, at, v, ret);
	read_states(r, at, v, ret);
	read_since(r, at, v, ret);
	read_id(r, at, v, a, ret);
	reader_port(r, at, v, "port", &ret->port);
	reader_text(r, at, v, "container", "write the container's name", &container);
	ret->container = container && *container ? arena_strdup(a, container) : NULL;
}

/* -- the slots of one environment -- */

struct slots {
	struct arena *arena;
	size_t n;
	struct registered_slot list[SLOTS_MAX + 1]; /* one may be active and not listed */
	const json_t *entries[SLOTS_MAX]; /* as they stand in the file */
};

static void
add_slot(struct registry_reader *r, const struct registry_at *at, const json_t *v, struct slots *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->list[i].name, at->key) == 0) {
			if (!json_equal(v, s->entries[i]))
				reader_refuse(r, at, "take one of the two away",
					"the slot stands under `slots` and beside it, and they "
					"disagree");
			return;
		}
	if (s->n == SLOTS_MAX) {
		reader_refuse(r, at->up, "take away those that are not used",
			"more than %d slots in one environment", SLOTS_MAX);
		return;
	}
	s->entries[s->n] = v;
	read_slot(r, at, v, s->arena, &s->list[s->n++]);
}

/* Others write members of their own beside the slots. */
static bool
is_slot(const char *key, const json_t *v)
{
	if (strcmp(key, "blue") == 0 || strcmp(key, "green") == 0)
		return true;
	return json_is_object(v) && strcmp(key, "slots") != 0 && strcmp(key, "weights") != 0 &&
	       registry_word_ok(key) &&
	       (json_object_get(v, "state") || json_object_get(v, "status"));
}

static void
collect_slots(
	struct registry_reader *r, const struct registry_at *at, json_t *entry, struct slots *s)
{
	const struct registry_at inner = {at, "slots", 0};
	json_t *under = reader_object(r, at, entry, "slots", SLOTS_REMEDY);
	size_t faults = r->faults;
	const char *key;
	json_t *v;

	json_object_foreach(under, key, v)
	{
		const struct registry_at slot = {&inner, key, 0};
		if (r->faults - faults <= SLOTS_MAX)
			add_slot(r, &slot, v, s);
	}
	json_object_foreach(entry, key, v)
	{
		const struct registry_at slot = {at, key, 0};
		if (r->faults - faults <= SLOTS_MAX && is_slot(key, v))
			add_slot(r, &slot, v, s);
	}
}

static struct registered_slot *
slot_find(struct slots *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->list[i].name, name) == 0)
			return &s->list[i];
	return NULL;
}

static const char *
read_active(struct registry_reader *r, const struct registry_at *at, const json_t *entry)
{
	const char *active = NULL, *theirs = NULL;
	const char *remedy = "write the name of a slot, such as blue, or null";

	reader_text(r, at, entry, "active", remedy, &active);
	reader_text(r, at, entry, "activeSlot", remedy, &theirs);
	if (active && theirs && strcmp(active, theirs) != 0)
		reader_refuse(r, at, "take one of the two away",
			"active says '%s', activeSlot says '%s'", host_shown(active).text,
			host_shown(theirs).text);
	return active ? active : theirs;
}

/* The slot that counts.  blue and green need not be listed, so that a typing error in any other
 * name is seen. */
static struct registered_slot *
named_slot(struct registry_reader *r, const struct registry_at *at, const char *active,
	struct slots *s)
{
	struct registered_slot *slot = slot_find(s, active);

	if (slot)
		return slot;
	if (strcmp(active, "blue") != 0 && strcmp(active, "green") != 0) {
		reader_refuse(r, at, "name one of the slots that are there",
			"'%s' is to be active, and there is no slot of that name",
			host_shown(active).text);
		return NULL;
	}
	slot = &s->list[s->n++];
	slot->name = arena_strdup(s->arena, active);
	return slot;
}

static struct registered_slot *
slot_by_state(struct registry_reader *r, const struct registry_at *at, struct slots *s)
{
	struct registered_slot *found = NULL;

	for (size_t i = 0; i < s->n; i++) {
		if (s->list[i].state != SLOT_ACTIVE)
			continue;
		if (found)
			reader_refuse(r, at, "write which one counts, as \"active\": \"blue\"",
				"both '%s' and '%s' say that they are active", found->name,
				host_shown(s->list[i].name).text);
		found = &s->list[i];
	}
	return found;
}

/* `active` decides: the others are at most deployed, and only reservations and grace periods end.
 */
static void
normalise(struct slots *s, const struct registered_slot *active, uint64_t grace_ms)
{
	for (size_t i = 0; i < s->n; i++) {
		struct registered_slot *slot = &s->list[i];
		if (slot == active)
			slot->state = SLOT_ACTIVE;
		else if (slot->state == SLOT_ACTIVE)
			slot->state = SLOT_DEPLOYED;
		if (slot->state != SLOT_RESERVED)
			slot->id = NULL;
		if (slot->state != SLOT_GRACE && slot->state != SLOT_RESERVED)
			slot->until_ms = 0;
		else if (slot->state == SLOT_GRACE && !slot->until_ms && slot->since_ms)
			slot->until_ms = slot->since_ms + grace_ms;
		if (slot->until_ms > REGISTRY_TIME_MAX)
			slot->until_ms = REGISTRY_TIME_MAX;
	}
}

/* How requests are shared.  A slot that is not named has no weight; where none has any, `active`
 * alone counts. */
static void
read_weights(struct registry_reader *r, const struct registry_at *up, const json_t *entry,
	struct slots *s, struct registered_environment *ret)
{
	const struct registry_at at = {up, "weights", 0};
	json_t *weights =
		reader_object(r, up, entry, "weights", "write {\"blue\": 90, \"green\": 10}");
	size_t faults = r->faults;
	const char *key;
	json_t *v;

	json_object_foreach(weights, key, v)
	{
		const struct registry_at inner = {&at, key, 0};
		struct registered_slot *slot = slot_find(s, key);
		uint32_t weight = 0;
		if (json_is_null(v) || r->faults - faults > SLOTS_MAX)
			continue;
		if (!slot) {
			reader_refuse(r, &inner, "name one of the slots that are there",
				"there is no slot of that name to get requests");
			continue;
		}
		reader_count(r, &at, weights, key, 0, WEIGHT_MAX,
			"write its share of the requests, such as 90", &weight);
		slot->weight = (uint16_t)weight;
		ret->weighted = ret->weighted || weight > 0;
	}
}

/* An entry may say whose it is; then it must be the one under whose name it stands. */
static void
check_member(struct registry_reader *r, const struct registry_at *at, const json_t *entry,
	const char *key, const char *wanted)
{
	const char *text = json_string_value(json_object_get(entry, key));

	if (text && wanted && strcmp(text, wanted) != 0)
		reader_refuse(r, at, "mend the one that is wrong",
			"it stands under the %s '%s', and says that it is '%s'", key,
			host_shown(wanted).text, host_shown(text).text);
}

void
reader_slots(struct registry_reader *r, const struct registry_at *at, json_t *entry,
	const char *project, struct arena *a, struct registered_environment *ret)
{
	struct slots s = {.arena = a};
	struct registered_slot *list;

	check_member(r, at, entry, "project", project);
	check_member(r, at, entry, "environment", ret->name);
	collect_slots(r, at, entry, &s);
	const char *name = read_active(r, at, entry);
	struct registered_slot *active =
		name ? named_slot(r, at, name, &s) : slot_by_state(r, at, &s);
	normalise(&s, active, r->options->grace_ms);
	read_weights(r, at, entry, &s, ret);
	ret->slots = true;
	ret->active = active ? active->name : NULL;
	ret->nslots = s.n;
	list = ARENA_ARRAY(a, struct registered_slot, s.n);
	memcpy(list, s.list, s.n * sizeof(*list));
	ret->slot = list;
}
