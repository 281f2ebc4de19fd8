#include "provider/cli/keeper.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/cli/child.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/model/slot_table.h"
#include "reconciler/registry/registry_time_parse.h"

#define TICK_MS 1000
#define BACKOFF_FIRST_MS 5000
#define BACKOFF_MAX_MS 300000
/* Far longer than the command waits for a lock and a server. */
#define COMMAND_MAX_MS 60000

/* One thing to be written: a slot, as long as it stands as it was found. */
struct task {
	char *project, *environment, *slot;
	enum slot_command command;
	uint64_t since_ms; /* of the slot's state */
	uint64_t revision; /* the first in which it was so */
	bool done; /* the registry has it, and the snapshot not yet */
	uint64_t retry_ms, backoff_ms; /* the loop's clock; 0: it has not failed */
	uint64_t failed_ms; /* wall clock */
	char *error; /* NULL: it has not failed */
};

struct keeper {
	struct observer observer; /* first, so that the one is the other */
	uv_loop_t *loop;
	const struct settings *settings;
	char *program, *config_path;
	size_t noutputs;
	struct output *const *outputs;

	struct snapshot *snapshot; /* the newest; NULL: none yet */
	size_t ntasks; /* in the snapshot's order */
	struct task **tasks;
	struct task *running; /* whose command the child is; NULL: of one that is gone */
	struct child *child; /* NULL: none */
	uint64_t started_ms;
	uv_timer_t tick; /* while there is anything to do */
};

static void drive(struct keeper *k);

/* -- tasks -- */

static struct task *
task_create(const char *project, const struct plan_slot *s, enum slot_command command,
	uint64_t revision)
{
	struct task *t = xcalloc(1, sizeof(*t));
	t->project = xstrdup(project);
	t->environment = xstrdup(s->environment);
	t->slot = xstrdup(s->slot);
	t->command = command;
	t->since_ms = s->since_ms;
	t->revision = revision;
	return t;
}

static void
task_destroy(struct keeper *k, struct task *t)
{
	if (k->running == t)
		k->running = NULL;
	free(t->project);
	free(t->environment);
	free(t->slot);
	free(t->error);
	free(t);
}

static int
task_compare(const struct task *t, const char *project, const struct plan_slot *s)
{
	int order = strcmp(t->project, project);
	if (order == 0)
		order = strcmp(t->environment, s->environment);
	return order ? order : strcmp(t->slot, s->slot);
}

/* What is to be written of a slot; SLOT_COMMANDS: nothing. */
static enum slot_command
command_for(const struct settings *settings, const struct plan_slot *s)
{
	if (!s->registered || s->state != SLOT_GRACE || s->active)
		return SLOT_COMMANDS;
	if (settings->auto_rollback == ROLLBACK_RECORD && s->fallback)
		return SLOT_ROLLBACK;
	return settings->auto_cleanup && s->ended && !s->traffic ? SLOT_CLEANUP : SLOT_COMMANDS;
}

/* The tasks of before and those of a new snapshot stand in one order, and are merged. */
struct merge {
	struct keeper *k;
	size_t at; /* in the old ones */
	size_t n, cap;
	struct task **tasks;
};

/* Old ones before the slot are over; the one that is it, or NULL. */
static struct task *
merge_old(struct merge *m, const char *project, const struct plan_slot *s)
{
	struct keeper *k = m->k;

	for (; m->at < k->ntasks; m->at++) {
		int order = project ? task_compare(k->tasks[m->at], project, s) : -1;
		if (order == 0)
			return k->tasks[m->at++];
		if (order > 0)
			break;
		task_destroy(k, k->tasks[m->at]);
	}
	return NULL;
}

static void
merge_add(struct merge *m, struct task *t)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 16;
		m->tasks = xrealloc(m->tasks, m->cap * sizeof(struct task *));
	}
	m->tasks[m->n++] = t;
}

static void
merge_slot(struct merge *m, const struct project_plan *p, const struct plan_slot *s)
{
	struct keeper *k = m->k;
	enum slot_command command = command_for(k->settings, s);

	/* What carries traffic is not emptied, even where that has begun. */
	if (s->traffic && k->running && k->running->command == SLOT_CLEANUP &&
		task_compare(k->running, p->project, s) == 0)
		child_signal(k->child, SIGTERM);
	if (command == SLOT_COMMANDS)
		return;
	struct task *t = merge_old(m, p->project, s);
	if (t && (t->command != command || t->since_ms != s->since_ms)) {
		task_destroy(k, t);
		t = NULL;
	}
	merge_add(m, t ? t : task_create(p->project, s, command, p->revision));
}

static void
find_tasks(struct keeper *k)
{
	struct merge m = {.k = k};
	const struct snapshot *s = k->snapshot;
	bool wanted = k->settings->auto_cleanup || k->settings->auto_rollback == ROLLBACK_RECORD;

	for (size_t i = 0; wanted && s && i < s->nchunks; i++)
		for (size_t j = 0; j < s->chunks[i]->n; j++)
			for (size_t n = 0; n < s->chunks[i]->plan[j]->nslots; n++)
				merge_slot(&m, s->chunks[i]->plan[j],
					&s->chunks[i]->plan[j]->slots[n]);
	merge_old(&m, NULL, NULL);
	free(k->tasks);
	k->tasks = m.tasks;
	k->ntasks = m.n;
}

/* -- one command -- */

/* "waymark: slot: slot green is …\n" without what everybody knows, as one line. */
static char *
message_of(const struct child_end *end)
{
	static const char prefix[] = "waymark: slot: ";
	struct buf b = {0};

	for (const char *line = end->said; *line;) {
		size_t n = strcspn(line, "\n");
		const char *text = line;
		line += n + (line[n] == '\n');
		if (strncmp(text, prefix, strlen(prefix)) == 0) {
			text += strlen(prefix);
			n -= strlen(prefix);
		}
		if (b.n && n)
			buf_adds(&b, "; ");
		buf_add(&b, text, n);
	}
	if (!b.n && end->signal)
		buf_addf(&b, "it was ended by signal %d", end->signal);
	else if (!b.n)
		buf_addf(&b, "it exited with %d", end->code);
	return buf_steal(&b, NULL);
}

static void
task_fail(struct keeper *k, struct task *t, char *error)
{
	if (!t->error || strcmp(t->error, error) != 0)
		LOG(LOG_WARN, "cannot write to the registry", LOG_S("project", t->project),
			LOG_S("environment", t->environment), LOG_S("slot", t->slot),
			LOG_S("command", slot_command_text(t->command)), LOG_S("err", error),
			LOG_S("next", "tried again, at least every 5 minutes"));
	if (!t->error)
		t->failed_ms = clock_wall_ms();
	free(t->error);
	t->error = error;
	t->backoff_ms = t->backoff_ms ? 2 * t->backoff_ms : BACKOFF_FIRST_MS;
	if (t->backoff_ms > BACKOFF_MAX_MS)
		t->backoff_ms = BACKOFF_MAX_MS;
	t->retry_ms = uv_now(k->loop) + t->backoff_ms;
}

/* The snapshot may show it before the command says so; then there is no task any more. */
static void
task_done(struct task *t)
{
	t->done = true;
	free(t->error);
	t->error = NULL;
}

static void
on_end(void *arg, const struct child_end *end)
{
	struct keeper *k = arg;
	struct task *t = k->running;

	k->child = NULL;
	k->running = NULL;
	if (t && end->code == 0)
		task_done(t);
	else if (t)
		task_fail(k, t, message_of(end));
	drive(k);
}

/* The command decides by itself, under the lock; but only on the slot that was seen here. */
static void
start(struct keeper *k, struct task *t)
{
	char command[16], since[40] = "none";
	struct buf time = {0};
	struct err e;

	if (!t->error)
		LOG(LOG_INFO, "writes to the registry", LOG_S("project", t->project),
			LOG_S("environment", t->environment), LOG_S("slot", t->slot),
			LOG_S("command", slot_command_text(t->command)));
	snprintf(command, sizeof(command), "%s", slot_command_text(t->command));
	if (t->since_ms) {
		registry_time_print(&time, t->since_ms);
		snprintf(since, sizeof(since), "%.*s", (int)time.n - 2, time.p + 1);
		buf_finish(&time);
	}
	char options[][16] = {"slot", "--offline", "--since", "-c", "--"};
	char *with[] = {k->program, options[0], options[1], options[2], since, options[3],
		k->config_path, options[4], command, t->project, t->environment, t->slot, NULL};
	char *without[] = {k->program, options[0], options[1], options[2], since, options[4],
		command, t->project, t->environment, t->slot, NULL};
	k->child = child_start(k->loop, k->config_path ? with : without, on_end, k, &e);
	k->started_ms = uv_now(k->loop);
	if (k->child)
		k->running = t;
	else
		task_fail(k, t, xstrdup(e.text));
}

/* -- what is to be done next -- */

/* Has every output left the slot alone for as long as requests in flight may take? */
static bool
is_drained(const struct keeper *k, const struct task *t)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < k->noutputs; i++) {
		struct output *o = k->outputs[i];
		uint64_t ago = o->applied_ago_ms ? o->applied_ago_ms(o, t->revision) : UINT64_MAX;
		if (ago == UINT64_MAX)
			return false;
		least = ago < least ? ago : least;
	}
	return k->noutputs && least >= k->settings->drain_ms;
}

static bool
is_ripe(const struct keeper *k, const struct task *t)
{
	return !t->done && uv_now(k->loop) >= t->retry_ms &&
	       (t->command == SLOT_ROLLBACK || is_drained(k, t));
}

static void
on_tick(uv_timer_t *timer)
{
	drive(timer->data);
}

static void
drive(struct keeper *k)
{
	bool waits = k->child != NULL;

	if (k->child && uv_now(k->loop) - k->started_ms > COMMAND_MAX_MS)
		child_signal(k->child, SIGKILL); /* which leaves the registry as it was, or done */
	for (size_t i = 0; i < k->ntasks; i++) {
		if (!k->child && is_ripe(k, k->tasks[i]))
			start(k, k->tasks[i]);
		waits = waits || !k->tasks[i]->done;
	}
	if (!waits)
		uv_timer_stop(&k->tick);
	else if (!uv_is_active((uv_handle_t *)&k->tick))
		uv_timer_start(&k->tick, on_tick, TICK_MS, TICK_MS);
}

static void
look(struct keeper *k)
{
	find_tasks(k);
	drive(k);
}

static void
publish(struct observer *o, struct snapshot *s)
{
	struct keeper *k = (struct keeper *)o;

	snapshot_unref(k->snapshot);
	k->snapshot = snapshot_ref(s);
	look(k);
}

/* -- problems -- */

static void
list_problem(const struct task *t, void (*fn)(void *arg, const struct problem *p), void *arg)
{
	struct arena a = {0};
	const char *command = slot_command_text(t->command);

	fn(arg, &(struct problem){
			.code = PROBLEM_SLOT_UNWRITTEN,
			.object = arena_printf(
				&a, "slot %s of %s %s", t->slot, t->project, t->environment),
			.what = arena_printf(&a, "%s: %s", command, t->error),
			.remedy = arena_printf(&a,
				"Waymark goes on trying; mend it, or do it by hand: waymark slot "
				"%s "
				"%s %s %s",
				command, t->project, t->environment, t->slot),
			.project = t->project,
			.since_ms = t->failed_ms,
		});
	arena_finish(&a);
}

static void
problems(struct observer *o, void (*fn)(void *arg, const struct problem *p), void *arg)
{
	struct keeper *k = (struct keeper *)o;

	for (size_t i = 0; i < k->ntasks; i++)
		if (k->tasks[i]->error)
			list_problem(k->tasks[i], fn, arg);
}

/* -- as a whole -- */

struct keeper *
keeper_create(const struct keeper_config *cfg)
{
	struct keeper *k = xcalloc(1, sizeof(*k));

	k->observer = (struct observer){.publish = publish, .problems = problems};
	k->loop = cfg->loop;
	k->settings = cfg->settings;
	k->program = xstrdup(cfg->program ? cfg->program : "/proc/self/exe");
	k->config_path = cfg->config_path ? xstrdup(cfg->config_path) : NULL;
	k->noutputs = cfg->noutputs;
	k->outputs = cfg->outputs;
	uv_timer_init(k->loop, &k->tick);
	k->tick.data = k;
	return k;
}

struct observer *
keeper_observer(struct keeper *k)
{
	return &k->observer;
}

void
keeper_reload(struct keeper *k, const struct settings *settings, size_t noutputs)
{
	k->noutputs = noutputs;
	k->settings = settings;
	look(k);
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
keeper_destroy(struct keeper *k)
{
	if (!k)
		return;
	child_abandon(k->child);
	for (size_t i = 0; i < k->ntasks; i++)
		task_destroy(k, k->tasks[i]);
	free(k->tasks);
	snapshot_unref(k->snapshot);
	free(k->program);
	free(k->config_path);
	uv_close((uv_handle_t *)&k->tick, on_closed);
}
