#include <stdio.h>

#include "provider/cli/cli.h"
#include "provider/cli/config_keys.h"

static int
print_schema(void)
{
	struct buf b = {0};
	config_schema_print(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_finish(&b);
	return CLI_DONE;
}

static int
check(const char *file)
{
	struct config_errors errors;
	struct config *c = config_load(file, &errors);
	config_errors_show(&errors, stdout);
	config_errors_finish(&errors);
	if (!c)
		return CLI_USAGE;

	config_errors_show(&c->warnings, stdout);
	if (c->path)
		printf("%s: ok\n", c->path);
	else
		printf("%s: not there, so defaults and the environment count: ok\n", CONFIG_PATH);
	config_destroy(c);
	return CLI_DONE;
}

int
cmd_check(int argc, char **argv)
{
	const char *file = NULL;
	bool schema = false;
	const struct cli_option options[] = {
		{'c', "config", &file, NULL},
		{'\0', "schema", NULL, &schema},
		{0},
	};
	if (cli_parse(argc, argv, options, 0, NULL) < 0)
		return CLI_USAGE;
	return schema ? print_schema() : check(file);
}
