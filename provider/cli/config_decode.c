#include "provider/cli/config_decode.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "provider/status/listen.h"
#include "reconciler/model/host.h"
#include "reconciler/registry/registry_dir.h"
#include "reconciler/registry/registry_pg.h"

bool
config_has(const struct yaml_node *section, const char *key)
{
	return section && yaml_get(section, key);
}

const char *
config_text(struct arena *a, const struct yaml_node *section, const char *key)
{
	const struct yaml_node *node = section ? yaml_get(section, key) : NULL;
	return node && node->kind == YAML_SCALAR ? arena_strdup(a, node->text) : NULL;
}

size_t
config_texts(
	struct arena *a, const struct yaml_node *section, const char *key, const char *const **ret)
{
	const struct yaml_node *list = section ? yaml_get(section, key) : NULL;
	size_t n = 0, max = list && list->kind == YAML_LIST ? list->n : 0;
	const char **texts = ARENA_ARRAY(a, const char *, max);
	for (size_t i = 0; i < max; i++)
		if (list->items[i].value->kind == YAML_SCALAR)
			texts[n++] = arena_strdup(a, list->items[i].value->text);
	*ret = texts;
	return n;
}

uint64_t
config_milliseconds(const struct yaml_node *section, const char *key, uint64_t otherwise)
{
	const struct yaml_node *node = section ? yaml_get(section, key) : NULL;
	return node && node->kind == YAML_SCALAR ? strtoull(node->text, NULL, 10) : otherwise;
}

bool
config_true(const struct yaml_node *section, const char *key)
{
	const struct yaml_node *node = section ? yaml_get(section, key) : NULL;
	return node && node->kind == YAML_SCALAR && strcmp(node->text, "true") == 0;
}

const char *
config_file_path(
	struct config_reader *r, struct arena *a, const struct yaml_node *section, const char *key)
{
	const char *path = config_text(a, section, key), *slash = strrchr(r->file, '/');
	if (!path || path[0] == '/' || !slash || yaml_get(section, key)->env)
		return path;
	return arena_printf(a, "%.*s/%s", (int)(slash - r->file), r->file, path);
}

const char *
config_file_text(
	struct config_reader *r, struct arena *a, const struct yaml_node *section, const char *key)
{
	static const char blanks[] = " \t\r\n";
	const struct yaml_node *at = yaml_get(section, key);
	const char *path = config_file_path(r, a, section, key), *what = NULL;
	if (!path)
		return NULL;
	size_t n = 0;
	char *bytes = config_file_read(path, &n);
	if (!bytes)
		what = arena_printf(r->arena, "%s cannot be read: %s", path, strerror(errno));
	else if (memchr(bytes, '\0', n))
		what = arena_printf(r->arena, "%s is not a text: a NUL is in it", path);
	const char *text = bytes ? arena_strndup(a, bytes, n) : "";
	free(bytes);
	text += strspn(text, blanks);
	n = strlen(text);
	while (n > 0 && strchr(blanks, text[n - 1]))
		n--;
	if (!what && n == 0)
		what = arena_printf(r->arena, "%s is empty", path);
	if (!what)
		return arena_strndup(a, text, n);
	config_refuse(r, at, what, "name a file that the user Waymark runs as can read");
	return NULL;
}

bool
config_is_given(const struct yaml_node *node)
{
	return node && (node->line > 0 || node->env);
}

/* How many elements, each a section, a list has; what was refused is one, too. */
static size_t
count_of(const struct yaml_node *list)
{
	return list && list->kind == YAML_LIST ? list->n : 0;
}

static void
require(struct config_reader *r, const struct yaml_node *section, const char *key,
	const char *remedy)
{
	if (section->kind == YAML_MAP && !yaml_get(section, key))
		config_refuse(r, section, arena_printf(r->arena, "%s is missing", key), remedy);
}

/* Is there a section before the i-th with the same text at key? */
static bool
is_repeated(const struct yaml_node *list, size_t i, const char *key)
{
	const struct yaml_node *mine = yaml_get(list->items[i].value, key);
	for (size_t k = 0; mine && mine->kind == YAML_SCALAR && k < i; k++) {
		const struct yaml_node *other = yaml_get(list->items[k].value, key);
		if (other && other->kind == YAML_SCALAR && strcmp(other->text, mine->text) == 0)
			return true;
	}
	return false;
}

static void
refuse_repeated(struct config_reader *r, const struct yaml_node *list, size_t i, const char *key)
{
	if (is_repeated(list, i, key))
		config_refuse(r, yaml_get(list->items[i].value, key),
			arena_printf(r->arena, "the %s stands twice", key), "give each its own");
}

/* -- listen, tokens -- */

static void
check_listen(struct config_reader *r, const struct yaml_node *list, bool tokens)
{
	for (size_t i = 0; i < count_of(list); i++) {
		const struct yaml_node *item = list->items[i].value;
		struct listen_address address;
		for (size_t k = 0; k < i && item->kind == YAML_SCALAR; k++)
			if (list->items[k].value->kind == YAML_SCALAR &&
				strcmp(list->items[k].value->text, item->text) == 0)
				config_refuse(r, item, "the address stands twice", "list it once");
		if (item->kind != YAML_SCALAR || tokens ||
			listen_parse(item->text, &address, NULL) < 0 || address.local)
			continue;
		config_refuse(r, item,
			arena_printf(r->arena,
				"%s is not loopback, and there are no tokens to tell who may ask",
				item->text),
			"add `tokens`, or listen on 127.0.0.1 or a unix socket");
	}
	if (list && list->kind == YAML_LIST && list->n == 0)
		config_refuse(r, list, "there is no address to listen on",
			"give one, such as 127.0.0.1:9180");
}

static void
hex_decode(const char *hex, unsigned char ret[32])
{
	for (size_t i = 0; i < 32; i++)
		ret[i] = (unsigned char)strtoul(
			(const char[]){hex[2 * i], hex[2 * i + 1], '\0'}, NULL, 16);
}

static void
decode_tokens(struct config_reader *r, const struct yaml_node *list, struct config *c)
{
	size_t n = count_of(list);
	struct config_token *tokens = ARENA_ARRAY(&c->arena, struct config_token, n);
	for (size_t i = 0; i < n; i++) {
		const struct yaml_node *token = list->items[i].value;
		const char *role = config_text(r->arena, token, "role");
		const char *sha256 = config_text(r->arena, token, "sha256");
		require(r, token, "name", "name it, for the log");
		require(r, token, "role", "give it one of viewer, provider");
		require(r, token, "sha256", "write what `printf %s TOKEN | sha256sum` prints");
		refuse_repeated(r, list, i, "name");
		refuse_repeated(r, list, i, "sha256");
		tokens[i].name = config_text(&c->arena, token, "name");
		tokens[i].role =
			role && strcmp(role, "provider") == 0 ? TOKEN_PROVIDER : TOKEN_VIEWER;
		if (sha256)
			hex_decode(sha256, tokens[i].sha256);
	}
	c->ntokens = n;
	c->tokens = tokens;
}

static int
word_index(const char *text, const char *const *words)
{
	for (int i = 0; text && words[i]; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	return 0;
}

static void
decode_program(struct config_reader *r, const struct yaml_node *root, struct config *c)
{
	static const char *const formats[] = {
		[LOG_TEXT] = "text", [LOG_JSON] = "json", [LOG_JOURNAL] = "journal", NULL};
	static const char *const levels[] = {[LOG_ERROR] = "error",
		[LOG_WARN] = "warn",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
		NULL};
	const struct yaml_node *log = yaml_get(root, "log");

	c->nlisten = config_texts(&c->arena, root, "listen", &c->listen);
	c->state_dir = config_text(&c->arena, root, "state_dir");
	c->log_format = (enum log_format)word_index(config_text(r->arena, log, "format"), formats);
	c->log_level = (enum log_level)word_index(config_text(r->arena, log, "level"), levels);
	decode_tokens(r, yaml_get(root, "tokens"), c);
	check_listen(r, yaml_get(root, "listen"), config_has(root, "tokens") && c->ntokens > 0);
}

/* -- engines -- */

static void
check_engine(
	struct config_reader *r, const struct yaml_node *section, const struct settings_engine *e)
{
	static const char *const files[] = {"ca_file", "cert_file", "key_file"};
	bool https = !e->host || strncmp(e->host, "https://", 8) == 0;
	bool local = !e->host || strncmp(e->host, "unix://", 7) == 0;
	require(r, section, "name", "name it, for logs and problems");
	require(r, section, "host", "say where it listens, such as unix:///var/run/docker.sock");
	for (size_t i = 0; !https && i < sizeof(files) / sizeof(files[0]); i++)
		if (config_has(section, files[i]))
			config_refuse(r, yaml_get(section, files[i]),
				"a certificate's file, but the engine is not reached by https",
				"write the engine's host as https://, or take the file away");
	if (config_has(section, "cert_file") != config_has(section, "key_file"))
		config_refuse(r, section, "one of cert_file and key_file without the other",
			"give both or none");
	if (e->published && !local && !config_has(section, "address"))
		config_refuse(r, section, "reach: published without address",
			"give the address on which the engine's machine publishes ports");
}

/* Sources are told apart by their names. */
static void
refuse_registry(struct config_reader *r, const struct yaml_node *section, const char *name)
{
	if (name && (strcmp(name, REGISTRY_DIR_NAME) == 0 || strcmp(name, REGISTRY_PG_NAME) == 0))
		config_refuse(r, yaml_get(section, "name"),
			arena_printf(r->arena, "%s is the name of a registry", name),
			"give the engine another name");
}

static void
decode_engines(struct config_reader *r, const struct yaml_node *list, struct settings *s)
{
	struct arena *a = &s->arena;
	size_t n = count_of(list);
	struct settings_engine *engines = ARENA_ARRAY(a, struct settings_engine, n);
	for (size_t i = 0; i < n; i++) {
		const struct yaml_node *section = list->items[i].value;
		const char *reach = config_text(r->arena, section, "reach");
		engines[i] = (struct settings_engine){
			.name = config_text(a, section, "name"),
			.host = config_text(a, section, "host"),
			.ca_file = config_text(a, section, "ca_file"),
			.cert_file = config_text(a, section, "cert_file"),
			.key_file = config_text(a, section, "key_file"),
			.network = config_text(a, section, "network"),
			.published = reach && strcmp(reach, "published") == 0,
			.address = config_text(a, section, "address"),
		};
		check_engine(r, section, &engines[i]);
		refuse_repeated(r, list, i, "name");
		refuse_registry(r, section, engines[i].name);
		/* An engine of this machine publishes its ports here. */
		if (engines[i].published && !engines[i].address)
			engines[i].address = "127.0.0.1";
	}
	s->nengines = n;
	s->engines = engines;
}

/* -- hosts -- */

static bool
is_environment(const char *name)
{
	size_t n = strlen(name);
	return n > 0 && n <= 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}

static void
decode_urls(struct config_reader *r, const struct yaml_node *section, struct settings *s)
{
	const struct {
		const char *key;
		const char **member;
	} known[] = {
		{"production", &s->urls.production},
		{"staging", &s->urls.staging},
		{"preview", &s->urls.preview},
		{"slot", &s->urls.slot},
		{"service", &s->urls.service},
	};
	size_t max = section->kind == YAML_MAP ? section->n : 0, n = 0;
	struct settings_url *others = ARENA_ARRAY(&s->arena, struct settings_url, max);
	for (size_t i = 0; i < max; i++) {
		const struct yaml_item *item = &section->items[i];
		const char *template = config_text(&s->arena, section, item->key);
		const char **member = NULL;
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (strcmp(known[k].key, item->key) == 0)
				member = known[k].member;
		if (!member && !is_environment(item->key))
			config_refuse(r, item->value, "not the name of an environment",
				"use at most 32 of a-z and 0-9");
		if (member && template)
			*member = template;
		else if (template)
			others[n++] =
				(struct settings_url){arena_strdup(&s->arena, item->key), template};
	}
	s->urls.nothers = n;
	s->urls.others = others;
}

static void
decode_static(struct config_reader *r, const struct yaml_item *item, struct settings_static *ret,
	struct arena *a)
{
	const struct yaml_node *section = item->value;
	struct err e;
	if (host_parse(a, item->key, &ret->host, &e) < 0)
		config_refuse(r, section, e.text, "write a host name such as ws.codeb.kr");
	ret->nupstreams = config_texts(a, section, "upstreams", &ret->upstreams);
	ret->naddresses = config_texts(a, section, "address", &ret->addresses);
	if (section->kind == YAML_MAP && count_of(yaml_get(section, "upstreams")) == 0 &&
		count_of(yaml_get(section, "address")) == 0)
		config_refuse(r, section, "neither upstreams nor address",
			"say where its requests go, as upstreams: [http://10.0.0.5:8000]");
}

static void
decode_statics(struct config_reader *r, const struct yaml_node *section, struct settings *s)
{
	size_t n = section->kind == YAML_MAP ? section->n : 0;
	struct settings_static *statics = ARENA_ARRAY(&s->arena, struct settings_static, n);
	for (size_t i = 0; i < n; i++) {
		decode_static(r, &section->items[i], &statics[i], &s->arena);
		for (size_t k = 0; k < i && statics[i].host; k++)
			if (statics[k].host && strcmp(statics[k].host, statics[i].host) == 0)
				config_refuse(r, section->items[i].value, "the host stands twice",
					"put both into one");
	}
	s->nstatics = n;
	s->statics = statics;
}

static void
decode_hosts(struct config_reader *r, const struct yaml_node *root, struct settings *s)
{
	const char *base = config_text(&s->arena, root, "base_domain");
	if (base)
		s->base_domain = base;
	s->any_domain = !config_has(root, "allowed_domains") && !settings_has_registry(s);
	s->nallowed = config_texts(&s->arena, root, "allowed_domains", &s->allowed_domains);
	s->nreserved = config_texts(&s->arena, root, "reserved", &s->reserved);
	decode_urls(r, yaml_get(root, "urls"), s);
	decode_statics(r, yaml_get(root, "static"), s);
}

/* -- Traefik -- */

static void
decode_domains(struct config_reader *r, const struct yaml_node *list, struct settings *s)
{
	size_t n = count_of(list);
	struct settings_tls_domain *domains = ARENA_ARRAY(&s->arena, struct settings_tls_domain, n);
	for (size_t i = 0; i < n; i++) {
		const struct yaml_node *section = list->items[i].value;
		require(r, section, "main", "give the certificate's first name");
		domains[i].main = config_text(&s->arena, section, "main");
		domains[i].nsans = config_texts(&s->arena, section, "sans", &domains[i].sans);
	}
	s->traefik.ndomains = n;
	s->traefik.domains = domains;
}

static void
decode_tls(struct config_reader *r, const struct yaml_node *tls, struct settings *s)
{
	struct settings_traefik *t = &s->traefik;
	const struct yaml_node *certificate = yaml_get(tls, "default_certificate");
	t->resolver = config_text(&s->arena, tls, "resolver");
	t->default_cert_file = config_text(&s->arena, certificate, "cert_file");
	t->default_key_file = config_text(&s->arena, certificate, "key_file");
	decode_domains(r, yaml_get(tls, "domains"), s);
	if (certificate &&
		config_has(certificate, "cert_file") != config_has(certificate, "key_file"))
		config_refuse(r, certificate, "one of cert_file and key_file without the other",
			"give both or none");
	if (t->ndomains > 0 && !config_has(tls, "resolver"))
		config_warn(r, yaml_get(tls, "domains"),
			"without a resolver nobody gets these certificates",
			"Traefik uses those that it has");
	if (t->nhttps == 0 && (t->resolver || t->default_cert_file || t->ndomains > 0))
		config_warn(r, tls, "without traefik.https there are no TLS routers",
			"nothing uses it");
}

static void
decode_traefik(struct config_reader *r, const struct yaml_node *section, struct settings *s)
{
	struct settings_traefik *t = &s->traefik;
	if (section->kind != YAML_MAP)
		return;
	const char *name = config_text(&s->arena, section, "name");
	if (name)
		t->name = name;
	t->nhttp = config_texts(&s->arena, section, "http", &t->http);
	t->nhttps = config_texts(&s->arena, section, "https", &t->https);
	t->redirect = config_true(section, "redirect");
	t->push = config_text(&s->arena, section, "push");
	t->api = config_text(&s->arena, section, "api");
	if (count_of(yaml_get(section, "http")) == 0)
		config_refuse(r, yaml_get(section, "http"), "there is no entry point for http",
			"name at least one, such as web");
	decode_tls(r, yaml_get(section, "tls"), s);
}

void
config_decode(struct config_reader *r, const struct yaml_node *root, struct config *c)
{
	assert(root->kind == YAML_MAP);
	decode_program(r, root, c);
	decode_engines(r, yaml_get(root, "engines"), c->settings);
	config_decode_registry(r, root, c->settings);
	decode_hosts(r, root, c->settings);
	config_decode_serving(r, root, c);
	config_decode_conventions(r, root, c->settings);
	decode_traefik(r, yaml_get(root, "traefik"), c->settings);
}
