/* raw_client.h - a client on the same loop as the server under test, that sends what it is told. */
#ifndef TESTS_UNIT_RAW_CLIENT_H
#define TESTS_UNIT_RAW_CLIENT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "provider/status/listen.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

#define CLIENT_PATIENCE_MS 10000

struct client {
	uv_loop_t *loop;
	uv_poll_t *poll;
	int fd;
	struct buf got;
	bool ended;
};

static inline void
client_on_poll(uv_poll_t *poll, int status, int events)
{
	struct client *c = poll->data;
	char bytes[65536];
	(void)status;
	(void)events;
	for (;;) {
		ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n > 0) {
			buf_add(&c->got, bytes, (size_t)n);
			continue;
		}
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			c->ended = true;
			uv_poll_stop(poll);
		}
		return;
	}
}

/* address as server_address gives it. */
static inline struct client *
client_open(uv_loop_t *loop, const char *address)
{
	struct client *c = xcalloc(1, sizeof(*c));
	struct listen_address a;
	struct err e;
	assert_int_equal(listen_parse(address, &a, &e), 0);
	c->loop = loop;
	c->fd = socket(a.sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, &a.sa.any, a.len), 0);
	c->poll = xcalloc(1, sizeof(*c->poll));
	uv_poll_init(loop, c->poll, c->fd);
	c->poll->data = c;
	uv_poll_start(c->poll, UV_READABLE, client_on_poll);
	buf_adds(&c->got, "");
	return c;
}

static inline void
client_on_closed(uv_handle_t *handle)
{
	free(handle);
}

static inline void
client_close(struct client *c)
{
	uv_poll_stop(c->poll);
	uv_close((uv_handle_t *)c->poll, client_on_closed);
	close(c->fd);
	buf_finish(&c->got);
	free(c);
}

static inline void
client_send(struct client *c, const char *bytes)
{
	assert_int_equal(send(c->fd, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

/* Turns the loop until the condition holds. */
static inline void
client_tick(uv_timer_t *timer)
{
	(void)timer;
}

static inline bool
loop_until(uv_loop_t *loop, bool (*holds)(void *arg), void *arg, uint64_t patience_ms)
{
	uv_timer_t *timer = xcalloc(1, sizeof(*timer));
	uint64_t end = uv_hrtime() / 1000000 + patience_ms;
	bool held;
	uv_timer_init(loop, timer);
	uv_timer_start(timer, client_tick, 1, 5);
	while (!(held = holds(arg)) && uv_hrtime() / 1000000 < end)
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)timer, client_on_closed);
	return held;
}

/* The body of the first response, where all of it is there. */
static inline const char *
client_body(const struct client *c, size_t *ret_n)
{
	const char *end = memmem(c->got.p, c->got.n, "\r\n\r\n", 4);
	const char *length = end ? strstr(c->got.p, "Content-Length: ") : NULL;
	if (!length || length > end)
		return NULL;
	*ret_n = strtoul(length + 16, NULL, 10);
	return c->got.n >= (size_t)(end + 4 - c->got.p) + *ret_n ? end + 4 : NULL;
}

static inline bool
client_is_answered(void *arg)
{
	const struct client *c = arg;
	size_t n;
	return c->ended || client_body(c, &n);
}

static inline bool
client_is_ended(void *arg)
{
	const struct client *c = arg;
	return c->ended;
}

/* The status of the answer; 0 where the connection ended without one. */
static inline int
client_wait(struct client *c)
{
	if (!loop_until(c->loop, client_is_answered, c, CLIENT_PATIENCE_MS))
		fail_msg("no answer; so far: %s", c->got.p);
	return c->got.n ? atoi(c->got.p + strlen("HTTP/1.1 ")) : 0;
}

/* Forgets what came. */
static inline void
client_reset(struct client *c)
{
	buf_reset(&c->got);
}

/* GET on a connection that stays. */
static inline int
client_get(struct client *c, const char *path, const char *headers)
{
	struct buf b = {0};
	buf_addf(&b, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, headers);
	client_reset(c);
	client_send(c, b.p);
	buf_finish(&b);
	return client_wait(c);
}

static inline bool
client_says(const struct client *c, const char *text)
{
	return memmem(c->got.p, c->got.n, text, strlen(text)) != NULL;
}

#endif
