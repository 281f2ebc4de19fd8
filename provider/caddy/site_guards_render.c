/* What stands before previews and slots' own URLs, for a template. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "provider/caddy/site_inside.h"
#include "reconciler/model/host.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define BCRYPT_LENGTH 60

/* Caddy asks a visitor of 10.0.0.1 for 10.0.0.0/8, never for ::ffff:10.0.0.0/104. */
static const char *
unmapped(struct arena *a, const char *network)
{
	static const char mapped[] = "::ffff:";
	const char *slash = strchr(network, '/'), *v4 = network + strlen(mapped);
	int bits = slash ? atoi(slash + 1) : 0;

	if (strncmp(network, mapped, strlen(mapped)) != 0 || !strchr(v4, '.') || bits < 96)
		return network;
	return arena_printf(a, "%.*s/%d", (int)(slash - v4), v4, bits - 96);
}

static json_t *
networks_render(const struct settings_preview *p, struct arena *a, struct err *reterr)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->nallow; i++) {
		const char *canonical;
		if (!network_parse(a, p->allow[i], &canonical)) {
			err_set(reterr, EINVAL, "preview.allow: not a network: '%s'",
				host_shown(p->allow[i]).text);
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, json_string(unmapped(a, canonical)));
	}
	return list;
}

/* A token that the Caddyfile takes for nothing else; there, "import" at the beginning of a line
 * reads a file. */
static bool
is_user_name(const char *name)
{
	return *name && strspn(name, LETTERS DIGITS "._@+-") == strlen(name) &&
	       strcmp(name, "import") != 0;
}

static bool
is_bcrypt(const char *hash)
{
	return strncmp(hash, "$2", 2) == 0 && strlen(hash) == BCRYPT_LENGTH &&
	       strspn(hash, LETTERS DIGITS "./$") == BCRYPT_LENGTH;
}

static json_t *
users_render(const struct settings_preview *p, struct arena *a, struct err *reterr)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->nusers; i++) {
		size_t n = strcspn(p->users[i], ":");
		const char *name = arena_strndup(a, p->users[i], n);
		const char *hash = p->users[i] + n + (p->users[i][n] == ':');
		if (!is_user_name(name) || !is_bcrypt(hash)) {
			err_set(reterr, EINVAL,
				"preview.basic_auth_file: user %zu cannot be written in a "
				"Caddyfile (letters, digits and ._@+-, and a bcrypt hash)",
				i + 1);
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, json_pack("{s:s,s:s}", "user", name, "hash", hash));
	}
	return list;
}

json_t *
site_guards_render(const struct settings_preview *p, struct arena *a, struct err *reterr)
{
	json_t *networks = networks_render(p, a, reterr);
	json_t *users = networks ? users_render(p, a, reterr) : NULL;

	if (!users) {
		json_decref(networks);
		return NULL;
	}
	return json_pack("{s:b,s:o,s:b,s:o,s:b}", "restricted", p->nallow > 0, "networks", networks,
		"protected", p->nusers > 0, "users", users, "noindex", (int)p->noindex);
}
