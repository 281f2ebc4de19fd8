/* Where a container listens: its port, its scheme, and which of its addresses. */
#include <string.h>

#include "reconciler/model/host.h"
#include "reconciler/model/member_inside.h"

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
	reader_complain(r, PROBLEM_PORT_UNKNOWN, FIELD_PORT, NULL,
		several ? arena_printf(
				  a, "the container exposes several ports: %s", ports_text(a, e))
			: "the container exposes no port, and no label names one",
		"set the label waymark.port to the port that the container listens on");
	return 0;
}

/* The container's port by the registry; 0: it does not say. */
static uint16_t
registered_port(const struct reader *r)
{
	const struct registered_environment *e =
		r->entry ? registered_environment_find(r->entry, r->m->group.environment) : NULL;

	if (r->deployment && r->deployment->port)
		return r->deployment->port;
	return e ? e->port : 0;
}

/* A label's, else the registry's, else what the convention takes for granted, else the only one. */
static uint16_t
read_port(struct reader *r)
{
	const char *text = reader_value(r, FIELD_PORT);
	const char *kind = r->reading.field[FIELD_PORT].from.kind;
	bool constant = text && kind && strcmp(kind, "convention ") == 0;
	uint16_t port = !text || !*text || constant ? registered_port(r) : 0;
	struct err e;

	if (port)
		return port;
	if (!text || !*text)
		return guess_port(r);
	if (port_parse(text, &port, &e) == 0)
		return port;
	reader_complain(r, PROBLEM_LABEL_INVALID, FIELD_PORT, NULL,
		arena_strdup(&r->m->arena, e.text), "write a port from 1 to 65535");
	return 0;
}

static const char *
read_scheme(struct reader *r)
{
	static const char *const known[] = {"http", "https", "h2c"};
	const char *text = reader_value(r, FIELD_SCHEME);

	if (!text || !*text)
		return "http";
	for (size_t i = 0; i < 3; i++)
		if (strcmp(text, known[i]) == 0)
			return text;
	reader_complain(r, PROBLEM_LABEL_INVALID, FIELD_SCHEME, NULL,
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
	const char *label = reader_value(r, FIELD_NETWORK);
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
		reader_complain(r, PROBLEM_NETWORK_MISSING, field, NULL,
			arena_printf(a, "its network mode is %s", text_quote(a, e->network_mode)),
			"put it on a bridge network that the proxy is on, too");
	else if (wanted)
		reader_complain(r, PROBLEM_NETWORK_MISSING, field, NULL,
			arena_printf(a, "it has no address on network %s", text_quote(a, wanted)),
			"connect the container to that network, or name another one");
	else
		reader_complain(r, PROBLEM_NETWORK_MISSING, field, NULL,
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
		reader_complain(r, PROBLEM_PORT_UNPUBLISHED, FIELD_COUNT, NULL,
			arena_printf(&r->m->arena, "port %u is not published on the host", port),
			"publish it (-p), or set `reach: network` for this engine");
	return 0;
}

void
reader_read_server(struct reader *r)
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
