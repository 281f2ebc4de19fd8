#include "provider/caddy/site_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "provider/caddy/site_render.h"

#define ASIDE_SUFFIX ".waymark"
#define ASIDE_BEGIN ".waymark-"
#define ASIDE_END ".tmp"
/* Names that others have taken: O_EXCL finds them. */
#define ASIDE_TRIES 100

/* -- the directories -- */

int
site_dir_open(struct site_dir *d, const char *path, struct err *reterr)
{
	*d = (struct site_dir){.path = path, .aside = -1};
	d->sites = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->sites >= 0 && fstat(d->sites, &d->st) == 0)
		return 0;
	int code = errno;
	if (d->sites >= 0)
		close(d->sites);
	d->sites = -1;
	return err_set(reterr, code, "%s cannot be opened: %s%s", path, strerror(code),
		code == ENOENT ? "; make this directory, and let the main Caddyfile import it"
			       : "");
}

void
site_dir_close(struct site_dir *d)
{
	if (d->aside >= 0 && d->aside != d->sites)
		close(d->aside);
	if (d->sites >= 0)
		close(d->sites);
	d->aside = d->sites = -1;
}

/* "/etc/caddy/sites/" gives "sites.waymark"; false where the path ends in no name. */
static bool
name_aside(const char *path, char ret[NAME_MAX + 1])
{
	size_t end = strlen(path);
	while (end && path[end - 1] == '/')
		end--;
	size_t begin = end;
	while (begin && path[begin - 1] != '/')
		begin--;
	size_t n = end - begin;
	const char *base = path + begin;
	if (!n || n + sizeof(ASIDE_SUFFIX) > NAME_MAX || (n == 1 && base[0] == '.') ||
		(n == 2 && base[0] == '.' && base[1] == '.'))
		return false;
	snprintf(ret, NAME_MAX + 1, "%.*s" ASIDE_SUFFIX, (int)n, base);
	return true;
}

/* Nobody else can put anything there, and a rename from there may work. */
static bool
is_private(const struct site_dir *d, int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_dev == d->st.st_dev && st.st_uid == geteuid() &&
	       !(st.st_mode & 022);
}

static int
open_aside(const struct site_dir *d, bool make)
{
	char name[NAME_MAX + 1];
	if (!name_aside(d->path, name))
		return -1;
	int parent = openat(d->sites, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -1;
	/* Whether it was there or could not be made, the next line tells. */
	int ignored = make ? mkdirat(parent, name, 0700) : 0;
	(void)ignored;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(parent);
	if (fd < 0 || is_private(d, fd))
		return fd;
	close(fd);
	return -1;
}

int
site_dir_aside(struct site_dir *d, bool make)
{
	if (d->aside < 0)
		d->aside = open_aside(d, make);
	if (d->aside < 0 && make)
		d->aside = d->sites;
	return d->aside;
}

void
site_dir_give_up_aside(struct site_dir *d)
{
	if (d->aside >= 0 && d->aside != d->sites)
		close(d->aside);
	d->aside = d->sites;
}

/* -- a look at a file -- */

bool
site_is_marked(const char *text, size_t n)
{
	size_t mark = strlen(SITE_MARK);
	return n >= mark && memcmp(text, SITE_MARK, mark) == 0;
}

static const char *
kind_of(mode_t mode)
{
	return S_ISLNK(mode)    ? "a symbolic link"
	       : S_ISDIR(mode)  ? "a directory"
	       : S_ISFIFO(mode) ? "a FIFO"
	       : S_ISSOCK(mode) ? "a socket"
				: "a device";
}

/* Only ever called for what is not ours: 0, for that is an answer. */
static int
foreign(const struct site_dir *d, const char *name, struct site_look *ret, const char *what)
{
	ret->standing = SITE_FOREIGN;
	buf_finish(&ret->text);
	err_set(&ret->why, EEXIST, "%s/%s %s, so it is left alone", d->path, name, what);
	return 0;
}

int
site_open_quietly(int dir, const char *name)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd;

	do
		fd = openat(dir, name, flags | O_NOATIME);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0 || errno != EPERM)
		return fd;
	do
		fd = openat(dir, name, flags);
	while (fd < 0 && errno == EINTR);
	return fd;
}

/* -EFBIG: larger than such a file may be. */
static int
read_text(int fd, struct buf *ret)
{
	char bytes[65536];
	ssize_t n;

	buf_adds(ret, "");
	while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf_add(ret, bytes, (size_t)n);
		if (ret->n > (site_is_marked(ret->p, ret->n) ? SITE_TEXT_MAX : SITE_FOREIGN_MAX))
			return -EFBIG;
	}
	return 0;
}

static int
look_inside(const struct site_dir *d, const char *name, int fd, struct site_look *ret)
{
	char what[128];

	if (fstat(fd, &ret->st) < 0 || !S_ISREG(ret->st.st_mode))
		return foreign(d, name, ret, "is no file any more");
	int r = read_text(fd, &ret->text);
	if (r == -EFBIG)
		return foreign(d, name, ret, "is larger than 1 MiB and not of Waymark's");
	if (r < 0) {
		snprintf(what, sizeof(what), "cannot be read (%s)", strerror(-r));
		return foreign(d, name, ret, what);
	}
	if (site_is_marked(ret->text.p, ret->text.n))
		return 0;
	ret->standing = SITE_FOREIGN;
	err_set(&ret->why, EEXIST,
		"%s/%s is not of Waymark's (its first line does not begin with \"" SITE_MARK
		"\"), so it is left alone",
		d->path, name);
	return 0;
}

static bool
is_our_shortage(int code)
{
	return code == EMFILE || code == ENFILE || code == ENOMEM;
}

/* A FIFO or a device must not even be opened: somebody at its other end would notice. */
int
site_look(const struct site_dir *d, const char *name, struct site_look *ret)
{
	char what[128];

	*ret = (struct site_look){.standing = SITE_OURS};
	if (fstatat(d->sites, name, &ret->st, AT_SYMLINK_NOFOLLOW) < 0) {
		ret->standing = SITE_ABSENT;
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISREG(ret->st.st_mode)) {
		snprintf(what, sizeof(what), "is %s", kind_of(ret->st.st_mode));
		return foreign(d, name, ret, what);
	}
	int fd = site_open_quietly(d->sites, name);
	if (fd < 0 && is_our_shortage(errno))
		return -errno;
	if (fd < 0) {
		snprintf(what, sizeof(what), "cannot be opened (%s)", strerror(errno));
		return foreign(d, name, ret, what);
	}
	int r = look_inside(d, name, fd, ret);
	close(fd);
	return r;
}

void
site_look_finish(struct site_look *l)
{
	buf_finish(&l->text);
}

/* -- files aside -- */

bool
site_aside_is_name(const char *name)
{
	size_t begin = strlen(ASIDE_BEGIN), n = strlen(name);
	return n == SITE_ASIDE_NAME - 1 && strncmp(name, ASIDE_BEGIN, begin) == 0 &&
	       strspn(name + begin, "0123456789abcdef") == 16 &&
	       strcmp(name + begin + 16, ASIDE_END) == 0;
}

void
site_aside_name(char ret[SITE_ASIDE_NAME])
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	uint64_t number = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	snprintf(ret, SITE_ASIDE_NAME, ASIDE_BEGIN "%016llx" ASIDE_END, (unsigned long long)number);
}

static int
create(struct site_dir *d, char ret_name[SITE_ASIDE_NAME])
{
	int fd = -1;
	errno = EEXIST;
	for (int i = 0; fd < 0 && (errno == EEXIST || errno == EINTR) && i < ASIDE_TRIES; i++) {
		site_aside_name(ret_name);
		fd = openat(site_dir_aside(d, true), ret_name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	return fd < 0 ? -errno : fd;
}

static int
write_all(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t w = write(fd, text, n);
		if (w < 0 && errno != EINTR)
			return -errno;
		if (w > 0) {
			text += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

static int
fill(const struct site_dir *d, int fd, const char *text, size_t n)
{
	/* Its owner is a courtesy: only root may give files away. */
	int ignored = fchown(fd, d->st.st_uid, d->st.st_gid);
	(void)ignored;
	int r = write_all(fd, text, n);
	if (r == 0 && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		r = -errno;
	return r;
}

int
site_aside_write(struct site_dir *d, const char *text, size_t n, char ret_name[SITE_ASIDE_NAME])
{
	int fd = create(d, ret_name);
	if (fd < 0)
		return fd;
	int r = fill(d, fd, text, n);
	/* What a file system finds out only now (NFS, quotas) is an error, too. */
	if (close(fd) < 0 && errno != EINTR && r == 0)
		r = -errno;
	if (r < 0)
		unlinkat(d->aside, ret_name, 0);
	return r;
}
