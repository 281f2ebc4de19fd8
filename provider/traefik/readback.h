/* readback.h - what Traefik really runs, asked of its API: GET {url}/api/http/middlewares.
 *
 * Each document carries a mark (document_render.h); the one whose mark the API lists is in force.
 * One request at a time: in short steps while a document that was given to Traefik is not in force,
 * every two seconds otherwise, for a Traefik that starts anew has forgotten everything.  While the
 * API does not answer, what was known last stays: Traefik does not lose what it runs by that, and
 * nothing newer counts.  A 404 is an answer.
 *
 * A reading alone proves little.  Traefik hands its entry points the new routers one after the
 * other, the API's own among them, so a second reading some time later has to show that document or
 * a newer one.  And nothing counts shortly after the start, when Traefik may be about to apply what
 * it was given before that.
 */
#ifndef PROVIDER_TRAEFIK_READBACK_H
#define PROVIDER_TRAEFIK_READBACK_H

#include <stdint.h>

#include <uv.h>

#include "reconciler/base/httpc.h"

/* So far apart are two readings that prove something. */
#define READBACK_SETTLE_MS 20
/* Documents of before the start are applied by then: Traefik's throttle (2 s), and a margin. */
#define READBACK_START_MS 2500

struct readback;

struct readback_config {
	uv_loop_t *loop;
	struct httpc *http;
	const char *url; /* traefik.api, copied */
	const char *provider; /* "http" or "rest": by which one Traefik gets the document */
	/* The newest document with this mark; 0: there is none. */
	uint64_t (*find)(void *arg, uint64_t mark);
	/* What is known is another. */
	void (*changed)(void *arg);
	void *arg;
};

struct readback *readback_create(const struct readback_config *cfg);
/* Its handles close on the loop, which the caller runs until it is empty. */
void readback_destroy(struct readback *b);

/* The document was given to Traefik just now. */
void readback_expect(struct readback *b, uint64_t serial);
/* Somebody wants to know: for a while it asks more often. */
void readback_hurry(struct readback *b);

/* The document that is in force; 0: none of ours, or not known. */
uint64_t readback_arrived(const struct readback *b);
const char *readback_url(const struct readback *b);
const char *readback_provider(const struct readback *b);
/* "" where all is well. */
const char *readback_error(const struct readback *b);

#endif
