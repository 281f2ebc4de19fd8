/* Slot commands in more than one step: a cleanup's first one, a deploy taken back, and a command
 * for the grace period that was meant alone; and what the API says of slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "provider/status/api_render.h"
#include "reconciler/base/json.h"
#include "reconciler/model/slot_table.h"

#define NOW UINT64_C(1767323045000) /* 2026-01-02T03:04:05Z */
#define HOUR UINT64_C(3600000)
#define ID "00112233445566778899aabbccddeeff"

struct fixture {
	struct arena arena;
	struct registered_slot slots[2];
	struct registered_environment e;
	struct slot_request r;
	struct slot_change c;
	struct slot_refusal refusal;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	f->slots[0] = (struct registered_slot){
		.name = "blue", .state = SLOT_ACTIVE, .since_ms = NOW - HOUR};
	f->slots[1] = (struct registered_slot){.name = "green"};
	f->e = (struct registered_environment){
		.name = "production", .active = "blue", .nslots = 2, .slot = f->slots};
	f->r = (struct slot_request){
		.command = SLOT_CLEANUP, .project = "myapp", .slot = "green", .now_ms = NOW};
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	arena_finish(&f->arena);
	free(f);
	return 0;
}

static const struct registered_slot *
green(const struct fixture *f)
{
	return registered_slot_find(&f->c.after, "green");
}

static bool
apply(struct fixture *f)
{
	return slot_apply(&f->arena, &f->e, &f->r, &f->c, &f->refusal);
}

/* -- the first step of a cleanup -- */

static void
check_ended(struct fixture *f, enum slot_state from, enum slot_state to, uint64_t since_ms)
{
	f->slots[1].state = from;
	f->slots[1].since_ms = NOW - HOUR;
	f->slots[1].until_ms = from == SLOT_DEPLOYED ? 0 : NOW + HOUR;
	f->slots[1].id = from == SLOT_RESERVED ? ID : NULL;
	f->r.ending = true;
	assert_true(apply(f));
	assert_int_equal(green(f)->state, to);
	assert_int_equal(green(f)->since_ms, since_ms);
	assert_int_equal(green(f)->until_ms, NOW);
	assert_int_equal(!green(f)->id, from != SLOT_RESERVED);
	assert_string_equal(f->c.after.active, "blue");

	/* And the second, from there. */
	f->slots[1] = *green(f);
	f->r.ending = false;
	assert_true(apply(f));
	assert_int_equal(green(f)->state, SLOT_EMPTY);
	assert_int_equal(green(f)->until_ms, 0);
	assert_null(green(f)->id);
}

static void
test_ending(void **state)
{
	struct fixture *f = *state;

	check_ended(f, SLOT_RESERVED, SLOT_RESERVED, NOW - HOUR);
	check_ended(f, SLOT_GRACE, SLOT_GRACE, NOW - HOUR);
	check_ended(f, SLOT_DEPLOYED, SLOT_GRACE, NOW);
}

/* What the table refuses, the first step refuses. */
static void
test_ending_refused(void **state)
{
	struct fixture *f = *state;
	const struct slot_fact fact = {.slot = "green", .traffic = true};
	const struct slot_facts facts = {1, &fact};

	f->r.ending = true;
	assert_false(apply(f));
	assert_string_equal(f->refusal.what, "slot green is empty already");
	f->slots[1].state = SLOT_GRACE;
	f->r.facts = &facts;
	assert_false(apply(f));
	assert_string_equal(f->refusal.what, "slot green carries traffic");
}

/* -- only the grace period that was meant -- */

static void
test_grace_since(void **state)
{
	struct fixture *f = *state;
	uint64_t since_ms = NOW - HOUR;

	f->r.grace_since_ms = &since_ms;
	f->slots[1].state = SLOT_GRACE;
	f->slots[1].since_ms = NOW - HOUR;
	assert_true(apply(f));
	f->r.command = SLOT_ROLLBACK;
	assert_true(apply(f));
	/* A rollback and a promote later. */
	f->slots[1].since_ms++;
	assert_false(apply(f));
	assert_string_equal(
		f->refusal.what, "slot green is not in the grace period that is meant any more");
	/* Somebody has reserved it anew. */
	f->r.command = SLOT_CLEANUP;
	f->slots[1].since_ms = since_ms;
	f->slots[1].state = SLOT_RESERVED;
	assert_false(apply(f));
}

/* -- a deploy taken back -- */

static void
test_restore(void **state)
{
	struct fixture *f = *state;
	struct registered_slot before = {.name = "green",
		.state = SLOT_GRACE,
		.since_ms = NOW - HOUR,
		.until_ms = NOW + HOUR,
		.port = 4052,
		.container = "mine"};

	f->slots[1] = before;
	f->r.command = SLOT_DEPLOY;
	f->r.id = ID;
	f->r.discard_rollback = true;
	assert_true(apply(f));
	assert_int_equal(green(f)->state, SLOT_RESERVED);
	f->slots[1] = *green(f);
	/* The other one may have changed meanwhile. */
	f->slots[0].since_ms = NOW;
	f->r.restore = &before;
	assert_true(slot_restore(&f->arena, &f->e, &f->r, &f->c, &f->refusal));
	assert_string_equal(f->c.slot, "green");
	assert_string_equal(f->c.after.active, "blue");
	assert_int_equal(f->c.after.slot[0].since_ms, NOW);
	assert_int_equal(green(f)->state, SLOT_GRACE);
	assert_int_equal(green(f)->since_ms, NOW - HOUR);
	assert_int_equal(green(f)->until_ms, NOW + HOUR);
	assert_int_equal(green(f)->port, 4052);
	assert_null(green(f)->id);
	assert_string_equal(green(f)->container, "mine");
}

/* Whose it is not any more must not be put back. */
static void
test_restore_refused(void **state)
{
	struct fixture *f = *state;
	const struct registered_slot before = {.name = "green"};

	f->r.id = ID;
	f->r.restore = &before;
	assert_false(slot_restore(&f->arena, &f->e, &f->r, &f->c, &f->refusal));
	f->slots[1].state = SLOT_RESERVED;
	f->slots[1].id = "ffeeddccbbaa99887766554433221100";
	assert_false(slot_restore(&f->arena, &f->e, &f->r, &f->c, &f->refusal));
	assert_string_equal(f->refusal.what, "slot green is not reserved by " ID " any more");
	/* Promoted: the id went. */
	f->slots[1].state = SLOT_ACTIVE;
	f->slots[1].id = NULL;
	assert_false(slot_restore(&f->arena, &f->e, &f->r, &f->c, &f->refusal));
}

/* -- GET /api/v1/slots -- */

static void
check_slot(const struct plan_slot *s, const char *want)
{
	struct buf b = {0};

	api_render_slot(&b, "my \"app\"", s, 7);
	assert_string_equal(b.p, want);
	json_t *json = json_read(b.p, b.n);
	assert_non_null(json);
	json_decref(json);
	buf_finish(&b);
}

static void
test_rendered(void **state)
{
	(void)state;
	check_slot(&(struct plan_slot){.environment = "production", .slot = "blue"},
		"{\"project\":\"my \\\"app\\\"\",\"environment\":\"production\",\"slot\":\"blue\","
		"\"registered\":false,\"state\":\"empty\",\"active\":false,\"port\":null,"
		"\"since\":null,\"until\":null,\"id\":null,\"ended\":false,\"traffic\":false,"
		"\"fallback\":false,\"servers\":0,\"ready\":0,\"container\":null,\"revision\":7}");
	check_slot(
		&(struct plan_slot){
			.environment = "qa",
			.slot = "green",
			.registered = true,
			.state = SLOT_GRACE,
			.active = true,
			.port = 4052,
			.since_ms = NOW,
			.until_ms = NOW + 1,
			.id = ID,
			.ended = true,
			.traffic = true,
			.fallback = true,
			.servers = 2,
			.ready = 1,
			.container = "c",
		},
		"{\"project\":\"my \\\"app\\\"\",\"environment\":\"qa\",\"slot\":\"green\","
		"\"registered\":true,\"state\":\"grace-period\",\"active\":true,\"port\":4052,"
		"\"since\":\"2026-01-02T03:04:05.000Z\",\"until\":\"2026-01-02T03:04:05.001Z\","
		"\"id\":\"" ID "\",\"ended\":true,\"traffic\":true,\"fallback\":true,\"servers\":2,"
		"\"ready\":1,\"container\":\"c\",\"revision\":7}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ending_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grace_since, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore_refused, setup, teardown),
		cmocka_unit_test(test_rendered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
