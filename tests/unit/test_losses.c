/* What `waymark wait` rests on: since which snapshot something serves, or does not any more. */
#include "reconciler/model/losses.h"

#include <stdio.h>

#include "reconciler/model/nameset.h"
#include "tests/unit/stage.h"

#define HOST "shop.test"
#define ID_OLD "0123456789abcdef0123456789abcdef"
#define ID_NEW "fedcba9876543210fedcba9876543210"

static void
box_of(struct stage *s, const char *project, const char *id, const char *name,
	enum endpoint_health health)
{
	const struct box b = {.id = id,
		.name = name,
		.ip = strcmp(id, ID_OLD) ? "172.17.0.3" : "172.17.0.2",
		.health = health,
		.labels = {"waymark.project", project}};
	box_put(s->planner, &b);
}

/* A step; the snapshot's revision. */
static uint64_t
step(struct stage *s, uint64_t now_ms)
{
	return planner_step(s->planner, now_ms)->revision;
}

static const struct project_plan *
shop(struct stage *s)
{
	const struct project_plan *p = snapshot_find(planner_snapshot(s->planner), "shop");
	assert_non_null(p);
	return p;
}

static uint64_t
lost(struct stage *s, const char *text)
{
	return planner_lost_revision(s->planner, text);
}

/* Another container of the project comes and goes, or fails without having served. */
static void
neighbours_change_nothing(void **state)
{
	struct stage *s = *state;
	uint64_t first, now = 1000;

	box_of(s, "shop", ID_OLD, "old", HEALTH_HEALTHY);
	first = step(s, now);
	assert_int_equal(shop(s)->served_revision, first);
	for (int i = 0; i < 10; i++) {
		box_of(s, "shop", ID_NEW, "new", i % 2 ? HEALTH_STARTING : HEALTH_UNHEALTHY);
		box_of(s, "blog", "blog", "blog", i % 2 ? HEALTH_HEALTHY : HEALTH_UNHEALTHY);
		step(s, ++now);
	}
	assert_true(shop(s)->revision > first + 5);
	assert_int_equal(shop(s)->served_revision, first);
	assert_int_equal(lost(s, "old"), 0);

	box_of(s, "shop", ID_NEW, "new", HEALTH_HEALTHY);
	first = step(s, ++now);
	assert_int_equal(shop(s)->served_revision, first);
}

static void
who_is_replaced_is_lost(void **state)
{
	struct stage *s = *state;
	uint64_t when;

	box_of(s, "shop", ID_OLD, "old", HEALTH_HEALTHY);
	box_of(s, "shop", ID_NEW, "new", HEALTH_HEALTHY);
	step(s, 1000);
	box_of(s, "shop", ID_OLD, "old", HEALTH_UNHEALTHY);
	when = step(s, 1001);
	assert_int_equal(shop(s)->served_revision, when);
	planner_remove(s->planner, "app1", ID_OLD);
	step(s, 1002);

	assert_int_equal(lost(s, "old"), when);
	assert_int_equal(lost(s, ID_OLD), when);
	assert_int_equal(lost(s, "0123456789ab"), when);
	assert_int_equal(lost(s, "0123456789ac"), 0);
	assert_int_equal(lost(s, "new"), 0);
	assert_int_equal(lost(s, HOST), 0);
}

/* A host that is gone went in one snapshot, whatever changes afterwards. */
static void
a_host_that_ended_ended_once(void **state)
{
	struct stage *s = *state;
	uint64_t when, now = 1000;

	box_of(s, "shop", ID_OLD, "old", HEALTH_HEALTHY);
	step(s, now);
	planner_remove(s->planner, "app1", ID_OLD);
	step(s, ++now);
	for (when = 0; snapshot_find(planner_snapshot(s->planner), "shop"); when = step(s, now))
		now = planner_due_ms(s->planner);
	for (int i = 0; i < 10; i++) {
		box_of(s, "blog", "blog", "blog", i % 2 ? HEALTH_HEALTHY : HEALTH_UNHEALTHY);
		step(s, ++now);
	}
	assert_int_equal(lost(s, HOST), when);
	assert_true(lost(s, "old") && lost(s, "old") < when);
}

static void
what_is_forgotten_is_taken_for_younger(void **state)
{
	static struct losses l;
	(void)state;

	for (uint64_t i = 1; i <= LOSSES + 10; i++) {
		char host[32];
		snprintf(host, sizeof(host), "h%llu.test", (unsigned long long)i);
		const struct route route = {.host = host, .path = ""};
		const struct project_plan last = {.nroutes = 1, .routes = &route};
		losses_note(&l, &last, NULL, i);
	}
	assert_int_equal(losses_revision(&l, "h1034.test"), 1034);
	assert_int_equal(losses_revision(&l, "h11.test"), 11);
	assert_int_equal(losses_revision(&l, "h10.test"), 10);
	assert_int_equal(losses_revision(&l, "h1.test"), 10);
	assert_int_equal(losses_revision(&l, "never.test"), 10);
}

/* One path of a host moves, and a container that serves another one stays. */
static void
paths_are_told_apart(void **state)
{
	static struct losses l;
	const struct server server = {.container = "c", .container_id = "c", .routed = true};
	const struct route both[] = {
		{.host = "a.test", .path = "/api", .nservers = 1, .servers = &server, .nrouted = 1},
		{.host = "a.test", .path = "", .nservers = 1, .servers = &server, .nrouted = 1},
	};
	const struct project_plan last = {.nroutes = 2, .routes = both};
	const struct project_plan next = {.nroutes = 1, .routes = &both[1]};
	(void)state;

	losses_note(&l, &last, &last, 1);
	assert_int_equal(l.n, 0);
	losses_note(&l, &last, &next, 2);
	assert_int_equal(losses_revision(&l, "c"), 2);
	assert_int_equal(losses_revision(&l, "a.test"), 0);
	assert_false(project_plan_serves_equal(&last, &next));
}

/* What is in a chunk is found, and most of what is not is not. */
static void
chunks_are_passed_over(void **state)
{
	struct stage *s = *state;
	unsigned found = 0;

	box_of(s, "shop", ID_OLD, "old", HEALTH_HEALTHY);
	step(s, 1000);
	struct snapshot_chunk *c = planner_snapshot(s->planner)->chunks[0];
	assert_true(snapshot_chunk_may_name(c, HOST));
	assert_true(snapshot_chunk_may_name(c, "old"));
	assert_true(snapshot_chunk_may_name(c, ID_OLD));
	assert_true(snapshot_chunk_may_name(c, "0123456789ab"));
	for (unsigned i = 0; i < 1000; i++) {
		char text[32];
		snprintf(text, sizeof(text), "h%u.test", i);
		found += snapshot_chunk_may_name(c, text);
	}
	assert_true(found < 10);
}

#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(neighbours_change_nothing),
		STORY(who_is_replaced_is_lost),
		STORY(a_host_that_ended_ended_once),
		cmocka_unit_test(what_is_forgotten_is_taken_for_younger),
		cmocka_unit_test(paths_are_told_apart),
		STORY(chunks_are_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
