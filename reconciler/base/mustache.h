/* mustache.h - templates in Mustache, over JSON values.
 *
 * Interpolation, sections, inverted sections, comments, set delimiters and partials, as the
 * specification has them (github.com/mustache/spec, without its optional modules).  Nothing in a
 * template can reach beyond the value that it is given.  How {{name}} is escaped is the caller's;
 * {{{name}}} and {{&name}} are not.  Pure.
 */
#ifndef RECONCILER_BASE_MUSTACHE_H
#define RECONCILER_BASE_MUSTACHE_H

#include <stddef.h>

#include <jansson.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/err.h"

#define MUSTACHE_DEPTH_MAX 64 /* of sections and partials in each other */
#define MUSTACHE_OUTPUT_MAX (16 << 20)
#define MUSTACHE_PARTIALS_MAX 10000 /* one that calls itself twice doubles at each of its levels   \
				     */

struct mustache;

struct mustache_env {
	/* The text of a partial, NUL-terminated, for as long as the rendering lasts; NULL: there is
	 * none of that name, which is as good as an empty one.  NULL: there are no partials. */
	const char *(*partial)(void *arg, const char *name);
	/* Appends the text as {{name}} has it; NULL: mustache_escape_html. */
	void (*escape)(struct buf *b, const char *text);
	void *arg;
};

/* NULL with -EINVAL's text, which names the line: "line 3: {{/b}} ends {{#a}}, which began on line
 * 1". */
struct mustache *mustache_parse(const char *text, struct err *reterr);
/* Takes NULL. */
void mustache_destroy(struct mustache *m);

/* Appends.  A number or true and false are printed as JSON has them, nothing for null and what is
 * missing.  -EINVAL: a partial is no template; -EMSGSIZE: too deep or too large.  What was appended
 * until then stays. */
int mustache_render(const struct mustache *m, const json_t *data, const struct mustache_env *env,
	struct buf *ret, struct err *reterr);

/* Calls back for each name that the template interpolates or opens a section by, as it stands
 * there. */
void mustache_each_name(const struct mustache *m,
	void (*fn)(void *arg, const char *name, unsigned line), void *arg);

void mustache_escape_html(struct buf *b, const char *text);

#endif
