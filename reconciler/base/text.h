/* text.h - strings that may be absent.  Pure. */
#ifndef RECONCILER_BASE_TEXT_H
#define RECONCILER_BASE_TEXT_H

#include <stddef.h>
#include <string.h>

/* As strcmp; NULL comes before any text. */
static inline int
text_compare(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

#endif
