#include "reconciler/sources/engine_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/base/json.h"
#include "reconciler/base/json_split.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct settings *settings;

static int
setup(void **state)
{
	(void)state;
	settings = settings_create();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	settings_destroy(settings);
	return 0;
}

static char *
read_data(const char *name, size_t *ret_n)
{
	char path[128];
	struct buf b = {0};
	char block[4096];
	size_t n;

	snprintf(path, sizeof(path), "tests/unit/data/%s", name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while ((n = fread(block, 1, sizeof(block), f)))
		buf_add(&b, block, n);
	fclose(f);
	return buf_steal(&b, ret_n);
}

static struct endpoint *
inspect(const char *text, bool podman)
{
	struct endpoint *e;
	return engine_parse_inspect(text, strlen(text), "app1", settings, podman, &e, NULL) < 0
		       ? NULL
		       : e;
}

static struct endpoint *
item(const char *text, bool podman)
{
	struct endpoint *e;
	return engine_parse_item(text, strlen(text), "app1", settings, podman, &e, NULL) < 0 ? NULL
											     : e;
}

struct found {
	bool podman;
	size_t n;
	struct endpoint *list[8];
};

static void
add_found(void *arg, const char *json, size_t n)
{
	struct found *f = arg;
	struct err e = {0};
	assert_true(f->n < COUNT(f->list));
	if (engine_parse_item(json, n, "app1", settings, f->podman, &f->list[f->n++], &e) < 0)
		fail_msg("%s", e.text);
}

static struct found
read_list(const char *name, bool podman)
{
	struct found f = {.podman = podman};
	struct json_split s;
	size_t n;
	char *text = read_data(name, &n);

	json_split_init(&s, true, 1 << 20, add_found, &f);
	assert_int_equal(json_split_feed(&s, text, n, NULL), 0);
	assert_true(json_split_is_whole(&s));
	json_split_finish(&s);
	free(text);
	return f;
}

/* What Docker's list and its inspect say of one container is the same. */
static void
test_docker(void **state)
{
	(void)state;
	struct found list = read_list("docker-list.json", false);
	char *text = read_data("docker-inspect.json", &(size_t){0});
	struct endpoint *e = inspect(text, false);

	assert_non_null(e);
	assert_int_equal(list.n, 2);
	assert_string_equal(e->engine, "app1");
	assert_string_equal(
		e->id, "2c8d10bb4b6c00853bf57c4b246a437449bf89d2d7b5faee20bcf30ed3756e88");
	assert_string_equal(e->name, "web1");
	assert_string_equal(e->run, "2026-11-21T11:15:42.71850683Z");
	assert_string_equal(e->network_mode, "default");
	assert_int_equal(e->created, 1795259742);
	assert_int_equal(e->stop_signal, 15);
	assert_int_equal(e->state, ENDPOINT_RUNNING);
	assert_int_equal(e->health, HEALTH_HEALTHY);
	assert_int_equal(e->nnetworks, 2);
	assert_string_equal(e->networks[0].name, "bridge");
	assert_string_equal(e->networks[0].ipv4, "172.17.0.2");
	assert_null(e->networks[0].ipv6);
	assert_int_equal(e->nports, 1);
	assert_int_equal(e->ports[0].port, 80);
	assert_int_equal(e->ports[0].published, 0);
	assert_string_equal(endpoint_label(e, "waymark.project"), "shop");
	assert_true(endpoint_lists_equal(e, list.list[1], false));
	assert_int_equal(list.list[1]->health, HEALTH_HEALTHY);
	assert_string_equal(list.list[1]->run, "");

	assert_int_equal(list.list[0]->nports, 2);
	assert_int_equal(list.list[0]->ports[1].published, 8099);
	assert_string_equal(list.list[0]->ports[0].published_ip, "0.0.0.0");
	assert_string_equal(list.list[0]->ports[1].published_ip, "::");
	assert_int_equal(list.list[0]->health, HEALTH_NONE);
	for (size_t i = 0; i < list.n; i++)
		endpoint_unref(list.list[i]);
	endpoint_unref(e);
	free(text);
}

static void
test_podman(void **state)
{
	(void)state;
	struct found list = read_list("podman-list.json", true);
	char *text = read_data("podman-inspect.json", &(size_t){0});
	struct endpoint *e = inspect(text, true);

	assert_non_null(e);
	assert_int_equal(list.n, 1);
	assert_int_equal(e->stop_signal, 3);
	assert_int_equal(e->health, HEALTH_STARTING);
	assert_int_equal(e->nports, 1);
	assert_string_equal(e->networks[1].ipv4, "10.88.0.3");
	assert_true(endpoint_lists_equal(e, list.list[0], true));
	assert_int_equal(list.list[0]->created, e->created);
	assert_int_equal(list.list[0]->health, HEALTH_UNKNOWN);
	assert_int_equal(list.list[0]->nports, 0);
	endpoint_unref(list.list[0]);
	endpoint_unref(e);
	free(text);
}

#define ITEM(rest) "{\"Id\":\"c1\",\"Names\":[\"/web\"],\"State\":\"running\"" rest "}"
#define INSPECT(rest) "{\"Id\":\"c1\",\"Name\":\"/web\",\"State\":{\"Running\":true" rest

/* Ports as both calls show them. */
static void
test_ports(void **state)
{
	(void)state;
	struct endpoint *a = item(
		ITEM(",\"Ports\":[{\"IP\":\"0.0.0.0\",\"PrivatePort\":80,\"PublicPort\":8080,"
		     "\"Type\":\"tcp\"},{\"IP\":\"::\",\"PrivatePort\":80,\"PublicPort\":8080,"
		     "\"Type\":\"tcp\"},{\"PrivatePort\":53,\"Type\":\"udp\"},{\"PrivatePort\":"
		     "443,\"Type\":\"tcp\"},{\"PrivatePort\":0},{\"PrivatePort\":65536},"
		     "{\"PrivatePort\":4294967376},{\"PrivatePort\":\"80\"},7,null]"),
		false);
	struct endpoint *b = inspect(
		INSPECT("},\"Config\":{\"ExposedPorts\":{\"9999/tcp\":{}}},\"NetworkSettings\":{"
			"\"Ports\":{\"443/tcp\":null,\"53/udp\":[],\"80/tcp\":[{\"HostIp\":\"::\","
			"\"HostPort\":\"8080\"},{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"}],"
			"\"0/tcp\":null,\"65536/tcp\":null,\"x/tcp\":null,\"-1/tcp\":null}}}"),
		false);
	assert_true(a && b);
	assert_int_equal(a->nports, 4);
	assert_true(endpoint_lists_equal(a, b, false));

	/* Podman: no address is every address, and exposed ports are in the configuration. */
	struct endpoint *c = inspect(
		INSPECT("},\"Config\":{\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{}}},"
			"\"NetworkSettings\":{\"Ports\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":"
			"\"9888\"}]}}}"),
		true);
	assert_non_null(c);
	assert_int_equal(c->nports, 2);
	assert_string_equal(c->ports[0].published_ip, "0.0.0.0");
	assert_int_equal(c->ports[1].port, 81);
	endpoint_unref(a);
	endpoint_unref(b);
	endpoint_unref(c);
}

static void
test_states(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		enum endpoint_state state;
		enum endpoint_health health;
	} items[] =
		{
			{"\"State\":\"running\",\"Status\":\"Up 1 second (health: starting)\"",
				ENDPOINT_RUNNING, HEALTH_STARTING},
			{"\"State\":\"running\",\"Status\":\"Up 1 second (unhealthy)\"",
				ENDPOINT_RUNNING, HEALTH_UNHEALTHY},
			{"\"State\":\"running\",\"Status\":\"Up 1 second\"", ENDPOINT_RUNNING,
				HEALTH_NONE},
			{"\"State\":\"paused\",\"Status\":\"Up 1 second (Paused)\"",
				ENDPOINT_PAUSED, HEALTH_UNKNOWN},
			{"\"State\":\"restarting\"", ENDPOINT_RESTARTING, HEALTH_UNKNOWN},
			{"\"State\":\"exited\"", ENDPOINT_STOPPED, HEALTH_UNKNOWN},
			{"\"Status\":\"Up\"", ENDPOINT_RUNNING, HEALTH_NONE},
		},
	  inspects[] = {
		  {"\"Running\":true", ENDPOINT_RUNNING, HEALTH_NONE},
		  {"\"Running\":true,\"Paused\":true", ENDPOINT_PAUSED, HEALTH_NONE},
		  {"\"Running\":true,\"Restarting\":true", ENDPOINT_RESTARTING, HEALTH_NONE},
		  {"\"Running\":false,\"Health\":{\"Status\":\"unhealthy\"}", ENDPOINT_STOPPED,
			  HEALTH_UNHEALTHY},
		  {"\"Running\":true,\"Health\":{\"Status\":\"none\"}", ENDPOINT_RUNNING,
			  HEALTH_NONE},
		  {"\"Running\":true,\"Health\":{\"Status\":\"\"}", ENDPOINT_RUNNING, HEALTH_NONE},
		  {"\"Running\":\"true\"", ENDPOINT_STOPPED, HEALTH_NONE},
	  };
	char text[256];
	for (size_t i = 0; i < COUNT(items); i++) {
		snprintf(text, sizeof(text), "{\"Id\":\"c1\",%s}", items[i].json);
		struct endpoint *e = item(text, false);
		assert_non_null(e);
		assert_int_equal(e->state, items[i].state);
		assert_int_equal(e->health, items[i].health);
		endpoint_unref(e);
	}
	for (size_t i = 0; i < COUNT(inspects); i++) {
		snprintf(text, sizeof(text), "{\"Id\":\"c1\",\"State\":{%s}}", inspects[i].json);
		struct endpoint *e = inspect(text, false);
		assert_non_null(e);
		assert_int_equal(e->state, inspects[i].state);
		assert_int_equal(e->health, inspects[i].health);
		endpoint_unref(e);
	}
}

static void
test_details(void **state)
{
	(void)state;
	struct endpoint *e = inspect(
		INSPECT(",\"StartedAt\":\"r1\"},\"Created\":\"2026-11-21T20:15:42.9+09:00\","
			"\"Config\":{\"StopSignal\":\"SIGRTMIN+3\",\"Labels\":{\"waymark.project\":"
			"\"caf\\u00e9 \xf0\x9f\x8e\x89\",\"waymark.hosts\":7,\"other\":\"x\","
			"\"waymark.port\":\"\"}},\"NetworkSettings\":{\"Networks\":{\"n\\u0031\":{"
			"\"IPAddress\":\"invalid IP\",\"GlobalIPv6Address\":\"FD00:0::2\"},\"n0\":{"
			"\"IPAddress\":\"0.0.0.0\"},\"n2\":null}}}"),
		false);
	assert_non_null(e);
	assert_int_equal(e->created, 1795259742);
	assert_int_equal(e->stop_signal, 37);
	assert_int_equal(e->nlabels, 2);
	assert_string_equal(endpoint_label(e, "waymark.project"), "caf\xc3\xa9 \xf0\x9f\x8e\x89");
	assert_string_equal(endpoint_label(e, "waymark.port"), "");
	assert_int_equal(e->nnetworks, 2);
	assert_null(e->networks[0].ipv4);
	assert_string_equal(e->networks[1].name, "n1");
	assert_null(e->networks[1].ipv4);
	assert_string_equal(e->networks[1].ipv6, "fd00::2");
	endpoint_unref(e);

	/* Names: links add those with two slashes; one that is missing is the beginning of the id.
	 */
	e = item("{\"Id\":\"0123456789abcdef\",\"Names\":[\"/other/alias\",\"/web\"]}", false);
	assert_string_equal(e->name, "web");
	endpoint_unref(e);
	e = item("{\"Id\":\"0123456789abcdef\",\"Names\":[]}", false);
	assert_string_equal(e->name, "0123456789ab");
	endpoint_unref(e);
}

static void
test_created(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-02T00:00:01.999999999Z", 86401},
		{"2000-02-29T12:00:00Z", 951825600},
		{"2000-03-01T00:00:00Z", 951868800},
		{"2100-03-01T00:00:00Z", 4107542400},
		{"2024-12-31T23:59:59-01:30", 1735694999},
		{"0001-01-01T00:00:00Z", -62135596800},
		{"yesterday", 0},
		{"2024-13-01T00:00:00Z", 0},
	};
	char text[128];
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "{\"Id\":\"c1\",\"State\":{},\"Created\":\"%s\"}",
			cases[i].text);
		struct endpoint *e = inspect(text, false);
		assert_non_null(e);
		assert_int_equal(e->created, cases[i].seconds);
		endpoint_unref(e);
	}
}

static void
test_signal(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int number;
	} cases[] = {{"SIGTERM", 15}, {"TERM", 15}, {"sigquit", 3}, {"15", 15}, {"9", 9},
		{"64", 64}, {"RTMIN", 34}, {"SIGRTMIN+3", 37}, {"SIGRTMAX-1", 63}, {"SIGRTMAX", 64},
		{"", 0}, {"0", 0}, {"65", 0}, {"-1", 0}, {"SIG", 0}, {"SIG15", 0}, {"15 ", 0},
		{"RTMIN-1", 0}, {"RTMIN+31", 0}, {"RTMAX-31", 0}, {"WINCH", 28},
		{"99999999999", 0}};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(engine_parse_signal(cases[i].text), cases[i].number);
}

static void
test_ids(void **state)
{
	(void)state;
	static const char *const good[] = {"c1", "0123456789abcdef", "a_b.c-d"};
	static const char *const bad[] = {
		"", ".", "..", "a/b", "a b", "a\n", "%2e", "caf\xc3\xa9", "a?b", "a#b"};
	char text[ENGINE_ID_MAX + 2] = "";

	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(engine_parse_is_id(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(engine_parse_is_id(bad[i]));
	memset(text, 'a', ENGINE_ID_MAX);
	assert_true(engine_parse_is_id(text));
	text[ENGINE_ID_MAX] = 'a';
	assert_false(engine_parse_is_id(text));
}

/* Nothing crashes, and nothing without an id is a container. */
static void
test_hostile(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "{", "}", "{}", "[]", "null", "\"", "{\"Id\":1}",
		"{\"Id\":\"\"}", "{\"Id\":\"a/b\"}", "{\"Id\":\"a\\u0000b\"}", "{\"Id\":\"\xff\"}",
		"{\"Id\":\"c1\"", "{\"Id\" \"c1\"}", "{\"Id\":}", "{:\"c1\"}", "{\"Id\":\"c1}",
		"{\"Id\":\"c1\\", "{\"Id\":{\"Id\":\"c1\"}}", "{,\"Id\":\"c1\"}", "   "};
	static const char *const odd[] = {
		"{\"Id\":\"c1\",\"State\":{},\"Names\":7,\"Created\":\"x\","
		"\"Ports\":{},\"Labels\":[],\"NetworkSettings\":[1]}",
		"{\"Id\":\"c1\",\"State\":{\"Health\":[]},\"Names\":[[]],\"Ports\":[[[]]],"
		"\"Labels\":{\"waymark.project\":{}},\"NetworkSettings\":{\"Networks\":{\"\":{}}}}",
		"{\"Id\":\"c1\",\"State\":{},\"Names\":[\"\xff\"],\"Labels\":{\"waymark.project\":"
		"\"\xc3\x28\",\"\xff\":\"x\",\"waymark.port\":\"\\ud800\"},\"HostConfig\":7,"
		"\"NetworkSettings\":{\"Networks\":{\"\xff\":{}},\"Ports\":[]},\"Config\":\"\"}",
		"{\"Id\":\"x\",\"Id\":\"c1\",\"State\":{},\"Created\":-1,\"Names\":[\"//\",\"/\"]}",
		"{\"Id\":\"c1\",\"State\":{},\"Created\":99999999999999999999,\"Status\":7}"};

	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_null(item(texts[i], false));
		assert_null(inspect(texts[i], true));
	}
	for (size_t i = 0; i < COUNT(odd); i++) {
		struct endpoint *a = item(odd[i], i % 2), *b = inspect(odd[i], i % 2);
		assert_true(a && b);
		assert_string_equal(a->id, "c1");
		assert_int_equal(a->nlabels + b->nlabels + a->nports + b->nports, 0);
		endpoint_unref(a);
		endpoint_unref(b);
	}
	assert_null(inspect("{\"Id\":\"c1\"}", false)); /* no state is not a stopped one */
}

static void
test_depth(void **state)
{
	(void)state;
	struct buf b = {0};
	struct endpoint *e;

	buf_adds(&b, "{\"X\":");
	for (int i = 0; i < 100000; i++)
		buf_adds(&b, "[");
	size_t n = b.n;
	assert_null(item(b.p, false));
	for (int i = 0; i < 100000; i++)
		buf_adds(&b, "]");
	buf_adds(&b, ",\"Id\":\"c1\"}");
	e = item(b.p, false);
	assert_non_null(e);
	endpoint_unref(e);
	/* Every beginning of it. */
	for (size_t i = n; i < b.n; i += 997)
		assert_int_not_equal(
			engine_parse_item(b.p, i, "app1", settings, false, &e, NULL), 0);
	buf_finish(&b);
}

/* Of a real inspect, each beginning and each damaged byte. */
static void
test_damage(void **state)
{
	(void)state;
	static const char *const names[] = {
		"docker-inspect.json", "podman-inspect.json", "docker-events.jsonl"};
	struct engine_event ev;
	struct endpoint *e;

	for (size_t f = 0; f < COUNT(names); f++) {
		size_t n;
		char *text = read_data(names[f], &n);
		for (size_t i = 0; i < n; i++) {
			char *copy = malloc(i + 1);
			memcpy(copy, text, i);
			if (!engine_parse_inspect(copy, i, "app1", settings, f, &e, NULL))
				endpoint_unref(e);
			engine_parse_event(copy, i, &ev, NULL);
			free(copy);
			char was = text[i];
			text[i] = "\0\"\\{}[],:\xff"[i % 10];
			if (!engine_parse_inspect(text, n, "app1", settings, f, &e, NULL))
				endpoint_unref(e);
			if (!engine_parse_item(text, n, "app1", settings, f, &e, NULL))
				endpoint_unref(e);
			text[i] = was;
		}
		free(text);
	}
}

static struct engine_event
event(const char *text)
{
	struct engine_event ev;
	assert_int_equal(engine_parse_event(text, strlen(text), &ev, NULL), 0);
	return ev;
}

static void
test_events(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		enum engine_event_kind kind;
		const char *container;
		int signal;
		bool started, guessed;
	} cases[] = {
		{"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"c1\"}}",
			EVENT_CONTAINER, "c1", 0, true, false},
		{"{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"c1\"}}",
			EVENT_CONTAINER, "c1", 0, false, false},
		{"{\"Type\":\"container\",\"Action\":\"remove\",\"Actor\":{\"ID\":\"c1\"}}",
			EVENT_CONTAINER, "c1", 0, false, false},
		{"{\"Type\":\"container\",\"Action\":\"health_status: healthy\",\"Actor\":{\"ID\":"
		 "\"c1\"}}",
			EVENT_CONTAINER, "c1", 0, false, false},
		{"{\"Type\":\"container\",\"Action\":\"kill\",\"Actor\":{\"ID\":\"c1\","
		 "\"Attributes\":{\"signal\":\"15\"}}}",
			EVENT_KILL, "c1", 15, false, false},
		{"{\"Type\":\"container\",\"Action\":\"kill\",\"Actor\":{\"ID\":\"c1\","
		 "\"Attributes\":{\"signal\":\"SIGQUIT\"}}}",
			EVENT_KILL, "c1", 3, false, false},
		{"{\"Type\":\"container\",\"Action\":\"kill\",\"Actor\":{\"ID\":\"c1\"}}",
			EVENT_KILL, "c1", 0, false, false},
		{"{\"Type\":\"container\",\"Action\":\"exec_die\",\"Actor\":{\"ID\":\"c1\"}}",
			EVENT_OTHER, "", 0, false, false},
		{"{\"Type\":\"container\",\"Action\":\"exec_start: sh -c die\",\"Actor\":{\"ID\":"
		 "\"c1\"}}",
			EVENT_OTHER, "", 0, false, false},
		{"{\"Type\":\"container\",\"Action\":\"levitate\",\"Actor\":{\"ID\":\"c1\"}}",
			EVENT_OTHER, "", 0, false, false},
		{"{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"a/b\"}}",
			EVENT_GAP, NULL, 0, false, false},
		{"{\"Type\":\"container\",\"Action\":\"die\"}", EVENT_GAP, NULL, 0, false, false},
		{"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"n1\","
		 "\"Attributes\":{\"container\":\"c1\"}}}",
			EVENT_CONTAINER, "c1", 0, false, false},
		{"{\"Type\":\"network\",\"Action\":\"disconnect\",\"Actor\":{\"ID\":\"c1\","
		 "\"Attributes\":{\"name\":\"web\"}}}",
			EVENT_CONTAINER, "c1", 0, false, true},
		{"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"\","
		 "\"Attributes\":{\"name\":\"web\"}}}",
			EVENT_CONTAINER, "web", 0, false, true},
		{"{\"Type\":\"network\",\"Action\":\"connect\"}", EVENT_GAP, NULL, 0, false, true},
		{"{\"Type\":\"network\",\"Action\":\"destroy\",\"Actor\":{\"ID\":\"n1\"}}",
			EVENT_OTHER, "", 0, false, false},
		{"{\"Type\":\"image\",\"Action\":\"remove\"}", EVENT_OTHER, "", 0, false, false},
		{"{}", EVENT_OTHER, "", 0, false, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct engine_event ev = event(cases[i].json);
		assert_int_equal(ev.kind, cases[i].kind);
		if (cases[i].container)
			assert_string_equal(ev.container, cases[i].container);
		assert_int_equal(ev.signal, cases[i].signal);
		assert_int_equal(ev.started, cases[i].started);
		assert_int_equal(ev.guessed, cases[i].guessed);
	}
	struct engine_event ev;
	assert_int_not_equal(engine_parse_event("[]", 2, &ev, NULL), 0);
	assert_int_not_equal(engine_parse_event("{", 1, &ev, NULL), 0);
}

static void
count_event(void *arg, const char *json, size_t n)
{
	size_t *counts = arg;
	struct engine_event ev;
	assert_int_equal(engine_parse_event(json, n, &ev, NULL), 0);
	counts[ev.kind]++;
}

/* What the engines really sent. */
static void
test_captured_events(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t counts[4];
	} cases[] = {
		{"docker-events.jsonl", {12, 19, 3, 0}}, {"podman-events.jsonl", {0, 8, 1, 0}}};

	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n, counts[4] = {0};
		char *text = read_data(cases[i].name, &n);
		struct json_split s;
		json_split_init(&s, false, 1 << 20, count_event, counts);
		assert_int_equal(json_split_feed(&s, text, n, NULL), 0);
		json_split_finish(&s);
		free(text);
		assert_memory_equal(counts, cases[i].counts, sizeof(counts));
	}
}

static void
assert_version(const char *json, const char *api)
{
	struct engine_version v;
	int r = engine_parse_version(json, strlen(json), &v, NULL);
	if (!api) {
		assert_int_not_equal(r, 0);
		return;
	}
	assert_int_equal(r, 0);
	assert_string_equal(v.api, api);
}

static void
test_version(void **state)
{
	(void)state;
	struct engine_version v;
	size_t n;
	char *text = read_data("docker-version.json", &n);
	assert_int_equal(engine_parse_version(text, n, &v, NULL), 0);
	assert_string_equal(v.api, "1.41");
	assert_false(v.podman);
	free(text);
	text = read_data("podman-version.json", &n);
	assert_int_equal(engine_parse_version(text, n, &v, NULL), 0);
	assert_string_equal(v.api, "1.41");
	assert_string_equal(v.version, "4.3.1");
	assert_true(v.podman);
	free(text);

	assert_version("{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}", "1.52");
	assert_version("{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.44\"}", "1.52");
	assert_version("{\"ApiVersion\":\"2.3\"}", "1.52");
	assert_version("{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.55\"}", "1.55");
	assert_version("{\"ApiVersion\":\"1.9\"}", "1.9");
	assert_version("{\"ApiVersion\":\"1.41/../x\"}", NULL);
	assert_version("{\"ApiVersion\":\"1.-4\"}", NULL);
	assert_version("{\"ApiVersion\":1.41}", NULL);
	assert_version("{}", NULL);
	assert_version("", NULL);
	assert_version("null", NULL);
	assert_version("<html>", NULL);
}

static void
test_getters(void **state)
{
	(void)state;
	static const char text[] = "{\"s\":\"x\",\"i\":-5,\"b\":true,\"o\":{},\"a\":[]}";
	json_t *v = json_read(text, sizeof(text) - 1);

	assert_string_equal(json_get_string(v, "s"), "x");
	assert_null(json_get_string(v, "i"));
	assert_null(json_get_string(NULL, "s"));
	assert_int_equal(json_get_int(v, "i", 7), -5);
	assert_int_equal(json_get_int(v, "s", 7), 7);
	assert_true(json_get_bool(v, "b"));
	assert_false(json_get_bool(v, "s"));
	assert_non_null(json_get_object(v, "o"));
	assert_null(json_get_object(v, "a"));
	assert_non_null(json_get_array(v, "a"));
	assert_null(json_get_array(v, "none"));
	json_decref(v);
	assert_null(json_read("{} {}", 5));
	assert_null(json_read("{", 1));
}

static void
test_spans(void **state)
{
	(void)state;
	static const char text[] = " {\"a\":\"x\\n\", \"b\" : [1, {\"c\":2}] ,\"n\":-12,\"t\":true,"
				   "\"a\":\"y\",\"f\":1.5,\"big\":12345678901234567890} tail";
	struct json_span o = json_span_of(text, sizeof(text) - 1), at = {0}, key, value;
	struct arena a = {0};
	char small[2];
	int n = 0;

	assert_string_equal(json_span_string(json_span_member(o, "a"), &a), "y");
	assert_true(json_span_copy(json_span_member(o, "a"), small, sizeof(small)));
	assert_false(json_span_copy(json_span_member(o, "a"), small, 1));
	assert_int_equal(json_span_int(json_span_member(o, "n"), 7), -12);
	assert_int_equal(json_span_int(json_span_member(o, "f"), 7), 7);
	assert_int_equal(json_span_int(json_span_member(o, "big"), 7), 7);
	assert_int_equal(json_span_int(json_span_member(o, "none"), 7), 7);
	assert_true(json_span_is_true(json_span_member(o, "t")));
	assert_false(json_span_is_true(json_span_member(o, "n")));
	assert_null(json_span_string(json_span_member(o, "n"), &a));
	while (json_span_next(json_span_member(o, "b"), &at, &key, &value))
		n++;
	assert_int_equal(n, 2);
	assert_false(json_span_is_object(json_span_member(o, "b")));
	at = (struct json_span){0};
	assert_true(json_span_next(o, &at, &key, &value));
	assert_string_equal(json_span_string(value, &a), "x\n");
	arena_finish(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docker),
		cmocka_unit_test(test_podman),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_created),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_captured_events),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_spans),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
