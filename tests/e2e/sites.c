/* sites.c - Caddy's site files for plans that somebody made up, by Waymark's own renderer.
 *
 * Each line of standard input is a JSON object as tests/unit/site_world.h has it; for each it
 * prints a line {"files": {"shop-production.caddy": "…"}, "problems": [[HOST, WHAT]…]}.
 */
#include <stdio.h>

#include "tests/unit/site_world.h"

static void
take_file(void *arg, const struct site_file *file)
{
	json_object_set_new(arg, file->name, file->text ? json_string(file->text) : json_null());
}

static json_t *
problems_of(const struct problems *ps)
{
	json_t *list = json_array();
	for (size_t i = 0; i < ps->n; i++)
		json_array_append_new(
			list, json_pack("[s?, s]", ps->list[i].host, ps->list[i].what));
	return list;
}

static int
answer(const char *line)
{
	struct site_world w;
	struct err e;
	json_t *files = json_object(), *j = json_loads(line, JSON_ALLOW_NUL, NULL);

	if (!j)
		return 2;
	site_world_init(&w, j);
	struct site_template *t = site_template_parse(w.caddy.template, &e);
	if (!t) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	site_world_render(&w, t, j, take_file, files);
	json_object_set_new(
		files, "waymark.caddy", json_string(site_render_default(&w.settings, &w.arena)));
	json_t *said =
		json_pack("{s:o, s:o}", "files", files, "problems", problems_of(&w.problems));
	json_dumpf(said, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(said);
	site_template_destroy(t);
	site_world_finish(&w);
	json_decref(j);
	return 0;
}

int
main(void)
{
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, stdin) > 0)
		r = answer(line);
	free(line);
	return r;
}
