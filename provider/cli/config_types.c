/* The types of configuration values: how each is read, and what to write where it is wrong. */
#include "provider/cli/config_keys.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/cli/config_database.h"
#include "provider/status/listen.h"
#include "reconciler/base/buf.h"
#include "reconciler/base/httpc.h"
#include "reconciler/model/convention.h"
#include "reconciler/model/host.h"
#include "reconciler/model/url.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define NAME_MAX_OCTETS 128
#define CHANNEL_MAX_OCTETS 63 /* PostgreSQL cuts longer ones: NAMEDATALEN - 1 */

static int
parse_address(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	char address[46];
	bool v6;
	if (!address_parse(text, address, &v6))
		return err_set(reterr, EINVAL, "not an IP address: '%s'", host_shown(text).text);
	*ret = arena_strdup(a, address);
	return 0;
}

/* "unix//run/caddy.sock", "localhost:2019", "tcp/localhost:2019", ":2019"
 * (caddyserver.com/docs/conventions#network-addresses). */
static int
parse_admin(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	const char *url = NULL;
	if (strncmp(text, "unix//", 6) == 0)
		url = arena_printf(a, "unix://%s", text + 5);
	else if (strncmp(text, "tcp/", 4) == 0)
		text += 4;
	if (!url)
		url = arena_printf(a, text[0] == ':' ? "http://localhost%s" : "http://%s", text);
	if (strstr(text, "://") || strchr(url, '|') || httpc_target_check(url, NULL) < 0)
		return err_set(reterr, EINVAL, "not an admin endpoint of Caddy's: '%s'",
			host_shown(text).text);
	*ret = url;
	return 0;
}

static int
parse_bool(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)a, (void)argument;
	bool value;
	int r = bool_parse(text, &value, reterr);
	if (r == 0)
		*ret = value ? "true" : "false";
	return r;
}

static int
parse_condition(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	const char *label = text[0] == '!' ? text + 1 : text;
	size_t n = strcspn(label, "=");
	const char *star = memchr(label, '*', n);
	if (n == 0)
		return err_set(
			reterr, EINVAL, "a condition without a label: '%s'", host_shown(text).text);
	if (star && memchr(star + 1, '*', n - (size_t)(star + 1 - label)))
		return err_set(reterr, EINVAL, "more than one '*' in a label's name: '%s'",
			host_shown(text).text);
	*ret = arena_strdup(a, text);
	return 0;
}

static int
parse_channel(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	size_t n = strlen(text);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(reterr, EINVAL, "a control character in a channel's name");
	if (n == 0 || n > CHANNEL_MAX_OCTETS)
		return err_set(reterr, EINVAL, "not a channel: '%s'", host_shown(text).text);
	*ret = arena_strdup(a, text);
	return 0;
}

static int
parse_database(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	int r = database_url_check(text, reterr);
	if (r == 0)
		*ret = arena_strdup(a, text);
	return r;
}

static int
parse_host(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	return host_parse(a, text, ret, reterr);
}

static int
parse_domain(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	bool wildcard = strncmp(text, "*.", 2) == 0;
	int r = parse_host(a, wildcard ? text + 2 : text, argument, ret, reterr);
	if (r == 0 && wildcard)
		*ret = arena_printf(a, "*.%s", *ret);
	return r;
}

static int
parse_duration(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	uint64_t ms, least, most;
	int r = duration_parse(text, &ms, reterr);
	if (r < 0)
		return r;
	const char *dash = strchr(argument, '-');
	r = duration_parse(arena_strndup(a, argument, (size_t)(dash - argument)), &least, NULL);
	assert(r == 0);
	r = duration_parse(dash + 1, &most, NULL);
	assert(r == 0);
	if (ms < least || ms > most)
		return err_set(reterr, EINVAL, "out of range: '%s'", host_shown(text).text);
	*ret = arena_printf(a, "%" PRIu64, ms);
	return 0;
}

static int
parse_endpoint(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	int r = httpc_target_check(text, reterr);
	if (r == 0)
		*ret = arena_strdup(a, text);
	return r;
}

static int
parse_file(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(reterr, EINVAL, "a control character in the name of a file");
	if (!text[0])
		return err_set(reterr, EINVAL, "the name of a file is empty");
	*ret = arena_strdup(a, text);
	return 0;
}

static int
parse_label(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	const char *host;
	/* As a first label, for "123" alone would be refused as a number. */
	int r = host_parse(a, arena_printf(a, "%s.x", text), &host, reterr);
	if (r < 0 || strchr(text, '.'))
		return err_set(
			reterr, EINVAL, "not a label of a host name: '%s'", host_shown(text).text);
	*ret = arena_strndup(a, host, strlen(host) - 2);
	return 0;
}

static int
parse_listen(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	struct listen_address address;
	int r = listen_parse(text, &address, reterr);
	if (r == 0)
		*ret = arena_strdup(a, text);
	return r;
}

static int
parse_name(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	size_t n = strlen(text);
	if (n == 0 || n > NAME_MAX_OCTETS || strspn(text, NAME_CHARS) != n || text[0] == '-' ||
		text[0] == '.')
		return err_set(reterr, EINVAL, "not a name: '%s'", host_shown(text).text);
	*ret = arena_strdup(a, text);
	return 0;
}

/* Canonical has no bits beyond its prefix, and always a prefix. */
static int
parse_network(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	if (network_parse(a, text, ret))
		return 0;
	return err_set(reterr, EINVAL, "not a network: '%s'", host_shown(text).text);
}

static int
parse_number(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	size_t n = strlen(text);
	unsigned long least, most, value;
	if (sscanf(argument, "%lu-%lu", &least, &most) != 2)
		abort();
	if (n == 0 || n > 9 || strspn(text, "0123456789") != n)
		return err_set(reterr, EINVAL, "not a number: '%s'", host_shown(text).text);
	value = strtoul(text, NULL, 10);
	if (value < least || value > most)
		return err_set(reterr, EINVAL, "out of range: '%s'", host_shown(text).text);
	*ret = arena_printf(a, "%lu", value);
	return 0;
}

/* Canonical is always "label:…", "name:…" or "value:…". */
static int
parse_place(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	size_t n = strcspn(text, ":");
	const char *rest = text[n] ? text + n + 1 : text;
	bool label = !text[n] || strncmp(text, "label:", 6) == 0;
	if (!label && strncmp(text, "name:", 5) != 0 && strncmp(text, "value:", 6) != 0)
		return err_set(reterr, EINVAL, "not a place: '%s'", host_shown(text).text);
	if (!rest[0])
		return err_set(reterr, EINVAL, "an empty place: '%s'", host_shown(text).text);
	if (label && strchr(rest, '*') != strrchr(rest, '*'))
		return err_set(reterr, EINVAL, "more than one '*' in a label's name: '%s'",
			host_shown(text).text);
	if (strncmp(text, "name:", 5) == 0 && convention_pattern_check(rest, reterr) < 0)
		return err_wrap(reterr, "not a name pattern: '%s'", host_shown(text).text);
	*ret = text[n] ? arena_strdup(a, text) : arena_printf(a, "label:%s", text);
	return 0;
}

static int
parse_server(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	return parse_address(a, text, argument, ret, NULL) == 0 ? 0
								: host_parse(a, text, ret, reterr);
}

static int
parse_sha256(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	size_t n = strlen(text);
	if (n != 64 || strspn(text, "0123456789abcdefABCDEF") != n)
		return err_set(reterr, EINVAL, "not 64 hexadecimal digits");
	char *hex = arena_strdup(a, text);
	for (char *c = hex; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	*ret = hex;
	return 0;
}

static int
parse_template(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	int r = url_template_check(text, argument, reterr);
	if (r < 0)
		return err_wrap(reterr, "not a host template: '%s'", host_shown(text).text);
	*ret = arena_strdup(a, text);
	return 0;
}

static int
parse_text(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	if (!text[strspn(text, " \t\r\n")])
		return err_set(reterr, EINVAL, "it is empty");
	*ret = arena_strdup(a, text);
	return 0;
}

static int
parse_upstream(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	(void)argument;
	return upstream_parse(a, text, ret, reterr);
}

static int
parse_word(struct arena *a, const char *text, const char *argument, const char **ret,
	struct err *reterr)
{
	size_t n = strlen(text);
	for (const char *word = argument; n > 0; word += strcspn(word, "|") + 1) {
		if (strcspn(word, "|") == n && strncmp(word, text, n) == 0) {
			*ret = arena_strdup(a, text);
			return 0;
		}
		if (!word[strcspn(word, "|")])
			break;
	}
	return err_set(reterr, EINVAL, "unknown word '%s'", host_shown(text).text);
}

static const struct {
	int (*parse)(struct arena *a, const char *text, const char *argument, const char **ret,
		struct err *reterr);
	const char *remedy; /* where there is an argument, "%s" stands for it */
	const char *pattern;
} types[CONFIG_TYPE_COUNT] = {
	[CONFIG_ADDRESS] = {parse_address, "write an address such as 10.0.0.5 or 2001:db8::5",
		"^[0-9A-Fa-f.:]+$"},
	[CONFIG_ADMIN] = {parse_admin, "write localhost:2019 or unix//run/caddy/admin.sock", "[:/]"},
	[CONFIG_BOOL] = {parse_bool, "write true or false",
		"^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|1|0|[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|"
		"[Oo][Ff][Ff])$"},
	[CONFIG_CHANNEL] = {parse_channel, "write its name as NOTIFY has it, 1 to 63 octets", "."},
	[CONFIG_CONDITION] = {parse_condition, "write label, label=value, !label or !label=value",
		"^!?[^=]+(=.*)?$"},
	[CONFIG_DATABASE] = {parse_database, DATABASE_URL_REMEDY, "^postgres(ql)?://|="},
	[CONFIG_DOMAIN] = {parse_domain, "write a host name such as codeb.kr, or *.codeb.kr",
		"^(\\*\\.)?[A-Za-z0-9.-]+$"},
	[CONFIG_DURATION] = {parse_duration, "write a duration of %s, such as 250ms, 5s or 1m",
		"^[0-9]+(ms|s|m|h|d)?$"},
	[CONFIG_ENDPOINT] = {parse_endpoint,
		"write an address such as unix:///var/run/docker.sock, tcp://10.0.0.5:2375 or "
		"http://127.0.0.1:8080",
		"^(unix|tcp|https?)://"},
	[CONFIG_FILE] = {parse_file, "write the path of a file", "."},
	[CONFIG_HOST] = {parse_host, "write a host name such as codi.local", "^[A-Za-z0-9.-]+$"},
	[CONFIG_LABEL] = {parse_label, "write one label such as www, of letters, digits and -",
		"^[A-Za-z0-9-]+$"},
	[CONFIG_LISTEN] = {parse_listen,
		"write an address and a port such as 127.0.0.1:9180 or [::1]:9180, or "
		"unix:/run/waymark/http.sock",
		":"},
	[CONFIG_NAME] = {parse_name, "use letters, digits, dots, hyphens and underscores",
		"^[A-Za-z0-9_][A-Za-z0-9._-]*$"},
	[CONFIG_NETWORK] = {parse_network, "write a network such as 10.0.0.0/8 or fd00::/8",
		"^[0-9A-Fa-f.:]+(/[0-9]+)?$"},
	[CONFIG_NUMBER] = {parse_number, "write a number of %s", "^[0-9]+$"},
	[CONFIG_PLACE] = {parse_place,
		"write a label's name, label:NAME, name:PATTERN or value:TEXT", "."},
	[CONFIG_PLATFORM] = {parse_name, "write the name of a convention",
		"^[A-Za-z0-9_][A-Za-z0-9._-]*$"},
	[CONFIG_SERVER] = {parse_server, "write a host name, or an address such as 10.0.0.5",
		"^[A-Za-z0-9.:-]+$"},
	[CONFIG_SHA256] = {parse_sha256, "write what `printf %s TOKEN | sha256sum` prints",
		"^[0-9A-Fa-f]{64}$"},
	[CONFIG_TEMPLATE] = {parse_template,
		"write a host name with {%s} in it, besides {environment} and {base}", "\\{"},
	[CONFIG_TEXT] = {parse_text, "write a text", "."},
	[CONFIG_UPSTREAM] = {parse_upstream, "write a URL such as http://10.0.0.5:8000",
		"^([Hh][Tt][Tt][Pp][Ss]?|[Hh]2[Cc])://"},
	[CONFIG_WORD] = {parse_word, "write one of %s", NULL},
};

/* How the parts of an argument are read out. */
static const struct {
	char separator;
	const char *text;
} joints[CONFIG_TYPE_COUNT] = {
	[CONFIG_DURATION] = {'-', " to "},
	[CONFIG_NUMBER] = {'-', " to "},
	[CONFIG_TEMPLATE] = {',', "} and {"},
	[CONFIG_WORD] = {'|', ", "},
};

int
config_type_parse(struct arena *a, const struct config_key *key, const char *text, const char **ret,
	struct err *reterr)
{
	assert(types[key->type].parse);
	return types[key->type].parse(a, text, key->argument, ret, reterr);
}

const char *
config_type_remedy(struct arena *a, const struct config_key *key)
{
	const char *remedy = types[key->type].remedy, *hole = strstr(remedy, "%s");
	if (!key->argument || !hole)
		return remedy;

	struct buf b = {0};
	buf_add(&b, remedy, (size_t)(hole - remedy));
	for (const char *c = key->argument; *c; c++)
		if (*c == joints[key->type].separator)
			buf_adds(&b, joints[key->type].text);
		else
			buf_add(&b, c, 1);
	buf_adds(&b, hole + 2);
	const char *text = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return text;
}

const char *
config_type_pattern(enum config_type type)
{
	return types[type].pattern;
}
