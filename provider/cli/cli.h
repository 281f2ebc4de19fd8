/* cli.h - what the subcommands share: exit codes, options, the configuration they were given. */
#ifndef PROVIDER_CLI_CLI_H
#define PROVIDER_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "provider/cli/config.h"
#include "reconciler/base/err.h"
#include "reconciler/model/problem.h"

enum cli_exit {
	CLI_DONE = 0,
	CLI_NO = 1, /* the answer is no */
	CLI_USAGE = 2, /* wrong usage or configuration */
	CLI_UNREACHED = 3, /* the running Waymark cannot be reached */
};

/* The subcommands.  argv[0] is the command's name; the result is an enum cli_exit. */
int cmd_check(int argc, char **argv);
int cmd_ports(int argc, char **argv);
int cmd_render(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_slot(int argc, char **argv);
int cmd_slug(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_url(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_wait(int argc, char **argv);

/* An option: -c FILE, --config FILE or --config=FILE; with text NULL one without a value. */
struct cli_option {
	char letter; /* '\0': none */
	const char *name;
	const char **text;
	bool *flag;
};

/* Reads options and words, in any order, "--" ends the options.  A table ends with a NULL name.
 * Exactly nwords words have to be there.  0, or -EINVAL after a message to standard error. */
int cli_parse(int argc, char **argv, const struct cli_option *options, size_t nwords,
	const char **ret_words);

/* With from nleast to nmost words; those that are not there are NULL. */
int cli_parse_words(int argc, char **argv, const struct cli_option *options, size_t nleast,
	size_t nmost, const char **ret_words);

/* Wrong usage: prints the message and how to get help.  Returns -EINVAL. */
int cli_complain(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Loads the configuration, and prints its errors.  The file is NULL where -c was not given. */
int cli_load(const char *file, struct config **ret);
/* For commands that take -c FILE and nothing else, or one word besides.  Sets up the log, and logs
 * what of the configuration is not in force. */
int cli_config(int argc, char **argv, struct config **ret);
int cli_config_and_word(int argc, char **argv, struct config **ret, const char **ret_word);

/* GET of a path of the running Waymark's API.  address is what -s gave, or NULL: then
 * $WAYMARK_ADDRESS, else the first `listen` of the configuration (file as for cli_load), else
 * 127.0.0.1:9180.  CLI_DONE with a reference in *ret_json, or another exit code after a message. */
enum cli_exit cli_get(const char *address, const char *file, const char *path, json_t **ret_json);

/* Where the running Waymark listens, as for cli_get, to be freed; NULL after a message, where the
 * configuration that was named cannot be used. */
char *cli_address(const char *address, const char *file);
/* The same GET, at that address, without a message.  CLI_UNREACHED: nobody answers, or no Waymark.
 * CLI_NO: it cannot tell yet.  CLI_USAGE: it refuses the question. */
enum cli_exit cli_ask(const char *address, const char *path, unsigned timeout_ms, json_t **ret_json,
	struct err *reterr);

/* A text that an outsider may have written, without what a terminal would obey. */
void cli_print(FILE *to, const char *text);
/* A problem as a line: its parts that are not NULL or "", and a remedy. */
void cli_print_problem(FILE *to, const struct problem *p);

/* Is it a name as environments and slots have them: 1 to 32 of a-z and 0-9? */
bool cli_is_word(const char *text);

#endif
