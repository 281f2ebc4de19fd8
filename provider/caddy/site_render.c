#include "provider/caddy/site_render.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <nettle/sha2.h>

#include "provider/caddy/site_inside.h"
#include "provider/caddy/upstreams_render.h"
#include "reconciler/model/host.h"
#include "reconciler/model/slug.h"

#define WORD_MAX 32 /* environments and slots */
#define RETRY_AFTER_S 5
#define DIGEST_SIZE 16 /* octets of the hash in a name: nobody finds another name with them */

/* A file while its sites are gathered. */
struct draft {
	const char *environment;
	const char *name;
	json_t *sites;
};

struct render {
	const struct project_plan *plan;
	const struct settings *settings;
	struct arena *arena;
	struct problems *problems;
	const char *label; /* what the project is called in names of files */
	json_t *guards; /* NULL: they cannot be written, and guards_err says why */
	struct err guards_err;
	size_t ndrafts;
	struct draft *drafts;
};

/* -- names -- */

static const char *
digest_text(struct arena *a, const char *text)
{
	struct sha256_ctx ctx;
	uint8_t digest[DIGEST_SIZE];
	struct buf b = {0};

	sha256_init(&ctx);
	sha256_update(&ctx, strlen(text), (const uint8_t *)text);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		buf_addf(&b, "%02x", digest[i]);
	const char *hex = arena_strdup(a, b.p);
	buf_finish(&b);
	return hex;
}

/* A project that is its own slug is called so; another gets a digest, behind a '_' that no slug
 * has: no two projects have one file. */
static const char *
project_label(struct arena *a, const char *project)
{
	char slug[SLUG_MAX + 1];
	size_t n = slug_name(project, slug, sizeof(slug));

	if (n && strcmp(slug, project) == 0)
		return arena_strdup(a, project);
	return arena_printf(a, "%s_%s", n ? slug : "", digest_text(a, project));
}

/* Environments have no '-', so the last one in a name stands before them. */
static const char *
file_name(const struct render *k, const char *environment)
{
	return *k->plan->project ? arena_printf(k->arena, "%s-%s.caddy", k->label, environment)
				 : "static.caddy";
}

/* -- checking -- */

static bool
is_word(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
	return n > 0 && n <= WORD_MAX && !text[n];
}

/* Canonical is what its parser gives back as it was. */
static int
check_host(struct arena *a, const char *host, struct err *reterr)
{
	const char *canonical;
	int r = host_parse(a, host, &canonical, reterr);
	if (r == 0 && strcmp(host, canonical) != 0)
		return err_set(
			reterr, EINVAL, "not a canonical host name: '%s'", host_shown(host).text);
	return r;
}

static int
check_path(struct arena *a, const char *path, struct err *reterr)
{
	const char *canonical = "";
	int r = *path ? path_parse(a, path, &canonical, reterr) : 0;
	if (r == 0 && strcmp(path, canonical) != 0)
		return err_set(reterr, EINVAL, "not a canonical path: '%s'", host_shown(path).text);
	return r;
}

static int
check_route(const struct render *k, const struct route *r, struct err *reterr)
{
	int e = check_host(k->arena, r->host, reterr);
	if (e == 0)
		e = check_path(k->arena, r->path, reterr);
	if (e < 0)
		return e;
	if (*k->plan->project && !is_word(r->environment))
		return err_set(reterr, EINVAL, "not an environment: '%s'",
			host_shown(r->environment).text);
	if (*r->slot && !is_word(r->slot))
		return err_set(reterr, EINVAL, "not a slot: '%s'", host_shown(r->slot).text);
	if (r->guarded && !k->guards)
		return err_set(reterr, k->guards_err.code, "%s", k->guards_err.text);
	return 0;
}

static void
complain(struct render *k, const char *host, const char *what, const char *remedy)
{
	problem_add(k->problems, &(struct problem){
					 .code = PROBLEM_SITE_IMPAIRED,
					 .object = arena_printf(k->problems->arena, "host %s",
						 host_shown(host).text),
					 .what = what,
					 .remedy = remedy,
					 .project = *k->plan->project ? k->plan->project : NULL,
					 .host = host,
				 });
}

/* -- contexts -- */

static void
set_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, json_string(text));
}

static void
set_bool(json_t *o, const char *key, bool value)
{
	json_object_set_new(o, key, json_boolean(value));
}

static const char *
time_text(struct arena *a, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[64];

	if (!ms || !gmtime_r(&seconds, &tm) ||
		!strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return NULL;
	return arena_strdup(a, text);
}

/* In CodeB's way, wherever the registry has slots: which one answers, and since when. */
static void
add_slot(const struct render *k, const struct route *r, json_t *o)
{
	bool encode = false;

	for (size_t i = 0; i < k->plan->nslots && !*r->branch; i++) {
		const struct plan_slot *s = &k->plan->slots[i];
		if (!s->registered || strcmp(s->environment, r->environment) != 0)
			continue;
		encode = true;
		if (r->nshares || strcmp(s->slot, r->slot) != 0)
			continue;
		set_text(o, "active_slot", r->slot);
		const char *since = time_text(k->arena, s->since_ms);
		if (since)
			set_text(o, "active_since", since);
	}
	set_bool(o, "encode", encode);
}

static void
add_upstreams(json_t *o, const struct upstreams *u)
{
	json_t *list = json_array();

	for (size_t i = 0; i < u->n; i++)
		json_array_append_new(
			list, json_pack("{s:s,s:s}", "dial", u->dials[i], "scheme", u->scheme));
	json_object_set_new(o, "upstreams", list);
	set_bool(o, "proxied", u->n > 0);
	set_bool(o, "several", u->several);
	set_bool(o, "https", u->n && strcmp(u->scheme, "https") == 0);
	set_bool(o, "h2c", u->n && strcmp(u->scheme, "h2c") == 0);
}

static int
find_upstreams(struct render *k, const struct route *r, struct upstreams *ret, struct err *reterr)
{
	if (!r->nrouted && !k->settings->pages_url) {
		*ret = (struct upstreams){0};
		return 0;
	}
	if (!r->nrouted)
		return upstreams_render_one(k->arena, k->settings->pages_url, ret, reterr);
	int e = upstreams_render(k->arena, r, ret, reterr);
	if (e == 0 && ret->mixed)
		complain(k, r->host,
			arena_printf(k->arena,
				"its servers have different schemes, of which a site of Caddy has "
				"one; those of %s get requests",
				ret->scheme),
			"give all of them the same scheme (waymark.scheme)");
	return e;
}

/* What nobody serves, and no page covers. */
static void
add_answer(json_t *o, const struct route *r)
{
	set_bool(o, "served", r->nrouted > 0);
	set_bool(o, "starting", !r->nrouted && r->answer == ANSWER_STARTING);
	set_bool(o, "gone", !r->nrouted && r->answer == ANSWER_GONE);
	set_bool(
		o, "down", !r->nrouted && r->answer != ANSWER_STARTING && r->answer != ANSWER_GONE);
	json_object_set_new(o, "retry_after", json_integer(RETRY_AFTER_S));
}

static void
add_guards(const struct render *k, const struct route *r, json_t *o)
{
	if (r->guarded)
		json_object_update(o, k->guards);
}

/* What is for those who serve, and not for a page in their place: the cookies are called as they
 * are with Traefik, so that nobody is moved who changes from one to the other. */
static void
add_service(const struct render *k, const struct route *r, json_t *o)
{
	char hash[9] = "";

	if (!r->nrouted)
		return;
	add_slot(k, r, o);
	set_bool(o, "strip", r->strip && *r->path);
	if (*r->path)
		slug_hash(r->path, hash);
	if (r->sticky)
		set_text(
			o, "sticky", arena_printf(k->arena, "waymark%s%s", *hash ? "-" : "", hash));
}

static void
add_delay(const struct render *k, json_t *o)
{
	uint32_t ms = k->settings->caddy ? k->settings->caddy->stream_close_delay_ms : 0;

	if (ms)
		set_text(o, "stream_close_delay",
			ms % 1000 ? arena_printf(k->arena, "%ums", ms)
				  : arena_printf(k->arena, "%us", ms / 1000));
}

/* NULL where something of it is not what its type allows. */
static json_t *
route_context(struct render *k, const struct route *r, size_t number, struct err *reterr)
{
	struct upstreams u;

	if (find_upstreams(k, r, &u, reterr) < 0)
		return NULL;
	json_t *o = json_object();
	set_text(o, "path", r->path);
	if (*r->path)
		set_text(o, "matcher", arena_printf(k->arena, "path%zu", number));
	add_guards(k, r, o);
	add_service(k, r, o);
	add_upstreams(o, &u);
	add_delay(k, o);
	add_answer(o, r);
	return o;
}

/* The word that begins a line which reads a file. */
static const char *
site_address(const struct render *k, const char *host)
{
	bool tls = !k->settings->caddy || k->settings->caddy->tls;
	if (!tls)
		return arena_printf(k->arena, "http://%s", host);
	return strcmp(host, "import") == 0 ? "https://import" : host;
}

/* Caddy does not tell /API from /api. */
static bool
is_hidden(const struct route *first, const struct route *r)
{
	for (; first < r; first++)
		if (strcasecmp(first->path, r->path) == 0)
			return true;
	return false;
}

/* Is there anything for a proxy to do?  Some names only resolve. */
static bool
is_routed(const struct route *r)
{
	return r->kind != ROUTE_STATIC || r->nservers > 0;
}

static int
add_routes(struct render *k, const struct route *first, size_t n, json_t *list, struct err *reterr)
{
	for (size_t i = 0; i < n; i++) {
		if (check_route(k, &first[i], reterr) < 0)
			return -reterr->code;
		if (!is_routed(&first[i]))
			continue;
		if (is_hidden(first, &first[i])) {
			complain(k, first->host,
				arena_printf(k->arena,
					"another path differs from %s by upper and lower case "
					"only, which Caddy does not tell apart",
					host_shown(first[i].path).text),
				"give one of them another path");
			continue;
		}
		json_t *o = route_context(k, &first[i], json_array_size(list) + 1, reterr);
		if (!o)
			return -reterr->code;
		json_array_append_new(list, o);
	}
	return 0;
}

/* The sites of a file. */
static json_t *
draft_sites(struct render *k, const char *environment)
{
	for (size_t i = 0; i < k->ndrafts; i++)
		if (strcmp(k->drafts[i].environment, environment) == 0)
			return k->drafts[i].sites;
	k->drafts[k->ndrafts] =
		(struct draft){environment, file_name(k, environment), json_array()};
	return k->drafts[k->ndrafts++].sites;
}

/* One host: all its routes, of which the one with the shortest path says whose it is. */
static void
add_site(struct render *k, const struct route *first, size_t n)
{
	const struct route *shortest = &first[n - 1];
	json_t *routes = json_array();
	struct err e;

	if (add_routes(k, first, n, routes, &e) < 0) {
		complain(k, first->host, arena_strdup(k->arena, e.text),
			"change it; the host is left out of Caddy's sites meanwhile");
		json_decref(routes);
		return;
	}
	if (!json_array_size(routes)) {
		json_decref(routes);
		return;
	}
	json_t *sites = draft_sites(k, *k->plan->project ? shortest->environment : "");
	json_t *o = json_pack("{s:s,s:s,s:s,s:o}", "address", site_address(k, first->host), "host",
		first->host, "kind", route_kind_text(shortest->kind), "routes", routes);
	if (*shortest->slot)
		set_text(o, "slot", shortest->slot);
	json_array_append_new(sites, o);
}

static void
add_sites(struct render *k)
{
	const struct route *routes = k->plan->routes;

	for (size_t i = 0, n; i < k->plan->nroutes; i += n) {
		for (n = 1; i + n < k->plan->nroutes; n++)
			if (strcmp(routes[i].host, routes[i + n].host) != 0)
				break;
		add_site(k, &routes[i], n);
	}
}

/* -- files -- */

static int
draft_compare(const void *a, const void *b)
{
	const struct draft *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static const char *
draft_text(struct render *k, const struct site_template *t, const struct draft *d)
{
	bool is_static = !*k->plan->project;
	json_t *context = json_pack("{s:s,s:s,s:s,s:O}", "name", d->name, "project",
		is_static ? "static" : k->label, "environment", d->environment, "sites", d->sites);
	struct err e;
	const char *text = site_template_render(t, context, k->arena, &e);

	json_decref(context);
	if (!text)
		problem_add(k->problems,
			&(struct problem){
				.code = PROBLEM_OUTPUT_FAILED,
				.object = arena_printf(k->arena, "site file %s", d->name),
				.field = "caddy.template",
				.what = arena_strdup(k->arena, e.text),
				.remedy = "mend the template; the file stays as it was",
				.project = is_static ? NULL : k->plan->project,
			});
	return text;
}

void
site_render(const struct project_plan *plan, const struct settings *settings,
	const struct site_template *t, struct arena *a, struct site_files *ret,
	struct problems *problems)
{
	struct render k = {.plan = plan,
		.settings = settings,
		.arena = a,
		.problems = problems,
		.label = project_label(a, plan->project),
		.drafts = ARENA_ARRAY(a, struct draft, plan->nroutes)};

	k.guards = site_guards_render(&settings->preview, a, &k.guards_err);
	add_sites(&k);
	if (k.ndrafts)
		qsort(k.drafts, k.ndrafts, sizeof(*k.drafts), draft_compare);
	ret->n = k.ndrafts;
	ret->list = ARENA_ARRAY(a, struct site_file, k.ndrafts);
	for (size_t i = 0; i < k.ndrafts; i++) {
		ret->list[i] =
			(struct site_file){k.drafts[i].name, draft_text(&k, t, &k.drafts[i])};
		json_decref(k.drafts[i].sites);
	}
	json_decref(k.guards);
}

/* Without a host it stands behind all who have one: neither a site nor Caddy's own redirect to
 * https is hidden by it (2.6.2 and 2.11, with auto_https on and off). */
const char *
site_render_default(const struct settings *settings, struct arena *a)
{
	(void)settings;
	return arena_strdup(a, SITE_MARK_LINE "\nhttp:// {\n\trespond 404\n}\n");
}
