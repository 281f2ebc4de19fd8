#include "reconciler/sources/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_http.h"

#define ENGINE "app1"

static struct world {
	uv_loop_t *loop;
	struct prober *prober;
	struct fake fake;
	uint16_t port;
	enum readiness last[600];
	int results, answers;
	bool answer; /* or close without a word */
	bool drop; /* the probe, from its result */
} w;

static void
on_result(void *arg, const char *engine, const char *id, enum readiness ready)
{
	(void)arg;
	assert_string_equal(engine, ENGINE);
	w.last[atoi(id)] = ready;
	w.results++;
	if (w.drop)
		prober_set(w.prober, engine, id, NULL);
}

static void
on_request(void *arg, struct fake_conn *c, const char *path)
{
	(void)arg;
	assert_string_equal(path, "/");
	w.answers++;
	if (w.answer)
		fake_reply(c, 503, "");
	else
		fake_close(c);
}

static void
listen_again(void)
{
	struct sockaddr_in a;
	w.fake.tcp = true;
	w.fake.loop = w.loop;
	w.fake.request = on_request;
	uv_ip4_addr("127.0.0.1", w.port, &a);
	uv_tcp_init(w.loop, &w.fake.u.tcp);
	uv_tcp_bind(&w.fake.u.tcp, (const struct sockaddr *)&a, 0);
	assert_int_equal(uv_listen(&w.fake.u.stream, 512, fake_on_connection), 0);
	w.fake.u.stream.data = &w.fake;
}

static void
stop_listening(void)
{
	fake_die(&w.fake);
	uv_run(w.loop, UV_RUN_NOWAIT);
}

/* A port of loopback that is ours; the fake listens there. */
static int
setup(void **state)
{
	(void)state;
	w = (struct world){.loop = uv_default_loop(), .answer = true};
	fake_listen(&w.fake, w.loop, true, on_request, NULL);
	w.port = (uint16_t)atoi(strrchr(w.fake.url, ':') + 1);
	w.prober = prober_create(w.loop, 200, 100, on_result, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	prober_destroy(w.prober);
	fake_die(&w.fake);
	uv_run(w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(w.loop), 0);
	return 0;
}

static void
set(const char *id, const struct probe_target *t)
{
	int before = w.results;
	prober_set(w.prober, ENGINE, id, t);
	assert_int_equal(w.results, before); /* never from inside */
}

#define TARGET(...)                                                                                \
	&(struct probe_target)                                                                     \
	{                                                                                          \
		.address = "127.0.0.1", .port = w.port, __VA_ARGS__                                \
	}

static void
test_connect(void **state)
{
	(void)state;
	set("1", TARGET(.run = "r1"));
	RUN_UNTIL(w.loop, w.results == 1);
	assert_int_equal(w.last[1], READY_YES);
	set("1", TARGET(.run = "r1")); /* the same: nothing */
	RUN_UNTIL(w.loop, w.fake.nconns >= 3);
	assert_int_equal(w.results, 1);
	set("1", TARGET(.run = "r2")); /* another run: said again */
	RUN_UNTIL(w.loop, w.results == 2);
	set("1", NULL);
	set("1", NULL);
	unsigned n = w.fake.nconns;
	RUN_FOR(w.loop, 300);
	assert_int_equal(w.fake.nconns, n);
	assert_int_equal(w.answers, 0); /* nothing is sent where a connection is enough */
}

static void
on_open(uv_timer_t *timer)
{
	(void)timer;
	listen_again();
}

/* Refused, then noticed within milliseconds of opening. */
static void
test_opens_later(void **state)
{
	(void)state;
	uv_timer_t timer;

	stop_listening();
	uv_timer_init(w.loop, &timer);
	uv_update_time(w.loop);
	uv_timer_start(&timer, on_open, 5, 0);
	uint64_t start = uv_hrtime();
	set("1", TARGET(.run = ""));
	RUN_UNTIL(w.loop, w.last[1] == READY_YES);
	uint64_t ms = (uv_hrtime() - start) / 1000000;
	assert_int_equal(w.results, 2); /* READY_NO came first */
	assert_in_range(ms, 1, 100); /* 5 or so on a machine that has time */
	print_message("opened 5 ms after the start, ready after %d ms\n", (int)ms);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(w.loop, UV_RUN_NOWAIT);
}

/* Ready, then refused: only the second time counts; then ready again. */
static void
test_closes(void **state)
{
	(void)state;
	set("1", TARGET(.run = ""));
	RUN_UNTIL(w.loop, w.last[1] == READY_YES);
	stop_listening();
	uint64_t start = uv_hrtime();
	RUN_UNTIL(w.loop, w.last[1] == READY_NO);
	assert_true((uv_hrtime() - start) / 1000000 < 1000);
	listen_again();
	RUN_UNTIL(w.loop, w.last[1] == READY_YES);
	assert_int_equal(w.results, 3);
}

/* It answered in an earlier run: one refusal is not enough. */
static void
test_ready_before(void **state)
{
	(void)state;
	stop_listening();
	uint64_t start = uv_hrtime();
	set("1", TARGET(.run = "", .ready_before = true));
	RUN_UNTIL(w.loop, w.results == 1);
	assert_int_equal(w.last[1], READY_NO);
	assert_true((uv_hrtime() - start) / 1000000 >= 19);
}

/* Of a published port only an answer counts. */
static void
test_published(void **state)
{
	(void)state;
	w.answer = false;
	set("1", TARGET(.run = "", .published = true));
	RUN_UNTIL(w.loop, w.results == 1);
	assert_int_equal(w.last[1], READY_NO);
	w.answer = true;
	RUN_UNTIL(w.loop, w.results == 2);
	assert_int_equal(w.last[1], READY_YES);
	assert_true(w.answers >= 2);
}

static void
test_cannot_tell(void **state)
{
	(void)state;
	static const char *const addresses[] = {"not an address", "255.255.255.255"};
	for (int i = 0; i < 2; i++) {
		set("1", &(struct probe_target){.address = addresses[i], .port = 80, .run = ""});
		RUN_UNTIL(w.loop, w.results == i + 1);
		assert_int_equal(w.last[1], READY_CANNOT_TELL);
	}
}

static void
test_drop_in_result(void **state)
{
	(void)state;
	w.drop = true;
	set("1", TARGET(.run = ""));
	RUN_UNTIL(w.loop, w.results == 1);
	RUN_FOR(w.loop, 250);
	assert_int_equal(w.results, 1);
}

/* Twice as many as may be under way at once. */
static void
test_many(void **state)
{
	(void)state;
	char id[8];

	stop_listening();
	listen_again(); /* with room for all */
	for (int i = 0; i < 500; i++) {
		snprintf(id, sizeof(id), "%d", i);
		set(id, TARGET(.run = ""));
	}
	set("499", NULL); /* while it waits for its turn */
	RUN_UNTIL(w.loop, w.results >= 499);
	for (int i = 0; i < 499; i++)
		assert_int_equal(w.last[i], READY_YES);
	assert_int_equal(w.last[499], READY_UNKNOWN);
}

/* A port whose queue is full, so that whoever connects waits. */
static int
listen_full(uint16_t *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 0), 0);
	getsockname(fd, (struct sockaddr *)&a, &n);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

/* Many that hang, asked again and again, do not keep a new one waiting. */
static void
test_hanging(void **state)
{
	(void)state;
	uint16_t full;
	int fd = listen_full(&full);
	char id[8];

	for (int i = 0; i < 500; i++) {
		snprintf(id, sizeof(id), "%d", i);
		set(id, &(struct probe_target){.address = "127.0.0.1", .port = full, .run = ""});
	}
	RUN_UNTIL(w.loop, w.results >= 500);
	assert_int_equal(w.last[400], READY_CANNOT_TELL);
	uint64_t start = uv_hrtime();
	set("500", TARGET(.run = ""));
	RUN_UNTIL(w.loop, w.last[500] == READY_YES);
	assert_true((uv_hrtime() - start) / 1000000 < 50);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_connect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_opens_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ready_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_published, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_tell, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_in_result, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hanging, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
