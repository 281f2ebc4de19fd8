#include "reconciler/model/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATH_MAX_OCTETS 255
#define DURATION_MAX_MS (10ULL * 365 * 86400 * 1000)

struct host_shown
host_shown(const char *text)
{
	struct host_shown s = {0};
	size_t n = strlen(text);
	if (n < sizeof(s.text)) {
		memcpy(s.text, text, n);
		return s;
	}

	n = sizeof(s.text) - sizeof("…");
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	memcpy(s.text, text, n);
	memcpy(s.text + n, "…", sizeof("…"));
	return s;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static char
to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* What is wrong with a canonical label; NULL where nothing is. */
static const char *
label_fault(const char *label, size_t n)
{
	if (n == 0)
		return "there is nothing between two dots, or at an end";
	if (n > HOST_LABEL_MAX)
		return "a label (the part between two dots) is longer than 63 octets";
	for (size_t i = 0; i < n; i++)
		if (!is_lower(label[i]) && !is_digit(label[i]) && label[i] != '-')
			return "only letters, digits, '-' and '.' may be in it";
	if (label[0] == '-' || label[n - 1] == '-')
		return "a label must not begin or end with '-'";
	return NULL;
}

/* A last label that is a number makes programs read the name as an IPv4 address, in any of its
 * old forms (https://url.spec.whatwg.org/#ends-in-a-number-checker). */
static bool
is_number(const char *label, size_t n)
{
	if (n >= 2 && label[0] == '0' && label[1] == 'x')
		return strspn(label + 2, "0123456789abcdef") >= n - 2;
	return strspn(label, "0123456789") >= n;
}

static const char *
host_fault(const char *host, size_t n)
{
	if (n == 0)
		return "it is empty";
	if (n > HOST_MAX)
		return "it is longer than 253 octets";

	const char *label = host;
	for (;;) {
		size_t len = strcspn(label, ".");
		const char *fault = label_fault(label, len);
		if (fault)
			return fault;
		if (label[len] == '\0')
			return is_number(label, len) ? "it reads as an IP address" : NULL;
		label += len + 1;
	}
}

int
host_parse(struct arena *a, const char *text, const char **ret, struct err *reterr)
{
	char host[HOST_MAX + 2];
	size_t n = strlen(text);
	if (n > 1 && text[n - 1] == '.')
		n--;

	const char *fault;
	if (n > HOST_MAX) {
		fault = host_fault(text, n);
	} else {
		for (size_t i = 0; i < n; i++)
			host[i] = to_lower(text[i]);
		host[n] = '\0';
		fault = host_fault(host, n);
	}
	if (fault)
		return err_set(
			reterr, EINVAL, "not a host name: '%s': %s", host_shown(text).text, fault);

	*ret = arena_strndup(a, host, n);
	return 0;
}

bool
host_is_under(const char *host, const char *domain)
{
	size_t n = strlen(host), d = strlen(domain);
	if (n < d || strcmp(host + n - d, domain) != 0)
		return false;
	return n == d || host[n - d - 1] == '.';
}

bool
host_is_directly_under(const char *host, const char *domain, size_t *ret_label)
{
	const char *dot = strchr(host, '.');
	if (!dot || strcmp(dot + 1, domain) != 0)
		return false;
	*ret_label = (size_t)(dot - host);
	return true;
}

int
port_parse(const char *text, uint16_t *ret, struct err *reterr)
{
	unsigned long port = 0;
	size_t n = strspn(text, "0123456789");
	if (n > 0 && n <= 5 && text[n] == '\0')
		for (size_t i = 0; i < n; i++)
			port = port * 10 + (unsigned long)(text[i] - '0');
	if (port < 1 || port > UINT16_MAX)
		return err_set(
			reterr, EINVAL, "not a port from 1 to 65535: '%s'", host_shown(text).text);
	*ret = (uint16_t)port;
	return 0;
}

/* What is wrong with a path of n octets that starts with '/'. */
static const char *
path_fault(const char *path, size_t n)
{
	static const char unreserved[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

	for (size_t i = 0; i < n;) {
		const char *segment = path + i + 1;
		size_t len = strspn(segment, unreserved);
		if (len > n - i - 1)
			len = n - i - 1;
		if (i + 1 + len < n && segment[len] != '/')
			return "only letters, digits and -._~ may stand between its slashes";
		if (len == 0)
			return "there is nothing between two slashes";
		if (segment[0] == '.' && (len == 1 || (len == 2 && segment[1] == '.')))
			return "'.' and '..' are not allowed in it";
		i += 1 + len;
	}
	return NULL;
}

int
path_parse(struct arena *a, const char *text, const char **ret, struct err *reterr)
{
	size_t n = strlen(text);
	const char *fault = NULL;
	if (text[0] != '/')
		fault = "it does not begin with '/'";
	else if (n > PATH_MAX_OCTETS)
		fault = "it is longer than 255 octets";
	if (!fault) {
		if (text[n - 1] == '/')
			n--;
		fault = path_fault(text, n);
	}
	if (fault)
		return err_set(reterr, EINVAL, "not a path prefix: '%s': %s", host_shown(text).text,
			fault);

	*ret = arena_strndup(a, text, n);
	return 0;
}

int
bool_parse(const char *text, bool *ret, struct err *reterr)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {
		{"true", true},
		{"false", false},
		{"1", true},
		{"0", false},
		{"yes", true},
		{"no", false},
		{"on", true},
		{"off", false},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i].text) == 0) {
			*ret = words[i].value;
			return 0;
		}
	return err_set(reterr, EINVAL, "neither true nor false: '%s'", host_shown(text).text);
}

/* Milliseconds of a unit; 0 where there is none of that name. */
static uint64_t
unit_ms(const char *unit)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} units[] = {
		{"ms", 1},
		{"", 1000},
		{"s", 1000},
		{"m", 60 * 1000},
		{"h", 3600 * 1000},
		{"d", 86400 * 1000},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].text) == 0)
			return units[i].ms;
	return 0;
}

int
duration_parse(const char *text, uint64_t *ret_ms, struct err *reterr)
{
	size_t n = strspn(text, "0123456789");
	uint64_t unit = unit_ms(text + n);
	if (n == 0 || unit == 0)
		return err_set(reterr, EINVAL, "not a duration like 250ms, 2s, 5m, 48h or 7d: '%s'",
			host_shown(text).text);

	uint64_t ms = 0;
	for (size_t i = 0; i < n && ms <= DURATION_MAX_MS; i++)
		ms = ms * 10 + (uint64_t)(text[i] - '0');
	if (ms > DURATION_MAX_MS / unit)
		return err_set(reterr, EINVAL, "a duration of more than ten years: '%s'",
			host_shown(text).text);
	*ret_ms = ms * unit;
	return 0;
}

bool
address_parse(const char *text, char *ret, bool *ret_v6)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		*ret_v6 = false;
		return inet_ntop(AF_INET, &v4, ret, INET6_ADDRSTRLEN) != NULL;
	}
	if (inet_pton(AF_INET6, text, &v6) == 1) {
		*ret_v6 = true;
		return inet_ntop(AF_INET6, &v6, ret, INET6_ADDRSTRLEN) != NULL;
	}
	return false;
}

/* Takes the bits beyond the prefix out. */
static void
network_mask(unsigned char *octets, unsigned size, unsigned bits)
{
	for (unsigned i = 0; i < size; i++) {
		unsigned keep = bits > 8 * i ? bits - 8 * i : 0;
		octets[i] &= keep >= 8 ? 0xff : (unsigned char)(0xff00 >> keep);
	}
}

bool
network_parse(struct arena *a, const char *text, const char **ret)
{
	unsigned char octets[sizeof(struct in6_addr)];
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;
	bool v6;

	if (n >= sizeof(address) || (slash && (!digits || digits > 3 || slash[1 + digits])) ||
		!address_parse(arena_strndup(a, text, n), address, &v6))
		return false;
	unsigned most = v6 ? 128 : 32, bits = slash ? (unsigned)atoi(slash + 1) : most;
	if (bits > most)
		return false;
	inet_pton(v6 ? AF_INET6 : AF_INET, address, octets);
	network_mask(octets, most / 8, bits);
	inet_ntop(v6 ? AF_INET6 : AF_INET, octets, address, sizeof(address));
	*ret = arena_printf(a, "%s/%u", address, bits);
	return true;
}

/* The authority's host: a name, an IPv4 address, or an IPv6 address in brackets. */
static int
upstream_host(struct arena *a, const char *text, const char **ret, struct err *reterr)
{
	char canonical[INET6_ADDRSTRLEN];
	bool v6;
	size_t n = strlen(text);
	if (text[0] == '[') {
		const char *inner = arena_strndup(a, text + 1, n >= 2 ? n - 2 : 0);
		if (text[n - 1] != ']' || !address_parse(inner, canonical, &v6) || !v6)
			return err_set(reterr, EINVAL, "not an IPv6 address in brackets: '%s'",
				host_shown(text).text);
		*ret = arena_printf(a, "[%s]", canonical);
		return 0;
	}
	if (address_parse(text, canonical, &v6) && !v6) {
		*ret = arena_strdup(a, canonical);
		return 0;
	}
	return host_parse(a, text, ret, reterr);
}

static const struct scheme {
	const char *text;
	uint16_t port;
} schemes[] = {
	{"http", 80},
	{"https", 443},
	{"h2c", 80},
};

/* The scheme of a URL; *ret_rest is what follows "://".  NULL where there is none of ours. */
static const struct scheme *
scheme_find(const char *text, const char **ret_rest)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i].text);
		if (strncasecmp(text, schemes[i].text, n) == 0 &&
			strncmp(text + n, "://", 3) == 0) {
			*ret_rest = text + n + 3;
			return &schemes[i];
		}
	}
	return NULL;
}

int
upstream_parse(struct arena *a, const char *text, const char **ret, struct err *reterr)
{
	const char *rest;
	const struct scheme *scheme = scheme_find(text, &rest);
	if (!scheme)
		return err_set(reterr, EINVAL,
			"not an upstream: '%s': it does not begin with http://, https:// or h2c://",
			host_shown(text).text);

	size_t n = strcspn(rest, "/?#@");
	if (rest[n] != '\0' && strcmp(rest + n, "/") != 0)
		return err_set(reterr, EINVAL,
			"not an upstream: '%s': only a host and a port may follow %s://",
			host_shown(text).text, scheme->text);

	char *host = arena_strndup(a, rest, n);
	uint16_t port = scheme->port;
	char *bracket = strrchr(host, ']');
	char *colon = strrchr(bracket ? bracket : host, ':');
	if (colon) {
		*colon = '\0';
		if (port_parse(colon + 1, &port, reterr) < 0)
			return err_wrap(reterr, "not an upstream: '%s'", host_shown(text).text);
	}

	const char *canonical;
	if (upstream_host(a, host, &canonical, reterr) < 0)
		return err_wrap(reterr, "not an upstream: '%s'", host_shown(text).text);
	*ret = arena_printf(a, "%s://%s:%u", scheme->text, canonical, port);
	return 0;
}
