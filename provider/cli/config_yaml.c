#include "provider/cli/config_yaml.h"

#include <errno.h>
#include <string.h>

#include <yaml.h>

/* The newest first: a name may be used again, and then means the newer one. */
struct anchor {
	struct anchor *older;
	const char *name;
	struct yaml_node *node; /* NULL while it is being read */
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* valid while have is */
	bool have;
	struct arena *arena;
	struct anchor *anchors;
	size_t nodes;
	unsigned line; /* where it went wrong */
	struct err *err;
};

static unsigned
line_of(yaml_mark_t mark)
{
	return (unsigned)mark.line + 1;
}

static int
refuse(struct reader *r, const char *what)
{
	r->line = line_of(r->event.start_mark);
	return err_set(r->err, EINVAL, "%s", what);
}

static int
next_event(struct reader *r)
{
	if (r->have)
		yaml_event_delete(&r->event);
	r->have = yaml_parser_parse(&r->parser, &r->event);
	if (r->have)
		return 0;

	const char *problem = r->parser.problem ? r->parser.problem : "cannot be read";
	bool in_reader = r->parser.error == YAML_READER_ERROR;
	r->line = in_reader ? 0 : line_of(r->parser.problem_mark);
	return err_set(r->err, EINVAL, "not YAML: %s%s%s", problem, r->parser.context ? ", " : "",
		r->parser.context ? r->parser.context : "");
}

struct yaml_node *
yaml_scalar(struct arena *a, const char *text)
{
	struct yaml_node *node = ARENA_NEW(a, struct yaml_node);
	*node = (struct yaml_node){.kind = YAML_SCALAR, .text = text, .size = 1};
	return node;
}

struct yaml_node *
yaml_collection(struct arena *a, enum yaml_kind kind)
{
	struct yaml_node *node = ARENA_NEW(a, struct yaml_node);
	*node = (struct yaml_node){.kind = kind, .size = 1};
	return node;
}

void
yaml_append(struct arena *a, struct yaml_node *to, struct yaml_item item)
{
	/* Grows at powers of two; what it leaves behind ends with the arena. */
	if ((to->n & (to->n - 1)) == 0) {
		struct yaml_item *items = ARENA_ARRAY(a, struct yaml_item, to->n ? 2 * to->n : 1);
		if (to->n)
			memcpy(items, to->items, to->n * sizeof(*items));
		to->items = items;
	}
	to->items[to->n++] = item;
	to->size += item.value->size;
}

static struct yaml_item *
item_find(const struct yaml_node *map, const char *key)
{
	for (size_t i = 0; map && map->kind == YAML_MAP && i < map->n; i++)
		if (strcmp(map->items[i].key, key) == 0)
			return &map->items[i];
	return NULL;
}

struct yaml_node *
yaml_get(const struct yaml_node *map, const char *key)
{
	const struct yaml_item *item = item_find(map, key);
	return item ? item->value : NULL;
}

void
yaml_set(struct arena *a, struct yaml_node *map, const char *key, struct yaml_node *value)
{
	struct yaml_item *item = item_find(map, key);
	if (item)
		item->value = value;
	else
		yaml_append(a, map, (struct yaml_item){.key = key, .value = value});
}

struct yaml_node *
yaml_split(struct arena *a, const char *text, const char *env)
{
	struct yaml_node *list = yaml_collection(a, YAML_LIST);
	list->env = env;
	while (*text) {
		text += strspn(text, ", \t");
		size_t n = strcspn(text, ",");
		const char *end = text + n;
		while (n > 0 && strchr(" \t", text[n - 1]))
			n--;
		if (n > 0) {
			struct yaml_node *value = yaml_scalar(a, arena_strndup(a, text, n));
			value->env = env;
			yaml_append(a, list, (struct yaml_item){.value = value});
		}
		text = end;
	}
	return list;
}

bool
yaml_is_null(const struct yaml_node *node)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	if (node->kind != YAML_SCALAR || !node->plain)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(node->text, words[i]) == 0)
			return true;
	return false;
}

/* Only the tags that say what the text is anyway. */
static int
check_tag(struct reader *r, const yaml_char_t *tag)
{
	static const char standard[] = "tag:yaml.org,2002:";
	const char *text = (const char *)tag;
	if (!text || strcmp(text, "!") == 0 || strncmp(text, standard, strlen(standard)) == 0)
		return 0;
	return refuse(r, "tags are not supported");
}

static struct anchor *
anchor_add(struct reader *r, const yaml_char_t *name)
{
	if (!name)
		return NULL;
	struct anchor *anchor = ARENA_NEW(r->arena, struct anchor);
	anchor->name = arena_strdup(r->arena, (const char *)name);
	anchor->older = r->anchors;
	r->anchors = anchor;
	return anchor;
}

static int
read_alias(struct reader *r, struct yaml_node **ret)
{
	const char *name = (const char *)r->event.data.alias.anchor;
	const struct anchor *anchor = r->anchors;
	while (anchor && strcmp(anchor->name, name) != 0)
		anchor = anchor->older;
	if (!anchor)
		return refuse(r, "an alias names no anchor that stands before it");
	if (!anchor->node)
		return refuse(r, "an alias stands inside what it names");
	*ret = anchor->node;
	return 0;
}

static int
read_scalar(struct reader *r, struct yaml_node **ret)
{
	const char *text = (const char *)r->event.data.scalar.value;
	size_t n = r->event.data.scalar.length;
	if (memchr(text, '\0', n))
		return refuse(r, "a text has a NUL octet in it");
	int e = check_tag(r, r->event.data.scalar.tag);
	if (e < 0)
		return e;
	struct yaml_node *node = yaml_scalar(r->arena, arena_strndup(r->arena, text, n));
	node->plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		      r->event.data.scalar.plain_implicit;
	*ret = node;
	return 0;
}

static int read_node(struct reader *r, unsigned depth, struct yaml_node **ret);

static int
read_list(struct reader *r, unsigned depth, struct yaml_node *list)
{
	for (;;) {
		struct yaml_item item = {0};
		int e = next_event(r);
		if (e < 0)
			return e;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		item.line = line_of(r->event.start_mark);
		e = read_node(r, depth + 1, &item.value);
		if (e < 0)
			return e;
		yaml_append(r->arena, list, item);
	}
}

static int
read_key(struct reader *r, const struct yaml_node *map, struct yaml_item *ret)
{
	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse(r, "a key is no plain text");
	struct yaml_node *key = NULL;
	int e = read_scalar(r, &key);
	if (e < 0)
		return e;
	if (yaml_get(map, key->text)) {
		r->line = line_of(r->event.start_mark);
		return err_set(r->err, EINVAL, "the key '%.80s' stands twice", key->text);
	}
	if (map->n >= YAML_KEYS_MAX)
		return refuse(r, "a mapping has too many keys");
	ret->key = key->text;
	ret->line = line_of(r->event.start_mark);
	return 0;
}

static int
merge_map(struct reader *r, struct yaml_node *map, const struct yaml_node *from)
{
	if (map->n + from->n > YAML_KEYS_MAX)
		return refuse(r, "a mapping has too many keys");
	for (size_t i = 0; i < from->n; i++)
		if (!yaml_get(map, from->items[i].key))
			yaml_append(r->arena, map, from->items[i]);
	return 0;
}

/* "<<: *other" brings the other's keys, except those that stand here (https://yaml.org/type/merge).
 */
static int
merge(struct reader *r, struct yaml_node *map, const struct yaml_node *from)
{
	int e = 0;

	if (from->kind == YAML_MAP)
		return merge_map(r, map, from);
	for (size_t i = 0; e == 0 && from->kind == YAML_LIST && i < from->n; i++) {
		if (from->items[i].value->kind != YAML_MAP)
			return refuse(r, "'<<' takes a mapping, or a list of mappings");
		e = merge_map(r, map, from->items[i].value);
	}
	return from->kind == YAML_LIST ? e
				       : refuse(r, "'<<' takes a mapping, or a list of mappings");
}

static int
read_map(struct reader *r, unsigned depth, struct yaml_node *map)
{
	const struct yaml_node *merged = NULL;
	for (;;) {
		struct yaml_item item = {0};
		int e = next_event(r);
		if (e < 0)
			return e;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return merged ? merge(r, map, merged) : 0;
		e = read_key(r, map, &item);
		if (e < 0 || (e = next_event(r)) < 0)
			return e;
		e = read_node(r, depth + 1, &item.value);
		if (e < 0)
			return e;
		if (strcmp(item.key, "<<") == 0 && merged)
			return refuse(r, "the key '<<' stands twice; give one, with a list");
		else if (strcmp(item.key, "<<") == 0)
			merged = item.value;
		else
			yaml_append(r->arena, map, item);
	}
}

static int
read_collection(struct reader *r, unsigned depth, struct yaml_node **ret)
{
	bool map = r->event.type == YAML_MAPPING_START_EVENT;
	int e = check_tag(
		r, map ? r->event.data.mapping_start.tag : r->event.data.sequence_start.tag);
	if (e < 0)
		return e;
	if (depth >= YAML_DEPTH_MAX)
		return refuse(r, "it is nested too deeply");
	*ret = yaml_collection(r->arena, map ? YAML_MAP : YAML_LIST);
	(*ret)->line = line_of(r->event.start_mark);
	return map ? read_map(r, depth, *ret) : read_list(r, depth, *ret);
}

/* Reads the node that the current event begins. */
static int
read_node(struct reader *r, unsigned depth, struct yaml_node **ret)
{
	struct yaml_node *node = NULL;
	struct anchor *anchor = NULL;
	unsigned line = line_of(r->event.start_mark);
	int e;
	switch (r->event.type) {
	case YAML_ALIAS_EVENT:
		e = read_alias(r, &node);
		break;
	case YAML_SCALAR_EVENT:
		anchor = anchor_add(r, r->event.data.scalar.anchor);
		e = read_scalar(r, &node);
		if (e == 0)
			node->line = line;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = anchor_add(r, r->event.data.sequence_start.anchor);
		e = read_collection(r, depth, &node);
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = anchor_add(r, r->event.data.mapping_start.anchor);
		e = read_collection(r, depth, &node);
		break;
	default:
		e = refuse(r, "not YAML");
	}
	if (e < 0)
		return e;
	/* An alias counts as often as it is used: ten levels of ten aliases make no large tree
	 * here, but whoever walks it would visit ten thousand million nodes. */
	r->nodes += r->event.type == YAML_ALIAS_EVENT ? node->size : 1;
	if (node->size > YAML_NODES_MAX || r->nodes > YAML_NODES_MAX)
		return refuse(r, "it is too large with its aliases expanded");
	if (anchor)
		anchor->node = node;
	*ret = node;
	return 0;
}

static int
read_document(struct reader *r, struct yaml_node **ret)
{
	int e = next_event(r); /* the stream's start */
	if (e < 0 || (e = next_event(r)) < 0)
		return e;
	if (r->event.type == YAML_STREAM_END_EVENT) {
		*ret = yaml_collection(r->arena, YAML_MAP);
		return 0;
	}

	struct yaml_node *root = NULL;
	if ((e = next_event(r)) < 0 || (e = read_node(r, 0, &root)) < 0)
		return e;
	if (yaml_is_null(root))
		root = yaml_collection(r->arena, YAML_MAP);
	if (root->kind != YAML_MAP) {
		r->line = root->line;
		return err_set(r->err, EINVAL, "the file is no mapping of keys to values");
	}
	if ((e = next_event(r)) < 0 || (e = next_event(r)) < 0)
		return e;
	if (r->event.type != YAML_STREAM_END_EVENT)
		return refuse(r, "a second document begins here");
	*ret = root;
	return 0;
}

int
yaml_read(struct arena *a, const char *text, size_t n, struct yaml_node **ret, unsigned *ret_line,
	struct err *reterr)
{
	struct reader r = {.arena = a, .err = reterr};
	if (!yaml_parser_initialize(&r.parser))
		return err_set(reterr, ENOMEM, "out of memory");
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
	int e = read_document(&r, ret);
	if (e < 0)
		*ret_line = r.line;
	if (r.have)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return e;
}
