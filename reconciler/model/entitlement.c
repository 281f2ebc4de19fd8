#include "reconciler/model/entitlement.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "reconciler/model/host.h"
#include "reconciler/model/url.h"

/* One that was made. */
struct made {
	UT_hash_handle hh; /* by host, slot and group */
};

/* Entitlements while they are made. */
struct maker {
	const struct settings *settings;
	const struct registered_project *entry;
	struct entitlements *made;
	struct made *all;
	struct arena scratch;
};

bool
host_is_allowed(const struct settings *s, const char *host)
{
	if (s->any_domain || host_is_under(host, s->base_domain))
		return true;
	for (size_t i = 0; i < s->nallowed; i++)
		if (host_is_under(host, s->allowed_domains[i]))
			return true;
	return false;
}

static bool
deployment_names(const struct registered_deployment *d, const char *host)
{
	for (size_t i = 0; i < d->nhosts; i++)
		if (strcmp(d->hosts[i], host) == 0)
			return true;
	return false;
}

enum route_kind
group_kind(const struct group *g)
{
	return *g->branch || strcmp(g->environment, "preview") == 0 ? ROUTE_PREVIEW
								    : ROUTE_PRODUCTION;
}

enum route_kind
deployment_host_kind(const struct settings *s, const struct registered_project *p, const char *host,
	const struct group *g)
{
	size_t n;

	if (!host_is_directly_under(host, s->base_domain, &n))
		return group_kind(g);
	for (size_t i = 0; i < p->ndeployments; i++) {
		const struct registered_deployment *d = &p->deployments[i];
		if (d->container && strlen(d->container) == n &&
			memcmp(d->container, host, n) == 0 && deployment_names(d, host))
			return ROUTE_SLOT;
	}
	return group_kind(g);
}

bool
deployment_takes(
	const struct registered_project *p, const struct registered_deployment *d, const char *host)
{
	for (size_t i = 0; d->status == DEPLOYMENT_STANDBY && i < p->ndeployments; i++)
		if (p->deployments[i].status == DEPLOYMENT_RUNNING &&
			deployment_names(&p->deployments[i], host))
			return false;
	return deployment_status_share(d->status);
}

const char *
deployment_environment(const struct registered_deployment *d)
{
	return *d->branch ? "preview" : d->environment;
}

static void
complain(struct maker *k, enum problem_code code, const char *field, const char *host,
	const char *what, const char *remedy)
{
	problem_add(&k->made->problems, &(struct problem){.code = code,
						.object = k->entry->place,
						.field = field,
						.what = what,
						.remedy = remedy,
						.project = k->entry->name,
						.host = host});
}

/* The first of its kind?  (A branch may hold anything, and stands last.) */
static bool
is_news(struct maker *k, const struct entitlement *want)
{
	const char *key = arena_printf(&k->scratch, "%s/%s/%s/%s", want->host, want->slot,
		want->group.environment, want->group.branch);
	struct made *m;

	HASH_FIND_STR(k->all, key, m);
	if (m)
		return false;
	m = ARENA_NEW(&k->scratch, struct made);
	HASH_ADD_KEYPTR(hh, k->all, key, strlen(key), m);
	return true;
}

static void
add(struct maker *k, struct entitlement want)
{
	struct entitlements *e = k->made;

	if (!is_news(k, &want))
		return;
	if (e->n == e->cap) {
		e->cap = e->cap ? e->cap * 2 : 4;
		e->list = xrealloc(e->list, e->cap * sizeof(*e->list));
	}
	want.host = arena_strdup(&e->arena, want.host);
	want.suffixed = arena_strdup(&e->arena, want.suffixed);
	want.slot = arena_strdup(&e->arena, want.slot);
	want.field = arena_strdup(&e->arena, want.field);
	want.group = (struct group){
		arena_strdup(&e->arena, want.group.project),
		arena_strdup(&e->arena, want.group.environment),
		arena_strdup(&e->arena, want.group.branch),
		"",
	};
	e->list[e->n++] = want;
}

static bool
suffixed_host(struct maker *k, const struct url_parts *plain, const char **ret)
{
	struct url_parts parts = *plain;

	parts.suffixed = true;
	return *parts.branch && url_host(&k->scratch, k->settings, &parts, ret, NULL) == 0;
}

/* The host by the URL templates, of a group or of one of its slots. */
static void
add_derived(struct maker *k, const struct group *g, const char *slot)
{
	const struct url_parts parts = {.project = g->project,
		.environment = g->environment,
		.branch = g->branch,
		.slot = slot};
	const char *host, *field, *suffixed = NULL;
	struct err e;

	field = arena_printf(
		&k->scratch, "project %s, environment %s", k->entry->name, g->environment);
	if (url_host(&k->scratch, k->settings, &parts, &host, &e) < 0)
		complain(k, PROBLEM_HOST_INVALID, field, NULL, e.text,
			"shorten the names it is made of, or the template under `urls`");
	else if (settings_reserves(k->settings, host))
		complain(k, PROBLEM_HOST_RESERVED, field, host,
			arena_printf(&k->scratch, "%s is reserved", host),
			"give the project another name, or list the host under its domains");
	else
		add(k, (struct entitlement){.host = host,
			       .suffixed = suffixed_host(k, &parts, &suffixed) ? suffixed : NULL,
			       .group = *g,
			       .slot = slot,
			       .kind = *slot ? ROUTE_SLOT : group_kind(g),
			       .derived = true});
}

/* An environment `preview` is what branches are made by, and has no host of its own. */
static void
add_environment(struct maker *k, const struct registered_environment *e)
{
	const struct group g = {k->entry->name, e->name, "", ""};

	if (strcmp(e->name, "preview") == 0)
		return;
	add_derived(k, &g, "");
	for (size_t i = 0; i < e->nslots; i++)
		if (e->slot[i].state != SLOT_EMPTY)
			add_derived(k, &g, e->slot[i].name);
}

static void
add_domain(struct maker *k, const struct registered_domain *d)
{
	const struct group g = {k->entry->name, "production", "", ""};

	if (host_is_allowed(k->settings, d->host)) {
		add(k, (struct entitlement){.host = d->host,
			       .group = g,
			       .slot = "",
			       .kind = ROUTE_PRODUCTION,
			       .field = d->field});
		return;
	}
	complain(k, PROBLEM_HOST_FORBIDDEN, d->field, d->host,
		arena_printf(&k->scratch, "%s is neither under %s nor under an allowed domain",
			d->host, k->settings->base_domain),
		"add its domain to `allowed_domains` in the configuration, or take it out");
}

static void
add_deployment(struct maker *k, const struct registered_deployment *d)
{
	const struct group g = {k->entry->name, deployment_environment(d), d->branch, ""};

	if (d->status == DEPLOYMENT_RUNNING)
		add_derived(k, &g, "");
	for (size_t i = 0; i < d->nhosts; i++) {
		if (!deployment_takes(k->entry, d, d->hosts[i]))
			continue;
		if (host_is_allowed(k->settings, d->hosts[i])) {
			add(k, (struct entitlement){.host = d->hosts[i],
				       .group = g,
				       .slot = "",
				       .kind = deployment_host_kind(
					       k->settings, k->entry, d->hosts[i], &g),
				       .field = "hosts"});
			continue;
		}
		complain(k, PROBLEM_HOST_FORBIDDEN,
			arena_printf(&k->scratch, "project %s, hosts", k->entry->name), d->hosts[i],
			arena_printf(&k->scratch,
				"%s is neither under %s nor under an allowed domain", d->hosts[i],
				k->settings->base_domain),
			"add its domain to `allowed_domains` in the configuration, or take it out");
	}
}

struct entitlements *
entitlements_create(const struct settings *s, const struct registered_project *p)
{
	struct entitlements *e = xcalloc(1, sizeof(*e));
	struct maker k = {.settings = s, .entry = p, .made = e};
	const struct registered_environment production = {.name = "production"};

	e->problems.arena = &e->arena;
	if (!p->lists_environments && !p->nenvironments)
		add_environment(&k, &production);
	for (size_t i = 0; i < p->nenvironments; i++)
		add_environment(&k, &p->environments[i]);
	for (size_t i = 0; i < p->ndomains; i++)
		add_domain(&k, &p->domains[i]);
	for (size_t i = 0; i < p->ndeployments; i++)
		add_deployment(&k, &p->deployments[i]);
	HASH_CLEAR(hh, k.all);
	arena_finish(&k.scratch);
	return e;
}

void
entitlements_destroy(struct entitlements *e)
{
	if (!e)
		return;
	arena_finish(&e->arena);
	free(e->list);
	free(e);
}
