#include "provider/traefik/push.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/log.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
#define VERSION_EVERY_MS 1000
#define VERSION_TIMEOUT_MS 2000
#define PUT_TIMEOUT_MS 30000
#define ANSWER_MAX (64 * 1024)

struct push {
	struct httpc *http;
	char *url;
	struct httpc_target target;
	struct document *(*newest)(void *arg);
	void *arg;
	struct httpc_call *put, *version;
	uv_timer_t retry; /* runs while a failed PUT waits */
	uv_timer_t watch;
	uint64_t sending, arrived; /* serials */
	uint64_t backoff_ms;
	char started[64]; /* Traefik's start date; "" while it does not answer */
	char error[256];
	int nhandles;
};

static void push_go(struct push *p);

static void
error_set(struct push *p, const char *text)
{
	if (!strcmp(p->error, text))
		return;
	if (*text)
		LOG(LOG_WARN, "push failed", LOG_S("url", p->url), LOG_S("error", text),
			LOG_S("next", "tried again until it works, at least every 5 s"));
	else
		LOG(LOG_INFO, "push works again", LOG_S("url", p->url));
	snprintf(p->error, sizeof(p->error), "%s", text);
}

static void
error_set_status(struct push *p, int status, const struct err *e)
{
	char text[sizeof(p->error)];
	if (status < 0)
		snprintf(text, sizeof(text), "%.100s: %.140s", p->url, e->text);
	else
		snprintf(text, sizeof(text), "PUT %.100s/api/providers/rest answered %d%s", p->url,
			status,
			status == 404 || status == 405 ? ": is providers.rest.insecure on?" : "");
	error_set(p, text);
}

static void
on_retry(uv_timer_t *timer)
{
	push_go(timer->data);
}

static void
on_put(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct push *p = arg;
	(void)body;
	(void)n;

	p->put = NULL;
	if (status == 200) {
		p->arrived = p->sending;
		p->backoff_ms = 0;
		error_set(p, "");
		push_go(p);
		return;
	}
	p->arrived = 0;
	error_set_status(p, status, e);
	p->backoff_ms = p->backoff_ms ? p->backoff_ms * 2 : BACKOFF_FIRST_MS;
	if (p->backoff_ms > BACKOFF_MAX_MS)
		p->backoff_ms = BACKOFF_MAX_MS;
	uv_timer_start(&p->retry, on_retry, p->backoff_ms, 0);
}

static void
push_go(struct push *p)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	struct document *d = p->newest(p->arg);

	if (!d || p->put || uv_is_active((uv_handle_t *)&p->retry) ||
		document_serial(d) == p->arrived)
		return;
	char *text = document_text(d);
	p->sending = document_serial(d);
	p->put = httpc_start(p->http, &(struct httpc_request){
					      .target = &p->target,
					      .method = "PUT",
					      .path = "/api/providers/rest",
					      .headers = headers,
					      .body = text,
					      .body_size = document_size(d),
					      .timeout_ms = PUT_TIMEOUT_MS,
					      .body_max = ANSWER_MAX,
					      .on_done = on_put,
					      .arg = p,
				      });
	free(text);
}

void
push_changed(struct push *p)
{
	push_go(p);
}

/* Traefik has nothing of ours any more, or may have: the back-off was for another state of it. */
static void
push_again(struct push *p)
{
	httpc_cancel(p->put);
	p->put = NULL;
	p->arrived = 0;
	p->backoff_ms = 0;
	uv_timer_stop(&p->retry);
	push_go(p);
}

/* "?" where something answers that tells no date: the API may be off while the provider is on. */
static void
started_read(const char *body, size_t n, char *ret, size_t size)
{
	json_t *j = json_loadb(body, n, 0, NULL);
	const char *date = json_string_value(json_object_get(j, "startDate"));
	snprintf(ret, size, "%s", date ? date : "?");
	json_decref(j);
}

static void
on_version(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct push *p = arg;
	char started[sizeof(p->started)];

	p->version = NULL;
	if (status < 0) {
		p->started[0] = '\0';
		p->arrived = 0;
		error_set_status(p, status, e);
		return;
	}
	started_read(body, n, started, sizeof(started));
	if (!strcmp(started, p->started))
		return;
	memcpy(p->started, started, sizeof(started));
	push_again(p);
}

static void
on_watch(uv_timer_t *timer)
{
	struct push *p = timer->data;
	if (p->version)
		return;
	p->version = httpc_start(p->http, &(struct httpc_request){
						  .target = &p->target,
						  .path = "/api/version",
						  .timeout_ms = VERSION_TIMEOUT_MS,
						  .body_max = ANSWER_MAX,
						  .on_done = on_version,
						  .arg = p,
					  });
}

struct push *
push_create(uv_loop_t *loop, struct httpc *http, const char *url,
	struct document *(*newest)(void *arg), void *arg)
{
	struct push *p = xcalloc(1, sizeof(*p));
	p->http = http;
	p->url = xstrdup(url);
	p->target.url = p->url;
	p->newest = newest;
	p->arg = arg;
	uv_timer_init(loop, &p->retry);
	uv_timer_init(loop, &p->watch);
	p->retry.data = p->watch.data = p;
	p->nhandles = 2;
	uv_timer_start(&p->watch, on_watch, 0, VERSION_EVERY_MS);
	return p;
}

static void
on_closed(uv_handle_t *handle)
{
	struct push *p = handle->data;
	if (--p->nhandles)
		return;
	free(p->url);
	free(p);
}

void
push_destroy(struct push *p)
{
	if (!p)
		return;
	httpc_cancel(p->put);
	httpc_cancel(p->version);
	uv_close((uv_handle_t *)&p->retry, on_closed);
	uv_close((uv_handle_t *)&p->watch, on_closed);
}

const char *
push_url(const struct push *p)
{
	return p->url;
}

uint64_t
push_arrived(const struct push *p)
{
	return p->arrived;
}

const char *
push_error(const struct push *p)
{
	return p->error;
}
