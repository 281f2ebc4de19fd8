#include "reconciler/model/convention.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "reconciler/base/err.h"
#include "reconciler/model/host.h"

#define OWN_PREFIX "waymark."
/* Engines give no longer name; the bound keeps the table of matches small. */
#define NAME_MAX_OCTETS 255

static const char *const field_texts[FIELD_COUNT] = {
#define X(name, text) text,
	CONVENTION_FIELDS(X)
#undef X
};

static const char *const own_labels[FIELD_COUNT] = {
#define X(name, text) OWN_PREFIX text,
	CONVENTION_FIELDS(X)
#undef X
};

const char *
convention_field_text(enum convention_field field)
{
	assert(field < FIELD_COUNT);
	return field_texts[field];
}

static int
field_find(const char *text, size_t n)
{
	for (int f = 0; f < FIELD_COUNT; f++)
		if (strlen(field_texts[f]) == n && memcmp(field_texts[f], text, n) == 0)
			return f;
	return -1;
}

int
convention_field_find(const char *text)
{
	return field_find(text, strlen(text));
}

/* Does a label's name match a rule's, of n octets, in which one '*' stands for any run of bytes? */
static bool
label_matches(const char *pattern, size_t n, const char *label)
{
	if (n == 0 || (pattern[0] != label[0] && pattern[0] != '*'))
		return false;
	const char *star = memchr(pattern, '*', n);
	if (!star)
		return strncmp(pattern, label, n) == 0 && label[n] == '\0';

	size_t head = (size_t)(star - pattern), tail = n - head - 1, len = strlen(label);
	return len >= head + tail && memcmp(pattern, label, head) == 0 &&
	       memcmp(star + 1, label + len - tail, tail) == 0;
}

/* The first label, by name, that matches and is not empty. */
static const struct endpoint_label *
label_find(const struct endpoint *e, const char *pattern, size_t n)
{
	for (size_t i = 0; i < e->nlabels; i++)
		if (e->labels[i].value[0] && label_matches(pattern, n, e->labels[i].name))
			return &e->labels[i];
	return NULL;
}

static bool
value_equals(const char *wanted, const char *value)
{
	bool w, v;
	if (strcmp(wanted, "true") != 0 && strcmp(wanted, "false") != 0)
		return strcmp(wanted, value) == 0;
	return bool_parse(wanted, &w, NULL) == 0 && bool_parse(value, &v, NULL) == 0 && w == v;
}

/* The label's name in a condition: its start, and its length in *ret_n. */
static const char *
condition_label(const char *condition, size_t *ret_n)
{
	const char *label = condition[0] == '!' ? condition + 1 : condition;
	*ret_n = strcspn(label, "=");
	return label;
}

static bool
condition_holds(const char *condition, const struct endpoint *e)
{
	size_t n;
	const char *name = condition_label(condition, &n);
	const struct endpoint_label *label = label_find(e, name, n);
	bool holds = label && (name[n] == '\0' || value_equals(name + n + 1, label->value));
	return holds != (condition[0] == '!');
}

static bool
condition_wants(const char *condition, const char *label)
{
	size_t n;
	const char *name = condition_label(condition, &n);
	return label_matches(name, n, label);
}

#define ROUTER_PREFIX "traefik.http.routers."
#define ROUTER_SUFFIX ".rule"

/* "shop-42", with a router of that name. */
static bool
is_deployment(const struct endpoint *e)
{
	const char *dash = strrchr(e->name, '-');
	size_t n = strlen(e->name);

	if (!dash || dash == e->name || !dash[1] || dash[1 + strspn(dash + 1, "0123456789")])
		return false;
	for (size_t i = 0; i < e->nlabels; i++) {
		const char *label = e->labels[i].name;
		if (e->labels[i].value[0] &&
			strncasecmp(label, ROUTER_PREFIX, strlen(ROUTER_PREFIX)) == 0 &&
			strncasecmp(label + strlen(ROUTER_PREFIX), e->name, n) == 0 &&
			strcasecmp(label + strlen(ROUTER_PREFIX) + n, ROUTER_SUFFIX) == 0)
			return true;
	}
	return false;
}

bool
convention_recognises(const struct convention *c, const struct endpoint *e)
{
	if (c->deployments && !is_deployment(e))
		return false;
	for (size_t i = 0; i < c->nall; i++)
		if (!condition_holds(c->all[i], e))
			return false;
	for (size_t i = 0; i < c->nany; i++)
		if (condition_holds(c->any[i], e))
			return true;
	return c->nany == 0;
}

static bool
is_own(const char *label)
{
	size_t n = strlen(OWN_PREFIX);
	return strncmp(label, OWN_PREFIX, n) == 0 && convention_field_find(label + n) >= 0;
}

static bool
rule_wants(const struct convention_rule *r, const char *label)
{
	if (r->place == PLACE_LABEL && label_matches(r->text, strlen(r->text), label))
		return true;
	return r->when && condition_wants(r->when, label);
}

bool
convention_wants_label(const struct convention *c, const char *label)
{
	if (is_own(label) ||
		(c->deployments && label_matches(ROUTER_PREFIX "*" ROUTER_SUFFIX,
					   strlen(ROUTER_PREFIX "*" ROUTER_SUFFIX), label)))
		return true;
	for (size_t i = 0; i < c->nall; i++)
		if (condition_wants(c->all[i], label))
			return true;
	for (size_t i = 0; i < c->nany; i++)
		if (condition_wants(c->any[i], label))
			return true;
	for (size_t i = 0; i < c->nrules; i++)
		if (rule_wants(&c->rules[i], label))
			return true;
	return false;
}

/* A name pattern, cut: literals, and fields that take one byte or more. */
struct token {
	int field; /* -1: the literal */
	const char *text;
	size_t n;
};

#define TOKENS_MAX (2 * FIELD_COUNT + 1)

struct pattern {
	size_t n;
	struct token token[TOKENS_MAX];
};

static int
pattern_add(struct pattern *p, struct token token, struct err *reterr)
{
	if (token.field >= 0 && p->n > 0 && p->token[p->n - 1].field >= 0)
		return err_set(reterr, EINVAL, "nothing stands between {%s} and {%s}",
			field_texts[p->token[p->n - 1].field], field_texts[token.field]);
	for (size_t i = 0; i < p->n && token.field >= 0; i++)
		if (p->token[i].field == token.field)
			return err_set(
				reterr, EINVAL, "{%s} stands twice", field_texts[token.field]);
	assert(p->n < TOKENS_MAX);
	p->token[p->n++] = token;
	return 0;
}

static int
pattern_parse(const char *text, struct pattern *ret, struct err *reterr)
{
	struct pattern p = {0};
	while (*text) {
		size_t n = strcspn(text, "{}");
		struct token token = {.field = -1, .text = text, .n = n};
		if (n == 0) {
			const char *end = text[0] == '{' ? strchr(text, '}') : NULL;
			if (!end)
				return err_set(reterr, EINVAL, "a brace has no partner");
			n = (size_t)(end - text) + 1;
			token.field = field_find(text + 1, n - 2);
			if (token.field < 0)
				return err_set(reterr, EINVAL, "unknown field %.*s",
					(int)(n < 40 ? n : 40), text);
		}
		int r = pattern_add(&p, token, reterr);
		if (r < 0)
			return r;
		text += n;
	}
	if (p.n == 0)
		return err_set(reterr, EINVAL, "the pattern is empty");
	*ret = p;
	return 0;
}

int
convention_pattern_check(const char *pattern, struct err *reterr)
{
	struct pattern p;
	return pattern_parse(pattern, &p, reterr);
}

struct match {
	const struct pattern *pattern;
	const char *name;
	size_t size;
	const struct convention_reading *known;
	size_t start[FIELD_COUNT], len[FIELD_COUNT];
	/* Token i is known not to match from octet j on: keeps a hostile name from costing more
	 * than tokens times octets. */
	bool failed[TOKENS_MAX + 1][NAME_MAX_OCTETS + 1];
};

/* How many octets from there on the field could take at most.  Environments, slots and ports are
 * words without '-' (interface of names), which lets "{project}-{environment}-{slot}" find them
 * behind a project that has some. */
static size_t
field_span(int field, const char *name)
{
	switch (field) {
	case FIELD_ENVIRONMENT:
	case FIELD_SLOT:
		return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
	case FIELD_PORT:
		return strspn(name, "0123456789");
	default:
		return strlen(name);
	}
}

static bool match_from(struct match *m, size_t token, size_t at);

static bool
match_literal(struct match *m, size_t token, size_t at, const char *text, size_t n)
{
	return m->size - at >= n && memcmp(m->name + at, text, n) == 0 &&
	       match_from(m, token + 1, at + n);
}

/* The shortest run that lets the rest match. */
static bool
match_field(struct match *m, size_t token, size_t at)
{
	int field = m->pattern->token[token].field;
	size_t span = field_span(field, m->name + at);
	for (size_t n = 1; n <= span; n++)
		if (match_from(m, token + 1, at + n)) {
			m->start[field] = at;
			m->len[field] = n;
			return true;
		}
	return false;
}

static bool
match_from(struct match *m, size_t token, size_t at)
{
	if (token == m->pattern->n)
		return at == m->size;
	if (m->failed[token][at])
		return false;

	const struct token *t = &m->pattern->token[token];
	const char *known = t->field >= 0 ? m->known->field[t->field].value : NULL;
	bool ok;
	if (t->field < 0)
		ok = match_literal(m, token, at, t->text, t->n);
	else if (known)
		ok = match_literal(m, token, at, known, strlen(known));
	else
		ok = match_field(m, token, at);
	m->failed[token][at] = !ok;
	return ok;
}

/* What the container's name says of a field.  Fields that are known already must stand in the name
 * as they are: a project called "a-preview-b" is no preview of "a". */
static const char *
name_read(const char *text, enum convention_field field, const struct endpoint *e,
	const struct convention_reading *known, struct arena *a)
{
	struct pattern p;
	struct match m = {.pattern = &p, .name = e->name, .size = strlen(e->name), .known = known};
	if (m.size > NAME_MAX_OCTETS || pattern_parse(text, &p, NULL) < 0)
		return NULL;
	if (!match_from(&m, 0, 0) || m.len[field] == 0)
		return NULL;
	return arena_strndup(a, e->name + m.start[field], m.len[field]);
}

static void
rule_read(const struct convention_rule *r, const struct endpoint *e, struct arena *a,
	struct convention_reading *ret)
{
	const struct endpoint_label *label;
	struct convention_origin from = {0};
	const char *value = NULL;

	switch (r->place) {
	case PLACE_LABEL:
		label = label_find(e, r->text, strlen(r->text));
		if (label) {
			value = label->value;
			from = (struct convention_origin){"label ", label->name};
		}
		break;
	case PLACE_NAME:
		value = name_read(r->text, r->field, e, ret, a);
		from = (struct convention_origin){"container name", ""};
		break;
	case PLACE_VALUE:
		value = r->text;
		from = (struct convention_origin){"convention ", ret->convention->name};
		break;
	}
	if (value && value[0]) {
		ret->field[r->field].value = value;
		ret->field[r->field].from = from;
	}
}

/* The first of a field's rules that has a value. */
static void
field_read(const struct convention *c, int f, const struct endpoint *e, bool names, struct arena *a,
	struct convention_reading *ret)
{
	for (size_t i = 0; i < c->nrules && !ret->field[f].value; i++) {
		const struct convention_rule *r = &c->rules[i];
		if ((int)r->field == f && (names || r->place != PLACE_NAME) &&
			(!r->when || condition_holds(r->when, e)))
			rule_read(r, e, a, ret);
	}
}

void
convention_read(const struct convention *c, const struct endpoint *e, struct arena *a,
	struct convention_reading *ret)
{
	const char *own[FIELD_COUNT];

	*ret = (struct convention_reading){.convention = c};
	/* By field, so that a name pattern knows the fields before its own, whatever the order in
	 * which an operator wrote the rules.  A name is not asked for what a label of ours says. */
	for (int f = 0; f < FIELD_COUNT; f++) {
		own[f] = endpoint_label(e, own_labels[f]);
		field_read(c, f, e, !own[f] || !own[f][0], a, ret);
	}
	for (int f = 0; f < FIELD_COUNT; f++) {
		if (!own[f] || !own[f][0])
			continue;
		ret->field[f].value = own[f];
		ret->field[f].from = (struct convention_origin){"label ", own_labels[f]};
	}
}
