/* Stories of the registry: whose a host is, which slot and which deployment serve, what leaves and
 * when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/stage.h"

static void
a_registered_host_answers_before_its_container(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	has(s, 1000, "shop.test production shop/production// slot= held=0\n");
	has(s, 1000, "shop.example production shop/production// slot= held=0\n");
	BOX(s->planner, .id = "a", .labels = {"waymark.project", "shop"});
	has(s, 2000, "shop.test production shop/production// slot= held=0 +http://172.17.0.9:80");
	has(s, 2000,
		"shop.example production shop/production// slot= held=0 +http://172.17.0.9:80");
	planner_remove(s->planner, "app1", "a");
	has(s, 3000, "shop.example production shop/production// slot= held=0\n");
	has(s, 300000, "shop.example production shop/production// slot= held=0\n");
}

static void
the_registry_beats_an_older_label(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a",
		.labels = {
			"waymark.project", "thief", "waymark.host", "shop.test, www.shop.example"});
	has(s, 1000, "shop.test production thief");
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	has(s, 2000, "shop.test production shop/");
	has_not(s, 2000, "shop.example production thief");
	has(s, 2000,
		"host-forbidden: container a on app1: label waymark.host: www.shop.example belongs "
		"to "
		"project 'shop' in the registry");
	planner_remove_project(s->planner, "registry.directory", "shop", true);
	has(s, 3000, "www.shop.example production thief");
}

static void
a_project_keeps_to_its_domains(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	ENTRY(s, .name = "blog", .domains = {"blog.example"});
	BOX(s->planner, .id = "a",
		.labels = {"waymark.project", "shop", "waymark.host",
			"api.shop.example, x.blog.example, free.test, blog.test"});
	has(s, 1000, "api.shop.example production shop/production");
	has_not(s, 1000, "x.blog.example production");
	has_not(s, 1000, "free.test production");
	has(s, 1000, "label waymark.host: x.blog.example belongs to project 'blog'");
	has(s, 1000, "free.test is under no domain that the registry gives project 'shop'");
	has(s, 1000, "blog.test production blog/");
}

static void
two_entries_want_one_domain(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	look(s, 1000);
	ENTRY(s, .name = "blog", .domains = {"shop.example"});
	has(s, 2000, "shop.example production shop/");
	has(s, 2000, "! host-taken: ssot.json: domains: shop.example belongs to project 'shop'");
	planner_remove_project(s->planner, "registry.directory", "shop", false);
	look(s, 3000);
	has(s, 3000 + 30000, "shop.example production blog/");
}

static void
a_domain_needs_permission(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .domains = {"elsewhere.org", "test"});
	has(s, 1000, "host-forbidden: ssot.json: domains: elsewhere.org is neither under test nor");
	has_not(s, 1000, "elsewhere.org production");
	has(s, 1000, "\ntest production shop/");
	/* The apex gives nothing below it. */
	BOX(s->planner, .id = "a", .labels = {"waymark.project", "x"});
	has(s, 1000, "x.test production x/");
}

static void
unregistered_ones_may_be_ignored(void **state)
{
	struct stage *s = *state;
	s->settings->registry.ignore_unregistered = true;
	BOX(s->planner, .id = "a", .labels = {"waymark.project", "shop", "waymark.port", "abc"});
	assert_string_equal(look(s, 1000), "");
	ENTRY(s, .name = "shop");
	has(s, 2000, "shop.test production shop/");
	has(s, 2000, "label-invalid");
	planner_remove_project(s->planner, "registry.directory", "shop", true);
	look(s, 3000);
	assert_string_equal(look(s, 300000), "");
}

static void
the_registry_gives_the_port(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ports = {80, 81}, .labels = {"waymark.project", "shop"});
	has(s, 1000, "port-unknown");
	ENTRY(s, .name = "shop", .environment = {.name = "production", .port = 3000});
	has(s, 2000, "+http://172.17.0.9:3000");
	BOX(s->planner, .id = "b", .labels = {"waymark.project", "shop", "waymark.port", "9"});
	has(s, 3000, "+http://172.17.0.9:9:");
	BOX(s->planner, .id = "c",
		.labels = {"waymark.project", "shop", "waymark.environment", "staging"});
	has(s, 4000, "environment-unknown: container c");
}

static void
the_registry_names_the_active_slot(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "172.17.0.2",
		.labels = {"waymark.project", "shop", "waymark.slot", "blue"});
	BOX(s->planner, .id = "b", .ip = "172.17.0.3", .health = HEALTH_STARTING,
		.labels = {"waymark.project", "shop", "waymark.slot", "green"});
	has(s, 1000, "shop.test production shop/production// slot=blue");
	ENTRY(s, .name = "shop", .environment = {.name = "production", .active = "green"},
		.slots = {{.name = "blue", .state = SLOT_GRACE},
			{.name = "green", .state = SLOT_ACTIVE}});
	has(s, 2000, "shop.test production shop/production// slot=blue");
	has(s, 2000,
		"! slot-waiting: project 'shop', environment production: -: the registry says "
		"that slot green is active");
	BOX(s->planner, .id = "b", .ip = "172.17.0.3", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "shop", "waymark.slot", "green"});
	has(s, 3000, "shop.test production shop/production// slot=green held=0 +http://172.17.0.3");
	has_not(s, 3000, "slot-waiting");
	/* Not even when it is all there is. */
	planner_remove(s->planner, "app1", "b");
	has(s, 4000, "shop.test production shop/production// slot=green held=0 -http://172.17.0.2");
}

#define DEPLOYED(number, state_, when)                                                             \
	{                                                                                          \
		.environment = "production", .branch = "", .slot = "",                             \
		.status = DEPLOYMENT_##state_, .container = "shop-" #number, .created_ms = when,   \
		.nhosts = 1, .hosts = (const char *const[])                                        \
		{                                                                                  \
			"shop-" #number ".test"                                                    \
		}                                                                                  \
	}

static void
mvp_box(struct stage *s, const char *name, const char *ip, enum endpoint_health health)
{
	char router[64];
	snprintf(router, sizeof(router), "traefik.http.routers.%s.rule", name);
	BOX(s->planner, .id = name, .name = name, .ip = ip, .health = health,
		.labels = {"traefik.enable", "true", router, "Host(`x`)"});
}

static void
the_newest_running_deployment_serves(void **state)
{
	struct stage *s = *state;
	mvp_box(s, "shop-41", "172.17.0.2", HEALTH_NONE);
	mvp_box(s, "shop-42", "172.17.0.3", HEALTH_STARTING);
	mvp_box(s, "shop-43", "172.17.0.4", HEALTH_NONE);
	ENTRY(s, .name = "shop",
		.deployments = {DEPLOYED(43, FAILED, 30), DEPLOYED(42, RUNNING, 20),
			DEPLOYED(41, RUNNING, 10)});
	has(s, 1000,
		"shop.test production shop/production// slot=shop-41 held=0 +http://172.17.0.2");
	has(s, 1000, "shop-41.test slot shop/production// slot=shop-41 held=0 +http://172.17.0.2");
	has(s, 1000, "shop-42.test slot shop/production// slot=shop-42 held=0 -http://172.17.0.3");
	has_not(s, 1000, "shop-43");
	mvp_box(s, "shop-42", "172.17.0.3", HEALTH_NONE);
	has(s, 2000,
		"shop.test production shop/production// slot=shop-42 held=0 +http://172.17.0.3");
	has(s, 2000, "shop-41.test slot shop/production// slot=shop-41 held=0 +http://172.17.0.2");
	ENTRY(s, .name = "shop",
		.deployments = {DEPLOYED(43, RUNNING, 30), DEPLOYED(42, RUNNING, 20),
			DEPLOYED(41, RUNNING, 10)});
	has(s, 3000,
		"shop.test production shop/production// slot=shop-43 held=0 +http://172.17.0.4");
	mvp_box(s, "shop-40", "172.17.0.5", HEALTH_NONE);
	has(s, 4000, "deployment-unknown: container shop-40");
	has_not(s, 4000, "shop-40.test");
}

static void
without_a_registry_the_newest_container_is_it(void **state)
{
	struct stage *s = *state;
	mvp_box(s, "my-shop-9", "172.17.0.2", HEALTH_NONE);
	mvp_box(s, "my-shop-10", "172.17.0.3", HEALTH_NONE);
	has(s, 1000,
		"my-shop.test production my-shop/production// slot=my-shop-10 held=0 +http://"
		"172.17.0.3");
	has(s, 1000,
		"my-shop-9.test slot my-shop/production// slot=my-shop-9 held=0 "
		"+http://172.17.0.2");
	mvp_box(s, "my-shop-10", "172.17.0.3", HEALTH_UNHEALTHY);
	has(s, 2000, "my-shop.test production my-shop/production// slot=my-shop-9");
}

static void
a_deployment_needs_no_labels(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "0123456789abcdef0123", .name = "any");
	assert_string_equal(look(s, 1000), "");
	ENTRY(s, .name = "shop",
		.deployments = {{.environment = "production",
			.branch = "",
			.slot = "",
			.status = DEPLOYMENT_RUNNING,
			.container = "0123456789ab",
			.port = 9}});
	has(s, 2000, "shop.test production shop/production// slot=any held=0 +http://172.17.0.9:9");
	ENTRY(s, .name = "shop",
		.deployments = {{.environment = "production",
			.branch = "",
			.slot = "",
			.status = DEPLOYMENT_RUNNING,
			.container = "other",
			.port = 9}});
	has(s, 3000, "shop.test production shop/production// slot= held=0\n");
}

static void
a_row_that_went_still_serves_for_the_drain(void **state)
{
	struct stage *s = *state;
	mvp_box(s, "shop-41", "172.17.0.2", HEALTH_NONE);
	s->settings->registry.ignore_unregistered = true;
	ENTRY(s, .name = "shop", .deployments = {DEPLOYED(41, RUNNING, 10)});
	has(s, 1000, "shop.test production shop/production// slot=shop-41 held=0 +http");
	planner_remove_project(s->planner, "registry.directory", "shop", false);
	has(s, 2000, "shop.test production shop/production// slot=shop-41 held=0 +http");
	assert_int_equal(planner_due_ms(s->planner), 32000);
	has(s, 31999, "shop.test production shop/production// slot=shop-41 held=0 +http");
	has_not(s, 32000, "shop.test");
	/* One that comes back in time never left. */
	ENTRY(s, .name = "shop", .deployments = {DEPLOYED(41, RUNNING, 10)});
	planner_remove_project(s->planner, "registry.directory", "shop", false);
	look(s, 40000);
	ENTRY(s, .name = "shop", .deployments = {DEPLOYED(41, RUNNING, 10)});
	has(s, 90000, "shop.test production shop/production// slot=shop-41 held=0 +http");
}

static void
an_entry_may_be_in_one_registry_only(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .source = "registry.postgres", .name = "shop", .domains = {"blog.example"});
	has(s, 1000, "blog.example production shop/");
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	has(s, 2000, "shop.example production shop/");
	has(s, 2000,
		"! registry-duplicate: ssot.json: project 'shop': it stands in ssot.json, too");
	planner_remove_project(s->planner, "registry.directory", "shop", true);
	has(s, 3000, "blog.example production shop/");
}

static void
static_put(struct stage *s, const char *source, const char *host)
{
	static const char *const upstreams[] = {"http://10.0.0.5:8000", "http://10.0.0.6:8000"};
	struct registered_static *r = registered_static_create(source, "ssot.json", host);
	r->route.nupstreams = 2;
	r->route.upstreams = upstreams;
	planner_put_static(s->planner, r);
	registered_static_unref(r);
}

static void
static_routes_come_and_go(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .domains = {"ws.test"});
	static_put(s, "registry.directory", "ws.test");
	has(s, 1000,
		"ws.test static /// slot= held=0 +http://10.0.0.5:8000:serving +http://10.0.0.6");
	has(s, 1000, "! host-taken: ssot.json: domains: ws.test is a static route of ssot.json");
	static_put(s, "registry.postgres", "ws.test");
	has(s, 2000, "! registry-duplicate: ssot.json: static route ws.test");
	planner_remove_static(s->planner, "registry.directory", "ws.test");
	planner_remove_static(s->planner, "registry.postgres", "ws.test");
	has(s, 3000, "ws.test production shop/");
}

/* Before the first step, what an earlier run knew is read, and then what the registry says now. */
static void
an_entry_may_change_twice_before_a_step(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ports = {80, 81}, .labels = {"waymark.project", "shop"});
	ENTRY(s, .name = "shop", .environment = {.name = "production", .port = 3000});
	planner_reread(s->planner, 500, NULL, NULL);
	ENTRY(s, .name = "shop", .domains = {"shop.example"},
		.environment = {.name = "production", .port = 4000});
	planner_reread(s->planner, 600, NULL, NULL);
	has(s, 1000, "shop.test production shop/production// slot= held=0 +http://172.17.0.9:4000");
	has(s, 1000,
		"shop.example production shop/production// slot= held=0 +http://172.17.0.9:4000");
}

/* What a label asked for is no entry. */
static void
an_older_label_makes_no_older_entry(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a",
		.labels = {"waymark.project", "blog", "waymark.host", "shop.example"});
	has(s, 1000, "shop.example production blog/");
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	has(s, 2000, "shop.example production shop/");
	ENTRY(s, .name = "blog", .domains = {"shop.example"});
	has(s, 3000, "shop.example production shop/");

	/* Nor after a restart. */
	struct ledger *copy = ledger_copy(s->ledger);
	planner_destroy(s->planner);
	ledger_destroy(s->ledger);
	s->ledger = copy;
	s->planner = planner_create(s->settings, s->ledger, renderers);
	ENTRY(s, .name = "blog", .domains = {"shop.example"});
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	has(s, 4000, "shop.example production shop/");
}

static void
who_lost_a_domain_gets_nothing_below_it(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	look(s, 1000);
	ENTRY(s, .name = "blog", .domains = {"shop.example"});
	BOX(s->planner, .id = "a",
		.labels = {"waymark.project", "blog", "waymark.host", "login.shop.example"});
	has_not(s, 2000, "login.shop.example production");
	has(s, 2000, "login.shop.example belongs to project 'shop' in the registry");
	planner_remove_project(s->planner, "registry.directory", "shop", true);
	has(s, 3000, "login.shop.example production blog/");
	/* Back again it is no longer the first. */
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	has(s, 4000, "login.shop.example production blog/");
}

static void
the_nearest_domain_counts(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	ENTRY(s, .name = "blog", .domains = {"b.shop.example"});
	BOX(s->planner, .id = "a",
		.labels = {"waymark.project", "shop", "waymark.host",
			"x.b.shop.example, c.shop.example"});
	BOX(s->planner, .id = "b",
		.labels = {"waymark.project", "blog", "waymark.host",
			"y.b.shop.example, d.shop.example"});
	has(s, 1000, "c.shop.example production shop/");
	has(s, 1000, "y.b.shop.example production blog/");
	has_not(s, 1000, "x.b.shop.example production");
	has_not(s, 1000, "d.shop.example production");
}

/* A project with the domain that base_domain is under gets nobody's hosts by that. */
static void
a_domain_above_the_base_gives_nothing_under_it(void **state)
{
	struct stage *s = *state;
	s->settings->base_domain = "apps.shop.example";
	ENTRY(s, .name = "home", .domains = {"shop.example"});
	ENTRY(s, .name = "blog");
	BOX(s->planner, .id = "a", .labels = {"waymark.project", "blog", "waymark.branch", "x"});
	BOX(s->planner, .id = "b", .labels = {"waymark.project", "other"});
	BOX(s->planner, .id = "c",
		.labels = {"waymark.project", "home", "waymark.host",
			"www.shop.example, y.apps.shop.example"});
	has(s, 1000, "blog-preview-x.apps.shop.example preview blog/");
	has(s, 1000, "other.apps.shop.example production other/");
	has(s, 1000, "www.shop.example production home/");
	has_not(s, 1000, "y.apps.shop.example production");
}

/* From one branch to another, and the first one's claim ends: it stays the project's. */
static void
an_entry_may_move_a_host(void **state)
{
#define ON_BRANCH(name)                                                                            \
	{                                                                                          \
		.environment = "preview", .branch = name, .slot = "",                              \
		.status = DEPLOYMENT_RUNNING, .container = "c", .nhosts = 1,                       \
		.hosts = (const char *const[])                                                     \
		{                                                                                  \
			"x.test"                                                                   \
		}                                                                                  \
	}
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .deployments = {ON_BRANCH("a")});
	look(s, 1000);
	ENTRY(s, .name = "blog", .domains = {"x.test"});
	has(s, 2000, "x.test preview shop/preview/a");
	ENTRY(s, .name = "shop", .deployments = {ON_BRANCH("b")});
	has(s, 3000, "x.test preview shop/preview/b");
	has(s, 300000, "x.test preview shop/preview/b");
}

/* A preview of the same project, too: its labels come with its branch. */
static void
a_domain_is_productions(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "172.17.0.2",
		.labels = {"waymark.project", "shop", "waymark.branch", "x", "waymark.host",
			"shop.example, www.shop.example"});
	has(s, 1000, "shop.example preview shop/preview/x/ slot= held=0 +http://172.17.0.2");
	ENTRY(s, .name = "shop", .domains = {"shop.example"});
	has(s, 2000, "shop.example production shop/production// slot= held=0\n");
	has(s, 2000, "www.shop.example preview shop/preview/x/ slot= held=0 +http://172.17.0.2");
	BOX(s->planner, .id = "b", .ip = "172.17.0.3", .labels = {"waymark.project", "shop"});
	has(s, 3000, "shop.example production shop/production// slot= held=0 +http://172.17.0.3");
	planner_remove(s->planner, "app1", "b");
	has(s, 4000, "shop.example production shop/production// slot= held=0\n");
	/* A service of production may have it. */
	BOX(s->planner, .id = "c", .ip = "172.17.0.4",
		.labels = {"waymark.project", "shop", "waymark.service", "web", "waymark.host",
			"shop.example"});
	has(s, 5000,
		"shop.example production shop/production//web slot= held=0 +http://172.17.0.4");
}

/* A table that does not name containers: what is being built, or has failed, takes nothing from
 * what runs. */
static void
an_unnamed_deployment_that_failed_takes_nothing(void **state)
{
#define UNNAMED(state_, when)                                                                      \
	{                                                                                          \
		.environment = "production", .branch = "", .slot = "",                             \
		.status = DEPLOYMENT_##state_, .created_ms = when                                  \
	}
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .labels = {"waymark.project", "shop"});
	ENTRY(s, .name = "shop", .deployments = {UNNAMED(RUNNING, 10)});
	has(s, 1000, "shop.test production shop/production// slot= held=0 +http://172.17.0.9:80");
	ENTRY(s, .name = "shop", .deployments = {UNNAMED(PENDING, 20), UNNAMED(RUNNING, 10)});
	has(s, 2000, "shop.test production shop/production// slot= held=0 +http://172.17.0.9:80");
	ENTRY(s, .name = "shop", .deployments = {UNNAMED(FAILED, 20), UNNAMED(RUNNING, 10)});
	has(s, 3000, "shop.test production shop/production// slot= held=0 +http://172.17.0.9:80");
	ENTRY(s, .name = "shop", .deployments = {UNNAMED(FAILED, 20)});
	has(s, 4000, "shop.test production shop/production// slot= held=0\n");
}

static void
a_container_is_whose_it_was(void **state)
{
	struct stage *s = *state;
	mvp_box(s, "shop-41", "172.17.0.2", HEALTH_NONE);
	BOX(s->planner, .id = "0123456789abcdef0123", .name = "any", .ip = "172.17.0.3");
	ENTRY(s, .name = "shop", .deployments = {DEPLOYED(41, RUNNING, 10)});
	ENTRY(s, .name = "wiki",
		.deployments = {{.environment = "production",
			.branch = "",
			.slot = "",
			.status = DEPLOYMENT_RUNNING,
			.container = "0123456789ab",
			.created_ms = 10}});
	has(s, 1000, "wiki.test production wiki/production// slot=any held=0 +http://172.17.0.3");
	/* Whoever names them later gets neither: not the one of the same name, nor by another form.
	 */
	ENTRY(s, .name = "blog",
		.deployments = {{.environment = "production",
					.branch = "",
					.slot = "",
					.status = DEPLOYMENT_RUNNING,
					.container = "shop-41",
					.created_ms = 99},
			{.environment = "production",
				.branch = "",
				.slot = "",
				.status = DEPLOYMENT_RUNNING,
				.container = "any",
				.created_ms = 98}});
	has(s, 2000,
		"shop.test production shop/production// slot=shop-41 held=0 +http://172.17.0.2");
	has(s, 2000, "wiki.test production wiki/production// slot=any held=0 +http://172.17.0.3");
	has(s, 2000, "blog.test production blog/production// slot= held=0\n");
	has(s, 2000,
		"! registry-duplicate: container shop-41 on app1: -: project 'blog' has a "
		"deployment that names it, too; it stays with project 'shop'");
	/* It is blog's when shop's has failed. */
	ENTRY(s, .name = "shop", .deployments = {DEPLOYED(41, FAILED, 10)});
	has(s, 3000,
		"blog.test production blog/production// slot=shop-41 held=0 +http://172.17.0.2");
	has_not(s, 3000, "container shop-41 on app1: -: project");
}

static void
a_name_does_not_pass_for_an_id(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "0123456789abcdef0123", .name = "any", .ip = "172.17.0.2");
	BOX(s->planner, .id = "ffff456789abcdef0123", .name = "0123456789ab", .ip = "172.17.0.3");
	ENTRY(s, .name = "shop",
		.deployments = {{.environment = "production",
			.branch = "",
			.slot = "",
			.status = DEPLOYMENT_RUNNING,
			.container = "0123456789ab",
			.port = 9}});
	has(s, 1000, "shop.test production shop/production// slot=any held=0 +http://172.17.0.2:9");
	has_not(s, 1000, "172.17.0.3");
	planner_remove(s->planner, "app1", "0123456789abcdef0123");
	has(s, 2000, "shop.test production shop/production// slot= held=0\n");
}

/* The next deployment is built under the name of the one that runs. */
static void
one_container_of_two_rows_serves(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .name = "codi-shop");
	ENTRY(s, .name = "shop",
		.deployments = {{.environment = "production",
					.branch = "",
					.slot = "",
					.status = DEPLOYMENT_PENDING,
					.container = "codi-shop",
					.created_ms = 20},
			{.environment = "production",
				.branch = "",
				.slot = "",
				.status = DEPLOYMENT_RUNNING,
				.container = "codi-shop",
				.created_ms = 10}});
	has(s, 1000,
		"shop.test production shop/production// slot=codi-shop held=0 +http://172.17.0.9");
}

#define NAMED(name, slot_, state_, when, ...)                                                      \
	{                                                                                          \
		.environment = "production", .branch = "", .slot = slot_,                          \
		.status = DEPLOYMENT_##state_, .container = name, .created_ms = when,              \
		.nhosts = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),             \
		.hosts = (const char *const[])                                                     \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

/* Not promoted yet: neither a domain, nor what a label or another row names goes there. */
static void
one_that_stands_by_serves_its_own_hosts(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "172.17.0.2");
	BOX(s->planner, .id = "b", .ip = "172.17.0.3",
		.labels = {"waymark.host", "www.shop.example"});
	ENTRY(s, .name = "shop", .domains = {"shop.example"},
		.deployments = {NAMED("b", "", STANDBY, 20, "b.test", "both.test"),
			NAMED("a", "", RUNNING, 10, "a.test", "both.test")});
	has(s, 1000,
		"shop.test production shop/production// slot=a held=0 "
		"+http://172.17.0.2:80:serving\n");
	has(s, 1000,
		"shop.example production shop/production// slot=a held=0 "
		"+http://172.17.0.2:80:serving\n");
	has(s, 1000,
		"both.test production shop/production// slot=a held=0 "
		"+http://172.17.0.2:80:serving\n");
	has(s, 1000, "b.test slot shop/production// slot=b held=0 +http://172.17.0.3:80:serving\n");
	has_not(s, 1000, "www.shop.example production");
}

static void
of_two_as_new_one_serves(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "172.17.0.2");
	BOX(s->planner, .id = "b", .ip = "172.17.0.3");
	ENTRY(s, .name = "shop",
		.deployments = {NAMED("a", "blue", RUNNING, 10, "x.test"),
			NAMED("b", "blue", RUNNING, 10, "x.test")});
	has(s, 1000,
		"shop.test production shop/production// slot=blue held=0 "
		"+http://172.17.0.3:80:serving -http://172.17.0.2:80:standby\n");
	has(s, 1000,
		"x.test production shop/production// slot=blue held=0 "
		"+http://172.17.0.3:80:serving -http://172.17.0.2:80:standby\n");
}

/* What follows from who it is, no registry has to list. */
static void
a_deployment_keeps_its_own_url(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop");
	mvp_box(s, "shop-41", "172.17.0.2", HEALTH_NONE);
	has(s, 1000, "shop-41.test slot shop/production// slot=shop-41 held=0 +http://172.17.0.2");
	/* By a label it may call itself shop's, and gets no host of blog for that. */
	BOX(s->planner, .id = "b", .name = "blog-7",
		.labels = {"traefik.enable", "true", "traefik.http.routers.blog-7.rule", "x",
			"waymark.project", "shop"});
	has_not(s, 2000, "blog-7.test slot");
	ENTRY(s, .name = "wiki", .deployments = {NAMED("w", "blue", RUNNING, 10, "x.test")});
	BOX(s->planner, .id = "w", .ip = "172.17.0.3");
	has(s, 3000,
		"wiki-production-blue.test slot wiki/production// slot=blue held=0 "
		"+http://172.17.0.3");
}

static void
a_preview_needs_no_branch(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop",
		.deployments = {{.environment = "preview",
			.branch = "",
			.slot = "",
			.status = DEPLOYMENT_RUNNING,
			.container = "a"}});
	has(s, 1000, "shop-preview.test preview shop/preview// slot= held=0\n");
	BOX(s->planner, .id = "a");
	has(s, 2000, "shop-preview.test preview shop/preview// slot=a held=0 +http");
}

/* Whoever names it last does not make another kind of it. */
static void
the_kind_of_a_route_stays(void **state)
{
	struct stage *s = *state;
	mvp_box(s, "shop-1", "172.17.0.2", HEALTH_NONE);
	has(s, 1000, "shop-1.test slot shop/");
	BOX(s->planner, .id = "b", .created = 2000,
		.labels = {"waymark.project", "shop", "waymark.host", "shop-1.test"});
	has(s, 2000, "shop-1.test slot shop/");
	planner_remove(s->planner, "app1", "shop-1");
	has(s, 3000, "shop-1.test slot shop/");
}

/* The state on disk says that it went, and has to be told. */
static void
one_that_comes_back_in_time_is_news(void **state)
{
	struct stage *s = *state;
	struct registered_project *p =
		registered_project_create("registry.directory", "ssot.json", "shop");
	assert_true(planner_put_project(s->planner, p));
	assert_false(planner_put_project(s->planner, p));
	planner_remove_project(s->planner, "registry.directory", "shop", false);
	assert_true(planner_is_leaving(s->planner, "registry.directory", "shop"));
	assert_true(planner_put_project(s->planner, p));
	assert_false(planner_is_leaving(s->planner, "registry.directory", "shop"));
	assert_false(planner_put_project(s->planner, p));
	registered_project_unref(p);
}

static void
each_leaves_in_its_time(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "a");
	ENTRY(s, .name = "b");
	ENTRY(s, .name = "c");
	planner_remove_project(s->planner, "registry.directory", "b", false);
	look(s, 1000);
	planner_remove_project(s->planner, "registry.directory", "a", false);
	planner_remove_project(s->planner, "registry.directory", "c", false);
	look(s, 2000);
	assert_int_equal(planner_due_ms(s->planner), 31000);
	look(s, 31000);
	assert_null(registrar_project(planner_registrar(s->planner), "b"));
	assert_non_null(registrar_project(planner_registrar(s->planner), "a"));
	ENTRY(s, .name = "c");
	look(s, 32000);
	assert_null(registrar_project(planner_registrar(s->planner), "a"));
	assert_non_null(registrar_project(planner_registrar(s->planner), "c"));
}

static void
a_first_slot_takes_over_when_it_is_ready(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "172.17.0.2", .labels = {"waymark.project", "shop"});
	ENTRY(s, .name = "shop", .environment = {.name = "production", .active = "blue"},
		.slots = {{.name = "blue", .state = SLOT_ACTIVE}});
	has(s, 1000, "shop.test production shop/production// slot= held=0 +http://172.17.0.2");
	BOX(s->planner, .id = "b", .ip = "172.17.0.3", .health = HEALTH_STARTING,
		.labels = {"waymark.project", "shop", "waymark.slot", "blue"});
	has(s, 2000, "shop.test production shop/production// slot= held=0 +http://172.17.0.2");
	has(s, 2000, "is ready; what has no slot serves until then");
	BOX(s->planner, .id = "b", .ip = "172.17.0.3", .health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "shop", "waymark.slot", "blue"});
	has(s, 3000, "shop.test production shop/production// slot=blue held=0 +http://172.17.0.3");
}

/* A deployed slot is not promoted by there being nothing else. */
static void
a_slot_that_is_not_active_waits(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "shop", .environment = {.name = "production", .active = "blue"},
		.slots = {{.name = "blue", .state = SLOT_ACTIVE},
			{.name = "green", .state = SLOT_DEPLOYED}});
	BOX(s->planner, .id = "b", .labels = {"waymark.project", "shop", "waymark.slot", "green"});
	has(s, 1000, "shop.test production shop/production// slot=blue held=0 -http");
	has(s, 1000, "a container of it is ready, and none in slot blue, which is active");
}

static void
unnamed_deployments_leave_slots_to_the_registry(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "172.17.0.2",
		.labels = {"waymark.project", "shop", "waymark.slot", "blue"});
	BOX(s->planner, .id = "b", .ip = "172.17.0.3",
		.labels = {"waymark.project", "shop", "waymark.slot", "green"});
	ENTRY(s, .name = "shop", .environment = {.name = "production", .active = "blue"},
		.slots = {{.name = "blue", .state = SLOT_ACTIVE},
			{.name = "green", .state = SLOT_DEPLOYED}},
		.deployments = {UNNAMED(RUNNING, 10)});
	has(s, 1000,
		"shop.test production shop/production// slot=blue held=0 "
		"+http://172.17.0.2:80:serving "
		"-http://172.17.0.3:80:standby");
}

static void
what_is_no_deployment_serves_until_one_is_ready(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "172.17.0.3", .labels = {"waymark.project", "shop"});
	mvp_box(s, "shop-41", "172.17.0.2", HEALTH_STARTING);
	has(s, 1000, "shop.test production shop/production// slot= held=0 +http://172.17.0.3");
	mvp_box(s, "shop-41", "172.17.0.2", HEALTH_NONE);
	has(s, 2000,
		"shop.test production shop/production// slot=shop-41 held=0 "
		"+http://172.17.0.2:80:serving -");
}

/* The one seen later gets the suffix, as without a registry. */
static void
branches_may_come_out_equal(void **state)
{
	struct stage *s = *state;
	BOX(s->planner, .id = "a", .ip = "172.17.0.2");
	BOX(s->planner, .id = "b", .ip = "172.17.0.3");
	ENTRY(s, .name = "shop",
		.deployments = {{.environment = "preview",
			.branch = "f/x",
			.slot = "",
			.status = DEPLOYMENT_RUNNING,
			.container = "a",
			.created_ms = 10}});
	look(s, 1000);
	ENTRY(s, .name = "shop",
		.deployments = {{.environment = "preview",
					.branch = "f-x",
					.slot = "",
					.status = DEPLOYMENT_RUNNING,
					.container = "b",
					.created_ms = 20},
			{.environment = "preview",
				.branch = "f/x",
				.slot = "",
				.status = DEPLOYMENT_RUNNING,
				.container = "a",
				.created_ms = 10}});
	has(s, 2000,
		"shop-preview-f-x.test preview shop/preview/f/x/ slot=a held=0 +http://172.17.0.2");
	has(s, 2000,
		"shop-preview-f-x-4d98d3f5.test preview shop/preview/f-x/ slot=b held=0 "
		"+http://172.17.0.3");
}

/* With the four variables alone, `unregistered` says route; an app that is deleted leaves all the
 * same, though its container runs on. */
static void
a_deleted_app_leaves_with_its_containers(void **state)
{
	struct stage *s = *state;
	s->settings->registry.mvp = true;
	mvp_box(s, "shop-41", "172.17.0.2", HEALTH_NONE);
	BOX(s->planner, .id = "b", .labels = {"waymark.project", "other"});
	ENTRY(s, .name = "shop", .deployments = {DEPLOYED(41, RUNNING, 10)});
	has(s, 1000, "shop.test production shop/production// slot=shop-41 held=0 +http");
	planner_remove_project(s->planner, "registry.directory", "shop", false);
	has(s, 2000, "shop.test production shop/production// slot=shop-41 held=0 +http");
	has_not(s, 32000, "+http://172.17.0.2");
	has(s, 32000, "deployment-unknown: container shop-41 on app1");
	has_not(s, 100000, "shop.test");
	has(s, 100000, "other.test production other/");
}

/* As at a first start. */
static void
in_one_look_a_name_comes_before_a_domain(void **state)
{
	struct stage *s = *state;
	ENTRY(s, .name = "blog", .domains = {"shop.test"});
	ENTRY(s, .name = "shop");
	has(s, 1000, "shop.test production shop/");
	has(s, 1000, "! host-taken: ssot.json: domains: shop.test belongs to project 'shop'");
	/* Of later looks the first counts. */
	ENTRY(s, .name = "blog", .domains = {"shop.test", "wiki.test"});
	look(s, 2000);
	ENTRY(s, .name = "wiki");
	has(s, 3000, "wiki.test production blog/");
}

int
main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest stories[] = {
		STORY(a_registered_host_answers_before_its_container),
		STORY(the_registry_beats_an_older_label),
		STORY(a_project_keeps_to_its_domains),
		STORY(two_entries_want_one_domain),
		STORY(a_domain_needs_permission),
		STORY(unregistered_ones_may_be_ignored),
		STORY(the_registry_gives_the_port),
		STORY(the_registry_names_the_active_slot),
		STORY(the_newest_running_deployment_serves),
		STORY(without_a_registry_the_newest_container_is_it),
		STORY(a_deployment_needs_no_labels),
		STORY(a_row_that_went_still_serves_for_the_drain),
		STORY(an_entry_may_be_in_one_registry_only),
		STORY(static_routes_come_and_go),
		STORY(an_entry_may_change_twice_before_a_step),
		STORY(an_older_label_makes_no_older_entry),
		STORY(who_lost_a_domain_gets_nothing_below_it),
		STORY(the_nearest_domain_counts),
		STORY(a_domain_above_the_base_gives_nothing_under_it),
		STORY(an_entry_may_move_a_host),
		STORY(a_domain_is_productions),
		STORY(an_unnamed_deployment_that_failed_takes_nothing),
		STORY(a_container_is_whose_it_was),
		STORY(a_name_does_not_pass_for_an_id),
		STORY(one_container_of_two_rows_serves),
		STORY(one_that_stands_by_serves_its_own_hosts),
		STORY(of_two_as_new_one_serves),
		STORY(a_deployment_keeps_its_own_url),
		STORY(a_preview_needs_no_branch),
		STORY(the_kind_of_a_route_stays),
		STORY(one_that_comes_back_in_time_is_news),
		STORY(each_leaves_in_its_time),
		STORY(a_first_slot_takes_over_when_it_is_ready),
		STORY(a_slot_that_is_not_active_waits),
		STORY(unnamed_deployments_leave_slots_to_the_registry),
		STORY(what_is_no_deployment_serves_until_one_is_ready),
		STORY(branches_may_come_out_equal),
		STORY(a_deleted_app_leaves_with_its_containers),
		STORY(in_one_look_a_name_comes_before_a_domain),
	};
	return cmocka_run_group_tests(stories, NULL, NULL);
}
