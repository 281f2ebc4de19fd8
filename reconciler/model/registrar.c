#include "reconciler/model/registrar.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

/* What the sources say of one project: the head of the list is in force. */
struct project_entry {
	UT_hash_handle hh;
	char *name;
	size_t n;
	const struct registered_project **list; /* sorted by source */
};

struct static_entry {
	UT_hash_handle hh;
	char *host;
	size_t n;
	const struct registered_static **list;
};

/* A container's name, or the first 12 digits of its id, as deployments give it. */
struct handle {
	UT_hash_handle hh;
	char *text;
	size_t n;
	const struct registered_project **projects; /* those that name it, in no order */
};

struct registrar {
	struct project_entry *projects;
	struct static_entry *statics;
	struct handle *handles;
};

#define ID_DIGITS 12

struct registrar *
registrar_create(void)
{
	return xcalloc(1, sizeof(struct registrar));
}

static bool
is_id(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");
	return !text[n] && n >= ID_DIGITS && n <= 64;
}

static struct handle *
handle_find(const struct registrar *r, const char *text)
{
	struct handle *h;
	HASH_FIND_STR(r->handles, text, h);
	return h;
}

static void
handle_add(struct registrar *r, const char *text, const struct registered_project *p)
{
	struct handle *h = handle_find(r, text);
	if (!h) {
		h = xcalloc(1, sizeof(*h));
		h->text = xstrdup(text);
		HASH_ADD_KEYPTR(hh, r->handles, h->text, strlen(h->text), h);
	}
	for (size_t i = 0; i < h->n; i++)
		if (h->projects[i] == p)
			return;
	h->projects = xrealloc(h->projects, (h->n + 1) * sizeof(*h->projects));
	h->projects[h->n++] = p;
}

static void
handle_drop(struct registrar *r, const char *text, const struct registered_project *p)
{
	struct handle *h = handle_find(r, text);
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		if (h->projects[i] == p) {
			h->projects[i] = h->projects[--h->n];
			break;
		}
	if (h->n)
		return;
	HASH_DEL(r->handles, h);
	free(h->projects);
	free(h->text);
	free(h);
}

/* Every name under which a deployment's container can be looked up. */
static void
handles_each(struct registrar *r, const struct registered_project *p,
	void (*fn)(struct registrar *r, const char *text, const struct registered_project *p))
{
	for (size_t i = 0; i < p->ndeployments; i++) {
		const char *container = p->deployments[i].container;
		char id[ID_DIGITS + 1];
		if (!container)
			continue;
		fn(r, container, p);
		if (!is_id(container))
			continue;
		memcpy(id, container, ID_DIGITS);
		id[ID_DIGITS] = '\0';
		fn(r, id, p);
	}
}

static struct project_entry *
project_entry_find(const struct registrar *r, const char *name)
{
	struct project_entry *e;
	HASH_FIND_STR(r->projects, name, e);
	return e;
}

static void
project_entry_drop(struct registrar *r, struct project_entry *e, size_t i)
{
	handles_each(r, e->list[i], handle_drop);
	registered_project_unref(e->list[i]);
	memmove(e->list + i, e->list + i + 1, (--e->n - i) * sizeof(*e->list));
	if (e->n)
		return;
	HASH_DEL(r->projects, e);
	free(e->list);
	free(e->name);
	free(e);
}

void
registrar_remove(struct registrar *r, const char *source, const char *project)
{
	struct project_entry *e = project_entry_find(r, project);
	for (size_t i = 0; e && i < e->n; i++)
		if (strcmp(e->list[i]->source, source) == 0) {
			project_entry_drop(r, e, i);
			return;
		}
}

void
registrar_put(struct registrar *r, const struct registered_project *p)
{
	p = registered_project_ref(p);
	registrar_remove(r, p->source, p->name);
	struct project_entry *e = project_entry_find(r, p->name);
	if (!e) {
		e = xcalloc(1, sizeof(*e));
		e->name = xstrdup(p->name);
		HASH_ADD_KEYPTR(hh, r->projects, e->name, strlen(e->name), e);
	}

	size_t at = 0;
	while (at < e->n && strcmp(e->list[at]->source, p->source) < 0)
		at++;
	e->list = xrealloc(e->list, (e->n + 1) * sizeof(*e->list));
	memmove(e->list + at + 1, e->list + at, (e->n++ - at) * sizeof(*e->list));
	e->list[at] = p;
	handles_each(r, p, handle_add);
}

static struct static_entry *
static_entry_find(const struct registrar *r, const char *host)
{
	struct static_entry *e;
	HASH_FIND_STR(r->statics, host, e);
	return e;
}

static void
static_entry_drop(struct registrar *r, struct static_entry *e, size_t i)
{
	registered_static_unref(e->list[i]);
	memmove(e->list + i, e->list + i + 1, (--e->n - i) * sizeof(*e->list));
	if (e->n)
		return;
	HASH_DEL(r->statics, e);
	free(e->list);
	free(e->host);
	free(e);
}

void
registrar_remove_static(struct registrar *r, const char *source, const char *host)
{
	struct static_entry *e = static_entry_find(r, host);
	for (size_t i = 0; e && i < e->n; i++)
		if (strcmp(e->list[i]->source, source) == 0) {
			static_entry_drop(r, e, i);
			return;
		}
}

void
registrar_put_static(struct registrar *r, const struct registered_static *s)
{
	s = registered_static_ref(s);
	registrar_remove_static(r, s->source, s->route.host);
	struct static_entry *e = static_entry_find(r, s->route.host);
	if (!e) {
		e = xcalloc(1, sizeof(*e));
		e->host = xstrdup(s->route.host);
		HASH_ADD_KEYPTR(hh, r->statics, e->host, strlen(e->host), e);
	}

	size_t at = 0;
	while (at < e->n && strcmp(e->list[at]->source, s->source) < 0)
		at++;
	e->list = xrealloc(e->list, (e->n + 1) * sizeof(*e->list));
	memmove(e->list + at + 1, e->list + at, (e->n++ - at) * sizeof(*e->list));
	e->list[at] = s;
}

const struct registered_project *
registrar_find(const struct registrar *r, const char *source, const char *project)
{
	const struct project_entry *e = project_entry_find(r, project);
	for (size_t i = 0; e && i < e->n; i++)
		if (strcmp(e->list[i]->source, source) == 0)
			return e->list[i];
	return NULL;
}

const struct registered_static *
registrar_find_static(const struct registrar *r, const char *source, const char *host)
{
	const struct static_entry *e = static_entry_find(r, host);
	for (size_t i = 0; e && i < e->n; i++)
		if (strcmp(e->list[i]->source, source) == 0)
			return e->list[i];
	return NULL;
}

const struct registered_project *
registrar_project(const struct registrar *r, const char *name)
{
	const struct project_entry *e = project_entry_find(r, name);
	return e ? e->list[0] : NULL;
}

const struct registered_project *
registrar_rival(const struct registrar *r, const char *name)
{
	const struct project_entry *e = project_entry_find(r, name);
	return e && e->n > 1 ? e->list[1] : NULL;
}

const struct registered_static *
registrar_static(const struct registrar *r, const char *host)
{
	const struct static_entry *e = static_entry_find(r, host);
	return e ? e->list[0] : NULL;
}

const struct registered_static *
registrar_static_rival(const struct registrar *r, const char *host)
{
	const struct static_entry *e = static_entry_find(r, host);
	return e && e->n > 1 ? e->list[1] : NULL;
}

bool
registrar_has_statics(const struct registrar *r)
{
	return r->statics;
}

static int
project_compare(const void *a, const void *b)
{
	const struct registered_project *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

void
registrar_each(const struct registrar *r, void (*fn)(void *arg, const struct registered_project *p),
	void *arg)
{
	size_t n = 0, count = HASH_COUNT(r->projects);
	const struct registered_project **sorted = xmalloc(count * sizeof(*sorted));
	struct project_entry *e, *tmp;

	HASH_ITER(hh, r->projects, e, tmp)
	sorted[n++] = e->list[0];
	if (n)
		qsort(sorted, n, sizeof(*sorted), project_compare);
	for (size_t i = 0; i < n; i++)
		fn(arg, sorted[i]);
	free(sorted);
}

static int
static_compare(const void *a, const void *b)
{
	const struct registered_static *const *x = a, *const *y = b;
	return strcmp((*x)->route.host, (*y)->route.host);
}

void
registrar_each_static(const struct registrar *r,
	void (*fn)(void *arg, const struct registered_static *s), void *arg)
{
	size_t n = 0, count = HASH_COUNT(r->statics);
	const struct registered_static **sorted = xmalloc(count * sizeof(*sorted));
	struct static_entry *e, *tmp;

	HASH_ITER(hh, r->statics, e, tmp)
	sorted[n++] = e->list[0];
	if (n)
		qsort(sorted, n, sizeof(*sorted), static_compare);
	for (size_t i = 0; i < n; i++)
		fn(arg, sorted[i]);
	free(sorted);
}

void
registrar_each_said(const struct registrar *r,
	void (*project)(void *arg, const struct registered_project *p),
	void (*route)(void *arg, const struct registered_static *s), void *arg)
{
	struct project_entry *p, *ptmp;
	struct static_entry *s, *stmp;

	HASH_ITER(hh, r->projects, p, ptmp)
	for (size_t n = p->n; n--;)
		project(arg, p->list[n]);
	HASH_ITER(hh, r->statics, s, stmp)
	for (size_t n = s->n; n--;)
		route(arg, s->list[n]);
}

/* As many digits as engines print are always an id: a container that is named like another one's
 * must not pass for it. */
static bool
deployment_is(const struct registered_deployment *d, const struct endpoint *e)
{
	size_t n = d->container ? strlen(d->container) : 0;

	if (!n)
		return false;
	if (is_id(d->container) && strncmp(d->container, e->id, n) == 0)
		return true;
	return !(is_id(d->container) && (n == ID_DIGITS || n == 64)) &&
	       strcmp(d->container, e->name) == 0;
}

/* What one project says of a container. */
struct naming {
	const struct registered_project *project;
	const struct registered_deployment *deployment; /* the newest of those that may take most */
	uint64_t since_ms; /* the oldest of those */
};

/* Its deployments stand the newest first.  NULL in `deployment` where none is it. */
static struct naming
naming_read(const struct registered_project *p, const struct endpoint *e)
{
	struct naming n = {.project = p};

	for (size_t i = 0; i < p->ndeployments; i++) {
		const struct registered_deployment *d = &p->deployments[i];
		unsigned share = deployment_status_share(d->status);
		unsigned most = n.deployment ? deployment_status_share(n.deployment->status) : 0;
		if ((n.deployment && share < most) || !deployment_is(d, e))
			continue;
		if (!n.deployment || share > most)
			n.deployment = d;
		n.since_ms = d->created_ms;
	}
	return n;
}

/* Nobody takes another's container by naming it, too. */
static bool
naming_precedes(const struct naming *a, const struct naming *b, const char *own)
{
	unsigned x = deployment_status_share(a->deployment->status);
	unsigned y = deployment_status_share(b->deployment->status);
	bool mine = own && strcmp(a->project->name, own) == 0;

	if (!x != !y)
		return x;
	if (mine != (own && strcmp(b->project->name, own) == 0))
		return mine;
	if (a->since_ms != b->since_ms)
		return a->since_ms < b->since_ms;
	return strcmp(a->project->name, b->project->name) < 0;
}

static void
handle_read(const struct registrar *r, const char *text, const struct endpoint *e, const char *own,
	struct naming *best, const struct registered_project **ret_rival)
{
	const struct handle *h = handle_find(r, text);

	for (size_t i = 0; h && i < h->n; i++) {
		const struct registered_project *p = h->projects[i];
		struct naming n = naming_read(p, e), lost = n;
		if (!n.deployment || registrar_project(r, p->name) != p || p == best->project)
			continue;
		if (!best->deployment || naming_precedes(&n, best, own)) {
			lost = *best;
			*best = n;
		}
		if (lost.deployment && deployment_status_share(lost.deployment->status) &&
			(!*ret_rival || strcmp(lost.project->name, (*ret_rival)->name) < 0))
			*ret_rival = lost.project;
	}
}

const struct registered_deployment *
registrar_deployment(const struct registrar *r, const struct endpoint *e, const char *own,
	const struct registered_project **ret_project, const struct registered_project **ret_rival)
{
	struct naming best = {0};
	char id[ID_DIGITS + 1];

	*ret_rival = NULL;
	handle_read(r, e->name, e, own, &best, ret_rival);
	if (strlen(e->id) >= ID_DIGITS) {
		memcpy(id, e->id, ID_DIGITS);
		id[ID_DIGITS] = '\0';
		handle_read(r, id, e, own, &best, ret_rival);
	}
	*ret_project = best.project;
	return best.deployment;
}

void
registrar_destroy(struct registrar *r)
{
	struct project_entry *p, *ptmp;
	struct static_entry *s, *stmp;

	if (!r)
		return;
	HASH_ITER(hh, r->projects, p, ptmp)
	for (size_t n = p->n; n--;)
		project_entry_drop(r, p, n);
	HASH_ITER(hh, r->statics, s, stmp)
	for (size_t n = s->n; n--;)
		static_entry_drop(r, s, n);
	free(r);
}
