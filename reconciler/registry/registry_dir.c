#include "reconciler/registry/registry_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/fnv.h"
#include "reconciler/base/log.h"
#include "reconciler/base/watcher.h"
#include "reconciler/registry/registry_book.h"
#include "reconciler/registry/registry_files.h"
#include "reconciler/registry/registry_merge.h"
#include "reconciler/registry/registry_trust.h"
#include "reconciler/sources/standing.h"

#define PERIOD_MS 30000
#define BLIND_PERIOD_MS 2000 /* where inotify cannot tell */
/* Between the begins of two looks: at least this, and a multiple of what the last one cost. */
#define PACE_MS 5
#define PACE_TIMES 2
#define GAP_MS 50 /* after an overflow or a mount, which anybody can cause at any rate */
#define WRITING_MS 100 /* what is being written is most likely not whole yet */
#define LOG_MS 1000 /* between two lines about faults */

enum phase {
	PHASE_IDLE,
	PHASE_READING, /* the pool has look */
	PHASE_MERGING, /* the pool has merge, and reads book and trust */
};

struct registry_dir {
	struct registry registry;
	uv_loop_t *loop;
	struct registry_sink sink;
	char *path;
	enum settings_dialect dialect;
	uint64_t grace_ms;
	uint32_t shrink_after_ms;

	struct registry_book *book;
	struct registry_trust *trust;
	struct watcher *watcher;
	uv_timer_t timer;
	uv_work_t work;
	enum phase phase;
	bool started, closing;
	struct registry_look look;
	struct registry_merge merge;
	struct registry_reading *faults; /* of the files with each other; may be NULL */

	unsigned rang; /* tags, since the last look began */
	uint64_t wanted_ms; /* when the next look is wanted; UINT64_MAX: not */
	uint64_t begun_ms, free_ms; /* the last look's begin; none before this one */
	bool blind; /* inotify does not tell everything */
	bool unmerged; /* something new has not reached the book */

	bool whole; /* the book is a whole observation, of this run or an earlier one */
	bool seen; /* of this run */
	struct standing standing;
	char watch_error[512];
	bool doubted;
	uint64_t faults_hash, logged_hash, logged_ms;
	uint64_t nrings, nlooks;
};

static struct registry_dir *
dir_of(struct registry *r)
{
	return (struct registry_dir *)r;
}

static const struct registry_dir *
const_dir_of(const struct registry *r)
{
	return (const struct registry_dir *)r;
}

/* The loop's own time stands still during a turn. */
static uint64_t
now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* -- how it stands -- */

static void
dir_faults(
	const struct registry *r, void (*fn)(void *arg, const struct registry_fault *f), void *arg)
{
	const struct registry_dir *d = const_dir_of(r);

	registry_trust_faults(d->trust, fn, arg);
	for (size_t i = 0; d->faults && i < d->faults->nfaults; i++)
		fn(arg, &d->faults->faults[i]);
}

struct summary {
	size_t n;
	uint64_t hash;
	struct buf first;
};

static void
hash_text(uint64_t *hash, const char *s)
{
	*hash = fnv_add(*hash, s, strlen(s) + 1);
}

static void
summarize(void *arg, const struct registry_fault *f)
{
	struct summary *s = arg;

	hash_text(&s->hash, f->file);
	hash_text(&s->hash, f->path);
	hash_text(&s->hash, f->what);
	hash_text(&s->hash, f->remedy);
	s->hash += f->line;
	if (s->n++)
		return;
	registry_fault_print(f, &s->first);
	buf_addf(&s->first, "; %s", f->remedy);
}

/* A hostile editor changes them with each look, so not every change has its line. */
static void
log_faults(struct registry_dir *d, const struct summary *s)
{
	if (s->hash == d->logged_hash || now_ms() - d->logged_ms < LOG_MS)
		return;
	if (s->n)
		LOG(LOG_WARN, "registry has faults, what was good of them stays in force",
			LOG_S("source", REGISTRY_DIR_NAME), LOG_N("faults", s->n),
			LOG_S("first", s->first.p));
	else
		LOG(LOG_INFO, "registry has no faults any more",
			LOG_S("source", REGISTRY_DIR_NAME));
	d->logged_hash = s->hash;
	d->logged_ms = now_ms();
}

static enum source_status
status_of(const struct registry_dir *d, struct buf *error)
{
	registry_trust_error(d->trust, !d->whole, error);
	if (!d->whole)
		return SOURCE_NEW;
	if (!error->n && !d->seen)
		buf_adds(error, "not seen yet since the start");
	return error->n ? SOURCE_STALE : SOURCE_READY;
}

/* Tells the sink where anything about it changed. */
static void
update_status(struct registry_dir *d)
{
	struct summary s = {0};
	struct buf error = {0};
	bool doubted = registry_trust_is_doubted(d->trust);

	dir_faults(&d->registry, summarize, &s);
	enum source_status status = status_of(d, &error);
	buf_adds(&error, "");
	log_faults(d, &s);
	bool changed = standing_set(&d->standing, status, error.p) || d->doubted != doubted ||
		       d->faults_hash != s.hash;
	d->doubted = doubted;
	d->faults_hash = s.hash;
	buf_finish(&s.first);
	buf_finish(&error);
	if (changed)
		d->sink.status(d->sink.arg, REGISTRY_DIR_NAME);
}

static void
dir_info(const struct registry *r, struct source_info *ret)
{
	const struct registry_dir *d = const_dir_of(r);

	*ret = (struct source_info){
		.name = REGISTRY_DIR_NAME,
		.kind = "directory",
		.address = d->path,
		.version = "",
		.doubted = d->doubted,
		.objects = registry_book_nprojects(d->book),
		.events = d->nrings,
		.lists = d->nlooks,
	};
	standing_info(&d->standing, ret);
}

/* -- when to look -- */

static void look_begin(struct registry_dir *d);
static void on_due(uv_timer_t *timer);

/* Begins the look that is wanted, now or later. */
static void
run(struct registry_dir *d)
{
	uint64_t now = now_ms(), due = d->wanted_ms > d->free_ms ? d->wanted_ms : d->free_ms;

	if (d->phase != PHASE_IDLE || d->closing || !d->started)
		return;
	if (due <= now)
		look_begin(d);
	else
		uv_timer_start(&d->timer, on_due, due - now, 0);
}

static void
on_due(uv_timer_t *timer)
{
	run(timer->data);
}

static void
want(struct registry_dir *d, uint64_t at_ms)
{
	if (at_ms < d->wanted_ms)
		d->wanted_ms = at_ms;
}

static void
on_rang(void *arg, const struct watcher_ring *ring)
{
	struct registry_dir *d = arg;
	uint64_t now = now_ms();
	bool gap = ring->mounted || ring->lost;

	if (!ring->tags && !ring->mounted)
		return;
	d->nrings += ring->tags != 0;
	d->rang |= ring->tags;
	if (gap && now < d->begun_ms + GAP_MS)
		want(d, d->begun_ms + GAP_MS);
	else
		want(d, ring->written ? now + WRITING_MS : now);
	run(d);
}

/* -- a look -- */

static void
on_read(uv_work_t *work)
{
	struct registry_dir *d = work->data;
	registry_look_run(&d->look);
}

static void on_looked(uv_work_t *work, int status);

static void
look_begin(struct registry_dir *d)
{
	uv_timer_stop(&d->timer);
	d->phase = PHASE_READING;
	d->wanted_ms = UINT64_MAX;
	d->begun_ms = now_ms();
	d->look = (struct registry_look){
		.directory = d->path,
		.dialect = d->dialect,
		.grace_ms = d->grace_ms,
		/* Of slots/ there may be thousands, which are read by their status alone. */
		.force = d->rang & ~(unsigned)REGISTRY_OWN,
		.known = registry_trust_known,
		.known_arg = d->trust,
	};
	d->rang = 0;
	d->work.data = d;
	uv_queue_work(d->loop, &d->work, on_read, on_looked);
}

static void
look_end(struct registry_dir *d)
{
	uint64_t now = now_ms(), pace = (now - d->begun_ms) * PACE_TIMES;
	uint64_t next = registry_trust_next(d->trust, now);

	d->phase = PHASE_IDLE;
	d->nlooks++;
	d->free_ms = d->begun_ms + (pace > PACE_MS ? pace : PACE_MS);
	want(d, now + (d->blind ? BLIND_PERIOD_MS : PERIOD_MS));
	if (next != UINT64_MAX)
		want(d, now + next);
	update_status(d);
	if (d->logged_hash != d->faults_hash)
		want(d, d->logged_ms + LOG_MS);
	run(d);
}

static void
note_watch(struct registry_dir *d, const char *error)
{
	if (strcmp(d->watch_error, error) == 0)
		return;
	if (*error)
		LOG(LOG_WARN, "registry is not watched in full, looking every 2 s",
			LOG_S("source", REGISTRY_DIR_NAME), LOG_S("err", error));
	else
		LOG(LOG_INFO, "registry is watched in full again",
			LOG_S("source", REGISTRY_DIR_NAME));
	snprintf(d->watch_error, sizeof(d->watch_error), "%s", error);
}

/* What was not watched while it was read may have changed meanwhile. */
static void
watch(struct registry_dir *d)
{
	struct err e = {0};
	bool news;
	int r = watcher_set(d->watcher, d->look.watches, d->look.nwatches, &news, &e);

	note_watch(d, r < 0            ? e.text
		      : d->look.remote ? "on its file system inotify does not hear of others"
				       : "");
	d->blind = r < 0 || d->look.remote;
	if (news)
		want(d, now_ms());
}

static void
on_merge(uv_work_t *work)
{
	struct registry_dir *d = work->data;
	registry_merge_run(&d->merge);
}

static void dir_free(struct registry_dir *d);

static void
on_merged(uv_work_t *work, int status)
{
	struct registry_dir *d = work->data;
	struct registry_merge *m = &d->merge;

	(void)status;
	if (d->closing) {
		registry_merge_finish(m);
		dir_free(d);
		return;
	}
	size_t changed = registry_book_adopt(d->book, &m->observation);
	d->whole = true;
	d->seen = d->seen || (m->ssot.kind != PART_BOOK && m->slots[0].kind != PART_BOOK);
	d->unmerged = false;
	registry_reading_destroy(d->faults);
	d->faults = m->faults;
	m->faults = NULL;
	registry_merge_finish(m);
	LOG(LOG_DEBUG, "registry read", LOG_S("source", REGISTRY_DIR_NAME),
		LOG_N("changed", changed), LOG_N("projects", registry_book_nprojects(d->book)));
	look_end(d);
}

static void
on_looked(uv_work_t *work, int status)
{
	struct registry_dir *d = work->data;
	struct registry_moment moment = {
		.now_ms = now_ms(),
		.wall_ms = clock_wall_ms(),
		.shrink_after_ms = d->shrink_after_ms,
		.book = d->book,
	};
	struct buf error = {0};

	(void)status;
	if (d->closing) {
		registry_look_finish(&d->look);
		dir_free(d);
		return;
	}
	watch(d);
	d->unmerged = registry_trust_absorb(d->trust, &d->look, &moment) || d->unmerged;
	registry_look_finish(&d->look);
	registry_trust_error(d->trust, true, &error);
	if (!error.n)
		d->standing.seen_ms = moment.wall_ms;
	buf_finish(&error);
	d->merge = (struct registry_merge){.book = d->book};
	if (d->unmerged && registry_trust_merge(d->trust, &d->merge, d->whole)) {
		d->phase = PHASE_MERGING;
		uv_queue_work(d->loop, &d->work, on_merge, on_merged);
	} else {
		look_end(d);
	}
}

/* -- life -- */

static void
dir_restore(struct registry *r, const struct registered_project *p)
{
	registry_book_restore(dir_of(r)->book, p);
}

static void
dir_restore_static(struct registry *r, const struct registered_static *s)
{
	registry_book_restore_static(dir_of(r)->book, s);
}

static void
dir_restored(struct registry *r)
{
	struct registry_dir *d = dir_of(r);
	d->whole = true;
	standing_restored(&d->standing);
}

static void
dir_start(struct registry *r)
{
	struct registry_dir *d = dir_of(r);
	d->started = true;
	want(d, now_ms());
	run(d);
}

static void
on_closed(uv_handle_t *handle)
{
	struct registry_dir *d = handle->data;

	registry_trust_destroy(d->trust);
	registry_book_destroy(d->book);
	registry_reading_destroy(d->faults);
	free(d->path);
	free(d);
}

static void
dir_free(struct registry_dir *d)
{
	uv_close((uv_handle_t *)&d->timer, on_closed);
}

/* What the pool has is given back when it is done with it. */
static void
dir_destroy(struct registry *r)
{
	struct registry_dir *d = dir_of(r);

	if (!d)
		return;
	d->closing = true;
	watcher_destroy(d->watcher);
	uv_timer_stop(&d->timer);
	if (d->phase == PHASE_IDLE)
		dir_free(d);
	else
		uv_cancel((uv_req_t *)&d->work);
}

static const struct registry_ops ops = {
	.restore = dir_restore,
	.restore_static = dir_restore_static,
	.restored = dir_restored,
	.start = dir_start,
	.destroy = dir_destroy,
	.info = dir_info,
	.faults = dir_faults,
};

struct registry *
registry_dir_create(
	uv_loop_t *loop, const struct settings *settings, const struct registry_sink *sink)
{
	struct registry_dir *d = xcalloc(1, sizeof(*d));

	d->registry.ops = &ops;
	d->loop = loop;
	d->sink = *sink;
	d->path = xstrdup(settings->registry.directory);
	for (size_t n = strlen(d->path); n > 1 && d->path[n - 1] == '/'; n--)
		d->path[n - 1] = '\0';
	d->dialect = settings->registry.dialect;
	d->grace_ms = settings->grace_ms;
	d->shrink_after_ms = settings->registry.shrink_after_ms;
	d->book = registry_book_create(REGISTRY_DIR_NAME, &d->sink);
	d->trust = registry_trust_create(d->path);
	d->watcher = watcher_create(loop, on_rang, d);
	d->wanted_ms = UINT64_MAX;
	standing_init(&d->standing);
	uv_timer_init(loop, &d->timer);
	d->timer.data = d;
	return &d->registry;
}
