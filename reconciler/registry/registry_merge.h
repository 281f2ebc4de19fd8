/* registry_merge.h - the files of a registry directory, put together to one observation.
 *
 * ssot.json says which projects there are, slots.json and slots/ how their slots stand; without the
 * first the others say both.  What is wrong, or of a file that cannot be read now, stays as the
 * book has it.  Runs in libuv's pool: it refers to no value that others count, and changes none. No
 * descriptor, no clock, no log.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_MERGE_H
#define RECONCILER_REGISTRY_REGISTRY_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/registry/registry_book.h"
#include "reconciler/registry/registry_parse.h"

enum registry_part_kind {
	PART_NONE, /* there is no such file */
	PART_READING,
	PART_BOOK, /* there is one, but it is not known: as the book has it */
};

struct registry_part {
	enum registry_part_kind kind;
	const char *file; /* its path, for faults */
	const struct registry_reading *reading;
};

struct registry_merge {
	/* Given; they stay as they are until it is finished. */
	const struct registry_book *book;
	struct registry_part ssot;
	/* slots.json, then those of slots/; the first one counts where two disagree.  Malloced. */
	size_t nslots;
	struct registry_part *slots;

	/* Found. */
	struct registry_observation observation;
	struct registry_reading *faults; /* of files with each other */
	size_t nmade;
	struct registered_project **made; /* of those in the observation */
};

void registry_merge_run(struct registry_merge *m);
/* Frees what it found, and slots. */
void registry_merge_finish(struct registry_merge *m);

#endif
