#include "provider/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#define OPTIONS_MAX 12
/* Values that getopt_long returns for options: their place in the table, past any character. */
#define OPTION_BASE 256

int
cli_complain(const char *command, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "waymark: %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `waymark help %s`\n", command);
	return -EINVAL;
}

/* The option that getopt_long returned; NULL where it returned none of them. */
static const struct cli_option *
option_find(const struct cli_option *options, int c)
{
	if (c >= OPTION_BASE)
		return &options[c - OPTION_BASE];
	for (; options->name; options++)
		if (options->letter && options->letter == c)
			return options;
	return NULL;
}

static int
complain_option(char **argv, int c)
{
	const char *why = c == ':' ? "needs a value" : "is unknown, or has a value too many";
	if (optopt > 0 && optopt < OPTION_BASE)
		return cli_complain(argv[0], "the option -%c %s", optopt, why);
	return cli_complain(argv[0], "the option %s %s", argv[optind - 1], why);
}

static int
parse_options(int argc, char **argv, const struct cli_option *options)
{
	struct option longs[OPTIONS_MAX + 1] = {{0}};
	char shorts[2 * OPTIONS_MAX + 2] = ":";
	size_t k = 1;
	for (int i = 0; options[i].name && i < OPTIONS_MAX; i++) {
		int takes = options[i].text ? required_argument : no_argument;
		longs[i] = (struct option){options[i].name, takes, NULL, OPTION_BASE + i};
		if (options[i].letter)
			shorts[k++] = options[i].letter;
		if (options[i].letter && options[i].text)
			shorts[k++] = ':';
	}

	int c;
	optind = 0; /* start over, GNU's way */
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct cli_option *option = option_find(options, c);
		if (!option)
			return complain_option(argv, c);
		if (option->text)
			*option->text = optarg;
		else
			*option->flag = true;
	}
	return 0;
}

int
cli_parse_words(int argc, char **argv, const struct cli_option *options, size_t nleast,
	size_t nmost, const char **ret_words)
{
	int r = parse_options(argc, argv, options);
	if (r < 0)
		return r;
	size_t n = (size_t)(argc - optind);
	if (n > nmost)
		return cli_complain(argv[0], "'%s' is too much", argv[(size_t)optind + nmost]);
	if (n < nleast)
		return cli_complain(argv[0], "an argument is missing");
	for (size_t i = 0; i < nmost; i++)
		ret_words[i] = i < n ? argv[(size_t)optind + i] : NULL;
	return 0;
}

int
cli_parse(int argc, char **argv, const struct cli_option *options, size_t nwords,
	const char **ret_words)
{
	return cli_parse_words(argc, argv, options, nwords, nwords, ret_words);
}

int
cli_load(const char *file, struct config **ret)
{
	struct config_errors errors;
	struct config *c = config_load(file, &errors);
	if (!c) {
		config_errors_show(&errors, stderr);
		config_errors_finish(&errors);
		return -EINVAL;
	}
	config_errors_finish(&errors);
	*ret = c;
	return 0;
}

int
cli_config(int argc, char **argv, struct config **ret)
{
	return cli_config_and_word(argc, argv, ret, NULL);
}

int
cli_config_and_word(int argc, char **argv, struct config **ret, const char **ret_word)
{
	const char *file = NULL;
	const struct cli_option options[] = {{'c', "config", &file, NULL}, {0}};
	int r = cli_parse(argc, argv, options, ret_word ? 1 : 0, ret_word);
	if (r < 0 || (r = cli_load(file, ret)) < 0)
		return r;
	log_setup((*ret)->log_format, (*ret)->log_level);
	config_warnings_log(*ret);
	return 0;
}

void
cli_print(FILE *to, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		/* U+0080 to U+009F are control characters, too. */
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;
		if (c1)
			c++;
		putc(c1 || *c < 0x20 || *c == 0x7f ? '?' : *c, to);
	}
}

void
cli_print_problem(FILE *to, const struct problem *p)
{
	const char *const parts[] = {p->object, p->field, p->what};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i] || !parts[i][0])
			continue;
		cli_print(to, parts[i]);
		fputs(i + 1 < sizeof(parts) / sizeof(parts[0]) ? ": " : "; ", to);
	}
	cli_print(to, p->remedy);
	putc('\n', to);
}

bool
cli_is_word(const char *text)
{
	size_t n = strlen(text);
	return n > 0 && n <= 32 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}
