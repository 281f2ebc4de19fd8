/* json_edit.h - changes members of a JSON text that somebody else wrote.
 *
 * Every byte that is not named stays: the order, white space and spelling of the rest.  What is
 * added looks like what stands beside it.  The text is one object, perhaps behind a byte order
 * mark, and has been parsed before; names that stand twice are the first one.  Pure.
 */
#ifndef RECONCILER_BASE_JSON_EDIT_H
#define RECONCILER_BASE_JSON_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/base/buf.h"

/* The member at the end of the path gets the value, which is JSON; NULL takes the member away, if
 * it is there.  False, with nothing changed, where what is before it on the path is not there or
 * no object. */
bool json_edit_set(struct buf *text, const char *const path[], size_t n, const char *value);

#endif
