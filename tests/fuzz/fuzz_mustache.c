/* Templates: any bytes are a template or an error, and what comes out is bounded.  The template is
 * its own partial, too. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/mustache.h"

static const char *
itself(void *arg, const char *name)
{
	(void)name;
	return arg;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static json_t *value;
	struct arena a = {0};
	struct buf b = {0};
	struct err e;

	if (!value)
		value = json_pack("{s:s,s:[{s:i},{s:i}],s:b,s:{s:f}}", "a", "x<y", "b", "c", 1, "c",
			2, "d", 1, "e", "f", 0.1);
	char *text = arena_strndup(&a, (const char *)data, n < 256 ? n : 256);
	struct mustache *m = mustache_parse(text, &e);
	const struct mustache_env env = {.partial = itself, .arg = text};
	if (m)
		mustache_render(m, value, &env, &b, &e);
	assert(b.n <= MUSTACHE_OUTPUT_MAX + 4096);
	buf_finish(&b);
	mustache_destroy(m);
	arena_finish(&a);
	return 0;
}
