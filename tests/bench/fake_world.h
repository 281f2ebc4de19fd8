/* fake_world.h - the containers of the fake engine, and what changes them.
 *
 * Container i belongs to project p00042 (i / 4 = 42): the first two of a project are production,
 * the others the previews of its branches feature-2 and feature-3.  All have a health check.
 * A change is done at once and then tells of itself by the events that a dockerd 20.10 sends, in
 * their order (tests/bench/check_fake.py compares).
 */
#ifndef TESTS_BENCH_FAKE_WORLD_H
#define TESTS_BENCH_FAKE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/base/buf.h"

#define WORLD_NETWORK "apps"
#define WORLD_PROJECT_SIZE 4

enum fake_state { FAKE_CREATED, FAKE_RUNNING, FAKE_PAUSED, FAKE_EXITED };
enum fake_health { FAKE_NO_CHECK, FAKE_STARTING, FAKE_HEALTHY, FAKE_UNHEALTHY };

extern const char *const fake_state_text[];
extern const char *const fake_health_text[];

struct fake_label {
	char *name;
	char *value;
};

struct fake_network {
	char name[64];
	char ip[46];
};

struct fake_container {
	char id[65];
	char *name;
	uint64_t created_ns, started_ns, finished_ns; /* since 1970; 0: never */
	enum fake_state state;
	enum fake_health health;
	int exit_code;
	size_t nlabels; /* sorted by name */
	struct fake_label *labels;
	size_t nnetworks; /* sorted by name */
	struct fake_network *networks; /* the last addresses, where it does not run */
};

struct world {
	size_t n, cap;
	struct fake_container **containers; /* oldest first */
	struct fake_container **table; /* by id, open addressing */
	size_t table_size;
	size_t made; /* how many there ever were: the next one's number */
	uint32_t next_ip;
	/* Called with each event as it happens; json is one object. */
	void (*event)(void *arg, const char *type, const char *action, const struct buf *json);
	void *arg;
};

void world_init(struct world *w, size_t containers);
void world_finish(struct world *w);

/* By whole id, by a prefix of it that is unique enough, or by name; NULL where there is none. */
struct fake_container *world_find(const struct world *w, const char *key);

bool fake_is_up(const struct fake_container *c);
const char *fake_label(const struct fake_container *c, const char *name);

/* One more container of the row; silent: it was there from the beginning. */
struct fake_container *world_add(struct world *w, bool silent);
/* A container of that name with a label for each "name=value" in the list, created, not started. */
struct fake_container *world_create(
	struct world *w, const char *name, size_t nlabels, char *const *labels);
void world_start(struct world *w, struct fake_container *c);
/* kill, die, network disconnect and stop. */
void world_stop(struct world *w, struct fake_container *c);
/* Only the stop signal: the early notice. */
void world_kill(struct world *w, struct fake_container *c);
/* die without being asked to, and network disconnect. */
void world_die(struct world *w, struct fake_container *c);
/* By force, where it runs. */
void world_remove(struct world *w, struct fake_container *c);
void world_pause(struct world *w, struct fake_container *c, bool paused);
void world_rename(struct world *w, struct fake_container *c, const char *name);
void world_set_health(struct world *w, struct fake_container *c, enum fake_health health);
void world_connect(struct world *w, struct fake_container *c, const char *network, const char *ip);
void world_disconnect(struct world *w, struct fake_container *c, const char *network);
/* Another address on its first network; NULL: a fresh one. */
void world_move(struct world *w, struct fake_container *c, const char *ip);

/* The network's id: a digest of its name. */
void world_network_id(const char *network, char ret[65]);

#endif
