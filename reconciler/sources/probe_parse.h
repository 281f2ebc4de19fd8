/* probe_parse.h - the status of an HTTP/1 answer, as far as a probe wants to know it.
 *
 * The octets may come in any pieces.  Nothing behind the status is read, but for the heads of
 * interim answers (100, 103, …), after which the real one comes.  Pure.
 */
#ifndef RECONCILER_SOURCES_PROBE_PARSE_H
#define RECONCILER_SOURCES_PROBE_PARSE_H

#include <stddef.h>

/* Whoever has not come to a status after so many octets never will. */
#define PROBE_STATUS_MAX 65536

/* All zero at the start. */
struct probe_status {
	size_t n; /* octets so far */
	unsigned at; /* where in the status line, or behind it */
	int code;
};

/* 0: more is needed; from 100 on: the status; -EPROTO: this is not HTTP/1.  Not to be called again
 * after either. */
int probe_status_parse(struct probe_status *s, const char *octets, size_t n);

#endif
