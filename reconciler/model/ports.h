/* ports.h - slot ports: CodeB's formula, who has which port, and which are free.
 *
 * CodeB publishes a slot at a port that it makes of the project's name, so different projects may
 * get one port: names with the same sum of characters (any anagram), neighbours (one's green is the
 * next one's blue), and names whose sum is 499, whose production takes staging's first.  A port
 * that the registry has wins over the formula.  Pure.
 */
#ifndef RECONCILER_MODEL_PORTS_H
#define RECONCILER_MODEL_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/arena.h"
#include "reconciler/model/registry.h"

#define PORTS_RANGE 500 /* ports of an environment's range */

/* A slot with its published port.  Texts are those of the registered project. */
struct slot_port {
	const char *project, *environment, *slot;
	const char *place; /* the project's, for messages; NULL where it is not registered */
	uint16_t port;
	bool formula; /* the registry has none, so it is CodeB's formula's */
	bool planned; /* nothing says yet that the environment has slots */
};

/* All zero but the arena is empty. */
struct slot_ports {
	struct arena *arena;
	size_t n, cap;
	struct slot_port *list;
};

/* The sum of the name's octets modulo 500. */
unsigned ports_hash(const char *project);
/* The port that the formula gives an environment's first slot; 0: it has no formula for it. */
uint16_t ports_formula(const char *project, const char *environment);
/* The first port of the environment's range: 4000 for production, else 4500. */
uint16_t ports_range(const char *environment);

/* The slots of an environment: blue, green, and what others it has; e is NULL where it is not
 * registered, p where the project is not.  Slots without a port are left out.  Texts are kept, not
 * copied. */
void ports_add(struct slot_ports *ps, const struct registered_project *p, const char *project,
	const char *environment, const struct registered_environment *e);
/* All environments of a project. */
void ports_add_project(struct slot_ports *ps, const struct registered_project *p);

/* By port, project, environment, slot; the functions below want it sorted. */
void ports_sort(struct slot_ports *ps);
/* Those that have the port: the first, and how many. */
const struct slot_port *ports_at(const struct slot_ports *ps, uint16_t port, size_t *ret_n);
bool slot_port_is(const struct slot_port *p, const char *project, const char *environment);

/* Why two slots have one port. */
enum ports_clash {
	CLASH_REGISTRY, /* a port in the registry */
	CLASH_ANAGRAM, /* names of the same letters */
	CLASH_HASH, /* names of the same sum */
	CLASH_NEIGHBOUR, /* green of one is blue of the next */
	CLASH_BORDER, /* green of the last of the range is the next range's first */
};
enum ports_clash ports_clash(const struct slot_port *a, const struct slot_port *b);
/* "anagram", for programs. */
const char *ports_clash_text(enum ports_clash clash);
/* For people, as the end of a sentence. */
const char *ports_clash_means(enum ports_clash clash);
/* Is its port the formula's, and of another range, or of none? */
bool ports_crosses_border(const struct slot_port *p);

/* The first of two ports, one after the other, in the environment's range that nobody else has: the
 * next in even steps from the formula's (production's or staging's), else in odd ones; 0: none. */
uint16_t ports_free(const struct slot_ports *ps, const char *project, const char *environment);

#endif
