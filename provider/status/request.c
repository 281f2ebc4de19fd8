/* request.c - what becomes of one request: refused, routed, allowed, replied to. */
#include "provider/status/server_inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "provider/status/access_check.h"
#include "reconciler/base/buf.h"

/* What is read of the body of a request that is replied to anyway.  A proxy makes a 502 of a reply
 * that comes with a reset while it still writes, as Traefik does with every second upload of 200 kB
 * to whom does not read it; reading 1 MiB costs under a millisecond. */
#define BODY_MAX (16 * 1024 * 1024)

/* ── Replies ───────────────────────────────────────────────────────────────────────────────── */

const char *
server_query(const struct server_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->mhd, MHD_GET_ARGUMENT_KIND, name);
}

const char *
server_header(const struct server_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->mhd, MHD_HEADER_KIND, name);
}

enum MHD_Result
server_reply(struct server_request *rq, unsigned status, struct MHD_Response *response)
{
	/* However the body's end was told: what comes after it could be meant otherwise. */
	if (rq->body)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	return MHD_queue_response(rq->mhd, status, response);
}

static struct MHD_Response *
response_create(const char *type, char *bytes, size_t n)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(n, bytes, MHD_RESPMEM_MUST_FREE);
	assert(r);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Content-Security-Policy",
		"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	return r;
}

static struct MHD_Response *
error_create(const char *what)
{
	struct buf b = {0};
	size_t n;
	buf_adds(&b, "{\"error\":");
	buf_json(&b, what);
	buf_adds(&b, "}\n");
	char *bytes = buf_steal(&b, &n);
	return response_create("application/json", bytes, n);
}

static enum MHD_Result
reply_and_release(struct server_request *rq, unsigned status, struct MHD_Response *response)
{
	enum MHD_Result r = server_reply(rq, status, response);
	MHD_destroy_response(response);
	return r;
}

enum MHD_Result
server_reply_bytes(
	struct server_request *rq, unsigned status, const char *type, char *bytes, size_t n)
{
	return reply_and_release(rq, status, response_create(type, bytes, n));
}

enum MHD_Result
server_reply_error(struct server_request *rq, unsigned status, const char *what)
{
	return reply_and_release(rq, status, error_create(what));
}

/* ── Access ────────────────────────────────────────────────────────────────────────────────── */

static enum MHD_Result
reply_unauthorized(struct server_request *rq)
{
	struct MHD_Response *r = error_create("a token is needed: Authorization: Bearer TOKEN, or "
					      "the token as the password of basic authentication");
	MHD_add_response_header(
		r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"waymark\", charset=\"UTF-8\"");
	MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"waymark\"");
	return reply_and_release(rq, MHD_HTTP_UNAUTHORIZED, r);
}

/* Whether the request may go on; where not, it has its reply and *ret says how that went. */
static bool
request_is_allowed(struct server_request *rq, enum MHD_Result *ret)
{
	const struct server_listener *l = rq->connection->listener;
	if (rq->route->role == SERVER_FOR_ALL)
		return true;
	if (l->socket.path)
		return true;
	if (l->socket.local && access_host_is_local(server_header(rq, "Host")))
		return true;
	if (!l->server->ntokens) {
		*ret = server_reply_error(rq, MHD_HTTP_FORBIDDEN,
			"under this name only with a token, and none is configured: ask by address "
			"or "
			"as localhost, or configure tokens");
		return false;
	}

	const struct config_token *t = access_find_token(
		l->server->tokens, l->server->ntokens, server_header(rq, "Authorization"));
	if (!t) {
		*ret = reply_unauthorized(rq);
		return false;
	}
	if ((t->role == TOKEN_PROVIDER) != (rq->route->role == SERVER_FOR_PROVIDERS)) {
		*ret = server_reply_error(rq, MHD_HTTP_FORBIDDEN,
			t->role == TOKEN_PROVIDER ? "this needs a token with the role viewer"
						  : "this needs a token with the role provider");
		return false;
	}
	return true;
}

/* ── Requests ──────────────────────────────────────────────────────────────────────────────── */

struct framing {
	unsigned length, encoding, host;
	bool body, name;
	bool chunked; /* the encoding is that one */
	bool large; /* more than is read */
};

static enum MHD_Result
framing_note(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct framing *f = arg;
	(void)kind;
	/* "Content-Length : 5" (RFC 9112, 5.1) */
	f->name |= strpbrk(name, " \t") != NULL;
	if (!strcasecmp(name, "Content-Length")) {
		f->length++;
		f->body |= !value || strcmp(value, "0");
		f->large |= value && strtoull(value, NULL, 10) > BODY_MAX;
	} else if (!strcasecmp(name, "Transfer-Encoding")) {
		f->encoding++;
		f->body = true;
		f->chunked = value && !strcasecmp(value, "chunked");
	} else if (!strcasecmp(name, "Host")) {
		f->host++;
	}
	return MHD_YES;
}

/* What makes a request one that is not even looked at; NULL where nothing does.  libmicrohttpd
 * 0.9.75 takes all of these (reliability, D1). */
static const char *
request_refusal(const struct server_request *rq, const struct framing *f)
{
	bool open = rq->connection->listener->server->open;
	if (rq->cut)
		return "a path with %00";
	if (f->name)
		return "a blank in the name of a header";
	if (f->length > 1 || f->encoding > 1 || (f->length && f->encoding) ||
		(open && f->encoding && !f->chunked))
		return "the length of the request is not clear";
	if (f->host > 1)
		return "more than one Host";
	if (f->body && !open)
		return "a request with a body";
	return NULL;
}

static enum MHD_Result
reply_not_allowed(struct server_request *rq)
{
	struct MHD_Response *r = error_create("there is nothing but GET and HEAD");
	MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	return reply_and_release(rq, MHD_HTTP_METHOD_NOT_ALLOWED, r);
}

static bool
request_route(struct server_request *rq, const struct server *s)
{
	for (size_t i = 0; i < s->nroutes; i++) {
		for (size_t k = 0; k < s->routes[i].n; k++) {
			const struct server_route *route = &s->routes[i].list[k];
			if (!route->path || !strcmp(route->path, rq->path)) {
				rq->route = route;
				rq->arg = s->routes[i].arg;
				return true;
			}
		}
	}
	return false;
}

static enum MHD_Result
request_answer(struct server_request *rq)
{
	enum MHD_Result r;
	if (!rq->route && !request_route(rq, rq->connection->listener->server))
		return server_reply_error(rq, MHD_HTTP_NOT_FOUND, "no such page");
	/* Each time: a reload may have taken the token of a held request away. */
	if (!request_is_allowed(rq, &r))
		return r;
	rq->time_over = rq->held && server_now_ms() >= rq->until_ms;
	return rq->route->handle(rq->arg, rq);
}

/* The header of a request is complete.  A reply now also ends the connection, for libmicrohttpd
 * then reads nothing more from it. */
static enum MHD_Result
request_begin(struct server_request *rq, const char *path, const char *method)
{
	struct framing f = {0};
	rq->seen = true;
	rq->path = path;
	rq->head = !strcmp(method, MHD_HTTP_METHOD_HEAD);
	rq->connection->state = CONNECTION_REPLIES;
	rq->connection->since_ms = server_now_ms();

	if (!rq->head && strcmp(method, MHD_HTTP_METHOD_GET) &&
		!rq->connection->listener->server->open)
		return reply_not_allowed(rq);
	MHD_get_connection_values(rq->mhd, MHD_HEADER_KIND, framing_note, &f);
	const char *refusal = request_refusal(rq, &f);
	if (refusal)
		return server_reply_error(rq, MHD_HTTP_BAD_REQUEST, refusal);
	rq->body = f.body;
	/* Nothing of a body that is too large is read, nor one that waits for us to want it. */
	if (f.large || (f.body && server_header(rq, "Expect")))
		return request_answer(rq);
	return MHD_YES;
}

/* A part of its body.  More than is read ends the connection. */
static enum MHD_Result
request_drop(struct server_request *rq, size_t *n)
{
	rq->dropped += *n;
	*n = 0;
	return rq->dropped > BODY_MAX ? MHD_NO : MHD_YES;
}

enum MHD_Result
request_handle(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *body, size_t *nbody, void **request)
{
	struct server_request *rq = *request;
	(void)arg;
	(void)mhd;
	(void)version;
	(void)body;

	if (!rq->seen)
		return request_begin(rq, url, method);
	return *nbody ? request_drop(rq, nbody) : request_answer(rq);
}
