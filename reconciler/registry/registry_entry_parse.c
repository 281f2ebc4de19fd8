#include <errno.h>
#include <string.h>

#include "reconciler/model/host.h"
#include "reconciler/registry/registry_reader.h"
#include "reconciler/registry/registry_time_parse.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* -- reading -- */

static const struct {
	const char *text;
	enum deployment_status status;
} statuses[] = {
	{"pending", DEPLOYMENT_PENDING},
	{"running", DEPLOYMENT_RUNNING},
	{"standby", DEPLOYMENT_STANDBY},
	{"failed", DEPLOYMENT_FAILED},
};

static void
read_status(struct registry_reader *r, const struct registry_at *up, const json_t *o,
	enum deployment_status *ret)
{
	const struct registry_at at = {up, "status", 0};
	const json_t *v = reader_member(o, "status");
	const char *text = json_string_value(v);

	for (size_t i = 0; text && i < COUNT(statuses); i++)
		if (strcmp(text, statuses[i].text) == 0) {
			*ret = statuses[i].status;
			return;
		}
	if (v)
		reader_refuse(r, &at, "write pending, running, standby or failed",
			"not a deployment's status: %s", registry_shown(v).text);
}

/* A text that may be absent; words are the names of environments and slots. */
static const char *
read_name(struct registry_reader *r, const struct registry_at *up, const json_t *o, const char *key,
	bool word, const char *otherwise, struct arena *a)
{
	const struct registry_at at = {up, key, 0};
	const char *text = NULL;

	reader_text(r, up, o, key, "write a text, or leave it out", &text);
	if (!text || !*text)
		return otherwise;
	if (word && !registry_word_ok(text))
		reader_refuse(r, &at, "use at most 32 of a-z and 0-9", "not a name: '%s'",
			host_shown(text).text);
	return arena_strdup(a, text);
}

static void
read_created(
	struct registry_reader *r, const struct registry_at *up, const json_t *o, uint64_t *ret)
{
	const struct registry_at at = {up, "created_ms", 0};
	const json_t *v = reader_member(o, "created_ms");

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		*ret = (uint64_t)json_integer_value(v);
	else if (v)
		reader_refuse(r, &at, "write milliseconds since 1970", "not a time: %s",
			registry_shown(v).text);
}

static void
read_deployment(struct registry_reader *r, const struct registry_at *at, const json_t *o,
	struct arena *a, struct registered_deployment *ret)
{
	static const struct reader_list hosts = {
		"a host name", "write a host name such as www.myapp.kr", host_parse};

	if (!json_is_object(o)) {
		reader_refuse_kind(r, at, o, "an object", "write {\"container\": \"shop-42\"}");
		return;
	}
	ret->status = DEPLOYMENT_RUNNING;
	ret->environment = read_name(r, at, o, "environment", true, "production", a);
	ret->branch = read_name(r, at, o, "branch", false, "", a);
	ret->slot = read_name(r, at, o, "slot", true, "", a);
	ret->container = read_name(r, at, o, "container", false, NULL, a);
	read_status(r, at, o, &ret->status);
	reader_port(r, at, o, "port", &ret->port);
	read_created(r, at, o, &ret->created_ms);
	ret->nhosts = reader_texts(r, at, o, "hosts", &hosts, a, &ret->hosts);
}

static void
read_deployments(struct registry_reader *r, const struct registry_at *up, const json_t *entry,
	struct registered_project *p)
{
	const struct registry_at list = {up, "deployments", 0};
	struct registry_at at = {&list, NULL, 0};
	const json_t *v = reader_member(entry, "deployments");
	if (!v)
		return;
	if (!json_is_array(v)) {
		reader_refuse_kind(r, &list, v, "a list", "write [{\"container\": \"shop-42\"}]");
		return;
	}

	struct registered_deployment *rows =
		ARENA_ARRAY(&p->arena, struct registered_deployment, json_array_size(v));
	for (; at.index < json_array_size(v); at.index++)
		read_deployment(r, &at, json_array_get(v, at.index), &p->arena, &rows[at.index]);
	p->has_deployments = true;
	p->ndeployments = json_array_size(v);
	p->deployments = rows;
}

/* A reference to the identity with its slots, for the reference given. */
static struct registered_project *
add_slots(struct registry_reader *r, const struct registry_at *up, const json_t *entry,
	struct registered_project *identity)
{
	const struct registry_at at = {up, "slots", 0};
	const struct registry_options *o = r->options;
	json_t *v = reader_object(
		r, up, entry, "slots", "write {\"production\": {\"active\": \"blue\", …}}");
	if (!v)
		return identity;

	struct registered_project *slots =
		registered_project_create(o->source, o->file, identity->name);
	slots->nenvironments = reader_project_slots(
		r, &at, v, identity->name, &slots->arena, &slots->environments);
	registered_project_seal(identity);
	registered_project_seal(slots);
	struct registered_project *both = registered_project_combine(identity, slots);
	registered_project_unref(identity);
	registered_project_unref(slots);
	return both;
}

struct registered_project *
registry_parse_project(const char *name, const json_t *entry, const struct registry_options *o,
	struct registry_reading *reading)
{
	struct registry_reader r = registry_reader_init(reading, o);
	const struct registry_at at = {NULL, name, 0}, inner = {&at, "project", 0};
	char label[64];

	reader_project_name(&r, &at, name, label);
	if (!json_is_object(entry)) {
		reader_refuse_kind(&r, &at, entry, "an object", "write {\"project\": {}}");
		return NULL;
	}
	struct registered_project *p = registered_project_create(o->source, o->file, name);
	const json_t *project = reader_object(&r, &at, entry, "project", "write {}");
	reader_project(&r, &inner, project, false, p);
	p = add_slots(&r, &at, entry, p);
	read_deployments(&r, &at, entry, p);
	if (r.faults)
		return registered_project_unref(p);
	registered_project_seal(p);
	return p;
}

/* -- printing -- */

/* A comma, but before the first member. */
static void
print_key(struct buf *b, const char *key)
{
	if (b->p[b->n - 1] != '{')
		buf_adds(b, ",");
	buf_json(b, key);
	buf_adds(b, ":");
}

static void
print_text(struct buf *b, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	print_key(b, key);
	buf_json(b, text);
}

static void
print_number(struct buf *b, const char *key, uint64_t n)
{
	if (!n)
		return;
	print_key(b, key);
	buf_addf(b, "%llu", (unsigned long long)n);
}

static void
print_time(struct buf *b, const char *key, uint64_t ms)
{
	if (!ms)
		return;
	print_key(b, key);
	registry_time_print(b, ms);
}

static void
print_texts(struct buf *b, const char *key, const char *const *texts, size_t n)
{
	if (!n)
		return;
	print_key(b, key);
	for (size_t i = 0; i < n; i++) {
		buf_adds(b, i ? "," : "[");
		buf_json(b, texts[i]);
	}
	buf_adds(b, "]");
}

static void
print_domains(struct buf *b, const struct registered_project *p)
{
	if (!p->ndomains)
		return;
	print_key(b, "domains");
	for (size_t i = 0; i < p->ndomains; i++) {
		buf_adds(b, i ? "," : "[");
		buf_json(b, p->domains[i].host);
	}
	buf_adds(b, "]");
}

static void
print_flag(struct buf *b, const char *key, bool flag)
{
	if (!flag)
		return;
	print_key(b, key);
	buf_adds(b, "true");
}

static void
print_duration(struct buf *b, const char *key, uint64_t ms)
{
	if (!ms)
		return;
	print_key(b, key);
	buf_addf(b, "\"%llums\"", (unsigned long long)ms);
}

static void
print_health(struct buf *b, const struct registered_environment *e)
{
	if (!e->health_path && !e->health_interval_ms && !e->health_timeout_ms && !e->health_rise &&
		!e->health_fall)
		return;
	print_key(b, "health");
	buf_adds(b, "{");
	if (e->health_path)
		print_text(b, "path", *e->health_path ? e->health_path : "/");
	print_duration(b, "interval", e->health_interval_ms);
	print_duration(b, "timeout", e->health_timeout_ms);
	print_number(b, "rise", e->health_rise);
	print_number(b, "fall", e->health_fall);
	buf_adds(b, "}");
}

static void
print_environment(struct buf *b, const struct registered_environment *e)
{
	print_key(b, e->name);
	buf_adds(b, "{");
	print_number(b, "port", e->port);
	print_number(b, "base_port", e->base_port);
	print_health(b, e);
	print_flag(b, "slots", e->slots);
	print_flag(b, "sticky", e->sticky);
	print_texts(b, "middlewares", e->middlewares, e->nmiddlewares);
	print_duration(b, "expires", e->expires_ms);
	buf_adds(b, "}");
}

static void
print_identity(struct buf *b, const struct registered_project *p)
{
	print_key(b, "project");
	buf_adds(b, "{");
	print_domains(b, p);
	if (p->lists_environments) {
		print_key(b, "environments");
		buf_adds(b, "{");
		for (size_t i = 0; i < p->nenvironments; i++)
			print_environment(b, &p->environments[i]);
		buf_adds(b, "}");
	}
	buf_adds(b, "}");
}

static void
print_slot(struct buf *b, const struct registered_slot *s)
{
	print_key(b, s->name);
	buf_adds(b, "{");
	print_text(b, "state", slot_state_text(s->state));
	print_number(b, "port", s->port);
	print_time(b, "since", s->since_ms);
	print_time(b, "until", s->until_ms);
	print_text(b, "id", s->id);
	print_text(b, "container", s->container);
	buf_adds(b, "}");
}

static void
print_weights(struct buf *b, const struct registered_environment *e)
{
	if (!e->weighted)
		return;
	print_key(b, "weights");
	buf_adds(b, "{");
	for (size_t i = 0; i < e->nslots; i++)
		print_number(b, e->slot[i].name, e->slot[i].weight);
	buf_adds(b, "}");
}

static void
print_slots(struct buf *b, const struct registered_project *p)
{
	print_key(b, "slots");
	buf_adds(b, "{");
	for (size_t i = 0; i < p->nenvironments; i++) {
		const struct registered_environment *e = &p->environments[i];
		/* One that is listed and has none is said already. */
		if (p->lists_environments && !e->nslots)
			continue;
		print_key(b, e->name);
		buf_adds(b, "{");
		print_text(b, "active", e->active);
		print_weights(b, e);
		print_key(b, "slots");
		buf_adds(b, "{");
		for (size_t k = 0; k < e->nslots; k++)
			print_slot(b, &e->slot[k]);
		buf_adds(b, "}}");
	}
	buf_adds(b, "}");
}

static void
print_deployment(struct buf *b, const struct registered_deployment *d)
{
	buf_adds(b, "{");
	print_text(b, "environment", d->environment);
	print_text(b, "branch", d->branch);
	print_text(b, "slot", d->slot);
	print_text(b, "status", deployment_status_text(d->status));
	print_text(b, "container", d->container);
	print_number(b, "port", d->port);
	print_number(b, "created_ms", d->created_ms);
	print_texts(b, "hosts", d->hosts, d->nhosts);
	buf_adds(b, "}");
}

void
registry_print_project(const struct registered_project *p, struct buf *b)
{
	buf_adds(b, "{");
	print_identity(b, p);
	print_slots(b, p);
	if (p->has_deployments) {
		print_key(b, "deployments");
		buf_adds(b, "[");
		for (size_t i = 0; i < p->ndeployments; i++) {
			if (i)
				buf_adds(b, ",");
			print_deployment(b, &p->deployments[i]);
		}
		buf_adds(b, "]");
	}
	buf_adds(b, "}");
}

void
registry_print_static(const struct registered_static *s, struct buf *b)
{
	buf_adds(b, "{");
	print_texts(b, "upstreams", s->route.upstreams, s->route.nupstreams);
	print_texts(b, "address", s->route.addresses, s->route.naddresses);
	buf_adds(b, "}");
}
