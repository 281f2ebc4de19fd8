#include "reconciler/reconcile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/reconcile_inside.h"
#include "reconciler/sources/engine.h"
#include "reconciler/sources/probe.h"
#include "reconciler/state.h"
#include "reconciler/state_parse.h"

/* An engine that was never seen holds publication back no longer than this. */
#define WAIT_FOR_SOURCES_MS 30000
/* The state may lack the last second's changes, which the proxies have already: what it says counts
 * only where the engine does not answer within this. */
#define WAIT_FOR_LOOK_MS 3000
/* Nor do probes that have not found out anything yet, once the sources are there, and each of them
 * had its turn. */
#define WAIT_FOR_PROBES_MS 2000
/* The machine's clock may be set while the timer runs. */
#define TIMER_MAX_MS 60000

/* So far ours and the machine's clock may be apart. */
#define CLOCK_OFF_MS 1000

/* A wall clock that goes on evenly, until clock_follow_machine. */
static uint64_t
now_ms(const struct reconciler *r)
{
	return r->wall_base_ms + (uv_now(r->loop) - r->loop_base_ms);
}

/* Registries and engines date what they say by the machine's clock, which somebody may have set, or
 * which went on while the machine slept. */
static void
clock_follow_machine(struct reconciler *r)
{
	uint64_t ours = r->wall_base_ms + (uv_hrtime() / 1000000 - r->loop_base_ms);
	uint64_t wall = clock_wall_ms();
	bool ahead = wall > ours;

	if ((ahead ? wall - ours : ours - wall) < CLOCK_OFF_MS)
		return;
	r->wall_base_ms += wall - ours; /* which may wrap around, and back */
	LOG(LOG_INFO, "follows the clock, which was set", LOG_S("to", ahead ? "later" : "earlier"),
		LOG_N("by_ms", ahead ? wall - ours : ours - wall));
}

void
reconcile_ring(struct reconciler *r, const char *cause)
{
	if (!r->rang)
		r->cause = cause;
	r->rang = true;
}

struct watched *
watched_find(const struct reconciler *r, const char *name)
{
	for (size_t i = 0; i < r->nwatched; i++)
		if (strcmp(r->watched[i].name, name) == 0)
			return &r->watched[i];
	return NULL;
}

const char *
reconcile_source_name(const struct reconciler *r, const char *name)
{
	const struct watched *w = watched_find(r, name);
	return w ? w->name : "source";
}

struct buf *
lines_of(struct reconciler *r)
{
	if (!r->state)
		return NULL;
	state_ring(r->state);
	return state_lines(r->state);
}

static void
state_note(struct reconciler *r, const struct endpoint *e, bool ready)
{
	struct buf *lines = lines_of(r);
	if (lines)
		state_print_endpoint(lines, e, ready);
}

static void
state_note_gone(struct reconciler *r, const char *engine, const char *id)
{
	struct buf *lines = lines_of(r);
	if (lines)
		state_print_gone(lines, engine, id);
}

void
probe_sync(struct reconciler *r, const char *engine, const char *id)
{
	struct probe_target target;
	bool wanted = planner_probe_target(r->planner, engine, id, &target);
	prober_set(r->prober, engine, id, wanted ? &target : NULL);
}

static void
on_put(void *arg, const struct endpoint *e)
{
	struct reconciler *r = arg;
	struct probe_target target;

	if (!planner_put(r->planner, e))
		return;
	probe_sync(r, e->engine, e->id);
	if (planner_find(r->planner, e->engine, e->id))
		state_note(r, e,
			planner_probe_target(r->planner, e->engine, e->id, &target) &&
				target.ready_before);
	else
		state_note_gone(r, e->engine, e->id);
	reconcile_ring(r, reconcile_source_name(r, e->engine));
}

static void
on_remove(void *arg, const char *engine, const char *id)
{
	struct reconciler *r = arg;

	if (!planner_find(r->planner, engine, id))
		return;
	state_note_gone(r, engine, id);
	prober_set(r->prober, engine, id, NULL);
	planner_remove(r->planner, engine, id);
	reconcile_ring(r, reconcile_source_name(r, engine));
}

static void
on_probed(void *arg, const char *engine, const char *id, enum readiness ready, unsigned why)
{
	struct reconciler *r = arg;
	const struct endpoint *e = planner_find(r->planner, engine, id);

	if (!e)
		return;
	planner_set_why(r->planner, engine, id, why);
	planner_set_ready(r->planner, engine, id, ready);
	state_note(r, e, readiness_counts(ready));
	reconcile_ring(r, "probe");
}

void
reconcile_on_status(void *arg, const char *source)
{
	struct reconciler *r = arg;
	struct watched *w = watched_find(r, source);

	if (!w)
		return;
	if (watched_note(w)) {
		struct buf *lines = lines_of(r);
		if (lines)
			state_print_source(lines, source);
	}
	reconcile_ring(r, w->name);
}

static void
watch_engines(struct reconciler *r)
{
	const struct source_sink sink = {
		.put = on_put, .remove = on_remove, .status = reconcile_on_status, .arg = r};

	for (size_t i = 0; i < r->settings->nengines; i++) {
		const struct settings_engine *cfg = &r->settings->engines[i];
		r->watched[r->nwatched++] = (struct watched){.name = cfg->name,
			.engine = engine_create(r->loop, r->http, cfg, r->settings, &sink)};
	}
}

static void
watch_sources(struct reconciler *r)
{
	r->nwatched = 0;
	r->watched = xcalloc(r->settings->nengines + 2, sizeof(*r->watched));
	watch_engines(r);
	watch_registries(r);
}

static void
start_sources(struct reconciler *r)
{
	reconcile_restore(r);
	for (size_t i = 0; i < r->nwatched; i++) {
		if (r->watched[i].seen)
			watched_restored(&r->watched[i]);
		watched_start(&r->watched[i]);
	}
}

struct probe_count {
	const struct reconciler *r;
	uint64_t n, unknown;
};

static void
count_probes(void *arg, const struct endpoint *e, enum readiness ready)
{
	struct probe_count *count = arg;
	struct probe_target target;

	if (ready != READY_UNKNOWN) {
		count->n++;
	} else if (planner_probe_target(count->r->planner, e->engine, e->id, &target)) {
		count->n++;
		count->unknown++;
	}
}

static bool
probes_are_ready(struct reconciler *r)
{
	struct probe_count count = {.r = r};
	uint64_t waited_ms = now_ms(r) - r->sources_ready_ms;

	planner_each(r->planner, count_probes, &count);
	return count.unknown == 0 ||
	       waited_ms >= WAIT_FOR_PROBES_MS + count.n * 1000 / r->settings->probe_rate;
}

/* An engine that does not answer, where one look at the registry will do. */
static bool
is_dispensable(const struct reconciler *r, const struct watched *w)
{
	struct source_info info;

	if (!r->without_engines || !settings_has_registry(r->settings) || !w->engine || w->looked)
		return false;
	watched_info(w, &info);
	return *info.error;
}

/* Whose a host is, nobody can tell before each registry has spoken once. */
static bool
awaits_registry(const struct reconciler *r)
{
	for (size_t i = 0; i < r->nwatched; i++)
		if (r->watched[i].registry && !r->watched[i].seen)
			return true;
	return false;
}

/* Nothing is published before every source was looked at.  One that only the state knows is waited
 * for shortly, an engine that nobody ever saw for half a minute, and with none seen at all, or a
 * registry that nobody ever saw, nothing is ever published. */
static bool
sources_are_ready(const struct reconciler *r)
{
	uint64_t waited_ms = now_ms(r) - r->started_ms;
	size_t seen = 0, looked = 0, dispensable = 0;

	if (awaits_registry(r))
		return false;
	for (size_t i = 0; i < r->nwatched; i++) {
		seen += r->watched[i].seen;
		looked += r->watched[i].looked;
		dispensable += is_dispensable(r, &r->watched[i]);
	}
	if (looked == r->nwatched || (looked && looked + dispensable == r->nwatched))
		return true;
	if (seen == r->nwatched)
		return waited_ms >= WAIT_FOR_LOOK_MS;
	return seen && waited_ms >= WAIT_FOR_SOURCES_MS;
}

static bool
look_if_ready(struct reconciler *r)
{
	if (r->ready)
		return true;
	if (!r->sources_ready_ms && sources_are_ready(r))
		r->sources_ready_ms = now_ms(r);
	r->ready = r->sources_ready_ms && probes_are_ready(r);
	return r->ready;
}

static void on_due(uv_timer_t *timer);

static void
arm_timer(struct reconciler *r)
{
	uint64_t due = r->ready ? planner_due_ms(r->planner) : now_ms(r) + 100;

	if (due == UINT64_MAX) {
		uv_timer_stop(&r->due);
		return;
	}
	uint64_t now = now_ms(r), wait_ms = due > now ? due - now : 0;
	uv_timer_start(&r->due, on_due, wait_ms < TIMER_MAX_MS ? wait_ms : TIMER_MAX_MS, 0);
}

static void
keep_ledger(struct reconciler *r)
{
	struct buf none = {0};
	size_t n = ledger_take_changes(r->ledger, r->state ? state_lines(r->state) : &none);
	if (n && r->state)
		state_ring(r->state);
	buf_finish(&none);
}

/* What it asks for may stand in the registry: its port, and so where to probe it. */
static void
on_reread(void *arg, const struct endpoint *e)
{
	probe_sync(arg, e->engine, e->id);
}

/*
 * One turn.  Callbacks that ran since the last one have only noted facts; everything is decided
 * here, in this order.
 */
static void
reconcile_step(struct reconciler *r)
{
	bool was_ready = r->ready;
	uint64_t began_ns = uv_hrtime();

	planner_reread(r->planner, now_ms(r), on_reread, r);
	if (look_if_ready(r))
		clock_follow_machine(r); /* before, what counts is how long one has waited */
	if (r->ready && planner_is_dirty(r->planner, now_ms(r))) {
		struct snapshot *s = planner_step(r->planner, now_ms(r));
		if (s->revision != r->revision || !was_ready)
			reconcile_publish(r, s, began_ns);
		keep_ledger(r);
	}
	r->rang = false;
	arm_timer(r);
}

static void
on_due(uv_timer_t *timer)
{
	struct reconciler *r = timer->data;
	reconcile_ring(r, "time");
}

static void
on_before_poll(uv_prepare_t *prepare)
{
	struct reconciler *r = prepare->data;
	if (r->rang)
		reconcile_step(r);
}

static void
on_after_poll(uv_check_t *check)
{
	struct reconciler *r = check->data;
	if (r->rang)
		reconcile_step(r);
}

static struct prober_settings
prober_settings_of(const struct settings *s)
{
	return (struct prober_settings){.interval_ms = s->probe_interval_ms,
		.timeout_ms = s->probe_timeout_ms,
		.rise = s->probe_rise,
		.fall = s->probe_fall,
		.rate = s->probe_rate};
}

struct reconciler *
reconciler_create(const struct reconciler_config *cfg)
{
	struct reconciler *r = xcalloc(1, sizeof(*r));

	r->loop = cfg->loop;
	r->http = cfg->http;
	r->settings = cfg->settings;
	r->state_dir = cfg->state_dir ? xstrdup(cfg->state_dir) : NULL;
	r->without_engines = cfg->without_engines;
	r->noutputs = cfg->noutputs;
	r->naside = cfg->naside;
	r->outputs = cfg->outputs;
	r->observer = cfg->observer;
	r->wall_base_ms = clock_wall_ms();
	uv_update_time(r->loop);
	r->loop_base_ms = uv_now(r->loop);
	r->ledger = ledger_create();
	r->planner = planner_create(r->settings, r->ledger, cfg->renderers);
	const struct prober_settings probing = prober_settings_of(r->settings);
	r->prober = prober_create(r->loop, &probing, on_probed, r);

	uv_prepare_init(r->loop, &r->before_poll);
	uv_check_init(r->loop, &r->after_poll);
	uv_timer_init(r->loop, &r->due);
	r->before_poll.data = r->after_poll.data = r->due.data = r;
	r->nhandles = 3;
	return r;
}

int
reconciler_start(struct reconciler *r, struct err *reterr)
{
	const struct state_owner owner = reconcile_state_owner(r);

	watch_sources(r);
	if (r->state_dir) {
		int e = state_open(r->loop, r->state_dir, &owner, &r->state, reterr);
		if (e < 0)
			return e;
		size_t unreadable = state_load(r->state);
		if (unreadable)
			LOG(LOG_WARN,
				"the state has lines that cannot be read, going on without them",
				LOG_N("lines", unreadable));
	}
	r->started_ms = now_ms(r);
	start_sources(r);
	uv_prepare_start(&r->before_poll, on_before_poll);
	uv_check_start(&r->after_poll, on_after_poll);
	reconcile_ring(r, "start");
	return 0;
}

struct survivors {
	struct reconciler *r;
	const struct endpoint **gone;
	size_t n, cap;
};

static void
collect_gone(void *arg, const struct endpoint *e, enum readiness ready)
{
	struct survivors *s = arg;

	(void)ready;
	if (settings_engine_find(s->r->settings, e->engine))
		return;
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->gone = xrealloc(s->gone, s->cap * sizeof(*s->gone));
	}
	s->gone[s->n++] = endpoint_ref(e);
}

/* Containers of engines that the configuration no longer has. */
static void
remove_strangers(struct reconciler *r)
{
	struct survivors s = {.r = r};

	planner_each(r->planner, collect_gone, &s);
	for (size_t i = 0; i < s.n; i++) {
		on_remove(r, s.gone[i]->engine, s.gone[i]->id);
		endpoint_unref(s.gone[i]);
	}
	free(s.gone);
}

/* The new sources take over what the old ones saw.  Returns whether one is not there any more. */
static bool
inherit_sources(struct reconciler *r, struct watched *old, size_t nold)
{
	bool lost = false;

	for (size_t i = 0; i < nold; i++) {
		struct watched *w = watched_find(r, old[i].name);
		if (w)
			w->seen = old[i].seen;
		lost = lost || (!w && old[i].seen);
		watched_finish(&old[i]);
	}
	free(old);
	return lost;
}

/* What is probed as before goes on as it is, and what the settings have no use for ends. */
static void
on_probe_kept(void *arg, const char *engine, const char *id)
{
	probe_sync(arg, engine, id);
}

void
reconciler_reload(struct reconciler *r, const struct settings *settings)
{
	struct watched *old = r->watched;
	size_t nold = r->nwatched;

	/* Who rang before may be named in the old settings. */
	r->cause = "reload";
	r->rang = true;
	r->settings = settings;
	const struct prober_settings probing = prober_settings_of(settings);
	prober_configure(r->prober, &probing);
	watch_sources(r);
	/* One that went may be one that came under another name: as at a start.  So it is with a
	 * registry that came, and what is published stays meanwhile. */
	if (inherit_sources(r, old, nold) || awaits_registry(r)) {
		r->ready = false;
		r->sources_ready_ms = 0;
		r->started_ms = now_ms(r);
	}
	remove_strangers(r);
	forget_registries(r);
	planner_set_settings(r->planner, settings);
	prober_each(r->prober, on_probe_kept, r);
	start_sources(r);
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct reconciler *r = handle->data;
	if (--r->nhandles)
		return;
	free(r->state_dir);
	free(r);
}

void
reconciler_destroy(struct reconciler *r)
{
	if (!r)
		return;
	keep_ledger(r);
	state_close(r->state);
	for (size_t i = 0; i < r->nwatched; i++)
		watched_finish(&r->watched[i]);
	free(r->watched);
	prober_destroy(r->prober);
	planner_destroy(r->planner);
	ledger_destroy(r->ledger);
	uv_close((uv_handle_t *)&r->before_poll, on_handle_closed);
	uv_close((uv_handle_t *)&r->after_poll, on_handle_closed);
	uv_close((uv_handle_t *)&r->due, on_handle_closed);
}

bool
reconciler_ready(const struct reconciler *r)
{
	return r->ready;
}

struct snapshot *
reconciler_snapshot(const struct reconciler *r)
{
	return planner_snapshot(r->planner);
}

const struct settings *
reconciler_settings(const struct reconciler *r)
{
	return r->settings;
}

size_t
reconciler_nsources(const struct reconciler *r)
{
	return r->nwatched;
}

void
reconciler_source(const struct reconciler *r, size_t i, struct source_info *ret)
{
	assert(i < r->nwatched);
	watched_info(&r->watched[i], ret);
}

void
reconciler_each_project(const struct reconciler *r,
	void (*fn)(void *arg, const struct registered_project *p), void *arg)
{
	registrar_each(planner_registrar(r->planner), fn, arg);
}

void
reconciler_each_fault(const struct reconciler *r,
	void (*fn)(void *arg, const struct registry_fault *f), void *arg)
{
	for (size_t i = 0; i < r->nwatched; i++)
		if (r->watched[i].registry)
			r->watched[i].registry->ops->faults(r->watched[i].registry, fn, arg);
}

const char *
reconciler_state_error(const struct reconciler *r, const char **ret_dir)
{
	*ret_dir = r->state_dir;
	return r->state ? state_error(r->state) : "";
}

struct observer *
reconciler_observer(const struct reconciler *r)
{
	return r->observer;
}

uint64_t
reconciler_applied_ago(const struct reconciler *r, size_t i, uint64_t revision)
{
	assert(i < r->noutputs);
	struct output *o = r->outputs[i];
	return o->applied_ago_ms ? o->applied_ago_ms(o, revision) : UINT64_MAX;
}
