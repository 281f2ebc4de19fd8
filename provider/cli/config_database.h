/* config_database.h - where a PostgreSQL database is: a URL or libpq's keywords, checked.
 *
 * A password may stand in it, so no message shows more of it than the names of its parameters.
 */
#ifndef PROVIDER_CLI_CONFIG_DATABASE_H
#define PROVIDER_CLI_CONFIG_DATABASE_H

#include <stdbool.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"

#define DATABASE_URL_REMEDY                                                                        \
	"write postgres://USER@HOST:5432/DATABASE; in a password %40 stands for @, %3A for :, "    \
	"%2F for / and %25 for %"

/* Can a connection be made of it?  0, or -EINVAL with what is wrong. */
int database_url_check(const char *url, struct err *reterr);
/* Does a password stand in it?  It was checked. */
bool database_url_has_password(const char *url);

/* The URL without the parameters that only other clients know (pool_max_conns, schema), in the
 * arena, and their names in *ret_dropped, with commas ("": none).  Whatever it is. */
const char *database_url_trim(struct arena *a, const char *url, const char **ret_dropped);

#endif
