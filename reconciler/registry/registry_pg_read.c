#include "reconciler/registry/registry_pg_read.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>
#include <uthash.h>

#include "reconciler/base/json.h"
#include "reconciler/registry/registry_reader.h"
#include "reconciler/registry/registry_rows_parse.h"
#include "reconciler/registry/registry_sql.h"

/* The server gives up after ten. */
#define ANSWER_MS 15000
#define SLICE_NS 4000000
#define DIGEST_SIZE 16
#define ROW_COLUMNS_MAX 200
#define RAW_MAX ((size_t)64 << 20)

/* What was believed of an entry.  Its name begins with the kind: "pblog", "sws.codeb.kr". */
struct entry {
	UT_hash_handle hh;
	uint8_t digest[DIGEST_SIZE];
	char name[];
};

struct texts {
	const char **p;
	size_t n;
};

struct registry_pg_read {
	struct registry_pg_read_options o;
	struct registry_rows_options rows_options;
	char *sql; /* NULL: own tables */
	uv_idle_t idle; /* runs while rows are decoded */
	bool busy;
	struct arena names_arena;
	const char **names;
	size_t nnames;
	char *fault; /* what the server gave is none */

	/* Own tables. */
	struct entry *believed, *found;
	struct registry_reading *reading;
	struct texts owners, kept_projects, kept_statics;

	/* Somebody else's. */
	struct buf raw; /* for each cell a byte that says whether it is NULL, its text and a NUL */
	size_t ncolumns, at; /* of raw is decoded */
	struct sha256_ctx hash;
	uint8_t digest[DIGEST_SIZE], believed_digest[DIGEST_SIZE];
	bool has_digest;
	struct registry_rows *rows;
};

static void
texts_add(struct texts *t, const char *text)
{
	if (!(t->n & (t->n - 1)))
		t->p = xrealloc(t->p, (t->n ? 2 * t->n : 1) * sizeof(*t->p));
	t->p[t->n++] = text;
}

static void
texts_finish(struct texts *t)
{
	free(t->p);
	*t = (struct texts){0};
}

/* -- entries -- */

static void
entries_finish(struct entry **entries)
{
	struct entry *e, *next;

	HASH_ITER(hh, *entries, e, next)
	{
		HASH_DEL(*entries, e);
		free(e);
	}
}

static struct entry *
entry_add(struct entry **entries, const char *kind, const char *name, const uint8_t *digest)
{
	size_t n = strlen(name) + 1;
	struct entry *e = xmalloc(sizeof(*e) + 1 + n);

	e->name[0] = *kind;
	memcpy(e->name + 1, name, n);
	memcpy(e->digest, digest, DIGEST_SIZE);
	HASH_ADD_STR(*entries, name, e);
	return e;
}

static struct entry *
entry_find(struct entry *entries, const char *name)
{
	struct entry *e;
	HASH_FIND_STR(entries, name, e);
	return e;
}

static void
entry_drop(struct entry **entries, const char *name)
{
	struct buf key = {0};
	struct entry *e;

	buf_addf(&key, "p%s", name);
	e = entry_find(*entries, key.p);
	if (e)
		HASH_DEL(*entries, e);
	free(e);
	buf_finish(&key);
}

/* -- the end of a read -- */

static void
forget(struct registry_pg_read *r)
{
	entries_finish(&r->found);
	registry_reading_destroy(r->reading);
	registry_rows_destroy(r->rows);
	r->reading = NULL;
	r->rows = NULL;
	texts_finish(&r->owners);
	texts_finish(&r->kept_projects);
	texts_finish(&r->kept_statics);
	buf_finish(&r->raw);
	free(r->fault);
	r->fault = NULL;
	arena_finish(&r->names_arena);
	r->names = NULL;
	r->nnames = r->ncolumns = r->at = 0;
}

void
registry_pg_read_stop(struct registry_pg_read *r)
{
	uv_idle_stop(&r->idle);
	r->busy = false;
	forget(r);
}

/* done may start the next. */
static void
finish(struct registry_pg_read *r, struct registry_pg_reading *reading)
{
	struct err e;

	if (r->fault)
		err_set(&e, EPROTO, "%s", r->fault);
	r->busy = false;
	uv_idle_stop(&r->idle);
	reading->names = r->names;
	reading->nnames = r->nnames;
	r->o.done(r->o.arg, r->fault ? NULL : reading, "", r->fault ? &e : NULL);
	if (!r->busy)
		forget(r);
}

static void
note_fault(struct registry_pg_read *r, const char *text)
{
	if (!r->fault)
		r->fault = xstrdup(text);
}

/* -- own tables -- */

static void
digest_of(const char *text, size_t n, uint8_t *ret)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, n, (const uint8_t *)text);
	sha256_digest(&ctx, DIGEST_SIZE, ret);
}

static bool
decode_project(struct registry_pg_read *r, const char *name, const json_t *json)
{
	struct registered_project *p = registry_parse_project(name, json, r->o.entries, r->reading);

	if (p)
		registry_reading_add_project(r->reading, p);
	else
		registry_reading_bad_project(r->reading, name);
	return p;
}

static bool
decode_static(struct registry_pg_read *r, const char *host, const json_t *json)
{
	struct registered_static *s = registry_parse_static(host, json, r->o.entries, r->reading);

	if (s)
		registry_reading_add_static(r->reading, s);
	else
		registry_reading_bad_static(r->reading, host);
	return s;
}

static bool
decode_entry(struct registry_pg_read *r, const char *kind, const char *name, const char *text)
{
	json_t *json = json_read(text, strlen(text));
	bool is_project = *kind == 'p';
	bool ok = is_project ? decode_project(r, name, json) : decode_static(r, name, json);

	json_decref(json);
	/* Its owner lives as long as the reading, of which it is a bad one where there is a fault.
	 */
	while (r->owners.n < r->reading->nfaults)
		texts_add(&r->owners, is_project ? arena_strdup(&r->reading->arena, name) : NULL);
	return ok;
}

static void
read_entry(struct registry_pg_read *r, const char *kind, const char *name, const char *text)
{
	struct texts *kept = *kind == 'p' ? &r->kept_projects : &r->kept_statics;
	uint8_t digest[DIGEST_SIZE];

	digest_of(text, strlen(text), digest);
	struct entry *e = entry_add(&r->found, kind, name, digest);
	struct entry *last = r->nnames ? NULL : entry_find(r->believed, e->name);
	if (last && memcmp(last->digest, digest, DIGEST_SIZE) == 0)
		texts_add(kept, e->name + 1);
	else if (!decode_entry(r, kind, name, text))
		memset(e->digest, 0, DIGEST_SIZE); /* look at it again, for its fault */
}

static void
on_entry(void *arg, const PGresult *row)
{
	struct registry_pg_read *r = arg;

	if (PQnfields(row) != 3 || PQgetisnull(row, 0, 0) || PQgetisnull(row, 0, 1))
		note_fault(r, "waymark.entry gives something else than names and entries");
	else
		read_entry(r, PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1), PQgetvalue(row, 0, 2));
}

static void
finish_entries(struct registry_pg_read *r)
{
	registry_reading_seal(r->reading);
	finish(r, &(struct registry_pg_reading){
			  .reading = r->reading,
			  .owners = r->owners.p,
			  .nkept_projects = r->kept_projects.n,
			  .nkept_statics = r->kept_statics.n,
			  .kept_projects = r->kept_projects.p,
			  .kept_statics = r->kept_statics.p,
		  });
}

/* -- somebody else's tables -- */

static void
read_columns(struct registry_pg_read *r, const PGresult *row)
{
	const char *names[ROW_COLUMNS_MAX];
	struct err e;

	r->ncolumns = (size_t)PQnfields(row);
	if (r->ncolumns > ROW_COLUMNS_MAX) {
		note_fault(r, "the query gives more than 200 columns");
		return;
	}
	for (size_t i = 0; i < r->ncolumns; i++)
		names[i] = PQfname(row, (int)i);
	if (registry_rows_columns(r->rows, r->ncolumns, names, &e) < 0)
		note_fault(r, e.text);
	for (size_t i = 0; i < r->ncolumns; i++)
		sha256_update(&r->hash, strlen(names[i]) + 1, (const uint8_t *)names[i]);
}

static void
on_row(void *arg, const PGresult *row)
{
	struct registry_pg_read *r = arg;
	size_t begin = r->raw.n;

	if (!r->ncolumns && !r->fault)
		read_columns(r, row);
	if (r->raw.n > RAW_MAX)
		note_fault(r, "the query gives more than 64 MiB");
	if (r->fault)
		return;
	for (int i = 0; i < PQnfields(row); i++) {
		buf_add(&r->raw, PQgetisnull(row, 0, i) ? "n" : "t", 1);
		buf_add(&r->raw, PQgetvalue(row, 0, i), (size_t)PQgetlength(row, 0, i) + 1);
	}
	sha256_update(&r->hash, r->raw.n - begin, (const uint8_t *)r->raw.p + begin);
}

static void
decode_row(struct registry_pg_read *r)
{
	const char *cells[ROW_COLUMNS_MAX];

	for (size_t i = 0; i < r->ncolumns; i++) {
		const char *cell = r->raw.p + r->at;
		cells[i] = *cell == 't' ? cell + 1 : NULL;
		r->at += 1 + strlen(cell + 1) + 1;
	}
	registry_rows_add(r->rows, cells);
}

static void
on_idle(uv_idle_t *idle)
{
	struct registry_pg_read *r = idle->data;
	struct registry_pg_reading reading = {0};
	uint64_t end = uv_hrtime() + SLICE_NS;

	while (r->at < r->raw.n && uv_hrtime() < end)
		decode_row(r);
	if (r->at < r->raw.n)
		return;
	r->reading = registry_rows_end(r->rows, &reading.owners);
	r->rows = NULL;
	reading.reading = r->reading;
	finish(r, &reading);
}

static void
finish_rows(struct registry_pg_read *r)
{
	sha256_digest(&r->hash, DIGEST_SIZE, r->digest);
	bool same = !r->nnames && r->has_digest &&
		    memcmp(r->digest, r->believed_digest, DIGEST_SIZE) == 0;
	if (same || r->fault)
		finish(r, &(struct registry_pg_reading){.unchanged = same});
	else
		uv_idle_start(&r->idle, on_idle);
}

/* -- both -- */

static void
on_done(void *arg, const PGresult *result, const char *sqlstate, const struct err *e)
{
	struct registry_pg_read *r = arg;

	if (!result) {
		r->busy = false;
		r->o.done(r->o.arg, NULL, sqlstate, e);
		if (!r->busy)
			forget(r);
		return;
	}
	if (!r->sql) {
		finish_entries(r);
		return;
	}
	if (!r->ncolumns && !r->fault)
		read_columns(r, result);
	finish_rows(r);
}

static void
copy_names(struct registry_pg_read *r, const char *const *names, size_t n)
{
	r->nnames = n;
	if (n)
		r->names = ARENA_ARRAY(&r->names_arena, const char *, n);
	for (size_t i = 0; i < n; i++)
		r->names[i] = arena_strdup(&r->names_arena, names[i]);
}

static void
ask(struct registry_pg_read *r, const char *sql, const char *array)
{
	pgc_ask(r->o.pg, &(struct pgc_query){
				 .sql = sql,
				 .nparams = array ? 1 : 0,
				 .params = &array,
				 .timeout_ms = ANSWER_MS,
				 .on_row = r->sql ? on_row : on_entry,
				 .on_done = on_done,
				 .arg = r,
			 });
}

void
registry_pg_read_start(struct registry_pg_read *r, const char *const *names, size_t n)
{
	struct buf sql = {0}, array = {0};

	assert(!r->busy);
	forget(r);
	r->busy = true;
	copy_names(r, names, n);
	if (n)
		registry_sql_array(&array, names, n);
	if (r->sql) {
		r->rows = registry_rows_create(&r->rows_options);
		sha256_init(&r->hash);
		registry_sql_rows(&sql, r->sql, n > 0);
	} else {
		r->reading = registry_reading_create();
		buf_adds(&sql, n ? registry_sql_own_some : registry_sql_own);
	}
	ask(r, sql.p, n ? array.p : NULL);
	buf_finish(&sql);
	buf_finish(&array);
}

bool
registry_pg_read_is_busy(const struct registry_pg_read *r)
{
	return r->busy;
}

/* A project that was read by itself is not as the whole was: that has to be decoded once more. */
void
registry_pg_read_believe(struct registry_pg_read *r)
{
	struct entry *e, *next;

	if (r->sql) {
		r->has_digest = !r->nnames;
		memcpy(r->believed_digest, r->digest, DIGEST_SIZE);
		return;
	}
	if (!r->nnames)
		entries_finish(&r->believed);
	for (size_t i = 0; i < r->nnames; i++)
		entry_drop(&r->believed, r->names[i]);
	/* The kept names are in the entries, which stay where they are. */
	HASH_ITER(hh, r->found, e, next)
	{
		HASH_DEL(r->found, e);
		HASH_ADD_STR(r->believed, name, e);
	}
}

void
registry_pg_read_use(struct registry_pg_read *r, const char *sql)
{
	if ((sql && r->sql && !strcmp(sql, r->sql)) || (!sql && !r->sql))
		return;
	free(r->sql);
	r->sql = sql ? xstrdup(sql) : NULL;
	r->has_digest = false;
	entries_finish(&r->believed);
}

struct registry_pg_read *
registry_pg_read_create(uv_loop_t *loop, const struct registry_pg_read_options *o)
{
	struct registry_pg_read *r = xcalloc(1, sizeof(*r));

	r->o = *o;
	r->rows_options = (struct registry_rows_options){
		.source = o->entries->source,
		.file = o->entries->file,
		.base_domain = o->base_domain,
	};
	uv_idle_init(loop, &r->idle);
	r->idle.data = r;
	return r;
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
registry_pg_read_destroy(struct registry_pg_read *r)
{
	if (!r)
		return;
	registry_pg_read_stop(r);
	entries_finish(&r->believed);
	free(r->sql);
	uv_close((uv_handle_t *)&r->idle, on_closed);
}
