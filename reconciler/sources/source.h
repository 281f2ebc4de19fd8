/* source.h - what a source of observations promises.
 *
 * - Subscribe, then list.  Nothing falls between.
 * - An event only rings: the object is looked at again.
 * - Whole observations only: a failed list is an error about the source, never an empty list.
 * - Ready after the first whole observation; stale when the source is gone, its last observation
 *   still in force.
 * - Back-off is capped at 5 s with jitter; a socket is opened anew by its path.
 */
#ifndef RECONCILER_SOURCES_SOURCE_H
#define RECONCILER_SOURCES_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/model/endpoint.h"

enum source_status {
	SOURCE_NEW, /* never seen whole, in this run or an earlier one */
	SOURCE_READY,
	SOURCE_STALE, /* what it last said stays in force */
};

/* For the API and the log.  Strings live until the source's next turn. */
struct source_info {
	const char *name;
	const char *kind; /* "docker", "podman", "engine" before that is known */
	const char *address;
	const char *version; /* the engine's own; "" while unknown */
	enum source_status status;
	uint64_t since_ms; /* wall clock: when the status became what it is */
	uint64_t seen_ms; /* wall clock: the last whole observation or event; 0: never */
	const char *error; /* why it is not ready; "" where it is */
	bool doubted; /* the last list lost too much to be believed at once */
	size_t objects;
	uint64_t events, lists, inspects, connects; /* counters of this run */
};

/* Where a source puts what it sees.  All are called on the loop. */
struct source_sink {
	/* A container is like this now.  The sink takes a reference if it keeps it. */
	void (*put)(void *arg, const struct endpoint *e);
	void (*remove)(void *arg, const char *engine, const char *id);
	/* The observation became whole, or the status changed. */
	void (*status)(void *arg, const char *engine);
	void *arg;
};

#endif
