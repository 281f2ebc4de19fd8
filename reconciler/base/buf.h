/* buf.h - a byte string that grows, and JSON and HTML printed into it.  Pure. */
#ifndef RECONCILER_BASE_BUF_H
#define RECONCILER_BASE_BUF_H

#include <stddef.h>

/* All zero is an empty buffer.  p[n] is always a NUL once anything was added. */
struct buf {
	char *p;
	size_t n;
	size_t cap;
};

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes.  Text stays as it is, for Traefik reads JSON as YAML and refuses
 * surrogate pairs (go-yaml/yaml#279); bytes that are not UTF-8 become U+FFFD; control characters,
 * DEL to U+009F, U+2028, U+2029 and U+FEFF become \u escapes. */
void buf_json(struct buf *b, const char *s);

/* Text of HTML, or the value of an attribute in quotes. */
void buf_html(struct buf *b, const char *s);

/* Empties it; the memory stays. */
void buf_reset(struct buf *b);
/* Hands the bytes over: the caller frees them.  The buffer is empty afterwards. */
char *buf_steal(struct buf *b, size_t *ret_n);
void buf_finish(struct buf *b);

#endif
