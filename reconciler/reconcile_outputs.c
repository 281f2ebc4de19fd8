/* Where snapshots go. */
#include <assert.h>

#include "reconciler/base/log.h"
#include "reconciler/reconcile_inside.h"

void
reconcile_publish(struct reconciler *r, struct snapshot *s, uint64_t began_ns)
{
	for (size_t i = 0; i < r->noutputs + r->naside; i++)
		r->outputs[i]->publish(r->outputs[i], s);
	if (r->observer)
		r->observer->publish(r->observer, s);
	LOG(LOG_INFO, "reconciled", LOG_N("rev", s->revision), LOG_S("cause", r->cause),
		LOG_N("planned", planner_last_planned(r->planner)), LOG_N("projects", s->nplans),
		LOG_N("routes", s->nroutes), LOG_N("problems", s->nproblems),
		LOG_N("took_us", (uv_hrtime() - began_ns) / 1000));
	r->revision = s->revision;
}

void
reconciler_set_outputs(struct reconciler *r, size_t noutputs, size_t naside)
{
	r->noutputs = noutputs;
	r->naside = naside;
	for (size_t i = 0; r->ready && i < noutputs + naside; i++)
		r->outputs[i]->publish(r->outputs[i], planner_snapshot(r->planner));
}

size_t
reconciler_noutputs(const struct reconciler *r)
{
	return r->noutputs;
}

void
reconciler_output(const struct reconciler *r, size_t i, struct output_info *ret)
{
	assert(i < r->noutputs);
	r->outputs[i]->info(r->outputs[i], ret);
}

void
reconciler_output_problems(const struct reconciler *r, size_t i,
	void (*fn)(void *arg, const struct problem *p), void *arg)
{
	assert(i < r->noutputs);
	if (r->outputs[i]->problems)
		r->outputs[i]->problems(r->outputs[i], fn, arg);
}
