/* The state on disk: what was noted comes back, a torn line does not, and only one Waymark has it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "reconciler/state.h"
#include "reconciler/state_parse.h"
#include "tests/unit/world.h"

struct seen {
	char dir[64];
	struct endpoint *endpoint; /* the last one */
	unsigned endpoints, gone, sources, rows;
	const char *all; /* what print_all prints */
	unsigned printed; /* how often it did */
};

static void
on_endpoint(void *arg, struct endpoint *e)
{
	struct seen *s = arg;
	s->endpoints++;
	endpoint_unref(s->endpoint);
	s->endpoint = endpoint_ref(e);
}

static void
on_gone(void *arg, const char *engine, const char *id)
{
	struct seen *s = arg;
	assert_string_equal(engine, "app1");
	assert_string_equal(id, "a");
	s->gone++;
}

static void
on_source(void *arg, const char *engine)
{
	struct seen *s = arg;
	assert_string_equal(engine, "app1");
	s->sources++;
}

static void
on_row(void *arg, const json_t *row)
{
	struct seen *s = arg;
	(void)row;
	s->rows++;
}

static void
on_print_all(void *arg, struct buf *lines)
{
	struct seen *s = arg;
	buf_adds(lines, s->all);
	s->printed++;
}

static struct state *
open_state(struct seen *s, uv_loop_t *loop)
{
	const struct state_owner owner = {on_endpoint, on_gone, on_source, on_row, on_print_all, s};
	struct state *state = NULL;
	struct err e;
	assert_int_equal(state_open(loop, s->dir, &owner, &state, &e), 0);
	return state;
}

static void
close_state(struct state *state, uv_loop_t *loop)
{
	state_close(state);
	uv_run(loop, UV_RUN_DEFAULT);
}

static int
set_up(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));
	strcpy(s->dir, "/tmp/waymark-state-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->all = "";
	*state = s;
	return 0;
}

static void
path_of(const struct seen *s, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", s->dir, name);
}

static int
tear_down(void **state)
{
	struct seen *s = *state;
	char path[128];
	static const char *const names[] = {"journal", "journal.new", "lock"};
	for (size_t i = 0; i < 3; i++) {
		path_of(s, names[i], path);
		unlink(path);
	}
	rmdir(s->dir);
	endpoint_unref(s->endpoint);
	free(s);
	return 0;
}

static void
what_was_noted_comes_back(void **state)
{
	struct seen *s = *state;
	uv_loop_t loop;
	uv_loop_init(&loop);
	struct state *st = open_state(s, &loop);
	struct endpoint *e = box_endpoint(&(struct box){.id = "a",
		.run = "r1",
		.health = HEALTH_HEALTHY,
		.labels = {"waymark.project", "shöp \"1\""}});
	struct buf all = {0};
	state_print_source(&all, "app1");
	state_print_endpoint(&all, e, true);
	buf_adds(&all, "{\"row\":\"claim\"}\n");
	state_print_gone(&all, "app1", "a");
	s->all = all.p;
	close_state(st, &loop);

	st = open_state(s, &loop);
	assert_int_equal(state_load(st), 0);
	assert_int_equal(s->endpoints, 1);
	assert_int_equal(s->sources, 1);
	assert_int_equal(s->rows, 1);
	assert_int_equal(s->gone, 1);
	assert_true(s->endpoint->ready_before);
	assert_false(s->endpoint->withheld);
	struct endpoint *again = endpoint_copy(s->endpoint);
	again->ready_before = false;
	assert_true(endpoint_equal(again, e));
	endpoint_unref(again);
	endpoint_unref(e);
	close_state(st, &loop);
	uv_loop_close(&loop);
	buf_finish(&all);
}

static void
write_journal(struct seen *s, const char *text)
{
	char path[128];
	path_of(s, "journal", path);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
torn_and_bad_lines_are_left_out(void **state)
{
	struct seen *s = *state;
	uv_loop_t loop;
	uv_loop_init(&loop);
	write_journal(s, "{\"row\":\"source\",\"engine\":\"app1\"}\nrubbish\n\xff\xfe\n"
			 "{\"row\":\"endpoint\",\"engine\":\"app1\",\"id\":\"a\"}\n"
			 "{\"row\":\"endpoint\",\"engine\":\"app1\",\"id\":\"b");
	struct state *st = open_state(s, &loop);
	assert_int_equal(state_load(st), 2);
	assert_int_equal(s->sources, 1);
	assert_int_equal(s->endpoints, 1);
	/* No boot was named, so the machine may have been started anew since. */
	assert_true(s->endpoint->withheld);
	close_state(st, &loop);
	uv_loop_close(&loop);
}

static void
another_boot_withholds(void **state)
{
	struct seen *s = *state;
	uv_loop_t loop;
	uv_loop_init(&loop);
	write_journal(s, "{\"row\":\"boot\",\"id\":\"another\"}\n"
			 "{\"row\":\"endpoint\",\"engine\":\"app1\",\"id\":\"a\"}\n");
	struct state *st = open_state(s, &loop);
	state_load(st);
	assert_true(s->endpoint->withheld);
	close_state(st, &loop);
	uv_loop_close(&loop);
}

/* Two restarts after a machine's start, and it is still not known whose the address is. */
static void
withheld_stays_withheld(void **state)
{
	struct seen *s = *state;
	uv_loop_t loop;
	uv_loop_init(&loop);
	struct endpoint *e = box_endpoint(&(struct box){.id = "a", .withheld = true});
	struct buf all = {0};
	state_print_endpoint(&all, e, true);
	s->all = all.p;
	close_state(open_state(s, &loop), &loop);
	struct state *st = open_state(s, &loop);
	state_load(st);
	assert_true(s->endpoint->withheld);
	close_state(st, &loop);
	uv_loop_close(&loop);
	endpoint_unref(e);
	buf_finish(&all);
}

static void
one_waymark_has_it(void **state)
{
	struct seen *s = *state;
	const struct state_owner owner = {on_endpoint, on_gone, on_source, on_row, on_print_all, s};
	uv_loop_t loop;
	struct state *second;
	struct err e;
	uv_loop_init(&loop);
	struct state *st = open_state(s, &loop);
	assert_int_equal(state_open(&loop, s->dir, &owner, &second, &e), -EBUSY);
	assert_non_null(strstr(e.text, "in use by another Waymark"));
	close_state(st, &loop);
	st = open_state(s, &loop);
	close_state(st, &loop);
	uv_loop_close(&loop);
}

static void
a_failed_write_is_made_good(void **state)
{
	struct seen *s = *state;
	char path[128];
	uv_loop_t loop;
	uv_loop_init(&loop);
	struct state *st = open_state(s, &loop);
	s->all = "{\"row\":\"source\",\"engine\":\"app1\"}\n";
	path_of(s, "journal.new", path);
	assert_int_equal(mkdir(path, 0700), 0); /* nothing can be written there */

	buf_adds(state_lines(st), "{\"row\":\"source\",\"engine\":\"app1\"}\n");
	state_ring(st);
	while (!*state_error(st))
		uv_run(&loop, UV_RUN_ONCE);
	assert_non_null(strstr(state_error(st), "cannot be written"));
	assert_int_equal(rmdir(path), 0);
	close_state(st, &loop);

	st = open_state(s, &loop);
	assert_int_equal(state_load(st), 0);
	assert_int_equal(s->sources, 1);
	close_state(st, &loop);
	uv_loop_close(&loop);
}

/* A start that read nothing would write over it. */
static void
an_unreadable_journal_is_refused(void **state)
{
	struct seen *s = *state;
	const struct state_owner owner = {on_endpoint, on_gone, on_source, on_row, on_print_all, s};
	char path[128], target[16];
	uv_loop_t loop;
	struct state *st = NULL;
	struct err e;
	uv_loop_init(&loop);
	path_of(s, "journal", path);
	assert_int_equal(symlink("journal", path), 0); /* a loop: root cannot read it either */
	assert_int_equal(state_open(&loop, s->dir, &owner, &st, &e), -ELOOP);
	assert_null(st);
	assert_non_null(strstr(e.text, s->dir));
	assert_non_null(strstr(e.text, "the journal cannot be read"));
	assert_int_equal(readlink(path, target, sizeof(target)), strlen("journal"));

	/* It let go of the directory, and an absent one is none that cannot be read. */
	assert_int_equal(unlink(path), 0);
	close_state(open_state(s, &loop), &loop);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* Keeps the pool's only thread, so that a write that is begun cannot end. */
struct block {
	uv_work_t work;
	uv_sem_t release;
	bool done;
};

static void
block_run(uv_work_t *work)
{
	struct block *b = work->data;
	uv_sem_wait(&b->release);
}

static void
block_done(uv_work_t *work, int status)
{
	struct block *b = work->data;
	(void)status;
	b->done = true;
}

static void
closing_waits_for_a_write(void **state)
{
	struct seen *s = *state;
	struct block b = {.work.data = &b};
	uv_loop_t loop;
	uv_loop_init(&loop);
	uv_sem_init(&b.release, 0);
	struct state *st = open_state(s, &loop);
	s->all = "{\"row\":\"source\",\"engine\":\"app1\"}\n";
	uv_queue_work(&loop, &b.work, block_run, block_done);
	state_ring(st);
	while (!s->printed)
		uv_run(&loop, UV_RUN_ONCE);
	/* That write is under way, and this is not in it. */
	buf_adds(state_lines(st), "{\"row\":\"claim\"}\n");
	uv_sem_post(&b.release);
	state_close(st);
	/* The loop did not run in it: a second signal would have come there. */
	assert_false(b.done);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(b.done);
	assert_int_equal(s->printed, 1);

	st = open_state(s, &loop);
	assert_int_equal(state_load(st), 0);
	assert_int_equal(s->sources, 1);
	assert_int_equal(s->rows, 1);
	close_state(st, &loop);
	assert_int_equal(uv_loop_close(&loop), 0);
	uv_sem_destroy(&b.release);
}

int
main(void)
{
	setenv("UV_THREADPOOL_SIZE", "1", 1); /* for struct block */
#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		STORY(what_was_noted_comes_back),
		STORY(torn_and_bad_lines_are_left_out),
		STORY(another_boot_withholds),
		STORY(withheld_stays_withheld),
		STORY(one_waymark_has_it),
		STORY(a_failed_write_is_made_good),
		STORY(an_unreadable_journal_is_refused),
		STORY(closing_waits_for_a_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
