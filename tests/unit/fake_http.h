/* fake_http.h - a server for tests, on the loop of the test: each request calls back with its first
 * line's path, and the test says what comes, when, and in which pieces. */
#ifndef TESTS_UNIT_FAKE_HTTP_H
#define TESTS_UNIT_FAKE_HTTP_H

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

struct fake;

struct fake_conn {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} u;
	struct fake *fake;
	struct fake_conn *next, **prev;
	struct buf in;
	char request[2048]; /* the first line of the last request, its method and path */
	char head[2048]; /* all that stands before its body, or so much of it */
	bool closing;
};

struct fake {
	uv_loop_t *loop;
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} u;
	bool tcp;
	char url[128];
	char path[100];
	struct fake_conn *conns;
	unsigned nconns; /* accepted ever */
	unsigned nrequests;
	void (*request)(void *arg, struct fake_conn *c, const char *path);
	void *arg;
};

static inline void
fake_on_closed(uv_handle_t *handle)
{
	struct fake_conn *c = handle->data;
	buf_finish(&c->in);
	free(c);
}

static inline void
fake_close(struct fake_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	uv_close((uv_handle_t *)&c->u.stream, fake_on_closed);
}

struct fake_write {
	uv_write_t req;
	char bytes[];
};

static inline void
fake_on_written(uv_write_t *req, int status)
{
	(void)status;
	free(req->data);
}

static inline void
fake_send(struct fake_conn *c, const char *bytes, size_t n)
{
	struct fake_write *w = xmalloc(sizeof(*w) + n);
	uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)n);
	if (n)
		memcpy(w->bytes, bytes, n);
	w->req.data = w;
	if (uv_write(&w->req, &c->u.stream, &buf, 1, fake_on_written) < 0)
		free(w);
}

static inline void
fake_sends(struct fake_conn *c, const char *s)
{
	fake_send(c, s, strlen(s));
}

/* A whole reply; the connection stays. */
static inline void
fake_reply(struct fake_conn *c, int status, const char *body)
{
	struct buf b = {0};
	buf_addf(&b, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nX-Fake: yes\r\n\r\n%s", status,
		strlen(body), body);
	fake_send(c, b.p, b.n);
	buf_finish(&b);
}

/* A stream: its header, pieces, its end. */
static inline void
fake_begin(struct fake_conn *c)
{
	fake_sends(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static inline void
fake_chunk(struct fake_conn *c, const char *bytes)
{
	struct buf b = {0};
	buf_addf(&b, "%zx\r\n%s\r\n", strlen(bytes), bytes);
	fake_send(c, b.p, b.n);
	buf_finish(&b);
}

static inline void
fake_on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	(void)handle;
	*ret = uv_buf_init(xmalloc(size), (unsigned)size);
}

static inline void
fake_take_requests(struct fake_conn *c)
{
	char *end;
	while (!c->closing && c->in.n && (end = strstr(c->in.p, "\r\n\r\n"))) {
		size_t n = (size_t)(end - c->in.p) + 4;
		const char *path = strchr(c->in.p, ' ');
		snprintf(c->request, sizeof(c->request), "%.*s",
			path ? (int)strcspn(path + 1, " ") : 0, path ? path + 1 : "");
		snprintf(c->head, sizeof(c->head), "%.*s", (int)n, c->in.p);
		memmove(c->in.p, c->in.p + n, c->in.n - n + 1);
		c->in.n -= n;
		c->fake->nrequests++;
		c->fake->request(c->fake->arg, c, c->request);
	}
}

static inline void
fake_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct fake_conn *c = stream->data;
	if (n > 0)
		buf_add(&c->in, buf->base, (size_t)n);
	free(buf->base);
	if (n < 0)
		fake_close(c);
	else
		fake_take_requests(c);
}

static inline void
fake_on_connection(uv_stream_t *server, int status)
{
	struct fake *f = server->data;
	struct fake_conn *c = xcalloc(1, sizeof(*c));

	assert(status == 0);
	c->fake = f;
	if (f->tcp)
		uv_tcp_init(f->loop, &c->u.tcp);
	else
		uv_pipe_init(f->loop, &c->u.pipe, 0);
	c->u.stream.data = c;
	c->next = f->conns;
	c->prev = &f->conns;
	if (c->next)
		c->next->prev = &c->next;
	f->conns = c;
	f->nconns++;
	uv_accept(server, &c->u.stream);
	uv_read_start(&c->u.stream, fake_on_alloc, fake_on_read);
}

/* On a unix socket, or on a free port of loopback. */
static inline void
fake_listen(struct fake *f, uv_loop_t *loop, bool tcp,
	void (*request)(void *arg, struct fake_conn *c, const char *path), void *arg)
{
	static unsigned number;
	int r;

	f->loop = loop;
	f->tcp = tcp;
	f->request = request;
	f->arg = arg;
	if (tcp) {
		struct sockaddr_in a;
		int n = sizeof(a);
		uv_ip4_addr("127.0.0.1", 0, &a);
		uv_tcp_init(loop, &f->u.tcp);
		uv_tcp_bind(&f->u.tcp, (const struct sockaddr *)&a, 0);
		r = uv_listen(&f->u.stream, 64, fake_on_connection);
		uv_tcp_getsockname(&f->u.tcp, (struct sockaddr *)&a, &n);
		snprintf(f->url, sizeof(f->url), "tcp://127.0.0.1:%d", ntohs(a.sin_port));
	} else {
		if (!*f->path)
			snprintf(f->path, sizeof(f->path), "/tmp/waymark-test-%d-%u.sock",
				(int)getpid(), number++);
		unlink(f->path);
		snprintf(f->url, sizeof(f->url), "unix://%s", f->path);
		uv_pipe_init(loop, &f->u.pipe, 0);
		uv_pipe_bind(&f->u.pipe, f->path);
		r = uv_listen(&f->u.stream, 64, fake_on_connection);
	}
	assert(r == 0);
	f->u.stream.data = f;
}

/* As when the server dies: no one listens, all connections are gone. */
static inline void
fake_die(struct fake *f)
{
	while (f->conns)
		fake_close(f->conns);
	if (!uv_is_closing((uv_handle_t *)&f->u.stream))
		uv_close((uv_handle_t *)&f->u.stream, NULL);
	if (*f->path)
		unlink(f->path);
}

/* Runs the loop until the condition holds; a test that waits for longer than this has failed. */
#define FAKE_PATIENCE_NS (20 * 1000000000ull)

static inline void
fake_on_tick(uv_timer_t *t)
{
	(void)t;
}

#define RUN_UNTIL(loop, condition)                                                                 \
	do {                                                                                       \
		uint64_t run_end = uv_hrtime() + FAKE_PATIENCE_NS;                                 \
		uv_timer_t run_tick;                                                               \
		uv_timer_init((loop), &run_tick);                                                  \
		uv_timer_start(&run_tick, fake_on_tick, 100, 100);                                 \
		while (!(condition) && uv_hrtime() < run_end)                                      \
			uv_run((loop), UV_RUN_ONCE);                                               \
		uv_close((uv_handle_t *)&run_tick, NULL);                                          \
		uv_run((loop), UV_RUN_NOWAIT);                                                     \
		if (uv_hrtime() >= run_end)                                                        \
			fail_msg("waited in vain for %s", #condition);                             \
	} while (0)

/* Lets so much time pass on the loop: to see that something does not happen. */
#define RUN_FOR(loop, ms)                                                                          \
	do {                                                                                       \
		uint64_t run_stop = uv_hrtime() + (ms)*1000000ull;                                 \
		RUN_UNTIL((loop), uv_hrtime() >= run_stop);                                        \
	} while (0)

#endif
