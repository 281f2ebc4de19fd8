#include "reconciler/model/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct endpoint_network networks[] = {
	{"b", "10.0.0.2", NULL}, {"a", NULL, "fd00::2"}, {"c", NULL, NULL}};
static const struct endpoint_port ports[] = {{443, 0, true, NULL}, {80, 8080, true, "::"},
	{80, 8080, true, "0.0.0.0"}, {80, 0, false, NULL}, {80, 0, true, NULL}};
static const struct endpoint_label labels[] = {{"z", "1"}, {"a", ""}, {"m", "2"}};

/* Its strings are in its arena, as a maker leaves it; backwards or not. */
static struct endpoint *
make(bool backwards)
{
	struct endpoint *e = endpoint_create();
	struct endpoint_network *n =
		ARENA_ARRAY(&e->arena, struct endpoint_network, COUNT(networks));
	struct endpoint_port *p = ARENA_ARRAY(&e->arena, struct endpoint_port, COUNT(ports));
	struct endpoint_label *l = ARENA_ARRAY(&e->arena, struct endpoint_label, COUNT(labels));

	for (size_t i = 0; i < COUNT(networks); i++)
		n[i] = networks[backwards ? COUNT(networks) - 1 - i : i];
	for (size_t i = 0; i < COUNT(ports); i++)
		p[i] = ports[backwards ? COUNT(ports) - 1 - i : i];
	for (size_t i = 0; i < COUNT(labels); i++)
		l[i] = labels[backwards ? COUNT(labels) - 1 - i : i];
	e->engine = arena_strdup(&e->arena, "app1");
	e->id = arena_strdup(&e->arena, "c1");
	e->name = arena_strdup(&e->arena, "web");
	e->run = arena_strdup(&e->arena, "run1");
	e->network_mode = arena_strdup(&e->arena, "bridge");
	e->created = 42;
	e->stop_signal = 15;
	e->health = HEALTH_HEALTHY;
	e->networks = n;
	e->nnetworks = COUNT(networks);
	e->ports = p;
	e->nports = COUNT(ports);
	e->labels = l;
	e->nlabels = COUNT(labels);
	endpoint_seal(e);
	return e;
}

static void
test_seal(void **state)
{
	(void)state;
	struct endpoint *e = make(false), *f = make(true);

	assert_true(endpoint_equal(e, f));
	assert_string_equal(e->networks[0].name, "a");
	assert_string_equal(e->networks[2].name, "c");
	assert_true(e->ports[0].port == 80 && e->ports[0].tcp && !e->ports[0].published);
	assert_true(e->ports[1].port == 80 && !e->ports[1].tcp);
	assert_string_equal(e->ports[2].published_ip, "0.0.0.0");
	assert_string_equal(e->ports[3].published_ip, "::");
	assert_int_equal(e->ports[4].port, 443);
	assert_string_equal(endpoint_label(e, "a"), "");
	assert_string_equal(endpoint_label(e, "m"), "2");
	assert_string_equal(endpoint_label(e, "z"), "1");
	assert_null(endpoint_label(e, "b"));
	assert_null(endpoint_label(e, ""));
	endpoint_unref(e);
	endpoint_unref(f);
}

static void
test_copy(void **state)
{
	(void)state;
	struct endpoint *e = make(false), *copy = endpoint_copy(e);

	assert_true(endpoint_equal(e, copy));
	assert_ptr_not_equal(e->labels, copy->labels);
	endpoint_unref(e);
	e = make(true);
	assert_true(endpoint_equal(e, copy)); /* nothing of the original is needed */
	copy->leaving = true;
	assert_false(endpoint_equal(e, copy));
	endpoint_unref(e);
	endpoint_unref(copy);

	e = endpoint_create();
	copy = endpoint_copy(e);
	assert_true(endpoint_equal(e, copy));
	endpoint_unref(e);
	endpoint_unref(copy);
}

static void
test_count(void **state)
{
	(void)state;
	struct endpoint *e = make(false);
	const struct endpoint *other = endpoint_ref(e);

	assert_null(endpoint_unref(e));
	assert_string_equal(other->name, "web");
	assert_null(endpoint_unref(other));
	assert_null(endpoint_unref(NULL));
}

/* Each change of one member makes a difference. */
static void
test_equal(void **state)
{
	(void)state;
	struct endpoint *e = make(false);

	for (int i = 0; i < 14; i++) {
		struct endpoint *f = make(false);
		struct endpoint_network *n = (void *)(uintptr_t)f->networks;
		struct endpoint_port *p = (void *)(uintptr_t)f->ports;
		struct endpoint_label *l = (void *)(uintptr_t)f->labels;
		switch (i) {
		case 0:
			f->engine = "app2";
			break;
		case 1:
			f->id = "c2";
			break;
		case 2:
			f->name = "web2";
			break;
		case 3:
			f->created++;
			break;
		case 4:
			f->run = "run2";
			break;
		case 5:
			f->network_mode = "host";
			break;
		case 6:
			f->stop_signal++;
			break;
		case 7:
			f->state = ENDPOINT_PAUSED;
			break;
		case 8:
			f->health = HEALTH_NONE;
			break;
		case 9:
			f->withheld = true;
			break;
		case 10:
			f->ready_before = true;
			break;
		case 11:
			n[1].ipv4 = "10.0.0.3";
			break;
		case 12:
			p[0].published_ip = "::1";
			break;
		case 13:
			l[2].value = "";
			break;
		}
		assert_false(endpoint_equal(e, f));
		endpoint_unref(f);
	}
	endpoint_unref(e);
}

/* Podman's list knows of published ports only, and neither run nor health nor mode. */
static void
test_lists_equal(void **state)
{
	(void)state;
	struct endpoint *e = make(false), *f = make(false);

	f->run = "";
	f->health = HEALTH_UNKNOWN;
	f->stop_signal = 0;
	assert_true(endpoint_lists_equal(e, f, false));
	f->network_mode = "";
	assert_false(endpoint_lists_equal(e, f, false));
	assert_true(endpoint_lists_equal(e, f, true));
	f->ports += 2;
	f->nports = 2;
	assert_true(endpoint_lists_equal(e, f, true));
	f->nports = 1;
	assert_false(endpoint_lists_equal(e, f, true));
	f->nports = 3;
	assert_true(endpoint_lists_equal(e, f, true));
	f->nlabels--;
	assert_false(endpoint_lists_equal(e, f, true));
	endpoint_unref(e);
	endpoint_unref(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_lists_equal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
