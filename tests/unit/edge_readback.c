#include "provider/traefik/readback.h"

#include <time.h>

#include "provider/traefik/revisions.h"
#include "provider/traefik/traefik.h"
#include "tests/unit/raw_client.h"
#include "tests/unit/traefik_world.h"

/* after cmocka, whose assert it must not take */
#include "tests/unit/fake_http.h"

static const char *const web[] = {"web"};
static uint64_t clock_ahead_ns;

/* Stands in front of libuv's, so that time passes without waiting. */
uint64_t
uv_hrtime(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec + clock_ahead_ns;
}

static void
pass_ms(uint64_t ms)
{
	clock_ahead_ns += ms * 1000000;
}

/* ── Revisions ─────────────────────────────────────────────────────────────────────────────── */

static void
test_applied_since(void **state)
{
	(void)state;
	struct revisions rs = {0};
	assert_true(revisions_applied_ago(&rs, 1, 5000) == UINT64_MAX);
	revisions_add(&rs, 1, 0, 0);
	revisions_add(&rs, 5, 0, 0);
	assert_int_equal(revisions_of(&rs, 2), 5);
	assert_int_equal(revisions_of(&rs, 3), 0);
	revisions_arrive(&rs, 1, 1000);
	assert_int_equal(revisions_applied_ago(&rs, 1, 5000), 4000);
	assert_true(revisions_applied_ago(&rs, 2, 5000) == UINT64_MAX);

	/* Those in between never were a document of their own. */
	revisions_arrive(&rs, 2, 2000);
	assert_int_equal(revisions_applied_ago(&rs, 2, 5000), 3000);
	assert_int_equal(revisions_applied_ago(&rs, 5, 5000), 3000);
	assert_int_equal(revisions_applied_ago(&rs, 1, 5000), 4000);
	/* The same bytes have arrived when the last ones had. */
	assert_true(revisions_applied_ago(&rs, 6, 5000) == UINT64_MAX);
	revisions_renew(&rs, 6);
	assert_int_equal(revisions_applied_ago(&rs, 6, 5000), 3000);

	/* Who forgets has to get it again, and time begins anew for that alone. */
	revisions_arrive(&rs, 1, 6000);
	assert_true(revisions_applied_ago(&rs, 6, 6000) == UINT64_MAX);
	assert_int_equal(revisions_applied_ago(&rs, 1, 6000), 5000);
	revisions_arrive(&rs, 0, 6000);
	assert_true(revisions_applied_ago(&rs, 1, 6000) == UINT64_MAX);
	revisions_arrive(&rs, 2, 7000);
	assert_int_equal(revisions_applied_ago(&rs, 1, 7500), 500);
}

static void
test_forgotten_revisions(void **state)
{
	static struct revisions rs;
	const uint64_t n = 2 * REVISIONS;
	(void)state;

	for (uint64_t i = 1; i <= n; i++) {
		revisions_add(&rs, 10 * i, i, i);
		revisions_arrive(&rs, i, i);
	}
	/* Older than what is remembered: as long as the oldest one. */
	assert_int_equal(revisions_applied_ago(&rs, 1, n), REVISIONS - 1);
	assert_int_equal(revisions_applied_ago(&rs, 10 * n - 1, n), 0);
	assert_int_equal(revisions_find(&rs, n - 1), n - 1);
	assert_int_equal(revisions_find(&rs, 1), 0);

	/* One that stays behind for longer than that has nothing. */
	for (uint64_t i = n + 1; i <= n + REVISIONS + 100; i++)
		revisions_add(&rs, 10 * i, i, i);
	assert_true(revisions_applied_ago(&rs, 1, 2 * n) == UINT64_MAX);
	revisions_arrive(&rs, n + REVISIONS + 100, 2 * n);
	assert_int_equal(revisions_applied_ago(&rs, 1, 2 * n + 7), 7);
}

/* Twenty documents a second are no reason to take what is in force for younger than a minute. */
static void
test_many_documents(void **state)
{
	static struct revisions rs;
	(void)state;

	for (uint64_t i = 1; i <= UINT64_C(20) * 120; i++) {
		revisions_add(&rs, i, i, i);
		revisions_arrive(&rs, i, 50 * i);
	}
	assert_int_equal(revisions_applied_ago(&rs, 1, 120000), 119950);
}

static void
test_marks(void **state)
{
	(void)state;
	struct revisions rs = {0};
	assert_true(revisions_mark(&rs, 70) == 70);
	revisions_add(&rs, 1, 70, 70);
	revisions_give(&rs);
	revisions_add(&rs, 2, 80, 80);
	/* Nobody got what was between. */
	assert_true(revisions_mark(&rs, 70) == 70);
	/* Somebody got it, and may have it yet before him. */
	revisions_give(&rs);
	assert_true(revisions_mark(&rs, 70) == 71);
	revisions_add(&rs, 3, 70, 71);
	revisions_give(&rs);
	assert_true(revisions_mark(&rs, 70) == 71);
	assert_true(revisions_mark(&rs, 80) == 81);
	assert_int_equal(revisions_find(&rs, 70), 1);
	assert_int_equal(revisions_find(&rs, 71), 3);
	assert_int_equal(revisions_find(&rs, 0), 0);
}

/* ── Reading back ──────────────────────────────────────────────────────────────────────────── */

struct fixture {
	uv_loop_t loop;
	struct settings settings;
	struct httpc *http;
	struct traefik *traefik;
	struct server *server;
	struct server_routes routes;
	struct snapshot *snapshot;
	struct client *client;
	struct fake api;
	int status; /* that it answers with */
	char list[1024];
	unsigned answers_left; /* then the list is empty; 0: as long as it likes */
};

static void
on_request(void *arg, struct fake_conn *c, const char *path)
{
	struct fixture *f = arg;
	assert_string_equal(path, "/api/http/middlewares?search=waymark_DOCUMENT_&per_page=100");
	fake_reply(c, f->status, f->list);
	if (f->answers_left && !--f->answers_left)
		strcpy(f->list, "[]");
}

static int
setup(void **state)
{
	static const char *const listen[] = {"127.0.0.1:0"};
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct err e;

	uv_loop_init(&f->loop);
	fake_listen(&f->api, &f->loop, true, on_request, f);
	f->status = 200;
	strcpy(f->list, "[]");
	f->settings.traefik = (struct settings_traefik){
		.name = "traefik", .nhttp = 1, .http = web, .api = f->api.url};
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
	f->client = client_open(&f->loop, server_address(f->server, 0));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	client_close(f->client);
	server_destroy(f->server);
	traefik_destroy(f->traefik);
	httpc_destroy(f->http);
	fake_die(&f->api);
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

static void
change(struct fixture *f, const char *host)
{
	pass_ms(1000); /* nothing waits for its pace */
	f->snapshot = world_next(f->snapshot, "a", PLAN(&f->settings, "a", {.host = host}));
	publish(f);
}

static uint64_t
ago(struct fixture *f)
{
	struct output *o = traefik_output(f->traefik);
	return o->applied_ago_ms(o, f->snapshot->revision);
}

static bool
is_applied(struct fixture *f)
{
	return ago(f) != UINT64_MAX;
}

static struct output_info
info_of(struct fixture *f)
{
	struct output_info i;
	traefik_output(f->traefik)->info(traefik_output(f->traefik), &i);
	return i;
}

/* Traefik's poll; the mark's name in what it got, or "". */
static const char *
poll(struct fixture *f)
{
	static char name[64];
	size_t n;
	assert_int_equal(client_get(f->client, "/traefik", ""), 200);
	const char *at = strstr(client_body(f->client, &n), "waymark_DOCUMENT_");
	snprintf(name, sizeof(name), "%.*s", at ? (int)strcspn(at, "\"") : 0, at ? at : "");
	return name;
}

/* What its API lists from now on. */
static void
runs(struct fixture *f, const char *name, const char *provider)
{
	snprintf(f->list, sizeof(f->list),
		"[{\"name\":\"waymark_DOCUMENT_x@file\"},{\"name\":\"%s@other\"},"
		"{\"name\":\"%s@%s\",\"status\":\"enabled\"}]",
		name, name, provider);
}

static void
start(struct fixture *f)
{
	change(f, "a.local");
	pass_ms(READBACK_START_MS);
	runs(f, poll(f), "http");
	RUN_UNTIL(&f->loop, is_applied(f));
}

static void
test_in_force(void **state)
{
	struct fixture *f = *state;
	change(f, "a.local");
	pass_ms(READBACK_START_MS);
	const char *name = poll(f);
	assert_int_equal(strlen(name), strlen("waymark_DOCUMENT_") + 16);

	/* Polls alone prove nothing where Traefik can be asked. */
	for (int i = 0; i < 3; i++) {
		poll(f);
		pass_ms(5000);
	}
	RUN_FOR(&f->loop, 50);
	assert_false(is_applied(f));
	assert_false(info_of(f).converged);
	/* Another provider's. */
	runs(f, name, "rest");
	RUN_FOR(&f->loop, 50);
	assert_false(is_applied(f));

	runs(f, name, "http");
	RUN_UNTIL(&f->loop, is_applied(f));
	struct output_info i = info_of(f);
	assert_true(i.converged && i.revision == 1);
	json_t *api = json_object_get(i.details, "api");
	assert_string_equal(json_string_value(json_object_get(api, "url")), f->api.url);
	assert_int_equal(json_integer_value(json_object_get(api, "revision")), 1);
	assert_string_equal(json_string_value(json_object_get(api, "error")), "");
	pass_ms(700);
	assert_in_range(ago(f), 700, 3000);

	/* The same bytes: no mark but the same, and nothing to wait for. */
	f->snapshot = world_next(f->snapshot, "b", PLAN(&f->settings, "b"));
	publish(f);
	assert_in_range(ago(f), 700, 3000);
}

static void
test_not_at_the_start(void **state)
{
	struct fixture *f = *state;
	change(f, "a.local");
	runs(f, poll(f), "http");
	RUN_FOR(&f->loop, 300);
	assert_false(is_applied(f));
	pass_ms(READBACK_START_MS);
	RUN_UNTIL(&f->loop, is_applied(f));
}

static void
test_one_reading_is_none(void **state)
{
	struct fixture *f = *state;
	start(f);
	change(f, "b.local");
	runs(f, poll(f), "http");
	f->answers_left = 1;
	RUN_UNTIL(&f->loop, !f->answers_left);
	RUN_FOR(&f->loop, 100);
	assert_false(is_applied(f));
}

static void
test_changes_that_never_rest(void **state)
{
	struct fixture *f = *state;
	start(f);
	/* Each reading shows another document, and a newer one: so those before it are in force. */
	char host[32];
	for (int i = 0; i < 20; i++) {
		snprintf(host, sizeof(host), "h%d.local", i);
		change(f, host);
		runs(f, poll(f), "http");
		RUN_FOR(&f->loop, 30);
	}
	assert_true(info_of(f).revision > f->snapshot->revision - 10);
}

static void
test_the_same_again(void **state)
{
	struct fixture *f = *state;
	char first[64], second[64];
	start(f);
	snprintf(first, sizeof(first), "%s", poll(f));
	change(f, "b.local");
	snprintf(second, sizeof(second), "%s", poll(f));
	assert_string_not_equal(first, second);

	/* It runs the first yet, and may be about to apply the second. */
	change(f, "a.local");
	assert_string_not_equal(poll(f), first);
	RUN_FOR(&f->loop, 100);
	assert_false(is_applied(f));
	runs(f, second, "http");
	RUN_FOR(&f->loop, 100);
	assert_false(is_applied(f));
	runs(f, poll(f), "http");
	RUN_UNTIL(&f->loop, is_applied(f));
}

static void
test_silent_api(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->status = 500;
	change(f, "b.local");
	poll(f);
	RUN_UNTIL(&f->loop, *info_of(f).error);
	assert_non_null(strstr(info_of(f).error, "answered 500; tried again"));
	/* What was known stays, and nothing newer counts. */
	assert_int_equal(info_of(f).revision, 1);
	assert_false(is_applied(f));
	f->status = 200;
	strcpy(f->list, "{}");
	RUN_UNTIL(&f->loop, strstr(info_of(f).error, "is it Traefik's API?"));
	assert_int_equal(info_of(f).revision, 1);

	runs(f, poll(f), "http");
	RUN_UNTIL(&f->loop, is_applied(f));
	assert_string_equal(info_of(f).error, "");

	/* It answers, and has nothing at all. */
	f->status = 404;
	RUN_UNTIL(&f->loop, !is_applied(f));
	assert_non_null(strstr(info_of(f).error, "answered 404; is Traefik's API on"));
}

static void
test_restarted(void **state)
{
	struct fixture *f = *state;
	char list[sizeof(f->list)];
	start(f);
	pass_ms(60000);
	assert_true(ago(f) >= 60000);
	strcpy(list, f->list);
	strcpy(f->list, "[]");
	RUN_UNTIL(&f->loop, !is_applied(f));
	assert_int_equal(info_of(f).revision, 0);
	strcpy(f->list, list);
	RUN_UNTIL(&f->loop, is_applied(f));
	assert_true(ago(f) < 10000);
}

static void
test_switched_on(void **state)
{
	struct fixture *f = *state;
	f->settings.traefik.api = NULL;
	traefik_reload(f->traefik, &f->settings);
	change(f, "a.local");
	assert_string_equal(poll(f), "");
	f->settings.traefik.api = f->api.url;
	traefik_reload(f->traefik, &f->settings);
	assert_string_not_equal(poll(f), "");
}

/* A world without routes is to be read back, too. */
static void
test_empty_world(void **state)
{
	struct fixture *f = *state;
	size_t n;
	publish(f);
	assert_int_equal(client_get(f->client, "/traefik", ""), 200);
	const char *body = client_body(f->client, &n);
	assert_int_equal(strncmp(body, "{\"http\":{\"middlewares\":{\"waymark_DOCUMENT_", 41), 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_applied_since),
		cmocka_unit_test(test_forgotten_revisions),
		cmocka_unit_test(test_many_documents),
		cmocka_unit_test(test_marks),
		TEST(test_in_force),
		TEST(test_not_at_the_start),
		TEST(test_one_reading_is_none),
		TEST(test_changes_that_never_rest),
		TEST(test_the_same_again),
		TEST(test_silent_api),
		TEST(test_restarted),
		TEST(test_switched_on),
		TEST(test_empty_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
