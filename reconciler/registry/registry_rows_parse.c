#include "reconciler/registry/registry_rows_parse.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <uthash.h>

#include "reconciler/base/utf8.h"
#include "reconciler/model/host.h"
#include "reconciler/model/slug.h"
#include "reconciler/registry/registry_cells_parse.h"
#include "reconciler/registry/registry_reader.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NAME_MAX_OCTETS 128
#define BRANCH_MAX_OCTETS 255
#define CONTAINER_MAX_OCTETS 255
#define WHITE " \t\r\n"

enum column {
	COLUMN_PROJECT,
	COLUMN_ENVIRONMENT,
	COLUMN_BRANCH,
	COLUMN_SLOT,
	COLUMN_STATUS,
	COLUMN_CONTAINER,
	COLUMN_HOSTS,
	COLUMN_PORT,
	COLUMN_CREATED_AT,
	COLUMN_COUNT,
};

static const char *const column_texts[COLUMN_COUNT] = {"project", "environment", "branch", "slot",
	"status", "container", "hosts", "port", "created_at"};

static const struct {
	const char *text;
	enum deployment_status status;
} statuses[] = {
	{"running", DEPLOYMENT_RUNNING},
	{"active", DEPLOYMENT_RUNNING},
	{"live", DEPLOYMENT_RUNNING},
	{"success", DEPLOYMENT_RUNNING},
	{"ready", DEPLOYMENT_RUNNING},
	{"healthy", DEPLOYMENT_RUNNING},
	{"pending", DEPLOYMENT_PENDING},
	{"building", DEPLOYMENT_PENDING},
	{"queued", DEPLOYMENT_PENDING},
	{"deploying", DEPLOYMENT_PENDING},
	{"starting", DEPLOYMENT_PENDING},
	{"created", DEPLOYMENT_PENDING},
	{"standby", DEPLOYMENT_STANDBY},
	{"deployed", DEPLOYMENT_STANDBY},
	{"grace", DEPLOYMENT_STANDBY},
	{"grace-period", DEPLOYMENT_STANDBY},
	{"inactive", DEPLOYMENT_STANDBY},
	{"failed", DEPLOYMENT_FAILED},
	{"error", DEPLOYMENT_FAILED},
	{"stopped", DEPLOYMENT_FAILED},
	{"cancelled", DEPLOYMENT_FAILED},
	{"canceled", DEPLOYMENT_FAILED},
	{"removed", DEPLOYMENT_FAILED},
	{"deleted", DEPLOYMENT_FAILED},
	{"empty", DEPLOYMENT_FAILED},
};

/* A project while its rows come. */
struct gathering {
	UT_hash_handle hh;
	char label[SLUG_MAX + 1]; /* the key: no two projects may share a host label */
	struct registered_project *p;
	struct registered_deployment *rows;
	size_t n, seen;
	bool bad;
};

struct registry_rows {
	const struct registry_rows_options *o;
	struct registry_reading *reading;
	struct gathering *gatherings;
	size_t ncolumns;
	int at[COLUMN_COUNT]; /* which cell; -1: none */
	size_t nrows;
	const char **owners; /* of faults */
};

/* One row while it is read. */
struct row {
	struct registry_rows *r;
	const char *const *cells;
	struct gathering *g;
	struct arena *a;
	bool bad;
};

/* -- faults -- */

static void
add_fault(struct registry_rows *r, const char *owner, const char *path, const char *what,
	const char *remedy)
{
	struct registry_reading *to = r->reading;
	size_t n = to->nfaults;
	struct registry_fault f = {
		.file = r->o->file, .path = path, .what = what, .remedy = remedy};

	registry_reading_fault(to, &f);
	if (to->nfaults == n)
		return;
	r->owners = xrealloc(r->owners, to->nfaults * sizeof(*r->owners));
	r->owners[n] = arena_strdup(&to->arena, owner);
}

__attribute__((format(printf, 4, 5))) static void
complain(struct row *row, enum column c, const char *remedy, const char *fmt, ...)
{
	const char *name = row->g ? row->g->p->name : NULL;
	char what[512], path[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (name)
		snprintf(path, sizeof(path), "row of project %s: %s", host_shown(name).text,
			column_texts[c]);
	else
		snprintf(path, sizeof(path), "row %zu: %s", row->r->nrows, column_texts[c]);
	add_fault(row->r, name, path, what, remedy);
}

/* -- cells -- */

/* NULL where it is NULL, absent, or nothing but white space. */
static const char *
cell(const struct row *row, enum column c)
{
	int at = row->r->at[c];
	const char *text = at < 0 ? NULL : row->cells[at];
	return text && text[strspn(text, WHITE)] ? text : NULL;
}

static bool
is_utf8(const char *s)
{
	size_t n = strlen(s), len;
	uint32_t c;

	for (; n; s += len, n -= len) {
		len = utf8_decode(s, n, &c);
		if (!len || c < 0x20 || c == 0x7f)
			return false;
	}
	return true;
}

static char *
lower_copy(struct arena *a, const char *s)
{
	char *copy = arena_strdup(a, s);
	for (char *p = copy; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return copy;
}

/* The name of an environment or slot. */
static const char *
read_word(struct row *row, enum column c, const char *otherwise)
{
	const char *text = cell(row, c);
	if (!text)
		return otherwise;

	const char *word = lower_copy(row->a, text);
	if (registry_word_ok(word))
		return word;
	complain(row, c, "let the query give at most 32 of a-z and 0-9", "not a name: '%s'",
		host_shown(text).text);
	row->bad = true;
	return otherwise;
}

static enum deployment_status
read_status(struct row *row)
{
	const char *text = cell(row, COLUMN_STATUS);

	for (size_t i = 0; text && i < COUNT(statuses); i++)
		if (strcasecmp(text, statuses[i].text) == 0)
			return statuses[i].status;
	if (text)
		complain(row, COLUMN_STATUS,
			"let the query give running, pending, standby or failed; it gets no "
			"traffic until then",
			"not a status that is known: '%s'", host_shown(text).text);
	return row->r->at[COLUMN_STATUS] < 0 ? DEPLOYMENT_RUNNING : DEPLOYMENT_PENDING;
}

static const char *
read_branch(struct row *row)
{
	const char *text = cell(row, COLUMN_BRANCH);

	if (!text)
		return "";
	if (strlen(text) <= BRANCH_MAX_OCTETS && is_utf8(text))
		return arena_strdup(row->a, text);
	complain(row, COLUMN_BRANCH, "let the query give the branch's name",
		"not the name of a Git branch: '%s'", host_shown(text).text);
	row->bad = true;
	return "";
}

/* What engines allow (moby daemon/names/names.go): letters, digits, and inside "_.-". */
static const char *
read_container(struct row *row)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	const char *text = cell(row, COLUMN_CONTAINER);
	if (!text)
		return NULL;

	const char *name = *text == '/' ? text + 1 : text;
	size_t n = strspn(name, letters);
	while (n && name[n] && (strchr("_.-", name[n]) || strchr(letters, name[n])))
		n++;
	if (n && !name[n] && n <= CONTAINER_MAX_OCTETS)
		return arena_strndup(row->a, name, n);
	complain(row, COLUMN_CONTAINER,
		"let the query give the container's name, or 12 to 64 digits of its id",
		"not the name of a container: '%s'", host_shown(text).text);
	row->bad = true;
	return NULL;
}

/* Programs write 0 where they do not know. */
static uint16_t
read_port(struct row *row)
{
	const char *text = cell(row, COLUMN_PORT);
	uint16_t port = 0;
	struct err e;

	if (!text || strcmp(text, "0") == 0)
		return 0;
	if (port_parse(text, &port, &e) == 0)
		return port;
	complain(
		row, COLUMN_PORT, "let the query give the container's port, or NULL", "%s", e.text);
	row->bad = true;
	return 0;
}

static void
read_hosts(struct row *row, struct registered_deployment *d)
{
	const char *text = cell(row, COLUMN_HOSTS);
	struct err e;

	if (!text || registry_cell_hosts(
			     row->a, text, row->r->o->base_domain, &d->hosts, &d->nhosts, &e) == 0)
		return;
	complain(row, COLUMN_HOSTS, "let the query give an array of host names", "%s", e.text);
	row->bad = true;
}

static uint64_t
read_created(struct row *row)
{
	const char *text = cell(row, COLUMN_CREATED_AT);
	uint64_t ms;

	if (!text)
		return row->g->seen; /* the order of the rows, before all that have a time */
	if (registry_cell_time(text, &ms))
		return ms;
	complain(row, COLUMN_CREATED_AT,
		"let the query give a timestamptz (with DateStyle ISO), or seconds or "
		"milliseconds since 1970",
		"not a time: '%s'", host_shown(text).text);
	row->bad = true;
	return 0;
}

/* -- rows -- */

static struct gathering *
gathering_create(struct registry_rows *r, const char *name, const char *label)
{
	struct gathering *g = xcalloc(1, sizeof(*g));

	snprintf(g->label, sizeof(g->label), "%s", label);
	g->p = registered_project_create(r->o->source, r->o->file, name);
	g->p->has_deployments = true;
	HASH_ADD_STR(r->gatherings, label, g);
	return g;
}

/* NULL with a fault where the row is nobody's. */
static struct gathering *
find_project(struct row *row)
{
	static const char remedy[] =
		"let the query give a name of letters, digits and hyphens, at most 63 of them";
	const char *name = cell(row, COLUMN_PROJECT);
	char label[SLUG_MAX + 1];
	struct gathering *g;

	if (!name) {
		complain(row, COLUMN_PROJECT, remedy, "it is NULL or empty");
		return NULL;
	}
	if (strlen(name) > NAME_MAX_OCTETS || !is_utf8(name) ||
		!slug_name(name, label, sizeof(label))) {
		complain(row, COLUMN_PROJECT, remedy,
			"no host label of at most 63 octets can be made of '%s'",
			host_shown(name).text);
		return NULL;
	}
	HASH_FIND_STR(row->r->gatherings, label, g);
	if (!g)
		return gathering_create(row->r, name, label);
	if (strcmp(g->p->name, name) == 0)
		return g;
	complain(row, COLUMN_PROJECT, "rename one of the two, or leave it out",
		"the host label '%s' of '%s' is that of the project '%s' already", label,
		host_shown(name).text, host_shown(g->p->name).text);
	return NULL;
}

/* The row of a project that has no deployment, as a LEFT JOIN gives it. */
static bool
only_registers(const struct row *row)
{
	if (cell(row, COLUMN_STATUS) || cell(row, COLUMN_CONTAINER) || cell(row, COLUMN_HOSTS))
		return false;
	return row->r->at[COLUMN_STATUS] >= 0 ||
	       !(cell(row, COLUMN_ENVIRONMENT) || cell(row, COLUMN_BRANCH) ||
		       cell(row, COLUMN_SLOT) || cell(row, COLUMN_PORT));
}

static void
read_deployment(struct row *row, struct registered_deployment *d)
{
	d->branch = read_branch(row);
	d->environment = read_word(row, COLUMN_ENVIRONMENT, *d->branch ? "preview" : "production");
	if (strcmp(d->environment, "preview") != 0)
		d->branch = "";
	d->slot = read_word(row, COLUMN_SLOT, "");
	d->status = read_status(row);
	d->container = read_container(row);
	d->port = read_port(row);
	d->created_ms = read_created(row);
	read_hosts(row, d);
}

void
registry_rows_add(struct registry_rows *r, const char *const *cells)
{
	struct row row = {.r = r, .cells = cells};
	struct registered_deployment d = {0};

	r->nrows++;
	row.g = find_project(&row);
	if (!row.g || only_registers(&row))
		return;
	struct gathering *g = row.g;
	row.a = &g->p->arena;
	g->seen++;
	read_deployment(&row, &d);
	g->bad |= row.bad;
	if (row.bad)
		return;
	if (!(g->n & (g->n - 1)))
		g->rows = xrealloc(g->rows, (g->n ? 2 * g->n : 1) * sizeof(*g->rows));
	g->rows[g->n++] = d;
}

int
registry_rows_columns(
	struct registry_rows *r, size_t n, const char *const *names, struct err *reterr)
{
	char list[300] = "";
	size_t len = 0;

	for (size_t c = 0; c < COLUMN_COUNT; c++)
		for (size_t i = n; i-- > 0;)
			if (strcmp(names[i], column_texts[c]) == 0)
				r->at[c] = (int)i;
	r->ncolumns = n;
	if (r->at[COLUMN_PROJECT] >= 0)
		return 0;
	for (size_t i = 0; i < n && len < sizeof(list) - 1; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
			host_shown(names[i]).text);
	return err_set(reterr, EINVAL, "the query gives no column project, but %s",
		n ? list : "no column at all");
}

/* -- the whole -- */

struct registry_rows *
registry_rows_create(const struct registry_rows_options *o)
{
	struct registry_rows *r = xcalloc(1, sizeof(*r));

	r->o = o;
	r->reading = registry_reading_create();
	for (size_t c = 0; c < COLUMN_COUNT; c++)
		r->at[c] = -1;
	return r;
}

static void
gathering_finish(struct registry_rows *r, struct gathering *g)
{
	struct registered_project *p = g->p;
	struct registered_deployment *rows =
		ARENA_ARRAY(&p->arena, struct registered_deployment, g->n);

	if (g->n)
		memcpy(rows, g->rows, g->n * sizeof(*rows));
	p->deployments = rows;
	p->ndeployments = g->n;
	registered_project_seal(p);
	registry_reading_add_project(r->reading, p);
	if (g->bad)
		registry_reading_bad_project(r->reading, p->name);
	g->p = NULL;
}

void
registry_rows_destroy(struct registry_rows *r)
{
	struct gathering *g, *next;

	if (!r)
		return;
	HASH_ITER(hh, r->gatherings, g, next)
	{
		HASH_DEL(r->gatherings, g);
		registered_project_unref(g->p);
		free(g->rows);
		free(g);
	}
	registry_reading_destroy(r->reading);
	free(r->owners);
	free(r);
}

struct registry_reading *
registry_rows_end(struct registry_rows *r, const char *const **ret_owners)
{
	struct registry_reading *reading = r->reading;
	const char **owners = NULL;

	for (struct gathering *g = r->gatherings; g; g = g->hh.next)
		gathering_finish(r, g);
	registry_reading_seal(reading);
	if (reading->nfaults) {
		owners = ARENA_ARRAY(&reading->arena, const char *, reading->nfaults);
		memcpy(owners, r->owners, reading->nfaults * sizeof(*owners));
	}
	*ret_owners = owners;
	r->reading = NULL;
	registry_rows_destroy(r);
	return reading;
}
