/* site_store.h - the directory of site files, changed so that what lies there is always whole.
 *
 * A file is ours by its mark (SITE_MARK in the first line).  What has none is never touched, nor is
 * a symbolic link, a FIFO, a directory, or what cannot be read: no byte, and no time but that of
 * reading, where Waymark is neither root nor the file's owner.  One that means what is wanted
 * already is satisfied (its bytes but for the mark's line are equal), another stands in the way.
 *
 * Each change is a file written outside the glob on the same file system, fsync, rename, fsync of
 * the directory; a removal is fsynced, too.  Outside is {directory}.waymark, beside it, of ours
 * alone and kept.  Where that cannot be (no right to make it, another file system), it is a file
 * .waymark-….tmp in the directory itself, which an import of every .caddy file does not match; one
 * of every file would.  What was there is exchanged rather than replaced, so that what somebody
 * else has put there in that moment comes back, and so does ours where the directory cannot be
 * synced.
 *
 * Files are readable for all (0644), for Caddy runs as another user, and belong to the directory's
 * owner where that may be arranged.
 *
 * Blocks: for a thread of libuv's pool, or a command.  Uses nothing but its arguments, so that two
 * threads may use two directories; two processes may use one.
 */
#ifndef PROVIDER_CADDY_SITE_STORE_H
#define PROVIDER_CADDY_SITE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/err.h"

enum site_standing {
	SITE_OURS, /* as it was written here */
	SITE_ABSENT,
	SITE_FOREIGN, /* somebody else's */
	SITE_SATISFIED, /* somebody else's, and what is wanted */
};

struct site_change {
	const char *name; /* as site_file's */
	const char *text; /* with the mark, at most SITE_TEXT_MAX bytes; NULL: it goes */
	/* Filled in: */
	int error; /* 0, or a negative errno value: it is as it was */
	enum site_standing standing; /* after that; where nothing could be looked at: absent */
	struct err why; /* where error is not 0, or it is foreign */
};

#define SITE_TEXT_MAX (64 * 1024 * 1024)
/* Of others' files a longer one is not read. */
#define SITE_FOREIGN_MAX (1024 * 1024)

/* Makes each of the changes, in this order, each on the disk before the next one begins; one that
 * fails stops no other.  So who wants the glob never to be empty has what stays before what goes.
 * The bytes that are there already are not written again.  Returns how many files are others
 * now. */
size_t site_store_apply(const char *directory, struct site_change *changes, size_t n);

/* What lies there, for the first look and to notice what others do.  Every *.caddy, sorted by name;
 * text NULL: it cannot be read (a FIFO, a directory, over 1 MiB, no rights, a NUL in it, or there
 * are 64 MiB of others' texts already), and is foreign then.  One of ours with a NUL in it, which
 * nobody wrote here, has an empty text. */
struct site_found {
	char *name, *text;
	bool ours;
};
struct site_listing {
	size_t n;
	struct site_found *list;
};
/* -errno where the directory cannot be read. */
int site_store_list(const char *directory, struct site_listing *ret, struct err *reterr);
void site_listing_finish(struct site_listing *l);

/* Leftovers of a run that was killed: temporary files of ours.  Another process that is writing one
 * of them writes it again. */
void site_store_sweep(const char *directory);

#endif
