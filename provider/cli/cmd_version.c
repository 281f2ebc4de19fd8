#include <stdio.h>

#include "provider/cli/cli.h"

int
cmd_version(int argc, char **argv)
{
	if (cli_parse(argc, argv, (const struct cli_option[]){{0}}, 0, NULL) < 0)
		return CLI_USAGE;
	puts("waymark " WAYMARK_VERSION);
	return CLI_DONE;
}
