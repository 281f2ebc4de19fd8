#include "provider/traefik/traefik_check.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/base/arena.h"

/* Reads less than JSON: no space, no escape, nothing but printable ASCII in strings.  So what
 * passes is JSON, it is YAML that says the same (surrogate escapes are what Traefik's reader
 * stumbles over, go-yaml/yaml#279), and ten thousand projects are read in a few dozen milliseconds.
 *
 * It has its own idea of what is valid, on purpose: it must not share a mistake with the parsers
 * that made the values. */

struct span {
	const char *p;
	size_t n;
};

/* ── Values ────────────────────────────────────────────────────────────────────────────────── */

enum { CLASS_NAME = 1, CLASS_HOST = 2, CLASS_PATH = 4, CLASS_DIGIT = 8, CLASS_V6 = 16 };

static unsigned
class_of(char c)
{
	bool digit = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'z';
	bool upper = c >= 'A' && c <= 'Z', hex = c >= 'a' && c <= 'f';
	unsigned all = 0;

	if (digit || lower || upper || c == '.' || c == '_' || c == '-')
		all |= CLASS_NAME | CLASS_PATH;
	if (c == '~')
		all |= CLASS_PATH;
	if (digit || lower || c == '.' || c == '-')
		all |= CLASS_HOST;
	if (digit)
		all |= CLASS_DIGIT;
	if (digit || hex || c == ':' || c == '.')
		all |= CLASS_V6;
	return all;
}

/* How many bytes from the front are of the class. */
static size_t
span_class(struct span s, unsigned class)
{
	size_t n = 0;
	while (n < s.n && class_of(s.p[n]) & class)
		n++;
	return n;
}

static bool
is_name(struct span s)
{
	return s.n && span_class(s, CLASS_NAME) == s.n;
}

static bool
is_host(struct span s)
{
	if (!s.n || s.n > 253 || span_class(s, CLASS_HOST) < s.n)
		return false;
	for (size_t i = 0, label = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] != '.')
			continue;
		size_t len = i - label;
		if (!len || len > 63 || s.p[label] == '-' || s.p[i - 1] == '-')
			return false;
		label = i + 1;
	}
	return true;
}

/* "/a/b": no slash at the end, no empty and no dot segment. */
static bool
is_path(struct span s)
{
	if (s.n > 255)
		return false;
	while (s.n && s.p[0] == '/') {
		size_t n = span_class((struct span){s.p + 1, s.n - 1}, CLASS_PATH);
		if (!n || (n <= 2 && !strncmp(s.p + 1, "..", n)))
			return false;
		s.p += n + 1;
		s.n -= n + 1;
		if (!s.n)
			return true;
	}
	return false;
}

/* Takes a literal off the front. */
static bool
skip(struct span *s, const char *literal)
{
	size_t n = strlen(literal);
	if (s->n < n || memcmp(s->p, literal, n))
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

/* Takes what stands before the character off the front; all where it is not there. */
static struct span
skip_until(struct span *s, char c)
{
	const char *at = memchr(s->p, c, s->n);
	struct span value = {s->p, at ? (size_t)(at - s->p) : s->n};
	s->p += value.n;
	s->n -= value.n;
	return value;
}

/* Host(`h`), or Host(`h`) && (Path(`/p`) || PathPrefix(`/p/`)), and nothing else. */
static bool
is_rule(struct span s)
{
	if (!skip(&s, "Host(`") || !is_host(skip_until(&s, '`')) || !skip(&s, "`)"))
		return false;
	if (!s.n)
		return true;

	if (!skip(&s, " && (Path(`"))
		return false;
	struct span path = skip_until(&s, '`');
	if (!is_path(path) || !skip(&s, "`) || PathPrefix(`"))
		return false;
	struct span prefix = skip_until(&s, '`');
	return prefix.n == path.n + 1 && !memcmp(prefix.p, path.p, path.n) &&
	       prefix.p[path.n] == '/' && skip(&s, "`))") && !s.n;
}

static bool
is_port(struct span s)
{
	unsigned port = 0;
	if (!s.n || s.n > 5 || s.p[0] == '0' || span_class(s, CLASS_DIGIT) < s.n)
		return false;
	for (size_t i = 0; i < s.n; i++)
		port = port * 10 + (unsigned)(s.p[i] - '0');
	return port <= 65535;
}

/* scheme://host:port, the host perhaps an address in brackets. */
static bool
is_url(struct span s)
{
	if (!skip(&s, "http://") && !skip(&s, "https://") && !skip(&s, "h2c://"))
		return false;
	if (skip(&s, "[")) {
		struct span v6 = skip_until(&s, ']');
		return v6.n >= 2 && span_class(v6, CLASS_V6) == v6.n && skip(&s, "]:") &&
		       is_port(s);
	}
	return is_host(skip_until(&s, ':')) && skip(&s, ":") && is_port(s);
}

static bool
is_domain(struct span s)
{
	skip(&s, "*.");
	return is_host(s);
}

/* ── What a value may be ───────────────────────────────────────────────────────────────────── */

struct field;

struct shape {
	enum { TEXT, NUMBER, FLAG, LIST, OBJECT } type;
	bool may_be_empty; /* LIST, OBJECT: Traefik refuses any other that is */
	bool (*valid)(struct span s); /* TEXT */
	bool refers; /* TEXT: to a name in the section `to` */
	enum traefik_section to;
	const struct shape *item; /* LIST */
	const struct field *fields; /* OBJECT; the last one has no name */
};

struct field {
	const char *name;
	bool required;
	struct shape shape;
};

static const struct shape a_name = {.type = TEXT, .valid = is_name};
static const struct shape a_path = {.type = TEXT, .valid = is_path};
static const struct shape a_domain = {.type = TEXT, .valid = is_domain};
static const struct shape a_middleware = {
	.type = TEXT, .valid = is_name, .refers = true, .to = TRAEFIK_MIDDLEWARES};

static const struct field domain_fields[] = {
	{"main", true, {.type = TEXT, .valid = is_domain}},
	{"sans", false, {.type = LIST, .item = &a_domain}},
	{0},
};
static const struct shape domain = {.type = OBJECT, .fields = domain_fields};

static const struct field tls_fields[] = {
	{"certResolver", false, {.type = TEXT, .valid = is_name}},
	{"domains", false, {.type = LIST, .item = &domain}},
	{0},
};

static const struct field router_fields[] = {
	{"entryPoints", true, {.type = LIST, .item = &a_name}},
	{"rule", true, {.type = TEXT, .valid = is_rule}},
	{"service", true, {.type = TEXT, .valid = is_name, .refers = true, .to = TRAEFIK_SERVICES}},
	{"priority", true, {.type = NUMBER}},
	{"middlewares", false, {.type = LIST, .item = &a_middleware}},
	{"tls", false, {.type = OBJECT, .may_be_empty = true, .fields = tls_fields}},
	{0},
};

static const struct field cookie_fields[] = {
	{"name", true, {.type = TEXT, .valid = is_name}},
	{"httpOnly", true, {.type = FLAG}},
	{0},
};
static const struct field sticky_fields[] = {
	{"cookie", true, {.type = OBJECT, .fields = cookie_fields}},
	{0},
};

static const struct field server_fields[] = {
	{"url", true, {.type = TEXT, .valid = is_url}},
	{0},
};
static const struct shape server = {.type = OBJECT, .fields = server_fields};

static const struct field balancer_fields[] = {
	{"sticky", false, {.type = OBJECT, .fields = sticky_fields}},
	/* Without servers it answers 503; without the list Traefik refuses the document. */
	{"servers", true, {.type = LIST, .may_be_empty = true, .item = &server}},
	{0},
};
static const struct field service_fields[] = {
	{"loadBalancer", true, {.type = OBJECT, .fields = balancer_fields}},
	{0},
};

static const struct field strip_fields[] = {
	{"prefixes", true, {.type = LIST, .item = &a_path}},
	{0},
};
static const struct field middleware_fields[] = {
	{"stripPrefix", true, {.type = OBJECT, .fields = strip_fields}},
	{0},
};

static const struct {
	const char *name;
	struct shape shape;
} sections[FRAGMENT_SECTIONS] = {
	[TRAEFIK_ROUTERS] = {"routers", {.type = OBJECT, .fields = router_fields}},
	[TRAEFIK_SERVICES] = {"services", {.type = OBJECT, .fields = service_fields}},
	[TRAEFIK_MIDDLEWARES] = {"middlewares", {.type = OBJECT, .fields = middleware_fields}},
};

/* ── Reading ───────────────────────────────────────────────────────────────────────────────── */

struct names {
	size_t n, cap;
	struct span *list;
};

struct check {
	struct span rest; /* of the section that is read */
	struct names names[FRAGMENT_SECTIONS]; /* what there is */
	struct names refs[FRAGMENT_SECTIONS]; /* what is referred to */
};

static void
names_add(struct names *s, struct span name)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->list = xrealloc(s->list, s->cap * sizeof(*s->list));
	}
	s->list[s->n++] = name;
}

static int
span_compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return memcmp(x->p, y->p, x->n);
}

static bool
span_is(struct span s, const char *text)
{
	return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

/* For messages: a span as "%.*s", no longer than a message bears. */
static int
shown(struct span s)
{
	return s.n < 100 ? (int)s.n : 100;
}

static int
expect(struct check *c, const char *literal, struct err *reterr)
{
	if (skip(&c->rest, literal))
		return 0;
	return err_set(reterr, EINVAL, "no %s where one should be, before '%.*s'", literal,
		c->rest.n < 20 ? (int)c->rest.n : 20, c->rest.p);
}

static int
read_text(struct check *c, struct span *ret, struct err *reterr)
{
	if (!skip(&c->rest, "\""))
		return err_set(reterr, EINVAL, "not a string");
	struct span s = skip_until(&c->rest, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\')
			return err_set(reterr, EINVAL, "a backslash");
		if (s.p[i] < ' ' || s.p[i] > '~')
			return err_set(reterr, EINVAL, "not printable ASCII");
	}
	*ret = s;
	return expect(c, "\"", reterr);
}

static int
check_text(struct check *c, const struct shape *shape, struct err *reterr)
{
	struct span s;
	if (read_text(c, &s, reterr) < 0)
		return -EINVAL;
	if (!shape->valid(s))
		return err_set(reterr, EINVAL, "not ours: '%.*s'", shown(s), s.p);
	if (shape->refers)
		names_add(&c->refs[shape->to], s);
	return 0;
}

static int
check_number(struct check *c, struct err *reterr)
{
	size_t n = span_class(c->rest, CLASS_DIGIT);
	if (!n || n > 9 || c->rest.p[0] == '0')
		return err_set(reterr, EINVAL, "not a positive number");
	c->rest.p += n;
	c->rest.n -= n;
	return 0;
}

static int check_shape(struct check *c, const struct shape *shape, struct err *reterr);

static int
check_list(struct check *c, const struct shape *shape, struct err *reterr)
{
	if (!skip(&c->rest, "["))
		return err_set(reterr, EINVAL, "not a list");
	if (skip(&c->rest, "]"))
		return shape->may_be_empty ? 0 : err_set(reterr, EINVAL, "an empty list");
	size_t i = 0;
	do {
		if (check_shape(c, shape->item, reterr) < 0)
			return err_wrap(reterr, "[%zu]", i);
		i++;
	} while (skip(&c->rest, ","));
	return expect(c, "]", reterr);
}

static int
check_field(struct check *c, const struct field *fields, unsigned *seen, struct err *reterr)
{
	struct span name;
	if (read_text(c, &name, reterr) < 0 || expect(c, ":", reterr) < 0)
		return -EINVAL;
	for (unsigned i = 0; fields[i].name; i++) {
		if (!span_is(name, fields[i].name))
			continue;
		if (*seen & 1u << i)
			return err_set(reterr, EINVAL, "duplicate field '%s'", fields[i].name);
		*seen |= 1u << i;
		int r = check_shape(c, &fields[i].shape, reterr);
		return r < 0 ? err_wrap(reterr, "%s", fields[i].name) : 0;
	}
	return err_set(reterr, EINVAL, "unknown field '%.*s'", shown(name), name.p);
}

static int
check_object(struct check *c, const struct shape *shape, struct err *reterr)
{
	unsigned seen = 0;

	if (!skip(&c->rest, "{"))
		return err_set(reterr, EINVAL, "not a map");
	if (skip(&c->rest, "}"))
		return shape->may_be_empty ? 0 : err_set(reterr, EINVAL, "an empty map");
	do {
		if (check_field(c, shape->fields, &seen, reterr) < 0)
			return -EINVAL;
	} while (skip(&c->rest, ","));
	for (unsigned i = 0; shape->fields[i].name; i++) {
		if (shape->fields[i].required && !(seen & 1u << i))
			return err_set(reterr, EINVAL, "no field '%s'", shape->fields[i].name);
	}
	return expect(c, "}", reterr);
}

static int
check_shape(struct check *c, const struct shape *shape, struct err *reterr)
{
	switch (shape->type) {
	case TEXT:
		return check_text(c, shape, reterr);
	case NUMBER:
		return check_number(c, reterr);
	case FLAG:
		if (skip(&c->rest, "true") || skip(&c->rest, "false"))
			return 0;
		return err_set(reterr, EINVAL, "not a boolean");
	case LIST:
		return check_list(c, shape, reterr);
	case OBJECT:
		return check_object(c, shape, reterr);
	}
	assert(!"a shape of no type");
}

/* One member of a section: its name and what it is. */
static int
check_member(struct check *c, enum traefik_section s, struct err *reterr)
{
	struct span name;
	if (read_text(c, &name, reterr) < 0 || expect(c, ":", reterr) < 0)
		return -EINVAL;
	if (!is_name(name))
		return err_set(reterr, EINVAL, "not a name of ours: '%.*s'", shown(name), name.p);
	names_add(&c->names[s], name);
	int r = check_shape(c, &sections[s].shape, reterr);
	return r < 0 ? err_wrap(reterr, "%.*s", shown(name), name.p) : 0;
}

static int
check_section(struct check *c, enum traefik_section s, struct span text, struct err *reterr)
{
	struct names *names = &c->names[s];

	c->rest = text;
	if (!text.n)
		return 0;
	do {
		if (check_member(c, s, reterr) < 0)
			return -EINVAL;
	} while (skip(&c->rest, ","));
	if (c->rest.n)
		return err_set(reterr, EINVAL, "something behind the end");

	qsort(names->list, names->n, sizeof(*names->list), span_compare);
	for (size_t i = 1; i < names->n; i++) {
		if (!span_compare(&names->list[i - 1], &names->list[i]))
			return err_set(reterr, EINVAL, "duplicate name '%.*s'",
				shown(names->list[i]), names->list[i].p);
	}
	return 0;
}

static bool
names_have(const struct names *names, struct span name)
{
	return names->n && bsearch(&name, names->list, names->n, sizeof(name), span_compare);
}

/* What a router refers to stands in the same fragment, or is the document's. */
static int
check_references(const struct check *c, enum traefik_section s, struct err *reterr)
{
	const struct names *refs = &c->refs[s];
	for (size_t i = 0; i < refs->n; i++) {
		struct span name = refs->list[i];
		bool redirect = s == TRAEFIK_MIDDLEWARES && span_is(name, TRAEFIK_REDIRECT);
		if (!redirect && !names_have(&c->names[s], name))
			return err_set(reterr, EINVAL, "there is no '%.*s', which a router names",
				shown(name), name.p);
	}
	if (names_have(&c->names[s], (struct span){TRAEFIK_REDIRECT, strlen(TRAEFIK_REDIRECT)}))
		return err_set(reterr, EINVAL, "%s is the document's", TRAEFIK_REDIRECT);
	return 0;
}

int
traefik_check_fragment(const struct fragment *f, struct err *reterr)
{
	struct check c = {0};
	int r = 0;

	for (int s = 0; s < FRAGMENT_SECTIONS && r >= 0; s++) {
		struct span text = {f->section[s].p, f->section[s].n};
		r = check_section(&c, (enum traefik_section)s, text, reterr);
		if (r < 0)
			err_wrap(reterr, "%s", sections[s].name);
	}
	for (int s = 0; s < FRAGMENT_SECTIONS && r >= 0; s++) {
		r = check_references(&c, (enum traefik_section)s, reterr);
		if (r < 0)
			err_wrap(reterr, "%s", sections[s].name);
	}
	for (int s = 0; s < FRAGMENT_SECTIONS; s++) {
		free(c.names[s].list);
		free(c.refs[s].list);
	}
	return r;
}

/* ── Settings ──────────────────────────────────────────────────────────────────────────────── */

static struct span
span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

static int
names_check(const char *what, size_t n, const char *const *names, struct err *reterr)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_name(span_of(names[i])))
			return err_set(reterr, EINVAL,
				"%s[%zu]: not letters, digits, '.', '_' or '-': '%.100s'", what, i,
				names[i]);
	}
	return 0;
}

static int
domain_check(const struct settings_tls_domain *d, struct err *reterr)
{
	if (!is_domain(span_of(d->main)))
		return err_set(reterr, EINVAL, "main: not a domain: '%.100s'", d->main);
	for (size_t i = 0; i < d->nsans; i++) {
		if (!is_domain(span_of(d->sans[i])))
			return err_set(
				reterr, EINVAL, "sans[%zu]: not a domain: '%.100s'", i, d->sans[i]);
	}
	return 0;
}

int
traefik_check_settings(const struct settings_traefik *s, struct err *reterr)
{
	if (!s->nhttp)
		return err_set(reterr, EINVAL, "http: no entry point");
	int r = names_check("http", s->nhttp, s->http, reterr);
	if (r >= 0)
		r = names_check("https", s->nhttps, s->https, reterr);
	if (r >= 0 && s->resolver)
		r = names_check("tls.resolver", 1, &s->resolver, reterr);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->ndomains; i++) {
		if (domain_check(&s->domains[i], reterr) < 0)
			return err_wrap(reterr, "tls.domains[%zu]", i);
	}
	if (!s->default_cert_file != !s->default_key_file)
		return err_set(
			reterr, EINVAL, "a default certificate needs a file of its key, too");
	return 0;
}
