#include "provider/status/applied.h"

#include <string.h>

#include "provider/status/api_render.h"
#include "reconciler/base/text.h"

/* So many digits of an id name a container, as they do for the engines' own commands. */
#define ID_PREFIX_LEAST 4

/* What is known of the asked host when all plans have been seen. */
struct finding {
	const struct applied_query *query;
	const struct route *route; /* one of the host's; NULL: there is none */
	uint64_t revision;
	bool routed;
	struct buf *serves, *elsewhere;
};

static bool
container_is(const struct server *s, const char *wanted)
{
	if (!s->container)
		return false;
	if (!strcmp(s->container, wanted))
		return true;
	size_t n = strlen(wanted);
	return n >= ID_PREFIX_LEAST && s->container_id && !strncmp(s->container_id, wanted, n);
}

static const char *
slot_of(const struct route *r, size_t server)
{
	for (size_t i = 0; i < r->nshares; i++)
		if (server >= r->shares[i].first && server - r->shares[i].first < r->shares[i].n)
			return r->shares[i].slot;
	return r->slot;
}

/* Does a server of the route that gets requests fit what is asked for? */
static bool
server_fits(const struct applied_query *q, const struct route *r, size_t i)
{
	return (!q->container || container_is(&r->servers[i], q->container)) &&
	       (!q->slot || !strcmp(slot_of(r, i), q->slot));
}

static bool
route_fits(const struct applied_query *q, const struct route *r)
{
	for (size_t i = 0; i < r->nrouted; i++)
		if (server_fits(q, r, i))
			return true;
	return false;
}

static void
add_server(struct buf *b, const struct route *r, size_t i)
{
	api_element(b);
	buf_adds(b, "{");
	api_member_text(b, "container", r->servers[i].container);
	api_member_text(b, "id", r->servers[i].container_id);
	api_member_text(b, "slot", slot_of(r, i));
	buf_adds(b, "}");
}

static void
note_host(struct finding *f, const struct route *r, uint64_t revision)
{
	f->route = r;
	f->routed = f->routed || route_fits(f->query, r);
	if (revision > f->revision)
		f->revision = revision;
	for (size_t i = 0; i < r->nrouted; i++)
		add_server(f->serves, r, i);
}

static void
look_at_host(struct finding *f, const struct project_plan *p)
{
	for (size_t i = 0; i < p->nroutes; i++)
		if (!strcmp(p->routes[i].host, f->query->host))
			note_host(f, &p->routes[i], p->served_revision);
}

/* Slots have the same names everywhere: without a container, only the host's own environment's. */
static bool
is_elsewhere(const struct finding *f, const struct route *r)
{
	const struct applied_query *q = f->query;
	if (r->kind == ROUTE_SLOT || !text_compare(r->host, q->host) || !route_fits(q, r))
		return false;
	return q->container || (q->slot && f->route && !strcmp(r->project, f->route->project) &&
				       !strcmp(r->environment, f->route->environment));
}

static void
look_elsewhere(struct finding *f, const struct project_plan *p)
{
	for (size_t i = 0; i < p->nroutes; i++) {
		if (!is_elsewhere(f, &p->routes[i]))
			continue;
		api_element(f->elsewhere);
		buf_json(f->elsewhere, p->routes[i].host);
	}
}

/* Each plan that may name that host or container, and some others. */
static void
each_plan(struct finding *f, const struct snapshot *s, const char *name,
	void (*look)(struct finding *f, const struct project_plan *p))
{
	for (size_t i = 0; i < s->nchunks; i++)
		for (size_t k = 0;
			k < s->chunks[i]->n && snapshot_chunk_may_name(s->chunks[i], name); k++)
			look(f, s->chunks[i]->plan[k]);
}

static void
find(struct finding *f, const struct snapshot *s)
{
	const struct applied_query *q = f->query;
	const struct project_plan *p;

	if (q->host)
		each_plan(f, s, q->host, look_at_host);
	if (q->project && (p = snapshot_find(s, q->project)) && p->served_revision > f->revision)
		f->revision = p->served_revision;
	if (q->container)
		each_plan(f, s, q->container, look_elsewhere);
	else if (q->slot && f->route && (p = snapshot_find(s, f->route->project)))
		look_elsewhere(f, p);
}

/* What stands in no plan any more has to be gone everywhere, too. */
static void
note_losses(struct finding *f, const struct reconciler *r)
{
	const char *const names[] = {f->query->host, f->query->container};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t lost = names[i] ? reconciler_lost_revision(r, names[i]) : 0;
		if (lost > f->revision)
			f->revision = lost;
	}
}

static void
member_ago(struct buf *b, const char *name, uint64_t ms)
{
	if (ms == UINT64_MAX)
		api_member_text(b, name, NULL);
	else
		api_member_number(b, name, ms);
}

static void
render_outputs(struct buf *b, const struct reconciler *r, uint64_t revision)
{
	size_t n = reconciler_noutputs(r);
	uint64_t least = UINT64_MAX;
	bool all = n > 0;

	api_member(b, "applied");
	buf_adds(b, "{");
	for (size_t i = 0; i < n; i++) {
		struct output_info info;
		uint64_t ago = reconciler_applied_ago(r, i, revision);
		reconciler_output(r, i, &info);
		member_ago(b, info.name, ago);
		all = all && ago != UINT64_MAX;
		least = ago < least ? ago : least;
	}
	buf_adds(b, "}");
	member_ago(b, "applied_ago_ms", all ? least : UINT64_MAX);
}

void
applied_render(struct buf *b, const struct reconciler *r, const struct applied_query *q)
{
	struct buf serves = {0}, elsewhere = {0};
	struct finding f = {.query = q, .serves = &serves, .elsewhere = &elsewhere};

	find(&f, reconciler_snapshot(r));
	note_losses(&f, r);
	buf_adds(b, "{");
	api_member_text(b, "host", q->host);
	api_member_bool(b, "known", f.route != NULL);
	api_member_bool(b, "routed", f.routed);
	api_member(b, "serves");
	buf_addf(b, "[%s]", serves.n ? serves.p : "");
	api_member_number(b, "revision", f.revision);
	render_outputs(b, r, f.revision);
	api_member_number(b, "drain_ms", reconciler_settings(r)->drain_ms);
	api_member(b, "elsewhere");
	buf_addf(b, "[%s]", elsewhere.n ? elsewhere.p : "");
	buf_adds(b, "}\n");
	buf_finish(&serves);
	buf_finish(&elsewhere);
}
