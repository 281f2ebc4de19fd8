/* config_shape.h - a configuration's tree brought into the shape that the table of keys says.
 *
 * Unknown keys, wrong kinds and values that cannot be read are errors; what is left is a tree in
 * which every value is canonical text, every absent key that has a default has it, and what was
 * refused stands as YAML_BAD, so that nobody complains of it twice.
 */
#ifndef PROVIDER_CLI_CONFIG_SHAPE_H
#define PROVIDER_CLI_CONFIG_SHAPE_H

#include "provider/cli/config.h"
#include "provider/cli/config_yaml.h"

struct config_reader {
	const char *file; /* for messages */
	struct arena *arena; /* for the trees */
	struct config_errors *errors;
	struct config_errors *warnings; /* keys that are not in force */
};

/* Puts what the environment says of single keys into the tree as it was read. */
void config_overlay(struct config_reader *r, struct yaml_node *root);

/* The tree in shape; it always comes. */
struct yaml_node *config_shape(struct config_reader *r, const struct yaml_node *root);

/* Notes an error at a node of a tree in shape. */
void config_refuse(
	struct config_reader *r, const struct yaml_node *at, const char *what, const char *remedy);
void config_warn(
	struct config_reader *r, const struct yaml_node *at, const char *what, const char *remedy);

/* The one of the names that the text is most like; NULL where it is like none.  Names end with a
 * NULL. */
const char *config_nearest(const char *text, const char *const *names);

#endif
