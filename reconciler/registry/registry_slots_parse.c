#include <stdlib.h>
#include <string.h>

#include "reconciler/model/host.h"
#include "reconciler/registry/registry_reader.h"

#define SLOTS_REMEDY                                                                               \
	"write {\"active\": \"blue\", \"blue\": {\"state\": \"active\", \"port\": 4051}}"
#define LEAST "{\"version\": 1, \"slots\": {}}"

/* -- the environments of one project -- */

/* One environment as it stands in the file. */
struct entry {
	const char *project, *environment; /* in the scratch arena */
	const char *key; /* under `slots` */
	const char *inner; /* under that; NULL where the key names both */
	json_t *value; /* NULL: what stands there is wrong, and the project with it */
	size_t order;
};

struct entries {
	struct arena scratch;
	size_t n;
	struct entry *list;
};

static void
add_entry(struct entries *s, struct entry e)
{
	if ((s->n & (s->n - 1)) == 0)
		s->list = xrealloc(s->list, (s->n ? 2 * s->n : 1) * sizeof(*s->list));
	e.order = s->n;
	s->list[s->n++] = e;
}

/* Of an object or null. */
static bool
environment_ok(
	struct registry_reader *r, const struct registry_at *at, const char *name, const json_t *v)
{
	if (!registry_word_ok(name)) {
		reader_refuse(r, at, "use at most 32 of a-z and 0-9, such as production",
			"not the name of an environment: '%s'", host_shown(name).text);
		return false;
	}
	if (!json_is_object(v) && !json_is_null(v)) {
		reader_refuse_kind(r, at, v, "an object with slots", SLOTS_REMEDY);
		return false;
	}
	return true;
}

/* Slots where environments belong; NULL where all is well. */
static const char *
environments_fault(const json_t *entry, size_t environments)
{
	if (json_is_string(json_object_get(entry, "active")) ||
		json_is_string(json_object_get(entry, "activeSlot")))
		return "its slots stand directly under the project";
	if (environments == 0 && json_object_size(entry) > 0)
		return "there is no environment in it";
	return NULL;
}

/* {"production": {…}, "staging": null}; members of other kinds are somebody's own. */
static void
collect_environments(struct registry_reader *r, const struct registry_at *at, json_t *entry,
	const char *project, struct entries *s)
{
	size_t environments = 0;
	const char *name;
	json_t *v;

	json_object_foreach(entry, name, v)
	{
		const struct registry_at inner = {at, name, 0};
		if (!json_is_object(v) && !json_is_null(v))
			continue;
		environments++;
		bool ok = environment_ok(r, &inner, name, v);
		if (!ok || json_is_object(v))
			add_entry(
				s, (struct entry){project, name, at->key, name, ok ? v : NULL, 0});
	}
	const char *fault = environments_fault(entry, environments);
	if (fault) {
		reader_refuse(r, at,
			"put the slots under the name of their environment, as "
			"{\"production\": {\"active\": \"blue\", …}}",
			"%s", fault);
		add_entry(s, (struct entry){project, "", at->key, NULL, NULL, 0});
	}
}

static size_t
read_environments(struct registry_reader *r, const struct registry_at *slots,
	const struct entry *list, size_t n, struct arena *a,
	const struct registered_environment **ret)
{
	struct registered_environment *environments =
		ARENA_ARRAY(a, struct registered_environment, n);
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		const struct registry_at key = {slots, list[i].key, 0};
		const struct registry_at inner = {&key, list[i].inner, 0};
		const struct registry_at *at = list[i].inner ? &inner : &key;
		if (!list[i].value)
			continue;
		if (to > 0 && strcmp(environments[to - 1].name, list[i].environment) == 0) {
			if (!json_equal(list[i].value, list[i - 1].value))
				reader_refuse(r, at, "take one of the two away",
					"the slots of '%s' stand twice, and they disagree",
					list[i].environment);
			continue;
		}
		environments[to].name = arena_strdup(a, list[i].environment);
		reader_slots(r, at, list[i].value, list[i].project, a, &environments[to++]);
	}
	*ret = environments;
	return to;
}

static int
entry_compare(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int r = strcmp(a->project, b->project);
	if (!r)
		r = strcmp(a->environment, b->environment);
	return r ? r : (a->order > b->order) - (a->order < b->order);
}

static void
entries_sort(struct entries *s)
{
	if (s->n > 1)
		qsort(s->list, s->n, sizeof(*s->list), entry_compare);
}

static void
entries_finish(struct entries *s)
{
	free(s->list);
	arena_finish(&s->scratch);
}

size_t
reader_project_slots(struct registry_reader *r, const struct registry_at *at, json_t *entry,
	const char *project, struct arena *a, const struct registered_environment **ret)
{
	struct entries s = {0};

	collect_environments(r, at, entry, project, &s);
	entries_sort(&s);
	size_t n = read_environments(r, at->up, s.list, s.n, a, ret);
	entries_finish(&s);
	return n;
}

/* -- slots.json -- */

static void
refuse_project_value(struct registry_reader *r, const struct registry_at *at, const json_t *v)
{
	reader_refuse_kind(r, at, v, "an object with environments",
		"write {\"production\": {\"active\": \"blue\", …}}");
}

/* Names under `slots` are projects, or "project:environment". */
static void
collect_entry(struct registry_reader *r, const struct registry_at *at, json_t *v, struct entries *s)
{
	const char *colon = strrchr(at->key, ':');
	size_t n = colon ? (size_t)(colon - at->key) : strlen(at->key);
	struct entry e = {.project = arena_strndup(&s->scratch, at->key, n), .key = at->key};
	char label[64];

	e.environment = colon ? arena_strdup(&s->scratch, colon + 1) : "";
	bool ok = reader_project_name(r, at, e.project, label);
	if (ok && !colon && json_is_object(v)) {
		collect_environments(r, at, v, e.project, s);
		return;
	}
	if (ok && colon) {
		ok = environment_ok(r, at, e.environment, v);
	} else if (ok && !json_is_null(v)) {
		refuse_project_value(r, at, v);
		ok = false;
	}
	if (ok && json_is_null(v))
		return;
	e.value = ok ? v : NULL;
	add_entry(s, e);
}

static void
count_slots(struct registry_reading *reading, const struct registered_project *p)
{
	for (size_t e = 0; e < p->nenvironments; e++)
		for (size_t i = 0; i < p->environments[e].nslots; i++)
			reading->nslots += p->environments[e].slot[i].state != SLOT_EMPTY;
}

static void
finish_project(struct registry_reader *r, struct registered_project *p, bool ok)
{
	if (ok) {
		registered_project_seal(p);
		count_slots(r->reading, p);
		registry_reading_add_project(r->reading, p);
	} else {
		registry_reading_bad_project(r->reading, p->name);
		registered_project_unref(p);
	}
}

/* All entries of one project, sorted by environment. */
static void
read_project(struct registry_reader *r, const struct registry_at *slots, const struct entry *list,
	size_t n)
{
	const struct registry_options *o = r->options;
	struct registered_project *p = registered_project_create(o->source, o->file, list->project);
	size_t faults = r->faults;
	bool ok = true;

	p->nenvironments = read_environments(r, slots, list, n, &p->arena, &p->environments);
	for (size_t i = 0; i < n; i++)
		ok = ok && list[i].value;
	finish_project(r, p, ok && r->faults == faults);
}

static bool
looks_codeb(json_t *slots)
{
	const char *key;
	json_t *v;

	json_object_foreach(slots, key, v) if (strchr(key, ':')) return true;
	return false;
}

static bool
parse_all(struct registry_reader *r, json_t *root)
{
	const struct registry_at at = {NULL, "slots", 0};
	json_t *slots = json_object_get(root, "slots"), *v;
	struct entries s = {0};
	const char *key;

	if (!slots && json_object_size(root) > 0 && !json_object_get(root, "version")) {
		reader_refuse(r, NULL, "put the projects' slots under it, as " LEAST,
			"it has no member slots");
		return false;
	}
	if (slots && !json_is_object(slots) && !json_is_null(slots)) {
		reader_refuse_kind(r, &at, slots, "an object", "write " LEAST);
		return false;
	}
	enum settings_dialect unused; /* slots are the same in both */
	if (!reader_dialect(r, root, looks_codeb(slots), &unused))
		return false;
	json_object_foreach(slots, key, v)
	{
		const struct registry_at entry = {&at, key, 0};
		collect_entry(r, &entry, v, &s);
	}
	entries_sort(&s);
	for (size_t i = 0, n; i < s.n; i += n) {
		for (n = 1; i + n < s.n && !strcmp(s.list[i].project, s.list[i + n].project); n++)
			;
		read_project(r, &at, &s.list[i], n);
	}
	entries_finish(&s);
	return true;
}

/* -- slots/{project}-{environment}.json -- */

/* The name without its folder and ".json", where the folder's name is "slots". */
static const char *
single_name(const char *file, struct arena *a)
{
	const char *slash = strrchr(file, '/');
	size_t folder = slash ? (size_t)(slash - file) : 0;

	if (folder < 5 || memcmp(slash - 5, "slots", 5) != 0 || (folder > 5 && slash[-6] != '/'))
		return NULL;
	size_t n = strlen(slash + 1);
	if (n >= 5 && strcmp(slash + 1 + n - 5, ".json") == 0)
		n -= 5;
	return arena_strndup(a, slash + 1, n);
}

/* Of the file's name, or as it says itself. */
static bool
single_names(struct registry_reader *r, const json_t *root, const char *name, struct arena *a,
	const char **ret_project, const char **ret_environment)
{
	const char *dash = strrchr(name, '-');
	const char *project = dash ? arena_strndup(a, name, (size_t)(dash - name)) : NULL;
	const char *environment = dash ? dash + 1 : NULL;

	reader_text(r, NULL, root, "project", "write the project's name", &project);
	reader_text(r, NULL, root, "environment", "write the environment's name", &environment);
	if (r->faults)
		return false;
	if (!project || !environment) {
		reader_refuse(r, NULL,
			"name it {project}-{environment}.json, or write \"project\" and "
			"\"environment\" in it",
			"it does not say whose slots these are");
		return false;
	}
	*ret_project = project;
	*ret_environment = environment;
	return true;
}

static bool
parse_single(struct registry_reader *r, json_t *root, const char *name, struct arena *a)
{
	const struct registry_options *o = r->options;
	const char *project, *environment;
	char label[64];

	if (!single_names(r, root, name, a, &project, &environment))
		return false;
	bool ok = reader_project_name(r, NULL, project, label);
	ok = environment_ok(r, NULL, environment, root) && ok;

	struct registered_project *p = registered_project_create(o->source, o->file, project);
	struct registered_environment *e = ARENA_NEW(&p->arena, struct registered_environment);
	size_t faults = r->faults;
	e->name = arena_strdup(&p->arena, environment);
	reader_slots(r, NULL, root, project, &p->arena, e);
	p->nenvironments = 1;
	p->environments = e;
	finish_project(r, p, ok && r->faults == faults);
	return true;
}

struct registry_reading *
registry_parse_slots(const char *text, size_t n, const struct registry_options *o, bool *ret_broken)
{
	struct registry_reading *reading = registry_reading_create();
	struct registry_reader r = registry_reader_init(reading, o);
	struct arena scratch = {0};
	const char *single = single_name(o->file, &scratch);
	json_t *root = reader_load(&r, text, n, single ? "{}" : LEAST);

	reading->dialect = o->dialect == DIALECT_CODEB ? DIALECT_CODEB : DIALECT_WAYMARK;
	if (!root)
		*ret_broken = true;
	else if (single)
		*ret_broken = !parse_single(&r, root, single, &scratch);
	else
		*ret_broken = !parse_all(&r, root);
	registry_reading_seal(reading);
	json_decref(root);
	arena_finish(&scratch);
	return reading;
}
