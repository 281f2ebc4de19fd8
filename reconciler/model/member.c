#include "reconciler/model/member.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/utf8.h"
#include "reconciler/model/host.h"
#include "reconciler/model/slug.h"
#include "reconciler/model/url.h"

/* The longest name of a Git branch that a file system can hold. */
#define BRANCH_MAX 255
#define QUOTE_MAX 60
#define NAME_MAX_OCTETS 128

/* A member while it is being read. */
struct reader {
	const struct settings *settings;
	const struct endpoint *endpoint;
	struct member *m;
	struct arena scratch; /* for what is not kept */
	struct convention_reading reading;
	struct member_host hosts[MEMBER_HOSTS_MAX + 1]; /* and a slot's own */
};

const char *
text_quote(struct arena *a, const char *text)
{
	size_t n = strlen(text), at = 0;
	struct buf b = {0};

	buf_add(&b, "'", 1);
	while (at < n && at < QUOTE_MAX) {
		uint32_t c;
		size_t len = utf8_decode(text + at, n - at, &c);
		if (!len || c < 0x20 || (c >= 0x7f && c < 0xa0))
			buf_adds(&b, "\xef\xbf\xbd");
		else
			buf_add(&b, text + at, len);
		at += len ? len : 1;
	}
	buf_adds(&b, at < n ? "…'" : "'");

	const char *quoted = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return quoted;
}

const char *
member_object(struct arena *a, const struct endpoint *e)
{
	return arena_printf(a, "container %s on %s", *e->name ? e->name : e->id, e->engine);
}

const char *
origin_text(struct arena *a, const struct convention_origin *from)
{
	return arena_printf(a, "%s%s", from->kind, from->name);
}

/* A field that was not said is named by the label that would say it. */
static const char *
field_text(struct reader *r, enum convention_field f)
{
	const struct convention_origin *from = &r->reading.field[f].from;

	return from->kind
		       ? origin_text(&r->m->arena, from)
		       : arena_printf(&r->m->arena, "label waymark.%s", convention_field_text(f));
}

/* The field is FIELD_COUNT where none is to blame. */
static void
complain(struct reader *r, enum problem_code code, enum convention_field f, const char *host,
	const char *what, const char *remedy)
{
	struct arena *a = &r->m->arena;
	const char *field = f == FIELD_COUNT ? NULL : field_text(r, f);

	problem_add(&r->m->problems, &(struct problem){.code = code,
					     .object = member_object(a, r->endpoint),
					     .field = field,
					     .what = what,
					     .remedy = remedy,
					     .project = r->m->group.project,
					     .host = host});
}

static const char *
value_of(const struct reader *r, enum convention_field f)
{
	return r->reading.field[f].value;
}

/* A field that must be a word of a-z and 0-9, as it stands in host names. */
static const char *
read_word(struct reader *r, enum convention_field f, const char *otherwise)
{
	const char *text = value_of(r, f);
	if (!text || !*text)
		return otherwise;

	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
	if (!text[n] && n <= 32)
		return text;
	complain(r, PROBLEM_LABEL_INVALID, f, NULL,
		arena_printf(&r->m->arena, "%s is not a name of at most 32 of a-z and 0-9",
			text_quote(&r->m->arena, text)),
		"use lower-case letters and digits only");
	r->m->claims = false;
	return otherwise;
}

/* A project or service: anything of which a host label can be made. */
static const char *
read_name(struct reader *r, enum convention_field f)
{
	const char *text = value_of(r, f);
	char label[HOST_LABEL_MAX + 1];

	if (!text || !*text)
		return "";
	if (strlen(text) <= NAME_MAX_OCTETS && slug_name(text, label, sizeof(label)))
		return text;
	complain(r, PROBLEM_LABEL_INVALID, f, NULL,
		arena_printf(&r->m->arena, "no host label of at most 63 octets can be made of %s",
			text_quote(&r->m->arena, text)),
		"use letters, digits and hyphens, and fewer of them");
	r->m->claims = false;
	return strlen(text) <= NAME_MAX_OCTETS ? text
					       : arena_strndup(&r->m->arena, text, NAME_MAX_OCTETS);
}

static bool
read_bool(struct reader *r, enum convention_field f, bool otherwise)
{
	const char *text = value_of(r, f);
	struct err e;
	bool value = otherwise;

	if (text && *text && bool_parse(text, &value, &e) < 0)
		complain(r, PROBLEM_LABEL_INVALID, f, NULL, arena_strdup(&r->m->arena, e.text),
			"write true or false");
	return value;
}

static void
read_identity(struct reader *r)
{
	struct member *m = r->m;

	m->group.project = read_name(r, FIELD_PROJECT);
	if (!*m->group.project) {
		m->group.project = *r->endpoint->name ? r->endpoint->name : r->endpoint->id;
		m->claims = false;
		complain(r, PROBLEM_LABEL_INVALID, FIELD_PROJECT, NULL,
			"it cannot be told which project the container belongs to",
			"set the label waymark.project");
	}
	m->group.service = read_name(r, FIELD_SERVICE);
	m->group.environment = read_word(r, FIELD_ENVIRONMENT, "production");
	m->slot = read_word(r, FIELD_SLOT, "");
	m->group.branch = "";

	const char *branch = value_of(r, FIELD_BRANCH);
	if (!branch || !*branch)
		return;
	m->group.branch = branch;
	m->group.environment = "preview";
	if (strlen(branch) > BRANCH_MAX)
		complain(r, PROBLEM_BRANCH_TOO_LONG, FIELD_BRANCH, NULL,
			arena_printf(&m->arena,
				"%s has %zu octets, and no Git branch can have more than %d",
				text_quote(&m->arena, branch), strlen(branch), BRANCH_MAX),
			"the URL has a cut label; `waymark url` prints it; use a shorter branch "
			"name");
}

static enum route_kind
kind_of(const struct member *m)
{
	return *m->group.branch || strcmp(m->group.environment, "preview") == 0 ? ROUTE_PREVIEW
										: ROUTE_PRODUCTION;
}

static bool
is_allowed(const struct settings *s, const char *host)
{
	if (s->any_domain || host_is_under(host, s->base_domain))
		return true;
	for (size_t i = 0; i < s->nallowed; i++)
		if (host_is_under(host, s->allowed_domains[i]))
			return true;
	return false;
}

static bool
host_may_be_claimed(struct reader *r, const char *host, enum convention_field field)
{
	struct arena *a = &r->m->arena;

	if (settings_reserves(r->settings, host)) {
		complain(r, PROBLEM_HOST_RESERVED, field, host,
			arena_printf(a, "%s is reserved", host),
			"choose another name, or take it off `reserved` in the configuration");
		return false;
	}
	if (!is_allowed(r->settings, host)) {
		complain(r, PROBLEM_HOST_FORBIDDEN, field, host,
			arena_printf(a, "%s is neither under %s nor under an allowed domain", host,
				r->settings->base_domain),
			"use a host under base_domain, or add its domain to `allowed_domains`");
		return false;
	}
	return true;
}

static const char *
derive(struct reader *r, const char *slot, bool suffixed, enum convention_field field)
{
	struct member *m = r->m;
	struct url_parts parts = {
		.project = m->group.project,
		.environment = m->group.environment,
		.branch = *m->group.branch ? m->group.branch : NULL,
		.slot = slot,
		.service = *m->group.service ? m->group.service : NULL,
		.suffixed = suffixed,
		.codi = m->codi_branches,
	};
	const char *host;
	struct err e;

	if (url_host(&r->scratch, r->settings, &parts, &host, &e) < 0) {
		complain(r, PROBLEM_HOST_INVALID, field, NULL, arena_strdup(&m->arena, e.text),
			"shorten the names it is made of, or the template under `urls`");
		return NULL;
	}
	return host_may_be_claimed(r, host, field) ? arena_strdup(&m->arena, host) : NULL;
}

static void
add_host(struct reader *r, const char *host, enum convention_field field, enum route_kind kind)
{
	for (size_t i = 0; i < r->m->nhosts; i++)
		if (strcmp(r->hosts[i].host, host) == 0)
			return;
	r->hosts[r->m->nhosts++] =
		(struct member_host){host, r->reading.field[field].from, kind == ROUTE_SLOT, kind};
}

static void
read_host(struct reader *r, const char *text, size_t n)
{
	struct arena *a = &r->m->arena;
	const char *host;
	struct err e;

	if (host_parse(a, arena_strndup(a, text, n), &host, &e) < 0)
		complain(r, PROBLEM_HOST_INVALID, FIELD_HOST, NULL, arena_strdup(a, e.text),
			"write host names, separated by commas, without scheme, port or path");
	else if (host_may_be_claimed(r, host, FIELD_HOST))
		add_host(r, host, FIELD_HOST, r->m->kind);
}

/* "a.example, b.example" */
static void
read_host_list(struct reader *r)
{
	const char *at = value_of(r, FIELD_HOST);
	size_t n = 0;

	while (at && *at) {
		at += strspn(at, ", \t");
		size_t len = strcspn(at, ",");
		while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
			len--;
		if (len && n++ == MEMBER_HOSTS_MAX) {
			complain(r, PROBLEM_HOST_QUOTA, FIELD_HOST, NULL,
				"it names more than 64 hosts; the first 64 are taken",
				"spread the hosts over several containers");
			return;
		}
		if (len)
			read_host(r, at, len);
		at += strcspn(at, ",");
	}
}

static void
read_hosts(struct reader *r)
{
	struct member *m = r->m;
	enum convention_field field = *m->group.branch ? FIELD_BRANCH : FIELD_PROJECT;

	m->derived_from = r->reading.field[field].from;
	m->derived = derive(r, NULL, false, field);
	if (m->derived && *m->group.branch && !m->codi_branches)
		m->derived_suffixed = derive(r, NULL, true, field);
	if (*m->slot) {
		const char *host = derive(r, m->slot, false, FIELD_SLOT);
		if (host)
			add_host(r, host, FIELD_SLOT, ROUTE_SLOT);
	}
	read_host_list(r);

	m->hosts = ARENA_ARRAY(&m->arena, struct member_host, m->nhosts);
	memcpy(m->hosts, r->hosts, m->nhosts * sizeof(*m->hosts));
}

static void
read_path(struct reader *r)
{
	const char *text = value_of(r, FIELD_PATH);
	struct err e;

	r->m->path = "";
	if (text && *text && path_parse(&r->m->arena, text, &r->m->path, &e) < 0) {
		complain(r, PROBLEM_LABEL_INVALID, FIELD_PATH, NULL,
			arena_strdup(&r->m->arena, e.text),
			"write a path such as /api, of letters, digits and -._~");
		r->m->claims = false;
	}
	r->m->strip = read_bool(r, FIELD_STRIP, false);
	r->m->sticky = read_bool(r, FIELD_STICKY, false);
}

static const char *
ports_text(struct arena *a, const struct endpoint *e)
{
	const char *text = NULL;
	for (size_t i = 0; i < e->nports; i++)
		if (e->ports[i].tcp && (!i || e->ports[i].port != e->ports[i - 1].port))
			text = text ? arena_printf(a, "%s, %u", text, e->ports[i].port)
				    : arena_printf(a, "%u", e->ports[i].port);
	return text;
}

/* The only exposed TCP port. */
static uint16_t
guess_port(struct reader *r)
{
	const struct endpoint *e = r->endpoint;
	struct arena *a = &r->m->arena;
	uint16_t port = 0;
	bool several = false;

	for (size_t i = 0; i < e->nports; i++) {
		if (!e->ports[i].tcp)
			continue;
		several = several || (port && port != e->ports[i].port);
		port = e->ports[i].port;
	}
	if (port && !several)
		return port;
	complain(r, PROBLEM_PORT_UNKNOWN, FIELD_PORT, NULL,
		several ? arena_printf(
				  a, "the container exposes several ports: %s", ports_text(a, e))
			: "the container exposes no port, and no label names one",
		"set the label waymark.port to the port that the container listens on");
	return 0;
}

static uint16_t
read_port(struct reader *r)
{
	const char *text = value_of(r, FIELD_PORT);
	uint16_t port;
	struct err e;

	if (!text || !*text)
		return guess_port(r);
	if (port_parse(text, &port, &e) == 0)
		return port;
	complain(r, PROBLEM_LABEL_INVALID, FIELD_PORT, NULL, arena_strdup(&r->m->arena, e.text),
		"write a port from 1 to 65535");
	return 0;
}

static const char *
read_scheme(struct reader *r)
{
	static const char *const known[] = {"http", "https", "h2c"};
	const char *text = value_of(r, FIELD_SCHEME);

	if (!text || !*text)
		return "http";
	for (size_t i = 0; i < 3; i++)
		if (strcmp(text, known[i]) == 0)
			return text;
	complain(r, PROBLEM_LABEL_INVALID, FIELD_SCHEME, NULL,
		arena_printf(&r->m->arena, "%s is not a scheme", text_quote(&r->m->arena, text)),
		"write http, https or h2c");
	return NULL;
}

static const struct endpoint_network *
network_find(const struct endpoint *e, const char *name)
{
	for (size_t i = 0; i < e->nnetworks; i++)
		if (strcmp(e->networks[i].name, name) == 0)
			return &e->networks[i];
	return NULL;
}

static const struct endpoint_network *
network_first(const struct endpoint *e)
{
	for (size_t i = 0; i < e->nnetworks; i++)
		if (e->networks[i].ipv4 || e->networks[i].ipv6)
			return &e->networks[i];
	return NULL;
}

/* The network a label names, else the engine's configured one, else the first by name that has an
 * address: never the engine's order, which changes. */
static const char *
network_address(struct reader *r, const struct settings_engine *engine)
{
	const struct endpoint *e = r->endpoint;
	struct arena *a = &r->m->arena;
	const char *label = value_of(r, FIELD_NETWORK);
	const char *wanted = label && *label ? label : engine ? engine->network : NULL;
	enum convention_field field = label && *label ? FIELD_NETWORK : FIELD_COUNT;
	const struct endpoint_network *n = wanted ? network_find(e, wanted) : network_first(e);

	if (n && (n->ipv4 || n->ipv6))
		return n->ipv4 ? n->ipv4 : n->ipv6;
	/* A container that just started or stops has none for a moment; only a lasting lack counts.
	 */
	if (e->state != ENDPOINT_RUNNING)
		return NULL;
	if (strcmp(e->network_mode, "host") == 0 ||
		strncmp(e->network_mode, "container:", 10) == 0 ||
		strcmp(e->network_mode, "none") == 0)
		complain(r, PROBLEM_NETWORK_MISSING, field, NULL,
			arena_printf(a, "its network mode is %s", text_quote(a, e->network_mode)),
			"put it on a bridge network that the proxy is on, too");
	else if (wanted)
		complain(r, PROBLEM_NETWORK_MISSING, field, NULL,
			arena_printf(a, "it has no address on network %s", text_quote(a, wanted)),
			"connect the container to that network, or name another one");
	else
		complain(r, PROBLEM_NETWORK_MISSING, field, NULL,
			"it has no address on any network",
			"connect the container to a network that the proxy is on, too");
	return NULL;
}

static uint16_t
published_port(struct reader *r, uint16_t port)
{
	const struct endpoint *e = r->endpoint;
	for (size_t i = 0; i < e->nports; i++)
		if (e->ports[i].tcp && e->ports[i].port == port && e->ports[i].published)
			return e->ports[i].published;
	if (e->state == ENDPOINT_RUNNING)
		complain(r, PROBLEM_PORT_UNPUBLISHED, FIELD_COUNT, NULL,
			arena_printf(&r->m->arena, "port %u is not published on the host", port),
			"publish it (-p), or set `reach: network` for this engine");
	return 0;
}

static void
read_server(struct reader *r)
{
	struct member *m = r->m;
	const struct settings_engine *engine =
		settings_engine_find(r->settings, r->endpoint->engine);
	const char *scheme = read_scheme(r);
	uint16_t port = read_port(r);

	if (!port || !scheme)
		return;
	m->published = engine && engine->published;
	if (m->published) {
		m->address = engine->address;
		port = published_port(r, port);
	} else {
		m->address = network_address(r, engine);
	}
	if (!m->address || !port)
		return;
	m->port = port;
	m->url = arena_printf(&m->arena, strchr(m->address, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
		scheme, m->address, port);
}

static const struct convention *
recognise(const struct settings *s, const struct endpoint *e)
{
	for (size_t i = 0; i < s->nconventions; i++)
		if (convention_recognises(s->conventions[i], e))
			return s->conventions[i];
	return NULL;
}

static void
member_read(struct reader *r)
{
	struct member *m = r->m;
	const char *health = value_of(r, FIELD_HEALTH);

	m->claims = true;
	m->unchecked = health && strcmp(health, "none") == 0;
	read_identity(r);
	read_path(r);
	m->kind = kind_of(m);
	if (m->claims)
		read_hosts(r);
	read_server(r);
}

struct member *
member_create(const struct settings *s, const struct endpoint *e)
{
	const struct convention *c = recognise(s, e);
	if (!c)
		return NULL;

	struct member *m = xcalloc(1, sizeof(*m));
	m->endpoint = endpoint_ref(e);
	m->problems.arena = &m->arena;
	m->codi_branches = c->codi_branches;
	m->ready = e->ready_before ? READY_YES : READY_UNKNOWN;

	struct reader r = {.settings = s, .endpoint = e, .m = m};
	convention_read(c, e, &m->arena, &r.reading);
	bool enabled = read_bool(&r, FIELD_ENABLE, true);
	if (enabled)
		member_read(&r);
	arena_finish(&r.scratch);
	if (enabled)
		return m;
	member_destroy(m);
	return NULL;
}

void
member_destroy(struct member *m)
{
	if (!m)
		return;
	endpoint_unref(m->endpoint);
	arena_finish(&m->arena);
	free(m->key);
	free(m);
}

const char *
member_derived(const struct member *m, bool suffixed)
{
	return suffixed && m->derived_suffixed ? m->derived_suffixed : m->derived;
}

bool
member_wants_probe(const struct member *m, const struct settings *s)
{
	return s->probe && m->url && !m->unchecked && m->endpoint->health == HEALTH_NONE &&
	       m->endpoint->state == ENDPOINT_RUNNING && !m->endpoint->withheld;
}

static enum server_state
health_state(enum endpoint_health health)
{
	return health == HEALTH_HEALTHY     ? SERVER_SERVING
	       : health == HEALTH_UNHEALTHY ? SERVER_UNHEALTHY
					    : SERVER_STARTING;
}

enum server_state
member_state(const struct member *m, const struct settings *s)
{
	const struct endpoint *e = m->endpoint;

	if (!m->url)
		return SERVER_BROKEN;
	if (e->withheld)
		return SERVER_WITHHELD;
	if (e->state == ENDPOINT_PAUSED)
		return SERVER_PAUSED;
	if (e->state != ENDPOINT_RUNNING)
		return SERVER_STARTING;
	if (m->unchecked)
		return SERVER_SERVING;
	if (e->health != HEALTH_NONE)
		return health_state(e->health);
	if (!s->probe || readiness_counts(m->ready))
		return SERVER_SERVING;
	return SERVER_STARTING;
}

const char *
member_health_text(const struct member *m, const struct settings *s)
{
	static const char *const text[] = {"none", "starting", "healthy", "unhealthy", "unknown"};
	enum endpoint_health health = m->endpoint->health;

	if (m->unchecked || health != HEALTH_NONE || !s->probe)
		return m->unchecked ? "none" : text[health];
	return readiness_text(m->ready);
}
