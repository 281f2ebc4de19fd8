/* registry_sql.h - what is asked of PostgreSQL: the texts, one statement each. */
#ifndef RECONCILER_REGISTRY_REGISTRY_SQL_H
#define RECONCILER_REGISTRY_REGISTRY_SQL_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/buf.h"

/* The channel of Waymark's own tables (schema/registry.sql). */
#define REGISTRY_SQL_CHANNEL "waymark_registry"

/* For the session, as `options` in the connection's start.  They are not SET, for through a pooler
 * that would be somebody else's session.  (Of 10,000 projects compiling took 230 ms of 670.) */
#define REGISTRY_SQL_SETTINGS                                                                      \
	"-c statement_timeout=10s -c default_transaction_read_only=on -c DateStyle=ISO "           \
	"-c TimeZone=UTC -c jit=off"

/* One row: the columns of this enum. */
extern const char registry_sql_hello[];
enum {
	HELLO_BACKEND, /* the process that really serves */
	HELLO_RECOVERY, /* "t": a standby, where nothing can be listened to */
	HELLO_OWN, /* "t": Waymark's own tables are there */
	HELLO_MVP, /* "t": apps and deployments are there */
	HELLO_SETTINGS, /* "t": the settings above are in force */
	HELLO_COUNT,
};

/* The settings, where they were not taken at the start and the session is known to be ours. */
extern const char registry_sql_set[];

/* Waymark's own tables: rows of kind ('p' or 's'), name, and the entry's JSON. */
extern const char registry_sql_own[];
/* Those projects that $1, an array of texts, names. */
extern const char registry_sql_own_some[];

/* The MVP backend's apps and deployments, as rows of deployments. */
extern const char registry_sql_mvp[];

/* Wraps the operator's query; some: of the projects in $1 only. */
void registry_sql_rows(struct buf *b, const char *sql, bool some);

/* {"a","b"} */
void registry_sql_array(struct buf *b, const char *const *texts, size_t n);
/* LISTEN or UNLISTEN on a channel. */
void registry_sql_channel(struct buf *b, const char *verb, const char *channel);

#endif
