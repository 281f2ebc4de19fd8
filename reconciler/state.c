#include "reconciler/state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/log.h"
#include "reconciler/state_parse.h"

#define WRITE_EVERY_MS 1000
#define RETRY_MS 5000
/* A journal this much larger than what it says is made anew. */
#define OUTGROWN(whole) ((whole)*2 + (1 << 20))

struct state {
	uv_loop_t *loop;
	struct state_owner owner;
	int dir;
	int lock;
	char boot[64];
	uv_timer_t timer;
	uv_work_t work;
	struct buf lines; /* not handed to a write yet */
	bool whole_wanted; /* the journal is to be made anew */
	bool writing, closing;
	uv_sem_t written; /* the pool is done with what follows */
	size_t size, whole;

	/* Of the write under way; the pool's while it runs. */
	struct buf bytes;
	bool anew;
	struct err result;
	struct err error;
};

static void
read_boot(char *boot, size_t size)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!f || !fgets(boot, (int)size, f))
		snprintf(boot, size, "unknown");
	boot[strcspn(boot, "\n")] = '\0';
	if (f)
		fclose(f);
}

static int
make_dirs(const char *dir)
{
	char path[4096];
	if ((size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static void on_timer(uv_timer_t *timer);

int
state_open(uv_loop_t *loop, const char *dir, const struct state_owner *owner, struct state **ret,
	struct err *reterr)
{
	int r = make_dirs(dir);
	if (r < 0)
		return err_set(reterr, -r, "state_dir '%s': %s", dir, strerror(-r));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(reterr, errno, "state_dir '%s': %s", dir, strerror(errno));
	if (faccessat(fd, "journal", R_OK, AT_EACCESS) < 0 && errno != ENOENT) {
		r = errno;
		close(fd);
		return err_set(reterr, r, "state_dir '%s': the journal cannot be read: %s", dir,
			strerror(r));
	}
	int lock = openat(fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? EBUSY : errno;
		if (lock >= 0)
			close(lock);
		close(fd);
		return r == EBUSY ? err_set(reterr, r,
					    "state_dir '%s' is in use by another Waymark; stop "
					    "that one, or give this one a directory of its own",
					    dir)
				  : err_set(reterr, r, "state_dir '%s': %s", dir, strerror(r));
	}

	struct state *s = xcalloc(1, sizeof(*s));
	s->loop = loop;
	s->owner = *owner;
	s->dir = fd;
	s->lock = lock;
	s->whole_wanted = true;
	uv_sem_init(&s->written, 0);
	read_boot(s->boot, sizeof(s->boot));
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	*ret = s;
	return 0;
}

struct loading {
	struct state *s;
	bool rebooted; /* what follows was written in another boot */
};

static void
load_endpoint(struct loading *l, const json_t *row)
{
	struct state_owner *owner = &l->s->owner;
	struct endpoint *e;

	if (json_is_true(json_object_get(row, "gone"))) {
		const char *engine = json_string_value(json_object_get(row, "engine"));
		const char *id = json_string_value(json_object_get(row, "id"));
		if (engine && id)
			owner->load_gone(owner->arg, engine, id);
		return;
	}
	if (state_parse_endpoint(row, &e, NULL) < 0)
		return;
	e->withheld = e->withheld || l->rebooted;
	owner->load_endpoint(owner->arg, e);
	endpoint_unref(e);
}

static bool
load_line(struct loading *l, const char *line, size_t n)
{
	json_auto_t *row = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	const char *kind = json_string_value(json_object_get(row, "row"));
	struct state_owner *owner = &l->s->owner;

	if (!kind)
		return false;
	if (strcmp(kind, "boot") == 0) {
		const char *id = json_string_value(json_object_get(row, "id"));
		l->rebooted = !id || strcmp(id, l->s->boot) != 0;
	} else if (strcmp(kind, "source") == 0) {
		const char *engine = json_string_value(json_object_get(row, "engine"));
		if (engine)
			owner->load_source(owner->arg, engine);
	} else if (strcmp(kind, "endpoint") == 0) {
		load_endpoint(l, row);
	} else {
		owner->load_row(owner->arg, row);
	}
	return true;
}

static size_t
load_lines(struct state *s, const char *text, size_t n)
{
	struct loading l = {.s = s, .rebooted = true};
	const char *end = text + n, *newline;
	size_t unreadable = 0;

	for (const char *line = text; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline)
			break; /* torn by a crash: it was never promised */
		if (newline > line && !load_line(&l, line, (size_t)(newline - line)))
			unreadable++;
	}
	return unreadable;
}

size_t
state_load(struct state *s)
{
	struct stat st;
	size_t unreadable = 0;
	int fd = openat(s->dir, "journal", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		size_t n = (size_t)st.st_size;
		char *text = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
		if (text != MAP_FAILED) {
			unreadable = load_lines(s, text, n);
			munmap(text, n);
		}
	}
	close(fd);
	return unreadable;
}

struct buf *
state_lines(struct state *s)
{
	return &s->lines;
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int
sync_and_close(int fd)
{
	int r = fsync(fd) < 0 ? -errno : 0;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static void
write_bytes(struct state *s)
{
	int flags = s->anew ? O_CREAT | O_TRUNC : O_APPEND;
	int fd = openat(s->dir, s->anew ? "journal.new" : "journal",
		O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	int r = fd < 0 ? -errno : write_all(fd, s->bytes.p, s->bytes.n);

	if (fd >= 0) {
		int closed = sync_and_close(fd);
		r = r < 0 ? r : closed;
	}
	if (r == 0 && s->anew && renameat(s->dir, "journal.new", s->dir, "journal") < 0)
		r = -errno;
	if (r == 0 && s->anew && fsync(s->dir) < 0)
		r = -errno;
	s->result = (struct err){0};
	if (r < 0)
		err_set(&s->result, -r, "the journal cannot be written: %s", strerror(-r));
}

/* Runs in the pool, on what the loop left alone for it. */
static void
on_work(uv_work_t *work)
{
	struct state *s = work->data;
	write_bytes(s);
	uv_sem_post(&s->written);
}

static void
write_begin(struct state *s)
{
	assert(!s->writing);
	if (s->size + s->lines.n > OUTGROWN(s->whole))
		s->whole_wanted = true;
	s->anew = s->whole_wanted;
	if (s->anew) {
		buf_finish(&s->lines);
		state_print_boot(&s->lines, s->boot);
		s->owner.print_all(s->owner.arg, &s->lines);
	}
	s->bytes = s->lines;
	s->lines = (struct buf){0};
	s->writing = true;
}

static void
write_end(struct state *s)
{
	s->writing = false;
	if (s->result.code) {
		if (strcmp(s->error.text, s->result.text) != 0)
			LOG(LOG_WARN, "state not kept, trying again in 5 s",
				LOG_S("err", s->result.text));
		s->whole_wanted = true;
	} else {
		if (s->error.code)
			LOG(LOG_INFO, "state kept again");
		s->size = (s->anew ? 0 : s->size) + s->bytes.n;
		s->whole = s->anew ? s->bytes.n : s->whole;
		s->whole_wanted = false;
	}
	s->error = s->result;
	buf_finish(&s->bytes);
}

static void on_closed(uv_handle_t *handle);

static void
on_written(uv_work_t *work, int status)
{
	struct state *s = work->data;
	(void)status;
	if (s->closing) {
		uv_close((uv_handle_t *)&s->timer, on_closed);
		return;
	}
	uv_sem_wait(&s->written);
	write_end(s);
	if (s->error.code)
		uv_timer_start(&s->timer, on_timer, RETRY_MS, 0);
	else if (s->lines.n)
		state_ring(s);
}

static void
on_timer(uv_timer_t *timer)
{
	struct state *s = timer->data;
	if (s->writing)
		return;
	write_begin(s);
	s->work.data = s;
	uv_queue_work(s->loop, &s->work, on_work, on_written);
}

void
state_ring(struct state *s)
{
	if (!s->writing && !uv_is_active((uv_handle_t *)&s->timer))
		uv_timer_start(&s->timer, on_timer, WRITE_EVERY_MS, 0);
}

const char *
state_error(const struct state *s)
{
	return s->error.text;
}

static void
on_closed(uv_handle_t *handle)
{
	struct state *s = handle->data;
	buf_finish(&s->lines);
	buf_finish(&s->bytes);
	uv_sem_destroy(&s->written);
	close(s->lock);
	close(s->dir);
	free(s);
}

void
state_close(struct state *s)
{
	if (!s)
		return;
	/* A write under way ends within the pool; its callback comes when the loop runs again. */
	s->closing = s->writing;
	if (s->writing) {
		uv_sem_wait(&s->written);
		write_end(s);
	}
	if (s->lines.n || s->whole_wanted) {
		write_begin(s);
		write_bytes(s);
		write_end(s);
	}
	uv_timer_stop(&s->timer);
	if (!s->closing)
		uv_close((uv_handle_t *)&s->timer, on_closed);
}
