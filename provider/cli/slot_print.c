/* How `waymark slot` shows slots: a table, or JSON for scripts. */
#include <stdio.h>
#include <string.h>

#include "provider/cli/slot_job.h"
#include "reconciler/model/convention.h"
#include "reconciler/model/ports.h"
#include "reconciler/model/url.h"
#include "reconciler/registry/registry_dir.h"
#include "reconciler/registry/registry_time_parse.h"

static const char *
time_text(struct arena *a, uint64_t ms)
{
	struct buf b = {0};
	if (!ms)
		return "";
	registry_time_print(&b, ms);
	/* Without quotes, and to the second. */
	const char *text = arena_printf(a, "%.19sZ", b.p + 1);
	buf_finish(&b);
	return text;
}

static json_t *
text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static uint16_t
port_of(struct slot_job *j, const struct registered_environment *e, const char *slot)
{
	struct slot_ports ports = {.arena = &j->arena};

	ports_add(&ports, NULL, j->project, j->environment, e);
	for (size_t i = 0; i < ports.n; i++)
		if (strcmp(ports.list[i].slot, slot) == 0)
			return ports.list[i].port;
	return 0;
}

const char *
slot_job_host(struct slot_job *j, const char *slot)
{
	const struct url_parts parts = {
		.project = j->project, .environment = j->environment, .slot = slot};
	struct err e;
	const char *host;

	return url_host(&j->arena, j->config->settings, &parts, &host, &e) < 0 ? NULL : host;
}

static const char *
url_of(struct slot_job *j, const char *slot)
{
	bool https = j->config->settings->traefik.nhttps > 0;
	const char *host = slot_job_host(j, slot);

	return host ? arena_printf(&j->arena, "%s://%s", https ? "https" : "http", host) : NULL;
}

static json_t *
slot_json(
	struct slot_job *j, const struct registered_environment *e, const struct registered_slot *s)
{
	const struct slot_fact *f = slot_fact_find(&j->seen.facts, s->name);
	uint16_t port = port_of(j, e, s->name);

	json_t *o = json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "slot", s->name, "state",
		slot_state_text(s->state), "port", port ? json_integer(port) : json_null(),
		"container", text_or_null(f->container ? f->container : s->container), "id",
		text_or_null(s->id), "since", text_or_null(time_text(&j->arena, s->since_ms)),
		"until", text_or_null(time_text(&j->arena, slot_end_ms(s, f))), "url",
		text_or_null(url_of(j, s->name)));
	json_object_set_new(
		o, "ready", j->offline ? json_null() : json_integer((json_int_t)f->ready));
	json_object_set_new(
		o, "servers", j->offline ? json_null() : json_integer((json_int_t)f->servers));
	json_object_set_new(o, "traffic",
		j->offline || j->changed ? json_null() : json_boolean(f->traffic));
	return o;
}

/* blue and green are there in any case. */
static json_t *
slots_json(struct slot_job *j, const struct registered_environment *e)
{
	static const char *const usual[] = {"blue", "green"};
	json_t *list = json_array();

	for (size_t i = 0; i < e->nslots; i++)
		json_array_append_new(list, slot_json(j, e, &e->slot[i]));
	for (size_t i = 0; i < 2; i++)
		if (!registered_slot_find(e, usual[i]))
			json_array_append_new(
				list, slot_json(j, e, &(struct registered_slot){.name = usual[i]}));
	return list;
}

static void
print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

/* A column of a table: heading, and how wide it has to be. */
struct column {
	const char *key;
	int width;
};

static const char *
cell_of(struct slot_job *j, const json_t *slot, const char *key)
{
	const json_t *v = json_object_get(slot, key);

	if (strcmp(key, "ready") == 0)
		return json_is_null(v)
			       ? "?"
			       : arena_printf(&j->arena, "%d/%d", (int)json_integer_value(v),
					 (int)json_integer_value(json_object_get(slot, "servers")));
	if (json_is_integer(v))
		return arena_printf(&j->arena, "%d", (int)json_integer_value(v));
	if (json_is_boolean(v))
		return json_is_true(v) ? "yes" : "no";
	if (json_is_string(v))
		return json_string_value(v);
	return strcmp(key, "traffic") == 0 ? "?" : "-";
}

static void
print_row(const struct column *columns, size_t n, const char *const *cells)
{
	for (size_t i = 0; i < n; i++) {
		cli_print(stdout, cells[i]);
		if (i + 1 < n)
			printf("%*s", columns[i].width - (int)strlen(cells[i]) + 2, "");
	}
	putchar('\n');
}

static void
print_table(struct slot_job *j, const json_t *slots)
{
	struct column columns[] = {{"slot", 0}, {"state", 0}, {"port", 0}, {"ready", 0},
		{"traffic", 0}, {"since", 0}, {"until", 0}, {"container", 0}};
	enum { N = sizeof(columns) / sizeof(columns[0]) };
	const char *cells[N];
	size_t i;
	json_t *slot;

	for (size_t k = 0; k < N; k++) {
		cells[k] = columns[k].key;
		columns[k].width = (int)strlen(columns[k].key);
		json_array_foreach(slots, i, slot)
		{
			int n = (int)strlen(cell_of(j, slot, columns[k].key));
			columns[k].width = n > columns[k].width ? n : columns[k].width;
		}
	}
	print_row(columns, N, cells);
	json_array_foreach(slots, i, slot)
	{
		for (size_t k = 0; k < N; k++)
			cells[k] = cell_of(j, slot, columns[k].key);
		print_row(columns, N, cells);
	}
}

void
slot_print_list(struct slot_job *j, const struct registered_environment *e)
{
	json_t *slots = slots_json(j, e);

	if (j->as_json) {
		print_json(json_pack("{s:s,s:s,s:o,s:O}", "project", j->project, "environment",
			j->environment, "active", text_or_null(e->active), "slots", slots));
	} else {
		print_table(j, slots);
	}
	json_decref(slots);
}

/* -- what a deploy gives its script -- */

/* Does it speak CodeB's language?  By the dialect, or by what only CodeB writes. */
static bool
is_codeb(const struct slot_job *j)
{
	const struct settings *s = j->config->settings;
	bool taken = false, written = j->e.base_port != 0;

	for (size_t i = 0; i < s->nconventions; i++)
		taken = taken || strcmp(s->conventions[i]->name, "codeb") == 0;
	for (size_t i = 0; i < j->e.nslots; i++)
		written = written || j->e.slot[i].container;
	if (strcmp(j->source, REGISTRY_DIR_NAME) != 0 || s->registry.dialect == DIALECT_WAYMARK)
		return false;
	return taken && (written || s->registry.dialect == DIALECT_CODEB);
}

static json_t *
labels_json(const struct slot_job *j, const char *slot)
{
	const char *prefix = is_codeb(j) ? "codeb" : "waymark";
	const char *const pairs[][2] = {
		{"project", j->project}, {"environment", j->environment}, {"slot", slot}};
	json_t *labels = json_object();

	for (size_t i = 0; i < 3; i++) {
		char name[64];
		snprintf(name, sizeof(name), "%s.%s", prefix, pairs[i][0]);
		json_object_set_new(labels, name, json_string(pairs[i][1]));
	}
	return labels;
}

static void
print_pair(const char *name, const char *value)
{
	printf("%-11s", name);
	cli_print(stdout, value);
	putchar('\n');
}

static void
print_reserved(struct slot_job *j, const struct slot_change *c)
{
	const struct registered_slot *s = registered_slot_find(&c->after, c->slot);
	const char *container = slot_container(&j->arena, j->project, &c->after, c->slot);
	const char *url = url_of(j, c->slot), *name;
	json_t *labels = labels_json(j, c->slot), *value;

	if (j->as_json) {
		print_json(json_pack("{s:s,s:s,s:s,s:s,s:s,s:O,s:o,s:o}", "project", j->project,
			"environment", j->environment, "slot", c->slot, "id", s->id, "container",
			container, "labels", labels, "port",
			s->port ? json_integer(s->port) : json_null(), "url", text_or_null(url)));
	} else {
		print_pair("slot", c->slot);
		print_pair("id", s->id);
		print_pair("until", time_text(&j->arena, s->until_ms));
		print_pair("container", container);
		json_object_foreach(labels, name, value) print_pair(
			"label", arena_printf(&j->arena, "%s=%s", name, json_string_value(value)));
		if (s->port)
			print_pair("port", arena_printf(&j->arena, "%u", s->port));
		print_pair("url", url ? url : "-");
	}
	json_decref(labels);
}

void
slot_print_change(struct slot_job *j, enum slot_command command, const struct slot_change *c)
{
	const char *container = slot_container(&j->arena, j->project, &j->e, c->slot);
	const struct slot_fact *f = slot_fact_find(&j->seen.facts, c->slot);
	const struct registered_slot *s = registered_slot_find(&c->after, c->slot);
	bool remove = command == SLOT_CLEANUP;

	if (command == SLOT_DEPLOY) {
		print_reserved(j, c);
		return;
	}
	j->changed = command != SLOT_CLEANUP && !j->dry_run;
	if (f->container)
		container = f->container;
	if (j->as_json) {
		json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "project", j->project,
			"environment", j->environment, "slot", c->slot, "state",
			slot_state_text(s ? s->state : SLOT_EMPTY), "active",
			text_or_null(c->after.active), "left", text_or_null(c->left), "slots",
			slots_json(j, &c->after));
		if (remove)
			json_object_set_new(o, "remove", json_string(container));
		print_json(o);
		return;
	}
	slot_print_list(j, &c->after);
	if (remove) {
		fputs("now remove the container ", stdout);
		cli_print(stdout, container);
		putchar('\n');
	}
}
