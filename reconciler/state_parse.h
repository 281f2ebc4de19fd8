/* state_parse.h - the rows of the state on disk, printed and read.
 *
 * The state is a journal: a line of JSON for each row, the last one with a key counts.  Rows are
 * {"row":"boot"}, {"row":"source"}, {"row":"endpoint"} and the ledger's.  Pure.
 */
#ifndef RECONCILER_STATE_PARSE_H
#define RECONCILER_STATE_PARSE_H

#include <stdbool.h>

#include <jansson.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/err.h"
#include "reconciler/model/endpoint.h"

/* Which boot of the machine wrote what follows. */
void state_print_boot(struct buf *b, const char *boot);
/* An engine was seen whole. */
void state_print_source(struct buf *b, const char *engine);
/* A container, and whether a probe found it ready. */
void state_print_endpoint(struct buf *b, const struct endpoint *e, bool ready);
void state_print_gone(struct buf *b, const char *engine, const char *id);

/* One reference; ready_before as it was printed.  -EINVAL where it is no endpoint. */
int state_parse_endpoint(const json_t *row, struct endpoint **ret, struct err *reterr);

#endif
