/* pollers.h - who takes the document by polling, and what has arrived there.
 *
 * A poller is the name it gave, else its address.  It counts once it polled with a wait or twice,
 * and is dropped after 15 s of silence, in which a held poll is none.  A document has arrived when
 * the poll after its reply came and the delay for applying it has passed (contracts: a poll that
 * follows does not prove that a document is in force).  Documents are told by serial numbers that
 * count up.  Time comes in as an argument; no world is touched.
 */
#ifndef PROVIDER_TRAEFIK_POLLERS_H
#define PROVIDER_TRAEFIK_POLLERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLLERS_MAX 64
#define POLLER_APPLY_DELAY_MS 2500
#define POLLER_SILENCE_MS 15000
#define POLLER_COMING_MAX 16

struct poller {
	char name[64]; /* what it gave, else its address */
	char address[64];
	bool waits;
	bool held; /* a poll of it is held now: set by the owner before pollers_drop */
	uint64_t polls;
	uint64_t seen_ms;
	uint64_t replied; /* the document of the last reply */
	uint64_t arrived;
	size_t ncoming; /* fetched for sure, perhaps not applied yet; oldest first */
	struct {
		uint64_t serial;
		uint64_t due_ms;
	} coming[POLLER_COMING_MAX];
};

struct pollers {
	size_t n;
	struct poller *list[POLLERS_MAX];
};

void pollers_finish(struct pollers *ps);

/* It polls.  mark is the document of the last reply on the same connection, which this poll shows
 * to have got there; 0: a new connection, then that of the poller's last reply.  NULL where there
 * are too many pollers. */
struct poller *pollers_polled(struct pollers *ps, const char *name, const char *address, bool waits,
	uint64_t mark, uint64_t now_ms);
/* NULL where it is not known. */
struct poller *pollers_find(const struct pollers *ps, const char *name);
void poller_replied(struct poller *p, uint64_t serial, uint64_t now_ms);

bool poller_counts(const struct poller *p);
/* The newest document that has arrived; 0: none. */
uint64_t poller_arrived(struct poller *p, uint64_t now_ms);

/* Forgets the silent ones. */
void pollers_drop(struct pollers *ps, uint64_t now_ms);

#endif
