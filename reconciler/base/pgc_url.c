#include "reconciler/base/pgc_url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "reconciler/base/buf.h"

#define HOSTS_MAX 16
#define PORT_DEFAULT "5432"

bool
pgc_host_is_socket(const struct pgc_host *h)
{
	return !h->name || h->name[0] == '/' || h->name[0] == '@';
}

const char *
pgc_url_value(const struct pgc_url *u, const char *key)
{
	for (size_t i = 0; i < u->nkeys; i++)
		if (!strcmp(u->keys[i], key))
			return u->values[i];
	return NULL;
}

static const char *
option_value(const PQconninfoOption *options, const char *key)
{
	for (; options->keyword; options++)
		if (!strcmp(options->keyword, key) && options->val && options->val[0])
			return options->val;
	return NULL;
}

/* As libpq does: what is given, else what the environment says. */
static const char *
option_or_env(const PQconninfoOption *options, const char *key, const char *env)
{
	const char *value = option_value(options, key);
	if (!value)
		value = getenv(env);
	return value && value[0] ? value : NULL;
}

/* The i-th of a list with commas: NULL where it is empty or past the end. */
static const char *
list_item(struct arena *a, const char *list, size_t i)
{
	while (list && i--) {
		list = strchr(list, ',');
		list = list ? list + 1 : NULL;
	}
	size_t n = list ? strcspn(list, ",") : 0;
	return n ? arena_strndup(a, list, n) : NULL;
}

static size_t
list_count(const char *list)
{
	size_t n = list ? 1 : 0;
	for (; list && (list = strchr(list, ',')); list++)
		n++;
	return n;
}

static int
check_port(const char *port, struct err *reterr)
{
	size_t n = strspn(port, "0123456789");
	long value = n && n <= 5 && !port[n] ? strtol(port, NULL, 10) : 0;
	if (value < 1 || value > 65535)
		return err_set(reterr, EINVAL,
			"what stands where the port is expected is no port from 1 to 65535");
	return 0;
}

/* A password that is not escaped spills over into what stands behind it. */
static bool
is_host_name(const char *s)
{
	struct in6_addr v6;
	return !s[strcspn(s, "@/?# :")] || inet_pton(AF_INET6, s, &v6) == 1;
}

static int
check_host(const struct pgc_host *h, struct err *reterr)
{
	if (!pgc_host_is_socket(h) && !is_host_name(h->name))
		return err_set(
			reterr, EINVAL, "what stands where the host is expected is no host name");
	return check_port(h->port, reterr);
}

static int
read_hosts(const PQconninfoOption *options, struct pgc_url *u, struct err *reterr)
{
	const char *names = option_or_env(options, "host", "PGHOST");
	const char *addresses = option_or_env(options, "hostaddr", "PGHOSTADDR");
	const char *ports = option_or_env(options, "port", "PGPORT");
	size_t nnames = list_count(names), naddresses = list_count(addresses);
	size_t nports = list_count(ports), n = naddresses ? naddresses : nnames ? nnames : 1;

	if (n > HOSTS_MAX)
		return err_set(reterr, EINVAL, "more than %d hosts", HOSTS_MAX);
	if ((nnames && naddresses && nnames != naddresses) || (nports > 1 && nports != n))
		return err_set(reterr, EINVAL,
			"%zu hosts, %zu addresses and %zu ports do not match", nnames, naddresses,
			nports);
	struct pgc_host *hosts = ARENA_ARRAY(&u->arena, struct pgc_host, n);
	for (size_t i = 0; i < n; i++) {
		const char *port = list_item(&u->arena, ports, nports > 1 ? i : 0);
		hosts[i].name = list_item(&u->arena, names, i);
		hosts[i].address = list_item(&u->arena, addresses, i);
		hosts[i].port = port ? port : PORT_DEFAULT;
		int r = check_host(&hosts[i], reterr);
		if (r < 0)
			return r;
	}
	u->hosts = hosts;
	u->nhosts = n;
	return 0;
}

static bool
is_of_host(const char *key)
{
	return !strcmp(key, "host") || !strcmp(key, "hostaddr") || !strcmp(key, "port");
}

static void
read_keys(const PQconninfoOption *options, struct pgc_url *u)
{
	size_t n = 0;
	for (const PQconninfoOption *o = options; o->keyword; o++)
		n++;
	const char **keys = ARENA_ARRAY(&u->arena, const char *, n);
	const char **values = ARENA_ARRAY(&u->arena, const char *, n);
	for (const PQconninfoOption *o = options; o->keyword; o++) {
		if (!o->val || is_of_host(o->keyword))
			continue;
		keys[u->nkeys] = arena_strdup(&u->arena, o->keyword);
		values[u->nkeys++] = arena_strdup(&u->arena, o->val);
	}
	u->keys = keys;
	u->values = values;
}

static void
write_address(const PQconninfoOption *options, struct pgc_url *u)
{
	const char *name = option_or_env(options, "dbname", "PGDATABASE");
	struct buf b = {0};

	if (!name)
		name = option_or_env(options, "user", "PGUSER");
	for (size_t i = 0; i < u->nhosts; i++) {
		const struct pgc_host *h = &u->hosts[i];
		const char *host = h->name ? h->name : h->address ? h->address : "local";
		bool v6 = strchr(host, ':') && !pgc_host_is_socket(h);
		buf_addf(&b, "%s%s%s%s:%s", i ? "," : "", v6 ? "[" : "", host, v6 ? "]" : "",
			h->port);
	}
	if (name)
		buf_addf(&b, "/%s", name);
	u->address = arena_strdup(&u->arena, b.p);
	buf_finish(&b);
}

static int
read_options(const PQconninfoOption *options, struct pgc_url *u, struct err *reterr)
{
	const char *name = option_value(options, "dbname");

	if (option_value(options, "service"))
		return err_set(reterr, EINVAL, "a service file is not read here");
	if (name && name[strcspn(name, "@/")])
		return err_set(reterr, EINVAL,
			"what stands where the database's name is expected is no name");
	int r = read_hosts(options, u, reterr);
	if (r < 0)
		return r;
	read_keys(options, u);
	write_address(options, u);
	return 0;
}

int
pgc_url_parse(const char *text, struct pgc_url *ret, struct err *reterr)
{
	struct pgc_url u = {0};
	/* Its message may quote the whole text. */
	PQconninfoOption *options = PQconninfoParse(text, NULL);

	if (!options)
		return err_set(reterr, EINVAL, "neither a URI nor keywords of PostgreSQL");
	int r = read_options(options, &u, reterr);
	PQconninfoFree(options);
	if (r < 0)
		pgc_url_finish(&u);
	else
		*ret = u;
	return r;
}

void
pgc_url_finish(struct pgc_url *u)
{
	arena_finish(&u->arena);
	*u = (struct pgc_url){0};
}
