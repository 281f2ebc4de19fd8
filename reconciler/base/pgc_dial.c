#include "reconciler/base/pgc_dial.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/resolver.h"

#define CONNECT_MS 5000
#define PASSWORD_MAX 4096
#define KEYWORDS_MAX 64

struct pgc_watch {
	uv_poll_t poll;
	int events;
	void (*ready)(void *arg);
	void *arg;
};

struct pgc_dial {
	uv_loop_t *loop;
	uv_timer_t timer;
	const struct pgc_options *o;
	void (*done)(void *arg, PGconn *conn, const struct err *e);
	void *arg;

	PGconn *conn;
	struct pgc_watch *watch;
	size_t host; /* that is tried */
	struct resolver *lookup;
	struct addrinfo *found, *next; /* its addresses */
	char address[64]; /* that is tried; "" for what needs none */
	char password[PASSWORD_MAX + 1];
	bool settings_refused;
	struct err errors; /* of what was tried so far */
};

static void try_host(struct pgc_dial *d);

/* -- what libpq says -- */

void
pgc_line(const char *text, char *ret, size_t size)
{
	size_t n = 0;
	bool gap = false;

	while (*text && n + 3 < size) {
		size_t len = strcspn(text, "\n");
		bool advice = *text == '\t';
		if (gap && len && !advice) {
			ret[n++] = ';';
			ret[n++] = ' ';
		}
		for (size_t i = 0; i < len && !advice && n + 3 < size; i++)
			ret[n++] = (unsigned char)text[i] < ' ' ? ' ' : text[i];
		gap = n > 0;
		text += len + (text[len] == '\n');
	}
	ret[n] = '\0';
}

static void
note_error(struct pgc_dial *d, const char *text)
{
	struct err before = d->errors;
	char line[sizeof(before.text)];

	pgc_line(text, line, sizeof(line));
	if (before.text[0])
		err_set(&d->errors, ECONNREFUSED, "%s; %s", before.text, line);
	else
		err_set(&d->errors, ECONNREFUSED, "%s", line);
}

/* libpq would print them. */
static void
ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

/* -- the socket -- */

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct pgc_watch *w = poll->data;
	(void)status;
	(void)events;
	w->ready(w->arg);
}

void
pgc_watch_start(struct pgc_watch **w, uv_loop_t *loop, PGconn *conn, int events,
	void (*ready)(void *arg), void *arg)
{
	if (!*w) {
		*w = xcalloc(1, sizeof(**w));
		(*w)->poll.data = *w;
		int r = uv_poll_init(loop, &(*w)->poll, PQsocket(conn));
		assert(r == 0);
	}
	(*w)->ready = ready;
	(*w)->arg = arg;
	if ((*w)->events == events)
		return;
	(*w)->events = events;
	uv_poll_start(&(*w)->poll, events, on_poll);
}

void
pgc_watch_pause(struct pgc_watch *w)
{
	w->events = 0;
	uv_poll_stop(&w->poll);
}

static void
on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
pgc_watch_stop(struct pgc_watch **w)
{
	if (!*w)
		return;
	uv_poll_stop(&(*w)->poll);
	uv_close((uv_handle_t *)&(*w)->poll, on_watch_closed);
	*w = NULL;
}

/* -- how it ends -- */

static void
forget_attempt(struct pgc_dial *d)
{
	pgc_watch_stop(&d->watch);
	PQfinish(d->conn);
	d->conn = NULL;
	uv_timer_stop(&d->timer);
}

void
pgc_dial_stop(struct pgc_dial *d)
{
	forget_attempt(d);
	resolver_abandon(d->lookup);
	d->lookup = NULL;
	uv_freeaddrinfo(d->found);
	d->found = d->next = NULL;
	explicit_bzero(d->password, sizeof(d->password));
}

static void
finish(struct pgc_dial *d, const struct err *e)
{
	struct err why;
	PGconn *conn = e ? NULL : d->conn;

	if (e)
		why = *e;
	else
		d->conn = NULL;
	pgc_dial_stop(d);
	d->done(d->arg, conn, e ? &why : NULL);
}

/* -- one address -- */

struct keywords {
	size_t n;
	const char *key[KEYWORDS_MAX], *value[KEYWORDS_MAX];
};

static void
add(struct keywords *k, const char *key, const char *value)
{
	assert(k->n < KEYWORDS_MAX - 1);
	if (!value)
		return;
	k->key[k->n] = key;
	k->value[k->n++] = value;
}

/* Where the URL does not say: the kernel, too, notices a peer that is dead, and nothing is asked of
 * a Kerberos server, for which libpq would wait. */
static void
add_defaults(struct keywords *k, const struct pgc_dial *d)
{
	static const char *const table[][2] = {
		{"keepalives_idle", "5"},
		{"keepalives_interval", "5"},
		{"keepalives_count", "2"},
		{"tcp_user_timeout", "15000"},
		{"gssencmode", "disable"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!pgc_url_value(d->o->url, table[i][0]))
			add(k, table[i][0], table[i][1]);
	if (!pgc_url_value(d->o->url, "application_name"))
		add(k, "application_name", d->o->application);
}

static bool
is_replaced(const struct pgc_dial *d, const char *key)
{
	return !strcmp(key, "options") || !strcmp(key, "client_encoding") ||
	       (d->password[0] && !strcmp(key, "password"));
}

static void
add_url(struct keywords *k, const struct pgc_dial *d, struct arena *a)
{
	const struct pgc_url *u = d->o->url;
	const char *settings = d->settings_refused ? NULL : d->o->settings;
	const char *options = pgc_url_value(u, "options");

	if (settings && options)
		settings = arena_printf(a, "%s %s", settings, options);
	add(k, "options", settings ? settings : options);
	add(k, "client_encoding", "UTF8");
	add(k, "password", d->password[0] ? d->password : NULL);
	for (size_t i = 0; i < u->nkeys; i++)
		if (!is_replaced(d, u->keys[i]))
			add(k, u->keys[i], u->values[i]);
}

static void attempt_failed(struct pgc_dial *d, const char *text);

/* PQsocket may be another after each step. */
static void
on_step(void *arg)
{
	struct pgc_dial *d = arg;

	pgc_watch_stop(&d->watch);
	switch (PQconnectPoll(d->conn)) {
	case PGRES_POLLING_OK:
		finish(d, NULL);
		break;
	case PGRES_POLLING_READING:
		pgc_watch_start(&d->watch, d->loop, d->conn, UV_READABLE, on_step, d);
		break;
	case PGRES_POLLING_WRITING:
		pgc_watch_start(&d->watch, d->loop, d->conn, UV_WRITABLE, on_step, d);
		break;
	default:
		attempt_failed(d, PQerrorMessage(d->conn));
		break;
	}
}

static void
on_timeout(uv_timer_t *timer)
{
	struct pgc_dial *d = timer->data;
	const struct pgc_host *h = &d->o->url->hosts[d->host];
	char text[400];

	const char *address = h->name && !strcmp(h->name, d->address) ? "" : d->address;
	snprintf(text, sizeof(text), "%s%s%s port %s: no connection within %d s",
		h->name ? h->name : "", h->name && *address ? " " : "", address, h->port,
		CONNECT_MS / 1000);
	attempt_failed(d, text);
}

static void
try_address(struct pgc_dial *d)
{
	const struct pgc_host *h = &d->o->url->hosts[d->host];
	struct keywords k = {0};
	struct arena a = {0};

	add(&k, "host", h->name);
	add(&k, "hostaddr", d->address[0] ? d->address : NULL);
	add(&k, "port", h->port);
	add_defaults(&k, d);
	add_url(&k, d, &a);
	d->conn = PQconnectStartParams(k.key, k.value, 0);
	assert(d->conn);
	arena_finish(&a);
	PQsetNoticeReceiver(d->conn, ignore_notice, NULL);
	if (PQstatus(d->conn) == CONNECTION_BAD) {
		attempt_failed(d, PQerrorMessage(d->conn));
		return;
	}
	uv_timer_start(&d->timer, on_timeout, CONNECT_MS, 0);
	pgc_watch_start(&d->watch, d->loop, d->conn, UV_WRITABLE, on_step, d);
}

/* -- one host -- */

static void
try_found(struct pgc_dial *d)
{
	while (d->next) {
		struct addrinfo *a = d->next;
		d->next = a->ai_next;
		if (getnameinfo(a->ai_addr, a->ai_addrlen, d->address, sizeof(d->address), NULL, 0,
			    NI_NUMERICHOST) == 0) {
			try_address(d);
			return;
		}
	}
	uv_freeaddrinfo(d->found);
	d->found = NULL;
	d->host++;
	try_host(d);
}

/* Poolers say so in words of their own, and libpq does not tell the SQLSTATE. */
static bool
refuses_settings(const struct pgc_dial *d, const char *text)
{
	return d->o->settings && !d->settings_refused &&
	       (strcasestr(text, "startup parameter") || strcasestr(text, "options"));
}

static void
attempt_failed(struct pgc_dial *d, const char *text)
{
	bool again = refuses_settings(d, text);

	if (again)
		d->settings_refused = true;
	else
		note_error(d, text);
	forget_attempt(d);
	if (again)
		try_address(d);
	else
		try_found(d);
}

static void
lookup_failed(struct pgc_dial *d, const char *why)
{
	char text[400];

	snprintf(text, sizeof(text), "host %s: %s", d->o->url->hosts[d->host].name, why);
	note_error(d, text);
	try_found(d);
}

static void
on_looked_up(void *arg, struct addrinfo *found, const struct err *e)
{
	struct pgc_dial *d = arg;

	d->lookup = NULL;
	uv_timer_stop(&d->timer);
	if (e) {
		lookup_failed(d, e->text);
		return;
	}
	d->found = d->next = found;
	try_found(d);
}

static void
on_no_name(uv_timer_t *timer)
{
	struct pgc_dial *d = timer->data;

	resolver_abandon(d->lookup);
	d->lookup = NULL;
	lookup_failed(d, "its name was not resolved within 5 s");
}

static void
look_up(struct pgc_dial *d, const char *name)
{
	struct err e;

	d->lookup = resolver_start(d->loop, name, on_looked_up, d, &e);
	if (d->lookup)
		uv_timer_start(&d->timer, on_no_name, CONNECT_MS, 0);
	else
		lookup_failed(d, e.text);
}

static bool
is_address(const char *s)
{
	struct in6_addr a;
	return uv_inet_pton(AF_INET, s, &a) == 0 || uv_inet_pton(AF_INET6, s, &a) == 0;
}

static void
try_host(struct pgc_dial *d)
{
	if (d->host == d->o->url->nhosts) {
		finish(d, &d->errors);
		return;
	}
	const struct pgc_host *h = &d->o->url->hosts[d->host];
	const char *address = h->address ? h->address : h->name;
	if (!h->address && pgc_host_is_socket(h))
		address = "";
	if (address[0] && !is_address(address)) {
		look_up(d, address);
		return;
	}
	snprintf(d->address, sizeof(d->address), "%s", address);
	try_address(d);
}

/* -- the password -- */

static int
read_small(const char *path, char *ret, size_t size, struct err *reterr)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(reterr, errno, "%s: %s", path, strerror(errno));

	ssize_t n = -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, ret, size);
	close(fd);
	if (n < 0 || (size_t)n == size)
		return err_set(reterr, EINVAL, "%s: no file that holds a password", path);
	ret[n] = '\0';
	return 0;
}

static int
read_password(struct pgc_dial *d, struct err *reterr)
{
	if (!d->o->password_file)
		return 0;
	int r = read_small(d->o->password_file, d->password, sizeof(d->password), reterr);
	if (r < 0)
		return r;
	size_t n = strlen(d->password);
	if (n && d->password[n - 1] == '\n')
		n--;
	if (n && d->password[n - 1] == '\r')
		n--;
	d->password[n] = '\0';
	return 0;
}

/* -- the interface -- */

struct pgc_dial *
pgc_dial_create(uv_loop_t *loop, const struct pgc_options *options,
	void (*done)(void *arg, PGconn *conn, const struct err *e), void *arg)
{
	struct pgc_dial *d = xcalloc(1, sizeof(*d));

	d->loop = loop;
	d->o = options;
	d->done = done;
	d->arg = arg;
	uv_timer_init(loop, &d->timer);
	d->timer.data = d;
	return d;
}

static void
on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
pgc_dial_destroy(struct pgc_dial *d)
{
	pgc_dial_stop(d);
	uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

void
pgc_dial_start(struct pgc_dial *d)
{
	struct err e;

	assert(!d->conn && !d->lookup);
	d->host = 0;
	d->errors.text[0] = '\0';
	if (read_password(d, &e) < 0)
		finish(d, &e);
	else
		try_host(d);
}
