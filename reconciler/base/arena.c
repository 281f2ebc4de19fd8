#include "reconciler/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most values are a few hundred bytes, and there are tens of thousands of them: start small, and
 * grow by a quarter of what there is. */
#define BLOCK_MIN 232
#define BLOCK_MAX 65536

struct arena_block {
	struct arena_block *older;
	alignas(max_align_t) char data[];
};

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p) {
		fputs("waymark: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	if (!p) {
		fputs("waymark: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);
	if (!p) {
		fputs("waymark: out of memory\n", stderr);
		abort();
	}
	return p;
}

char *
xstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	return memcpy(xmalloc(n), s, n);
}

void
arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void
arena_finish(struct arena *a)
{
	struct arena_block *b = a->blocks;
	while (b) {
		struct arena_block *older = b->older;
		free(b);
		b = older;
	}
	*a = (struct arena){0};
}

static size_t
next_size(const struct arena *a, size_t wanted)
{
	size_t size = a->total / 4;
	if (size < BLOCK_MIN)
		size = BLOCK_MIN;
	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	return size < wanted ? wanted : size;
}

/* Bytes before the next address that fits any object. */
static size_t
padding(const char *p)
{
	return -(uintptr_t)p & (alignof(max_align_t) - 1);
}

static char *
arena_take(struct arena *a, size_t size, size_t pad)
{
	if (a->left < pad || a->left - pad < size) {
		size_t data = next_size(a, size);
		struct arena_block *b = xmalloc(sizeof(*b) + data);
		b->older = a->blocks;
		a->total += data;
		a->blocks = b;
		a->next = b->data;
		a->left = data;
		pad = 0;
	}

	char *p = a->next + pad;
	a->next = p + size;
	a->left -= pad + size;
	return p;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	/* Even nothing has an address. */
	size = size ? size : 1;
	return memset(arena_take(a, size, padding(a->next)), 0, size);
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *copy = arena_take(a, n + 1, 0);
	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

const char *const *
arena_strdups(struct arena *a, const char *const *list, size_t n)
{
	const char **copy = ARENA_ARRAY(a, const char *, n);

	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, list[i]);
	return copy;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);

	char *s = arena_take(a, (size_t)n + 1, 0);
	vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	return s;
}
