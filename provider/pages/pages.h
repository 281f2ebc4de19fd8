/* pages.h - the pages listener: what a visitor gets where nothing serves.
 *
 * Proxies lead hosts without a server here, with the Host header as it came.  Everybody is
 * answered, whatever the method and path: 503 with Retry-After, 410, or 404 where the host is not
 * known.  A page says nothing of what is inside but the host's name.
 *
 * It is a server of its own beside the one for the API, and its troubles are its own: a template
 * that is broken is not taken, an address that cannot be listened on is tried again.
 */
#ifndef PROVIDER_PAGES_PAGES_H
#define PROVIDER_PAGES_PAGES_H

#include <stdbool.h>

#include <uv.h>

#include "reconciler/model/plan.h"

struct pages;

struct pages_config {
	uv_loop_t *loop;
	/* What a visitor of this host (lower case, without port) and path gets; false: the host is
	 * not known. */
	bool (*find)(void *arg, const char *host, const char *path, enum route_answer *ret);
	void *arg;
};

/* Listens nowhere yet. */
struct pages *pages_create(const struct pages_config *cfg);

/* From now on (also at first) listens there and takes its templates from that directory; NULL:
 * nowhere, and the built-in ones.  The files are read each time.  What cannot be done is logged. */
void pages_reload(struct pages *p, const char *listen, const char *directory);

/* Its handles close on the loop, which the caller runs until it is empty. */
void pages_destroy(struct pages *p);

/* Where it listens really; NULL: nowhere. */
const char *pages_address(const struct pages *p);

#endif
