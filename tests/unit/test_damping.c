/* Stories of containers that are ready and not ready all the time, with a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/model/damping.h"
#include "tests/unit/world.h"

#define SECOND 1000u
#define MINUTE (60 * SECOND)
#define TEN_MINUTES (10 * MINUTE)

static const struct renderer *const renderers[PLAN_OUTPUTS] = {&traefik_renderer};

struct stage {
	struct settings *settings;
	struct ledger *ledger;
	struct planner *planner;
	uint64_t now;
	struct buf document;
	unsigned documents, snapshots; /* that were another than the one before */
	uint64_t revision;
};

static int
set_up(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));
	s->settings = settings_create();
	s->settings->base_domain = "test";
	s->ledger = ledger_create();
	s->planner = planner_create(s->settings, s->ledger, renderers);
	s->now = 1000 * MINUTE;
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
	buf_finish(&s->document);
	free(s);
	return 0;
}

static void
document_print(const struct snapshot *s, struct buf *b)
{
	for (size_t c = 0; c < s->nchunks; c++)
		for (size_t i = 0; i < s->chunks[c]->n; i++)
			for (size_t k = 0; k < FRAGMENT_SECTIONS; k++)
				buf_add(b, s->chunks[c]->plan[i]->fragment[0].section[k].p,
					s->chunks[c]->plan[i]->fragment[0].section[k].n);
}

static void
look(struct stage *s)
{
	const struct snapshot *now = planner_step(s->planner, s->now);
	struct buf document = {0};

	s->snapshots += now->revision != s->revision;
	s->revision = now->revision;
	document_print(now, &document);
	s->documents += document.n != s->document.n ||
			(document.n && memcmp(document.p, s->document.p, document.n) != 0);
	buf_finish(&s->document);
	s->document = document;
}

/* As the loop does it: it steps when something is due. */
static void
later(struct stage *s, uint64_t ms)
{
	uint64_t end = s->now + ms;

	while (planner_due_ms(s->planner) <= end) {
		uint64_t due = planner_due_ms(s->planner);
		s->now = due > s->now ? due : s->now;
		look(s);
		assert_true(planner_due_ms(s->planner) > s->now);
	}
	s->now = end;
	look(s);
}

static const struct route *
route_of(struct stage *s, const char *host)
{
	const struct snapshot *now = planner_snapshot(s->planner);

	for (size_t c = 0; c < now->nchunks; c++)
		for (size_t i = 0; i < now->chunks[c]->n; i++)
			for (size_t k = 0; k < now->chunks[c]->plan[i]->nroutes; k++)
				if (!strcmp(now->chunks[c]->plan[i]->routes[k].host, host))
					return &now->chunks[c]->plan[i]->routes[k];
	return NULL;
}

/* How many of that code there are. */
static size_t
problems(struct stage *s, enum problem_code code)
{
	const struct snapshot *now = planner_snapshot(s->planner);
	size_t n = 0;

	for (size_t c = 0; c < now->nchunks; c++)
		for (size_t i = 0; i < now->chunks[c]->n; i++)
			for (size_t k = 0; k < now->chunks[c]->plan[i]->nproblems; k++)
				n += now->chunks[c]->plan[i]->problems[k].code == code;
	return n;
}

static bool
is_damped(struct stage *s, const char *host)
{
	const struct route *r = route_of(s, host);

	assert_non_null(r);
	for (size_t i = 0; i < r->nservers; i++)
		if (r->servers[i].state == SERVER_DAMPED) {
			assert_string_equal(r->servers[i].health, "flapping");
			assert_false(r->servers[i].routed);
			assert_true(problems(s, PROBLEM_FLAPPING));
			return true;
		}
	return false;
}

static bool
serves(struct stage *s, const char *host)
{
	const struct route *r = route_of(s, host);
	return r && r->nrouted;
}

/* The one that the stories are about; its slot or NULL. */
struct one {
	const char *id, *run, *slot;
	enum endpoint_state state;
	enum endpoint_health health;
	bool leaving, died;
};

static void
put(struct stage *s, const struct one *o)
{
	box_put(s->planner, &(struct box){.id = o->id,
				    .name = o->slot ? o->slot : "web",
				    .run = o->run,
				    .state = o->state,
				    .health = o->health,
				    .leaving = o->leaving,
				    .died = o->died,
				    .labels = {"waymark.project", "app",
					    o->slot ? "waymark.slot" : NULL, o->slot}});
	look(s);
}

#define PUT(s, ...) put((s), &(struct one){__VA_ARGS__})

static void
take(struct stage *s, const char *id)
{
	planner_remove(s->planner, "app1", id);
	look(s);
}

/* Its process ends by itself, and an inspect finds it gone. */
static void
die(struct stage *s, const char *id, const char *run, const char *slot)
{
	PUT(s, .id = id, .run = run, .slot = slot, .health = HEALTH_HEALTHY, .leaving = true,
		.died = true);
	take(s, id);
}

static void
crash_loop(struct stage *s, uint64_t ms)
{
	char run[24];

	for (uint64_t end = s->now + ms; s->now < end;) {
		snprintf(run, sizeof(run), "%llu", (unsigned long long)s->now);
		PUT(s, .id = "a", .run = run, .health = HEALTH_HEALTHY);
		later(s, SECOND);
		die(s, "a", run, NULL);
		later(s, 200);
	}
}

static void
dies_each_second(void **state)
{
	struct stage *s = *state;

	crash_loop(s, TEN_MINUTES);
	print_message("%u documents of %u snapshots\n", s->documents, s->snapshots);
	assert_in_range(s->documents, 1, 12);

	PUT(s, .id = "a", .run = "good", .health = HEALTH_HEALTHY);
	assert_true(is_damped(s, "app.test"));
	assert_int_equal(problems(s, PROBLEM_FLAPPING), 1);
	later(s, DAMPING_WAIT_MAX_MS - 1);
	assert_true(is_damped(s, "app.test"));
	later(s, 1);
	assert_true(serves(s, "app.test"));
	assert_int_equal(problems(s, PROBLEM_FLAPPING), 0);
}

/* systemd, or Quadlet, makes a new container of the same name. */
static void
dies_each_second_with_a_new_id(void **state)
{
	struct stage *s = *state;
	char id[24];

	for (unsigned i = 0; i < 500; i++) {
		snprintf(id, sizeof(id), "id%u", i);
		PUT(s, .id = id, .run = id, .health = HEALTH_HEALTHY);
		later(s, SECOND);
		die(s, id, id, NULL);
		later(s, 200);
	}
	assert_in_range(s->documents, 1, 12);
}

/* Docker shows it as restarting meanwhile. */
static void
restarts_by_policy(void **state)
{
	struct stage *s = *state;
	char run[24];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(run, sizeof(run), "r%u", i);
		PUT(s, .id = "a", .run = run);
		planner_set_ready(s->planner, "app1", "a", READY_YES);
		later(s, SECOND);
		PUT(s, .id = "a", .run = run, .state = ENDPOINT_RESTARTING, .leaving = true,
			.died = true);
		later(s, 500);
	}
	assert_in_range(s->documents, 1, 12);
	PUT(s, .id = "a", .run = "r99");
	planner_set_ready(s->planner, "app1", "a", READY_YES);
	look(s);
	assert_true(is_damped(s, "app.test"));
}

static void
health_swing(struct stage *s, uint64_t half_ms, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
		later(s, half_ms);
		PUT(s, .id = "a", .run = "r", .health = HEALTH_UNHEALTHY);
		later(s, half_ms);
	}
}

static void
health_swings(void **state)
{
	struct stage *s = *state;

	health_swing(s, 7500, 40);
	assert_in_range(s->documents, 1, 12);
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	assert_true(is_damped(s, "app.test"));
}

static void
a_probe_swings(void **state)
{
	struct stage *s = *state;

	PUT(s, .id = "a", .run = "r");
	for (unsigned i = 0; i < 40; i++) {
		planner_set_ready(s->planner, "app1", "a", i % 2 ? READY_NO : READY_YES);
		later(s, 3 * SECOND);
	}
	assert_in_range(s->documents, 1, 12);
	planner_set_ready(s->planner, "app1", "a", READY_YES);
	look(s);
	assert_true(is_damped(s, "app.test"));
	planner_set_ready(s->planner, "app1", "a", READY_NO);
	look(s);
	assert_false(is_damped(s, "app.test"));
	/* For the visitor nothing has changed, and the reason stays. */
	assert_int_equal(problems(s, PROBLEM_FLAPPING), 1);
}

/* Another one of the group goes on serving. */
static void
others_serve(void **state)
{
	struct stage *s = *state;

	BOX(s->planner, .id = "b", .ip = "172.17.0.8", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app"});
	health_swing(s, SECOND, 20);
	assert_true(serves(s, "app.test"));
	assert_int_equal(route_of(s, "app.test")->nrouted, 1);
	assert_in_range(s->documents, 1, 12);
}

/* The wait begins anew with each break, doubles with each swing, and is forgotten after a while. */
static void
waits_longer_each_time(void **state)
{
	struct stage *s = *state;

	health_swing(s, SECOND, 5);
	for (unsigned wait = DAMPING_WAIT_MS; wait < DAMPING_WAIT_MAX_MS; wait *= 2) {
		PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
		later(s, wait - 1);
		assert_true(is_damped(s, "app.test"));
		later(s, 1);
		assert_false(is_damped(s, "app.test"));
		later(s, MINUTE);
		PUT(s, .id = "a", .run = "r", .health = HEALTH_UNHEALTHY);
		later(s, SECOND);
	}
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	later(s, DAMPING_WAIT_MAX_MS);
	assert_true(serves(s, "app.test"));
	assert_non_null(ledger_dampings(s->ledger));
	later(s, TEN_MINUTES);
	assert_null(ledger_dampings(s->ledger));
	assert_true(planner_due_ms(s->planner) == UINT64_MAX);

	PUT(s, .id = "a", .run = "r", .health = HEALTH_UNHEALTHY);
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	assert_true(serves(s, "app.test"));
}

static void
a_gone_one_is_forgotten(void **state)
{
	struct stage *s = *state;

	crash_loop(s, 20 * SECOND);
	assert_non_null(ledger_dampings(s->ledger));
	later(s, TEN_MINUTES + MINUTE);
	assert_null(ledger_dampings(s->ledger));
	assert_true(planner_due_ms(s->planner) == UINT64_MAX);
}

/* -- what nobody may be damped for -- */

static void
redeploys(void **state)
{
	struct stage *s = *state;
	char id[24];

	for (unsigned i = 0; i < 50; i++) {
		snprintf(id, sizeof(id), "id%u", i);
		PUT(s, .id = id, .run = id, .health = HEALTH_HEALTHY);
		later(s, 15 * SECOND);
		die(s, id, id, NULL);
		later(s, 5 * SECOND);
	}
	PUT(s, .id = "last", .run = "z", .health = HEALTH_HEALTHY);
	assert_true(serves(s, "app.test"));
	assert_null(ledger_dampings(s->ledger));
}

static void
told_to_stop(void **state)
{
	struct stage *s = *state;

	for (unsigned i = 0; i < 50; i++) {
		PUT(s, .id = "a", .run = i % 2 ? "x" : "y", .health = HEALTH_HEALTHY);
		later(s, SECOND);
		PUT(s, .id = "a", .run = i % 2 ? "x" : "y", .health = HEALTH_HEALTHY,
			.leaving = true);
		later(s, 100);
		take(s, "a");
		later(s, 300);
	}
	assert_null(ledger_dampings(s->ledger));
}

static void
paused_and_withheld(void **state)
{
	struct stage *s = *state;

	for (unsigned i = 0; i < 50; i++) {
		PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
		later(s, SECOND);
		/* dockerd calls a paused container unhealthy, and until its next check the one that
		 * goes on. */
		PUT(s, .id = "a", .run = "r", .state = ENDPOINT_PAUSED, .health = HEALTH_UNHEALTHY);
		PUT(s, .id = "a", .run = "r", .health = HEALTH_UNHEALTHY);
		later(s, SECOND);
	}
	assert_null(ledger_dampings(s->ledger));
}

static void
promote(struct stage *s, const char *slot)
{
	struct registered_project *p =
		registered_project_create("registry.directory", "place", "app");
	struct registered_environment *e = ARENA_NEW(&p->arena, struct registered_environment);

	*e = (struct registered_environment){.name = "production", .active = slot};
	p->lists_environments = true;
	p->environments = e;
	p->nenvironments = 1;
	registered_project_seal(p);
	planner_put_project(s->planner, p);
	registered_project_unref(p);
	look(s);
}

/* blue serves, is superseded by green, is stopped, is made anew, …, every few seconds; Podman tells
 * nothing before they end. */
static void
deploy_rounds(void **state)
{
	struct stage *s = *state;
	static const char *const slots[] = {"blue", "green"};
	char id[2][24] = {"", ""};

	s->settings->registry.directory = "/registry";
	for (unsigned i = 0; i < 50; i++) {
		const char *slot = slots[i % 2], *other = slots[(i + 1) % 2];
		snprintf(id[i % 2], sizeof(id[0]), "id%u", i);
		PUT(s, .id = id[i % 2], .run = id[i % 2], .slot = slot, .health = HEALTH_HEALTHY);
		later(s, SECOND);
		promote(s, slot);
		later(s, SECOND);
		if (i)
			die(s, id[(i + 1) % 2], id[(i + 1) % 2], other);
		later(s, SECOND);
		assert_true(serves(s, "app.test"));
	}
	assert_null(ledger_dampings(s->ledger));
}

/* The same ones again, by a script. */
static void
a_standby_is_stopped_and_started(void **state)
{
	struct stage *s = *state;
	char run[24];

	PUT(s, .id = "b", .run = "r", .slot = "blue", .health = HEALTH_HEALTHY);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(run, sizeof(run), "r%u", i);
		PUT(s, .id = "g", .run = run, .slot = "green", .health = HEALTH_HEALTHY);
		later(s, 2 * SECOND);
		die(s, "g", run, "green");
		later(s, 4 * SECOND);
	}
	assert_null(ledger_dampings(s->ledger));
}

/* A standby's own URL does not swing either. */
static void
a_standby_dies_each_second(void **state)
{
	struct stage *s = *state;
	char run[24];

	PUT(s, .id = "b", .run = "r", .slot = "blue", .health = HEALTH_HEALTHY);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(run, sizeof(run), "r%u", i);
		PUT(s, .id = "g", .run = run, .slot = "green", .health = HEALTH_HEALTHY);
		later(s, SECOND);
		die(s, "g", run, "green");
		later(s, 200);
	}
	assert_in_range(s->documents, 1, 14);
	assert_true(serves(s, "app.test"));
}

/* Nobody saw what happened meanwhile: they run again, or are listed a moment later. */
static void
an_engine_that_went(void **state)
{
	struct stage *s = *state;
	char run[24];

	for (unsigned i = 0; i < 50; i++) {
		snprintf(run, sizeof(run), "r%u", i);
		PUT(s, .id = "a", .run = run, .health = HEALTH_STARTING);
		PUT(s, .id = "a", .run = run, .health = HEALTH_HEALTHY);
		later(s, SECOND);
	}
	assert_null(ledger_dampings(s->ledger));
	for (unsigned i = 0; i < 4; i++) {
		take(s, "a");
		later(s, SECOND);
		PUT(s, .id = "a", .run = i % 2 ? "x" : "y", .health = HEALTH_HEALTHY);
		later(s, 20 * SECOND);
	}
	assert_null(ledger_dampings(s->ledger));
}

static void
reloads(void **state)
{
	struct stage *s = *state;

	PUT(s, .id = "a", .run = "r");
	planner_set_ready(s->planner, "app1", "a", READY_YES);
	for (unsigned i = 0; i < 20; i++) {
		later(s, SECOND);
		planner_set_settings(s->planner, s->settings);
		look(s);
	}
	assert_true(serves(s, "app.test"));
	assert_null(ledger_dampings(s->ledger));

	/* Nor does a reload end a damping, or begin its wait anew. */
	health_swing(s, SECOND, 6);
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	later(s, 19 * SECOND);
	planner_set_settings(s->planner, s->settings);
	look(s);
	assert_true(is_damped(s, "app.test"));
	later(s, SECOND);
	assert_true(serves(s, "app.test"));
}

/* -- Waymark's own restart -- */

static struct ledger *
ledger_again(const struct ledger *from)
{
	struct ledger *l = ledger_create();
	struct buf lines = {0}, again = {0};

	ledger_print(from, &lines);
	char *copy = strdup(lines.p);
	for (char *at = copy, *line; (line = strsep(&at, "\n")) && *line;) {
		json_auto_t *row = json_loads(line, 0, NULL);
		assert_int_equal(ledger_load(l, row, NULL), 0);
	}
	ledger_print(l, &again);
	assert_string_equal(again.p, lines.p);
	free(copy);
	buf_finish(&lines);
	buf_finish(&again);
	return l;
}

static void
restart(struct stage *s)
{
	struct ledger *l = ledger_again(s->ledger);

	planner_destroy(s->planner);
	ledger_destroy(s->ledger);
	s->ledger = l;
	s->planner = planner_create(s->settings, l, renderers);
}

static void
a_restart_keeps_it(void **state)
{
	struct stage *s = *state;

	health_swing(s, SECOND, 5);
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	later(s, 6 * SECOND);
	restart(s);
	s->now += SECOND;
	/* What an earlier run saw is told before the first step, as it came. */
	planner_remove(s->planner, "app1", "a");
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	assert_true(is_damped(s, "app.test"));
	later(s, 3 * SECOND - 1);
	assert_true(is_damped(s, "app.test"));
	later(s, 1);
	assert_true(serves(s, "app.test"));

	/* Again damped at once. */
	restart(s);
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	assert_true(serves(s, "app.test"));
	PUT(s, .id = "a", .run = "r", .health = HEALTH_UNHEALTHY);
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	assert_true(is_damped(s, "app.test"));
}

static void
restarts_of_waymark_are_nobodys_fault(void **state)
{
	struct stage *s = *state;

	for (unsigned i = 0; i < 20; i++) {
		PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
		later(s, SECOND);
		restart(s);
	}
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	assert_true(serves(s, "app.test"));
	assert_null(ledger_dampings(s->ledger));
}

static int
load(struct ledger *l, const char *text)
{
	json_auto_t *row = json_loads(text, 0, NULL);
	return ledger_load(l, row, NULL);
}

/* A clock that was wrong, and a row that nobody wrote. */
static void
a_state_that_lies(void **state)
{
	struct stage *s = *state;

#define KEY "\"row\":\"damped\",\"project\":\"app\",\"engine\":\"app1\""
	assert_int_not_equal(load(s->ledger, "{" KEY "}"), 0);
	assert_int_not_equal(load(s->ledger, "{" KEY ",\"container\":\"web\"}"), 0);
	assert_int_not_equal(
		load(s->ledger, "{" KEY ",\"container\":\"web\",\"lost_ms\":-1,\"wait_ms\":1}"), 0);
	assert_null(ledger_dampings(s->ledger));
	assert_int_equal(
		load(s->ledger, "{" KEY ",\"container\":\"web\",\"lost_ms\":9000000000000000,"
				"\"ready_ms\":9000000000000000,\"wait_ms\":9000000000000000}"),
		0);
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	assert_true(is_damped(s, "app.test"));
	later(s, DAMPING_WAIT_MAX_MS);
	assert_true(serves(s, "app.test"));
	later(s, TEN_MINUTES);
	assert_null(ledger_dampings(s->ledger));

	assert_int_equal(
		load(s->ledger, "{" KEY ",\"container\":\"web\",\"lost_ms\":1,\"wait_ms\":1}"), 0);
	assert_int_equal(load(s->ledger, "{" KEY ",\"container\":\"web\",\"gone\":true}"), 0);
	assert_null(ledger_dampings(s->ledger));
}

/* Nobody waits until it is as late again. */
static void
a_clock_that_is_set_back(void **state)
{
	struct stage *s = *state;

	crash_loop(s, 10 * SECOND);
	PUT(s, .id = "a", .run = "last", .health = HEALTH_HEALTHY);
	later(s, SECOND);
	assert_true(is_damped(s, "app.test"));
	s->now -= 500 * MINUTE;
	look(s);
	later(s, DAMPING_WAIT_MAX_MS);
	assert_true(serves(s, "app.test"));
	later(s, TEN_MINUTES);
	assert_null(ledger_dampings(s->ledger));
	/* And a host whose container has gone. */
	take(s, "a");
	s->now -= 100 * MINUTE;
	look(s);
	later(s, s->settings->hold_ms);
	assert_null(route_of(s, "app.test"));
}

/* The journal alone tells it all. */
static void
the_journal_is_whole(void **state)
{
	struct stage *s = *state;
	struct ledger *l = ledger_create();
	struct buf lines = {0}, one = {0}, other = {0};

	health_swing(s, SECOND, 8);
	ledger_take_changes(s->ledger, &lines);
	later(s, MINUTE);
	PUT(s, .id = "a", .run = "r", .health = HEALTH_HEALTHY);
	later(s, 4 * MINUTE);
	ledger_take_changes(s->ledger, &lines);
	buf_add(&lines, "", 1);
	for (char *at = lines.p, *line; (line = strsep(&at, "\n")) && *line;)
		assert_int_equal(load(l, line), 0);
	ledger_print(s->ledger, &one);
	ledger_print(l, &other);
	assert_non_null(ledger_dampings(l));
	assert_string_equal(one.p, other.p);
	ledger_destroy(l);
	buf_finish(&lines);
	buf_finish(&one);
	buf_finish(&other);
}

int
main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		STORY(dies_each_second),
		STORY(dies_each_second_with_a_new_id),
		STORY(restarts_by_policy),
		STORY(health_swings),
		STORY(a_probe_swings),
		STORY(others_serve),
		STORY(waits_longer_each_time),
		STORY(a_gone_one_is_forgotten),
		STORY(redeploys),
		STORY(told_to_stop),
		STORY(paused_and_withheld),
		STORY(deploy_rounds),
		STORY(a_standby_is_stopped_and_started),
		STORY(a_standby_dies_each_second),
		STORY(an_engine_that_went),
		STORY(reloads),
		STORY(a_restart_keeps_it),
		STORY(restarts_of_waymark_are_nobodys_fault),
		STORY(a_state_that_lies),
		STORY(a_clock_that_is_set_back),
		STORY(the_journal_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
