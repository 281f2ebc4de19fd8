/* The template of site files: read, and filled in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "provider/caddy/site_inside.h"
#include "reconciler/base/mustache.h"

struct site_template {
	struct mustache *mustache;
};

struct names {
	struct err *err;
	bool wrong;
};

static void
check_name(void *arg, const char *name, unsigned line)
{
	static const char *const known[] = {
#define X(text) text,
		SITE_NAMES(X)
#undef X
	};
	struct names *names = arg;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i], name) == 0)
			return;
	if (!names->wrong)
		err_set(names->err, EINVAL, "line %u: there is no {{%s}} for a site", line, name);
	names->wrong = true;
}

struct site_template *
site_template_parse(const char *text, struct err *reterr)
{
	struct names names = {.err = reterr};
	struct mustache *m = mustache_parse(text ? text : site_builtin, reterr);

	if (!m)
		return NULL;
	mustache_each_name(m, check_name, &names);
	if (names.wrong) {
		mustache_destroy(m);
		return NULL;
	}
	struct site_template *t = xcalloc(1, sizeof(*t));
	t->mustache = m;
	return t;
}

void
site_template_destroy(struct site_template *t)
{
	if (!t)
		return;
	mustache_destroy(t->mustache);
	free(t);
}

/* There are none, and nothing in its place is not what was meant. */
static const char *
no_partial(void *arg, const char *name)
{
	const char **wanted = arg;
	*wanted = name;
	return NULL;
}

/* All that gets here was printed from a type (site_render.c): there is nothing to escape, and no
 * way to escape it in a Caddyfile. */
static void
escape_nothing(struct buf *b, const char *text)
{
	buf_adds(b, text);
}

const char *
site_template_render(
	const struct site_template *t, const json_t *context, struct arena *a, struct err *reterr)
{
	const char *partial = NULL, *text = NULL;
	const struct mustache_env env = {
		.partial = no_partial, .escape = escape_nothing, .arg = &partial};
	struct buf b = {0};

	buf_adds(&b, SITE_MARK_LINE);
	int r = mustache_render(t->mustache, context, &env, &b, reterr);
	if (r == 0 && partial)
		err_set(reterr, EINVAL, "there is no {{>%s}} for a site", partial);
	else if (r == 0)
		text = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return text;
}
