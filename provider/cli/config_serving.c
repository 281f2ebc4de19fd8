/* probe, slots, preview, pages and caddy: who is served, and what else is said. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "provider/caddy/site_render.h"
#include "provider/cli/config_decode.h"
#include "provider/status/listen.h"

static uint32_t
number(const struct yaml_node *section, const char *key, uint32_t otherwise)
{
	/* Decimal digits, as milliseconds are. */
	return (uint32_t)config_milliseconds(section, key, otherwise);
}

static void
decode_probe(struct config_reader *r, const struct yaml_node *probe, struct settings *s)
{
	const char *mode = config_text(r->arena, probe, "default");

	s->probe = !mode || strcmp(mode, "connect") == 0;
	s->probe_interval_ms = number(probe, "interval", s->probe_interval_ms);
	s->probe_timeout_ms = number(probe, "timeout", s->probe_timeout_ms);
	s->probe_rise = number(probe, "rise", s->probe_rise);
	s->probe_fall = number(probe, "fall", s->probe_fall);
	s->probe_rate = number(probe, "rate", s->probe_rate);
}

static void
decode_slots(struct config_reader *r, const struct yaml_node *slots, struct settings *s)
{
	const char *rollback = config_text(r->arena, slots, "auto_rollback");
	const char *cleanup = config_text(r->arena, slots, "cleanup");

	s->grace_ms = config_milliseconds(slots, "grace", s->grace_ms);
	s->drain_ms = number(slots, "drain", s->drain_ms);
	s->auto_rollback = !rollback || strcmp(rollback, "none") == 0 ? ROLLBACK_NONE
			   : strcmp(rollback, "route") == 0           ? ROLLBACK_ROUTE
								      : ROLLBACK_RECORD;
	s->auto_cleanup = cleanup && strcmp(cleanup, "auto") == 0;
}

/* "name:hash", with a hash that Traefik and Caddy both know. */
static bool
is_user(const char *line)
{
	const char *colon = strchr(line, ':');
	size_t bcrypt = colon ? strspn(colon + 1, "./$0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						  "abcdefghijklmnopqrstuvwxyz")
			      : 0;

	if (!colon || colon == line || colon[1] != '$' || colon[2] != '2' || bcrypt != 60 ||
		colon[61])
		return false;
	for (const char *c = line; c < colon; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
			return false;
	return true;
}

static void
decode_users(struct config_reader *r, const struct yaml_node *preview, struct settings *s)
{
	const struct yaml_node *at = yaml_get(preview, "basic_auth_file");
	const char *text = config_file_text(r, r->arena, preview, "basic_auth_file");
	size_t n = 0, max = 1, seen = 0;

	for (const char *c = text; c && *c; c++)
		max += *c == '\n';
	const char **users = ARENA_ARRAY(&s->arena, const char *, max);
	while (text && *text) {
		size_t length = strcspn(text, "\r\n");
		const char *user = arena_strndup(&s->arena, text, length);
		text += length;
		text += strspn(text, "\r\n");
		if (!*user || *user == '#')
			continue;
		seen++;
		if (is_user(user))
			users[n++] = user;
		else
			config_refuse(r, at,
				arena_printf(r->arena,
					"entry %zu of the file is not a user with a bcrypt hash",
					seen),
				"make the file with `htpasswd -B`");
	}
	if (text && !seen)
		config_refuse(r, at, "no user is in it, so nobody could get in",
			"make the file with `htpasswd -B`, or take the key away");
	s->preview.nusers = n;
	s->preview.users = users;
}

static void
decode_preview(struct config_reader *r, const struct yaml_node *preview, struct settings *s)
{
	if (preview->kind != YAML_MAP)
		return;
	s->preview.noindex = config_true(preview, "noindex");
	s->preview.nallow = config_texts(&s->arena, preview, "allow", &s->preview.allow);
	decode_users(r, preview, s);
}

static bool
is_any(const struct listen_address *a)
{
	if (a->sa.any.sa_family == AF_INET)
		return a->sa.v4.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&a->sa.v6.sin6_addr);
}

/* Would one of them be in the other's way?  Port 0 is one that is free. */
static bool
listens_clash(const char *one, const char *other)
{
	struct listen_address a, b;
	struct err e;

	if (listen_parse(one, &a, &e) < 0 || listen_parse(other, &b, &e) < 0 ||
		a.sa.any.sa_family != b.sa.any.sa_family || a.sa.any.sa_family == AF_UNIX)
		return false;
	/* The port stands at the same place in both. */
	if (!a.sa.v4.sin_port || a.sa.v4.sin_port != b.sa.v4.sin_port)
		return false;
	return is_any(&a) || is_any(&b) || memcmp(&a.sa, &b.sa, a.len) == 0;
}

static void
check_pages_listen(struct config_reader *r, const struct yaml_node *pages, const struct config *c)
{
	for (size_t i = 0; i < c->nlisten; i++)
		if (listens_clash(c->pages_listen, c->listen[i]))
			config_refuse(r, yaml_get(pages, "listen"),
				arena_printf(r->arena, "`listen` has %s already", c->listen[i]),
				"give the pages a port of their own, such as 127.0.0.1:9181");
}

static void
decode_pages(struct config_reader *r, const struct yaml_node *pages, struct config *c)
{
	if (pages->kind != YAML_MAP || !config_is_given(pages))
		return;
	c->pages_listen = config_text(&c->arena, pages, "listen");
	c->pages_directory = config_file_path(r, &c->arena, pages, "directory");
	c->settings->pages_url = config_text(&c->settings->arena, pages, "url");
	if (c->pages_listen)
		check_pages_listen(r, pages, c);
	if (!c->pages_listen || c->settings->pages_url)
		return;
	if (strncmp(c->pages_listen, "unix:", 5) == 0)
		config_refuse(r, yaml_get(pages, "listen"), "no proxy can be sent to a unix socket",
			"listen on an address, such as 127.0.0.1:9181");
	c->settings->pages_url = arena_printf(&c->settings->arena, "http://%s", c->pages_listen);
}

static void
check_template(struct config_reader *r, const struct yaml_node *caddy, const char *text)
{
	struct site_template *t;
	struct err e;

	if (!text)
		return;
	t = site_template_parse(text, &e);
	if (!t)
		config_refuse(r, yaml_get(caddy, "template"), arena_strdup(r->arena, e.text),
			"mend the template; templates/README.md lists what may stand in one");
	site_template_destroy(t);
}

static void
decode_caddy(struct config_reader *r, const struct yaml_node *caddy, struct settings *s)
{
	if (!caddy || caddy->kind != YAML_MAP || !config_is_given(caddy))
		return;
	if (config_text(r->arena, caddy, "write") &&
		strcmp(config_text(r->arena, caddy, "write"), "never") == 0)
		config_warn(r, yaml_get(caddy, "write"), "not supported by this version",
			"nothing is written, and nothing watched");
	struct settings_caddy *c = ARENA_NEW(&s->arena, struct settings_caddy);
	const char *write = config_text(r->arena, caddy, "write");

	*c = (struct settings_caddy){
		.name = config_text(&s->arena, caddy, "name"),
		.sites = config_file_path(r, &s->arena, caddy, "sites"),
		.caddyfile = config_file_path(r, &s->arena, caddy, "caddyfile"),
		.admin = config_text(&s->arena, caddy, "admin"),
		.template = config_file_text(r, &s->arena, caddy, "template"),
		.tls = config_true(caddy, "tls"),
		.write = !write || strcmp(write, "always") == 0,
		.reload_share = number(caddy, "reload_share", 20),
		.stream_close_delay_ms = number(caddy, "stream_close_delay", 0),
	};
	check_template(r, caddy, c->template);
	s->caddy = c->write ? c : NULL;
}

void
config_decode_serving(struct config_reader *r, const struct yaml_node *root, struct config *c)
{
	decode_probe(r, yaml_get(root, "probe"), c->settings);
	decode_slots(r, yaml_get(root, "slots"), c->settings);
	decode_preview(r, yaml_get(root, "preview"), c->settings);
	decode_pages(r, yaml_get(root, "pages"), c);
	decode_caddy(r, yaml_get(root, "caddy"), c->settings);
	c->settings->traefik.aside =
		c->settings->caddy && !config_is_given(yaml_get(root, "traefik"));
}
