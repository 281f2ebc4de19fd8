/* The JSON Schema of the configuration, printed from the table of keys. */
#include "provider/cli/config_keys.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "reconciler/base/buf.h"

/* What takes an environment variable can be anything. */
#define HAS_VARIABLE "\\$\\{"

static json_t *shape_schema(const struct config_key *key);

static json_t *
word_schema(const struct config_key *key)
{
	json_t *words = json_array();
	for (const char *word = key->argument; *word;) {
		size_t n = strcspn(word, "|");
		json_array_append_new(words, json_stringn(word, n));
		word += word[n] ? n + 1 : n;
	}
	return json_pack("{s:[{s:o},{s:s,s:s},{s:s}]}", "anyOf", "enum", words, "type", "string",
		"pattern", HAS_VARIABLE, "type", "null");
}

/* YAML's own idea of a value's type does not count, so 0x10 may be a name and `off` a word. */
static json_t *
value_schema(const struct config_key *key)
{
	const char *pattern = config_type_pattern(key->type);
	if (key->type == CONFIG_WORD)
		return word_schema(key);
	json_t *schema = json_pack("{s:[s,s,s,s]}", "type", "string", "number", "boolean", "null");
	json_object_set_new(schema, "pattern", json_sprintf("(%s)|%s", pattern, HAS_VARIABLE));
	return schema;
}

static json_t *
section_schema(const struct config_key *parent)
{
	size_t n;
	const struct config_key *keys = config_keys(&n);
	json_t *properties = json_object(), *schema = json_object(), *others = json_false();
	for (size_t i = 0; i < n; i++) {
		const char *name;
		if (!config_key_is_child(parent, &keys[i], &name))
			continue;
		if (strcmp(name, "*") == 0)
			others = shape_schema(&keys[i]);
		else
			json_object_set_new(properties, name, shape_schema(&keys[i]));
	}
	json_object_set_new(schema, "type", json_pack("[s,s]", "object", "null"));
	json_object_set_new(schema, "properties", properties);
	if (!parent)
		json_object_set_new(schema, "patternProperties", json_pack("{s:{}}", "^x-"));
	json_object_set_new(schema, "additionalProperties", others);
	return schema;
}

static json_t *
either(json_t *a, json_t *b)
{
	return json_pack("{s:[o,o]}", "anyOf", a, b);
}

static json_t *
many_schema(const struct config_key *key)
{
	json_t *one = value_schema(key);
	if (key->type == CONFIG_PLACE)
		one = either(one, section_schema(key));
	return either(one, json_pack("{s:s,s:O}", "type", "array", "items", one));
}

static json_t *
bare_schema(const struct config_key *key)
{
	switch (key->shape) {
	case CONFIG_SECTION:
		return section_schema(key);
	case CONFIG_SECTIONS:
		return json_pack(
			"{s:[s,s],s:o}", "type", "array", "null", "items", section_schema(key));
	case CONFIG_OUTPUT:
		return either(section_schema(key),
			json_pack("{s:s,s:i,s:i,s:o}", "type", "array", "minItems", 1, "maxItems",
				1, "items", section_schema(key)));
	case CONFIG_ONE:
		return value_schema(key);
	case CONFIG_MANY:
		return many_schema(key);
	case CONFIG_LATER:
		break;
	}
	return json_object();
}

/* The default as YAML would have it. */
static json_t *
fallback_json(const struct config_key *key)
{
	if (key->type == CONFIG_BOOL)
		return json_boolean(strcmp(key->fallback, "true") == 0);
	if (key->shape != CONFIG_MANY)
		return json_string(key->fallback);

	json_t *list = json_array();
	for (const char *text = key->fallback; *text;) {
		size_t n = strcspn(text, ",");
		json_array_append_new(list, json_stringn(text, n));
		text += text[n] ? n + 1 : n;
	}
	return list;
}

static json_t *
shape_schema(const struct config_key *key)
{
	json_t *schema = json_object(), *bare = bare_schema(key);
	const char *later = key->shape == CONFIG_LATER ? " (Not supported by this version.)" : "";
	json_object_set_new(schema, "description", json_sprintf("%s%s", key->help, later));
	if (key->fallback)
		json_object_set_new(schema, "default", fallback_json(key));
	json_object_update(schema, bare);
	json_decref(bare);
	return schema;
}

void
config_schema_print(struct buf *b)
{
	json_t *schema = json_pack("{s:s,s:s}", "$schema",
		"https://json-schema.org/draft/2020-12/schema", "title", "Waymark's configuration");
	json_t *root = section_schema(NULL);
	json_object_update(schema, root);
	json_object_set_new(schema, "type", json_string("object"));
	char *text = json_dumps(schema, JSON_INDENT(2));
	buf_adds(b, text);
	buf_adds(b, "\n");
	free(text);
	json_decref(root);
	json_decref(schema);
}
