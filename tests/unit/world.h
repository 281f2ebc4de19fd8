/* world.h - containers for tests of the model, built in a line each. */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/model/endpoint.h"
#include "reconciler/model/planner.h"

/* What a test says of a container; what it leaves out is a running one on app1 at 172.17.0.ID with
 * port 80 exposed and nothing that checks it. */
struct box {
	const char *engine, *id, *name, *ip, *run;
	int64_t created;
	enum endpoint_state state;
	enum endpoint_health health;
	bool leaving, died, withheld;
	uint16_t ports[4];
	const char *labels[16]; /* name, value, … */
};

static inline struct endpoint *
box_endpoint(const struct box *b)
{
	struct endpoint *e = endpoint_create();
	struct arena *a = &e->arena;
	struct endpoint_network *n = ARENA_NEW(a, struct endpoint_network);
	struct endpoint_port *p = ARENA_ARRAY(a, struct endpoint_port, 4);
	struct endpoint_label *l = ARENA_ARRAY(a, struct endpoint_label, 8);

	e->engine = arena_strdup(a, b->engine ? b->engine : "app1");
	e->id = arena_strdup(a, b->id);
	e->name = arena_strdup(a, b->name ? b->name : b->id);
	e->created = b->created ? b->created : 1000;
	e->run = arena_strdup(a, b->run ? b->run : "");
	e->network_mode = "bridge";
	e->state = b->state;
	e->health = b->health;
	e->leaving = b->leaving;
	e->died = b->died;
	e->withheld = b->withheld;
	*n = (struct endpoint_network){
		"bridge", arena_strdup(a, b->ip ? b->ip : "172.17.0.9"), NULL};
	e->networks = n;
	e->nnetworks = 1;
	if (!b->ports[0])
		p[e->nports++] = (struct endpoint_port){.port = 80, .tcp = true};
	for (size_t i = 0; i < 4 && b->ports[i]; i++)
		p[e->nports++] = (struct endpoint_port){.port = b->ports[i], .tcp = true};
	e->ports = p;
	for (size_t i = 0; i + 1 < 16 && b->labels[i]; i += 2)
		l[e->nlabels++] = (struct endpoint_label){
			arena_strdup(a, b->labels[i]), arena_strdup(a, b->labels[i + 1])};
	e->labels = l;
	endpoint_seal(e);
	return e;
}

static inline void
box_put(struct planner *p, const struct box *b)
{
	struct endpoint *e = box_endpoint(b);
	planner_put(p, e);
	endpoint_unref(e);
}

#define BOX(p, ...) box_put((p), &(struct box){__VA_ARGS__})

/* What the registry says of slots, and what is there. */
static inline void
world_print_slots(const struct project_plan *p, struct buf *b)
{
	for (size_t i = 0; i < p->nslots; i++) {
		const struct plan_slot *s = &p->slots[i];
		if (s->registered)
			buf_addf(b, "= %s/%s %s%s until=%llu%s%s%s ready=%zu/%zu %s\n",
				s->environment, s->slot, slot_state_text(s->state),
				s->active ? " active" : "", (unsigned long long)s->until_ms,
				s->ended ? " ended" : "", s->traffic ? " traffic" : "",
				s->fallback ? " fallback" : "", s->ready, s->servers,
				s->container ? s->container : "-");
	}
}

/* Every route and problem of a snapshot, a line each, and every fragment. */
static inline void
world_print(const struct snapshot *s, struct buf *b)
{
	for (size_t c = 0; c < s->nchunks; c++) {
		for (size_t i = 0; i < s->chunks[c]->n; i++) {
			const struct project_plan *p = s->chunks[c]->plan[i];
			for (size_t k = 0; k < p->nroutes; k++) {
				const struct route *r = &p->routes[k];
				buf_addf(b, "%s%s %s %s/%s/%s/%s slot=%s held=%d", r->host, r->path,
					route_kind_text(r->kind), p->project, r->environment,
					r->branch, r->service, r->slot, r->held);
				for (size_t j = 0; j < r->nservers; j++)
					buf_addf(b, " %s%s:%s", r->servers[j].routed ? "+" : "-",
						r->servers[j].url ? r->servers[j].url : "?",
						server_state_text(r->servers[j].state));
				for (size_t j = 0; j < r->nshares; j++)
					buf_addf(b, " %s=%u", r->shares[j].slot,
						r->shares[j].weight);
				buf_adds(b, "\n");
			}
			world_print_slots(p, b);
			for (size_t k = 0; k < p->nproblems; k++)
				buf_addf(b, "! %s: %s: %s: %s; %s\n",
					problem_code_text(p->problems[k].code),
					p->problems[k].object,
					p->problems[k].field ? p->problems[k].field : "-",
					p->problems[k].what, p->problems[k].remedy);
			for (size_t o = 0; o < PLAN_OUTPUTS; o++)
				for (size_t k = 0; k < FRAGMENT_SECTIONS; k++)
					if (p->fragment[o].section[k].n)
						buf_addf(b, "%s\n", p->fragment[o].section[k].p);
		}
	}
}

#endif
