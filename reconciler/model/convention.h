/* convention.h - how a platform says what a container is: labels and names, as data.
 *
 * A convention is a table: by what it recognises a container, and for each field an ordered list
 * of places to look.  The first place that has a value gives it.  Waymark's own platforms are rows
 * here; operators add theirs in the configuration under `conventions`.  waymark.* labels override
 * any of them, field by field.  Pure.
 */
#ifndef RECONCILER_MODEL_CONVENTION_H
#define RECONCILER_MODEL_CONVENTION_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/model/endpoint.h"

#define CONVENTION_FIELDS(X)                                                                       \
	X(PROJECT, "project")                                                                      \
	X(ENVIRONMENT, "environment")                                                              \
	X(BRANCH, "branch")                                                                        \
	X(SLOT, "slot")                                                                            \
	X(SERVICE, "service")                                                                      \
	X(PORT, "port")                                                                            \
	X(HOST, "host")                                                                            \
	X(PATH, "path")                                                                            \
	X(STRIP, "path.strip")                                                                     \
	X(SCHEME, "scheme")                                                                        \
	X(STICKY, "sticky")                                                                        \
	X(HEALTH, "health")                                                                        \
	X(HEALTH_PATH, "health.path")                                                              \
	X(ENABLE, "enable")                                                                        \
	X(NETWORK, "network")

/* clang-format off */
enum convention_field {
#define X(name, text) FIELD_##name,
	CONVENTION_FIELDS(X)
#undef X
	FIELD_COUNT
};
/* clang-format on */

/* "project", "path.strip", … : the name in the configuration and, after "waymark.", the label. */
const char *convention_field_text(enum convention_field field);
/* -1 where there is none of that name. */
int convention_field_find(const char *text);

enum convention_place {
	PLACE_LABEL, /* text is a label's name; one '*' stands for any run of bytes */
	PLACE_NAME, /* text is a pattern over the container's name: "codi-{project}" */
	PLACE_VALUE, /* text is the value */
};

struct convention_rule {
	enum convention_field field;
	enum convention_place place;
	const char *text;
	const char *when; /* NULL, or a condition as below */
};

/* A condition is "label" (it is there, and not empty), "label=value", or "!" and either. */
struct convention {
	const char *name;
	size_t nall; /* all of these hold … */
	const char *const *all;
	size_t nany; /* … and at least one of these, where there are any */
	const char *const *any;
	bool codi_branches; /* branch labels by Codi's rule */
	/* Each container is a deployment of its own: it is named PROJECT-NUMBER and has the label
	 * traefik.http.routers.NAME.rule.  The newest that is ready gets the project's host. */
	bool deployments;
	size_t nrules;
	const struct convention_rule *rules;
};

/* A built-in convention by name; NULL where there is none. */
const struct convention *convention_find(const char *name);
/* The names that `platforms` may list, then a NULL; some have no convention of their own yet. */
const char *const *convention_names(void);

/* Where a value came from, for people: "label " and "waymark.port", "container name" and "",
 * "convention " and "codi".  Both parts live as long as the endpoint and the convention do. */
struct convention_origin {
	const char *kind; /* NULL: it was not said */
	const char *name;
};

/* What a container says under a convention.  A value of NULL was not said. */
struct convention_reading {
	const struct convention *convention;
	struct {
		const char *value; /* in the endpoint's arena, or in that of convention_read */
		struct convention_origin from;
	} field[FIELD_COUNT];
};

/* Does the convention recognise the container? */
bool convention_recognises(const struct convention *c, const struct endpoint *e);

/* Reads every field, waymark.* labels first, then the convention's rules. */
void convention_read(const struct convention *c, const struct endpoint *e, struct arena *a,
	struct convention_reading *ret);

/* May a rule or condition of this convention look at this label? */
bool convention_wants_label(const struct convention *c, const char *label);

/* Is the text a name pattern that can be matched: known fields, each once, a literal between any
 * two of them?  0, or -EINVAL with what is wrong.  A field takes the shortest run that lets the
 * rest match; environment and slot hold no '-', and a field that is known already must stand in
 * the name as it is. */
struct err;
int convention_pattern_check(const char *pattern, struct err *reterr);

#endif
