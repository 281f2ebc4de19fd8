/* Everything that is wrong now, in one list: sources, outputs, state, registries, the snapshot. */
#include <stdio.h>
#include <string.h>

#include "reconciler/reconcile.h"
#include "reconciler/registry/registry_parse.h"

struct listing {
	void (*fn)(void *arg, const struct problem *p);
	void *arg;
};

/* Registries are named by their place in the configuration. */
static bool
is_registry(const struct source_info *info)
{
	return strncmp(info->name, "registry.", strlen("registry.")) == 0;
}

static const char *
source_remedy(const struct source_info *info)
{
	if (info->status == SOURCE_NEW)
		return is_registry(info)
			       ? "mend it, or `registry` in the configuration; nothing is "
				 "published "
				 "before it was read once"
			       : "start the engine, or mend `engines` in the configuration";
	return is_registry(info) ? "mend it, or `registry` in the configuration; what it last said "
				   "stays in force"
				 : "start the engine, or mend `engines` in the configuration; what "
				   "it last said stays in force";
}

static void
list_source(const struct listing *l, const struct source_info *info)
{
	char object[256];
	struct problem p = {.code = PROBLEM_SOURCE_STALE,
		.object = object,
		.what = *info->error ? info->error : "it was not seen yet",
		.remedy = source_remedy(info),
		.since_ms = info->since_ms};

	snprintf(object, sizeof(object), "%s%s at %s", is_registry(info) ? "" : "engine ",
		info->name, info->address);
	if (info->status != SOURCE_READY)
		l->fn(l->arg, &p);
	if (!info->doubted)
		return;
	p.code = PROBLEM_SOURCE_DOUBTED;
	p.what = "it has less than half of what it had";
	p.remedy = "nothing, if that is meant: it is looked at again, and believed if it stays so";
	l->fn(l->arg, &p);
}

static void
list_fault(void *arg, const struct registry_fault *f)
{
	const struct listing *l = arg;

	l->fn(l->arg, &(struct problem){.code = f->warning ? PROBLEM_REGISTRY_IMPAIRED
							   : PROBLEM_REGISTRY_INVALID,
			      .object = f->file,
			      .field = *f->path ? f->path : NULL,
			      .what = f->what,
			      .remedy = f->remedy});
}

static void
list_output(const struct listing *l, const struct output_info *info)
{
	char object[256];

	if (!*info->error)
		return;
	snprintf(object, sizeof(object), "output %s", info->name);
	l->fn(l->arg,
		&(struct problem){.code = PROBLEM_OUTPUT_FAILED,
			.object = object,
			.what = info->error,
			.remedy = "see that it runs and can be reached; Waymark goes on trying"});
}

static void
list_state(const struct listing *l, const struct reconciler *r)
{
	const char *dir, *error = reconciler_state_error(r, &dir);

	if (!*error)
		return;
	l->fn(l->arg,
		&(struct problem){.code = PROBLEM_STATE_FAILED,
			.object = "state_dir",
			.field = dir,
			.what = error,
			.remedy = "make room, or mend its permissions; Waymark goes on trying"});
}

void
reconciler_problems(
	const struct reconciler *r, void (*fn)(void *arg, const struct problem *p), void *arg)
{
	struct listing l = {fn, arg};
	const struct snapshot *s = reconciler_snapshot(r);

	for (size_t i = 0; i < reconciler_nsources(r); i++) {
		struct source_info info;
		reconciler_source(r, i, &info);
		list_source(&l, &info);
	}
	for (size_t i = 0; i < reconciler_noutputs(r); i++) {
		struct output_info info;
		reconciler_output(r, i, &info);
		list_output(&l, &info);
		reconciler_output_problems(r, i, fn, arg);
	}
	if (reconciler_observer(r))
		reconciler_observer(r)->problems(reconciler_observer(r), fn, arg);
	list_state(&l, r);
	reconciler_each_fault(r, list_fault, &l);
	for (size_t i = 0; i < s->nchunks; i++)
		for (size_t k = 0; k < s->chunks[i]->n; k++)
			for (size_t j = 0; j < s->chunks[i]->plan[k]->nproblems; j++)
				fn(arg, &s->chunks[i]->plan[k]->problems[j]);
}
