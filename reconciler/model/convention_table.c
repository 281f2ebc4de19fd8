/* The platforms that Waymark knows, as rows.  What they say of a container was read from their
 * public code; the manual's table of conventions says the same in words. */
#include "reconciler/model/convention.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Codi v2.  Where a container has the slug label alone, its name says the rest.  A preview that
 * names no branch must not pass for production, hence its environment. */
static const char *const codi_all[] = {"codi.project.slug"};
static const struct convention_rule codi_rules[] = {
	{FIELD_PROJECT, PLACE_LABEL, "codi.project.slug", NULL},
	{FIELD_ENVIRONMENT, PLACE_VALUE, "preview", "codi.deployment.preview=true"},
	{FIELD_BRANCH, PLACE_LABEL, "codi.deployment.branch", "codi.deployment.preview=true"},
	{FIELD_BRANCH, PLACE_NAME, "codi-{project}-preview-{branch}",
		"codi.deployment.preview=true"},
	{FIELD_BRANCH, PLACE_NAME, "codi-{project}-preview-{branch}", "!codi.deployment.preview"},
	{FIELD_PORT, PLACE_LABEL, "traefik.http.services.*.loadbalancer.server.port", NULL},
	{FIELD_ENABLE, PLACE_LABEL, "traefik.enable", NULL},
	{FIELD_NETWORK, PLACE_LABEL, "traefik.docker.network", NULL},
};

/* CodeB Server: every container listens on 3000, and is asked for /api/health before it counts,
 * which an application need not have. */
static const char *const codeb_all[] = {"codeb.project"};
static const struct convention_rule codeb_rules[] = {
	{FIELD_PROJECT, PLACE_LABEL, "codeb.project", NULL},
	{FIELD_ENVIRONMENT, PLACE_LABEL, "codeb.environment", NULL},
	{FIELD_SLOT, PLACE_LABEL, "codeb.slot", NULL},
	{FIELD_PORT, PLACE_VALUE, "3000", NULL},
	{FIELD_HEALTH_PATH, PLACE_VALUE, "/api/health", NULL},
};

/* docker compose labels every service, a database too: only what asks for a route gets one. */
static const char *const compose_all[] = {
	"com.docker.compose.project", "com.docker.compose.service"};
static const char *const compose_any[] = {"waymark.port", "waymark.host", "waymark.enable=true"};
static const struct convention_rule compose_rules[] = {
	{FIELD_PROJECT, PLACE_LABEL, "com.docker.compose.project", NULL},
	{FIELD_SERVICE, PLACE_LABEL, "com.docker.compose.service", NULL},
};

static const char *const waymark_any[] = {
	"waymark.project", "waymark.host", "waymark.port", "waymark.enable=true"};
static const struct convention_rule waymark_rules[] = {
	{FIELD_PROJECT, PLACE_LABEL, "com.docker.compose.project", NULL},
	{FIELD_PROJECT, PLACE_NAME, "{project}", NULL},
};

/* The MVP backend: "shop-42" is the 42nd deployment of anything, and one of shop.  The number is a
 * slot's name only so far as it may stand in a pattern. */
static const char *const mvp_all[] = {"traefik.enable=true"};
static const struct convention_rule mvp_rules[] = {
	{FIELD_PROJECT, PLACE_NAME, "{project}-{slot}", NULL},
	{FIELD_PORT, PLACE_LABEL, "traefik.http.services.*.loadbalancer.server.port", NULL},
	{FIELD_PORT, PLACE_VALUE, "80", NULL},
	{FIELD_NETWORK, PLACE_LABEL, "traefik.docker.network", NULL},
};

static const struct convention table[] = {
	{
		.name = "codi",
		.all = codi_all,
		.nall = COUNT(codi_all),
		.rules = codi_rules,
		.nrules = COUNT(codi_rules),
		.codi_branches = true,
	},
	{
		.name = "codeb",
		.all = codeb_all,
		.nall = COUNT(codeb_all),
		.rules = codeb_rules,
		.nrules = COUNT(codeb_rules),
	},
	{
		.name = "compose",
		.all = compose_all,
		.nall = COUNT(compose_all),
		.any = compose_any,
		.nany = COUNT(compose_any),
		.rules = compose_rules,
		.nrules = COUNT(compose_rules),
	},
	{
		.name = "mvp",
		.all = mvp_all,
		.nall = COUNT(mvp_all),
		.rules = mvp_rules,
		.nrules = COUNT(mvp_rules),
		.deployments = true,
	},
	{
		.name = "waymark",
		.any = waymark_any,
		.nany = COUNT(waymark_any),
		.rules = waymark_rules,
		.nrules = COUNT(waymark_rules),
	},
};

const struct convention *
convention_find(const char *name)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

/* In the default order of `platforms`; mvp comes on request. */
const char *const *
convention_names(void)
{
	static const char *const names[] = {
		"codi", "codeb", "compose", "traefik", "waymark", "mvp", NULL};
	return names;
}
