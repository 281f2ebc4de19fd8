/* pgc_url.h - where a PostgreSQL connection goes: a URI or libpq's keywords, read into its hosts.
 *
 * libpq would look up names by itself, and wait for that; so its hosts stand here one by one, to be
 * looked up on the loop and tried in turn.  The text holds a password as a rule: no message says
 * any of it, for where it is malformed any part may be the password.
 */
#ifndef RECONCILER_BASE_PGC_URL_H
#define RECONCILER_BASE_PGC_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"

struct pgc_host {
	const char *name; /* a host name or address, or a socket's folder; NULL: as libpq has it */
	const char *address; /* given beside the name (hostaddr); NULL: not */
	const char *port;
};

struct pgc_url {
	struct arena arena;
	size_t nhosts; /* at least one */
	const struct pgc_host *hosts;
	size_t nkeys; /* all that is not a host, with its value */
	const char *const *keys;
	const char *const *values;
	const char *address; /* "db1:5432,db2:5432/name" for people: no user, no password */
};

/* -EINVAL with what is wrong, in words that hold nothing of the text.  What to do about it is
 * always the same. */
#define PGC_URL_REMEDY                                                                             \
	"write postgres://user@host:5432/database, with the password in a file of its own, or in " \
	"the URL with %40 for @, %2F for /, %3A for : and %25 for %"
int pgc_url_parse(const char *text, struct pgc_url *ret, struct err *reterr);
void pgc_url_finish(struct pgc_url *u);

/* The value of a key; NULL where it is not given. */
const char *pgc_url_value(const struct pgc_url *u, const char *key);

/* A folder, or an abstract name: nothing to look up. */
bool pgc_host_is_socket(const struct pgc_host *h);

#endif
