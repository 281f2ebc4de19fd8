#include "reconciler/registry/registry_cells_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "reconciler/base/json.h"
#include "reconciler/model/host.h"
#include "reconciler/registry/registry_time_parse.h"

/* As many as a container may ask for by labels. */
#define HOSTS_MAX 64
#define BETWEEN ", \t\r\n"

/* -- hosts -- */

struct hosts {
	struct arena *a;
	const char *base_domain;
	const char *list[HOSTS_MAX];
	size_t n;
};

static bool
has_host(const struct hosts *h, const char *host)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->list[i], host) == 0)
			return true;
	return false;
}

static int
add_host(struct hosts *h, const char *text, struct err *reterr)
{
	const char *full = text, *host;

	if (!strchr(text, '.'))
		full = arena_printf(h->a, "%s.%s", text, h->base_domain);
	int r = host_parse(h->a, full, &host, reterr);
	if (r < 0 || has_host(h, host))
		return r;
	if (h->n == HOSTS_MAX)
		return err_set(reterr, EINVAL, "more than %d hosts", HOSTS_MAX);
	h->list[h->n++] = host;
	return 0;
}

static int
no_list(const char *text, struct err *reterr)
{
	return err_set(reterr, EINVAL, "not a list of host names: '%s'", host_shown(text).text);
}

/* ["a", "b"] */
static int
read_json(struct hosts *h, const char *text, struct err *reterr)
{
	json_auto_t *list = json_read(text, strlen(text));
	int r = json_is_array(list) ? 0 : no_list(text, reterr);

	for (size_t i = 0; !r && i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		const char *host = json_string_value(v);
		bool whole = host && strlen(host) == json_string_length(v);
		r = whole ? add_host(h, host, reterr) : no_list(text, reterr);
	}
	return r;
}

/* One element of {a,"b c",NULL}: quoted or not, '\' before any character
 * (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO).  What is longer than any host is
 * cut, and still too long. */
static const char *
array_element(const char *p, char *ret, size_t size)
{
	bool quoted = *p == '"';
	size_t n = 0;

	for (p += quoted; *p && (quoted ? *p != '"' : !strchr(",}", *p)); p++) {
		if (*p == '\\' && p[1])
			p++;
		if (n < size - 1)
			ret[n++] = *p;
	}
	ret[n] = '\0';
	if (!quoted && strcasecmp(ret, "NULL") == 0)
		*ret = '\0';
	return p + (quoted && *p == '"');
}

static int
read_array(struct hosts *h, const char *text, struct err *reterr)
{
	const char *p = text + 1;
	char host[HOST_MAX + 3];

	while (*p && *p != '}') {
		p = array_element(p, host, sizeof(host));
		int r = *host ? add_host(h, host, reterr) : 0;
		if (r < 0)
			return r;
		if (*p != ',')
			break;
		p++;
	}
	return *p == '}' && !p[1] ? 0 : no_list(text, reterr);
}

static int
read_words(struct hosts *h, const char *text, struct err *reterr)
{
	for (text += strspn(text, BETWEEN); *text; text += strspn(text, BETWEEN)) {
		size_t len = strcspn(text, BETWEEN);
		int r = add_host(h, arena_strndup(h->a, text, len), reterr);
		if (r < 0)
			return r;
		text += len;
	}
	return 0;
}

int
registry_cell_hosts(struct arena *a, const char *text, const char *base_domain,
	const char *const **ret, size_t *ret_n, struct err *reterr)
{
	struct hosts h = {.a = a, .base_domain = base_domain};
	int r;

	text += strspn(text, BETWEEN);
	if (*text == '{')
		r = read_array(&h, text, reterr);
	else if (*text == '[')
		r = read_json(&h, text, reterr);
	else
		r = read_words(&h, text, reterr);
	if (r < 0)
		return r;
	const char **copy = ARENA_ARRAY(a, const char *, h.n);
	if (h.n)
		memcpy(copy, h.list, h.n * sizeof(*copy));
	*ret = copy;
	*ret_n = h.n;
	return 0;
}

/* -- time -- */

/* 1767322645, 1767322645.678 or 1767322645678: in seconds it would be the year 5138 from 12 digits
 * on. */
static bool
epoch_parse(const char *text, uint64_t *ret_ms)
{
	size_t n = strspn(text, "0123456789");
	size_t fraction = text[n] == '.' ? strspn(text + n + 1, "0123456789") : 0;

	if (!n || n > 14 || text[n + (fraction ? fraction + 1 : 0)])
		return false;
	uint64_t ms = strtoull(text, NULL, 10);
	if (n <= 11) {
		ms *= 1000;
		for (size_t i = 0; i < fraction && i < 3; i++)
			ms += (uint64_t)(text[n + 1 + i] - '0') * (i == 0 ? 100 : i == 1 ? 10 : 1);
	}
	*ret_ms = ms;
	return ms <= REGISTRY_TIME_MAX;
}

/* PostgreSQL's "2026-01-02 03:04:05.678+00" as RFC 3339 wants it. */
static bool
timestamp_parse(const char *text, uint64_t *ret_ms)
{
	char full[64];
	size_t n = strlen(text);

	if (n < 10 || n > 40)
		return false;
	memcpy(full, text, n + 1);
	if (n == 10)
		n += (size_t)snprintf(full + n, sizeof(full) - n, "T00:00:00");
	if (full[10] == ' ')
		full[10] = 'T';
	size_t offset = 10 + strcspn(full + 10, "+-Zz");
	if (!full[offset])
		snprintf(full + n, sizeof(full) - n, "Z");
	else if (n - offset == 3)
		snprintf(full + n, sizeof(full) - n, ":00");
	return registry_time_parse(full, ret_ms);
}

bool
registry_cell_time(const char *text, uint64_t *ret_ms)
{
	return epoch_parse(text, ret_ms) || timestamp_parse(text, ret_ms);
}
