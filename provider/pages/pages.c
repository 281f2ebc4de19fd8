#include "provider/pages/pages.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/pages/page_files.h"
#include "provider/status/server.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/log.h"
#include "reconciler/model/host.h"

#define RETRY_LISTEN_MS 2000

struct pages {
	struct pages_config cfg;
	struct page *page[PAGE_KINDS];
	struct server *server;
	struct server_routes routes;
	char *listen; /* NULL: nowhere */
	bool failed; /* … and it cannot be listened on yet */
	uv_timer_t retry;
};

/* ── Answers ───────────────────────────────────────────────────────────────────────────────── */

static const struct {
	unsigned status;
	unsigned retry_s; /* 0: none */
	enum page_kind page;
	const char *says; /* to programs */
} answers[] = {
	/* The proxy is a moment behind. */
	[ANSWER_SERVED] = {MHD_HTTP_SERVICE_UNAVAILABLE, 1, PAGE_503, "this site is starting"},
	[ANSWER_STARTING] = {MHD_HTTP_SERVICE_UNAVAILABLE, 5, PAGE_503, "this site is starting"},
	[ANSWER_DOWN] = {MHD_HTTP_SERVICE_UNAVAILABLE, 30, PAGE_503, "this site is not available"},
	[ANSWER_GONE] = {MHD_HTTP_GONE, 0, PAGE_410, "this preview is over"},
};

/* Programs that want JSON say so, and browsers that they want HTML. */
static bool
wants_json(const struct server_request *rq)
{
	const char *accept = server_header(rq, "Accept");
	return accept && strcasestr(accept, "application/json") && !strcasestr(accept, "text/html");
}

/* Takes the bytes of the buffer. */
static enum MHD_Result
reply(struct server_request *rq, unsigned status, unsigned retry_s, const char *type, struct buf *b)
{
	size_t n;
	char *bytes = buf_steal(b, &n), retry[16];
	struct MHD_Response *r = MHD_create_response_from_buffer(n, bytes, MHD_RESPMEM_MUST_FREE);
	assert(r);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "X-Robots-Tag", "noindex");
	snprintf(retry, sizeof(retry), "%u", retry_s);
	if (retry_s)
		MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, retry);
	enum MHD_Result result = server_reply(rq, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result
reply_json(struct server_request *rq, unsigned status, unsigned retry_s, const char *says)
{
	struct buf b = {0};
	buf_adds(&b, "{\"error\":");
	buf_json(&b, says);
	buf_adds(&b, "}\n");
	return reply(rq, status, retry_s, "application/json", &b);
}

/* Shows nothing of what was asked for. */
static enum MHD_Result
reply_unknown(struct server_request *rq)
{
	struct buf b = {0};
	if (wants_json(rq))
		return reply_json(rq, MHD_HTTP_NOT_FOUND, 0, "there is no site of this name");
	buf_adds(&b, "There is no site of this name.\n");
	return reply(rq, MHD_HTTP_NOT_FOUND, 0, "text/plain; charset=utf-8", &b);
}

/* ── Whose page ────────────────────────────────────────────────────────────────────────────── */

/* The name alone, as hosts are written in a snapshot; false where it cannot be one. */
static bool
host_read(const char *header, char ret[HOST_MAX + 1])
{
	size_t n = header ? strcspn(header, ":") : 0;
	if (n && header[n - 1] == '.')
		n--;
	if (!n || n > HOST_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		ret[i] = (char)tolower((unsigned char)header[i]);
	ret[n] = '\0';
	return true;
}

static enum MHD_Result
answer(void *arg, struct server_request *rq)
{
	const struct pages *p = arg;
	char host[HOST_MAX + 1];
	enum route_answer a;
	struct buf b = {0};

	if (!host_read(server_header(rq, "Host"), host) ||
		!p->cfg.find(p->cfg.arg, host, rq->path, &a))
		return reply_unknown(rq);
	assert(a < sizeof(answers) / sizeof(answers[0]));
	if (wants_json(rq))
		return reply_json(rq, answers[a].status, answers[a].retry_s, answers[a].says);
	page_render(p->page[answers[a].page], host, answers[a].retry_s, &b);
	return reply(rq, answers[a].status, answers[a].retry_s, "text/html; charset=utf-8", &b);
}

/* ── The listener ──────────────────────────────────────────────────────────────────────────── */

static struct server_config
server_config_of(struct pages *p)
{
	return (struct server_config){
		.loop = p->cfg.loop,
		.open = true,
		.nlisten = p->listen != NULL,
		.listen = (const char *const *)&p->listen,
		.nroutes = 1,
		.routes = &p->routes,
	};
}

static void on_retry(uv_timer_t *timer);

static void
listen_again(struct pages *p)
{
	struct server_config cfg = server_config_of(p);
	struct err e;

	if (server_reload(p->server, &cfg, &e) == 0) {
		uv_timer_stop(&p->retry);
		p->failed = false;
		if (p->listen)
			LOG(LOG_INFO, "listening for pages", LOG_S("address", pages_address(p)));
		return;
	}
	if (!p->failed)
		LOG(LOG_ERROR, "cannot listen for pages", LOG_S("err", e.text),
			LOG_S("next", "tries again; change `pages.listen`, or end what uses it"));
	p->failed = true;
	uv_timer_start(&p->retry, on_retry, RETRY_LISTEN_MS, 0);
}

static void
on_retry(uv_timer_t *timer)
{
	listen_again(timer->data);
}

static void
read_pages(struct pages *p, const char *directory)
{
	struct config_errors errors = {0};

	page_files_read(directory, p->page, &errors);
	for (size_t i = 0; i < errors.n; i++)
		LOG(LOG_ERROR, "a page cannot be used, keeping the one before",
			LOG_S("file", errors.list[i].file), LOG_N("line", errors.list[i].line),
			LOG_S("err", errors.list[i].what), LOG_S("remedy", errors.list[i].remedy));
	config_errors_finish(&errors);
}

void
pages_reload(struct pages *p, const char *listen, const char *directory)
{
	bool same = listen && p->listen && !strcmp(listen, p->listen);

	read_pages(p, directory);
	if (same && !p->failed)
		return;
	char *old = p->listen;
	p->listen = listen ? xstrdup(listen) : NULL;
	free(old);
	p->failed = false;
	listen_again(p);
}

struct pages *
pages_create(const struct pages_config *cfg)
{
	static const struct server_route everything[] = {{NULL, SERVER_FOR_ALL, answer}};
	struct pages *p = xcalloc(1, sizeof(*p));
	struct err e;

	p->cfg = *cfg;
	p->routes = (struct server_routes){everything, 1, p};
	read_pages(p, NULL);
	struct server_config server = server_config_of(p);
	p->server = server_create(&server, &e);
	assert(p->server); /* it listens nowhere yet */
	uv_timer_init(cfg->loop, &p->retry);
	p->retry.data = p;
	return p;
}

static void
on_closed(uv_handle_t *handle)
{
	struct pages *p = handle->data;
	for (size_t i = 0; i < PAGE_KINDS; i++)
		page_destroy(p->page[i]);
	free(p->listen);
	free(p);
}

void
pages_destroy(struct pages *p)
{
	if (!p)
		return;
	server_destroy(p->server);
	uv_close((uv_handle_t *)&p->retry, on_closed);
}

const char *
pages_address(const struct pages *p)
{
	return server_address(p->server, 0);
}
