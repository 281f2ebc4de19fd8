#include "provider/cli/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glob.h>

#include <cmocka.h>

#include "provider/cli/config_keys.h"
#include "provider/cli/config_shape.h"
#include "provider/cli/config_yaml.h"
#include "reconciler/model/convention.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GOLDEN "tests/golden/config/"
#define SCHEMA "schema/config.schema.json"

/* Nothing of the environment that the tests run in counts. */
static int
clean_environment(void **state)
{
	(void)state;
	clearenv();
	setenv("SET", "codi.local", 1);
	return 0;
}

static char *
file_text(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *f = fopen(path, "r");
	if (!f)
		return text;
	size_t n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void
file_write(const char *path, const char *text, size_t n)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static struct config *
load_text(const char *text, size_t n, struct config_errors *errors)
{
	char path[] = "/tmp/edge_config.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	file_write(path, text, n);
	struct config *c = config_load(path, errors);
	unlink(path);
	return c;
}

static struct config *
load_good(const char *text)
{
	struct config_errors errors;
	struct config *c = load_text(text, strlen(text), &errors);
	if (!c)
		fail_msg("%s: %s", errors.list[0].path, errors.list[0].what);
	config_errors_finish(&errors);
	return c;
}

/* What `waymark check` says of it. */
static void
print_check(const char *path, struct buf *b)
{
	struct config_errors errors;
	struct config *c = config_load(path, &errors);
	const struct config_errors *list = c ? &c->warnings : &errors;
	for (size_t i = 0; i < list->n; i++) {
		config_error_print(&list->list[i], b);
		buf_adds(b, "\n");
	}
	buf_adds(b, c ? "ok\n" : "refused\n");
	config_errors_finish(&errors);
	config_destroy(c);
}

/* Each NAME.yaml gives what NAME.txt says. */
static void
test_golden(void **state)
{
	glob_t found;
	assert_int_equal(glob(GOLDEN "*.yaml", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct buf got = {0}, path = {0};
		print_check(found.gl_pathv[i], &got);
		buf_addf(&path, "%.*s.txt", (int)strlen(found.gl_pathv[i]) - 5, found.gl_pathv[i]);
		if (*state)
			file_write(path.p, got.p, got.n);
		char *want = file_text(path.p);
		assert_string_equal(got.p, want);
		free(want);
		buf_finish(&got);
		buf_finish(&path);
	}
	assert_true(found.gl_pathc >= 20);
	globfree(&found);
}

/* The committed schema is what the table gives. */
static void
test_schema(void **state)
{
	struct buf got = {0};
	config_schema_print(&got);
	if (*state)
		file_write(SCHEMA, got.p, got.n);
	char *want = file_text(SCHEMA);
	if (strcmp(got.p, want) != 0)
		fail_msg("%s", SCHEMA " is not what the table gives: run `make schema`");
	free(want);
	buf_finish(&got);
}

/* The table's defaults, the schema's and those of settings_create are the same. */
static void
test_defaults(void **state)
{
	(void)state;
	struct config *c = load_good("");
	struct settings *want = settings_create();
	const struct settings *got = c->settings;
	assert_string_equal(got->base_domain, want->base_domain);
	assert_int_equal(got->any_domain, want->any_domain);
	assert_int_equal(got->nreserved, want->nreserved);
	for (size_t i = 0; i < want->nreserved; i++)
		assert_string_equal(got->reserved[i], want->reserved[i]);
	assert_string_equal(got->urls.production, want->urls.production);
	assert_string_equal(got->urls.staging, want->urls.staging);
	assert_string_equal(got->urls.preview, want->urls.preview);
	assert_string_equal(got->urls.slot, want->urls.slot);
	assert_string_equal(got->urls.service, want->urls.service);
	assert_int_equal(got->urls.nothers, 0);
	assert_int_equal(got->nconventions, want->nconventions);
	for (size_t i = 0; i < want->nconventions; i++)
		assert_ptr_equal(got->conventions[i], want->conventions[i]);
	assert_int_equal(got->probe, want->probe);
	assert_int_equal(got->probe_interval_ms, want->probe_interval_ms);
	assert_int_equal(got->probe_timeout_ms, want->probe_timeout_ms);
	assert_int_equal(got->hold_ms, want->hold_ms);
	assert_int_equal(got->nstatics, 0);
	assert_false(settings_has_registry(got));
	assert_int_equal(got->registry.dialect, want->registry.dialect);
	assert_int_equal(got->registry.ignore_unregistered, want->registry.ignore_unregistered);
	assert_int_equal(got->registry.shrink_after_ms, want->registry.shrink_after_ms);
	assert_int_equal(got->registry.poll_ms, want->registry.poll_ms);
	assert_false(got->registry.mvp);
	assert_true(got->grace_ms == want->grace_ms);
	assert_int_equal(got->drain_ms, want->drain_ms);
	assert_string_equal(got->traefik.name, want->traefik.name);
	assert_int_equal(got->traefik.nhttp, want->traefik.nhttp);
	assert_string_equal(got->traefik.http[0], want->traefik.http[0]);
	assert_int_equal(got->traefik.nhttps, 0);
	assert_int_equal(got->traefik.redirect, want->traefik.redirect);
	assert_null(got->traefik.push);
	assert_int_equal(got->nengines, 1);
	assert_string_equal(got->engines[0].name, "local");
	assert_string_equal(got->engines[0].host, "unix:///var/run/docker.sock");
	assert_false(got->engines[0].published);
	assert_int_equal(c->nlisten, 1);
	assert_string_equal(c->listen[0], "127.0.0.1:9180");
	assert_string_equal(c->state_dir, "/var/lib/waymark");
	assert_int_equal(c->log_format, LOG_TEXT);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->ntokens, 0);
	assert_int_equal(c->warnings.n, 0);
	settings_destroy(want);
	config_destroy(c);
}

static void
test_values(void **state)
{
	(void)state;
	struct config_errors errors;
	struct config *c = config_load(GOLDEN "ok_interface.yaml", &errors);
	assert_non_null(c);
	const struct settings *s = c->settings;
	assert_string_equal(c->path, GOLDEN "ok_interface.yaml");
	assert_string_equal(s->base_domain, "codi.local");
	assert_false(s->any_domain);
	assert_int_equal(s->nallowed, 2);
	assert_string_equal(s->allowed_domains[1], "myapp.kr");
	assert_string_equal(s->registry.directory, "/opt/codeb/registry");
	assert_false(s->registry.postgres);
	assert_int_equal(s->nengines, 1);
	assert_string_equal(s->engines[0].name, "app1");
	assert_string_equal(s->engines[0].network, "codeb-main");
	assert_false(s->engines[0].published);
	assert_string_equal(s->engines[0].address, "127.0.0.1");
	assert_int_equal(c->ntokens, 1);
	assert_string_equal(c->tokens[0].name, "edge1");
	assert_int_equal(c->tokens[0].role, TOKEN_PROVIDER);
	assert_int_equal(c->tokens[0].sha256[0], 0xab);
	assert_int_equal(c->tokens[0].sha256[31], 0xab);
	assert_int_equal(s->traefik.nhttps, 1);
	assert_string_equal(s->traefik.https[0], "websecure");
	assert_true(s->traefik.redirect);
	assert_string_equal(s->traefik.resolver, "le");
	assert_int_equal(s->traefik.ndomains, 1);
	assert_string_equal(s->traefik.domains[0].main, "codeb.kr");
	assert_string_equal(s->traefik.domains[0].sans[0], "*.codeb.kr");
	config_errors_finish(&errors);
	config_destroy(c);
}

static void
test_more_values(void **state)
{
	(void)state;
	struct config *c = load_good("static:\n"
				     "  WS.codeb.kr: {upstreams: ['http://10.0.0.5']}\n"
				     "  db.codeb.kr: {address: 10.0.0.6}\n"
				     "urls: {qa: '{project}.qa.{base}'}\n"
				     "log: {level: debug, format: journal}\n"
				     "probe: {default: none, interval: 250ms, timeout: 10}\n"
				     "allowed_domains: []\n"
				     "engines: []\n"
				     "reserved: Www\n"
				     "traefik:\n"
				     "  name: edge\n"
				     "  https: [a, b]\n"
				     "  redirect: off\n"
				     "  push: http://127.0.0.1:8080\n"
				     "  tls: {default_certificate: {cert_file: c, key_file: k}}\n");
	const struct settings *s = c->settings;
	assert_int_equal(s->nstatics, 2);
	assert_string_equal(s->statics[0].host, "ws.codeb.kr");
	assert_string_equal(s->statics[0].upstreams[0], "http://10.0.0.5:80");
	assert_string_equal(s->statics[1].addresses[0], "10.0.0.6");
	assert_int_equal(s->urls.nothers, 1);
	assert_string_equal(s->urls.others[0].environment, "qa");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->log_format, LOG_JOURNAL);
	assert_false(s->probe);
	assert_int_equal(s->probe_interval_ms, 250);
	assert_int_equal(s->probe_timeout_ms, 10000);
	assert_false(s->any_domain);
	assert_int_equal(s->nallowed, 0);
	assert_int_equal(s->nengines, 0);
	assert_int_equal(s->nreserved, 1);
	assert_string_equal(s->reserved[0], "www");
	assert_string_equal(s->traefik.name, "edge");
	assert_int_equal(s->traefik.nhttps, 2);
	assert_false(s->traefik.redirect);
	assert_string_equal(s->traefik.push, "http://127.0.0.1:8080");
	assert_string_equal(s->traefik.default_key_file, "k");
	config_destroy(c);
}

/* Every key of `registry` and `slots`. */
static void
test_registry(void **state)
{
	(void)state;
	setenv("DOCKER_HOST", "tcp://10.0.0.5:2375", 1); /* `engines: []` is none all the same */
	struct config *c = load_good("registry:\n"
				     "  directory: reg\n"
				     "  dialect: codeb\n"
				     "  unregistered: ignore\n"
				     "  shrink_after: 0s\n"
				     "  postgres:\n"
				     "    url: postgres://way@db.local:5433/mark?sslmode=disable\n"
				     "    password_file: /dev/null\n"
				     "    sql: select 1\n"
				     "    channel: Apps changed\n"
				     "    interval: 250ms\n"
				     "slots: {grace: 60d, drain: 5s, auto_rollback: record}\n"
				     "engines: []\n");
	const struct settings *s = c->settings;
	/* Beside the configuration, which is in /tmp. */
	assert_string_equal(s->registry.directory, "/tmp/reg");
	assert_int_equal(s->registry.dialect, DIALECT_CODEB);
	assert_true(s->registry.ignore_unregistered);
	assert_int_equal(s->registry.shrink_after_ms, 0);
	assert_true(s->registry.postgres);
	assert_string_equal(s->registry.url, "postgres://way@db.local:5433/mark?sslmode=disable");
	assert_string_equal(s->registry.password_file, "/dev/null");
	assert_string_equal(s->registry.sql, "select 1");
	assert_string_equal(s->registry.channel, "Apps changed");
	assert_int_equal(s->registry.poll_ms, 250);
	assert_false(s->registry.mvp);
	assert_true(s->grace_ms == UINT64_C(60) * 24 * 3600 * 1000);
	assert_int_equal(s->drain_ms, 5000);
	assert_int_equal(s->nengines, 0);
	/* With a registry there is no domain but base_domain, unless they are named. */
	assert_false(s->any_domain);
	assert_int_equal(s->nallowed, 0);
	assert_int_equal(s->auto_rollback, ROLLBACK_RECORD);
	assert_int_equal(c->warnings.n, 0);
	config_destroy(c);
}

/* When PostgreSQL is on, and where its URL comes from. */
static void
test_registry_url(void **state)
{
	(void)state;
	static const char in_env[] = "postgres://env@h/e?schema=public&sslmode=require&pool_size=3";
	static const char trimmed[] = "postgres://env@h/e?sslmode=require";
	static const struct {
		const char *text, *env, *want; /* NULL: off */
		bool mvp;
	} cases[] = {
		{"", in_env, NULL, false},
		{"registry: {directory: /a}\n", in_env, NULL, false},
		{"registry: {postgres: {}}\n", in_env, trimmed, false},
		{"registry: {postgres: }\n", in_env, trimmed, false},
		{"registry:\n  postgres:\n", in_env, trimmed, false},
		{"registry: {postgres: {interval: 1s}}\n", in_env, trimmed, false},
		{"registry: {postgres: {url: 'host=a dbname=b'}}\n", in_env, "host=a dbname=b",
			false},
		{"registry: {postgres: {url: 'postgres://${SET}/b'}}\n", "",
			"postgres://codi.local/b", false},
		{"platforms: [codi, mvp]\n", in_env, trimmed, true},
		{"platforms: mvp\n", "", NULL, true},
		{"platforms: mvp\nregistry: {postgres: {url: 'postgres:///a'}}\n", in_env,
			"postgres:///a", true},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		setenv("DATABASE_URL", cases[i].env, 1);
		struct config *c = load_good(cases[i].text);
		const struct settings_registry *g = &c->settings->registry;
		assert_int_equal(g->postgres, cases[i].want != NULL);
		assert_int_equal(g->mvp, cases[i].mvp);
		if (cases[i].want)
			assert_string_equal(g->url, cases[i].want);
		config_destroy(c);
	}
}

/* A password is for a file, except where the environment brings it. */
static void
test_registry_password(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool warned;
	} cases[] = {
		{"registry: {postgres: {url: 'postgres://u:sesame@h/d'}}\n", true},
		{"registry: {postgres: {url: 'host=h password=sesame'}}\n", true},
		{"registry: {postgres: {url: 'postgres://u:${SECRET}@h/d'}}\n", false},
		{"registry: {postgres: {}}\n", false},
	};
	setenv("SECRET", "sesame", 1);
	setenv("DATABASE_URL", "postgres://u:sesame@h/d", 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config *c = load_good(cases[i].text);
		assert_non_null(strstr(c->settings->registry.url, "sesame"));
		assert_int_equal(c->warnings.n, cases[i].warned ? 1 : 0);
		if (cases[i].warned)
			assert_string_equal(c->warnings.list[0].path, "registry.postgres.url");
		config_destroy(c);
	}
}

/* What is wrong with a URL is said without the password in it. */
static void
test_registry_secrets(void **state)
{
	(void)state;
	static const struct {
		const char *url, *why;
	} cases[] = {
		{"mysql://u:sesame@h/d", "begins with mysql://"},
		{"jdbc:postgresql://u:sesame@h/d", "not a PostgreSQL URL"},
		{"u:sesame@h/d", "not a PostgreSQL URL"},
		{"postgres://u:sesame@me@h/d", "is no host name"},
		{"postgres://u@h:sesame/d", "is no port"},
		{"postgres://u:sesame/x@h/d", "is no name"},
		{"postgres://u:sesame%zz@h/d", "not a PostgreSQL URL"},
		{"postgres://h/d?password=sesame&%zz=1", "not a PostgreSQL URL"},
		{"postgres://h/d?sesame", "not a PostgreSQL URL"},
		{"password=sesame what", "not a PostgreSQL URL"},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int k = 0; k < 2; k++) {
			char text[256];
			struct config_errors errors;
			setenv(k ? "DATABASE_URL" : "WAYMARK_REGISTRY_POSTGRES_URL", cases[i].url,
				1);
			snprintf(text, sizeof(text), "registry: {postgres: }\n");
			assert_null(load_text(text, strlen(text), &errors));
			assert_int_equal(errors.n, 1);
			assert_string_equal(errors.list[0].file, "environment");
			if (!strstr(errors.list[0].what, cases[i].why))
				fail_msg("%s: %s", cases[i].url, errors.list[0].what);
			assert_null(strstr(errors.list[0].what, "sesame"));
			assert_null(strstr(errors.list[0].remedy, "sesame"));
			config_errors_finish(&errors);
			unsetenv("DATABASE_URL");
			unsetenv("WAYMARK_REGISTRY_POSTGRES_URL");
		}
}

/* url_file and sql_file stand beside the configuration, and blanks around what they hold do not
 * count. */
static void
test_registry_files(void **state)
{
	(void)state;
	char dir[] = "/tmp/edge_config.XXXXXX";
	struct buf url = {0}, sql = {0}, yaml = {0};
	struct config_errors errors;
	static const char text[] = "registry: {postgres: {url_file: pg.url, sql_file: apps.sql}}";
	assert_non_null(mkdtemp(dir));
	buf_addf(&url, "%s/pg.url", dir);
	buf_addf(&sql, "%s/apps.sql", dir);
	buf_addf(&yaml, "%s/waymark.yaml", dir);
	file_write(yaml.p, text, strlen(text));

	assert_null(config_load(yaml.p, &errors));
	assert_int_equal(errors.n, 2);
	assert_non_null(strstr(errors.list[0].what, url.p));
	assert_non_null(strstr(errors.list[0].what, "No such file"));
	assert_non_null(strstr(errors.list[1].what, sql.p));
	config_errors_finish(&errors);

	file_write(url.p, "postgres://u:sesame@h:x/d\n", 26);
	file_write(sql.p, " \n", 2);
	assert_null(config_load(yaml.p, &errors));
	assert_int_equal(errors.n, 2);
	assert_non_null(strstr(errors.list[0].what, "is no port"));
	assert_null(strstr(errors.list[0].what, "sesame"));
	assert_non_null(strstr(errors.list[1].what, "is empty"));
	config_errors_finish(&errors);

	file_write(url.p, "postgres://u:sesame@h/d\n", 24);
	file_write(sql.p, "select 1;\n", 10);
	struct config *c = config_load(yaml.p, &errors);
	assert_non_null(c);
	assert_string_equal(c->settings->registry.url, "postgres://u:sesame@h/d");
	assert_string_equal(c->settings->registry.sql, "select 1;");
	assert_int_equal(c->warnings.n, 0);
	config_errors_finish(&errors);
	config_destroy(c);

	unlink(url.p);
	unlink(sql.p);
	unlink(yaml.p);
	rmdir(dir);
	buf_finish(&url);
	buf_finish(&sql);
	buf_finish(&yaml);
}

static void
test_merged_values(void **state)
{
	(void)state;
	struct config_errors errors;
	struct config *c = config_load(GOLDEN "ok_merge.yaml", &errors);
	assert_non_null(c);
	const struct settings *s = c->settings;
	assert_int_equal(s->nengines, 2);
	assert_true(s->engines[0].published);
	assert_string_equal(s->engines[0].address, "10.0.0.5");
	assert_null(s->engines[0].network);
	assert_string_equal(s->engines[1].network, "other");
	assert_string_equal(s->allowed_domains[0], "codeb.kr");
	config_errors_finish(&errors);
	config_destroy(c);
}

static void
test_conventions(void **state)
{
	(void)state;
	struct config_errors errors;
	struct config *c = config_load(GOLDEN "ok_conventions.yaml", &errors);
	assert_non_null(c);
	/* One's own come first where `platforms` is not given. */
	assert_int_equal(c->settings->nconventions, 5);
	const struct convention *own = c->settings->conventions[0];
	assert_string_equal(own->name, "paas");
	assert_true(own->codi_branches);
	assert_int_equal(own->nall, 2);
	assert_string_equal(own->all[1], "!paas.kind=job");
	static const struct convention_rule want[] = {
		{FIELD_PROJECT, PLACE_LABEL, "paas.app", NULL},
		{FIELD_BRANCH, PLACE_LABEL, "paas.branch", NULL},
		{FIELD_BRANCH, PLACE_NAME, "{project}-pr-{branch}", "!paas.branch"},
		{FIELD_PORT, PLACE_LABEL, "paas.*.port", NULL},
		{FIELD_PORT, PLACE_VALUE, "8080", NULL},
		{FIELD_STRIP, PLACE_LABEL, "paas.strip", NULL},
	};
	assert_int_equal(own->nrules, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(own->rules[i].field, want[i].field);
		assert_int_equal(own->rules[i].place, want[i].place);
		assert_string_equal(own->rules[i].text, want[i].text);
		assert_int_equal(!own->rules[i].when, !want[i].when);
		if (want[i].when)
			assert_string_equal(own->rules[i].when, want[i].when);
	}
	config_errors_finish(&errors);
	config_destroy(c);

	c = load_good("platforms: [waymark, paas]\n"
		      "conventions: {paas: {recognise: {any: a}, fields: {project: a}}}\n");
	assert_int_equal(c->settings->nconventions, 2);
	assert_string_equal(c->settings->conventions[0]->name, "waymark");
	assert_string_equal(c->settings->conventions[1]->name, "paas");
	config_destroy(c);
}

static void
test_variables(void **state)
{
	(void)state;
	setenv("PORT", "8000", 1);
	struct config *c = load_good("base_domain: ${SET}\n"
				     "state_dir: /a/${SET}/$${SET}/$HOME/$\n"
				     "static: {a.b: {upstreams: ['http://c:${PORT}']}}\n"
				     "powerdns: {api_key_file: '${UNSET}'}\n");
	assert_string_equal(c->settings->base_domain, "codi.local");
	assert_string_equal(c->state_dir, "/a/codi.local/${SET}/$HOME/$");
	assert_string_equal(c->settings->statics[0].upstreams[0], "http://c:8000");
	config_destroy(c);
}

static void
test_environment(void **state)
{
	(void)state;
	setenv("WAYMARK_LISTEN", " 127.0.0.1:1, unix:/x ,", 1);
	setenv("WAYMARK_PLATFORMS", "waymark,codi", 1);
	setenv("WAYMARK_PROBE_DEFAULT", "none", 1);
	setenv("WAYMARK_LOG_LEVEL", "", 1);
	setenv("WAYMARK_STATE_DIR", "/${SET}", 1);
	setenv("WAYMARK_TRAEFIK_HTTPS", "tls", 1);
	setenv("WAYMARK_TRAEFIK_TLS_RESOLVER", "le", 1);
	setenv("WAYMARK_URLS_STAGING", "{project}.s.{base}", 1);
	setenv("WAYMARK_REGISTRY_DIRECTORY", "reg", 1);
	setenv("WAYMARK_REGISTRY_DIALECT", "waymark", 1);
	setenv("WAYMARK_REGISTRY_POSTGRES_URL", "postgres:///p", 1);
	setenv("WAYMARK_SLOTS_GRACE", "1h", 1);
	setenv("BASE_DOMAIN", "env.local", 1);
	setenv("DOCKER_HOST", "tcp://10.0.0.5:2375", 1);
	struct config *c = load_good("listen: 127.0.0.1:2\n"
				     "probe: {interval: 1s}\n"
				     "traefik: [{name: edge, https: [other]}]\n"
				     "platforms: [compose]\n");
	const struct settings *s = c->settings;
	assert_int_equal(c->nlisten, 2);
	assert_string_equal(c->listen[1], "unix:/x");
	assert_int_equal(s->nconventions, 2);
	assert_string_equal(s->conventions[1]->name, "codi");
	assert_false(s->probe);
	assert_int_equal(s->probe_interval_ms, 1000);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_string_equal(c->state_dir, "/${SET}");
	assert_string_equal(s->traefik.name, "edge");
	assert_int_equal(s->traefik.nhttps, 1);
	assert_string_equal(s->traefik.https[0], "tls");
	assert_string_equal(s->traefik.resolver, "le");
	assert_string_equal(s->urls.staging, "{project}.s.{base}");
	assert_string_equal(s->registry.directory, "reg");
	assert_int_equal(s->registry.dialect, DIALECT_WAYMARK);
	assert_true(s->registry.postgres);
	assert_string_equal(s->registry.url, "postgres:///p");
	assert_int_equal(s->grace_ms, 3600000);
	assert_string_equal(s->base_domain, "env.local");
	assert_string_equal(s->engines[0].name, "local");
	assert_string_equal(s->engines[0].host, "tcp://10.0.0.5:2375");
	config_destroy(c);

	/* Both count only where the file is silent; WAYMARK_ counts before the file. */
	c = load_good("base_domain: file.local\nengines: [{name: a, host: 'unix:///a'}]\n");
	assert_string_equal(c->settings->base_domain, "file.local");
	assert_string_equal(c->settings->engines[0].host, "unix:///a");
	config_destroy(c);
	setenv("WAYMARK_BASE_DOMAIN", "way.local", 1);
	c = load_good("base_domain: file.local\n");
	assert_string_equal(c->settings->base_domain, "way.local");
	config_destroy(c);
}

static void
test_environment_errors(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value;
	} cases[] = {
		{"WAYMARK_PROBE_DEFAULT", "maybe"},
		{"WAYMARK_LISTEN", "127.0.0.1:1,nowhere"},
		{"WAYMARK_LISTEN", "127.0.0.1:1,127.0.0.1:1"},
		{"BASE_DOMAIN", "a b"},
		{"DOCKER_HOST", "ssh://x"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config_errors errors;
		setenv(cases[i].name, cases[i].value, 1);
		assert_null(load_text("", 0, &errors));
		assert_int_equal(errors.n, 1);
		assert_string_equal(errors.list[0].file, "environment");
		assert_string_equal(errors.list[0].path, cases[i].name);
		config_errors_finish(&errors);
		unsetenv(cases[i].name);
	}
}

static void
test_places(void **state)
{
	(void)state;
	struct config_errors errors;
	assert_null(config_load("/nonexistent/waymark.yaml", &errors));
	assert_int_equal(errors.n, 1);
	assert_non_null(strstr(errors.list[0].what, "No such file"));
	config_errors_finish(&errors);

	setenv("WAYMARK_CONFIG", "/nonexistent/waymark.yaml", 1);
	assert_null(config_load(NULL, &errors));
	config_errors_finish(&errors);

	setenv("WAYMARK_CONFIG", GOLDEN "ok_empty.yaml", 1);
	struct config *c = config_load(NULL, &errors);
	assert_non_null(c);
	assert_string_equal(c->path, GOLDEN "ok_empty.yaml");
	config_errors_finish(&errors);
	config_destroy(c);
}

static void
refuse_text(const char *text, size_t n, const char *why)
{
	struct config_errors errors;
	assert_null(load_text(text, n, &errors));
	assert_int_equal(errors.n, 1);
	if (!strstr(errors.list[0].what, why))
		fail_msg("%s", errors.list[0].what);
	config_errors_finish(&errors);
}

static void
test_bounds(void **state)
{
	(void)state;
	size_t n = CONFIG_SIZE_MAX + 1;
	char *text = malloc(n);
	memset(text, '#', n);
	refuse_text(text, n, "File too large");

	/* Deep nesting. */
	memset(text, '[', 1000);
	memcpy(text, "x-a: ", 5);
	refuse_text(text, 1000, "nested too deeply");
	free(text);

	/* Ten levels of ten aliases. */
	struct buf bomb = {0};
	buf_adds(&bomb, "x-0: &a0 [a, a, a, a, a, a, a, a, a, a]\n");
	for (int i = 1; i < 10; i++) {
		buf_addf(&bomb, "x-%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_addf(&bomb, "*a%d%s", i - 1, k < 9 ? ", " : "]\n");
	}
	refuse_text(bomb.p, bomb.n, "too large with its aliases expanded");
	buf_reset(&bomb);

	/* Many keys. */
	for (int i = 0; i <= YAML_KEYS_MAX; i++)
		buf_addf(&bomb, "x-%d:\n", i);
	refuse_text(bomb.p, bomb.n, "too many keys");
	buf_finish(&bomb);
}

/* What stands twice, and what two mappings would be merged into. */
static void
test_twice(void **state)
{
	(void)state;
	struct buf large = {0};
	for (int k = 0; k < 2; k++) {
		buf_addf(&large, "x-%d: &m%d {k%d: 0", k, k, k);
		for (int i = 0; i < YAML_KEYS_MAX / 2; i++)
			buf_addf(&large, ", k%d-%d: 0", k, i);
		buf_adds(&large, "}\n");
	}
	buf_adds(&large, "x-2: {<<: [*m0, *m1]}\n");
	const struct {
		const char *text;
		unsigned line;
		const char *path, *what, *remedy;
	} cases[] = {
		{"listen:\n- 127.0.0.1:1\n- unix:/a\n- 127.0.0.1:1\n", 4, "listen[2]",
			"the address stands twice", "list it once"},
		{"x-a: &a {b: 1}\nx-c:\n  <<: *a\n  <<: *a\n", 4, "",
			"the key '<<' stands twice; give one, with a list", "mend the file there"},
		{large.p, 3, "", "a mapping has too many keys", "mend the file there"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config_errors errors;
		assert_null(load_text(cases[i].text, strlen(cases[i].text), &errors));
		assert_int_equal(errors.n, 1);
		assert_int_equal(errors.list[0].line, cases[i].line);
		assert_string_equal(errors.list[0].path, cases[i].path);
		assert_string_equal(errors.list[0].what, cases[i].what);
		assert_string_equal(errors.list[0].remedy, cases[i].remedy);
		config_errors_finish(&errors);
	}
	buf_finish(&large);
}

static void
test_nearest(void **state)
{
	(void)state;
	static const char *const names[] = {"listen", "log", "base_domain", NULL};
	assert_string_equal(config_nearest("lsten", names), "listen");
	assert_string_equal(config_nearest("lgo", names), "log");
	assert_string_equal(config_nearest("base-domain", names), "base_domain");
	assert_null(config_nearest("powerdns", names));
	assert_null(config_nearest("", names));
	assert_null(config_nearest("a_very_long_name_that_no_key_could_ever_have", names));
}

/* No two keys share an environment variable, and every key but sections says what it is. */
static void
test_table(void **state)
{
	(void)state;
	struct arena a = {0};
	size_t n;
	const struct config_key *keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		const char *env = config_key_env(&a, &keys[i]);
		assert_true(keys[i].help[0] != '\0');
		assert_int_equal(keys[i].type != CONFIG_NONE,
			keys[i].shape == CONFIG_ONE || keys[i].shape == CONFIG_MANY);
		for (size_t k = 0; k < i; k++) {
			const char *other = config_key_env(&a, &keys[k]);
			assert_string_not_equal(keys[i].path, keys[k].path);
			if (env && other)
				assert_string_not_equal(env, other);
		}
	}
	arena_finish(&a);
}

int
main(int argc, char **argv)
{
	/* `edge_config update` writes the golden texts and the schema anew. */
	void *update = argc > 1 && strcmp(argv[1], "update") == 0 ? argv[1] : NULL;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(
			test_golden, clean_environment, NULL, update),
		cmocka_unit_test_prestate(test_schema, update),
		cmocka_unit_test_setup(test_defaults, clean_environment),
		cmocka_unit_test_setup(test_values, clean_environment),
		cmocka_unit_test_setup(test_more_values, clean_environment),
		cmocka_unit_test_setup(test_registry, clean_environment),
		cmocka_unit_test_setup(test_registry_url, clean_environment),
		cmocka_unit_test_setup(test_registry_password, clean_environment),
		cmocka_unit_test_setup(test_registry_secrets, clean_environment),
		cmocka_unit_test_setup(test_registry_files, clean_environment),
		cmocka_unit_test_setup(test_merged_values, clean_environment),
		cmocka_unit_test_setup(test_conventions, clean_environment),
		cmocka_unit_test_setup(test_variables, clean_environment),
		cmocka_unit_test_setup(test_environment, clean_environment),
		cmocka_unit_test_setup(test_environment_errors, clean_environment),
		cmocka_unit_test_setup(test_places, clean_environment),
		cmocka_unit_test_setup(test_bounds, clean_environment),
		cmocka_unit_test_setup(test_twice, clean_environment),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
