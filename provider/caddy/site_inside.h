/* site_inside.h - what the parts of the site renderer share, and nobody else sees.  Pure. */
#ifndef PROVIDER_CADDY_SITE_INSIDE_H
#define PROVIDER_CADDY_SITE_INSIDE_H

#include <jansson.h>

#include "provider/caddy/site_render.h"

/* templates/site.caddy.mustache, built in. */
extern const char site_builtin[];

/* The first line of a file. */
#define SITE_MARK_LINE SITE_MARK "; what is changed here is written over.\n"

/* What a template may name: all that a context has, and templates/README.md lists. */
/* clang-format off */
#define SITE_NAMES(X)                                                                              \
	X("name") X("project") X("environment") X("sites")                                         \
	X("address") X("host") X("kind") X("slot") X("routes")                                     \
	X("path") X("matcher") X("strip") X("sticky")                                              \
	X("proxied") X("upstreams") X("dial") X("scheme") X("several") X("https") X("h2c")         \
	X("served") X("starting") X("down") X("gone") X("retry_after")                             \
	X("noindex") X("restricted") X("networks") X("protected") X("users") X("user") X("hash")   \
	X("encode") X("active_slot") X("active_since") X("stream_close_delay") X(".")
/* clang-format on */

/* The file's text with its mark, in the arena; NULL where the template fails. */
const char *site_template_render(
	const struct site_template *t, const json_t *context, struct arena *a, struct err *reterr);

/* What stands before guarded sites: {"restricted", "networks", "protected", "users"}.  NULL where
 * some of it cannot be written in a Caddyfile. */
json_t *site_guards_render(const struct settings_preview *p, struct arena *a, struct err *reterr);

#endif
