/* cmd_check.c - `waymark check`: what is wrong with the configuration, the pages and the
 * registry. */
#include <stdio.h>
#include <string.h>

#include "provider/cli/cli.h"
#include "provider/cli/config_keys.h"
#include "provider/cli/cli_look.h"
#include "provider/pages/page_files.h"
#include "reconciler/model/ports.h"

/* Slots that share a port are named up to here, the rest is counted. */
#define CLASHES_MAX 100

struct findings {
	struct arena arena;
	const struct config *config;
	struct slot_ports ports;
	size_t nclashes;
	bool bad;
};

static int
print_schema(void)
{
	struct buf b = {0};
	config_schema_print(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_finish(&b);
	return CLI_DONE;
}

/* -- problems -- */

/* What the faults and sources have said already, and what cannot be otherwise without engines. */
static bool
is_said(enum problem_code code)
{
	return code == PROBLEM_REGISTRY_INVALID || code == PROBLEM_SOURCE_STALE ||
	       code == PROBLEM_NO_SERVERS || code == PROBLEM_SLOT_WAITING;
}

static void
print_problem(void *arg, const struct problem *p)
{
	struct findings *f = arg;
	if (is_said(p->code))
		return;
	if (problem_code_severity(p->code) == PROBLEM_ERROR)
		f->bad = true;
	cli_print_problem(stdout, p);
}

/* -- ports -- */

static void
add_project(void *arg, const struct registered_project *p)
{
	struct findings *f = arg;
	ports_add_project(&f->ports, p);
}

static void
print_clash(struct findings *f, const struct slot_port *p, const struct slot_port *first)
{
	if (++f->nclashes > CLASHES_MAX)
		return;
	const char *why = ports_clash_means(first ? ports_clash(first, p) : CLASH_BORDER);
	const char *whose = first ? arena_printf(&f->arena, "is that of %s of %s %s, too",
					    first->slot, first->project, first->environment)
				  : "belongs to another range";
	cli_print_problem(stdout,
		&(struct problem){
			.object = p->place,
			.field = arena_printf(&f->arena, "projects.%s.environments.%s", p->project,
				p->environment),
			.what = arena_printf(&f->arena, "port %u of slot %s %s: %s", p->port,
				p->slot, whose, why),
			.remedy = arena_printf(&f->arena,
				"give it another in slots.json; `waymark ports %s %s` proposes "
				"one",
				p->project, p->environment),
		});
}

/* An environment that nothing says to have slots has no ports, either. */
static void
print_clashes(struct findings *f)
{
	const struct slot_port *first = NULL;
	ports_sort(&f->ports);
	for (size_t i = 0; i < f->ports.n; i++) {
		const struct slot_port *p = &f->ports.list[i];
		if (p->planned)
			continue;
		bool shared = first && first->port == p->port;
		if (shared)
			print_clash(f, p, first);
		else if (ports_crosses_border(p))
			print_clash(f, p, NULL);
		first = shared ? first : p;
	}
	if (f->nclashes > CLASHES_MAX)
		printf("%s: and %zu more slots with ports of others; see `waymark ports`\n",
			f->config->path ? f->config->path : CONFIG_PATH, f->nclashes - CLASHES_MAX);
}

static void
on_look(void *arg, const struct reconciler *r, bool whole)
{
	struct findings *f = arg;
	f->bad = cli_look_report(r, f->config, stdout) || !whole;
	reconciler_problems(r, print_problem, f);
	reconciler_each_project(r, add_project, f);
	print_clashes(f);
}

/* Is nothing wrong with it? */
static bool
check_registry(const struct config *c)
{
	struct findings f = {.config = c};
	f.ports.arena = &f.arena;
	if (settings_has_registry(c->settings))
		cli_look(c->settings, on_look, &f);
	arena_finish(&f.arena);
	return !f.bad;
}

/* Is nothing wrong with them? */
static bool
check_pages(const struct config *c)
{
	struct page *pages[PAGE_KINDS] = {NULL};
	struct config_errors errors = {0};

	page_files_read(c->pages_directory, pages, &errors);
	config_errors_show(&errors, stdout);
	bool ok = !errors.n;
	config_errors_finish(&errors);
	for (size_t i = 0; i < PAGE_KINDS; i++)
		page_destroy(pages[i]);
	return ok;
}

static int
check(const char *file)
{
	struct config_errors errors;
	struct config *c = config_load(file, &errors);
	config_errors_show(&errors, stdout);
	config_errors_finish(&errors);
	if (!c)
		return CLI_USAGE;

	config_errors_show(&c->warnings, stdout);
	bool ok = check_pages(c);
	ok = check_registry(c) && ok;
	if (ok && c->path)
		printf("%s: ok\n", c->path);
	else if (ok)
		printf("%s: not there, so defaults and the environment count: ok\n", CONFIG_PATH);
	config_destroy(c);
	return ok ? CLI_DONE : CLI_NO;
}

int
cmd_check(int argc, char **argv)
{
	const char *file = NULL;
	bool schema = false;
	const struct cli_option options[] = {
		{'c', "config", &file, NULL},
		{'\0', "schema", NULL, &schema},
		{0},
	};
	if (cli_parse(argc, argv, options, 0, NULL) < 0)
		return CLI_USAGE;
	return schema ? print_schema() : check(file);
}
