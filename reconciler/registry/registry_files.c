#include "reconciler/registry/registry_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "reconciler/base/buf.h"
#include "reconciler/registry/registry_dir.h"

#define LINKS_MAX 40 /* as the kernel's, path_resolution(7) */
/* Timestamps are as coarse as 2 s (FAT, some servers): what changed later than this before it was
 * read may change again and look the same. */
#define YOUNG_NS 2500000000ll
#define TRIES 3 /* to read a file that is being written */
#define LARGE (1 << 20)

/* -- where the paths lead -- */

static void
note(struct registry_look *l, const struct watch *watch)
{
	size_t n = l->nwatches;

	if (!(n & (n - 1))) { /* full, for it doubles */
		struct watch *more = ARENA_ARRAY(&l->arena, struct watch, n ? 2 * n : 1);
		if (n)
			memcpy(more, l->watches, n * sizeof(*more));
		l->watches = more;
	}
	l->watches[l->nwatches++] = *watch;
}

struct walk {
	struct registry_look *look;
	unsigned tags;
	bool content;
	struct buf at; /* so far, without links; "" is the root */
	struct buf rest;
	unsigned links;
};

/* The first component, taken from the rest; NULL where there is none. */
static char *
walk_component(struct walk *w)
{
	char *begin = w->rest.p + strspn(w->rest.p, "/"), *end = begin + strcspn(begin, "/");
	char *name = *begin ? arena_strndup(&w->look->arena, begin, (size_t)(end - begin)) : NULL;
	char *rest = xstrdup(end);

	buf_reset(&w->rest);
	buf_adds(&w->rest, rest);
	free(rest);
	return name;
}

static void
walk_up(struct walk *w)
{
	char *slash = w->at.n ? strrchr(w->at.p, '/') : NULL;
	if (!slash)
		return;
	*slash = '\0';
	w->at.n = (size_t)(slash - w->at.p);
}

static bool
walk_link(struct walk *w, const char *path)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlink(path, target, PATH_MAX);

	if (n <= 0 || ++w->links > LINKS_MAX)
		return false;
	target[n] = '\0';
	char *rest = xstrdup(w->rest.p);
	buf_reset(&w->rest);
	buf_addf(&w->rest, "%s%s", target, rest);
	free(rest);
	if (target[0] == '/') {
		buf_reset(&w->at);
		buf_adds(&w->at, "");
	}
	return w->rest.n <= 4 * PATH_MAX;
}

/* Into the entry of that name; false where the path ends here. */
static bool
walk_into(struct walk *w, const char *name)
{
	bool last = !w->rest.p[strspn(w->rest.p, "/")];
	struct stat st;

	note(w->look, &(struct watch){.dir = arena_strdup(&w->look->arena, w->at.n ? w->at.p : "/"),
			      .name = name,
			      .content = last && w->content,
			      .tags = w->tags});
	size_t before = w->at.n;
	buf_addf(&w->at, "/%s", name);
	if (lstat(w->at.p, &st) < 0)
		return false;
	if (!S_ISLNK(st.st_mode))
		return last || S_ISDIR(st.st_mode);
	char *path = xstrdup(w->at.p);
	w->at.n = before;
	w->at.p[before] = '\0';
	bool followed = walk_link(w, path);
	free(path);
	return followed;
}

static void
walk_begin(struct walk *w, const char *path)
{
	char cwd[PATH_MAX];

	buf_adds(&w->at, "");
	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)))
		buf_addf(&w->rest, "%s/%s", cwd, path);
	else
		buf_adds(&w->rest, path);
}

/* Follows a path as the kernel does and notes every entry that decides where it leads, up to the
 * first one that is not there.  Returns where it ended, or NULL where it does not exist. */
static const char *
walk(struct registry_look *l, const char *path, unsigned tags, bool content)
{
	struct walk w = {.look = l, .tags = tags, .content = content};
	const char *name;
	bool there = true;

	walk_begin(&w, path);
	while (there && (name = walk_component(&w))) {
		if (strcmp(name, "..") == 0)
			walk_up(&w);
		else if (strcmp(name, ".") != 0)
			there = walk_into(&w, name);
	}
	const char *end = there ? arena_strdup(&l->arena, w.at.n ? w.at.p : "/") : NULL;
	buf_finish(&w.at);
	buf_finish(&w.rest);
	return end;
}

static bool
is_remote(const char *directory)
{
	static const unsigned magic[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, 0xff534d42 /* CIFS */,
		0xfe534d42 /* SMB2 */, FUSE_SUPER_MAGIC, V9FS_MAGIC, AFS_SUPER_MAGIC,
		0x00c36400 /* Ceph */, CODA_SUPER_MAGIC, 0x786f4256 /* VirtualBox */,
		0x0bd00bd0 /* Lustre */, 0x01161970 /* GFS2 */, OCFS2_SUPER_MAGIC};
	struct statfs fs;

	if (statfs(directory, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(magic) / sizeof(*magic); i++)
		if ((unsigned)fs.f_type == magic[i])
			return true;
	return false;
}

/* -- one file -- */

static struct registry_reading *trouble(const char *path, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static struct registry_reading *
trouble(const char *path, const char *remedy, const char *fmt, ...)
{
	struct registry_reading *r = registry_reading_create();
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	registry_reading_fault(r,
		&(struct registry_fault){.file = path, .path = "", .what = what, .remedy = remedy});
	return r;
}

static struct registry_reading *
trouble_errno(const char *path, int code)
{
	const char *remedy =
		code == EACCES || code == EPERM    ? "let the user that Waymark runs as read it"
		: code == EMFILE || code == ENFILE ? "raise the limit of open files (LimitNOFILE=)"
		: code == ELOOP                    ? "let its symbolic links lead to a file"
				: "see what the system says of it (dmesg, mount)";
	return trouble(path, remedy, "cannot be read: %s", strerror(code));
}

static void
broken(struct registry_file *f, struct registry_reading *why)
{
	f->state = FILE_BROKEN;
	f->reading = why;
}

/* Nothing of the file says when it would work, so it is tried at each look. */
static void
broken_by_errno(struct registry_file *f, int code)
{
	f->id.sure = false;
	broken(f, trouble_errno(f->path, code));
}

static int64_t
ns_of(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void
id_of(const struct stat *st, struct registry_file_id *ret)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t old = ns_of(&now) - YOUNG_NS;

	*ret = (struct registry_file_id){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = ns_of(&st->st_mtim),
		.ctime_ns = ns_of(&st->st_ctim),
	};
	ret->sure = ret->mtime_ns < old && ret->ctime_ns < old;
}

static bool
is_same(const struct registry_file_id *a, const struct registry_file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static const char *
type_text(mode_t mode)
{
	return S_ISDIR(mode)    ? "a directory"
	       : S_ISFIFO(mode) ? "a FIFO"
	       : S_ISSOCK(mode) ? "a socket"
				: "a device";
}

/* Its kind and size. */
static bool
is_readable(struct registry_file *f, const struct stat *st, size_t max)
{
	if (!S_ISREG(st->st_mode))
		broken(f, trouble(f->path, "put a file there", "is %s, not a file",
				  type_text(st->st_mode)));
	else if ((uint64_t)st->st_size > max)
		broken(f, trouble(f->path, "put something smaller there", "is larger than %zu KiB",
				  max / 1024));
	return f->state != FILE_BROKEN;
}

/* All there is, or a byte more than max: 0, or a negative errno value. */
static int
read_all(int fd, size_t expected, size_t max, struct buf *text)
{
	char bytes[32768];
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	text->p = xrealloc(text->p, expected + 1); /* at once, not by doubling */
	text->cap = expected + 1;
	text->n = 0;
	while (text->n <= max && (n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			buf_add(text, bytes, (size_t)n);
	}
	buf_add(text, "", 0);
	return 0;
}

/* Text that did not change while it was read; false, with the file broken, where there is none. */
static bool
read_steady(struct registry_file *f, int fd, size_t max, struct buf *text)
{
	struct stat before, after;

	for (int i = 0; i < TRIES; i++) {
		int r = fstat(fd, &before) < 0 ? -errno : 0;
		if (r == 0 && !is_readable(f, &before, max))
			return false;
		r = r < 0 ? r : read_all(fd, (size_t)before.st_size, max, text);
		r = r == 0 && fstat(fd, &after) < 0 ? -errno : r;
		if (r < 0) {
			broken_by_errno(f, -r);
			return false;
		}
		id_of(&after, &f->id);
		if (text->n == (size_t)after.st_size && before.st_size == after.st_size &&
			ns_of(&before.st_mtim) == ns_of(&after.st_mtim))
			return true;
	}
	f->id.sure = false;
	broken(f, trouble(f->path, "write another file and rename it to this one",
			  "is being written all the time"));
	return false;
}

static void
parse(const struct registry_look *l, struct registry_file *f, const struct buf *text)
{
	struct registry_options o = {.source = REGISTRY_DIR_NAME,
		.file = f->path,
		.dialect = l->dialect,
		.grace_ms = l->grace_ms};
	bool is_broken = false;

	f->reading = f->tag == REGISTRY_SSOT
			     ? registry_parse_ssot(text->p, text->n, &o, &is_broken)
			     : registry_parse_slots(text->p, text->n, &o, &is_broken);
	f->state = is_broken ? FILE_BROKEN : FILE_WHOLE;
	/* Each thread of the pool would keep what a hostile file of 16 MiB took: 500 MB were seen.
	 */
	if (text->n > LARGE)
		malloc_trim(0);
}

/* Decoding costs a hundred times what a digest does, and a young file is read again and again. */
static bool
is_known_text(const struct registry_look *l, struct registry_file *f, const struct buf *text)
{
	const struct registry_file_id *known = l->known(l->known_arg, f->name);
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, text->n, (const uint8_t *)text->p);
	sha256_digest(&ctx, sizeof(f->id.sha256), f->id.sha256);
	if (!known || memcmp(known->sha256, f->id.sha256, sizeof(f->id.sha256)) != 0)
		return false;
	f->state = FILE_SAME;
	return true;
}

static void
read_text(const struct registry_look *l, int dir, const char *name, struct registry_file *f,
	size_t max)
{
	struct buf text = {0};
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ENOENT) {
		f->state = FILE_ABSENT;
		return;
	}
	if (fd < 0) {
		broken_by_errno(f, errno);
		return;
	}
	if (read_steady(f, fd, max, &text) && !is_known_text(l, f, &text))
		parse(l, f, &text);
	close(fd);
	buf_finish(&text);
}

/* The status comes first, for opening a device may do something. */
static void
read_file(const struct registry_look *l, int dir, const char *name, struct registry_file *f,
	size_t max)
{
	const struct registry_file_id *known = l->known(l->known_arg, f->name);
	struct stat st;

	if (fstatat(dir, name, &st, 0) < 0) {
		f->state = FILE_ABSENT;
		if (errno != ENOENT)
			broken_by_errno(f, errno);
		return;
	}
	id_of(&st, &f->id);
	if (known && known->sure && is_same(known, &f->id) && !(l->force & f->tag)) {
		memcpy(f->id.sha256, known->sha256, sizeof(f->id.sha256));
		f->state = FILE_SAME;
		return;
	}
	if (is_readable(f, &st, max))
		read_text(l, dir, name, f, max);
}

/* -- slots/ -- */

static bool
is_own_name(const char *name)
{
	size_t n = strlen(name);
	return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static void
add_own(struct registry_look *l, size_t *cap, const char *name)
{
	if (l->nown == *cap) {
		size_t more = *cap ? 2 * *cap : 64;
		struct registry_file *own = ARENA_ARRAY(&l->arena, struct registry_file, more);
		if (l->nown)
			memcpy(own, l->own, l->nown * sizeof(*own));
		l->own = own;
		*cap = more;
	}
	l->own[l->nown++] = (struct registry_file){
		.name = arena_printf(&l->arena, "slots/%s", name),
		.path = arena_printf(&l->arena, "%s/slots/%s", l->directory, name),
		.tag = REGISTRY_OWN,
	};
}

/* Their names; links are followed for what has to be watched.  0, or a negative errno value. */
static int
list_own(struct registry_look *l, DIR *dir, const char *real)
{
	const struct dirent *e;
	size_t cap = 0;

	errno = 0;
	while ((e = readdir(dir))) {
		if (!is_own_name(e->d_name))
			continue;
		if (l->nown == REGISTRY_OWN_FILES_MAX)
			return -EFBIG;
		add_own(l, &cap, e->d_name);
		if (real && e->d_type != DT_REG)
			walk(l, arena_printf(&l->arena, "%s/%s", real, e->d_name), REGISTRY_OWN,
				true);
		errno = 0;
	}
	return -errno;
}

static int
compare_files(const void *a, const void *b)
{
	const struct registry_file *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void
read_own(struct registry_look *l, int dir)
{
	uint64_t bytes = 0;
	size_t kept = 0;

	if (l->nown)
		qsort(l->own, l->nown, sizeof(*l->own), compare_files);
	for (size_t i = 0; i < l->nown; i++) {
		struct registry_file f = l->own[i];
		read_file(l, dir, f.name + strlen("slots/"), &f, REGISTRY_OWN_FILE_MAX);
		bytes += f.id.size;
		if (f.state == FILE_WHOLE && bytes > REGISTRY_OWN_BYTES_MAX) {
			registry_reading_destroy(f.reading);
			broken(&f, trouble(f.path, "remove what is not needed there",
					   "is not read: the files in slots/ are larger than "
					   "%d MiB together",
					   REGISTRY_OWN_BYTES_MAX >> 20));
		}
		if (f.state != FILE_ABSENT)
			l->own[kept++] = f;
	}
	l->nown = kept;
}

static void
own_unusable(struct registry_look *l, int code)
{
	const char *path = arena_printf(&l->arena, "%s/slots", l->directory);

	l->nown = 0;
	l->own_trouble = code == EFBIG     ? trouble(path, "remove what is not needed there",
						     "has more than %d files", REGISTRY_OWN_FILES_MAX)
			 : code == ENOTDIR ? trouble(path, "make it a directory, or remove it",
						     "is not a directory")
					   : trouble_errno(path, code);
}

static void
look_at_own(struct registry_look *l, int directory)
{
	const char *path = arena_printf(&l->arena, "%s/slots", l->directory);
	const char *real = walk(l, path, REGISTRY_OWN, false);
	int fd = openat(directory, "slots", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		if (errno != ENOENT)
			own_unusable(l, errno);
		return;
	}
	if (real)
		note(l, &(struct watch){.dir = real,
				.suffix = ".json",
				.content = true,
				.tags = REGISTRY_OWN});
	DIR *dir = fdopendir(fd);
	int r = dir ? list_own(l, dir, real) : -errno;
	if (r == 0)
		read_own(l, dirfd(dir));
	else
		own_unusable(l, -r);
	if (dir)
		closedir(dir);
	else
		close(fd);
}

/* -- all -- */

static void
look_at_main(struct registry_look *l, int directory, size_t i, const char *name, unsigned tag)
{
	struct registry_file *f = &l->main[i];

	f->name = name;
	f->path = arena_printf(&l->arena, "%s/%s", l->directory, name);
	f->tag = tag;
	walk(l, f->path, tag, true);
	if (directory >= 0)
		read_file(l, directory, name, f, REGISTRY_FILE_MAX);
}

static struct registry_reading *
directory_trouble(const struct registry_look *l, int code)
{
	if (code == ENOENT)
		return trouble(
			l->directory, "make it, or correct registry.directory", "is not there");
	if (code == ENOTDIR)
		return trouble(l->directory, "correct registry.directory", "is not a directory");
	return trouble_errno(l->directory, code);
}

void
registry_look_run(struct registry_look *l)
{
	walk(l, l->directory, REGISTRY_ALL, false);
	/* It need not be readable, only passable. */
	int dir = open(l->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		l->missing = directory_trouble(l, errno);
	l->remote = is_remote(l->directory);
	look_at_main(l, dir, 0, "ssot.json", REGISTRY_SSOT);
	look_at_main(l, dir, 1, "slots.json", REGISTRY_SLOTS);
	if (dir < 0)
		return;
	look_at_own(l, dir);
	close(dir);
}

void
registry_look_finish(struct registry_look *l)
{
	for (size_t i = 0; i < 2; i++)
		registry_reading_destroy(l->main[i].reading);
	for (size_t i = 0; i < l->nown; i++)
		registry_reading_destroy(l->own[i].reading);
	registry_reading_destroy(l->missing);
	registry_reading_destroy(l->own_trouble);
	arena_finish(&l->arena);
}
