#include "provider/status/server.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "provider/status/server_inside.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/log.h"

/* Bounds for each address that is listened on. */
#define CONNECTIONS_MAX 1024
#define CONNECTIONS_PER_IP_MAX 256 /* where strangers can come */
/* Holds a request's header and, while it is replied to, the list of a document's byte ranges
 * (DOCUMENT_RANGES_MAX of document.h). */
#define CONNECTION_MEMORY (64 * 1024)
#define CROWDED_MS                                                                                 \
	2000 /* for a first request where places are scarce, for strangers for anything */
#define SWEEP_MS 1000

/* Without a byte; for the whole header of a request; from there to the end of the reply. */
static const struct patience {
	unsigned idle_s;
	uint64_t request_ms, reply_ms;
} for_clients = {15, 15000, 60000}, for_strangers = {10, 10000, 30000};

uint64_t
server_now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* ── Holding ───────────────────────────────────────────────────────────────────────────────── */

static void
request_unqueue(struct server_request *rq)
{
	if (!rq->queued)
		return;
	rq->queued = false;
	LIST_REMOVE(rq, in_queue);
	LIST_REMOVE(rq, in_server);
}

static void
request_resume(struct server_request *rq)
{
	request_unqueue(rq);
	rq->connection->state = CONNECTION_REPLIES;
	rq->connection->since_ms = server_now_ms();
	rq->connection->listener->woken = true;
	MHD_resume_connection(rq->mhd);
}

static void on_hold_timer(uv_timer_t *timer);

static void
hold_timer_set(struct server *s, uint64_t now)
{
	uint64_t first = UINT64_MAX;
	struct server_request *rq;
	LIST_FOREACH(rq, &s->held, in_server)
	{
		if (rq->until_ms < first)
			first = rq->until_ms;
	}
	if (first == UINT64_MAX)
		uv_timer_stop(&s->hold_timer);
	else
		uv_timer_start(&s->hold_timer, on_hold_timer, first > now ? first - now : 0, 0);
}

enum MHD_Result
server_hold(struct server_request *rq, struct server_queue *q, uint64_t ms)
{
	struct server *s = rq->connection->listener->server;
	uint64_t now = server_now_ms();

	if (!rq->held)
		rq->until_ms = now + ms;
	rq->held = true;
	rq->queued = true;
	rq->connection->state = CONNECTION_HELD;
	LIST_INSERT_HEAD(q, rq, in_queue);
	LIST_INSERT_HEAD(&s->held, rq, in_server);
	/* The timer may fire early, for a request that was answered meanwhile: it then looks for
	 * the next one. */
	uint64_t left = rq->until_ms > now ? rq->until_ms - now : 0;
	if (!uv_is_active((uv_handle_t *)&s->hold_timer) ||
		uv_timer_get_due_in(&s->hold_timer) > left)
		uv_timer_start(&s->hold_timer, on_hold_timer, left, 0);
	MHD_suspend_connection(rq->mhd);
	return MHD_YES;
}

static void listener_run(struct server_listener *l);

static void
run_woken(struct server *s)
{
	struct server_listener *l;
	LIST_FOREACH(l, &s->listeners, entry)
	{
		if (l->woken) {
			l->woken = false;
			listener_run(l);
		}
	}
}

void
server_wake(struct server_queue *q)
{
	struct server_request *rq, *next;
	struct server *s = NULL;

	for (rq = LIST_FIRST(q); rq; rq = next) {
		next = LIST_NEXT(rq, in_queue);
		s = rq->connection->listener->server;
		request_resume(rq);
	}
	if (s)
		run_woken(s);
}

static void
on_hold_timer(uv_timer_t *timer)
{
	struct server *s = timer->data;
	struct server_request *rq, *next;
	uint64_t now = server_now_ms();

	for (rq = LIST_FIRST(&s->held); rq; rq = next) {
		next = LIST_NEXT(rq, in_server);
		if (rq->until_ms <= now)
			request_resume(rq);
	}
	hold_timer_set(s, now);
	run_woken(s);
}

static struct server_connection *
connection_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The only place that sees the request's target as it came. */
static void *
on_target(void *arg, const char *target, struct MHD_Connection *mhd)
{
	struct server_request *rq = xcalloc(1, sizeof(*rq));
	(void)arg;
	rq->mhd = mhd;
	rq->connection = connection_of(mhd);
	rq->cut = strstr(target, "%00") != NULL;
	return rq;
}

static void
on_completed(
	void *arg, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode code)
{
	struct server_request *rq = *request;
	(void)arg;
	(void)mhd;
	(void)code;
	if (!rq)
		return;
	request_unqueue(rq);
	rq->connection->state = CONNECTION_WAITS;
	rq->connection->served = true;
	rq->connection->since_ms = server_now_ms();
	*request = NULL;
	free(rq);
}

/* ── Connections ───────────────────────────────────────────────────────────────────────────── */

static const struct patience *
patience_of(const struct server *s)
{
	return s->open ? &for_strangers : &for_clients;
}

/* libmicrohttpd's own time-out starts anew with every byte; this one does not. */
static bool
connection_is_late(const struct server_connection *c, bool crowded, uint64_t now)
{
	const struct server *s = c->listener->server;
	const struct patience *patience = patience_of(s);
	bool waits = c->state == CONNECTION_WAITS;

	if (c->state == CONNECTION_HELD)
		return false;
	if (crowded && (s->open || (waits && !c->served)))
		return now - c->since_ms > CROWDED_MS;
	return now - c->since_ms > (waits ? patience->request_ms : patience->reply_ms);
}

static void
on_sweep_timer(uv_timer_t *timer)
{
	struct server *s = timer->data;
	struct server_listener *l;
	struct server_connection *c;
	uint64_t now = server_now_ms();

	LIST_FOREACH(l, &s->listeners, entry)
	{
		bool crowded = l->nconnections > l->connections_max / 4 * 3;
		LIST_FOREACH(c, &l->connections, entry)
		{
			if (connection_is_late(c, crowded, now))
				shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the end */
		}
	}
}

static void
connection_open(struct server_listener *l, struct MHD_Connection *mhd, void **ret)
{
	struct server *s = l->server;
	struct server_connection *c = xcalloc(1, sizeof(*c));
	const struct sockaddr *peer =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;

	listen_print(l->socket.path ? NULL : peer, false, c->address, sizeof(c->address));
	c->listener = l;
	c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->since_ms = server_now_ms();
	LIST_INSERT_HEAD(&l->connections, c, entry);
	l->nconnections++;
	if (!s->nconnections++)
		uv_timer_start(&s->sweep_timer, on_sweep_timer, SWEEP_MS, SWEEP_MS);
	*ret = c;
}

static void
connection_close(struct server_connection *c)
{
	struct server *s = c->listener->server;
	LIST_REMOVE(c, entry);
	c->listener->nconnections--;
	if (!--s->nconnections)
		uv_timer_stop(&s->sweep_timer);
	free(c);
}

static void
on_connection(void *arg, struct MHD_Connection *mhd, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		connection_open(arg, mhd, context);
	} else if (*context) {
		connection_close(*context);
		*context = NULL;
	}
}

/* ── Listeners ─────────────────────────────────────────────────────────────────────────────── */

static void
on_listener_timer(uv_timer_t *timer)
{
	listener_run(timer->data);
}

static void
listener_run(struct server_listener *l)
{
	MHD_UNSIGNED_LONG_LONG ms;
	bool full = l->nconnections >= l->connections_max;

	assert(!l->running);
	l->running = true;
	MHD_run(l->daemon);
	l->running = false;
	if (full && l->nconnections < l->connections_max)
		uv_timer_start(&l->timer, on_listener_timer, 0, 0);
	else if (MHD_get_timeout(l->daemon, &ms) == MHD_YES)
		uv_timer_start(&l->timer, on_listener_timer, ms, 0);
	else
		uv_timer_stop(&l->timer);
}

static void
on_listener_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	listener_run(poll->data);
}

__attribute__((format(printf, 2, 0))) static void
on_mhd_log(void *arg, const char *fmt, va_list ap)
{
	const struct server_listener *l = arg;
	char text[512];
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	LOG(LOG_DEBUG, "http", LOG_S("listen", l->listen), LOG_S("says", &text[0]));
}

/* Clients never take more than half of the descriptors, and strangers a quarter: sources and state
 * need some, too. */
static unsigned
connections_max(const struct server *s)
{
	struct rlimit r;
	rlim_t part = s->open ? 4 : 2;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur / part > CONNECTIONS_MAX)
		return CONNECTIONS_MAX;
	return (unsigned)(r.rlim_cur / part);
}

/* From one address; 0: any number.  Proxies bring all strangers from theirs. */
static unsigned
connections_per_ip_max(const struct server_listener *l)
{
	return l->socket.local || l->server->open ? 0 : CONNECTIONS_PER_IP_MAX;
}

static struct MHD_Daemon *
daemon_start(struct server_listener *l)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
		NULL, NULL, request_handle, l, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, l,
		MHD_OPTION_LISTEN_SOCKET, l->socket.fd, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		l, MHD_OPTION_URI_LOG_CALLBACK, on_target, l, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, l, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)l->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		connections_per_ip_max(l), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
		patience_of(l->server)->idle_s, MHD_OPTION_END);
}

static void
listener_free(struct server_listener *l)
{
	free(l->listen);
	free(l);
}

static void
on_listener_closed(uv_handle_t *handle)
{
	struct server_listener *l = handle->data;
	if (--l->nhandles == 0)
		listener_free(l);
}

static void
listener_close(struct server_listener *l)
{
	struct server_request *rq, *next;
	struct server *s = l->server;

	/* libmicrohttpd panics where a suspended connection is left; none of these is handled any
	 * more, for it stops at once. */
	for (rq = LIST_FIRST(&s->held); rq; rq = next) {
		next = LIST_NEXT(rq, in_server);
		if (rq->connection->listener == l)
			request_resume(rq);
	}
	LIST_REMOVE(l, entry);
	uv_poll_stop(&l->poll);
	listen_unlink(&l->socket);
	MHD_stop_daemon(l->daemon);
	assert(LIST_EMPTY(&l->connections));
	uv_close((uv_handle_t *)&l->poll, on_listener_closed);
	uv_close((uv_handle_t *)&l->timer, on_listener_closed);
}

/* Watches the daemon's own epoll descriptor. */
static void
listener_watch(struct server_listener *l)
{
	int fd = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int r = uv_poll_init(l->server->loop, &l->poll, fd);
	assert(r == 0);
	uv_timer_init(l->server->loop, &l->timer);
	l->poll.data = l->timer.data = l;
	l->nhandles = 2;
	uv_poll_start(&l->poll, UV_READABLE, on_listener_poll);
	/* The first turn puts the listening socket into the epoll set. */
	listener_run(l);
}

static struct server_listener *
listener_open(struct server *s, const char *listen, bool tokens, struct err *reterr)
{
	struct listen_address a;
	if (listen_parse(listen, &a, reterr) < 0)
		return NULL;
	if (!a.local && !tokens && !s->open) {
		err_set(reterr, EACCES,
			"whoever reaches this address could read every route; configure `tokens` "
			"(name, role, sha256), or listen on 127.0.0.1 or a unix socket");
		return NULL;
	}

	struct server_listener *l = xcalloc(1, sizeof(*l));
	l->server = s;
	l->listen = xstrdup(listen);
	if (listen_open(&a, &l->socket, reterr) < 0)
		goto failed;
	l->connections_max = connections_max(s);
	l->daemon = daemon_start(l);
	if (!l->daemon) {
		err_set(reterr, EIO, "libmicrohttpd does not start");
		listen_unlink(&l->socket);
		goto failed; /* it has closed the socket */
	}
	listener_watch(l);
	return l;
failed:
	listener_free(l);
	return NULL;
}

static struct server_listener *
listener_find(const struct server *s, const char *listen)
{
	struct server_listener *l;
	LIST_FOREACH(l, &s->listeners, entry)
	{
		if (!strcmp(l->listen, listen))
			return l;
	}
	return NULL;
}

/* ── The server ────────────────────────────────────────────────────────────────────────────── */

static void
tokens_take(struct server *s, const struct server_config *cfg)
{
	free(s->tokens);
	s->ntokens = cfg->ntokens;
	s->tokens = xcalloc(cfg->ntokens + 1, sizeof(*s->tokens));
	for (size_t i = 0; i < cfg->ntokens; i++) {
		s->tokens[i].role = cfg->tokens[i].role;
		memcpy(s->tokens[i].sha256, cfg->tokens[i].sha256, sizeof(s->tokens[i].sha256));
	}
}

static bool
config_lists(const struct server_config *cfg, const char *listen)
{
	for (size_t i = 0; i < cfg->nlisten; i++) {
		if (!strcmp(cfg->listen[i], listen))
			return true;
	}
	return false;
}

/* An address that stays needs its tokens still. */
static int
listeners_check(const struct server *s, const struct server_config *cfg, struct err *reterr)
{
	for (size_t i = 0; i < cfg->nlisten && !cfg->ntokens && !s->open; i++) {
		const struct server_listener *l = listener_find(s, cfg->listen[i]);
		if (l && !l->socket.local)
			return err_set(
				reterr, EACCES, "listen '%s': it needs `tokens`", cfg->listen[i]);
	}
	return 0;
}

int
server_reload(struct server *s, const struct server_config *cfg, struct err *reterr)
{
	struct server_listener *l, *next;
	LIST_HEAD(, server_listener) opened = LIST_HEAD_INITIALIZER(opened);

	if (listeners_check(s, cfg, reterr) < 0)
		return -reterr->code;
	for (size_t i = 0; i < cfg->nlisten; i++) {
		if (listener_find(s, cfg->listen[i]))
			continue;
		l = listener_open(s, cfg->listen[i], cfg->ntokens > 0, reterr);
		if (!l) {
			err_wrap(reterr, "listen '%s'", cfg->listen[i]);
			while ((l = LIST_FIRST(&opened)))
				listener_close(l);
			return -reterr->code;
		}
		LIST_INSERT_HEAD(&opened, l, entry);
	}

	for (l = LIST_FIRST(&s->listeners); l; l = next) {
		next = LIST_NEXT(l, entry);
		if (!config_lists(cfg, l->listen))
			listener_close(l);
	}
	while ((l = LIST_FIRST(&opened))) {
		LIST_REMOVE(l, entry);
		LIST_INSERT_HEAD(&s->listeners, l, entry);
	}
	tokens_take(s, cfg);
	return 0;
}

struct server *
server_create(const struct server_config *cfg, struct err *reterr)
{
	struct server *s = xcalloc(1, sizeof(*s));
	s->loop = cfg->loop;
	s->open = cfg->open;
	s->routes = cfg->routes;
	s->nroutes = cfg->nroutes;
	uv_timer_init(s->loop, &s->hold_timer);
	uv_timer_init(s->loop, &s->sweep_timer);
	s->hold_timer.data = s->sweep_timer.data = s;
	s->nhandles = 2;
	if (server_reload(s, cfg, reterr) < 0) {
		server_destroy(s);
		return NULL;
	}
	return s;
}

static void
on_server_closed(uv_handle_t *handle)
{
	struct server *s = handle->data;
	if (--s->nhandles)
		return;
	free(s->tokens);
	free(s);
}

void
server_destroy(struct server *s)
{
	struct server_listener *l;
	if (!s)
		return;
	while ((l = LIST_FIRST(&s->listeners)))
		listener_close(l);
	uv_close((uv_handle_t *)&s->hold_timer, on_server_closed);
	uv_close((uv_handle_t *)&s->sweep_timer, on_server_closed);
}

const char *
server_address(const struct server *s, size_t i)
{
	const struct server_listener *l;
	LIST_FOREACH(l, &s->listeners, entry)
	{
		if (!i--)
			return l->socket.name;
	}
	return NULL;
}
