#include "reconciler/model/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/text.h"

static const char *const slot_state_texts[] = {
	[SLOT_EMPTY] = "empty",
	[SLOT_RESERVED] = "reserved",
	[SLOT_DEPLOYED] = "deployed",
	[SLOT_ACTIVE] = "active",
	[SLOT_GRACE] = "grace-period",
};

static const char *const deployment_status_texts[] = {
	[DEPLOYMENT_PENDING] = "pending",
	[DEPLOYMENT_RUNNING] = "running",
	[DEPLOYMENT_STANDBY] = "standby",
	[DEPLOYMENT_FAILED] = "failed",
};

const char *
slot_state_text(enum slot_state state)
{
	return slot_state_texts[state];
}

const char *
deployment_status_text(enum deployment_status status)
{
	return deployment_status_texts[status];
}

unsigned
deployment_status_share(enum deployment_status status)
{
	return status == DEPLOYMENT_RUNNING ? 2 : status == DEPLOYMENT_STANDBY;
}

/* Values are const to everybody but their maker and the counter. */
static void *
unconst(const void *p)
{
	return (void *)(uintptr_t)p;
}

/* -- projects -- */

struct registered_project *
registered_project_create(const char *source, const char *place, const char *name)
{
	struct arena a = {0};
	struct registered_project *p = ARENA_NEW(&a, struct registered_project);

	p->refs = 1;
	p->source = arena_strdup(&a, source);
	p->place = arena_strdup(&a, place);
	p->name = arena_strdup(&a, name);
	p->arena = a;
	return p;
}

struct registered_project *
registered_project_ref(const struct registered_project *p)
{
	struct registered_project *mine = unconst(p);
	assert(mine->refs > 0);
	mine->refs++;
	return mine;
}

struct registered_project *
registered_project_unref(const struct registered_project *p)
{
	struct registered_project *mine = unconst(p);
	if (!mine)
		return NULL;
	assert(mine->refs > 0);
	if (--mine->refs == 0) {
		struct arena a = mine->arena;
		arena_finish(&a);
	}
	return NULL;
}

/* -- order -- */

static int
number_compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
slot_by_name(const void *left, const void *right)
{
	const struct registered_slot *a = left, *b = right;
	return strcmp(a->name, b->name);
}

static int
environment_by_name(const void *left, const void *right)
{
	const struct registered_environment *a = left, *b = right;
	return strcmp(a->name, b->name);
}

static int
texts_compare(const char *const *a, size_t na, const char *const *b, size_t nb)
{
	int r = number_compare(na, nb);
	for (size_t i = 0; !r && i < na; i++)
		r = strcmp(a[i], b[i]);
	return r;
}

/* A total order, so that the same rows give the same value in whatever order they came. */
static int
deployment_compare(const void *left, const void *right)
{
	const struct registered_deployment *a = left, *b = right;
	int r = -number_compare(a->created_ms, b->created_ms);

	if (!r)
		r = text_compare(a->container, b->container);
	if (!r)
		r = strcmp(a->environment, b->environment);
	if (!r)
		r = strcmp(a->branch, b->branch);
	if (!r)
		r = strcmp(a->slot, b->slot);
	if (!r)
		r = number_compare(a->status, b->status);
	if (!r)
		r = number_compare(a->port, b->port);
	return r ? r : texts_compare(a->hosts, a->nhosts, b->hosts, b->nhosts);
}

static void
sort(const void *list, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	if (n > 1)
		qsort(unconst(list), n, size, compare);
}

void
registered_project_seal(struct registered_project *p)
{
	for (size_t i = 0; i < p->nenvironments; i++) {
		const struct registered_environment *e = &p->environments[i];
		sort(e->slot, e->nslots, sizeof(*e->slot), slot_by_name);
	}
	sort(p->environments, p->nenvironments, sizeof(*p->environments), environment_by_name);
	sort(p->deployments, p->ndeployments, sizeof(*p->deployments), deployment_compare);
}

/* -- equality -- */

bool
registered_slots_equal(
	const struct registered_environment *a, const struct registered_environment *b)
{
	if (a->nslots != b->nslots || a->weighted != b->weighted ||
		text_compare(a->active, b->active))
		return false;
	for (size_t i = 0; i < a->nslots; i++) {
		const struct registered_slot *x = &a->slot[i], *y = &b->slot[i];
		if (strcmp(x->name, y->name) || x->state != y->state || x->port != y->port ||
			x->since_ms != y->since_ms || x->until_ms != y->until_ms ||
			x->weight != y->weight || text_compare(x->id, y->id) ||
			text_compare(x->container, y->container))
			return false;
	}
	return true;
}

/* What is asked of its containers. */
static bool
health_equal(const struct registered_environment *a, const struct registered_environment *b)
{
	return text_compare(a->health_path, b->health_path) == 0 &&
	       a->health_interval_ms == b->health_interval_ms &&
	       a->health_timeout_ms == b->health_timeout_ms && a->health_rise == b->health_rise &&
	       a->health_fall == b->health_fall;
}

static bool
environments_equal(const struct registered_project *a, const struct registered_project *b)
{
	if (a->lists_environments != b->lists_environments || a->nenvironments != b->nenvironments)
		return false;
	for (size_t i = 0; i < a->nenvironments; i++) {
		const struct registered_environment *x = &a->environments[i];
		const struct registered_environment *y = &b->environments[i];
		if (strcmp(x->name, y->name) || x->port != y->port ||
			x->base_port != y->base_port || x->slots != y->slots ||
			x->expires_ms != y->expires_ms || x->sticky != y->sticky ||
			texts_compare(
				x->middlewares, x->nmiddlewares, y->middlewares, y->nmiddlewares) ||
			!health_equal(x, y) || !registered_slots_equal(x, y))
			return false;
	}
	return true;
}

static bool
domains_equal(const struct registered_project *a, const struct registered_project *b)
{
	if (a->ndomains != b->ndomains)
		return false;
	for (size_t i = 0; i < a->ndomains; i++)
		if (strcmp(a->domains[i].host, b->domains[i].host))
			return false;
	return true;
}

static bool
deployments_equal(const struct registered_project *a, const struct registered_project *b)
{
	if (a->has_deployments != b->has_deployments || a->ndeployments != b->ndeployments)
		return false;
	for (size_t i = 0; i < a->ndeployments; i++)
		if (deployment_compare(&a->deployments[i], &b->deployments[i]))
			return false;
	return true;
}

bool
registered_project_equal(const struct registered_project *a, const struct registered_project *b)
{
	return a == b ||
	       (!strcmp(a->source, b->source) && !strcmp(a->name, b->name) && domains_equal(a, b) &&
		       environments_equal(a, b) && deployments_equal(a, b));
}

/* -- copies -- */

/* How its slots stand: of `from`, into `to`. */
static void
slots_copy(struct arena *a, struct registered_environment *to,
	const struct registered_environment *from)
{
	struct registered_slot *slots = ARENA_ARRAY(a, struct registered_slot, from->nslots);

	for (size_t i = 0; i < from->nslots; i++) {
		slots[i] = from->slot[i];
		slots[i].name = arena_strdup(a, from->slot[i].name);
		slots[i].id = arena_strdup(a, from->slot[i].id);
		slots[i].container = arena_strdup(a, from->slot[i].container);
	}
	to->active = arena_strdup(a, from->active);
	to->weighted = from->weighted;
	to->nslots = from->nslots;
	to->slot = slots;
	to->slots = to->slots || from->slots;
}

static struct registered_environment
environment_copy(struct arena *a, const struct registered_environment *e)
{
	struct registered_environment copy = *e;

	copy.name = arena_strdup(a, e->name);
	copy.health_path = arena_strdup(a, e->health_path);
	copy.middlewares = arena_strdups(a, e->middlewares, e->nmiddlewares);
	slots_copy(a, &copy, e);
	return copy;
}

static void
domains_copy(struct registered_project *to, const struct registered_project *from)
{
	struct arena *a = &to->arena;
	struct registered_domain *domains =
		ARENA_ARRAY(a, struct registered_domain, from->ndomains);

	for (size_t i = 0; i < from->ndomains; i++)
		domains[i] = (struct registered_domain){
			.host = arena_strdup(a, from->domains[i].host),
			.field = arena_strdup(a, from->domains[i].field),
		};
	to->ndomains = from->ndomains;
	to->domains = domains;
}

static void
deployments_copy(struct registered_project *to, const struct registered_project *from)
{
	struct arena *a = &to->arena;
	struct registered_deployment *list =
		ARENA_ARRAY(a, struct registered_deployment, from->ndeployments);

	for (size_t i = 0; i < from->ndeployments; i++) {
		const struct registered_deployment *d = &from->deployments[i];
		list[i] = *d;
		list[i].environment = arena_strdup(a, d->environment);
		list[i].branch = arena_strdup(a, d->branch);
		list[i].slot = arena_strdup(a, d->slot);
		list[i].container = arena_strdup(a, d->container);
		list[i].hosts = arena_strdups(a, d->hosts, d->nhosts);
	}
	to->has_deployments = from->has_deployments;
	to->ndeployments = from->ndeployments;
	to->deployments = list;
}

/* Both are sorted by name, and so is what comes out. */
static void
environments_combine(struct registered_project *to, const struct registered_project *identity,
	const struct registered_project *slots)
{
	size_t ni = identity->nenvironments, ns = slots ? slots->nenvironments : 0, n = 0;
	struct registered_environment *list =
		ARENA_ARRAY(&to->arena, struct registered_environment, ni + ns);

	for (size_t i = 0, s = 0; i < ni || s < ns; n++) {
		const struct registered_environment *a = i < ni ? &identity->environments[i] : NULL;
		const struct registered_environment *b = s < ns ? &slots->environments[s] : NULL;
		int r = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
		list[n] = environment_copy(&to->arena, r <= 0 ? a : b);
		if (r == 0)
			slots_copy(&to->arena, &list[n], b);
		i += r <= 0;
		s += r >= 0;
	}
	to->nenvironments = n;
	to->environments = list;
}

struct registered_project *
registered_project_combine(
	const struct registered_project *identity, const struct registered_project *slots)
{
	struct registered_project *p =
		registered_project_create(identity->source, identity->place, identity->name);

	domains_copy(p, identity);
	p->lists_environments = identity->lists_environments;
	environments_combine(p, identity, slots);
	deployments_copy(p, identity);
	return p;
}

/* -- looking -- */

const struct registered_environment *
registered_environment_find(const struct registered_project *p, const char *name)
{
	for (size_t i = 0; i < p->nenvironments; i++)
		if (strcmp(p->environments[i].name, name) == 0)
			return &p->environments[i];
	return NULL;
}

const struct registered_slot *
registered_slot_find(const struct registered_environment *e, const char *name)
{
	for (size_t i = 0; i < e->nslots; i++)
		if (strcmp(e->slot[i].name, name) == 0)
			return &e->slot[i];
	return NULL;
}

/* -- static routes -- */

struct registered_static *
registered_static_create(const char *source, const char *place, const char *host)
{
	struct arena a = {0};
	struct registered_static *s = ARENA_NEW(&a, struct registered_static);

	s->refs = 1;
	s->source = arena_strdup(&a, source);
	s->place = arena_strdup(&a, place);
	s->route.host = arena_strdup(&a, host);
	s->arena = a;
	return s;
}

struct registered_static *
registered_static_ref(const struct registered_static *s)
{
	struct registered_static *mine = unconst(s);
	assert(mine->refs > 0);
	mine->refs++;
	return mine;
}

struct registered_static *
registered_static_unref(const struct registered_static *s)
{
	struct registered_static *mine = unconst(s);
	if (!mine)
		return NULL;
	assert(mine->refs > 0);
	if (--mine->refs == 0) {
		struct arena a = mine->arena;
		arena_finish(&a);
	}
	return NULL;
}

bool
registered_static_equal(const struct registered_static *a, const struct registered_static *b)
{
	const struct settings_static *x = &a->route, *y = &b->route;
	return a == b ||
	       (!strcmp(a->source, b->source) && !strcmp(x->host, y->host) &&
		       !texts_compare(x->upstreams, x->nupstreams, y->upstreams, y->nupstreams) &&
		       !texts_compare(x->addresses, x->naddresses, y->addresses, y->naddresses));
}
