#include "provider/traefik/traefik.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "provider/traefik/document.h"
#include "provider/traefik/packer.h"
#include "provider/traefik/pollers.h"
#include "provider/traefik/push.h"
#include "provider/traefik/readback.h"
#include "provider/traefik/revisions.h"
#include "reconciler/base/arena.h"
#include "reconciler/model/host.h"

/* A poll is held no longer than this. */
#define WAIT_MAX_MS 30000
/* Between two changes, for each byte of the document: 5 ms for a megabyte. */
#define PACE_NS_PER_BYTE 5
/* Between what a push brought and the time it is in force for sure, where nobody can be asked. */
#define PUSH_APPLY_DELAY_MS POLLER_APPLY_DELAY_MS

struct traefik {
	struct output output; /* first, so that the one is the other */
	uv_loop_t *loop;
	struct httpc *http;
	const struct settings *settings;

	struct document *document; /* NULL: nothing was published yet */
	struct revisions revisions; /* the newest one is the document */
	struct snapshot *adopted; /* the newest one that the document stands for */
	struct snapshot *coming; /* waits for its time; NULL: none */
	uint64_t published; /* the newest revision that was handed over */
	uint64_t next_ns; /* the next document not before then */
	uv_timer_t pace;

	struct server_queue waiting;
	struct pollers pollers;
	struct packer *packer;
	struct push *push; /* NULL: no push */
	struct readback *readback; /* NULL: Traefik is not asked, so polls have to do */
	json_t *details;
};

static uint64_t
now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static struct document *
newest(void *arg)
{
	struct traefik *t = arg;
	return t->document;
}

/* ── Who has what ──────────────────────────────────────────────────────────────────────────── */

/* The oldest document among those that have arrived at all who poll; UINT64_MAX: nobody does. */
static uint64_t
polled_serial(const struct traefik *t)
{
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < t->pollers.n; i++) {
		struct poller *p = t->pollers.list[i];
		uint64_t arrived = poller_arrived(p, now_ms());
		if (poller_counts(p) && arrived < least)
			least = arrived;
	}
	return least;
}

/* The oldest document among those that have arrived at all who take it; 0: none, or nobody.  Who is
 * asked what it runs need not be believed that it polled. */
static uint64_t
arrived_serial(const struct traefik *t)
{
	uint64_t least = t->readback ? readback_arrived(t->readback) : polled_serial(t);
	if (t->push && push_arrived(t->push) < least)
		least = push_arrived(t->push);
	return least == UINT64_MAX ? 0 : least;
}

/* To be called often enough that it is known when something arrived. */
static uint64_t
note_arrived(struct traefik *t)
{
	uint64_t serial = arrived_serial(t);
	if (serial != t->revisions.arrived)
		revisions_arrive(&t->revisions, serial, now_ms());
	return serial;
}

/* ── Publishing ────────────────────────────────────────────────────────────────────────────── */

/* Somebody gets the newest document. */
static void
note_given(struct traefik *t)
{
	revisions_give(&t->revisions);
	if (t->readback)
		readback_expect(t->readback, t->revisions.newest);
}

/* The document is the one that is served from now on. */
static void
document_adopt(struct traefik *t, struct document *d)
{
	struct document *old = t->document;

	t->document = d;
	t->next_ns = uv_hrtime() + PACE_NS_PER_BYTE * document_size(d);
	server_wake(&t->waiting);
	document_destroy(old);
	if (t->push) {
		push_changed(t->push);
		note_given(t);
	}
}

static void
adopt(struct traefik *t, struct snapshot *s)
{
	struct revisions *rs = &t->revisions;
	struct document *d = document_create(s, t->settings, rs->newest + 1);
	uint64_t digest = document_digest(d);

	document_set_mark(d, revisions_mark(rs, digest));
	snapshot_ref(s);
	snapshot_unref(t->adopted);
	t->adopted = s;
	if (t->document && document_equal(d, t->document)) {
		document_destroy(d);
		revisions_renew(rs, s->revision);
		return;
	}
	note_arrived(t);
	revisions_add(rs, s->revision, digest, document_mark(d));
	document_adopt(t, d);
}

static void
on_pace(uv_timer_t *timer)
{
	struct traefik *t = timer->data;
	struct snapshot *s = t->coming;
	if (!s)
		return;
	t->coming = NULL;
	adopt(t, s);
	snapshot_unref(s);
}

static void
publish(struct output *o, struct snapshot *s)
{
	struct traefik *t = (struct traefik *)o;
	uint64_t now = uv_hrtime();

	t->published = s->revision;
	if (t->document && now < t->next_ns) {
		snapshot_ref(s);
		snapshot_unref(t->coming);
		t->coming = s;
		if (!uv_is_active((uv_handle_t *)&t->pace))
			uv_timer_start(&t->pace, on_pace, (t->next_ns - now + 999999) / 1000000, 0);
		return;
	}
	/* It is newer than what waits. */
	t->coming = snapshot_unref(t->coming);
	adopt(t, s);
}

/* ── Polls ─────────────────────────────────────────────────────────────────────────────────── */

/* Does the client take gzip?  RFC 9110, 12.5.3; q=0 says no. */
static bool
takes_gzip(const char *accept)
{
	const char *at = accept ? strstr(accept, "gzip") : NULL;
	if (!at)
		return false;
	at += strlen("gzip");
	at += strspn(at, " \t");
	if (*at != ';')
		return true;
	at += 1 + strspn(at + 1, " \t");
	return strncmp(at, "q=0", 3) || strspn(at + 3, ".0") != strcspn(at + 3, ", \t");
}

static struct MHD_Response *
choose_response(struct traefik *t, struct server_request *rq)
{
	struct MHD_Response *r = NULL;
	if (takes_gzip(server_header(rq, "Accept-Encoding"))) {
		if (!document_is_packed(t->document))
			packer_want(t->packer);
		r = document_response_gzip(t->document);
	}
	return r ? r : document_response(t->document);
}

/* Looked up each time: a request that was woken stands in no queue, so its poller may be dropped
 * before its handler runs. */
static struct poller *
poller_of(const struct traefik *t, const struct server_request *rq)
{
	const char *edge = server_query(rq, "edge");
	return rq->head ? NULL : pollers_find(&t->pollers, edge ? edge : rq->connection->address);
}

static enum MHD_Result
reply_document(struct traefik *t, struct server_request *rq)
{
	struct poller *p = poller_of(t, rq);
	if (p)
		poller_replied(p, t->revisions.newest, now_ms());
	if (!rq->head) {
		rq->connection->mark = t->revisions.newest;
		note_given(t);
	}
	return server_reply(rq, MHD_HTTP_OK, choose_response(t, rq));
}

/* Traefik takes anything but 200 as an error, and keeps what it has. */
static enum MHD_Result
reply_not_ready(struct server_request *rq)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	enum MHD_Result result = server_reply(rq, MHD_HTTP_SERVICE_UNAVAILABLE, r);
	MHD_destroy_response(r);
	return result;
}

/* No wait is 0. */
static int
wait_parse(const struct server_request *rq, uint64_t *ret, struct err *reterr)
{
	const char *text = server_query(rq, "wait");
	*ret = 0;
	if (!text)
		return 0;
	if (duration_parse(text, ret, reterr) < 0)
		return err_wrap(reterr, "wait");
	if (*ret > WAIT_MAX_MS)
		*ret = WAIT_MAX_MS;
	return 0;
}

static bool
edge_is_valid(const char *edge)
{
	size_t n =
		strspn(edge, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	return n && n < sizeof(((struct poller *)0)->name) && !edge[n];
}

/* Which pollers have a poll held now?  Then the silent ones go. */
static void
pollers_refresh(struct traefik *t)
{
	struct server_request *rq;
	for (size_t i = 0; i < t->pollers.n; i++)
		t->pollers.list[i]->held = false;
	LIST_FOREACH(rq, &t->waiting, in_queue)
	{
		struct poller *p = poller_of(t, rq);
		if (p)
			p->held = true;
	}
	pollers_drop(&t->pollers, now_ms());
}

static void
note_poll(struct traefik *t, struct server_request *rq, const char *edge, bool waits)
{
	const struct server_connection *c = rq->connection;
	const char *name = edge ? edge : c->address;
	if (!pollers_find(&t->pollers, name))
		pollers_refresh(t);
	pollers_polled(&t->pollers, name, c->address, waits, c->mark, now_ms());
	note_arrived(t);
}

static enum MHD_Result
poll(void *arg, struct server_request *rq)
{
	struct traefik *t = arg;
	const char *edge = server_query(rq, "edge");
	uint64_t wait;
	struct err e;

	if (wait_parse(rq, &wait, &e) < 0)
		return server_reply_error(rq, MHD_HTTP_BAD_REQUEST, e.text);
	if (edge && !edge_is_valid(edge))
		return server_reply_error(rq, MHD_HTTP_BAD_REQUEST,
			"edge: a name of up to 63 letters, digits, '.', '_' and '-'");
	if (!rq->held && !rq->head)
		note_poll(t, rq, edge, wait > 0);
	if (rq->head)
		wait = 0;

	bool news = t->document && rq->connection->mark != t->revisions.newest;
	if (!news && wait && !rq->time_over)
		return server_hold(rq, &t->waiting, wait);
	return t->document ? reply_document(t, rq) : reply_not_ready(rq);
}

/* ── What has arrived ──────────────────────────────────────────────────────────────────────── */

/* null where nothing arrived. */
static json_t *
json_revision(uint64_t revision)
{
	return revision ? json_integer((json_int_t)revision) : json_null();
}

static json_t *
poller_json(const struct traefik *t, struct poller *p)
{
	uint64_t now = now_ms();
	json_t *j = json_object();
	json_object_set_new(j, "name", json_string(p->name));
	json_object_set_new(j, "address", json_string(p->address));
	json_object_set_new(
		j, "revision", json_revision(revisions_of(&t->revisions, poller_arrived(p, now))));
	json_object_set_new(
		j, "seen_ms_ago", json_integer(p->held ? 0 : (json_int_t)(now - p->seen_ms)));
	json_object_set_new(j, "held", json_boolean(p->held));
	return j;
}

static json_t *
push_json(const struct traefik *t)
{
	uint64_t revision = revisions_of(&t->revisions, push_arrived(t->push));
	json_t *j = json_object();
	json_object_set_new(j, "url", json_string(push_url(t->push)));
	json_object_set_new(j, "revision", json_revision(revision));
	return j;
}

static json_t *
api_json(const struct traefik *t)
{
	uint64_t revision = revisions_of(&t->revisions, readback_arrived(t->readback));
	json_t *j = json_object();
	json_object_set_new(j, "url", json_string(readback_url(t->readback)));
	json_object_set_new(j, "revision", json_revision(revision));
	json_object_set_new(j, "error", json_string(readback_error(t->readback)));
	return j;
}

static json_t *
details_make(const struct traefik *t)
{
	json_t *details = json_object();
	json_t *list = json_array();
	for (size_t i = 0; i < t->pollers.n; i++) {
		if (poller_counts(t->pollers.list[i]))
			json_array_append_new(list, poller_json(t, t->pollers.list[i]));
	}
	json_object_set_new(details, "pollers", list);
	if (t->push)
		json_object_set_new(details, "push", push_json(t));
	if (t->readback)
		json_object_set_new(details, "api", api_json(t));
	return details;
}

static const char *
error_text(const struct traefik *t)
{
	const char *error = t->push ? push_error(t->push) : "";
	return !*error && t->readback ? readback_error(t->readback) : error;
}

static void
info(struct output *o, struct output_info *ret)
{
	struct traefik *t = (struct traefik *)o;

	pollers_refresh(t);
	uint64_t serial = note_arrived(t);
	json_decref(t->details);
	t->details = details_make(t);
	*ret = (struct output_info){
		.name = t->settings->traefik.name,
		.kind = "traefik",
		.revision = revisions_of(&t->revisions, serial),
		.published = t->published,
		.converged = serial && serial == t->revisions.newest && !t->coming,
		.error = error_text(t),
		.details = t->details,
	};
}

static uint64_t
applied_ago_ms(struct output *o, uint64_t revision)
{
	struct traefik *t = (struct traefik *)o;

	pollers_refresh(t);
	note_arrived(t);
	if (t->readback)
		readback_hurry(t->readback);
	uint64_t ago = revisions_applied_ago(&t->revisions, revision, now_ms());
	if (ago == UINT64_MAX || t->readback || !t->push)
		return ago;
	/* Who took the document need not have applied it. */
	return ago < PUSH_APPLY_DELAY_MS ? UINT64_MAX : ago - PUSH_APPLY_DELAY_MS;
}

/* ── The output ────────────────────────────────────────────────────────────────────────────── */

static void
push_setup(struct traefik *t)
{
	const char *url = t->settings->traefik.push;
	if (t->push && url && !strcmp(url, push_url(t->push)))
		return;
	push_destroy(t->push);
	t->push = url ? push_create(t->loop, t->http, url, newest, t) : NULL;
	if (t->push)
		push_changed(t->push);
}

static uint64_t
find_mark(void *arg, uint64_t mark)
{
	const struct traefik *t = arg;
	return revisions_find(&t->revisions, mark);
}

static void
on_readback(void *arg)
{
	note_arrived(arg);
}

static bool
readback_is(const struct readback *b, const char *url, const char *provider)
{
	if (!b || !url)
		return !b && !url;
	return !strcmp(readback_url(b), url) && !strcmp(readback_provider(b), provider);
}

static void
readback_setup(struct traefik *t)
{
	const char *url = t->settings->traefik.api;
	const char *provider = t->settings->traefik.push ? "rest" : "http";

	if (readback_is(t->readback, url, provider))
		return;
	readback_destroy(t->readback);
	t->readback = url ? readback_create(&(struct readback_config){
				    .loop = t->loop,
				    .http = t->http,
				    .url = url,
				    .provider = provider,
				    .find = find_mark,
				    .changed = on_readback,
				    .arg = t,
			    })
			  : NULL;
	note_arrived(t);
}

struct traefik *
traefik_create(uv_loop_t *loop, struct httpc *http, const struct settings *settings)
{
	struct traefik *t = xcalloc(1, sizeof(*t));
	t->output =
		(struct output){.publish = publish, .info = info, .applied_ago_ms = applied_ago_ms};
	t->loop = loop;
	t->http = http;
	t->settings = settings;
	uv_timer_init(loop, &t->pace);
	t->pace.data = t;
	t->packer = packer_create(loop, newest, t);
	push_setup(t);
	readback_setup(t);
	return t;
}

void
traefik_reload(struct traefik *t, const struct settings *settings)
{
	t->settings = settings;
	push_setup(t);
	readback_setup(t);
	/* The document may differ by what stands in it beside the snapshot. */
	if (t->adopted && !t->coming)
		adopt(t, t->adopted);
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
traefik_destroy(struct traefik *t)
{
	if (!t)
		return;
	push_destroy(t->push);
	readback_destroy(t->readback);
	packer_destroy(t->packer);
	document_destroy(t->document);
	snapshot_unref(t->adopted);
	snapshot_unref(t->coming);
	pollers_finish(&t->pollers);
	json_decref(t->details);
	uv_close((uv_handle_t *)&t->pace, on_closed);
}

struct output *
traefik_output(struct traefik *t)
{
	return &t->output;
}

struct server_routes
traefik_routes(struct traefik *t)
{
	static const struct server_route routes[] = {
		{"/traefik", SERVER_FOR_PROVIDERS, poll},
	};
	return (struct server_routes){routes, sizeof(routes) / sizeof(routes[0]), t};
}
