#include "reconciler/base/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
#include <uthash.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/log.h"

/* Which entry a name is. */
#define ENTRY_EVENTS                                                                               \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF |        \
		IN_MOVE_SELF)
#define CONTENT_EVENTS (IN_MODIFY | IN_CLOSE_WRITE)
#define FLAGS (IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK)
/* The directory itself went, or another one has its name. */
#define GONE_EVENTS (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)

/* So much is read in a turn, then others have theirs. */
#define READS_A_TURN 16

struct entry {
	UT_hash_handle hh;
	unsigned tags;
	bool content;
	char name[];
};

struct directory {
	UT_hash_handle hh;
	int wd; /* -1: not watched */
	unsigned tags; /* of all its entries */
	bool content;
	struct entry *entries;
	struct entry *suffix; /* its name is the suffix */
	char path[];
};

struct watcher {
	uv_loop_t *loop;
	void (*rang)(void *arg, const struct watcher_ring *ring);
	void *arg;
	int fd; /* -1: none */
	uv_poll_t *poll;
	int mounts;
	uv_poll_t *mounts_poll;
	struct directory *directories;
};

/* -- the set -- */

static struct entry *
entry_create(const char *name)
{
	size_t n = strlen(name) + 1;
	struct entry *e = xcalloc(1, sizeof(*e) + n);
	memcpy(e->name, name, n);
	return e;
}

static struct directory *
directory_create(const char *path)
{
	size_t n = strlen(path) + 1;
	struct directory *d = xcalloc(1, sizeof(*d) + n);
	d->wd = -1;
	memcpy(d->path, path, n);
	return d;
}

static void
directory_destroy(struct directory *d)
{
	struct entry *e, *next;
	HASH_ITER(hh, d->entries, e, next)
	{
		HASH_DEL(d->entries, e);
		free(e);
	}
	free(d->suffix);
	free(d);
}

static void
directories_destroy(struct directory *all)
{
	struct directory *d, *next;
	HASH_ITER(hh, all, d, next)
	{
		HASH_DEL(all, d);
		directory_destroy(d);
	}
}

static struct entry *
directory_entry(struct directory *d, const struct watch *watch)
{
	struct entry *e;

	if (!watch->name) {
		if (!d->suffix)
			d->suffix = entry_create(watch->suffix);
		return d->suffix;
	}
	HASH_FIND_STR(d->entries, watch->name, e);
	if (!e) {
		e = entry_create(watch->name);
		HASH_ADD_STR(d->entries, name, e);
	}
	return e;
}

/* In the order in which directories were first named, for those above are to be watched before
 * those below. */
static struct directory *
directories_create(const struct watch *watches, size_t n, bool *ret_all)
{
	struct directory *all = NULL, *d;

	*ret_all = true;
	for (size_t i = 0; i < n; i++) {
		HASH_FIND_STR(all, watches[i].dir, d);
		if (!d && HASH_COUNT(all) == WATCHER_MAX) {
			*ret_all = false;
			continue;
		}
		if (!d) {
			d = directory_create(watches[i].dir);
			HASH_ADD_STR(all, path, d);
		}
		struct entry *e = directory_entry(d, &watches[i]);
		e->tags |= watches[i].tags;
		e->content |= watches[i].content;
		d->tags |= watches[i].tags;
		d->content |= watches[i].content;
	}
	return all;
}

static bool
has_wd(const struct directory *all, int wd)
{
	for (const struct directory *d = all; d; d = d->hh.next)
		if (d->wd == wd)
			return true;
	return false;
}

/* Always by path, for the same path may be another directory by now: the same one gives the same
 * number.  Masks are added up, for two paths may be one directory. */
static int
directory_watch(const struct watcher *w, struct directory *d)
{
	uint32_t mask = ENTRY_EVENTS | (d->content ? CONTENT_EVENTS : 0);
	d->wd = inotify_add_watch(w->fd, d->path, mask | FLAGS | IN_MASK_ADD);
	return d->wd < 0 ? -errno : 0;
}

static bool
is_absent(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP;
}

static int
watch_error(const struct directory *d, int r, struct err *reterr)
{
	if (r == -ENOSPC)
		return err_set(reterr, ENOSPC,
			"'%s' cannot be watched: the limit of inotify watches is reached; raise "
			"sysctl fs.inotify.max_user_watches",
			d->path);
	return err_set(reterr, -r, "'%s' cannot be watched: %s", d->path, strerror(-r));
}

static int
watch_all(const struct watcher *w, struct directory *all, bool *ret_new, struct err *reterr)
{
	int first = 0;

	for (struct directory *d = all; d; d = d->hh.next) {
		int r = directory_watch(w, d);
		if (is_absent(r) || (r == 0 && !has_wd(w->directories, d->wd)))
			*ret_new = true;
		if (r < 0 && !is_absent(r) && !first)
			first = watch_error(d, r, reterr);
	}
	return first;
}

static void
unwatch_others(const struct watcher *w, const struct directory *old, const struct directory *now)
{
	for (const struct directory *d = old; d; d = d->hh.next)
		if (d->wd >= 0 && !has_wd(now, d->wd))
			inotify_rm_watch(w->fd, d->wd);
}

/* -- events -- */

static bool
ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);
	return n >= k && name[0] != '.' && strcmp(name + n - k, suffix) == 0;
}

static void
ring_entry(struct watcher_ring *ring, const struct entry *e, uint32_t mask, uint32_t *counted)
{
	uint32_t counts = mask & (e->content ? ENTRY_EVENTS | CONTENT_EVENTS : ENTRY_EVENTS);
	if (!counts)
		return;
	ring->tags |= e->tags;
	*counted |= counts;
}

static void
ring_directory(struct watcher_ring *ring, const struct directory *d,
	const struct inotify_event *event, uint32_t *counted)
{
	const struct entry *e;

	if (!event->len) { /* the directory itself */
		ring->tags |= d->tags;
		*counted |= event->mask;
		return;
	}
	HASH_FIND_STR(d->entries, event->name, e);
	if (e)
		ring_entry(ring, e, event->mask, counted);
	if (d->suffix && ends_in(event->name, d->suffix->name))
		ring_entry(ring, d->suffix, event->mask, counted);
}

static void
on_event(struct watcher *w, const struct inotify_event *event, struct watcher_ring *ring,
	uint32_t *counted)
{
	if (event->mask & IN_Q_OVERFLOW) {
		ring->lost = true;
		*counted |= event->mask;
		return;
	}
	for (struct directory *d = w->directories; d; d = d->hh.next) {
		if (d->wd != event->wd)
			continue;
		ring_directory(ring, d, event, counted);
		if (event->mask & GONE_EVENTS)
			ring->lost = true;
		if (event->mask & IN_IGNORED)
			d->wd = -1;
	}
}

/* Returns false where nothing is left to read. */
static bool
read_events(struct watcher *w, struct watcher_ring *ring, uint32_t *counted)
{
	alignas(struct inotify_event) char bytes[65536];
	ssize_t n = read(w->fd, bytes, sizeof(bytes));

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event = (const void *)(bytes + at);
		on_event(w, event, ring, counted);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	return n > 0;
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct watcher *w = poll->data;
	struct watcher_ring ring = {0};
	uint32_t counted = 0;

	(void)status;
	(void)events;
	for (int i = 0; i < READS_A_TURN && read_events(w, &ring, &counted); i++)
		;
	if (!counted)
		return;
	LOG(LOG_DEBUG, "inotify rang", LOG_S("events", inotifytools_event_to_str((int)counted)));
	ring.written = !(counted & ~(uint32_t)IN_MODIFY);
	if (ring.lost)
		ring.tags = ~0u;
	w->rang(w->arg, &ring);
}

/* The kernel says it with an error condition (proc(5), /proc/pid/mounts); asking resets it. */
static void
on_mounts(uv_poll_t *poll, int status, int events)
{
	struct watcher *w = poll->data;
	(void)status;
	(void)events;
	w->rang(w->arg, &(struct watcher_ring){.mounted = true});
}

/* -- life -- */

static void
on_closed(uv_handle_t *handle)
{
	free(handle);
}

static uv_poll_t *
poll_create(struct watcher *w, int fd, int events, uv_poll_cb cb)
{
	uv_poll_t *poll = xcalloc(1, sizeof(*poll));

	if (uv_poll_init(w->loop, poll, fd) < 0) {
		free(poll);
		return NULL;
	}
	poll->data = w;
	uv_poll_start(poll, events, cb);
	return poll;
}

static void
poll_destroy(uv_poll_t *poll)
{
	if (poll)
		uv_close((uv_handle_t *)poll, on_closed);
}

static int
watcher_open(struct watcher *w, struct err *reterr)
{
	if (w->fd >= 0)
		return 0;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0 && errno == EMFILE)
		return err_set(reterr, EMFILE,
			"inotify cannot be used: the limit of its instances, or of open files, is "
			"reached; raise sysctl fs.inotify.max_user_instances");
	if (w->fd < 0)
		return err_set(reterr, errno, "inotify cannot be used: %s", strerror(errno));
	w->poll = poll_create(w, w->fd, UV_READABLE, on_readable);
	if (w->poll)
		return 0;
	close(w->fd);
	w->fd = -1;
	return err_set(reterr, ENOMEM, "inotify cannot be used: the loop does not take it");
}

struct watcher *
watcher_create(uv_loop_t *loop, void (*rang)(void *arg, const struct watcher_ring *ring), void *arg)
{
	struct watcher *w = xcalloc(1, sizeof(*w));

	w->loop = loop;
	w->rang = rang;
	w->arg = arg;
	w->fd = -1;
	w->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (w->mounts >= 0)
		w->mounts_poll = poll_create(w, w->mounts, UV_PRIORITIZED, on_mounts);
	return w;
}

void
watcher_destroy(struct watcher *w)
{
	if (!w)
		return;
	poll_destroy(w->poll);
	poll_destroy(w->mounts_poll);
	if (w->fd >= 0)
		close(w->fd);
	if (w->mounts >= 0)
		close(w->mounts);
	directories_destroy(w->directories);
	free(w);
}

int
watcher_set(
	struct watcher *w, const struct watch *watches, size_t n, bool *ret_new, struct err *reterr)
{
	bool all;
	struct directory *old = w->directories;

	*ret_new = false;
	int r = watcher_open(w, reterr);
	if (r < 0)
		return r;
	struct directory *now = directories_create(watches, n, &all);
	r = watch_all(w, now, ret_new, reterr);
	unwatch_others(w, old, now);
	w->directories = now;
	directories_destroy(old);
	if (r == 0 && !all)
		r = err_set(reterr, E2BIG,
			"more than %d directories would have to be watched: too many symbolic "
			"links",
			WATCHER_MAX);
	return r;
}
