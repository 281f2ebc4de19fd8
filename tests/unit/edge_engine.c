#include "reconciler/sources/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_http.h"

#define BOXES_MAX 64

/* A container of the fake engine. */
struct box {
	char id[65], name[32], ip[32];
	const char *state; /* "running", "paused", "exited" */
	const char *health; /* "", "starting", "healthy", … */
	int run;
	bool hangs; /* its inspect is never answered */
	unsigned inspects;
};

static struct world {
	uv_loop_t *loop;
	struct httpc *http;
	struct settings *settings;
	struct settings_engine cfg;
	struct engine *engine;
	struct fake fake;

	bool podman;
	int version_status;
	bool late_header; /* of /events: only with the first event */
	int list_status;
	const char *list_text; /* instead of what is true */
	bool list_holds; /* the reply waits in `held_list` */
	struct fake_conn *held_list, *events;
	struct box boxes[BOXES_MAX];
	size_t nboxes;
	char order[4096]; /* of the requests: v, e, l, i */
	char prefix[32];

	/* What the sink has. */
	const struct endpoint *seen[BOXES_MAX];
	size_t nseen;
	unsigned puts, removes, statuses;
} w;

/* -- the fake engine -- */

static void
add_networks(struct buf *b, const struct box *x)
{
	buf_addf(b, "\"Networks\":{\"bridge\":{\"IPAddress\":\"%s\"}}", x->ip);
}

static void
add_item(struct buf *b, const struct box *x)
{
	buf_addf(b,
		"{\"Id\":\"%s\",\"Names\":[\"/%s\"],\"Created\":1000,\"State\":\"%s\",\"Status\":"
		"\"Up 1 second",
		x->id, x->name, x->state);
	if (*x->health && !w.podman)
		buf_addf(b, strcmp(x->health, "starting") ? " (%s)" : " (health: %s)", x->health);
	buf_addf(b, "\",\"Ports\":[%s],", w.podman ? "" : "{\"PrivatePort\":80,\"Type\":\"tcp\"}");
	if (!w.podman)
		buf_adds(b, "\"HostConfig\":{\"NetworkMode\":\"bridge\"},");
	buf_adds(b, "\"NetworkSettings\":{");
	add_networks(b, x);
	buf_adds(b, "}}");
}

static void
reply_list(struct fake_conn *c)
{
	struct buf b = {0};
	const char *between = "";

	buf_adds(&b, "[");
	for (size_t i = 0; i < w.nboxes; i++) {
		if (!strcmp(w.boxes[i].state, "exited"))
			continue;
		buf_adds(&b, between);
		add_item(&b, &w.boxes[i]);
		between = ",";
	}
	buf_adds(&b, "]");
	fake_reply(c, w.list_status, w.list_text ? w.list_text : b.p);
	buf_finish(&b);
}

static void
reply_inspect(struct fake_conn *c, struct box *x)
{
	struct buf b = {0};

	buf_addf(&b,
		"{\"Id\":\"%s\",\"Name\":\"/%s\",\"Created\":\"1970-01-01T00:16:40.5Z\",\"State\":{"
		"\"Running\":%s,\"Paused\":%s,\"StartedAt\":\"run%d\"",
		x->id, x->name, strcmp(x->state, "exited") ? "true" : "false",
		strcmp(x->state, "paused") ? "false" : "true", x->run);
	if (*x->health)
		buf_addf(&b, ",\"Health\":{\"Status\":\"%s\"}", x->health);
	buf_adds(&b, "},\"HostConfig\":{\"NetworkMode\":\"bridge\"},\"Config\":{\"StopSignal\":"
		     "\"SIGQUIT\"},\"NetworkSettings\":{\"Ports\":{\"80/tcp\":null},");
	add_networks(&b, x);
	buf_adds(&b, "}}");
	fake_reply(c, 200, b.p);
	buf_finish(&b);
}

static struct box *
box_find(const char *id_or_name, size_t n)
{
	for (size_t i = 0; i < w.nboxes; i++)
		if ((strlen(w.boxes[i].id) == n && !memcmp(w.boxes[i].id, id_or_name, n)) ||
			(strlen(w.boxes[i].name) == n && !memcmp(w.boxes[i].name, id_or_name, n)))
			return &w.boxes[i];
	return NULL;
}

static void
note_request(char kind)
{
	size_t n = strlen(w.order);
	if (n + 1 < sizeof(w.order))
		w.order[n] = kind;
}

static void
on_request(void *arg, struct fake_conn *c, const char *path)
{
	(void)arg;
	if (!strcmp(path, "/version")) {
		note_request('v');
		fake_reply(c, w.version_status,
			w.podman
				? "{\"ApiVersion\":\"1.41\",\"Version\":\"4.3.1\",\"Components\":[{"
				  "\"Name\":\"Podman Engine\"}]}"
				: "{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.44\",\"Version\":"
				  "\"29.0\"}");
		return;
	}
	const char *rest = strstr(path, "/events?");
	if (rest) {
		note_request('e');
		snprintf(w.prefix, sizeof(w.prefix), "%.*s", (int)(rest - path), path);
		assert_non_null(strstr(path, "died"));
		w.events = c;
		if (!w.late_header)
			fake_begin(c);
		return;
	}
	rest = strstr(path, "/containers/");
	assert_non_null(rest);
	rest += strlen("/containers/");
	if (!strncmp(rest, "json", 4)) {
		note_request('l');
		assert_int_equal(w.podman, strstr(rest, "paused") != NULL);
		w.held_list = c;
		if (!w.list_holds)
			reply_list(c);
		return;
	}
	note_request('i');
	struct box *x = box_find(rest, strcspn(rest, "/"));
	if (x)
		x->inspects++;
	if (!x)
		fake_reply(c, 404, "{\"message\":\"No such container\"}");
	else if (!x->hangs)
		reply_inspect(c, x);
}

static struct box *
add_box(const char *name, const char *ip)
{
	struct box *x = &w.boxes[w.nboxes++];
	assert_true(w.nboxes <= BOXES_MAX);
	*x = (struct box){.state = "running", .health = "", .run = 1};
	snprintf(x->id, sizeof(x->id), "%064zu", w.nboxes);
	snprintf(x->name, sizeof(x->name), "%s", name);
	snprintf(x->ip, sizeof(x->ip), "%s", ip);
	return x;
}

static void
send_event(const char *type, const char *action, const char *id, const char *attributes)
{
	struct buf b = {0};
	assert_non_null(w.events);
	if (w.late_header)
		fake_begin(w.events);
	w.late_header = false;
	buf_addf(&b,
		"{\"Type\":\"%s\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{%s}}}"
		"\n",
		type, action, id, attributes);
	fake_chunk(w.events, b.p);
	buf_finish(&b);
}

/* -- the sink -- */

static size_t
seen_find(const char *id)
{
	for (size_t i = 0; i < w.nseen; i++)
		if (!strcmp(w.seen[i]->id, id))
			return i;
	return w.nseen;
}

static void
on_put(void *arg, const struct endpoint *e)
{
	(void)arg;
	size_t i = seen_find(e->id);
	assert_true(i < BOXES_MAX);
	if (i == w.nseen)
		w.nseen++;
	else
		endpoint_unref(w.seen[i]);
	w.seen[i] = endpoint_ref(e);
	w.puts++;
}

static void
on_remove(void *arg, const char *engine, const char *id)
{
	(void)arg;
	size_t i = seen_find(id);
	assert_string_equal(engine, "app1");
	assert_true(i < w.nseen);
	endpoint_unref(w.seen[i]);
	w.seen[i] = w.seen[--w.nseen];
	w.removes++;
}

static void
on_status(void *arg, const char *engine)
{
	(void)arg;
	assert_string_equal(engine, "app1");
	w.statuses++;
}

static const struct endpoint *
seen(const struct box *x)
{
	size_t i = seen_find(x->id);
	return i < w.nseen ? w.seen[i] : NULL;
}

static struct source_info
info(void)
{
	struct source_info i;
	engine_info(w.engine, &i);
	return i;
}

static int
setup(void **state)
{
	(void)state;
	static const struct source_sink sink = {on_put, on_remove, on_status, NULL};
	w = (struct world){.loop = uv_default_loop(), .version_status = 200, .list_status = 200};
	w.http = httpc_create(w.loop);
	w.settings = settings_create();
	fake_listen(&w.fake, w.loop, false, on_request, NULL);
	w.cfg = (struct settings_engine){.name = "app1", .host = w.fake.url};
	w.engine = engine_create(w.loop, w.http, &w.cfg, w.settings, &sink);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	engine_destroy(w.engine);
	httpc_destroy(w.http);
	fake_die(&w.fake);
	uv_run(w.loop, UV_RUN_DEFAULT);
	settings_destroy(w.settings);
	for (size_t i = 0; i < w.nseen; i++)
		endpoint_unref(w.seen[i]);
	assert_int_equal(uv_loop_close(w.loop), 0);
	return 0;
}

static void
start(void)
{
	engine_start(w.engine);
	RUN_UNTIL(w.loop, info().status == SOURCE_READY);
}

#define UNTIL(condition) RUN_UNTIL(w.loop, condition)

/* -- what it does -- */

static void
test_start(void **state)
{
	(void)state;
	struct box *a = add_box("a", "10.0.0.2");
	add_box("gone", "10.0.0.3")->state = "exited";

	assert_int_equal(info().status, SOURCE_NEW);
	start();
	assert_string_equal(w.order, "vel");
	assert_string_equal(w.prefix, "/v1.52");
	assert_int_equal(w.nseen, 1);
	assert_string_equal(seen(a)->networks[0].ipv4, "10.0.0.2");
	assert_string_equal(info().kind, "docker");
	assert_string_equal(info().version, "29.0");
	assert_string_equal(info().error, "");
	assert_int_equal(info().lists, 1);
	assert_int_equal(info().connects, 1);
	assert_int_equal(info().inspects, 0);
	assert_true(info().seen_ms > 0);
}

/* A proxy that refuses /version. */
static void
test_no_version(void **state)
{
	(void)state;
	add_box("a", "10.0.0.2");
	w.version_status = 403;
	start();
	assert_string_equal(w.prefix, "");
	assert_int_equal(w.nseen, 1);
}

static void
test_life(void **state)
{
	(void)state;
	start();
	struct box *a = add_box("a", "10.0.0.2");
	send_event("container", "start", a->id, "");
	UNTIL(seen(a));
	assert_string_equal(seen(a)->run, "run1");
	send_event("container", "exec_die", a->id, "");
	a->state = "paused";
	send_event("container", "pause", a->id, "");
	UNTIL(seen(a)->state == ENDPOINT_PAUSED);
	a->state = "running";
	strcpy(a->name, "b");
	send_event("container", "rename", a->id, "");
	UNTIL(!strcmp(seen(a)->name, "b"));
	strcpy(a->ip, "10.0.0.9");
	send_event("network", "connect", "net1",
		"\"container\":"
		"\"0000000000000000000000000000000000000000000000000000000000000001\"");
	UNTIL(!strcmp(seen(a)->networks[0].ipv4, "10.0.0.9"));
	unsigned inspects = a->inspects;
	send_event("container", "kill", a->id, "\"signal\":\"3\"");
	UNTIL(seen(a)->leaving);
	assert_int_equal(a->inspects, inspects); /* the signal was enough */
	a->state = "exited";
	send_event("container", "die", a->id, "");
	UNTIL(!seen(a));
	a->state = "running";
	a->run = 2;
	send_event("container", "start", a->id, "");
	UNTIL(seen(a));
	assert_false(seen(a)->leaving);
	w.nboxes = 0;
	send_event("container", "destroy", a->id, "");
	UNTIL(w.nseen == 0);
	assert_int_equal(info().lists, 1);
	assert_int_equal(info().events, 9);
}

/* Started and stopped while the list was on its way. */
static void
test_between(void **state)
{
	(void)state;
	struct box *a = add_box("a", "10.0.0.2");
	w.list_holds = true;
	engine_start(w.engine);
	UNTIL(w.held_list);
	struct buf stale = {0};
	buf_adds(&stale, "[");
	add_item(&stale, a);
	buf_adds(&stale, "]");
	w.list_text = stale.p; /* was made when a ran and b did not */
	a->state = "exited";
	struct box *b = add_box("b", "10.0.0.3");
	send_event("container", "die", a->id, "");
	send_event("container", "start", b->id, "");
	UNTIL(seen(b));
	assert_int_equal(info().status, SOURCE_NEW);
	reply_list(w.held_list);
	UNTIL(info().status == SOURCE_READY);
	assert_null(seen(a));
	assert_non_null(seen(b));
	buf_finish(&stale);
}

/* Podman: no header before the first event; then one more list. */
static void
test_late_header(void **state)
{
	(void)state;
	struct box *a = add_box("a", "10.0.0.2");
	w.late_header = true;
	start();
	assert_string_equal(w.order, "vel");
	send_event("container", "start", a->id, "");
	UNTIL(info().lists == 2);
	UNTIL(a->inspects == 1);
}

static void
test_podman(void **state)
{
	(void)state;
	struct box *a = add_box("a", "10.0.0.2"), *b = add_box("b", "10.0.0.3");
	w.podman = true;
	a->health = "healthy";
	start();
	assert_string_equal(info().kind, "podman");
	assert_int_equal(w.nseen, 2); /* inspected, all of them */
	assert_int_equal(seen(a)->health, HEALTH_HEALTHY);
	assert_int_equal(seen(a)->nports, 1);
	assert_int_equal(seen(b)->health, HEALTH_NONE);

	/* A network event names the container where Docker has the network. */
	strcpy(b->ip, "10.0.0.4");
	send_event("network", "disconnect", b->id, "\"name\":\"b\"");
	UNTIL(!strcmp(seen(b)->networks[0].ipv4, "10.0.0.4"));
	assert_int_equal(info().lists, 1);
	/* What cannot be told: one list, and an inspect of what may be unhealthy by now. */
	a->health = "unhealthy";
	send_event("network", "connect", "whatever", "");
	UNTIL(seen(a)->health == HEALTH_UNHEALTHY);
	assert_int_equal(info().lists, 2);
	/* Its kill says no signal. */
	send_event("container", "kill", a->id, "");
	a->state = "exited";
	send_event("container", "died", a->id, "");
	UNTIL(!seen(a));
}

/* Fifty bells at once for one container are two inspects; a thousand in 100 ms are not many. */
static void
test_storm(void **state)
{
	(void)state;
	struct box *a = add_box("a", "10.0.0.2"), *b = add_box("b", "10.0.0.3");
	start();
	for (int i = 0; i < 50; i++)
		send_event("container", "health_status: healthy", a->id, "");
	UNTIL(info().events == 50);
	RUN_FOR(w.loop, 60);
	assert_in_range(a->inspects, 1, 2);
	a->inspects = 0;
	for (int i = 0; i < 10; i++) {
		for (int j = 0; j < 100; j++)
			send_event("container", "health_status: healthy", a->id, "");
		RUN_FOR(w.loop, 10);
	}
	strcpy(a->ip, "10.0.0.5");
	strcpy(b->ip, "10.0.0.6");
	send_event("container", "update", a->id, "");
	send_event("container", "update", b->id, "");
	UNTIL(!strcmp(seen(b)->networks[0].ipv4, "10.0.0.6"));
	UNTIL(!strcmp(seen(a)->networks[0].ipv4, "10.0.0.5"));
	assert_in_range(a->inspects, 2, 60);
	assert_in_range(info().lists, 1, 2);
}

/* Three that hang delay nobody, and keep their last state. */
static void
test_stuck(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		char ip[16];
		snprintf(ip, sizeof(ip), "10.0.0.%d", i + 2);
		add_box("x", ip)->hangs = i < 3;
	}
	start();
	for (int i = 0; i < 4; i++) {
		w.boxes[i].health = "healthy";
		send_event("container", "health_status", w.boxes[i].id, "");
	}
	UNTIL(seen(&w.boxes[3])->health == HEALTH_HEALTHY);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen(&w.boxes[i])->health, HEALTH_NONE);
}

/* What is no list is an error about the source, and nothing else. */
static void
test_bad_lists(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "null", "[{\"Id\":\"a/b\"}]", "[{\"Id\":\"c1\"}"};
	struct box *a = add_box("a", "10.0.0.2");

	start();
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		w.list_text = texts[i];
		unsigned statuses = w.statuses;
		send_event("container", "die", "a/b", ""); /* a gap */
		UNTIL(info().status == SOURCE_STALE);
		assert_true(strlen(info().error) > 0);
		assert_true(w.statuses > statuses);
		assert_non_null(seen(a));
		w.list_text = NULL;
		UNTIL(info().status == SOURCE_READY);
	}
	w.list_status = 500;
	send_event("container", "die", "a/b", "");
	UNTIL(info().status == SOURCE_STALE);
	assert_non_null(strstr(info().error, "500"));
	assert_int_equal(w.removes, 0);
}

/* The engine dies and comes back on a new socket; meanwhile one stopped. */
static void
test_restart(void **state)
{
	(void)state;
	struct box *a = add_box("a", "10.0.0.2"), *b = add_box("b", "10.0.0.3");
	start();
	fake_die(&w.fake);
	UNTIL(info().status == SOURCE_STALE);
	b->state = "exited";
	uint64_t begin = uv_hrtime();
	UNTIL(strstr(info().error, "No such file"));
	assert_int_equal(w.nseen, 2);
	fake_listen(&w.fake, w.loop, false, on_request, NULL);
	UNTIL(info().status == SOURCE_READY);
	assert_true((uv_hrtime() - begin) / 1000000 < 6000);
	assert_non_null(seen(a));
	assert_null(seen(b));
	fake_close(w.events); /* only the stream */
	UNTIL(info().status == SOURCE_STALE);
	UNTIL(info().status == SOURCE_READY);
}

/* More than half is gone at once: believed when it is so 5 s later. */
static void
test_doubt(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		char ip[16];
		snprintf(ip, sizeof(ip), "10.0.0.%d", i + 2);
		add_box("x", ip);
	}
	start();
	w.list_text = "[]";
	send_event("container", "die", "a/b", "");
	UNTIL(info().doubted);
	uint64_t begin = uv_hrtime();
	assert_int_equal(w.nseen, 30);
	assert_int_equal(info().status, SOURCE_READY);
	send_event(
		"container", "die", "a/b", ""); /* another list before its time changes nothing */
	UNTIL(info().lists == 3);
	UNTIL(w.nseen == 0);
	assert_in_range((uv_hrtime() - begin) / 1000000, 4900, 6500);
	assert_false(info().doubted);
}

/* The state of an earlier run is in force until the first list. */
static void
test_restored(void **state)
{
	(void)state;
	struct box *a = add_box("a", "10.0.0.2");
	struct endpoint *e = endpoint_create();

	e->engine = "app1";
	e->id = a->id;
	e->name = "old";
	engine_restore(w.engine, e);
	endpoint_unref(e);
	assert_int_equal(info().status, SOURCE_STALE);
	assert_int_equal(info().objects, 1);
	w.list_status = 500;
	engine_start(w.engine);
	UNTIL(info().lists == 2);
	assert_int_equal(info().status, SOURCE_STALE);
	assert_int_equal(w.puts + w.removes, 0);
	w.list_status = 200;
	UNTIL(info().status == SOURCE_READY);
	assert_string_equal(seen(a)->name, "a");
}

/* A stream that is none, or has an object too large to hold. */
static void
test_bad_stream(void **state)
{
	(void)state;
	add_box("a", "10.0.0.2");
	start();
	fake_chunk(w.events, "<html>");
	UNTIL(info().status == SOURCE_STALE);
	UNTIL(info().status == SOURCE_READY);

	char *large = malloc((1 << 20) + 1);
	memset(large, 'x', 1 << 20);
	memcpy(large, "{\"", 2);
	large[1 << 20] = '\0';
	fake_chunk(w.events, large);
	fake_chunk(w.events, "x");
	free(large);
	UNTIL(info().status == SOURCE_STALE);
	UNTIL(info().status == SOURCE_READY);
	assert_int_equal(w.nseen, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_between, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_podman, setup, teardown),
		cmocka_unit_test_setup_teardown(test_storm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doubt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_stream, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
