#include "provider/traefik/traefik_render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "provider/traefik/document_render.h"
#include "provider/traefik/traefik_check.h"
#include "tests/unit/traefik_world.h"

static const char *const web[] = {"web"};
static const char *const websecure[] = {"websecure"};
static const char *const sans[] = {"*.codeb.kr"};
static const struct settings_tls_domain domains[] = {{"codeb.kr", 1, sans}};

static const struct settings plain = {.traefik = {.nhttp = 1, .http = web}};
static const struct settings tls = {.traefik = {.nhttp = 1,
					    .http = web,
					    .nhttps = 1,
					    .https = websecure,
					    .redirect = true,
					    .resolver = "le",
					    .ndomains = 1,
					    .domains = domains}};
static const struct settings bare_tls = {
	.traefik = {.nhttp = 1, .http = web, .nhttps = 1, .https = websecure}};

static const char *const users[] = {"anna:$2y$05$abc", "b\"ob:$2y$05$def"};
static const char *const networks[] = {"10.0.0.0/8", "fd00::/8"};
#define GUARDS                                                                                     \
	{                                                                                          \
		.noindex = true, .nusers = 2, .users = users, .nallow = 2, .allow = networks       \
	}
static const struct settings guarded = {.traefik = {.nhttp = 1, .http = web}, .preview = GUARDS};
static const struct settings guarded_tls = {
	.traefik = {.nhttp = 1, .http = web, .nhttps = 1, .https = websecure, .redirect = true},
	.preview = GUARDS};
static const struct settings pages = {.traefik = {.nhttp = 1, .http = web},
	.preview = GUARDS,
	.pages_url = "http://127.0.0.1:9181"};

static void
assert_section(const struct project_plan *p, enum traefik_section s, const char *want)
{
	assert_string_equal(p->fragment[TRAEFIK_OUTPUT].section[s].p, want);
	assert_int_equal(p->fragment[TRAEFIK_OUTPUT].section[s].n, strlen(want));
}

static void
test_plain(void **state)
{
	(void)state;
	struct project_plan *p = PLAN(&plain, "My Shop",
		{.host = "shop.local", .urls = {"http://172.17.0.2:80", "http://[fd00::2]:80"}});
	assert_int_equal(p->nproblems, 0);
	assert_section(p, TRAEFIK_ROUTERS,
		"\"my-shop_production_shop.local\":{\"entryPoints\":[\"web\"],"
		"\"rule\":\"Host(`shop.local`)\",\"service\":\"my-shop_production_shop.local\","
		"\"priority\":10000}");
	assert_section(p, TRAEFIK_SERVICES,
		"\"my-shop_production_shop.local\":{\"loadBalancer\":{\"servers\":["
		"{\"url\":\"http://172.17.0.2:80\"},{\"url\":\"http://[fd00::2]:80\"}]}}");
	assert_section(p, TRAEFIK_MIDDLEWARES, "");
	project_plan_unref(p);
}

static void
test_path(void **state)
{
	(void)state;
	struct project_plan *p = PLAN(&plain, "shop",
		{.host = "shop.local",
			.path = "/api_v1/~x",
			.strip = true,
			.sticky = true,
			.urls = {"h2c://172.17.0.2:80"}});
	assert_int_equal(p->nproblems, 0);
	assert_section(p, TRAEFIK_ROUTERS,
		"\"shop_production_shop.local_-api__v1_-_tx\":{\"entryPoints\":[\"web\"],"
		"\"rule\":\"Host(`shop.local`) && (Path(`/api_v1/~x`) || "
		"PathPrefix(`/api_v1/~x/`))\","
		"\"service\":\"shop_production_shop.local_-api__v1_-_tx\",\"priority\":10010,"
		"\"middlewares\":[\"shop_production_shop.local_-api__v1_-_tx_STRIP\"]}");
	assert_section(p, TRAEFIK_SERVICES,
		"\"shop_production_shop.local_-api__v1_-_tx\":{\"loadBalancer\":{\"sticky\":"
		"{\"cookie\":{\"name\":\"waymark-bb10313b\",\"httpOnly\":true}},\"servers\":["
		"{\"url\":\"h2c://172.17.0.2:80\"}]}}");
	assert_section(p, TRAEFIK_MIDDLEWARES,
		"\"shop_production_shop.local_-api__v1_-_tx_STRIP\":{\"stripPrefix\":"
		"{\"prefixes\":[\"/api_v1/~x\"]}}");
	project_plan_unref(p);
}

static void
test_tls(void **state)
{
	(void)state;
	struct project_plan *p =
		PLAN(&tls, "shop", {.host = "shop.local", .environment = "staging"});
	assert_section(p, TRAEFIK_ROUTERS,
		"\"shop_staging_shop.local\":{\"entryPoints\":[\"web\"],"
		"\"rule\":\"Host(`shop.local`)\",\"service\":\"shop_staging_shop.local\","
		"\"priority\":10000,\"middlewares\":[\"waymark-redirect\"]},"
		"\"shop_staging_shop.local_TLS\":{\"entryPoints\":[\"websecure\"],"
		"\"rule\":\"Host(`shop.local`)\",\"service\":\"shop_staging_shop.local\","
		"\"priority\":10000,\"tls\":{\"certResolver\":\"le\",\"domains\":["
		"{\"main\":\"codeb.kr\",\"sans\":[\"*.codeb.kr\"]}]}}");
	assert_section(p, TRAEFIK_SERVICES,
		"\"shop_staging_shop.local\":{\"loadBalancer\":{\"servers\":[]}}");
	project_plan_unref(p);

	p = PLAN(&bare_tls, "shop", {.host = "shop.local"});
	assert_non_null(strstr(p->fragment[0].section[TRAEFIK_ROUTERS].p, ",\"tls\":{}}"));
	assert_null(strstr(p->fragment[0].section[TRAEFIK_ROUTERS].p, "middlewares"));
	project_plan_unref(p);
}

static void
test_static(void **state)
{
	(void)state;
	struct project_plan *p = PLAN(&plain, "", {.host = "only.resolves", .kind = ROUTE_STATIC},
		{.host = "ws.codeb.kr", .kind = ROUTE_STATIC, .urls = {"http://10.0.0.5:8000"}});
	assert_int_equal(p->nproblems, 0);
	assert_section(p, TRAEFIK_SERVICES,
		"\"static_ws.codeb.kr\":{\"loadBalancer\":{\"servers\":["
		"{\"url\":\"http://10.0.0.5:8000\"}]}}");
	project_plan_unref(p);
}

/* Two routes of one name would make Traefik refuse the whole document. */
static void
test_names_are_unique(void **state)
{
	(void)state;
	static const struct way ways[] = {
		{.host = "a.b"},
		{.host = "a.b-tls"},
		{.host = "a.b", .path = "/x/y"},
		{.host = "a.b", .path = "/x-y"},
		{.host = "a.b", .path = "/x_y"},
		{.host = "a.b", .path = "/x_-y"},
		{.host = "a.b", .path = "/x~y"},
		{.host = "a.b", .path = "/x_ty"},
		{.host = "a.b", .path = "/TLS"},
		{.host = "a.b", .path = "/x_TLS"},
		{.host = "a.b", .path = "/x", .strip = true},
		{.host = "a.b", .path = "/x_STRIP", .strip = true},
		{.host = "tls"},
		{.host = "b", .kind = ROUTE_STATIC, .urls = {"http://10.0.0.5:8000"}},
		{.host = "tls", .environment = "b"},
		{.host = "c.d",
			.urls = {"http://a:1", "http://a:2"},
			.shares = {{"x", 1, 1}, {"y", 1, 1}}},
		{.host = "c.d",
			.path = "/x",
			.urls = {"http://a:1", "http://a:2"},
			.shares = {{"x", 1, 1}, {"y", 1, 1}}},
		{.host = "c.d",
			.path = "/x_",
			.urls = {"http://a:1", "http://a:2"},
			.shares = {{"x", 1, 1}, {"y", 1, 1}}},
		{.host = "c.d", .path = "/x_SLOT_x"},
		{.host = "c.d", .path = "/x__SLOT_x"},
		{.host = "c.d", .path = "/SLOT_x"},
	};
	for (int i = 0; i < 2; i++) {
		/* The check refuses duplicates. */
		struct project_plan *p = world_plan(
			i ? &bare_tls : &plain, "static", ways, sizeof(ways) / sizeof(*ways));
		assert_int_equal(p->nproblems, 0);
		project_plan_unref(p);
	}
}

/* ── What stands before ────────────────────────────────────────────────────────────────────── */

#define ROUTER(name, entry, rest)                                                                  \
	"\"" name "\":{\"entryPoints\":[\"" entry "\"],\"rule\":\"Host(`h.local`)\","              \
	"\"service\":\"shop_preview_h.local\",\"priority\":10000" rest "}"
#define GUARDED "\"waymark_PREVIEW_ALLOW\",\"waymark_PREVIEW_AUTH\",\"waymark_PREVIEW_NOINDEX\""

static struct project_plan *
plan_guarded(const struct settings *settings)
{
	return PLAN(settings, "shop",
		{.host = "h.local",
			.environment = "preview",
			.guarded = true,
			.middlewares = {"Limit.b@docker", "headers@file"},
			.urls = {"http://172.17.0.2:80"}});
}

static void
test_guards(void **state)
{
	(void)state;
	struct project_plan *p = plan_guarded(&guarded);
	assert_int_equal(p->nproblems, 0);
	assert_section(p, TRAEFIK_ROUTERS,
		ROUTER("shop_preview_h.local", "web",
			",\"middlewares\":[" GUARDED ",\"Limit.b@docker\",\"headers@file\"]"));
	assert_section(p, TRAEFIK_MIDDLEWARES, "");
	assert_int_equal(p->fragment[TRAEFIK_OUTPUT].uses, 1u << TRAEFIK_PREVIEW_ALLOW |
								   1u << TRAEFIK_PREVIEW_AUTH |
								   1u << TRAEFIK_PREVIEW_NOINDEX);
	project_plan_unref(p);

	/* Of what the settings do not say, nothing. */
	p = plan_guarded(&plain);
	assert_section(p, TRAEFIK_ROUTERS,
		ROUTER("shop_preview_h.local", "web",
			",\"middlewares\":[\"Limit.b@docker\",\"headers@file\"]"));
	assert_int_equal(p->fragment[TRAEFIK_OUTPUT].uses, 0);
	project_plan_unref(p);
}

/* What http answers is a redirect, and no more. */
static void
test_guards_behind_the_redirect(void **state)
{
	(void)state;
	struct project_plan *p = plan_guarded(&guarded_tls);
	assert_section(p, TRAEFIK_ROUTERS,
		ROUTER("shop_preview_h.local", "web",
			",\"middlewares\":[\"waymark-redirect\"]") "," ROUTER("shop_preview_h."
									      "local_TLS",
			"websecure",
			",\"middlewares\":[" GUARDED
			",\"Limit.b@docker\",\"headers@file\"],\"tls\":{}"));
	assert_int_equal(p->fragment[TRAEFIK_OUTPUT].uses, (1u << TRAEFIK_SHARED_COUNT) - 1);
	project_plan_unref(p);
}

static void
test_middlewares_before_the_strip(void **state)
{
	(void)state;
	struct project_plan *p = PLAN(&guarded, "shop",
		{.host = "h.local", .path = "/x", .strip = true, .middlewares = {"headers@file"}});
	const char *routers = p->fragment[TRAEFIK_OUTPUT].section[TRAEFIK_ROUTERS].p;
	assert_non_null(strstr(routers,
		",\"middlewares\":[\"headers@file\",\"shop_production_h.local_-x_STRIP\"]}"));
	assert_int_equal(p->fragment[TRAEFIK_OUTPUT].uses, 0);
	project_plan_unref(p);
}

static void
test_a_middleware_that_is_none(void **state)
{
	(void)state;
	static const char *const bad[] = {"mine", "m@file\",\"n@file", "m@file,n@file", "m@x\\"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct project_plan *p =
			PLAN(&plain, "shop", {.host = "h.local", .middlewares = {bad[i]}});
		assert_section(p, TRAEFIK_ROUTERS, "");
		assert_int_equal(p->nproblems, 1);
		project_plan_unref(p);
	}
}

/* ── Shares ────────────────────────────────────────────────────────────────────────────────── */

#define SERVER(n) "{\"url\":\"http://172.17.0." n ":80\"}"

static struct project_plan *
plan_shared(const struct settings *settings, const char *path, bool sticky)
{
	return PLAN(settings, "shop",
		{.host = "h.local",
			.path = path,
			.sticky = sticky,
			.urls = {"http://172.17.0.2:80", "http://172.17.0.3:80",
				"http://172.17.0.4:80"},
			.shares = {{"blue", 90, 2}, {"green", 10, 1}}});
}

static void
test_shares(void **state)
{
	(void)state;
	struct project_plan *p = plan_shared(&plain, NULL, false);
	assert_int_equal(p->nproblems, 0);
	assert_section(p, TRAEFIK_SERVICES,
		"\"shop_production_h.local\":{\"weighted\":{\"services\":["
		"{\"name\":\"shop_production_h.local_SLOT_blue\",\"weight\":90},"
		"{\"name\":\"shop_production_h.local_SLOT_green\",\"weight\":10}]}},"
		"\"shop_production_h.local_SLOT_blue\":{\"loadBalancer\":{\"servers\":[" SERVER(
			"2") "," SERVER("3") "]}},"
					     "\"shop_production_h.local_SLOT_green\":{"
					     "\"loadBalancer\":{\"servers\":[" SERVER("4") "]}}");
	assert_non_null(strstr(p->fragment[0].section[TRAEFIK_ROUTERS].p,
		"\"service\":\"shop_production_h.local\""));
	project_plan_unref(p);
}

#define STICKY(name) "\"sticky\":{\"cookie\":{\"name\":\"" name "\",\"httpOnly\":true}},"

/* One cookie for the slot and one for the server; this one is the plain route's, too. */
static void
test_shares_sticky(void **state)
{
	(void)state;
	struct project_plan *p = plan_shared(&plain, NULL, true);
	assert_int_equal(p->nproblems, 0);
	assert_section(p, TRAEFIK_SERVICES,
		"\"shop_production_h.local\":{\"weighted\":{" STICKY(
			"waymark-slot") "\"services\":["
					"{\"name\":\"shop_production_h.local_SLOT_blue\","
					"\"weight\":90},"
					"{\"name\":\"shop_production_h.local_SLOT_green\","
					"\"weight\":10}]}},"
					"\"shop_production_h.local_SLOT_blue\":{\"loadBalancer\":"
					"{" STICKY("waymark") "\"servers\":[" SERVER("2") "," SERVER(
						"3") "]}},"
						     "\"shop_production_h.local_SLOT_green\":{"
						     "\"loadBalancer\":{" STICKY(
							     "waymark") "\"servers\":[" SERVER("4") "]}}");
	project_plan_unref(p);

	p = plan_shared(&plain, "/api_v1/~x", true);
	const char *services = p->fragment[0].section[TRAEFIK_SERVICES].p;
	assert_non_null(strstr(services,
		"_-api__v1_-_tx_SLOT_blue\":{\"loadBalancer\":{" STICKY("waymark-bb10313b")));
	assert_non_null(strstr(services, "\"weighted\":{" STICKY("waymark-bb10313b-slot")));
	project_plan_unref(p);
}

/* ── Pages ─────────────────────────────────────────────────────────────────────────────────── */

/* Whoever may not see a preview does not see that it starts; what is the project's own, a path
 * taken off and a cookie, is for what serves. */
static void
test_pages(void **state)
{
	(void)state;
	struct project_plan *p =
		PLAN(&pages, "shop", {.host = "h.local", .environment = "preview", .guarded = true},
			{.host = "i.local",
				.path = "/x",
				.strip = true,
				.sticky = true,
				.middlewares = {"headers@file"}},
			{.host = "j.local", .urls = {"http://172.17.0.2:80"}},
			{.host = "k.local", .kind = ROUTE_STATIC});
	assert_int_equal(p->nproblems, 0);
	assert_section(p, TRAEFIK_ROUTERS,
		ROUTER("shop_preview_h.local", "web",
			",\"middlewares\":[" GUARDED
			"]") ","
			     "\"shop_production_i.local_-x\":{\"entryPoints\":[\"web\"],"
			     "\"rule\":\"Host(`i.local`) && (Path(`/x`) || PathPrefix(`/x/`))\","
			     "\"service\":\"shop_production_i.local_-x\",\"priority\":10002},"
			     "\"shop_production_j.local\":{\"entryPoints\":[\"web\"],"
			     "\"rule\":\"Host(`j.local`)\",\"service\":\"shop_production_j.local\","
			     "\"priority\":10000}");
	assert_section(p, TRAEFIK_SERVICES,
		"\"shop_preview_h.local\":{\"loadBalancer\":{\"servers\":["
		"{\"url\":\"http://127.0.0.1:9181\"}]}},"
		"\"shop_production_i.local_-x\":{\"loadBalancer\":{\"servers\":["
		"{\"url\":\"http://127.0.0.1:9181\"}]}},"
		"\"shop_production_j.local\":{\"loadBalancer\":{\"servers\":[" SERVER("2") "]}}");
	assert_section(p, TRAEFIK_MIDDLEWARES, "");
	project_plan_unref(p);
}

static void
test_refused_by_the_check(void **state)
{
	(void)state;
	struct project_plan *p = PLAN(&plain, "shop", {.host = "good.local"},
		{.host = "x`) || Host(`y.local", .urls = {"http://172.17.0.2:80"}});
	for (int s = 0; s < FRAGMENT_SECTIONS; s++)
		assert_section(p, (enum traefik_section)s, "");
	assert_int_equal(p->nproblems, 1);
	assert_int_equal(p->problems[0].code, PROBLEM_INTERNAL);
	assert_string_equal(p->problems[0].project, "shop");
	project_plan_unref(p);
}

/* ── The document ──────────────────────────────────────────────────────────────────────────── */

static void
assert_document(const struct snapshot *s, const struct settings *settings, const char *want)
{
	struct ranges r;
	ranges_init(&r, s, settings);
	char *text = ranges_flatten(&r);
	assert_string_equal(text, want);
	assert_int_equal(r.size, strlen(want));
	free(text);
	ranges_finish(&r);
}

static void
test_document_empty(void **state)
{
	(void)state;
	struct settings cert = plain;
	cert.traefik.default_cert_file = "/c\xf0\x9f\x92\xaf.pem";
	cert.traefik.default_key_file = "/k.pem";
	struct snapshot *s = snapshot_create();
	assert_document(s, &plain, "{}");
	assert_document(s, &cert,
		"{\"tls\":{\"stores\":{\"default\":{\"defaultCertificate\":"
		"{\"certFile\":\"/c\xf0\x9f\x92\xaf.pem\",\"keyFile\":\"/k.pem\"}}}}}");
	/* A project without a route leaves no trace. */
	s = world_next(s, "p", PLAN(&plain, "p", {.host = "resolves.only", .kind = ROUTE_STATIC}));
	assert_document(s, &plain, "{}");
	snapshot_unref(s);
}

static void
test_document_of_two(void **state)
{
	(void)state;
	struct snapshot *s = snapshot_create();
	s = world_next(s, "b", PLAN(&plain, "b", {.host = "b.local"}));
	s = world_next(s, "a", PLAN(&plain, "a", {.host = "a.local"}));
	assert_document(s, &plain,
		"{\"http\":{\"routers\":{\"a_production_a.local\":{\"entryPoints\":[\"web\"],"
		"\"rule\":\"Host(`a.local`)\",\"service\":\"a_production_a.local\",\"priority\":"
		"10000},"
		"\"b_production_b.local\":{\"entryPoints\":[\"web\"],"
		"\"rule\":\"Host(`b.local`)\",\"service\":\"b_production_b.local\",\"priority\":"
		"10000}},"
		"\"services\":{\"a_production_a.local\":{\"loadBalancer\":{\"servers\":[]}},"
		"\"b_production_b.local\":{\"loadBalancer\":{\"servers\":[]}}}}}");
	snapshot_unref(s);
}

static void
test_document_redirect(void **state)
{
	(void)state;
	struct settings cert = tls;
	cert.traefik.default_cert_file = "c";
	cert.traefik.default_key_file = "k";
	struct snapshot *s = snapshot_create();
	s = world_next(s, "a", PLAN(&tls, "a", {.host = "a.local", .path = "/x", .strip = true}));
	struct ranges r;
	ranges_init(&r, s, &cert);
	char *text = ranges_flatten(&r);
	assert_non_null(strstr(text,
		"},\"middlewares\":{\"waymark-redirect\":{\"redirectScheme\":{\"scheme\":\"https\","
		"\"permanent\":true}},\"a_production_a.local_-x_STRIP\":{\"stripPrefix\":"
		"{\"prefixes\":[\"/x\"]}}}},\"tls\":{"));
	free(text);
	ranges_finish(&r);
	snapshot_unref(s);
}

static void
assert_middlewares(const struct snapshot *s, const struct settings *settings, const char *want)
{
	struct ranges r;
	ranges_init(&r, s, settings);
	char *text = ranges_flatten(&r);
	char *have = strstr(text, ",\"middlewares\":{");
	assert_string_equal(have ? have : "", want);
	free(text);
	ranges_finish(&r);
}

#define OPEN "{\"ipAllowList\":{\"sourceRange\":[\"0.0.0.0/0\",\"::/0\"]}}"

static void
test_document_guards(void **state)
{
	(void)state;
	struct snapshot *s = snapshot_create();
	s = world_next(s, "a", PLAN(&guarded, "a", {.host = "a.local"}));
	assert_middlewares(s, &guarded, "");
	s = world_next(s, "shop", plan_guarded(&guarded));
	assert_middlewares(s, &guarded,
		",\"middlewares\":{"
		"\"waymark_PREVIEW_ALLOW\":{\"ipAllowList\":{\"sourceRange\":"
		"[\"10.0.0.0/8\",\"fd00::/8\"]}},"
		"\"waymark_PREVIEW_AUTH\":{\"basicAuth\":{\"users\":"
		"[\"anna:$2y$05$abc\",\"b\\\"ob:$2y$05$def\"],\"removeHeader\":true}},"
		"\"waymark_PREVIEW_NOINDEX\":{\"headers\":{\"customResponseHeaders\":"
		"{\"X-Robots-Tag\":\"noindex\"}}}}}}");

	/* New settings, and the fragments are of the old ones yet: no reference hangs in the air.
	 */
	assert_middlewares(s, &plain,
		",\"middlewares\":{\"waymark_PREVIEW_ALLOW\":" OPEN
		",\"waymark_PREVIEW_AUTH\":" OPEN ",\"waymark_PREVIEW_NOINDEX\":" OPEN "}}}");
	s = world_next(s, "shop", plan_guarded(&plain));
	assert_middlewares(s, &plain, "");
	s = world_next(s, "shop", plan_guarded(&guarded));
	s = world_next(s, "shop", NULL);
	assert_middlewares(s, &guarded, "");
	snapshot_unref(s);
}

/* More than one block of a compressed reply holds. */
static void
test_document_of_many_users(void **state)
{
	(void)state;
	enum { N = 3000 };
	static const char *many[N];
	static char text[N][80];
	for (int i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "user%04d:$2y$05$%053d", i, i);
		many[i] = text[i];
	}
	const struct settings crowd = {
		.traefik = {.nhttp = 1, .http = web}, .preview = {.nusers = N, .users = many}};
	struct snapshot *s = snapshot_create();
	s = world_next(s, "shop", plan_guarded(&crowd));
	struct ranges r;
	ranges_init(&r, s, &crowd);
	for (size_t i = 0; i < r.n; i++)
		assert_true(r.list[i].chunk || r.list[i].n <= 0xffff);
	char *whole = ranges_flatten(&r);
	assert_int_equal(strlen(whole), r.size);
	for (int i = 0; i < N; i++)
		assert_non_null(strstr(whole, many[i]));
	free(whole);
	ranges_finish(&r);
	snapshot_unref(s);
}

/* Whatever chunks the history made, the same plans give the same bytes. */
static void
test_document_ignores_chunks(void **state)
{
	(void)state;
	struct snapshot *up = snapshot_create(), *down = snapshot_create();
	char project[8], host[16];
	for (int i = 0; i < 300; i++) {
		snprintf(project, sizeof(project), "p%03d", i);
		snprintf(host, sizeof(host), "p%03d.local", i);
		up = world_next(up, project, PLAN(&plain, project, {.host = host}));
		snprintf(project, sizeof(project), "p%03d", 299 - i);
		snprintf(host, sizeof(host), "p%03d.local", 299 - i);
		down = world_next(down, project, PLAN(&plain, project, {.host = host}));
	}
	struct settings marked = plain;
	marked.traefik.api = "http://127.0.0.1:8080";
	struct ranges a, b;
	ranges_init(&a, up, &marked);
	ranges_init(&b, down, &marked);
	assert_true(ranges_equal(&a, &b));
	assert_true(a.digest && a.digest == b.digest);
	char *x = ranges_flatten(&a), *y = ranges_flatten(&b);
	assert_string_equal(x, y);
	free(x);
	free(y);
	ranges_finish(&b);

	down = world_next(down, "p123", PLAN(&plain, "p123", {.host = "p124.local"}));
	ranges_init(&b, down, &marked);
	assert_int_equal(a.size, b.size);
	assert_false(ranges_equal(&a, &b));
	assert_true(a.digest != b.digest);
	ranges_finish(&b);
	ranges_finish(&a);
	snapshot_unref(up);
	snapshot_unref(down);
}

static void
test_document_mark(void **state)
{
	(void)state;
	struct settings marked = plain;
	marked.traefik.api = "http://127.0.0.1:8080";
	struct snapshot *s = snapshot_create();
	struct ranges empty, r;
	ranges_init(&empty, s, &marked);
	char *text = ranges_flatten(&empty);
	char want[256];
	snprintf(want, sizeof(want),
		"{\"http\":{\"middlewares\":{\"waymark_DOCUMENT_%016llx\":{\"stripPrefix\":"
		"{\"prefixes\":[\"/waymark\"]}}}}}",
		(unsigned long long)empty.digest);
	assert_string_equal(text, want);
	free(text);

	/* Behind the others, and a digest of them. */
	s = world_next(s, "a", PLAN(&plain, "a", {.host = "a.local", .path = "/x", .strip = true}));
	ranges_init(&r, s, &marked);
	assert_true(r.digest != empty.digest);
	ranges_set_mark(&r, 0xabc);
	text = ranges_flatten(&r);
	assert_non_null(
		strstr(text, "{\"prefixes\":[\"/x\"]}},\"waymark_DOCUMENT_0000000000000abc\":{"));
	assert_int_equal(strlen(text), r.size);
	free(text);
	ranges_finish(&r);
	ranges_finish(&empty);
	/* A project without a route changes no bytes. */
	uint64_t digest;
	ranges_init(&r, s, &marked);
	digest = r.digest;
	ranges_finish(&r);
	s = world_next(s, "b", PLAN(&plain, "b", {.host = "only.resolves", .kind = ROUTE_STATIC}));
	ranges_init(&r, s, &marked);
	assert_true(r.digest == digest);
	ranges_finish(&r);
	/* What stands beside the projects counts. */
	marked.traefik.default_cert_file = "c";
	marked.traefik.default_key_file = "k";
	ranges_init(&r, s, &marked);
	assert_true(r.digest != digest);
	ranges_finish(&r);
	snapshot_unref(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_names_are_unique),
		cmocka_unit_test(test_guards),
		cmocka_unit_test(test_guards_behind_the_redirect),
		cmocka_unit_test(test_middlewares_before_the_strip),
		cmocka_unit_test(test_a_middleware_that_is_none),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_shares_sticky),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_refused_by_the_check),
		cmocka_unit_test(test_document_empty),
		cmocka_unit_test(test_document_of_two),
		cmocka_unit_test(test_document_redirect),
		cmocka_unit_test(test_document_guards),
		cmocka_unit_test(test_document_of_many_users),
		cmocka_unit_test(test_document_ignores_chunks),
		cmocka_unit_test(test_document_mark),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
