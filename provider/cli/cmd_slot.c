/* cmd_slot.c - `waymark slot`: how the slots of an environment stand, and changes to them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "provider/cli/cli.h"
#include "provider/cli/cli_look.h"
#include "provider/cli/cli_slots.h"
#include "reconciler/base/clock.h"
#include "reconciler/model/convention.h"
#include "reconciler/model/host.h"
#include "reconciler/model/ports.h"
#include "reconciler/model/url.h"
#include "reconciler/registry/registry_dir.h"
#include "reconciler/registry/registry_pg.h"
#include "reconciler/registry/registry_pg_write.h"
#include "reconciler/registry/registry_time_parse.h"
#include "reconciler/registry/registry_write.h"

#define LOCK_MS 10000
#define SETTLE_MS 1000
#define POLL_MS 250

struct job {
	struct arena arena;
	const struct config *config;
	const char *file, *server; /* as given */
	const char *project, *environment;
	bool offline, dry_run, as_json;
	uint64_t timeout_ms;
	char id[SLOT_ID_DIGITS + 1]; /* a deploy's */

	/* Found. */
	bool whole; /* the registry was seen so */
	struct registered_project *registered; /* NULL: it is not */
	const char *source; /* where it is to be written */
	struct registered_environment e; /* as registered */
	struct slot_facts facts;
};

static int
refuse(const char *what, const char *remedy)
{
	fputs("waymark: slot: ", stderr);
	cli_print(stderr, what);
	fputs("; ", stderr);
	cli_print(stderr, remedy);
	putc('\n', stderr);
	return CLI_NO;
}

/* -- the registry -- */

static void
keep_project(void *arg, const struct registered_project *p)
{
	struct job *j = arg;
	if (strcmp(p->name, j->project) == 0 && !j->registered)
		j->registered = registered_project_ref(p);
}

static void
on_look(void *arg, const struct reconciler *r, bool whole)
{
	struct job *j = arg;
	j->whole = whole;
	reconciler_each_project(r, keep_project, j);
	if (!whole || !j->registered)
		cli_look_report(r, j->config, stderr);
}

/* A directory without ssot.json knows projects by their slots, so the first one has none. */
static bool
may_be_new(const struct job *j)
{
	const char *directory = j->config->settings->registry.directory;
	struct arena a = {0};
	bool may = directory && access(arena_printf(&a, "%s/ssot.json", directory), F_OK) != 0;
	arena_finish(&a);
	return may;
}

static int
refuse_environment(struct job *j)
{
	const struct registered_project *p = j->registered;
	struct buf b = {0};

	for (size_t i = 0; i < p->nenvironments; i++)
		buf_addf(&b, "%s%s", i ? ", " : "", p->environments[i].name);
	int r = refuse(
		arena_printf(&j->arena, "%s has no environment %s", j->project, j->environment),
		b.n ? arena_printf(&j->arena, "name one of %s, or register it", b.p)
		    : "register it");
	buf_finish(&b);
	return r;
}

static int
find_registered(struct job *j)
{
	const struct settings_registry *s = &j->config->settings->registry;

	if (!settings_has_registry(j->config->settings)) {
		cli_complain("slot", "there is no registry; give registry.directory or "
				     "registry.postgres in the configuration");
		return CLI_USAGE;
	}
	cli_look(j->config->settings, on_look, j);
	if (!j->whole)
		return refuse("the registry could not be read whole", "mend what is said of it");
	if (!j->registered && !may_be_new(j))
		return refuse(arena_printf(&j->arena, "%s is not registered", j->project),
			"add it to the registry first");
	j->source = j->registered ? j->registered->source : REGISTRY_DIR_NAME;
	if (strcmp(j->source, REGISTRY_PG_NAME) == 0 && (s->sql || j->registered->has_deployments))
		return refuse("the tables are another program's",
			"change slots there; Waymark only reads them");

	const struct registered_environment *e =
		j->registered ? registered_environment_find(j->registered, j->environment) : NULL;
	if (!e && j->registered && j->registered->lists_environments)
		return refuse_environment(j);
	j->e = e ? *e : (struct registered_environment){.name = j->environment};
	return CLI_DONE;
}

/* -- how it is said -- */

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
port_of(struct job *j, const struct registered_environment *e, const char *slot)
{
	struct slot_ports ports = {.arena = &j->arena};

	ports_add(&ports, NULL, j->project, j->environment, e);
	for (size_t i = 0; i < ports.n; i++)
		if (strcmp(ports.list[i].slot, slot) == 0)
			return ports.list[i].port;
	return 0;
}

static const char *
url_of(struct job *j, const char *slot)
{
	const struct settings *s = j->config->settings;
	struct err e;
	const char *host;

	if (url_host(&j->arena, s,
		    &(struct url_parts){
			    .project = j->project, .environment = j->environment, .slot = slot},
		    &host, &e) < 0)
		return NULL;
	return arena_printf(&j->arena, "%s://%s", s->traefik.nhttps > 0 ? "https" : "http", host);
}

static json_t *
slot_json(struct job *j, const struct registered_environment *e, const struct registered_slot *s)
{
	const struct slot_fact *f = slot_fact_find(&j->facts, s->name);
	uint16_t port = port_of(j, e, s->name);

	json_t *o = json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "slot", s->name, "state",
		slot_state_text(s->state), "port", port ? json_integer(port) : json_null(),
		"container", text_or_null(f->container ? f->container : s->container), "id",
		text_or_null(s->id), "since", text_or_null(time_text(&j->arena, s->since_ms)),
		"until", text_or_null(time_text(&j->arena, s->until_ms)), "url",
		text_or_null(url_of(j, s->name)));
	json_object_set_new(
		o, "ready", j->offline ? json_null() : json_integer((json_int_t)f->ready));
	json_object_set_new(
		o, "servers", j->offline ? json_null() : json_integer((json_int_t)f->servers));
	json_object_set_new(o, "traffic", j->offline ? json_null() : json_boolean(f->traffic));
	return o;
}

/* blue and green are there in any case. */
static json_t *
slots_json(struct job *j, const struct registered_environment *e)
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
cell_of(struct job *j, const json_t *slot, const char *key)
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
	return json_is_string(v)                           ? json_string_value(v)
	       : strcmp(key, "traffic") == 0 && j->offline ? "?"
							   : "-";
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
print_table(struct job *j, const json_t *slots)
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

static void
print_slots(struct job *j, const struct registered_environment *e)
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
is_codeb(const struct job *j)
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
labels_json(const struct job *j, const char *slot)
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
print_reserved(struct job *j, const struct slot_change *c)
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

static void
print_change(struct job *j, const struct slot_request *r, const struct slot_change *c)
{
	const char *container = slot_container(&j->arena, j->project, &j->e, c->slot);
	const struct slot_fact *f = slot_fact_find(&j->facts, c->slot);
	bool remove = r->command == SLOT_CLEANUP;

	if (r->command == SLOT_DEPLOY) {
		print_reserved(j, c);
		return;
	}
	if (f->container)
		container = f->container;
	if (j->as_json) {
		json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "project", j->project,
			"environment", j->environment, "slot", c->slot, "state",
			slot_state_text(registered_slot_find(&c->after, c->slot)->state), "active",
			text_or_null(c->after.active), "left", text_or_null(c->left), "slots",
			slots_json(j, &c->after));
		if (remove)
			json_object_set_new(o, "remove", json_string(container));
		print_json(o);
		return;
	}
	print_slots(j, &c->after);
	if (remove) {
		fputs("now remove the container ", stdout);
		cli_print(stdout, container);
		putchar('\n');
	}
}

/* -- doing it -- */

static enum cli_exit
ask_facts(struct job *j)
{
	if (j->offline)
		return CLI_DONE;
	return cli_slots_ask(&j->arena, j->server, j->file, j->project, j->environment, &j->facts);
}

static void
make_id(struct job *j)
{
	unsigned char bytes[SLOT_ID_DIGITS / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		abort();
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(j->id + 2 * i, 3, "%02x", bytes[i]);
}

/* Until a container is ready, as long as it may take: then the facts are those that allow it.  What
 * the table refuses for good is refused when it is written. */
static enum cli_exit
wait_ready(struct job *j, const struct slot_request *r)
{
	uint64_t end = clock_wall_ms() + j->timeout_ms;
	struct slot_change c;
	struct slot_refusal refusal;
	bool said = !isatty(STDERR_FILENO);

	for (;;) {
		refusal.unready = false;
		if (slot_apply(&j->arena, &j->e, r, &c, &refusal) || !refusal.unready ||
			clock_wall_ms() >= end)
			return CLI_DONE;
		if (!said)
			fprintf(stderr, "waiting: %s\n", refusal.what);
		said = true;
		usleep(POLL_MS * 1000);
		enum cli_exit e = ask_facts(j);
		if (e != CLI_DONE)
			return e;
	}
}

static int
write_change(struct job *j, const struct slot_request *r)
{
	struct slot_change c;
	struct slot_refusal refusal;
	struct err e;
	const struct registry_write w = {
		.settings = j->config->settings,
		.request = r,
		.seen = &j->e,
		.lock_ms = LOCK_MS,
		.settle_ms = SETTLE_MS,
		.dry_run = j->dry_run,
	};
	bool directory = strcmp(j->source, REGISTRY_DIR_NAME) == 0;
	enum registry_wrote wrote =
		directory ? registry_write_directory(&j->arena, &w, &c, &refusal, &e)
			  : registry_write_postgres(&j->arena, &w, &c, &refusal, &e);

	if (wrote == WROTE_REFUSED)
		return refuse(refusal.what, refusal.remedy);
	if (wrote == WROTE_FAILED) {
		fprintf(stderr, "waymark: slot: ");
		cli_print(stderr, e.text);
		putc('\n', stderr);
		return CLI_NO;
	}
	print_change(j, r, &c);
	if (j->dry_run)
		fputs("dry run: nothing was written\n", stderr);
	return CLI_DONE;
}

static int
change(struct job *j, enum slot_command command, const char *slot, const char *id, bool discard)
{
	struct slot_request r = {
		.command = command,
		.project = j->project,
		.slot = slot,
		.id = id,
		.discard_rollback = discard,
		.now_ms = clock_wall_ms() / 1000 * 1000,
		.grace_ms = j->config->settings->grace_ms,
		.reservation_ms = SLOT_RESERVATION_MS,
		.facts = j->offline ? NULL : &j->facts,
	};
	if (command == SLOT_DEPLOY) {
		make_id(j);
		r.id = j->id;
	}
	enum cli_exit e = ask_facts(j);
	if (e == CLI_DONE)
		e = wait_ready(j, &r);
	r.now_ms = clock_wall_ms() / 1000 * 1000;
	return e == CLI_DONE ? write_change(j, &r) : (int)e;
}

/* What is registered is shown also where nobody tells the health. */
static int
list(struct job *j)
{
	enum cli_exit e = ask_facts(j);
	if (e == CLI_USAGE)
		return e;
	j->offline = j->offline || e != CLI_DONE;
	print_slots(j, &j->e);
	return e;
}

static int
check_words(const char *const words[4], bool *ret_list, enum slot_command *ret_command)
{
	json_t *name = json_string(words[1]); /* NULL where it is not UTF-8 */
	bool ok = name && words[1][0];
	json_decref(name);
	*ret_list = strcmp(words[0], "list") == 0;
	if (!*ret_list && !slot_command_parse(words[0], ret_command))
		return cli_complain("slot", "there is no '%s'", words[0]);
	if (!ok)
		return cli_complain("slot", "that is not the name of a project");
	if (!cli_is_word(words[2]))
		return cli_complain("slot", "an environment is at most 32 of a-z and 0-9");
	if (words[3] && *ret_list)
		return cli_complain("slot", "'%s' is too much", words[3]);
	if (words[3] && !cli_is_word(words[3]))
		return cli_complain("slot", "a slot is at most 32 of a-z and 0-9");
	return 0;
}

static int
check_options(bool is_list, enum slot_command command, const char *id, bool discard,
	const char *timeout, uint64_t *ret_timeout_ms)
{
	struct err e;

	if (id && (is_list || command != SLOT_PROMOTE))
		return cli_complain("slot", "--id goes with promote");
	if (id &&
		(strlen(id) != SLOT_ID_DIGITS || strspn(id, "0123456789abcdef") != SLOT_ID_DIGITS))
		return cli_complain("slot", "an id is 32 of 0-9 and a-f, as `slot deploy` gave it");
	if (discard && (is_list || command != SLOT_DEPLOY))
		return cli_complain("slot", "--discard-rollback goes with deploy");
	if (timeout && duration_parse(timeout, ret_timeout_ms, &e) < 0)
		return cli_complain("slot", "--timeout: %s", e.text);
	return 0;
}

int
cmd_slot(int argc, char **argv)
{
	struct job j = {0};
	const char *words[4], *id = NULL, *timeout = NULL;
	bool discard = false, is_list;
	enum slot_command command = SLOT_DEPLOY;
	struct config *c;
	const struct cli_option options[] = {
		{'c', "config", &j.file, NULL},
		{'s', "server", &j.server, NULL},
		{'\0', "id", &id, NULL},
		{'\0', "discard-rollback", NULL, &discard},
		{'\0', "offline", NULL, &j.offline},
		{'\0', "dry-run", NULL, &j.dry_run},
		{'\0', "timeout", &timeout, NULL},
		{'j', "json", NULL, &j.as_json},
		{0},
	};
	if (cli_parse_words(argc, argv, options, 3, 4, words) < 0 ||
		check_words(words, &is_list, &command) < 0 ||
		check_options(is_list, command, id, discard, timeout, &j.timeout_ms) < 0 ||
		cli_load(j.file, &c) < 0)
		return CLI_USAGE;
	j.config = c;
	j.project = words[1];
	j.environment = words[2];
	int r = find_registered(&j);
	if (r == CLI_DONE)
		r = is_list ? list(&j) : change(&j, command, words[3], id, discard);
	registered_project_unref(j.registered);
	arena_finish(&j.arena);
	config_destroy(c);
	return r;
}
