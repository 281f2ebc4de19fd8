/* Somebody else's rows.  The input is lines: the first names the columns, the others are rows,
 * cells between tabs, "\N" is NULL.  Whatever stands there, the projects come out sorted and
 * unique, their hosts are hosts, and each is equal to what is read of it printed. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#include "reconciler/base/json.h"
#include "reconciler/model/host.h"
#include "reconciler/registry/registry_rows_parse.h"

#define COLUMNS_MAX 16

static const struct registry_rows_options options = {
	"registry.postgres", "postgres db/shop", "x.y"};

/* Cuts a line at its tabs; returns how many cells, and what stands behind the line. */
static size_t
cut(char *line, const char **cells, char **ret_next)
{
	size_t n = 0;
	char *end = strchr(line, '\n');

	*ret_next = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	for (char *cell = line; cell && n < COLUMNS_MAX; n++) {
		char *tab = strchr(cell, '\t');
		if (tab)
			*tab = '\0';
		cells[n] = strcmp(cell, "\\N") == 0 ? NULL : cell;
		cell = tab ? tab + 1 : NULL;
	}
	return n;
}

static void
check_deployment(const struct registered_deployment *d)
{
	assert(d->environment && d->branch && d->slot);
	assert(!*d->branch || strcmp(d->environment, "preview") == 0);
	for (size_t i = 0; i < d->nhosts; i++) {
		struct arena a = {0};
		const char *host;
		assert(host_parse(&a, d->hosts[i], &host, NULL) == 0);
		assert(strcmp(host, d->hosts[i]) == 0);
		arena_finish(&a);
	}
}

static void
check_print(const struct registered_project *p)
{
	static const struct registry_options entries = {
		.source = "registry.postgres", .file = "postgres db/shop"};
	struct registry_reading *r = registry_reading_create();
	struct buf b = {0};

	registry_print_project(p, &b);
	json_t *json = json_read(b.p, b.n);
	struct registered_project *q = registry_parse_project(p->name, json, &entries, r);
	assert(q && registered_project_equal(p, q));
	json_decref(json);
	registered_project_unref(q);
	registry_reading_destroy(r);
	buf_finish(&b);
}

static void
check(const struct registry_reading *r, const char *const *owners)
{
	for (size_t i = 0; i < r->nprojects; i++) {
		const struct registered_project *p = r->projects[i];
		assert(i == 0 || strcmp(r->projects[i - 1]->name, p->name) < 0);
		for (size_t k = 0; k < p->ndeployments; k++)
			check_deployment(&p->deployments[k]);
		check_print(p);
	}
	for (size_t i = 0; i < r->nfaults; i++)
		assert(!owners[i] || *owners[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *names[COLUMNS_MAX], *cells[COLUMNS_MAX], *const *owners;
	struct registry_rows *r = registry_rows_create(&options);
	struct arena a = {0};
	char *line = arena_strndup(&a, (const char *)data, n), *next;
	size_t ncolumns = cut(line, names, &next);

	for (size_t i = 0; i < ncolumns; i++)
		names[i] = names[i] ? names[i] : "";
	if (registry_rows_columns(r, ncolumns, names, NULL) < 0) {
		registry_rows_destroy(r);
		arena_finish(&a);
		return 0;
	}
	for (line = next; line; line = next) {
		for (size_t i = cut(line, cells, &next); i < ncolumns; i++)
			cells[i] = NULL;
		registry_rows_add(r, cells);
	}
	struct registry_reading *reading = registry_rows_end(r, &owners);
	check(reading, owners);
	registry_reading_destroy(reading);
	arena_finish(&a);
	return 0;
}
