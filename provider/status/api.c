#include "provider/status/api.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "provider/status/api_render.h"
#include "provider/status/applied.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/model/host.h"

#define JSON_TYPE "application/json"

struct api {
	struct reconciler *reconciler;
};

static const struct reconciler *
reconciler_of(void *arg)
{
	const struct api *a = arg;
	return a->reconciler;
}

static enum MHD_Result
reply_buf(struct server_request *rq, unsigned status, const char *type, struct buf *b)
{
	size_t n;
	char *bytes = buf_steal(b, &n);
	return server_reply_bytes(rq, status, type, bytes, n);
}

static bool
is_converged(const struct reconciler *r)
{
	bool all = reconciler_ready(r);
	for (size_t i = 0; i < reconciler_noutputs(r); i++) {
		struct output_info o;
		reconciler_output(r, i, &o);
		all &= o.converged;
	}
	return all;
}

static void
add_problem(void *arg, const struct problem *p)
{
	struct buf *b = arg;
	api_element(b);
	api_render_problem(b, p);
}

static void
add_sources(struct buf *b, const struct reconciler *r)
{
	for (size_t i = 0; i < reconciler_nsources(r); i++) {
		struct source_info s;
		reconciler_source(r, i, &s);
		api_element(b);
		api_render_source(b, &s);
	}
}

static void
add_outputs(struct buf *b, const struct reconciler *r)
{
	for (size_t i = 0; i < reconciler_noutputs(r); i++) {
		struct output_info o;
		reconciler_output(r, i, &o);
		api_element(b);
		api_render_output(b, &o);
	}
}

static enum MHD_Result
get_status(void *arg, struct server_request *rq)
{
	const struct reconciler *r = reconciler_of(arg);
	const struct snapshot *s = reconciler_snapshot(r);
	struct buf b = {0};

	buf_adds(&b, "{");
	api_member_number(&b, "revision", s->revision);
	api_member_bool(&b, "ready", reconciler_ready(r));
	api_member_bool(&b, "converged", is_converged(r));
	api_member_text(&b, "version", WAYMARK_VERSION);
	api_member_number(&b, "projects", s->nplans);
	api_member_number(&b, "routes", s->nroutes);
	api_member(&b, "sources");
	buf_adds(&b, "[");
	add_sources(&b, r);
	buf_adds(&b, "]");
	api_member(&b, "outputs");
	buf_adds(&b, "[");
	add_outputs(&b, r);
	buf_adds(&b, "]");
	api_member(&b, "problems");
	buf_adds(&b, "[");
	reconciler_problems(r, add_problem, &b);
	buf_adds(&b, "]}\n");
	return reply_buf(rq, MHD_HTTP_OK, JSON_TYPE, &b);
}

static enum MHD_Result
get_problems(void *arg, struct server_request *rq)
{
	struct buf b = {0};
	buf_adds(&b, "[");
	reconciler_problems(reconciler_of(arg), add_problem, &b);
	buf_adds(&b, "]\n");
	return reply_buf(rq, MHD_HTTP_OK, JSON_TYPE, &b);
}

/* What ?project=, ?host= and ?branch= ask for; NULL: any. */
struct filter {
	const char *project, *host, *branch;
};

static bool
filter_takes(const struct filter *f, const struct route *r)
{
	return (!f->project || !strcmp(f->project, r->project)) &&
	       (!f->host || !strcasecmp(f->host, r->host)) &&
	       (!f->branch || !strcmp(f->branch, r->branch));
}

static void
add_plan(struct buf *b, const struct project_plan *p, const struct filter *f,
	const struct output_info *outputs, size_t noutputs)
{
	for (size_t i = 0; i < p->nroutes; i++) {
		if (!filter_takes(f, &p->routes[i]))
			continue;
		api_element(b);
		api_render_route(b, &p->routes[i], p->revision, outputs, noutputs);
	}
}

static enum MHD_Result
get_routes(void *arg, struct server_request *rq)
{
	const struct reconciler *r = reconciler_of(arg);
	const struct snapshot *s = reconciler_snapshot(r);
	const struct filter f = {
		server_query(rq, "project"), server_query(rq, "host"), server_query(rq, "branch")};
	size_t noutputs = reconciler_noutputs(r);
	struct output_info *outputs = xcalloc(noutputs + 1, sizeof(*outputs));
	struct buf b = {0};

	for (size_t i = 0; i < noutputs; i++)
		reconciler_output(r, i, &outputs[i]);
	buf_adds(&b, "[");
	for (size_t i = 0; i < s->nchunks; i++) {
		for (size_t k = 0; k < s->chunks[i]->n; k++)
			add_plan(&b, s->chunks[i]->plan[k], &f, outputs, noutputs);
	}
	buf_adds(&b, "]\n");
	free(outputs);
	return reply_buf(rq, MHD_HTTP_OK, JSON_TYPE, &b);
}

/* {"error":…}, to be asked again in a second. */
static enum MHD_Result
reply_not_ready(struct server_request *rq)
{
	static char text[] = "{\"error\":\"there was no complete look yet\"}\n";
	struct MHD_Response *r =
		MHD_create_response_from_buffer(sizeof(text) - 1, text, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, JSON_TYPE);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	enum MHD_Result result = server_reply(rq, MHD_HTTP_SERVICE_UNAVAILABLE, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result
reply_applied(const struct reconciler *r, struct server_request *rq, const char *host)
{
	const char *slot = server_query(rq, "slot"), *container = server_query(rq, "container");
	struct buf b = {0};

	applied_render(&b, r,
		&(struct applied_query){
			.host = host,
			.project = server_query(rq, "project"),
			.slot = slot && *slot ? slot : NULL,
			.container = container && *container ? container : NULL,
		});
	return reply_buf(rq, MHD_HTTP_OK, JSON_TYPE, &b);
}

static enum MHD_Result
get_applied(void *arg, struct server_request *rq)
{
	const struct reconciler *r = reconciler_of(arg);
	const char *text = server_query(rq, "host"), *host = NULL;
	struct arena a = {0};
	struct err e;
	enum MHD_Result result;

	if (!text && !server_query(rq, "project"))
		return server_reply_error(rq, MHD_HTTP_BAD_REQUEST, "host: say which, ?host=NAME");
	if (text && host_parse(&a, text, &host, &e) < 0) {
		err_wrap(&e, "host");
		result = server_reply_error(rq, MHD_HTTP_BAD_REQUEST, e.text);
	} else {
		result = reconciler_ready(r) ? reply_applied(r, rq, host) : reply_not_ready(rq);
	}
	arena_finish(&a);
	return result;
}

static void
add_slots(struct buf *b, const struct project_plan *p, const char *environment)
{
	for (size_t i = 0; p && i < p->nslots; i++) {
		if (environment && strcmp(environment, p->slots[i].environment) != 0)
			continue;
		api_element(b);
		api_render_slot(b, p->project, &p->slots[i], p->revision);
	}
}

static enum MHD_Result
get_slots(void *arg, struct server_request *rq)
{
	const struct snapshot *s = reconciler_snapshot(reconciler_of(arg));
	const char *project = server_query(rq, "project");
	const char *environment = server_query(rq, "environment");
	struct buf b = {0};

	if (!reconciler_ready(reconciler_of(arg)))
		return reply_not_ready(rq);
	buf_adds(&b, "[");
	if (project)
		add_slots(&b, snapshot_find(s, project), environment);
	for (size_t i = 0; !project && i < s->nchunks; i++)
		for (size_t k = 0; k < s->chunks[i]->n; k++)
			add_slots(&b, s->chunks[i]->plan[k], environment);
	buf_adds(&b, "]\n");
	return reply_buf(rq, MHD_HTTP_OK, JSON_TYPE, &b);
}

static enum MHD_Result
get_alive(void *arg, struct server_request *rq)
{
	struct buf b = {0};
	(void)arg;
	buf_adds(&b, "ok\n");
	return reply_buf(rq, MHD_HTTP_OK, "text/plain; charset=utf-8", &b);
}

static enum MHD_Result
get_ready(void *arg, struct server_request *rq)
{
	bool ready = reconciler_ready(reconciler_of(arg));
	struct buf b = {0};
	buf_adds(&b, ready ? "ready\n" : "not ready: there was no complete look yet\n");
	return reply_buf(rq, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
		"text/plain; charset=utf-8", &b);
}

/* For platforms that ask it of every service. */
static enum MHD_Result
get_health(void *arg, struct server_request *rq)
{
	struct buf b = {0};
	buf_adds(&b, "{");
	api_member_text(&b, "status", "ok");
	api_member_bool(&b, "ready", reconciler_ready(reconciler_of(arg)));
	api_member_text(&b, "version", WAYMARK_VERSION);
	buf_adds(&b, "}\n");
	return reply_buf(rq, MHD_HTTP_OK, JSON_TYPE, &b);
}

static void
count_problem(void *arg, const struct problem *p)
{
	size_t *n = arg;
	(void)p;
	++*n;
}

static void
add_state(struct buf *b, const struct reconciler *r)
{
	const struct snapshot *s = reconciler_snapshot(r);
	size_t problems = 0;

	reconciler_problems(r, count_problem, &problems);
	buf_addf(b, "<p>%s, %s. Revision %llu: %zu projects, %zu routes, %zu problems.</p>\n",
		reconciler_ready(r) ? "Ready" : "Not ready: there was no complete look yet",
		is_converged(r) ? "converged" : "not converged", (unsigned long long)s->revision,
		s->nplans, s->nroutes, problems);
	buf_adds(b, "<ul>\n");
	for (size_t i = 0; i < reconciler_nsources(r); i++) {
		struct source_info info;
		reconciler_source(r, i, &info);
		buf_adds(b, "<li>Source ");
		buf_html(b, info.name);
		buf_addf(b, ": %s, %zu objects. ",
			info.status == SOURCE_READY ? "ready"
			: info.status == SOURCE_NEW ? "never seen"
						    : "stale",
			info.objects);
		buf_html(b, info.error);
		buf_adds(b, "</li>\n");
	}
	buf_adds(b, "</ul>\n");
}

static enum MHD_Result
get_page(void *arg, struct server_request *rq)
{
	struct buf b = {0};
	buf_adds(&b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		     "<title>Waymark</title></head><body>\n<h1>Waymark " WAYMARK_VERSION "</h1>\n");
	add_state(&b, reconciler_of(arg));
	buf_adds(&b, "<p><a href=\"/api/v1/status\">status</a>, "
		     "<a href=\"/api/v1/routes\">routes</a>, "
		     "<a href=\"/api/v1/problems\">problems</a></p>\n</body></html>\n");
	return reply_buf(rq, MHD_HTTP_OK, "text/html; charset=utf-8", &b);
}

struct api *
api_create(struct reconciler *r)
{
	struct api *a = xcalloc(1, sizeof(*a));
	a->reconciler = r;
	return a;
}

void
api_destroy(struct api *a)
{
	free(a);
}

struct server_routes
api_routes(struct api *a)
{
	static const struct server_route routes[] = {
		{"/", SERVER_FOR_VIEWERS, get_page},
		{"/api/v1/status", SERVER_FOR_VIEWERS, get_status},
		{"/api/v1/routes", SERVER_FOR_VIEWERS, get_routes},
		{"/api/v1/applied", SERVER_FOR_VIEWERS, get_applied},
		{"/api/v1/slots", SERVER_FOR_VIEWERS, get_slots},
		{"/api/v1/problems", SERVER_FOR_VIEWERS, get_problems},
		{"/healthz", SERVER_FOR_ALL, get_alive},
		{"/readyz", SERVER_FOR_ALL, get_ready},
		{"/api/health", SERVER_FOR_ALL, get_health},
	};
	return (struct server_routes){routes, sizeof(routes) / sizeof(routes[0]), a};
}
