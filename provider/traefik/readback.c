#include "provider/traefik/readback.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "provider/traefik/document_render.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/log.h"

#define PATH "/api/http/middlewares"
/* The API lists those whose names contain this. */
#define QUERY PATH "?search=" DOCUMENT_MARK "&per_page=100"

#define STEP_FIRST_MS 5
#define STEP_MAX_MS 250 /* for the first while after a document was given */
#define STEP_WHILE_MS 10000
#define WATCH_MS 2000
#define HURRY_MS 200
#define HURRY_WHILE_MS 1000
#define TIMEOUT_MS 5000
#define ANSWER_MAX (64 * 1024)

struct readback {
	struct readback_config cfg;
	char *url;
	struct httpc_target target;
	struct httpc_call *call;
	uv_timer_t timer;
	uint64_t created_ms;
	uint64_t expected; /* serial of what was given last */
	uint64_t expected_ms;
	uint64_t hurried_ms; /* 0: never */
	uint64_t arrived;
	uint64_t seen; /* was read once, at seen_ms; 0: nothing waits for a second reading */
	uint64_t seen_ms;
	bool again; /* something was given while the call under way was out */
	char error[256];
};

static uint64_t
now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void
error_set(struct readback *b, const char *text)
{
	if (!strcmp(b->error, text))
		return;
	if (*text)
		LOG(LOG_WARN, "Traefik's API cannot be read", LOG_S("url", b->url),
			LOG_S("error", text),
			LOG_S("next", "nothing newer counts as applied until it can"));
	else
		LOG(LOG_INFO, "Traefik's API can be read again", LOG_S("url", b->url));
	snprintf(b->error, sizeof(b->error), "%s", text);
}

/* ── When to ask next ──────────────────────────────────────────────────────────────────────── */

static uint64_t
clamp(uint64_t n, uint64_t least, uint64_t most)
{
	return n < least ? least : n > most ? most : n;
}

/* Steps grow with the time that has passed, so that a change is noticed late by a part of what it
 * took; a Traefik that refuses a document is asked ever more seldom. */
static uint64_t
delay_ms(const struct readback *b, uint64_t now)
{
	uint64_t waited = now - b->expected_ms;

	if (b->seen)
		return READBACK_SETTLE_MS;
	if (b->arrived < b->expected && waited < STEP_WHILE_MS)
		return clamp(waited / 4, *b->error ? STEP_MAX_MS : STEP_FIRST_MS, STEP_MAX_MS);
	if (b->hurried_ms && now - b->hurried_ms < HURRY_WHILE_MS)
		return HURRY_MS;
	if (b->arrived < b->expected)
		return clamp(waited / 40, STEP_MAX_MS, WATCH_MS);
	return WATCH_MS;
}

static void on_timer(uv_timer_t *timer);

static void
ask_in(struct readback *b, uint64_t ms)
{
	uv_timer_start(&b->timer, on_timer, ms, 0);
}

/* ── What was read ─────────────────────────────────────────────────────────────────────────── */

static void
arrived_set(struct readback *b, uint64_t serial)
{
	if (serial == b->arrived)
		return;
	b->arrived = serial;
	b->cfg.changed(b->cfg.arg);
}

/* serial 0: what it runs is none of ours, or one that is long forgotten. */
static void
note_reading(struct readback *b, uint64_t serial)
{
	uint64_t now = now_ms();

	if (serial < b->arrived)
		arrived_set(b, 0);
	if (now - b->created_ms < READBACK_START_MS)
		return;
	if (b->seen && serial >= b->seen) {
		if (now - b->seen_ms < READBACK_SETTLE_MS)
			return;
		arrived_set(b, b->seen);
	}
	bool is_news = serial > b->arrived;
	b->seen_ms = now;
	b->seen = is_news ? serial : 0;
}

/* The mark in "waymark_DOCUMENT_0123456789abcdef@http"; 0 where the name is another's. */
static uint64_t
mark_of(const struct readback *b, const char *name)
{
	size_t prefix = strlen(DOCUMENT_MARK);
	if (!name || strncmp(name, DOCUMENT_MARK, prefix))
		return 0;
	const char *digits = name + prefix, *end = digits + DOCUMENT_MARK_DIGITS;
	if (strspn(digits, "0123456789abcdef") != DOCUMENT_MARK_DIGITS || *end != '@' ||
		strcmp(end + 1, b->cfg.provider))
		return 0;
	return strtoull(digits, NULL, 16);
}

/* 0, or -EPROTO where that is not the API's list. */
static int
read_list(struct readback *b, const char *body, size_t n, uint64_t *ret_serial)
{
	json_t *list = json_loadb(body, n, 0, NULL);
	json_t *middleware;
	size_t i;
	int r = json_is_array(list) ? 0 : -EPROTO;

	*ret_serial = 0;
	json_array_foreach(list, i, middleware)
	{
		const char *name = json_string_value(json_object_get(middleware, "name"));
		uint64_t mark = mark_of(b, name);
		if (mark)
			*ret_serial = b->cfg.find(b->cfg.arg, mark);
	}
	json_decref(list);
	return r;
}

static void
complain(struct readback *b, int status, const char *text)
{
	static const struct {
		int status;
		const char *hint;
	} hints[] = {
		{200, "that is no list of middlewares: is it Traefik's API?"},
		{401, "it wants authentication: name an entry point that does not"},
		{403, "it wants authentication: name an entry point that does not"},
		{404, "is Traefik's API on (api.insecure, or a router to api@internal)?"},
	};
	const char *hint = "tried again until it works";
	char all[sizeof(b->error)];

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].status == status)
			hint = hints[i].hint;
	if (status < 0)
		snprintf(all, sizeof(all), "%.100s: %.140s", b->url, text);
	else
		snprintf(all, sizeof(all), "GET %.100s%s answered %d; %s", b->url, PATH, status,
			hint);
	error_set(b, all);
}

static void
on_done(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct readback *b = arg;
	uint64_t serial;

	b->call = NULL;
	if (status == 200 && read_list(b, body, n, &serial) == 0) {
		error_set(b, "");
		note_reading(b, serial);
	} else {
		b->seen = 0;
		complain(b, status, status < 0 ? e->text : "");
		/* A Traefik that starts has no routes yet, not even the API's. */
		if (status == 404)
			arrived_set(b, 0);
	}
	ask_in(b, b->again ? STEP_FIRST_MS : delay_ms(b, now_ms()));
	b->again = false;
}

static void
on_timer(uv_timer_t *timer)
{
	struct readback *b = timer->data;
	if (b->call)
		return;
	b->call = httpc_start(b->cfg.http, &(struct httpc_request){
						   .target = &b->target,
						   .path = QUERY,
						   .timeout_ms = TIMEOUT_MS,
						   .body_max = ANSWER_MAX,
						   .on_done = on_done,
						   .arg = b,
					   });
}

void
readback_expect(struct readback *b, uint64_t serial)
{
	if (serial == b->expected)
		return;
	b->expected = serial;
	b->expected_ms = now_ms();
	if (b->call)
		b->again = true;
	else
		ask_in(b, STEP_FIRST_MS);
}

void
readback_hurry(struct readback *b)
{
	b->hurried_ms = now_ms();
	if (!b->call && uv_timer_get_due_in(&b->timer) > HURRY_MS)
		ask_in(b, HURRY_MS);
}

/* ── Making and ending it ──────────────────────────────────────────────────────────────────── */

struct readback *
readback_create(const struct readback_config *cfg)
{
	struct readback *b = xcalloc(1, sizeof(*b));
	b->cfg = *cfg;
	b->url = xstrdup(cfg->url);
	b->cfg.url = b->target.url = b->url;
	b->created_ms = now_ms();
	uv_timer_init(cfg->loop, &b->timer);
	b->timer.data = b;
	ask_in(b, 0);
	return b;
}

static void
on_closed(uv_handle_t *handle)
{
	struct readback *b = handle->data;
	free(b->url);
	free(b);
}

void
readback_destroy(struct readback *b)
{
	if (!b)
		return;
	httpc_cancel(b->call);
	uv_close((uv_handle_t *)&b->timer, on_closed);
}

uint64_t
readback_arrived(const struct readback *b)
{
	return b->arrived;
}

const char *
readback_url(const struct readback *b)
{
	return b->url;
}

const char *
readback_provider(const struct readback *b)
{
	return b->cfg.provider;
}

const char *
readback_error(const struct readback *b)
{
	return b->error;
}
