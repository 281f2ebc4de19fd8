#include "reconciler/registry/registry_slots_render.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "reconciler/base/json.h"
#include "reconciler/base/json_edit.h"
#include "reconciler/base/text.h"
#include "reconciler/registry/registry_time_parse.h"

#define DEPTH_MAX 6

/* -- how the file spells it -- */

enum letter_case { CASE_LOWER, CASE_UPPER, CASE_TITLE };

/* What was found first; the entry itself is looked through before the others. */
struct spelling {
	int codeb; /* its names: 1, Waymark's: 0, not known: -1 */
	int under; /* slots stand under `slots`; -1: not known */
	int null_empty; /* -1: not known */
	int cased; /* enum letter_case; -1: not known */
	const char *grace; /* in lower case; NULL: not known */
	bool colons; /* entries are named "project:environment" */
	bool fraction; /* times have one */
};

struct edit {
	struct arena arena;
	struct buf *text;
	json_t *root; /* as it was before */
	const struct registry_slots_edit *e;
	struct spelling s;
	const char *path[DEPTH_MAX]; /* of the entry that is edited */
	size_t depth;
	json_t *entry; /* as it was; NULL: it is new */
};

static void
learn_word(struct spelling *s, const char *word)
{
	static const char *const graces[] = {"grace-period", "grace_period", "grace"};

	if (s->cased < 0)
		s->cased = islower((unsigned char)word[0])   ? CASE_LOWER
			   : isupper((unsigned char)word[1]) ? CASE_UPPER
							     : CASE_TITLE;
	for (size_t i = 0; i < sizeof(graces) / sizeof(graces[0]); i++)
		if (!s->grace && strcasecmp(word, graces[i]) == 0)
			s->grace = graces[i];
	if (s->null_empty < 0 && strcasecmp(word, "empty") == 0)
		s->null_empty = 0;
}

static void
learn_slot(struct spelling *s, const json_t *slot)
{
	static const char *const times[] = {"since", "promotedAt", "deployedAt", "until"};
	const char *state = json_get_string(slot, "state");
	const char *status = json_get_string(slot, "status");

	if (json_is_null(slot) && s->null_empty < 0)
		s->null_empty = 1;
	if (s->codeb < 0 && (state || status))
		s->codeb = !state;
	if (state && *state)
		learn_word(s, state);
	if (status && *status)
		learn_word(s, status);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const char *t = json_get_string(slot, times[i]);
		s->fraction = s->fraction || (t && strchr(t, '.'));
	}
}

static bool
is_slot(const char *key, const json_t *v)
{
	return strcmp(key, "blue") == 0 || strcmp(key, "green") == 0 ||
	       (json_is_object(v) && strcmp(key, "slots") != 0 && strcmp(key, "weights") != 0 &&
		       (json_object_get(v, "state") || json_object_get(v, "status")));
}

static void
learn_entry(struct spelling *s, json_t *entry)
{
	json_t *slots = json_get_object(entry, "slots"), *v;
	const char *key;

	if (s->codeb < 0 && json_object_get(entry, "activeSlot"))
		s->codeb = 1;
	else if (s->codeb < 0 && json_object_get(entry, "active"))
		s->codeb = 0;
	if (s->under < 0 && slots)
		s->under = 1;
	json_object_foreach(slots, key, v) learn_slot(s, v);
	json_object_foreach(entry, key, v)
	{
		if (!is_slot(key, v))
			continue;
		if (s->under < 0)
			s->under = 0;
		learn_slot(s, v);
	}
}

static void
learn_file(struct spelling *s, const json_t *root)
{
	json_t *slots = json_get_object(root, "slots"), *v, *inner;
	const char *key, *environment;

	json_object_foreach(slots, key, v)
	{
		if (strchr(key, ':')) {
			s->colons = true;
			learn_entry(s, v);
			continue;
		}
		json_object_foreach(v, environment, inner) if (json_is_object(inner))
			learn_entry(s, inner);
	}
}

/* -- editing -- */

/* A member of the entry, or of something in it: one or two further names. */
static void
set(struct edit *d, const char *a, const char *b, const char *c, const char *value)
{
	const char *const more[] = {a, b, c};
	const char *path[DEPTH_MAX + 3];
	size_t n = d->depth;

	memcpy(path, d->path, n * sizeof(*path));
	for (size_t i = 0; i < 3 && more[i]; i++)
		path[n++] = more[i];
	json_edit_set(d->text, path, n, value);
}

/* A slot as it is edited: in `slots` of the entry, or beside it. */
struct target {
	struct edit *d;
	const char *under; /* "slots", or NULL */
	const char *name;
	json_t *was; /* NULL: not there */
};

static void
slot_set(const struct target *t, const char *key, const char *value)
{
	if (t->under)
		set(t->d, t->under, t->name, key, value);
	else
		set(t->d, t->name, key, NULL, value);
}

static void
slot_set_text(const struct target *t, const char *key, const char *text)
{
	struct buf b = {0};
	const char *was = json_get_string(t->was, key);

	if (was && strcmp(was, text) == 0)
		return;
	buf_json(&b, text);
	slot_set(t, key, b.p);
	buf_finish(&b);
}

static void
slot_set_time(const struct target *t, const char *key, uint64_t ms)
{
	struct buf b = {0};
	uint64_t was;
	const char *text = json_get_string(t->was, key);

	if (!ms || (text && registry_time_parse(text, &was) && was == ms))
		return;
	registry_time_print(&b, ms);
	if (!t->d->s.fraction && ms % 1000 == 0) {
		b.n -= strlen(".000Z\"");
		buf_adds(&b, "Z\"");
	}
	slot_set(t, key, b.p);
	buf_finish(&b);
}

static const char *
state_word(struct edit *d, enum slot_state state)
{
	const char *word = state == SLOT_GRACE && d->s.grace ? d->s.grace : slot_state_text(state);
	char *text = arena_strdup(&d->arena, word);

	for (char *c = text; *c; c++)
		if (d->s.cased == CASE_UPPER || (d->s.cased == CASE_TITLE && c == text))
			*c = (char)toupper((unsigned char)*c);
	return text;
}

static void
write_state(const struct target *t, enum slot_state state)
{
	const char *word = state_word(t->d, state);
	const char *had = json_get_string(t->was, "state");
	const char *had_status = json_get_string(t->was, "status");

	if (had || (!had_status && t->d->s.codeb != 1))
		slot_set_text(t, "state", word);
	if (had_status || (!had && t->d->s.codeb == 1))
		slot_set_text(t, "status", word);
}

/* Of the names that a time may have, the one for this state; the others go, lest they say
 * something else. */
static void
write_times(const struct target *t, const struct registered_slot *s)
{
	static const char *const since_of[] = {
		[SLOT_EMPTY] = "",
		[SLOT_RESERVED] = "since",
		[SLOT_DEPLOYED] = "deployedAt",
		[SLOT_ACTIVE] = "promotedAt",
		[SLOT_GRACE] = "gracePeriodStart",
	};
	bool codeb = t->d->s.codeb == 1;
	const char *since = s->state == SLOT_EMPTY ? "" : codeb ? since_of[s->state] : "since";
	const char *until = !s->until_ms                      ? ""
			    : codeb && s->state == SLOT_GRACE ? "scheduledCleanup"
							      : "until";
	static const char *const all[] = {"since", "gracePeriodStart", "until", "scheduledCleanup",
		"promotedAt", "deployedAt"};

	for (size_t i = 0; i < 6; i++) {
		/* Steps of its life that are past stay, but for those of another container. */
		bool past = i >= 4 && s->state != SLOT_RESERVED && s->state != SLOT_EMPTY;
		if (strcmp(all[i], since) == 0)
			slot_set_time(t, since, s->since_ms);
		else if (strcmp(all[i], until) == 0)
			slot_set_time(t, until, s->until_ms);
		else if (!past)
			slot_set(t, all[i], NULL);
	}
}

static void
write_id(const struct target *t, const struct registered_slot *s, const struct registered_slot *was)
{
	if (s->id)
		slot_set_text(t, "id", s->id);
	else if (was && was->state == SLOT_RESERVED)
		slot_set(t, "id", NULL);
}

static void
write_port(const struct target *t, const struct registered_slot *s)
{
	const json_t *was = json_object_get(t->was, "port");
	bool text = json_is_string(was);

	if (!s->port || (json_is_integer(was) && json_integer_value(was) == s->port) ||
		(text && strtoul(json_string_value(was), NULL, 10) == s->port))
		return;
	slot_set(t, "port", arena_printf(&t->d->arena, text ? "\"%u\"" : "%u", s->port));
}

static void
write_container(const struct target *t, const struct registered_slot *s)
{
	struct edit *d = t->d;

	if (s->state == SLOT_EMPTY)
		slot_set(t, "container", NULL);
	else if (d->s.codeb == 1 && s->state == SLOT_RESERVED && !s->container)
		slot_set_text(t, "container",
			arena_printf(
				&d->arena, "%s-%s-%s", d->e->project, d->e->after->name, s->name));
}

static void
write_slot(
	const struct target *t, const struct registered_slot *s, const struct registered_slot *was)
{
	struct edit *d = t->d;

	if (s->state == SLOT_EMPTY && (d->s.null_empty == 1 || d->s.codeb == 1)) {
		slot_set(t, NULL, "null");
		return;
	}
	if (!json_is_object(t->was))
		slot_set(t, NULL, "{}");
	write_state(t, s->state);
	write_port(t, s);
	write_container(t, s);
	write_id(t, s, was);
	/* A promote takes what was reserved as deployed. */
	if (d->s.codeb == 1 && s->state == SLOT_ACTIVE && was && was->state == SLOT_RESERVED &&
		!json_object_get(t->was, "deployedAt"))
		slot_set_time(t, "deployedAt", s->since_ms);
	write_times(t, s);
}

static bool
slot_differs(const struct registered_slot *a, const struct registered_slot *b)
{
	if (!b)
		return a->state != SLOT_EMPTY;
	return a->state != b->state || a->since_ms != b->since_ms || a->until_ms != b->until_ms ||
	       text_compare(a->id, b->id) != 0;
}

/* In each place where it stands; where in none, in the one that the file uses. */
static void
write_slot_everywhere(
	struct edit *d, const struct registered_slot *s, const struct registered_slot *was)
{
	json_t *under = json_get_object(d->entry, "slots");
	json_t *there = json_object_get(under, s->name),
	       *beside = json_object_get(d->entry, s->name);
	struct target t = {d, "slots", s->name, there};

	if (there)
		write_slot(&t, s, was);
	if (beside || (!there && d->s.under != 1)) {
		t.under = NULL;
		t.was = beside;
		write_slot(&t, s, was);
	} else if (!there) {
		if (!under)
			set(d, "slots", NULL, NULL, "{}");
		write_slot(&t, s, was);
	}
}

/* A file in which only the states say it stays so. */
static void
write_active(struct edit *d)
{
	const char *before = d->e->before ? d->e->before->active : NULL;
	const char *after = d->e->after->active;
	bool active = json_object_get(d->entry, "active");
	bool theirs = json_object_get(d->entry, "activeSlot");
	struct buf b = {0};

	if (text_compare(before, after) == 0 && d->entry)
		return;
	if (after)
		buf_json(&b, after);
	else
		buf_adds(&b, "null");
	bool none = !active && !theirs && (after ? !before : d->s.codeb == 1);
	if (active || (none && d->s.codeb != 1))
		set(d, "active", NULL, NULL, b.p);
	if (theirs || (none && d->s.codeb == 1))
		set(d, "activeSlot", NULL, NULL, b.p);
	buf_finish(&b);
}

static void
write_entry(struct edit *d)
{
	const struct registered_environment *before = d->e->before, *after = d->e->after;

	write_active(d);
	/* No command gives any. */
	if (before && before->weighted && !after->weighted)
		set(d, "weights", NULL, NULL, NULL);
	for (size_t i = 0; i < after->nslots; i++) {
		const struct registered_slot *s = &after->slot[i];
		const struct registered_slot *was =
			before ? registered_slot_find(before, s->name) : NULL;
		if (slot_differs(s, was))
			write_slot_everywhere(d, s, was);
	}
}

/* -- where the entry stands -- */

static void
aim(struct edit *d, const char *a, const char *b, const char *c)
{
	const char *const names[] = {a, b, c};
	d->depth = 0;
	for (size_t i = 0; i < 3 && names[i]; i++)
		d->path[d->depth++] = names[i];
}

static void
edit_at(struct edit *d, json_t *entry)
{
	static const struct spelling unknown = {-1, -1, -1, -1, NULL, false, false};

	d->s = unknown;
	d->entry = entry;
	if (entry)
		learn_entry(&d->s, entry);
	if (d->e->single)
		learn_entry(&d->s, d->root);
	else
		learn_file(&d->s, d->root);
	if (d->s.colons && d->s.codeb < 0)
		d->s.codeb = 1;
	if (d->s.codeb == 1 && d->s.under < 0)
		d->s.under = 1;
	d->s.fraction = d->s.fraction || d->s.codeb == 1;
	write_entry(d);
}

/* Neither the project nor "project:environment" is there. */
static void
edit_new(struct edit *d, json_t *slots, const char *both)
{
	const char *project = d->e->project, *environment = d->e->after->name;
	struct spelling s = {-1, -1, -1, -1, NULL, false, false};

	learn_file(&s, d->root);
	if (!slots) {
		aim(d, "slots", NULL, NULL);
		json_edit_set(d->text, d->path, d->depth, "{}");
	}
	if (s.colons) {
		aim(d, "slots", both, NULL);
		json_edit_set(d->text, d->path, d->depth, "{}");
	} else {
		aim(d, "slots", project, environment);
		if (!json_get_object(slots, project))
			json_edit_set(d->text, d->path, 2, "{}");
		json_edit_set(d->text, d->path, 3, "{}");
	}
	edit_at(d, NULL);
}

static void
edit_main(struct edit *d)
{
	json_t *slots = json_get_object(d->root, "slots");
	const char *project = d->e->project, *environment = d->e->after->name;
	const char *both = arena_printf(&d->arena, "%s:%s", project, environment);
	json_t *nested = json_get_object(json_get_object(slots, project), environment);
	json_t *flat = json_get_object(slots, both);

	if (nested) {
		aim(d, "slots", project, environment);
		edit_at(d, nested);
	}
	if (flat) {
		aim(d, "slots", both, NULL);
		edit_at(d, flat);
	}
	if (!nested && !flat)
		edit_new(d, slots, both);
}

const char *
registry_slots_least(bool single)
{
	return single ? "{}\n" : "{\"version\": 1, \"slots\": {}}\n";
}

bool
registry_slots_render(struct buf *text, const struct registry_slots_edit *e)
{
	size_t mark = text->n >= 3 && memcmp(text->p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	struct edit d = {.text = text, .e = e, .root = json_read(text->p + mark, text->n - mark)};

	if (!json_is_object(d.root)) {
		json_decref(d.root);
		return false;
	}
	if (e->single)
		edit_at(&d, d.root);
	else
		edit_main(&d);
	json_decref(d.root);
	arena_finish(&d.arena);
	return true;
}
