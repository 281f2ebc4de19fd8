/* server_inside.h - what server.c and request.c share, and nobody else. */
#ifndef PROVIDER_STATUS_SERVER_INSIDE_H
#define PROVIDER_STATUS_SERVER_INSIDE_H

#include "provider/status/listen.h"
#include "provider/status/server.h"

/* One address that is listened on, with a daemon of its own. */
struct server_listener {
	struct server *server;
	char *listen; /* as configured */
	struct listen_socket socket;
	bool running; /* inside MHD_run */
	bool woken;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_timer_t timer;
	int nhandles;
	LIST_HEAD(, server_connection) connections;
	size_t nconnections, connections_max;
	LIST_ENTRY(server_listener) entry;
};

/* What all of them share. */
struct server {
	uv_loop_t *loop;
	bool open;
	const struct server_routes *routes;
	size_t nroutes;
	size_t ntokens;
	struct config_token *tokens; /* without names */
	LIST_HEAD(, server_listener) listeners;
	LIST_HEAD(, server_request) held;
	uv_timer_t hold_timer; /* the first of the held requests whose time is over */
	uv_timer_t sweep_timer; /* runs while there are connections */
	size_t nconnections;
	int nhandles;
};

/* The header of a request is complete, or its body goes on, or it was resumed: libmicrohttpd's
 * access handler; arg is the listener. */
enum MHD_Result request_handle(void *arg, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *body, size_t *nbody, void **request);

/* Milliseconds that only go up. */
uint64_t server_now_ms(void);

#endif
