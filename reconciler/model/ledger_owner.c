/* Whose a host is, of all who claim it. */
#include <string.h>

#include "reconciler/model/ledger.h"

/* Does a come before b among the claims of one project? */
static bool
claim_precedes(const struct ledger_claim *a, const struct ledger_claim *b)
{
	if (!a->users != !b->users)
		return a->users;
	if (!a->gone_ms != !b->gone_ms)
		return !a->gone_ms;
	return a->first < b->first;
}

/* Among claims of one rank the lower comes first. */
static uint64_t
claim_since(const struct ledger_claim *c)
{
	return c->rank == CLAIM_ENTRY ? c->entry_first : c->project_first;
}

const struct ledger_claim *
ledger_host_owner(const struct ledger *l, const char *host)
{
	const struct ledger_claim *owner = NULL;

	for (const struct ledger_claim *c = ledger_host(l, host); c; c = c->host_next) {
		if (c->rank == CLAIM_FORBIDDEN || (owner && c->rank < owner->rank))
			continue;
		if (!owner || c->rank > owner->rank || claim_since(c) < claim_since(owner))
			owner = c;
	}
	return owner;
}

/* The claim of the project whose entry was the first to name the host; its shared one rather than a
 * slot's own. */
static const struct ledger_claim *
entry_owner(const struct ledger *l, const char *host)
{
	const struct ledger_claim *owner = NULL;

	for (const struct ledger_claim *c = ledger_host(l, host); c; c = c->host_next)
		if (c->entries && (!owner || c->entry_first < owner->entry_first ||
					  (c->entry_first == owner->entry_first && !*c->slot)))
			owner = c;
	return owner;
}

const char *
ledger_registered(const struct ledger *l, const char *host, const char *apex)
{
	for (const char *at = host; at; at = strchr(at, '.')) {
		at += *at == '.';
		if (at != host && strcmp(at, apex) == 0)
			return NULL;
		const struct ledger_claim *c = entry_owner(l, at);
		if (c && (at == host || !*c->slot))
			return c->group.project;
	}
	return NULL;
}

static bool
is_same_environment(const struct group *a, const struct group *b)
{
	return strcmp(a->environment, b->environment) == 0 && strcmp(a->branch, b->branch) == 0;
}

/* The first of the project's claims of that rank or a higher one on a host and path; `in`: of that
 * environment and branch, or NULL. */
static const struct ledger_claim *
project_owner(const struct ledger *l, const struct ledger_claim *of, const char *path,
	enum claim_rank rank, const struct group *in)
{
	const struct ledger_claim *owner = NULL;

	for (const struct ledger_claim *c = ledger_host(l, of->host); c; c = c->host_next)
		if (c->rank >= rank && strcmp(c->group.project, of->group.project) == 0 &&
			strcmp(c->path, path) == 0 && (!in || is_same_environment(&c->group, in)) &&
			(!owner || claim_precedes(c, owner)))
			owner = c;
	return owner;
}

const struct ledger_claim *
ledger_owner(const struct ledger *l, const char *host, const char *path)
{
	const struct ledger_claim *first = ledger_host_owner(l, host), *entry;

	if (!first)
		return NULL;
	/* What the registry gives one environment, a label in another one does not get. */
	entry = project_owner(l, first, path, CLAIM_ENTRY, NULL);
	return project_owner(l, first, path, CLAIM_LABEL, entry ? &entry->group : NULL);
}
