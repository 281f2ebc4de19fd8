/* value_check.h - what may stand in Traefik's document as a value.
 *
 * The self-check's own idea of names, hosts, rules and URLs, on purpose: it must not share a
 * mistake with the parsers that made them.  Pure.
 */
#ifndef PROVIDER_TRAEFIK_VALUE_CHECK_H
#define PROVIDER_TRAEFIK_VALUE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

/* Takes a literal off the front. */
static inline bool
span_skip(struct span *s, const char *literal)
{
	size_t n = strlen(literal);
	if (s->n < n || memcmp(s->p, literal, n))
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

/* Takes what stands before the character off the front; all where it is not there. */
static inline struct span
span_until(struct span *s, char c)
{
	const char *at = memchr(s->p, c, s->n);
	struct span value = {s->p, at ? (size_t)(at - s->p) : s->n};
	s->p += value.n;
	s->n -= value.n;
	return value;
}

/* How many digits it begins with. */
size_t span_digits(struct span s);

/* Of routers, services, entry points: letters, digits, '.', '_' and '-'. */
bool value_is_name(struct span s);
/* "headers@file": of another provider, which Traefik looks for by itself. */
bool value_is_foreign(struct span s);
/* Either. */
bool value_is_middleware(struct span s);
/* "/a/b": no slash at the end, no empty and no dot segment. */
bool value_is_path(struct span s);
/* Host(`h`), or Host(`h`) && (Path(`/p`) || PathPrefix(`/p/`)), and nothing else. */
bool value_is_rule(struct span s);
/* scheme://host:port, the host perhaps an address in brackets. */
bool value_is_url(struct span s);
/* A host, perhaps with "*." before it. */
bool value_is_domain(struct span s);
/* "10.0.0.0/8", "fd00::/8". */
bool value_is_network(struct span s);
/* "name:hash". */
bool value_is_user(struct span s);

#endif
