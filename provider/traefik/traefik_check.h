/* traefik_check.h - the self-check that nothing Traefik would refuse gets out.
 *
 * Traefik refuses a whole document for one unknown field, one empty map or one value that does not
 * parse, and every later change with it (contracts: Traefik's HTTP provider).  So what the renderer
 * made is read again against a table of the fields it may have, the shape of their values and the
 * references between them.  Pure.
 */
#ifndef PROVIDER_TRAEFIK_TRAEFIK_CHECK_H
#define PROVIDER_TRAEFIK_TRAEFIK_CHECK_H

#include "reconciler/base/err.h"
#include "reconciler/model/plan.h"
#include "reconciler/model/settings.h"

/* 0, or -EINVAL with where and what: "routers: shop_production_a.b: rule: not ours: '…'". */
int traefik_check_fragment(const struct fragment *f, struct err *reterr);

/* Can everything the operator chose be printed?  The configuration asks this before it takes new
 * settings, so that a mistake in them is refused there and never empties every fragment. */
int traefik_check_settings(const struct settings *s, struct err *reterr);

#endif
