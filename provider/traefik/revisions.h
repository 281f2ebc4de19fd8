/* revisions.h - which documents there were, which snapshots they stand for, and since when each has
 * arrived with everyone who takes it.
 *
 * Documents are told by serial numbers that count up from 1; the last ones are remembered.  Time
 * comes in as an argument.  No world is touched.
 */
#ifndef PROVIDER_TRAEFIK_REVISIONS_H
#define PROVIDER_TRAEFIK_REVISIONS_H

#include <stdint.h>

/* So many documents back: where many a second are made, too, it is known of one that it has been
 * in force for as long as requests in flight may take. */
#define REVISIONS 4096

struct revisions {
	uint64_t newest; /* its serial; 0: there was none */
	uint64_t given; /* serial of the newest one that went out to anybody */
	uint64_t arrived; /* the newest one that everyone has now; 0: none */
	struct revision {
		uint64_t revision; /* of the newest snapshot with these bytes */
		uint64_t digest;
		uint64_t mark; /* what shows that it is in force; 0: it carries none */
		uint64_t applied_ms; /* since when everyone has it; counts up to `arrived` */
	} list[REVISIONS]; /* by serial */
};

/* The next document. */
void revisions_add(struct revisions *rs, uint64_t revision, uint64_t digest, uint64_t mark);
/* A later snapshot has the newest document's bytes. */
void revisions_renew(struct revisions *rs, uint64_t revision);
/* The newest document is given to somebody. */
void revisions_give(struct revisions *rs);

/* The mark for the next document.  It is the digest, or another one where a document with the same
 * digest went out before, and then a different one: who reads back the old mark may be about to
 * apply what came between. */
uint64_t revisions_mark(const struct revisions *rs, uint64_t digest);
/* The newest document with that mark; 0: none, or it is forgotten. */
uint64_t revisions_find(const struct revisions *rs, uint64_t mark);

/* The revision a document stands for; 0 where it is forgotten. */
uint64_t revisions_of(const struct revisions *rs, uint64_t serial);

/* This is the newest document that everyone has now (0: none).  What they do not have any more has
 * not arrived, and later does so anew. */
void revisions_arrive(struct revisions *rs, uint64_t serial, uint64_t now_ms);
/* For how long a snapshot has been in force, itself or by a later one; UINT64_MAX: it is not. */
uint64_t revisions_applied_ago(const struct revisions *rs, uint64_t revision, uint64_t now_ms);

#endif
