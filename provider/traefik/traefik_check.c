#include "provider/traefik/traefik_check.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "provider/traefik/traefik_render.h"
#include "provider/traefik/value_check.h"
#include "reconciler/base/arena.h"

/* Reads less than JSON: no space, no escape, nothing but printable ASCII in strings.  So what
 * passes is JSON, it is YAML that says the same (surrogate escapes are what Traefik's reader
 * stumbles over, go-yaml/yaml#279), and ten thousand projects are read in a few dozen milliseconds.
 */

/* ── What may stand where ──────────────────────────────────────────────────────────────────── */

struct field;

struct shape {
	enum { TEXT, NUMBER, FLAG, LIST, OBJECT } type;
	bool may_be_empty; /* LIST, OBJECT: Traefik refuses any other that is */
	bool is_one; /* OBJECT: it has exactly one of its fields */
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

static const struct shape a_name = {.type = TEXT, .valid = value_is_name};
static const struct shape a_path = {.type = TEXT, .valid = value_is_path};
static const struct shape a_domain = {.type = TEXT, .valid = value_is_domain};
static const struct shape a_middleware = {
	.type = TEXT, .valid = value_is_middleware, .refers = true, .to = TRAEFIK_MIDDLEWARES};
#define A_SERVICE                                                                                  \
	{                                                                                          \
		.type = TEXT, .valid = value_is_name, .refers = true, .to = TRAEFIK_SERVICES       \
	}

static const struct field domain_fields[] = {
	{"main", true, {.type = TEXT, .valid = value_is_domain}},
	{"sans", false, {.type = LIST, .item = &a_domain}},
	{0},
};
static const struct shape domain = {.type = OBJECT, .fields = domain_fields};

static const struct field tls_fields[] = {
	{"certResolver", false, {.type = TEXT, .valid = value_is_name}},
	{"domains", false, {.type = LIST, .item = &domain}},
	{0},
};

static const struct field router_fields[] = {
	{"entryPoints", true, {.type = LIST, .item = &a_name}},
	{"rule", true, {.type = TEXT, .valid = value_is_rule}},
	{"service", true, A_SERVICE},
	{"priority", true, {.type = NUMBER}},
	{"middlewares", false, {.type = LIST, .item = &a_middleware}},
	{"tls", false, {.type = OBJECT, .may_be_empty = true, .fields = tls_fields}},
	{0},
};

static const struct field cookie_fields[] = {
	{"name", true, {.type = TEXT, .valid = value_is_name}},
	{"httpOnly", true, {.type = FLAG}},
	{0},
};
static const struct field sticky_fields[] = {
	{"cookie", true, {.type = OBJECT, .fields = cookie_fields}},
	{0},
};

static const struct field server_fields[] = {
	{"url", true, {.type = TEXT, .valid = value_is_url}},
	{0},
};
static const struct shape server = {.type = OBJECT, .fields = server_fields};

static const struct field balancer_fields[] = {
	{"sticky", false, {.type = OBJECT, .fields = sticky_fields}},
	/* Without servers it answers 503; without the list Traefik refuses the document. */
	{"servers", true, {.type = LIST, .may_be_empty = true, .item = &server}},
	{0},
};

static const struct field share_fields[] = {
	{"name", true, A_SERVICE},
	{"weight", true, {.type = NUMBER}},
	{0},
};
static const struct shape share = {.type = OBJECT, .fields = share_fields};

static const struct field weighted_fields[] = {
	{"sticky", false, {.type = OBJECT, .fields = sticky_fields}},
	{"services", true, {.type = LIST, .item = &share}},
	{0},
};

static const struct field service_fields[] = {
	{"loadBalancer", false, {.type = OBJECT, .fields = balancer_fields}},
	{"weighted", false, {.type = OBJECT, .fields = weighted_fields}},
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
	[TRAEFIK_SERVICES] = {"services",
		{.type = OBJECT, .is_one = true, .fields = service_fields}},
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
	if (span_skip(&c->rest, literal))
		return 0;
	return err_set(reterr, EINVAL, "no %s where one should be, before '%.*s'", literal,
		c->rest.n < 20 ? (int)c->rest.n : 20, c->rest.p);
}

static int
read_text(struct check *c, struct span *ret, struct err *reterr)
{
	if (!span_skip(&c->rest, "\""))
		return err_set(reterr, EINVAL, "not a string");
	struct span s = span_until(&c->rest, '"');
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
	if (shape->refers && !value_is_foreign(s))
		names_add(&c->refs[shape->to], s);
	return 0;
}

static int
check_number(struct check *c, struct err *reterr)
{
	size_t n = span_digits(c->rest);
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
	if (!span_skip(&c->rest, "["))
		return err_set(reterr, EINVAL, "not a list");
	if (span_skip(&c->rest, "]"))
		return shape->may_be_empty ? 0 : err_set(reterr, EINVAL, "an empty list");
	size_t i = 0;
	do {
		if (check_shape(c, shape->item, reterr) < 0)
			return err_wrap(reterr, "[%zu]", i);
		i++;
	} while (span_skip(&c->rest, ","));
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

	if (!span_skip(&c->rest, "{"))
		return err_set(reterr, EINVAL, "not a map");
	if (span_skip(&c->rest, "}"))
		return shape->may_be_empty ? 0 : err_set(reterr, EINVAL, "an empty map");
	do {
		if (check_field(c, shape->fields, &seen, reterr) < 0)
			return -EINVAL;
	} while (span_skip(&c->rest, ","));
	for (unsigned i = 0; shape->fields[i].name; i++) {
		if (shape->fields[i].required && !(seen & 1u << i))
			return err_set(reterr, EINVAL, "no field '%s'", shape->fields[i].name);
	}
	if (shape->is_one && seen & (seen - 1))
		return err_set(reterr, EINVAL, "more than one kind");
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
		if (span_skip(&c->rest, "true") || span_skip(&c->rest, "false"))
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
	if (!value_is_name(name))
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
	} while (span_skip(&c->rest, ","));
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

/* Is it the document's?  The fragment says of those that it names that it does. */
static bool
is_shared(struct span name, unsigned uses)
{
	for (unsigned m = 0; m < TRAEFIK_SHARED_COUNT; m++) {
		if (uses & 1u << m && span_is(name, traefik_shared_name[m]))
			return true;
	}
	return false;
}

/* What a router or service refers to stands in the same fragment, or is the document's. */
static int
check_references(const struct check *c, enum traefik_section s, unsigned uses, struct err *reterr)
{
	const struct names *refs = &c->refs[s], *names = &c->names[s];
	for (size_t i = 0; i < refs->n; i++) {
		struct span name = refs->list[i];
		if (!names_have(names, name) &&
			!(s == TRAEFIK_MIDDLEWARES && is_shared(name, uses)))
			return err_set(reterr, EINVAL, "there is no '%.*s', which is referred to",
				shown(name), name.p);
	}
	for (size_t i = 0; s == TRAEFIK_MIDDLEWARES && i < names->n; i++) {
		if (is_shared(names->list[i], ~0u))
			return err_set(reterr, EINVAL, "%.*s is the document's",
				shown(names->list[i]), names->list[i].p);
	}
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
		r = check_references(&c, (enum traefik_section)s, f->uses, reterr);
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
		if (!value_is_name(span_of(names[i])))
			return err_set(reterr, EINVAL,
				"%s[%zu]: not letters, digits, '.', '_' or '-': '%.100s'", what, i,
				names[i]);
	}
	return 0;
}

static int
domain_check(const struct settings_tls_domain *d, struct err *reterr)
{
	if (!value_is_domain(span_of(d->main)))
		return err_set(reterr, EINVAL, "main: not a domain: '%.100s'", d->main);
	for (size_t i = 0; i < d->nsans; i++) {
		if (!value_is_domain(span_of(d->sans[i])))
			return err_set(
				reterr, EINVAL, "sans[%zu]: not a domain: '%.100s'", i, d->sans[i]);
	}
	return 0;
}

static int
traefik_check(const struct settings_traefik *s, struct err *reterr)
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

static int
preview_check(const struct settings_preview *s, struct err *reterr)
{
	for (size_t i = 0; i < s->nallow; i++) {
		if (!value_is_network(span_of(s->allow[i])))
			return err_set(reterr, EINVAL, "allow[%zu]: not a network: '%.100s'", i,
				s->allow[i]);
	}
	for (size_t i = 0; i < s->nusers; i++) {
		/* A hash is nobody's business. */
		if (!value_is_user(span_of(s->users[i])))
			return err_set(reterr, EINVAL,
				"basic_auth_file: user %zu: not a name, ':' and a hash", i + 1);
	}
	return 0;
}

int
traefik_check_settings(const struct settings *s, struct err *reterr)
{
	if (traefik_check(&s->traefik, reterr) < 0)
		return err_wrap(reterr, "traefik");
	if (preview_check(&s->preview, reterr) < 0)
		return err_wrap(reterr, "preview");
	if (s->pages_url && !value_is_url(span_of(s->pages_url)))
		return err_set(reterr, EINVAL, "pages: url: not a URL with a port: '%.100s'",
			s->pages_url);
	return 0;
}
