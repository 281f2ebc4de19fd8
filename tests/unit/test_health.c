/* Stories of health: what says that a container is ready, and what is said where it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/model/convention.h"
#include "tests/unit/world.h"

static const struct renderer *const renderers[PLAN_OUTPUTS] = {&traefik_renderer};

struct stage {
	struct settings *settings, *later;
	struct ledger *ledger;
	struct planner *planner;
	uint64_t now_ms;
	struct buf text;
};

static struct settings *
settings_make(void)
{
	struct settings *s = settings_create();

	s->base_domain = "test";
	s->registry.directory = "/registry";
	return s;
}

static int
set_up(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	s->settings = settings_make();
	s->later = settings_make();
	s->ledger = ledger_create();
	s->planner = planner_create(s->settings, s->ledger, renderers);
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	struct stage *s = *state;

	planner_destroy(s->planner);
	ledger_destroy(s->ledger);
	settings_destroy(s->settings);
	settings_destroy(s->later);
	buf_finish(&s->text);
	free(s);
	return 0;
}

static const char *
look(struct stage *s)
{
	struct snapshot *now = planner_step(s->planner, ++s->now_ms);

	buf_reset(&s->text);
	buf_adds(&s->text, "");
	world_print(now, &s->text);
	return s->text.p;
}

static void
has(struct stage *s, const char *wanted)
{
	const char *text = look(s);
	if (!strstr(text, wanted))
		fail_msg("no '%s' in:\n%s", wanted, text);
}

static void
has_not(struct stage *s, const char *unwanted)
{
	const char *text = look(s);
	if (strstr(text, unwanted))
		fail_msg("'%s' in:\n%s", unwanted, text);
}

/* The registry says of the environment production of shop … */
static void
says(struct stage *s, const struct registered_environment *e)
{
	struct registered_project *p =
		registered_project_create("registry.directory", "ssot.json", "shop");
	struct registered_environment *copy = ARENA_NEW(&p->arena, struct registered_environment);

	*copy = *e;
	copy->name = "production";
	p->environments = copy;
	p->nenvironments = 1;
	planner_put_project(s->planner, p);
	registered_project_unref(p);
}

#define SAYS(s, ...) says((s), &(struct registered_environment){__VA_ARGS__})

static const struct probe_target *
target(struct stage *s)
{
	static struct probe_target t;
	planner_reread(s->planner, s->now_ms, NULL, NULL);
	return planner_probe_target(s->planner, "app1", "a", &t) ? &t : NULL;
}

static void
found(struct stage *s, enum readiness ready, unsigned why)
{
	planner_set_why(s->planner, "app1", "a", why);
	planner_set_ready(s->planner, "app1", "a", ready);
}

#define SERVES "+http://172.17.0.9:80:serving"
#define STARTS "-http://172.17.0.9:80:starting"

static void
a_label_counts_instead_of_the_engines_check(void **state)
{
	struct stage *s = *state;
	for (enum endpoint_health h = HEALTH_NONE; h <= HEALTH_UNKNOWN; h++) {
		BOX(s->planner, .id = "a", .run = "1", .health = h,
			.labels = {"waymark.project", "shop", "waymark.health.path", "/up/"});
		assert_non_null(target(s));
		assert_string_equal(target(s)->path, "/up");
		assert_false(target(s)->missing_counts);
		found(s, READY_YES, 0);
		has(s, SERVES);
		has_not(s, "! ");
		found(s, READY_NO, 500);
		has(s, STARTS);
		has(s, "! not-ready: container a on app1: -: GET http://172.17.0.9:80/up gives "
		       "500; see the container's log; it gets traffic when that answers with 2xx "
		       "or 3xx\n");
		has_not(s, "! unhealthy");
	}
}

static void
a_path_is_asked_for_where_connections_are_not_tried(void **state)
{
	struct stage *s = *state;
	s->settings->probe = false;
	BOX(s->planner, .id = "a", .labels = {"waymark.project", "shop"});
	assert_null(target(s));
	has(s, SERVES);
	BOX(s->planner, .id = "a",
		.labels = {"waymark.project", "shop", "waymark.health.path", "/"});
	assert_string_equal(target(s)->path, "/");
}

static void
health_none_wins(void **state)
{
	struct stage *s = *state;
	SAYS(s, .health_path = "/health");
	BOX(s->planner, .id = "a", .health = HEALTH_UNHEALTHY,
		.labels = {"waymark.project", "shop", "waymark.health", "none",
			"waymark.health.path", "/up"});
	assert_null(target(s));
	has(s, SERVES);
}

static void
label_registry_convention(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .labels = {"codeb.project", "shop"});
	assert_string_equal(target(s)->path, "/api/health");
	assert_true(target(s)->missing_counts);

	SAYS(s, .health_path = "", .health_interval_ms = 700, .health_timeout_ms = 70,
		.health_rise = 7, .health_fall = 8);
	assert_string_equal(target(s)->path, "/");
	assert_false(target(s)->missing_counts);
	assert_int_equal(target(s)->interval_ms, 700);
	assert_int_equal(target(s)->timeout_ms, 70);
	assert_int_equal(target(s)->rise, 7);
	assert_int_equal(target(s)->fall, 8);

	BOX(s->planner, .id = "a",
		.labels = {"codeb.project", "shop", "waymark.health.path", "/x"});
	assert_string_equal(target(s)->path, "/x");
	assert_false(target(s)->missing_counts);
	assert_int_equal(target(s)->interval_ms, 0);
}

/* What a convention takes for granted is less than what the image's maker wrote. */
static void
a_guess_counts_less_than_the_engines_check(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .health = HEALTH_UNHEALTHY, .labels = {"codeb.project", "shop"});
	assert_null(target(s));
	has(s, "! unhealthy");
	BOX(s->planner, .id = "a", .health = HEALTH_NONE, .labels = {"codeb.project", "shop"});
	assert_non_null(target(s));
	found(s, READY_NO, WHY_REFUSED);
	has(s, "GET http://172.17.0.9:3000/api/health cannot be asked: the connection is refused; "
	       "see the container's log; it gets traffic when that answers with 2xx, 3xx or 404");
}

static void
a_bad_path_is_none(void **state)
{
	static const char *const bad[] = {"health", "/a b", "/a?b=1", "/../x", "/a\r\nX: y", "//"};
	struct stage *s = *state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY,
			.labels = {"waymark.project", "shop", "waymark.health.path", bad[i]});
		assert_null(target(s));
		has(s, "! label-invalid: container a on app1: label waymark.health.path: ");
		has(s, SERVES);
	}
	SAYS(s, .health_path = "/health");
	assert_string_equal(target(s)->path, "/health");
}

/* Certificates of containers are their own, and h2c is HTTP/2. */
static void
only_plain_http_is_spoken(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a",
		.labels = {"waymark.project", "shop", "waymark.scheme", "https",
			"waymark.health.path", "/up"});
	assert_null(target(s)->path);
	has(s, "! label-invalid: container a on app1: label waymark.health.path: the health path "
	       "https://172.17.0.9:80/up is not asked for");
	SAYS(s, .health_path = "/health");
	BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "shop", "waymark.scheme", "h2c"});
	assert_null(target(s));
	has(s, "! registry-impaired: container a on app1: -: the health path "
	       "h2c://172.17.0.9:80/health is not asked for");
	BOX(s->planner, .id = "a", .labels = {"codeb.project", "shop", "waymark.scheme", "h2c"});
	SAYS(s, .port = 0);
	assert_null(target(s)->path);
	has_not(s, "! label-invalid");
	has_not(s, "! registry-impaired");
}

/* Nothing leaves its route because somebody wrote a path, or took it away. */
static void
what_serves_goes_on_when_the_path_changes(void **state)
{
	struct stage *s = *state;
	SAYS(s, .health_path = NULL);
	BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY, .labels = {"waymark.project", "shop"});
	has(s, SERVES);
	SAYS(s, .health_path = "/one");
	assert_true(target(s)->ready_before);
	has(s, SERVES);
	SAYS(s, .health_path = "/two");
	assert_true(target(s)->ready_before);
	has(s, SERVES);
	found(s, READY_NO, 503);
	has(s, STARTS);
	SAYS(s, .health_path = "/three");
	assert_false(target(s)->ready_before);
	has(s, STARTS);
	/* What the engine says counts again, and then is the word that it serves on. */
	SAYS(s, .health_path = NULL);
	has(s, SERVES);
	SAYS(s, .health_path = "/four");
	assert_true(target(s)->ready_before);
	has(s, SERVES);
	/* Another run is another matter. */
	BOX(s->planner, .id = "a", .run = "1", .labels = {"waymark.project", "shop"});
	BOX(s->planner, .id = "a", .run = "2", .labels = {"waymark.project", "shop"});
	assert_false(target(s)->ready_before);
	has(s, STARTS);
}

static void
what_serves_goes_on_when_the_settings_change(void **state)
{
	struct stage *s = *state;
	s->settings->probe = false;
	BOX(s->planner, .id = "a", .labels = {"waymark.project", "shop"});
	has(s, SERVES);
	planner_set_settings(s->planner, s->later);
	assert_true(target(s)->ready_before);
	has(s, SERVES);
	planner_set_settings(s->planner, s->settings);
	BOX(s->planner, .id = "a",
		.labels = {"waymark.project", "shop", "waymark.health.path", "/up"});
	found(s, READY_YES, 0);
	planner_set_settings(s->planner, s->later);
	assert_true(target(s)->ready_before);
	has(s, SERVES);
}

static void
the_reason_is_said(void **state)
{
	static const struct {
		unsigned why;
		const char *text;
	} reasons[] = {
		{WHY_UNKNOWN, "/up does not answer with 2xx or 3xx"},
		{WHY_REFUSED, "/up cannot be asked: the connection is refused"},
		{WHY_CLOSED, "/up does not answer: the connection is cut"},
		{WHY_LATE, "/up does not answer in time"},
		{WHY_GARBAGE, "/up does not answer in HTTP/1"},
		{404, "/up gives 404"},
	};
	struct stage *s = *state;
	BOX(s->planner, .id = "a",
		.labels = {"waymark.project", "shop", "waymark.health.path", "/up"});
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		found(s, READY_NO, reasons[i].why);
		has(s, reasons[i].text);
	}
	found(s, READY_CANNOT_TELL, 0);
	has(s, SERVES);
	has(s, "! unreachable: container a on app1: -: http://172.17.0.9:80 cannot be reached from "
	       "here; join Waymark to that network, or set the label waymark.health=none");
}

int
main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest stories[] = {
		STORY(a_label_counts_instead_of_the_engines_check),
		STORY(a_path_is_asked_for_where_connections_are_not_tried),
		STORY(health_none_wins),
		STORY(label_registry_convention),
		STORY(a_guess_counts_less_than_the_engines_check),
		STORY(a_bad_path_is_none),
		STORY(only_plain_http_is_spoken),
		STORY(what_serves_goes_on_when_the_path_changes),
		STORY(what_serves_goes_on_when_the_settings_change),
		STORY(the_reason_is_said),
	};
	return cmocka_run_group_tests(stories, NULL, NULL);
}
