/* arena.h - memory that is given back all at once.
 *
 * Everything reachable from an observation or a project plan lives in that value's arena and ends
 * with it.  Allocation never fails: a process without memory ends with one line (its supervisor
 * starts it again, and the proxies keep their last document meanwhile).  Pure.
 */
#ifndef RECONCILER_BASE_ARENA_H
#define RECONCILER_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	char *next;
	size_t left;
	size_t total;
};

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, n) ((type *)arena_alloc((arena), (n) * sizeof(type)))

/* An arena of all zero bytes is ready for use, too. */
void arena_init(struct arena *a);
void arena_finish(struct arena *a);

/* Zeroed, aligned for any object. */
void *arena_alloc(struct arena *a, size_t size);

/* Copies; the result always ends in a NUL.  arena_strdup(a, NULL) is NULL. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
/* A list and what is in it. */
const char *const *arena_strdups(struct arena *a, const char *const *list, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* malloc and friends that end the program instead of failing. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

#endif
