/* What answers a probe: any octets, cut anywhere, come out as the same status, or as none.  The
 * first byte says how they are cut. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/sources/probe_parse.h"

static int
feed(const char *text, size_t n, size_t piece)
{
	struct probe_status s = {0};
	int r = 0;

	for (size_t at = 0; at < n && !r; at += piece) {
		/* A copy of its own, so that reading past the piece is seen. */
		size_t len = n - at < piece ? n - at : piece;
		char *copy = xmalloc(len);
		memcpy(copy, text + at, len);
		r = probe_status_parse(&s, copy, len);
		free(copy);
	}
	assert(s.n <= PROBE_STATUS_MAX);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2)
		return 0;
	const char *text = (const char *)data + 1;
	int whole = feed(text, n - 1, n - 1), cut = feed(text, n - 1, 1 + data[0] % 7);

	assert(whole == cut);
	assert(whole == 0 || whole == -EPROTO || whole == 101 || (whole >= 200 && whole <= 999));
	return 0;
}
