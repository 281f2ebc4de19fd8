/* Stories of the planner: who gets a host, who serves it, what is said when nobody does. */
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
	struct settings *settings;
	struct ledger *ledger;
	struct planner *planner;
	struct snapshot *now;
	struct buf text;
};

static int
set_up(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));
	s->settings = settings_create();
	s->settings->base_domain = "test";
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
	buf_finish(&s->text);
	free(s);
	return 0;
}

static const char *
look(struct stage *s, uint64_t now_ms)
{
	s->now = planner_step(s->planner, now_ms);
	buf_reset(&s->text);
	world_print(s->now, &s->text);
	return s->text.p ? s->text.p : "";
}

static const struct route *
route_at(struct stage *s, const char *host, const char *path)
{
	for (size_t c = 0; c < s->now->nchunks; c++)
		for (size_t i = 0; i < s->now->chunks[c]->n; i++) {
			const struct project_plan *p = s->now->chunks[c]->plan[i];
			for (size_t k = 0; k < p->nroutes; k++)
				if (!strcmp(p->routes[k].host, host) &&
					!strcmp(p->routes[k].path, path))
					return &p->routes[k];
		}
	return NULL;
}

static size_t
count(const char *text, const char *what)
{
	size_t n = 0;
	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

static void
replicas_are_servers_of_one_service(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "10.0.0.3", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "shop"});
	BOX(s->planner, .id = "b", .ip = "10.0.0.2", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "shop"});
	look(s, 1);
	const struct route *r = route_at(s, "shop.test", "");
	assert_non_null(r);
	assert_int_equal(r->nrouted, 2);
	assert_string_equal(r->servers[0].url, "http://10.0.0.2:80");
	assert_string_equal(r->servers[1].url, "http://10.0.0.3:80");
}

static void
starting_answers_503_not_404(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .health = HEALTH_STARTING,
		.labels = {"waymark.project", "shop"});
	const char *text = look(s, 1);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 0);
	assert_int_equal(count(text, "! no-servers"), 1);
	assert_non_null(strstr(text, "\"servers\":[]"));

	BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY, .labels = {"waymark.project", "shop"});
	look(s, 2);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 1);
	BOX(s->planner, .id = "a", .health = HEALTH_UNHEALTHY,
		.labels = {"waymark.project", "shop"});
	assert_int_equal(count(look(s, 3), "! unhealthy"), 1);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 0);
}

static void
unchecked_waits_for_the_probe(void **state)
{
	struct stage *s = *state;
	struct probe_target t;
	BOX(s->planner, .id = "a", .run = "1", .labels = {"waymark.project", "shop"});
	look(s, 1);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 0);
	assert_true(planner_probe_target(s->planner, "app1", "a", &t));
	assert_string_equal(t.address, "172.17.0.9");
	assert_int_equal(t.port, 80);

	planner_set_ready(s->planner, "app1", "a", READY_YES);
	look(s, 2);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 1);
	planner_set_ready(s->planner, "app1", "a", READY_CANNOT_TELL);
	assert_int_equal(count(look(s, 3), "! unreachable"), 1);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 1);

	/* A new run of the container is probed anew. */
	BOX(s->planner, .id = "a", .run = "2", .labels = {"waymark.project", "shop"});
	look(s, 4);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 0);
}

static void
leaving_goes_out_where_another_serves(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "10.0.0.2", .health = HEALTH_HEALTHY, .leaving = true,
		.labels = {"waymark.project", "shop"});
	look(s, 1);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 1); /* nobody else is there */

	BOX(s->planner, .id = "b", .ip = "10.0.0.3", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "shop"});
	look(s, 2);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 1);
	assert_string_equal(route_at(s, "shop.test", "")->servers[0].container_id, "b");
}

static void
host_belongs_to_the_first(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "z", .created = 5, .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "one", "waymark.host", "www.own.test"});
	look(s, 1);
	BOX(s->planner, .id = "a", .created = 1, .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "two", "waymark.host", "WWW.own.test."});
	const char *text = look(s, 2);
	assert_string_equal(route_at(s, "www.own.test", "")->project, "one");
	assert_int_equal(count(text, "! host-taken: container a on app1: label waymark.host"), 1);

	/* A redeploy is a newer container; the project stays the owner. */
	planner_remove(s->planner, "app1", "z");
	look(s, 1000);
	assert_true(route_at(s, "www.own.test", "")->held);
	BOX(s->planner, .id = "y", .created = 9, .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "one", "waymark.host", "www.own.test"});
	look(s, 2000);
	assert_string_equal(route_at(s, "www.own.test", "")->project, "one");

	/* The owner goes; after the hold the other has it. */
	planner_remove(s->planner, "app1", "y");
	look(s, 3000);
	assert_true(planner_due_ms(s->planner) <= 63000);
	look(s, 62999);
	assert_true(route_at(s, "www.own.test", "")->held);
	text = look(s, 63000);
	assert_string_equal(route_at(s, "www.own.test", "")->project, "two");
	assert_int_equal(count(text, "! host-taken"), 0);
}

static void
one_look_goes_by_age_then_id(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "c", .created = 5,
		.labels = {"waymark.project", "pc", "waymark.host", "h.own"});
	BOX(s->planner, .id = "b", .created = 4,
		.labels = {"waymark.project", "pb", "waymark.host", "h.own"});
	BOX(s->planner, .id = "a", .created = 4,
		.labels = {"waymark.project", "pa", "waymark.host", "h.own"});
	look(s, 1);
	assert_string_equal(route_at(s, "h.own", "")->project, "pa");
}

static void
project_may_split_a_host_by_path(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "f", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.service", "front", "waymark.host",
			"app.own"});
	BOX(s->planner, .id = "b", .ip = "10.0.0.2", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.service", "back", "waymark.host",
			"app.own", "waymark.path", "/api/"});
	BOX(s->planner, .id = "x", .created = 2000, .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "thief", "waymark.host", "app.own", "waymark.path",
			"/x"});
	const char *text = look(s, 1);
	assert_string_equal(route_at(s, "app.own", "")->service, "front");
	assert_string_equal(route_at(s, "app.own", "/api")->service, "back");
	assert_null(route_at(s, "app.own", "/x"));
	assert_int_equal(count(text, "! host-taken: container x on app1"), 1);
}

static void
a_live_service_beats_a_held_one_of_its_project(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "w", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.service", "web", "waymark.host",
			"app.own"});
	look(s, 1);
	planner_remove(s->planner, "app1", "w");
	BOX(s->planner, .id = "v", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.service", "web2", "waymark.host",
			"app.own"});
	look(s, 2);
	assert_string_equal(route_at(s, "app.own", "")->service, "web2");
	assert_int_equal(route_at(s, "app.own", "")->nrouted, 1);

	/* And the project keeps the host when the old claim is over. */
	BOX(s->planner, .id = "t", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "thief", "waymark.host", "app.own"});
	look(s, 3);
	look(s, 100000);
	assert_string_equal(route_at(s, "app.own", "")->project, "app");
}

static void
equal_branches_get_urls_of_their_own(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .created = 1,
		.labels = {"waymark.project", "app", "waymark.branch", "feature/x"});
	BOX(s->planner, .id = "b", .created = 2,
		.labels = {"waymark.project", "app", "waymark.branch", "feature-x"});
	look(s, 1);
	assert_string_equal(route_at(s, "app-preview-feature-x.test", "")->branch, "feature/x");
	assert_int_equal(s->now->nroutes, 2);

	/* It keeps its URL when the other branch is long gone. */
	planner_remove(s->planner, "app1", "a");
	look(s, 2);
	look(s, 100000);
	assert_int_equal(s->now->nroutes, 1);
	assert_null(route_at(s, "app-preview-feature-x.test", ""));
}

static void
codi_reports_equal_branches(void **state)
{
	struct stage *s = *state;
	const char *port = "traefik.http.services.s.loadbalancer.server.port";
	BOX(s->planner, .id = "a", .created = 1, .health = HEALTH_HEALTHY,
		.labels = {"codi.project.slug", "my-app", "codi.deployment.preview", "true",
			"codi.deployment.branch", "feature/x", port, "3000"});
	BOX(s->planner, .id = "b", .created = 2, .health = HEALTH_HEALTHY,
		.labels = {"codi.project.slug", "my-app", "codi.deployment.preview", "true",
			"codi.deployment.branch", "feature_x", port, "3000"});
	BOX(s->planner, .id = "c", .name = "codi-my-app", .health = HEALTH_HEALTHY,
		.labels = {"codi.project.slug", "my-app"});
	const char *text = look(s, 1);
	assert_string_equal(route_at(s, "my-app-preview-feature-x.test", "")->branch, "feature/x");
	assert_string_equal(route_at(s, "my-app-preview-feature-x.test", "")->servers[0].url,
		"http://172.17.0.9:3000");
	assert_int_equal(count(text, "! host-taken: container b on app1"), 1);
	assert_int_equal(route_at(s, "my-app.test", "")->nrouted, 1);
}

static void
slots_never_mix(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "b", .ip = "10.0.0.2", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.slot", "blue"});
	look(s, 1);
	BOX(s->planner, .id = "a", .ip = "10.0.0.3", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.slot", "green"});
	look(s, 2);
	assert_string_equal(route_at(s, "app.test", "")->slot, "blue");
	assert_int_equal(route_at(s, "app.test", "")->nrouted, 1);
	assert_string_equal(
		route_at(s, "app-production-green.test", "")->servers[0].container_id, "a");
	assert_int_equal(route_at(s, "app-production-green.test", "")->nrouted, 1);

	BOX(s->planner, .id = "b", .ip = "10.0.0.2", .health = HEALTH_UNHEALTHY,
		.labels = {"waymark.project", "app", "waymark.slot", "blue"});
	look(s, 3);
	assert_string_equal(route_at(s, "app.test", "")->slot, "green");
	BOX(s->planner, .id = "b", .ip = "10.0.0.2", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.slot", "blue"});
	look(s, 4);
	assert_string_equal(route_at(s, "app.test", "")->slot, "green"); /* stays */
}

static void
bad_labels_are_one_problem_each(void **state)
{
	struct stage *s = *state;
	static const struct {
		const char *label, *value, *says;
	} bad[] = {
		{"waymark.port", "abc", "label-invalid: container a on app1: label waymark.port"},
		{"waymark.port", "0", "label-invalid: container a on app1: label waymark.port"},
		{"waymark.port", "65536", "label-invalid: container a on app1: label waymark.port"},
		{"waymark.host", "x`) || Host(`y",
			"host-invalid: container a on app1: label waymark.host"},
		{"waymark.host", "{$HOME}",
			"host-invalid: container a on app1: label waymark.host"},
		{"waymark.path", "/a b", "label-invalid: container a on app1: label waymark.path"},
		{"waymark.scheme", "ftp",
			"label-invalid: container a on app1: label waymark.scheme"},
		{"waymark.sticky", "perhaps",
			"label-invalid: container a on app1: label waymark.sticky"},
		{"waymark.environment", "Prod",
			"label-invalid: container a on app1: label waymark.environment"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY,
			.labels = {"waymark.project", "p", bad[i].label, bad[i].value});
		const char *text = look(s, 1 + i);
		assert_int_equal(count(text, "! ") - count(text, "! no-servers"), 1);
		assert_non_null(strstr(text, bad[i].says));
	}
	BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY, .labels = {"waymark.project", "🚀"});
	assert_int_equal(
		count(look(s, 50), "! label-invalid: container a on app1: label waymark.project"),
		1);
}

static void
reserved_names_and_several_ports(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY, .labels = {"waymark.project", "api"});
	assert_int_equal(count(look(s, 1), "! host-reserved"), 1);
	BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY, .ports = {80, 81, 9000},
		.labels = {"waymark.project", "many"});
	assert_non_null(strstr(look(s, 2), "several ports: 80, 81, 9000"));
}

static void
withheld_gets_no_traffic(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY, .withheld = true,
		.labels = {"waymark.project", "shop"});
	assert_int_equal(count(look(s, 1), "! address-shared"), 1);
	assert_int_equal(route_at(s, "shop.test", "")->nrouted, 0);
}

static void
problems_keep_the_time_they_began(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .labels = {"waymark.project", "shop", "waymark.port", "x"});
	look(s, 10);
	BOX(s->planner, .id = "b", .labels = {"waymark.project", "shop", "waymark.port", "y"});
	look(s, 20);
	const struct project_plan *p = snapshot_find(s->now, "shop");
	assert_int_equal(p->problems[0].since_ms, 10);
	assert_int_equal(p->problems[1].since_ms, 20);
}

static void
static_routes_win(void **state)
{
	struct stage *s = *state;
	static const char *const up[] = {"http://10.1.1.1:8000"};
	static const struct settings_static st = {"ws.own", 1, up, 0, NULL};
	s->settings->statics = &st;
	s->settings->nstatics = 1;
	BOX(s->planner, .id = "a", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "shop", "waymark.host", "ws.own"});
	const char *text = look(s, 1);
	assert_int_equal(route_at(s, "ws.own", "")->kind, ROUTE_STATIC);
	assert_int_equal(count(text, "! host-taken"), 1);
	s->settings->statics = NULL;
	s->settings->nstatics = 0;
	planner_set_settings(s->planner, s->settings);
	look(s, 2);
	assert_string_equal(route_at(s, "ws.own", "")->project, "shop");
}

static void
many_projects_stay_sorted(void **state)
{
	struct stage *s = *state;
	char id[16];
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "p%03u", (i * 7919) % 1000);
		BOX(s->planner, .id = id, .health = HEALTH_HEALTHY,
			.labels = {"waymark.project", id});
		if (i % 10 == 0)
			look(s, i + 1);
	}
	look(s, 5000);
	assert_int_equal(s->now->nplans, 1000);
	assert_int_equal(s->now->nroutes, 1000);
	const char *last = "";
	for (size_t c = 0; c < s->now->nchunks; c++)
		for (size_t i = 0; i < s->now->chunks[c]->n; i++) {
			assert_true(strcmp(last, s->now->chunks[c]->plan[i]->project) < 0);
			last = s->now->chunks[c]->plan[i]->project;
		}
	for (unsigned i = 0; i < 1000; i += 2) {
		snprintf(id, sizeof(id), "p%03u", i);
		planner_remove(s->planner, "app1", id);
	}
	look(s, 6000);
	look(s, 600000);
	assert_int_equal(s->now->nplans, 500);
	assert_null(snapshot_find(s->now, "p000"));
	assert_non_null(snapshot_find(s->now, "p001"));
}

static void
put_projects(struct stage *s, unsigned from, unsigned step, unsigned n)
{
	char id[16];
	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "p%05u", from + i * step);
		BOX(s->planner, .id = id, .health = HEALTH_HEALTHY,
			.labels = {"waymark.project", id});
	}
}

/* Chunks made by one look, filled up by single ones, then split by a large one. */
static void
chunks_split_in_three(void **state)
{
	struct stage *s = *state;
	put_projects(s, 0, 100, 960);
	look(s, 1);
	for (unsigned i = 0; i < 16; i++) {
		for (unsigned k = 0; k < 20; k++)
			put_projects(s, k * 4800 + 1 + i, 1, 1);
		look(s, 2 + i);
	}
	for (unsigned k = 0; k < 20; k++)
		put_projects(s, k * 4800 + 50, 1, 40);
	look(s, 100);
	assert_int_equal(s->now->nplans, 960 + 320 + 800);
	assert_non_null(snapshot_find(s->now, "p91289"));
}

static void
an_unusable_container_is_no_slot(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "b", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.slot", "blue"});
	look(s, 1);
	BOX(s->planner, .id = "g", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.slot", "GREEN!"});
	BOX(s->planner, .id = "b", .health = HEALTH_STARTING,
		.labels = {"waymark.project", "app", "waymark.slot", "blue"});
	look(s, 2);
	BOX(s->planner, .id = "b", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "app", "waymark.slot", "blue"});
	look(s, 3);
	assert_int_equal(route_at(s, "app.test", "")->nrouted, 1);
}

static void
ledger_survives_a_restart(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .created = 9,
		.labels = {"waymark.project", "one", "waymark.host", "h.own"});
	look(s, 1);
	struct buf lines = {0};
	ledger_print(s->ledger, &lines);

	struct ledger *l = ledger_create();
	for (char *line = strtok(lines.p, "\n"); line; line = strtok(NULL, "\n")) {
		json_auto_t *row = json_loads(line, 0, NULL);
		assert_int_equal(ledger_load(l, row, NULL), 0);
	}
	struct planner *p = planner_create(s->settings, l, renderers);
	BOX(p, .id = "0", .created = 1,
		.labels = {"waymark.project", "two", "waymark.host", "h.own"});
	BOX(p, .id = "a", .created = 9,
		.labels = {"waymark.project", "one", "waymark.host", "h.own"});
	s->now = planner_step(p, 5);
	assert_string_equal(route_at(s, "h.own", "")->project, "one");
	planner_destroy(p);
	ledger_destroy(l);
	buf_finish(&lines);
}

int
main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		STORY(replicas_are_servers_of_one_service),
		STORY(starting_answers_503_not_404),
		STORY(unchecked_waits_for_the_probe),
		STORY(leaving_goes_out_where_another_serves),
		STORY(host_belongs_to_the_first),
		STORY(one_look_goes_by_age_then_id),
		STORY(project_may_split_a_host_by_path),
		STORY(a_live_service_beats_a_held_one_of_its_project),
		STORY(equal_branches_get_urls_of_their_own),
		STORY(codi_reports_equal_branches),
		STORY(slots_never_mix),
		STORY(bad_labels_are_one_problem_each),
		STORY(reserved_names_and_several_ports),
		STORY(withheld_gets_no_traffic),
		STORY(problems_keep_the_time_they_began),
		STORY(static_routes_win),
		STORY(many_projects_stay_sorted),
		STORY(chunks_split_in_three),
		STORY(an_unusable_container_is_no_slot),
		STORY(ledger_survives_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
