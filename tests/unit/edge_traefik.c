#include "provider/traefik/traefik.h"

#include <time.h>

#include <zlib.h>

#include "provider/traefik/pollers.h"
#include "tests/unit/raw_client.h"
#include "tests/unit/traefik_world.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const web[] = {"web"};
static uint64_t clock_ahead_ns;

/* Stands in front of libuv's, so that time passes without waiting; the loop's timers have their
 * own. */
uint64_t
uv_hrtime(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec + clock_ahead_ns;
}

struct fixture {
	uv_loop_t loop;
	struct settings settings;
	struct httpc *http;
	struct traefik *traefik;
	struct server *server;
	struct snapshot *snapshot;
	struct server_routes routes;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	static const char *const listen[] = {"127.0.0.1:0"};
	struct err e;
	uv_loop_init(&f->loop);
	f->settings.traefik.nhttp = 1;
	f->settings.traefik.http = web;
	f->http = httpc_create(&f->loop);
	f->traefik = traefik_create(&f->loop, f->http, &f->settings);
	f->routes = traefik_routes(f->traefik);
	f->server = server_create(&(struct server_config){.loop = &f->loop,
					  .nlisten = 1,
					  .listen = listen,
					  .nroutes = 1,
					  .routes = &f->routes},
		&e);
	assert_non_null(f->server);
	f->snapshot = snapshot_create();
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	server_destroy(f->server);
	traefik_destroy(f->traefik);
	httpc_destroy(f->http);
	snapshot_unref(f->snapshot);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	free(f);
	return 0;
}

static void
publish(struct fixture *f)
{
	traefik_output(f->traefik)->publish(traefik_output(f->traefik), f->snapshot);
}

/* One project more, or one that is different. */
static void
change(struct fixture *f, const char *project, const char *host)
{
	f->snapshot = world_next(f->snapshot, project, PLAN(&f->settings, project, {.host = host}));
	publish(f);
}

static struct output_info
info_of(struct fixture *f)
{
	struct output_info i;
	traefik_output(f->traefik)->info(traefik_output(f->traefik), &i);
	return i;
}

static struct client *
client_of(struct fixture *f)
{
	return client_open(&f->loop, server_address(f->server, 0));
}

/* Turns the loop a few times, so that what can happen without waiting has happened. */
static void
settle(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

static int
count_held(struct fixture *f)
{
	json_t *list = json_object_get(info_of(f).details, "pollers");
	size_t i;
	json_t *p;
	int n = 0;
	json_array_foreach(list, i, p) n += json_is_true(json_object_get(p, "held"));
	return n;
}

static bool
is_held(void *arg)
{
	return count_held(arg) >= 1;
}

static void
test_not_ready(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	size_t n = 0;
	assert_int_equal(client_get(c, "/traefik", ""), 503);
	assert_non_null(client_body(c, &n));
	assert_int_equal(n, 0);
	uint64_t start = uv_hrtime();
	assert_int_equal(client_get(c, "/traefik?wait=30ms", ""), 503);
	assert_true(uv_hrtime() - start >= 28000000);
	assert_int_equal(client_get(c, "/traefik?wait=x", ""), 400);
	assert_int_equal(client_get(c, "/traefik?edge=a%40b", ""), 400);

	/* What is held then gets the first document. */
	client_reset(c);
	client_send(c, "GET /traefik?wait=4s HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(loop_until(&f->loop, is_held, f, 5000));
	change(f, "a", "a.local");
	assert_int_equal(client_wait(c), 200);
	client_close(c);
}

static void
test_empty_world(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	size_t n = 0;
	publish(f);
	assert_int_equal(client_get(c, "/traefik", ""), 200);
	assert_string_equal(client_body(c, &n), "{}");
	client_close(c);
}

static void
test_headers(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	change(f, "a", "a.local");
	change(f, "b", "b.local");
	assert_int_equal(client_get(c, "/traefik", ""), 200);
	assert_true(client_says(c, "X-Waymark-Revision: 2\r\n"));
	assert_true(client_says(c, "Content-Type: application/json\r\n"));
	assert_true(client_says(c, "Cache-Control: no-store\r\n"));
	assert_true(client_says(c, "Host(`b.local`)"));
	client_close(c);
}

static void
test_wait(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f), *d = client_of(f);
	change(f, "a", "a.local");
	/* A connection that had nothing yet is answered at once. */
	assert_int_equal(client_get(c, "/traefik?wait=20s", ""), 200);
	/* No news: the same again when the time is over. */
	assert_int_equal(client_get(c, "/traefik?wait=20ms", ""), 200);
	assert_true(client_says(c, "a.local"));

	client_reset(c);
	client_send(c, "GET /traefik?wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(loop_until(&f->loop, is_held, f, 5000));
	assert_int_equal(client_get(d, "/traefik?wait=20s", ""), 200);
	assert_int_equal(c->got.n, 0);
	change(f, "a", "b.local");
	assert_int_equal(client_wait(c), 200);
	assert_true(client_says(c, "b.local"));
	assert_int_equal(client_get(d, "/traefik?wait=20s", ""), 200);
	assert_true(client_says(d, "b.local"));
	client_close(c);
	client_close(d);
}

/* The same bytes are no news, and their revision counts as that of the document. */
static void
test_same_bytes(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	change(f, "a", "a.local");
	assert_int_equal(client_get(c, "/traefik", ""), 200);
	client_reset(c);
	client_send(c, "GET /traefik?wait=50ms HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(loop_until(&f->loop, is_held, f, 5000));
	change(f, "a", "a.local");
	settle(f);
	assert_int_equal(c->got.n, 0);
	assert_int_equal(client_wait(c), 200);
	assert_true(client_says(c, "X-Waymark-Revision: 1\r\n"));
	assert_int_equal(info_of(f).published, 2);
	client_close(c);
}

static void
test_reload(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	change(f, "a", "a.local");
	assert_int_equal(client_get(c, "/traefik", ""), 200);
	assert_false(client_says(c, "/cert.pem"));
	f->settings.traefik.default_cert_file = "/cert.pem";
	f->settings.traefik.default_key_file = "/key.pem";
	traefik_reload(f->traefik, &f->settings);
	assert_int_equal(client_get(c, "/traefik?wait=20s", ""), 200);
	assert_true(client_says(c, "/cert.pem"));
	client_close(c);
}

/* What stands before previews: in the document at once, though their routers are as before. */
static void
test_reload_of_guards(void **state)
{
	static const char *const before[] = {"anna:$2y$05$before"}, *const after[] = {
									    "bob:$2y$05$after"};
	struct fixture *f = *state;
	struct client *c = client_of(f);
	f->settings.preview.nusers = 1;
	f->settings.preview.users = before;
	f->snapshot = world_next(
		f->snapshot, "a", PLAN(&f->settings, "a", {.host = "a.local", .guarded = true}));
	publish(f);
	assert_int_equal(client_get(c, "/traefik", ""), 200);
	assert_true(client_says(c, "[\"anna:$2y$05$before\"]"));

	struct settings next = f->settings;
	next.preview.users = after;
	traefik_reload(f->traefik, &next);
	assert_int_equal(client_get(c, "/traefik?wait=20s", ""), 200);
	assert_true(client_says(c, "[\"bob:$2y$05$after\"]"));
	assert_false(client_says(c, "anna"));

	/* The same again is no news. */
	traefik_reload(f->traefik, &next);
	uint64_t start = uv_hrtime();
	assert_int_equal(client_get(c, "/traefik?wait=30ms", ""), 200);
	assert_true(uv_hrtime() - start >= 28000000);
	traefik_reload(f->traefik, &f->settings);
	client_close(c);
}

static void
test_head(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	change(f, "a", "a.local");
	client_send(c, "HEAD /traefik?wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n"
		       "HEAD /traefik?wait=20s HTTP/1.1\r\nHost: localhost\r\n"
		       "Connection: close\r\n\r\n");
	assert_true(loop_until(&f->loop, client_is_ended, c, 5000));
	assert_false(client_says(c, "a.local"));
	assert_int_equal(json_array_size(json_object_get(info_of(f).details, "pollers")), 0);
	client_close(c);
}

/* ── Compressed ────────────────────────────────────────────────────────────────────────────── */

static char *
inflated(const char *bytes, size_t n, size_t *ret_n)
{
	size_t room = 16 * 1024 * 1024;
	char *text = xmalloc(room);
	z_stream z = {0};
	union {
		const char *in;
		Bytef *next;
	} u = {.in = bytes};
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = u.next;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)text;
	z.avail_out = (uInt)room;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	*ret_n = z.total_out;
	inflateEnd(&z);
	return text;
}

/* A compressed answer holds what a plain one does. */
static size_t
assert_gzip_is_plain(struct fixture *f, struct client *gzip)
{
	struct client *c = client_of(f);
	size_t nplain = 0, npacked = 0, n;
	assert_int_equal(client_get(c, "/traefik", ""), 200);
	const char *plain = client_body(c, &nplain);
	const char *packed = client_body(gzip, &npacked);
	char *text = inflated(packed, npacked, &n);
	assert_int_equal(n, nplain);
	assert_memory_equal(text, plain, n);
	free(text);
	client_close(c);
	return npacked;
}

static bool
get_gzip(struct client *c)
{
	assert_int_equal(client_get(c, "/traefik", "Accept-Encoding: br, gzip\r\n"), 200);
	return client_says(c, "Content-Encoding: gzip\r\n");
}

static bool
comes_packed(void *arg)
{
	return get_gzip(arg);
}

static void
populate(struct fixture *f, int n)
{
	char project[16], host[32];
	for (int i = 0; i < n; i++) {
		snprintf(project, sizeof(project), "p%05d", i);
		snprintf(host, sizeof(host), "p%05d.local", i);
		f->snapshot = world_next(f->snapshot, project,
			PLAN(&f->settings, project,
				{.host = host, .urls = {"http://10.0.0.1:80"}}));
	}
}

static void
test_gzip(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	populate(f, 2000);
	publish(f);
	/* Nobody compressed it yet. */
	assert_false(get_gzip(c));
	assert_true(loop_until(&f->loop, comes_packed, c, 5000));
	size_t n = assert_gzip_is_plain(f, c);
	assert_true(n < 60000);

	/* A change is there at once; the changed part may stand in it as it is. */
	change(f, "p00700", "another.local");
	assert_int_equal(
		client_get(c, "/traefik?wait=20s", "Accept-Encoding: gzip;q=0.5\r\n"), 200);
	assert_true(client_says(c, "Content-Encoding: gzip\r\n"));
	assert_gzip_is_plain(f, c);

	assert_int_equal(client_get(c, "/traefik", "Accept-Encoding: gzip;q=0\r\n"), 200);
	assert_false(client_says(c, "Content-Encoding: gzip\r\n"));
	client_close(c);
}

/* A list of users that no single block of a compressed reply holds. */
static void
test_gzip_of_many_users(void **state)
{
	enum { N = 2000 };
	static const char *users[N];
	static char text[N][80];
	struct fixture *f = *state;
	struct client *c = client_of(f);
	for (int i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "user%04d:$2y$05$%053d", i, i);
		users[i] = text[i];
	}
	f->settings.preview.nusers = N;
	f->settings.preview.users = users;
	f->snapshot = world_next(
		f->snapshot, "a", PLAN(&f->settings, "a", {.host = "a.local", .guarded = true}));
	populate(f, 500);
	publish(f);
	assert_true(loop_until(&f->loop, comes_packed, c, 5000));
	assert_gzip_is_plain(f, c);
	client_close(c);
}

/* A job that is under way when everything ends. */
static void
test_gzip_ends(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	populate(f, 500);
	publish(f);
	assert_false(get_gzip(c));
	client_close(c);
}

/* More ranges than a connection can hold. */
static void
test_many_ranges(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	populate(f, 64);
	/* Chunks of one plan each: many where a snapshot was never made anew. */
	struct snapshot *s = snapshot_create();
	s->nchunks = 2000;
	s->revision = 1;
	s->chunks = xmalloc(s->nchunks * sizeof(*s->chunks));
	for (size_t i = 0; i < s->nchunks; i++)
		s->chunks[i] = snapshot_chunk_ref(f->snapshot->chunks[0]);
	struct snapshot *old = f->snapshot;
	f->snapshot = s;
	publish(f);
	assert_int_equal(client_get(c, "/traefik", ""), 200);
	size_t n = 0;
	const char *body = client_body(c, &n);
	const struct bytes *joined = f->snapshot->chunks[0]->joined[TRAEFIK_OUTPUT];
	assert_true(n > 2000 * (joined[0].n + joined[1].n));
	assert_memory_equal(body + n - 6, "]}}}}}", 6);
	client_close(c);
	snapshot_unref(old);
}

/* ── The pace ──────────────────────────────────────────────────────────────────────────────── */

static bool
has_newest(void *arg)
{
	struct client *c = arg;
	return client_get(c, "/traefik?wait=100ms", "") == 200 && client_says(c, "newest.local");
}

static void
test_pace(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	populate(f, 8000); /* 1.5 MB: 8 ms */
	publish(f);
	assert_int_equal(client_get(c, "/traefik", ""), 200);
	for (int i = 0; i < 100; i++)
		change(f, "p00000", i % 2 ? "odd.local" : "even.local");
	change(f, "p00000", "newest.local");
	assert_int_equal(info_of(f).published, 8101);
	assert_true(loop_until(&f->loop, has_newest, c, 5000));
	client_close(c);
}

/* ── What has arrived ──────────────────────────────────────────────────────────────────────── */

static void
test_pollers(void **state)
{
	(void)state;
	struct pollers ps = {0};
	struct poller *p = pollers_polled(&ps, "a", "10.0.0.1", false, 0, 1000);
	assert_false(poller_counts(p));
	poller_replied(p, 1, 1000);
	assert_int_equal(poller_arrived(p, 9000), 0);

	/* The poll that follows, and the delay after it. */
	assert_ptr_equal(pollers_polled(&ps, "a", "10.0.0.1", false, 0, 2000), p);
	assert_true(poller_counts(p));
	assert_int_equal(poller_arrived(p, 4499), 0);
	assert_int_equal(poller_arrived(p, 4500), 1);

	/* Changes that come faster than the delay do not put it off. */
	for (uint64_t i = 2; i < 100; i++) {
		poller_replied(p, i, 4000 + i * 100);
		pollers_polled(&ps, "a", "10.0.0.1", false, i, 4000 + i * 100);
	}
	assert_true(poller_arrived(p, 13950) > 10);
	assert_int_equal(poller_arrived(p, 13900 + 2500), 99);

	/* Another connection that has not polled again proves nothing for this one. */
	poller_replied(p, 100, 20000);
	pollers_polled(&ps, "a", "10.0.0.1", false, 99, 20000);
	assert_int_equal(poller_arrived(p, 30000), 99);

	/* Silence. */
	pollers_polled(&ps, "b", "10.0.0.2", true, 0, 30000);
	assert_true(poller_counts(pollers_find(&ps, "b")));
	pollers_drop(&ps, 34999);
	assert_int_equal(ps.n, 2);
	pollers_drop(&ps, 35001);
	assert_int_equal(ps.n, 1);
	pollers_find(&ps, "b")->held = true;
	pollers_drop(&ps, 99999);
	assert_int_equal(ps.n, 1);

	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", i);
		pollers_polled(&ps, name, "x", true, 0, 99999);
	}
	assert_int_equal(ps.n, POLLERS_MAX);
	pollers_finish(&ps);
}

static void
test_converged(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_of(f);
	change(f, "a", "a.local");
	assert_false(info_of(f).converged);
	assert_int_equal(client_get(c, "/traefik?edge=one", ""), 200);
	assert_int_equal(client_get(c, "/traefik?edge=one", ""), 200);
	struct output_info i = info_of(f);
	assert_false(i.converged);
	assert_int_equal(i.revision, 0);
	assert_int_equal(i.published, 1);
	json_t *p = json_array_get(json_object_get(i.details, "pollers"), 0);
	assert_string_equal(json_string_value(json_object_get(p, "name")), "one");
	assert_string_equal(json_string_value(json_object_get(p, "address")), "127.0.0.1");
	assert_true(json_is_null(json_object_get(p, "revision")));
	client_close(c);
}

static bool
are_both_held(void *arg)
{
	return count_held(arg) == 2;
}

/* A listener for each half; unix sockets, for what is sent there has come there. */
static void
listen_twice(struct fixture *f, const char *directory)
{
	char listen[2][96];
	struct err e;
	for (int i = 0; i < 2; i++)
		snprintf(listen[i], sizeof(listen[i]), "unix:%s/%d", directory, i);
	assert_int_equal(server_reload(f->server,
				 &(struct server_config){.loop = &f->loop,
					 .nlisten = 2,
					 .listen = (const char *const[]){listen[0], listen[1]}},
				 &e),
		0);
}

/* Two polls held on two listeners for longer than a poller may be silent, and woken at once.  The
 * listener that runs first also has a poll of a new name, which drops the silent: among them the
 * other half's poller, whose request stands in no queue any more and has not run yet. */
static void
test_dropped_while_woken(void **state)
{
	struct fixture *f = *state;
	struct client *held[2], *fresh[2];
	char directory[] = "/tmp/edge_traefik.XXXXXX", text[128];
	assert_non_null(mkdtemp(directory));
	listen_twice(f, directory);
	change(f, "a", "a.local");
	for (size_t i = 0; i < 2; i++) {
		fresh[i] = client_open(&f->loop, server_address(f->server, i));
		assert_int_equal(client_get(fresh[i], "/nothing", ""), 404);
		held[i] = client_open(&f->loop, server_address(f->server, i));
		snprintf(text, sizeof(text), "/traefik?wait=30s&edge=held%zu", i);
		assert_int_equal(client_get(held[i], text, ""), 200);
		client_reset(held[i]);
		client_reset(fresh[i]);
		snprintf(text, sizeof(text),
			"GET /traefik?wait=30s&edge=held%zu HTTP/1.1\r\nHost: localhost\r\n\r\n",
			i);
		client_send(held[i], text);
	}
	assert_true(loop_until(&f->loop, are_both_held, f, 5000));

	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof(text),
			"GET /traefik?edge=fresh%zu HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
		client_send(fresh[i], text);
	}
	clock_ahead_ns += (POLLER_SILENCE_MS + 1000) * UINT64_C(1000000);
	change(f, "a", "b.local");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(client_wait(held[i]), 200);
		assert_int_equal(client_wait(fresh[i]), 200);
		assert_true(client_says(held[i], "b.local"));
		client_close(held[i]);
		client_close(fresh[i]);
	}
	server_destroy(f->server);
	f->server = NULL;
	assert_int_equal(rmdir(directory), 0);
}

/* ── Push ──────────────────────────────────────────────────────────────────────────────────── */

/* As much of a Traefik as push talks to: one request on a connection, then it closes. */
struct fake {
	uv_loop_t *loop;
	uv_tcp_t tcp;
	char url[64];
	const char *started; /* the start date; NULL: the connection is closed without an answer */
	int put_status;
	int nputs;
	struct buf document; /* of the last PUT that was taken */
};

struct fake_connection {
	uv_tcp_t tcp;
	uv_write_t write;
	struct fake *fake;
	struct buf got, answer;
};

static void
fake_on_closed(uv_handle_t *handle)
{
	struct fake_connection *c = handle->data;
	buf_finish(&c->got);
	buf_finish(&c->answer);
	free(c);
}

static void
fake_on_written(uv_write_t *write, int status)
{
	(void)status;
	uv_close((uv_handle_t *)write->handle, fake_on_closed);
}

static void
fake_answer(struct fake_connection *c, const char *body)
{
	struct fake *f = c->fake;
	bool put = !strncmp(c->got.p, "PUT /api/providers/rest ", 24);
	char version[128];

	uv_read_stop((uv_stream_t *)&c->tcp);
	if (!f->started) {
		uv_close((uv_handle_t *)&c->tcp, fake_on_closed);
		return;
	}
	snprintf(
		version, sizeof(version), "{\"Version\":\"3.7\",\"startDate\":\"%s\"}", f->started);
	if (put) {
		assert_non_null(strstr(c->got.p, "Content-Type: application/json\r\n"));
		f->nputs++;
		if (f->put_status == 200) {
			buf_reset(&f->document);
			buf_adds(&f->document, body);
		}
	} else {
		assert_int_equal(strncmp(c->got.p, "GET /api/version ", 17), 0);
	}
	buf_addf(&c->answer, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
		put ? f->put_status : 200, put ? 0 : strlen(version), put ? "" : version);
	uv_buf_t out = uv_buf_init(c->answer.p, (unsigned)c->answer.n);
	uv_write(&c->write, (uv_stream_t *)&c->tcp, &out, 1, fake_on_written);
}

static void
fake_on_alloc(uv_handle_t *handle, size_t n, uv_buf_t *ret)
{
	static char bytes[65536];
	(void)handle;
	(void)n;
	*ret = uv_buf_init(bytes, sizeof(bytes));
}

static void
fake_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct fake_connection *c = stream->data;
	if (n < 0) {
		uv_close((uv_handle_t *)stream, fake_on_closed);
		return;
	}
	buf_add(&c->got, b->base, (size_t)n);
	const char *body = strstr(c->got.p, "\r\n\r\n");
	if (!body)
		return;
	const char *length = strstr(c->got.p, "Content-Length: ");
	size_t want = length && length < body ? strtoul(length + 16, NULL, 10) : 0;
	if (strlen(body + 4) >= want)
		fake_answer(c, body + 4);
}

static void
fake_on_connection(uv_stream_t *listener, int status)
{
	struct fake *f = listener->data;
	struct fake_connection *c = xcalloc(1, sizeof(*c));
	(void)status;
	c->fake = f;
	uv_tcp_init(f->loop, &c->tcp);
	c->tcp.data = c;
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
	uv_read_start((uv_stream_t *)&c->tcp, fake_on_alloc, fake_on_read);
}

static void
fake_start(struct fake *f, uv_loop_t *loop)
{
	struct sockaddr_in a;
	int len = sizeof(a);
	f->loop = loop;
	f->put_status = 200;
	buf_adds(&f->document, "");
	uv_ip4_addr("127.0.0.1", 0, &a);
	uv_tcp_init(loop, &f->tcp);
	f->tcp.data = f;
	assert_int_equal(uv_tcp_bind(&f->tcp, (struct sockaddr *)&a, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&f->tcp, 16, fake_on_connection), 0);
	uv_tcp_getsockname(&f->tcp, (struct sockaddr *)&a, &len);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u", ntohs(a.sin_port));
}

struct expectation {
	struct fixture *fixture;
	struct fake *fake;
	const char *host; /* stands in what was taken last */
	int nputs;
};

static bool
is_pushed(void *arg)
{
	const struct expectation *x = arg;
	struct output_info i = info_of(x->fixture);
	return x->fake->nputs >= x->nputs && strstr(x->fake->document.p, x->host) && i.converged &&
	       i.revision == i.published && !*i.error;
}

static bool
has_error(void *arg)
{
	const struct expectation *x = arg;
	return *info_of(x->fixture).error && !info_of(x->fixture).converged;
}

static void
test_push(void **state)
{
	struct fixture *f = *state;
	struct fake fake = {.started = "first"};
	fake_start(&fake, &f->loop);
	f->settings.traefik.push = fake.url;
	traefik_reload(f->traefik, &f->settings);
	settle(f);
	assert_int_equal(fake.nputs, 0); /* nothing is known yet */

	change(f, "a", "a.local");
	struct expectation x = {f, &fake, "a.local", 1};
	assert_true(loop_until(&f->loop, is_pushed, &x, 5000));
	change(f, "a", "b.local");
	x.host = "b.local";
	assert_true(loop_until(&f->loop, is_pushed, &x, 5000));

	/* Traefik restarted, faster than anybody notices. */
	buf_reset(&fake.document);
	fake.started = "second";
	assert_true(loop_until(&f->loop, is_pushed, &x, 5000));

	/* It refuses, and then takes it. */
	fake.put_status = 503;
	change(f, "a", "c.local");
	assert_true(loop_until(&f->loop, has_error, &x, 5000));
	assert_non_null(strstr(info_of(f).error, "503"));
	fake.put_status = 200;
	x.host = "c.local";
	assert_true(loop_until(&f->loop, is_pushed, &x, 5000));

	/* It goes away, and comes back the same. */
	fake.started = NULL;
	assert_true(loop_until(&f->loop, has_error, &x, 5000));
	buf_reset(&fake.document);
	fake.started = "second";
	assert_true(loop_until(&f->loop, is_pushed, &x, 5000));

	f->settings.traefik.push = NULL;
	traefik_reload(f->traefik, &f->settings);
	uv_close((uv_handle_t *)&fake.tcp, NULL);
	settle(f);
	buf_finish(&fake.document);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_not_ready),
		TEST(test_empty_world),
		TEST(test_headers),
		TEST(test_wait),
		TEST(test_same_bytes),
		TEST(test_reload),
		TEST(test_reload_of_guards),
		TEST(test_head),
		TEST(test_gzip),
		TEST(test_gzip_ends),
		TEST(test_gzip_of_many_users),
		TEST(test_many_ranges),
		TEST(test_pace),
		cmocka_unit_test(test_pollers),
		TEST(test_converged),
		TEST(test_dropped_while_woken),
		TEST(test_push),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
