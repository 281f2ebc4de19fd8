/* registry.h - what a registry says of one project, and of one static route.
 *
 * Values: built once by a source, never changed, shared by counting.  All strings live in the
 * value's arena.  Host names are canonical, words and ports are checked; whether a project may have
 * a domain is decided where all projects are known (registrar.h).  Pure.
 */
#ifndef RECONCILER_MODEL_REGISTRY_H
#define RECONCILER_MODEL_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/model/settings.h"

/* In the order of a slot's life. */
enum slot_state { SLOT_EMPTY, SLOT_RESERVED, SLOT_DEPLOYED, SLOT_ACTIVE, SLOT_GRACE };

struct registered_slot {
	const char *name; /* "blue" */
	enum slot_state state;
	uint16_t port; /* the published one; 0: not said */
	uint64_t since_ms; /* wall clock; 0: not said */
	uint64_t until_ms; /* when a grace period or a reservation ends; 0: never, or it is in none
			    */
	uint16_t weight; /* its share where the environment is weighted, at most 1000 */
	const char *id; /* a reservation's, 32 hexadecimal digits; NULL: not said */
	const char *container; /* NULL: not said */
};

struct registered_environment {
	const char *name; /* [a-z0-9]+, at most 32, as the names of slots */
	uint16_t port; /* the container's; 0: not said */
	uint16_t base_port; /* the published one of the first slot; 0: not said */
	bool slots; /* it has blue and green */
	const char *health_path; /* as path_parse gives it, so "" is "/"; NULL: not said */
	uint32_t health_interval_ms, health_timeout_ms; /* 0: not said, as in the settings */
	uint32_t health_rise, health_fall; /* answers, failures in a row; 0: not said */
	bool sticky; /* a visitor stays with one server */
	size_t nmiddlewares; /* of the proxy's own, in this order */
	const char *const *middlewares; /* "headers@file" */
	uint64_t expires_ms; /* how long a preview lives; 0: for ever */
	const char *active; /* the slot that counts: it is in the list, and no other one's state is
			       SLOT_ACTIVE; NULL: none */
	bool weighted; /* requests are shared among slots by weight; at least one has some */
	size_t nslots; /* sorted by name */
	const struct registered_slot *slot;
};

/* How a deployment of somebody's table stands. */
enum deployment_status {
	DEPLOYMENT_PENDING, /* no traffic yet */
	DEPLOYMENT_RUNNING, /* takes the project's hosts once it is ready and the newest */
	DEPLOYMENT_STANDBY, /* its own hosts only */
	DEPLOYMENT_FAILED, /* no traffic */
};

struct registered_deployment {
	const char *environment; /* "production" where not said */
	const char *branch; /* "" where none */
	const char *slot; /* "" where none */
	enum deployment_status status;
	const char *container; /* its name, or 12 to 64 hexadecimal digits of its id (12 or 64 are
				  never a name); NULL: any of the environment, branch and slot */
	uint16_t port; /* 0: not said */
	uint64_t created_ms; /* the newest wins; equal ones by name of the container */
	size_t nhosts; /* which go to the newest deployment that names them */
	const char *const *hosts;
};

/* A domain and where it stands, for messages. */
struct registered_domain {
	const char *host;
	const char *field; /* "projects.myapp.domains[0]" */
};

struct registered_project {
	unsigned refs;
	struct arena arena;
	const char *source; /* the source's name: "registry.directory" */
	const char *place; /* for messages: "/opt/codeb/registry/ssot.json" */
	const char *name;
	size_t ndomains; /* production's, in the order given */
	const struct registered_domain *domains;
	bool lists_environments; /* false: nothing was said of its environments */
	size_t nenvironments; /* sorted by name */
	const struct registered_environment *environments;
	bool has_deployments; /* it comes from a table of deployments, even if none is in it */
	size_t ndeployments; /* the newest first */
	const struct registered_deployment *deployments;
};

struct registered_static {
	unsigned refs;
	struct arena arena;
	const char *source;
	const char *place;
	struct settings_static route;
};

const char *slot_state_text(enum slot_state state);
const char *deployment_status_text(enum deployment_status status);
/* How much of the traffic it may take: 2 all of it, 1 that of its own hosts, 0 none. */
unsigned deployment_status_share(enum deployment_status status);

/* An empty one with one reference, to be filled by its maker before anyone else sees it. */
struct registered_project *registered_project_create(
	const char *source, const char *place, const char *name);
struct registered_project *registered_project_ref(const struct registered_project *p);
/* Takes NULL; returns NULL. */
struct registered_project *registered_project_unref(const struct registered_project *p);

/* Sorts what has an order; the maker calls it last. */
void registered_project_seal(struct registered_project *p);
/* But for the place, and the fields of domains.  Both are sealed. */
bool registered_project_equal(
	const struct registered_project *a, const struct registered_project *b);

/* A new project of two: who it is from one (with its deployments), how its slots stand from the
 * other (which may be NULL: it has none).  Slots of an environment that identity does not have make
 * that environment; lists_environments stays identity's.  Both are sealed, and so is the result. Of
 * two that are nothing but slots it makes one that has all. */
struct registered_project *registered_project_combine(
	const struct registered_project *identity, const struct registered_project *slots);

/* Do the slots of both stand alike? */
bool registered_slots_equal(
	const struct registered_environment *a, const struct registered_environment *b);

/* NULL where it has none of that name. */
const struct registered_environment *registered_environment_find(
	const struct registered_project *p, const char *name);
const struct registered_slot *registered_slot_find(
	const struct registered_environment *e, const char *name);

struct registered_static *registered_static_create(
	const char *source, const char *place, const char *host);
struct registered_static *registered_static_ref(const struct registered_static *s);
struct registered_static *registered_static_unref(const struct registered_static *s);
bool registered_static_equal(const struct registered_static *a, const struct registered_static *b);

#endif
