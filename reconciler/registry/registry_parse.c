#include "reconciler/registry/registry_parse.h"

#include <errno.h>
#include <string.h>

#include "reconciler/model/host.h"
#include "reconciler/registry/registry_reader.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define CODEB_PORT 3000
#define CODEB_BASE_MIN 4000
#define CODEB_BASE_MAX 4999

#define MIDDLEWARES_MAX 16
#define MIDDLEWARE_MAX_OCTETS 128

#define LEAST "{\"version\": 1, \"projects\": {}}"
#define PROJECT_REMEDY "write {} where there is nothing to say of it"
#define ENVIRONMENT_REMEDY "write {\"port\": 3000}, or {} where there is nothing to say of it"
#define DOMAIN_REMEDY "write a host name such as www.myapp.kr"

/* -- domains -- */

static bool
read_domain(struct registry_reader *r, const struct registry_at *at, const json_t *v,
	struct registered_project *p, struct registered_domain *ret)
{
	struct err e;

	if (!json_is_string(v)) {
		reader_refuse_kind(r, at, v, "a host name", DOMAIN_REMEDY);
		return false;
	}
	if (host_parse(&p->arena, json_string_value(v), &ret->host, &e) < 0) {
		reader_refuse(r, at, DOMAIN_REMEDY, "%s", e.text);
		return false;
	}
	ret->field = registry_at_text(at, &p->arena);
	return true;
}

/* A domain that stands there twice is there once. */
static void
read_domains(struct registry_reader *r, const struct registry_at *up, const json_t *entry,
	struct registered_project *p)
{
	const struct registry_at list = {up, "domains", 0};
	struct registry_at at = {&list, NULL, 0};
	const json_t *v = reader_member(entry, "domains");
	size_t n = json_array_size(v);

	if (v && !json_is_array(v)) {
		reader_refuse_kind(r, &list, v, "a list", "write [\"www.myapp.kr\"]");
		return;
	}
	struct registered_domain *domains = ARENA_ARRAY(&p->arena, struct registered_domain, n);
	json_t *seen = json_object();
	for (; at.index < n; at.index++) {
		struct registered_domain *d = &domains[p->ndomains];
		if (read_domain(r, &at, json_array_get(v, at.index), p, d) &&
			!json_object_get(seen, d->host) &&
			json_object_set_new(seen, d->host, json_true()) == 0)
			p->ndomains++;
	}
	json_decref(seen);
	p->domains = domains;
}

/* -- environments -- */

/* How a container is asked.  The path may be a label's, so these count without one here. */
static void
read_asking(struct registry_reader *r, const struct registry_at *at, const json_t *o,
	struct registered_environment *ret)
{
	reader_duration(r, at, o, "interval", "100ms", "1h",
		"write how often it is asked, such as \"5s\"", &ret->health_interval_ms);
	reader_duration(r, at, o, "timeout", "10ms", "1m",
		"write how long an answer may take, such as \"2s\"", &ret->health_timeout_ms);
	reader_count(r, at, o, "rise", 1, 100,
		"write after how many answers in a row it is ready, such as 1", &ret->health_rise);
	reader_count(r, at, o, "fall", 1, 100,
		"write after how many failures in a row it is not ready any more, such as 2",
		&ret->health_fall);
}

static void
read_health(struct registry_reader *r, const struct registry_at *up, const json_t *o,
	struct arena *a, struct registered_environment *ret)
{
	static const char remedy[] = "write {\"path\": \"/health\"}";
	const struct registry_at at = {up, "health", 0}, inner = {&at, "path", 0};
	const json_t *v = reader_member(o, "health");
	const char *path = json_string_value(v);
	struct err e;

	if (json_is_object(v)) {
		reader_text(r, &at, v, "path", remedy, &path);
		read_asking(r, &at, v, ret);
	} else if (v && !path) {
		reader_refuse_kind(r, &at, v, "an object with a path", remedy);
	}
	if (path && path_parse(a, path, &ret->health_path, &e) < 0)
		reader_refuse(r, json_is_object(v) ? &inner : &at, "write a path such as /health",
			"%s", e.text);
}

/* The provider is told, lest a name mean something else in each of the proxy's own. */
static int
middleware_parse(struct arena *a, const char *text, const char **ret, struct err *reterr)
{
	size_t name =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
	const char *at = text + name;
	size_t provider = *at == '@' ? strspn(at + 1, "abcdefghijklmnopqrstuvwxyz") : 0;

	if (!name || !provider || at[1 + provider])
		return err_set(reterr, EINVAL, "not a middleware with its provider: '%s'",
			host_shown(text).text);
	if (strlen(text) > MIDDLEWARE_MAX_OCTETS)
		return err_set(reterr, EINVAL, "more than %d octets: '%s'", MIDDLEWARE_MAX_OCTETS,
			host_shown(text).text);
	*ret = arena_strdup(a, text);
	return 0;
}

static void
read_middlewares(struct registry_reader *r, const struct registry_at *up, const json_t *o,
	struct arena *a, struct registered_environment *ret)
{
	static const struct reader_list how = {"a middleware",
		"write its name and its provider as the proxy knows them, such as headers@file",
		middleware_parse};
	const struct registry_at at = {up, "middlewares", 0};

	ret->nmiddlewares = reader_texts(r, up, o, "middlewares", &how, a, &ret->middlewares);
	if (ret->nmiddlewares > MIDDLEWARES_MAX)
		reader_refuse(r, &at, "make one chain of them in the proxy, and name that",
			"more than %d middlewares", MIDDLEWARES_MAX);
}

static void
read_expires(
	struct registry_reader *r, const struct registry_at *up, const json_t *o, uint64_t *ret_ms)
{
	static const char remedy[] =
		"write how long a preview lives, such as \"168h\", or leave it out for ever";
	const struct registry_at at = {up, "expires", 0};
	const char *text = NULL;
	struct err e;

	reader_text(r, up, o, "expires", remedy, &text);
	if (!text)
		return;
	if (duration_parse(text, ret_ms, &e) < 0)
		reader_refuse(r, &at, remedy, "%s", e.text);
	else if (*ret_ms == 0)
		reader_refuse(r, &at, remedy, "no time at all: '%s'", host_shown(text).text);
}

static void
read_environment(struct registry_reader *r, const struct registry_at *at, const json_t *v,
	bool codeb, struct arena *a, struct registered_environment *ret)
{
	if (!registry_word_ok(ret->name))
		reader_refuse(r, at, "use at most 32 of a-z and 0-9, such as production",
			"not the name of an environment: '%s'", host_shown(ret->name).text);
	ret->name = arena_strdup(a, ret->name);
	if (v && !json_is_object(v)) {
		reader_refuse_kind(r, at, v, "an object", ENVIRONMENT_REMEDY);
		return;
	}
	/* There every environment has blue and green, and every container the same port. */
	ret->slots = codeb;
	if (codeb)
		ret->port = CODEB_PORT;
	reader_port(r, at, v, "port", codeb ? &ret->base_port : &ret->port);
	if (!codeb)
		reader_port(r, at, v, "base_port", &ret->base_port);
	read_health(r, at, v, a, ret);
	reader_bool(r, at, v, "slots",
		"write true or false here; the slots themselves stand in slots.json", &ret->slots);
	reader_bool(r, at, v, "sticky", "write true where a visitor is to stay with one server",
		&ret->sticky);
	read_middlewares(r, at, v, a, ret);
	read_expires(r, at, v, &ret->expires_ms);
}

static void
read_environment_object(struct registry_reader *r, const struct registry_at *up, json_t *o,
	bool codeb, struct registered_project *p)
{
	struct registered_environment *list =
		ARENA_ARRAY(&p->arena, struct registered_environment, json_object_size(o));
	const char *name;
	json_t *v;

	json_object_foreach(o, name, v)
	{
		const struct registry_at at = {up, name, 0};
		struct registered_environment *e = &list[p->nenvironments++];
		e->name = name;
		read_environment(r, &at, json_is_null(v) ? NULL : v, codeb, &p->arena, e);
	}
	p->environments = list;
}

/* An element of a list: its name, or an object that says it. */
static const char *
element_name(struct registry_reader *r, const struct registry_at *at, const json_t *v, json_t *seen)
{
	const char *name = json_string_value(v);

	if (json_is_object(v))
		name = json_string_value(json_object_get(v, "name"));
	if (json_is_object(v) && !name)
		name = json_string_value(json_object_get(v, "environment"));
	if (!name) {
		reader_refuse(r, at, "write \"production\", or {\"name\": \"production\"}",
			"%s is not the name of an environment", registry_shown(v).text);
		return NULL;
	}
	if (json_object_get(seen, name)) {
		if (!json_equal(json_object_get(seen, name), v))
			reader_refuse(r, at, "take one of the two away",
				"the environment '%s' stands twice", host_shown(name).text);
		return NULL;
	}
	return name;
}

static void
read_environment_list(struct registry_reader *r, const struct registry_at *up, const json_t *o,
	bool codeb, struct registered_project *p)
{
	struct registered_environment *list =
		ARENA_ARRAY(&p->arena, struct registered_environment, json_array_size(o));
	struct registry_at at = {up, NULL, 0};
	json_t *seen = json_object();

	for (; at.index < json_array_size(o); at.index++) {
		json_t *v = json_array_get(o, at.index);
		const char *name = element_name(r, &at, v, seen);
		if (!name)
			continue;
		json_object_set(seen, name, v);
		struct registered_environment *e = &list[p->nenvironments++];
		e->name = name;
		read_environment(r, &at, json_is_object(v) ? v : NULL, codeb, &p->arena, e);
	}
	json_decref(seen);
	p->environments = list;
}

void
reader_project(struct registry_reader *r, const struct registry_at *at, const json_t *entry,
	bool codeb, struct registered_project *p)
{
	const struct registry_at inner = {at, "environments", 0};
	json_t *v = reader_member(entry, "environments");

	read_domains(r, at, entry, p);
	p->lists_environments = v != NULL;
	if (json_is_object(v))
		read_environment_object(r, &inner, v, codeb, p);
	else if (json_is_array(v))
		read_environment_list(r, &inner, v, codeb, p);
	else if (v)
		reader_refuse_kind(
			r, &inner, v, "an object", "write {\"production\": {\"port\": 3000}}");
}

/* -- static routes -- */

static int
ip_parse(struct arena *a, const char *text, const char **ret, struct err *reterr)
{
	char address[46];
	bool v6;

	if (!address_parse(text, address, &v6))
		return err_set(reterr, EINVAL, "not an IP address: '%s'", host_shown(text).text);
	*ret = arena_strdup(a, address);
	return 0;
}

static const struct reader_list upstream_list = {
	"an upstream", "write a URL such as http://10.0.0.5:8000", upstream_parse};
static const struct reader_list address_list = {
	"an IP address", "write an address such as 10.0.0.5 or 2001:db8::5", ip_parse};

static void
read_static(struct registry_reader *r, const struct registry_at *at, const json_t *entry,
	struct registered_static *s)
{
	static const char remedy[] = "say where its requests go, as {\"upstreams\": "
				     "[\"http://10.0.0.5:8000\"]}, or where the name leads, as "
				     "{\"address\": [\"10.0.0.5\"]}";
	size_t faults = r->faults;

	if (!json_is_object(entry)) {
		reader_refuse_kind(r, at, entry, "an object", remedy);
		return;
	}
	s->route.nupstreams = reader_texts(
		r, at, entry, "upstreams", &upstream_list, &s->arena, &s->route.upstreams);
	s->route.naddresses = reader_texts(
		r, at, entry, "address", &address_list, &s->arena, &s->route.addresses);
	if (s->route.nupstreams && s->route.naddresses)
		reader_refuse(r, at,
			"keep upstreams where its requests go there, address where the name is "
			"only "
			"to resolve",
			"both upstreams and address");
	else if (!s->route.nupstreams && !s->route.naddresses && r->faults == faults)
		reader_refuse(r, at, remedy, "neither upstreams nor address");
}

/* NULL where it is wrong; *ret_host is its canonical name, or NULL. */
static struct registered_static *
parse_static(struct registry_reader *r, const struct registry_at *at, const json_t *entry,
	const char **ret_host)
{
	const struct registry_options *o = r->options;
	size_t faults = r->faults;
	struct err e;

	*ret_host = NULL;
	if (host_parse(&r->reading->arena, at->key, ret_host, &e) < 0)
		reader_refuse(r, at, "write a host name such as ws.codeb.kr", "%s", e.text);
	struct registered_static *s =
		registered_static_create(o->source, o->file, *ret_host ? *ret_host : "");
	read_static(r, at, entry, s);
	return r->faults == faults ? s : registered_static_unref(s);
}

static void
parse_statics(struct registry_reader *r, json_t *statics)
{
	const struct registry_at up = {NULL, "static", 0};
	json_t *seen = json_object(), *v;
	const char *key, *host;

	json_object_foreach(statics, key, v)
	{
		const struct registry_at at = {&up, key, 0};
		struct registered_static *s = parse_static(r, &at, v, &host);
		if (host && json_object_get(seen, host)) {
			reader_refuse(r, &at, "put both into one", "the host '%s' stands twice",
				host_shown(host).text);
			registered_static_unref(s);
			continue;
		}
		if (host)
			json_object_set_new(seen, host, json_true());
		if (s)
			registry_reading_add_static(r->reading, s);
		else
			registry_reading_bad_static(r->reading, host ? host : key);
	}
	json_decref(seen);
}

/* -- ssot.json -- */

/* Of two names that give the same host label the later one is wrong. */
static void
claim_label(struct registry_reader *r, const struct registry_at *at, json_t *labels)
{
	char label[64];
	const char *owner;

	if (!reader_project_name(r, at, at->key, label))
		return;
	owner = json_string_value(json_object_get(labels, label));
	if (owner)
		reader_refuse(r, at, "rename one of the two, or take it away",
			"its host label '%s' is that of the project '%s' already", label,
			host_shown(owner).text);
	else
		json_object_set_new(labels, label, json_string(at->key));
}

static void
parse_projects(struct registry_reader *r, json_t *projects)
{
	const struct registry_options *o = r->options;
	const struct registry_at up = {NULL, "projects", 0};
	bool codeb = r->reading->dialect == DIALECT_CODEB;
	json_t *labels = json_object(), *v;
	const char *name;

	json_object_foreach(projects, name, v)
	{
		const struct registry_at at = {&up, name, 0};
		size_t faults = r->faults;
		struct registered_project *p = registered_project_create(o->source, o->file, name);
		claim_label(r, &at, labels);
		if (json_is_object(v))
			reader_project(r, &at, v, codeb, p);
		else
			reader_refuse_kind(r, &at, v, "an object", PROJECT_REMEDY);
		if (r->faults == faults) {
			registered_project_seal(p);
			registry_reading_add_project(r->reading, p);
		} else {
			registry_reading_bad_project(r->reading, name);
			registered_project_unref(p);
		}
	}
	json_decref(labels);
}

static bool
has_any(const json_t *o, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (json_object_get(o, keys[i]))
			return true;
	return false;
}

/* Counts ports; false where the environment has what CodeB's do not have.  sticky and middlewares
 * are not looked at: who adds them to a file of CodeB's must not change what its ports mean. */
static bool
environment_looks_codeb(const json_t *e, size_t *ports)
{
	static const char *const ours[] = {"health", "slots", "expires", "base_port"};
	const json_t *v = reader_member(e, "port");
	struct err err;
	uint16_t port = 0;

	if (has_any(e, ours, COUNT(ours)))
		return false;
	if (!v)
		return true;
	if (json_is_integer(v) && json_integer_value(v) <= CODEB_BASE_MAX)
		port = json_integer_value(v) < 0 ? 0 : (uint16_t)json_integer_value(v);
	else if (json_is_string(v) && port_parse(json_string_value(v), &port, &err) < 0)
		return false;
	++*ports;
	return port >= CODEB_BASE_MIN && port <= CODEB_BASE_MAX;
}

static bool
project_looks_codeb(const json_t *project, size_t *ports)
{
	json_t *v, *environments = json_object_get(project, "environments");
	const char *name;
	size_t i;

	if (json_object_get(project, "domains"))
		return false;
	json_object_foreach(
		environments, name, v) if (!environment_looks_codeb(v, ports)) return false;
	json_array_foreach(environments, i, v) if (!environment_looks_codeb(v, ports)) return false;
	return true;
}

/* CodeB's own program writes published ports and nothing else. */
static bool
looks_codeb(const json_t *root)
{
	json_t *v;
	const char *name;
	size_t ports = 0;

	if (json_object_get(root, "static"))
		return false;
	json_object_foreach(json_object_get(root, "projects"), name,
		v) if (!project_looks_codeb(v, &ports)) return false;
	return ports > 0;
}

static bool
parse_ssot(struct registry_reader *r, json_t *root)
{
	static const char *const members[] = {"projects", "static"};
	static const char *const remedies[] = {"write {\"myapp\": {}}",
		"write {\"ws.codeb.kr\": {\"upstreams\": [\"http://10.0.0.5:8000\"]}}"};
	json_t *value[2];

	if (!has_any(root, members, COUNT(members))) {
		/* What a writer that was killed leaves, or one that cannot spell. */
		reader_refuse(r, NULL, "where no project is meant, write " LEAST,
			"it has neither projects nor static");
		return false;
	}
	for (size_t i = 0; i < COUNT(value); i++) {
		const struct registry_at at = {NULL, members[i], 0};
		value[i] = json_object_get(root, members[i]);
		if (value[i] && !json_is_object(value[i])) {
			reader_refuse_kind(r, &at, value[i], "an object", remedies[i]);
			return false;
		}
	}
	if (!reader_dialect(r, root, looks_codeb(root), &r->reading->dialect))
		return false;
	parse_projects(r, value[0]);
	parse_statics(r, value[1]);
	return true;
}

struct registry_reading *
registry_parse_ssot(const char *text, size_t n, const struct registry_options *o, bool *ret_broken)
{
	struct registry_reading *reading = registry_reading_create();
	struct registry_reader r = registry_reader_init(reading, o);
	json_t *root = reader_load(&r, text, n, LEAST);

	reading->dialect = o->dialect == DIALECT_CODEB ? DIALECT_CODEB : DIALECT_WAYMARK;
	*ret_broken = !root || !parse_ssot(&r, root);
	registry_reading_seal(reading);
	json_decref(root);
	return reading;
}

struct registered_static *
registry_parse_static(const char *host, const json_t *entry, const struct registry_options *o,
	struct registry_reading *r)
{
	const struct registry_at up = {NULL, "static", 0}, at = {&up, host, 0};
	struct registry_reader reader = registry_reader_init(r, o);
	const char *canonical;

	return parse_static(&reader, &at, entry, &canonical);
}
