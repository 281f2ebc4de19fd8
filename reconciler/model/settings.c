#include "reconciler/model/settings.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/model/convention.h"
#include "reconciler/model/host.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const reserved[] = {
#define X(name) name,
	SETTINGS_RESERVED(X)
#undef X
};

static const char *const entry_points[] = {"web"};

static const struct settings_urls urls = {
	.production = "{project}.{base}",
	.staging = "{project}-staging.{base}",
	.preview = "{project}-preview-{branch}.{base}",
	.slot = "{project}-{environment}-{slot}.{base}",
	.service = "{project}-{service}.{base}",
};

static void
add_conventions(struct settings *s)
{
	const char *const *names = convention_names();
	size_t max = 0;
	while (names[max])
		max++;

	const struct convention **list = ARENA_ARRAY(&s->arena, const struct convention *, max);
	for (size_t i = 0; i < max; i++) {
		const struct convention *c = convention_find(names[i]);
		if (c && !c->deployments) /* which comes on request */
			list[s->nconventions++] = c;
	}
	s->conventions = list;
}

struct settings *
settings_create(void)
{
	struct settings *s = xcalloc(1, sizeof(*s));
	arena_init(&s->arena);
	s->base_domain = "localhost";
	s->any_domain = true;
	s->nreserved = COUNT(reserved);
	s->reserved = reserved;
	s->urls = urls;
	s->probe = true;
	s->probe_interval_ms = 5000;
	s->probe_timeout_ms = 2000;
	s->probe_rise = 1;
	s->probe_fall = 2;
	s->probe_rate = 2000;
	s->preview.noindex = true;
	s->hold_ms = 60000;
	s->registry.poll_ms = 1000;
	s->registry.shrink_after_ms = 30000;
	s->grace_ms = UINT64_C(48) * 3600 * 1000;
	s->drain_ms = 30000;
	s->traefik.name = "traefik";
	s->traefik.nhttp = COUNT(entry_points);
	s->traefik.http = entry_points;
	s->traefik.redirect = true;
	add_conventions(s);
	return s;
}

void
settings_destroy(struct settings *s)
{
	if (!s)
		return;
	arena_finish(&s->arena);
	free(s);
}

bool
settings_has_registry(const struct settings *s)
{
	return s->registry.directory || s->registry.postgres;
}

const struct settings_engine *
settings_engine_find(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->nengines; i++)
		if (strcmp(s->engines[i].name, name) == 0)
			return &s->engines[i];
	return NULL;
}

bool
settings_wants_label(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->nconventions; i++)
		if (convention_wants_label(s->conventions[i], name))
			return true;
	return false;
}

bool
settings_reserves(const struct settings *s, const char *host)
{
	size_t n;
	if (strcmp(host, s->base_domain) == 0)
		return true;
	if (!host_is_directly_under(host, s->base_domain, &n))
		return false;
	for (size_t i = 0; i < s->nreserved; i++)
		if (strlen(s->reserved[i]) == n && memcmp(s->reserved[i], host, n) == 0)
			return true;
	return false;
}
