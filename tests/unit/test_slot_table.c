/* Every transition and every refusal of `waymark slot`, against the table and against words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/model/slot_table.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW UINT64_C(1767323045000) /* 2026-01-02T03:04:05Z */
#define HOUR UINT64_C(3600000)
#define OLD_ID "00112233445566778899aabbccddeeff"
#define NEW_ID "ffeeddccbbaa99887766554433221100"

/* What is so, in a word for each slot: "empty", "reserved", "ended" (a reservation that has),
 * "deployed", "active", "grace", "over" (a grace period that is); NULL: not listed. */
static struct registered_slot
slot_of(const char *name, const char *word)
{
	struct registered_slot s = {.name = name};

	if (!strcmp(word, "reserved") || !strcmp(word, "ended")) {
		s.state = SLOT_RESERVED;
		s.id = OLD_ID;
		s.until_ms = *word == 'r' ? NOW + HOUR : NOW;
	} else if (!strcmp(word, "grace") || !strcmp(word, "over")) {
		s.state = SLOT_GRACE;
		s.until_ms = *word == 'g' ? NOW + HOUR : NOW - 1;
	} else {
		s.state = !strcmp(word, "deployed") ? SLOT_DEPLOYED
			  : !strcmp(word, "active") ? SLOT_ACTIVE
						    : SLOT_EMPTY;
	}
	return s;
}

static struct registered_environment
environment_of(const char *blue, const char *green, struct registered_slot slots[2])
{
	struct registered_environment e = {.name = "production", .slot = slots};

	if (blue)
		slots[e.nslots++] = slot_of("blue", blue);
	if (green)
		slots[e.nslots++] = slot_of("green", green);
	for (size_t i = 0; i < e.nslots; i++)
		if (slots[i].state == SLOT_ACTIVE)
			e.active = slots[i].name;
	return e;
}

static struct slot_request
request_of(enum slot_command command, const struct slot_facts *facts)
{
	return (struct slot_request){
		.command = command,
		.project = "myapp",
		.id = command == SLOT_DEPLOY ? NEW_ID : NULL,
		.now_ms = NOW,
		.grace_ms = 48 * HOUR,
		.reservation_ms = SLOT_RESERVATION_MS,
		.facts = facts,
	};
}

/* -- each row of the table, by itself -- */

static const char *const words[] = {
	[SLOT_EMPTY] = "empty",
	[SLOT_RESERVED] = "reserved",
	[SLOT_DEPLOYED] = "deployed",
	[SLOT_ACTIVE] = "active",
	[SLOT_GRACE] = "grace",
};

/* What one of the row's needs is like when it is met, and when not. */
static void
set_need(unsigned need, bool met, const char **word, struct slot_request *r, struct slot_fact *f)
{
	if (need == SLOT_NEEDS_IDLE)
		f->traffic = !met;
	else if (need == SLOT_NEEDS_READY)
		f->ready = met;
	else if (need == SLOT_NEEDS_ENDED)
		*word = met ? "ended" : "reserved";
	else if (need == SLOT_NEEDS_LIVE)
		*word = met ? "reserved" : "ended";
	else if (need == SLOT_NEEDS_DISCARD)
		r->discard_rollback = met;
	else if (need == SLOT_NEEDS_ID && !met)
		r->id = NEW_ID;
}

/* With all needs met but one, or none but; is it done? */
static bool
try_row(const struct slot_transition *t, unsigned unmet, struct arena *a, struct slot_change *c,
	struct slot_refusal *refusal)
{
	struct slot_fact fact = {
		.slot = "green", .servers = 1, .ready = 1, .container = "myapp-production-green"};
	const struct slot_facts facts = {1, &fact};
	struct slot_request r = request_of(t->command, &facts);
	struct registered_slot slots[2];
	const char *word = words[t->from];

	r.slot = "green";
	for (unsigned need = 1; need < SLOT_NEVER; need <<= 1)
		if (t->needs & need)
			set_need(need, need != unmet, &word, &r, &fact);
	struct registered_environment e =
		environment_of(t->from == SLOT_ACTIVE ? "deployed" : "active", word, slots);
	return slot_apply(a, &e, &r, c, refusal);
}

static void
check_done(const struct slot_transition *t, const struct slot_change *c)
{
	const struct registered_slot *green = registered_slot_find(&c->after, "green");
	const struct registered_slot *blue = registered_slot_find(&c->after, "blue");

	assert_string_equal(c->slot, "green");
	assert_int_equal(green->state, t->to);
	assert_int_equal(green->since_ms, t->to == SLOT_EMPTY ? 0 : NOW);
	if (t->to == SLOT_RESERVED) {
		assert_int_equal(green->until_ms, NOW + SLOT_RESERVATION_MS);
		assert_string_equal(green->id, NEW_ID);
		assert_int_equal(green->port, 4052);
	} else {
		assert_null(green->id);
		assert_int_equal(green->until_ms, 0);
	}
	if (t->to == SLOT_ACTIVE) {
		assert_string_equal(c->after.active, "green");
		assert_string_equal(c->left, "blue");
		assert_int_equal(blue->state, SLOT_GRACE);
		assert_int_equal(blue->since_ms, NOW);
		assert_int_equal(blue->until_ms, NOW + 48 * HOUR);
	} else {
		assert_string_equal(c->after.active, "blue");
		assert_null(c->left);
		assert_int_equal(blue->state, SLOT_ACTIVE);
	}
}

static void
check_refused(const struct slot_transition *t, const struct slot_refusal *refusal)
{
	(void)t;
	assert_non_null(refusal->slot);
	assert_true(strlen(refusal->what) > strlen("slot green "));
	assert_true(strlen(refusal->remedy) > 5);
	assert_null(strpbrk(refusal->what, "{}"));
	assert_null(strpbrk(refusal->remedy, "{}"));
}

static void
test_rows(void **state)
{
	(void)state;
	size_t done = 0, refused = 0;

	for (int c = 0; c < SLOT_COMMANDS; c++)
		for (int from = SLOT_EMPTY; from <= SLOT_GRACE; from++) {
			const struct slot_transition *t = slot_transition_find(c, from);
			struct arena a = {0};
			struct slot_change change;
			struct slot_refusal refusal = {0};
			bool ok = try_row(t, 0, &a, &change, &refusal);
			if (ok != !(t->needs & SLOT_NEVER))
				fail_msg("%s from %s: %s", slot_command_text(c), words[from],
					ok ? "done" : refusal.what);
			if (ok)
				check_done(t, &change);
			else
				check_refused(t, &refusal);
			done += ok;
			for (unsigned need = 1; need < SLOT_NEVER; need <<= 1) {
				if (!(t->needs & need))
					continue;
				if (try_row(t, need, &a, &change, &refusal))
					fail_msg("%s from %s without need %u: done",
						slot_command_text(c), words[from], need);
				check_refused(t, &refusal);
				refused++;
			}
			arena_finish(&a);
		}
	assert_int_equal(done, 10);
	assert_int_equal(refused, 15);
}

/* -- stories -- */

struct story {
	const char *blue, *green; /* before */
	enum slot_command command;
	const char *slot, *id;
	bool discard;
	const char *ready, *traffic; /* slots; NULL: none; "?" as ready: nobody was asked */
	const char *says; /* "blue: active grace-period", or "WHAT; REMEDY" */
};

static void
tell(const struct story *s, char *ret, size_t size)
{
	struct slot_fact list[2] = {{.slot = "blue"}, {.slot = "green"}};
	struct slot_facts facts = {2, list};
	bool asked = !s->ready || *s->ready != '?';
	struct slot_request r = request_of(s->command, asked ? &facts : NULL);
	struct registered_slot slots[2];
	struct registered_environment e = environment_of(s->blue, s->green, slots);
	struct slot_change c;
	struct slot_refusal refusal;
	struct arena a = {0};

	for (size_t i = 0; i < 2; i++) {
		list[i].ready = list[i].servers = s->ready && strstr(s->ready, list[i].slot);
		list[i].traffic = s->traffic && strstr(s->traffic, list[i].slot);
	}
	r.slot = s->slot;
	r.id = s->id ? s->id : r.id;
	r.discard_rollback = s->discard;
	if (slot_apply(&a, &e, &r, &c, &refusal))
		snprintf(ret, size, "%s: %s %s", c.slot, slot_state_text(c.after.slot[0].state),
			slot_state_text(c.after.slot[1].state));
	else
		snprintf(ret, size, "%s; %s", refusal.what, refusal.remedy);
	arena_finish(&a);
}

static void
test_stories(void **state)
{
	(void)state;
	static const struct story stories[] = {
		/* Which slot a deploy takes. */
		{NULL, NULL, SLOT_DEPLOY, .says = "blue: reserved empty"},
		{"active", "empty", SLOT_DEPLOY, .says = "green: active reserved"},
		{"active", NULL, SLOT_DEPLOY, .says = "green: active reserved"},
		{"grace", "active", SLOT_DEPLOY, .discard = true, .says = "blue: reserved active"},
		{"over", "active", SLOT_DEPLOY, .says = "blue: reserved active"},
		{"ended", "active", SLOT_DEPLOY, .says = "blue: reserved active"},
		{"deployed", NULL, SLOT_DEPLOY, .says = "green: deployed reserved"},
		{NULL, NULL, SLOT_DEPLOY, .traffic = "blue", .says = "green: empty reserved"},
		{NULL, NULL, SLOT_DEPLOY, .slot = "green", .says = "green: empty reserved"},
		{"ended", "deployed", SLOT_DEPLOY, .slot = "blue",
			.says = "blue: reserved deployed"},
		/* What a deploy must not touch. */
		{"grace", "active", SLOT_DEPLOY,
			.says = "slot blue is what a rollback goes back to, until "
				"2026-01-02T04:04:05Z; wait for the end of its grace period, or "
				"give the way back up with --discard-rollback"},
		{"grace", "active", SLOT_DEPLOY, .discard = true, .traffic = "blue",
			.says = "slot blue carries traffic; promote the slot that is to have it, "
				"and try again when its route has moved"},
		{"empty", "active", SLOT_DEPLOY, .traffic = "blue",
			.says = "slot blue carries traffic, though the registry says that it is "
				"empty; promote the slot that is to have it, and try again when "
				"its route has moved"},
		{"active", "reserved", SLOT_DEPLOY, .discard = true,
			.says = "slot green is reserved by another deploy, " OLD_ID ", until "
				"2026-01-02T04:04:05Z; wait for it, or give its reservation up: "
				"waymark slot cleanup myapp production green"},
		{"reserved", NULL, SLOT_DEPLOY, .slot = "green",
			.says = "slot blue is reserved by another deploy, " OLD_ID ", until "
				"2026-01-02T04:04:05Z; wait for it, or give its reservation up: "
				"waymark slot cleanup myapp production blue"},
		{"active", "empty", SLOT_DEPLOY, .slot = "blue",
			.says = "slot blue is active; deploy to the other one: waymark slot deploy "
				"myapp production green"},
		{"active", "empty", SLOT_DEPLOY, .slot = "red",
			.says = "there is no slot red; name one of those that `waymark slot list` "
				"shows"},
		/* Promoting. */
		{"active", "reserved", SLOT_PROMOTE, .ready = "green",
			.says = "green: grace-period active"},
		{"active", "reserved", SLOT_PROMOTE, .ready = "?",
			.says = "green: grace-period active"},
		{"active", "reserved", SLOT_PROMOTE, .id = OLD_ID, .ready = "green",
			.says = "green: grace-period active"},
		{"reserved", NULL, SLOT_PROMOTE, .id = OLD_ID, .ready = "blue", .traffic = "blue",
			.says = "blue: active empty"},
		{"active", "reserved", SLOT_PROMOTE, .id = NEW_ID, .ready = "green",
			.says = "no slot is reserved by " NEW_ID " any more; deploy again: waymark "
				"slot deploy myapp production"},
		{"active", "deployed", SLOT_PROMOTE, .slot = "green", .id = OLD_ID,
			.ready = "green",
			.says = "slot green is not reserved by " OLD_ID " any more; deploy again: "
				"waymark slot deploy myapp production"},
		{"active", "ended", SLOT_PROMOTE, .id = OLD_ID, .ready = "green",
			.says = "slot green is reserved until 2026-01-02T03:04:05Z, which has "
				"passed; reserve it again: waymark slot deploy myapp production"},
		{"active", "reserved", SLOT_PROMOTE, .ready = "blue",
			.says = "slot green has no container; start myapp-production-green, and "
				"try again when it is ready"},
		{"active", "empty", SLOT_PROMOTE,
			.says = "no slot is reserved or deployed; deploy first: waymark slot "
				"deploy myapp production"},
		{"deployed", "deployed", SLOT_PROMOTE, .ready = "green",
			.says = "2 slots could be meant; name the slot, after the environment"},
		{"active", "grace", SLOT_PROMOTE, .slot = "green", .ready = "green",
			.says = "slot green is in its grace period until 2026-01-02T04:04:05Z; go "
				"back to it with: waymark slot rollback myapp production green"},
		/* Going back, which has a way back in turn. */
		{"active", "grace", SLOT_ROLLBACK, .ready = "green",
			.says = "green: grace-period active"},
		{"active", "over", SLOT_ROLLBACK, .ready = "green",
			.says = "green: grace-period active"},
		{"active", "deployed", SLOT_ROLLBACK, .ready = "green",
			.says = "no slot is in its grace period, so there is no way back; deploy "
				"what is to run: waymark slot deploy myapp production"},
		{"active", "grace", SLOT_ROLLBACK, .ready = "blue",
			.says = "slot green has no container; start myapp-production-green, and "
				"try again when it is ready"},
		/* Cleaning up. */
		{"active", "grace", SLOT_CLEANUP, .traffic = "blue", .says = "green: active empty"},
		{"active", "reserved", SLOT_CLEANUP, .says = "green: active empty"},
		{"active", "grace", SLOT_CLEANUP, .traffic = "green",
			.says = "slot green carries traffic; promote the slot that is to have it, "
				"and try again when its route has moved"},
		{"active", "grace", SLOT_CLEANUP, .slot = "blue",
			.says = "slot blue is active; promote the other one first: waymark slot "
				"promote myapp production green"},
		{"active", NULL, SLOT_CLEANUP,
			.says = "no slot is there to be cleaned up; nothing is left to do"},
	};

	for (size_t i = 0; i < COUNT(stories); i++) {
		char got[512];
		tell(&stories[i], got, sizeof(got));
		if (strcmp(got, stories[i].says) != 0)
			fail_msg("story %zu:\n got  %s\n want %s", i, got, stories[i].says);
	}
}

static void
check_ended(const struct slot_transition *t, const struct slot_change *c)
{
	const struct registered_slot *s = registered_slot_find(&c->after, "green");

	assert_int_equal(s->state, t->from == SLOT_RESERVED ? SLOT_RESERVED : SLOT_GRACE);
	assert_int_equal(s->since_ms, t->from == SLOT_DEPLOYED ? NOW : NOW - HOUR);
	assert_int_equal(s->until_ms, NOW);
	assert_true(slot_has_ended(s, NULL, NOW));
	assert_int_equal(s->id != NULL, t->from == SLOT_RESERVED);
	assert_string_equal(s->container, "mine");
	assert_string_equal(c->after.active, "blue");
}

/* The first step of a cleanup needs what the whole does, and leaves a slot that has ended. */
static void
check_ending(const struct slot_transition *t)
{
	const char *word = words[t->from];
	struct slot_fact fact = {.slot = "green"};
	const struct slot_facts facts = {1, &fact};
	struct slot_request r = request_of(SLOT_CLEANUP, &facts);
	struct registered_slot slots[2];
	struct slot_change c;
	struct slot_refusal refusal;
	struct arena a = {0};

	r.slot = "green";
	r.ending = true;
	struct registered_environment e =
		environment_of(t->from == SLOT_ACTIVE ? "deployed" : "active", word, slots);
	slots[1].since_ms = NOW - HOUR;
	slots[1].container = "mine";
	bool ok = slot_apply(&a, &e, &r, &c, &refusal);
	assert_int_equal(ok, !(t->needs & SLOT_NEVER));
	if (ok) {
		check_ended(t, &c);
		fact.traffic = true;
		assert_false(slot_apply(&a, &e, &r, &c, &refusal));
		/* The second step, and the first once more. */
		fact.traffic = false;
		struct registered_environment ended = c.after;
		assert_true(slot_apply(&a, &ended, &r, &c, &refusal));
		r.ending = false;
		assert_true(slot_apply(&a, &ended, &r, &c, &refusal));
		assert_int_equal(registered_slot_find(&c.after, "green")->state, SLOT_EMPTY);
	}
	arena_finish(&a);
}

static void
test_ending(void **state)
{
	(void)state;

	for (int from = SLOT_EMPTY; from <= SLOT_GRACE; from++)
		check_ending(slot_transition_find(SLOT_CLEANUP, from));
}

/* The running Waymark knows for how long a clock stood still: the later end counts. */
static void
test_clock(void **state)
{
	(void)state;
	static const struct {
		const char *green;
		uint64_t until; /* as the running Waymark says */
		bool taken; /* by a deploy */
	} cases[] = {
		{"over", 0, true},
		{"over", NOW - 1, true},
		{"over", NOW, true},
		{"over", NOW + 1, false},
		{"grace", 0, false},
		{"grace", NOW - 1, false},
		{"ended", NOW + 1, false},
		{"ended", 0, true},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slot_fact fact = {.slot = "green", .until_ms = cases[i].until};
		const struct slot_facts facts = {1, &fact};
		struct slot_request r = request_of(SLOT_DEPLOY, &facts);
		struct registered_slot slots[2];
		struct registered_environment e = environment_of("active", cases[i].green, slots);
		struct slot_change c;
		struct slot_refusal refusal;
		struct arena a = {0};
		bool taken = slot_apply(&a, &e, &r, &c, &refusal);
		if (taken != cases[i].taken || (!taken && strstr(refusal.what, "has passed")))
			fail_msg("%zu: %s", i, taken ? "taken" : refusal.what);
		arena_finish(&a);
	}
	/* One without an end has none, whatever was seen. */
	const struct slot_fact fact = {.slot = "green", .until_ms = NOW - 1};
	const struct registered_slot s = {.name = "green", .state = SLOT_GRACE};
	assert_int_equal(slot_end_ms(&s, &fact), 0);
	assert_false(slot_has_ended(&s, &fact, NOW));
}

/* Weights are of what was being tried out; what is decided ends that. */
static void
test_weights(void **state)
{
	(void)state;
	static const struct {
		const char *blue, *green;
		enum slot_command command;
		bool ending, kept;
	} cases[] = {
		{"active", "deployed", SLOT_PROMOTE, false, false},
		{"active", "grace", SLOT_ROLLBACK, false, false},
		{"active", "grace", SLOT_CLEANUP, false, false},
		{"active", "reserved", SLOT_CLEANUP, true, false},
		{"active", "deployed", SLOT_DEPLOY, false, true},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slot_request r = request_of(cases[i].command, NULL);
		struct registered_slot slots[2];
		struct registered_environment e =
			environment_of(cases[i].blue, cases[i].green, slots);
		struct slot_change c;
		struct slot_refusal refusal;
		struct arena a = {0};
		e.weighted = true;
		slots[0].weight = 90;
		slots[1].weight = 10;
		r.ending = cases[i].ending;
		assert_true(slot_apply(&a, &e, &r, &c, &refusal));
		assert_int_equal(c.after.weighted, cases[i].kept);
		assert_int_equal(c.after.slot[0].weight, cases[i].kept ? 90 : 0);
		assert_int_equal(c.after.slot[1].weight, cases[i].kept ? 10 : 0);
		arena_finish(&a);
	}
}

static void
test_containers(void **state)
{
	(void)state;
	struct registered_slot s[] = {{.name = "blue", .container = "mine"}, {.name = "green"}};
	struct registered_environment e = {.name = "qa", .nslots = 2, .slot = s};
	struct arena a = {0};

	assert_string_equal(slot_container(&a, "p", &e, "blue"), "mine");
	assert_string_equal(slot_container(&a, "p", &e, "green"), "p-qa-green");
	arena_finish(&a);
}

/* The manual has a line for each row, and none shows a placeholder. */
static void
test_manual(void **state)
{
	(void)state;
	struct buf b = {0};
	size_t lines = 0;

	slot_table_print(&b);
	for (const char *c = b.p; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 1 + 5 * SLOT_COMMANDS + 5);
	assert_null(strchr(b.p, '{'));
	assert_non_null(strstr(b.p, "A cleanup is two steps."));
	assert_non_null(
		strstr(b.p, "  promote   deployed      active: when --id, where given, is its "
			    "id, and a container of it is ready\n"));
	assert_non_null(strstr(b.p, "  promote   empty         refused: it is empty\n"));
	buf_finish(&b);

	enum slot_command c;
	assert_true(slot_command_parse("cleanup", &c));
	assert_int_equal(c, SLOT_CLEANUP);
	assert_false(slot_command_parse("list", &c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_ending),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_manual),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
