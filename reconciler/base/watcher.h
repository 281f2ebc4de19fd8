/* watcher.h - inotify on the loop, over a set of directories that changes.
 *
 * A watch follows the inode, not the name, and sees one directory only: whoever wants to know of a
 * path watches every directory that one of its components stands in, and says which component.
 * Other names in it ring nobody.  Mounts, which inotify does not see, ring as well.
 *
 * libinotifytools keeps its descriptor to itself and blocks: its event names are used, for the log,
 * over a descriptor of ours.
 */
#ifndef RECONCILER_BASE_WATCHER_H
#define RECONCILER_BASE_WATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "reconciler/base/err.h"

/* More directories than this are an error: somebody's symbolic links lead everywhere. */
#define WATCHER_MAX 512

struct watch {
	const char *dir; /* an absolute path without symbolic links */
	const char *name; /* the entry that matters; NULL: those that end in suffix */
	const char *suffix; /* such as begin with a dot do not count */
	bool content; /* what is written into it matters as well, not only which entry it is */
	unsigned tags; /* given back when it rings */
};

/* What rang in one turn of the loop. */
struct watcher_ring {
	unsigned tags; /* of all watches that rang */
	bool written; /* nothing but a file that is written to and was not closed yet */
	bool lost; /* events are missing, or a directory went: all tags */
	bool mounted; /* something was mounted or unmounted somewhere: no tags */
};

struct watcher;

/* Never fails: without a descriptor, watcher_set does. */
struct watcher *watcher_create(
	uv_loop_t *loop, void (*rang)(void *arg, const struct watcher_ring *ring), void *arg);
/* Its handles close on the loop.  NULL is fine. */
void watcher_destroy(struct watcher *w);

/* From now on exactly these (texts are copied; the same entry may come more than once).
 * *ret_new, always written, says whether something may have happened unseen up to now: a directory
 * is watched that was not before, or is gone.  A negative errno value (with the first reason) where
 * a directory cannot be watched, or rings reach only the rest: the others are watched. */
int watcher_set(struct watcher *w, const struct watch *watches, size_t n, bool *ret_new,
	struct err *reterr);

#endif
