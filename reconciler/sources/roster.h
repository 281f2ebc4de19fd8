/* roster.h - the containers of one engine: what lists, events and inspects together say of them.
 *
 * Puts into the sink what differs, and rings for a container that needs an inspect.  Knows no
 * network and no clock; whoever speaks to the engine tells it what came, and when (milliseconds of
 * a clock that only goes forward, never 0).  The rules:
 *
 * - A list is taken whole or not at all.  What rang since it was asked for is left to its inspect.
 * - What only an inspect tells survives a list that agrees with the rest.  On Podman, whose list
 *   says little, what is new or differs is inspected before it is put.
 * - Sent its own stop signal or SIGKILL, a container is leaving until it starts again, or for
 *   LEAVING_MAX_MS if it does not heed it.
 * - Two containers with one address: the one seen longer ago is withheld until it was inspected; if
 *   it claims the address still, both are withheld until one of them has gone.
 */
#ifndef RECONCILER_SOURCES_ROSTER_H
#define RECONCILER_SOURCES_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/model/endpoint.h"
#include "reconciler/sources/source.h"

#define LEAVING_MAX_MS (10 * 60 * 1000)
/* A list that loses more than this many containers, and more than half, is doubted. */
#define LOSS_MAX 10

struct roster;

/* ring: inspect this one.  Both outlive the roster; ring does not call back into it. */
struct roster *roster_create(const char *engine, const struct source_sink *sink,
	void (*ring)(void *arg, const char *id), void *arg);
void roster_destroy(struct roster *r);

void roster_set_podman(struct roster *r, bool podman);
/* From the state of an earlier run; the sink is not called. */
void roster_restore(struct roster *r, const struct endpoint *e, uint64_t now_ms);
size_t roster_count(const struct roster *r);
bool roster_has(const struct roster *r, const char *id_or_name);

/* A list was asked for; its items come (the reference is taken); it came whole, or not.  At its end
 * believe says that a loss was seen twice.  Returns false where too much is missing to take that
 * for true at once: then nothing was removed. */
void roster_list_begin(struct roster *r);
void roster_list_item(struct roster *r, struct endpoint *item);
bool roster_list_end(struct roster *r, bool believe, uint64_t now_ms);
void roster_list_abandon(struct roster *r);
/* How many that came with a list and were not known before still wait for their inspect. */
size_t roster_awaited(const struct roster *r);
/* The engine is lost: nothing that was asked for will come. */
void roster_disconnect(struct roster *r);

/* An event: something happened to it, and it will be inspected. */
void roster_touch(struct roster *r, const char *id_or_name, bool started);
/* An event: its process ended.  It leaves at once, for dockerd may keep the inspect that is to say
 * so waiting for 100 ms and more; an inspect that finds it running again is right. */
void roster_end(struct roster *r, const char *id_or_name, uint64_t now_ms);
/* An event: it was sent this signal.  Returns whether an inspect is needed to tell what it means.
 */
bool roster_kill(struct roster *r, const char *id_or_name, int signal, uint64_t now_ms);

/* An inspect: of a container (the reference is taken); there is none; it failed, and true means
 * that the one before did not. */
void roster_inspected(struct roster *r, struct endpoint *e, uint64_t now_ms);
void roster_gone(struct roster *r, const char *id_or_name);
bool roster_unanswered(struct roster *r, const char *id_or_name);

#endif
