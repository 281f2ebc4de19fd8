/* state_parse.h - the rows of the state on disk, printed and read.
 *
 * The state is a journal: a line of JSON for each row, the last one with a key counts.  Rows are
 * {"row":"boot"}, {"row":"source"}, {"row":"endpoint"}, {"row":"project"}, {"row":"static"} and the
 * ledger's.  Pure.
 */
#ifndef RECONCILER_STATE_PARSE_H
#define RECONCILER_STATE_PARSE_H

#include <stdbool.h>

#include <jansson.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/err.h"
#include "reconciler/model/endpoint.h"
#include "reconciler/model/registry.h"

/* Which boot of the machine wrote what follows. */
void state_print_boot(struct buf *b, const char *boot);
/* An engine was seen whole. */
void state_print_source(struct buf *b, const char *engine);
/* A container, and whether a probe found it ready. */
void state_print_endpoint(struct buf *b, const struct endpoint *e, bool ready);
void state_print_gone(struct buf *b, const char *engine, const char *id);

/* What a registry says of a project, or of a static route. */
void state_print_project(struct buf *b, const struct registered_project *p);
void state_print_project_gone(struct buf *b, const char *source, const char *project);
void state_print_static(struct buf *b, const struct registered_static *s);
void state_print_static_gone(struct buf *b, const char *source, const char *host);

/* One row of the four: what it says, where it is one of them.  The values have one reference. */
struct state_registered {
	const char *source; /* in the row; NULL: another row, or one that cannot be read */
	const char *name; /* the project's, or the static route's host */
	bool is_static;
	struct registered_project *project; /* both NULL: it went */
	struct registered_static *route;
};
struct state_registered state_parse_registered(const json_t *row);

/* One reference; ready_before as it was printed.  -EINVAL where it is no endpoint. */
int state_parse_endpoint(const json_t *row, struct endpoint **ret, struct err *reterr);

#endif
