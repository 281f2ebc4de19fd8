/* problem.h - what an operator has to know and mend: a user's mistake, as data.
 *
 * The codes are one table, from which the API, the manual and the tests come.  Pure.
 */
#ifndef RECONCILER_MODEL_PROBLEM_H
#define RECONCILER_MODEL_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"

enum problem_severity { PROBLEM_WARNING, PROBLEM_ERROR };

/* code, severity, what it means in one sentence */
/* clang-format off */
#define PROBLEM_CODES(X)                                                                           \
	X(LABEL_INVALID, "label-invalid", PROBLEM_ERROR, "A label has a value that cannot be used.")   \
	X(BRANCH_TOO_LONG, "branch-too-long", PROBLEM_WARNING,                                         \
		"A branch name is longer than any Git branch can be; its host label was cut.")         \
	X(HOST_INVALID, "host-invalid", PROBLEM_ERROR, "A host name cannot be used.")                  \
	X(HOST_RESERVED, "host-reserved", PROBLEM_ERROR, "The host name is reserved.")                 \
	X(HOST_FORBIDDEN, "host-forbidden", PROBLEM_ERROR,                                             \
		"The host is not the project's by the registry, or not under an allowed domain.")      \
	X(HOST_TAKEN, "host-taken", PROBLEM_ERROR, "Another project or service had the host first.")   \
	X(HOST_QUOTA, "host-quota", PROBLEM_ERROR, "A container asks for too many hosts.")             \
	X(PORT_UNKNOWN, "port-unknown", PROBLEM_ERROR, "It cannot be told which port to use.")         \
	X(PORT_UNPUBLISHED, "port-unpublished", PROBLEM_ERROR,                                         \
		"The engine is reached by published ports, and the port is not published.")            \
	X(NETWORK_MISSING, "network-missing", PROBLEM_ERROR,                                           \
		"The container has no address that the proxy could use.")                              \
	X(ADDRESS_SHARED, "address-shared", PROBLEM_ERROR,                                             \
		"Two running containers claim one address; neither gets traffic until it is clear.")   \
	X(UNREACHABLE, "unreachable", PROBLEM_WARNING,                                                 \
		"Waymark cannot reach the container to see whether it is ready, so running counts.")   \
	X(UNHEALTHY, "unhealthy", PROBLEM_ERROR, "The container's health check fails.")                \
	X(NOT_READY, "not-ready", PROBLEM_WARNING,                                                     \
		"The container does not accept connections, or its health path does not answer.")      \
	X(NO_SERVERS, "no-servers", PROBLEM_WARNING,                                                   \
		"The host is known, but nothing can serve it now: it answers 503.")                    \
	X(SOURCE_STALE, "source-stale", PROBLEM_ERROR,                                                 \
		"A source does not answer; what it last said stays in force.")                         \
	X(SOURCE_DOUBTED, "source-doubted", PROBLEM_WARNING,                                           \
		"A source lost more than half of what it had; a second look has to agree.")            \
	X(OUTPUT_FAILED, "output-failed", PROBLEM_ERROR, "An output cannot be brought up to date.")    \
	X(STATE_FAILED, "state-failed", PROBLEM_ERROR, "The state cannot be kept on disk.")            \
	X(REGISTRY_INVALID, "registry-invalid", PROBLEM_ERROR,                                         \
		"The registry says what cannot be used; its last good form stays in force.")           \
	X(REGISTRY_IMPAIRED, "registry-impaired", PROBLEM_WARNING,                                     \
		"The registry can be used, and not as well as it could be.")                           \
	X(REGISTRY_DUPLICATE, "registry-duplicate", PROBLEM_ERROR,                                     \
		"Two entries of registries say the same of themselves; one of them counts.")           \
	X(ENVIRONMENT_UNKNOWN, "environment-unknown", PROBLEM_WARNING,                                 \
		"The registry does not list the container's environment.")                             \
	X(DEPLOYMENT_UNKNOWN, "deployment-unknown", PROBLEM_WARNING,                                   \
		"The registry has no deployment of this container.")                                   \
	X(SLOT_WAITING, "slot-waiting", PROBLEM_WARNING,                                               \
		"The registry names another slot than the one that serves, which is not ready yet.")   \
	X(SLOT_FALLBACK, "slot-fallback", PROBLEM_ERROR,                                               \
		"The active slot lost all its containers; the one in grace serves until a promote.")   \
	X(SLOT_DUE, "slot-due", PROBLEM_WARNING,                                                       \
		"A slot's grace period or reservation has ended; it is due for cleanup.")              \
	X(SLOT_OCCUPIED, "slot-occupied", PROBLEM_WARNING,                                             \
		"The registry says that a slot is empty, and a container of it runs.")                 \
	X(SLOT_UNWRITTEN, "slot-unwritten", PROBLEM_ERROR,                                             \
		"What Waymark is to write to the registry by itself could not be written.")            \
	X(FLAPPING, "flapping", PROBLEM_WARNING,                                                       \
		"A container was ready and not ready too often; it has to stay ready for a while.")    \
	X(PREVIEW_EXPIRED, "preview-expired", PROBLEM_WARNING,                                         \
		"A preview's time is over; it answers 410.")                                           \
	X(SITE_REFUSED, "site-refused", PROBLEM_ERROR,                                                 \
		"Caddy does not take a site; its last good version is served.")                        \
	X(SITE_FOREIGN, "site-foreign", PROBLEM_ERROR,                                                 \
		"Somebody else's file stands where a site of Waymark's is to be.")                     \
	X(SITE_IMPAIRED, "site-impaired", PROBLEM_ERROR,                                               \
		"Caddy cannot serve a host, or not in all the ways that were asked for.")              \
	X(INTERNAL, "internal", PROBLEM_ERROR, "Waymark's own check refused what it made.")
/* clang-format on */

enum problem_code {
#define X(name, text, severity, means) PROBLEM_##name,
	PROBLEM_CODES(X)
#undef X
		PROBLEM_CODE_COUNT
};

/* All strings are UTF-8, may hold what a tenant wrote, and live where the problem does. */
struct problem {
	enum problem_code code;
	const char *object; /* "container web-1 on app1", "engine app1", "static route x.y" */
	const char *field; /* "label waymark.port"; NULL where no field is to blame */
	const char *what; /* the reason */
	const char *remedy; /* what to do */
	const char *project; /* NULL where none is concerned */
	const char *host; /* NULL where none is concerned */
	uint64_t since_ms; /* wall clock; set by the planner */
};

const char *problem_code_text(enum problem_code code);
const char *problem_code_means(enum problem_code code);
enum problem_severity problem_code_severity(enum problem_code code);

/* An order in which problems stand; 0: the same problem. */
int problem_compare(const struct problem *a, const struct problem *b);

/* Problems collected in an arena. */
struct problems {
	struct arena *arena;
	struct problem *list;
	size_t n;
	size_t cap;
};

/* Strings of p are copied. */
void problem_add(struct problems *ps, const struct problem *p);

#endif
