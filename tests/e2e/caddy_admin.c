/* caddy_admin.c - one call of Caddy's admin API, by Waymark's own client.
 *
 *   caddy_admin URL TIMEOUT_MS read
 *   caddy_admin URL TIMEOUT_MS adapt|load < CADDYFILE
 *
 * Prints "done", "refused" or "failed", a line feed, and the reply or what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "provider/caddy/admin.h"
#include "reconciler/base/buf.h"

static struct admin *admin;

static void
on_reply(void *arg, const struct admin_reply *r)
{
	static const char *const outcomes[] = {
		[ADMIN_DONE] = "done", [ADMIN_REFUSED] = "refused", [ADMIN_FAILED] = "failed"};
	(void)arg;

	printf("%s\n%s", outcomes[r->outcome], r->err ? r->err->text : r->body);
	admin_destroy(admin);
	uv_stop(uv_default_loop());
}

int
main(int argc, char **argv)
{
	struct buf text = {0};
	char bytes[65536];
	size_t n;

	if (argc != 4)
		return 2;
	struct httpc *http = httpc_create(uv_default_loop());
	admin = admin_create(http, argv[1]);
	admin_set_timeout(admin, (uint32_t)strtoul(argv[2], NULL, 10));
	buf_adds(&text, "");
	while (strcmp(argv[3], "read") != 0 && (n = fread(bytes, 1, sizeof(bytes), stdin)))
		buf_add(&text, bytes, n);
	if (strcmp(argv[3], "adapt") == 0)
		admin_adapt(admin, text.p, on_reply, NULL);
	else if (strcmp(argv[3], "load") == 0)
		admin_load(admin, text.p, on_reply, NULL);
	else
		admin_read(admin, on_reply, NULL);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	httpc_destroy(http);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	buf_finish(&text);
	return 0;
}
