/* engine_parse.h - the engine API's JSON into types.  Pure.
 *
 * Shapes: Docker Engine API 1.24 to 1.52 (https://docs.docker.com/reference/api/engine/), Podman
 * 4.3's compatible API; both as measured.  Every byte of it is hostile input: wrong types are
 * absent members, and only an object without an id is refused, or an inspect without a state.
 */
#ifndef RECONCILER_SOURCES_ENGINE_PARSE_H
#define RECONCILER_SOURCES_ENGINE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/err.h"
#include "reconciler/model/endpoint.h"
#include "reconciler/model/settings.h"

#define ENGINE_ID_MAX 128
#define ENGINE_NAME_MAX 256

/* Does the text have the shape of an id or a name, so that it may stand in a path? */
bool engine_parse_is_id(const char *text);

/* One element of GET /containers/json.  run is "" and stop_signal 0; health is HEALTH_UNKNOWN on
 * Podman and where the container is paused or restarting, for then Docker's list does not say. */
int engine_parse_item(const char *json, size_t n, const char *engine,
	const struct settings *settings, bool podman, struct endpoint **ret, struct err *reterr);

/* GET /containers/{id}/json.  On Docker the ports are those that its list shows, too. */
int engine_parse_inspect(const char *json, size_t n, const char *engine,
	const struct settings *settings, bool podman, struct endpoint **ret, struct err *reterr);

enum engine_event_kind {
	EVENT_OTHER, /* nothing to look at */
	EVENT_CONTAINER, /* look at this container */
	EVENT_KILL, /* the same, and signal was sent to it */
	EVENT_GAP, /* something changed, and it cannot be told what: look at everything */
};

struct engine_event {
	enum engine_event_kind kind;
	char container[ENGINE_NAME_MAX]; /* an id or a name */
	int signal; /* with EVENT_KILL: the number; 0 where the engine does not say */
	bool ended; /* a run ended */
	bool started; /* a new run began: what was sent to the last one is of no more account */
	bool guessed; /* of a network event's actor, which on Docker would be the network */
};

/* One object of GET /events; only Type, Action and Actor are read. */
int engine_parse_event(const char *json, size_t n, struct engine_event *ret, struct err *reterr);

struct engine_version {
	char api[16]; /* the version to put into paths: "1.41" */
	char version[64]; /* the engine's own, for people */
	bool podman;
};

/* GET /version: the highest version that both sides know (1.52 here), or the engine's lowest. */
int engine_parse_version(
	const char *json, size_t n, struct engine_version *ret, struct err *reterr);

/* "SIGTERM", "TERM", "15", "SIGRTMIN+3": the number; 0 where it is none. */
int engine_parse_signal(const char *text);

#endif
