#include "reconciler/model/ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A name of that hash: 25 times 'd' makes 2500. */
static const char *
name_of_hash(struct arena *a, unsigned hash)
{
	char *name = arena_strdup(a, "ddddddddddddddddddddddddd");
	for (size_t i = 0; hash > 0; i++) {
		unsigned more = hash > 20 ? 20 : hash;
		name[i] = (char)(name[i] + (char)more);
		hash -= more;
	}
	return name;
}

static void
test_formula(void **state)
{
	(void)state;
	assert_int_equal(ports_hash("myapp"), 51);
	assert_int_equal(ports_formula("myapp", "production"), 4051);
	assert_int_equal(ports_formula("myapp", "staging"), 4551);
	assert_int_equal(ports_formula("myapp", "preview"), 0);
	assert_int_equal(ports_formula("", "production"), 4000);
}

static struct registered_slot slots[2] = {{.name = "blue", .port = 4100}, {.name = "green"}};

/* What an environment's slots get, by what the registry says of it. */
static void
test_environments(void **state)
{
	(void)state;
	static const struct registered_slot canary[] = {{.name = "canary", .port = 5000}};
	static const struct {
		struct registered_environment e;
		const char *slot[3];
		uint16_t port[3];
		bool formula[3], planned;
	} cases[] = {
		{{.name = "production"}, {"blue", "green"}, {4051, 4052}, {true, true}, true},
		{{.name = "production", .slots = true}, {"blue", "green"}, {4051, 4052},
			{true, true}, false},
		{{.name = "production", .base_port = 4200}, {"blue", "green"}, {4200, 4201},
			{false, false}, false},
		{{.name = "production", .nslots = 2, .slot = slots}, {"blue", "green"},
			{4100, 4052}, {false, true}, false},
		{{.name = "production", .nslots = 1, .slot = canary}, {"blue", "green", "canary"},
			{4051, 4052, 5000}, {true, true, false}, false},
		{{.name = "preview"}, {NULL}, {0}, {false}, false},
		{{.name = "preview", .nslots = 2, .slot = slots}, {"blue"}, {4100}, {false}, false},
		{{.name = "staging", .base_port = 65535}, {"blue"}, {65535}, {false}, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = {0};
		struct slot_ports ps = {.arena = &a};
		const struct registered_project p = {.name = "myapp",
			.place = "x",
			.nenvironments = 1,
			.environments = &cases[i].e};
		size_t n = 0;
		ports_add_project(&ps, &p);
		while (n < 3 && cases[i].slot[n])
			n++;
		assert_int_equal(ps.n, n);
		for (size_t k = 0; k < n; k++) {
			assert_string_equal(ps.list[k].slot, cases[i].slot[k]);
			assert_int_equal(ps.list[k].port, cases[i].port[k]);
			assert_int_equal(ps.list[k].formula, cases[i].formula[k]);
			assert_int_equal(ps.list[k].planned, cases[i].planned);
			assert_string_equal(ps.list[k].place, "x");
		}
		arena_finish(&a);
	}
}

/* Who else has the port of a slot, and why. */
static void
test_clashes(void **state)
{
	(void)state;
	struct arena a = {0};
	struct slot_ports ps = {.arena = &a};
	const struct {
		const char *project, *environment, *slot;
		uint16_t port;
		enum ports_clash clash;
	} want[] = {
		{"maypp", "production", "blue", 4051, CLASH_ANAGRAM},
		{"maypp", "production", "green", 4052, CLASH_ANAGRAM},
		{"nxapp", "production", "blue", 4051, CLASH_HASH},
		{"nxapp", "production", "green", 4052, CLASH_HASH},
		{"myapo", "production", "green", 4051, CLASH_NEIGHBOUR},
		{"myapq", "production", "blue", 4052, CLASH_NEIGHBOUR},
	};
	ports_add(&ps, NULL, "myapp", "production", NULL);
	ports_add(&ps, NULL, "myapp", "staging", NULL);
	ports_add(&ps, NULL, "myapo", "production", NULL);
	ports_add(&ps, NULL, "myapq", "production", NULL);
	ports_add(&ps, NULL, "nxapp", "production", NULL);
	ports_add(&ps, NULL, "maypp", "production", NULL);
	ports_add(&ps, NULL, "far", "production", NULL);
	ports_sort(&ps);

	size_t found = 0;
	for (uint16_t port = 4051; port <= 4052; port++) {
		size_t n;
		const struct slot_port *at = ports_at(&ps, port, &n), *mine = NULL;
		for (size_t i = 0; i < n; i++)
			if (slot_port_is(&at[i], "myapp", "production"))
				mine = &at[i];
		assert_non_null(mine);
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < COUNT(want); k++)
				if (slot_port_is(&at[i], want[k].project, want[k].environment) &&
					strcmp(at[i].slot, want[k].slot) == 0 &&
					want[k].port == port) {
					found++;
					assert_int_equal(ports_clash(mine, &at[i]), want[k].clash);
				}
	}
	assert_int_equal(found, COUNT(want));
	size_t n;
	assert_null(ports_at(&ps, 4099, &n));
	assert_int_equal(n, 0);
	arena_finish(&a);
}

static void
test_border(void **state)
{
	(void)state;
	struct arena a = {0};
	struct slot_ports ps = {.arena = &a};
	const char *last = name_of_hash(&a, 499), *first = name_of_hash(&a, 0);
	assert_int_equal(ports_hash(last), 499);
	assert_int_equal(ports_hash(first), 0);
	ports_add(&ps, NULL, last, "production", NULL);
	ports_add(&ps, NULL, first, "staging", NULL);
	ports_sort(&ps);
	size_t n;
	const struct slot_port *at = ports_at(&ps, 4500, &n);
	assert_int_equal(n, 2);
	assert_int_equal(ports_clash(&at[0], &at[1]), CLASH_BORDER);
	assert_int_equal(ports_crosses_border(&at[0]) + ports_crosses_border(&at[1]), 1);
	assert_false(ports_crosses_border(&ps.list[0]));

	/* What the registry says is not the formula's fault. */
	const struct slot_port said = {"x", "staging", "blue", NULL, 4500, false, false};
	assert_int_equal(ports_clash(&at[0], &said), CLASH_REGISTRY);
	assert_false(ports_crosses_border(&said));

	/* Unless it says what the formula says. */
	const struct slot_port green = {last, "production", "green", NULL, 4500, false, false};
	assert_int_equal(ports_clash(&green, &at[0]), CLASH_BORDER);
	assert_true(ports_crosses_border(&green));
	arena_finish(&a);
}

static void
test_free_pair(void **state)
{
	(void)state;
	struct arena a = {0};
	struct slot_ports ps = {.arena = &a};
	/* One's own ports are no hindrance, those of others are. */
	assert_int_equal(ports_free(&ps, "myapp", "production"), 4053);
	assert_int_equal(ports_free(&ps, "myapp", "staging"), 4553);
	assert_int_equal(ports_free(&ps, "myapp", "preview"), 4553);
	ports_add(&ps, NULL, "myapp", "production", NULL);
	ports_add(&ps, NULL, "myapr", "production", NULL); /* 4053, 4054 */
	ports_add(&ps, NULL, "myapu", "production", NULL); /* 4056, 4057 */
	ports_sort(&ps);
	assert_int_equal(ports_free(&ps, "myapp", "production"), 4058 + 1);

	/* Past the end of the range it goes on at its start; the last port makes no pair. */
	const char *last = name_of_hash(&a, 497);
	assert_int_equal(ports_hash(last), 497);
	assert_int_equal(ports_free(&ps, last, "production"), 4001);
	assert_int_equal(ports_free(&ps, name_of_hash(&a, 496), "production"), 4498);
	arena_finish(&a);
}

/* With every even pair half taken there is still an odd one; with all taken none. */
static void
test_full(void **state)
{
	(void)state;
	struct arena a = {0};
	struct slot_ports ps = {.arena = &a};
	struct registered_slot each[PORTS_RANGE];
	for (unsigned i = 0; i < PORTS_RANGE; i++)
		each[i] = (struct registered_slot){.name = "x", .port = (uint16_t)(4500 + i)};
	struct registered_environment e = {.name = "preview", .nslots = PORTS_RANGE, .slot = each};
	each[99].port = each[100].port = 1;
	ports_add(&ps, NULL, "full", "preview", &e);
	ports_sort(&ps);
	assert_int_equal(ports_free(&ps, "b", "staging"), 4599); /* b: 98 */
	assert_int_equal(ports_free(&ps, "c", "staging"), 4599); /* c: 99 */
	struct slot_ports all = {.arena = &a};
	each[99].port = 4599;
	ports_add(&all, NULL, "full", "preview", &e);
	ports_sort(&all);
	assert_int_equal(ports_free(&all, "b", "staging"), 0);
	arena_finish(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formula),
		cmocka_unit_test(test_environments),
		cmocka_unit_test(test_clashes),
		cmocka_unit_test(test_border),
		cmocka_unit_test(test_free_pair),
		cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests_name("ports", tests, NULL, NULL);
}
