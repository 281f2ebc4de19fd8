#include "reconciler/model/covers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "reconciler/base/arena.h"

struct holder {
	char *project;
	unsigned times, below;
};

struct cover {
	UT_hash_handle hh;
	char *host;
	size_t n;
	struct holder *holders;
};

struct covers {
	struct cover *hosts;
};

struct covers *
covers_create(void)
{
	return xcalloc(1, sizeof(struct covers));
}

static void
cover_free(struct covers *c, struct cover *v)
{
	HASH_DEL(c->hosts, v);
	for (size_t i = 0; i < v->n; i++)
		free(v->holders[i].project);
	free(v->holders);
	free(v->host);
	free(v);
}

void
covers_destroy(struct covers *c)
{
	struct cover *v, *tmp;

	if (!c)
		return;
	HASH_ITER(hh, c->hosts, v, tmp)
	cover_free(c, v);
	free(c);
}

static struct cover *
cover_find(const struct covers *c, const char *host)
{
	struct cover *v;
	HASH_FIND_STR(c->hosts, host, v);
	return v;
}

static struct holder *
holder_find(const struct cover *v, const char *project)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->holders[i].project, project) == 0)
			return &v->holders[i];
	return NULL;
}

void
covers_add(struct covers *c, const char *host, const char *project, bool below)
{
	struct cover *v = cover_find(c, host);
	if (!v) {
		v = xcalloc(1, sizeof(*v));
		v->host = xstrdup(host);
		HASH_ADD_KEYPTR(hh, c->hosts, v->host, strlen(v->host), v);
	}

	struct holder *h = holder_find(v, project);
	if (!h) {
		v->holders = xrealloc(v->holders, (v->n + 1) * sizeof(*v->holders));
		h = &v->holders[v->n++];
		*h = (struct holder){.project = xstrdup(project)};
	}
	h->times++;
	h->below += below;
}

void
covers_drop(struct covers *c, const char *host, const char *project, bool below)
{
	struct cover *v = cover_find(c, host);
	struct holder *h = v ? holder_find(v, project) : NULL;

	assert(h && h->times && h->below >= below);
	h->times--;
	h->below -= below;
	if (h->times)
		return;
	free(h->project);
	*h = v->holders[--v->n];
	if (!v->n)
		cover_free(c, v);
}

/* Among those who hold this host, or what is below it. */
static const char *
cover_owner(const struct cover *v, const char *project, bool below)
{
	const char *first = NULL;

	for (size_t i = 0; i < v->n; i++) {
		const struct holder *h = &v->holders[i];
		if (below && !h->below)
			continue;
		if (strcmp(h->project, project) == 0)
			return h->project;
		if (!first || strcmp(h->project, first) < 0)
			first = h->project;
	}
	return first;
}

const char *
covers_owner(const struct covers *c, const char *host, const char *project)
{
	for (const char *at = host; at; at = strchr(at, '.')) {
		at += *at == '.';
		const struct cover *v = cover_find(c, at);
		const char *owner = v ? cover_owner(v, project, at != host) : NULL;
		if (owner)
			return owner;
	}
	return NULL;
}
