/* Labels, all the way into Traefik's document.  The input is lines: the container's name, then
 * NAME=VALUE for each label.  Whatever they say, the fragment passes the self-check, and no problem
 * of ours (`internal`) comes up. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#include <jansson.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/model/planner.h"

#define LABELS_MAX 64

static struct endpoint *
endpoint_of(const uint8_t *data, size_t n)
{
	struct endpoint *e = endpoint_create();
	struct endpoint_label *l = ARENA_ARRAY(&e->arena, struct endpoint_label, LABELS_MAX);
	struct endpoint_port *p = ARENA_NEW(&e->arena, struct endpoint_port);
	struct endpoint_network *net = ARENA_NEW(&e->arena, struct endpoint_network);
	char *line = arena_strndup(&e->arena, (const char *)data, n);
	char *next = strchr(line, '\n');

	*p = (struct endpoint_port){.port = 80, .tcp = true};
	*net = (struct endpoint_network){"bridge", "172.17.0.2", NULL};
	e->engine = "app1";
	e->id = "0123456789abcdef";
	e->run = e->network_mode = "";
	e->health = HEALTH_HEALTHY;
	e->nports = e->nnetworks = 1;
	e->ports = p;
	e->networks = net;
	if (next)
		*next++ = '\0';
	e->name = line;
	for (line = next; line && e->nlabels < LABELS_MAX; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		char *value = strchr(line, '=');
		if (!value)
			continue;
		*value++ = '\0';
		l[e->nlabels++] = (struct endpoint_label){line, value};
	}
	e->labels = l;
	endpoint_seal(e);
	return e;
}

static void
check_plan(const struct project_plan *p)
{
	for (size_t i = 0; i < p->nproblems; i++)
		assert(p->problems[i].code != PROBLEM_INTERNAL);
	for (size_t i = 0; i < FRAGMENT_SECTIONS; i++) {
		const char *text = p->fragment[TRAEFIK_OUTPUT].section[i].p;
		size_t n = p->fragment[TRAEFIK_OUTPUT].section[i].n;
		struct buf b = {0};
		buf_adds(&b, "{");
		buf_add(&b, text ? text : "", n);
		buf_adds(&b, "}");
		json_auto_t *o = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
		assert(o);
		buf_finish(&b);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct renderer *const renderers[PLAN_OUTPUTS] = {&traefik_renderer};
	static struct settings *settings;
	if (!settings)
		settings = settings_create();

	struct ledger *ledger = ledger_create();
	struct planner *planner = planner_create(settings, ledger, renderers);
	struct endpoint *e = endpoint_of(data, n);
	planner_put(planner, e);
	endpoint_unref(e);

	const struct snapshot *s = planner_step(planner, 1000);
	for (size_t c = 0; c < s->nchunks; c++)
		for (size_t i = 0; i < s->chunks[c]->n; i++)
			check_plan(s->chunks[c]->plan[i]);
	planner_destroy(planner);
	ledger_destroy(ledger);
	return 0;
}
