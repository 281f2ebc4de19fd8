/* cmd_slot.c - `waymark slot`: how the slots of an environment stand, and changes to them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "provider/cli/cli_look.h"
#include "provider/cli/slot_job.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/text.h"
#include "reconciler/model/host.h"
#include "reconciler/registry/registry_dir.h"
#include "reconciler/registry/registry_pg.h"
#include "reconciler/registry/registry_pg_write.h"
#include "reconciler/registry/registry_time_parse.h"
#include "reconciler/registry/registry_write.h"

#define LOCK_MS 10000
#define SETTLE_MS 1000
#define ANSWER_MS 15000

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
	struct slot_job *j = arg;
	if (strcmp(p->name, j->project) == 0 && !j->registered)
		j->registered = registered_project_ref(p);
}

static void
on_look(void *arg, const struct reconciler *r, bool whole)
{
	struct slot_job *j = arg;
	j->whole = whole;
	reconciler_each_project(r, keep_project, j);
	if (!whole || !j->registered)
		cli_look_report(r, j->config, stderr);
}

/* A directory without ssot.json knows projects by their slots, so the first one has none. */
static bool
may_be_new(const struct slot_job *j)
{
	const char *directory = j->config->settings->registry.directory;
	struct arena a = {0};
	bool may = directory && access(arena_printf(&a, "%s/ssot.json", directory), F_OK) != 0;
	arena_finish(&a);
	return may;
}

static int
refuse_environment(struct slot_job *j)
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
find_registered(struct slot_job *j)
{
	const struct settings_registry *s = &j->config->settings->registry;

	if (!settings_has_registry(j->config->settings)) {
		cli_complain("slot", "there is no registry; give registry.directory or "
				     "registry.postgres in the configuration");
		return CLI_USAGE;
	}
	j->registered = registered_project_unref(j->registered);
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

/* -- writing -- */

enum cli_exit
slot_job_ask(struct slot_job *j)
{
	if (j->offline)
		return CLI_DONE;
	if (!j->address)
		j->address = cli_address(j->server, j->file);
	if (!j->address)
		return CLI_USAGE;
	const struct cli_peer peer = {j->address, ANSWER_MS, false};
	return cli_slots_ask(&j->arena, &peer, j->project, j->environment, &j->seen);
}

static uint64_t
now_ms(void)
{
	return clock_wall_ms() / 1000 * 1000;
}

struct written {
	enum registry_wrote wrote;
	struct slot_change change;
	struct slot_refusal refusal;
	struct err err;
};

static struct written
write_request(struct slot_job *j, struct slot_request *r)
{
	struct written w = {0};
	const struct registry_write rw = {
		.settings = j->config->settings,
		.request = r,
		.seen = &j->e,
		.lock_ms = LOCK_MS,
		/* What is taken back looks as it did before we wrote. */
		.settle_ms = r->restore ? 0 : SETTLE_MS,
		.dry_run = j->dry_run,
	};

	r->now_ms = now_ms();
	if (strcmp(j->source, REGISTRY_DIR_NAME) == 0)
		w.wrote = registry_write_directory(&j->arena, &rw, &w.change, &w.refusal, &w.err);
	else
		w.wrote = registry_write_postgres(&j->arena, &rw, &w.change, &w.refusal, &w.err);
	return w;
}

/* Of what was not written. */
static int
report(const struct written *w)
{
	if (w->wrote == WROTE_REFUSED)
		return refuse(w->refusal.what, w->refusal.remedy);
	fputs("waymark: slot: ", stderr);
	cli_print(stderr, w->err.text);
	putc('\n', stderr);
	return CLI_NO;
}

static int
show(struct slot_job *j, const struct slot_request *r, const struct slot_change *c)
{
	slot_print_change(j, r->command, c);
	if (j->dry_run)
		fputs("dry run: nothing was written\n", stderr);
	return CLI_DONE;
}

static int
write_and_show(struct slot_job *j, struct slot_request *r)
{
	struct written w = write_request(j, r);
	return w.wrote == WROTE_DONE ? show(j, r, &w.change) : report(&w);
}

static const char *
command_line(struct slot_job *j, const char *command, const char *slot)
{
	return arena_printf(
		&j->arena, "waymark slot %s %s %s %s", command, j->project, j->environment, slot);
}

/* -- deploy -- */

static const char *
make_id(struct slot_job *j)
{
	unsigned char bytes[SLOT_ID_DIGITS / 2];
	char id[SLOT_ID_DIGITS + 1];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		abort();
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	return arena_strdup(&j->arena, id);
}

/* The route fell back to the slot while it was being reserved. */
static int
give_back(struct slot_job *j, const struct slot_request *r, const char *slot)
{
	const struct registered_slot *was = registered_slot_find(&j->e, slot);
	const struct registered_slot empty = {.name = slot};
	struct slot_request back = *r;

	back.slot = slot;
	back.restore = was ? was : &empty;
	struct written w = write_request(j, &back);
	if (w.wrote == WROTE_DONE)
		return refuse(arena_printf(&j->arena,
				      "slot %s has come to carry traffic while it was being "
				      "reserved, so it was put back as it was",
				      slot),
			"promote the slot that is to have the traffic, and try again when its "
			"route has moved");
	return refuse(arena_printf(&j->arena,
			      "slot %s has come to carry traffic while it was being reserved, and "
			      "could not be put back: %s",
			      slot, w.wrote == WROTE_REFUSED ? w.refusal.what : w.err.text),
		arena_printf(&j->arena,
			"start nothing in it; give it up when its route has moved: %s",
			command_line(j, "cleanup", slot)));
}

static int
deploy(struct slot_job *j, struct slot_request *r)
{
	struct written w = write_request(j, r);

	if (w.wrote != WROTE_DONE)
		return report(&w);
	if (j->offline || j->dry_run)
		return show(j, r, &w.change);
	const char *slot = w.change.slot;
	enum slot_waited waited = slot_wait_reserved(j, slot, r->id);
	if (waited == WAITED_TRAFFIC)
		return give_back(j, r, slot);
	if (waited == WAITED_DONE)
		return show(j, r, &w.change);
	return refuse(arena_printf(&j->arena,
			      "slot %s is reserved by %s, but the running Waymark has not seen "
			      "that in time",
			      slot, r->id),
		arena_printf(&j->arena,
			"see with `waymark status` whether it reads this registry, then start the "
			"container and promote with --id, or give the slot up: %s",
			command_line(j, "cleanup", slot)));
}

/* -- cleanup, in two steps -- */

static int
refuse_undrained(struct slot_job *j, const struct registered_slot *ended, enum slot_waited waited,
	const char *why)
{
	if (waited == WAITED_TRAFFIC)
		return refuse(arena_printf(&j->arena,
				      "slot %s carries traffic now, so it stays; its state is %s, "
				      "and its time is over",
				      ended->name, slot_state_text(ended->state)),
			"promote the slot that is to have the traffic, and clean up again when "
			"its route has moved");
	return refuse(arena_printf(&j->arena,
			      "slot %s is not empty yet: %s; its state is %s, and its time is over",
			      ended->name, why, slot_state_text(ended->state)),
		"see `waymark status`, and clean up again, with --offline to wait for nothing");
}

static bool
is_as_left(const struct registered_slot *s, const struct registered_slot *ended)
{
	return s->state == ended->state && s->until_ms == ended->until_ms &&
	       text_compare(s->id, ended->id) == 0;
}

/* The second step, when nothing can reach the slot any more.  Nobody may have taken it meanwhile;
 * but the running Waymark may have emptied it, where it cleans up by itself. */
static int
make_empty(struct slot_job *j, struct slot_request *r, const struct registered_slot *ended)
{
	struct written w = {0};

	r->ending = false;
	for (int i = 0; i < 2; i++) {
		int e = find_registered(j);
		if (e != CLI_DONE)
			return e;
		const struct registered_slot *s = registered_slot_find(&j->e, ended->name);
		if (!s || s->state == SLOT_EMPTY)
			return show(
				j, r, &(struct slot_change){.after = j->e, .slot = ended->name});
		if (!is_as_left(s, ended))
			return refuse(arena_printf(&j->arena,
					      "somebody else has taken slot %s meanwhile: it is %s",
					      ended->name, slot_state_text(s->state)),
				"see how the slots stand with `waymark slot list`");
		w = write_request(j, r);
		if (w.wrote != WROTE_REFUSED)
			break;
	}
	return w.wrote == WROTE_DONE ? show(j, r, &w.change) : report(&w);
}

/* The first step: which slot it is about, with its time over. */
static int
end_slot(struct slot_job *j, struct slot_request *r, struct registered_slot *ret)
{
	struct written w = {0};

	r->ending = true;
	r->now_ms = now_ms();
	bool allowed = slot_apply(&j->arena, &j->e, r, &w.change, &w.refusal);
	const struct registered_slot *s =
		allowed ? registered_slot_find(&j->e, w.change.slot) : NULL;
	/* One that has ended is not written again: what waited for it would wait anew. */
	if (s && slot_has_ended(s, NULL, r->now_ms) && cli_slot_find(&j->seen, s->name)->ended) {
		*ret = *s;
		ret->name = arena_strdup(&j->arena, s->name);
		ret->id = arena_strdup(&j->arena, s->id);
		return CLI_DONE;
	}
	w = write_request(j, r);
	if (w.wrote != WROTE_DONE)
		return report(&w);
	*ret = *registered_slot_find(&w.change.after, w.change.slot);
	return CLI_DONE;
}

static int
cleanup(struct slot_job *j, struct slot_request *r)
{
	struct registered_slot ended = {0};
	const char *why = "";

	if (j->offline || j->dry_run)
		return write_and_show(j, r);
	int e = end_slot(j, r, &ended);
	if (e != CLI_DONE)
		return e;
	r->slot = ended.name;
	enum slot_waited waited = slot_wait_drained(j, ended.name, &why);
	if (waited != WAITED_DONE)
		return refuse_undrained(j, &ended, waited, why);
	return make_empty(j, r, &ended);
}

/* -- the command -- */

static int
change(struct slot_job *j, struct slot_request *r)
{
	r->project = j->project;
	r->now_ms = now_ms();
	r->grace_ms = j->config->settings->grace_ms;
	r->reservation_ms = SLOT_RESERVATION_MS;
	r->facts = j->offline ? NULL : &j->seen.facts;
	enum cli_exit e = slot_job_ask(j);
	if (e == CLI_DONE)
		e = slot_wait_ready(j, r);
	if (e != CLI_DONE)
		return e;
	if (r->command == SLOT_DEPLOY) {
		r->id = make_id(j);
		return deploy(j, r);
	}
	return r->command == SLOT_CLEANUP ? cleanup(j, r) : write_and_show(j, r);
}

/* What is registered is shown also where nobody tells the health. */
static int
list(struct slot_job *j)
{
	enum cli_exit e = slot_job_ask(j);
	if (e == CLI_USAGE)
		return e;
	j->offline = j->offline || e != CLI_DONE;
	slot_print_list(j, &j->e);
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

/* Options as they were given; NULL: not. */
struct given {
	const char *id, *since, *timeout;
	bool discard;
};

static int
check_since(const struct given *g, enum slot_command command, uint64_t *ret_ms)
{
	if (!g->since)
		return 0;
	if (command != SLOT_CLEANUP && command != SLOT_ROLLBACK)
		return cli_complain("slot", "--since goes with cleanup and rollback");
	*ret_ms = 0;
	if (strcmp(g->since, "none") != 0 && !registry_time_parse(g->since, ret_ms))
		return cli_complain("slot", "--since is a time as `slot list` shows it, or none");
	return 0;
}

static int
check_options(const struct given *g, enum slot_command command, uint64_t *ret_timeout_ms)
{
	struct err e;

	if (g->id && command != SLOT_PROMOTE)
		return cli_complain("slot", "--id goes with promote");
	if (g->id && (strlen(g->id) != SLOT_ID_DIGITS ||
			     strspn(g->id, "0123456789abcdef") != SLOT_ID_DIGITS))
		return cli_complain("slot", "an id is 32 of 0-9 and a-f, as `slot deploy` gave it");
	if (g->discard && command != SLOT_DEPLOY)
		return cli_complain("slot", "--discard-rollback goes with deploy");
	*ret_timeout_ms = SLOT_TIMEOUT_USUAL;
	if (g->timeout && duration_parse(g->timeout, ret_timeout_ms, &e) < 0)
		return cli_complain("slot", "--timeout: %s", e.text);
	return 0;
}

static int
run(struct slot_job *j, bool is_list, struct slot_request *r)
{
	int e = find_registered(j);
	if (e == CLI_DONE)
		e = is_list ? list(j) : change(j, r);
	registered_project_unref(j->registered);
	arena_finish(&j->arena);
	free(j->address);
	return e;
}

int
cmd_slot(int argc, char **argv)
{
	struct slot_job j = {0};
	struct slot_request r = {0};
	struct given g = {0};
	const char *words[4];
	bool is_list;
	uint64_t since_ms;
	struct config *c;
	const struct cli_option options[] = {
		{'c', "config", &j.file, NULL},
		{'s', "server", &j.server, NULL},
		{'\0', "id", &g.id, NULL},
		{'\0', "since", &g.since, NULL},
		{'\0', "discard-rollback", NULL, &g.discard},
		{'\0', "offline", NULL, &j.offline},
		{'\0', "dry-run", NULL, &j.dry_run},
		{'\0', "timeout", &g.timeout, NULL},
		{'j', "json", NULL, &j.as_json},
		{0},
	};
	r.command = SLOT_COMMANDS; /* none, for a list */
	if (cli_parse_words(argc, argv, options, 3, 4, words) < 0 ||
		check_words(words, &is_list, &r.command) < 0 ||
		check_options(&g, r.command, &j.timeout_ms) < 0 ||
		check_since(&g, r.command, &since_ms) < 0 || cli_load(j.file, &c) < 0)
		return CLI_USAGE;
	j.config = c;
	j.project = words[1];
	j.environment = words[2];
	r.slot = words[3];
	r.id = g.id;
	r.discard_rollback = g.discard;
	r.grace_since_ms = g.since ? &since_ms : NULL;
	int e = run(&j, is_list, &r);
	config_destroy(c);
	return e;
}
