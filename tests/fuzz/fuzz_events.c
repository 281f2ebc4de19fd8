/* The event stream and the list as they arrive: cut anywhere, the objects come out the same.  The
 * first byte chooses stream or list, the second where it is cut. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/json_split.h"
#include "reconciler/sources/engine_parse.h"

struct seen {
	size_t objects, bytes;
};

static void
on_object(void *arg, const char *json, size_t n)
{
	struct seen *seen = arg;
	struct engine_event ev;

	seen->objects++;
	seen->bytes += n;
	if (engine_parse_event(json, n, &ev, NULL) == 0)
		assert(memchr(ev.container, '\0', sizeof(ev.container)));
}

static struct seen
feed(bool array, const char *text, size_t n, size_t piece)
{
	struct seen seen = {0};
	struct json_split split;

	json_split_init(&split, array, 1 << 16, on_object, &seen);
	for (size_t at = 0; at < n; at += piece) {
		/* A copy of its own, so that reading past the piece is seen. */
		size_t len = n - at < piece ? n - at : piece;
		char *copy = xmalloc(len);
		memcpy(copy, text + at, len);
		int r = json_split_feed(&split, copy, len, NULL);
		free(copy);
		if (r < 0)
			break;
	}
	json_split_finish(&split);
	return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2)
		return 0;
	bool array = data[0] % 2;
	const char *text = (const char *)data + 2;
	struct seen whole = feed(array, text, n - 2, n);
	struct seen cut = feed(array, text, n - 2, 1 + data[1] % 7);
	assert(whole.objects == cut.objects && whole.bytes == cut.bytes);
	return 0;
}
