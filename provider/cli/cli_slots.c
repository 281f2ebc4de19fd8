#include "provider/cli/cli_slots.h"

#include <ctype.h>
#include <string.h>

#include "reconciler/base/json.h"

struct asking {
	struct arena *arena;
	const char *environment;
	size_t n, cap;
	struct slot_fact *list;
};

static struct slot_fact *
fact_of(struct asking *q, const char *slot)
{
	for (size_t i = 0; i < q->n; i++)
		if (strcmp(q->list[i].slot, slot) == 0)
			return &q->list[i];
	if (q->n == q->cap) {
		struct slot_fact *old = q->list;
		q->cap = q->cap ? 2 * q->cap : 4;
		q->list = ARENA_ARRAY(q->arena, struct slot_fact, q->cap);
		if (q->n)
			memcpy(q->list, old, q->n * sizeof(*old));
	}
	q->list[q->n].slot = arena_strdup(q->arena, slot);
	return &q->list[q->n++];
}

/* A slot's own host has all of its containers, whether they take requests or stand by. */
static void
add_servers(struct asking *q, struct slot_fact *f, const json_t *servers)
{
	struct slot_fact seen = *f;
	size_t i;
	json_t *server;

	seen.servers = seen.ready = 0;
	json_array_foreach(servers, i, server)
	{
		const char *state = json_get_string(server, "state");
		bool ready = state && (!strcmp(state, "serving") || !strcmp(state, "standby"));
		seen.servers++;
		seen.ready += ready;
		if (!seen.container || (ready && seen.ready == 1))
			seen.container =
				arena_strdup(q->arena, json_get_string(server, "container"));
	}
	/* Several hosts have the same containers; a service may have some of them. */
	if (seen.ready > f->ready || seen.servers > f->servers)
		*f = seen;
}

/* A shared host has the containers of all slots; those that get requests are the active one's. */
static void
add_shared(struct asking *q, const char *slot, const json_t *servers)
{
	size_t i;
	json_t *server;

	json_array_foreach(servers, i, server) if (json_get_bool(server, "routed"))
	{
		struct slot_fact *f = fact_of(q, slot);
		f->traffic = true;
		if (!f->servers)
			*f = (struct slot_fact){.slot = f->slot,
				.servers = 1,
				.ready = 1,
				.traffic = true,
				.container = arena_strdup(
					q->arena, json_get_string(server, "container"))};
	}
}

static void
add_route(struct asking *q, const json_t *route, bool own)
{
	const char *environment = json_get_string(route, "environment");
	const char *branch = json_get_string(route, "branch");
	const char *kind = json_get_string(route, "kind");
	const char *slot = json_get_string(route, "slot");
	const json_t *servers = json_object_get(route, "servers");

	if (!environment || strcmp(environment, q->environment) != 0 || (branch && *branch) ||
		!kind || !slot || !*slot || own != (strcmp(kind, "slot") == 0))
		return;
	if (own)
		add_servers(q, fact_of(q, slot), servers);
	else
		add_shared(q, slot, servers);
}

static const char *
path_of(struct arena *a, const char *project)
{
	struct buf b = {0};

	buf_adds(&b, "/api/v1/routes?project=");
	for (const unsigned char *c = (const unsigned char *)project; *c; c++)
		buf_addf(&b, isalnum(*c) || strchr("-._~", *c) ? "%c" : "%%%02X", *c);
	const char *path = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return path;
}

/* Before its first complete look it would say that nothing is there. */
static enum cli_exit
check_ready(const char *address, const char *file)
{
	json_t *status;
	enum cli_exit r = cli_get(address, file, "/api/v1/status", &status);
	if (r != CLI_DONE)
		return r;
	bool ready = json_get_bool(status, "ready");
	json_decref(status);
	if (ready)
		return CLI_DONE;
	fputs("waymark: the running Waymark has not seen everything yet; try again when `waymark "
	      "status` says that it is ready\n",
		stderr);
	return CLI_UNREACHED;
}

enum cli_exit
cli_slots_ask(struct arena *a, const char *address, const char *file, const char *project,
	const char *environment, struct slot_facts *ret)
{
	struct asking q = {.arena = a, .environment = environment};
	json_t *routes, *route;
	size_t i;

	enum cli_exit r = check_ready(address, file);
	if (r == CLI_DONE)
		r = cli_get(address, file, path_of(a, project), &routes);
	if (r != CLI_DONE)
		return r;
	json_array_foreach(routes, i, route) add_route(&q, route, true);
	json_array_foreach(routes, i, route) add_route(&q, route, false);
	json_decref(routes);
	*ret = (struct slot_facts){q.n, q.list};
	return CLI_DONE;
}
