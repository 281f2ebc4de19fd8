#include <stdio.h>
#include <string.h>

#include "provider/cli/cli.h"
#include "reconciler/model/slug.h"
#include "reconciler/model/url.h"

/* The label a branch gets where nothing else stands in it. */
static int
print_alone(const char *branch, bool codi)
{
	char slug[SLUG_MAX + 1];
	size_t n = codi ? slug_branch_codi(branch, slug) : slug_branch(branch, SLUG_MAX, slug);
	if (n == 0) {
		fprintf(stderr, "waymark: Codi gives this branch no label: it has no letter or "
				"digit of a-z and 0-9\n");
		return CLI_NO;
	}
	puts(slug);
	return CLI_DONE;
}

static int
print_in_project(const struct settings *s, const char *project, const char *branch, bool codi)
{
	const struct url_parts parts = {.project = project, .branch = branch, .codi = codi};
	struct arena a = {0};
	struct err e;
	const char *host;
	int r = url_host(&a, s, &parts, &host, &e);
	if (r < 0)
		fprintf(stderr, "waymark: %s\n", e.text);
	else
		printf("%.*s\n", (int)strcspn(host, "."), host);
	arena_finish(&a);
	return r < 0 ? CLI_NO : CLI_DONE;
}

int
cmd_slug(int argc, char **argv)
{
	const char *file = NULL, *project = NULL, *branch = NULL;
	bool codi = false;
	struct config *c;
	const struct cli_option options[] = {
		{'c', "config", &file, NULL},
		{'p', "project", &project, NULL},
		{'\0', "codi", NULL, &codi},
		{0},
	};
	if (cli_parse(argc, argv, options, 1, &branch) < 0)
		return CLI_USAGE;
	if (!project)
		return print_alone(branch, codi);
	if (!branch[0])
		return cli_complain(argv[0], "the branch is empty"), CLI_USAGE;
	if (cli_load(file, &c) < 0)
		return CLI_USAGE;
	int r = print_in_project(c->settings, project, branch, codi);
	config_destroy(c);
	return r;
}
