#include "provider/caddy/admin.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/json.h"

/* 10,000 sites are some 20 MB of JSON. */
#define REPLY_MAX (64 * 1024 * 1024)
/* Of a reply that is no answer of Caddy's, as much as an error has room for. */
#define SHOWN 120

enum ask { ASK_ADAPT, ASK_LOAD, ASK_READ };

static const struct {
	const char *method, *path;
	uint32_t timeout_ms;
	const char *lost; /* what is not known when it fails */
} asks[] = {
	[ASK_ADAPT] = {"POST", "/adapt", 30000, ""},
	/* 10,000 sites take 3 s. */
	[ASK_LOAD] = {"POST", "/load", 60000, "; it may have been loaded all the same"},
	[ASK_READ] = {"GET", "/config/", 30000, ""},
};

struct admin {
	struct httpc *http;
	struct httpc_target target;
	uint32_t timeout_ms; /* 0: as the table says */
	char *origin; /* the header that enforce_origin asks for */
	bool enforces_origin;

	struct httpc_call *call;
	enum ask ask;
	char *caddyfile; /* while it may have to be sent again; NULL: none */
	uint64_t began_ns;
	admin_fn fn;
	void *arg;
};

static void on_done(void *arg, int status, const char *body, size_t n, const struct err *e);

/* -- asking -- */

static bool
is_unix(const struct admin *a)
{
	return strncmp(a->target.url, "unix:", 5) == 0;
}

/* A connection of before a load would belong to the endpoint of before it. */
static void
ask_send(struct admin *a)
{
	const char *headers[5] = {"Connection: close"};
	size_t n = 1;

	if (a->caddyfile)
		headers[n++] = "Content-Type: text/caddyfile";
	if (is_unix(a))
		headers[n++] = "Host;"; /* libcurl's way to write an empty one */
	if (a->enforces_origin)
		headers[n++] = a->origin;
	a->call = httpc_start(a->http,
		&(struct httpc_request){
			.target = &a->target,
			.method = asks[a->ask].method,
			.path = asks[a->ask].path,
			.headers = headers,
			.body = a->caddyfile,
			.body_size = a->caddyfile ? strlen(a->caddyfile) : 0,
			.timeout_ms = a->timeout_ms ? a->timeout_ms : asks[a->ask].timeout_ms,
			.body_max = REPLY_MAX,
			.on_done = on_done,
			.arg = a,
		});
}

static void
ask_start(struct admin *a, enum ask ask, const char *caddyfile, admin_fn fn, void *arg)
{
	assert(!a->call);
	a->ask = ask;
	a->caddyfile = caddyfile ? xstrdup(caddyfile) : NULL;
	a->fn = fn;
	a->arg = arg;
	a->began_ns = uv_hrtime();
	ask_send(a);
}

/* -- what comes back -- */

/* One reply, and what it was found to say. */
struct verdict {
	struct admin *a;
	int status;
	struct json_span body;
	struct arena arena;
	struct admin_reply reply;
	struct err err;
};

static void
fail(struct verdict *v, int code, const char *what, const char *detail)
{
	const struct admin *a = v->a;
	err_set(&v->err, code, "%s %s of Caddy at %.160s: %s%.200s%s", asks[a->ask].method,
		asks[a->ask].path, a->target.url, what, detail, asks[a->ask].lost);
	v->reply.outcome = ADMIN_FAILED;
	v->reply.err = &v->err;
}

static void
succeed(struct verdict *v, enum admin_outcome outcome, const char *body, size_t n)
{
	v->reply.outcome = outcome;
	v->reply.body = body;
	v->reply.n = n;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct json_span
behind_space(struct json_span s)
{
	while (s.n && is_space(s.p[0]))
		s = (struct json_span){s.p + 1, s.n - 1};
	return s;
}

/* The next value of several in a row, which leaves the rest; p is NULL where there is none. */
static struct json_span
next_value(struct json_span *rest)
{
	struct json_span one = json_span_of(rest->p, rest->n);
	if (one.p)
		*rest = (struct json_span){
			one.p + one.n, rest->n - (size_t)(one.p - rest->p) - one.n};
	return one;
}

/* A text that cannot be decoded (a NUL in it) stays as JSON writes it. */
static const char *
error_text(struct verdict *v, struct json_span object)
{
	struct json_span s = json_span_is_object(object) ? json_span_member(object, "error")
							 : (struct json_span){0};
	if (!s.p)
		return NULL;
	const char *text = json_span_string(s, &v->arena);
	return text ? text : arena_strndup(&v->arena, s.p, s.n);
}

/* {"error": "…"}, by itself or behind the warnings; NULL: there is none. */
static const char *
find_error(struct verdict *v)
{
	const char *text = NULL;
	struct json_span rest = v->body, one;
	while (!text && (one = next_value(&rest)).p)
		text = error_text(v, one);
	return text;
}

/* All of the reply, where it is an object, a list or null; else p is NULL. */
static struct json_span
only_value(const struct verdict *v)
{
	struct json_span rest = v->body, one = next_value(&rest);
	bool known = one.p && (json_span_is_object(one) || one.p[0] == '[' ||
				      (one.n == 4 && memcmp(one.p, "null", 4) == 0));
	return known && !behind_space(rest).n ? one : (struct json_span){0};
}

static void
fail_as_nonsense(struct verdict *v)
{
	char text[SHOWN + 1];
	size_t n = v->body.n < SHOWN ? v->body.n : SHOWN;

	for (size_t i = 0; i < n; i++) {
		char c = v->body.p[i];
		text[i] = c >= ' ' && c < 0x7f ? c : ' ';
	}
	text[n] = '\0';
	const char *what = arena_printf(&v->arena, "answered %d%s", v->status,
		n ? ", and not as Caddy does: " : " and nothing else");
	fail(v, EPROTO, what, text);
}

static void
judge_adapt(struct verdict *v)
{
	struct json_span all = only_value(v), result = {0};
	if (json_span_is_object(all))
		result = json_span_member(all, "result");
	if (json_span_is_object(result))
		succeed(v, ADMIN_DONE, arena_strndup(&v->arena, result.p, result.n), result.n);
	else
		fail_as_nonsense(v);
}

static void
judge_load(struct verdict *v)
{
	const char *error = find_error(v);
	if (error)
		succeed(v, ADMIN_REFUSED, error, strlen(error));
	else if (!v->body.n || only_value(v).p)
		succeed(v, ADMIN_DONE, v->body.p, v->body.n);
	else
		fail_as_nonsense(v);
}

static void
judge_read(struct verdict *v)
{
	struct json_span all = only_value(v);
	if (all.p && all.p[0] != '[')
		succeed(v, ADMIN_DONE, v->body.p, v->body.n);
	else
		fail_as_nonsense(v);
}

static void
judge_refusal(struct verdict *v)
{
	const char *error = find_error(v);

	if (!error)
		fail_as_nonsense(v);
	else if (v->status == 400 && v->a->ask != ASK_READ)
		succeed(v, ADMIN_REFUSED, error, strlen(error));
	else if (v->status == 403)
		fail(v, EACCES, "it lets in only what its admin block names as origins: ", error);
	else if (v->status == 404 || v->status == 405)
		fail(v, EPROTO, "is this the admin endpoint of a Caddy from 2.5 on? ", error);
	else
		fail(v, EPROTO, arena_printf(&v->arena, "answered %d: ", v->status), error);
}

static void
judge(struct verdict *v, const struct err *e)
{
	static void (*const judges[])(struct verdict *) = {
		[ASK_ADAPT] = judge_adapt, [ASK_LOAD] = judge_load, [ASK_READ] = judge_read};

	if (v->status < 0)
		fail(v, -v->status, "", e->text);
	else if (v->status == 200)
		judges[v->a->ask](v);
	else
		judge_refusal(v);
}

/* "client is not allowed to access from origin ''": asked for once, it is sent from then on.  Never
 * before, for an origin that Caddy does not know is refused where none would be asked for. */
static bool
wants_origin(struct verdict *v)
{
	if (v->status != 403 || v->a->enforces_origin)
		return false;
	const char *error = find_error(v);
	return error && (strstr(error, "from origin") || strstr(error, "Origin header"));
}

static void
on_done(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct admin *a = arg;
	struct verdict v = {
		.a = a, .status = status, .body = behind_space((struct json_span){body, n})};

	a->call = NULL;
	if (wants_origin(&v)) {
		arena_finish(&v.arena);
		a->enforces_origin = true;
		ask_send(a);
		return;
	}
	judge(&v, e);
	v.reply.took_ms = (uv_hrtime() - a->began_ns) / 1000000;
	free(a->caddyfile);
	a->caddyfile = NULL;
	a->fn(a->arg, &v.reply); /* and a may be gone */
	arena_finish(&v.arena);
}

/* -- the interface -- */

/* What a browser would say that shows the endpoint; of a socket Caddy 2.6 wants nothing, and 2.11
 * what its operator has put down. */
static char *
origin_of(const char *url)
{
	const char *host = strstr(url, "://");
	struct buf b = {0};

	assert(host);
	host += 3;
	if (*host == '/')
		buf_adds(&b, "Origin: http://localhost");
	else
		buf_addf(&b, "Origin: %s://%.*s", strncmp(url, "https:", 6) ? "http" : "https",
			(int)strcspn(host, "/"), host);
	return buf_steal(&b, NULL);
}

struct admin *
admin_create(struct httpc *http, const char *url)
{
	struct admin *a = xcalloc(1, sizeof(*a));
	a->http = http;
	a->target.url = url;
	a->origin = origin_of(url);
	return a;
}

void
admin_destroy(struct admin *a)
{
	if (!a)
		return;
	httpc_cancel(a->call);
	free(a->caddyfile);
	free(a->origin);
	free(a);
}

void
admin_set_timeout(struct admin *a, uint32_t ms)
{
	a->timeout_ms = ms;
}

void
admin_adapt(struct admin *a, const char *caddyfile, admin_fn fn, void *arg)
{
	ask_start(a, ASK_ADAPT, caddyfile, fn, arg);
}

void
admin_load(struct admin *a, const char *caddyfile, admin_fn fn, void *arg)
{
	ask_start(a, ASK_LOAD, caddyfile, fn, arg);
}

void
admin_read(struct admin *a, admin_fn fn, void *arg)
{
	ask_start(a, ASK_READ, NULL, fn, arg);
}
