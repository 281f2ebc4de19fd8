#include "provider/cli/config_keys.h"

#include <ctype.h>
#include <string.h>

#include "reconciler/base/buf.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct config_key keys[] = {
#define X(path, shape, type, fallback, argument, help)                                             \
	{path, CONFIG_##shape, CONFIG_##type, fallback, argument, help},
	CONFIG_KEYS(X)
#undef X
};

const struct config_key *
config_keys(size_t *ret_n)
{
	*ret_n = COUNT(keys);
	return keys;
}

bool
config_key_is_child(
	const struct config_key *parent, const struct config_key *key, const char **ret_name)
{
	const char *name = key->path;
	if (parent) {
		size_t n = strlen(parent->path);
		bool list = parent->shape == CONFIG_SECTIONS || parent->shape == CONFIG_MANY;
		if (strncmp(name, parent->path, n) != 0)
			return false;
		name += n;
		if (list && strncmp(name, "[]", 2) != 0)
			return false;
		name += list ? 2 : 0;
		if (*name++ != '.')
			return false;
	}
	if (strpbrk(name, ".["))
		return false;
	*ret_name = name;
	return true;
}

const struct config_key *
config_key_child(const struct config_key *parent, const char *name)
{
	const struct config_key *any = NULL;
	for (size_t i = 0; i < COUNT(keys); i++) {
		const char *child;
		if (!config_key_is_child(parent, &keys[i], &child))
			continue;
		if (strcmp(child, "*") == 0)
			any = &keys[i];
		else if (strcmp(child, name) == 0)
			return &keys[i];
	}
	return any;
}

const char *
config_key_env(struct arena *a, const struct config_key *key)
{
	if (strpbrk(key->path, "[*") || (key->shape != CONFIG_ONE && key->shape != CONFIG_MANY))
		return NULL;
	char *env = arena_printf(a, "WAYMARK_%s", key->path);
	for (char *c = env; *c; c++)
		*c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
	return env;
}

void
config_keys_print(struct buf *b)
{
	struct arena a = {0};
	for (size_t i = 0; i < COUNT(keys); i++) {
		const struct config_key *key = &keys[i];
		const char *env = config_key_env(&a, key);
		buf_addf(b, "%s\n    %s\n", key->path, key->help);
		if (key->shape == CONFIG_LATER)
			buf_adds(b, "    Not supported by this version.\n");
		if (key->shape == CONFIG_MANY && key->type != CONFIG_PLACE)
			buf_adds(b, "    A list, or one.\n");
		if (key->type == CONFIG_WORD)
			buf_addf(b, "    One of: %s\n", key->argument);
		if (key->fallback && strcmp(key->path, "reserved") != 0)
			buf_addf(b, "    Default: %s\n", key->fallback);
		if (env)
			buf_addf(b, "    Environment: %s\n", env);
	}
	arena_finish(&a);
}
