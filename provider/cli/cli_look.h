/* cli_look.h - one look at the registry, for the commands that ask it: no engine, no state. */
#ifndef PROVIDER_CLI_CLI_LOOK_H
#define PROVIDER_CLI_CLI_LOOK_H

#include <stdbool.h>
#include <stdio.h>

#include "provider/cli/config.h"
#include "reconciler/reconcile.h"

/* Looks until every registry was seen whole, or what is wrong with it is clear, at most 8 s; then
 * calls back once, while the reconciler is still there.  whole is false where a registry could not
 * be seen. */
void cli_look(const struct settings *s,
	void (*fn)(void *arg, const struct reconciler *r, bool whole), void *arg);

/* What is wrong with the registries' entries, and which could not be seen: a line each, as `file:
 * path: what; what to do`.  Returns whether there was any. */
bool cli_look_report(const struct reconciler *r, const struct config *c, FILE *to);

#endif
