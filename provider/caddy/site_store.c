#include "provider/caddy/site_store.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "provider/caddy/site_dir.h"
#include "provider/caddy/site_render.h"
#include "reconciler/base/arena.h"

/* How often somebody else may be at the same file in the same moment. */
#define TRIES 10
/* Of all others' texts in a listing. */
#define FOREIGN_BUDGET (64 * 1024 * 1024)

/* What became of a step that is not an error. */
enum { UNCHANGED, CHANGED };

/* -- errors -- */

static const char *
remedy_of(int code)
{
	switch (code) {
	case ENOSPC:
	case EDQUOT:
		return "; make room there";
	case EROFS:
		return "; mount it so that it can be written";
	case EACCES:
	case EPERM:
		return "; give Waymark's user the right to write in this directory";
	case EFBIG:
		return "; a site file has at most 64 MiB";
	default:
		return "";
	}
}

static int
fail(const struct site_dir *d, struct site_change *c, int code, const char *what)
{
	return err_set(&c->why, code, "%s/%s cannot be %s: %s%s", d->path, c->name, what,
		code == EBUSY ? "another program is changing it all the time" : strerror(code),
		remedy_of(code));
}

/* -- exchanging -- */

/* A file system that does not know the flag (NFS) renames without it. */
static int
rename_with(int from, const char *name, int to, const char *new_name, unsigned flags)
{
	if (renameat2(from, name, to, new_name, flags) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	return renameat(from, name, to, new_name) < 0 ? -errno : 0;
}

static bool
is_there(int dir, const char *name, struct stat *ret)
{
	return fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The very file, and not written to since. */
static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool
is_removed(const struct site_dir *d)
{
	struct stat st;
	return fstat(d->sites, &st) == 0 && st.st_nlink == 0;
}

/* Some are no failure of the change, but a reason to look again. */
static int
after_rename(struct site_dir *d, int r)
{
	if (r == -EXDEV && d->aside != d->sites) {
		site_dir_give_up_aside(d);
		return -EAGAIN;
	}
	/* Gone: what was to be replaced, or, swept away, what was written. */
	return r == -EEXIST || (r == -ENOENT && !is_removed(d)) ? -EAGAIN : r;
}

static int
sync_sites(const struct site_dir *d)
{
	return fsync(d->sites) < 0 ? -errno : 0;
}

static int
put_new(struct site_dir *d, const char *name, const char *aside)
{
	int r = rename_with(d->aside, aside, d->sites, name, RENAME_NOREPLACE);
	if (r < 0)
		unlinkat(d->aside, aside, 0);
	else if ((r = sync_sites(d)) < 0)
		unlinkat(d->sites, name, 0);
	return r;
}

/* Afterwards the old one is aside; where it is not what was seen, or the directory cannot be
 * synced, it comes back.  A file system that knows no exchange has replaced it: nothing is aside
 * then.  What cannot come back stays aside. */
static int
exchange(struct site_dir *d, const char *name, const char *aside, const struct stat *seen)
{
	struct stat old;
	int r = rename_with(d->aside, aside, d->sites, name, RENAME_EXCHANGE);
	bool done = r == 0, kept = done && is_there(d->aside, aside, &old);

	if (kept && !is_same(&old, seen))
		r = -EAGAIN;
	if (r == 0)
		r = sync_sites(d);
	if (r == 0 || !done || renameat2(d->aside, aside, d->sites, name, RENAME_EXCHANGE) == 0)
		unlinkat(d->aside, aside, 0);
	return r;
}

static int
write_site(struct site_dir *d, struct site_change *c, const struct site_look *l)
{
	char aside[SITE_ASIDE_NAME];
	size_t n = strlen(c->text);
	int r = n > SITE_TEXT_MAX ? -EFBIG : site_aside_write(d, c->text, n, aside);

	if (r == 0 && l->standing == SITE_ABSENT)
		r = after_rename(d, put_new(d, c->name, aside));
	else if (r == 0)
		r = after_rename(d, exchange(d, c->name, aside, &l->st));
	return r == 0 ? CHANGED : r == -EAGAIN ? r : fail(d, c, -r, "written");
}

/* It is put aside first, so that it can come back.  Where not even that can be done (a full disk
 * has no room for the name), it goes at once. */
static int
remove_site(struct site_dir *d, struct site_change *c, const struct site_look *l)
{
	char aside[SITE_ASIDE_NAME];
	struct stat old;
	int dir = site_dir_aside(d, true);
	site_aside_name(aside);
	int r = rename_with(d->sites, c->name, dir, aside, RENAME_NOREPLACE);
	bool kept = r == 0;
	if (r < 0 && after_rename(d, r) == -EAGAIN)
		return -EAGAIN;
	if (r < 0)
		r = unlinkat(d->sites, c->name, 0) < 0 ? -errno : 0;
	if (kept && is_there(dir, aside, &old) && !is_same(&old, &l->st))
		r = -EAGAIN;
	if (r == 0)
		r = sync_sites(d);
	if (kept && r < 0)
		rename_with(dir, aside, d->sites, c->name, RENAME_NOREPLACE);
	else if (kept)
		unlinkat(dir, aside, 0);
	return r == 0 ? CHANGED : r == -EAGAIN ? r : fail(d, c, -r, "removed");
}

/* -- a change -- */

/* From behind the first line. */
static const char *
behind_mark(const char *text, size_t n)
{
	const char *end = memchr(text, '\n', n);
	return end ? end + 1 : text + n;
}

static bool
is_satisfied(const struct site_change *c, const struct site_look *l)
{
	const struct buf *b = &l->text;
	if (!c->text || !b->p)
		return false;
	const char *wanted = behind_mark(c->text, strlen(c->text));
	return strlen(wanted) == b->n && memcmp(wanted, b->p, b->n) == 0;
}

static bool
is_equal(const struct site_change *c, const struct site_look *l)
{
	const struct buf *b = &l->text;
	return strlen(c->text) == b->n && memcmp(c->text, b->p, b->n) == 0;
}

static int
change_once(struct site_dir *d, struct site_change *c, const struct site_look *l)
{
	c->standing = l->standing;
	switch (l->standing) {
	case SITE_FOREIGN:
		if (is_satisfied(c, l))
			c->standing = SITE_SATISFIED;
		else
			c->why = l->why;
		return UNCHANGED;
	case SITE_ABSENT:
		return c->text ? write_site(d, c, l) : UNCHANGED;
	default:
		if (!c->text)
			return remove_site(d, c, l);
		return is_equal(c, l) ? UNCHANGED : write_site(d, c, l);
	}
}

static int
change_until_settled(struct site_dir *d, struct site_change *c)
{
	int r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < TRIES; i++) {
		struct site_look l;
		r = site_look(d, c->name, &l);
		r = r < 0 ? fail(d, c, -r, "looked at") : change_once(d, c, &l);
		site_look_finish(&l);
	}
	return r == -EAGAIN ? fail(d, c, EBUSY, c->text ? "written" : "removed") : r;
}

static size_t
change_make(struct site_dir *d, struct site_change *c)
{
	assert(*c->name && *c->name != '.' && !strchr(c->name, '/'));
	assert(!c->text || site_is_marked(c->text, strlen(c->text)));
	int r = change_until_settled(d, c);
	c->error = r < 0 ? r : 0;
	if (r == CHANGED)
		c->standing = c->text ? SITE_OURS : SITE_ABSENT;
	return r == CHANGED;
}

size_t
site_store_apply(const char *directory, struct site_change *changes, size_t n)
{
	struct site_dir d;
	struct err e;
	size_t changed = 0;
	int r = site_dir_open(&d, directory, &e);

	for (size_t i = 0; i < n; i++) {
		struct site_change *c = &changes[i];
		c->error = r;
		c->standing = SITE_ABSENT;
		if (r < 0)
			c->why = e;
		else
			changed += change_make(&d, c);
	}
	site_dir_close(&d);
	return changed;
}

/* -- walking through a directory -- */

/* fn's negative value ends it. */
static int
walk(int dir, int (*fn)(void *arg, const char *name), void *arg)
{
	/* Its own position, and not that of a descriptor that was duplicated. */
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *open_dir = fd < 0 ? NULL : fdopendir(fd);
	int r = open_dir ? 0 : -errno;
	struct dirent *entry;

	if (!open_dir) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r >= 0 && (errno = 0, entry = readdir(open_dir)))
		r = fn(arg, entry->d_name);
	if (r >= 0)
		r = -errno;
	closedir(open_dir);
	return r;
}

/* -- listing -- */

struct listing {
	struct site_dir *d;
	struct site_listing *ret;
	size_t cap, foreign_bytes;
};

static bool
is_in_glob(const char *name)
{
	const char *end = strrchr(name, '.');
	return end && strcmp(end, ".caddy") == 0;
}

/* NULL: nothing to be compared with. */
static char *
take_text(struct listing *g, struct site_look *l)
{
	size_t n = l->text.n;
	bool ours = l->standing == SITE_OURS;

	if (!l->text.p)
		return NULL;
	if (memchr(l->text.p, '\0', n))
		return ours ? xstrdup("") : NULL;
	if (!ours && n > FOREIGN_BUDGET - g->foreign_bytes)
		return NULL;
	g->foreign_bytes += ours ? 0 : n;
	return xstrdup(l->text.p);
}

static int
list_one(void *arg, const char *name)
{
	struct listing *g = arg;
	struct site_listing *ret = g->ret;
	struct site_look l;

	if (!is_in_glob(name))
		return 0;
	int r = site_look(g->d, name, &l);
	if (r == 0 && l.standing != SITE_ABSENT) {
		if (ret->n == g->cap) {
			g->cap = g->cap ? g->cap * 2 : 64;
			ret->list = xrealloc(ret->list, g->cap * sizeof(*ret->list));
		}
		ret->list[ret->n++] = (struct site_found){
			xstrdup(name), take_text(g, &l), l.standing == SITE_OURS};
	}
	site_look_finish(&l);
	return r;
}

static int
compare_found(const void *a, const void *b)
{
	const struct site_found *x = a, *y = b;
	return strcmp(x->name, y->name);
}

int
site_store_list(const char *directory, struct site_listing *ret, struct err *reterr)
{
	struct site_dir d;
	struct site_listing found = {0};
	struct listing g = {&d, &found, 0, 0};
	int r = site_dir_open(&d, directory, reterr);

	if (r < 0)
		return r;
	r = walk(d.sites, list_one, &g);
	site_dir_close(&d);
	if (r < 0) {
		site_listing_finish(&found);
		return err_set(reterr, -r, "%s cannot be read: %s", directory, strerror(-r));
	}
	if (found.n)
		qsort(found.list, found.n, sizeof(*found.list), compare_found);
	*ret = found;
	return 0;
}

void
site_listing_finish(struct site_listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->list[i].name);
		free(l->list[i].text);
	}
	free(l->list);
	*l = (struct site_listing){0};
}

/* -- sweeping -- */

/* A beginning of what is written here.  What somebody else had put in the place of a file in the
 * moment of its exchange is not, and stays. */
static bool
is_leftover(int dir, const char *name)
{
	char bytes[sizeof(SITE_MARK) - 1];
	struct stat st;
	if (!is_there(dir, name, &st) || !S_ISREG(st.st_mode))
		return false;
	int fd = site_open_quietly(dir, name);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, bytes, sizeof(bytes));
	close(fd);
	return n >= 0 && memcmp(bytes, SITE_MARK, (size_t)n) == 0;
}

static int
sweep_one(void *arg, const char *name)
{
	int dir = *(const int *)arg;
	if (site_aside_is_name(name) && is_leftover(dir, name))
		unlinkat(dir, name, 0);
	return 0;
}

void
site_store_sweep(const char *directory)
{
	struct site_dir d;
	if (site_dir_open(&d, directory, NULL) < 0)
		return;
	int dirs[] = {d.sites, site_dir_aside(&d, false)};
	for (size_t i = 0; i < 2; i++)
		if (dirs[i] >= 0)
			walk(dirs[i], sweep_one, &dirs[i]);
	site_dir_close(&d);
}
