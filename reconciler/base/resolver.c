#include "reconciler/base/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"

/* Threads at once: some names may hang for ever. */
#define RUNNING_MAX 8

/* What the thread and the loop share; whoever comes last frees it. */
struct work {
	uv_mutex_t lock;
	struct resolver *waiting; /* NULL: nobody is */
	bool over;
	struct addrinfo *found;
	struct err error; /* code 0: none */
	char name[];
};

struct resolver {
	uv_async_t async;
	struct work *work;
	void (*done)(void *arg, struct addrinfo *found, const struct err *e);
	void *arg;
};

static atomic_uint nrunning;

static struct work *
work_create(const char *name)
{
	size_t n = strlen(name) + 1;
	struct work *w = xcalloc(1, sizeof(*w) + n);

	memcpy(w->name, name, n);
	uv_mutex_init(&w->lock);
	return w;
}

static void
work_destroy(struct work *w)
{
	uv_mutex_destroy(&w->lock);
	uv_freeaddrinfo(w->found);
	free(w);
}

static void *
run(void *arg)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct work *w = arg;
	struct addrinfo *found = NULL;
	int code = getaddrinfo(w->name, NULL, &hints, &found), system = errno;

	uv_mutex_lock(&w->lock);
	if (code)
		err_set(&w->error, EHOSTUNREACH, "%s",
			code == EAI_SYSTEM ? strerror(system) : gai_strerror(code));
	else
		w->found = found;
	w->over = true;
	bool last = !w->waiting;
	if (!last)
		uv_async_send(&w->waiting->async);
	uv_mutex_unlock(&w->lock);
	if (last)
		work_destroy(w);
	atomic_fetch_sub(&nrunning, 1);
	return NULL;
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* The thread's share of the work is over, or is left to it. */
static bool
let_go(struct resolver *r)
{
	struct work *w = r->work;

	uv_mutex_lock(&w->lock);
	w->waiting = NULL;
	bool over = w->over;
	uv_mutex_unlock(&w->lock);
	uv_close((uv_handle_t *)&r->async, on_closed);
	return over;
}

static void
on_over(uv_async_t *async)
{
	struct resolver *r = async->data;
	struct work *w = r->work;
	struct addrinfo *found = w->found;

	let_go(r);
	w->found = NULL;
	r->done(r->arg, found, w->error.code ? &w->error : NULL);
	work_destroy(w);
}

void
resolver_abandon(struct resolver *r)
{
	if (!r)
		return;
	struct work *w = r->work;
	if (let_go(r))
		work_destroy(w);
}

static int
start_thread(struct work *w)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int r = pthread_create(&thread, &attr, run, w);
	pthread_attr_destroy(&attr);
	return -r;
}

struct resolver *
resolver_start(uv_loop_t *loop, const char *name,
	void (*done)(void *arg, struct addrinfo *found, const struct err *e), void *arg,
	struct err *reterr)
{
	struct resolver *r = xcalloc(1, sizeof(*r));

	r->work = work_create(name);
	r->work->waiting = r;
	r->done = done;
	r->arg = arg;
	r->async.data = r;
	int e = atomic_fetch_add(&nrunning, 1) < RUNNING_MAX
			? uv_async_init(loop, &r->async, on_over)
			: -EAGAIN;
	if (e == 0 && (e = start_thread(r->work)) == 0)
		return r;
	atomic_fetch_sub(&nrunning, 1);
	work_destroy(r->work);
	if (r->async.loop)
		uv_close((uv_handle_t *)&r->async, on_closed);
	else
		free(r);
	err_set(reterr, -e, "%s",
		e == -EAGAIN ? "the resolver has not answered earlier questions yet"
			     : strerror(-e));
	return NULL;
}
