/* cmd_render.c - `waymark render`: one look at the world, printed as an output would have it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "provider/caddy/site_render.h"
#include "provider/cli/cli.h"
#include "provider/cli/config.h"
#include "provider/traefik/document_render.h"
#include "provider/traefik/traefik_render.h"
#include "reconciler/base/httpc.h"
#include "reconciler/base/log.h"
#include "reconciler/reconcile.h"

/* A source that does not answer by then is named, and nothing is printed. */
#define LOOK_MS 10000

struct look {
	struct output output; /* first: the reconciler hands it back */
	void (*print)(const struct snapshot *s, const struct settings *settings);
	uv_loop_t loop;
	uv_timer_t deadline;
	struct httpc *http;
	struct reconciler *reconciler;
	const struct settings *settings;
	bool over;
	int result;
};

static void
print_problem(void *arg, const struct problem *p)
{
	(void)arg;
	const char *const parts[] = {problem_code_text(p->code), ": ", p->object,
		p->field ? ": " : "", p->field ? p->field : "", ": ", p->what, "; ", p->remedy};
	/* What tenants wrote stands in it. */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		cli_print(stderr, parts[i]);
	putc('\n', stderr);
}

/* -- as each output has it -- */

static void
print_traefik(const struct snapshot *s, const struct settings *settings)
{
	struct ranges ranges;

	ranges_init(&ranges, s, settings);
	char *text = ranges_flatten(&ranges);
	puts(text);
	free(text);
	ranges_finish(&ranges);
}

struct sites {
	struct arena arena;
	struct problems problems;
	struct site_template *template;
	size_t n, cap;
	struct site_file *list;
};

static void
sites_add(struct sites *sites, const struct site_file *file)
{
	if (sites->n == sites->cap) {
		sites->cap = 2 * sites->cap + 16;
		sites->list = xrealloc(sites->list, sites->cap * sizeof(*sites->list));
	}
	sites->list[sites->n++] = *file;
}

static void
sites_add_plan(
	struct sites *sites, const struct project_plan *plan, const struct settings *settings)
{
	struct site_files files;

	site_render(plan, settings, sites->template, &sites->arena, &files, &sites->problems);
	for (size_t i = 0; i < files.n; i++)
		sites_add(sites, &files.list[i]);
}

static int
site_compare(const void *a, const void *b)
{
	const struct site_file *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void
sites_print(struct sites *sites)
{
	qsort(sites->list, sites->n, sizeof(*sites->list), site_compare);
	for (size_t i = 0; i < sites->n; i++)
		if (sites->list[i].text)
			printf("%s# %s\n%s", i ? "\n" : "", sites->list[i].name,
				sites->list[i].text);
	for (size_t i = 0; i < sites->problems.n; i++)
		print_problem(NULL, &sites->problems.list[i]);
}

/* The configuration's template was read with it, and the built-in one is right. */
static void
print_caddy(const struct snapshot *s, const struct settings *settings)
{
	struct sites sites = {.problems = {.arena = &sites.arena}};

	sites.template =
		site_template_parse(settings->caddy ? settings->caddy->template : NULL, NULL);
	sites_add(&sites,
		&(struct site_file){"waymark.caddy", site_render_default(settings, &sites.arena)});
	for (size_t c = 0; c < s->nchunks; c++)
		for (size_t i = 0; i < s->chunks[c]->n; i++)
			sites_add_plan(&sites, s->chunks[c]->plan[i], settings);
	sites_print(&sites);
	site_template_destroy(sites.template);
	arena_finish(&sites.arena);
	free(sites.list);
}

static const struct {
	const char *name;
	void (*print)(const struct snapshot *s, const struct settings *settings);
} kinds[] = {{"traefik", print_traefik}, {"caddy", print_caddy}};

/* -- the look -- */

static void
look_end(struct look *l, int result)
{
	if (l->over)
		return;
	l->over = true;
	l->result = result;
	uv_stop(&l->loop);
}

static void
on_publish(struct output *o, struct snapshot *s)
{
	struct look *l = (struct look *)o;

	if (l->over)
		return;
	l->print(s, l->settings);
	look_end(l, CLI_DONE);
}

static void
on_info(struct output *o, struct output_info *ret)
{
	(void)o;
	*ret = (struct output_info){.name = "render", .kind = "render", .error = ""};
}

static void
on_deadline(uv_timer_t *timer)
{
	struct look *l = timer->data;
	fprintf(stderr, "waymark: not every source could be seen within 10 s\n");
	look_end(l, CLI_NO);
}

static void
look_run(struct look *l)
{
	struct output *const outputs[] = {&l->output};
	struct err e;

	l->http = httpc_create(&l->loop);
	l->reconciler = reconciler_create(&(struct reconciler_config){
		.loop = &l->loop,
		.http = l->http,
		.settings = l->settings,
		.without_engines = true,
		.renderers = {[TRAEFIK_OUTPUT] = &traefik_renderer},
		.noutputs = 1,
		.outputs = outputs,
	});
	uv_timer_init(&l->loop, &l->deadline);
	l->deadline.data = l;
	uv_timer_start(&l->deadline, on_deadline, LOOK_MS, 0);
	reconciler_start(l->reconciler, &e);
	uv_run(&l->loop, UV_RUN_DEFAULT);

	reconciler_problems(l->reconciler, print_problem, NULL);
	reconciler_destroy(l->reconciler);
	httpc_destroy(l->http);
	uv_close((uv_handle_t *)&l->deadline, NULL);
	uv_run(&l->loop, UV_RUN_DEFAULT);
}

int
cmd_render(int argc, char **argv)
{
	struct look l = {.output = {.publish = on_publish, .info = on_info}};
	struct config *config;
	const char *what;

	if (cli_config_and_word(argc, argv, &config, &what) < 0)
		return CLI_USAGE;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(what, kinds[i].name) == 0)
			l.print = kinds[i].print;
	if (!l.print) {
		fprintf(stderr,
			"waymark: render: '%s' cannot be rendered; write traefik or caddy\n", what);
		config_destroy(config);
		return CLI_USAGE;
	}
	log_setup(config->log_format, LOG_ERROR);
	l.settings = config->settings;
	uv_loop_init(&l.loop);
	look_run(&l);
	uv_loop_close(&l.loop);
	config_destroy(config);
	return l.result;
}
