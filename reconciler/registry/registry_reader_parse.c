#include "reconciler/registry/registry_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/model/host.h"
#include "reconciler/model/slug.h"
#include "reconciler/registry/registry_time_parse.h"

#define WORD_MAX 32
#define NAME_MAX_OCTETS 128
#define TEXT_MAX_OCTETS 255
#define LINE_BUDGET ((size_t)256 * 1024 * 1024)

/* -- where a value stands -- */

static bool
is_plain(const char *key)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	return *key && key[strspn(key, plain)] == '\0';
}

static void
at_print(const struct registry_at *at, struct buf *b)
{
	if (at->up)
		at_print(at->up, b);
	if (!at->key) {
		buf_addf(b, "[%zu]", at->index);
		return;
	}

	struct host_shown key = host_shown(at->key);
	if (is_plain(key.text)) {
		buf_addf(b, at->up ? ".%s" : "%s", key.text);
	} else {
		buf_adds(b, "[");
		buf_json(b, key.text);
		buf_adds(b, "]");
	}
}

const char *
registry_at_text(const struct registry_at *at, struct arena *a)
{
	struct buf b = {0};
	buf_adds(&b, "");
	if (at)
		at_print(at, &b);
	const char *text = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return text;
}

static bool
key_is(struct json_span key, const char *name)
{
	char decoded[256];
	if (memchr(key.p, '\\', key.n))
		return json_span_copy(key, decoded, sizeof(decoded)) && !strcmp(decoded, name);
	return strlen(name) == key.n - 2 && memcmp(key.p + 1, name, key.n - 2) == 0;
}

/* The value's text; *where is its key, or the nearest thing around it that was found. */
static struct json_span
at_find(struct json_span text, const struct registry_at *at, const char **where)
{
	if (!at)
		return json_span_of(text.p, text.n);
	struct json_span whole = at_find(text, at->up, where), i = {0}, key, value;
	size_t index = 0;

	while (json_span_next(whole, &i, &key, &value)) {
		if (at->key ? key.p && key_is(key, at->key) : index++ == at->index) {
			*where = at->key ? key.p : value.p;
			return value;
		}
	}
	return (struct json_span){0};
}

static unsigned
line_of(const char *text, const char *where)
{
	unsigned line = 1;
	while ((text = memchr(text, '\n', (size_t)(where - text)))) {
		line++;
		text++;
	}
	return line;
}

/* 0 where nobody knows, or where so much is wrong that looking for it takes too long. */
static unsigned
at_line(struct registry_reader *r, const struct registry_at *at)
{
	const char *where = NULL;

	if (!r->text.p || r->budget < r->text.n)
		return 0;
	r->budget -= r->text.n;
	at_find(r->text, at, &where);
	return where ? line_of(r->text.p, where) : 0;
}

/* -- faults -- */

struct registry_reader
registry_reader_init(struct registry_reading *reading, const struct registry_options *o)
{
	return (struct registry_reader){.reading = reading, .options = o, .budget = LINE_BUDGET};
}

void
reader_refuse_line(struct registry_reader *r, const struct registry_at *at, unsigned line,
	const char *remedy, const char *what)
{
	struct arena scratch = {0};
	struct registry_fault f = {
		.file = r->options->file,
		.line = line,
		.path = registry_at_text(at, &scratch),
		.what = what,
		.remedy = remedy,
	};

	r->faults++;
	registry_reading_fault(r->reading, &f);
	arena_finish(&scratch);
}

void
reader_refuse(struct registry_reader *r, const struct registry_at *at, const char *remedy,
	const char *fmt, ...)
{
	char what[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);

	reader_refuse_line(r, at, at_line(r, at), remedy, what);
}

struct registry_shown
registry_shown(const json_t *v)
{
	struct registry_shown s = {""};
	const char *kind = json_is_object(v)  ? "an object"
			   : json_is_array(v) ? "a list"
			   : json_is_true(v)  ? "true"
			   : json_is_false(v) ? "false"
					      : "null";

	if (json_is_string(v))
		snprintf(s.text, sizeof(s.text), "'%s'", host_shown(json_string_value(v)).text);
	else if (json_is_integer(v))
		snprintf(s.text, sizeof(s.text), "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		snprintf(s.text, sizeof(s.text), "%.15g", json_real_value(v));
	else
		snprintf(s.text, sizeof(s.text), "%s", kind);
	return s;
}

void
reader_refuse_kind(struct registry_reader *r, const struct registry_at *at, const json_t *v,
	const char *wanted, const char *remedy)
{
	reader_refuse(r, at, remedy, "%s where %s is wanted", registry_shown(v).text, wanted);
}

/* -- members -- */

json_t *
reader_member(const json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	return json_is_null(v) ? NULL : v;
}

void
reader_text(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const char *remedy, const char **ret)
{
	const struct registry_at at = {up, key, 0};
	const json_t *v = reader_member(object, key);

	if (!v)
		return;
	if (!json_is_string(v))
		reader_refuse_kind(r, &at, v, "a text", remedy);
	else if (json_string_length(v) > TEXT_MAX_OCTETS)
		reader_refuse(r, &at, remedy, "more than %d octets: %s", TEXT_MAX_OCTETS,
			registry_shown(v).text);
	else
		*ret = json_string_value(v);
}

void
reader_bool(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const char *remedy, bool *ret)
{
	const struct registry_at at = {up, key, 0};
	const json_t *v = reader_member(object, key);

	if (!v)
		return;
	if (json_is_boolean(v))
		*ret = json_is_true(v);
	else
		reader_refuse_kind(r, &at, v, "true or false", remedy);
}

json_t *
reader_object(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const char *remedy)
{
	const struct registry_at at = {up, key, 0};
	json_t *v = reader_member(object, key);

	if (!v || json_is_object(v))
		return v;
	reader_refuse_kind(r, &at, v, "an object", remedy);
	return NULL;
}

/* JSON has one kind of numbers: 3.0 is 3. */
static bool
count_of(const json_t *v, uint32_t least, uint32_t most, uint32_t *ret)
{
	double number = json_number_value(v);

	if (!json_is_number(v) || !(number >= least && number <= most) ||
		(double)(uint32_t)number != number)
		return false;
	*ret = (uint32_t)number;
	return true;
}

void
reader_count(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, uint32_t least, uint32_t most, const char *remedy, uint32_t *ret)
{
	const struct registry_at at = {up, key, 0};
	const json_t *v = reader_member(object, key);

	if (v && !count_of(v, least, most, ret))
		reader_refuse(r, &at, remedy, "not a whole number from %u to %u: %s", least, most,
			registry_shown(v).text);
}

void
reader_duration(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const char *least, const char *most, const char *remedy, uint32_t *ret_ms)
{
	const struct registry_at at = {up, key, 0};
	const char *text = NULL;
	uint64_t ms, low = 0, high = 0;
	struct err e;

	reader_text(r, up, object, key, remedy, &text);
	if (!text)
		return;
	duration_parse(least, &low, NULL);
	duration_parse(most, &high, NULL);
	if (duration_parse(text, &ms, &e) < 0)
		reader_refuse(r, &at, remedy, "%s", e.text);
	else if (ms < low || ms > high)
		reader_refuse(r, &at, remedy, "not from %s to %s: '%s'", least, most,
			host_shown(text).text);
	else
		*ret_ms = (uint32_t)ms;
}

static bool
port_of(const json_t *v, uint16_t *ret)
{
	uint32_t number;

	if (json_is_string(v))
		return port_parse(json_string_value(v), ret, NULL) >= 0;
	if (!count_of(v, 1, UINT16_MAX, &number))
		return false;
	*ret = (uint16_t)number;
	return true;
}

void
reader_port(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, uint16_t *ret)
{
	const struct registry_at at = {up, key, 0};
	const json_t *v = reader_member(object, key);

	if (v && !port_of(v, ret))
		reader_refuse(r, &at, "write a whole number such as 3000",
			"not a port from 1 to 65535: %s", registry_shown(v).text);
}

void
reader_time(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, uint64_t *ret_ms)
{
	const struct registry_at at = {up, key, 0};
	const json_t *v = reader_member(object, key);

	if (v && (!json_is_string(v) || !registry_time_parse(json_string_value(v), ret_ms)))
		reader_refuse(r, &at, "write one such as 2026-01-02T03:04:05Z",
			"not a date and time with its offset: %s", registry_shown(v).text);
}

/* One text of a list; NULL with a fault where it is wrong. */
static const char *
list_text(struct registry_reader *r, const struct registry_at *at, const json_t *v,
	const struct reader_list *how, struct arena *a)
{
	const char *text;
	struct err e;

	if (!json_is_string(v)) {
		reader_refuse_kind(r, at, v, how->wanted, how->remedy);
		return NULL;
	}
	if (how->parse(a, json_string_value(v), &text, &e) < 0) {
		reader_refuse(r, at, how->remedy, "%s", e.text);
		return NULL;
	}
	return text;
}

size_t
reader_texts(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const struct reader_list *how, struct arena *a, const char *const **ret)
{
	const struct registry_at list = {up, key, 0};
	struct registry_at at = {&list, NULL, 0};
	const json_t *v = reader_member(object, key);
	if (!v || (!json_is_array(v) && !json_is_string(v))) {
		if (v)
			reader_refuse_kind(r, &list, v, "a list", how->remedy);
		return 0;
	}

	size_t n = json_is_array(v) ? json_array_size(v) : 1, to = 0;
	const char **texts = ARENA_ARRAY(a, const char *, n);
	json_t *seen = json_object();
	for (; at.index < n; at.index++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, at.index) : v;
		const char *text = list_text(r, json_is_array(v) ? &at : &list, one, how, a);
		if (text && !json_object_get(seen, text) &&
			json_object_set_new(seen, text, json_true()) == 0)
			texts[to++] = text;
	}
	json_decref(seen);
	*ret = texts;
	return to;
}

/* -- names -- */

bool
registry_word_ok(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
	return n > 0 && n <= WORD_MAX && text[n] == '\0';
}

bool
reader_project_name(struct registry_reader *r, const struct registry_at *at, const char *name,
	char ret_label[64])
{
	if (strlen(name) <= NAME_MAX_OCTETS && slug_name(name, ret_label, SLUG_MAX + 1))
		return true;
	reader_refuse(r, at, "use letters, digits and hyphens, and fewer of them",
		"no host label of at most 63 octets can be made of the project's name '%s'",
		host_shown(name).text);
	return false;
}
