/* site_changes.c - what Waymark does to a directory of site files when it starts: it sweeps, looks,
 * and makes changes, in one call.
 *
 *   site_changes DIRECTORY [NAME=FILE | NAME=]…
 *
 * writes the text of FILE as NAME, or removes NAME.  Prints, in one piece at its end, for each
 * file that it found "found NAME ours|foreign SIZE" (-1: not read), for each change "NAME ERROR
 * STANDING WHY", and how many it has made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "provider/caddy/site_store.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

static const char *const standings[] = {
	[SITE_OURS] = "ours",
	[SITE_ABSENT] = "absent",
	[SITE_FOREIGN] = "foreign",
	[SITE_SATISFIED] = "satisfied",
};

static char *
text_of(const char *path)
{
	struct buf b = {0};
	char bytes[65536];
	size_t n;
	FILE *f = fopen(path, "re");

	if (!f)
		exit(2);
	while ((n = fread(bytes, 1, sizeof(bytes), f)))
		buf_add(&b, bytes, n);
	fclose(f);
	return buf_steal(&b, NULL);
}

static void
print_listing(const char *directory, struct buf *out)
{
	struct site_listing l;
	struct err e;

	if (site_store_list(directory, &l, &e) < 0) {
		buf_addf(out, "list %s\n", e.text);
		return;
	}
	for (size_t i = 0; i < l.n; i++)
		buf_addf(out, "found %s %s %zd\n", l.list[i].name,
			l.list[i].ours ? "ours" : "foreign",
			l.list[i].text ? (ssize_t)strlen(l.list[i].text) : -1);
	site_listing_finish(&l);
}

int
main(int argc, char **argv)
{
	struct site_change *changes = xcalloc((size_t)argc, sizeof(*changes));
	struct buf out = {0};
	size_t n = 0;

	for (int i = 2; i < argc; i++) {
		char *file = strchr(argv[i], '=');
		*file++ = '\0';
		changes[n++] =
			(struct site_change){.name = argv[i], .text = *file ? text_of(file) : NULL};
	}
	site_store_sweep(argv[1]);
	print_listing(argv[1], &out);
	size_t made = site_store_apply(argv[1], changes, n);
	for (size_t i = 0; i < n; i++) {
		const struct site_change *c = &changes[i];
		bool why = c->error || c->standing == SITE_FOREIGN;
		buf_addf(&out, "%s %d %s %s\n", c->name, c->error, standings[c->standing],
			why ? c->why.text : "");
	}
	buf_addf(&out, "made %zu\n", made);
	return write(1, out.p, out.n) != (ssize_t)out.n;
}
