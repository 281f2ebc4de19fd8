/* registry_reader.h - what the decoders of the registry's files share: where a value stands, what
 * is wrong with it, and members read to types.
 *
 * A decoder goes on after a fault; that an entry is wrong shows in the number of faults.  Pure.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_READER_H
#define RECONCILER_REGISTRY_REGISTRY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "reconciler/base/json.h"
#include "reconciler/registry/registry_parse.h"

/* Where a value stands: a chain on the stack, from the inside out.  NULL: the file itself. */
struct registry_at {
	const struct registry_at *up;
	const char *key; /* NULL: an element of a list */
	size_t index;
};

struct registry_reader {
	struct registry_reading *reading;
	const struct registry_options *options;
	struct json_span text; /* where lines are counted; p is NULL: nowhere */
	size_t budget; /* octets that may still be gone through for line numbers */
	size_t faults; /* also those that the reading did not keep */
};

/* An entry by itself has no text. */
struct registry_reader registry_reader_init(
	struct registry_reading *reading, const struct registry_options *o);

void reader_refuse(struct registry_reader *r, const struct registry_at *at, const char *remedy,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Where the line is known. */
void reader_refuse_line(struct registry_reader *r, const struct registry_at *at, unsigned line,
	const char *remedy, const char *what);
/* The value is of another kind than is wanted ("an object"). */
void reader_refuse_kind(struct registry_reader *r, const struct registry_at *at, const json_t *v,
	const char *wanted, const char *remedy);

/* "projects.blog.domains[1]", in the arena. */
const char *registry_at_text(const struct registry_at *at, struct arena *a);

/* What a message shows of a value: "'text'", "4.5", "a list". */
struct registry_shown {
	char text[96];
};
struct registry_shown registry_shown(const json_t *v);

/* The whole file as an object, which the caller ends with json_decref; NULL with one fault where it
 * cannot be used.  `least` is the least file that is whole, for the remedy. */
json_t *reader_load(struct registry_reader *r, const char *text, size_t n, const char *least);

/* What `version` says: is the file readable?  looks_codeb says whether the rest of it is CodeB's.
 * False with one fault where not; else the dialect is stored. */
bool reader_dialect(struct registry_reader *r, const json_t *root, bool looks_codeb,
	enum settings_dialect *ret);

/* The member, or NULL where it is absent or null. */
json_t *reader_member(const json_t *object, const char *key);

/* These leave *ret as it is where the member is absent, null, or wrong, which is then a fault.
 * Texts are borrowed from the JSON. */
void reader_text(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const char *remedy, const char **ret);
void reader_bool(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const char *remedy, bool *ret);
/* A whole number within bounds. */
void reader_count(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, uint32_t least, uint32_t most, const char *remedy, uint32_t *ret);
/* A duration within bounds, which are durations themselves ("100ms"). */
void reader_duration(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const char *least, const char *most, const char *remedy, uint32_t *ret_ms);
void reader_port(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, uint16_t *ret);
void reader_time(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, uint64_t *ret_ms);
json_t *reader_object(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const char *remedy);

/* A list of texts, or one text alone: each goes through parse into the arena.  What stands there
 * twice is there once. */
struct reader_list {
	const char *wanted; /* "an upstream" */
	const char *remedy;
	int (*parse)(struct arena *a, const char *text, const char **ret, struct err *reterr);
};
size_t reader_texts(struct registry_reader *r, const struct registry_at *up, const json_t *object,
	const char *key, const struct reader_list *how, struct arena *a, const char *const **ret);

/* Environments and slots: [a-z0-9], at most 32. */
bool registry_word_ok(const char *text);
/* False with a fault where no host label can be made of it; else the label is stored. */
bool reader_project_name(struct registry_reader *r, const struct registry_at *at, const char *name,
	char ret_label[64]);

/* Growing the reading's lists. */
void registry_reading_bad_project(struct registry_reading *reading, const char *name);
void registry_reading_bad_static(struct registry_reading *reading, const char *host);
void registry_reading_add_project(struct registry_reading *reading, struct registered_project *p);
void registry_reading_add_static(struct registry_reading *reading, struct registered_static *s);
/* Sorts them; names that are bad twice are there once. */
void registry_reading_seal(struct registry_reading *reading);

/* registry_parse.c: a project's domains and environments, as they stand in ssot.json.  The entry is
 * an object; or NULL, which says nothing. */
void reader_project(struct registry_reader *r, const struct registry_at *at, const json_t *entry,
	bool codeb, struct registered_project *p);

/* registry_slot_parse.c: the slots of one environment, as they stand in slots.json, into ret, whose
 * name is set.  project is whose they are. */
void reader_slots(struct registry_reader *r, const struct registry_at *at, json_t *entry,
	const char *project, struct arena *a, struct registered_environment *ret);

/* registry_slots_parse.c: how the slots of a project stand, by environment, as in slots.json;
 * returns how many environments there are. */
size_t reader_project_slots(struct registry_reader *r, const struct registry_at *at, json_t *entry,
	const char *project, struct arena *a, const struct registered_environment **ret);

#endif
