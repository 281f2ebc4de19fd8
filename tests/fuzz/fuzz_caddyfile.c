/* The main Caddyfile and Caddy's errors: any bytes are read, and what has absolute imports is left
 * as it is. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#include "provider/caddy/caddyfile.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a = {0};
	struct caddyfile once, twice;
	const char *file;
	unsigned line;

	const char *text = arena_strndup(&a, (const char *)data, n < 4096 ? n : 4096);
	caddyfile_parse(&a, text, "/etc/caddy", "/etc/caddy/sites", &once);
	caddyfile_parse(&a, once.whole, "/etc/caddy", "/etc/caddy/sites", &twice);
	assert(strcmp(once.whole, twice.whole) == 0);
	assert(strcmp(once.rest, twice.rest) == 0);
	assert(once.imports_sites == twice.imports_sites && once.admin == twice.admin);
	caddyfile_parse(&a, once.rest, "/etc/caddy", "/etc/caddy/sites", &twice);
	assert(!twice.imports_sites);
	if (caddyfile_error_place(&a, text, &file, &line))
		assert(*file == '/' || strcmp(file, "Caddyfile") == 0);
	arena_finish(&a);
	return 0;
}
