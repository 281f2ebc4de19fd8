#include "reconciler/model/losses.h"

#include <stdbool.h>
#include <string.h>

#include "reconciler/base/text.h"
#include "reconciler/model/nameset.h"

static void
add(struct losses *l, uint64_t digest, uint64_t revision)
{
	struct loss *place = &l->list[l->n++ % LOSSES];

	if (place->revision > l->forgotten)
		l->forgotten = place->revision;
	*place = (struct loss){digest, revision};
}

/* A host's routes stand together. */
struct span {
	const struct route *routes;
	size_t n;
};

static struct span
span_at(const struct project_plan *p, size_t at)
{
	size_t end = at;

	while (p && end < p->nroutes && !strcmp(p->routes[end].host, p->routes[at].host))
		end++;
	return (struct span){p ? p->routes + at : NULL, end - at};
}

static bool
serves(const struct span *host, const struct route *as, const struct server *server)
{
	for (size_t i = 0; i < host->n; i++) {
		const struct route *r = &host->routes[i];
		if (strcmp(r->path, as->path) != 0)
			continue;
		for (size_t k = 0; k < r->nrouted; k++)
			if (!text_compare(r->servers[k].container_id, server->container_id) &&
				!text_compare(r->servers[k].container, server->container))
				return true;
	}
	return false;
}

static void
note_host(struct losses *l, const struct span *last, const struct span *next, uint64_t revision)
{
	if (!next->n)
		add(l, name_digest(last->routes[0].host), revision);
	for (size_t i = 0; i < last->n; i++) {
		const struct route *r = &last->routes[i];
		for (size_t k = 0; k < r->nrouted; k++) {
			const struct server *s = &r->servers[k];
			if (!s->container_id || serves(next, r, s))
				continue;
			add(l, name_digest_id(s->container_id), revision);
			if (s->container)
				add(l, name_digest(s->container), revision);
		}
	}
}

void
losses_note(struct losses *l, const struct project_plan *last, const struct project_plan *next,
	uint64_t revision)
{
	for (size_t i = 0, k = 0; last && i < last->nroutes;) {
		struct span old = span_at(last, i), new = {0};
		const char *host = last->routes[i].host;

		while (next && k < next->nroutes && strcmp(next->routes[k].host, host) < 0)
			k++;
		if (next && k < next->nroutes && !strcmp(next->routes[k].host, host))
			new = span_at(next, k);
		note_host(l, &old, &new, revision);
		i += old.n;
		k += new.n;
	}
}

uint64_t
losses_revision(const struct losses *l, const char *text)
{
	uint64_t whole = name_digest(text), id = name_digest_id(text);

	for (uint64_t i = l->n; i > 0 && l->n - i < LOSSES; i--) {
		const struct loss *loss = &l->list[(i - 1) % LOSSES];
		if (loss->digest == whole || loss->digest == id)
			return loss->revision;
	}
	return l->forgotten;
}
