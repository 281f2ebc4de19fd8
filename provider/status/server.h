/* server.h - the HTTP server: libmicrohttpd without a thread of its own, turned by the loop.
 *
 * GET and HEAD on fixed paths, nothing else.  Bodies, contradicting framing and cut paths are
 * refused before any route is looked up.  On loopback and unix sockets a request needs no token
 * when it names the machine by an address or as localhost (a web page that has its own name point
 * here does not); everywhere else a token with the route's role is needed.
 *
 * A server may be open instead, for visitors of any name: every method, no token, and bodies are
 * read and dropped, so that who sends one gets a reply and no reset.
 *
 * A handler replies at once or holds the request in a queue; it is called again when the queue is
 * woken or the time is over.  One thread: everything is called on the loop.
 */
#ifndef PROVIDER_STATUS_SERVER_H
#define PROVIDER_STATUS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <microhttpd.h>
#include <uv.h>

#include "provider/cli/config.h"
#include "reconciler/base/err.h"

struct server;

/* One client connection, for as long as it lasts. */
struct server_connection {
	char address[64]; /* "10.0.0.7", "unix" */
	uint64_t mark; /* for the handler; 0 at first */

	/* the server's own */
	struct server_listener *listener;
	int fd;
	uint64_t since_ms; /* when it began to wait for a request, or to reply to one */
	bool served; /* had a reply once */
	enum { CONNECTION_WAITS, CONNECTION_REPLIES, CONNECTION_HELD } state;
	LIST_ENTRY(server_connection) entry;
};

struct server_request {
	struct server_connection *connection;
	const char *path;
	bool head;
	bool held; /* this is not the first call */
	bool time_over; /* … and the time that server_hold gave is over */

	/* the server's own */
	struct MHD_Connection *mhd;
	const struct server_route *route;
	void *arg;
	bool seen, cut;
	bool body; /* has one: nothing that follows it on its connection is read */
	size_t dropped; /* octets of it */
	bool queued; /* held now: in a queue, and in the server's list */
	uint64_t until_ms;
	LIST_ENTRY(server_request) in_queue, in_server;
};

/* Held requests.  All zero is an empty one; the server must be gone before it is. */
LIST_HEAD(server_queue, server_request);

enum server_role { SERVER_FOR_ALL, SERVER_FOR_VIEWERS, SERVER_FOR_PROVIDERS };

/* A handler calls exactly one of server_reply*, server_hold and returns what that returned. */
struct server_route {
	const char *path; /* NULL: every one */
	enum server_role role;
	enum MHD_Result (*handle)(void *arg, struct server_request *rq);
};

struct server_routes {
	const struct server_route *list;
	size_t n;
	void *arg; /* for their handlers */
};

struct server_config {
	uv_loop_t *loop;
	bool open;
	size_t nlisten;
	const char *const *listen; /* "127.0.0.1:9180", "[::1]:9180", "unix:/run/x.sock" */
	size_t ntokens;
	const struct config_token *tokens;
	size_t nroutes;
	const struct server_routes *routes; /* the lists must outlive the server */
};

/* NULL where it cannot listen, or must not: an address that is not loopback needs tokens, but for
 * an open server. */
struct server *server_create(const struct server_config *cfg, struct err *reterr);

/* Other addresses and tokens; the rest stays.  On failure everything is as it was. */
int server_reload(struct server *s, const struct server_config *cfg, struct err *reterr);

/* Ends every connection; its handles close on the loop, which the caller runs until it is empty. */
void server_destroy(struct server *s);

/* Where it listens really: "127.0.0.1:43121" for a configured port 0.  NULL past the last. */
const char *server_address(const struct server *s, size_t i);

/* An argument of the query or a header of the request; NULL where it is not there. */
const char *server_query(const struct server_request *rq, const char *name);
const char *server_header(const struct server_request *rq, const char *name);

/* The response stays the caller's. */
enum MHD_Result server_reply(
	struct server_request *rq, unsigned status, struct MHD_Response *response);
/* Takes the bytes over (malloc). */
enum MHD_Result server_reply_bytes(
	struct server_request *rq, unsigned status, const char *type, char *bytes, size_t n);
/* {"error":…} */
enum MHD_Result server_reply_error(struct server_request *rq, unsigned status, const char *what);

/* Holds the request; ms counts from its first hold. */
enum MHD_Result server_hold(struct server_request *rq, struct server_queue *q, uint64_t ms);
/* Calls the handlers of all requests in the queue again, now.  Not from inside a handler. */
void server_wake(struct server_queue *q);

#endif
