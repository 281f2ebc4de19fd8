#include "reconciler/base/httpc.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include <curl/curl.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

/* What stays ready for the next calls: their connections live in the multi handle. */
#define IDLE_MAX 16
#define IDLE_BODY_MAX 65536
#define CONNECTIONS_MAX 32
/* A peer may send headers without end, or 1xx replies. */
#define HEADERS_MAX 131072

#define CONNECT_MS 2000

enum call_state {
	CALL_QUEUED, /* libcurl does not know of it yet */
	CALL_RUNNING,
	CALL_CANCELLED, /* from inside libcurl: taken out as soon as it has returned */
	CALL_DONE, /* on_done is being called */
};

/* A call, and the easy handle that is used again for the next one. */
struct httpc_call {
	struct httpc *h;
	struct httpc_call *next, **prev;
	enum call_state state;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body;
	size_t received, header_bytes;
	bool too_large, headers_done;
	char error[CURL_ERROR_SIZE];

	size_t body_max;
	void (*on_headers)(void *arg, struct httpc_call *call, int status);
	void (*on_data)(void *arg, const char *bytes, size_t n);
	void (*on_done)(void *arg, int status, const char *body, size_t n, const struct err *e);
	void *arg;
};

struct httpc {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	bool inside; /* libcurl is on the stack: no curl_multi call but assign */
	bool postponed; /* a call was started or cancelled meanwhile */
	struct httpc_call *calls;
	struct httpc_call *idle;
	size_t nidle;
};

/* One socket of libcurl's that the loop watches; it lives until its handle is closed. */
struct watch {
	uv_poll_t poll;
	struct httpc *h;
	curl_socket_t fd;
};

/* -- targets -- */

static const char *
after_prefix(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);
	return strncmp(s, prefix, n) ? NULL : s + n;
}

static int
check_unix(const char *url, const char *path, struct err *reterr)
{
	if (*path != '/')
		return err_set(reterr, EINVAL, "'%s': the socket's path is not absolute", url);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_set(reterr, EINVAL, "'%s': the socket's path is too long", url);
	return 0;
}

static int
check_part(CURLU *u, CURLUPart part, const char *url, const char *what, struct err *reterr)
{
	char *text = NULL;
	if (curl_url_get(u, part, &text, 0) != CURLUE_OK)
		return 0;
	curl_free(text);
	return err_set(reterr, EINVAL, "'%s': a %s has no place here", url, what);
}

static int
check_http(const char *url, const char *http_url, struct err *reterr)
{
	CURLU *u = curl_url();
	assert(u);

	CURLUcode rc = curl_url_set(u, CURLUPART_URL, http_url, 0);
	int r = 0;
	if (rc != CURLUE_OK)
		r = err_set(reterr, EINVAL, "'%s': %s", url, curl_url_strerror(rc));
	if (!r)
		r = check_part(u, CURLUPART_USER, url, "user", reterr);
	if (!r)
		r = check_part(u, CURLUPART_QUERY, url, "query", reterr);
	if (!r)
		r = check_part(u, CURLUPART_FRAGMENT, url, "fragment", reterr);
	curl_url_cleanup(u);
	return r;
}

int
httpc_target_check(const char *url, struct err *reterr)
{
	const char *rest = after_prefix(url, "unix://");
	if (rest)
		return check_unix(url, rest, reterr);

	rest = after_prefix(url, "tcp://");
	if (rest) {
		struct buf http_url = {0};
		buf_addf(&http_url, "http://%s", rest);
		int r = check_http(url, http_url.p, reterr);
		buf_finish(&http_url);
		return r;
	}
	if (after_prefix(url, "http://") || after_prefix(url, "https://"))
		return check_http(url, url, reterr);
	return err_set(reterr, EINVAL, "'%s': not unix://, tcp://, http:// or https://", url);
}

/* -- lists of calls -- */

static void
call_link(struct httpc_call **list, struct httpc_call *c)
{
	c->next = *list;
	c->prev = list;
	if (c->next)
		c->next->prev = &c->next;
	*list = c;
}

static void
call_unlink(struct httpc_call *c)
{
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
}

static void
call_free(struct httpc_call *c)
{
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	buf_finish(&c->body);
	free(c);
}

/* Out of use: kept for the next call, or freed. */
static void
call_retire(struct httpc_call *c)
{
	struct httpc *h = c->h;

	call_unlink(c);
	if (h->nidle == IDLE_MAX) {
		call_free(c);
		return;
	}
	curl_easy_reset(c->easy);
	curl_slist_free_all(c->headers);
	c->headers = NULL;
	if (c->body.cap > IDLE_BODY_MAX)
		buf_finish(&c->body);
	buf_reset(&c->body);
	call_link(&h->idle, c);
	h->nidle++;
}

static struct httpc_call *
call_obtain(struct httpc *h)
{
	struct httpc_call *c = h->idle;
	if (c) {
		call_unlink(c);
		h->nidle--;
	} else {
		c = xcalloc(1, sizeof(*c));
		c->h = h;
		c->easy = curl_easy_init();
		assert(c->easy);
	}
	call_link(&h->calls, c);
	c->state = CALL_QUEUED;
	c->received = c->header_bytes = 0;
	c->too_large = c->headers_done = false;
	c->error[0] = '\0';
	return c;
}

/* -- what libcurl tells of a transfer, with libcurl on the stack -- */

static size_t
on_curl_header(char *line, size_t size, size_t nitems, void *arg)
{
	struct httpc_call *c = arg;
	size_t n = size * nitems;
	long status = 0;

	c->header_bytes += n;
	if (c->state != CALL_RUNNING || c->header_bytes > HEADERS_MAX)
		return 0;
	if (c->headers_done || !n || (line[0] != '\r' && line[0] != '\n'))
		return n;
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return n;
	c->headers_done = true;
	if (c->on_headers)
		c->on_headers(c->arg, c, (int)status);
	return c->state == CALL_RUNNING ? n : 0;
}

static size_t
on_curl_data(char *bytes, size_t size, size_t nmemb, void *arg)
{
	struct httpc_call *c = arg;
	size_t n = size * nmemb;

	if (c->state != CALL_RUNNING)
		return 0;
	c->received += n;
	if (c->body_max && c->received > c->body_max) {
		c->too_large = true;
		return 0;
	}
	if (c->on_data)
		c->on_data(c->arg, bytes, n);
	else
		buf_add(&c->body, bytes, n);
	return c->state == CALL_RUNNING ? n : 0;
}

/* -- how a call ends -- */

static int
errno_of_curl(CURLcode code, long os_errno)
{
	static const struct {
		CURLcode code;
		int errno_value;
	} table[] = {
		{CURLE_OPERATION_TIMEDOUT, ETIMEDOUT},
		{CURLE_FILESIZE_EXCEEDED, EMSGSIZE},
		{CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH},
		{CURLE_GOT_NOTHING, ECONNRESET},
		{CURLE_PARTIAL_FILE, ECONNRESET},
		{CURLE_SEND_ERROR, ECONNRESET},
		{CURLE_RECV_ERROR, ECONNRESET},
		{CURLE_URL_MALFORMAT, EINVAL},
		{CURLE_OUT_OF_MEMORY, ENOMEM},
		{CURLE_PEER_FAILED_VERIFICATION, EACCES},
	};

	if (code == CURLE_COULDNT_CONNECT)
		return os_errno ? (int)os_errno : ECONNREFUSED;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].code == code)
			return table[i].errno_value;
	return EPROTO;
}

static void
explain(struct httpc_call *c, CURLcode code, struct err *reterr)
{
	long os_errno = 0;

	if (c->too_large) {
		err_set(reterr, EMSGSIZE, "the reply is larger than %zu bytes", c->body_max);
		return;
	}
	curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os_errno);
	int e = errno_of_curl(code, os_errno);
	if (code == CURLE_COULDNT_CONNECT && os_errno)
		err_set(reterr, e, "cannot connect: %s", strerror(e));
	else
		err_set(reterr, e, "%s", c->error[0] ? c->error : curl_easy_strerror(code));
}

static void
call_complete(struct httpc_call *c, CURLcode code)
{
	struct err e = {0};
	long status = 0;

	curl_multi_remove_handle(c->h->multi, c->easy);
	if (c->state == CALL_RUNNING) {
		if (code == CURLE_OK)
			curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
		else
			explain(c, code, &e);
		c->state = CALL_DONE;
		c->on_done(c->arg, code == CURLE_OK ? (int)status : -e.code,
			c->on_data  ? NULL
			: c->body.p ? c->body.p
				    : "",
			c->body.n, code == CURLE_OK ? NULL : &e);
	}
	call_retire(c);
}

static void
call_run(struct httpc_call *c)
{
	c->state = CALL_RUNNING;
	CURLMcode rc = curl_multi_add_handle(c->h->multi, c->easy);
	assert(rc == CURLM_OK);
}

/* What was asked for while libcurl was on the stack. */
static void
carry_out_postponed(struct httpc *h)
{
	h->postponed = false;
	for (struct httpc_call *c = h->calls, *next; c; c = next) {
		next = c->next;
		if (c->state == CALL_QUEUED) {
			call_run(c);
		} else if (c->state == CALL_CANCELLED) {
			curl_multi_remove_handle(h->multi, c->easy);
			call_retire(c);
		}
	}
}

static void
complete_calls(struct httpc *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct httpc_call *c = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode code = m->data.result; /* m is gone with its handle */
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		call_complete(c, code);
	}
}

static void
drive(struct httpc *h, curl_socket_t fd, int events)
{
	int running;

	assert(!h->inside);
	h->inside = true;
	curl_multi_socket_action(h->multi, fd, events, &running);
	h->inside = false;
	if (h->postponed)
		carry_out_postponed(h);
	complete_calls(h);
}

/* -- the loop -- */

static void
on_timer(uv_timer_t *t)
{
	drive(t->data, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_curl_timer(CURLM *multi, long ms, void *arg)
{
	struct httpc *h = arg;
	(void)multi;
	if (ms < 0)
		uv_timer_stop(&h->timer);
	else
		uv_timer_start(&h->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

static void
on_poll(uv_poll_t *p, int status, int events)
{
	struct watch *w = p->data;
	int what = 0;

	if (status < 0)
		what = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	drive(w->h, w->fd, what);
}

static void
on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct watch *
watch_create(struct httpc *h, curl_socket_t fd)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	w->h = h;
	w->fd = fd;
	w->poll.data = w;
	int r = uv_poll_init(h->loop, &w->poll, fd);
	assert(r == 0);
	curl_multi_assign(h->multi, fd, w);
	return w;
}

static int
on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct httpc *h = arg;
	struct watch *w = socket_arg;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w) {
			curl_multi_assign(h->multi, fd, NULL);
			uv_poll_stop(&w->poll);
			uv_close((uv_handle_t *)&w->poll, on_watch_closed);
		}
		return 0;
	}
	if (!w)
		w = watch_create(h, fd);
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	uv_poll_start(&w->poll, events, on_poll);
	return 0;
}

/* -- options -- */

static void
set_where(CURL *easy, const struct httpc_target *t, const char *path)
{
	const char *socket_path = after_prefix(t->url, "unix://");
	const char *rest = after_prefix(t->url, "tcp://");
	const char *base = socket_path ? "localhost" : rest ? rest : t->url;
	size_t n = strlen(base);
	struct buf url = {0};

	while (n && base[n - 1] == '/')
		n--;
	buf_adds(&url, socket_path || rest ? "http://" : "");
	buf_add(&url, base, n);
	buf_adds(&url, path);
	curl_easy_setopt(easy, CURLOPT_URL, url.p);
	buf_finish(&url);

	if (socket_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	if (t->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (t->cert_file)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, t->cert_file);
	if (t->key_file)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, t->key_file);
}

/* The defaults of libcurl follow the environment and speak protocols without number. */
static void
set_limits(CURL *easy, const struct httpc_request *q)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 15L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(q->connect_ms ? q->connect_ms : CONNECT_MS));
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
	if (q->body_max)
		curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)q->body_max);
}

static void
set_method(CURL *easy, const struct httpc_request *q)
{
	const char *method = q->method ? q->method : "GET";

	if (q->body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_size);
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, q->body);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	} else if (!strcmp(method, "HEAD")) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (strcmp(method, "GET") != 0) {
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	}
}

static void
add_header(struct httpc_call *c, const char *line)
{
	struct curl_slist *more = curl_slist_append(c->headers, line);
	assert(more);
	c->headers = more;
}

static void
set_headers(struct httpc_call *c, const struct httpc_request *q)
{
	bool typed = false;

	for (const char *const *line = q->headers; line && *line; line++) {
		typed |= !strncasecmp(*line, "Content-Type:", 13);
		add_header(c, *line);
	}
	if (q->body) {
		add_header(c, "Expect:");
		if (!typed)
			add_header(c, "Content-Type:");
	}
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "waymark/" WAYMARK_VERSION);
}

static void
set_callbacks(struct httpc_call *c, const struct httpc_request *q)
{
	c->body_max = q->body_max;
	c->on_headers = q->on_headers;
	c->on_data = q->on_data;
	c->on_done = q->on_done;
	c->arg = q->arg;
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_curl_header);
	curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_curl_data);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
}

/* -- the interface -- */

struct httpc *
httpc_create(uv_loop_t *loop)
{
	static bool initialized;
	if (!initialized) {
		CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
		assert(rc == CURLE_OK);
		initialized = true;
	}

	struct httpc *h = xcalloc(1, sizeof(*h));
	h->loop = loop;
	h->multi = curl_multi_init();
	assert(h->multi);
	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	return h;
}

static void
on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
httpc_destroy(struct httpc *h)
{
	if (!h)
		return;
	assert(!h->inside);
	for (struct httpc_call *c = h->calls, *next; c; c = next) {
		next = c->next;
		assert(c->state != CALL_DONE);
		curl_multi_remove_handle(h->multi, c->easy);
		call_free(c);
	}
	for (struct httpc_call *c = h->idle, *next; c; c = next) {
		next = c->next;
		call_free(c);
	}
	curl_multi_cleanup(h->multi);
	uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}

struct httpc_call *
httpc_start(struct httpc *h, const struct httpc_request *q)
{
	assert(q->target && q->path && q->on_done);
	struct httpc_call *c = call_obtain(h);

	set_limits(c->easy, q);
	set_where(c->easy, q->target, q->path);
	set_method(c->easy, q);
	set_headers(c, q);
	set_callbacks(c, q);
	if (h->inside)
		h->postponed = true;
	else
		call_run(c);
	return c;
}

void
httpc_cancel(struct httpc_call *c)
{
	if (!c || c->state == CALL_DONE || c->state == CALL_CANCELLED)
		return;
	if (c->h->inside) {
		c->state = CALL_CANCELLED;
		c->h->postponed = true;
		return;
	}
	curl_multi_remove_handle(c->h->multi, c->easy);
	call_retire(c);
}

const char *
httpc_header(struct httpc_call *c, const char *name)
{
	struct curl_header *found;
	if (curl_easy_header(c->easy, name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK)
		return NULL;
	return found->value;
}
