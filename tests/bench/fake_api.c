#include "tests/bench/fake_api.h"

#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "reconciler/base/arena.h"
#include "tests/bench/fake_render.h"

#define API_VERSION 41 /* 1.41 */
#define API_VERSION_MIN 12
#define REQUEST_MAX 16384
/* Go's net/http sends anything longer in chunks. */
#define UNCHUNKED_MAX 2048

struct api {
	uv_loop_t *loop;
	char *path;
	uv_pipe_t *listener; /* NULL: the engine is away */
	struct world *world;
	struct conn *conns;
	struct fake_counts counts;
	struct api_batch batch;
	unsigned fail, delay_ms;
};

struct conn {
	uv_pipe_t pipe;
	uv_timer_t timer; /* a reply that is held back */
	struct api *api;
	struct conn *next, **place;
	unsigned open_handles;
	bool close_after; /* the client said Connection: close */
	bool busy; /* a reply waits on the timer */
	bool streaming;
	json_t *filters; /* of the event stream */
	struct buf in;
	struct buf held;
	uint64_t *held_done;
};

struct request {
	char *method, *target, *query; /* query: after the '?', or "" */
	char *headers;
};

/* ---- writing ---- */

struct write {
	uv_write_t req;
	char *bytes;
	uint64_t *done_ns; /* where to note when the last byte was written, or NULL */
	struct conn *close; /* or NULL */
};

static void conn_close(struct conn *c);

static void
write_done(uv_write_t *req, int status)
{
	struct write *w = req->data;

	if (w->done_ns && !status)
		*w->done_ns = uv_hrtime();
	if (w->close)
		conn_close(w->close);
	free(w->bytes);
	free(w);
}

/* Takes the buffer's bytes. */
static void
conn_write(struct conn *c, struct buf *b, uint64_t *done_ns)
{
	struct write *w = xcalloc(1, sizeof(*w));
	size_t n;

	w->bytes = buf_steal(b, &n);
	w->done_ns = done_ns;
	w->close = c->close_after && !c->streaming ? c : NULL;
	w->req.data = w;
	uv_buf_t piece = uv_buf_init(w->bytes, (unsigned)n);
	if (uv_write(&w->req, (uv_stream_t *)&c->pipe, &piece, 1, write_done) < 0)
		write_done(&w->req, -1);
}

static const char *
status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{200, "OK"},
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Internal Server Error";
}

static void
print_head(struct buf *b, int status, const char *type)
{
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	buf_addf(b, "HTTP/1.1 %d %s\r\nApi-Version: 1.41\r\nContent-Type: %s\r\n", status,
		status_text(status), type);
	buf_addf(b,
		"Docker-Experimental: false\r\nOstype: linux\r\n"
		"Server: Docker/20.10.24+dfsg1 (linux)\r\nDate: %s\r\n",
		date);
}

static void
print_reply(
	struct buf *b, const struct conn *c, int status, const char *type, const struct buf *body)
{
	print_head(b, status, type);
	if (c->close_after)
		buf_adds(b, "Connection: close\r\n");
	if (body->n > UNCHUNKED_MAX) {
		buf_addf(b, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", body->n);
		buf_add(b, body->p, body->n);
		buf_adds(b, "\r\n0\r\n\r\n");
	} else {
		buf_addf(b, "Content-Length: %zu\r\n\r\n", body->n);
		buf_add(b, body->p, body->n);
	}
}

static void
conn_reply(struct conn *c, int status, const char *type, struct buf *body, uint64_t *done_ns)
{
	struct buf b = {0};

	print_reply(&b, c, status, type, body);
	buf_finish(body);
	conn_write(c, &b, done_ns);
}

static void
conn_error(struct conn *c, int status, const char *message)
{
	struct buf body = {0};

	buf_adds(&body, "{\"message\":");
	buf_json(&body, message);
	buf_adds(&body, "}\n");
	conn_reply(c, status, "application/json", &body, NULL);
}

/* ---- lists and inspects, which scripts can make slow or fail ---- */

static void conn_process(struct conn *c);

static void
conn_held_over(uv_timer_t *timer)
{
	struct conn *c = timer->data;

	c->busy = false;
	conn_write(c, &c->held, c->held_done);
	conn_process(c);
}

static void
conn_reply_slowly(struct conn *c, struct buf *body, uint64_t *done_ns)
{
	if (!c->api->delay_ms) {
		conn_reply(c, 200, "application/json", body, done_ns);
		return;
	}
	print_reply(&c->held, c, 200, "application/json", body);
	buf_finish(body);
	c->held_done = done_ns;
	c->busy = true;
	uv_timer_start(&c->timer, conn_held_over, c->api->delay_ms, 0);
}

static bool
conn_fails(struct conn *c)
{
	if (!c->api->fail)
		return false;
	c->api->fail--;
	c->api->counts.failed++;
	conn_error(c, 500, "the script said so");
	return true;
}

/* ---- queries ---- */

static void
percent_decode(char *s)
{
	char *out = s;

	for (; *s; s++) {
		unsigned byte;
		if (*s == '%' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
			sscanf(s + 1, "%2x", &byte);
			*out++ = (char)byte;
			s += 2;
		} else {
			*out++ = (char)(*s == '+' ? ' ' : *s);
		}
	}
	*out = '\0';
}

/* A parameter's decoded value, which the caller frees, or NULL. */
static char *
query_get(const char *query, const char *name)
{
	size_t len = strlen(name);

	for (const char *s = query; *s; s += strcspn(s, "&"), s += *s == '&') {
		if (strncmp(s, name, len) || s[len] != '=')
			continue;
		char *value = xstrdup(s + len + 1);
		value[strcspn(value, "&")] = '\0';
		percent_decode(value);
		return value;
	}
	return NULL;
}

/* ---- events ---- */

/* {"type":["container"]} or, as old clients say it, {"type":{"container":true}}: as the former. */
static json_t *
filters_parse(const char *text)
{
	json_t *ret = json_object();
	json_t *given = json_loads(text, 0, NULL), *set, *item;
	const char *key, *name;

	json_object_foreach(given, key, set)
	{
		json_t *list = json_is_array(set) ? json_incref(set) : json_array();
		json_object_foreach(set, name, item) json_array_append_new(list, json_string(name));
		json_object_set_new(ret, key, list);
	}
	json_decref(given);
	return ret;
}

static bool
filter_matches(const json_t *filters, const char *key, const char *value, bool prefix)
{
	const json_t *set = json_object_get(filters, key);
	json_t *item;
	size_t i;

	json_array_foreach(set, i, item)
	{
		const char *want = json_is_string(item) ? json_string_value(item) : "";
		if (prefix ? !strncmp(value, want, strlen(want)) : !strcmp(value, want))
			return true;
	}
	return !set;
}

/* Where one of these three is asked for, dockerd compares every action by its beginning
 * (daemon/events/filter.go, matchEvent). */
static bool
filters_match(const json_t *filters, const char *type, const char *action)
{
	bool prefix = json_object_get(filters, "event") &&
		      (filter_matches(filters, "event", "health_status", false) ||
			      filter_matches(filters, "event", "exec_create", false) ||
			      filter_matches(filters, "event", "exec_start", false));

	return filter_matches(filters, "type", type, false) &&
	       filter_matches(filters, "event", action, prefix);
}

static void
conn_send_event(struct conn *c, const struct buf *json)
{
	struct buf b = {0};

	buf_addf(&b, "%zx\r\n", json->n + 1);
	buf_add(&b, json->p, json->n);
	buf_adds(&b, "\n\r\n");
	conn_write(c, &b, NULL);
}

static void
api_event(void *arg, const char *type, const char *action, const struct buf *json)
{
	struct api *a = arg;
	bool heard = false;

	a->batch.events++;
	for (struct conn *c = a->conns; c; c = c->next) {
		if (!c->streaming || !filters_match(c->filters, type, action))
			continue;
		a->batch.last_ns = uv_hrtime();
		if (!a->batch.first_ns)
			a->batch.first_ns = a->batch.last_ns;
		conn_send_event(c, json);
		a->counts.sent++;
		heard = true;
	}
	a->counts.unheard += !heard;
}

void
api_batch_take(struct api *a, struct api_batch *ret)
{
	*ret = a->batch;
	a->batch = (struct api_batch){0};
}

/* ---- the paths ---- */

static void
serve_ping(struct conn *c, const struct request *r)
{
	struct buf body = {0};

	(void)r;
	c->api->counts.ping++;
	buf_adds(&body, "OK");
	conn_reply(c, 200, "text/plain; charset=utf-8", &body, NULL);
}

static void
serve_version(struct conn *c, const struct request *r)
{
	struct buf body = {0};

	(void)r;
	c->api->counts.version++;
	fake_render_version(&body);
	conn_reply(c, 200, "application/json", &body, NULL);
}

static void
serve_events(struct conn *c, const struct request *r)
{
	struct buf b = {0};
	char *filters = query_get(r->query, "filters");

	c->api->counts.events++;
	c->filters = filters_parse(filters ? filters : "{}");
	c->streaming = true;
	free(filters);
	print_head(&b, 200, "application/json");
	buf_adds(&b, "Transfer-Encoding: chunked\r\n\r\n");
	conn_write(c, &b, NULL);
}

static void
serve_list(struct conn *c, const struct request *r)
{
	struct fake_counts *counts = &c->api->counts;
	struct buf body = {0};
	char *all = query_get(r->query, "all");

	counts->lists++;
	if (!conn_fails(c)) {
		fake_render_list(
			&body, c->api->world, all && strcmp(all, "0") && strcmp(all, "false"));
		counts->list_bytes = body.n;
		conn_reply_slowly(c, &body, &counts->list_done_ns);
	}
	free(all);
}

static void
serve_inspect(struct conn *c, const char *key)
{
	struct fake_counts *counts = &c->api->counts;
	const struct fake_container *found = world_find(c->api->world, key);
	struct buf body = {0};
	char message[256];

	counts->inspects++;
	if (conn_fails(c))
		return;
	if (!found) {
		counts->missing++;
		snprintf(message, sizeof(message), "No such container: %s", key);
		conn_error(c, 404, message);
		return;
	}
	fake_render_inspect(&body, found);
	counts->inspect_bytes = body.n;
	conn_reply_slowly(c, &body, &counts->inspect_done_ns);
}

static const struct {
	const char *path;
	void (*serve)(struct conn *c, const struct request *r);
} paths[] = {
	{"/_ping", serve_ping},
	{"/version", serve_version},
	{"/events", serve_events},
	{"/containers/json", serve_list},
};

/* Cuts "/v1.41" off; false where no engine of this version speaks that. */
static bool
version_cut(char **path)
{
	unsigned minor;
	int len = 0;

	if (sscanf(*path, "/v1.%u%n", &minor, &len) != 1 || (*path)[len] != '/')
		return true;
	*path += len;
	return minor >= API_VERSION_MIN && minor <= API_VERSION;
}

static void
serve_path(struct conn *c, const struct request *r, char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		if (!strcmp(path, paths[i].path)) {
			paths[i].serve(c, r);
			return;
		}
	}
	if (!strncmp(path, "/containers/", 12) && len > 17 && !strcmp(path + len - 5, "/json")) {
		path[len - 5] = '\0';
		percent_decode(path + 12);
		serve_inspect(c, path + 12);
		return;
	}
	c->api->counts.other++;
	conn_error(c, 404, "page not found");
}

static void
serve(struct conn *c, struct request *r)
{
	char *path = r->target;

	if (strcmp(r->method, "GET")) {
		c->api->counts.refused++;
		c->close_after = true; /* a body may follow, and nobody reads it */
		conn_error(c, 403, "only GET");
	} else if (!version_cut(&path)) {
		c->api->counts.other++;
		conn_error(c, 400, "client version is too old or too new. API version: 1.41");
	} else {
		serve_path(c, r, path);
	}
}

/* ---- connections ---- */

static bool
request_parse(char *head, struct request *ret)
{
	char *line_end = strstr(head, "\r\n");

	*line_end = '\0';
	ret->headers = line_end + 2;
	ret->method = head;
	ret->target = strchr(head, ' ');
	if (!ret->target)
		return false;
	*ret->target++ = '\0';
	char *version = strchr(ret->target, ' ');
	if (!version)
		return false;
	*version = '\0';
	ret->query = strchr(ret->target, '?');
	if (ret->query)
		*ret->query++ = '\0';
	else
		ret->query = version;
	return true;
}

/* Serves the requests that came whole, one after the other. */
static void
conn_process(struct conn *c)
{
	char *end;

	while (!c->busy && !c->streaming && !c->close_after && c->in.n &&
		(end = strstr(c->in.p, "\r\n\r\n"))) {
		struct buf rest = {0};
		struct request r;

		end[2] = '\0';
		if (end + 4 < c->in.p + c->in.n)
			buf_adds(&rest, end + 4);
		if (!request_parse(c->in.p, &r)) {
			conn_close(c);
			buf_finish(&rest);
			return;
		}
		c->close_after = strcasestr(r.headers, "connection: close");
		serve(c, &r);
		buf_finish(&c->in);
		c->in = rest;
	}
}

static void
conn_free(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	if (--c->open_handles)
		return;
	json_decref(c->filters);
	buf_finish(&c->in);
	buf_finish(&c->held);
	free(c);
}

static void
conn_close(struct conn *c)
{
	if (uv_is_closing((uv_handle_t *)&c->pipe))
		return;
	*c->place = c->next;
	if (c->next)
		c->next->place = c->place;
	c->streaming = false;
	uv_close((uv_handle_t *)&c->timer, conn_free);
	uv_close((uv_handle_t *)&c->pipe, conn_free);
}

static void
conn_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	static char room[REQUEST_MAX];

	(void)handle;
	(void)suggested;
	*ret = uv_buf_init(room, sizeof(room));
}

static void
conn_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct conn *c = stream->data;

	if (n < 0 || c->in.n > REQUEST_MAX) {
		conn_close(c);
		return;
	}
	buf_add(&c->in, bytes->base, (size_t)n);
	conn_process(c);
}

static void
api_accept(uv_stream_t *listener, int status)
{
	struct api *a = listener->data;
	struct conn *c = xcalloc(1, sizeof(*c));

	assert(!status);
	a->counts.connections++;
	c->api = a;
	c->open_handles = 2;
	c->place = &a->conns;
	c->next = a->conns;
	if (c->next)
		c->next->place = &c->next;
	a->conns = c;
	uv_pipe_init(a->loop, &c->pipe, 0);
	uv_timer_init(a->loop, &c->timer);
	c->pipe.data = c->timer.data = c;
	uv_accept(listener, (uv_stream_t *)&c->pipe);
	uv_read_start((uv_stream_t *)&c->pipe, conn_alloc, conn_read);
}

/* ---- the socket ---- */

static void
listener_free(uv_handle_t *handle)
{
	free(handle);
}

void
api_listen(struct api *a, bool on)
{
	if (on == (a->listener != NULL))
		return;
	if (!on) {
		uv_close((uv_handle_t *)a->listener, listener_free); /* unlinks the path, too */
		a->listener = NULL;
		return;
	}
	a->listener = xcalloc(1, sizeof(*a->listener));
	uv_pipe_init(a->loop, a->listener, 0);
	a->listener->data = a;
	unlink(a->path);
	if (uv_pipe_bind(a->listener, a->path) < 0 ||
		uv_listen((uv_stream_t *)a->listener, 512, api_accept) < 0) {
		fprintf(stderr, "fake_engine: cannot listen on %s\n", a->path);
		exit(1);
	}
}

struct api *
api_create(uv_loop_t *loop, const char *path, struct world *world)
{
	struct api *a = xcalloc(1, sizeof(*a));

	a->loop = loop;
	a->path = xstrdup(path);
	a->world = world;
	world->event = api_event;
	world->arg = a;
	api_listen(a, true);
	return a;
}

void
api_cut(struct api *a)
{
	while (a->conns)
		conn_close(a->conns);
}

void
api_destroy(struct api *a)
{
	api_cut(a);
	api_listen(a, false);
	uv_run(a->loop, UV_RUN_DEFAULT);
	free(a->path);
	free(a);
}

struct fake_counts *
api_counts(struct api *a)
{
	return &a->counts;
}

void
api_fail(struct api *a, unsigned requests)
{
	a->fail = requests;
}

void
api_delay(struct api *a, unsigned ms)
{
	a->delay_ms = ms;
}
