#include "reconciler/base/json_split.h"

#include <errno.h>
#include <string.h>

/* What is kept for the next object; an unusually large one does not stay in memory. */
#define KEEP_MAX 65536

enum { PLAIN, QUOTE, BACKSLASH, OPEN, CLOSE };

static const unsigned char class_of[256] = {
	['"'] = QUOTE,
	['\\'] = BACKSLASH,
	['{'] = OPEN,
	['['] = OPEN,
	['}'] = CLOSE,
	[']'] = CLOSE,
};

void
json_split_init(struct json_split *s, bool array, size_t object_max,
	void (*object)(void *arg, const char *json, size_t n), void *arg)
{
	*s = (struct json_split){
		.array = array, .object_max = object_max, .object = object, .arg = arg};
}

void
json_split_finish(struct json_split *s)
{
	buf_finish(&s->held);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int
unexpected(const char *p, const char *end, struct err *reterr)
{
	char text[17] = "";
	for (size_t i = 0; i < sizeof(text) - 1 && p < end; i++, p++)
		text[i] = *p >= ' ' && *p < 0x7f ? *p : '?';
	return err_set(reterr, EINVAL, "not JSON objects: '%s'", text);
}

/* Between objects: stops behind the brace that opens one. */
static int
skip_between(struct json_split *s, const char **p, const char *end, struct err *reterr)
{
	for (; *p < end; (*p)++) {
		char c = **p;
		if (is_space(c))
			continue;
		if (s->array && !s->opened && c == '[') {
			s->opened = true;
		} else if (s->array && s->opened && !s->closed && c == ']' && !s->comma) {
			s->closed = true;
		} else if (s->array && s->element && c == ',') {
			s->element = false;
			s->comma = true;
		} else if (c == '{' && s->opened == s->array && !s->closed && !s->element) {
			s->comma = false;
			s->depth = 1;
			(*p)++;
			return 0;
		} else {
			return unexpected(*p, end, reterr);
		}
		if (s->closed)
			s->element = false;
	}
	return 0;
}

/* Within an object: stops behind the brace that closes it. */
static const char *
skip_within(struct json_split *s, const char *p, const char *end)
{
	for (; p < end; p++) {
		unsigned char class = class_of[(unsigned char)*p];
		if (s->escaped)
			s->escaped = false;
		else if (class == PLAIN)
			continue;
		else if (class == QUOTE)
			s->in_string = !s->in_string;
		else if (class == BACKSLASH)
			s->escaped = s->in_string;
		else if (s->in_string)
			continue;
		else if (class == OPEN)
			s->depth++;
		else if (--s->depth == 0)
			return p + 1;
	}
	return p;
}

static int
too_large(const struct json_split *s, struct err *reterr)
{
	return err_set(reterr, EMSGSIZE, "an object of more than %zu bytes", s->object_max);
}

static void
hand_over(struct json_split *s, const char *json, size_t n)
{
	s->element = s->array;
	if (!s->held.n) {
		s->object(s->arg, json, n);
		return;
	}
	buf_add(&s->held, json, n);
	s->object(s->arg, s->held.p, s->held.n);
	if (s->held.cap > KEEP_MAX)
		buf_finish(&s->held);
	else
		buf_reset(&s->held);
}

int
json_split_feed(struct json_split *s, const char *bytes, size_t n, struct err *reterr)
{
	const char *p = bytes, *end = bytes + n;

	while (p < end) {
		const char *from = p;
		if (!s->depth) {
			int r = skip_between(s, &p, end, reterr);
			if (r < 0)
				return r;
			if (!s->depth)
				break;
			from = p - 1;
		}
		p = skip_within(s, p, end);

		size_t piece = (size_t)(p - from);
		if (s->held.n + piece > s->object_max)
			return too_large(s, reterr);
		if (s->depth)
			buf_add(&s->held, from, piece);
		else
			hand_over(s, from, piece);
	}
	return 0;
}

bool
json_split_is_whole(const struct json_split *s)
{
	return !s->depth && s->closed == s->array;
}
