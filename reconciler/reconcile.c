#include "reconciler/reconcile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/log.h"
#include "reconciler/sources/engine.h"
#include "reconciler/sources/probe.h"
#include "reconciler/state.h"
#include "reconciler/state_parse.h"

/* A source that was never seen holds publication back no longer than this. */
#define WAIT_FOR_SOURCES_MS 30000
/* The state may lack the last second's changes, which the proxies have already: what it says counts
 * only where the engine does not answer within this. */
#define WAIT_FOR_LOOK_MS 3000
/* Nor do probes that have not found out anything yet, once the sources are there. */
#define WAIT_FOR_PROBES_MS 2000

struct watched {
	struct engine *engine;
	const char *name;
	bool seen; /* whole, in this run or an earlier one */
	bool looked; /* whole, in this run */
	enum source_status status; /* as it was logged last */
};

struct reconciler {
	uv_loop_t *loop;
	struct httpc *http;
	const struct settings *settings;
	char *state_dir; /* NULL: none */
	size_t noutputs;
	struct output *const *outputs;

	struct ledger *ledger;
	struct planner *planner;
	struct prober *prober;
	struct state *state; /* NULL: none is kept */
	size_t nwatched;
	struct watched *watched;

	uv_prepare_t before_poll;
	uv_check_t after_poll;
	uv_timer_t due;
	int nhandles;

	uint64_t wall_base_ms, loop_base_ms;
	uint64_t started_ms, sources_ready_ms; /* 0: not yet */
	bool ready;
	bool rang;
	const char *cause; /* who rang, for the log */
	uint64_t revision; /* the last one that was published */
};

/* A wall clock that goes on evenly, whatever is done to the machine's. */
static uint64_t
now_ms(const struct reconciler *r)
{
	return r->wall_base_ms + (uv_now(r->loop) - r->loop_base_ms);
}

static void
ring(struct reconciler *r, const char *cause)
{
	if (!r->rang)
		r->cause = cause;
	r->rang = true;
}

static const char *
engine_name(const struct reconciler *r, const char *name)
{
	for (size_t i = 0; i < r->nwatched; i++)
		if (strcmp(r->watched[i].name, name) == 0)
			return r->watched[i].name;
	return "engine";
}

static void
state_note(struct reconciler *r, const struct endpoint *e, bool ready)
{
	if (!r->state)
		return;
	state_print_endpoint(state_lines(r->state), e, ready);
	state_ring(r->state);
}

static void
state_note_gone(struct reconciler *r, const char *engine, const char *id)
{
	if (!r->state)
		return;
	state_print_gone(state_lines(r->state), engine, id);
	state_ring(r->state);
}

static void
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
	ring(r, engine_name(r, e->engine));
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
	ring(r, engine_name(r, engine));
}

static void
on_probed(void *arg, const char *engine, const char *id, enum readiness ready)
{
	struct reconciler *r = arg;
	const struct endpoint *e = planner_find(r->planner, engine, id);

	if (!e)
		return;
	planner_set_ready(r->planner, engine, id, ready);
	state_note(r, e, readiness_counts(ready));
	ring(r, "probe");
}

static struct watched *
watched_find(struct reconciler *r, const char *name)
{
	for (size_t i = 0; i < r->nwatched; i++)
		if (strcmp(r->watched[i].name, name) == 0)
			return &r->watched[i];
	return NULL;
}

static void
log_status(const struct source_info *info)
{
	static const char *const text[] = {"new", "ready", "stale"};

	if (info->status == SOURCE_READY)
		LOG(LOG_INFO, "source ready", LOG_S("source", info->name),
			LOG_S("kind", info->kind), LOG_S("version", info->version),
			LOG_N("containers", info->objects));
	else
		LOG(LOG_WARN, "source does not answer, keeping what it last said",
			LOG_S("source", info->name), LOG_S("status", text[info->status]),
			LOG_S("err", info->error));
}

static void
on_status(void *arg, const char *engine)
{
	struct reconciler *r = arg;
	struct watched *w = watched_find(r, engine);
	struct source_info info;

	if (!w)
		return;
	engine_info(w->engine, &info);
	w->looked = w->looked || info.status == SOURCE_READY;
	if (info.status == SOURCE_READY && !w->seen) {
		w->seen = true;
		if (r->state) {
			state_print_source(state_lines(r->state), engine);
			state_ring(r->state);
		}
	}
	if (info.status != w->status)
		log_status(&info);
	w->status = info.status;
	ring(r, w->name);
}

static void
load_endpoint(void *arg, struct endpoint *e)
{
	struct reconciler *r = arg;
	const struct settings_engine *cfg = settings_engine_find(r->settings, e->engine);

	if (!cfg)
		return; /* the operator took the engine out of the configuration meanwhile */
	if (cfg->published)
		e->withheld = false; /* its address is the host's, which no container inherits */
	planner_put(r->planner, e);
	/* A later row of the same run says better than an earlier one. */
	planner_set_ready(
		r->planner, e->engine, e->id, e->ready_before ? READY_YES : READY_UNKNOWN);
}

static void
load_gone(void *arg, const char *engine, const char *id)
{
	struct reconciler *r = arg;
	planner_remove(r->planner, engine, id);
}

static void
load_source(void *arg, const char *engine)
{
	struct watched *w = watched_find(arg, engine);
	if (w)
		w->seen = true;
}

static void
load_row(void *arg, const json_t *row)
{
	struct reconciler *r = arg;
	ledger_load(r->ledger, row, NULL);
}

static void
print_one(void *arg, const struct endpoint *e, enum readiness ready)
{
	state_print_endpoint(arg, e, readiness_counts(ready));
}

static void
print_all(void *arg, struct buf *lines)
{
	struct reconciler *r = arg;

	for (size_t i = 0; i < r->nwatched; i++)
		if (r->watched[i].seen)
			state_print_source(lines, r->watched[i].name);
	planner_each(r->planner, print_one, lines);
	ledger_print(r->ledger, lines);
}

static void
restore_one(void *arg, const struct endpoint *e, enum readiness ready)
{
	struct reconciler *r = arg;
	struct watched *w = watched_find(r, e->engine);

	(void)ready;
	if (w)
		engine_restore(w->engine, e);
	probe_sync(r, e->engine, e->id);
}

static void
watch_engines(struct reconciler *r)
{
	const struct source_sink sink = {
		.put = on_put, .remove = on_remove, .status = on_status, .arg = r};

	r->nwatched = r->settings->nengines;
	r->watched = xcalloc(r->nwatched, sizeof(*r->watched));
	for (size_t i = 0; i < r->nwatched; i++) {
		const struct settings_engine *cfg = &r->settings->engines[i];
		r->watched[i].name = cfg->name;
		r->watched[i].engine = engine_create(r->loop, r->http, cfg, r->settings, &sink);
	}
}

static void
start_engines(struct reconciler *r)
{
	planner_each(r->planner, restore_one, r);
	for (size_t i = 0; i < r->nwatched; i++) {
		if (r->watched[i].seen)
			engine_restored(r->watched[i].engine);
		engine_start(r->watched[i].engine);
	}
}

static void
count_unknown(void *arg, const struct endpoint *e, enum readiness ready)
{
	struct {
		struct reconciler *r;
		size_t n;
	} *count = arg;
	struct probe_target target;

	if (ready == READY_UNKNOWN &&
		planner_probe_target(count->r->planner, e->engine, e->id, &target))
		count->n++;
}

static bool
probes_are_ready(struct reconciler *r)
{
	struct {
		struct reconciler *r;
		size_t n;
	} count = {r, 0};

	if (now_ms(r) - r->sources_ready_ms >= WAIT_FOR_PROBES_MS)
		return true;
	planner_each(r->planner, count_unknown, &count);
	return count.n == 0;
}

/* Nothing is published before every source was looked at.  One that only the state knows is waited for
 * shortly, one that nobody ever saw for half a minute, and with none seen at all nothing is ever
 * published. */
static bool
sources_are_ready(const struct reconciler *r)
{
	uint64_t waited_ms = now_ms(r) - r->started_ms;
	size_t seen = 0, looked = 0;

	for (size_t i = 0; i < r->nwatched; i++) {
		seen += r->watched[i].seen;
		looked += r->watched[i].looked;
	}
	if (looked == r->nwatched)
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
	uint64_t now = now_ms(r);
	uv_timer_start(&r->due, on_due, due > now ? due - now : 0, 0);
}

static void
publish(struct reconciler *r, struct snapshot *s, uint64_t began_ns)
{
	for (size_t i = 0; i < r->noutputs; i++)
		r->outputs[i]->publish(r->outputs[i], s);
	LOG(LOG_INFO, "reconciled", LOG_N("rev", s->revision), LOG_S("cause", r->cause),
		LOG_N("planned", planner_last_planned(r->planner)), LOG_N("projects", s->nplans),
		LOG_N("routes", s->nroutes), LOG_N("problems", s->nproblems),
		LOG_N("took_us", (uv_hrtime() - began_ns) / 1000));
	r->revision = s->revision;
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

/*
 * One turn.  Callbacks that ran since the last one have only noted facts; everything is decided
 * here, in this order.
 */
static void
reconcile_step(struct reconciler *r)
{
	bool was_ready = r->ready;
	uint64_t began_ns = uv_hrtime();

	if (look_if_ready(r) && planner_is_dirty(r->planner, now_ms(r))) {
		struct snapshot *s = planner_step(r->planner, now_ms(r));
		if (s->revision != r->revision || !was_ready)
			publish(r, s, began_ns);
		keep_ledger(r);
	}
	r->rang = false;
	arm_timer(r);
}

static void
on_due(uv_timer_t *timer)
{
	struct reconciler *r = timer->data;
	ring(r, "time");
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

struct reconciler *
reconciler_create(const struct reconciler_config *cfg)
{
	struct reconciler *r = xcalloc(1, sizeof(*r));
	struct timeval wall;

	r->loop = cfg->loop;
	r->http = cfg->http;
	r->settings = cfg->settings;
	r->state_dir = cfg->state_dir ? xstrdup(cfg->state_dir) : NULL;
	r->noutputs = cfg->noutputs;
	r->outputs = cfg->outputs;
	gettimeofday(&wall, NULL);
	r->wall_base_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_usec / 1000;
	uv_update_time(r->loop);
	r->loop_base_ms = uv_now(r->loop);
	r->ledger = ledger_create();
	r->planner = planner_create(r->settings, r->ledger, cfg->renderers);
	r->prober = prober_create(r->loop, r->settings->probe_interval_ms,
		r->settings->probe_timeout_ms, on_probed, r);

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
	const struct state_owner owner = {.load_endpoint = load_endpoint,
		.load_gone = load_gone,
		.load_source = load_source,
		.load_row = load_row,
		.print_all = print_all,
		.arg = r};

	watch_engines(r);
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
	start_engines(r);
	uv_prepare_start(&r->before_poll, on_before_poll);
	uv_check_start(&r->after_poll, on_after_poll);
	ring(r, "start");
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

void
reconciler_reload(struct reconciler *r, const struct settings *settings)
{
	struct watched *old = r->watched;
	size_t nold = r->nwatched;

	/* Who rang before may be named in the old settings. */
	r->cause = "reload";
	r->rang = true;
	prober_destroy(r->prober);
	r->settings = settings;
	r->prober = prober_create(
		r->loop, settings->probe_interval_ms, settings->probe_timeout_ms, on_probed, r);
	watch_engines(r);
	bool lost = false;
	for (size_t i = 0; i < nold; i++) {
		struct watched *w = watched_find(r, old[i].name);
		if (w)
			w->seen = old[i].seen;
		lost = lost || (!w && old[i].seen);
		engine_destroy(old[i].engine);
	}
	free(old);
	/* One that went may be one that came under another name: as at a start. */
	if (lost) {
		r->ready = false;
		r->sources_ready_ms = 0;
		r->started_ms = now_ms(r);
	}
	remove_strangers(r);
	planner_set_settings(r->planner, settings);
	start_engines(r);
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
		engine_destroy(r->watched[i].engine);
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
	engine_info(r->watched[i].engine, ret);
}

size_t
reconciler_noutputs(const struct reconciler *r)
{
	return r->noutputs;
}

void
reconciler_output(const struct reconciler *r, size_t i, struct output_info *ret)
{
	assert(i < r->noutputs);
	r->outputs[i]->info(r->outputs[i], ret);
}

struct listing {
	void (*fn)(void *arg, const struct problem *p);
	void *arg;
};

static void
list_source(const struct listing *l, const struct source_info *info)
{
	char object[256];
	struct problem p = {.code = PROBLEM_SOURCE_STALE,
		.object = object,
		.what = *info->error ? info->error : "it was not seen yet",
		.remedy = "start the engine, or mend `engines` in the configuration; what it last "
			  "said stays in force",
		.since_ms = info->since_ms};

	snprintf(object, sizeof(object), "engine %s at %s", info->name, info->address);
	if (info->status != SOURCE_READY)
		l->fn(l->arg, &p);
	if (!info->doubted)
		return;
	p.code = PROBLEM_SOURCE_DOUBTED;
	p.what = "it lists less than half of the containers that it had";
	p.remedy =
		"nothing: it is listed once more within seconds, and believed if it says the same";
	l->fn(l->arg, &p);
}

static void
list_output(const struct listing *l, const struct output_info *info)
{
	char object[256];

	if (!*info->error)
		return;
	snprintf(object, sizeof(object), "output %s", info->name);
	l->fn(l->arg,
		&(struct problem){.code = PROBLEM_OUTPUT_FAILED,
			.object = object,
			.what = info->error,
			.remedy = "see that it runs and can be reached; Waymark goes on trying"});
}

static void
list_state(const struct listing *l, const struct reconciler *r)
{
	if (!r->state || !*state_error(r->state))
		return;
	l->fn(l->arg,
		&(struct problem){.code = PROBLEM_STATE_FAILED,
			.object = "state_dir",
			.field = r->state_dir,
			.what = state_error(r->state),
			.remedy = "make room, or mend its permissions; Waymark goes on trying"});
}

void
reconciler_problems(
	const struct reconciler *r, void (*fn)(void *arg, const struct problem *p), void *arg)
{
	const struct listing l = {fn, arg};
	const struct snapshot *s = reconciler_snapshot(r);

	for (size_t i = 0; i < r->nwatched; i++) {
		struct source_info info;
		reconciler_source(r, i, &info);
		list_source(&l, &info);
	}
	for (size_t i = 0; i < r->noutputs; i++) {
		struct output_info info;
		reconciler_output(r, i, &info);
		list_output(&l, &info);
	}
	list_state(&l, r);
	for (size_t i = 0; i < s->nchunks; i++)
		for (size_t k = 0; k < s->chunks[i]->n; k++)
			for (size_t j = 0; j < s->chunks[i]->plan[k]->nproblems; j++)
				fn(arg, &s->chunks[i]->plan[k]->problems[j]);
}
