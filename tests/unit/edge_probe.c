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
	unsigned why[600];
	int results, answers;
	bool answer; /* or close without a word */
	const char *path; /* that is asked for */
	const char *const *say; /* what comes in answer, an element a piece; then the end */
	bool hang; /* no answer ever */
	bool drop; /* the probe, from its result */
} w;

static void
on_result(void *arg, const char *engine, const char *id, enum readiness ready, unsigned why)
{
	(void)arg;
	assert_string_equal(engine, ENGINE);
	w.last[atoi(id)] = ready;
	w.why[atoi(id)] = why;
	w.results++;
	if (w.drop)
		prober_set(w.prober, engine, id, NULL);
}

/* A slow server: the pieces one after the other, and so the status line in as many reads. */
struct speech {
	uv_timer_t timer;
	struct fake *fake;
	struct fake_conn *conn;
	const char *const *say;
};

static void
on_spoken(uv_handle_t *handle)
{
	free(handle->data);
}

static void
on_speak(uv_timer_t *timer)
{
	struct speech *s = timer->data;
	bool there = false;

	for (struct fake_conn *c = s->fake->conns; c; c = c->next)
		there = there || c == s->conn;
	if (there && *s->say) {
		fake_sends(s->conn, *s->say++);
		return;
	}
	if (there)
		fake_close(s->conn);
	uv_close((uv_handle_t *)timer, on_spoken);
}

static void
speak(struct fake_conn *c, const char *const *say)
{
	struct speech *s = xcalloc(1, sizeof(*s));

	s->fake = c->fake;
	s->conn = c;
	s->say = say;
	s->timer.data = s;
	uv_timer_init(w.loop, &s->timer);
	uv_timer_start(&s->timer, on_speak, 0, 3);
}

static void
on_request(void *arg, struct fake_conn *c, const char *path)
{
	(void)arg;
	assert_string_equal(path, w.path);
	w.answers++;
	if (w.hang)
		return;
	if (w.say)
		speak(c, w.say);
	else if (w.answer)
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

static const struct prober_settings usual = {
	.interval_ms = 200, .timeout_ms = 100, .rise = 1, .fall = 2, .rate = 100000};

/* A port of loopback that is ours; the fake listens there. */
static int
setup(void **state)
{
	(void)state;
	w = (struct world){.loop = uv_default_loop(), .answer = true, .path = "/"};
	fake_listen(&w.fake, w.loop, true, on_request, NULL);
	w.port = (uint16_t)atoi(strrchr(w.fake.url, ':') + 1);
	w.prober = prober_create(w.loop, &usual, on_result, NULL);
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
	set("1", TARGET(.run = "r1", .ready_before = true)); /* the same: nothing */
	RUN_UNTIL(w.loop, w.fake.nconns >= 3);
	assert_int_equal(w.results, 1);
	set("1", TARGET(.run = "r2")); /* another run: said again */
	RUN_UNTIL(w.loop, w.results == 2);
	set("1", TARGET(.run = "r2")); /* whoever sets it does not know: said again */
	RUN_UNTIL(w.loop, w.results == 3);
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

static int
connect_to(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	connect(fd, (struct sockaddr *)&a, sizeof(a));
	return fd;
}

static void
say_nothing(void *arg, struct fake_conn *c, const char *path)
{
	(void)arg;
	(void)c;
	(void)path;
}

/* One that accepts whoever comes, and does not say a word. */
static void
listen_deep(struct fake *f, uint16_t *ret_port)
{
	fake_listen(f, w.loop, true, say_nothing, NULL);
	assert_int_equal(uv_listen(&f->u.stream, 512, fake_on_connection), 0);
	*ret_port = (uint16_t)atoi(strrchr(f->url, ':') + 1);
}

/* After about 150 ms. */
static void
say_late(void *arg, struct fake_conn *c, const char *path)
{
	static const char *say[52];

	(void)path;
	(*(int *)arg)++;
	for (int i = 0; i < 50; i++)
		say[i] = i ? "x" : "HTTP/1.1 103 ";
	say[50] = "\n\nHTTP/1.1 200 OK\n";
	speak(c, say);
}

static bool
is_all(int from, int to, enum readiness ready)
{
	for (int i = from; i < to; i++)
		if (w.last[i] != ready)
			return false;
	return true;
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

/* -- health paths -- */

#define PIECES(...)                                                                                \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

#define LONG_LINE "X-Long: 0123456789012345678901234567890123456789012345678901234567890123\r\n"
#define LONG_16 LONG_LINE LONG_LINE LONG_LINE LONG_LINE

/* Each answer, and what it says of the container. */
static const struct answer {
	const char *const *say; /* NULL: the connection is cut */
	bool missing_counts;
	enum readiness ready;
	unsigned why;
} answers[] = {
	{PIECES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), false, READY_YES, 0},
	{PIECES("HTTP/1.1 204 No Content\r\n\r\n"), false, READY_YES, 0},
	{PIECES("HTTP/1.0 200 OK\r\n\r\nand a body"), false, READY_YES, 0},
	{PIECES("HTTP/1.1 200\r\n\r\n"), false, READY_YES, 0},
	{PIECES("HTTP/1.1 200\n\n"), false, READY_YES, 0},
	{PIECES("HTTP/1.1 404 Not Found\r\n\r\n"), false, READY_NO, 404},
	{PIECES("HTTP/1.1 404 Not Found\r\n\r\n"), true, READY_YES, 0},
	{PIECES("HTTP/1.1 405 Method Not Allowed\r\n\r\n"), true, READY_NO, 405},
	{PIECES("HTTP/1.1 401 Unauthorized\r\n\r\n"), false, READY_NO, 401},
	{PIECES("HTTP/1.1 500 Internal Server Error\r\n\r\n"), true, READY_NO, 500},
	{PIECES("HTTP/1.1 503 Starting\r\n\r\n"), false, READY_NO, 503},
	{PIECES("HTTP/1.1 101 Switching Protocols\r\n\r\n"), false, READY_NO, 101},
	{PIECES("H", "TT", "P/1.", "1 2", "0", "0 O", "K\r", "\n\r\n"), false, READY_YES, 0},
	{PIECES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n",
		 "HTTP/1.1 200 OK\r\n\r\n"),
		false, READY_YES, 0},
	/* Headers without end are nobody's concern. */
	{PIECES("HTTP/1.1 200 OK\r\n", LONG_16, LONG_16, LONG_16), false, READY_YES, 0},
	{PIECES("HTTP/1.1 200"), false, READY_NO, WHY_CLOSED},
	{PIECES("HTTP/1.1 099 Odd\r\n"), false, READY_NO, WHY_GARBAGE},
	{PIECES("HTTP/2 200\r\n"), false, READY_NO, WHY_GARBAGE},
	{PIECES("SSH-2.0-OpenSSH_9.2\r\n"), true, READY_NO, WHY_GARBAGE},
	{PIECES("\x15\x03\x03\x00\x02\x02\x46"), false, READY_NO, WHY_GARBAGE},
	{NULL, false, READY_NO, WHY_CLOSED},
};

static void
test_answers(void **state)
{
	(void)state;
	w.path = "/health";
	w.answer = false;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		const struct answer *a = &answers[i];
		int before = w.results;
		w.say = a->say;
		set("1", TARGET(.run = "", .path = "/health", .missing_counts = a->missing_counts));
		RUN_UNTIL(w.loop, w.results > before);
		if (w.last[1] != a->ready || w.why[1] != a->why)
			fail_msg("answer %zu (%s): %s, %u", i, a->say ? a->say[0] : "none",
				readiness_text(w.last[1]), w.why[1]);
		set("1", NULL);
	}
}

/* A redirect says that it lives; where it leads, nobody goes. */
static void
test_redirect(void **state)
{
	(void)state;
	struct fake other = {0};
	char reply[256];

	fake_listen(&other, w.loop, true, on_request, NULL);
	snprintf(reply, sizeof(reply),
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%s/\r\n\r\n",
		strrchr(other.url, ':') + 1);
	const char *say[] = {reply, NULL};
	w.say = say;
	w.path = "/health";
	set("1", TARGET(.run = "", .path = "/health"));
	RUN_UNTIL(w.loop, w.results == 1);
	assert_int_equal(w.last[1], READY_YES);
	RUN_UNTIL(w.loop, w.answers >= 3);
	assert_int_equal(w.results, 1);
	assert_int_equal(other.nconns, 0);
	set("1", NULL);
	fake_die(&other);
	RUN_FOR(w.loop, 20); /* what is being said yet */
}

/* Whoever accepts and says nothing fails in time; a guess that nobody even accepts says nothing. */
static void
test_silence(void **state)
{
	(void)state;
	uint16_t full;
	int fd = listen_full(&full), first = connect_to(full), second = connect_to(full);

	w.hang = true;
	w.path = "/health";
	set("1", TARGET(.run = "", .path = "/health"));
	set("2", TARGET(.run = "", .path = "/health", .missing_counts = true));
	set("3", &(struct probe_target){
			 .address = "127.0.0.1", .port = full, .run = "", .path = "/health"});
	set("4", &(struct probe_target){.address = "127.0.0.1",
			 .port = full,
			 .run = "",
			 .path = "/health",
			 .missing_counts = true});
	RUN_UNTIL(w.loop, w.results >= 4);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(w.last[i], READY_NO);
		assert_int_equal(w.why[i], WHY_LATE);
	}
	assert_int_equal(w.last[4], READY_CANNOT_TELL);
	close(fd);
	close(first);
	close(second);
}

/* Nothing of the head comes, but octets do: the time-out is that of the whole. */
static void
test_drip(void **state)
{
	(void)state;
	static const char *drip[2000];

	for (size_t i = 0; i < 1999; i++)
		drip[i] = i ? "x" : "HTTP/1.1 103 ";
	w.say = drip;
	w.path = "/health";
	uint64_t start = uv_hrtime();
	set("1", TARGET(.run = "", .path = "/health"));
	RUN_UNTIL(w.loop, w.results == 1);
	assert_int_equal(w.last[1], READY_NO);
	assert_int_equal(w.why[1], WHY_LATE);
	assert_in_range((uv_hrtime() - start) / 1000000, 95, 1000);
	set("1", NULL);
}

static const char *const well[] = {"HTTP/1.1 200 OK\r\n\r\n", NULL};
static const char *const ill[] = {"HTTP/1.1 500 No\r\n\r\n", NULL};

/* So many in a row, and not one less; the target's own numbers count more than the settings'. */
static void
test_thresholds(void **state)
{
	(void)state;
	w.say = well;
	w.path = "/health";
	set("1", TARGET(.run = "", .path = "/health", .rise = 3, .fall = 4));
	RUN_UNTIL(w.loop, w.results == 1);
	assert_int_equal(w.last[1], READY_YES);
	assert_int_equal(w.answers, 3);

	w.say = ill;
	int before = w.answers;
	uint64_t start = uv_hrtime();
	RUN_UNTIL(w.loop, w.answers > before);
	RUN_UNTIL(w.loop, w.results == 2);
	assert_int_equal(w.last[1], READY_NO);
	assert_int_equal(w.answers, before + 4);
	/* The first came after an interval, the others after a tenth of it each. */
	assert_true((uv_hrtime() - start) / 1000000 < 220 + 2 * 200);

	w.say = well;
	RUN_UNTIL(w.loop, w.results == 3);
	assert_int_equal(w.last[1], READY_YES);
}

/* One failure between answers is not enough, however often. */
static void
test_hiccups(void **state)
{
	(void)state;
	w.path = "/health";
	w.say = well;
	set("1", TARGET(.run = "", .path = "/health", .interval_ms = 40));
	RUN_UNTIL(w.loop, w.results == 1);
	for (int i = 0; i < 5; i++) {
		int before = w.answers;
		w.say = ill;
		RUN_UNTIL(w.loop, w.answers > before);
		w.say = well;
		RUN_UNTIL(w.loop, w.answers > before + 2);
	}
	assert_int_equal(w.results, 1);
}

/* It stays not ready, and why is said as it changes: once an interval. */
static void
test_reason(void **state)
{
	(void)state;
	w.path = "/health";
	stop_listening();
	set("1", TARGET(.run = "", .path = "/health", .interval_ms = 50));
	RUN_UNTIL(w.loop, w.results == 1);
	assert_int_equal(w.why[1], WHY_REFUSED);
	listen_again();
	w.say = ill;
	RUN_UNTIL(w.loop, w.results == 2);
	assert_int_equal(w.last[1], READY_NO);
	assert_int_equal(w.why[1], 500);
	RUN_FOR(w.loop, 200);
	assert_int_equal(w.results, 2);
}

/* What is known stays when only the settings change, and when the same is set again. */
static void
test_configure(void **state)
{
	(void)state;
	struct prober_settings quick = usual;

	w.path = "/health";
	w.say = well;
	set("1", TARGET(.run = "", .path = "/health"));
	RUN_UNTIL(w.loop, w.results == 1);
	quick.interval_ms = 20;
	prober_configure(w.prober, &quick);
	set("1", TARGET(.run = "", .path = "/health", .ready_before = true));
	RUN_UNTIL(w.loop, w.answers >= 10);
	assert_int_equal(w.results, 1);

	w.path = "/other"; /* another question: found out anew, and it counts meanwhile */
	set("1", TARGET(.run = "", .path = "/other", .ready_before = true));
	RUN_UNTIL(w.loop, w.results == 2);
	assert_int_equal(w.last[1], READY_YES);
}

/* An interval that is shorter now is so for those, too, that began to wait for the old one. */
static void
test_shorter_interval(void **state)
{
	(void)state;
	struct prober_settings rare = usual, own = usual;

	rare.interval_ms = 3600000;
	prober_configure(w.prober, &rare);
	w.path = "/health";
	w.say = well;
	set("1", TARGET(.run = "", .path = "/health"));
	RUN_UNTIL(w.loop, w.results == 1);
	own.interval_ms = 20;
	prober_configure(w.prober, &own);
	RUN_UNTIL(w.loop, w.answers >= 5);
}

static void
drop_one(void *arg, const char *engine, const char *id)
{
	int *n = arg;
	(*n)++;
	prober_set(w.prober, engine, id, NULL);
}

static void
test_each(void **state)
{
	(void)state;
	int n = 0;

	set("1", TARGET(.run = ""));
	set("2", TARGET(.run = ""));
	prober_each(w.prober, drop_one, &n);
	assert_int_equal(n, 2);
	prober_each(w.prober, drop_one, &n);
	assert_int_equal(n, 2);
}

/* The request is for the container's own address, and leaves no connection behind. */
static void
test_request(void **state)
{
	(void)state;
	w.path = "/a/b~c";
	w.say = PIECES("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "bo", "dy");
	set("1", TARGET(.run = "", .path = "/a/b~c"));
	RUN_UNTIL(w.loop, w.results == 1);
	RUN_UNTIL(w.loop, !w.fake.conns); /* it may finish what it has to say */
	assert_int_equal(w.answers, 1);
}

/* -- many -- */

/* Never more in a second than the rate says, and not fewer while some wait. */
static void
test_rate(void **state)
{
	(void)state;
	struct prober_settings slow = usual;
	unsigned at[4];
	char id[8];

	slow.rate = 200;
	slow.interval_ms = 100;
	prober_configure(w.prober, &slow);
	stop_listening();
	listen_again();
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "%d", i);
		set(id, TARGET(.run = ""));
	}
	for (int i = 0; i < 4; i++) {
		RUN_FOR(w.loop, 500);
		at[i] = w.fake.nconns;
	}
	assert_in_range(at[0], 50, 102);
	assert_in_range(at[2] - at[0], 100, 202);
	assert_in_range(at[3] - at[1], 100, 202);
	assert_int_equal(w.results, 300); /* those of which nothing was known came first */
}

/* 300 that accept and say nothing, asked again and again, and others that are well: those are seen
 * at once, looked at in time, and their failure is noticed in time. */
static void
test_hangers(void **state)
{
	(void)state;
	static const struct prober_settings patient = {
		.interval_ms = 500, .timeout_ms = 1000, .rise = 1, .fall = 2, .rate = 2000};
	struct fake silent = {0}, late = {0};
	uint16_t silent_port, late_port;
	char id[8];
	int nlate = 0;

	prober_configure(w.prober, &patient);
	listen_deep(&silent, &silent_port);
	fake_listen(&late, w.loop, true, say_late, &nlate);
	late_port = (uint16_t)atoi(strrchr(late.url, ':') + 1);
	set("400",
		&(struct probe_target){
			.address = "127.0.0.1", .port = late_port, .run = "", .path = "/health"});
	w.path = "/health";
	w.say = well;
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "%d", i);
		set(id, &(struct probe_target){.address = "127.0.0.1",
				.port = silent_port,
				.run = "",
				.ready_before = i % 2,
				.path = "/health"});
	}
	uint64_t start = uv_hrtime();
	for (int i = 300; i < 400; i++) {
		snprintf(id, sizeof(id), "%d", i);
		set(id, TARGET(.run = "", .path = "/health"));
	}
	RUN_UNTIL(w.loop, is_all(300, 400, READY_YES));
	print_message("100 beside 300 that hang: ready after %d ms\n",
		(int)((uv_hrtime() - start) / 1000000));
	assert_true((uv_hrtime() - start) / 1000000 < 1000);
	RUN_UNTIL(w.loop, w.last[400] == READY_YES);

	int before = w.answers, late_before = nlate;
	RUN_FOR(w.loop, 1500); /* two looks at each, at the least */
	assert_in_range(w.answers - before, 200, 500);
	assert_in_range(nlate - late_before, 2, 4); /* slow, and not delayed */
	start = uv_hrtime();
	w.say = ill;
	RUN_UNTIL(w.loop, is_all(300, 400, READY_NO));
	assert_true((uv_hrtime() - start) / 1000000 < 1500);
	RUN_UNTIL(w.loop, is_all(0, 300, READY_NO));
	for (int i = 0; i <= 400; i++) {
		snprintf(id, sizeof(id), "%d", i);
		set(id, NULL);
	}
	fake_die(&silent);
	fake_die(&late);
	RUN_FOR(w.loop, 20);
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
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_redirect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thresholds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hiccups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shorter_interval, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hangers, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
