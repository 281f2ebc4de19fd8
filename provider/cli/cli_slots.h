/* cli_slots.h - what the running Waymark sees of an environment's slots, and what of it is in force
 * with the proxies. */
#ifndef PROVIDER_CLI_CLI_SLOTS_H
#define PROVIDER_CLI_CLI_SLOTS_H

#include "provider/cli/cli.h"
#include "reconciler/model/slot_table.h"

/* Whom to ask, and how. */
struct cli_peer {
	const char *address; /* as cli_address gives it */
	unsigned timeout_ms; /* for an answer */
	bool quiet; /* no message where it fails */
};

struct cli_slot {
	const struct slot_fact *fact;
	const char *id; /* of the reservation that it knows; NULL: of none */
	bool ended; /* its time is over, so that its own URL does not lead to it any more */
};

struct cli_slots {
	size_t n;
	const struct cli_slot *list;
	struct slot_facts facts;
};

/* CLI_DONE with what is in the arena, or another exit code after a message: it cannot be reached,
 * or has not seen everything yet.  A slot that nobody has heard of is not in the list. */
enum cli_exit cli_slots_ask(struct arena *a, const struct cli_peer *peer, const char *project,
	const char *environment, struct cli_slots *ret);
/* Never NULL, but one of which nothing is known. */
const struct cli_slot *cli_slot_find(const struct cli_slots *slots, const char *slot);

/* How far the proxies are with a slot's own host. */
struct cli_applied {
	bool routed; /* it leads to the slot */
	bool applied; /* every output has what is so now … */
	uint64_t ago_ms; /* … and had it so long ago */
	uint64_t drain_ms; /* how long requests in flight may take */
	const char *missing; /* the outputs that have not applied it: "traefik, caddy"; "" */
};

/* One that has no host of its own (NULL) is told by its project. */
enum cli_exit cli_applied_ask(struct arena *a, const struct cli_peer *peer, const char *project,
	const char *host, const char *slot, struct cli_applied *ret);

#endif
