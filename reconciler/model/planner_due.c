/* Which project's plan is to be made anew at which time: a heap, the earliest on top; and what
 * becomes of that when somebody sets the clock back. */
#include <stdlib.h>

#include "reconciler/model/planner_inside.h"

static void
place(struct planner *p, size_t i, struct project *pr)
{
	p->due[i] = pr;
	pr->due_at = i + 1;
}

static void
sift_up(struct planner *p, size_t i, struct project *pr)
{
	while (i && p->due[(i - 1) / 2]->due_ms > pr->due_ms) {
		place(p, i, p->due[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(p, i, pr);
}

static void
sift_down(struct planner *p, size_t i, struct project *pr)
{
	for (size_t child; (child = 2 * i + 1) < p->ndue; i = child) {
		if (child + 1 < p->ndue && p->due[child + 1]->due_ms < p->due[child]->due_ms)
			child++;
		if (p->due[child]->due_ms >= pr->due_ms)
			break;
		place(p, i, p->due[child]);
	}
	place(p, i, pr);
}

static void
due_remove(struct planner *p, struct project *pr)
{
	size_t i = pr->due_at - 1;
	struct project *last = p->due[--p->ndue];

	pr->due_at = 0;
	if (last == pr)
		return;
	if (i && p->due[(i - 1) / 2]->due_ms > last->due_ms)
		sift_up(p, i, last);
	else
		sift_down(p, i, last);
}

void
project_due(struct planner *p, struct project *pr, uint64_t due_ms)
{
	if (pr->due_at && pr->due_ms == due_ms)
		return;
	if (pr->due_at)
		due_remove(p, pr);
	pr->due_ms = due_ms;
	if (due_ms == UINT64_MAX)
		return;
	p->due = planner_grow(p->due, p->ndue, &p->due_cap, sizeof(struct project *));
	sift_up(p, p->ndue++, pr);
}

uint64_t
projects_due_ms(const struct planner *p)
{
	return p->ndue ? p->due[0]->due_ms : UINT64_MAX;
}

void
projects_ring_due(struct planner *p, uint64_t now_ms)
{
	while (p->ndue && p->due[0]->due_ms <= now_ms) {
		struct project *pr = p->due[0];
		project_due(p, pr, UINT64_MAX);
		project_ring(p, pr);
	}
}

/* -- a clock that is set back -- */

/* Less is left alone, for then all is planned anew. */
#define CLOCK_BACK_MS 1000

bool
clock_went_back(const struct planner *p, uint64_t now_ms)
{
	return now_ms + CLOCK_BACK_MS < p->stepped_ms;
}

void
clock_follow(struct planner *p, uint64_t now_ms)
{
	if (clock_went_back(p, now_ms)) {
		forget_held(p);
		p->fresh = true; /* the ledger is looked through, and its projects planned */
		registry_date(p, now_ms);
		damping_redate(p, now_ms);
		p->stepped_ms = now_ms;
	}
	if (now_ms > p->stepped_ms)
		p->stepped_ms = now_ms;
}
