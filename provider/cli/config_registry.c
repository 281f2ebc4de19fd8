/* The part of the configuration that says where projects are registered: `registry`. */
#include "provider/cli/config_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "provider/cli/config_database.h"
#include "reconciler/model/host.h"

#define PASSWORD_REMEDY "put it into a file and give url_file or password_file"

/* Of two keys for one thing only one may be there. */
static void
refuse_both(struct config_reader *r, const struct yaml_node *section, const char *one,
	const char *other)
{
	if (config_has(section, one) && config_has(section, other))
		config_refuse(r, yaml_get(section, other),
			arena_printf(r->arena, "both %s and %s", one, other),
			arena_printf(r->arena, "give one of them"));
}

/* -- where the database is -- */

/* The environment's, which other programs use, too: what only they know of it does not matter. */
static const char *
url_from_env(struct config_reader *r, struct arena *a, const char *text)
{
	struct yaml_node at = {.env = "DATABASE_URL"};
	const char *dropped;
	struct err e;
	const char *url = database_url_trim(a, text, &dropped);
	if (dropped[0])
		config_warn(r, &at, arena_printf(r->arena, "libpq knows no parameter %s", dropped),
			"it is left out");
	if (database_url_check(url, &e) == 0)
		return url;
	config_refuse(r, &at, e.text, DATABASE_URL_REMEDY);
	return NULL;
}

static const char *
url_from_file(struct config_reader *r, struct arena *a, const struct yaml_node *section)
{
	const char *url = config_file_text(r, a, section, "url_file");
	struct err e;
	if (!url || database_url_check(url, &e) == 0)
		return url;
	config_refuse(r, yaml_get(section, "url_file"),
		arena_printf(r->arena, "in %s: %s", config_file_path(r, a, section, "url_file"), e.text),
		DATABASE_URL_REMEDY);
	return NULL;
}

static const char *
decode_url(struct config_reader *r, struct arena *a, const struct yaml_node *section)
{
	const struct yaml_node *url = yaml_get(section, "url");
	const char *env = getenv("DATABASE_URL");
	refuse_both(r, section, "url", "url_file");
	if (url && url->kind == YAML_SCALAR && !url->env && !url->variable &&
		database_url_has_password(url->text))
		config_warn(r, url, "a password stands in the configuration", PASSWORD_REMEDY);
	if (url)
		return config_text(a, section, "url");
	if (config_has(section, "url_file"))
		return url_from_file(r, a, section);
	if (env && env[0])
		return url_from_env(r, a, env);
	config_refuse(r, section, "no url", "give url or url_file, or set DATABASE_URL");
	return NULL;
}

static const char *
decode_password_file(struct config_reader *r, struct arena *a, const struct yaml_node *section)
{
	const char *path = config_file_path(r, a, section, "password_file");
	/* It is read anew at every connection, for a password may change. */
	if (path && access(path, R_OK) < 0)
		config_refuse(r, yaml_get(section, "password_file"),
			arena_printf(r->arena, "%s cannot be read: %s", path, strerror(errno)),
			"name a file that the user Waymark runs as can read");
	return path;
}

static void
decode_postgres(struct config_reader *r, const struct yaml_node *section, struct settings *s)
{
	struct settings_registry *g = &s->registry;
	const char *env = getenv("DATABASE_URL");
	g->postgres = config_is_given(section) || (g->mvp && env && env[0]);
	if (!g->postgres || section->kind != YAML_MAP)
		return;
	g->url = decode_url(r, &s->arena, section);
	g->password_file = decode_password_file(r, &s->arena, section);
	refuse_both(r, section, "sql", "sql_file");
	g->sql = config_has(section, "sql") ? config_text(&s->arena, section, "sql")
					    : config_file_text(r, &s->arena, section, "sql_file");
	g->channel = config_text(&s->arena, section, "channel");
	g->poll_ms = (uint32_t)config_milliseconds(section, "interval", g->poll_ms);
}

/* -- */

static bool
lists(const struct yaml_node *list, const char *text)
{
	for (size_t i = 0; list && list->kind == YAML_LIST && i < list->n; i++) {
		const struct yaml_node *item = list->items[i].value;
		if (item->kind == YAML_SCALAR && strcmp(item->text, text) == 0)
			return true;
	}
	return false;
}

static bool
says(struct config_reader *r, const struct yaml_node *section, const char *key, const char *word)
{
	const char *text = config_text(r->arena, section, key);
	return text && strcmp(text, word) == 0;
}

void
config_decode_registry(struct config_reader *r, const struct yaml_node *root, struct settings *s)
{
	const struct yaml_node *section = yaml_get(root, "registry");
	struct settings_registry *g = &s->registry;
	g->directory = config_file_path(r, &s->arena, section, "directory");
	g->dialect = says(r, section, "dialect", "codeb")     ? DIALECT_CODEB
		     : says(r, section, "dialect", "waymark") ? DIALECT_WAYMARK
							      : DIALECT_AUTO;
	g->ignore_unregistered = says(r, section, "unregistered", "ignore");
	g->shrink_after_ms =
		(uint32_t)config_milliseconds(section, "shrink_after", g->shrink_after_ms);
	g->mvp = lists(yaml_get(root, "platforms"), "mvp");
	if (section->kind == YAML_MAP)
		decode_postgres(r, yaml_get(section, "postgres"), s);
}
