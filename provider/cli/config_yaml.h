/* config_yaml.h - YAML text as a tree that knows its lines.
 *
 * One document of mappings with text keys, lists and scalars.  Scalars stay text, for what a key
 * means decides its type: `no` is a legal name.  Anchors, aliases and merge keys (<<) work;
 * duplicate keys, tags of one's own and further documents are refused, and no alias can make the
 * tree larger than YAML_NODES_MAX.
 */
#ifndef PROVIDER_CLI_CONFIG_YAML_H
#define PROVIDER_CLI_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"

#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 100000
#define YAML_KEYS_MAX 10000 /* in one mapping */

enum yaml_kind {
	YAML_SCALAR,
	YAML_LIST,
	YAML_MAP,
	YAML_BAD, /* was there and was refused: config_shape makes it */
};

struct yaml_node {
	enum yaml_kind kind;
	unsigned line; /* counted from 1; 0: not from a file */
	const char *text; /* of a scalar */
	bool plain; /* a scalar without quotes */
	const char *env; /* the environment variable that it comes from; NULL: the file */
	const char *path; /* "engines[0].reach": config_shape sets it */
	bool variable; /* ${NAME} stood in its text: config_shape sets it */
	size_t n; /* of a list or mapping */
	struct yaml_item *items;
	size_t size; /* nodes in it, aliases counted as often as they are used */
};

struct yaml_item {
	const char *key; /* NULL in a list */
	unsigned line;
	struct yaml_node *value;
};

/* An empty file, or one of comments alone, is an empty mapping.  On failure *ret_line is where (0:
 * not known). */
int yaml_read(struct arena *a, const char *text, size_t n, struct yaml_node **ret,
	unsigned *ret_line, struct err *reterr);

/* A scalar that says nothing: empty, `~` or `null`, without quotes. */
bool yaml_is_null(const struct yaml_node *node);
/* A mapping's value; NULL where there is none. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* Sets a mapping's value, which it replaces or adds. */
void yaml_set(struct arena *a, struct yaml_node *map, const char *key, struct yaml_node *value);

struct yaml_node *yaml_scalar(struct arena *a, const char *text);
struct yaml_node *yaml_collection(struct arena *a, enum yaml_kind kind);
/* A list of what stands between the commas, trimmed. */
struct yaml_node *yaml_split(struct arena *a, const char *text, const char *env);
void yaml_append(struct arena *a, struct yaml_node *to, struct yaml_item item);

#endif
