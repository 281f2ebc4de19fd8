#include "reconciler/model/convention.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/base/err.h"
#include "reconciler/model/settings.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LABELS_MAX 12

struct said {
	enum convention_field field;
	const char *value, *from;
};

/* What a container with this name and these labels says: by which convention, and what. */
struct read_case {
	const char *name;
	struct endpoint_label labels[LABELS_MAX];
	const char *convention; /* NULL: nothing recognises it */
	struct said said[FIELD_COUNT]; /* all of it; ends with a NULL value */
};

static struct endpoint *
endpoint_make(const char *name, const struct endpoint_label *labels)
{
	struct endpoint *e = endpoint_create();
	e->name = name;
	while (e->nlabels < LABELS_MAX && labels[e->nlabels].name)
		e->nlabels++;
	struct endpoint_label *copy = ARENA_ARRAY(&e->arena, struct endpoint_label, e->nlabels);
	memcpy(copy, labels, e->nlabels * sizeof(*copy));
	e->labels = copy;
	endpoint_seal(e);
	return e;
}

static const struct convention *
recognise(const struct settings *s, const struct endpoint *e)
{
	for (size_t i = 0; i < s->nconventions; i++)
		if (convention_recognises(s->conventions[i], e))
			return s->conventions[i];
	return NULL;
}

static void
check_said(const struct read_case *c, const struct convention_reading *got)
{
	const char *want[FIELD_COUNT] = {0}, *from[FIELD_COUNT] = {0};
	for (const struct said *said = c->said; said->value; said++) {
		want[said->field] = said->value;
		from[said->field] = said->from;
	}
	for (int f = 0; f < FIELD_COUNT; f++) {
		const char *value = got->field[f].value;
		if (!value != !want[f] || (value && strcmp(value, want[f]) != 0))
			fail_msg("%s: %s is %s", c->name, convention_field_text(f),
				value ? value : "not said");
		if (!value)
			continue;
		char text[256];
		const struct convention_origin *origin = &got->field[f].from;
		snprintf(text, sizeof(text), "%s%s", origin->kind, origin->name);
		assert_string_equal(text, from[f]);
	}
}

static void
check_reads(const struct settings *s, const struct read_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct arena a = {0};
		struct convention_reading reading;
		struct endpoint *e = endpoint_make(cases[i].name, cases[i].labels);
		const struct convention *c = recognise(s, e);
		if (!c != !cases[i].convention)
			fail_msg("%s: recognised by %s", cases[i].name, c ? c->name : "nothing");
		if (c) {
			assert_string_equal(c->name, cases[i].convention);
			convention_read(c, e, &a, &reading);
			assert_ptr_equal(reading.convention, c);
			check_said(&cases[i], &reading);
		}
		endpoint_unref(e);
		arena_finish(&a);
	}
}

#define SLUG_LABEL "label codi.project.slug"

static void
test_codi(void **state)
{
	(void)state;
	static const struct read_case cases[] = {
		{"codi-my-app",
			{{"codi.project.slug", "my-app"}, {"codi.deployment.preview", "false"},
				{"codi.deployment.branch", "main"}, {"traefik.enable", "true"},
				{"traefik.docker.network", "codi-network"},
				{"traefik.http.services.codi_my_app.loadbalancer.server.port",
					"3000"}},
			"codi",
			{{FIELD_PROJECT, "my-app", SLUG_LABEL},
				{FIELD_PORT, "3000",
					"label traefik.http.services.codi_my_app.loadbalancer."
					"server.port"},
				{FIELD_ENABLE, "true", "label traefik.enable"},
				{FIELD_NETWORK, "codi-network", "label traefik.docker.network"}}},
		{"codi-my-app-preview-feature-x",
			{{"codi.project.slug", "my-app"}, {"codi.deployment.preview", "True"},
				{"codi.deployment.branch", "feature/x"}},
			"codi",
			{{FIELD_PROJECT, "my-app", SLUG_LABEL},
				{FIELD_ENVIRONMENT, "preview", "convention codi"},
				{FIELD_BRANCH, "feature/x", "label codi.deployment.branch"}}},
		/* The slug label alone: the name says the rest. */
		{"codi-my-app-preview-feature-x", {{"codi.project.slug", "my-app"}}, "codi",
			{{FIELD_PROJECT, "my-app", SLUG_LABEL},
				{FIELD_BRANCH, "feature-x", "container name"}}},
		{"codi-my-app", {{"codi.project.slug", "my-app"}}, "codi",
			{{FIELD_PROJECT, "my-app", SLUG_LABEL}}},
		{"codi-a-preview-b", {{"codi.project.slug", "a-preview-b"}}, "codi",
			{{FIELD_PROJECT, "a-preview-b", SLUG_LABEL}}},
		{"codi-a-preview-b-preview-c", {{"codi.project.slug", "a-preview-b"}}, "codi",
			{{FIELD_PROJECT, "a-preview-b", SLUG_LABEL},
				{FIELD_BRANCH, "c", "container name"}}},
		{"codi-my-app-preview-", {{"codi.project.slug", "my-app"}}, "codi",
			{{FIELD_PROJECT, "my-app", SLUG_LABEL}}},
		/* The labels say that it is no preview, whatever the name looks like. */
		{"codi-my-app-preview-x",
			{{"codi.project.slug", "my-app"}, {"codi.deployment.preview", "false"}},
			"codi", {{FIELD_PROJECT, "my-app", SLUG_LABEL}}},
		/* A preview without a branch is not production. */
		{"x", {{"codi.project.slug", "my-app"}, {"codi.deployment.preview", "true"}},
			"codi",
			{{FIELD_PROJECT, "my-app", SLUG_LABEL},
				{FIELD_ENVIRONMENT, "preview", "convention codi"}}},
		/* Of several services the alphabetically first label wins. */
		{"codi-a",
			{{"codi.project.slug", "a"},
				{"traefik.http.services.z.loadbalancer.server.port", "1"},
				{"traefik.http.services.b.loadbalancer.server.port", "2"},
				{"traefik.http.services.a.loadbalancer.server.port", ""}},
			"codi",
			{{FIELD_PROJECT, "a", SLUG_LABEL},
				{FIELD_PORT, "2",
					"label traefik.http.services.b.loadbalancer.server.port"}}},
		/* waymark.* overrides, and the name is read with the slug it was made from. */
		{"codi-my-app-preview-x",
			{{"codi.project.slug", "my-app"}, {"waymark.project", "other"},
				{"waymark.port", "81"}, {"waymark.health", "none"},
				{"waymark.health.path", "/h"}, {"waymark.enable", ""}},
			"codi",
			{{FIELD_PROJECT, "other", "label waymark.project"},
				{FIELD_BRANCH, "x", "container name"},
				{FIELD_PORT, "81", "label waymark.port"},
				{FIELD_HEALTH, "none", "label waymark.health"},
				{FIELD_HEALTH_PATH, "/h", "label waymark.health.path"}}},
		{"codi-my-app", {{"codi.project.slug", ""}}, NULL, {{0}}},
	};
	struct settings *s = settings_create();
	check_reads(s, cases, COUNT(cases));
	settings_destroy(s);
}

static void
test_codeb(void **state)
{
	(void)state;
	static const struct read_case cases[] = {
		{"myapp-production-blue",
			{{"codeb.project", "myapp"}, {"codeb.environment", "production"},
				{"codeb.slot", "blue"}},
			"codeb",
			{{FIELD_PROJECT, "myapp", "label codeb.project"},
				{FIELD_ENVIRONMENT, "production", "label codeb.environment"},
				{FIELD_SLOT, "blue", "label codeb.slot"},
				{FIELD_PORT, "3000", "convention codeb"},
				{FIELD_HEALTH_PATH, "/api/health", "convention codeb"}}},
	};
	struct settings *s = settings_create();
	check_reads(s, cases, COUNT(cases));
	settings_destroy(s);
}

#define COMPOSE(project, service)                                                                  \
	{"com.docker.compose.project", project},                                                   \
	{                                                                                          \
		"com.docker.compose.service", service                                              \
	}

static void
test_compose_and_waymark(void **state)
{
	(void)state;
	static const struct read_case cases[] = {
		{"cc-backend-1", {COMPOSE("cc", "backend"), {"waymark.port", "8000"}}, "compose",
			{{FIELD_PROJECT, "cc", "label com.docker.compose.project"},
				{FIELD_SERVICE, "backend", "label com.docker.compose.service"},
				{FIELD_PORT, "8000", "label waymark.port"}}},
		{"cc-web-1", {COMPOSE("cc", "web"), {"waymark.enable", "TRUE"}}, "compose",
			{{FIELD_PROJECT, "cc", "label com.docker.compose.project"},
				{FIELD_SERVICE, "web", "label com.docker.compose.service"},
				{FIELD_ENABLE, "TRUE", "label waymark.enable"}}},
		{"cc-redis-1", {COMPOSE("cc", "redis")}, NULL, {{0}}},
		{"cc-redis-1", {COMPOSE("cc", "redis"), {"waymark.enable", "false"}}, NULL, {{0}}},
		{"cc-redis-1", {COMPOSE("cc", "redis"), {"waymark.path", "/x"}}, NULL, {{0}}},
		/* Not asked for under compose, but under waymark. */
		{"cc-web-1", {COMPOSE("cc", "web"), {"waymark.project", "shop"}}, "waymark",
			{{FIELD_PROJECT, "shop", "label waymark.project"}}},
		{"blog", {{"waymark.port", "80"}}, "waymark",
			{{FIELD_PROJECT, "blog", "container name"},
				{FIELD_PORT, "80", "label waymark.port"}}},
		{"x_1", {{"com.docker.compose.project", "cc"}, {"waymark.host", "a.b"}}, "waymark",
			{{FIELD_PROJECT, "cc", "label com.docker.compose.project"},
				{FIELD_HOST, "a.b", "label waymark.host"}}},
		{"full",
			{{"waymark.project", "p"}, {"waymark.environment", "staging"},
				{"waymark.branch", "b"}, {"waymark.slot", "blue"},
				{"waymark.path", "/a"}, {"waymark.path.strip", "true"},
				{"waymark.scheme", "h2c"}, {"waymark.sticky", "true"},
				{"waymark.service", "s"}, {"waymark.network", "n"}},
			"waymark",
			{{FIELD_PROJECT, "p", "label waymark.project"},
				{FIELD_ENVIRONMENT, "staging", "label waymark.environment"},
				{FIELD_BRANCH, "b", "label waymark.branch"},
				{FIELD_SLOT, "blue", "label waymark.slot"},
				{FIELD_PATH, "/a", "label waymark.path"},
				{FIELD_STRIP, "true", "label waymark.path.strip"},
				{FIELD_SCHEME, "h2c", "label waymark.scheme"},
				{FIELD_STICKY, "true", "label waymark.sticky"},
				{FIELD_SERVICE, "s", "label waymark.service"},
				{FIELD_NETWORK, "n", "label waymark.network"}}},
		{"plain", {{"traefik.enable", "true"}}, NULL, {{0}}},
		{"plain", {{0}}, NULL, {{0}}},
	};
	struct settings *s = settings_create();
	check_reads(s, cases, COUNT(cases));
	settings_destroy(s);
}

/* An operator's own convention: name patterns and conditions. */
static void
test_own(void **state)
{
	(void)state;
	static const char *const all[] = {"paas.*", "!paas.skip", "!paas.kind=job"};
	static const struct convention_rule rules[] = {
		{FIELD_SLOT, PLACE_NAME, "{project}-{environment}-{slot}", NULL},
		{FIELD_PROJECT, PLACE_LABEL, "paas.app", NULL},
		{FIELD_PROJECT, PLACE_NAME, "{project}-{environment}-{slot}", NULL},
		{FIELD_ENVIRONMENT, PLACE_NAME, "{project}-{environment}-{slot}", NULL},
		{FIELD_PORT, PLACE_VALUE, "8080", "paas.kind=web"},
		{FIELD_PORT, PLACE_VALUE, "9090", "!paas.kind=web"},
	};
	static const struct convention own = {
		.name = "own",
		.all = all,
		.nall = COUNT(all),
		.rules = rules,
		.nrules = COUNT(rules),
	};
	static const struct convention *const conventions[] = {&own};
	static const struct read_case cases[] = {
		{"my-app-production-blue", {{"paas.kind", "web"}}, "own",
			{{FIELD_PROJECT, "my-app", "container name"},
				{FIELD_ENVIRONMENT, "production", "container name"},
				{FIELD_SLOT, "blue", "container name"},
				{FIELD_PORT, "8080", "convention own"}}},
		{"my-app-production-blue", {{"paas.app", "my-app"}}, "own",
			{{FIELD_PROJECT, "my-app", "label paas.app"},
				{FIELD_ENVIRONMENT, "production", "container name"},
				{FIELD_SLOT, "blue", "container name"},
				{FIELD_PORT, "9090", "convention own"}}},
		{"other", {{"paas.app", "my-app"}}, "own",
			{{FIELD_PROJECT, "my-app", "label paas.app"},
				{FIELD_PORT, "9090", "convention own"}}},
		{"a", {{"paas.kind", "web"}, {"paas.skip", "1"}}, NULL, {{0}}},
		{"a", {{"paas.kind", "job"}}, NULL, {{0}}},
		{"a", {{"paas", "x"}}, NULL, {{0}}},
	};
	struct settings *s = settings_create();
	s->conventions = conventions;
	s->nconventions = 1;
	check_reads(s, cases, COUNT(cases));
	settings_destroy(s);
}

static void
test_pattern_check(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *why;
	} cases[] = {
		{"{project}", NULL},
		{"codi-{project}-preview-{branch}", NULL},
		{"x", NULL},
		{"{path.strip}", NULL},
		{"", "empty"},
		{"{project}{branch}", "nothing stands between {project} and {branch}"},
		{"{project}-{project}", "{project} stands twice"},
		{"{proj}", "unknown field {proj}"},
		{"{}", "unknown field {}"},
		{"{project", "a brace has no partner"},
		{"project}", "a brace has no partner"},
		{"{a{project}", "unknown field"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err e = {0};
		int r = convention_pattern_check(cases[i].pattern, &e);
		assert_int_equal(r < 0, cases[i].why != NULL);
		if (cases[i].why && !strstr(e.text, cases[i].why))
			fail_msg("%s: %s", cases[i].pattern, e.text);
	}
}

/* A name made to be slow to match is not. */
static void
test_hostile_name(void **state)
{
	(void)state;
	static const struct convention_rule rules[] = {
		{FIELD_PROJECT, PLACE_NAME,
			"{project}-{branch}-{service}-{host}-{path}-{scheme}-{sticky}-{health}-"
			"{enable}-{network}!",
			NULL},
	};
	static const struct convention own = {.name = "own", .rules = rules, .nrules = 1};
	static const struct endpoint_label none[1] = {{0}};
	char name[300];
	for (size_t n = 250; n <= 260; n += 10) {
		memset(name, '-', sizeof(name));
		name[n] = '\0';
		struct arena a = {0};
		struct convention_reading reading;
		struct endpoint *e = endpoint_make(name, none);
		convention_read(&own, e, &a, &reading);
		assert_null(reading.field[FIELD_PROJECT].value);
		endpoint_unref(e);
		arena_finish(&a);
	}
}

static void
test_wants_label(void **state)
{
	(void)state;
	static const struct {
		const char *label;
		bool want;
	} cases[] = {
		{"waymark.port", true},
		{"waymark.path.strip", true},
		{"waymark.nothing", false},
		{"waymark.", false},
		{"codi.project.slug", true},
		{"codi.deployment.preview", true},
		{"codi.deployment.branch", true},
		{"codeb.slot", true},
		{"com.docker.compose.service", true},
		{"com.docker.compose.image", false},
		{"traefik.enable", true},
		{"traefik.docker.network", true},
		{"traefik.http.services.a.b.loadbalancer.server.port", true},
		{"traefik.http.services.loadbalancer.server.port", false},
		{"traefik.http.services..loadbalancer.server.port", true},
		{"traefik.http.routers.x.rule", false},
		{"", false},
	};
	struct settings *s = settings_create();
	for (size_t i = 0; i < COUNT(cases); i++)
		if (settings_wants_label(s, cases[i].label) != cases[i].want)
			fail_msg("%s", cases[i].label);
	settings_destroy(s);
}

/* Every built-in row is well formed, and the fields' names are found again. */
static void
test_table(void **state)
{
	(void)state;
	size_t conventions = 0;
	for (const char *const *name = convention_names(); *name; name++) {
		const struct convention *c = convention_find(*name);
		conventions += c != NULL;
		for (size_t i = 0; c && i < c->nrules; i++)
			if (c->rules[i].place == PLACE_NAME)
				assert_int_equal(
					convention_pattern_check(c->rules[i].text, NULL), 0);
	}
	assert_int_equal(conventions, 5);
	assert_null(convention_find("none"));
	for (int f = 0; f < FIELD_COUNT; f++)
		assert_int_equal(
			convention_field_find(convention_field_text((enum convention_field)f)), f);
	assert_int_equal(convention_field_find("nothing"), -1);
}

static void
test_settings(void **state)
{
	(void)state;
	static const struct settings_engine engines[] = {{.name = "app1"}, {.name = "app2"}};
	struct settings *s = settings_create();
	s->engines = engines;
	s->nengines = COUNT(engines);
	assert_ptr_equal(settings_engine_find(s, "app2"), &engines[1]);
	assert_null(settings_engine_find(s, "app3"));
	settings_destroy(s);
	settings_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codi),
		cmocka_unit_test(test_codeb),
		cmocka_unit_test(test_compose_and_waymark),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_pattern_check),
		cmocka_unit_test(test_hostile_name),
		cmocka_unit_test(test_wants_label),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_settings),
	};
	return cmocka_run_group_tests_name("convention", tests, NULL, NULL);
}
