/* push.h - hands the document to Traefik's rest provider: PUT {url}/api/providers/rest.
 *
 * One request in flight, the newest next; a failure backs off up to 5 s.  That provider forgets
 * everything at a restart, so Traefik's version is asked once a second: a new start date, or an
 * answer after none, makes the document go out again.
 */
#ifndef PROVIDER_TRAEFIK_PUSH_H
#define PROVIDER_TRAEFIK_PUSH_H

#include <stdint.h>

#include <uv.h>

#include "reconciler/base/httpc.h"
#include "provider/traefik/document.h"

struct push;

/* url is traefik.push, copied.  newest gives the document that should be there (NULL: none yet);
 * it is asked on the loop. */
struct push *push_create(uv_loop_t *loop, struct httpc *http, const char *url,
	struct document *(*newest)(void *arg), void *arg);
/* Its handles close on the loop, which the caller runs until it is empty. */
void push_destroy(struct push *p);

/* The newest document is another one. */
void push_changed(struct push *p);

const char *push_url(const struct push *p);
/* The serial of the document that Traefik took last; 0: none. */
uint64_t push_arrived(const struct push *p);
/* "" where all is well. */
const char *push_error(const struct push *p);

#endif
