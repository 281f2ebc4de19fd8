/* The property that keeps the incremental planner honest: after any sequence of events its snapshot
 * equals, byte for byte, the one that is built from nothing with the same ledger; and what one look
 * saw counts the same in whatever order it was listed.
 *
 *	test_property [SEQUENCES [SEED]]
 *
 * prints its seed; a failing sequence is shrunk to the events that matter and printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "provider/traefik/traefik_render.h"
#include "tests/unit/world.h"

#define BOXES 10
#define EVENTS 40

enum event_kind {
	PUT,
	REMOVE,
	READY,
	LEAVE,
	STEP,
	LATER,
	RELOAD,
	REGISTER,
	UNREGISTER,
	STATIC,
	EVENT_KINDS
};

struct event {
	enum event_kind kind;
	unsigned box; /* which container */
	unsigned seed; /* what it becomes */
};

/* The truth that both planners are told of. */
struct truth {
	struct endpoint *endpoint[BOXES];
	enum readiness ready[BOXES];
};

static const struct renderer *const renderers[PLAN_OUTPUTS] = {&traefik_renderer};

static unsigned
next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static const char *
pick(unsigned *seed, const char *const *from, size_t n)
{
	return from[next_random(seed) % n];
}

#define PICK(seed, ...)                                                                            \
	pick((seed), (const char *const[]){__VA_ARGS__},                                           \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void
box_label(struct box *b, const char *name, const char *value)
{
	size_t i = 0;
	while (b->labels[i])
		i += 2;
	if (!value || i + 2 >= 16)
		return;
	b->labels[i] = name;
	b->labels[i + 1] = value;
}

static const char *const engines[] = {"app1", "app2"};
static const char *const ids[BOXES] = {"a0", "b1", "c2", "d3", "e4", "f5", "a6", "b7", "c8", "d9"};

/* Few names, so that hosts are fought for. */
static struct endpoint *
random_endpoint(unsigned box, unsigned seed)
{
	unsigned s = seed;
	struct box b = {.id = ids[box], .engine = engines[box % 2]};

	b.name = PICK(&s, "web", "api", "codi-shop", "codi-shop-preview-x", "w");
	b.created = 1000 + next_random(&s) % 3;
	b.ip = PICK(&s, "172.17.0.2", "172.17.0.3", "172.17.0.4");
	b.run = PICK(&s, "", "r1", "r2");
	b.state = next_random(&s) % 8 ? ENDPOINT_RUNNING : ENDPOINT_PAUSED;
	b.health = next_random(&s) % 2 ? HEALTH_NONE : (enum endpoint_health)(next_random(&s) % 4);
	b.withheld = next_random(&s) % 16 == 0;
	b.ports[0] = 80;
	b.ports[1] = next_random(&s) % 6 ? 0 : 81;
	if (next_random(&s) % 4 == 0) {
		box_label(&b, "codi.project.slug", PICK(&s, "shop", "blog"));
		box_label(&b, "codi.deployment.preview", PICK(&s, "true", "false", NULL));
		box_label(&b, "codi.deployment.branch", PICK(&s, "f/x", "f_x", "main"));
	} else {
		box_label(&b, "waymark.project", PICK(&s, "shop", "blog", "shop-2", "🚀", NULL));
	}
	box_label(&b, "waymark.branch", PICK(&s, "f/x", "f-x", "F x", NULL, NULL, NULL));
	box_label(&b, "waymark.slot", PICK(&s, "blue", "green", "no slot", NULL, NULL, NULL, NULL));
	box_label(&b, "waymark.host",
		PICK(&s, "h.test", "h.test, i.test", "bad host", "s.test", "shop.localhost", NULL,
			NULL));
	box_label(&b, "waymark.path", PICK(&s, "/api", "/a b", "/", NULL, NULL));
	box_label(&b, "waymark.port", PICK(&s, "8080", "abc", NULL, NULL));
	return box_endpoint(&b);
}

static const char *const sources[] = {"registry.directory", "registry.postgres"};

static struct registered_environment *
random_environments(struct arena *a, unsigned *s, size_t *ret_n)
{
	struct registered_environment *e = ARENA_ARRAY(a, struct registered_environment, 2);
	struct registered_slot *slots = ARENA_ARRAY(a, struct registered_slot, 2);

	slots[0] = (struct registered_slot){.name = "blue", .state = SLOT_ACTIVE, .port = 4001};
	slots[1] = (struct registered_slot){
		.name = "green", .state = next_random(s) % 2 ? SLOT_DEPLOYED : SLOT_EMPTY};
	e[0] = (struct registered_environment){.name = "preview"};
	e[1] = (struct registered_environment){.name = "production",
		.port = next_random(s) % 2 ? 0 : 8081,
		.active = PICK(s, "blue", "green", NULL),
		.nslots = next_random(s) % 3,
		.slot = slots};
	*ret_n = 1 + next_random(s) % 2;
	return e;
}

static struct registered_deployment *
random_deployments(struct arena *a, unsigned *s, size_t *ret_n)
{
	static const char *const own_hosts[] = {"web.localhost", "h.test"};
	struct registered_deployment *d = ARENA_ARRAY(a, struct registered_deployment, 3);

	*ret_n = next_random(s) % 4;
	for (size_t i = 0; i < *ret_n; i++)
		d[i] = (struct registered_deployment){.environment = "production",
			.branch = PICK(s, "", "", "f/x"),
			.slot = PICK(s, "", "", "blue"),
			.status = (enum deployment_status)(next_random(s) % 4),
			.container = PICK(s, "web", "api", "w", NULL),
			.port = next_random(s) % 2 ? 0 : 8082,
			.created_ms = 10 - i,
			.nhosts = next_random(s) % 3,
			.hosts = own_hosts};
	return d;
}

static struct registered_project *
random_project(unsigned seed)
{
	unsigned s = seed;
	const char *source = sources[next_random(&s) % 8 == 0];
	struct registered_project *p =
		registered_project_create(source, "place", PICK(&s, "shop", "blog", "shop-2"));
	struct registered_domain *d = ARENA_ARRAY(&p->arena, struct registered_domain, 2);

	for (size_t i = 0; i < next_random(&s) % 3; i++)
		d[p->ndomains++] = (struct registered_domain){
			PICK(&s, "h.test", "test", "s.test", "localhost", "elsewhere.org"),
			"domains"};
	p->domains = d;
	p->has_deployments = next_random(&s) % 4 == 0;
	if (p->has_deployments)
		p->deployments = random_deployments(&p->arena, &s, &p->ndeployments);
	else if (next_random(&s) % 4) {
		p->lists_environments = true;
		p->environments = random_environments(&p->arena, &s, &p->nenvironments);
	}
	registered_project_seal(p);
	return p;
}

static struct registered_static *
random_static(unsigned seed)
{
	static const char *const upstreams[] = {"http://10.0.0.9:80"};
	unsigned s = seed;
	const char *source = sources[next_random(&s) % 4 == 0];
	struct registered_static *route = registered_static_create(
		source, "place", PICK(&s, "h.test", "web.localhost", "own.test"));

	route->route.nupstreams = next_random(&s) % 2;
	route->route.upstreams = upstreams;
	return route;
}

/* Who is read anew at another address is probed anew. */
static void
probe_all(struct planner *p, const struct truth *t, uint64_t now)
{
	planner_reread(p, now, NULL, NULL);
	for (unsigned i = 0; i < BOXES; i++)
		if (t->endpoint[i])
			planner_set_ready(
				p, t->endpoint[i]->engine, t->endpoint[i]->id, t->ready[i]);
}

static void
registry_happens(struct planner *p, const struct event *ev)
{
	struct registered_project *project = random_project(ev->seed);
	struct registered_static *route = random_static(ev->seed);

	if (ev->kind == REGISTER)
		planner_put_project(p, project);
	else if (ev->kind == UNREGISTER)
		planner_remove_project(p, project->source, project->name, ev->box % 3 == 0);
	else if (ev->box % 2)
		planner_put_static(p, route);
	else
		planner_remove_static(p, route->source, route->route.host);
	registered_project_unref(project);
	registered_static_unref(route);
}

static void
tell(struct planner *p, const struct truth *t, unsigned box)
{
	planner_put(p, t->endpoint[box]);
	planner_set_ready(p, t->endpoint[box]->engine, t->endpoint[box]->id, t->ready[box]);
}

static struct endpoint *
with_leaving(struct endpoint *e)
{
	struct endpoint *copy = endpoint_copy(e);
	copy->leaving = !copy->leaving;
	endpoint_unref(e);
	return copy;
}

static void
happen(struct planner *p, struct truth *t, const struct event *ev, const struct settings *settings,
	uint64_t *now)
{
	struct endpoint **e = &t->endpoint[ev->box];

	switch (ev->kind) {
	case PUT:
		endpoint_unref(*e);
		*e = random_endpoint(ev->box, ev->seed);
		t->ready[ev->box] = READY_UNKNOWN;
		tell(p, t, ev->box);
		break;
	case REMOVE:
		if (*e)
			planner_remove(p, (*e)->engine, (*e)->id);
		*e = endpoint_unref(*e);
		break;
	case READY:
		t->ready[ev->box] = (enum readiness)(ev->seed % 4);
		if (*e)
			planner_set_ready(p, (*e)->engine, (*e)->id, t->ready[ev->box]);
		break;
	case LEAVE:
		if (*e) {
			*e = with_leaving(*e);
			tell(p, t, ev->box);
		}
		break;
	case LATER:
		*now += ev->seed % 90000;
		break;
	case RELOAD:
		planner_set_settings(p, settings);
		break;
	case REGISTER:
	case UNREGISTER:
	case STATIC:
		registry_happens(p, ev);
		break;
	case STEP:
	case EVENT_KINDS:
		break;
	}
}

static void
retell_project(void *arg, const struct registered_project *project)
{
	planner_put_project(arg, project);
}

static void
retell_static(void *arg, const struct registered_static *route)
{
	planner_put_static(arg, route);
}

/* A planner from nothing, told the truth in an order of its own. */
static struct planner *
rebuild(const struct settings *s, struct ledger *l, const struct truth *t,
	const struct registrar *registrar, unsigned turn)
{
	struct planner *p = planner_create(s, l, renderers);
	if (turn % 2 && registrar)
		registrar_each_said(registrar, retell_project, retell_static, p);
	for (unsigned i = 0; i < BOXES; i++) {
		unsigned box = (i * 3 + turn) % BOXES;
		if (t->endpoint[box])
			tell(p, t, box);
	}
	if (registrar)
		registrar_each_said(registrar, retell_project, retell_static, p);
	probe_all(p, t, 1);
	return p;
}

static bool
same_as_rebuilt(struct planner *p, const struct settings *s, const struct ledger *l,
	const struct truth *t, uint64_t now, unsigned turn, bool loud)
{
	struct ledger *copy = ledger_copy(l);
	struct buf before = {0}, a = {0}, b = {0};
	ledger_print(l, &before);
	struct planner *q = rebuild(s, copy, t, planner_registrar(p), turn);

	world_print(planner_snapshot(p), &a);
	buf_adds(&a, before.p ? before.p : "");
	world_print(planner_step(q, now), &b);
	ledger_print(copy, &b);

	bool same = a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
	if (!same && loud)
		printf("incremental:\n%s\nrebuilt:\n%s\n", a.p ? a.p : "", b.p ? b.p : "");
	planner_destroy(q);
	ledger_destroy(copy);
	buf_finish(&before);
	buf_finish(&a);
	buf_finish(&b);
	return same;
}

static bool
sequence_holds(const struct event *events, size_t n, const struct settings *s, bool loud)
{
	struct truth t = {0};
	struct ledger *l = ledger_create();
	struct planner *p = planner_create(s, l, renderers);
	uint64_t now = 1000000;
	bool holds = true;

	for (size_t i = 0; i < n && holds; i++) {
		happen(p, &t, &events[i], s, &now);
		probe_all(p, &t, now);
		if (events[i].kind == PUT && events[i].seed % 3)
			continue; /* several changes in one look */
		planner_step(p, now);
		holds = same_as_rebuilt(p, s, l, &t, now, events[i].seed, loud);
	}
	for (unsigned i = 0; i < BOXES; i++)
		endpoint_unref(t.endpoint[i]);
	planner_destroy(p);
	ledger_destroy(l);
	return holds;
}

/* Two looks at one world that list it in different orders. */
static bool
order_does_not_matter(unsigned seed, const struct settings *s)
{
	struct truth t = {0};
	struct buf out[2] = {{0}};

	for (unsigned i = 0; i < BOXES; i++) {
		t.endpoint[i] = random_endpoint(i, seed + i * 7919);
		t.ready[i] = (enum readiness)(i % 4);
	}
	for (unsigned k = 0; k < 2; k++) {
		struct ledger *l = ledger_create();
		struct planner *p = rebuild(s, l, &t, NULL, k * 5 + seed);
		world_print(planner_step(p, 5000), &out[k]);
		ledger_print(l, &out[k]);
		planner_destroy(p);
		ledger_destroy(l);
	}
	bool same =
		out[0].n == out[1].n && (!out[0].n || memcmp(out[0].p, out[1].p, out[0].n) == 0);
	if (!same)
		printf("one order:\n%s\nanother:\n%s\n", out[0].p, out[1].p);
	buf_finish(&out[0]);
	buf_finish(&out[1]);
	for (unsigned i = 0; i < BOXES; i++)
		endpoint_unref(t.endpoint[i]);
	return same;
}

/* Leaves out runs of events, long ones first, as long as it still fails. */
static size_t
shrink(struct event *events, size_t n, const struct settings *s)
{
	for (size_t run = n / 2; run; run /= 2) {
		for (size_t at = 0; at + run <= n;) {
			struct event fewer[EVENTS];
			memcpy(fewer, events, at * sizeof(*events));
			memcpy(fewer + at, events + at + run, (n - at - run) * sizeof(*events));
			if (sequence_holds(fewer, n - run, s, false)) {
				at += run;
				continue;
			}
			memcpy(events, fewer, (n - run) * sizeof(*events));
			n -= run;
		}
	}
	return n;
}

static int
fail(struct event *events, size_t n, const struct settings *s, unsigned sequence)
{
	static const char *const text[] = {"put", "remove", "ready", "leave", "step", "later",
		"reload", "register", "unregister", "static"};

	n = shrink(events, n, s);
	printf("sequence %u fails; shrunk to %zu events:\n", sequence, n);
	for (size_t i = 0; i < n; i++)
		printf("  %s box %u seed %u\n", text[events[i].kind], events[i].box,
			events[i].seed);
	sequence_holds(events, n, s, true);
	return 1;
}

static struct event
random_event(unsigned *state, bool registry)
{
	unsigned kinds = registry ? EVENT_KINDS : REGISTER;
	unsigned kind = next_random(state) % (kinds + 4);

	return (struct event){kind < kinds ? (enum event_kind)kind : PUT,
		next_random(state) % BOXES, next_random(state)};
}

/* Half of the sequences have a registry, some of which ignore who is not in it. */
static struct settings *
random_settings(unsigned i)
{
	static const char *const allowed[] = {"test"};
	struct settings *s = settings_create();

	if (i % 2 == 0)
		return s;
	s->registry.directory = "/registry";
	s->registry.postgres = i % 4 == 3;
	s->registry.ignore_unregistered = i % 8 == 1;
	s->any_domain = i % 16 == 5;
	s->nallowed = 1;
	s->allowed_domains = allowed;
	return s;
}

int
main(int argc, char **argv)
{
	unsigned sequences = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 300;
	unsigned seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)time(NULL);
	unsigned state = seed;
	bool holds = true;

	printf("property: %u sequences of %d events, seed %u\n", sequences, EVENTS, seed);
	for (unsigned i = 0; i < sequences && holds; i++) {
		struct settings *s = random_settings(i);
		struct event events[EVENTS];
		for (size_t k = 0; k < EVENTS; k++)
			events[k] = random_event(&state, i % 2);
		if (!sequence_holds(events, EVENTS, s, false))
			holds = fail(events, EVENTS, s, i) == 0;
		holds = holds && order_does_not_matter(next_random(&state), s);
		settings_destroy(s);
	}
	if (holds)
		printf("property: holds\n");
	return !holds;
}
