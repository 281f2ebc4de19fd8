#include "reconciler/base/json_edit.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/json.h"

struct member {
	struct json_span key, value; /* p is NULL: there is none */
};

/* An object in the text. */
struct object {
	struct json_span span;
	size_t n;
	struct member first, last, found, before, after; /* with the neighbours of the found one */
};

static bool
key_is(struct json_span key, const char *name)
{
	struct arena a = {0};
	const char *text = json_span_string(key, &a);
	bool is = text && strcmp(text, name) == 0;
	arena_finish(&a);
	return is;
}

/* name is NULL: only its ends. */
static struct object
object_scan(struct json_span span, const char *name)
{
	struct object o = {.span = span};
	struct json_span at = {0};
	struct member m;

	while (json_span_next(span, &at, &m.key, &m.value)) {
		if (o.n++ == 0)
			o.first = m;
		if (o.found.key.p && o.found.key.p == o.last.key.p)
			o.after = m;
		if (name && !o.found.key.p && key_is(m.key, name)) {
			o.found = m;
			o.before = o.last;
		}
		o.last = m;
	}
	return o;
}

static const char *
end_of(struct json_span s)
{
	return s.p + s.n;
}

/* -- how it looks -- */

struct look {
	const char *before, *behind; /* a new member, with the commas elsewhere */
	const char *colon;
};

static bool
has_line(const char *from, const char *to)
{
	return memchr(from, '\n', (size_t)(to - from)) != NULL;
}

/* The white space just before it. */
static const char *
space_before(const char *p, struct arena *a)
{
	const char *from = p;
	while (strchr(" \t\r\n", from[-1]))
		from--;
	return arena_strndup(a, from, (size_t)(p - from));
}

static const char *
colon_of(const struct object *o)
{
	return o->n && end_of(o->first.key) + 1 == o->first.value.p ? ":" : ": ";
}

/* The first object with members that stands in it; p is NULL where none does. */
static struct json_span
first_inner(struct json_span span)
{
	struct json_span at = {0}, key, value;

	while (json_span_next(span, &at, &key, &value))
		if (json_span_is_object(value) && object_scan(value, NULL).n)
			return value;
	return (struct json_span){0};
}

/* Of the first member of an empty object in an outer one. */
static struct look
look_of_first(const struct object *outer, struct json_span inner, struct arena *a)
{
	struct look l = {"", "", colon_of(outer)};
	struct json_span like = outer->span.p ? first_inner(outer->span) : (struct json_span){0};

	if (like.p) {
		struct object o = object_scan(like, NULL);
		l.before = space_before(o.first.key.p, a);
		l.behind = space_before(end_of(like) - 1, a);
		l.colon = colon_of(&o);
	} else if (outer->n && has_line(end_of(outer->last.value), end_of(outer->span))) {
		/* Where the outer one is written on lines of its own, so is this. */
		const char *line = inner.p;
		while (line > outer->span.p && line[-1] != '\n')
			line--;
		size_t indent = strspn(line, " \t");
		const char *unit = *line == '\t' ? "\t" : "  ";
		l.before = arena_printf(a, "\n%.*s%s", (int)indent, line, unit);
		l.behind = arena_printf(a, "\n%.*s", (int)indent, line);
	}
	return l;
}

static struct look
look_of_next(const struct object *o, struct arena *a)
{
	struct look l = {"", "", colon_of(o)};
	const char *space = space_before(o->last.key.p, a);

	l.before = strchr(space, '\n') ? space : l.colon[1] ? " " : "";
	return l;
}

/* -- edits -- */

static void
splice(struct buf *text, const char *from, const char *to, const char *with)
{
	struct buf b = {0};

	buf_add(&b, text->p, (size_t)(from - text->p));
	buf_adds(&b, with);
	buf_add(&b, to, (size_t)(text->p + text->n - to));
	buf_finish(text);
	*text = b;
}

static void
take_away(struct buf *text, const struct object *o)
{
	if (o->before.key.p)
		splice(text, end_of(o->before.value), end_of(o->found.value), "");
	else if (o->after.key.p)
		splice(text, o->found.key.p, o->after.key.p, "");
	else
		splice(text, o->span.p + 1, end_of(o->span) - 1, "");
}

static void
add(struct buf *text, const struct object *outer, const struct object *o, const char *name,
	const char *value)
{
	struct arena a = {0};
	struct look l = o->n ? look_of_next(o, &a) : look_of_first(outer, o->span, &a);
	struct buf b = {0};

	buf_addf(&b, "%s%s", o->n ? "," : "", l.before);
	buf_json(&b, name);
	buf_addf(&b, "%s%s%s", l.colon, value, l.behind);
	if (o->n)
		splice(text, end_of(o->last.value), end_of(o->last.value), b.p);
	else
		splice(text, o->span.p + 1, end_of(o->span) - 1, b.p);
	buf_finish(&b);
	arena_finish(&a);
}

bool
json_edit_set(struct buf *text, const char *const path[], size_t n, const char *value)
{
	size_t mark = text->n >= 3 && memcmp(text->p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	struct json_span span = json_span_of(text->p + mark, text->n - mark);
	struct object outer = {0}, o = {0};

	for (size_t i = 0; i < n; i++) {
		if (!json_span_is_object(span))
			return false;
		outer = o;
		o = object_scan(span, path[i]);
		span = o.found.value;
	}
	if (o.found.key.p && value)
		splice(text, o.found.value.p, end_of(o.found.value), value);
	else if (o.found.key.p)
		take_away(text, &o);
	else if (value)
		add(text, &outer, &o, path[n - 1], value);
	return true;
}
