/* registry_parse.h - the registry's files, read and printed: ssot.json, slots.json.
 *
 * One decoder for the files of a directory, for Waymark's own tables (each project is one object
 * there) and for the state on disk.  It is as tolerant as other programs need
 * (schema/ssot.schema.json and slots.schema.json say the same): members that it does not know are
 * ignored, null is as good as absent, and what is wrong is a fault of one entry, the others go on.
 * Callable from any thread that comes after json_object_seed.  Pure.
 *
 * An environment may have base_port, the published port of the first slot; in the dialect codeb
 * that is what `port` means.
 */
#ifndef RECONCILER_REGISTRY_REGISTRY_PARSE_H
#define RECONCILER_REGISTRY_REGISTRY_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/model/registry.h"

/* Larger files are refused unread. */
#define REGISTRY_FILE_MAX (16 * 1024 * 1024)

/* One thing wrong, for people.  A line of 0: not known. */
struct registry_fault {
	const char *file; /* "/opt/codeb/registry/ssot.json" */
	unsigned line;
	const char *path; /* "projects.blog.domains[1]", 'slots["blog:qa"].blue.port'; "" for the
			     whole file */
	const char *what; /* "not a host name: 'a b'" */
	const char *remedy; /* "write …" */
	bool warning; /* all of it can be used */
};

struct registry_options {
	const char *source; /* goes into every value */
	const char *file; /* its path, for faults and places */
	enum settings_dialect dialect; /* AUTO: by what ssot.json looks like */
	uint64_t grace_ms; /* a grace period without `until` ends this long after `since` */
};

/* What one file says.  All lists of names are sorted and unique.  An entry that is wrong is not
 * among the good but among the bad ones, whose last good form stays in force.  (Of a static host
 * that stands there in two spellings the first one counts, and is good or bad.) */
struct registry_reading {
	struct arena arena; /* for all but the values */
	size_t nprojects;
	struct registered_project **projects; /* one reference each */
	size_t nstatics;
	struct registered_static **statics;
	size_t nbad_projects;
	const char **bad_projects;
	size_t nbad_statics;
	const char **bad_statics;
	size_t nslots; /* slots.json: how many slots that are not empty it has */
	enum settings_dialect dialect; /* WAYMARK or CODEB: of ssot.json as found, else as told */
	size_t nfaults; /* at most 1001: the last one then says that there are more */
	struct registry_fault *faults;
};

/* ssot.json: projects with domains and environments, static routes.  Never NULL: a file that cannot
 * be used as a whole has broken = true and one fault. */
struct registry_reading *registry_parse_ssot(
	const char *text, size_t n, const struct registry_options *o, bool *ret_broken);
/* slots.json, or one slots/{project}-{environment}.json, which is known by its folder's name (its
 * object holds the slots themselves; its project and environment are those of the file's name,
 * parted at the last '-', unless it says them): projects that have nothing but environments with
 * active, weights and slots.  An entry whose name has a ':' is "project:environment". */
struct registry_reading *registry_parse_slots(
	const char *text, size_t n, const struct registry_options *o, bool *ret_broken);
void registry_reading_destroy(struct registry_reading *r);

/* One project as one object, as Waymark's own tables and the state have it:
 * {"project": {as in ssot.json}, "slots": {"production": {as in slots.json}}, "deployments":
 * [{"environment", "branch", "slot", "status", "container", "port", "created_ms", "hosts"}]}, each
 * absent or null where it is not said.  The dialect is Waymark's own, whatever o says.  NULL with
 * faults added to r, and nothing else, where it is wrong; their paths begin with the name. */
struct registered_project *registry_parse_project(const char *name, const json_t *entry,
	const struct registry_options *o, struct registry_reading *r);
/* The inverse: registry_parse_project of it gives an equal value.  Appends one line without its
 * end. */
void registry_print_project(const struct registered_project *p, struct buf *b);

/* A static route as one object, {"upstreams": […]} or {"address": […]}; and back. */
struct registered_static *registry_parse_static(const char *host, const json_t *entry,
	const struct registry_options *o, struct registry_reading *r);
void registry_print_static(const struct registered_static *s, struct buf *b);

/* An empty reading, for those who collect faults on their own. */
struct registry_reading *registry_reading_create(void);
/* Texts are copied; control characters in them become '?'. */
void registry_reading_fault(struct registry_reading *r, const struct registry_fault *f);

#endif
