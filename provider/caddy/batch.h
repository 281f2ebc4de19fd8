/* batch.h - the sites that change together, while they are adapted, written and loaded.
 *
 * A batch begins with all sites that are due.  Those that Caddy does not take are put aside: by the
 * line that it names while they are adapted, by the file that it names when they are loaded, else
 * by halves.  Groups are what is written and loaded together; there is one until something goes
 * wrong.  No world is touched.
 */
#ifndef PROVIDER_CADDY_BATCH_H
#define PROVIDER_CADDY_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "provider/caddy/sites.h"

struct batch_item {
	struct site *site;
	char *text; /* its target when the batch began; NULL: it is to go */
	bool adapted; /* Caddy takes it for a Caddyfile */
	bool settled; /* Caddy runs it */
	bool out; /* refused, foreign, or not to be written */
	bool reverted; /* it is to go back to its good version */
	size_t first_line, end_line; /* in the text that is adapted */
	unsigned group;
};

struct batch {
	size_t n;
	struct batch_item *list;
	bool alone; /* adapted one by one, for nobody knows whose mistake it is */
	bool cleared; /* … and it is not the main Caddyfile's */
	unsigned group, ngroups; /* the one under way, counted from 1; 0: none yet */
	char *why; /* of the load that was refused last */
	char *text; /* that is adapted */
};

/* All that is due; sites must stay as they are until the end. */
void batch_init(struct batch *b, struct sites *s);
void batch_finish(struct batch *b);

/* The next Caddyfile that is to be adapted, after the rest of the main one, until batch_adapted or
 * batch_refuse_line; NULL: all is adapted that can be. */
const char *batch_adapt_text(struct batch *b, const char *rest);
void batch_adapted(struct batch *b);
/* The site at that line is put aside, or the only one; where nobody knows, each is adapted alone
 * from now on.  False: it is none of them. */
bool batch_refuse_line(struct batch *b, unsigned line, const char *why);

/* The first group; false: nothing is to be written. */
bool batch_begin(struct batch *b);
/* The next one, or the same without those that went out; false: all are done. */
bool batch_next(struct batch *b);

struct batch_changes {
	size_t n;
	struct site_change *list;
	struct batch_item **item; /* of each */
};
/* What is to be written for the group, or to go back. */
void batch_changes_make(struct batch *b, bool revert, struct batch_changes *ret);
void batch_changes_finish(struct batch_changes *c);
/* What became of it. */
void batch_written(struct batch *b, const struct batch_changes *c, bool revert);

/* Caddy loaded the group. */
void batch_settle(struct batch *b);
/* It named this file: it is to go back.  False: none of the group has it. */
bool batch_refuse_file(struct batch *b, const char *file, const char *why);
/* It named the address of a site, which somebody else has already.  False: none of the group has
 * it, or no address was named. */
bool batch_refuse_address(struct batch *b, const char *why);
/* One of the group is refused, or nothing of it is wrong: all are to go back. */
void batch_suspect(struct batch *b, const char *why);
/* It was one of the group: it becomes two, or is refused where it is one. */
void batch_split(struct batch *b);

#endif
