/* page_builtin.h - the files of templates/pages/, which the Makefile makes C of. */
#ifndef PROVIDER_PAGES_PAGE_BUILTIN_H
#define PROVIDER_PAGES_PAGE_BUILTIN_H

#include <stddef.h>

extern const char page_builtin_503[], page_builtin_410[];
extern const size_t page_builtin_503_size, page_builtin_410_size;

#endif
