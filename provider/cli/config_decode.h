/* config_decode.h - a configuration's tree in shape becomes settings. */
#ifndef PROVIDER_CLI_CONFIG_DECODE_H
#define PROVIDER_CLI_CONFIG_DECODE_H

#include "provider/cli/config.h"
#include "provider/cli/config_shape.h"
#include "provider/cli/config_yaml.h"

/* Fills c, whose settings are settings_create's; errors go to the reader. */
void config_decode(struct config_reader *r, const struct yaml_node *root, struct config *c);

/* -- for the files that decode a part of it -- */

/* A value's text, copied into the arena; NULL where it is absent or was refused. */
const char *config_text(struct arena *a, const struct yaml_node *section, const char *key);
/* A list's values, copied; those that were refused are left out.  Returns how many. */
size_t config_texts(
	struct arena *a, const struct yaml_node *section, const char *key, const char *const **ret);
/* Is the key there, be it refused? */
bool config_has(const struct yaml_node *section, const char *key);
/* A duration's milliseconds; what is given where it is absent or was refused. */
uint64_t config_milliseconds(const struct yaml_node *section, const char *key, uint64_t otherwise);
/* The whole file, for the caller to free; NULL with errno where it cannot be read, EFBIG where it
 * has more than CONFIG_SIZE_MAX. */
char *config_file_read(const char *path, size_t *ret_n);

bool config_true(const struct yaml_node *section, const char *key);
/* A file of the section: its path starts where the configuration is, or for a variable where we
 * are.  NULL where it is absent or was refused. */
const char *config_file_path(
	struct config_reader *r, struct arena *a, const struct yaml_node *section, const char *key);
/* What a file of the section holds, without blanks around it.  NULL where it cannot be read. */
const char *config_file_text(
	struct config_reader *r, struct arena *a, const struct yaml_node *section, const char *key);
/* Does the section stand in the file, or in a variable? */
bool config_is_given(const struct yaml_node *section);

/* conventions and platforms. */
void config_decode_conventions(
	struct config_reader *r, const struct yaml_node *root, struct settings *s);
/* probe, slots, preview, pages and caddy. */
void config_decode_serving(struct config_reader *r, const struct yaml_node *root, struct config *c);
/* registry. */
void config_decode_registry(
	struct config_reader *r, const struct yaml_node *root, struct settings *s);

#endif
