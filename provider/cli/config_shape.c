#include "provider/cli/config_shape.h"

#include <stdlib.h>
#include <string.h>

#include "provider/cli/config_keys.h"
#include "reconciler/base/buf.h"
#include "reconciler/model/host.h"

#define WORD_MAX_OCTETS 32
#define CHILDREN_MAX 64
#define ENGINE_DEFAULT "unix:///var/run/docker.sock"

static void
note(struct config_reader *r, struct config_errors *list, const struct yaml_node *at,
	const char *what, const char *remedy)
{
	if (at->env)
		config_errors_add(list, "environment", 0, at->env, what, remedy);
	else
		config_errors_add(list, r->file, at->line, at->path ? at->path : "", what, remedy);
}

void
config_refuse(
	struct config_reader *r, const struct yaml_node *at, const char *what, const char *remedy)
{
	note(r, r->errors, at, what, remedy);
}

void
config_warn(
	struct config_reader *r, const struct yaml_node *at, const char *what, const char *remedy)
{
	note(r, r->warnings, at, what, remedy);
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* Levenshtein's distance of two short words. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[WORD_MAX_OCTETS + 1], n = strlen(b);
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
			corner = above;
		}
	}
	return row[n];
}

const char *
config_nearest(const char *text, const char *const *names)
{
	const char *nearest = NULL;
	size_t least = strlen(text) / 3 + 1;
	if (strlen(text) > WORD_MAX_OCTETS)
		return NULL;
	for (; *names; names++) {
		size_t d = strlen(*names) <= WORD_MAX_OCTETS ? distance(text, *names) : SIZE_MAX;
		if (d <= least && (!nearest || d < least)) {
			nearest = *names;
			least = d;
		}
	}
	return nearest;
}

/* -- the environment -- */

static struct yaml_node *
value_from_env(
	struct config_reader *r, const struct config_key *key, const char *env, const char *text)
{
	if (key->shape == CONFIG_MANY)
		return yaml_split(r->arena, text, env);
	struct yaml_node *value = yaml_scalar(r->arena, text);
	value->env = env;
	return value;
}

/* `traefik: [{…}]` is the same as `traefik: {…}`. */
static struct yaml_node *
only_element(struct yaml_node *node)
{
	return node->kind == YAML_LIST && node->n == 1 ? node->items[0].value : node;
}

/* Where a value of the wrong kind stands in the way nothing is set: it is an error anyway. */
static void
overlay_key(
	struct config_reader *r, struct yaml_node *root, const char *path, struct yaml_node *value)
{
	const char *dot;
	for (; (dot = strchr(path, '.')); path = dot + 1) {
		const char *name = arena_strndup(r->arena, path, (size_t)(dot - path));
		struct yaml_node *next = yaml_get(root, name);
		if (!next || yaml_is_null(next)) {
			next = yaml_collection(r->arena, YAML_MAP);
			next->env = value->env;
			yaml_set(r->arena, root, name, next);
		}
		root = only_element(next);
		if (root->kind != YAML_MAP)
			return;
	}
	yaml_set(r->arena, root, path, value);
}

static bool
is_silent(const struct yaml_node *root, const char *key)
{
	const struct yaml_node *node = yaml_get(root, key);
	return !node || yaml_is_null(node);
}

/* The engine where none is configured. */
static struct yaml_node *
engine_from_env(struct config_reader *r)
{
	const char *host = getenv("DOCKER_HOST");
	const char *env = host && host[0] ? "DOCKER_HOST" : NULL;
	struct yaml_node *list = yaml_collection(r->arena, YAML_LIST);
	struct yaml_node *engine = yaml_collection(r->arena, YAML_MAP);
	struct yaml_node *url =
		yaml_scalar(r->arena, env ? arena_strdup(r->arena, host) : ENGINE_DEFAULT);
	list->env = engine->env = url->env = env;
	yaml_set(r->arena, engine, "name", yaml_scalar(r->arena, "local"));
	yaml_set(r->arena, engine, "host", url);
	yaml_append(r->arena, list, (struct yaml_item){.value = engine});
	return list;
}

void
config_overlay(struct config_reader *r, struct yaml_node *root)
{
	const char *base = getenv("BASE_DOMAIN");
	if (base && base[0] && is_silent(root, "base_domain")) {
		struct yaml_node *value = yaml_scalar(r->arena, arena_strdup(r->arena, base));
		value->env = "BASE_DOMAIN";
		yaml_set(r->arena, root, "base_domain", value);
	}
	if (is_silent(root, "engines"))
		yaml_set(r->arena, root, "engines", engine_from_env(r));

	size_t n;
	const struct config_key *keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		const char *env = config_key_env(r->arena, &keys[i]);
		const char *text = env ? getenv(env) : NULL;
		if (text && text[0])
			overlay_key(r, root, keys[i].path,
				value_from_env(r, &keys[i], env, arena_strdup(r->arena, text)));
	}
}

/* -- values -- */

/* A node of the new tree, which stands where the old one stood. */
static struct yaml_node *
node_at(struct config_reader *r, enum yaml_kind kind, const struct yaml_node *raw, const char *path)
{
	struct yaml_node *node = yaml_collection(r->arena, kind);
	node->path = path;
	node->line = raw ? raw->line : 0;
	node->env = raw ? raw->env : NULL;
	return node;
}

static struct yaml_node *
bad(struct config_reader *r, const struct yaml_node *raw, const char *path, const char *what,
	const char *remedy)
{
	struct yaml_node *node = node_at(r, YAML_BAD, raw, path);
	config_refuse(r, node, what, remedy);
	return node;
}

static bool
is_variable_name(const char *name, size_t n)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	return n > 0 && strspn(name, chars) >= n && !(name[0] >= '0' && name[0] <= '9');
}

/* Puts variables in for ${NAME}; "$${" is "${".  NULL where one is wrong, with what and how to mend
 * it. */
static const char *
expand(struct arena *a, const char *text, const char **ret_what, const char **ret_remedy)
{
	struct buf b = {0};
	const char *hole;
	for (; (hole = strstr(text, "${")); text = hole) {
		bool literal = hole > text && hole[-1] == '$';
		buf_add(&b, text, (size_t)(hole - text) - (literal ? 1 : 0));
		const char *name = hole + 2, *value = "${";
		size_t n = strcspn(name, "}");
		hole = name;
		if (!literal) {
			hole = name + n + (name[n] == '}');
			name = arena_strndup(a, name, n);
			value = getenv(name);
		}
		if (!literal && (hole[-1] != '}' || !is_variable_name(name, n))) {
			*ret_what = "a ${…} that names no environment variable";
			*ret_remedy = "write ${NAME}, or $${ for the characters ${";
			break;
		}
		if (!value) {
			*ret_what = arena_printf(a, "the environment variable %s is not set", name);
			*ret_remedy = "set it, or write the value itself";
			break;
		}
		buf_adds(&b, value);
	}
	buf_adds(&b, text);
	const char *whole = hole ? NULL : arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return whole;
}

static const char *
kind_text(const struct yaml_node *node)
{
	return node->kind == YAML_LIST  ? "a list"
	       : node->kind == YAML_MAP ? "a mapping"
					: "a value";
}

static struct yaml_node *
shape_one(struct config_reader *r, const struct config_key *key, const char *path,
	const struct yaml_node *raw)
{
	const char *what = NULL, *remedy = NULL, *text = raw->text, *canonical = NULL;
	struct err e;
	if (raw->kind != YAML_SCALAR)
		return bad(r, raw, path,
			arena_printf(r->arena, "%s where one value is wanted", kind_text(raw)),
			config_type_remedy(r->arena, key));
	/* What comes from the environment is meant as it is. */
	if (!raw->env)
		text = expand(r->arena, text, &what, &remedy);
	if (!text)
		return bad(r, raw, path, what, remedy);
	if (config_type_parse(r->arena, key, text, &canonical, &e) < 0)
		return bad(r, raw, path, e.text, config_type_remedy(r->arena, key));

	struct yaml_node *node = node_at(r, YAML_SCALAR, raw, path);
	node->text = canonical;
	node->variable = !raw->env && strstr(raw->text, "${");
	return node;
}

static struct yaml_node *shape_section(struct config_reader *r, const struct config_key *key,
	const char *path, const struct yaml_node *raw);

static struct yaml_node *
shape_element(struct config_reader *r, const struct config_key *key, const char *path,
	const struct yaml_node *raw)
{
	/* A place may bring its condition along. */
	if (key->type == CONFIG_PLACE && raw->kind == YAML_MAP)
		return shape_section(r, key, path, raw);
	return shape_one(r, key, path, raw);
}

static struct yaml_node *
shape_many(struct config_reader *r, const struct config_key *key, const char *path,
	const struct yaml_node *raw)
{
	struct yaml_node *list = node_at(r, YAML_LIST, raw, path);
	if (raw->kind != YAML_LIST) {
		struct yaml_item item = {.value = shape_element(r, key, path, raw)};
		yaml_append(r->arena, list, item);
		return list;
	}
	for (size_t i = 0; i < raw->n; i++) {
		const char *at = arena_printf(r->arena, "%s[%zu]", path, i);
		struct yaml_item item = {.value = shape_element(r, key, at, raw->items[i].value)};
		yaml_append(r->arena, list, item);
	}
	return list;
}

/* -- sections -- */

/* The names of a section's keys, without "*"; ends with a NULL. */
static void
child_names(const struct config_key *parent, const char *ret[CHILDREN_MAX + 1])
{
	size_t n, k = 0;
	const struct config_key *keys = config_keys(&n);
	for (size_t i = 0; i < n && k < CHILDREN_MAX; i++) {
		const char *name;
		if (config_key_is_child(parent, &keys[i], &name) && strcmp(name, "*") != 0)
			ret[k++] = name;
	}
	ret[k] = NULL;
}

static const char *
unknown_remedy(struct config_reader *r, const struct config_key *parent, const char *name)
{
	const char *names[CHILDREN_MAX + 1];
	child_names(parent, names);
	const char *nearest = config_nearest(name, names);
	if (nearest)
		return arena_printf(r->arena, "did you mean '%s'?", nearest);

	const char *all = names[0] ? names[0] : "none";
	for (size_t i = 1; names[0] && names[i]; i++)
		all = arena_printf(r->arena, "%s, %s", all, names[i]);
	return arena_printf(r->arena, "the keys here are: %s", all);
}

static const char *
child_path(struct config_reader *r, const char *path, const char *name)
{
	return path[0] ? arena_printf(r->arena, "%s.%s", path, name) : arena_strdup(r->arena, name);
}

static struct yaml_node *shape_key(struct config_reader *r, const struct config_key *key,
	const char *path, const struct yaml_node *raw);

static void
shape_item(struct config_reader *r, const struct config_key *parent, const struct yaml_item *item,
	struct yaml_node *section)
{
	const struct config_key *key = config_key_child(parent, item->key);
	const char *path = child_path(r, section->path, item->key);
	if (!key && !parent && strncmp(item->key, "x-", 2) == 0)
		return; /* a place for anchors, as in compose files */
	if (!key) {
		struct yaml_node at = {.line = item->line, .path = path};
		config_refuse(r, &at,
			arena_printf(r->arena, "unknown key '%s'", host_shown(item->key).text),
			unknown_remedy(r, parent, item->key));
		return;
	}
	struct yaml_node *value = shape_key(r, key, path, item->value);
	if (value)
		yaml_append(r->arena, section,
			(struct yaml_item){.key = item->key, .line = item->line, .value = value});
}

static void
shape_absent(struct config_reader *r, const struct config_key *parent, struct yaml_node *section)
{
	size_t n;
	const struct config_key *keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		const char *name;
		if (!config_key_is_child(parent, &keys[i], &name) || strcmp(name, "*") == 0 ||
			yaml_get(section, name))
			continue;
		struct yaml_node *value =
			shape_key(r, &keys[i], child_path(r, section->path, name), NULL);
		if (value)
			yaml_append(
				r->arena, section, (struct yaml_item){.key = name, .value = value});
	}
}

static struct yaml_node *
shape_section(struct config_reader *r, const struct config_key *key, const char *path,
	const struct yaml_node *raw)
{
	if (raw && raw->kind != YAML_MAP)
		return bad(r, raw, path,
			arena_printf(r->arena, "%s where keys are wanted", kind_text(raw)),
			unknown_remedy(r, key, ""));

	struct yaml_node *section = node_at(r, YAML_MAP, raw, path);
	for (size_t i = 0; raw && i < raw->n; i++)
		shape_item(r, key, &raw->items[i], section);
	shape_absent(r, key, section);
	return section;
}

static struct yaml_node *
shape_sections(struct config_reader *r, const struct config_key *key, const char *path,
	const struct yaml_node *raw)
{
	if (raw->kind != YAML_LIST)
		return bad(r, raw, path,
			arena_printf(r->arena, "%s where a list is wanted", kind_text(raw)),
			"begin each element with '- '");
	struct yaml_node *list = node_at(r, YAML_LIST, raw, path);
	for (size_t i = 0; i < raw->n; i++) {
		const char *at = arena_printf(r->arena, "%s[%zu]", path, i);
		struct yaml_item item = {.value = shape_section(r, key, at, raw->items[i].value)};
		yaml_append(r->arena, list, item);
	}
	return list;
}

static struct yaml_node *
shape_output(struct config_reader *r, const struct config_key *key, const char *path,
	const struct yaml_node *raw)
{
	if (!raw || raw->kind != YAML_LIST)
		return shape_section(r, key, path, raw);
	if (raw->n != 1)
		return bad(r, raw, path, arena_printf(r->arena, "%zu outputs of one kind", raw->n),
			"give exactly one; this version supports no more");
	return shape_section(r, key, arena_printf(r->arena, "%s[0]", path), raw->items[0].value);
}

static struct yaml_node *
shape_fallback(struct config_reader *r, const struct config_key *key)
{
	if (!key->fallback)
		return NULL;
	return key->shape == CONFIG_MANY ? yaml_split(r->arena, key->fallback, NULL)
					 : yaml_scalar(r->arena, key->fallback);
}

/* raw is NULL where the key is absent.  NULL where there is nothing to say of it. */
static struct yaml_node *
shape_key(struct config_reader *r, const struct config_key *key, const char *path,
	const struct yaml_node *raw)
{
	if (raw && yaml_is_null(raw))
		/* That a section is there, and where, may matter. */
		raw = key->shape == CONFIG_SECTION ? node_at(r, YAML_MAP, raw, path) : NULL;
	if (key->shape == CONFIG_LATER) {
		struct yaml_node at = {.path = path, .line = raw ? raw->line : 0};
		if (raw)
			config_warn(r, &at, "not supported by this version", "it is ignored");
		return NULL;
	}
	if (key->shape == CONFIG_SECTION)
		return shape_section(r, key, path, raw);
	if (key->shape == CONFIG_OUTPUT)
		return shape_output(r, key, path, raw);
	if (!raw)
		raw = shape_fallback(r, key);
	if (!raw)
		return NULL;
	if (key->shape == CONFIG_SECTIONS)
		return shape_sections(r, key, path, raw);
	return key->shape == CONFIG_MANY ? shape_many(r, key, path, raw)
					 : shape_one(r, key, path, raw);
}

struct yaml_node *
config_shape(struct config_reader *r, const struct yaml_node *root)
{
	return shape_section(r, NULL, "", root);
}
