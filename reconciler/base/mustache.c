#include "reconciler/base/mustache.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"

enum node_kind { NODE_TEXT, NODE_ESCAPED, NODE_PLAIN, NODE_SECTION, NODE_INVERTED, NODE_PARTIAL };

struct node {
	enum node_kind kind;
	const char *text; /* of NODE_TEXT; else the name */
	size_t n; /* of NODE_TEXT */
	unsigned line;
	const char *indent; /* of NODE_PARTIAL: what stands before each of its lines */
	struct node *inner; /* of sections */
	struct node *next;
};

struct mustache {
	struct arena arena;
	struct node *first;
};

/* -- parsing -- */

/* A section that is open. */
struct open {
	struct node *section; /* NULL: the template itself */
	struct node **end; /* where the next node goes */
};

struct parser {
	struct arena *arena;
	const char *start, *at;
	const char *left, *right; /* the delimiters */
	size_t depth;
	struct open open[MUSTACHE_DEPTH_MAX + 1];
	struct err *reterr;
};

/* What stands between the delimiters. */
struct tag {
	char sigil; /* '#', '^', '/', '>', '!', '=', '&', '{'; '\0': a name alone */
	const char *name; /* trimmed */
	const char *begin, *end; /* with the delimiters */
	unsigned line;
};

static unsigned
line_of(const struct parser *p, const char *at)
{
	unsigned line = 1;
	for (const char *c = p->start; c < at; c++)
		line += *c == '\n';
	return line;
}

static struct node *
node_add(struct parser *p, enum node_kind kind, const char *text, unsigned line)
{
	struct node *node = ARENA_NEW(p->arena, struct node);
	struct open *o = &p->open[p->depth];

	*node = (struct node){.kind = kind, .text = text, .line = line};
	*o->end = node;
	o->end = &node->next;
	return node;
}

static void
text_add(struct parser *p, const char *from, const char *to)
{
	if (from < to)
		node_add(p, NODE_TEXT, arena_strndup(p->arena, from, (size_t)(to - from)), 0)->n =
			(size_t)(to - from);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Where a tag's line begins, if nothing but blanks stands before the tag; else NULL. */
static const char *
line_before(const struct parser *p, const char *tag)
{
	while (tag > p->start && is_blank(tag[-1]))
		tag--;
	return tag == p->start || tag[-1] == '\n' ? tag : NULL;
}

/* Where the line after a tag begins, if nothing but blanks stands behind the tag; else NULL. */
static const char *
line_after(const char *tag)
{
	while (is_blank(*tag))
		tag++;
	if (*tag == '\r' && tag[1] == '\n')
		tag++;
	return *tag == '\n' ? tag + 1 : *tag ? NULL : tag;
}

/* The text trimmed, in the arena. */
static const char *
trim(struct arena *a, const char *from, const char *to)
{
	while (from < to && strchr(" \t\r\n", *from))
		from++;
	while (to > from && strchr(" \t\r\n", to[-1]))
		to--;
	return arena_strndup(a, from, (size_t)(to - from));
}

/* The tag that begins here. */
static int
tag_read(struct parser *p, const char *begin, struct tag *ret)
{
	const char *inner = begin + strlen(p->left), *closing = p->right, *end;

	*ret = (struct tag){.begin = begin, .line = line_of(p, begin)};
	inner += strspn(inner, " \t\r\n");
	if (*inner && strchr("#^/>!=&{", *inner))
		ret->sigil = *inner++;
	if (ret->sigil == '{')
		closing = arena_printf(p->arena, "}%s", p->right);
	if (ret->sigil == '=')
		closing = arena_printf(p->arena, "=%s", p->right);
	end = strstr(inner, closing);
	if (!end)
		return err_set(
			p->reterr, EINVAL, "line %u: a tag without its '%s'", ret->line, closing);
	ret->name = trim(p->arena, inner, end);
	ret->end = end + strlen(closing);
	if (!*ret->name && ret->sigil != '!')
		return err_set(p->reterr, EINVAL, "line %u: a tag without a name", ret->line);
	return 0;
}

static int
delimiters_set(struct parser *p, const struct tag *t)
{
	size_t n = strcspn(t->name, " \t\r\n");
	const char *right = t->name + n + strspn(t->name + n, " \t\r\n");

	if (!*right || right[strcspn(right, " \t\r\n=")] || memchr(t->name, '=', n))
		return err_set(p->reterr, EINVAL, "line %u: two delimiters are wanted in '%s'",
			t->line, t->name);
	p->left = arena_strndup(p->arena, t->name, n);
	p->right = right;
	return 0;
}

static int
section_open(struct parser *p, const struct tag *t)
{
	if (p->depth == MUSTACHE_DEPTH_MAX)
		return err_set(p->reterr, EINVAL, "line %u: more than %d sections in each other",
			t->line, MUSTACHE_DEPTH_MAX);
	struct node *s =
		node_add(p, t->sigil == '#' ? NODE_SECTION : NODE_INVERTED, t->name, t->line);
	p->open[++p->depth] = (struct open){s, &s->inner};
	return 0;
}

static int
section_close(struct parser *p, const struct tag *t)
{
	const struct node *s = p->open[p->depth].section;

	if (!s)
		return err_set(
			p->reterr, EINVAL, "line %u: {{/%s}} ends nothing", t->line, t->name);
	if (strcmp(s->text, t->name) != 0)
		return err_set(p->reterr, EINVAL,
			"line %u: {{/%s}} ends {{%c%s}}, which began on line %u", t->line, t->name,
			s->kind == NODE_SECTION ? '#' : '^', s->text, s->line);
	p->depth--;
	return 0;
}

static int
tag_take(struct parser *p, const struct tag *t, const char *indent)
{
	switch (t->sigil) {
	case '!':
		return 0;
	case '=':
		return delimiters_set(p, t);
	case '#':
	case '^':
		return section_open(p, t);
	case '/':
		return section_close(p, t);
	case '>':
		node_add(p, NODE_PARTIAL, t->name, t->line)->indent = indent;
		return 0;
	default:
		node_add(p, t->sigil ? NODE_PLAIN : NODE_ESCAPED, t->name, t->line);
		return 0;
	}
}

/* A tag that prints nothing itself takes its line with it, if it is alone there. */
static int
tag_next(struct parser *p, const char *begin)
{
	struct tag t;
	int r = tag_read(p, begin, &t);

	if (r < 0)
		return r;
	const char *before = line_before(p, t.begin), *after = line_after(t.end);
	bool alone = before && after && t.sigil && strchr("#^/>!=", t.sigil);
	text_add(p, p->at, alone ? before : t.begin);
	p->at = alone ? after : t.end;
	return tag_take(
		p, &t, alone ? arena_strndup(p->arena, before, (size_t)(t.begin - before)) : "");
}

static int
parse_all(struct parser *p)
{
	const char *tag;

	while ((tag = strstr(p->at, p->left))) {
		int r = tag_next(p, tag);
		if (r < 0)
			return r;
	}
	text_add(p, p->at, p->at + strlen(p->at));
	const struct node *s = p->open[p->depth].section;
	if (s)
		return err_set(p->reterr, EINVAL, "line %u: {{%c%s}} has no end", s->line,
			s->kind == NODE_SECTION ? '#' : '^', s->text);
	return 0;
}

struct mustache *
mustache_parse(const char *text, struct err *reterr)
{
	struct mustache *m = xcalloc(1, sizeof(*m));
	struct parser p = {.arena = &m->arena,
		.start = text,
		.at = text,
		.left = "{{",
		.right = "}}",
		.reterr = reterr};

	p.open[0].end = &m->first;
	if (parse_all(&p) == 0)
		return m;
	mustache_destroy(m);
	return NULL;
}

void
mustache_destroy(struct mustache *m)
{
	if (!m)
		return;
	arena_finish(&m->arena);
	free(m);
}

/* -- rendering -- */

struct render {
	const struct mustache_env *env;
	struct buf *out;
	size_t limit; /* of the output */
	size_t partials; /* rendered until now */
	size_t depth;
	const json_t *context[MUSTACHE_DEPTH_MAX + 1]; /* the innermost last */
	struct err *reterr;
};

static const json_t *
member(const json_t *of, const char *name, size_t n)
{
	return json_object_getn(of, name, n);
}

/* "a.b": a is looked for from the innermost context outwards, b in it alone. */
static const json_t *
lookup(const struct render *r, const char *name)
{
	size_t n = strcspn(name, ".");
	const json_t *found = NULL;

	if (strcmp(name, ".") == 0)
		return r->context[r->depth];
	for (size_t i = r->depth + 1; i > 0 && !found; i--)
		found = member(r->context[i - 1], name, n);
	while (found && name[n]) {
		name += n + 1;
		n = strcspn(name, ".");
		found = member(found, name, n);
	}
	return found;
}

static bool
is_false(const json_t *v)
{
	return !v || json_is_null(v) || json_is_false(v) ||
	       (json_is_array(v) && json_array_size(v) == 0);
}

/* The shortest that reads back the same. */
static void
add_real(struct buf *b, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", value);
	if (fabs(strtod(text, NULL) - value) > 0)
		snprintf(text, sizeof(text), "%.17g", value);
	buf_adds(b, text);
}

static void
interpolate(struct render *r, const json_t *v, bool escaped)
{
	if (json_is_integer(v))
		buf_addf(r->out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		add_real(r->out, json_real_value(v));
	else if (json_is_boolean(v))
		buf_adds(r->out, json_is_true(v) ? "true" : "false");
	else if (json_is_string(v) && escaped)
		(r->env->escape ? r->env->escape : mustache_escape_html)(
			r->out, json_string_value(v));
	else if (json_is_string(v))
		buf_adds(r->out, json_string_value(v));
}

static int render_nodes(struct render *r, const struct node *node);

static int
render_in(struct render *r, const struct node *nodes, const json_t *context)
{
	if (r->depth == MUSTACHE_DEPTH_MAX)
		return err_set(r->reterr, EMSGSIZE, "more than %d sections in each other",
			MUSTACHE_DEPTH_MAX);
	r->context[++r->depth] = context;
	int e = render_nodes(r, nodes);
	r->depth--;
	return e;
}

static int
render_section(struct render *r, const struct node *node)
{
	const json_t *v = lookup(r, node->text);

	if (is_false(v))
		return 0;
	if (!json_is_array(v))
		return render_in(r, node->inner, v);
	for (size_t i = 0; i < json_array_size(v); i++) {
		int e = render_in(r, node->inner, json_array_get(v, i));
		if (e < 0)
			return e;
	}
	return 0;
}

/* The text with the indentation before each of its lines. */
static char *
indented(const char *text, const char *indent)
{
	struct buf b = {0};

	buf_adds(&b, "");
	for (size_t n; *text; text += n) {
		const char *end = strchr(text, '\n');
		n = end ? (size_t)(end - text) + 1 : strlen(text);
		buf_adds(&b, indent);
		buf_add(&b, text, n);
	}
	return buf_steal(&b, NULL);
}

static int
render_partial(struct render *r, const struct node *node)
{
	const char *text = r->env->partial ? r->env->partial(r->env->arg, node->text) : NULL;

	if (!text)
		return 0;
	if (++r->partials > MUSTACHE_PARTIALS_MAX)
		return err_set(r->reterr, EMSGSIZE, "more than %d partials", MUSTACHE_PARTIALS_MAX);
	char *whole = indented(text, node->indent);
	struct mustache *m = mustache_parse(whole ? whole : "", r->reterr);
	int e = m ? render_in(r, m->first, r->context[r->depth])
		  : err_wrap(r->reterr, "partial '%s'", node->text);
	mustache_destroy(m);
	free(whole);
	return e;
}

static int
render_node(struct render *r, const struct node *node)
{
	switch (node->kind) {
	case NODE_TEXT:
		buf_add(r->out, node->text, node->n);
		break;
	case NODE_ESCAPED:
	case NODE_PLAIN:
		interpolate(r, lookup(r, node->text), node->kind == NODE_ESCAPED);
		break;
	case NODE_SECTION:
		return render_section(r, node);
	case NODE_INVERTED:
		return is_false(lookup(r, node->text)) ? render_nodes(r, node->inner) : 0;
	case NODE_PARTIAL:
		return render_partial(r, node);
	}
	return r->out->n <= r->limit ? 0 : err_set(r->reterr, EMSGSIZE, "it becomes too large");
}

static int
render_nodes(struct render *r, const struct node *node)
{
	for (; node; node = node->next) {
		int e = render_node(r, node);
		if (e < 0)
			return e;
	}
	return 0;
}

int
mustache_render(const struct mustache *m, const json_t *data, const struct mustache_env *env,
	struct buf *ret, struct err *reterr)
{
	static const struct mustache_env plain;
	struct render r = {.env = env ? env : &plain,
		.out = ret,
		.limit = ret->n + MUSTACHE_OUTPUT_MAX,
		.reterr = reterr};

	r.context[0] = data;
	return render_nodes(&r, m->first);
}

static void
each_name(
	const struct node *node, void (*fn)(void *arg, const char *name, unsigned line), void *arg)
{
	for (; node; node = node->next) {
		if (node->kind != NODE_TEXT && node->kind != NODE_PARTIAL)
			fn(arg, node->text, node->line);
		each_name(node->inner, fn, arg);
	}
}

void
mustache_each_name(
	const struct mustache *m, void (*fn)(void *arg, const char *name, unsigned line), void *arg)
{
	each_name(m->first, fn, arg);
}

void
mustache_escape_html(struct buf *b, const char *text)
{
	static const char *const entities[256] = {['&'] = "&amp;",
		['<'] = "&lt;",
		['>'] = "&gt;",
		['"'] = "&quot;",
		['\''] = "&#39;"};

	for (; *text; text++) {
		const char *entity = entities[(unsigned char)*text];
		if (entity)
			buf_adds(b, entity);
		else
			buf_add(b, text, 1);
	}
}
