/* Which hosts a container wants: by the URL templates, by its labels, by the registry. */
#include <stdlib.h>
#include <string.h>

#include "reconciler/model/entitlement.h"
#include "reconciler/model/host.h"
#include "reconciler/model/member_inside.h"
#include "reconciler/model/url.h"

/* The registry may give a project what nobody else could claim. */
static bool
is_registered_domain(const struct reader *r, const char *host)
{
	for (size_t i = 0; r->entry && i < r->entry->ndomains; i++)
		if (strcmp(r->entry->domains[i].host, host) == 0)
			return true;
	return false;
}

static bool
host_may_be_claimed(struct reader *r, const char *host, enum convention_field field)
{
	struct arena *a = &r->m->arena;

	if (settings_reserves(r->settings, host) && !is_registered_domain(r, host)) {
		reader_complain(r, PROBLEM_HOST_RESERVED, field, host,
			arena_printf(a, "%s is reserved", host),
			"choose another name, or take it off `reserved` in the configuration");
		return false;
	}
	if (!host_is_allowed(r->settings, host)) {
		reader_complain(r, PROBLEM_HOST_FORBIDDEN, field, host,
			arena_printf(a, "%s is neither under %s nor under an allowed domain", host,
				r->settings->base_domain),
			"use a host under base_domain, or add its domain to `allowed_domains`");
		return false;
	}
	return true;
}

static const char *
derive(struct reader *r, const char *slot, bool suffixed, enum convention_field field)
{
	struct member *m = r->m;
	struct url_parts parts = {
		.project = m->group.project,
		.environment = m->group.environment,
		.branch = *m->group.branch ? m->group.branch : NULL,
		.slot = slot,
		.service = *m->group.service ? m->group.service : NULL,
		.suffixed = suffixed,
		.codi = m->codi_branches,
	};
	const char *host;
	struct err e;

	if (url_host(&r->scratch, r->settings, &parts, &host, &e) < 0) {
		reader_complain(r, PROBLEM_HOST_INVALID, field, NULL,
			arena_strdup(&m->arena, e.text),
			"shorten the names it is made of, or the template under `urls`");
		return NULL;
	}
	return host_may_be_claimed(r, host, field) ? arena_strdup(&m->arena, host) : NULL;
}

static struct member_host *
add_host(struct reader *r, const char *host, enum convention_field field, enum route_kind kind)
{
	for (size_t i = 0; i < r->m->nhosts; i++)
		if (strcmp(r->hosts[i].host, host) == 0)
			return &r->hosts[i];
	if (r->m->nhosts == r->hosts_cap) {
		r->hosts_cap = r->hosts_cap ? r->hosts_cap * 2 : 8;
		r->hosts = xrealloc(r->hosts, r->hosts_cap * sizeof(*r->hosts));
	}
	struct member_host *h = &r->hosts[r->m->nhosts++];
	*h = (struct member_host){.host = host,
		.from = r->reading.field[field].from,
		.slot = kind == ROUTE_SLOT && !r->m->supersedes,
		.kind = kind};
	return h;
}

static void
read_host(struct reader *r, const char *text, size_t n)
{
	struct arena *a = &r->m->arena;
	const char *host;
	struct err e;

	if (host_parse(a, arena_strndup(a, text, n), &host, &e) < 0)
		reader_complain(r, PROBLEM_HOST_INVALID, FIELD_HOST, NULL, arena_strdup(a, e.text),
			"write host names, separated by commas, without scheme, port or path");
	else if (host_may_be_claimed(r, host, FIELD_HOST))
		add_host(r, host, FIELD_HOST, r->m->kind);
}

/* "a.example, b.example" */
static void
read_host_list(struct reader *r)
{
	const char *at = reader_value(r, FIELD_HOST);
	size_t n = 0;

	while (at && *at) {
		at += strspn(at, ", \t");
		size_t len = strcspn(at, ",");
		while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
			len--;
		if (len && n++ == MEMBER_HOSTS_MAX) {
			reader_complain(r, PROBLEM_HOST_QUOTA, FIELD_HOST, NULL,
				"it names more than 64 hosts; the first 64 are taken",
				"spread the hosts over several containers");
			return;
		}
		if (len)
			read_host(r, at, len);
		at += strcspn(at, ",");
	}
}

/* The registry's domains are production's. */
static void
add_domains(struct reader *r)
{
	const struct group *g = &r->m->group;

	if (!r->entry || strcmp(g->environment, "production") != 0 || *g->branch || *g->service)
		return;
	for (size_t i = 0; i < r->entry->ndomains; i++)
		if (host_is_allowed(r->settings, r->entry->domains[i].host))
			add_host(r, arena_strdup(&r->m->arena, r->entry->domains[i].host),
				FIELD_PROJECT, ROUTE_PRODUCTION);
}

static bool
is_said_by_name(const struct reader *r, enum convention_field f)
{
	const char *kind = r->reading.field[f].from.kind;
	return kind && strcmp(kind, "container name") == 0;
}

/* A deployment keeps a URL of its own beside the one that goes to the newest. */
static void
add_deployment_hosts(struct reader *r)
{
	const struct registered_deployment *d = r->deployment;
	struct member *m = r->m;

	if (!d) {
		const char *host = arena_printf(
			&m->arena, "%s.%s", r->endpoint->name, r->settings->base_domain);
		if (host_parse(&m->arena, host, &host, NULL) == 0 &&
			host_may_be_claimed(r, host, FIELD_PROJECT))
			/* The name says both the project and the number. */
			add_host(r, host, FIELD_PROJECT, ROUTE_SLOT)->derived =
				is_said_by_name(r, FIELD_PROJECT);
		return;
	}
	for (size_t i = 0; i < d->nhosts; i++)
		if (host_is_allowed(r->settings, d->hosts[i]) &&
			deployment_takes(r->entry, d, d->hosts[i]) &&
			(!m->derived || strcmp(d->hosts[i], m->derived) != 0))
			add_host(r, arena_strdup(&m->arena, d->hosts[i]), FIELD_PROJECT,
				deployment_host_kind(
					r->settings, r->entry, d->hosts[i], &m->group));
}

void
reader_read_hosts(struct reader *r)
{
	struct member *m = r->m;
	enum convention_field field = *m->group.branch ? FIELD_BRANCH : FIELD_PROJECT;

	m->derived_from = r->reading.field[field].from;
	if (!r->deployment || r->deployment->status == DEPLOYMENT_RUNNING)
		m->derived = derive(r, NULL, false, field);
	if (m->derived && *m->group.branch && !m->codi_branches)
		m->derived_suffixed = derive(r, NULL, true, field);
	if (*m->slot) {
		const char *host = derive(r, m->slot, false, FIELD_SLOT);
		if (host)
			add_host(r, host, FIELD_SLOT, ROUTE_SLOT)->derived = true;
	}
	if (r->deployment || m->supersedes)
		add_deployment_hosts(r);
	/* What all deployments share, those that stand by get no traffic of. */
	if (!r->deployment || r->deployment->status == DEPLOYMENT_RUNNING) {
		read_host_list(r);
		add_domains(r);
	}

	m->hosts = ARENA_ARRAY(&m->arena, struct member_host, m->nhosts + 1);
	if (m->nhosts)
		memcpy(m->hosts, r->hosts, m->nhosts * sizeof(*m->hosts));
	free(r->hosts);
}
