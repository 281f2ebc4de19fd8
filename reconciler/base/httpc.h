/* httpc.h - an HTTP client on the loop: libcurl's multi interface driven by libuv.
 *
 * Speaks to unix sockets and TCP, plain or TLS.  Follows no redirect, takes no proxy from the
 * environment, reads no .netrc, speaks http and https only, bounds every body and every wait.
 * Callbacks run on the loop, never inside a libcurl callback that forbids calls into libcurl, so
 * they may start and cancel calls.  One thread.
 */
#ifndef RECONCILER_BASE_HTTPC_H
#define RECONCILER_BASE_HTTPC_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "reconciler/base/err.h"

struct httpc;
struct httpc_call;

/* Where requests go: "unix:///run/docker.sock", "tcp://127.0.0.1:2375" (which is http),
 * "http://h:p/prefix" or "https://h:p".  Files are paths to PEM files or NULL. */
struct httpc_target {
	const char *url;
	const char *ca_file;
	const char *cert_file;
	const char *key_file;
};

/* Checks a target's URL alone: 0, or -EINVAL with what is wrong. */
int httpc_target_check(const char *url, struct err *reterr);

struct httpc_request {
	const struct httpc_target *target; /* must outlive the call */
	const char *method; /* NULL: GET */
	const char *path; /* "/v1.41/containers/json"; copied */
	const char *const *headers; /* "Name: value", NULL-terminated; copied; may be NULL */
	const char *body; /* copied; NULL: none */
	size_t body_size;
	unsigned timeout_ms; /* for the whole call; 0: none (a stream) */
	unsigned connect_ms; /* 0: 2000 */
	size_t body_max; /* more than this fails with EMSGSIZE; 0: no bound (a stream) */

	/* The header is complete; header() reads one of them (NULL: absent).  May be NULL. */
	void (*on_headers)(void *arg, struct httpc_call *call, int status);
	/* Bytes of the body as they arrive.  NULL: they are collected for on_done. */
	void (*on_data)(void *arg, const char *bytes, size_t n);
	/* Exactly once, and the call is gone when it returns.  status is the HTTP status, or a
	 * negative errno value with e->text saying what happened (-ETIMEDOUT, -ECONNREFUSED,
	 * -ENOENT no such socket, -EMSGSIZE, -EPROTO, …).  body is NULL where on_data is set. */
	void (*on_done)(void *arg, int status, const char *body, size_t n, const struct err *e);
	void *arg;
};

struct httpc *httpc_create(uv_loop_t *loop);
/* Cancels what is under way, without callbacks; the handles close on the loop, which the caller
 * runs until it is empty. */
void httpc_destroy(struct httpc *h);

struct httpc_call *httpc_start(struct httpc *h, const struct httpc_request *request);
/* No callback comes any more.  NULL is fine. */
void httpc_cancel(struct httpc_call *call);
/* In on_headers only. */
const char *httpc_header(struct httpc_call *call, const char *name);

#endif
