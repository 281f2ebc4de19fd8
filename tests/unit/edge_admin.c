#include "provider/caddy/admin.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/unit/fake_http.h"

#define TIMEOUT_MS 300

/* One endpoint, and what it does with whoever asks. */
static struct world {
	uv_loop_t *loop;
	struct httpc *http;
	struct fake fake;
	struct admin *admin;
	char head[2048]; /* of the last request */
	int status;
	const char *answer;
	void (*act)(struct fake_conn *c); /* instead of an answer */
	uv_timer_t drip;
	struct fake_conn *dripping;
} w;

static struct got {
	int calls;
	enum admin_outcome outcome;
	char *body;
	size_t n;
	struct err err;
	uint64_t took_ms;
} got;

static void
on_reply(void *arg, const struct admin_reply *r)
{
	(void)arg;
	free(got.body);
	got = (struct got){got.calls + 1, r->outcome, NULL, r->n, {0}, r->took_ms};
	assert_int_equal(r->outcome == ADMIN_FAILED, r->err != NULL);
	assert_int_equal(r->outcome == ADMIN_FAILED, r->body == NULL);
	if (r->err)
		got.err = *r->err;
	if (r->body) {
		assert_int_equal(strlen(r->body), r->n);
		got.body = xstrdup(r->body);
	}
}

static void
on_request(void *arg, struct fake_conn *c, const char *path)
{
	(void)arg, (void)path;
	memcpy(w.head, c->head, sizeof(w.head));
	if (w.act)
		w.act(c);
	else
		fake_reply(c, w.status, w.answer);
}

static void
start(bool tcp)
{
	w = (struct world){.loop = uv_default_loop(), .status = 200, .answer = ""};
	got = (struct got){0};
	w.http = httpc_create(w.loop);
	uv_timer_init(w.loop, &w.drip);
	fake_listen(&w.fake, w.loop, tcp, on_request, NULL);
	w.admin = admin_create(w.http, w.fake.url);
}

static int
setup(void **state)
{
	(void)state;
	start(false);
	return 0;
}

static int
setup_tcp(void **state)
{
	(void)state;
	start(true);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	admin_destroy(w.admin);
	httpc_destroy(w.http);
	fake_die(&w.fake);
	uv_close((uv_handle_t *)&w.drip, NULL);
	uv_run(w.loop, UV_RUN_DEFAULT);
	free(got.body);
	return 0;
}

enum ask { ADAPT, LOAD, READ };

static void
ask(enum ask what)
{
	int calls = got.calls;
	if (what == ADAPT)
		admin_adapt(w.admin, "a.test {\n}\n", on_reply, NULL);
	else if (what == LOAD)
		admin_load(w.admin, "a.test {\n}\n", on_reply, NULL);
	else
		admin_read(w.admin, on_reply, NULL);
	RUN_UNTIL(w.loop, got.calls > calls);
	assert_int_equal(got.calls, calls + 1);
}

static void
is(enum admin_outcome outcome, const char *says)
{
	const char *text = got.body ? got.body : got.err.text;
	if (got.outcome != outcome || (got.body ? strcmp(text, says) != 0 : !strstr(text, says)))
		fail_msg("outcome %d: %s", got.outcome, text);
}

static void
has_header(const char *line, bool wanted)
{
	if ((strstr(w.head, line) != NULL) != wanted)
		fail_msg("%s%s", wanted ? "" : "not wanted: ", w.head);
}

/* -- what is said -- */

#define BOTH "{\"file\":\"Caddyfile\",\"line\":2,\"message\":\"Caddyfile input is not formatted\"}"

static void
test_answers(void **state)
{
	static const struct {
		enum ask ask;
		int status;
		const char *answer;
		enum admin_outcome outcome;
		const char *says;
	} cases[] = {
		{ADAPT, 200, "{\"result\":{\"apps\":{\"x\":[1]}}}", ADMIN_DONE,
			"{\"apps\":{\"x\":[1]}}"},
		{ADAPT, 200, "{\"warnings\":[" BOTH "], \"result\": {} }\n", ADMIN_DONE, "{}"},
		{ADAPT, 200, "{\"result\":null}", ADMIN_FAILED, "not as Caddy does: {\"result"},
		{ADAPT, 200, "{\"result\":\"{}\"}", ADMIN_FAILED, "not as Caddy does"},
		{ADAPT, 200, "{}", ADMIN_FAILED, "not as Caddy does: {}"},
		{ADAPT, 200, "", ADMIN_FAILED, "POST /adapt of Caddy at unix:///tmp"},
		{ADAPT, 200, "[]", ADMIN_FAILED, "not as Caddy does: []"},
		{ADAPT, 200, "{\"result\":{}", ADMIN_FAILED, "not as Caddy does"},
		{ADAPT, 200, "{\"result\":{}} {}", ADMIN_FAILED, "not as Caddy does"},
		{ADAPT, 200, "<html>\n\x1b[31m</html>", ADMIN_FAILED, ": <html>  [31m</html>"},
		{ADAPT, 400, "{\"error\":\"/s/x.caddy:3: no\\n\\u00fc\"}", ADMIN_REFUSED,
			"/s/x.caddy:3: no\n\xc3\xbc"},
		{ADAPT, 400, "{\"error\":\"no\\u0000\"}", ADMIN_REFUSED, "\"no\\u0000\""},
		{ADAPT, 400, "<html>400</html>", ADMIN_FAILED, "answered 400, and not as"},
		{ADAPT, 400, "", ADMIN_FAILED, "answered 400 and nothing else"},
		{ADAPT, 500, "{\"error\":\"help\"}", ADMIN_FAILED, "answered 500: help"},
		{ADAPT, 404, "404 page not found", ADMIN_FAILED, "answered 404, and not as"},
		{ADAPT, 404, "{\"error\":\"?\"}", ADMIN_FAILED, "endpoint of a Caddy from 2.5"},
		{ADAPT, 204, "", ADMIN_FAILED, "answered 204"},
		{ADAPT, 302, "", ADMIN_FAILED, "answered 302"},
		{LOAD, 200, "", ADMIN_DONE, ""},
		{LOAD, 200, "\n", ADMIN_DONE, ""},
		/* Caddy 2.6 and 2.11, which warn; and what 2.6 says when it refuses then. */
		{LOAD, 200, "[" BOTH "]", ADMIN_DONE, "[" BOTH "]"},
		{LOAD, 200, "{\"warnings\":[" BOTH "]}", ADMIN_DONE, "{\"warnings\":[" BOTH "]}"},
		{LOAD, 200, "[" BOTH "]{\"error\":\"loading config: no\"}\n", ADMIN_REFUSED,
			"loading config: no"},
		{LOAD, 400, "{\"error\":\"loading config: no\"}", ADMIN_REFUSED,
			"loading config: no"},
		{LOAD, 400, "{\"error\":\"no\",\"warnings\":[" BOTH "]}", ADMIN_REFUSED, "no"},
		{LOAD, 200, "<html>200</html>", ADMIN_FAILED, "it may have been loaded all the"},
		{LOAD, 403, "{\"error\":\"host not allowed: x\"}", ADMIN_FAILED,
			"origins: host not allowed: x"},
		{READ, 200, "{\"apps\":{}}\n", ADMIN_DONE, "{\"apps\":{}}\n"},
		{READ, 200, "null\n", ADMIN_DONE, "null\n"},
		{READ, 200, "[]", ADMIN_FAILED, "not as Caddy does"},
		{READ, 200, "", ADMIN_FAILED, "answered 200 and nothing else"},
		{READ, 200, "{\"apps\":", ADMIN_FAILED, "not as Caddy does"},
		{READ, 400, "{\"error\":\"x\"}", ADMIN_FAILED, "answered 400: x"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		w.status = cases[i].status;
		w.answer = cases[i].answer;
		ask(cases[i].ask);
		is(cases[i].outcome, cases[i].says);
	}
}

static void
test_error_is_bounded(void **state)
{
	char *text = xmalloc(200000);
	(void)state;

	memset(text, 'x', 199999);
	text[199999] = '\0';
	w.answer = text;
	ask(READ);
	assert_int_equal(got.outcome, ADMIN_FAILED);
	assert_in_range(strlen(got.err.text), 100, 400);
	/* What Caddy says of a Caddyfile is whole. */
	memcpy(text, "{\"error\":\"", 10);
	memcpy(text + 199997, "\"}", 2);
	w.status = 400;
	ask(LOAD);
	assert_int_equal(got.outcome, ADMIN_REFUSED);
	assert_int_equal(got.n, 199999 - 12);
	free(text);
}

/* -- what is asked -- */

static void
test_headers_unix(void **state)
{
	(void)state;
	ask(LOAD);
	has_header("POST /load HTTP/1.1\r\n", true);
	has_header("\r\nContent-Type: text/caddyfile\r\n", true);
	has_header("\r\nHost:\r\n", true);
	has_header("Expect", false);
	has_header("Origin", false);
	ask(ADAPT);
	has_header("POST /adapt HTTP/1.1\r\n", true);
	ask(READ);
	has_header("GET /config/ HTTP/1.1\r\n", true);
	has_header("\r\nHost:\r\n", true);
	has_header("Content-Type", false);
	has_header("\r\nConnection: close\r\n", true);
}

static void
test_headers_tcp(void **state)
{
	char host[64];
	(void)state;
	snprintf(host, sizeof(host), "\r\nHost: %s\r\n", strstr(w.fake.url, "://") + 3);
	ask(LOAD);
	has_header(host, true);
	has_header("Origin", false);
}

static void
act_enforce_origin(struct fake_conn *c)
{
	if (strstr(c->head, "\r\nOrigin: http://127.0.0.1:"))
		fake_reply(c, 200, "");
	else
		fake_reply(
			c, 403, "{\"error\":\"client is not allowed to access from origin ''\"}");
}

static void
test_enforced_origin(void **state)
{
	(void)state;
	w.act = act_enforce_origin;
	ask(LOAD);
	is(ADMIN_DONE, "");
	assert_int_equal(w.fake.nrequests, 2);
	has_header("\r\nContent-Type: text/caddyfile\r\n", true);
	ask(LOAD);
	assert_int_equal(w.fake.nrequests, 3);
	/* One that refuses it, too, is asked no third time. */
	w.act = NULL;
	w.status = 403;
	w.answer = "{\"error\":\"required Origin header is missing or invalid\"}";
	ask(LOAD);
	is(ADMIN_FAILED, "lets in only what its admin");
	assert_int_equal(w.fake.nrequests, 4);
}

/* -- how it goes wrong -- */

static void
act_nothing(struct fake_conn *c)
{
	(void)c;
}

static void
test_hangs(void **state)
{
	(void)state;
	w.act = act_nothing;
	admin_set_timeout(w.admin, TIMEOUT_MS);
	for (enum ask what = ADAPT; what <= READ; what++) {
		ask(what);
		is(ADMIN_FAILED, what == LOAD ? "received; it may have been loaded" : "timed out");
		assert_int_equal(got.err.code, ETIMEDOUT);
		assert_in_range(got.took_ms, TIMEOUT_MS - 20, 20 * TIMEOUT_MS);
	}
}

static void
on_drip(uv_timer_t *t)
{
	(void)t;
	if (w.dripping == w.fake.conns && w.dripping)
		fake_sends(w.dripping, " ");
}

static void
act_drip(struct fake_conn *c)
{
	fake_sends(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
	w.dripping = c;
	uv_timer_start(&w.drip, on_drip, 20, 20);
}

static void
test_drips(void **state)
{
	(void)state;
	w.act = act_drip;
	admin_set_timeout(w.admin, TIMEOUT_MS);
	ask(READ);
	uv_timer_stop(&w.drip);
	is(ADMIN_FAILED, "timed out");
}

static void
act_close(struct fake_conn *c)
{
	fake_close(c);
}

static void
act_cut(struct fake_conn *c)
{
	fake_sends(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"apps\":{}}");
	fake_close(c);
}

static void
act_cut_chunks(struct fake_conn *c)
{
	fake_begin(c);
	fake_chunk(c, "{\"result\":{}}");
	fake_close(c);
}

static void
act_rubbish(struct fake_conn *c)
{
	fake_sends(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
	fake_close(c);
}

static void
act_flood(struct fake_conn *c)
{
	fake_sends(c, "HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n{");
}

static void
test_lies(void **state)
{
	static const struct {
		void (*act)(struct fake_conn *c);
		int code;
	} cases[] = {
		{act_close, ECONNRESET},
		{act_cut, ECONNRESET},
		{act_cut_chunks, ECONNRESET},
		{act_rubbish, EPROTO},
		{act_flood, EMSGSIZE},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (enum ask what = ADAPT; what <= READ; what++) {
			w.act = cases[i].act;
			ask(what);
			is(ADMIN_FAILED, "of Caddy at unix:///tmp/");
			assert_int_equal(got.err.code, cases[i].code);
		}
}

/* Away, and back again. */
static void
test_restarts(void **state)
{
	(void)state;
	w.answer = "{}";
	ask(READ);
	is(ADMIN_DONE, "{}");
	fake_die(&w.fake);
	ask(READ);
	is(ADMIN_FAILED, "cannot connect: No such file");
	assert_int_equal(got.err.code, ENOENT);
	char path[sizeof(w.fake.path)];
	memcpy(path, w.fake.path, sizeof(path));
	RUN_UNTIL(w.loop, !uv_is_active((uv_handle_t *)&w.fake.u.stream));
	w.fake = (struct fake){0};
	memcpy(w.fake.path, path, sizeof(path));
	fake_listen(&w.fake, w.loop, false, on_request, NULL);
	ask(READ);
	is(ADMIN_DONE, "{}");
}

static void
test_refused_connection(void **state)
{
	(void)state;
	fake_die(&w.fake);
	ask(LOAD);
	is(ADMIN_FAILED, "of Caddy at tcp://127.0.0.1:");
	assert_int_equal(got.err.code, ECONNREFUSED);
}

/* 10,000 sites in one Caddyfile, and their JSON. */
static void
test_large(void **state)
{
	size_t n = 20u << 20;
	char *text = xmalloc(n + 1);
	(void)state;

	memset(text, ' ', n);
	text[n] = '\0';
	memcpy(text, "{\"result\":{\"a\":1", 16);
	memcpy(text + n - 2, "}}", 2);
	w.answer = text;
	admin_adapt(w.admin, text, on_reply, NULL);
	RUN_UNTIL(w.loop, got.calls);
	assert_int_equal(got.outcome, ADMIN_DONE);
	assert_int_equal(got.n, n - 11);
	free(text);
}

/* -- calls from calls -- */

static void
on_reply_ask_again(void *arg, const struct admin_reply *r)
{
	on_reply(arg, r);
	admin_read(w.admin, on_reply, NULL);
}

static void
test_next_from_callback(void **state)
{
	(void)state;
	w.answer = "{}";
	admin_load(w.admin, "", on_reply_ask_again, NULL);
	RUN_UNTIL(w.loop, got.calls == 2);
	is(ADMIN_DONE, "{}");
}

static void
on_reply_destroy(void *arg, const struct admin_reply *r)
{
	admin_destroy(w.admin);
	w.admin = NULL;
	on_reply(arg, r);
}

static void
test_destroyed(void **state)
{
	(void)state;
	w.answer = "{\"result\":{\"x\":1}}";
	admin_adapt(w.admin, "", on_reply_destroy, NULL);
	RUN_UNTIL(w.loop, got.calls);
	is(ADMIN_DONE, "{\"x\":1}");
	/* In the middle of a call. */
	w.admin = admin_create(w.http, w.fake.url);
	w.act = act_nothing;
	admin_load(w.admin, "", on_reply, NULL);
	RUN_UNTIL(w.loop, w.fake.nrequests == 2);
	admin_destroy(w.admin);
	w.admin = NULL;
	RUN_FOR(w.loop, 50);
	assert_int_equal(got.calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_TCP(name) cmocka_unit_test_setup_teardown(name, setup_tcp, teardown)

int
main(void)
{
	/* The fake writes on where the client has hung up. */
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		TEST(test_answers),
		TEST(test_error_is_bounded),
		TEST(test_headers_unix),
		TEST_TCP(test_headers_tcp),
		TEST_TCP(test_enforced_origin),
		TEST(test_hangs),
		TEST(test_drips),
		TEST(test_lies),
		TEST(test_restarts),
		TEST_TCP(test_refused_connection),
		TEST(test_large),
		TEST(test_next_from_callback),
		TEST(test_destroyed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
