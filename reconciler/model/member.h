/* member.h - what one container asks for: who it is, which hosts it wants, where it listens.
 *
 * Read once from an endpoint by the conventions, and read again only when the endpoint or the
 * settings change.  What cannot be used becomes a problem here, at the edge; the rest of the model
 * sees types.  Pure.
 */
#ifndef RECONCILER_MODEL_MEMBER_H
#define RECONCILER_MODEL_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "reconciler/model/convention.h"
#include "reconciler/model/endpoint.h"
#include "reconciler/model/ledger.h"
#include "reconciler/model/planner.h"
#include "reconciler/model/registrar.h"
#include "reconciler/model/settings.h"

/* More hosts than this from one container are a problem: each may cost a certificate. */
#define MEMBER_HOSTS_MAX 64

struct member_host {
	const char *host;
	struct convention_origin from; /* label waymark.host */
	bool slot; /* a slot's own URL */
	bool derived; /* made of who it is, and not asked for by a label */
	enum route_kind kind;
};

struct member {
	/* The planner's: its table, the list of the project's members, and the claims it holds. */
	UT_hash_handle hh;
	char *key; /* engine and id, each with its NUL */
	struct project *project;
	struct member *prev, *next; /* in the project */
	bool attached; /* its claims stand in the ledger */
	bool rereading; /* on the list of those that are read anew */
	uint64_t serving_ms; /* without a break since; 0: not as of the last step */
	bool traffic; /* and its slot carries traffic */
	struct ledger_damping *damping; /* what is remembered of its swinging; NULL: nothing */
	size_t nclaims;
	struct member_claim {
		const struct ledger_claim *claim;
		struct convention_origin from; /* the label that asks for it */
	} * claim;

	const struct endpoint *endpoint;
	enum readiness ready;
	unsigned why; /* it is READY_NO: an HTTP status, or one of enum probe_why */
	struct arena arena; /* for all that follows */

	/* Nobody's, and kept only because a deployment may yet name it; it has no project. */
	bool stranger;
	bool ignored; /* its project is not registered, and such ones are to be ignored */
	struct group group;
	const char *slot; /* "" where none; where deployments supersede each other, its deployment's
			     name */
	bool supersedes; /* the newest that is ready gets the hosts, not a slot that was chosen */
	uint64_t deployed_ms; /* how new it is */
	const char *deployment; /* what tells it from others as new; "" where nothing does */
	bool claims; /* false: what it asks for is too broken to claim anything */
	bool codi_branches;
	const char
		*derived; /* the host of its group by the URL template; NULL where there is none */
	struct convention_origin derived_from; /* the label to blame for it */
	enum route_kind kind; /* of that host and of those it names */
	const char
		*derived_suffixed; /* the same with the branch's suffix; NULL where it has none */
	size_t nhosts; /* besides the derived one */
	struct member_host *hosts;
	const char *path; /* "" or "/api" */
	bool strip;
	bool sticky;

	const char *url; /* "http://172.17.0.2:80"; NULL where it cannot be told */
	const char *address;
	uint16_t port;
	bool published;
	bool unchecked; /* waymark.health=none: running counts */
	/* What Waymark asks it for, instead of what the engine checks; NULL: nothing. */
	const char *health_path; /* "/health" */
	bool health_guessed; /* by the convention: 404 is an answer, and the engine's check counts
				more */
	uint32_t health_interval_ms, health_timeout_ms, health_rise, health_fall; /* 0: as in the
										     settings */

	struct problems problems;
};

/* NULL where no convention recognises the container and no deployment names it, or it says
 * enable=false.  Takes a reference to the endpoint. */
struct member *member_create(
	const struct settings *s, const struct registrar *registrar, const struct endpoint *e);
/* Takes NULL. */
void member_destroy(struct member *m);

/* The host of its group in force: the derived one, or the suffixed one. */
const char *member_derived(const struct member *m, bool suffixed);

/* "container web-1 on app1", in the member's arena. */
const char *member_object(struct arena *a, const struct endpoint *e);

/* "label waymark.host" */
const char *origin_text(struct arena *a, const struct convention_origin *from);

/* What a tenant wrote, in quotes, cut to what fits into a message. */
const char *text_quote(struct arena *a, const char *text);

/* How it stands by itself, damped or not. */
enum server_state member_condition(const struct member *m, const struct settings *s);
/* Does it swing too much to be given traffic? */
bool member_is_damped(const struct member *m);
/* How it stands with traffic, leaving out what only the group knows (standby, draining). */
enum server_state member_state(const struct member *m, const struct settings *s);
/* "healthy", "ready", … for people. */
const char *member_health_text(const struct member *m, const struct settings *s);
/* Is it Waymark that finds out whether it is ready, once it runs? */
bool member_is_probed(const struct member *m, const struct settings *s);
/* Does it want a probe? */
bool member_wants_probe(const struct member *m, const struct settings *s);
/* What its probe asks for; NULL: no more than a connection. */
const char *member_probe_path(const struct member *m);
/* What is wrong with one that wants a probe and is READY_NO or READY_CANNOT_TELL, and what to do.
 */
const char *member_probe_fault(struct arena *a, const struct member *m, const char **ret_remedy);

#endif
