#include "reconciler/base/json.h"

#include <string.h>

#include "reconciler/base/utf8.h"

#define INT_DIGITS_MAX 18 /* always fits an int64_t */

/* -- jansson -- */

json_t *
json_read(const char *text, size_t n)
{
	return json_loadb(text, n, JSON_DECODE_ANY, NULL);
}

const char *
json_get_string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int64_t
json_get_int(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *v = json_object_get(object, key);
	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool
json_get_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

json_t *
json_get_object(const json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	return json_is_object(v) ? v : NULL;
}

json_t *
json_get_array(const json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	return json_is_array(v) ? v : NULL;
}

/* -- finding the ends of things; all return NULL where there is no end -- */

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* From the opening quote to behind the closing one. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		while (p < end && *p != '"' && *p != '\\')
			p++;
		if (p < end && *p++ == '"')
			return p;
	}
	return NULL;
}

enum { PLAIN, QUOTE, OPEN, CLOSE };

static const unsigned char class_of[256] = {
	['"'] = QUOTE, ['{'] = OPEN, ['['] = OPEN, ['}'] = CLOSE, [']'] = CLOSE};

/* Not by recursion: depth is the text's to choose. */
static const char *
skip_nested(const char *p, const char *end)
{
	size_t depth = 0;

	while (p && p < end) {
		unsigned char class = class_of[(unsigned char)*p];
		if (class == QUOTE) {
			p = skip_string(p, end);
			continue;
		}
		p++;
		if (class == OPEN)
			depth++;
		else if (class == CLOSE && --depth == 0)
			return p;
	}
	return NULL;
}

static const char *
skip_scalar(const char *p, const char *end)
{
	const char *from = p;
	while (p < end && !strchr(",}] \t\n\r", *p))
		p++;
	return p == from ? NULL : p;
}

static const char *
skip_value(const char *p, const char *end)
{
	if (p >= end)
		return NULL;
	if (*p == '"')
		return skip_string(p, end);
	if (*p == '{' || *p == '[')
		return skip_nested(p, end);
	return skip_scalar(p, end);
}

/* -- spans -- */

struct json_span
json_span_of(const char *text, size_t n)
{
	const char *p = skip_space(text, text + n);
	const char *end = skip_value(p, text + n);
	return end ? (struct json_span){p, (size_t)(end - p)} : (struct json_span){0};
}

/* The key and what follows it; returns where the value begins. */
static const char *
read_key(const char *p, const char *end, struct json_span *ret_key)
{
	const char *after = p < end && *p == '"' ? skip_string(p, end) : NULL;
	if (!after)
		return NULL;
	*ret_key = (struct json_span){p, (size_t)(after - p)};
	p = skip_space(after, end);
	return p < end && *p == ':' ? skip_space(p + 1, end) : NULL;
}

bool
json_span_next(struct json_span whole, struct json_span *at, struct json_span *ret_key,
	struct json_span *ret_value)
{
	if (whole.n < 2 || (*whole.p != '{' && *whole.p != '['))
		return false;
	const char *end = whole.p + whole.n - 1; /* its closing bracket */
	const char *p = skip_space(at->p ? at->p : whole.p + 1, end);

	if (at->p) {
		if (p == end || *p != ',')
			return false;
		p = skip_space(p + 1, end);
	}
	*ret_key = (struct json_span){0};
	if (*whole.p == '{')
		p = read_key(p, end, ret_key);
	const char *after = p ? skip_value(p, end) : NULL;
	if (!after)
		return false;
	*ret_value = (struct json_span){p, (size_t)(after - p)};
	*at = (struct json_span){after, 0};
	return true;
}

static bool
key_is(struct json_span key, const char *name)
{
	size_t n = key.n - 2;
	/* Not strncmp: a key may hold a NUL, at which it would call both equal. */
	return key.p[1] == *name && strlen(name) == n && !memcmp(key.p + 1, name, n);
}

bool
json_span_pick(struct json_span object, const char *const keys[], size_t n, struct json_span ret[])
{
	struct json_span at = {0}, key, value;

	memset(ret, 0, n * sizeof(*ret));
	if (!json_span_is_object(object))
		return false;
	while (json_span_next(object, &at, &key, &value))
		for (size_t i = 0; i < n; i++)
			if (key_is(key, keys[i]))
				ret[i] = value;
	return true;
}

struct json_span
json_span_member(struct json_span object, const char *key)
{
	struct json_span value;
	json_span_pick(object, &key, 1, &value);
	return value;
}

/* Text that means itself: no escapes, no control characters, valid UTF-8. */
static bool
is_literal(const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint32_t c;
		unsigned char byte = (unsigned char)p[i];
		size_t len = byte < 0x80 ? 1 : utf8_decode(p + i, n - i, &c);
		if (!len || byte < 0x20 || byte == '\\')
			return false;
		i += len;
	}
	return true;
}

static bool
is_string(struct json_span s)
{
	return s.n >= 2 && *s.p == '"';
}

const char *
json_span_string(struct json_span s, struct arena *a)
{
	if (!is_string(s))
		return NULL;
	if (is_literal(s.p + 1, s.n - 2))
		return arena_strndup(a, s.p + 1, s.n - 2);

	json_t *v = json_read(s.p, s.n);
	const char *text = arena_strdup(a, json_string_value(v));
	json_decref(v);
	return text;
}

bool
json_span_copy(struct json_span s, char *ret, size_t size)
{
	if (!is_string(s))
		return false;
	if (is_literal(s.p + 1, s.n - 2)) {
		if (s.n - 2 >= size)
			return false;
		memcpy(ret, s.p + 1, s.n - 2);
		ret[s.n - 2] = '\0';
		return true;
	}

	json_t *v = json_read(s.p, s.n);
	bool fits = v && json_string_length(v) < size;
	if (fits)
		memcpy(ret, json_string_value(v), json_string_length(v) + 1);
	json_decref(v);
	return fits;
}

int64_t
json_span_int(struct json_span s, int64_t otherwise)
{
	bool negative = s.n > 1 && *s.p == '-';
	int64_t value = 0;

	if (!s.n || s.n - negative > INT_DIGITS_MAX)
		return otherwise;
	for (size_t i = negative; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return otherwise;
		value = value * 10 + (s.p[i] - '0');
	}
	return negative ? -value : value;
}

bool
json_span_is_true(struct json_span s)
{
	return s.n == 4 && !memcmp(s.p, "true", 4);
}

bool
json_span_is_object(struct json_span s)
{
	return s.n >= 2 && *s.p == '{';
}
