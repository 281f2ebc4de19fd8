/* page_render.h - one page for hosts that nothing serves: a template, read once, and filled in.
 *
 * A template is HTML with {{host}} and {{retry}} in it; nothing else may stand between double
 * braces, so that a misspelt one is found before a visitor sees it.  Pure.
 */
#ifndef PROVIDER_PAGES_PAGE_RENDER_H
#define PROVIDER_PAGES_PAGE_RENDER_H

#include <stddef.h>

#include "reconciler/base/buf.h"

#define PAGE_SIZE_MAX (256 * 1024)

struct page;

/* Why a template is none. */
struct page_fault {
	unsigned line; /* from 1 on; 0: all of it */
	char what[128];
	const char *remedy;
};

/* NULL where it is none.  The text is copied. */
struct page *page_create(const char *text, size_t n, struct page_fault *retfault);
void page_destroy(struct page *p);

/* Appends it; the host is escaped. */
void page_render(const struct page *p, const char *host, unsigned retry_s, struct buf *b);

#endif
