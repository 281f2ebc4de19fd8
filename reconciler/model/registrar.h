/* registrar.h - all registries together: which projects there are, and whose a domain is.
 *
 * An index over registered projects and static routes.  An entry may stand in one registry only: of
 * two the one whose source comes first by name is in force, the other is its rival.  The planner
 * keeps one; commands build theirs.  Pure.
 */
#ifndef RECONCILER_MODEL_REGISTRAR_H
#define RECONCILER_MODEL_REGISTRAR_H

#include <stdbool.h>
#include <stddef.h>

#include "reconciler/model/endpoint.h"
#include "reconciler/model/registry.h"
#include "reconciler/model/settings.h"

struct registrar;

struct registrar *registrar_create(void);
void registrar_destroy(struct registrar *r);

/* References are taken.  What the same source said of it before is replaced. */
void registrar_put(struct registrar *r, const struct registered_project *p);
void registrar_remove(struct registrar *r, const char *source, const char *project);
void registrar_put_static(struct registrar *r, const struct registered_static *s);
void registrar_remove_static(struct registrar *r, const char *source, const char *host);

/* What one source says of it; NULL where it says nothing. */
const struct registered_project *registrar_find(
	const struct registrar *r, const char *source, const char *project);
const struct registered_static *registrar_find_static(
	const struct registrar *r, const char *source, const char *host);

/* What is in force; NULL where it is not registered. */
const struct registered_project *registrar_project(const struct registrar *r, const char *name);
const struct registered_static *registrar_static(const struct registrar *r, const char *host);
/* What is not, because another source has it; NULL where there is none. */
const struct registered_project *registrar_rival(const struct registrar *r, const char *name);
const struct registered_static *registrar_static_rival(const struct registrar *r, const char *host);

bool registrar_has_statics(const struct registrar *r);

/* Sorted by name, so that what is made of them does not depend on history.  The callback changes
 * nothing in it. */
void registrar_each(const struct registrar *r,
	void (*fn)(void *arg, const struct registered_project *p), void *arg);
void registrar_each_static(const struct registrar *r,
	void (*fn)(void *arg, const struct registered_static *s), void *arg);

/* Everything that any source says, in force or not, in no order.  The callbacks may remove what
 * they are handed, and nothing else. */
void registrar_each_said(const struct registrar *r,
	void (*project)(void *arg, const struct registered_project *p),
	void (*route)(void *arg, const struct registered_static *s), void *arg);

/* The deployment that this container is, by name or id, with its project; NULL where none names it.
 * Of one project's the newest of those that may take most traffic.  Of several projects', among
 * those that may take any, that of the project whose it is by its labels (`own`, or NULL), else of
 * the one that has named it longest; the first by name of the others is the rival, or NULL. */
const struct registered_deployment *registrar_deployment(const struct registrar *r,
	const struct endpoint *e, const char *own, const struct registered_project **ret_project,
	const struct registered_project **ret_rival);

#endif
