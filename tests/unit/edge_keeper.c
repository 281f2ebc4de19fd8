/* What Waymark writes by itself: when it runs which command, and what becomes of one that fails. */
#include "provider/cli/keeper.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/log.h"
#include "tests/unit/raw_client.h"

#define SINCE UINT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z */
#define LINE "slot --offline --since 2026-01-02T03:04:05.678Z -c /etc/w.yaml -- "

struct fixture {
	uv_loop_t loop;
	struct output output; /* one that says what it is told to say */
	uint64_t applied_ago_ms, asked_revision;
	struct output *outputs[1];
	struct settings *settings;
	struct snapshot *snapshot;
	struct keeper *keeper;
	char directory[64];
	char program[96], said[96], gate[96];
	char problem[512];
	size_t nproblems;
};

static struct fixture *the; /* outputs have no argument */

static uint64_t
applied_ago_ms(struct output *o, uint64_t revision)
{
	(void)o;
	the->asked_revision = revision;
	return the->applied_ago_ms;
}

/* Writes down what it was called with, and waits for `gate` to go where that is there. */
static void
write_program(struct fixture *f, const char *last)
{
	FILE *file = fopen(f->program, "we");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\nwhile [ -e %s ]; do sleep 0.01; done\necho \"$@\" >>%s\n%s\n",
		f->gate, f->said, last);
	fclose(file);
	chmod(f->program, 0755);
}

static void
write_file(const char *path)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fclose(file);
}

static const char *
said(const struct fixture *f)
{
	static char text[4096];
	FILE *file = fopen(f->said, "re");
	text[0] = '\0';
	if (!file)
		return text;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	log_setup(LOG_TEXT, LOG_ERROR);
	the = f;
	uv_loop_init(&f->loop);
	strcpy(f->directory, "/tmp/edge_keeper.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->program, sizeof(f->program), "%s/program", f->directory);
	snprintf(f->said, sizeof(f->said), "%s/said", f->directory);
	snprintf(f->gate, sizeof(f->gate), "%s/gate", f->directory);
	write_program(f, "exit 0");
	f->output.applied_ago_ms = applied_ago_ms;
	f->applied_ago_ms = UINT64_MAX;
	f->outputs[0] = &f->output;
	f->settings = settings_create();
	f->settings->auto_cleanup = true;
	f->settings->auto_rollback = ROLLBACK_RECORD;
	f->settings->drain_ms = 30000;
	f->keeper = keeper_create(&(struct keeper_config){
		.loop = &f->loop,
		.settings = f->settings,
		.program = f->program,
		.config_path = "/etc/w.yaml",
		.noutputs = 1,
		.outputs = f->outputs,
	});
	f->snapshot = snapshot_create();
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	if (f->keeper)
		keeper_destroy(f->keeper);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	snapshot_unref(f->snapshot);
	settings_destroy(f->settings);
	unlink(f->program);
	unlink(f->said);
	unlink(f->gate);
	rmdir(f->directory);
	free(f);
	return 0;
}

/* The project's one slot; NULL: it has none. */
static void
show(struct fixture *f, const char *project, const struct plan_slot *slot)
{
	struct project_plan *p = xcalloc(1, sizeof(*p));
	struct snapshot_change change = {project, p};
	struct plan_slot *copy = ARENA_ARRAY(&p->arena, struct plan_slot, 1);

	p->refs = 1;
	p->revision = f->snapshot->revision + 1; /* as the planner says */
	p->project = arena_strdup(&p->arena, project);
	if (slot) {
		*copy = *slot;
		p->nslots = 1;
	}
	p->slots = copy;
	struct snapshot *next = snapshot_next(f->snapshot, &change, 1);
	project_plan_unref(p);
	snapshot_unref(f->snapshot);
	f->snapshot = next;
	keeper_observer(f->keeper)->publish(keeper_observer(f->keeper), f->snapshot);
}

static struct plan_slot
ended(void)
{
	return (struct plan_slot){.environment = "production",
		.slot = "green",
		.registered = true,
		.state = SLOT_GRACE,
		.since_ms = SINCE,
		.ended = true};
}

static struct plan_slot
fallen_back(void)
{
	struct plan_slot s = ended();
	s.ended = false;
	s.traffic = s.fallback = true;
	return s;
}

static void
run_for(struct fixture *f, uint64_t ms)
{
	uint64_t end = uv_hrtime() + ms * 1000000;
	while (uv_hrtime() < end) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(2000);
	}
}

static bool
has_said(void *arg)
{
	return *said(arg) != '\0';
}

static bool
has_said_ten(void *arg)
{
	size_t lines = 0;
	for (const char *c = said(arg); *c; c++)
		lines += *c == '\n';
	return lines >= 10;
}

static void
take_problem(void *arg, const struct problem *p)
{
	struct fixture *f = arg;
	assert_int_equal(p->code, PROBLEM_SLOT_UNWRITTEN);
	snprintf(f->problem, sizeof(f->problem), "%s: %s; %s", p->object, p->what, p->remedy);
	f->nproblems++;
}

static size_t
count_problems(struct fixture *f)
{
	f->nproblems = 0;
	keeper_observer(f->keeper)->problems(keeper_observer(f->keeper), take_problem, f);
	return f->nproblems;
}

static bool
has_problem(void *arg)
{
	return count_problems(arg) > 0;
}

/* -- */

static void
test_cleanup(void **state)
{
	struct fixture *f = *state;
	struct plan_slot s = ended();

	show(f, "shop", &s);
	uint64_t first = f->asked_revision;
	assert_int_not_equal(first, 0);
	run_for(f, 200);
	assert_string_equal(said(f), "");
	/* What else the project does meanwhile does not put it off. */
	f->applied_ago_ms = 29999;
	s.servers = 1;
	show(f, "shop", &s);
	assert_int_equal(f->asked_revision, first);
	run_for(f, 200);
	assert_string_equal(said(f), "");
	f->applied_ago_ms = 30000;
	assert_true(loop_until(&f->loop, has_said, f, 5000));
	run_for(f, 1500);
	s.servers = 2;
	show(f, "shop", &s);
	run_for(f, 300);
	assert_string_equal(said(f), LINE "cleanup shop production green\n");
	assert_int_equal(count_problems(f), 0);
}

/* What must be left alone. */
static void
test_not_due(void **state)
{
	struct fixture *f = *state;
	struct plan_slot list[7];

	f->applied_ago_ms = 60000;
	for (size_t i = 0; i < 7; i++)
		list[i] = ended();
	list[0].ended = false;
	list[1].traffic = true;
	list[2].registered = false;
	list[3].state = SLOT_RESERVED;
	list[4].active = true;
	list[5].state = SLOT_EMPTY;
	list[6] = fallen_back();
	list[6].registered = false;
	for (size_t i = 0; i < 7; i++) {
		char project[] = "shop0";
		project[4] = (char)('0' + i);
		show(f, project, &list[i]);
	}
	run_for(f, 300);
	assert_string_equal(said(f), "");
}

static void
test_not_wanted(void **state)
{
	struct fixture *f = *state;
	struct plan_slot green = ended(), blue = fallen_back();

	f->applied_ago_ms = 60000;
	f->settings->auto_cleanup = false;
	f->settings->auto_rollback = ROLLBACK_ROUTE;
	show(f, "shop", &green);
	show(f, "toys", &blue);
	run_for(f, 300);
	assert_string_equal(said(f), "");
	/* Until the operator says so. */
	f->settings->auto_cleanup = true;
	keeper_reload(f->keeper, f->settings, 1);
	assert_true(loop_until(&f->loop, has_said, f, 5000));
	assert_string_equal(said(f), LINE "cleanup shop production green\n");
}

/* A fallback is written down at once. */
static void
test_rollback(void **state)
{
	struct fixture *f = *state;
	struct plan_slot s = fallen_back();

	s.since_ms = 0; /* the registry does not say */
	show(f, "-h", &s);
	assert_true(loop_until(&f->loop, has_said, f, 5000));
	assert_string_equal(said(f),
		"slot --offline --since none -c /etc/w.yaml -- rollback -h production green\n");
}

/* One at a time, each once. */
static void
test_many(void **state)
{
	struct fixture *f = *state;
	struct plan_slot s = ended();
	char want[1024] = "";

	f->applied_ago_ms = 60000;
	for (int i = 9; i >= 0; i--) {
		char project[] = "shop0";
		project[4] = (char)('0' + i);
		show(f, project, &s);
	}
	assert_true(loop_until(&f->loop, has_said_ten, f, 20000));
	run_for(f, 100);
	/* The one that was shown first began first. */
	snprintf(want, sizeof(want), LINE "cleanup shop9 production green\n");
	for (int i = 0; i < 9; i++)
		snprintf(want + strlen(want), sizeof(want) - strlen(want),
			LINE "cleanup shop%d production green\n", i);
	assert_string_equal(said(f), want);
}

static void
test_fails(void **state)
{
	struct fixture *f = *state;
	struct plan_slot s = ended();

	write_program(f, "echo 'waymark: slot: no way; try harder' >&2; exit 1");
	f->applied_ago_ms = 60000;
	show(f, "shop", &s);
	assert_true(loop_until(&f->loop, has_problem, f, 5000));
	assert_string_equal(f->problem,
		"slot green of shop production: cleanup: no way; try harder; Waymark goes on "
		"trying; mend it, or do it by hand: waymark slot cleanup shop production green");
	/* It backs off, whatever is published meanwhile. */
	s.servers = 1;
	show(f, "shop", &s);
	run_for(f, 2000);
	assert_string_equal(said(f), LINE "cleanup shop production green\n");
	write_program(f, "exit 0");
	run_for(f, 4500);
	assert_string_equal(said(f),
		LINE "cleanup shop production green\n" LINE "cleanup shop production green\n");
	assert_int_equal(count_problems(f), 0);
}

/* Whatever it says, and however it ends. */
static void
test_fails_badly(void **state)
{
	struct fixture *f = *state;
	struct plan_slot s = ended();

	f->applied_ago_ms = 60000;
	write_program(f, "yes 'no way' | head -c 100000 >&2; exit 2");
	show(f, "shop", &s);
	assert_true(loop_until(&f->loop, has_problem, f, 5000));
	assert_non_null(strstr(f->problem, "no way; no way"));
	/* The slot stands otherwise now: a new task. */
	write_program(f, "kill -9 $$");
	s.since_ms++;
	show(f, "shop", &s);
	assert_true(loop_until(&f->loop, has_problem, f, 5000));
	assert_non_null(strstr(f->problem, "it was ended by signal 9"));
	unlink(f->program);
	s.since_ms++;
	show(f, "shop", &s);
	assert_int_equal(count_problems(f), 1);
	assert_non_null(strstr(f->problem, "cannot be started: no such file"));
	/* What has gone is no problem any more. */
	show(f, "shop", NULL);
	assert_int_equal(count_problems(f), 0);
}

static void
test_descriptors(void **state)
{
	struct fixture *f = *state;
	struct plan_slot s = ended();
	char last[64];
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 50); /* past those of a shell */

	assert_true(fd > 2);
	snprintf(last, sizeof(last), "[ ! -e /proc/$$/fd/%d ]", fd);
	write_program(f, last);
	f->applied_ago_ms = 60000;
	show(f, "shop", &s);
	assert_true(loop_until(&f->loop, has_said, f, 5000));
	run_for(f, 200);
	assert_int_equal(count_problems(f), 0);
	close(fd);
}

/* A cleanup under way is stopped where the slot comes to carry traffic. */
static void
test_traffic(void **state)
{
	struct fixture *f = *state;
	struct plan_slot s = ended();

	write_file(f->gate);
	f->applied_ago_ms = 60000;
	show(f, "shop", &s);
	run_for(f, 300);
	s.ended = false;
	s.traffic = true;
	show(f, "shop", &s);
	run_for(f, 300);
	unlink(f->gate);
	run_for(f, 300);
	assert_string_equal(said(f), "");
	assert_int_equal(count_problems(f), 0);
}

/* The end of Waymark does not wait for a command, nor end it. */
static void
test_stop(void **state)
{
	struct fixture *f = *state;
	struct plan_slot s = ended();

	write_file(f->gate);
	f->applied_ago_ms = 60000;
	show(f, "shop", &s);
	run_for(f, 100);
	keeper_destroy(f->keeper);
	f->keeper = NULL;
	uint64_t began = uv_hrtime();
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(uv_hrtime() - began < UINT64_C(500000000));
	unlink(f->gate);
	for (int i = 0; i < 500 && !*said(f); i++)
		usleep(10000);
	assert_string_equal(said(f), LINE "cleanup shop production green\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cleanup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_due, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rollback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fails_badly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_traffic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
