/* Branch names into host labels: any bytes come out as a legal label of at most the room given. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/model/host.h"
#include "reconciler/model/settings.h"
#include "reconciler/model/slug.h"
#include "reconciler/model/url.h"

static void
check_label(const char *label, size_t n, size_t room, bool may_be_empty)
{
	assert(strlen(label) == n && n <= room);
	assert(n || may_be_empty);
	assert(strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == n);
	assert(!n || (label[0] != '-' && label[n - 1] != '-'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct settings *settings;
	char label[SLUG_MAX + 1];
	struct arena a = {0};
	const char *host;

	if (!settings)
		settings = settings_create();
	if (!n)
		return 0;
	size_t room = 8 + data[0] % 56;
	char *branch = arena_strndup(&a, (const char *)data + 1, n - 1);

	check_label(label, slug_branch(branch, room, label), room, false);
	check_label(label, slug_branch_suffixed(branch, room, label), room, false);
	check_label(label, slug_branch_codi(branch, label), 30, true);
	for (int codi = 0; codi < 2; codi++) {
		struct url_parts parts = {.project = "shop", .branch = branch, .codi = codi};
		if (url_host(&a, settings, &parts, &host, NULL) == 0) {
			const char *again;
			assert(host_parse(&a, host, &again, NULL) == 0 && !strcmp(host, again));
		}
	}
	arena_finish(&a);
	return 0;
}
