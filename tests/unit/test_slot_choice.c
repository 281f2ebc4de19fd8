/* Stories of slots: which one serves, when it falls back, when its grace is over, who gets a share.
 */
#include "tests/unit/stage.h"

#define DAY (UINT64_C(24) * 3600 * 1000)

static void
box_of(struct stage *s, const char *slot, const char *ip, enum endpoint_health health)
{
	const struct box b = {.id = slot,
		.name = slot,
		.ip = ip,
		.health = health,
		.labels = {"waymark.project", "shop", "waymark.slot", slot}};
	box_put(s->planner, &b);
}

static void
blue(struct stage *s, enum endpoint_health health)
{
	box_of(s, "blue", "172.17.0.2", health);
}

static void
green(struct stage *s, enum endpoint_health health)
{
	box_of(s, "green", "172.17.0.3", health);
}

/* Production with both slots; `active` is named where it is not NULL. */
static void
slots(struct stage *s, const char *active, struct registered_slot b, struct registered_slot g)
{
	b.name = "blue";
	g.name = "green";
	ENTRY(s, .name = "shop",
		.environment = {.name = "production", .slots = true, .active = active},
		.slots = {b, g});
}

#define SLOT(...) ((struct registered_slot){__VA_ARGS__})
#define SERVES(slot) "shop.test production shop/production// slot=" slot " held=0 +http"

static const struct plan_slot *
slot_at(struct stage *s, uint64_t now_ms, const char *slot)
{
	look(s, now_ms);
	const struct project_plan *p = snapshot_find(planner_snapshot(s->planner), "shop");
	for (size_t i = 0; p && i < p->nslots; i++)
		if (strcmp(p->slots[i].slot, slot) == 0)
			return &p->slots[i];
	fail_msg("no slot %s", slot);
	return NULL;
}

static const struct route *
route_at(struct stage *s, uint64_t now_ms, const char *host)
{
	look(s, now_ms);
	const struct project_plan *p = snapshot_find(planner_snapshot(s->planner), "shop");
	for (size_t i = 0; p && i < p->nroutes; i++)
		if (strcmp(p->routes[i].host, host) == 0)
			return &p->routes[i];
	fail_msg("no route %s", host);
	return NULL;
}

static void
in_grace(struct stage *s)
{
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE, .since_ms = 500),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY));
	blue(s, HEALTH_HEALTHY);
	green(s, HEALTH_HEALTHY);
	has(s, 1000, SERVES("blue"));
}

static void
without_leave_nothing_falls_back(void **state)
{
	struct stage *s = *state;
	in_grace(s);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, "shop.test production shop/production// slot=blue held=0 -http");
	assert_int_equal(route_at(s, 2000, "shop.test")->answer, ANSWER_STARTING);
}

static void
it_falls_back_and_stays_until_a_promote(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_ROUTE;
	in_grace(s);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, SERVES("green"));
	has(s, 2000,
		"! slot-fallback: project 'shop', environment production: -: slot blue is "
		"active and lost all its containers; slot green serves instead");
	assert_true(slot_at(s, 2000, "green")->fallback);
	blue(s, HEALTH_HEALTHY);
	has(s, 3000, SERVES("green"));
	/* The registry says the same, anew. */
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE, .since_ms = 3500),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY));
	has(s, 4000, SERVES("blue"));
	has_not(s, 4000, "slot-fallback");
}

static void
a_recorded_fallback_is_none(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_RECORD;
	in_grace(s);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, SERVES("green"));
	slots(s, "green", SLOT(.state = SLOT_GRACE, .until_ms = DAY),
		SLOT(.state = SLOT_ACTIVE, .since_ms = 2500));
	has(s, 3000, SERVES("green"));
	assert_false(slot_at(s, 3000, "green")->fallback);
	blue(s, HEALTH_HEALTHY);
	has(s, 4000, SERVES("green"));
}

static void
where_the_fallback_dies_too_the_active_one_serves(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_ROUTE;
	in_grace(s);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, SERVES("green"));
	blue(s, HEALTH_HEALTHY);
	green(s, HEALTH_UNHEALTHY);
	has(s, 3000, SERVES("blue"));
}

/* The promotion that it stood in for is over, be the slot that was promoted ready or not: nobody is
 * to write the fallback down now. */
static void
a_promote_ends_a_fallback_that_goes_on_serving(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_RECORD;
	in_grace(s);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, SERVES("green"));
	assert_true(slot_at(s, 2000, "green")->fallback);
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE, .since_ms = 2500),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY));
	has(s, 3000, SERVES("green"));
	has(s, 3000, "! slot-waiting");
	has_not(s, 3000, "slot-fallback");
	assert_false(slot_at(s, 3000, "green")->fallback);
	/* Not even where the registry takes it back. */
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE, .since_ms = 500),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY));
	blue(s, HEALTH_HEALTHY);
	has(s, 4000, SERVES("blue"));
}

static void
without_an_active_slot_none_stands_in(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_RECORD;
	in_grace(s);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, SERVES("green"));
	slots(s, NULL, SLOT(.state = SLOT_DEPLOYED), SLOT(.state = SLOT_GRACE, .until_ms = DAY));
	has(s, 3000, SERVES("green"));
	assert_false(slot_at(s, 3000, "green")->fallback);
}

static void
three_slots(struct stage *s, struct registered_slot b, struct registered_slot g,
	struct registered_slot r, bool weighted)
{
	b.name = "blue";
	g.name = "green";
	r.name = "red";
	ENTRY(s, .name = "shop",
		.environment = {.name = "production",
			.slots = true,
			.active = "blue",
			.weighted = weighted},
		.slots = {b, g, r});
}

static void
a_fallback_falls_back(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_ROUTE;
	in_grace(s);
	three_slots(s, SLOT(.state = SLOT_ACTIVE, .since_ms = 500),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY), false);
	box_of(s, "red", "172.17.0.4", HEALTH_HEALTHY);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, SERVES("green"));
	green(s, HEALTH_UNHEALTHY);
	has(s, 3000, SERVES("red"));
	green(s, HEALTH_HEALTHY);
	has(s, 4000, SERVES("red"));
}

/* The other slot has its share all the same, and the active one gets its own back. */
static void
shares_do_not_fall_back(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_RECORD;
	three_slots(s, SLOT(.state = SLOT_ACTIVE, .since_ms = 500, .weight = 50),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY, .weight = 50), SLOT(.state = SLOT_EMPTY),
		true);
	blue(s, HEALTH_HEALTHY);
	green(s, HEALTH_HEALTHY);
	assert_int_equal(route_at(s, 1000, "shop.test")->nshares, 2);
	blue(s, HEALTH_UNHEALTHY);
	assert_int_equal(route_at(s, 2000, "shop.test")->nrouted, 1);
	has_not(s, 2000, "slot-fallback");
	assert_false(slot_at(s, 2000, "green")->fallback);
	blue(s, HEALTH_HEALTHY);
	assert_int_equal(route_at(s, 3000, "shop.test")->nshares, 2);
	has_not(s, 3000, "slot-fallback");
}

/* It would say that green serves, and green has no share. */
static void
shares_end_a_fallback(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_ROUTE;
	three_slots(s, SLOT(.state = SLOT_ACTIVE, .since_ms = 500, .weight = 50),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY), SLOT(.state = SLOT_EMPTY), true);
	blue(s, HEALTH_HEALTHY);
	green(s, HEALTH_HEALTHY);
	look(s, 1000);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, SERVES("green"));
	blue(s, HEALTH_HEALTHY);
	has(s, 3000, SERVES("blue"));
	has_not(s, 3000, "slot-fallback");
}

static void
box_of_service(struct stage *s, const char *slot, const char *ip, enum endpoint_health health)
{
	const struct box b = {.id = ip,
		.name = ip,
		.ip = ip,
		.health = health,
		.labels = {
			"waymark.project", "shop", "waymark.service", "api", "waymark.slot", slot}};
	box_put(s->planner, &b);
}

/* Blue serves a service for which green was never ready, so its grace period is not over; what it
 * does for one group it can do for the other. */
static void
what_serves_one_group_is_a_way_back_for_another(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_ROUTE;
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE, .since_ms = 500), SLOT(.state = SLOT_EMPTY));
	blue(s, HEALTH_HEALTHY);
	box_of_service(s, "blue", "172.17.0.4", HEALTH_HEALTHY);
	look(s, 1000);
	slots(s, "green", SLOT(.state = SLOT_GRACE, .until_ms = 5000),
		SLOT(.state = SLOT_ACTIVE, .since_ms = 2000));
	green(s, HEALTH_HEALTHY);
	box_of_service(s, "green", "172.17.0.5", HEALTH_STARTING);
	has(s, 2000, SERVES("green"));
	has(s, 2000, "service 'api': -: the registry says that slot green is active");
	assert_false(slot_at(s, 6000, "blue")->ended);
	green(s, HEALTH_UNHEALTHY);
	has(s, 7000, SERVES("blue"));
}

static void
what_was_never_ready_has_lost_nothing(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_ROUTE;
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE), SLOT(.state = SLOT_GRACE, .until_ms = DAY));
	green(s, HEALTH_HEALTHY);
	blue(s, HEALTH_STARTING);
	has(s, 1000, "shop.test production shop/production// slot=blue held=0 -http");
	blue(s, HEALTH_HEALTHY);
	has(s, 2000, SERVES("blue"));
}

static void
only_a_slot_in_grace_is_fallen_back_to(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_ROUTE;
	in_grace(s);
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE, .since_ms = 500),
		SLOT(.state = SLOT_RESERVED, .until_ms = DAY));
	blue(s, HEALTH_UNHEALTHY);
	has_not(s, 2000, SERVES("green"));
}

/* As where a machine starts anew: the old one may be ready first. */
static void
both_lost_at_once_is_no_fallback(void **state)
{
	struct stage *s = *state;
	s->settings->auto_rollback = ROLLBACK_ROUTE;
	in_grace(s);
	blue(s, HEALTH_STARTING);
	green(s, HEALTH_STARTING);
	has(s, 2000, "shop.test production shop/production// slot=blue held=0 -http");
	green(s, HEALTH_HEALTHY);
	has_not(s, 3000, SERVES("green"));
	blue(s, HEALTH_HEALTHY);
	has(s, 4000, SERVES("blue"));
	/* Unless it takes too long. */
	blue(s, HEALTH_STARTING);
	green(s, HEALTH_STARTING);
	look(s, 5000);
	green(s, HEALTH_HEALTHY);
	has_not(s, 6000, SERVES("green"));
	assert_true(planner_due_ms(s->planner) == 35000);
	has(s, 35000, SERVES("green"));
}

static void
a_fallback_outlives_a_restart(void **state)
{
	struct stage *s = *state;
	struct buf rows = {0};
	struct ledger *l = ledger_create();

	s->settings->auto_rollback = ROLLBACK_ROUTE;
	in_grace(s);
	blue(s, HEALTH_UNHEALTHY);
	has(s, 2000, SERVES("green"));
	ledger_print(s->ledger, &rows);
	for (char *at = rows.p, *line; at && (line = strsep(&at, "\n"));) {
		struct err e;
		json_t *row = *line ? json_loads(line, 0, NULL) : NULL;
		if (row)
			assert_int_equal(ledger_load(l, row, &e), 0);
		json_decref(row);
	}
	buf_finish(&rows);
	planner_destroy(s->planner);
	ledger_destroy(s->ledger);
	s->ledger = l;
	s->planner = planner_create(s->settings, l, renderers);
	blue(s, HEALTH_HEALTHY);
	green(s, HEALTH_HEALTHY);
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE, .since_ms = 500),
		SLOT(.state = SLOT_GRACE, .until_ms = DAY));
	has(s, 3000, SERVES("green"));
}

static void
a_grace_period_ends_by_the_clock(void **state)
{
	struct stage *s = *state;
	in_grace(s);
	assert_true(planner_due_ms(s->planner) == DAY);
	has_not(s, DAY - 1, "slot-due");
	has(s, DAY - 1,
		"shop-production-green.test slot shop/production// slot=green held=0 +http");
	assert_true(planner_is_dirty(s->planner, DAY));
	has(s, DAY,
		"! slot-due: project 'shop', environment production: slot green: its grace "
		"period has ended");
	/* So that it can be removed. */
	has(s, DAY, "shop-production-green.test slot shop/production// slot=green held=0 -http");
	assert_true(slot_at(s, DAY, "green")->ended);
	has_not(s, DAY, "no-servers");
}

static void
a_grace_clock_stands_still_while_the_slot_serves(void **state)
{
	struct stage *s = *state;
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE), SLOT(.state = SLOT_EMPTY));
	blue(s, HEALTH_HEALTHY);
	has(s, 1000, SERVES("blue"));
	/* Green never gets ready, so blue goes on, beyond its end. */
	green(s, HEALTH_STARTING);
	slots(s, "green", SLOT(.state = SLOT_GRACE, .until_ms = DAY), SLOT(.state = SLOT_ACTIVE));
	has(s, DAY / 2, "slot-waiting");
	has(s, 2 * DAY, SERVES("blue"));
	has_not(s, 2 * DAY, "slot-due");
	green(s, HEALTH_HEALTHY);
	has(s, 2 * DAY + 1, SERVES("green"));
	has_not(s, 2 * DAY + 1, "slot-due");
	assert_true(slot_at(s, 2 * DAY + 1, "blue")->until_ms == DAY + 2 * DAY + 1 - DAY / 2);
	has(s, 2 * DAY + 1 + DAY / 2, "slot-due");
}

/* A machine without a clock of its own boots at the beginning of time. */
static void
a_grace_clock_stands_no_longer_than_the_grace_period(void **state)
{
	struct stage *s = *state;
	const uint64_t then = 20000 * DAY;
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE), SLOT(.state = SLOT_EMPTY));
	blue(s, HEALTH_HEALTHY);
	look(s, 1000);
	green(s, HEALTH_STARTING);
	slots(s, "green", SLOT(.state = SLOT_GRACE, .since_ms = then, .until_ms = then + DAY),
		SLOT(.state = SLOT_ACTIVE));
	has(s, 2000, "slot-waiting");
	green(s, HEALTH_HEALTHY);
	has(s, then + 1000, SERVES("green"));
	assert_true(slot_at(s, then + 1000, "blue")->until_ms == then + DAY + 1000);
}

static void
a_reservation_ends_by_the_clock(void **state)
{
	struct stage *s = *state;
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE),
		SLOT(.state = SLOT_RESERVED, .until_ms = 5000, .id = "0123"));
	blue(s, HEALTH_HEALTHY);
	has_not(s, 4999, "slot-due");
	has(s, 5000, "slot green: its reservation has ended");
}

static void
a_container_of_an_empty_slot_is_told(void **state)
{
	struct stage *s = *state;
	slots(s, "blue", SLOT(.state = SLOT_ACTIVE), SLOT(.state = SLOT_EMPTY));
	blue(s, HEALTH_HEALTHY);
	green(s, HEALTH_HEALTHY);
	has(s, 1000,
		"! slot-occupied: project 'shop', environment production: slot green: the "
		"registry says that it is empty, and green runs;");
	has(s, 1000, "shop-production-green.test slot shop/production// slot=green held=0 -http");
}

static void
slots_share_by_weight(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop",
		.environment = {.name = "production",
			.slots = true,
			.active = "blue",
			.weighted = true},
		.slots = {{.name = "blue", .state = SLOT_ACTIVE, .weight = 90},
			{.name = "green", .state = SLOT_DEPLOYED, .weight = 10}});
	blue(s, HEALTH_HEALTHY);
	green(s, HEALTH_STARTING);
	assert_int_equal(route_at(s, 1000, "shop.test")->nshares, 0);
	has(s, 1000, SERVES("blue"));
	green(s, HEALTH_HEALTHY);
	const struct route *r = route_at(s, 2000, "shop.test");
	assert_int_equal(r->nrouted, 2);
	assert_int_equal(r->nshares, 2);
	assert_string_equal(r->shares[0].slot, "blue");
	assert_int_equal(r->shares[0].weight, 90);
	assert_int_equal(r->shares[1].weight, 10);
	assert_int_equal(r->shares[1].first, 1);
	assert_true(slot_at(s, 2000, "green")->traffic);
	/* The active one is gone: the other has it all. */
	blue(s, HEALTH_UNHEALTHY);
	assert_int_equal(route_at(s, 3000, "shop.test")->nrouted, 1);
	green(s, HEALTH_UNHEALTHY);
	assert_int_equal(route_at(s, 4000, "shop.test")->nrouted, 0);
}

static void
a_preview_expires(void **state)
{
	struct stage *s = *state;
	const struct box b = {.id = "aa",
		.created = 100,
		.labels = {"waymark.project", "shop", "waymark.branch", "x"}};

	ENTRY(s, .name = "shop",
		.environment = {.name = "preview", .expires_ms = DAY, .sticky = true});
	box_put(s->planner, &b);
	const struct route *r = route_at(s, 200000, "shop-preview-x.test");
	assert_int_equal(r->answer, ANSWER_SERVED);
	assert_true(r->guarded && r->sticky);
	assert_true(planner_due_ms(s->planner) == 100000 + DAY);
	r = route_at(s, 100000 + DAY, "shop-preview-x.test");
	assert_int_equal(r->answer, ANSWER_GONE);
	assert_int_equal(r->nrouted, 0);
	has(s, 100000 + DAY, "! preview-expired: host shop-preview-x.test");
}

/* The branch is one preview, whichever of its services was deployed last. */
static void
a_preview_lives_as_long_as_its_newest_service(void **state)
{
	struct stage *s = *state;
	const struct box web = {.id = "aa",
		.created = 100,
		.labels = {"waymark.project", "shop", "waymark.branch", "x"}};
	const struct box api = {.id = "bb",
		.ip = "172.17.0.3",
		.created = 50000,
		.labels = {"waymark.project", "shop", "waymark.branch", "x", "waymark.service",
			"api"}};
	const struct box other = {.id = "cc",
		.ip = "172.17.0.4",
		.created = 100,
		.labels = {"waymark.project", "shop", "waymark.branch", "y"}};

	ENTRY(s, .name = "shop", .environment = {.name = "preview", .expires_ms = DAY});
	box_put(s->planner, &web);
	box_put(s->planner, &api);
	box_put(s->planner, &other);
	assert_int_equal(route_at(s, 100000 + DAY, "shop-preview-x.test")->answer, ANSWER_SERVED);
	assert_int_equal(route_at(s, 100000 + DAY, "shop-preview-y.test")->answer, ANSWER_GONE);
	assert_true(planner_due_ms(s->planner) == 50000000 + DAY);
	assert_int_equal(route_at(s, 50000000 + DAY, "shop-preview-x.test")->answer, ANSWER_GONE);
}

int
main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		STORY(without_leave_nothing_falls_back),
		STORY(it_falls_back_and_stays_until_a_promote),
		STORY(a_recorded_fallback_is_none),
		STORY(where_the_fallback_dies_too_the_active_one_serves),
		STORY(a_promote_ends_a_fallback_that_goes_on_serving),
		STORY(without_an_active_slot_none_stands_in),
		STORY(a_fallback_falls_back),
		STORY(shares_do_not_fall_back),
		STORY(shares_end_a_fallback),
		STORY(what_serves_one_group_is_a_way_back_for_another),
		STORY(a_grace_clock_stands_no_longer_than_the_grace_period),
		STORY(what_was_never_ready_has_lost_nothing),
		STORY(only_a_slot_in_grace_is_fallen_back_to),
		STORY(both_lost_at_once_is_no_fallback),
		STORY(a_fallback_outlives_a_restart),
		STORY(a_grace_period_ends_by_the_clock),
		STORY(a_grace_clock_stands_still_while_the_slot_serves),
		STORY(a_reservation_ends_by_the_clock),
		STORY(a_container_of_an_empty_slot_is_told),
		STORY(slots_share_by_weight),
		STORY(a_preview_expires),
		STORY(a_preview_lives_as_long_as_its_newest_service),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
