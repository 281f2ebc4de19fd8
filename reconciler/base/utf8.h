/* utf8.h - reading UTF-8 as strictly as RFC 3629 says.  Pure. */
#ifndef RECONCILER_BASE_UTF8_H
#define RECONCILER_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The first code point of s: its length in bytes, or 0 where the bytes are not UTF-8 (overlong
 * forms, surrogates and anything past U+10FFFF included) or n is 0. */
size_t utf8_decode(const char *s, size_t n, uint32_t *ret_c);

#endif
