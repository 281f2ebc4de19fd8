/* site_dir.h - what site_store does its work with: the two directories, a look at a file, and files
 * that are written aside.  Everything goes by descriptors of directories; no link is followed.
 */
#ifndef PROVIDER_CADDY_SITE_DIR_H
#define PROVIDER_CADDY_SITE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "provider/caddy/site_store.h"
#include "reconciler/base/buf.h"

struct site_dir {
	const char *path; /* as configured */
	int sites;
	int aside; /* beside it; the same as sites where that cannot be; -1: not needed yet */
	struct stat st; /* of sites */
};

/* 0, or a negative errno value. */
int site_dir_open(struct site_dir *d, const char *path, struct err *reterr);
void site_dir_close(struct site_dir *d);

/* The directory for temporary files is made where it is missing, unless only looked for: then -1
 * where there is none. */
int site_dir_aside(struct site_dir *d, bool make);
/* It has turned out to be no place to rename from: the directory itself is, from now on. */
void site_dir_give_up_aside(struct site_dir *d);

/* -- a file -- */

struct site_look {
	enum site_standing standing; /* ours, absent or foreign */
	struct stat st;
	struct buf text; /* of what can be read; p is never NULL then */
	struct err why; /* foreign: what it is */
};

/* -errno where it is not the file that is to blame (too many open ones, no memory).  The path is
 * for texts. */
int site_look(const struct site_dir *d, const char *name, struct site_look *ret);
void site_look_finish(struct site_look *l);

/* To read; a reading is not seen in the file's times, where we may ask for that (its owner may, and
 * root).  A descriptor, or -1 with errno. */
int site_open_quietly(int dir, const char *name);

/* Is the text marked as ours? */
bool site_is_marked(const char *text, size_t n);

/* -- files aside -- */

#define SITE_ASIDE_NAME (sizeof(".waymark-0123456789abcdef.tmp"))

bool site_aside_is_name(const char *name);
/* Another name at each call. */
void site_aside_name(char ret[SITE_ASIDE_NAME]);
/* Written and fsynced; nothing is left where it fails with a negative errno value. */
int site_aside_write(
	struct site_dir *d, const char *text, size_t n, char ret_name[SITE_ASIDE_NAME]);

#endif
