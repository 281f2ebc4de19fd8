#include "reconciler/sources/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "reconciler/base/buf.h"

/* A world of a roster alone: what it puts, removes and rings for is one line of text each. */
static struct world {
	struct roster *r;
	struct buf log;
	uint64_t now;
} w;

struct box {
	const char *id, *ip, *run, *name;
	enum endpoint_state state;
	enum endpoint_health health;
	int stop_signal;
	uint16_t port;
};

static void
on_put(void *arg, const struct endpoint *e)
{
	static const char *const health[] = {"", " starting", " healthy", " unhealthy", " unknown"};
	static const char *const leaving[] = {"", " leaving", " died"};
	(void)arg;
	buf_addf(&w.log, "put %s%s%s%s%s%s%s\n", e->id, *e->run ? " run=" : "", e->run,
		health[e->health], leaving[e->leaving + e->died], e->withheld ? " withheld" : "",
		e->ready_before ? " before" : "");
}

static void
on_remove(void *arg, const char *engine, const char *id)
{
	(void)arg;
	assert_string_equal(engine, "app1");
	buf_addf(&w.log, "remove %s\n", id);
}

static void
on_status(void *arg, const char *engine)
{
	(void)arg;
	(void)engine;
}

static void
on_ring(void *arg, const char *id)
{
	(void)arg;
	buf_addf(&w.log, "ring %s\n", id);
}

static int
setup(void **state)
{
	(void)state;
	static const struct source_sink sink = {on_put, on_remove, on_status, NULL};
	w = (struct world){.now = 1000};
	w.r = roster_create("app1", &sink, on_ring, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	roster_destroy(w.r);
	buf_finish(&w.log);
	return 0;
}

static struct endpoint *
make(const struct box *b)
{
	struct endpoint *e = endpoint_create();
	struct endpoint_network *n = ARENA_NEW(&e->arena, struct endpoint_network);
	struct endpoint_port *p = ARENA_NEW(&e->arena, struct endpoint_port);

	e->engine = "app1";
	e->id = arena_strdup(&e->arena, b->id);
	e->name = arena_strdup(&e->arena, b->name ? b->name : b->id);
	e->run = arena_strdup(&e->arena, b->run ? b->run : "");
	e->state = b->state;
	e->health = b->health;
	e->stop_signal = b->stop_signal;
	*n = (struct endpoint_network){"bridge", arena_strdup(&e->arena, b->ip), NULL};
	e->networks = n;
	e->nnetworks = 1;
	*p = (struct endpoint_port){.port = b->port, .tcp = true};
	e->ports = p;
	e->nports = b->port != 0;
	endpoint_seal(e);
	return e;
}

#define BOX(...)                                                                                   \
	&(struct box)                                                                              \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static void
item(const struct box *b)
{
	roster_list_item(w.r, make(b));
}

static void
inspected(const struct box *b)
{
	roster_inspected(w.r, make(b), w.now);
}

#define EXPECT(text)                                                                               \
	do {                                                                                       \
		assert_string_equal(w.log.p ? w.log.p : "", text);                                 \
		buf_reset(&w.log);                                                                 \
	} while (0)

static void
list(size_t n, const struct box *boxes)
{
	roster_list_begin(w.r);
	for (size_t i = 0; i < n; i++)
		item(&boxes[i]);
	assert_true(roster_list_end(w.r, false, w.now));
}

static void
test_lists(void **state)
{
	(void)state;
	struct box boxes[] = {{.id = "a", .ip = "1"},
		{.id = "b", .ip = "2", .health = HEALTH_STARTING},
		{.id = "c", .ip = "3", .state = ENDPOINT_STOPPED}};

	list(3, boxes);
	EXPECT("put a\nput b starting\n");
	list(3, boxes);
	EXPECT("");
	boxes[1].health = HEALTH_HEALTHY;
	list(2, boxes);
	EXPECT("put b healthy\n");
	list(1, boxes);
	EXPECT("remove b\n");
	assert_int_equal(roster_count(w.r), 1);
	list(0, NULL);
	EXPECT("remove a\n");
}

/* A list that does not come whole changes nothing. */
static void
test_abandoned(void **state)
{
	(void)state;
	list(1, BOX(.id = "a", .ip = "1"));
	EXPECT("put a\n");
	roster_list_begin(w.r);
	item(BOX(.id = "b", .ip = "2"));
	roster_disconnect(w.r);
	EXPECT("");
	assert_true(roster_has(w.r, "a"));
	assert_false(roster_has(w.r, "b"));
}

/* What rang since the list was asked for is its inspect's to say. */
static void
test_touched(void **state)
{
	(void)state;
	list(2, (struct box[]){{.id = "a", .ip = "1"}, {.id = "b", .ip = "2"}});
	EXPECT("put a\nput b\n");
	roster_list_begin(w.r);
	roster_touch(w.r, "a", false);
	roster_gone(w.r, "a"); /* stopped after the list was made */
	roster_touch(w.r, "b", false); /* not in it, and its inspect comes later */
	roster_touch(w.r, "c", true);
	inspected(BOX(.id = "c", .ip = "3", .run = "r1")); /* started after the list was made */
	EXPECT("remove a\nput c run=r1\n");
	item(BOX(.id = "a", .ip = "1"));
	assert_true(roster_list_end(w.r, false, w.now));
	EXPECT("");
	list(1, BOX(.id = "c", .ip = "3"));
	EXPECT("remove b\n");
}

/* Docker: what only an inspect tells survives a list that agrees. */
static void
test_survives(void **state)
{
	(void)state;
	inspected(
		BOX(.id = "a", .ip = "1", .run = "r1", .stop_signal = 3, .health = HEALTH_HEALTHY));
	EXPECT("put a run=r1 healthy\n");
	list(1, BOX(.id = "a", .ip = "1", .health = HEALTH_HEALTHY));
	EXPECT("");
	list(1, BOX(.id = "a", .ip = "1", .health = HEALTH_UNHEALTHY));
	EXPECT("put a run=r1 unhealthy\n");
	/* Paused, the list does not say: its health stays. */
	list(1, BOX(.id = "a", .ip = "1", .health = HEALTH_UNKNOWN, .state = ENDPOINT_PAUSED));
	EXPECT("ring a\nput a unhealthy\n");
	list(1, BOX(.id = "a", .ip = "2", .health = HEALTH_NONE));
	EXPECT("ring a\nput a\n");
	/* The stop signal never changes. */
	assert_false(roster_kill(w.r, "a", 3, w.now));
	EXPECT("put a leaving\n");
}

static void
test_podman(void **state)
{
	(void)state;
	struct box boxes[] = {{.id = "a", .ip = "1", .health = HEALTH_UNKNOWN},
		{.id = "b", .ip = "2", .health = HEALTH_UNKNOWN}};

	roster_set_podman(w.r, true);
	list(2, boxes);
	EXPECT("ring a\nring b\n");
	assert_int_equal(roster_awaited(w.r), 2);
	inspected(BOX(.id = "a", .ip = "1", .run = "r1", .health = HEALTH_HEALTHY, .port = 80));
	EXPECT("put a run=r1 healthy\n");
	assert_true(roster_unanswered(w.r, "b")); /* what the list said must do */
	EXPECT("put b unknown\n");
	assert_int_equal(roster_awaited(w.r), 0);
	inspected(BOX(.id = "b", .ip = "2", .run = "r1", .port = 80));
	EXPECT("put b run=r1\n");

	/* The same again: health is asked for, and nothing else. */
	list(2, boxes);
	EXPECT("ring a\n");
	inspected(BOX(.id = "a", .ip = "1", .run = "r1", .health = HEALTH_UNHEALTHY, .port = 80));
	EXPECT("put a run=r1 unhealthy\n");
	/* An address changed: inspected before it is put; what hangs keeps its last state. */
	boxes[1].ip = "3";
	list(2, boxes);
	EXPECT("ring b\nring a\n");
	assert_true(roster_unanswered(w.r, "b"));
	assert_false(roster_unanswered(w.r, "b"));
	assert_true(roster_unanswered(w.r, "a"));
	EXPECT("");
	list(1, boxes);
	EXPECT("remove b\nring a\n");
	roster_disconnect(w.r);
	assert_int_equal(roster_awaited(w.r), 0);
	/* New, and gone before its inspect came. */
	boxes[1].id = "c";
	list(2, boxes);
	EXPECT("ring c\nring a\n");
	roster_gone(w.r, "c");
	assert_int_equal(roster_awaited(w.r), 1);
	EXPECT("");
}

static void
test_doubt(void **state)
{
	(void)state;
	struct box boxes[30];
	char ids[30][8];

	for (int i = 0; i < 30; i++) {
		snprintf(ids[i], sizeof(ids[i]), "c%d", i);
		boxes[i] = (struct box){.id = ids[i], .ip = ids[i]};
	}
	list(30, boxes);
	buf_reset(&w.log);
	roster_list_begin(w.r);
	for (int i = 0; i < 14; i++)
		item(&boxes[i]);
	item(BOX(.id = "new", .ip = "x"));
	assert_false(roster_list_end(w.r, false, w.now));
	EXPECT("put new\n"); /* what is there is put, nothing is removed */
	assert_int_equal(roster_count(w.r), 31);
	roster_list_begin(w.r);
	assert_false(roster_list_end(w.r, false, w.now));
	EXPECT("");
	list(20, boxes); /* 11 of 31 are less than half */
	buf_reset(&w.log);
	assert_int_equal(roster_count(w.r), 20);
	list(10, boxes); /* 10 are not more than 10 */
	assert_int_equal(roster_count(w.r), 10);
	list(0, NULL);
	assert_int_equal(roster_count(w.r), 0);
	list(30, boxes);
	roster_list_begin(w.r);
	assert_true(roster_list_end(w.r, true, w.now)); /* seen twice */
	assert_int_equal(roster_count(w.r), 0);
	buf_reset(&w.log);
}

static void
test_leaving(void **state)
{
	(void)state;
	const struct box box = {.id = "a", .ip = "1", .run = "r1", .stop_signal = SIGQUIT};

	assert_true(roster_kill(w.r, "a", SIGQUIT, w.now)); /* not known: look */
	inspected(&box);
	EXPECT("put a run=r1\n");
	assert_false(roster_kill(w.r, "a", SIGTERM, w.now)); /* another signal */
	assert_false(roster_kill(w.r, "a", 0, w.now)); /* Podman does not say which */
	EXPECT("");
	assert_false(roster_kill(w.r, "a", SIGQUIT, w.now));
	EXPECT("put a run=r1 leaving\n");
	assert_false(roster_kill(w.r, "a", SIGKILL, w.now));
	inspected(&box);
	list(1, BOX(.id = "a", .ip = "1"));
	EXPECT("ring a\n"); /* neither clears it, but it may have been started again */
	w.now += LEAVING_MAX_MS;
	list(1, BOX(.id = "a", .ip = "1"));
	EXPECT("");
	w.now += 1;
	list(1, BOX(.id = "a", .ip = "1")); /* it does not heed it */
	EXPECT("put a run=r1\n");

	roster_kill(w.r, "a", SIGQUIT, w.now);
	EXPECT("put a run=r1 leaving\n");
	inspected(BOX(.id = "a", .ip = "1", .run = "r2", .stop_signal = SIGQUIT)); /* runs again */
	EXPECT("put a run=r2\n");
	roster_kill(w.r, "a", SIGQUIT, w.now);
	roster_touch(w.r, "a", true); /* started: what was sent before is of no account */
	inspected(BOX(.id = "a", .ip = "1", .run = "r2", .stop_signal = SIGQUIT));
	EXPECT("put a run=r2 leaving\nput a run=r2\n");
}

/* Its end takes it out before the inspect says so; an inspect that was under way does not bring it
 * back, one of its next run does. */
static void
test_ended(void **state)
{
	(void)state;
	inspected(BOX(.id = "a", .ip = "1", .run = "r1"));
	EXPECT("put a run=r1\n");
	roster_end(w.r, "a", w.now);
	EXPECT("put a run=r1 died\n");
	inspected(BOX(.id = "a", .ip = "1", .run = "r1"));
	EXPECT("");
	inspected(BOX(.id = "a", .ip = "1", .run = "r2"));
	EXPECT("put a run=r2\n");

	/* From a list the run is not known. */
	list(2, (struct box[]){{.id = "a", .ip = "1"}, {.id = "b", .ip = "2"}});
	EXPECT("put b\n");
	roster_end(w.r, "b", w.now);
	EXPECT("put b died\n");
	inspected(BOX(.id = "b", .ip = "2", .run = "r1"));
	EXPECT("put b run=r1\n");
	roster_end(w.r, "unknown", w.now);
	EXPECT("");
}

/* Who was told to end did not just die, also where it is not known yet what it was told. */
static void
test_told(void **state)
{
	(void)state;
	const struct box box = {.id = "a", .ip = "1", .run = "r2", .stop_signal = SIGTERM};

	inspected(&box);
	roster_kill(w.r, "a", SIGTERM, w.now);
	roster_end(w.r, "a", w.now);
	EXPECT("put a run=r2\nput a run=r2 leaving\n");
	roster_touch(w.r, "a", true);
	inspected(&box);
	EXPECT("put a run=r2\n");
	roster_end(w.r, "a", w.now);
	roster_kill(w.r, "a", SIGKILL, w.now); /* too late */
	EXPECT("put a run=r2 died\n");

	list(2, (struct box[]){{.id = "a", .ip = "1"}, {.id = "b", .ip = "2"}});
	roster_kill(w.r, "b", SIGTERM, w.now);
	roster_end(w.r, "b", w.now);
	EXPECT("put b\nring a\nput b leaving\n");
	inspected(BOX(.id = "b", .ip = "2", .run = "r1", .stop_signal = SIGTERM));
	EXPECT("put b run=r1 leaving\n");
}

/* From a list the stop signal is not known: the inspect tells what the signal meant. */
static void
test_leaving_unknown(void **state)
{
	(void)state;
	list(3, (struct box[]){
			{.id = "a", .ip = "1"}, {.id = "b", .ip = "2"}, {.id = "c", .ip = "3"}});
	EXPECT("put a\nput b\nput c\n");
	assert_true(roster_kill(w.r, "a", SIGTERM, w.now));
	assert_true(roster_kill(w.r, "b", SIGTERM, w.now));
	EXPECT("");
	inspected(BOX(.id = "a", .ip = "1", .run = "r1", .stop_signal = SIGTERM));
	inspected(BOX(.id = "b", .ip = "2", .run = "r1", .stop_signal = SIGQUIT));
	EXPECT("put a run=r1 leaving\nput b run=r1\n");
	assert_false(roster_kill(w.r, "c", SIGKILL, w.now));
	EXPECT("put c leaving\n");
	roster_gone(w.r, "a");
	EXPECT("remove a\n");
}

/* Docker gave the address of one that stopped to the next, and the stop was not heard of. */
static void
test_address_moved(void **state)
{
	(void)state;
	list(1, BOX(.id = "old", .ip = "1"));
	EXPECT("put old\n");
	inspected(BOX(.id = "new", .ip = "1", .run = "r1"));
	EXPECT("put new run=r1\nring old\nput old withheld\n");
	list(2, (struct box[]){{.id = "old", .ip = "1"}, {.id = "new", .ip = "1"}});
	EXPECT("ring old\n"); /* still waiting for it */
	roster_gone(w.r, "old");
	EXPECT("remove old\n");
}

static void
test_address_disputed(void **state)
{
	(void)state;
	inspected(BOX(.id = "old", .ip = "1", .run = "r1"));
	inspected(BOX(.id = "new", .ip = "1", .run = "r1"));
	EXPECT("put old run=r1\nput new run=r1\nring old\nput old run=r1 withheld\n");
	inspected(BOX(.id = "old", .ip = "1", .run = "r1"));
	EXPECT("put new run=r1 withheld\n"); /* old is so already */
	inspected(BOX(.id = "new", .ip = "1", .run = "r1"));
	inspected(BOX(.id = "old", .ip = "1", .run = "r1"));
	EXPECT("");
	inspected(BOX(.id = "third", .ip = "1", .run = "r1"));
	EXPECT("put third run=r1 withheld\n");
	roster_gone(w.r, "third");
	EXPECT("remove third\n");
	inspected(BOX(.id = "old", .ip = "2", .run = "r2"));
	EXPECT("put new run=r1\nput old run=r2\n");

	/* What restarts has no address. */
	inspected(BOX(.id = "new", .ip = "2", .run = "r1", .state = ENDPOINT_RESTARTING));
	EXPECT("put new run=r1\n");
}

/* Two of one list. */
static void
test_address_in_list(void **state)
{
	(void)state;
	list(2, (struct box[]){{.id = "a", .ip = "1"}, {.id = "b", .ip = "1"}});
	EXPECT("put a\nput b\nring a\nput a withheld\nring a\n");
	inspected(BOX(.id = "a", .ip = "1", .run = "r1"));
	EXPECT("put a run=r1 withheld\nput b withheld\n");
	list(1, BOX(.id = "b", .ip = "1"));
	EXPECT("remove a\nput b\n");
}

static void
restore(const struct box *b, bool withheld, bool leaving)
{
	struct endpoint *e = make(b);
	e->withheld = withheld;
	e->leaving = leaving;
	e->ready_before = true;
	roster_restore(w.r, e, w.now);
	endpoint_unref(e);
}

static void
test_restore(void **state)
{
	(void)state;
	restore(BOX(.id = "same", .ip = "1", .run = "r1"), false, false);
	restore(BOX(.id = "moved", .ip = "2", .run = "r1"), false, false);
	restore(BOX(.id = "held", .ip = "3", .run = "r1"), true, false);
	restore(BOX(.id = "leaving", .ip = "4", .run = "r1"), false, true);
	restore(BOX(.id = "gone", .ip = "5", .run = "r1"), false, false);
	EXPECT("");
	list(4, (struct box[]){{.id = "same", .ip = "1"}, {.id = "moved", .ip = "5"},
			{.id = "held", .ip = "3"}, {.id = "leaving", .ip = "4"}});
	EXPECT("remove gone\nring moved\nput moved\nput held run=r1 before\nring leaving\n");
	inspected(BOX(.id = "same", .ip = "1", .run = "r2")); /* another run has not answered yet */
	EXPECT("put same run=r2\n");
	inspected(BOX(.id = "leaving", .ip = "4", .run = "r1"));
	EXPECT("");
}

static void
test_restore_podman(void **state)
{
	(void)state;
	roster_set_podman(w.r, true);
	restore(BOX(.id = "held", .ip = "3", .run = "r1", .port = 80), true, false);
	list(1, BOX(.id = "held", .ip = "3", .health = HEALTH_UNKNOWN));
	EXPECT("put held run=r1 before\nring held\n");
	inspected(BOX(.id = "held", .ip = "3", .run = "r1", .port = 80));
	EXPECT("");
}

static void
test_names(void **state)
{
	(void)state;
	inspected(BOX(.id = "a", .ip = "1", .run = "r1", .name = "web"));
	assert_true(roster_has(w.r, "web"));
	roster_gone(w.r, "web");
	EXPECT("put a run=r1\nremove a\n");
	roster_gone(w.r, "web");
	roster_unanswered(w.r, "web");
	EXPECT("");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abandoned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(test_survives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_podman, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doubt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaving, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaving_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_disputed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_in_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore_podman, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
