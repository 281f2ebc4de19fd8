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

#include "reconciler/base/arena.h"
#include "reconciler/base/log.h"
#include "reconciler/model/settings.h"

enum token_role { TOKEN_VIEWER, TOKEN_PROVIDER };

struct config_token {
	const char *name;
	enum token_role role;
	unsigned char sha256[32];
};

struct config {
	struct arena arena;
	const char *path; /* NULL where there was no file */
	struct settings *settings;
	size_t nlisten;
	const char *const *listen; /* "127.0.0.1:9180", "[::1]:9180", "unix:/run/waymark/http.sock" */
	const char *state_dir;
	enum log_format log_format;
	enum log_level log_level;
	size_t ntokens;
	const struct config_token *tokens;
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

/* Reads the file (NULL: the default places; a missing file there is an empty one) and the
 * environment.  NULL where anything is wrong, with every error in *reterrors. */
struct config *config_load(const char *path, struct config_errors *reterrors);
void config_destroy(struct config *c);
void config_errors_finish(struct config_errors *e);

#endif
