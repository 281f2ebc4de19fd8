/* sites.h - the site files that are wanted, and how each stands with Caddy.
 *
 * A site has four texts: what the newest snapshot wants, what lies on the disk, what Caddy runs,
 * and one that Caddy refused, which is not tried again.  What is to be brought about next, its
 * target, is what is wanted, or where that is refused what Caddy runs.  One thread; no world is
 * touched.
 */
#ifndef PROVIDER_CADDY_SITES_H
#define PROVIDER_CADDY_SITES_H

#include <stdbool.h>

#include <uthash.h>

#include "provider/caddy/site_render.h"
#include "provider/caddy/site_store.h"
#include "reconciler/model/snapshot.h"

struct site {
	UT_hash_handle hh;
	char *name;
	char *wanted; /* NULL: it is to go */
	char *good; /* what Caddy runs; NULL: there is none */
	char *disk; /* NULL: there is none */
	char *refused; /* NULL: none was */
	char *why; /* it was refused, or cannot be written; NULL: all is well */
	bool foreign; /* somebody else's file has its name */
	bool failed; /* its template failed: what runs stays */
	char *project; /* NULL: of none */
};

struct owner; /* a project, and the sites that its plan wants */

struct sites {
	const struct settings *settings;
	struct site_template *template;
	struct site *list;
	struct owner *owners;
	struct snapshot *snapshot; /* the newest that was followed; NULL: none */
};

void sites_init(struct sites *s, const struct settings *settings, struct site_template *template);
void sites_finish(struct sites *s);
/* Everything is rendered anew at the next follow.  Takes the template over. */
void sites_reload(struct sites *s, const struct settings *settings, struct site_template *template);

/* What an earlier run left on the disk, which Caddy runs as far as anybody knows. */
void sites_found(struct sites *s, const struct site_listing *l);
/* Somebody changed the files: this is there now.  What was refused or foreign is tried again. */
void sites_changed(struct sites *s, const struct site_listing *l);
/* What this snapshot wants.  Only plans that changed are rendered. */
void sites_follow(struct sites *s, struct snapshot *snapshot);

/* NULL: it is to go. */
const char *site_target(const struct site *site);
/* Is anything to be done for it? */
bool site_is_due(const struct site *site);
/* Caddy does not take this text: what it runs stays. */
void site_refuse(struct site *site, const char *text, const char *why);
/* This lies on the disk now. */
void site_store(struct site *site, const char *text);
/* Caddy runs this text now; NULL: none. */
void site_settle(struct site *site, const char *text);
struct site *sites_find(const struct sites *s, const char *name);

/* What is wrong: refused texts, failed templates, foreign files. */
void sites_problems(
	const struct sites *s, void (*fn)(void *arg, const struct problem *p), void *arg);

#endif
