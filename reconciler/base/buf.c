#include "reconciler/base/buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/utf8.h"

static void
buf_reserve(struct buf *b, size_t more)
{
	if (b->cap - b->n > more)
		return;
	size_t cap = b->cap ? b->cap * 2 : 256;
	while (cap - b->n <= more)
		cap *= 2;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
}

void
buf_add(struct buf *b, const void *bytes, size_t n)
{
	buf_reserve(b, n);
	if (n)
		memcpy(b->p + b->n, bytes, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);

	buf_reserve(b, (size_t)n);
	vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
	va_end(again);
	b->n += (size_t)n;
}

/* Printable ASCII but for '"' and '\\': nearly all there ever is. */
static const bool is_plain[256] = {[' '] = 1, [0x21] = 1, [0x23 ... 0x5b] = 1, [0x5d ... 0x7e] = 1};

static int
needs_escape(uint32_t c)
{
	return c < 0x20 || c == '"' || c == '\\' || (c >= 0x7f && c < 0xa0) || c == 0x2028 ||
	       c == 0x2029 || c == 0xfeff || (c >= 0xfffe && c <= 0xffff);
}

void
buf_json(struct buf *b, const char *s)
{
	const char *end = s + strlen(s);
	const char *plain = s;

	buf_add(b, "\"", 1);
	while (s < end) {
		if (is_plain[(unsigned char)*s]) {
			s++;
			continue;
		}
		uint32_t c;
		size_t len = utf8_decode(s, (size_t)(end - s), &c);
		if (len && !needs_escape(c)) {
			s += len;
			continue;
		}
		buf_add(b, plain, (size_t)(s - plain));
		if (!len)
			buf_adds(b, "\xef\xbf\xbd");
		else if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", (char)c);
		else
			buf_addf(b, "\\u%04x", (unsigned)c);
		s += len ? len : 1;
		plain = s;
	}
	buf_add(b, plain, (size_t)(s - plain));
	buf_add(b, "\"", 1);
}

void
buf_html(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (strchr("<>&\"'", *s))
			buf_addf(b, "&#%d;", *s);
		else
			buf_add(b, s, 1);
	}
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	if (b->p)
		b->p[0] = '\0';
}

char *
buf_steal(struct buf *b, size_t *ret_n)
{
	buf_reserve(b, 0);
	char *p = b->p;
	p[b->n] = '\0';
	if (ret_n)
		*ret_n = b->n;
	*b = (struct buf){0};
	return p;
}

void
buf_finish(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}
