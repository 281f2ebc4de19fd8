#include "provider/status/server.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <nettle/base64.h>
#include <nettle/sha2.h>

#include "tests/unit/raw_client.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
	uv_loop_t loop;
	struct server *server;
	struct server_queue queue;
	int nheld;
	char directory[64];
	char unix_listen[96];
	const char *listen[4];
	struct server_config cfg;
	struct config_token tokens[2];
};

static enum MHD_Result
get_page(void *arg, struct server_request *rq)
{
	(void)arg;
	return server_reply_bytes(rq, 200, "text/plain", xstrdup("page"), 4);
}

static enum MHD_Result
get_held(void *arg, struct server_request *rq)
{
	struct fixture *f = arg;
	if (!rq->held || (server_query(rq, "long") && !rq->time_over)) {
		f->nheld++;
		return server_hold(rq, &f->queue, server_query(rq, "short") ? 20 : 5000);
	}
	const char *text = rq->time_over ? "over" : "woke";
	return server_reply_bytes(rq, 200, "text/plain", xstrdup(text), 4);
}

static const struct server_route routes[] = {
	{"/open", SERVER_FOR_ALL, get_page},
	{"/view", SERVER_FOR_VIEWERS, get_page},
	{"/provide", SERVER_FOR_PROVIDERS, get_page},
	{"/held", SERVER_FOR_ALL, get_held},
	{"/feed", SERVER_FOR_PROVIDERS, get_held},
};

static void
digest(const char *token, unsigned char *ret)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, strlen(token), (const uint8_t *)token);
	sha256_digest(&ctx, 32, ret);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	static struct server_routes table;
	struct err e;

	uv_loop_init(&f->loop);
	strcpy(f->directory, "/tmp/edge_server.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->unix_listen, sizeof(f->unix_listen), "unix:%s/s", f->directory);
	f->tokens[0].role = TOKEN_VIEWER;
	f->tokens[1].role = TOKEN_PROVIDER;
	digest("secret-v", f->tokens[0].sha256);
	digest("secret-p", f->tokens[1].sha256);
	f->listen[0] = "127.0.0.1:0";
	table = (struct server_routes){routes, COUNT(routes), f};
	f->cfg = (struct server_config){.loop = &f->loop,
		.nlisten = 1,
		.listen = f->listen,
		.nroutes = 1,
		.routes = &table};
	f->server = server_create(&f->cfg, &e);
	assert_non_null(f->server);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	server_destroy(f->server);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

/* One request on a connection of its own. */
static int
ask(struct fixture *f, const char *address, const char *request, bool ends, const char *says)
{
	struct client *c = client_open(&f->loop, address);
	client_send(c, request);
	int status = client_wait(c);
	if (ends && !loop_until(&f->loop, client_is_ended, c, 5000))
		fail_msg("the connection stays: %s", request);
	if (says && !client_says(c, says))
		fail_msg("'%s' is not in %s", says, c->got.p);
	/* Nothing that follows was taken as a second request. */
	const char *second = strstr(c->got.p + 1, "HTTP/1.");
	if (second)
		fail_msg("%s gave %s", request, c->got.p);
	client_close(c);
	return status;
}

static const char *
here(struct fixture *f)
{
	return server_address(f->server, 0);
}

struct count {
	struct fixture *f;
	int n;
};

static bool
is_held(void *arg)
{
	struct count *c = arg;
	return c->f->nheld >= c->n;
}

static void
test_methods_and_paths(void **state)
{
	struct fixture *f = *state;
	const char *a = here(f);
	assert_int_equal(
		ask(f, a, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n", false, "\r\n\r\npage"), 200);
	assert_int_equal(
		ask(f, a, "GET /open?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", false, "page"), 200);
	assert_int_equal(ask(f, a, "GET /open/ HTTP/1.1\r\nHost: x\r\n\r\n", false, NULL), 404);
	assert_int_equal(ask(f, a, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", false, NULL), 404);
	assert_int_equal(
		ask(f, a, "POST /open HTTP/1.1\r\nHost: x\r\n\r\n", true, "Allow: GET, HEAD"), 405);
	assert_int_equal(ask(f, a, "PUT /open HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
				 true, "Allow: GET, HEAD"),
		405);
	assert_int_equal(ask(f, a, "DELETE /nothing HTTP/1.1\r\nHost: x\r\n\r\n", true, NULL), 405);
}

static void
test_head(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, here(f));
	client_send(c, "HEAD /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_true(loop_until(&f->loop, client_is_ended, c, 5000));
	assert_true(client_says(c, "HTTP/1.1 200"));
	assert_true(client_says(c, "Content-Length: 4"));
	assert_false(client_says(c, "page"));
	client_close(c);
}

static void
test_keep_alive(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, here(f));
	for (int i = 0; i < 5; i++)
		assert_int_equal(client_get(c, "/open", ""), 200);
	assert_int_equal(client_get(c, "/open", "Content-Length: 0\r\n"), 200);
	assert_int_equal(client_get(c, "/open", ""), 200);
	client_close(c);
}

static void
test_framing(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {
		"GET /open HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"GET /open HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
		"GET /open HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"GET /open HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 42\r\n\r\n"
		"GET /open HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /open HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /open HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello",
		"GET /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
		"GET /open HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"GET /open%00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /open%00x HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	for (size_t i = 0; i < COUNT(bad); i++) {
		int status = ask(f, here(f), bad[i], true, NULL);
		if (status != 400)
			fail_msg("%d for %s", status, bad[i]);
	}
}

/* libmicrohttpd refuses this one itself, and 0.9.75 sends the header of its answer twice. */
static void
test_no_host(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, here(f));
	client_send(c, "GET /open HTTP/1.1\r\n\r\n");
	assert_int_equal(client_wait(c), 400);
	assert_true(loop_until(&f->loop, client_is_ended, c, 5000));
	client_close(c);
}

static void
test_large_header(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, here(f));
	struct buf b = {0};
	buf_adds(&b, "GET /open HTTP/1.1\r\nHost: x\r\nX: ");
	for (int i = 0; i < 8000; i++)
		buf_adds(&b, "0123456789");
	buf_adds(&b, "\r\n\r\n");
	client_send(c, b.p);
	assert_int_not_equal(client_wait(c), 200);
	client_close(c);
	buf_finish(&b);
}

static void
test_rebinding(void **state)
{
	struct fixture *f = *state;
	const char *a = here(f);
	static const char *const good[] = {"127.0.0.1", "127.0.0.1:9180", "localhost:1",
		"LOCALHOST", "[::1]:9180", "waymark.localhost"};
	static const char *const bad[] = {"evil.example", "localhost.evil.example", "xlocalhost",
		"127.0.0.1.evil.example", ".localhost.", ""};
	char request[256];
	for (size_t i = 0; i < COUNT(good) + COUNT(bad); i++) {
		bool is_good = i < COUNT(good);
		snprintf(request, sizeof(request), "GET /view HTTP/1.1\r\nHost: %s\r\n\r\n",
			is_good ? good[i] : bad[i - COUNT(good)]);
		int status = ask(f, a, request, false, NULL);
		if (status != (is_good ? 200 : 403))
			fail_msg("%d for %s", status, request);
	}
}

/* A foreign name asks for a token even on loopback, which makes it the place to test them. */
static int
ask_with(struct fixture *f, const char *path, const char *authorization)
{
	char request[512];
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: waymark.example\r\n%s\r\n",
		path, authorization);
	return ask(f, here(f), request, false, NULL);
}

static const char *
basic(const char *pair)
{
	static char header[256];
	char text[200] = "";
	base64_encode_raw(text, strlen(pair), (const uint8_t *)pair);
	snprintf(header, sizeof(header), "Authorization: Basic %s\r\n", text);
	return header;
}

static void
test_tokens(void **state)
{
	struct fixture *f = *state;
	struct err e;
	f->cfg.ntokens = 2;
	f->cfg.tokens = f->tokens;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), 0);

	assert_int_equal(ask_with(f, "/open", ""), 200);
	assert_int_equal(ask_with(f, "/view", ""), 401);
	assert_int_equal(ask_with(f, "/view", "Authorization: Bearer secret-v\r\n"), 200);
	assert_int_equal(ask_with(f, "/view", "Authorization: bearer secret-v\r\n"), 200);
	assert_int_equal(ask_with(f, "/view", "Authorization: Bearer secret-p\r\n"), 403);
	assert_int_equal(ask_with(f, "/provide", "Authorization: Bearer secret-p\r\n"), 200);
	assert_int_equal(ask_with(f, "/provide", "Authorization: Bearer secret-v\r\n"), 403);
	assert_int_equal(ask_with(f, "/view", "Authorization: Bearer secret\r\n"), 401);
	assert_int_equal(ask_with(f, "/view", "Authorization: Bearer\r\n"), 401);
	assert_int_equal(ask_with(f, "/view", "Authorization: Digest x\r\n"), 401);
	assert_int_equal(ask_with(f, "/view", "Authorization: Basic ====\r\n"), 401);
	assert_int_equal(ask_with(f, "/view", basic("anybody:secret-v")), 200);
	assert_int_equal(ask_with(f, "/view", basic(":secret-v")), 200);
	assert_int_equal(ask_with(f, "/view", basic("secret-v")), 401);
	assert_int_equal(ask_with(f, "/provide", basic("x:secret-p")), 200);
	ask(f, here(f), "GET /view HTTP/1.1\r\nHost: e.x\r\n\r\n", false,
		"WWW-Authenticate: Basic");
	ask(f, here(f), "GET /view HTTP/1.1\r\nHost: e.x\r\n\r\n", false,
		"WWW-Authenticate: Bearer");
	/* Here nobody needs one. */
	assert_int_equal(
		ask(f, here(f), "GET /view HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", false, NULL), 200);
}

static void
test_refuses_to_be_open(void **state)
{
	struct fixture *f = *state;
	struct err e;
	f->listen[0] = "0.0.0.0:0";
	assert_int_equal(server_reload(f->server, &f->cfg, &e), -EACCES);
	assert_non_null(strstr(e.text, "listen '0.0.0.0:0'"));
	assert_non_null(strstr(e.text, "tokens"));
	assert_null(server_create(&f->cfg, &e));
	/* What it had goes on. */
	assert_int_equal(
		ask(f, here(f), "GET /open HTTP/1.1\r\nHost: x\r\n\r\n", false, NULL), 200);

	f->cfg.ntokens = 2;
	f->cfg.tokens = f->tokens;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), 0);
	char address[64];
	snprintf(address, sizeof(address), "127.0.0.1:%s", strrchr(here(f), ':') + 1);
	assert_int_equal(
		ask(f, address, "GET /view HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", false, NULL), 401);
	f->cfg.ntokens = 0;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), -EACCES);
	assert_int_equal(
		ask(f, address,
			"GET /view HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-v\r\n\r\n",
			false, NULL),
		200);
}

/* It opens a socket, then cannot open the next: the socket goes, and the old ones, with those who
 * are held there, and the old tokens stay. */
static void
test_refused_reload(void **state)
{
	struct fixture *f = *state;
	struct err e;
	char a[64];
	snprintf(a, sizeof(a), "%s", here(f));
	f->cfg.ntokens = 2;
	f->cfg.tokens = f->tokens;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), 0);
	struct client *c = client_open(&f->loop, a);
	client_send(c, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(loop_until(&f->loop, is_held, &(struct count){f, 1}, 5000));

	struct config_token other = {.role = TOKEN_VIEWER};
	digest("secret-n", other.sha256);
	struct server_config cfg = f->cfg;
	const char *const listen[] = {f->unix_listen, a};
	cfg.nlisten = 2;
	cfg.listen = listen;
	cfg.ntokens = 1;
	cfg.tokens = &other;
	assert_int_equal(server_reload(f->server, &cfg, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, a));

	struct stat st;
	assert_int_equal(stat(f->unix_listen + 5, &st), -1);
	assert_non_null(here(f));
	assert_string_equal(here(f), a);
	assert_null(server_address(f->server, 1));
	assert_int_equal(ask_with(f, "/view", "Authorization: Bearer secret-v\r\n"), 200);
	assert_int_equal(ask_with(f, "/provide", "Authorization: Bearer secret-p\r\n"), 200);
	assert_int_equal(ask_with(f, "/view", "Authorization: Bearer secret-n\r\n"), 401);
	assert_int_equal(c->got.n, 0);
	server_wake(&f->queue);
	assert_int_equal(client_wait(c), 200);
	client_close(c);
}

static void
test_unix_socket(void **state)
{
	struct fixture *f = *state;
	struct err e;
	struct stat st;
	const char *path = f->unix_listen + 5;

	/* A stale one, as of a process that was killed. */
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);

	f->listen[0] = f->unix_listen;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), 0);
	assert_string_equal(here(f), f->unix_listen);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(
		ask(f, here(f), "GET /view HTTP/1.1\r\nHost: any.name\r\n\r\n", false, NULL), 200);

	/* One that is in use is not taken away. */
	assert_null(server_create(&f->cfg, &e));
	assert_non_null(strstr(e.text, "another program"));
	assert_int_equal(
		ask(f, here(f), "GET /view HTTP/1.1\r\nHost: any.name\r\n\r\n", false, NULL), 200);

	f->listen[0] = "127.0.0.1:0";
	assert_int_equal(server_reload(f->server, &f->cfg, &e), 0);
	assert_int_equal(stat(path, &st), -1);

	/* Nor is a file. */
	FILE *file = fopen(path, "w");
	fclose(file);
	f->listen[0] = f->unix_listen;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), -EEXIST);
	unlink(path);
}

static void
test_ipv6(void **state)
{
	struct fixture *f = *state;
	struct err e;
	f->listen[1] = "[::1]:0";
	f->cfg.nlisten = 2;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(ask(f, server_address(f->server, i),
					 "GET /view HTTP/1.1\r\nHost: [::1]\r\n\r\n", false, NULL),
			200);
	assert_null(server_address(f->server, 2));
}

static void
test_bad_addresses(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"", "9180", ":9180", "127.0.0.1", "127.0.0.1:x",
		"127.0.0.1:65536", "::1:9180", "[127.0.0.1]:1", "example.com:80", "unix:", "unix:x",
		"127.0.0.1:-1", "[::1]", "[]:1", "[:1"};
	struct listen_address a;
	struct err e;
	(void)f;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (listen_parse(bad[i], &a, &e) >= 0)
			fail_msg("'%s' passes", bad[i]);
	}
}

static void
test_hold_and_wake(void **state)
{
	struct fixture *f = *state;
	struct client *c[20];
	for (size_t i = 0; i < COUNT(c); i++) {
		c[i] = client_open(&f->loop, here(f));
		client_send(c[i], "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	assert_true(loop_until(&f->loop, is_held, &(struct count){f, COUNT(c)}, 5000));
	/* One that is ready is not passed over while others are held (libmicrohttpd 1.0.3). */
	for (int i = 0; i < 50; i++)
		assert_int_equal(
			ask(f, here(f), "GET /open HTTP/1.1\r\nHost: x\r\n\r\n", false, "page"),
			200);
	server_wake(&f->queue);
	for (size_t i = 0; i < COUNT(c); i++) {
		assert_int_equal(client_wait(c[i]), 200);
		assert_true(client_says(c[i], "woke"));
		client_close(c[i]);
	}
}

static void
test_hold_until_over(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, here(f)), *d = client_open(&f->loop, here(f));
	client_send(d, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 3; i++) {
		uint64_t start = uv_hrtime();
		assert_int_equal(client_get(c, "/held?short=1", ""), 200);
		assert_true(client_says(c, "over"));
		assert_true(uv_hrtime() - start >= 18000000);
	}
	assert_int_equal(d->got.n, 0);
	server_wake(&f->queue);
	assert_int_equal(client_wait(d), 200);

	/* Woken and held again keeps its time. */
	client_reset(c);
	client_send(c, "GET /held?short=1&long=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(loop_until(&f->loop, is_held, &(struct count){f, 5}, 5000));
	server_wake(&f->queue);
	assert_int_equal(client_wait(c), 200);
	assert_true(client_says(c, "over"));
	client_close(c);
	client_close(d);
}

/* Destroyed by teardown with requests still held, and with one half sent. */
static void
test_ends_with_held_requests(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, here(f)), *d = client_open(&f->loop, here(f));
	client_send(c, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
	client_send(d, "GET /hel");
	assert_true(loop_until(&f->loop, is_held, &(struct count){f, 1}, 5000));
	server_destroy(f->server);
	f->server = NULL;
	assert_true(LIST_EMPTY(&f->queue));
	assert_true(loop_until(&f->loop, client_is_ended, c, 5000));
	client_close(c);
	client_close(d);
}

/* A client that goes away while it is held is noticed when it is woken. */
static void
test_client_goes_while_held(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, here(f));
	client_send(c, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(loop_until(&f->loop, is_held, &(struct count){f, 1}, 5000));
	client_close(c);
	server_wake(&f->queue);
	assert_int_equal(
		ask(f, here(f), "GET /open HTTP/1.1\r\nHost: x\r\n\r\n", false, "page"), 200);
	assert_true(LIST_EMPTY(&f->queue));
}

static struct client *
feed(struct fixture *f, const char *token)
{
	struct client *c = client_open(&f->loop, here(f));
	char request[256];
	snprintf(request, sizeof(request),
		"GET /feed HTTP/1.1\r\nHost: waymark.example\r\nAuthorization: Bearer %s\r\n\r\n",
		token);
	client_send(c, request);
	return c;
}

/* A reload takes a token away while a request that came with it is held. */
static void
test_token_goes_while_held(void **state)
{
	struct fixture *f = *state;
	struct err e;
	f->tokens[0].role = TOKEN_PROVIDER;
	f->cfg.ntokens = 2;
	f->cfg.tokens = f->tokens;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), 0);
	struct client *stays = feed(f, "secret-v"), *goes = feed(f, "secret-p");
	assert_true(loop_until(&f->loop, is_held, &(struct count){f, 2}, 5000));

	f->cfg.ntokens = 1;
	assert_int_equal(server_reload(f->server, &f->cfg, &e), 0);
	assert_int_equal(stays->got.n + goes->got.n, 0);
	server_wake(&f->queue);
	assert_int_equal(client_wait(stays), 200);
	assert_int_equal(client_wait(goes), 401);
	assert_false(client_says(goes, "woke"));
	client_close(stays);
	client_close(goes);
}

/* ── More connections than there are places ────────────────────────────────────────────────── */

#define PLACES 32

/* A listener that takes this many: half of the descriptors that there are when it is opened. */
static void
listen_narrowly(struct fixture *f)
{
	struct rlimit was, narrow;
	struct err e;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	narrow = was;
	narrow.rlim_cur = 2 * PLACES;
	f->listen[0] = "localhost:0";
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &narrow), 0);
	int r = server_reload(f->server, &f->cfg, &e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(r, 0);
}

/* All places are taken by connections that are silent now; who comes then waits for a place to be
 * free, and not for the next thing to happen on another connection. */
static void
test_places(void **state)
{
	struct fixture *f = *state;
	struct client *c[PLACES], *late[3];
	listen_narrowly(f);
	for (size_t i = 0; i < PLACES; i++) {
		c[i] = client_open(&f->loop, here(f));
		assert_int_equal(client_get(c[i], "/open", ""), 200);
	}
	for (size_t i = 0; i < COUNT(late); i++) {
		late[i] = client_open(&f->loop, here(f));
		client_send(late[i], "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	/* One that has a place is answered after they came, and they are not. */
	assert_int_equal(client_get(c[0], "/open", ""), 200);
	for (size_t i = 0; i < COUNT(late); i++)
		assert_int_equal(late[i]->got.n, 0);

	for (size_t i = 0; i < COUNT(late); i++) {
		client_close(c[i]);
		assert_true(loop_until(&f->loop, client_is_answered, late[i], 5000));
		assert_true(client_says(late[i], "page"));
	}
	for (size_t i = 0; i < COUNT(late); i++)
		client_close(late[i]);
	for (size_t i = COUNT(late); i < PLACES; i++)
		client_close(c[i]);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_methods_and_paths),
		TEST(test_head),
		TEST(test_keep_alive),
		TEST(test_framing),
		TEST(test_no_host),
		TEST(test_large_header),
		TEST(test_rebinding),
		TEST(test_tokens),
		TEST(test_refuses_to_be_open),
		TEST(test_refused_reload),
		TEST(test_unix_socket),
		TEST(test_ipv6),
		TEST(test_bad_addresses),
		TEST(test_hold_and_wake),
		TEST(test_hold_until_over),
		TEST(test_ends_with_held_requests),
		TEST(test_client_goes_while_held),
		TEST(test_token_goes_while_held),
		TEST(test_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
