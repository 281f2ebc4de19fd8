#include "reconciler/registry/registry_sql.h"

#include <string.h>

/* The catalogue tells without a privilege on the schema, where to_regclass fails. */
const char registry_sql_hello[] =
	"SELECT pg_backend_pid(), pg_is_in_recovery(), "
	"EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
	"ON n.oid = c.relnamespace WHERE n.nspname = 'waymark' AND c.relname = 'entry'), "
	"to_regclass('apps') IS NOT NULL AND to_regclass('deployments') IS NOT NULL, "
	"current_setting('default_transaction_read_only') = 'on' AND "
	"current_setting('DateStyle') LIKE 'ISO%'";

const char registry_sql_set[] = "SELECT set_config('statement_timeout', '10s', false), "
				"set_config('default_transaction_read_only', 'on', false), "
				"set_config('DateStyle', 'ISO', false), "
				"set_config('TimeZone', 'UTC', false)";

#define OWN_PROJECTS "SELECT 'p', name, entry::text FROM waymark.entry"

const char registry_sql_own[] =
	OWN_PROJECTS " UNION ALL SELECT 's', host, entry::text FROM waymark.static_entry";
const char registry_sql_own_some[] = OWN_PROJECTS " WHERE name = ANY ($1::text[])";

/* The columns' names differ between versions, and SQL refuses a column that is not there.  But a
 * name that the table of a LATERAL query does not have is looked for one level further out, where
 * each of them stands once more as NULL.  (to_jsonb of the row would tolerate it, too, and read
 * every build log each time.)  Without times the deployments stand in the order of their numbers.
 */
const char registry_sql_mvp[] =
	"SELECT app.project, d.status,"
	" coalesce(d.name, app.project || '-' || d.id) AS container,"
	" coalesce(d.host, app.project || '-' || d.id) AS hosts,"
	" d.created_at"
	" FROM (SELECT NULL::text AS name, NULL::text AS slug, NULL::timestamptz AS deleted_at)"
	" AS no_app"
	" CROSS JOIN LATERAL ("
	"SELECT id::text AS id, lower(coalesce(nullif(slug::text, ''), name::text)) AS project"
	" FROM apps WHERE deleted_at IS NULL) AS app"
	" LEFT JOIN ("
	"SELECT found.* FROM (SELECT NULL::text AS app_id, NULL::text AS \"appId\","
	" NULL::text AS application_id, NULL::text AS status, NULL::text AS state,"
	" NULL::text AS container_name, NULL::text AS \"containerName\","
	" NULL::text AS subdomain, NULL::text AS created_at, NULL::text AS \"createdAt\","
	" NULL::timestamptz AS deleted_at) AS no_deployment"
	" CROSS JOIN LATERAL ("
	"SELECT id::text AS id,"
	" coalesce(app_id::text, \"appId\"::text, application_id::text) AS app,"
	" coalesce(status::text, state::text) AS status,"
	" nullif(coalesce(container_name::text, \"containerName\"::text), '') AS name,"
	" nullif(lower(subdomain::text), '') AS host,"
	" coalesce(created_at::text, \"createdAt\"::text) AS created_at"
	" FROM deployments WHERE deleted_at IS NULL) AS found"
	") AS d ON d.app = app.id"
	" ORDER BY length(d.id), d.id COLLATE \"C\"";

/* A comment at the end must not swallow what comes after it. */
void
registry_sql_rows(struct buf *b, const char *sql, bool some)
{
	size_t n = strlen(sql);
	while (n && strchr("; \t\r\n", sql[n - 1]))
		n--;
	buf_adds(b, "SELECT * FROM (\n");
	buf_add(b, sql, n);
	buf_adds(b, "\n) AS deployments");
	if (some)
		buf_adds(b, " WHERE deployments.project::text = ANY ($1::text[])");
}

static void
add_quoted(struct buf *b, const char *text, const char *special, char escape)
{
	buf_adds(b, "\"");
	for (; *text; text++) {
		if (strchr(special, *text))
			buf_add(b, &escape, 1);
		buf_add(b, text, 1);
	}
	buf_adds(b, "\"");
}

void
registry_sql_array(struct buf *b, const char *const *texts, size_t n)
{
	buf_adds(b, "{");
	for (size_t i = 0; i < n; i++) {
		buf_adds(b, i ? "," : "");
		add_quoted(b, texts[i], "\"\\", '\\');
	}
	buf_adds(b, "}");
}

void
registry_sql_channel(struct buf *b, const char *verb, const char *channel)
{
	buf_adds(b, verb);
	buf_adds(b, " ");
	add_quoted(b, channel, "\"", '"');
}
