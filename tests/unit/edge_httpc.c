#include "reconciler/base/httpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>

#include "tests/unit/fake_http.h"

/* One call and what became of it. */
struct got {
	struct httpc *h;
	struct httpc_call *call;
	int done, status, headers;
	char header[32];
	struct buf body;
	char error[512];
	size_t stop_after; /* cancel itself when so many bytes came */
	struct got *then; /* start this one from on_done */
	struct httpc_request request;
};

static struct world {
	uv_loop_t *loop;
	struct httpc *h;
	struct fake fake;
	struct httpc_target target;
	struct fake_conn *held; /* /hold leaves it here */
} w;

static void
on_request(void *arg, struct fake_conn *c, const char *path)
{
	struct buf b = {0};
	(void)arg;

	if (!strcmp(path, "/hello")) {
		fake_reply(c, 200, "hello");
	} else if (!strcmp(path, "/empty")) {
		fake_reply(c, 204, "");
	} else if (!strcmp(path, "/redirect")) {
		fake_sends(c, "HTTP/1.1 302 X\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n");
	} else if (!strcmp(path, "/hold")) {
		w.held = c;
	} else if (!strcmp(path, "/cut")) {
		fake_sends(c, "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf");
		fake_close(c);
	} else if (!strcmp(path, "/garbage")) {
		fake_sends(c, "what do you want\r\n\r\n");
		fake_close(c);
	} else if (!strcmp(path, "/claims")) {
		fake_sends(c, "HTTP/1.1 200 X\r\nContent-Length: 10000000000\r\n\r\nx");
	} else if (!strcmp(path, "/large")) {
		fake_begin(c);
		for (int i = 0; i < 100; i++)
			buf_adds(&b, "0123456789");
		fake_chunk(c, b.p);
		fake_chunk(c, b.p);
	} else if (!strcmp(path, "/headers") || !strcmp(path, "/hundreds")) {
		buf_adds(&b, path[2] == 'e' ? "HTTP/1.1 200 X\r\n" : "");
		for (int i = 0; i < 20000; i++)
			buf_addf(&b, path[2] == 'e' ? "X-%d: y\r\n" : "HTTP/1.1 100 X-%d\r\n\r\n",
				i);
		fake_send(c, b.p, b.n);
	} else if (!strcmp(path, "/stream")) {
		fake_begin(c);
		fake_chunk(c, "one");
		fake_chunk(c, "two");
		w.held = c;
	} else {
		fake_reply(c, 404, path);
	}
	buf_finish(&b);
}

static int
setup(void **state)
{
	(void)state;
	w = (struct world){.loop = uv_default_loop()};
	w.h = httpc_create(w.loop);
	fake_listen(&w.fake, w.loop, false, on_request, NULL);
	w.target.url = w.fake.url;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	httpc_destroy(w.h);
	fake_die(&w.fake);
	uv_run(w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(w.loop), 0);
	return 0;
}

static void
on_headers(void *arg, struct httpc_call *call, int status)
{
	struct got *g = arg;
	const char *v = httpc_header(call, "x-fake");
	g->headers = status;
	snprintf(g->header, sizeof(g->header), "%s", v ? v : "");
	assert_null(httpc_header(call, "X-Absent"));
}

static void
on_data(void *arg, const char *bytes, size_t n)
{
	struct got *g = arg;
	buf_add(&g->body, bytes, n);
	if (g->stop_after && g->body.n >= g->stop_after) {
		httpc_cancel(g->call);
		g->call = NULL;
		if (g->then)
			g->then->call = httpc_start(w.h, &g->then->request);
	}
}

static void
on_done(void *arg, int status, const char *body, size_t n, const struct err *e)
{
	struct got *g = arg;
	g->done++;
	g->status = status;
	g->call = NULL;
	if (body)
		buf_add(&g->body, body, n);
	if (e)
		snprintf(g->error, sizeof(g->error), "%s", e->text);
	assert_true((status < 0) == (e != NULL));
	if (g->then)
		g->then->call = httpc_start(w.h, &g->then->request);
}

static void
prepare(struct got *g, const char *path)
{
	*g = (struct got){.request = {.target = &w.target,
				  .path = path,
				  .timeout_ms = 10000,
				  .on_headers = on_headers,
				  .on_done = on_done,
				  .arg = g}};
}

static void
finish(struct got *g)
{
	buf_finish(&g->body);
}

static void
run(struct got *g)
{
	g->call = httpc_start(w.h, &g->request);
	assert_int_equal(g->done, 0);
	RUN_UNTIL(w.loop, g->done);
	assert_int_equal(g->done, 1);
}

static void
test_get(void **state)
{
	(void)state;
	struct got g;

	prepare(&g, "/hello");
	run(&g);
	assert_int_equal(g.status, 200);
	assert_int_equal(g.headers, 200);
	assert_string_equal(g.header, "yes");
	assert_string_equal(g.body.p, "hello");
	finish(&g);
	prepare(&g, "/empty");
	run(&g);
	assert_int_equal(g.status, 204);
	assert_int_equal(g.body.n, 0);
	finish(&g);
	prepare(&g, "/a/../b?c=%7B");
	run(&g);
	assert_int_equal(g.status, 404);
	assert_string_equal(g.body.p, "/a/../b?c=%7B");
	finish(&g);
	assert_int_equal(w.fake.nconns, 1); /* one after another share a connection */
}

static void
test_tcp(void **state)
{
	(void)state;
	struct fake tcp = {0};
	struct httpc_target target = {0};
	char url[160];
	struct got g;

	/* The environment's proxy is not for us. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	fake_listen(&tcp, w.loop, true, on_request, NULL);
	target.url = tcp.url;
	prepare(&g, "/hello");
	g.request.target = &target;
	run(&g);
	assert_int_equal(g.status, 200);
	finish(&g);

	snprintf(url, sizeof(url), "http%s/prefix/", strchr(tcp.url, ':'));
	target.url = url;
	prepare(&g, "/hello");
	g.request.target = &target;
	run(&g);
	assert_string_equal(g.body.p, "/prefix/hello");
	finish(&g);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	fake_die(&tcp);
	uv_run(w.loop, UV_RUN_NOWAIT);
}

static void
test_errors(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		int status;
	} cases[] = {{"/redirect", 302}, {"/cut", -ECONNRESET}, {"/garbage", -EPROTO},
		{"/claims", -EMSGSIZE}, {"/large", -EMSGSIZE}, {"/headers", -EPROTO},
		{"/hundreds", -EPROTO}};
	struct got g;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		prepare(&g, cases[i].path);
		g.request.body_max = 1500;
		run(&g);
		if (g.status != cases[i].status)
			fail_msg("%s: %d, %s", cases[i].path, g.status, g.error);
		finish(&g);
	}
}

static void
test_absent(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		int status;
	} cases[] = {{"unix:///tmp/waymark-no-such.sock", -ENOENT},
		{"tcp://127.0.0.1:1", -ECONNREFUSED}, {"gopher://x", -EPROTO}};
	struct got g;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct httpc_target t = {.url = cases[i].url};
		prepare(&g, "/hello");
		g.request.target = &t;
		run(&g);
		if (g.status != cases[i].status)
			fail_msg("%s: %d, %s", cases[i].url, g.status, g.error);
		assert_true(strlen(g.error) > 0);
		finish(&g);
	}
}

static void
test_timeout(void **state)
{
	(void)state;
	struct got g, other;

	prepare(&g, "/hold");
	g.request.timeout_ms = 50;
	g.call = httpc_start(w.h, &g.request);
	prepare(&other, "/hello");
	run(&other); /* is not delayed by it */
	assert_int_equal(g.done, 0);
	RUN_UNTIL(w.loop, g.done);
	assert_int_equal(g.status, -ETIMEDOUT);
	finish(&g);
	finish(&other);
}

static void
test_stream(void **state)
{
	(void)state;
	struct got g;

	prepare(&g, "/stream");
	g.request.timeout_ms = 0;
	g.request.on_data = on_data;
	g.call = httpc_start(w.h, &g.request);
	RUN_UNTIL(w.loop, g.body.n == 6);
	assert_int_equal(g.headers, 200);
	assert_int_equal(g.done, 0);
	fake_chunk(w.held, "three");
	RUN_UNTIL(w.loop, g.body.n == 11);
	fake_close(w.held);
	RUN_UNTIL(w.loop, g.done);
	assert_true(g.status < 0);
	assert_string_equal(g.body.p, "onetwothree");
	finish(&g);
}

/* From the callbacks of libcurl: cancels itself and starts another one. */
static void
test_inside(void **state)
{
	(void)state;
	struct got g, next;

	prepare(&next, "/hello");
	prepare(&g, "/stream");
	g.request.on_data = on_data;
	g.stop_after = 1;
	g.then = &next;
	g.call = httpc_start(w.h, &g.request);
	RUN_UNTIL(w.loop, next.done);
	assert_int_equal(next.status, 200);
	assert_int_equal(g.done, 0);
	finish(&g);
	finish(&next);

	prepare(&next, "/hello");
	prepare(&g, "/empty");
	g.then = &next;
	g.call = httpc_start(w.h, &g.request);
	RUN_UNTIL(w.loop, next.done);
	assert_int_equal(g.done, 1);
	finish(&g);
	finish(&next);
}

static void
test_cancel(void **state)
{
	(void)state;
	struct got a, b, c;

	httpc_cancel(NULL);
	prepare(&a, "/hold");
	prepare(&b, "/hello");
	prepare(&c, "/hello");
	a.call = httpc_start(w.h, &a.request);
	b.call = httpc_start(w.h, &b.request);
	httpc_cancel(b.call); /* never sent */
	RUN_UNTIL(w.loop, w.held);
	httpc_cancel(a.call);
	run(&c);
	assert_int_equal(a.done + b.done, 0);
	finish(&a);
	finish(&b);
	finish(&c);
	prepare(&a, "/hold"); /* destroyed under way */
	w.held = NULL;
	a.call = httpc_start(w.h, &a.request);
	RUN_UNTIL(w.loop, w.held);
}

/* The server died and is there again by its path: what was kept alive is no obstacle. */
static void
test_restart(void **state)
{
	(void)state;
	struct got g;

	prepare(&g, "/hello");
	run(&g);
	finish(&g);
	fake_die(&w.fake);
	uv_run(w.loop, UV_RUN_NOWAIT);
	fake_listen(&w.fake, w.loop, false, on_request, NULL);
	prepare(&g, "/hello");
	run(&g);
	assert_int_equal(g.status, 200);
	finish(&g);
}

static void
test_target(void **state)
{
	(void)state;
	static const char *const good[] = {"unix:///run/docker.sock", "tcp://127.0.0.1:2375",
		"tcp://[::1]:2375", "tcp://socket-proxy:2375", "http://h:1/prefix", "https://h"};
	static const char *const bad[] = {"", "docker.sock", "/run/docker.sock", "unix://run/x",
		"unix://", "tcp://", "tcp://h:99999", "tcp://u:p@h:1", "http://h/?q", "http://h/#f",
		"ssh://h", "file:///etc/passwd", "https://a b/",
		"unix:///"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct err e;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (httpc_target_check(good[i], &e) < 0)
			fail_msg("%s", e.text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (httpc_target_check(bad[i], &e) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_get, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test(test_target),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
