/* The part of the configuration that says how containers are recognised: `conventions` and
 * `platforms`. */
#include "provider/cli/config_decode.h"

#include <string.h>

#include "reconciler/model/convention.h"
#include "reconciler/model/host.h"

static const struct {
	const char *prefix;
	enum convention_place place;
} places[] = {
	{"label:", PLACE_LABEL},
	{"name:", PLACE_NAME},
	{"value:", PLACE_VALUE},
};

/* The text is canonical, so one of the prefixes is there. */
static void
decode_place(const char *text, struct convention_rule *rule)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t n = strlen(places[i].prefix);
		if (strncmp(text, places[i].prefix, n) == 0) {
			rule->place = places[i].place;
			rule->text = text + n;
		}
	}
}

static void
check_pattern(
	struct config_reader *r, const struct yaml_node *at, const struct convention_rule *rule)
{
	const char *field = arena_printf(r->arena, "{%s}", convention_field_text(rule->field));
	if (rule->place == PLACE_NAME && !strstr(rule->text, field))
		config_refuse(r, at, arena_printf(r->arena, "the pattern has no %s", field),
			"write the field that it is to find into it");
}

/* One place of a field: a text, or a mapping of from and when.  False where it was refused. */
static bool
decode_rule(struct config_reader *r, struct arena *a, const struct yaml_node *place,
	enum convention_field field, struct convention_rule *ret)
{
	struct convention_rule rule = {.field = field};
	const char *text = NULL;
	if (place->kind == YAML_SCALAR) {
		text = arena_strdup(a, place->text);
	} else if (place->kind == YAML_MAP) {
		text = config_text(a, place, "from");
		rule.when = config_text(a, place, "when");
		if (!config_has(place, "from"))
			config_refuse(r, place, "from is missing", "say where to look, as from");
	}
	if (!text)
		return false;
	decode_place(text, &rule);
	check_pattern(r, place, &rule);
	*ret = rule;
	return true;
}

static enum convention_field
decode_field(struct config_reader *r, const struct yaml_item *item, bool *ret_ok)
{
	const char *names[FIELD_COUNT + 1] = {0};
	int field = convention_field_find(item->key);
	*ret_ok = field >= 0;
	if (field >= 0)
		return (enum convention_field)field;

	for (int f = 0; f < FIELD_COUNT; f++)
		names[f] = convention_field_text((enum convention_field)f);
	const char *nearest = config_nearest(item->key, names);
	const char *all = names[0];
	for (int f = 1; f < FIELD_COUNT; f++)
		all = arena_printf(r->arena, "%s, %s", all, names[f]);
	config_refuse(r, item->value,
		arena_printf(r->arena, "unknown field '%s'", host_shown(item->key).text),
		nearest ? arena_printf(r->arena, "did you mean '%s'?", nearest)
			: arena_printf(r->arena, "the fields are: %s", all));
	return FIELD_COUNT;
}

static void
decode_rules(struct config_reader *r, struct arena *a, const struct yaml_node *fields,
	struct convention *c)
{
	size_t max = 0;
	for (size_t i = 0; i < fields->n; i++)
		max += fields->items[i].value->n;
	struct convention_rule *rules = ARENA_ARRAY(a, struct convention_rule, max);
	for (size_t i = 0; i < fields->n; i++) {
		bool ok;
		enum convention_field field = decode_field(r, &fields->items[i], &ok);
		const struct yaml_node *list = fields->items[i].value;
		for (size_t k = 0; ok && k < list->n; k++)
			if (decode_rule(r, a, list->items[k].value, field, &rules[c->nrules]))
				c->nrules++;
	}
	c->rules = rules;
}

static bool
is_built_in(const char *name)
{
	for (const char *const *n = convention_names(); *n; n++)
		if (strcmp(*n, name) == 0)
			return true;
	return false;
}

static bool
is_empty(const struct yaml_node *list)
{
	return !list || (list->kind == YAML_LIST && list->n == 0);
}

static void
check_convention(
	struct config_reader *r, const struct yaml_node *section, const struct convention *c)
{
	const struct yaml_node *fields = yaml_get(section, "fields");
	const struct yaml_node *recognise = yaml_get(section, "recognise");
	if (is_built_in(c->name))
		config_refuse(
			r, section, "Waymark has a convention of this name", "choose another name");
	else if (c->name[strspn(c->name, "abcdefghijklmnopqrstuvwxyz0123456789-_")])
		config_refuse(r, section, "not a name for a convention",
			"use lower-case letters, digits, hyphens and underscores");
	if (recognise && recognise->kind == YAML_MAP && is_empty(yaml_get(recognise, "all")) &&
		is_empty(yaml_get(recognise, "any")))
		config_refuse(r, section, "it would recognise every container",
			"say by which labels, under recognise.all or recognise.any");
	if (fields && fields->kind == YAML_MAP && !config_has(fields, "project"))
		config_refuse(r, section, "fields.project is missing",
			"say where a container's project stands");
}

static const struct convention *
decode_convention(struct config_reader *r, struct arena *a, const struct yaml_item *item)
{
	const struct yaml_node *section = item->value, *fields = yaml_get(section, "fields");
	const struct yaml_node *recognise = yaml_get(section, "recognise");
	const char *codi = config_text(a, section, "codi_branches");
	struct convention *c = ARENA_NEW(a, struct convention);
	c->name = arena_strdup(a, item->key);
	c->codi_branches = codi && strcmp(codi, "true") == 0;
	c->nall = config_texts(a, recognise, "all", &c->all);
	c->nany = config_texts(a, recognise, "any", &c->any);
	if (fields)
		decode_rules(r, a, fields, c);
	check_convention(r, section, c);
	return c;
}

/* The conventions that containers may be recognised by: Waymark's and the operator's. */
struct known {
	size_t nown;
	const struct convention **own;
	bool *used;
};

static const struct convention *
known_find(const struct known *k, const char *name)
{
	for (size_t i = 0; i < k->nown; i++)
		if (strcmp(k->own[i]->name, name) == 0) {
			k->used[i] = true;
			return k->own[i];
		}
	return convention_find(name);
}

static void
refuse_platform(struct config_reader *r, const struct known *k, const struct yaml_node *at)
{
	size_t n = 0, max = k->nown;
	while (convention_names()[n])
		n++;
	const char **names = ARENA_ARRAY(r->arena, const char *, max + n + 1);
	for (size_t i = 0; i < max; i++)
		names[i] = k->own[i]->name;
	for (size_t i = 0; i < n; i++)
		names[max + i] = convention_names()[i];
	const char *nearest = config_nearest(at->text, names);
	config_refuse(r, at,
		arena_printf(r->arena, "unknown platform '%s'", host_shown(at->text).text),
		nearest ? arena_printf(r->arena, "did you mean '%s'?", nearest)
			: "list Waymark's own (codi, codeb, compose, traefik, waymark, mvp) or "
			  "one of `conventions`");
}

static bool
stands_before(const struct yaml_node *list, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (list->items[k].value->kind == YAML_SCALAR &&
			strcmp(list->items[k].value->text, list->items[i].value->text) == 0)
			return true;
	return false;
}

static void
decode_platforms(struct config_reader *r, const struct yaml_node *list, bool given,
	const struct known *k, struct settings *s)
{
	const struct convention **all =
		ARENA_ARRAY(&s->arena, const struct convention *, k->nown + list->n);
	size_t n = 0;
	for (size_t i = 0; !given && i < k->nown; i++) {
		k->used[i] = true;
		all[n++] = k->own[i];
	}
	for (size_t i = 0; i < list->n; i++) {
		const struct yaml_node *item = list->items[i].value;
		if (item->kind != YAML_SCALAR)
			continue;
		const struct convention *c = known_find(k, item->text);
		if (stands_before(list, i))
			config_refuse(r, item,
				arena_printf(r->arena, "the platform %s stands twice", item->text),
				"list it once, where it is to be tried");
		else if (c)
			all[n++] = c;
		else if (!is_built_in(item->text))
			refuse_platform(r, k, item);
		else if (given)
			config_warn(r, item,
				arena_printf(r->arena,
					"the platform %s is not supported by this version",
					item->text),
				"it is ignored");
	}
	s->nconventions = n;
	s->conventions = all;
}

void
config_decode_conventions(struct config_reader *r, const struct yaml_node *root, struct settings *s)
{
	const struct yaml_node *conventions = yaml_get(root, "conventions");
	const struct yaml_node *list = yaml_get(root, "platforms");
	struct known k = {0};
	size_t max = conventions ? conventions->n : 0;
	k.own = ARENA_ARRAY(&s->arena, const struct convention *, max);
	k.used = ARENA_ARRAY(r->arena, bool, max);
	for (size_t i = 0; i < max; i++)
		if (conventions->items[i].value->kind == YAML_MAP)
			k.own[k.nown++] = decode_convention(r, &s->arena, &conventions->items[i]);

	/* What stands nowhere is the default. */
	bool given = list && (list->line > 0 || list->env);
	if (list && list->kind == YAML_LIST)
		decode_platforms(r, list, given, &k, s);
	for (size_t i = 0; i < k.nown; i++)
		if (!k.used[i])
			config_warn(r, yaml_get(conventions, k.own[i]->name),
				"`platforms` does not list this convention", "it is not in force");
}
