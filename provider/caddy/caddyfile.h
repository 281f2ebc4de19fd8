/* caddyfile.h - the main Caddyfile, as far as Waymark has to know it: where it imports from.  Pure.
 *
 * Caddy looks for a relative import beside the file that it was started with, and beside its
 * working directory where the text comes over the admin API.  So what is posted has absolute paths.
 */
#ifndef PROVIDER_CADDY_CADDYFILE_H
#define PROVIDER_CADDY_CADDYFILE_H

#include <stdbool.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/err.h"

struct caddyfile {
	const char *whole; /* its text, with absolute imports: what POST /load gets */
	const char *rest; /* that without the import of the sites: globals and snippets, beside
			     which a site alone can be adapted */
	bool imports_sites; /* it imports every .caddy file of the sites, or every file */
	bool admin; /* it says where the admin endpoint is: without that a load moves it to the
		       default */
};

/* directory: the main file's own.  Texts live in the arena. */
void caddyfile_parse(struct arena *a, const char *text, const char *directory, const char *sites,
	struct caddyfile *ret);

/* The place that an error of Caddy's names: "…: /etc/caddy/sites/x.caddy:3 - Error during parsing"
 * or "Caddyfile:17: …".  False where it names none.  file lives in the arena. */
bool caddyfile_error_place(
	struct arena *a, const char *error, const char **ret_file, unsigned *ret_line);

#endif
