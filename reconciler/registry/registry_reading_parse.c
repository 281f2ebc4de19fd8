#include <stdlib.h>
#include <string.h>

#include "reconciler/base/utf8.h"
#include "reconciler/registry/registry_reader.h"

/* More faults than anyone reads; each may hold some hundred octets. */
#define FAULTS_MAX 1000

struct registry_reading *
registry_reading_create(void)
{
	return xcalloc(1, sizeof(struct registry_reading));
}

void
registry_reading_destroy(struct registry_reading *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nprojects; i++)
		registered_project_unref(r->projects[i]);
	for (size_t i = 0; i < r->nstatics; i++)
		registered_static_unref(r->statics[i]);
	free(r->projects);
	free(r->statics);
	free(r->bad_projects);
	free(r->bad_statics);
	free(r->faults);
	arena_finish(&r->arena);
	free(r);
}

/* Room for one more in a list of n, which grows at each power of two. */
static void *
room(void *list, size_t n, size_t size)
{
	return n & (n - 1) ? list : xrealloc(list, (n ? 2 * n : 1) * size);
}

/* Control characters, C1 included, do not reach a terminal. */
static const char *
clean_copy(struct arena *a, const char *text)
{
	char *copy = arena_strdup(a, text);
	size_t n = strlen(copy), to = 0;

	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = utf8_decode(copy + i, n - i, &c);
		if (!len || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			copy[to++] = '?';
		} else {
			memmove(copy + to, copy + i, len);
			to += len;
		}
		i += len ? len : 1;
	}
	copy[to] = '\0';
	return copy;
}

static void
fault_add(struct registry_reading *r, const struct registry_fault *f)
{
	r->faults = room(r->faults, r->nfaults, sizeof(*r->faults));
	r->faults[r->nfaults++] = (struct registry_fault){
		.file = clean_copy(&r->arena, f->file),
		.line = f->line,
		.path = clean_copy(&r->arena, f->path),
		.what = clean_copy(&r->arena, f->what),
		.remedy = clean_copy(&r->arena, f->remedy),
	};
}

void
registry_reading_fault(struct registry_reading *r, const struct registry_fault *f)
{
	if (r->nfaults < FAULTS_MAX) {
		fault_add(r, f);
	} else if (r->nfaults == FAULTS_MAX) {
		struct registry_fault more = {
			.file = f->file,
			.path = "",
			.what = "more is wrong than is shown",
			.remedy = "mend what stands above first",
		};
		fault_add(r, &more);
	}
}

void
registry_reading_bad_project(struct registry_reading *reading, const char *name)
{
	reading->bad_projects =
		room(reading->bad_projects, reading->nbad_projects, sizeof(*reading->bad_projects));
	reading->bad_projects[reading->nbad_projects++] = arena_strdup(&reading->arena, name);
}

void
registry_reading_bad_static(struct registry_reading *reading, const char *host)
{
	reading->bad_statics =
		room(reading->bad_statics, reading->nbad_statics, sizeof(*reading->bad_statics));
	reading->bad_statics[reading->nbad_statics++] = arena_strdup(&reading->arena, host);
}

void
registry_reading_add_project(struct registry_reading *reading, struct registered_project *p)
{
	reading->projects = room(reading->projects, reading->nprojects, sizeof(*reading->projects));
	reading->projects[reading->nprojects++] = p;
}

void
registry_reading_add_static(struct registry_reading *reading, struct registered_static *s)
{
	reading->statics = room(reading->statics, reading->nstatics, sizeof(*reading->statics));
	reading->statics[reading->nstatics++] = s;
}

static int
project_compare(const void *left, const void *right)
{
	const struct registered_project *const *a = left, *const *b = right;
	return strcmp((*a)->name, (*b)->name);
}

static int
static_compare(const void *left, const void *right)
{
	const struct registered_static *const *a = left, *const *b = right;
	return strcmp((*a)->route.host, (*b)->route.host);
}

static int
text_pointer_compare(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;
	return strcmp(*a, *b);
}

static size_t
sort_unique(const char **list, size_t n)
{
	size_t to = 0;

	if (n > 1)
		qsort(list, n, sizeof(*list), text_pointer_compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(list[i], list[i - 1]) != 0)
			list[to++] = list[i];
	return to;
}

void
registry_reading_seal(struct registry_reading *r)
{
	if (r->nprojects > 1)
		qsort(r->projects, r->nprojects, sizeof(*r->projects), project_compare);
	if (r->nstatics > 1)
		qsort(r->statics, r->nstatics, sizeof(*r->statics), static_compare);
	r->nbad_projects = sort_unique(r->bad_projects, r->nbad_projects);
	r->nbad_statics = sort_unique(r->bad_statics, r->nbad_statics);
}
