#include <stdio.h>

#include "provider/cli/cli.h"
#include "reconciler/model/host.h"
#include "reconciler/model/url.h"

static int
print_url(const struct settings *s, const struct url_parts *parts)
{
	struct arena a = {0};
	struct err e;
	const char *host;
	int r = CLI_NO;
	if (url_host(&a, s, parts, &host, &e) < 0) {
		fprintf(stderr, "waymark: %s\n", e.text);
	} else if (settings_reserves(s, host)) {
		fprintf(stderr,
			"waymark: %s is reserved, so this gets no URL; choose another "
			"name, or take it off `reserved` in the configuration\n",
			host);
	} else {
		printf("%s://%s\n", s->traefik.nhttps > 0 ? "https" : "http", host);
		r = CLI_DONE;
	}
	arena_finish(&a);
	return r;
}

static int
check_words(const char *command, const struct url_parts *parts)
{
	if (parts->branch && !parts->branch[0])
		return cli_complain(command, "the branch is empty");
	if (parts->environment && !cli_is_word(parts->environment))
		return cli_complain(command, "an environment is at most 32 of a-z and 0-9");
	if (parts->slot && !cli_is_word(parts->slot))
		return cli_complain(command, "a slot is at most 32 of a-z and 0-9");
	return 0;
}

int
cmd_url(int argc, char **argv)
{
	const char *file = NULL;
	struct url_parts parts = {0};
	struct config *c;
	const struct cli_option options[] = {
		{'c', "config", &file, NULL},
		{'b', "branch", &parts.branch, NULL},
		{'\0', "slot", &parts.slot, NULL},
		{'e', "environment", &parts.environment, NULL},
		{'\0', "service", &parts.service, NULL},
		{'\0', "codi", NULL, &parts.codi},
		{0},
	};
	if (cli_parse(argc, argv, options, 1, &parts.project) < 0 ||
		check_words(argv[0], &parts) < 0 || cli_load(file, &c) < 0)
		return CLI_USAGE;
	/* What runs a branch is a preview, whatever else it says. */
	if (parts.branch)
		parts.environment = "preview";
	int r = print_url(c->settings, &parts);
	config_destroy(c);
	return r;
}
