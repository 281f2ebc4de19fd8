/* main.c - the table of subcommands. */
#include <stdio.h>
#include <string.h>

#include "provider/cli/cli.h"
#include "provider/cli/config_keys.h"
#include "reconciler/model/slot_table.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define OPTION_C                                                                                   \
	"  -c, --config FILE        the configuration (else $WAYMARK_CONFIG, else " CONFIG_PATH    \
	")\n"

static const struct command {
	const char *name;
	const char *synopsis;
	const char *does;
	const char *options;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"run", "run [-c FILE]",
		"reconciles until SIGTERM; SIGHUP reads the configuration again, and keeps the old "
		"one if the new is bad",
		OPTION_C, cmd_run},
	{"check", "check [-c FILE] [--schema]",
		"reads the configuration and the registry, and prints every problem as `file: "
		"path: what; what to do`",
		OPTION_C "      --schema             print the JSON Schema of the configuration\n",
		cmd_check},
	{"render", "render [-c FILE] traefik|caddy",
		"one look at the world; prints the document, writes nothing", OPTION_C, cmd_render},
	{"status", "status [--json] [-s ADDRESS]",
		"the running Waymark: sources, outputs, revisions, problems",
		"  -s, --server ADDRESS     where it listens: host:port, unix:/path or a URL (else "
		"$WAYMARK_ADDRESS,\n"
		"                           else the configuration's first listen, else "
		"127.0.0.1:9180)\n" OPTION_C "  -j, --json               print it as JSON\n"
		"The file that $WAYMARK_TOKEN_FILE names holds a token, where one is needed.\n",
		cmd_status},
	{"wait", "wait HOST [--slot S] [--container ID] [--drained] [--timeout 60s] [-s ADDRESS]",
		"returns when the host is applied in every output; with --drained when the "
		"container or slot may be stopped",
		"      --slot SLOT          served by that slot\n"
		"      --container ID       served by that container: its name, or 4 digits and "
		"more of its id\n"
		"      --drained            no longer served by that slot or container, in every "
		"output, and for as\n"
		"                           long as slots.drain gives requests in flight\n"
		"      --timeout TIME       how long it waits, 60s where not given; then it says "
		"for what, and exits\n"
		"                           with 1\n"
		"  -s, --server ADDRESS     where the running Waymark listens\n" OPTION_C
		"A Waymark that starts anew meanwhile is waited for.  Where traefik.api is given, "
		"Traefik itself says\nwhat it runs; else a document counts as applied 2.5 s after "
		"the poll that follows it.\n",
		cmd_wait},
	{"ports", "ports PROJECT ENVIRONMENT [-c FILE] [--json]",
		"the slot ports, who else has them, and a pair that is free",
		OPTION_C "  -j, --json               print it as JSON\n"
			 "A port in the registry counts, else CodeB's formula.  Exits with 1 where "
			 "somebody else has one.\n",
		cmd_ports},
	{"slot", "slot list|deploy|promote|rollback|cleanup PROJECT ENVIRONMENT [SLOT] [-c FILE]",
		"slot changes in the registry, under its lock, refused when the state or the "
		"health does not allow them",
		OPTION_C
		"  -s, --server ADDRESS     where the running Waymark listens, which tells what is "
		"ready\n"
		"      --offline            without it: no health is known, so all is taken for "
		"well,\n"
		"                           and nothing is waited for\n"
		"      --id ID              promote: only if this reservation still holds\n"
		"      --since TIME         rollback, cleanup: only the grace period that began "
		"then\n"
		"      --discard-rollback   deploy: also over a slot in its grace period\n"
		"      --timeout TIME       wait so long: promote and rollback for a container to "
		"be ready (0s),\n"
		"                           deploy for the running Waymark to see the "
		"reservation (10s), cleanup\n"
		"                           until no request can reach the slot (60s and "
		"slots.drain)\n"
		"      --dry-run            decide, and write nothing\n"
		"  -j, --json               print it as JSON\n"
		"deploy starts nothing: it reserves a slot for 30 minutes and prints what to "
		"start.  cleanup ends\nthe slot's time, waits until every output has unrouted it "
		"and slots.drain is over, and empties it.\n"
		"`waymark help slots` has what each command does to a slot.\n",
		cmd_slot},
	{"url", "url PROJECT [--branch B] [--slot S] [--environment E] [-c FILE]",
		"the URL this will have, for use in CI",
		OPTION_C "  -b, --branch BRANCH      a preview of this branch\n"
			 "  -e, --environment NAME   production where not given\n"
			 "      --slot SLOT          the slot's own URL\n"
			 "      --service SERVICE    of a compose service\n"
			 "      --codi               the branch's label by Codi's rule\n",
		cmd_url},
	{"slug", "slug [-p PROJECT] [-c FILE] BRANCH",
		"the host label a branch gets by itself, or the whole label in that project",
		"  -p, --project PROJECT    the whole label in this project\n" OPTION_C
		"      --codi               by Codi's rule\n",
		cmd_slug},
	{"version", "version", "prints the version", "", cmd_version},
};

static const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void
print_commands(FILE *to)
{
	fputs("Waymark keeps Traefik equal to what the containers say.\n\n", to);
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(to, "  waymark %s\n      %s\n", commands[i].synopsis, commands[i].does);
	fputs("\n`waymark help COMMAND` says more; `waymark help keys` lists the configuration's "
	      "keys,\n`waymark help slots` what may be done to a slot.\n"
	      "Exit codes: 0 done; 1 the answer is no; 2 wrong usage or configuration; 3 the "
	      "running Waymark\n"
	      "cannot be reached.\n",
		to);
}

static int
print_keys(void)
{
	struct buf b = {0};
	config_keys_print(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_finish(&b);
	return CLI_DONE;
}

static int
print_slots(void)
{
	struct buf b = {0};
	slot_table_print(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_finish(&b);
	return CLI_DONE;
}

static int
print_help(const char *name)
{
	if (!name) {
		print_commands(stdout);
		return CLI_DONE;
	}
	if (strcmp(name, "keys") == 0)
		return print_keys();
	if (strcmp(name, "slots") == 0)
		return print_slots();
	const struct command *c = command_find(name);
	if (!c) {
		fprintf(stderr, "waymark: there is no command '%s'; see `waymark help`\n", name);
		return CLI_USAGE;
	}
	printf("waymark %s\n%s.\n%s", c->synopsis, c->does, c->options);
	return CLI_DONE;
}

static bool
asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		print_commands(stderr);
		return CLI_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return print_help(argc > 2 ? argv[2] : NULL);
	if (strcmp(name, "--version") == 0)
		name = "version";

	const struct command *c = command_find(name);
	if (!c) {
		fprintf(stderr, "waymark: there is no command '%s'; see `waymark help`\n", name);
		return CLI_USAGE;
	}
	if (asks_for_help(argc - 1, argv + 1))
		return print_help(c->name);
	int r = c->run(argc - 1, argv + 1);
	/* An answer that did not reach its reader is none: the disk is full, or the pipe closed. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("waymark: standard output cannot be written\n", stderr);
		return CLI_NO;
	}
	return r;
}
