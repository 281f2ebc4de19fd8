#include "reconciler/sources/probe.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "reconciler/base/arena.h"

/* Of the connections, those that look again at what is known already may take this many. */
#define ROUTINE_AT_ONCE (PROBE_AT_ONCE * 3 / 4)

enum probe_state {
	PROBE_WAITING, /* its timer runs until the next attempt */
	PROBE_QUEUED,
	PROBE_TRYING, /* its timer runs until the attempt has taken too long */
};

/* One connection.  It outlives its probe where that is dropped meanwhile. */
struct attempt {
	uv_tcp_t tcp;
	uv_connect_t connect;
	struct probe *probe; /* NULL: nobody waits for it */
	bool connected;
	char byte[64];
};

struct probe {
	uv_timer_t timer;
	struct prober *prober;
	UT_hash_handle hh;
	struct probe *prev, *next;
	enum probe_state state;
	bool routine; /* in the queue and among those under way it counts as such */
	struct attempt *attempt;

	struct sockaddr_storage where;
	char *address, *run;
	uint16_t port;
	bool published;

	enum readiness told;
	bool was_ready, refused;
	uint64_t since; /* not ready since then */
	const char *engine, *id; /* both in key */
	char key[];
};

struct prober {
	uv_loop_t *loop;
	uint32_t interval_ms, timeout_ms;
	void (*result)(void *arg, const char *engine, const char *id, enum readiness ready);
	void *arg;
	struct probe *probes;
	struct probe *fresh, *routine; /* queues */
	unsigned nfresh_running, nroutine_running;
};

struct prober *
prober_create(uv_loop_t *loop, uint32_t interval_ms, uint32_t timeout_ms,
	void (*result)(void *arg, const char *engine, const char *id, enum readiness ready),
	void *arg)
{
	struct prober *p = xcalloc(1, sizeof(*p));
	p->loop = loop;
	p->interval_ms = interval_ms ? interval_ms : 1;
	p->timeout_ms = timeout_ms ? timeout_ms : 1;
	p->result = result;
	p->arg = arg;
	return p;
}

/* -- attempts -- */

static void
on_attempt_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* With a reset where there was nothing to say: thousands of probes would else leave as many
 * connections in TIME_WAIT here. */
static void
attempt_close(struct attempt *a)
{
	bool reset = a->connected && a->probe && !a->probe->published;

	a->probe = NULL;
	if (reset && uv_tcp_close_reset(&a->tcp, on_attempt_closed) == 0)
		return;
	uv_close((uv_handle_t *)&a->tcp, on_attempt_closed);
}

static void
probe_hang_up(struct probe *b)
{
	if (b->state != PROBE_TRYING)
		return;
	if (b->attempt)
		attempt_close(b->attempt);
	b->attempt = NULL;
	b->state = PROBE_WAITING;
	if (b->routine)
		b->prober->nroutine_running--;
	else
		b->prober->nfresh_running--;
}

static void run_queues(struct prober *p);
static void on_due(uv_timer_t *timer);

static uint64_t
next_delay(const struct probe *b, enum readiness found)
{
	const struct prober *p = b->prober;
	uint64_t interval = p->interval_ms;

	if (found == READY_NO && b->refused)
		return interval / 10;
	if (found == READY_NO) {
		uint64_t ms = (uv_now(p->loop) - b->since) / 8;
		return ms < 1 ? 1 : ms < interval ? ms : interval;
	}
	/* Spread, for many may have begun at once. */
	return interval - interval / 10 + uv_hrtime() / 1000 % (interval / 5 + 1);
}

static void
probe_settle(struct probe *b, enum readiness found)
{
	struct prober *p = b->prober;

	probe_hang_up(b);
	b->refused = found == READY_NO && b->was_ready && !b->refused;
	if (found == READY_NO && b->was_ready && !b->refused)
		b->since = uv_now(p->loop);
	if (!b->refused)
		b->was_ready = found == READY_YES;
	uv_timer_start(&b->timer, on_due, next_delay(b, found), 0);
	run_queues(p);

	/* Last, for the one who is told may drop this probe. */
	if (!b->refused && b->told != found) {
		b->told = found;
		p->result(p->arg, b->engine, b->id, found);
	}
}

static enum readiness
readiness_of_error(int status)
{
	switch (status) {
	case 0:
		return READY_YES;
	case UV_ECONNREFUSED:
	case UV_ECONNRESET:
	case UV_EPIPE:
	case UV_EOF:
		return READY_NO;
	default:
		return READY_CANNOT_TELL;
	}
}

static void
on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct attempt *a = handle->data;
	(void)size;
	*ret = uv_buf_init(a->byte, sizeof(a->byte));
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct attempt *a = stream->data;
	(void)buf;
	if (n && a->probe)
		probe_settle(a->probe, readiness_of_error(n > 0 ? 0 : (int)n));
}

static void
ask(struct attempt *a)
{
	const struct probe *b = a->probe;
	bool v6 = b->where.ss_family == AF_INET6;
	char text[256];
	int n = snprintf(text, sizeof(text),
		"HEAD / HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: waymark\r\n"
		"Connection: close\r\n\r\n",
		v6 ? "[" : "", b->address, v6 ? "]" : "", b->port);
	uv_buf_t buf = uv_buf_init(text, (unsigned)n);
	int r = uv_try_write((uv_stream_t *)&a->tcp, &buf, 1);
	if (r >= 0)
		r = uv_read_start((uv_stream_t *)&a->tcp, on_alloc, on_read);
	if (r < 0)
		probe_settle(a->probe, readiness_of_error(r));
}

static void
on_connected(uv_connect_t *req, int status)
{
	struct attempt *a = req->data;

	if (!a->probe)
		return;
	a->connected = status == 0;
	if (status == 0 && a->probe->published)
		ask(a);
	else
		probe_settle(a->probe, readiness_of_error(status));
}

static void
on_timeout(uv_timer_t *timer)
{
	probe_settle(timer->data, READY_CANNOT_TELL);
}

/* What fails at once is told from the loop, too. */
static void
probe_try(struct probe *b)
{
	struct prober *p = b->prober;
	struct attempt *a = xcalloc(1, sizeof(*a));

	b->state = PROBE_TRYING;
	if (b->routine)
		p->nroutine_running++;
	else
		p->nfresh_running++;
	b->attempt = a;
	a->probe = b;
	a->tcp.data = a->connect.data = a;
	uv_tcp_init(p->loop, &a->tcp);
	bool sent = b->where.ss_family != AF_UNSPEC &&
		    uv_tcp_connect(&a->connect, &a->tcp, (const struct sockaddr *)&b->where,
			    on_connected) == 0;
	uv_timer_start(&b->timer, on_timeout, sent ? p->timeout_ms : 0, 0);
}

static void
run_queues(struct prober *p)
{
	while (p->fresh && p->nfresh_running + p->nroutine_running < PROBE_AT_ONCE) {
		struct probe *b = p->fresh;
		DL_DELETE(p->fresh, b);
		probe_try(b);
	}
	while (p->routine && p->nroutine_running < ROUTINE_AT_ONCE &&
		p->nfresh_running + p->nroutine_running < PROBE_AT_ONCE) {
		struct probe *b = p->routine;
		DL_DELETE(p->routine, b);
		probe_try(b);
	}
}

/* -- probes -- */

static void
probe_enqueue(struct probe *b)
{
	struct prober *p = b->prober;

	b->state = PROBE_QUEUED;
	b->routine = b->told == READY_YES || b->told == READY_CANNOT_TELL;
	if (b->routine)
		DL_APPEND(p->routine, b);
	else
		DL_APPEND(p->fresh, b);
	run_queues(p);
}

static void
on_due(uv_timer_t *timer)
{
	probe_enqueue(timer->data);
}

static void
probe_stop(struct probe *b)
{
	struct prober *p = b->prober;

	if (b->state == PROBE_QUEUED) {
		if (b->routine)
			DL_DELETE(p->routine, b);
		else
			DL_DELETE(p->fresh, b);
	}
	probe_hang_up(b);
	uv_timer_stop(&b->timer);
	b->state = PROBE_WAITING;
}

static struct probe *
probe_find(const struct prober *p, const char *engine, const char *id)
{
	char key[1024];
	struct probe *b;
	size_t nengine = strlen(engine) + 1, nid = strlen(id);

	assert(nengine + nid <= sizeof(key));
	memcpy(key, engine, nengine);
	memcpy(key + nengine, id, nid);
	HASH_FIND(hh, p->probes, key, nengine + nid, b);
	return b;
}

static struct probe *
probe_create(struct prober *p, const char *engine, const char *id)
{
	size_t nengine = strlen(engine) + 1, nid = strlen(id);
	struct probe *b = xcalloc(1, sizeof(*b) + nengine + nid + 1);

	b->prober = p;
	memcpy(b->key, engine, nengine);
	memcpy(b->key + nengine, id, nid);
	b->engine = b->key;
	b->id = b->key + nengine;
	uv_timer_init(p->loop, &b->timer);
	b->timer.data = b;
	HASH_ADD(hh, p->probes, key, nengine + nid, b);
	return b;
}

static void
on_probe_closed(uv_handle_t *handle)
{
	struct probe *b = handle->data;
	free(b->address);
	free(b->run);
	free(b);
}

static void
probe_destroy(struct probe *b)
{
	probe_stop(b);
	HASH_DEL(b->prober->probes, b);
	uv_close((uv_handle_t *)&b->timer, on_probe_closed);
}

static bool
has_target(const struct probe *b, const struct probe_target *t)
{
	return b->address && b->port == t->port && b->published == t->published &&
	       !strcmp(b->address, t->address) && !strcmp(b->run, t->run ? t->run : "");
}

static void
probe_aim(struct probe *b, const struct probe_target *t)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&b->where;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&b->where;

	free(b->address);
	free(b->run);
	b->address = xstrdup(t->address);
	b->run = xstrdup(t->run ? t->run : "");
	b->port = t->port;
	b->published = t->published;
	memset(&b->where, 0, sizeof(b->where));
	if (uv_ip4_addr(t->address, t->port, v4) < 0 && uv_ip6_addr(t->address, t->port, v6) < 0)
		b->where.ss_family = AF_UNSPEC;
	b->told = READY_UNKNOWN;
	b->was_ready = t->ready_before;
	b->refused = false;
	b->since = uv_now(b->prober->loop);
}

void
prober_set(struct prober *p, const char *engine, const char *id, const struct probe_target *target)
{
	struct probe *b = probe_find(p, engine, id);

	if (!target) {
		if (b)
			probe_destroy(b);
		return;
	}
	if (b && has_target(b, target))
		return;
	if (!b)
		b = probe_create(p, engine, id);
	probe_stop(b);
	probe_aim(b, target);
	probe_enqueue(b);
}

void
prober_destroy(struct prober *p)
{
	struct probe *b, *next;

	if (!p)
		return;
	HASH_ITER(hh, p->probes, b, next)
	probe_destroy(b);
	free(p);
}
