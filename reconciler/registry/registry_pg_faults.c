#include "reconciler/registry/registry_pg_faults.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/text.h"

struct registry_pg_fault {
	struct arena arena;
	const char *owner; /* NULL: no project's */
	struct registry_fault f;
};

static void
fault_free(struct registry_pg_fault *f)
{
	arena_finish(&f->arena);
	free(f);
}

void
registry_pg_faults_finish(struct registry_pg_faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		fault_free(f->list[i]);
	free(f->list);
	*f = (struct registry_pg_faults){0};
}

static void
add(struct registry_pg_faults *to, const struct registry_fault *f, const char *owner)
{
	struct registry_pg_fault *copy = xcalloc(1, sizeof(*copy));
	struct arena *a = &copy->arena;

	copy->owner = arena_strdup(a, owner);
	copy->f = (struct registry_fault){
		.file = arena_strdup(a, f->file),
		.line = f->line,
		.path = arena_strdup(a, f->path),
		.what = arena_strdup(a, f->what),
		.remedy = arena_strdup(a, f->remedy),
	};
	to->list = xrealloc(to->list, (to->n + 1) * sizeof(*to->list));
	to->list[to->n++] = copy;
}

static bool
is_read_again(const struct registry_pg_reading *reading, const char *owner)
{
	for (size_t i = 0; i < reading->nnames; i++)
		if (text_compare(reading->names[i], owner) == 0)
			return true;
	return reading->nnames == 0;
}

bool
registry_pg_faults_take(struct registry_pg_faults *f, const struct registry_pg_reading *reading)
{
	size_t before = f->n, left = 0;

	for (size_t i = 0; i < before; i++)
		if (is_read_again(reading, f->list[i]->owner))
			fault_free(f->list[i]);
		else
			f->list[left++] = f->list[i];
	f->n = left;
	for (size_t i = 0; i < reading->reading->nfaults; i++)
		add(f, &reading->reading->faults[i], reading->owners[i]);
	return left != before || f->n != left;
}

void
registry_pg_faults_each(const struct registry_pg_faults *f,
	void (*fn)(void *arg, const struct registry_fault *f), void *arg)
{
	for (size_t i = 0; i < f->n; i++)
		fn(arg, &f->list[i]->f);
}
