/* stage.h - a planner with a registry, and the story that a test tells it. */
#ifndef TESTS_UNIT_STAGE_H
#define TESTS_UNIT_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "provider/traefik/traefik_render.h"
#include "reconciler/model/convention.h"
#include "tests/unit/world.h"

static const struct renderer *const renderers[PLAN_OUTPUTS] = {&traefik_renderer};

struct stage {
	struct settings *settings;
	struct ledger *ledger;
	struct planner *planner;
	struct buf text;
};

static inline int
set_up(void **state)
{
	static const char *const allowed[] = {"shop.example", "blog.example"};
	static const struct convention *conventions[2];
	struct stage *s = calloc(1, sizeof(*s));

	conventions[0] = convention_find("mvp");
	conventions[1] = convention_find("waymark");
	s->settings = settings_create();
	s->settings->base_domain = "test";
	s->settings->any_domain = false;
	s->settings->nallowed = 2;
	s->settings->allowed_domains = allowed;
	s->settings->probe = false;
	s->settings->registry.directory = "/registry";
	s->settings->registry.postgres = true;
	s->settings->nconventions = 2;
	s->settings->conventions = conventions;
	s->ledger = ledger_create();
	s->planner = planner_create(s->settings, s->ledger, renderers);
	*state = s;
	return 0;
}

static inline int
tear_down(void **state)
{
	struct stage *s = *state;
	planner_destroy(s->planner);
	ledger_destroy(s->ledger);
	settings_destroy(s->settings);
	buf_finish(&s->text);
	free(s);
	return 0;
}

/* A line a route and problem, without fragments. */
static inline const char *
look(struct stage *s, uint64_t now_ms)
{
	struct buf whole = {0};

	planner_step(s->planner, now_ms);
	world_print(planner_snapshot(s->planner), &whole);
	buf_reset(&s->text);
	buf_adds(&s->text, "");
	for (char *at = whole.p, *line; at && (line = strsep(&at, "\n"));)
		if (*line && *line != '"')
			buf_addf(&s->text, "%s\n", line);
	buf_finish(&whole);
	return s->text.p ? s->text.p : "";
}

static inline void
has(struct stage *s, uint64_t now_ms, const char *wanted)
{
	const char *text = look(s, now_ms);
	if (!strstr(text, wanted))
		fail_msg("no '%s' in:\n%s", wanted, text);
}

static inline void
has_not(struct stage *s, uint64_t now_ms, const char *unwanted)
{
	const char *text = look(s, now_ms);
	if (strstr(text, unwanted))
		fail_msg("'%s' in:\n%s", unwanted, text);
}

/* What a test says of a project; what it leaves out is not said. */
struct entry {
	const char *source, *name;
	const char *domains[4];
	struct registered_environment environment;
	struct registered_slot slots[3];
	struct registered_deployment deployments[4];
};

static inline void
entry_put(struct stage *s, const struct entry *e)
{
	struct registered_project *p = registered_project_create(
		e->source ? e->source : "registry.directory", "ssot.json", e->name);
	struct registered_domain *d = ARENA_ARRAY(&p->arena, struct registered_domain, 4);
	struct registered_environment *v = ARENA_NEW(&p->arena, struct registered_environment);

	for (size_t i = 0; i < 4 && e->domains[i]; i++)
		d[p->ndomains++] = (struct registered_domain){e->domains[i], "domains"};
	p->domains = d;
	if (e->environment.name) {
		*v = e->environment;
		while (v->nslots < 3 && e->slots[v->nslots].name)
			v->nslots++;
		v->slot = memcpy(ARENA_ARRAY(&p->arena, struct registered_slot, 3), e->slots,
			sizeof(e->slots));
		p->environments = v;
		p->nenvironments = 1;
		p->lists_environments = true;
	}
	while (p->ndeployments < 4 && e->deployments[p->ndeployments].environment)
		p->ndeployments++;
	p->has_deployments = p->ndeployments;
	p->deployments = memcpy(ARENA_ARRAY(&p->arena, struct registered_deployment, 4),
		e->deployments, sizeof(e->deployments));
	planner_put_project(s->planner, p);
	registered_project_unref(p);
}

#define ENTRY(s, ...) entry_put((s), &(struct entry){__VA_ARGS__})

#endif
