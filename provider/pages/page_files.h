/* page_files.h - where the pages come from: the operator's directory, or built in. */
#ifndef PROVIDER_PAGES_PAGE_FILES_H
#define PROVIDER_PAGES_PAGE_FILES_H

#include "provider/cli/config.h"
#include "provider/pages/page_render.h"

enum page_kind { PAGE_503, PAGE_410 };
#define PAGE_KINDS 2

/* Puts what stands in the directory (NULL: nothing) into pages, and the built-in page for what does
 * not.  What cannot be used leaves its page as it is (NULL may stay NULL), and errors say why. */
void page_files_read(
	const char *directory, struct page *pages[PAGE_KINDS], struct config_errors *errors);

#endif
