/* The engine's JSON: an item of a list, an inspect, a version.  The first byte chooses. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#include "reconciler/model/member.h"
#include "reconciler/sources/engine_parse.h"
#include "reconciler/state_parse.h"

/* What was understood can be read as a container, kept, and understood again the same. */
static void
use(struct endpoint *e, const struct settings *s)
{
	struct buf line = {0};
	struct endpoint *again;

	static struct registrar *nobody;
	if (!nobody)
		nobody = registrar_create();

	member_destroy(member_create(s, nobody, e));
	state_print_endpoint(&line, e, e->ready_before);
	json_auto_t *row = json_loadb(line.p, line.n, 0, NULL);
	assert(row);
	if (state_parse_endpoint(row, &again, NULL) == 0) {
		assert(strcmp(again->id, e->id) == 0);
		endpoint_unref(again);
	}
	buf_finish(&line);
	endpoint_unref(e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct settings *s;
	struct engine_version version;
	struct endpoint *e;

	if (!s)
		s = settings_create();
	if (!n)
		return 0;
	const char *json = (const char *)data + 1;
	int r = -1;
	if (data[0] % 5 < 2)
		r = engine_parse_item(json, n - 1, "app1", s, data[0] % 5 == 1, &e, NULL);
	else if (data[0] % 5 < 4)
		r = engine_parse_inspect(json, n - 1, "app1", s, data[0] % 5 == 3, &e, NULL);
	else
		engine_parse_version(json, n - 1, &version, NULL);
	if (r == 0)
		use(e, s);
	return 0;
}
