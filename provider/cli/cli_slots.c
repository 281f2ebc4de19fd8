#include "provider/cli/cli_slots.h"

#include <ctype.h>
#include <string.h>

#include "reconciler/base/json.h"
#include "reconciler/registry/registry_time_parse.h"

/* -- asking -- */

static enum cli_exit
complain(const struct cli_peer *peer, enum cli_exit result, const char *what)
{
	if (peer->quiet)
		return result;
	fputs("waymark: ", stderr);
	cli_print(stderr, what);
	putc('\n', stderr);
	return result;
}

static enum cli_exit
get(const struct cli_peer *peer, const char *path, json_t **ret)
{
	struct err e;
	enum cli_exit r = cli_ask(peer->address, path, peer->timeout_ms, ret, &e);

	if (r == CLI_DONE)
		return r;
	/* Before its first complete look it would say that nothing is there. */
	if (r == CLI_NO)
		return complain(peer, CLI_UNREACHED,
			"the running Waymark has not seen everything yet; try again when `waymark "
			"status` says that it is ready");
	return complain(peer, r, e.text);
}

/* Names and values by turns, NULL ends them; the path is the arena's. */
static const char *
path_of(struct arena *a, const char *path, const char *const *query)
{
	struct buf b = {0};

	buf_adds(&b, path);
	for (size_t i = 0; query[i]; i++) {
		const unsigned char *c = (const unsigned char *)query[i];
		buf_add(&b, i == 0 ? "?" : i % 2 ? "=" : "&", 1);
		for (; *c; c++)
			buf_addf(&b, isalnum(*c) || strchr("-._~", *c) ? "%c" : "%%%02X", *c);
	}
	const char *whole = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return whole;
}

/* -- slots -- */

/* Its clock of a grace period may stand still; a reservation's is the registry's. */
static uint64_t
until_of(const json_t *slot)
{
	const char *state = json_get_string(slot, "state");
	const char *until = json_get_string(slot, "until");
	uint64_t ms;

	if (!state || strcmp(state, slot_state_text(SLOT_GRACE)) != 0)
		return 0;
	return until && registry_time_parse(until, &ms) ? ms : 0;
}

static size_t
count_of(const json_t *slot, const char *key)
{
	int64_t n = json_get_int(slot, key, 0);
	return n > 0 ? (size_t)n : 0;
}

static void
read_slot(struct arena *a, const json_t *slot, struct slot_fact *f, struct cli_slot *s)
{
	const char *name = json_get_string(slot, "slot");

	*f = (struct slot_fact){
		.slot = arena_strdup(a, name ? name : ""),
		.servers = count_of(slot, "servers"),
		.ready = count_of(slot, "ready"),
		.traffic = json_get_bool(slot, "traffic"),
		.container = arena_strdup(a, json_get_string(slot, "container")),
		.until_ms = until_of(slot),
	};
	*s = (struct cli_slot){
		.fact = f,
		.id = arena_strdup(a, json_get_string(slot, "id")),
		.ended = json_get_bool(slot, "ended"),
	};
}

static void
read_slots(struct arena *a, const json_t *json, const char *environment, struct cli_slots *ret)
{
	size_t max = json_array_size(json), n = 0, i;
	struct slot_fact *facts = ARENA_ARRAY(a, struct slot_fact, max + 1);
	struct cli_slot *list = ARENA_ARRAY(a, struct cli_slot, max + 1);
	json_t *slot;

	json_array_foreach(json, i, slot)
	{
		const char *of = json_get_string(slot, "environment");
		if (!of || strcmp(of, environment) != 0)
			continue;
		read_slot(a, slot, &facts[n], &list[n]);
		n++;
	}
	*ret = (struct cli_slots){n, list, {n, facts}};
}

enum cli_exit
cli_slots_ask(struct arena *a, const struct cli_peer *peer, const char *project,
	const char *environment, struct cli_slots *ret)
{
	const char *const query[] = {"project", project, "environment", environment, NULL};
	json_t *slots;
	enum cli_exit r = get(peer, path_of(a, "/api/v1/slots", query), &slots);

	if (r != CLI_DONE)
		return r;
	if (json_is_array(slots))
		read_slots(a, slots, environment, ret);
	else
		r = complain(peer, CLI_UNREACHED,
			"what answers there is no Waymark of this version; name the running one "
			"with -s, or go on with --offline");
	json_decref(slots);
	return r;
}

const struct cli_slot *
cli_slot_find(const struct cli_slots *slots, const char *slot)
{
	static const struct slot_fact nothing = {.slot = ""};
	static const struct cli_slot unknown = {.fact = &nothing};

	for (size_t i = 0; i < slots->n; i++)
		if (strcmp(slots->list[i].fact->slot, slot) == 0)
			return &slots->list[i];
	return &unknown;
}

/* -- applied -- */

static const char *
missing_of(struct arena *a, json_t *applied)
{
	struct buf b = {0};
	const char *name;
	json_t *ago;

	buf_adds(&b, "");
	json_object_foreach(applied, name, ago) if (!json_is_integer(ago))
		buf_addf(&b, "%s%s", b.n ? ", " : "", name);
	const char *text = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return text;
}

enum cli_exit
cli_applied_ask(struct arena *a, const struct cli_peer *peer, const char *project, const char *host,
	const char *slot, struct cli_applied *ret)
{
	const char *const query[] = {
		host ? "host" : "project", host ? host : project, "slot", slot, NULL};
	json_t *json;
	enum cli_exit r = get(peer, path_of(a, "/api/v1/applied", query), &json);

	if (r != CLI_DONE)
		return r;
	json_t *ago = json_object_get(json, "applied_ago_ms");
	*ret = (struct cli_applied){
		/* What is not said is taken for the worse. */
		.routed = !json_is_false(json_object_get(json, "routed")),
		.applied = json_is_integer(ago) && json_integer_value(ago) >= 0,
		.ago_ms = json_is_integer(ago) ? (uint64_t)json_integer_value(ago) : 0,
		.drain_ms = (uint64_t)json_get_int(json, "drain_ms", INT64_MAX),
		.missing = missing_of(a, json_get_object(json, "applied")),
	};
	json_decref(json);
	return CLI_DONE;
}
