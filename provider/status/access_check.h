/* access_check.h - who may ask: tokens and the name they ask under.  Pure. */
#ifndef PROVIDER_STATUS_ACCESS_CHECK_H
#define PROVIDER_STATUS_ACCESS_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "provider/cli/config.h"

/* Is the Host header a name that only programs on this machine use, so no web page that has its
 * own name point here: an address, localhost or below it, or nothing at all? */
bool access_host_is_local(const char *host);

/* Which token is it that an Authorization header shows, as a bearer or as the password of basic
 * authentication?  NULL: none of these.  Digests are compared in constant time. */
const struct config_token *access_find_token(
	const struct config_token *tokens, size_t n, const char *authorization);

#endif
