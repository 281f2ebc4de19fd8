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

/* conventions and platforms. */
void config_decode_conventions(
	struct config_reader *r, const struct yaml_node *root, struct settings *s);
/* registry and slots. */
void config_decode_registry(
	struct config_reader *r, const struct yaml_node *root, struct settings *s);

#endif
