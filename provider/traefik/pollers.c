#include "provider/traefik/pollers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"

void
pollers_finish(struct pollers *ps)
{
	for (size_t i = 0; i < ps->n; i++)
		free(ps->list[i]);
	ps->n = 0;
}

struct poller *
pollers_find(const struct pollers *ps, const char *name)
{
	for (size_t i = 0; i < ps->n; i++) {
		if (!strcmp(ps->list[i]->name, name))
			return ps->list[i];
	}
	return NULL;
}

static struct poller *
poller_add(struct pollers *ps, const char *name)
{
	if (ps->n == POLLERS_MAX)
		return NULL;
	struct poller *p = xcalloc(1, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "%s", name);
	ps->list[ps->n++] = p;
	return p;
}

static void
poller_coming(struct poller *p, uint64_t serial, uint64_t now_ms)
{
	if (serial <= p->arrived || (p->ncoming && serial <= p->coming[p->ncoming - 1].serial))
		return;
	/* Where changes come faster than they are counted, the last place takes the newest. */
	if (p->ncoming == POLLER_COMING_MAX)
		p->ncoming--;
	p->coming[p->ncoming].serial = serial;
	p->coming[p->ncoming].due_ms = now_ms + POLLER_APPLY_DELAY_MS;
	p->ncoming++;
}

struct poller *
pollers_polled(struct pollers *ps, const char *name, const char *address, bool waits, uint64_t mark,
	uint64_t now_ms)
{
	struct poller *p = pollers_find(ps, name);
	if (!p)
		p = poller_add(ps, name);
	if (!p)
		return NULL;
	snprintf(p->address, sizeof(p->address), "%s", address);
	p->waits |= waits;
	p->polls++;
	p->seen_ms = now_ms;
	poller_arrived(p, now_ms);
	poller_coming(p, mark ? mark : p->replied, now_ms);
	return p;
}

void
poller_replied(struct poller *p, uint64_t serial, uint64_t now_ms)
{
	p->replied = serial;
	p->seen_ms = now_ms;
}

bool
poller_counts(const struct poller *p)
{
	return p->waits || p->polls >= 2;
}

uint64_t
poller_arrived(struct poller *p, uint64_t now_ms)
{
	size_t done = 0;
	while (done < p->ncoming && p->coming[done].due_ms <= now_ms)
		p->arrived = p->coming[done++].serial;
	p->ncoming -= done;
	memmove(p->coming, p->coming + done, p->ncoming * sizeof(p->coming[0]));
	return p->arrived;
}

void
pollers_drop(struct pollers *ps, uint64_t now_ms)
{
	size_t n = 0;
	for (size_t i = 0; i < ps->n; i++) {
		struct poller *p = ps->list[i];
		if (!p->held && now_ms - p->seen_ms > POLLER_SILENCE_MS)
			free(p);
		else
			ps->list[n++] = p;
	}
	ps->n = n;
}
