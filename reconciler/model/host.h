/* host.h - parsing what outsiders write into host names, ports, paths and durations.  Pure. */
#ifndef RECONCILER_MODEL_HOST_H
#define RECONCILER_MODEL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"

#define HOST_MAX 253
#define HOST_LABEL_MAX 63

/* A host name in canonical form (lower case, no trailing dot) in the arena.  Letters, digits and
 * inner hyphens in labels of 1 to 63 octets, 253 in all, and not an IP address.  International
 * names must be given in their xn-- form.  RFC 1123, section 2.1. */
int host_parse(struct arena *a, const char *text, const char **ret, struct err *reterr);

/* Is host equal to domain, or below it?  Both canonical. */
bool host_is_under(const char *host, const char *domain);
/* Is it exactly one label below the domain?  Then that label's length is stored. */
bool host_is_directly_under(const char *host, const char *domain, size_t *ret_label);

/* 1 to 65535 in decimal digits, nothing else. */
int port_parse(const char *text, uint16_t *ret, struct err *reterr);

/* A path prefix: starts with '/', segments of unreserved characters (RFC 3986: letters, digits,
 * "-._~"), no empty, "." or ".." segment, at most 255 octets; a trailing slash is dropped, so that
 * "/" becomes "". */
int path_parse(struct arena *a, const char *text, const char **ret, struct err *reterr);

/* "true", "false", "1", "0", "yes", "no", "on", "off", in any case. */
int bool_parse(const char *text, bool *ret, struct err *reterr);

/* "250ms", "2s", "5m", "48h", "7d", or digits alone for seconds; at most 10 years. */
int duration_parse(const char *text, uint64_t *ret_ms, struct err *reterr);

/* An upstream: http, https or h2c, a host name or address, a port; no user, path or query.  Stored
 * in canonical form, always with its port. */
int upstream_parse(struct arena *a, const char *text, const char **ret, struct err *reterr);

/* As much of what an outsider wrote as a message should show, never half a character:
 * err_set(reterr, EINVAL, "not a port: '%s'", host_shown(text).text). */
struct host_shown {
	char text[72];
};
struct host_shown host_shown(const char *text);

/* An IPv4 or IPv6 address in canonical text, into ret (46 bytes); false where it is none. */
bool address_parse(const char *text, char *ret, bool *ret_v6);

/* An address, or a network as "10.0.0.0/8": canonical, with its prefix's length and without bits
 * beyond it, in the arena.  False where it is none. */
bool network_parse(struct arena *a, const char *text, const char **ret);

#endif
