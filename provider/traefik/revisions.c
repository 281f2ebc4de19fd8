#include "provider/traefik/revisions.h"

#include <stdbool.h>
#include <stddef.h>

/* The oldest serial that is remembered. */
static uint64_t
oldest(const struct revisions *rs)
{
	return rs->newest > REVISIONS ? rs->newest - REVISIONS + 1 : 1;
}

static bool
is_known(const struct revisions *rs, uint64_t serial)
{
	return serial >= oldest(rs) && serial <= rs->newest;
}

static const struct revision *
revision_at(const struct revisions *rs, uint64_t serial)
{
	return &rs->list[serial % REVISIONS];
}

void
revisions_add(struct revisions *rs, uint64_t revision, uint64_t digest, uint64_t mark)
{
	rs->newest++;
	rs->list[rs->newest % REVISIONS] =
		(struct revision){.revision = revision, .digest = digest, .mark = mark};
}

void
revisions_renew(struct revisions *rs, uint64_t revision)
{
	rs->list[rs->newest % REVISIONS].revision = revision;
}

void
revisions_give(struct revisions *rs)
{
	rs->given = rs->newest;
}

uint64_t
revisions_mark(const struct revisions *rs, uint64_t digest)
{
	for (uint64_t s = rs->newest; s >= oldest(rs); s--) {
		const struct revision *r = revision_at(rs, s);
		if (r->mark && r->digest == digest)
			return rs->given <= s ? r->mark : r->mark + 1;
	}
	return digest;
}

uint64_t
revisions_find(const struct revisions *rs, uint64_t mark)
{
	for (uint64_t s = rs->newest; mark && s >= oldest(rs); s--)
		if (revision_at(rs, s)->mark == mark)
			return s;
	return 0;
}

uint64_t
revisions_of(const struct revisions *rs, uint64_t serial)
{
	return is_known(rs, serial) ? revision_at(rs, serial)->revision : 0;
}

void
revisions_arrive(struct revisions *rs, uint64_t serial, uint64_t now_ms)
{
	uint64_t from = rs->arrived + 1 > oldest(rs) ? rs->arrived + 1 : oldest(rs);
	for (uint64_t s = from; s <= serial && s <= rs->newest; s++)
		rs->list[s % REVISIONS].applied_ms = now_ms;
	rs->arrived = serial;
}

uint64_t
revisions_applied_ago(const struct revisions *rs, uint64_t revision, uint64_t now_ms)
{
	const struct revision *first = NULL;
	uint64_t s = rs->newest;

	for (; s >= oldest(rs) && revision_at(rs, s)->revision >= revision; s--)
		first = revision_at(rs, s);
	if (!first || s + 1 > rs->arrived)
		return UINT64_MAX;
	return now_ms - first->applied_ms;
}
