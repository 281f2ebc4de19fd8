#include "provider/pages/page_render.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/utf8.h"

/* What of an unknown placeholder is shown. */
#define SHOWN_MAX 40

enum filling { FILL_NOTHING, FILL_HOST, FILL_RETRY };

/* Text, and what comes after it. */
struct piece {
	const char *text;
	size_t n;
	enum filling then;
};

struct page {
	char *text;
	size_t npieces;
	struct piece *pieces;
};

static const struct {
	const char *name;
	enum filling filling;
} placeholders[] = {{"host", FILL_HOST}, {"retry", FILL_RETRY}};

static unsigned
line_of(const char *text, const char *at)
{
	unsigned line = 1;
	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/* Is all of it text that may be sent as UTF-8? */
static bool
check_text(const char *text, size_t n, struct page_fault *retfault)
{
	const char *at = text, *end = text + n;
	uint32_t c = 0;

	*retfault = (struct page_fault){.remedy = "write a page, or take the file away"};
	if (!n) {
		snprintf(retfault->what, sizeof(retfault->what), "it is empty");
		return false;
	}
	if (n > PAGE_SIZE_MAX) {
		snprintf(retfault->what, sizeof(retfault->what), "it has more than %d KiB",
			PAGE_SIZE_MAX / 1024);
		retfault->remedy = "put pictures and fonts at an address of their own";
		return false;
	}
	while (at < end) {
		size_t len = utf8_decode(at, (size_t)(end - at), &c);
		if (!len || !c)
			break;
		at += len;
	}
	if (at == end)
		return true;
	retfault->line = line_of(text, at);
	retfault->remedy = "save it as UTF-8";
	snprintf(retfault->what, sizeof(retfault->what), "there is a byte that is not text");
	return false;
}

static const char *
trim(const char *text, size_t *n)
{
	while (*n && strchr(" \t", *text)) {
		text++;
		--*n;
	}
	while (*n && strchr(" \t", text[*n - 1]))
		--*n;
	return text;
}

static enum filling
filling_find(const char *text, size_t n)
{
	text = trim(text, &n);
	for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++) {
		if (strlen(placeholders[i].name) == n && !memcmp(placeholders[i].name, text, n))
			return placeholders[i].filling;
	}
	return FILL_NOTHING;
}

/* What stands between the braces, up to the end of its line. */
static void
fault_placeholder(const char *inner, size_t n, bool closed, struct page_fault *ret)
{
	char shown[SHOWN_MAX + 1] = "";
	size_t len = 0;

	/* Whole characters, none of which a terminal takes for an order. */
	for (uint32_t c; len < n;) {
		size_t step = utf8_decode(inner + len, n - len, &c);
		if (!step || c < 0x20 || (c >= 0x7f && c < 0xa0) || len + step > SHOWN_MAX)
			break;
		len += step;
	}
	memcpy(shown, inner, len);
	snprintf(ret->what, sizeof(ret->what),
		closed ? "unknown placeholder '{{%s}}'" : "'{{%s' is not closed", shown);
	ret->remedy = "write {{host}} or {{retry}}; nothing else stands in double braces";
}

/* The next piece from *at on, which moves behind it. */
static int
piece_take(const char *text, const char **at, struct piece *ret, struct page_fault *retfault)
{
	const char *open = strstr(*at, "{{");
	if (!open) {
		*ret = (struct piece){*at, strlen(*at), FILL_NOTHING};
		*at += ret->n;
		return 0;
	}
	const char *inner = open + 2;
	size_t line_n = strcspn(inner, "\r\n");
	const char *close = memmem(inner, line_n, "}}", 2);
	size_t n = close ? (size_t)(close - inner) : line_n;
	enum filling then = close ? filling_find(inner, n) : FILL_NOTHING;
	if (then == FILL_NOTHING) {
		retfault->line = line_of(text, open);
		fault_placeholder(inner, n, close != NULL, retfault);
		return -1;
	}
	*ret = (struct piece){*at, (size_t)(open - *at), then};
	*at = close + 2;
	return 0;
}

struct page *
page_create(const char *text, size_t n, struct page_fault *retfault)
{
	if (!check_text(text, n, retfault))
		return NULL;

	struct page *p = xcalloc(1, sizeof(*p));
	size_t cap = 0;
	p->text = xmalloc(n + 1);
	memcpy(p->text, text, n);
	p->text[n] = '\0';
	for (const char *at = p->text; *at;) {
		if (p->npieces == cap) {
			cap = cap ? cap * 2 : 8;
			p->pieces = xrealloc(p->pieces, cap * sizeof(*p->pieces));
		}
		if (piece_take(p->text, &at, &p->pieces[p->npieces], retfault) < 0) {
			page_destroy(p);
			return NULL;
		}
		p->npieces++;
	}
	return p;
}

void
page_destroy(struct page *p)
{
	if (!p)
		return;
	free(p->pieces);
	free(p->text);
	free(p);
}

void
page_render(const struct page *p, const char *host, unsigned retry_s, struct buf *b)
{
	for (size_t i = 0; i < p->npieces; i++) {
		buf_add(b, p->pieces[i].text, p->pieces[i].n);
		switch (p->pieces[i].then) {
		case FILL_HOST:
			buf_html(b, host);
			break;
		case FILL_RETRY:
			buf_addf(b, "%u", retry_s);
			break;
		case FILL_NOTHING:
			break;
		}
	}
}
