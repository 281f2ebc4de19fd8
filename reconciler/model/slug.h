/* slug.h - the host label that a branch gets.  Pure.
 *
 * Lower case; every run of bytes other than a-z0-9 becomes one '-'; trimmed.  If the result had to
 * be cut, or came out empty, it ends in '-' and the first 8 hexadecimal digits of the SHA-256 of
 * the branch's bytes.
 */
#ifndef RECONCILER_MODEL_SLUG_H
#define RECONCILER_MODEL_SLUG_H

#include <stdbool.h>
#include <stddef.h>

#define SLUG_MAX 63

/* Writes the label, at most room (8 to 63) octets and a NUL, and returns its length. */
size_t slug_branch(const char *branch, size_t room, char ret[SLUG_MAX + 1]);
/* The same with the suffix in any case, for the newer of two branches that came out equal. */
size_t slug_branch_suffixed(const char *branch, size_t room, char ret[SLUG_MAX + 1]);

/* Codi's own rule: '/' and '_' become '-', lower case, every other character dropped, runs of '-'
 * collapsed, trimmed, cut at 30 (and trimmed again).  May come out empty. */
size_t slug_branch_codi(const char *branch, char ret[SLUG_MAX + 1]);

/* A project's or service's part of a label: as slug_branch, never cut and never suffixed; room is
 * the buffer's size.  Returns 0 where nothing is left or it does not fit. */
size_t slug_name(const char *name, char *ret, size_t size);

/* The first 8 hexadecimal digits of the SHA-256 of s, and a NUL. */
void slug_hash(const char *s, char ret[9]);

#endif
