#include "provider/status/api_render.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void
api_element(struct buf *b)
{
	if (b->n && b->p[b->n - 1] != '[' && b->p[b->n - 1] != '{')
		buf_add(b, ",", 1);
}

void
api_member(struct buf *b, const char *name)
{
	api_element(b);
	buf_json(b, name);
	buf_add(b, ":", 1);
}

void
api_member_text(struct buf *b, const char *name, const char *text)
{
	api_member(b, name);
	if (text)
		buf_json(b, text);
	else
		buf_adds(b, "null");
}

void
api_member_number(struct buf *b, const char *name, uint64_t n)
{
	api_member(b, name);
	buf_addf(b, "%llu", (unsigned long long)n);
}

void
api_member_bool(struct buf *b, const char *name, bool value)
{
	api_member(b, name);
	buf_adds(b, value ? "true" : "false");
}

void
api_render_time(struct buf *b, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	if (!ms || !gmtime_r(&seconds, &tm)) {
		buf_adds(b, "null");
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_addf(b, "\"%s.%03uZ\"", text, (unsigned)(ms % 1000));
}

static void
member_time(struct buf *b, const char *name, uint64_t ms)
{
	api_member(b, name);
	api_render_time(b, ms);
}

static void
member_revision(struct buf *b, const char *name, uint64_t revision)
{
	if (revision)
		api_member_number(b, name, revision);
	else
		api_member_text(b, name, NULL);
}

void
api_render_source(struct buf *b, const struct source_info *s)
{
	static const char *const status[] = {
		[SOURCE_NEW] = "new",
		[SOURCE_READY] = "ready",
		[SOURCE_STALE] = "stale",
	};
	buf_adds(b, "{");
	api_member_text(b, "name", s->name);
	api_member_text(b, "kind", s->kind);
	api_member_text(b, "address", s->address);
	api_member_text(b, "version", s->version);
	api_member_text(b, "status", status[s->status]);
	member_time(b, "since", s->since_ms);
	member_time(b, "seen", s->seen_ms);
	api_member_text(b, "error", s->error);
	api_member_bool(b, "doubted", s->doubted);
	api_member_number(b, "objects", s->objects);
	api_member_number(b, "events", s->events);
	api_member_number(b, "lists", s->lists);
	api_member_number(b, "inspects", s->inspects);
	api_member_number(b, "connects", s->connects);
	buf_adds(b, "}");
}

static void
add_details(struct buf *b, json_t *details)
{
	const char *name;
	json_t *value;
	json_object_foreach(details, name, value)
	{
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		api_member(b, name);
		buf_adds(b, text ? text : "null");
		free(text);
	}
}

void
api_render_output(struct buf *b, const struct output_info *o)
{
	buf_adds(b, "{");
	api_member_text(b, "name", o->name);
	api_member_text(b, "kind", o->kind);
	api_member_number(b, "revision", o->revision);
	api_member_number(b, "published", o->published);
	api_member_bool(b, "converged", o->converged);
	api_member_text(b, "error", o->error);
	if (o->details)
		add_details(b, o->details);
	buf_adds(b, "}");
}

void
api_render_problem(struct buf *b, const struct problem *p)
{
	buf_adds(b, "{");
	api_member_text(b, "code", problem_code_text(p->code));
	api_member_text(b, "severity",
		problem_code_severity(p->code) == PROBLEM_ERROR ? "error" : "warning");
	api_member_text(b, "object", p->object);
	api_member_text(b, "field", p->field);
	api_member_text(b, "what", p->what);
	api_member_text(b, "remedy", p->remedy);
	api_member_text(b, "project", p->project);
	api_member_text(b, "host", p->host);
	member_time(b, "since", p->since_ms);
	buf_adds(b, "}");
}

static void
add_server(struct buf *b, const struct server *s)
{
	buf_adds(b, "{");
	api_member_text(b, "url", s->url);
	api_member_text(b, "container", s->container);
	api_member_text(b, "id", s->container_id);
	api_member_text(b, "engine", s->engine);
	api_member_text(b, "health", s->health);
	api_member_text(b, "state", server_state_text(s->state));
	api_member_bool(b, "routed", s->routed);
	buf_adds(b, "}");
}

void
api_render_route(struct buf *b, const struct route *r, uint64_t revision,
	const struct output_info *outputs, size_t noutputs)
{
	buf_adds(b, "{");
	api_member_text(b, "host", r->host);
	api_member_text(b, "path", r->path);
	api_member_text(b, "kind", route_kind_text(r->kind));
	api_member_text(b, "project", r->project);
	api_member_text(b, "environment", r->environment);
	api_member_text(b, "slot", r->slot);
	api_member_text(b, "branch", r->branch);
	api_member_text(b, "service", r->service);
	api_member_text(b, "answer", route_answer_text(r->answer));
	api_member_bool(b, "held", r->held);
	api_member_number(b, "revision", revision);
	api_member(b, "servers");
	buf_adds(b, "[");
	for (size_t i = 0; i < r->nservers; i++) {
		api_element(b);
		add_server(b, &r->servers[i]);
	}
	buf_adds(b, "]");
	api_member(b, "outputs");
	buf_adds(b, "{");
	for (size_t i = 0; i < noutputs; i++)
		member_revision(b, outputs[i].name, outputs[i].revision >= revision ? revision : 0);
	buf_adds(b, "}}");
}

void
api_render_slot(struct buf *b, const char *project, const struct plan_slot *s, uint64_t revision)
{
	buf_adds(b, "{");
	api_member_text(b, "project", project);
	api_member_text(b, "environment", s->environment);
	api_member_text(b, "slot", s->slot);
	api_member_bool(b, "registered", s->registered);
	api_member_text(b, "state", slot_state_text(s->state));
	api_member_bool(b, "active", s->active);
	api_member(b, "port");
	buf_addf(b, s->port ? "%u" : "null", s->port);
	member_time(b, "since", s->since_ms);
	member_time(b, "until", s->until_ms);
	api_member_text(b, "id", s->id);
	api_member_bool(b, "ended", s->ended);
	api_member_bool(b, "traffic", s->traffic);
	api_member_bool(b, "fallback", s->fallback);
	api_member_number(b, "servers", s->servers);
	api_member_number(b, "ready", s->ready);
	api_member_text(b, "container", s->container);
	api_member_number(b, "revision", revision);
	buf_adds(b, "}");
}
