/* endpoint.h - one container as an engine last described it.
 *
 * A value: built once, never changed, shared by counting.  All strings live in its arena.  Only
 * labels that a convention can use are kept (settings_wants_label).  Pure.
 */
#ifndef RECONCILER_MODEL_ENDPOINT_H
#define RECONCILER_MODEL_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"

enum endpoint_state {
	ENDPOINT_RUNNING,
	ENDPOINT_PAUSED,
	ENDPOINT_RESTARTING,
	ENDPOINT_STOPPED, /* created, exited, dead, removing: not part of an observation */
};

enum endpoint_health {
	HEALTH_NONE, /* nothing in the engine checks it */
	HEALTH_STARTING,
	HEALTH_HEALTHY,
	HEALTH_UNHEALTHY,
	HEALTH_UNKNOWN, /* a Podman list says nothing of health */
};

/* Addresses are in canonical text form; NULL where there is none. */
struct endpoint_network {
	const char *name;
	const char *ipv4;
	const char *ipv6;
};

/* An exposed port; published is 0 unless the host forwards published_ip:published to it. */
struct endpoint_port {
	uint16_t port;
	uint16_t published;
	bool tcp;
	const char *published_ip;
};

struct endpoint_label {
	const char *name;
	const char *value;
};

struct endpoint {
	unsigned refs;
	struct arena arena;

	const char *engine; /* the engine's name in the configuration */
	const char *id; /* 64 hexadecimal digits */
	const char *name; /* without the leading slash */
	int64_t created; /* seconds since 1970 */
	const char
		*run; /* differs between two runs of one container; "" where a list did not tell */
	const char
		*network_mode; /* "bridge", "host", "container:ID", "none", a network's name; "" */
	int stop_signal; /* a number; 0 where a list did not tell */
	enum endpoint_state state;
	enum endpoint_health health;
	bool leaving; /* was sent its stop signal and still runs, or ended a moment ago */
	bool died; /* it is leaving, and nobody told it to */
	bool withheld; /* its address may belong to another container by now: no traffic */
	bool ready_before; /* from the state of an earlier run: it answered then */

	size_t nnetworks; /* sorted by name */
	const struct endpoint_network *networks;
	size_t nports; /* sorted by port, then published; tcp before others */
	const struct endpoint_port *ports;
	size_t nlabels; /* sorted by name */
	const struct endpoint_label *labels;
};

/* An empty endpoint with one reference, to be filled by its maker before anyone else sees it;
 * strings go into e->arena. */
struct endpoint *endpoint_create(void);
struct endpoint *endpoint_ref(const struct endpoint *e);
/* Takes NULL; returns NULL. */
struct endpoint *endpoint_unref(const struct endpoint *e);

/* A deep copy that its maker may still change (to set leaving, say). */
struct endpoint *endpoint_copy(const struct endpoint *e);

/* Sorts networks, ports and labels; the maker calls it last. */
void endpoint_seal(struct endpoint *e);

/* Do both say the same? */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* Do both say the same as far as an engine's list can tell, its health apart?  Podman's list knows
 * of published ports only, and not how a container is connected. */
bool endpoint_lists_equal(const struct endpoint *a, const struct endpoint *b, bool podman);

/* A label's value, or NULL. */
const char *endpoint_label(const struct endpoint *e, const char *name);

#endif
