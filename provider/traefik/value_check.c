#include "provider/traefik/value_check.h"

#include <arpa/inet.h>

enum {
	CLASS_NAME = 1,
	CLASS_HOST = 2,
	CLASS_PATH = 4,
	CLASS_DIGIT = 8,
	CLASS_V6 = 16,
	CLASS_LOWER = 32,
	CLASS_USER = 64
};

static unsigned
class_of(char c)
{
	bool digit = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'z';
	bool upper = c >= 'A' && c <= 'Z', hex = c >= 'a' && c <= 'f';
	unsigned all = 0;

	if (digit || lower || upper || c == '.' || c == '_' || c == '-')
		all |= CLASS_NAME | CLASS_PATH;
	if (c == '~')
		all |= CLASS_PATH;
	if (digit || lower || c == '.' || c == '-')
		all |= CLASS_HOST;
	if (digit)
		all |= CLASS_DIGIT;
	if (digit || hex || c == ':' || c == '.')
		all |= CLASS_V6;
	if (lower)
		all |= CLASS_LOWER;
	if (c > ' ' && c <= '~' && c != ':')
		all |= CLASS_USER;
	return all;
}

/* How many bytes from the front are of the class. */
static size_t
span_class(struct span s, unsigned class)
{
	size_t n = 0;
	while (n < s.n && class_of(s.p[n]) & class)
		n++;
	return n;
}

size_t
span_digits(struct span s)
{
	return span_class(s, CLASS_DIGIT);
}

bool
value_is_name(struct span s)
{
	return s.n && span_class(s, CLASS_NAME) == s.n;
}

bool
value_is_foreign(struct span s)
{
	size_t n = s.n;
	return value_is_name(span_until(&s, '@')) && span_skip(&s, "@") && s.n && n <= 128 &&
	       span_class(s, CLASS_LOWER) == s.n;
}

bool
value_is_middleware(struct span s)
{
	return value_is_name(s) || value_is_foreign(s);
}

static bool
is_host(struct span s)
{
	if (!s.n || s.n > 253 || span_class(s, CLASS_HOST) < s.n)
		return false;
	for (size_t i = 0, label = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] != '.')
			continue;
		size_t len = i - label;
		if (!len || len > 63 || s.p[label] == '-' || s.p[i - 1] == '-')
			return false;
		label = i + 1;
	}
	return true;
}

bool
value_is_path(struct span s)
{
	if (s.n > 255)
		return false;
	while (s.n && s.p[0] == '/') {
		size_t n = span_class((struct span){s.p + 1, s.n - 1}, CLASS_PATH);
		if (!n || (n <= 2 && !strncmp(s.p + 1, "..", n)))
			return false;
		s.p += n + 1;
		s.n -= n + 1;
		if (!s.n)
			return true;
	}
	return false;
}

bool
value_is_rule(struct span s)
{
	if (!span_skip(&s, "Host(`") || !is_host(span_until(&s, '`')) || !span_skip(&s, "`)"))
		return false;
	if (!s.n)
		return true;

	if (!span_skip(&s, " && (Path(`"))
		return false;
	struct span path = span_until(&s, '`');
	if (!value_is_path(path) || !span_skip(&s, "`) || PathPrefix(`"))
		return false;
	struct span prefix = span_until(&s, '`');
	return prefix.n == path.n + 1 && !memcmp(prefix.p, path.p, path.n) &&
	       prefix.p[path.n] == '/' && span_skip(&s, "`))") && !s.n;
}

static bool
is_port(struct span s)
{
	unsigned port = 0;
	if (!s.n || s.n > 5 || s.p[0] == '0' || span_class(s, CLASS_DIGIT) < s.n)
		return false;
	for (size_t i = 0; i < s.n; i++)
		port = port * 10 + (unsigned)(s.p[i] - '0');
	return port <= 65535;
}

bool
value_is_url(struct span s)
{
	if (!span_skip(&s, "http://") && !span_skip(&s, "https://") && !span_skip(&s, "h2c://"))
		return false;
	if (span_skip(&s, "[")) {
		struct span v6 = span_until(&s, ']');
		return v6.n >= 2 && span_class(v6, CLASS_V6) == v6.n && span_skip(&s, "]:") &&
		       is_port(s);
	}
	return is_host(span_until(&s, ':')) && span_skip(&s, ":") && is_port(s);
}

bool
value_is_domain(struct span s)
{
	span_skip(&s, "*.");
	return is_host(s);
}

bool
value_is_network(struct span s)
{
	struct span digits, address = span_until(&s, '/');
	char text[INET6_ADDRSTRLEN];
	unsigned char octets[sizeof(struct in6_addr)];
	unsigned bits = 0;

	if (!span_skip(&s, "/") || address.n >= sizeof(text))
		return false;
	memcpy(text, address.p, address.n);
	text[address.n] = '\0';
	digits = (struct span){s.p, span_class(s, CLASS_DIGIT)};
	if (!digits.n || digits.n > 3 || digits.n < s.n)
		return false;
	for (size_t i = 0; i < digits.n; i++)
		bits = bits * 10 + (unsigned)(digits.p[i] - '0');
	return (bits <= 32 && inet_pton(AF_INET, text, octets) == 1) ||
	       (bits <= 128 && inet_pton(AF_INET6, text, octets) == 1);
}

/* Traefik takes one colon, and no more. */
bool
value_is_user(struct span s)
{
	struct span name = span_until(&s, ':');
	return name.n && span_class(name, CLASS_USER) == name.n && span_skip(&s, ":") && s.n &&
	       span_class(s, CLASS_USER) == s.n;
}
