/* The ledger's rows as lines of JSON, and back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/model/ledger_inside.h"

static const char *const row_text[] = {"claim", "branch", "active", "grace", "damped"};

static const char *const part_text[] = {"project", "environment", "branch", "service", "host",
	"path", "slot", "engine", "container"};

static void
print_damping(const struct ledger_damping *d, struct buf *b)
{
	buf_addf(b, ",\"since_ms\":%llu,\"lost_ms\":%llu,\"wait_ms\":%llu",
		(unsigned long long)d->since_ms, (unsigned long long)d->lost_ms,
		(unsigned long long)d->wait_ms);
	if (d->ready_ms)
		buf_addf(b, ",\"ready_ms\":%llu", (unsigned long long)d->ready_ms);
	if (d->over)
		buf_adds(b, ",\"over\":true");
}

static void
print_claim(const struct ledger_claim *c, struct buf *b)
{
	buf_addf(b, ",\"kind\":\"%s\",\"first\":%llu,\"project_first\":%llu",
		route_kind_text(c->kind), (unsigned long long)c->first,
		(unsigned long long)c->project_first);
	if (c->entry_first)
		buf_addf(b, ",\"entry_first\":%llu", (unsigned long long)c->entry_first);
	if (c->derived)
		buf_adds(b, ",\"derived\":true");
	if (c->gone_ms)
		buf_addf(b, ",\"gone_ms\":%llu", (unsigned long long)c->gone_ms);
}

static void
print_grace(const struct ledger_grace *g, struct buf *b)
{
	buf_addf(b, ",\"until_ms\":%llu,\"held_ms\":%llu,\"since_ms\":%llu",
		(unsigned long long)g->until_ms, (unsigned long long)g->held_ms,
		(unsigned long long)g->since_ms);
}

static void
print_value(const struct row *row, struct buf *b)
{
	buf_adds(b, ",\"value\":");
	buf_json(b, row->value);
	if (row->suffixed)
		buf_adds(b, ",\"suffixed\":true");
	if (row->promotion && *row->promotion) {
		buf_adds(b, ",\"promotion\":");
		buf_json(b, row->promotion);
	}
	if (row->fallback)
		buf_adds(b, ",\"fallback\":true");
	if (row->lost_ms)
		buf_addf(b, ",\"lost_ms\":%llu", (unsigned long long)row->lost_ms);
}

void
ledger_print_row(const struct row *row, bool went, struct buf *b)
{
	buf_addf(b, "{\"row\":\"%s\"", row_text[row->kind]);
	for (size_t i = 0; i < PARTS; i++) {
		if (!*row->part[i])
			continue;
		buf_addf(b, ",\"%s\":", part_text[i]);
		buf_json(b, row->part[i]);
	}
	if (went) {
		buf_adds(b, ",\"gone\":true");
	} else if (row->kind == ROW_CLAIM) {
		print_claim(&row->claim, b);
	} else if (row->kind == ROW_GRACE) {
		print_grace(&row->grace, b);
	} else if (row->kind == ROW_DAMPED) {
		print_damping(&row->damping, b);
	} else {
		print_value(row, b);
	}
	buf_adds(b, "}\n");
}

static int
row_compare(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
	size_t n = x->hh.keylen < y->hh.keylen ? x->hh.keylen : y->hh.keylen;
	int order = memcmp(x->key, y->key, n);
	return order ? order : (x->hh.keylen > y->hh.keylen) - (x->hh.keylen < y->hh.keylen);
}

void
ledger_print(const struct ledger *l, struct buf *lines)
{
	size_t n = 0;
	struct row **sorted = xmalloc(HASH_COUNT(l->rows) * sizeof(struct row *));
	struct row *row, *tmp;

	HASH_ITER(hh, l->rows, row, tmp)
	sorted[n++] = row;
	qsort(sorted, n, sizeof(struct row *), row_compare);
	for (size_t i = 0; i < n; i++)
		ledger_print_row(sorted[i], false, lines);
	free(sorted);
}

static int
row_kind_find(const char *text)
{
	for (int i = 0; text && i < ROW_KINDS; i++)
		if (strcmp(row_text[i], text) == 0)
			return i;
	return -1;
}

static int
route_kind_find(const char *text)
{
	for (int i = 0; text && i <= ROUTE_STATIC; i++)
		if (strcmp(route_kind_text((enum route_kind)i), text) == 0)
			return i;
	return -1;
}

static uint64_t
number_member(const json_t *o, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(o, name));
	return n > 0 ? (uint64_t)n : 0;
}

static int
claim_load(struct ledger *l, const json_t *o, struct row *row, const char *const part[PARTS],
	struct err *reterr)
{
	int kind = route_kind_find(json_string_value(json_object_get(o, "kind")));
	uint64_t first = number_member(o, "first");

	if (kind < 0 || !first || !*part[HOST])
		return err_set(reterr, EINVAL, "a claim needs host, kind and first");
	if (!row)
		row = ledger_claim_add(l, part, (enum route_kind)kind);
	row->claim.kind = (enum route_kind)kind;
	row->claim.first = first;
	row->claim.project_first = number_member(o, "project_first");
	if (!row->claim.project_first || row->claim.project_first > first)
		row->claim.project_first = first;
	row->claim.entry_first = number_member(o, "entry_first");
	row->claim.gone_ms = number_member(o, "gone_ms");
	row->claim.derived = json_is_true(json_object_get(o, "derived"));
	if (row->claim.entry_first > first)
		first = row->claim.entry_first;
	if (first >= l->next)
		l->next = first + 1;
	return 0;
}

static void
grace_load(const json_t *o, struct ledger_grace *ret)
{
	*ret = (struct ledger_grace){
		.until_ms = number_member(o, "until_ms"),
		.held_ms = number_member(o, "held_ms"),
		.since_ms = number_member(o, "since_ms"),
	};
}

static void
value_load(const json_t *o, const char *value, struct row *row)
{
	const char *promotion = json_string_value(json_object_get(o, "promotion"));

	free(row->value);
	free(row->promotion);
	row->value = xstrdup(value);
	row->promotion = promotion ? xstrdup(promotion) : NULL;
	row->suffixed = json_is_true(json_object_get(o, "suffixed"));
	row->fallback = json_is_true(json_object_get(o, "fallback"));
	row->lost_ms = number_member(o, "lost_ms");
}

static int
damping_load(struct ledger *l, const json_t *o, struct row *row, const char *const part[PARTS],
	struct err *reterr)
{
	uint64_t lost_ms = number_member(o, "lost_ms"), wait_ms = number_member(o, "wait_ms");

	if (!*part[ENGINE] || !*part[CONTAINER] || !lost_ms || !wait_ms)
		return err_set(
			reterr, EINVAL, "a damping needs engine, container, lost_ms and wait_ms");
	if (!row)
		row = ledger_damping_add(l, part);
	row->damping.since_ms = number_member(o, "since_ms");
	row->damping.lost_ms = lost_ms;
	row->damping.ready_ms = number_member(o, "ready_ms");
	row->damping.wait_ms = wait_ms;
	row->damping.over = json_is_true(json_object_get(o, "over"));
	return 0;
}

static void
row_forget(struct ledger *l, struct row *row)
{
	if (row->kind == ROW_CLAIM)
		ledger_claim_unlink(l, &row->claim);
	if (row->kind == ROW_DAMPED)
		ledger_damping_unlink(l, &row->damping);
	HASH_DEL(l->rows, row);
	ledger_row_free(row);
}

int
ledger_load(struct ledger *l, const json_t *o, struct err *reterr)
{
	const char *part[PARTS];
	int kind = row_kind_find(json_string_value(json_object_get(o, "row")));
	if (kind < 0)
		return err_set(reterr, EINVAL, "not a row of the ledger");
	for (size_t i = 0; i < PARTS; i++) {
		part[i] = json_string_value(json_object_get(o, part_text[i]));
		if (!part[i])
			part[i] = "";
	}
	if (!*part[PROJECT])
		return err_set(reterr, EINVAL, "a row needs a project");

	struct row *row = ledger_row_find(l, (enum row_kind)kind, part);
	if (json_is_true(json_object_get(o, "gone"))) {
		if (row)
			row_forget(l, row);
		return 0;
	}
	if (kind == ROW_CLAIM)
		return claim_load(l, o, row, part, reterr);
	if (kind == ROW_DAMPED)
		return damping_load(l, o, row, part, reterr);

	if (kind == ROW_GRACE && (!*part[SLOT] || !number_member(o, "until_ms")))
		return err_set(reterr, EINVAL, "a grace period needs slot and until_ms");
	const char *value = json_string_value(json_object_get(o, "value"));
	if (kind != ROW_GRACE && !value)
		return err_set(reterr, EINVAL, "a row needs a value");
	if (!row)
		row = ledger_row_add(l, (enum row_kind)kind, part);
	if (kind == ROW_GRACE)
		grace_load(o, &row->grace);
	else
		value_load(o, value, row);
	return 0;
}
