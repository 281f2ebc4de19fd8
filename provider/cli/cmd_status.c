#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>

#include "provider/cli/cli.h"

/* Members that are not there, or no text, are "". */
static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static json_int_t
number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* A column: the text, and blanks up to the width. */
static void
print_column(const char *text, int width)
{
	cli_print(stdout, text);
	/* Counted in characters, not in octets. */
	int n = 0;
	for (const char *c = text; *c; c++)
		n += ((unsigned char)*c & 0xc0) != 0x80;
	printf("%*s", n < width ? width - n + 2 : 2, "");
}

static int
width_of(const json_t *list, const char *key)
{
	size_t i;
	json_t *object;
	int width = 0;
	json_array_foreach(list, i, object)
	{
		int n = (int)json_string_length(json_object_get(object, key));
		width = n > width ? n : width;
	}
	return width;
}

/* What a source has so many of. */
static const char *
objects_of(const json_t *source)
{
	const char *kind = text_of(source, "kind");
	bool registry = strcmp(kind, "directory") == 0 || strcmp(kind, "postgres") == 0;
	bool one = number_of(source, "objects") == 1;

	if (registry)
		return one ? "project" : "projects";
	return one ? "container" : "containers";
}

static void
print_sources(const json_t *list)
{
	size_t i;
	json_t *source;
	int width = width_of(list, "name");
	json_array_foreach(list, i, source)
	{
		printf("source   ");
		print_column(text_of(source, "name"), width);
		print_column(text_of(source, "status"), 5);
		print_column(text_of(source, "kind"), 6);
		print_column(text_of(source, "version"), 8);
		printf("%" JSON_INTEGER_FORMAT " %s  ", number_of(source, "objects"),
			objects_of(source));
		cli_print(stdout, text_of(source, "address"));
		if (text_of(source, "error")[0]) {
			printf("\n         ");
			cli_print(stdout, text_of(source, "error"));
		}
		putchar('\n');
	}
}

/* "converged", "behind", or that there is nobody to be behind. */
static const char *
arrival(const json_t *output)
{
	if (json_is_true(json_object_get(output, "converged")))
		return "converged";
	const json_t *pollers = json_object_get(output, "pollers");
	return json_is_array(pollers) && !json_array_size(pollers) ? "nobody polls" : "behind";
}

static void
print_outputs(const json_t *list)
{
	size_t i;
	json_t *output;
	int width = width_of(list, "name");
	json_array_foreach(list, i, output)
	{
		printf("output   ");
		print_column(text_of(output, "name"), width);
		printf("%-12s  revision %" JSON_INTEGER_FORMAT "  ", arrival(output),
			number_of(output, "revision"));
		cli_print(stdout, text_of(output, "error"));
		putchar('\n');
	}
}

static void
print_problems(const json_t *list)
{
	size_t i;
	json_t *problem;
	json_array_foreach(list, i, problem)
	{
		printf("problem  %s  ", text_of(problem, "code"));
		cli_print(stdout, text_of(problem, "object"));
		if (text_of(problem, "field")[0]) {
			printf(": ");
			cli_print(stdout, text_of(problem, "field"));
		}
		printf(": ");
		cli_print(stdout, text_of(problem, "what"));
		printf("\n         ");
		cli_print(stdout, text_of(problem, "remedy"));
		putchar('\n');
	}
}

static void
print_status(const json_t *status)
{
	const json_t *problems = json_object_get(status, "problems");
	printf("waymark  revision %" JSON_INTEGER_FORMAT ", %s, %s, problems: %zu\n",
		number_of(status, "revision"),
		json_is_true(json_object_get(status, "ready")) ? "ready" : "not ready",
		json_is_true(json_object_get(status, "converged")) ? "converged" : "not converged",
		json_array_size(problems));
	print_sources(json_object_get(status, "sources"));
	print_outputs(json_object_get(status, "outputs"));
	print_problems(problems);
}

int
cmd_status(int argc, char **argv)
{
	const char *file = NULL, *address = NULL;
	bool as_json = false;
	const struct cli_option options[] = {
		{'c', "config", &file, NULL},
		{'s', "server", &address, NULL},
		{'j', "json", NULL, &as_json},
		{0},
	};
	json_t *status = NULL;
	if (cli_parse(argc, argv, options, 0, NULL) < 0)
		return CLI_USAGE;
	enum cli_exit r = cli_get(address, file, "/api/v1/status", &status);
	if (r != CLI_DONE)
		return r;
	if (as_json) {
		json_dumpf(status, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_status(status);
	}
	json_decref(status);
	return CLI_DONE;
}
