#include "tests/bench/fake_shape.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"

struct piece {
	char *text; /* printed as it is */
	char *member; /* NULL, or ,"name": that is printed only before something */
	int hole; /* -1 after the last text */
};

struct shape {
	size_t n;
	struct piece *pieces;
};

static char *
shape_minify(const char *json, size_t n)
{
	char *out = xmalloc(n + 1);
	size_t len = 0;
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		if (!in_string && isspace((unsigned char)json[i]))
			continue;
		if (json[i] == '"') /* no template has an escaped quote */
			in_string = !in_string;
		out[len++] = json[i];
	}
	out[len] = '\0';
	return out;
}

static int
hole_find(const char *name, size_t n, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (strlen(names[i]) == n && !memcmp(names[i], name, n))
			return i;
	fprintf(stderr, "fake_engine: a shape has an unknown hole '%.*s'\n", (int)n, name);
	exit(2);
}

static struct piece *
shape_piece_add(struct shape *s, const char *text, size_t n, int hole)
{
	s->pieces = xrealloc(s->pieces, (s->n + 1) * sizeof(*s->pieces));
	struct piece *p = &s->pieces[s->n++];
	*p = (struct piece){.text = xmalloc(n + 1), .hole = hole};
	memcpy(p->text, text, n);
	p->text[n] = '\0';
	return p;
}

/* Moves the member's name from the end of the text into p->member. */
static void
piece_make_optional(struct piece *p)
{
	char *comma = strrchr(p->text, ',');
	assert(comma); /* an optional member is never the first */
	p->member = xstrdup(comma);
	*comma = '\0';
}

struct shape *
shape_create(const char *json, size_t n, const char *const *names)
{
	struct shape *s = xcalloc(1, sizeof(*s));
	char *text = shape_minify(json, n);
	const char *at = text, *open;

	while ((open = strstr(at, "{{"))) {
		const char *name = open + 2;
		bool value = *name == '*' || *name == '?';
		const char *close = strstr(name, "}}");
		assert(close);
		int hole = hole_find(name + value, (size_t)(close - name - value), names);
		struct piece *p = shape_piece_add(s, at, (size_t)(open - at - value), hole);
		if (*name == '?')
			piece_make_optional(p);
		at = close + 2 + value;
	}
	shape_piece_add(s, at, strlen(at), -1);
	free(text);
	return s;
}

void
shape_destroy(struct shape *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		free(s->pieces[i].text);
		free(s->pieces[i].member);
	}
	free(s->pieces);
	free(s);
}

static void
buf_cut(struct buf *b, size_t n)
{
	b->n = n;
	b->p[n] = '\0';
}

void
shape_render(const struct shape *s, struct buf *b,
	void (*fill)(struct buf *b, const void *arg, int hole), const void *arg)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct piece *p = &s->pieces[i];
		buf_adds(b, p->text);
		if (p->hole < 0)
			continue;
		size_t before = b->n;
		if (p->member)
			buf_adds(b, p->member);
		size_t empty = b->n;
		fill(b, arg, p->hole);
		if (p->member && b->n == empty)
			buf_cut(b, before);
	}
}
