/* url.h - the host name that a project, a branch, a slot or a service gets.
 *
 * Fills the operator's URL templates (settings.urls) for one identity.  Pure.
 */
#ifndef RECONCILER_MODEL_URL_H
#define RECONCILER_MODEL_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"
#include "reconciler/model/settings.h"

/* Whose URL.  NULL and "" both mean that there is none of it. */
struct url_parts {
	const char *project; /* always there */
	const char *environment; /* none: production */
	const char *branch; /* makes it a preview */
	const char *slot; /* the slot's own host, beside the one of its environment */
	const char *service; /* a compose service */
	bool suffixed; /* the branch's label ends in its hash in any case */
	bool codi; /* the branch's label by Codi's rule */
};

/* The host, canonical, in the arena.  Every label of it has at most 63 octets: the branch's part is
 * cut to the room that the others leave.  -EINVAL with which part is to blame. */
int url_host(struct arena *a, const struct settings *s, const struct url_parts *u, const char **ret,
	struct err *reterr);

/* What url_host can do with a template, checked when the configuration is read.  needs is a
 * comma separated list of placeholders without which it would give different things one host
 * ("project,branch"), or "".  0, or -EINVAL with what is wrong. */
int url_template_check(const char *template, const char *needs, struct err *reterr);

#endif
