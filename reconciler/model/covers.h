/* covers.h - whose a host is by the registry: an index of what projects are entitled to.
 *
 * A host belongs to those who are entitled to it, or to the nearest domain above it that covers
 * what is below.  Pure.
 */
#ifndef RECONCILER_MODEL_COVERS_H
#define RECONCILER_MODEL_COVERS_H

#include <stdbool.h>

struct covers;

struct covers *covers_create(void);
void covers_destroy(struct covers *c);

/* The project is entitled to the host, and where `below` to all below it.  Counts: as often as it
 * was added it has to be dropped. */
void covers_add(struct covers *c, const char *host, const char *project, bool below);
void covers_drop(struct covers *c, const char *host, const char *project, bool below);

/* NULL where no project is entitled to the host; else the given project where it is one of them,
 * else the first by name of the others. */
const char *covers_owner(const struct covers *c, const char *host, const char *project);

#endif
