/* site_render.h - a project plan in Caddy's language: site files.
 *
 * A file holds the sites of one project and environment: all its hosts, with previews' and slots'.
 * A host stands in one file, that of the environment that owns its shortest path.  The text comes
 * from a template, built in or the operator's; every value that reaches it is a type printed:
 * hosts, paths, addresses, numbers and words of a-z and 0-9, so that nothing a tenant writes can
 * open a brace or end a token (templates/README.md lists them).  Pure.
 */
#ifndef PROVIDER_CADDY_SITE_RENDER_H
#define PROVIDER_CADDY_SITE_RENDER_H

#include <stddef.h>

#include "reconciler/model/plan.h"
#include "reconciler/model/settings.h"

/* The first line of every file that is ours begins so. */
#define SITE_MARK "# Written by Waymark"

struct site_file {
	const char *name; /* "shop-production.caddy": letters, digits, '-', '_' and '.' */
	const char *text; /* with the mark; NULL: its template failed, so the last good one stays */
};

struct site_files {
	size_t n;
	struct site_file *list; /* sorted by name, each name once */
};

struct site_template;

/* NULL with what is wrong and on which line; text NULL: the built-in one.  Names that no template
 * gets are wrong. */
struct site_template *site_template_parse(const char *text, struct err *reterr);
void site_template_destroy(struct site_template *t);

/* The files of one plan, in the arena.  The plan of static routes has one, "static.caddy".  What a
 * template could not be made of is a problem. */
void site_render(const struct project_plan *plan, const struct settings *settings,
	const struct site_template *t, struct arena *a, struct site_files *ret,
	struct problems *problems);

/* waymark.caddy, which answers 404 for hosts that nobody has, so that the glob is never empty. */
const char *site_render_default(const struct settings *settings, struct arena *a);

#endif
