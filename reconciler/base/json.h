/* json.h - reading JSON that somebody else wrote.
 *
 * Two ways.  Getters over jansson tolerate everything: what is absent or of another type is NULL,
 * the default, or false.  Spans are for large texts of which little is wanted: they find members in
 * the text itself and leave the rest unread (of a container's 6 kB inspect, four fifths), so that
 * only what is wanted costs time and memory.  Pure.
 */
#ifndef RECONCILER_BASE_JSON_H
#define RECONCILER_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "reconciler/base/arena.h"

/* The whole text as one value, or NULL; the caller ends it with json_decref. */
json_t *json_read(const char *text, size_t n);

/* A member of an object, of any type; object may be NULL.  The result is borrowed. */
const char *json_get_string(const json_t *object, const char *key);
int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise);
bool json_get_bool(const json_t *object, const char *key);
json_t *json_get_object(const json_t *object, const char *key);
json_t *json_get_array(const json_t *object, const char *key);

/* The text of one value, within a larger text; p is NULL where there is none. */
struct json_span {
	const char *p;
	size_t n;
};

/* The value at the beginning of a text, without what stands around it.  Only strings and brackets
 * are looked at: it ends where its brackets do, and may still not be JSON. */
struct json_span json_span_of(const char *text, size_t n);

/* The values of n members of an object; of a name that stands there twice the last one, as jansson
 * takes it.  Names with escapes are not found.  Returns false where it is no object. */
bool json_span_pick(
	struct json_span object, const char *const keys[], size_t n, struct json_span ret[]);
struct json_span json_span_member(struct json_span object, const char *key);

/* Walks through the members of an object, or the elements of an array (which have no key):
 *
 *	struct json_span at = {0}, key, value;
 *	while (json_span_next(object, &at, &key, &value))
 */
bool json_span_next(struct json_span whole, struct json_span *at, struct json_span *ret_key,
	struct json_span *ret_value);

/* A string's text, decoded, in the arena; NULL where it is no string of valid UTF-8 without NUL. */
const char *json_span_string(struct json_span s, struct arena *a);
/* The same into a buffer of size bytes; false where it is no string or too long. */
bool json_span_copy(struct json_span s, char *ret, size_t size);
/* A number without fraction, or what is given where it is none. */
int64_t json_span_int(struct json_span s, int64_t otherwise);
bool json_span_is_true(struct json_span s);
bool json_span_is_object(struct json_span s);

#endif
