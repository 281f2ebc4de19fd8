/* entitlement.h - the hosts that a registered project has by its entry alone.
 *
 * Its environments' hosts by the URL templates, its slots' own, its domains, and what its
 * deployments name.  What it may not have (a domain under nobody's permission, a reserved name) is
 * a problem instead.  Pure.
 */
#ifndef RECONCILER_MODEL_ENTITLEMENT_H
#define RECONCILER_MODEL_ENTITLEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/model/ledger.h"
#include "reconciler/model/problem.h"
#include "reconciler/model/registry.h"
#include "reconciler/model/settings.h"

struct entitlement {
	const char *host;
	const char *suffixed; /* the same with the branch's suffix; NULL where it has none */
	struct group group;
	const char *slot; /* "" but for a slot's own URL */
	enum route_kind kind;
	bool derived; /* by a URL template */
	const char *field; /* where the entry says so; NULL where it is derived */
};

struct entitlements {
	struct arena arena;
	size_t n, cap;
	struct entitlement *list; /* a host may stand in it for several groups */
	struct problems problems;
};

/* Strings are copied. */
struct entitlements *entitlements_create(
	const struct settings *s, const struct registered_project *p);
/* Takes NULL. */
void entitlements_destroy(struct entitlements *e);

/* Is the host under base_domain or an allowed domain? */
bool host_is_allowed(const struct settings *s, const char *host);

/* What a group's own host is. */
enum route_kind group_kind(const struct group *g);

/* What a host of the group is that deployments of the project name: a deployment's own URL is of
 * the kind slot. */
enum route_kind deployment_host_kind(const struct settings *s, const struct registered_project *p,
	const char *host, const struct group *g);

/* Does the deployment take the traffic of a host that it names?  One that stands by leaves to
 * others what one that runs names. */
bool deployment_takes(const struct registered_project *p, const struct registered_deployment *d,
	const char *host);

/* What runs a branch is a preview, whatever its row says. */
const char *deployment_environment(const struct registered_deployment *d);

#endif
