#include "reconciler/state_parse.h"

#include <errno.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/model/host.h"
#include "reconciler/registry/registry_parse.h"

static const char *const state_text[] = {"running", "paused", "restarting"};
static const char *const health_text[] = {"none", "starting", "healthy", "unhealthy", "unknown"};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

void
state_print_boot(struct buf *b, const char *boot)
{
	buf_adds(b, "{\"row\":\"boot\",\"id\":");
	buf_json(b, boot);
	buf_adds(b, "}\n");
}

void
state_print_source(struct buf *b, const char *engine)
{
	buf_adds(b, "{\"row\":\"source\",\"engine\":");
	buf_json(b, engine);
	buf_adds(b, "}\n");
}

static void
print_key(struct buf *b, const char *engine, const char *id)
{
	buf_adds(b, "{\"row\":\"endpoint\",\"engine\":");
	buf_json(b, engine);
	buf_adds(b, ",\"id\":");
	buf_json(b, id);
}

void
state_print_gone(struct buf *b, const char *engine, const char *id)
{
	print_key(b, engine, id);
	buf_adds(b, ",\"gone\":true}\n");
}

static void
print_text(struct buf *b, const char *name, const char *text)
{
	if (!text || !*text)
		return;
	buf_addf(b, ",\"%s\":", name);
	buf_json(b, text);
}

static void
print_networks(struct buf *b, const struct endpoint *e)
{
	buf_adds(b, ",\"networks\":[");
	for (size_t i = 0; i < e->nnetworks; i++) {
		buf_adds(b, i ? ",{\"name\":" : "{\"name\":");
		buf_json(b, e->networks[i].name);
		print_text(b, "ipv4", e->networks[i].ipv4);
		print_text(b, "ipv6", e->networks[i].ipv6);
		buf_adds(b, "}");
	}
	buf_adds(b, "]");
}

static void
print_ports(struct buf *b, const struct endpoint *e)
{
	buf_adds(b, ",\"ports\":[");
	for (size_t i = 0; i < e->nports; i++) {
		const struct endpoint_port *p = &e->ports[i];
		buf_addf(b, "%s{\"port\":%u", i ? "," : "", p->port);
		if (p->published)
			buf_addf(b, ",\"published\":%u", p->published);
		print_text(b, "ip", p->published_ip);
		buf_adds(b, p->tcp ? "}" : ",\"tcp\":false}");
	}
	buf_adds(b, "]");
}

static void
print_labels(struct buf *b, const struct endpoint *e)
{
	buf_adds(b, ",\"labels\":{");
	for (size_t i = 0; i < e->nlabels; i++) {
		if (i)
			buf_adds(b, ",");
		buf_json(b, e->labels[i].name);
		buf_adds(b, ":");
		buf_json(b, e->labels[i].value);
	}
	buf_adds(b, "}");
}

void
state_print_endpoint(struct buf *b, const struct endpoint *e, bool ready)
{
	print_key(b, e->engine, e->id);
	print_text(b, "name", e->name);
	buf_addf(b, ",\"created\":%lld", (long long)e->created);
	print_text(b, "run", e->run);
	print_text(b, "mode", e->network_mode);
	if (e->stop_signal)
		buf_addf(b, ",\"signal\":%d", e->stop_signal);
	print_text(b, "state", e->state < COUNT(state_text) ? state_text[e->state] : "");
	print_text(b, "health", health_text[e->health]);
	if (e->leaving)
		buf_adds(b, ",\"leaving\":true");
	if (e->withheld)
		buf_adds(b, ",\"withheld\":true");
	if (ready)
		buf_adds(b, ",\"ready\":true");
	print_networks(b, e);
	print_ports(b, e);
	print_labels(b, e);
	buf_adds(b, "}\n");
}

static const char *
get_text(const json_t *o, const char *name, struct arena *a)
{
	const char *text = json_string_value(json_object_get(o, name));
	return text ? arena_strdup(a, text) : "";
}

static size_t
get_enum(const json_t *o, const char *name, const char *const *texts, size_t n)
{
	const char *text = json_string_value(json_object_get(o, name));
	for (size_t i = 0; text && i < n; i++)
		if (strcmp(texts[i], text) == 0)
			return i;
	return 0;
}

static uint16_t
get_port(const json_t *o, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(o, name));
	return n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

static const char *
get_address(const json_t *o, const char *name, bool v6, struct arena *a)
{
	const char *text = json_string_value(json_object_get(o, name));
	char address[46];
	bool is_v6;

	if (!text || !address_parse(text, address, &is_v6) || is_v6 != v6)
		return NULL;
	return arena_strdup(a, address);
}

static void
parse_networks(const json_t *list, struct endpoint *e)
{
	struct endpoint_network *n =
		ARENA_ARRAY(&e->arena, struct endpoint_network, json_array_size(list));
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) n[e->nnetworks++] = (struct endpoint_network){
		.name = get_text(o, "name", &e->arena),
		.ipv4 = get_address(o, "ipv4", false, &e->arena),
		.ipv6 = get_address(o, "ipv6", true, &e->arena),
	};
	e->networks = n;
}

static void
parse_ports(const json_t *list, struct endpoint *e)
{
	struct endpoint_port *p =
		ARENA_ARRAY(&e->arena, struct endpoint_port, json_array_size(list));
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o)
	{
		const char *ip = get_text(o, "ip", &e->arena);
		p[e->nports] = (struct endpoint_port){
			.port = get_port(o, "port"),
			.published = get_port(o, "published"),
			.tcp = !json_is_false(json_object_get(o, "tcp")),
			.published_ip = *ip ? ip : NULL,
		};
		if (p[e->nports].port)
			e->nports++;
	}
	e->ports = p;
}

static void
parse_labels(json_t *labels, struct endpoint *e)
{
	struct endpoint_label *l =
		ARENA_ARRAY(&e->arena, struct endpoint_label, json_object_size(labels));
	const char *name;
	json_t *value;

	json_object_foreach(labels, name, value)
	{
		if (!json_is_string(value))
			continue;
		l[e->nlabels++] = (struct endpoint_label){
			.name = arena_strdup(&e->arena, name),
			.value = arena_strdup(&e->arena, json_string_value(value)),
		};
	}
	e->labels = l;
}

int
state_parse_endpoint(const json_t *row, struct endpoint **ret, struct err *reterr)
{
	const char *engine = json_string_value(json_object_get(row, "engine"));
	const char *id = json_string_value(json_object_get(row, "id"));
	if (!engine || !id || !*engine || !*id)
		return err_set(reterr, EINVAL, "an endpoint needs engine and id");

	struct endpoint *e = endpoint_create();
	e->engine = arena_strdup(&e->arena, engine);
	e->id = arena_strdup(&e->arena, id);
	e->name = get_text(row, "name", &e->arena);
	e->created = json_integer_value(json_object_get(row, "created"));
	e->run = get_text(row, "run", &e->arena);
	e->network_mode = get_text(row, "mode", &e->arena);
	json_int_t signal = json_integer_value(json_object_get(row, "signal"));
	e->stop_signal = signal > 0 && signal < 128 ? (int)signal : 0;
	e->state = (enum endpoint_state)get_enum(row, "state", state_text, COUNT(state_text));
	e->health = (enum endpoint_health)get_enum(row, "health", health_text, COUNT(health_text));
	e->leaving = json_is_true(json_object_get(row, "leaving"));
	e->withheld = json_is_true(json_object_get(row, "withheld"));
	e->ready_before = json_is_true(json_object_get(row, "ready"));
	parse_networks(json_object_get(row, "networks"), e);
	parse_ports(json_object_get(row, "ports"), e);
	parse_labels(json_object_get(row, "labels"), e);
	endpoint_seal(e);
	*ret = e;
	return 0;
}

static void
print_registered(struct buf *b, const char *row, const char *source, const char *name)
{
	buf_addf(b, "{\"row\":\"%s\"", row);
	print_text(b, "source", source);
	print_text(b, "name", name);
}

void
state_print_project(struct buf *b, const struct registered_project *p)
{
	print_registered(b, "project", p->source, p->name);
	print_text(b, "place", p->place);
	buf_adds(b, ",\"entry\":");
	registry_print_project(p, b);
	buf_adds(b, "}\n");
}

void
state_print_project_gone(struct buf *b, const char *source, const char *project)
{
	print_registered(b, "project", source, project);
	buf_adds(b, ",\"gone\":true}\n");
}

void
state_print_static(struct buf *b, const struct registered_static *s)
{
	print_registered(b, "static", s->source, s->route.host);
	print_text(b, "place", s->place);
	buf_adds(b, ",\"entry\":");
	registry_print_static(s, b);
	buf_adds(b, "}\n");
}

void
state_print_static_gone(struct buf *b, const char *source, const char *host)
{
	print_registered(b, "static", source, host);
	buf_adds(b, ",\"gone\":true}\n");
}

struct state_registered
state_parse_registered(const json_t *row)
{
	const char *kind = json_string_value(json_object_get(row, "row"));
	const char *place = json_string_value(json_object_get(row, "place"));
	const json_t *entry = json_object_get(row, "entry");
	struct state_registered ret = {.source = json_string_value(json_object_get(row, "source")),
		.name = json_string_value(json_object_get(row, "name")),
		.is_static = kind && strcmp(kind, "static") == 0};

	if (!kind || (!ret.is_static && strcmp(kind, "project") != 0) || !ret.name || !ret.source)
		return (struct state_registered){0};
	if (json_is_true(json_object_get(row, "gone")))
		return ret;

	const struct registry_options o = {.source = ret.source,
		.file = place ? place : ret.source,
		.dialect = DIALECT_WAYMARK};
	struct registry_reading *faults = registry_reading_create();
	if (ret.is_static)
		ret.route = registry_parse_static(ret.name, entry, &o, faults);
	else
		ret.project = registry_parse_project(ret.name, entry, &o, faults);
	registry_reading_destroy(faults);
	return ret.project || ret.route ? ret : (struct state_registered){0};
}
