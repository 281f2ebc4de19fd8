/* cmd_ports.c - `waymark ports`: a project's slot ports, who else has them, and which are free. */
#include <stdio.h>
#include <string.h>

#include "provider/cli/cli.h"
#include "provider/cli/cli_look.h"
#include "reconciler/model/ports.h"

struct answer {
	struct arena arena;
	const struct config *config;
	const char *project, *environment;
	bool has_registry;
	bool registered; /* the environment is */
	bool known; /* the registry was seen whole */
	struct slot_ports all; /* everybody's, with one's own */
	json_t *slots, *collisions, *notes; /* texts */
	uint16_t free; /* the first of two; 0: none is */
};

/* -- what is asked -- */

static const char *
origin_text(const struct slot_port *p)
{
	return p->formula ? "formula" : "registry";
}

static bool
is_mine(const struct answer *a, const struct slot_port *p)
{
	return slot_port_is(p, a->project, a->environment);
}

static void
note(struct answer *a, const char *text)
{
	json_array_append_new(a->notes, json_string(text));
}

/* With what others have it; with NULL the port is past the end of its range. */
static void
add_collision(struct answer *a, const struct slot_port *mine, const struct slot_port *other)
{
	enum ports_clash clash = other ? ports_clash(mine, other) : CLASH_BORDER;
	json_t *with = json_null();
	if (other)
		with = json_pack("{s:s,s:s,s:s,s:s,s:b}", "project", other->project, "environment",
			other->environment, "slot", other->slot, "from", origin_text(other),
			"planned", other->planned);
	json_array_append_new(a->collisions,
		json_pack("{s:s,s:i,s:s,s:s,s:o}", "slot", mine->slot, "port", mine->port, "kind",
			ports_clash_text(clash), "why", ports_clash_means(clash), "with", with));
}

static void
find_collisions(struct answer *a, const struct slot_port *mine)
{
	size_t n, others = 0;
	const struct slot_port *at = ports_at(&a->all, mine->port, &n);
	for (size_t i = 0; i < n; i++)
		if (&at[i] != mine) {
			add_collision(a, mine, &at[i]);
			others++;
		}
	if (!others && ports_crosses_border(mine))
		add_collision(a, mine, NULL);
}

static void
note_what_is_not_known(struct answer *a)
{
	if (!a->has_registry)
		note(a, "there is no registry, so nobody else is known");
	else if (!a->known)
		note(a, "the registry could not be read whole, so others are not known");
	else if (!a->registered)
		note(a, arena_printf(
				&a->arena, "%s %s is not registered", a->project, a->environment));
	if (!ports_formula(a->project, a->environment))
		note(a, "only production and staging have ports by the formula");
}

static void
answer_make(struct answer *a)
{
	ports_sort(&a->all);
	for (size_t i = 0; i < a->all.n; i++) {
		const struct slot_port *p = &a->all.list[i];
		if (!is_mine(a, p))
			continue;
		json_array_append_new(a->slots, json_pack("{s:s,s:i,s:s}", "slot", p->slot, "port",
							p->port, "from", origin_text(p)));
		find_collisions(a, p);
	}
	a->free = ports_free(&a->all, a->project, a->environment);
	note_what_is_not_known(a);
}

static void
add_project(void *arg, const struct registered_project *p)
{
	struct answer *a = arg;
	if (strcmp(p->name, a->project) == 0 && registered_environment_find(p, a->environment))
		a->registered = true;
	ports_add_project(&a->all, p);
}

/* The strings of the registry end with it, so all is decided here. */
static void
on_look(void *arg, const struct reconciler *r, bool whole)
{
	struct answer *a = arg;
	a->known = whole;
	reconciler_each_project(r, add_project, a);
	cli_look_report(r, a->config, stderr);
	if (!a->registered)
		ports_add(&a->all, NULL, a->project, a->environment, NULL);
	answer_make(a);
}

/* -- how it is said -- */

static const char *
text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static int
number_at(const json_t *object, const char *key)
{
	return (int)json_integer_value(json_object_get(object, key));
}

static void
print_collision(const json_t *collision)
{
	const json_t *with = json_object_get(collision, "with");
	printf("taken  %-6s  %5d  ", text_at(collision, "slot"), number_at(collision, "port"));
	if (json_is_object(with)) {
		cli_print(stdout, text_at(with, "project"));
		printf(" %s %s (%s%s): ", text_at(with, "environment"), text_at(with, "slot"),
			text_at(with, "from"),
			json_is_true(json_object_get(with, "planned")) ? ", without slots yet"
								       : "");
	}
	puts(text_at(collision, "why"));
}

static void
print_text(const struct answer *a)
{
	size_t i;
	json_t *item;
	bool proposes = json_array_size(a->collisions) > 0 || json_array_size(a->slots) == 0;
	json_array_foreach(a->slots, i, item) printf("slot   %-6s  %5d  %s\n",
		text_at(item, "slot"), number_at(item, "port"), text_at(item, "from"));
	json_array_foreach(a->collisions, i, item) print_collision(item);
	if (proposes && a->free)
		printf("free   %-6s  %5d\nfree   %-6s  %5d\n", "blue", a->free, "green",
			a->free + 1);
	else if (proposes)
		printf("free   none: every pair of the range %d to %d is taken\n",
			ports_range(a->environment), ports_range(a->environment) + PORTS_RANGE - 1);
	json_array_foreach(a->notes, i, item)
	{
		fputs("note   ", stdout);
		cli_print(stdout, json_string_value(item));
		putchar('\n');
	}
}

static void
print_json(const struct answer *a)
{
	json_t *pair = a->free ? json_pack("{s:i,s:i}", "blue", a->free, "green", a->free + 1)
			       : json_null();
	json_t *all = json_pack("{s:s,s:s,s:b,s:i,s:O,s:O,s:o,s:O}", "project", a->project,
		"environment", a->environment, "registered", a->registered, "hash",
		(int)ports_hash(a->project), "slots", a->slots, "collisions", a->collisions, "free",
		pair, "notes", a->notes);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

static int
check_words(const char *command, const char *const words[2])
{
	json_t *name = json_string(words[0]); /* NULL where it is not UTF-8 */
	bool ok = name && words[0][0];
	json_decref(name);
	if (!ok)
		return cli_complain(command, "that is not the name of a project");
	if (!cli_is_word(words[1]))
		return cli_complain(command, "an environment is at most 32 of a-z and 0-9");
	return 0;
}

static int
answer(struct answer *a, bool as_json)
{
	a->all.arena = &a->arena;
	a->slots = json_array();
	a->collisions = json_array();
	a->notes = json_array();
	a->has_registry = settings_has_registry(a->config->settings);
	if (a->has_registry) {
		cli_look(a->config->settings, on_look, a);
	} else {
		ports_add(&a->all, NULL, a->project, a->environment, NULL);
		answer_make(a);
	}
	if (as_json)
		print_json(a);
	else
		print_text(a);
	bool no = json_array_size(a->collisions) > 0 || (a->has_registry && !a->known);
	json_decref(a->slots);
	json_decref(a->collisions);
	json_decref(a->notes);
	arena_finish(&a->arena);
	return no ? CLI_NO : CLI_DONE;
}

int
cmd_ports(int argc, char **argv)
{
	const char *file = NULL, *words[2];
	bool as_json = false;
	struct config *c;
	const struct cli_option options[] = {
		{'c', "config", &file, NULL},
		{'j', "json", NULL, &as_json},
		{0},
	};
	if (cli_parse(argc, argv, options, 2, words) < 0 || check_words(argv[0], words) < 0 ||
		cli_load(file, &c) < 0)
		return CLI_USAGE;
	struct answer a = {.config = c, .project = words[0], .environment = words[1]};
	int r = answer(&a, as_json);
	config_destroy(c);
	return r;
}
