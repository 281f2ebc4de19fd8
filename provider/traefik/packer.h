/* packer.h - compresses a document's chunks in the thread pool.
 *
 * One job at a time and a bounded share of the time: the first at once, the next not before nine
 * times what the last one took.  Only for those who ask.
 */
#ifndef PROVIDER_TRAEFIK_PACKER_H
#define PROVIDER_TRAEFIK_PACKER_H

#include <uv.h>

#include "provider/traefik/document.h"

struct packer;

/* newest gives the document that is served now (NULL: none); it is asked on the loop. */
struct packer *packer_create(uv_loop_t *loop, struct document *(*newest)(void *arg), void *arg);
/* Waits for a job under way on the loop, which the caller runs until it is empty. */
void packer_destroy(struct packer *p);

/* Somebody who takes gzip asked for the newest document. */
void packer_want(struct packer *p);

#endif
