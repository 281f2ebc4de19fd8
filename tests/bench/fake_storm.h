/* fake_storm.h - a storm: so many events a second, seeded, over the whole world.
 *
 * Most are health changes; one in ten is a container that moves to another address, one in ten one
 * that stops or starts.
 */
#ifndef TESTS_BENCH_FAKE_STORM_H
#define TESTS_BENCH_FAKE_STORM_H

#include <uv.h>

#include "tests/bench/fake_api.h"
#include "tests/bench/fake_world.h"

struct storm_result {
	uint64_t changes;
	uint64_t first_ns, last_ns; /* CLOCK_MONOTONIC, of its first and last event */
	uint64_t late_ns; /* the worst that the engine was behind its own timetable */
	uint64_t events;
};

struct storm;

/* done is called once, on the loop, after which the storm is gone.  rate: events a second. */
struct storm *storm_create(uv_loop_t *loop, struct world *world, struct api *api, double rate,
	double seconds, uint64_t seed, void (*done)(void *arg, const struct storm_result *result),
	void *arg);
/* One that is still under way: done is not called any more. */
void storm_destroy(struct storm *s);

#endif
