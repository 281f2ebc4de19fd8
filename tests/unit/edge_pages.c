#include "provider/pages/pages.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "provider/pages/page_builtin.h"
#include "provider/pages/page_files.h"
#include "tests/unit/raw_client.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* As in a plan: by host, the longest path of one first. */
static const struct route routes[] = {
	{.host = "down.test", .path = "", .answer = ANSWER_DOWN},
	{.host = "gone.test", .path = "", .answer = ANSWER_GONE},
	{.host = "mixed.test", .path = "/old", .answer = ANSWER_GONE},
	{.host = "mixed.test", .path = "", .answer = ANSWER_STARTING},
	{.host = "part.test", .path = "/api", .answer = ANSWER_STARTING},
	{.host = "served.test", .path = "", .answer = ANSWER_SERVED},
	{.host = "start.test", .path = "", .answer = ANSWER_STARTING},
};
static const struct project_plan plan = {.nroutes = COUNT(routes), .routes = routes};

struct fixture {
	uv_loop_t loop;
	struct pages *pages;
	char directory[64];
};

static bool
find(void *arg, const char *host, const char *path, enum route_answer *ret)
{
	const struct route *r = project_plan_route(&plan, host, path);
	(void)arg;
	if (r)
		*ret = r->answer;
	return r;
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	uv_loop_init(&f->loop);
	strcpy(f->directory, "/tmp/edge_pages.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	f->pages = pages_create(&(struct pages_config){.loop = &f->loop, .find = find});
	assert_null(pages_address(f->pages));
	pages_reload(f->pages, "127.0.0.1:0", NULL);
	assert_non_null(pages_address(f->pages));
	*state = f;
	return 0;
}

static void
page_path(const struct fixture *f, const char *name, char *ret, size_t size)
{
	snprintf(ret, size, "%s/%s", f->directory, name);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];
	pages_destroy(f->pages);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	page_path(f, "503.html", path, sizeof(path));
	unlink(path);
	page_path(f, "410.html", path, sizeof(path));
	unlink(path);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

static void
write_page(const struct fixture *f, const char *name, const char *text)
{
	char path[128];
	page_path(f, name, path, sizeof(path));
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* One request on a connection of its own; what it says is all of it, until the end. */
static int
ask(struct fixture *f, const char *request, bool ends, const char *says)
{
	struct client *c = client_open(&f->loop, pages_address(f->pages));
	client_send(c, request);
	int status = client_wait(c);
	if (ends && !loop_until(&f->loop, client_is_ended, c, 5000))
		fail_msg("the connection stays: %s", request);
	if (says && !client_says(c, says))
		fail_msg("'%s' is not in %s", says, c->got.p);
	if (client_says(c, "<script>"))
		fail_msg("markup of %s is in %s", request, c->got.p);
	const char *second = strstr(c->got.p + 1, "HTTP/1.");
	if (second)
		fail_msg("%s gave %s", request, c->got.p);
	client_close(c);
	return status;
}

static int
visit(struct fixture *f, const char *host, const char *path, const char *headers, const char *says)
{
	char request[1024];
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host,
		headers);
	return ask(f, request, false, says);
}

static void
test_answers(void **state)
{
	struct fixture *f = *state;
	static const char *const every[] = {"Cache-Control: no-store\r\n", "X-Robots-Tag: noindex",
		"Content-Type: text/html; charset=utf-8\r\n", "<meta name=\"robots\"",
		"<strong>start.test</strong>", "content=\"5\"", "Retry-After: 5\r\n"};
	for (size_t i = 0; i < COUNT(every); i++)
		assert_int_equal(visit(f, "start.test", "/any/path?x=1", "", every[i]), 503);
	assert_int_equal(visit(f, "down.test", "/", "", "Retry-After: 30\r\n"), 503);
	assert_int_equal(visit(f, "served.test", "/", "", "Retry-After: 1\r\n"), 503);
	assert_int_equal(visit(f, "gone.test", "/", "", "preview is over"), 410);
	assert_int_equal(visit(f, "unknown.test", "/", "", "Cache-Control: no-store"), 404);
}

static void
test_paths(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(visit(f, "mixed.test", "/", "", NULL), 503);
	assert_int_equal(visit(f, "mixed.test", "/old", "", NULL), 410);
	assert_int_equal(visit(f, "mixed.test", "/old/x", "", NULL), 410);
	assert_int_equal(visit(f, "mixed.test", "/older", "", NULL), 503);
	assert_int_equal(visit(f, "part.test", "/api/x", "", NULL), 503);
	assert_int_equal(visit(f, "part.test", "/", "", NULL), 404);
}

static void
test_hosts(void **state)
{
	struct fixture *f = *state;
	static const char *const good[] = {
		"start.test", "START.Test", "start.test:8443", "start.test.", "start.test.:80"};
	static const char *const bad[] = {"[::1]:80", ":80", ".", "start.test..", "127.0.0.1",
		"x.start.test", "\"><script>alert(1)</script>", "<script>.test",
		"start.test<script>", "{{retry}}"};
	char name[600];
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(visit(f, good[i], "/", "", "<strong>start.test</strong>"), 503);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(visit(f, bad[i], "/<script>", "", "no site of this name"), 404);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(visit(f, name, "/", "", NULL), 404);
	/* Only Host counts. */
	assert_int_equal(visit(f, "x", "/", "X-Forwarded-Host: start.test\r\n", NULL), 404);
	assert_int_equal(ask(f, "GET / HTTP/1.0\r\n\r\n", true, NULL), 404);
	assert_int_equal(ask(f, "GET / HTTP/1.1\r\nHost:\r\n\r\n", false, NULL), 404);
}

static void
test_programs(void **state)
{
	struct fixture *f = *state;
	static const char json[] = "Accept: application/json\r\n";
	visit(f, "start.test", "/", json, "Content-Type: application/json\r\n");
	assert_int_equal(visit(f, "start.test", "/", json, "Retry-After: 5\r\n"), 503);
	assert_int_equal(visit(f, "start.test", "/", json, "{\"error\":\"this site is start"), 503);
	assert_int_equal(visit(f, "down.test", "/", json, "{\"error\":\"this site is not"), 503);
	assert_int_equal(visit(f, "gone.test", "/", json, "{\"error\":\"this preview"), 410);
	assert_int_equal(visit(f, "nobody.test", "/", json, "{\"error\":"), 404);
	visit(f, "start.test", "/", "Accept: text/html, application/json;q=0.9\r\n", "<!doctype");
	visit(f, "start.test", "/", "Accept: */*\r\n", "<!doctype");
}

static void
test_methods(void **state)
{
	struct fixture *f = *state;
	static const char *const requests[] = {
		"OPTIONS * HTTP/1.1\r\nHost: start.test\r\n\r\n",
		"DELETE /x HTTP/1.1\r\nHost: start.test\r\n\r\n",
		"PROPFIND /x HTTP/1.1\r\nHost: start.test\r\n\r\n",
		"GET http://start.test/x HTTP/1.1\r\nHost: start.test\r\n\r\n",
		"POST /x HTTP/1.1\r\nHost: start.test\r\nContent-Length: 0\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: start.test\r\nConnection: Upgrade\r\n"
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
	};
	for (size_t i = 0; i < COUNT(requests); i++)
		assert_int_equal(ask(f, requests[i], false, "Retry-After: 5\r\n"), 503);

	struct client *c = client_open(&f->loop, pages_address(f->pages));
	client_send(c, "HEAD /x HTTP/1.1\r\nHost: start.test\r\nConnection: close\r\n\r\n");
	assert_true(loop_until(&f->loop, client_is_ended, c, 5000));
	assert_true(client_says(c, "HTTP/1.1 503"));
	assert_true(client_says(c, "Retry-After: 5\r\n"));
	assert_false(client_says(c, "<"));
	client_close(c);
}

/* Whoever sends a body gets a reply to it, whole, and the end of the connection after it. */
static void
test_bodies(void **state)
{
	struct fixture *f = *state;
	static const char *const requests[] = {
		"POST /x HTTP/1.1\r\nHost: start.test\r\nContent-Length: 5\r\n\r\nhello",
		"PUT /x HTTP/1.1\r\nHost: start.test\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5\r\nhello\r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: start.test\r\nContent-Length: 5\r\n\r\nhello",
		/* What waits for us to want it need not come. */
		"POST /x HTTP/1.1\r\nHost: start.test\r\nExpect: 100-continue\r\n"
		"Content-Length: 5\r\n\r\n",
		/* Too large: nothing of it is read. */
		"POST /x HTTP/1.1\r\nHost: start.test\r\nContent-Length: 16777217\r\n\r\nhello",
		"POST /x HTTP/1.1\r\nHost: start.test\r\nContent-Length: 9000000000000\r\n\r\n",
		/* What follows a body is not taken as a request. */
		"POST /x HTTP/1.1\r\nHost: start.test\r\nContent-Length: 5\r\n\r\nhello"
		"GET / HTTP/1.1\r\nHost: gone.test\r\n\r\n",
	};
	for (size_t i = 0; i < COUNT(requests); i++)
		assert_int_equal(ask(f, requests[i], true, "Retry-After: 5\r\n"), 503);
	assert_int_equal(ask(f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1", true,
				 "no site of this name"),
		404);
}

#define CHUNK 65536

/* As many as the server takes; whether it took all. */
static bool
send_chunks(struct fixture *f, struct client *c, size_t n)
{
	static char chunk[8 + CHUNK + 3];
	size_t length = (size_t)sprintf(chunk, "%x\r\n", CHUNK);
	memset(chunk + length, 'x', CHUNK);
	memcpy(chunk + length + CHUNK, "\r\n", 2);
	length += CHUNK + 2;
	for (size_t i = 0; i < n; i++) {
		for (size_t sent = 0; sent < length;) {
			ssize_t r = send(
				c->fd, chunk + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (r < 0 && errno != EAGAIN)
				return false;
			sent += r > 0 ? (size_t)r : 0;
			uv_run(&f->loop, UV_RUN_NOWAIT);
		}
	}
	return true;
}

static void
test_large_bodies(void **state)
{
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: start.test\r\nTransfer-Encoding: chunked\r\n\r\n";
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, pages_address(f->pages));
	client_send(c, head);
	assert_true(send_chunks(f, c, 16777216 / CHUNK));
	assert_int_equal(c->got.n, 0);
	client_send(c, "0\r\n\r\n");
	assert_int_equal(client_wait(c), 503);
	client_close(c);

	/* A body that does not end is not read for ever. */
	c = client_open(&f->loop, pages_address(f->pages));
	client_send(c, head);
	assert_false(send_chunks(f, c, 2 * 16777216 / CHUNK));
	assert_true(loop_until(&f->loop, client_is_ended, c, 5000));
	assert_int_equal(c->got.n, 0);
	client_close(c);
}

/* It comes in pieces, and others are served meanwhile. */
static void
test_slow_body(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, pages_address(f->pages));
	client_send(c, "POST / HTTP/1.1\r\nHost: start.test\r\nContent-Length: 3\r\n\r\n");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(visit(f, "gone.test", "/", "", NULL), 410);
		assert_int_equal(c->got.n, 0);
		client_send(c, "x");
	}
	assert_int_equal(client_wait(c), 503);
	assert_true(client_says(c, "Connection: close"));
	client_close(c);
}

static void
test_framing(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {
		"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		("Content-Length: 0\r\nContent-Length: 42\r\n\r\nGET / HTTP/1.1\r\nHost: "
		 "gone\r\n\r\n"),
		"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: identity\r\n\r\nhello",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Content-Length : 5\r\n\r\nhello",
		"Host: gone.test\r\n\r\n",
	};
	char request[512];
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(request, sizeof(request), "POST / HTTP/1.1\r\nHost: start.test\r\n%s",
			bad[i]);
		assert_int_equal(ask(f, request, true, NULL), 400);
	}
}

static void
test_keep_alive(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(&f->loop, pages_address(f->pages));
	for (int i = 0; i < 5; i++) {
		client_reset(c);
		client_send(c, "GET / HTTP/1.1\r\nHost: start.test\r\n\r\n");
		assert_int_equal(client_wait(c), 503);
		client_reset(c);
		client_send(c, "GET / HTTP/1.1\r\nHost: gone.test\r\n\r\n");
		assert_int_equal(client_wait(c), 410);
	}
	client_close(c);
}

/* ── Templates ─────────────────────────────────────────────────────────────────────────────── */

static void
test_builtin(void **state)
{
	struct page *pages[PAGE_KINDS] = {NULL};
	struct config_errors errors = {0};
	(void)state;
	page_files_read(NULL, pages, &errors);
	assert_int_equal(errors.n, 0);
	for (size_t i = 0; i < PAGE_KINDS; i++) {
		assert_non_null(pages[i]);
		page_destroy(pages[i]);
	}
	config_errors_finish(&errors);
	assert_in_range(page_builtin_503_size, 500, 4095);
	assert_in_range(page_builtin_410_size, 500, 4095);
	assert_non_null(strstr(page_builtin_503, "http-equiv=\"refresh\" content=\"{{retry}}\""));
	assert_null(strstr(page_builtin_410, "refresh"));
	/* Nothing from elsewhere. */
	assert_null(strstr(page_builtin_503, "//"));
	assert_null(strstr(page_builtin_410, "//"));
}

static void
reload(struct fixture *f, const char *directory)
{
	pages_reload(f->pages, "127.0.0.1:0", directory);
}

static void
test_own(void **state)
{
	struct fixture *f = *state;
	char address[64];
	snprintf(address, sizeof(address), "%s", pages_address(f->pages));
	write_page(f, "503.html", "<p>mine {{host}} {{retry}}</p>");
	reload(f, f->directory);
	assert_int_equal(visit(f, "down.test", "/", "", "<p>mine down.test 30</p>"), 503);
	assert_int_equal(visit(f, "gone.test", "/", "", "preview is over"), 410);

	/* A broken one is not taken, and holds up no other. */
	write_page(f, "503.html", "<p>{{hots}}</p>");
	write_page(f, "410.html", "gone: {{host}}");
	reload(f, f->directory);
	assert_int_equal(visit(f, "down.test", "/", "", "<p>mine down.test 30</p>"), 503);
	assert_int_equal(visit(f, "gone.test", "/", "", "gone: gone.test"), 410);

	/* Nor is a directory that is not there. */
	reload(f, "/nonexistent/pages");
	assert_int_equal(visit(f, "gone.test", "/", "", "gone: gone.test"), 410);

	write_page(f, "503.html", "again");
	reload(f, f->directory);
	assert_int_equal(visit(f, "start.test", "/", "", "again"), 503);
	reload(f, NULL);
	assert_int_equal(visit(f, "start.test", "/", "", "Not ready yet"), 503);
	assert_string_equal(pages_address(f->pages), address);
}

static void
test_files_that_are_none(void **state)
{
	struct fixture *f = *state;
	struct page *pages[PAGE_KINDS] = {NULL};
	struct config_errors errors = {0};
	char path[128];
	page_path(f, "503.html", path, sizeof(path));
	assert_int_equal(mkfifo(path, 0600), 0);
	write_page(f, "410.html", "a\nb {{x}}");
	page_files_read(f->directory, pages, &errors);
	assert_int_equal(errors.n, 2);
	assert_string_equal(errors.list[0].file, path);
	assert_string_equal(errors.list[0].what, "cannot be read: it is not a file");
	assert_int_equal(errors.list[1].line, 2);
	assert_string_equal(errors.list[1].what, "unknown placeholder '{{x}}'");
	assert_null(pages[PAGE_503]);
	assert_null(pages[PAGE_410]);
	config_errors_finish(&errors);

	errors = (struct config_errors){0};
	page_files_read(path, pages, &errors);
	assert_int_equal(errors.n, 1);
	assert_string_equal(errors.list[0].what, "it is not a directory");
	config_errors_finish(&errors);
}

/* ── Addresses ─────────────────────────────────────────────────────────────────────────────── */

static bool
listens(void *arg)
{
	return pages_address(arg) != NULL;
}

static void
test_listen_changes(void **state)
{
	struct fixture *f = *state;
	pages_reload(f->pages, "[::1]:0", NULL);
	assert_non_null(strstr(pages_address(f->pages), "[::1]:"));
	assert_int_equal(visit(f, "start.test", "/", "", NULL), 503);
	pages_reload(f->pages, NULL, NULL);
	assert_null(pages_address(f->pages));
	/* Everybody may come: no token is asked for. */
	pages_reload(f->pages, "0.0.0.0:0", NULL);
	assert_non_null(strstr(pages_address(f->pages), "0.0.0.0:"));
	pages_reload(f->pages, "0.0.0.0:0", f->directory);
	assert_non_null(strstr(pages_address(f->pages), "0.0.0.0:"));
}

/* It tries again, and what it had goes on meanwhile. */
static void
test_busy_address(void **state)
{
	struct fixture *f = *state;
	struct listen_address a;
	struct listen_socket other;
	struct err e;
	char busy[128];
	assert_int_equal(listen_parse("127.0.0.1:0", &a, &e), 0);
	assert_int_equal(listen_open(&a, &other, &e), 0);
	snprintf(busy, sizeof(busy), "%s", other.name);

	pages_reload(f->pages, busy, NULL);
	assert_string_not_equal(pages_address(f->pages), busy);
	assert_int_equal(visit(f, "start.test", "/", "", NULL), 503);
	pages_reload(f->pages, NULL, NULL);
	assert_null(pages_address(f->pages));
	pages_reload(f->pages, busy, NULL);
	assert_null(pages_address(f->pages));
	close(other.fd);
	assert_true(loop_until(&f->loop, listens, f->pages, 5000));
	assert_string_equal(pages_address(f->pages), busy);
	assert_int_equal(visit(f, "start.test", "/", "", NULL), 503);
}

/* ── Many ──────────────────────────────────────────────────────────────────────────────────── */

#define SLOW 200
#define PLACES 16

/* Half a request each, and part of a body. */
static void
test_slow_clients(void **state)
{
	struct fixture *f = *state;
	struct client *slow[SLOW];
	for (size_t i = 0; i < SLOW; i++) {
		slow[i] = client_open(&f->loop, pages_address(f->pages));
		client_send(slow[i], i % 2 ? "GET / HT"
					   : "POST / HTTP/1.1\r\nHost: "
					     "start.test\r\nContent-Length: 9\r\n\r\nx");
	}
	uint64_t began = uv_hrtime();
	for (int i = 0; i < 50; i++)
		assert_int_equal(visit(f, "start.test", "/", "", NULL), 503);
	assert_true(uv_hrtime() - began < 2000000000);
	for (size_t i = 0; i < SLOW; i++)
		client_close(slow[i]);
}

/* All places are taken by connections that proxies keep: they end early, and who waits comes in. */
static void
test_crowded(void **state)
{
	struct fixture *f = *state;
	struct rlimit was, narrow;
	struct client *c[PLACES];
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	narrow = was;
	narrow.rlim_cur = 4 * PLACES;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &narrow), 0);
	pages_reload(f->pages, "localhost:0", NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	for (size_t i = 0; i < PLACES; i++) {
		c[i] = client_open(&f->loop, pages_address(f->pages));
		client_send(c[i], "GET / HTTP/1.1\r\nHost: start.test\r\n\r\n");
		assert_int_equal(client_wait(c[i]), 503);
	}
	uint64_t began = uv_hrtime();
	assert_int_equal(visit(f, "gone.test", "/", "", NULL), 410);
	assert_in_range((uv_hrtime() - began) / 1000000, 500, 4500);
	for (size_t i = 0; i < PLACES; i++)
		client_close(c[i]);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers),
		TEST(test_paths),
		TEST(test_hosts),
		TEST(test_programs),
		TEST(test_methods),
		TEST(test_bodies),
		TEST(test_large_bodies),
		TEST(test_slow_body),
		TEST(test_framing),
		TEST(test_keep_alive),
		TEST(test_builtin),
		TEST(test_own),
		TEST(test_files_that_are_none),
		TEST(test_listen_changes),
		TEST(test_busy_address),
		TEST(test_slow_clients),
		TEST(test_crowded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
