#include "tests/bench/fake_storm.h"

#include <stdlib.h>

#include "reconciler/base/arena.h"

struct storm {
	uv_timer_t timer;
	struct world *world;
	struct api *api;
	double rate, seconds;
	uint64_t random;
	uint64_t start_ns;
	struct storm_result result;
	void (*done)(void *arg, const struct storm_result *result);
	void *arg;
};

/* xorshift64* (https://www.jstatsoft.org/v08/i14) */
static uint64_t
storm_random(struct storm *s)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return s->random * 0x2545f4914f6cdd1du;
}

static void
storm_change(struct storm *s)
{
	struct world *w = s->world;
	struct fake_container *c = w->containers[(storm_random(s) >> 16) % w->n];
	unsigned dice = (unsigned)(storm_random(s) >> 16) % 10;

	if (!fake_is_up(c))
		world_start(w, c);
	else if (dice == 0)
		world_stop(w, c);
	else if (dice == 1)
		world_move(w, c, NULL);
	else
		world_set_health(w, c, c->health == FAKE_HEALTHY ? FAKE_UNHEALTHY : FAKE_HEALTHY);
	s->result.changes++;
}

static void
storm_count(struct storm *s)
{
	struct api_batch batch;

	api_batch_take(s->api, &batch);
	s->result.events += batch.events;
	if (!s->result.first_ns)
		s->result.first_ns = batch.first_ns;
	if (batch.last_ns)
		s->result.last_ns = batch.last_ns;
}

static void
storm_free(uv_handle_t *timer)
{
	free(timer->data);
}

static void
storm_tick(uv_timer_t *timer)
{
	struct storm *s = timer->data;
	double total = s->rate * s->seconds;
	double due = s->rate * (double)(uv_hrtime() - s->start_ns) / 1e9;
	double behind = (due - (double)s->result.events) / s->rate * 1e9;

	if (due > total)
		due = total;
	if (behind > (double)s->result.late_ns)
		s->result.late_ns = (uint64_t)behind;
	while ((double)s->result.events < due) {
		storm_change(s);
		storm_count(s);
	}
	if ((double)s->result.events < total)
		return;
	uv_close((uv_handle_t *)&s->timer, storm_free);
	s->done(s->arg, &s->result);
}

struct storm *
storm_create(uv_loop_t *loop, struct world *world, struct api *api, double rate, double seconds,
	uint64_t seed, void (*done)(void *arg, const struct storm_result *result), void *arg)
{
	struct storm *s = xcalloc(1, sizeof(*s));

	s->world = world;
	s->api = api;
	s->rate = rate;
	s->seconds = seconds;
	s->random = seed * 2 + 1; /* never zero */
	s->start_ns = uv_hrtime();
	s->done = done;
	s->arg = arg;
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	uv_timer_start(&s->timer, storm_tick, 1, 1);
	return s;
}

void
storm_destroy(struct storm *s)
{
	if (s)
		uv_close((uv_handle_t *)&s->timer, storm_free);
}
