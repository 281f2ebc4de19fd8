#include "reconciler/sources/probe_attempt.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "reconciler/base/arena.h"
#include "reconciler/sources/probe_parse.h"

/* How many connections await the other side's end, for how long, and how much it may say. */
#define PARTING_AT_ONCE 64
#define PARTING_MS 1000
#define PARTING_OCTETS 65536

/* It outlives whoever asked, until it is closed. */
struct attempt {
	uv_tcp_t tcp;
	uv_connect_t connect;
	struct attempts *all;
	struct attempt *prev, *next; /* among those that part */
	void (*done)(void *arg, int said); /* NULL: nobody wants to know any more */
	void *arg;
	const char *request;
	bool any, connected, parting;
	struct probe_status status;
	uint64_t since_ms; /* it parts since then */
	size_t nread; /* since then */
};

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
attempt_unlink(struct attempt *a)
{
	if (!a->parting)
		return;
	DL_DELETE(a->all->parting, a);
	a->all->nparting--;
	a->parting = false;
}

static void
attempt_hang_up(struct attempt *a)
{
	attempt_unlink(a);
	if (!a->connected || uv_tcp_close_reset(&a->tcp, on_closed) < 0)
		uv_close((uv_handle_t *)&a->tcp, on_closed);
}

static void
attempt_part(struct attempt *a)
{
	a->parting = true;
	a->since_ms = uv_now(a->all->loop);
	DL_APPEND(a->all->parting, a);
	a->all->nparting++;
}

static void
parting_sweep(struct attempts *all)
{
	while (all->parting && (all->nparting > PARTING_AT_ONCE ||
				       uv_now(all->loop) - all->parting->since_ms > PARTING_MS))
		attempt_hang_up(all->parting);
}

static void
attempt_end(struct attempt *a, int said)
{
	void (*done)(void *arg, int said) = a->done;
	void *arg = a->arg;

	a->done = NULL;
	if (said >= 0 && a->request)
		attempt_part(a);
	else
		attempt_hang_up(a);
	done(arg, said);
}

static void
on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct attempt *a = handle->data;

	(void)size;
	*ret = uv_buf_init(a->all->octets, sizeof(a->all->octets));
}

static void
attempt_read(struct attempt *a, ssize_t n)
{
	int said = n < 0 ? (int)n : 0;

	if (n > 0 && !a->any) {
		said = probe_status_parse(&a->status, a->all->octets, (size_t)n);
		if (!said)
			return;
	}
	attempt_end(a, said < 0 && n > 0 ? UV_EPROTO : said);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct attempt *a = stream->data;

	(void)buf;
	if (!n)
		return;
	if (a->done) {
		attempt_read(a, n);
		return;
	}
	a->nread += n > 0 ? (size_t)n : 0;
	a->connected = n > 0; /* one that has ended needs no reset */
	if (n < 0 || a->nread > PARTING_OCTETS)
		attempt_hang_up(a);
}

static void
attempt_ask(struct attempt *a)
{
	uv_stream_t *stream = (uv_stream_t *)&a->tcp;
	size_t n = strlen(a->request);
	uv_buf_t buf = {.base = (char *)(uintptr_t)a->request, .len = n};
	int r = uv_try_write(stream, &buf, 1);

	/* A fresh connection takes more than this at once. */
	if (r >= 0)
		r = (size_t)r == n ? uv_read_start(stream, on_alloc, on_read) : UV_EPIPE;
	if (r < 0)
		attempt_end(a, r);
}

static void
on_connected(uv_connect_t *req, int status)
{
	struct attempt *a = req->data;

	if (!a->done)
		return;
	a->connected = status == 0;
	if (a->connected && a->request)
		attempt_ask(a);
	else
		attempt_end(a, status);
}

struct attempt *
attempt_start(struct attempts *all, const struct question *q, void (*done)(void *arg, int said),
	void *arg, int *ret_error)
{
	struct attempt *a = xcalloc(1, sizeof(*a));

	parting_sweep(all);
	*a = (struct attempt){
		.all = all, .done = done, .arg = arg, .request = q->request, .any = q->any};
	a->tcp.data = a->connect.data = a;
	uv_tcp_init(all->loop, &a->tcp);
	int r = uv_tcp_connect(&a->connect, &a->tcp, q->where, on_connected);
	if (r == 0)
		return a;
	a->done = NULL;
	attempt_hang_up(a);
	*ret_error = r;
	return NULL;
}

bool
attempt_is_connected(const struct attempt *a)
{
	return a->connected;
}

void
attempt_drop(struct attempt *a)
{
	a->done = NULL;
	attempt_hang_up(a);
}

void
attempts_finish(struct attempts *all)
{
	while (all->parting)
		attempt_hang_up(all->parting);
}
