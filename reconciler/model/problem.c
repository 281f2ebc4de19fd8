#include "reconciler/model/problem.h"

#include <assert.h>
#include <string.h>

#include "reconciler/base/text.h"

static const struct {
	const char *text;
	enum problem_severity severity;
	const char *means;
} codes[PROBLEM_CODE_COUNT] = {
#define X(name, text, severity, means) {text, severity, means},
	PROBLEM_CODES(X)
#undef X
};

const char *
problem_code_text(enum problem_code code)
{
	assert(code < PROBLEM_CODE_COUNT);
	return codes[code].text;
}

const char *
problem_code_means(enum problem_code code)
{
	assert(code < PROBLEM_CODE_COUNT);
	return codes[code].means;
}

enum problem_severity
problem_code_severity(enum problem_code code)
{
	assert(code < PROBLEM_CODE_COUNT);
	return codes[code].severity;
}

int
problem_compare(const struct problem *a, const struct problem *b)
{
	int order = (a->code > b->code) - (a->code < b->code);

	if (!order)
		order = text_compare(a->object, b->object);
	if (!order)
		order = text_compare(a->field, b->field);
	if (!order)
		order = text_compare(a->host, b->host);
	if (!order)
		order = text_compare(a->what, b->what);
	return order ? order : text_compare(a->remedy, b->remedy);
}

static void
problems_grow(struct problems *ps)
{
	if (ps->n < ps->cap)
		return;
	size_t cap = ps->cap ? ps->cap * 2 : 4;
	struct problem *list = ARENA_ARRAY(ps->arena, struct problem, cap);
	if (ps->n)
		memcpy(list, ps->list, ps->n * sizeof(*list));
	ps->list = list;
	ps->cap = cap;
}

void
problem_add(struct problems *ps, const struct problem *p)
{
	problems_grow(ps);
	ps->list[ps->n++] = (struct problem){
		.code = p->code,
		.object = arena_strdup(ps->arena, p->object),
		.field = arena_strdup(ps->arena, p->field),
		.what = arena_strdup(ps->arena, p->what),
		.remedy = arena_strdup(ps->arena, p->remedy),
		.project = arena_strdup(ps->arena, p->project),
		.host = arena_strdup(ps->arena, p->host),
	};
}
