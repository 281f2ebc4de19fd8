/* Templates of pages: any bytes are a page or are refused with a line of theirs; what a page gives
 * lets no markup of the host through. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "provider/pages/page_render.h"

static size_t
count(const char *text, size_t n, char c)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++)
		found += text[i] == c;
	return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data;
	struct page_fault fault;
	struct buf b = {0};

	struct page *p = page_create(text, n, &fault);
	if (!p) {
		assert(*fault.what && *fault.remedy);
		assert(fault.line <= count(text, n, '\n') + 1);
		return 0;
	}
	page_render(p, "<&\"'>", 30, &b);
	assert(count(b.p, b.n, '<') == count(text, n, '<'));
	assert(count(b.p, b.n, '"') == count(text, n, '"'));
	assert(!memmem(b.p, b.n, "{{", 2));
	page_destroy(p);
	buf_finish(&b);
	return 0;
}
