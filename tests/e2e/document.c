/* document.c - Traefik's document for routes that somebody made up, by Waymark's own renderer.
 *
 * It reads one JSON object from standard input,
 *
 *   {"https": ["websecure"], "redirect": true, "pages_url": "http://127.0.0.1:9181",
 *    "preview": {"noindex": true, "users": ["anna:$2y$…"], "allow": ["10.0.0.0/8"]},
 *    "projects": {"shop": [{"host": "shop.test", "path": "/x", "environment": "production",
 *        "strip": true, "sticky": true, "guarded": true, "middlewares": ["headers@file"],
 *        "urls": ["http://10.0.0.1:80"], "shares": [["blue", 90, 1]]}]}}
 *
 * of which all but host may be left out, and prints the document; with "then": {"noindex": …} for a
 * moment at which the routes are of the settings before, and the settings are these.  So a test can
 * show a real Traefik what only many containers and a registry would bring about.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "provider/traefik/document_render.h"
#include "tests/unit/traefik_world.h"

static const char *
text_of(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static size_t
list_of(json_t *list, const char **ret, size_t max)
{
	size_t n = 0;
	for (; n < json_array_size(list) && n < max; n++)
		ret[n] = json_string_value(json_array_get(list, n));
	return n;
}

static struct way
way_of(json_t *j)
{
	struct way w = {.host = text_of(j, "host"),
		.path = text_of(j, "path"),
		.environment = text_of(j, "environment"),
		.strip = json_is_true(json_object_get(j, "strip")),
		.sticky = json_is_true(json_object_get(j, "sticky")),
		.guarded = json_is_true(json_object_get(j, "guarded"))};
	json_t *shares = json_object_get(j, "shares");

	list_of(json_object_get(j, "urls"), w.urls, 8);
	list_of(json_object_get(j, "middlewares"), w.middlewares, 4);
	for (size_t i = 0; i < json_array_size(shares) && i < 4; i++) {
		json_t *share = json_array_get(shares, i);
		w.shares[i].slot = json_string_value(json_array_get(share, 0));
		w.shares[i].weight = (unsigned)json_integer_value(json_array_get(share, 1));
		w.shares[i].n = (size_t)json_integer_value(json_array_get(share, 2));
	}
	return w;
}

static struct snapshot *
snapshot_of(const struct settings *settings, json_t *projects)
{
	struct snapshot *s = snapshot_create();
	const char *name;
	json_t *routes;

	json_object_foreach(projects, name, routes)
	{
		size_t n = json_array_size(routes);
		struct way *ways = xcalloc(n + 1, sizeof(*ways));
		for (size_t i = 0; i < n; i++)
			ways[i] = way_of(json_array_get(routes, i));
		struct project_plan *p = world_plan(settings, name, ways, n);
		for (size_t i = 0; i < p->nproblems; i++)
			fprintf(stderr, "%s: %s\n", p->problems[i].object, p->problems[i].what);
		if (p->nproblems)
			exit(1);
		s = world_next(s, name, p);
		free(ways);
	}
	return s;
}

struct lists {
	const char *users[16], *allow[16];
};

static struct settings_preview
preview_of(json_t *j, struct lists *lists)
{
	return (struct settings_preview){.noindex = json_is_true(json_object_get(j, "noindex")),
		.nusers = list_of(json_object_get(j, "users"), lists->users, 16),
		.users = lists->users,
		.nallow = list_of(json_object_get(j, "allow"), lists->allow, 16),
		.allow = lists->allow};
}

int
main(void)
{
	static const char *http[] = {"web"}, *https[4];
	static struct lists before, after;
	json_error_t e;
	json_t *j = json_loadf(stdin, JSON_REJECT_DUPLICATES, &e);
	struct settings settings = {
		.traefik = {.nhttp = 1,
			.http = http,
			.nhttps = list_of(json_object_get(j, "https"), https, 4),
			.https = https,
			.redirect = json_is_true(json_object_get(j, "redirect"))},
		.preview = preview_of(json_object_get(j, "preview"), &before),
		.pages_url = text_of(j, "pages_url")};

	if (!j) {
		fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	struct snapshot *s = snapshot_of(&settings, json_object_get(j, "projects"));
	if (json_object_get(j, "then"))
		settings.preview = preview_of(json_object_get(j, "then"), &after);
	struct ranges ranges;
	ranges_init(&ranges, s, &settings);
	char *text = ranges_flatten(&ranges);
	puts(text);
	free(text);
	ranges_finish(&ranges);
	snapshot_unref(s);
	json_decref(j);
	return 0;
}
