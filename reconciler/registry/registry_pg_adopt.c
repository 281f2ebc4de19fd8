#include "reconciler/registry/registry_pg_adopt.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"

static int
name_compare(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;
	return strcmp(*a, *b);
}

/* They are sorted, and may be as many as there are projects: one slip of a query is enough. */
static bool
is_bad(const struct registry_reading *r, const char *name)
{
	return r->nbad_projects && bsearch(&name, r->bad_projects, r->nbad_projects,
					   sizeof(*r->bad_projects), name_compare);
}

size_t
registry_pg_adopt_count(const struct registry_book *b, const struct registry_pg_reading *reading,
	size_t *ret_projects)
{
	const struct registry_reading *r = reading->reading;
	size_t n = r->nprojects + reading->nkept_projects;

	/* Rows that are right may stand beside one that is not: then it is counted already. */
	for (size_t i = 0, at = 0; i < r->nbad_projects; i++) {
		while (at < r->nprojects && strcmp(r->projects[at]->name, r->bad_projects[i]) < 0)
			at++;
		bool counted =
			at < r->nprojects && strcmp(r->projects[at]->name, r->bad_projects[i]) == 0;
		n += !counted && registry_book_find(b, r->bad_projects[i]);
	}
	*ret_projects = n;
	return n + r->nstatics + reading->nkept_statics + r->nbad_statics;
}

static size_t
drop_bad(const struct registry_book *b, const struct registry_reading *r,
	struct registered_project **ret)
{
	size_t n = 0;
	for (size_t i = 0; i < r->nprojects; i++)
		if (!is_bad(r, r->projects[i]->name) ||
			!registry_book_find(b, r->projects[i]->name))
			ret[n++] = r->projects[i];
	return n;
}

static const char **
texts_join(const char *const *a, size_t na, const char *const *b, size_t nb)
{
	const char **both = xmalloc((na + nb) * sizeof(*both));
	for (size_t i = 0; i < na; i++)
		both[i] = a[i];
	for (size_t i = 0; i < nb; i++)
		both[na + i] = b[i];
	return both;
}

void
registry_pg_adopt_all(struct registry_book *b, const struct registry_pg_reading *reading)
{
	const struct registry_reading *r = reading->reading;
	struct registered_project **projects = xmalloc(r->nprojects * sizeof(*projects));
	const char **kept_projects = texts_join(
		reading->kept_projects, reading->nkept_projects, r->bad_projects, r->nbad_projects);
	const char **kept_statics = texts_join(
		reading->kept_statics, reading->nkept_statics, r->bad_statics, r->nbad_statics);
	struct registry_observation o = {
		.nprojects = drop_bad(b, r, projects),
		.projects = projects,
		.nstatics = r->nstatics,
		.statics = r->statics,
		.nkept_projects = reading->nkept_projects + r->nbad_projects,
		.kept_projects = kept_projects,
		.nkept_statics = reading->nkept_statics + r->nbad_statics,
		.kept_statics = kept_statics,
	};

	registry_book_adopt(b, &o);
	free(projects);
	free(kept_projects);
	free(kept_statics);
}

static const struct registered_project *
find_read(const struct registry_reading *r, const char *name)
{
	for (size_t i = 0; i < r->nprojects; i++)
		if (strcmp(r->projects[i]->name, name) == 0)
			return r->projects[i];
	return NULL;
}

bool
registry_pg_adopt_some(struct registry_book *b, const struct registry_pg_reading *reading)
{
	const struct registry_reading *r = reading->reading;
	bool all_known = true;

	for (size_t i = 0; i < reading->nnames; i++) {
		const char *name = reading->names[i];
		const struct registered_project *p = find_read(r, name);
		bool known = registry_book_find(b, name), bad = is_bad(r, name);
		if (!bad || (p && !known))
			registry_book_adopt_one(b, name, p);
		all_known &= known || p || bad;
	}
	return all_known;
}
