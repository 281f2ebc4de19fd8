#include "reconciler/sources/inspector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "reconciler/base/arena.h"

#define BODY_MAX (16 << 20)
#define PATH_MAX_BYTES 512

enum look_state {
	LOOK_QUEUED, /* as soon as there is room */
	LOOK_RUNNING,
	LOOK_RESTING, /* not before it is due: again, or never more */
};

struct look {
	struct inspector *in;
	UT_hash_handle hh;
	struct look *prev, *next;
	enum look_state state;
	bool again; /* rung for since it began */
	unsigned tries;
	int status; /* of the last one */
	unsigned runs; /* since it last rested without a ring */
	uint64_t began, due;
	struct httpc_call *call;
	char key[];
};

struct inspector {
	uv_timer_t timer;
	struct httpc *http;
	const struct httpc_target *target;
	char prefix[32];
	struct look *looks; /* by key */
	struct look *queue; /* in the order of the rings */
	struct look *resting; /* sorted by what is due first */
	unsigned running;
	uint64_t count;
	void (*result)(void *arg, const char *key, int status, const char *body, size_t n,
		const struct err *e);
	void *arg;
};

static uint64_t
now(const struct inspector *in)
{
	return uv_now(in->timer.loop);
}

struct inspector *
inspector_create(uv_loop_t *loop, struct httpc *http, const struct httpc_target *target,
	void (*result)(void *arg, const char *key, int status, const char *body, size_t n,
		const struct err *e),
	void *arg)
{
	struct inspector *in = xcalloc(1, sizeof(*in));
	in->http = http;
	in->target = target;
	in->result = result;
	in->arg = arg;
	uv_timer_init(loop, &in->timer);
	in->timer.data = in;
	return in;
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
inspector_destroy(struct inspector *in)
{
	if (!in)
		return;
	inspector_clear(in);
	uv_close((uv_handle_t *)&in->timer, on_closed);
}

void
inspector_set_prefix(struct inspector *in, const char *prefix)
{
	snprintf(in->prefix, sizeof(in->prefix), "%s", prefix);
}

static struct look *
look_find(const struct inspector *in, const char *key)
{
	struct look *l;
	HASH_FIND_STR(in->looks, key, l);
	return l;
}

static struct look *
look_create(struct inspector *in, const char *key)
{
	size_t n = strlen(key);
	struct look *l = xcalloc(1, sizeof(*l) + n + 1);
	l->in = in;
	memcpy(l->key, key, n);
	HASH_ADD_KEYPTR(hh, in->looks, l->key, n, l);
	return l;
}

/* It stands in no list any more. */
static void
look_destroy(struct look *l)
{
	httpc_cancel(l->call);
	HASH_DEL(l->in->looks, l);
	free(l);
}

static void on_done(void *arg, int status, const char *body, size_t n, const struct err *e);

static void
look_run(struct look *l)
{
	struct inspector *in = l->in;
	char path[PATH_MAX_BYTES];

	snprintf(path, sizeof(path), "%s/containers/%s/json", in->prefix, l->key);
	l->state = LOOK_RUNNING;
	l->again = false;
	l->runs++;
	l->began = now(in);
	in->running++;
	in->count++;
	l->call = httpc_start(in->http, &(struct httpc_request){.target = in->target,
						.path = path,
						.timeout_ms = INSPECT_TIMEOUT_MS,
						.body_max = BODY_MAX,
						.on_done = on_done,
						.arg = l});
}

static void
run_queue(struct inspector *in)
{
	while (in->queue && in->running < INSPECT_AT_ONCE) {
		struct look *l = in->queue;
		DL_DELETE(in->queue, l);
		look_run(l);
	}
}

static void on_timer(uv_timer_t *timer);

static void
set_timer(struct inspector *in)
{
	if (!in->resting) {
		uv_timer_stop(&in->timer);
		return;
	}
	uint64_t due = in->resting->due, at = now(in);
	uv_timer_start(&in->timer, on_timer, due > at ? due - at : 0, 0);
}

static void
on_timer(uv_timer_t *timer)
{
	struct inspector *in = timer->data;

	while (in->resting && in->resting->due <= now(in)) {
		struct look *l = in->resting;
		DL_DELETE(in->resting, l);
		if (!l->again) {
			look_destroy(l);
			continue;
		}
		l->state = LOOK_QUEUED;
		DL_APPEND(in->queue, l);
	}
	run_queue(in);
	set_timer(in);
}

/* Nearly always the last in its list. */
static void
look_rest(struct look *l, uint64_t due)
{
	struct inspector *in = l->in;
	struct look *before = in->resting ? in->resting->prev : NULL;

	l->state = LOOK_RESTING;
	l->due = due;
	while (before && before->due > due)
		before = before == in->resting ? NULL : before->prev;
	if (before)
		DL_APPEND_ELEM(in->resting, before, l);
	else
		DL_PREPEND(in->resting, l);
	set_timer(in);
}

/* A resting one is wanted now. */
static void
look_wake(struct look *l)
{
	DL_DELETE(l->in->resting, l);
	l->state = LOOK_QUEUED;
	DL_APPEND(l->in->queue, l);
}

/* Worth another try at once?  One that hung would hang again. */
static bool
has_failed(int status)
{
	return (status < 0 && status != -ETIMEDOUT) || status >= 500;
}

/* Is a ring that came meanwhile, or comes now, one of the first? */
static bool
may_run_at_once(const struct look *l)
{
	return l->runs < INSPECT_BURST && l->status != -ETIMEDOUT && !l->tries;
}

static void
on_done(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct look *l = arg;
	struct inspector *in = l->in;

	l->call = NULL;
	l->status = status;
	in->running--;
	if (has_failed(status) && ++l->tries < INSPECT_TRIES) {
		l->again = true;
		look_rest(l, now(in) + ((uint64_t)INSPECT_GAP_MS << 2 * l->tries));
		run_queue(in);
		return;
	}
	l->tries = 0;
	look_rest(
		l, status == -ETIMEDOUT ? now(in) + INSPECT_TIMEOUT_MS : l->began + INSPECT_GAP_MS);
	if (l->again && may_run_at_once(l))
		look_wake(l);
	in->result(in->arg, l->key, status, body, n, e);
	run_queue(in);
}

void
inspector_ring(struct inspector *in, const char *key)
{
	struct look *l = look_find(in, key);
	if (!l) {
		l = look_create(in, key);
		DL_APPEND(in->queue, l);
	} else {
		l->again = true;
		if (l->state == LOOK_RESTING && may_run_at_once(l))
			look_wake(l);
	}
	run_queue(in);
}

bool
inspector_has(const struct inspector *in, const char *key)
{
	const struct look *l = look_find(in, key);
	return l && (l->state != LOOK_RESTING || l->again);
}

void
inspector_clear(struct inspector *in)
{
	struct look *l, *next;
	HASH_ITER(hh, in->looks, l, next)
	look_destroy(l);
	in->queue = in->resting = NULL;
	in->running = 0;
	uv_timer_stop(&in->timer);
}

uint64_t
inspector_count(const struct inspector *in)
{
	return in->count;
}
