/* registry_book.h - the last observation of a registry, and what of a new one is news.
 *
 * A source reads, the book compares: what differs goes to the sink, what is the same is no work.
 * No descriptor, no clock, no log.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_BOOK_H
#define RECONCILER_REGISTRY_REGISTRY_BOOK_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/model/registry.h"
#include "reconciler/registry/registry.h"
#include "reconciler/registry/registry_parse.h"

struct registry_book;

/* source is the source's name; sink must outlive the book. */
struct registry_book *registry_book_create(const char *source, const struct registry_sink *sink);
/* The sink is not called. */
void registry_book_destroy(struct registry_book *b);

/* From the state of an earlier run; the sink is not called. */
void registry_book_restore(struct registry_book *b, const struct registered_project *p);
void registry_book_restore_static(struct registry_book *b, const struct registered_static *s);

/* NULL where it has none of that name. */
const struct registered_project *registry_book_find(
	const struct registry_book *b, const char *name);
size_t registry_book_nprojects(const struct registry_book *b);
size_t registry_book_nstatics(const struct registry_book *b);
/* How many slots that are not empty it has. */
size_t registry_book_nslots(const struct registry_book *b);
size_t registry_environment_nslots(const struct registered_environment *e);
/* Of these, how many are of the environments that a reading speaks of, and how many of the projects
 * that are wrong in it. */
size_t registry_book_nslots_of(const struct registry_book *b, const struct registry_reading *r);
size_t registry_book_nslots_kept(const struct registry_book *b, const struct registry_reading *r);

/* All of them, in no order.  The callback changes nothing in the book. */
void registry_book_each(const struct registry_book *b,
	void (*fn)(void *arg, const struct registered_project *p), void *arg);
void registry_book_each_static(const struct registry_book *b,
	void (*fn)(void *arg, const struct registered_static *s), void *arg);

/* A whole observation.  Names in `kept` keep what the book has of them (their entries are wrong).
 * What is new or other is put first, then what is gone is removed.  Returns how many entries
 * changed. */
struct registry_observation {
	size_t nprojects;
	struct registered_project *const *projects;
	size_t nstatics;
	struct registered_static *const *statics;
	size_t nkept_projects;
	const char *const *kept_projects;
	size_t nkept_statics;
	const char *const *kept_statics;
};
size_t registry_book_adopt(struct registry_book *b, const struct registry_observation *o);

/* One project was read alone: as p says, or gone where p is NULL.  Returns whether anything
 * changed. */
bool registry_book_adopt_one(
	struct registry_book *b, const char *name, const struct registered_project *p);

#endif
