#include "reconciler/sources/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/json_split.h"
#include "reconciler/base/log.h"
#include "reconciler/sources/engine_parse.h"
#include "reconciler/sources/inspector.h"
#include "reconciler/sources/roster.h"
#include "reconciler/sources/standing.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
/* A connection that held for this long starts the back-off anew. */
#define STEADY_MS 10000
/* Docker sends the header of /events at once, Podman 4.3 only with the first event (measured). */
#define HEADER_WAIT_MS 100
#define RELIST_MS 30000
#define GAP_MS 500 /* between two lists, however many gaps there are */
#define DOUBT_MS 5000
/* On Podman 4.3 an event is not enough: its health_status may come before the state that it is
 * about (an inspect 2 ms later still said "starting" in one of ten), and in two whole test runs of
 * three a change was missed for more than a second.  So an event is followed by a list, later where
 * that costs more. */
#define ECHO_MS 400
#define ECHO_EACH_MS 10
#define VERSION_TIMEOUT_MS 10000
#define LIST_TIMEOUT_MS 30000
/* So much at once means that we were away, and dockerd drops what is not read in time: 1,024 events
 * wait for each listener (moby daemon/events/events.go). */
#define BURST_MS 100
#define BURST_MAX (256 << 10)
#define EVENT_MAX (1 << 20)
#define ITEM_MAX (16 << 20)
#define VERSION_MAX (1 << 20)
#define LIST_MAX (512 << 20)

/* Filtered by type and event only: a label filter would drop network events.  "died" is Podman's
 * word: without it no event at all comes when a container stops (measured with 4.3). */
static const char event_filters[] =
	"{\"type\":[\"container\",\"network\"],\"event\":[\"start\",\"restart\",\"die\",\"died\","
	"\"kill\",\"stop\",\"pause\",\"unpause\",\"rename\",\"health_status\",\"destroy\","
	"\"remove\",\"update\",\"connect\",\"disconnect\"]}";
/* Podman leaves paused containers out unless asked for (measured with 4.3). */
static const char podman_list_filters[] = "{\"status\":[\"running\",\"paused\"]}";

enum phase {
	PHASE_IDLE,
	PHASE_VERSION, /* GET /version is under way */
	PHASE_SUBSCRIBE, /* GET /events was sent, nothing was listed */
	PHASE_FOLLOW,
	PHASE_BACKOFF,
};

struct engine {
	uv_loop_t *loop;
	struct httpc *http;
	const struct settings_engine *cfg;
	const struct settings *settings;
	struct source_sink sink;
	struct httpc_target target;
	struct roster *roster;
	struct inspector *inspector;

	enum phase phase;
	uv_timer_t wait; /* for the header of /events, or for the next attempt */
	uv_timer_t relist;
	unsigned nhandles;
	uint64_t connected_at;
	unsigned failures; /* in a row */

	struct engine_version version;
	bool version_known;
	char prefix[32];
	struct httpc_call *version_call, *events_call, *list_call;
	struct json_split events, list;
	uint64_t burst_at; /* events since then: that many bytes */
	size_t burst;
	int events_status, list_status;
	bool list_bad; /* an element of it was no container */
	bool list_again; /* one more, for what happened since this one was asked for */
	bool list_waits; /* it came whole, and inspects of what was new are under way */
	uint64_t listed_at, list_due;
	uint64_t event_at; /* Podman: the last one; 0: none */

	struct standing standing;
	bool doubted;
	uint64_t doubted_at;
	uint64_t nevents, nlists, nconnects;
};

/* Never 0. */
static uint64_t
now_ms(const struct engine *g)
{
	return uv_now(g->loop) + 1;
}

/* -- status -- */

static void
tell(struct engine *g)
{
	g->sink.status(g->sink.arg, g->cfg->name);
}

static void
set_doubted(struct engine *g, bool doubted)
{
	if (g->doubted == doubted)
		return;
	g->doubted = doubted;
	g->doubted_at = now_ms(g);
	tell(g);
}

static void engine_connect(struct engine *g);

static void
on_backoff(uv_timer_t *timer)
{
	engine_connect(timer->data);
}

static uint64_t
next_delay(struct engine *g)
{
	if (g->connected_at && now_ms(g) - g->connected_at > STEADY_MS)
		g->failures = 0;
	g->connected_at = 0;

	uint64_t ms = BACKOFF_MIN_MS << (g->failures < 6 ? g->failures : 6);
	g->failures++;
	ms = clock_jittered(ms);
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static void
hang_up(struct engine *g)
{
	httpc_cancel(g->version_call);
	httpc_cancel(g->events_call);
	httpc_cancel(g->list_call);
	g->version_call = g->events_call = g->list_call = NULL;
	json_split_finish(&g->events);
	json_split_finish(&g->list);
	inspector_clear(g->inspector);
	roster_disconnect(g->roster);
	uv_timer_stop(&g->wait);
	uv_timer_stop(&g->relist);
	g->list_again = g->list_waits = false;
	g->list_due = 0;
	g->doubted = false; /* two lists of one connection have to agree */
}

/* Whatever failed, all of it begins anew: version, events, list. */
static void
lose(struct engine *g, const char *what, const char *why)
{
	char text[sizeof(g->standing.error)];

	snprintf(text, sizeof(text), "%s: %s", what, why);
	hang_up(g);
	g->phase = PHASE_BACKOFF;
	uv_timer_start(&g->wait, on_backoff, next_delay(g), 0);
	if (standing_lose(&g->standing, text))
		tell(g);
}

static void
lose_by_status(struct engine *g, const char *what, int status, const struct err *e)
{
	char text[32];

	if (status < 0) {
		lose(g, what, e->text);
		return;
	}
	snprintf(text, sizeof(text), "HTTP status %d", status);
	lose(g, what, text);
}

/* -- GET /containers/json -- */

static void start_list(struct engine *g);

static void
on_relist(uv_timer_t *timer)
{
	struct engine *g = timer->data;
	g->list_due = 0;
	start_list(g);
}

/* List in so many milliseconds, or sooner where that was planned already. */
static void
plan_list(struct engine *g, uint64_t ms)
{
	uint64_t due = now_ms(g) + ms;
	if (g->list_due && g->list_due <= due)
		return;
	g->list_due = due;
	uv_timer_start(&g->relist, on_relist, ms, 0);
}

/* Something happened, and nobody can say to which container. */
static void
list_for_gap(struct engine *g)
{
	if (g->phase != PHASE_FOLLOW)
		return;
	if (g->list_call) {
		g->list_again = true;
		return;
	}
	uint64_t since = now_ms(g) - g->listed_at;
	plan_list(g, since < GAP_MS ? GAP_MS - since : 0);
}

static uint64_t
echo_ms(const struct engine *g)
{
	return ECHO_MS + ECHO_EACH_MS * roster_count(g->roster);
}

/* Podman: an event came, and another may be stuck behind it. */
static void
expect_echo(struct engine *g)
{
	if (!g->version.podman || g->phase != PHASE_FOLLOW)
		return;
	g->event_at = now_ms(g);
	if (!g->list_call)
		plan_list(g, echo_ms(g));
}

static void
on_item(void *arg, const char *json, size_t n)
{
	struct engine *g = arg;
	struct endpoint *e;

	if (engine_parse_item(json, n, g->cfg->name, g->settings, g->version.podman, &e, NULL) < 0)
		g->list_bad = true;
	else
		roster_list_item(g->roster, e);
}

static void
set_podman(struct engine *g, bool podman)
{
	g->version.podman = podman;
	roster_set_podman(g->roster, podman);
}

static void
on_list_headers(void *arg, struct httpc_call *call, int status)
{
	struct engine *g = arg;

	g->list_status = status;
	/* A proxy may refuse /version, but this header says it, too. */
	if (!g->version_known)
		set_podman(g, httpc_header(call, "Libpod-Api-Version"));
}

static void
on_list_data(void *arg, const char *bytes, size_t n)
{
	struct engine *g = arg;
	struct err e;

	if (g->list_status != 200)
		return;
	if (json_split_feed(&g->list, bytes, n, &e) < 0)
		lose(g, "GET /containers/json", e.text);
	else if (g->list_bad)
		lose(g, "GET /containers/json", "an element that is no container");
}

/* The observation is whole when the list is, and on Podman the inspects of what was new. */
static void
check_whole(struct engine *g)
{
	if (!g->list_waits || (g->version.podman && roster_awaited(g->roster)))
		return;
	g->list_waits = false;
	standing_seen(&g->standing);
	if (standing_ready(&g->standing))
		tell(g);
}

static void
deliver_list(struct engine *g)
{
	bool again = g->doubted && now_ms(g) - g->doubted_at >= DOUBT_MS;
	bool believed = roster_list_end(g->roster, again, now_ms(g));

	json_split_finish(&g->list);
	plan_list(g, believed ? clock_jittered(RELIST_MS) : DOUBT_MS);
	if (g->event_at && now_ms(g) - g->event_at < echo_ms(g))
		plan_list(g, echo_ms(g));
	g->list_waits = believed;
	set_doubted(g, !believed);
	if (g->list_again)
		list_for_gap(g);
	g->list_again = false;
	check_whole(g);
}

static void
on_list_done(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct engine *g = arg;

	(void)body;
	(void)n;
	g->list_call = NULL;
	if (status != 200)
		lose_by_status(g, "GET /containers/json", status, e);
	else if (!json_split_is_whole(&g->list))
		lose(g, "GET /containers/json", "the list ends too early");
	else
		deliver_list(g);
}

/* Only letters, digits and a few marks mean themselves in a query (RFC 3986, 2.3). */
static void
add_escaped(struct buf *b, const char *s)
{
	for (; *s; s++)
		if ((*s >= 'a' && *s <= 'z') || *s == '_')
			buf_add(b, s, 1);
		else
			buf_addf(b, "%%%02X", (unsigned char)*s);
}

static struct httpc_call *
engine_get(struct engine *g, const char *path, const char *filters, struct httpc_request *q)
{
	struct buf b = {0};

	buf_adds(&b, path[0] == '/' ? "" : g->prefix);
	buf_adds(&b, path[0] == '/' ? "" : "/");
	buf_adds(&b, path);
	if (filters) {
		buf_adds(&b, "?filters=");
		add_escaped(&b, filters);
	}
	q->target = &g->target;
	q->path = b.p;
	q->arg = g;
	struct httpc_call *call = httpc_start(g->http, q);
	buf_finish(&b);
	return call;
}

static void
start_list(struct engine *g)
{
	assert(g->phase == PHASE_FOLLOW);
	if (g->list_call) {
		g->list_again = true;
		return;
	}
	g->nlists++;
	g->listed_at = now_ms(g);
	g->list_status = 0;
	g->list_bad = false;
	roster_list_begin(g->roster);
	json_split_init(&g->list, true, ITEM_MAX, on_item, g);
	g->list_call =
		engine_get(g, "containers/json", g->version.podman ? podman_list_filters : NULL,
			&(struct httpc_request){.timeout_ms = LIST_TIMEOUT_MS,
				.body_max = LIST_MAX,
				.on_headers = on_list_headers,
				.on_data = on_list_data,
				.on_done = on_list_done});
}

/* -- inspects -- */

static void
on_ring(void *arg, const char *id)
{
	struct engine *g = arg;
	inspector_ring(g->inspector, id);
}

static void
on_unanswered(struct engine *g, const char *key, int status, const char *why)
{
	if (roster_unanswered(g->roster, key))
		LOG(LOG_WARN, "inspect failed, keeping what was last seen",
			LOG_S("source", g->cfg->name), LOG_S("container", key),
			LOG_N("status", status), LOG_S("err", why));
	if (!roster_has(g->roster, key))
		plan_list(g, DOUBT_MS);
}

static void
on_inspected(
	void *arg, const char *key, int status, const char *body, size_t n, const struct err *e)
{
	struct engine *g = arg;
	struct err why = {0};
	struct endpoint *found;

	if (status == 404)
		roster_gone(g->roster, key);
	else if (status != 200)
		on_unanswered(g, key, status, e ? e->text : "");
	else if (engine_parse_inspect(
			 body, n, g->cfg->name, g->settings, g->version.podman, &found, &why) < 0)
		on_unanswered(g, key, status, why.text);
	else
		roster_inspected(g->roster, found, now_ms(g));
	check_whole(g);
}

/* -- GET /events -- */

static void
look_at(struct engine *g, const struct engine_event *ev)
{
	bool known = roster_has(g->roster, ev->container);

	if (ev->guessed && !known && !inspector_has(g->inspector, ev->container)) {
		list_for_gap(g);
		return;
	}
	if (ev->ended)
		roster_end(g->roster, ev->container, now_ms(g));
	roster_touch(g->roster, ev->container, ev->started);
	inspector_ring(g->inspector, ev->container);
}

static void
on_event(void *arg, const char *json, size_t n)
{
	struct engine *g = arg;
	struct engine_event ev;

	g->nevents++;
	if (engine_parse_event(json, n, &ev, NULL) < 0)
		ev.kind = EVENT_GAP;
	expect_echo(g);
	switch (ev.kind) {
	case EVENT_OTHER:
		break;
	case EVENT_KILL:
		if (!roster_kill(g->roster, ev.container, ev.signal, now_ms(g)))
			break;
		/* fall through */
	case EVENT_CONTAINER:
		look_at(g, &ev);
		break;
	case EVENT_GAP:
		list_for_gap(g);
		break;
	}
}

static void
follow(struct engine *g)
{
	g->phase = PHASE_FOLLOW;
	uv_timer_stop(&g->wait);
	start_list(g);
}

static void
on_events_headers(void *arg, struct httpc_call *call, int status)
{
	struct engine *g = arg;

	(void)call;
	g->events_status = status;
	if (status != 200)
		return;
	if (g->phase == PHASE_SUBSCRIBE)
		follow(g);
	else
		list_for_gap(g);
}

static void
note_burst(struct engine *g, size_t n)
{
	if (now_ms(g) - g->burst_at > BURST_MS) {
		g->burst_at = now_ms(g);
		g->burst = 0;
	}
	g->burst += n;
	if (g->burst < BURST_MAX)
		return;
	g->burst = 0;
	list_for_gap(g);
}

static void
on_events_data(void *arg, const char *bytes, size_t n)
{
	struct engine *g = arg;
	struct err e;

	if (g->events_status != 200)
		return;
	if (json_split_feed(&g->events, bytes, n, &e) < 0) {
		lose(g, "GET /events", e.text);
		return;
	}
	standing_seen(&g->standing);
	note_burst(g, n);
}

static void
on_events_done(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct engine *g = arg;

	(void)body;
	(void)n;
	g->events_call = NULL;
	if (status == 200)
		lose(g, "GET /events", "the stream ended");
	else
		lose_by_status(g, "GET /events", status, e);
}

static void
on_header_wait(uv_timer_t *timer)
{
	follow(timer->data);
}

static void
subscribe(struct engine *g)
{
	g->phase = PHASE_SUBSCRIBE;
	g->nconnects++;
	g->connected_at = now_ms(g);
	g->events_status = 0;
	snprintf(g->prefix, sizeof(g->prefix), "%s%s", *g->version.api ? "/v" : "", g->version.api);
	inspector_set_prefix(g->inspector, g->prefix);
	json_split_init(&g->events, false, EVENT_MAX, on_event, g);
	g->events_call = engine_get(g, "events", event_filters,
		&(struct httpc_request){.on_headers = on_events_headers,
			.on_data = on_events_data,
			.on_done = on_events_done});
	uv_timer_start(&g->wait, on_header_wait, HEADER_WAIT_MS, 0);
}

/* -- GET /version -- */

static void
on_version(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct engine *g = arg;
	struct err why;

	g->version_call = NULL;
	if (status == 200) {
		if (engine_parse_version(body, n, &g->version, &why) < 0) {
			lose(g, "GET /version", why.text);
			return;
		}
		g->version_known = true;
		set_podman(g, g->version.podman);
	} else if (status == 403 || status == 404) {
		/* A proxy that keeps it to itself: paths without a version are the newest one's. */
		g->version = (struct engine_version){.podman = g->version.podman};
		g->version_known = false;
	} else {
		lose_by_status(g, "GET /version", status, e);
		return;
	}
	subscribe(g);
}

static void
engine_connect(struct engine *g)
{
	g->phase = PHASE_VERSION;
	g->version_call = engine_get(g, "/version", NULL,
		&(struct httpc_request){.timeout_ms = VERSION_TIMEOUT_MS,
			.body_max = VERSION_MAX,
			.on_done = on_version});
}

/* -- the interface -- */

static void
timer_init(struct engine *g, uv_timer_t *timer)
{
	uv_timer_init(g->loop, timer);
	timer->data = g;
	g->nhandles++;
}

struct engine *
engine_create(uv_loop_t *loop, struct httpc *http, const struct settings_engine *cfg,
	const struct settings *settings, const struct source_sink *sink)
{
	struct engine *g = xcalloc(1, sizeof(*g));
	g->loop = loop;
	g->http = http;
	g->cfg = cfg;
	g->settings = settings;
	g->sink = *sink;
	g->target = (struct httpc_target){cfg->host, cfg->ca_file, cfg->cert_file, cfg->key_file};
	g->roster = roster_create(cfg->name, sink, on_ring, g);
	g->inspector = inspector_create(loop, http, &g->target, on_inspected, g);
	standing_init(&g->standing);
	timer_init(g, &g->wait);
	timer_init(g, &g->relist);
	return g;
}

void
engine_restore(struct engine *g, const struct endpoint *e)
{
	assert(g->phase == PHASE_IDLE);
	roster_restore(g->roster, e, now_ms(g));
	engine_restored(g);
}

void
engine_restored(struct engine *g)
{
	standing_restored(&g->standing);
}

void
engine_start(struct engine *g)
{
	assert(g->phase == PHASE_IDLE);
	engine_connect(g);
}

static void
on_closed(uv_handle_t *handle)
{
	struct engine *g = handle->data;
	if (--g->nhandles == 0)
		free(g);
}

void
engine_destroy(struct engine *g)
{
	if (!g)
		return;
	hang_up(g);
	inspector_destroy(g->inspector);
	roster_destroy(g->roster);
	uv_close((uv_handle_t *)&g->wait, on_closed);
	uv_close((uv_handle_t *)&g->relist, on_closed);
}

void
engine_info(const struct engine *g, struct source_info *ret)
{
	bool known = g->version_known || g->version.podman;

	*ret = (struct source_info){
		.name = g->cfg->name,
		.kind = !known              ? "engine"
			: g->version.podman ? "podman"
					    : "docker",
		.address = g->cfg->host,
		.version = g->version.version,
		.doubted = g->doubted,
		.objects = roster_count(g->roster),
		.events = g->nevents,
		.lists = g->nlists,
		.inspects = inspector_count(g->inspector),
		.connects = g->nconnects,
	};
	standing_info(&g->standing, ret);
}
