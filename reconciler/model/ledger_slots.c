/* What the ledger remembers of slots: which one serves, and how long a grace period stood still. */
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/text.h"
#include "reconciler/model/ledger_inside.h"

static struct row *
active_row(const struct ledger *l, const struct group *g)
{
	const char *part[PARTS];

	ledger_group_parts(g, part);
	return ledger_row_find(l, ROW_ACTIVE, part);
}

static const char *
promotion_of(const struct row *row)
{
	return row->promotion ? row->promotion : "";
}

bool
ledger_choice(const struct ledger *l, const struct group *g, struct ledger_choice *ret)
{
	const struct row *row = active_row(l, g);

	if (row)
		*ret = (struct ledger_choice){
			row->value, promotion_of(row), row->fallback, row->lost_ms};
	return row;
}

const char *
ledger_active(const struct ledger *l, const struct group *g)
{
	const struct row *row = active_row(l, g);
	return row ? row->value : NULL;
}

void
ledger_choose(struct ledger *l, const struct group *g, const struct ledger_choice *c)
{
	struct row *row = active_row(l, g);
	const char *part[PARTS];

	if (row && strcmp(row->value, c->slot) == 0 &&
		strcmp(promotion_of(row), c->promotion) == 0 && row->fallback == c->fallback &&
		row->lost_ms == c->lost_ms)
		return;
	if (!row) {
		ledger_group_parts(g, part);
		row = ledger_row_add(l, ROW_ACTIVE, part);
	}
	/* What is given may be the row's own. */
	char *value = xstrdup(c->slot), *promotion = xstrdup(c->promotion);
	free(row->value);
	free(row->promotion);
	row->value = value;
	row->promotion = promotion;
	row->fallback = c->fallback;
	row->lost_ms = c->lost_ms;
	ledger_row_changed(l, row);
}

static void
grace_parts(const struct group *g, const char *slot, const char *part[PARTS])
{
	ledger_group_parts(&(struct group){g->project, g->environment, "", ""}, part);
	part[SLOT] = slot;
}

bool
ledger_grace(
	const struct ledger *l, const struct group *g, const char *slot, struct ledger_grace *ret)
{
	const char *part[PARTS];

	grace_parts(g, slot, part);
	const struct row *row = ledger_row_find(l, ROW_GRACE, part);
	if (row)
		*ret = row->grace;
	return row;
}

void
ledger_set_grace(
	struct ledger *l, const struct group *g, const char *slot, const struct ledger_grace *grace)
{
	const char *part[PARTS];

	grace_parts(g, slot, part);
	struct row *row = ledger_row_find(l, ROW_GRACE, part);
	if (!grace) {
		if (row)
			ledger_row_drop(l, row);
		return;
	}
	if (row && row->grace.until_ms == grace->until_ms && row->grace.held_ms == grace->held_ms &&
		row->grace.since_ms == grace->since_ms)
		return;
	if (!row)
		row = ledger_row_add(l, ROW_GRACE, part);
	row->grace = *grace;
	ledger_row_changed(l, row);
}
