#include "reconciler/model/ports.h"

#include <stdlib.h>
#include <string.h>

#define PRODUCTION_FIRST 4000
#define STAGING_FIRST 4500

static const char *const slot_names[] = {"blue", "green"};

#define NSLOTS (sizeof(slot_names) / sizeof(slot_names[0]))

unsigned
ports_hash(const char *project)
{
	unsigned sum = 0;
	for (const unsigned char *c = (const unsigned char *)project; *c; c++)
		sum = (sum + *c) % PORTS_RANGE;
	return sum;
}

uint16_t
ports_range(const char *environment)
{
	return strcmp(environment, "production") == 0 ? PRODUCTION_FIRST : STAGING_FIRST;
}

uint16_t
ports_formula(const char *project, const char *environment)
{
	if (strcmp(environment, "production") != 0 && strcmp(environment, "staging") != 0)
		return 0;
	return (uint16_t)(ports_range(environment) + ports_hash(project));
}

static void
add(struct slot_ports *ps, const struct slot_port *p)
{
	if (p->port == 0)
		return;
	if (ps->n == ps->cap) {
		size_t cap = ps->cap ? 2 * ps->cap : 16;
		struct slot_port *list = ARENA_ARRAY(ps->arena, struct slot_port, cap);
		if (ps->n)
			memcpy(list, ps->list, ps->n * sizeof(*list));
		ps->list = list;
		ps->cap = cap;
	}
	ps->list[ps->n++] = *p;
}

static uint16_t
nth_port(uint16_t first, size_t i)
{
	return first && first <= UINT16_MAX - i ? (uint16_t)(first + i) : 0;
}

void
ports_add(struct slot_ports *ps, const struct registered_project *p, const char *project,
	const char *environment, const struct registered_environment *e)
{
	bool based = e && e->base_port;
	uint16_t first = based ? e->base_port : ports_formula(project, environment);
	struct slot_port port = {
		.project = project,
		.environment = environment,
		.place = p ? p->place : NULL,
		.planned = !e || !(e->slots || e->nslots || e->base_port),
	};
	for (size_t i = 0; i < NSLOTS; i++) {
		const struct registered_slot *slot =
			e ? registered_slot_find(e, slot_names[i]) : NULL;
		bool said = slot && slot->port;
		port.slot = slot_names[i];
		port.port = said ? slot->port : nth_port(first, i);
		port.formula = !said && !based;
		add(ps, &port);
	}
	port.formula = false;
	for (size_t i = 0; e && i < e->nslots; i++) {
		port.slot = e->slot[i].name;
		port.port = e->slot[i].port;
		if (strcmp(port.slot, "blue") != 0 && strcmp(port.slot, "green") != 0)
			add(ps, &port);
	}
}

void
ports_add_project(struct slot_ports *ps, const struct registered_project *p)
{
	for (size_t i = 0; i < p->nenvironments; i++)
		ports_add(ps, p, p->name, p->environments[i].name, &p->environments[i]);
}

static int
compare(const void *a, const void *b)
{
	const struct slot_port *x = a, *y = b;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	int r = strcmp(x->project, y->project);
	if (r == 0)
		r = strcmp(x->environment, y->environment);
	return r ? r : strcmp(x->slot, y->slot);
}

void
ports_sort(struct slot_ports *ps)
{
	if (ps->n)
		qsort(ps->list, ps->n, sizeof(*ps->list), compare);
}

const struct slot_port *
ports_at(const struct slot_ports *ps, uint16_t port, size_t *ret_n)
{
	size_t low = 0, high = ps->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ps->list[middle].port < port)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_n = 0;
	while (low + *ret_n < ps->n && ps->list[low + *ret_n].port == port)
		++*ret_n;
	return *ret_n ? &ps->list[low] : NULL;
}

bool
slot_port_is(const struct slot_port *p, const char *project, const char *environment)
{
	return strcmp(p->project, project) == 0 && strcmp(p->environment, environment) == 0;
}

static bool
is_anagram(const char *a, const char *b)
{
	int counts[256] = {0};
	for (const unsigned char *c = (const unsigned char *)a; *c; c++)
		counts[*c]++;
	for (const unsigned char *c = (const unsigned char *)b; *c; c++)
		counts[*c]--;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i])
			return false;
	return true;
}

/* Is it the port that the formula gives, be it written down? */
static bool
is_formulas(const struct slot_port *p)
{
	uint16_t first = ports_formula(p->project, p->environment);
	for (size_t i = 0; first && i < NSLOTS; i++)
		if (strcmp(p->slot, slot_names[i]) == 0)
			return p->port == first + i;
	return false;
}

enum ports_clash
ports_clash(const struct slot_port *a, const struct slot_port *b)
{
	if (!is_formulas(a) || !is_formulas(b))
		return CLASH_REGISTRY;
	if (strcmp(a->environment, b->environment) != 0)
		return CLASH_BORDER;
	if (ports_hash(a->project) != ports_hash(b->project))
		return CLASH_NEIGHBOUR;
	return is_anagram(a->project, b->project) ? CLASH_ANAGRAM : CLASH_HASH;
}

static const struct {
	const char *text, *means;
} clashes[] = {
	[CLASH_REGISTRY] = {"registry", "a port in the registry"},
	[CLASH_ANAGRAM] = {"anagram", "the same hash, for the names are anagrams"},
	[CLASH_HASH] = {"hash", "the same hash"},
	[CLASH_NEIGHBOUR] = {"neighbour", "neighbours: green of one is blue of the next"},
	[CLASH_BORDER] = {"border", "hash 499: green is past the end of its range"},
};

const char *
ports_clash_text(enum ports_clash clash)
{
	return clashes[clash].text;
}

const char *
ports_clash_means(enum ports_clash clash)
{
	return clashes[clash].means;
}

bool
ports_crosses_border(const struct slot_port *p)
{
	uint16_t first = ports_range(p->environment);
	return is_formulas(p) && (p->port < first || p->port >= first + PORTS_RANGE);
}

static bool
is_free(const struct slot_ports *ps, const char *project, const char *environment, uint16_t port)
{
	size_t n;
	const struct slot_port *at = ports_at(ps, port, &n);
	for (size_t i = 0; i < n; i++)
		if (!slot_port_is(&at[i], project, environment))
			return false;
	return true;
}

uint16_t
ports_free(const struct slot_ports *ps, const char *project, const char *environment)
{
	unsigned first = ports_range(environment), hash = ports_hash(project);
	for (unsigned step = 2; step <= 2 * PORTS_RANGE; step += 2) {
		/* After one round in even steps comes one in odd ones. */
		unsigned offset = (hash + step + (step > PORTS_RANGE)) % PORTS_RANGE;
		uint16_t port = (uint16_t)(first + offset);
		if (offset + 1 < PORTS_RANGE && is_free(ps, project, environment, port) &&
			is_free(ps, project, environment, (uint16_t)(port + 1)))
			return port;
	}
	return 0;
}
