/* config.h - the configuration: one YAML file, environment variables, and defaults.
 *
 * Every key stands in one table (config_keys.h), from which the decoder, `waymark check`, the JSON
 * Schema and the manual come.  A configuration is a value: a bad new one never replaces a good
 * old one.
 */
#ifndef PROVIDER_CLI_CONFIG_H
#define PROVIDER_CLI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/log.h"
#include "reconciler/model/settings.h"

enum token_role { TOKEN_VIEWER, TOKEN_PROVIDER };

struct config_token {
	const char *name;
	enum token_role role;
	unsigned char sha256[32];
};

/* One thing wrong with a configuration. */
struct config_error {
	const char *file; /* or "environment" */
	unsigned line; /* 0: not known */
	const char *path; /* "engines[0].reach"; "" for the whole file */
	const char *what;
	const char *remedy;
};

struct config_errors {
	struct arena arena;
	size_t n;
	struct config_error *list;
};

struct config {
	struct arena arena;
	const char *path; /* NULL where there was no file */
	struct settings *settings;
	size_t nlisten;
	const char *const *listen; /* "127.0.0.1:9180", "[::1]:9180", "unix:/run/w.sock" */
	const char *state_dir;
	enum log_format log_format;
	enum log_level log_level;
	size_t ntokens;
	const struct config_token *tokens;
	const char *pages_listen; /* NULL: no pages */
	const char *pages_directory; /* NULL: the built-in ones */
	struct config_errors warnings; /* what is accepted and not in force */
};

#define CONFIG_PATH "/etc/waymark/waymark.yaml"
#define CONFIG_SIZE_MAX (1024 * 1024)

/* Reads the file and the environment.  A path of NULL is $WAYMARK_CONFIG, else CONFIG_PATH, which
 * alone may be missing and is empty then.  NULL where anything is wrong, with every error in
 * *reterrors, which the caller empties with config_errors_finish in any case. */
struct config *config_load(const char *path, struct config_errors *reterrors);
/* Its settings go with it. */
void config_destroy(struct config *c);
/* What is accepted and not in force, a line each. */
void config_warnings_log(const struct config *c);

/* Texts are copied. */
void config_errors_add(struct config_errors *e, const char *file, unsigned line, const char *path,
	const char *what, const char *remedy);
/* One of them as a line without its end: "waymark.yaml: engines[0].reach: unknown word 'x' (line
 * 7); write one of network, published". */
void config_error_print(const struct config_error *e, struct buf *b);
/* All of them, a line each. */
void config_errors_show(const struct config_errors *e, FILE *to);
void config_errors_finish(struct config_errors *e);

#endif
