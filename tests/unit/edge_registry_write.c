/* Slot commands in a registry directory: who wins, what others may do meanwhile, and kill -9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/registry/registry_parse.h"
#include "reconciler/registry/registry_write.h"

#define ROUNDS 200
#define KILLS 60
#define HOUR UINT64_C(3600000)
#define ID "00112233445566778899aabbccddeeff"

static const char codeb[] =
	"{\"slots\":{\"myapp:production\":{\"activeSlot\":\"blue\",\"slots\":{\"blue\":{\"port\":"
	"4051,\"image\":\"i:1\",\"status\":\"active\"},\"green\":{\"port\":4052,\"status\":"
	"\"deployed\"}}},\"other:staging\":{\"activeSlot\":null, \"slots\":{}}}}\n";

struct world {
	char directory[64];
	char file[96];
	struct settings *settings;
};

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char *
read_file(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	strcpy(w->directory, "/tmp/waymark-write-XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	snprintf(w->file, sizeof(w->file), "%s/slots.json", w->directory);
	w->settings = settings_create();
	w->settings->registry.directory = w->directory;
	write_file(w->file, codeb);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	nftw(w->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	settings_destroy(w->settings);
	free(w);
	return 0;
}

/* -- as the command would do it -- */

/* What a look shows of the environment; the caller ends the reading. */
static struct registry_reading *
look(const char *file, struct registered_environment *ret)
{
	const struct registry_options o = {"registry.directory", file, DIALECT_AUTO, 48 * HOUR};
	bool broken = true;
	const char *text = read_file(file);
	struct registry_reading *r =
		registry_parse_slots(text ? text : "{}", text ? strlen(text) : 2, &o, &broken);

	*ret = (struct registered_environment){.name = "production"};
	if (r->nfaults)
		fail_msg("%s: %s", r->faults[0].what, text);
	for (size_t i = 0; i < r->nprojects; i++) {
		const struct registered_environment *e =
			registered_environment_find(r->projects[i], "production");
		if (e && strcmp(r->projects[i]->name, "myapp") == 0)
			*ret = *e;
	}
	return r;
}

static const char weighted[] =
	"{\"slots\":{\"myapp:production\":{\"activeSlot\":\"blue\",\"weights\":{\"blue\":90,"
	"\"green\":10},\"slots\":{\"blue\":{\"status\":\"active\"},\"green\":{\"status\":"
	"\"deployed\"}}}}}\n";

static struct slot_request
request_of(enum slot_command command)
{
	return (struct slot_request){
		.command = command,
		.project = "myapp",
		.id = command == SLOT_DEPLOY ? ID : NULL,
		.now_ms = (uint64_t)time(NULL) * 1000,
		.grace_ms = 48 * HOUR,
		.reservation_ms = SLOT_RESERVATION_MS,
	};
}

struct outcome {
	enum registry_wrote wrote;
	char says[600]; /* the refusal or the error */
};

static struct outcome
do_request(const struct world *w, const struct slot_request *r,
	const struct registered_environment *seen, uint32_t settle_ms)
{
	struct slot_change c;
	struct slot_refusal refusal = {0};
	struct err e = {0};
	struct arena a = {0};
	struct outcome o = {0};

	o.wrote = registry_write_directory(&a,
		&(struct registry_write){.settings = w->settings,
			.request = r,
			.seen = seen,
			.lock_ms = 5000,
			.settle_ms = settle_ms},
		&c, &refusal, &e);
	if (o.wrote != WROTE_DONE)
		snprintf(o.says, sizeof(o.says), "%s",
			o.wrote == WROTE_REFUSED ? refusal.what : e.text);
	arena_finish(&a);
	return o;
}

static struct outcome
do_as_seen(const struct world *w, enum slot_command command,
	const struct registered_environment *seen, uint32_t settle_ms)
{
	struct slot_request r = request_of(command);
	return do_request(w, &r, seen, settle_ms);
}

static struct outcome
do_command(const struct world *w, enum slot_command command)
{
	struct registered_environment seen;
	struct registry_reading *r = look(w->file, &seen);
	struct outcome o = do_as_seen(w, command, &seen, 0);
	registry_reading_destroy(r);
	return o;
}

static void
check_done(const struct outcome *o)
{
	if (o->wrote != WROTE_DONE)
		fail_msg("%s", o->says);
}

static void
check_says(const struct outcome *o, enum registry_wrote wrote, const char *what)
{
	if (o->wrote != wrote || !strstr(o->says, what))
		fail_msg("%d: %s", o->wrote, o->says);
}

/* -- */

static void
test_promote(void **state)
{
	struct world *w = *state;
	struct stat before, after;

	chmod(w->file, 0640);
	stat(w->file, &before);
	struct outcome o = do_command(w, SLOT_PROMOTE);
	check_done(&o);
	stat(w->file, &after);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_mode & 0777, 0640);
	const char *text = read_file(w->file);
	assert_non_null(
		strstr(text, "{\"slots\":{\"myapp:production\":{\"activeSlot\":\"green\","));
	assert_non_null(strstr(text, "\"image\":\"i:1\",\"status\":\"grace-period\""));
	assert_non_null(strstr(text, ",\"other:staging\":{\"activeSlot\":null, \"slots\":{}}}}\n"));

	o = do_command(w, SLOT_PROMOTE);
	check_says(&o, WROTE_REFUSED, "no slot is reserved or deployed");
}

/* Where there is nothing yet. */
static void
test_new(void **state)
{
	struct world *w = *state;

	unlink(w->file);
	struct outcome o = do_command(w, SLOT_DEPLOY);
	check_done(&o);
	assert_non_null(strstr(read_file(w->file),
		"{\"version\": 1, \"slots\": {\"myapp\": {\"production\": {\"blue\": {\"state\": "
		"\"reserved\", \"port\": 4051, \"id\": \"" ID "\""));
	o = do_command(w, SLOT_DEPLOY);
	check_says(&o, WROTE_REFUSED, "slot blue is reserved by another deploy, " ID ", until 20");
}

/* slots/{project}-{environment}.json, and a link to somewhere else. */
static void
test_own_file(void **state)
{
	struct world *w = *state;
	char folder[96], link[128], real[96];

	snprintf(folder, sizeof(folder), "%s/slots", w->directory);
	snprintf(link, sizeof(link), "%s/myapp-production.json", folder);
	snprintf(real, sizeof(real), "%s/elsewhere", w->directory);
	mkdir(folder, 0755);
	write_file(real, "{\"activeSlot\": \"blue\"}");
	assert_int_equal(symlink("../elsewhere", link), 0);

	struct outcome o = do_command(w, SLOT_PROMOTE);
	check_says(&o, WROTE_FAILED, "take them out of one");
	unlink(w->file);
	strcpy(w->file, link);
	o = do_command(w, SLOT_DEPLOY);
	check_done(&o);
	struct stat st;
	lstat(link, &st);
	assert_true(S_ISLNK(st.st_mode));
	assert_non_null(strstr(read_file(real), "\"green\": {\"status\": \"reserved\""));
}

/* What is not as it was when health was asked is not written over. */
static void
test_compare(void **state)
{
	struct world *w = *state;
	struct registered_environment seen;
	struct registry_reading *r = look(w->file, &seen);

	struct outcome o = do_command(w, SLOT_PROMOTE);
	check_done(&o);
	/* It would be allowed; but what was seen is another slot's health. */
	o = do_as_seen(w, SLOT_ROLLBACK, &seen, 0);
	check_says(&o, WROTE_REFUSED, "somebody else has changed the slots just now");
	registry_reading_destroy(r);
}

/* A promote ends what was tried out by weights; weights that moved meanwhile stop it. */
static void
test_weights(void **state)
{
	struct world *w = *state;
	struct registered_environment seen;
	write_file(w->file, weighted);
	struct registry_reading *r = look(w->file, &seen);

	assert_true(seen.weighted);
	char *other = strdup(weighted);
	*strstr(other, "10}") = '2';
	write_file(w->file, other);
	free(other);
	struct outcome o = do_as_seen(w, SLOT_PROMOTE, &seen, 0);
	check_says(&o, WROTE_REFUSED, "somebody else has changed the slots just now");
	assert_non_null(strstr(read_file(w->file), "\"green\":20}"));

	write_file(w->file, weighted);
	o = do_as_seen(w, SLOT_PROMOTE, &seen, 0);
	check_done(&o);
	assert_null(strstr(read_file(w->file), "weights"));
	registry_reading_destroy(r);
	/* A weight that is wrong is the whole entry's fault, and stays for whoever wrote it. */
	write_file(w->file,
		"{\"slots\": {\"myapp\": {\"production\": {\"blue\": {\"state\": \"active\"}, "
		"\"weights\": {\"green\": 1}}}}}");
	seen = (struct registered_environment){.name = "production"};
	o = do_as_seen(w, SLOT_DEPLOY, &seen, 0);
	check_says(&o, WROTE_FAILED, "slots.myapp.production.weights.green");
}

/* A cleanup in two steps, of which the first one may be the last. */
static void
test_ending(void **state)
{
	struct world *w = *state;
	struct slot_request rq = request_of(SLOT_CLEANUP);
	rq.ending = true;

	for (int i = 0; i < 2; i++) {
		struct registered_environment e;
		struct registry_reading *r = look(w->file, &e);
		struct outcome o = do_request(w, &rq, &e, 0);
		registry_reading_destroy(r);
		check_done(&o);
		r = look(w->file, &e);
		const struct registered_slot *green = registered_slot_find(&e, "green");
		assert_int_equal(green->state, SLOT_GRACE);
		assert_int_equal(green->until_ms, rq.now_ms);
		registry_reading_destroy(r);
		rq.now_ms += 1000;
	}
	struct outcome o = do_command(w, SLOT_CLEANUP);
	check_done(&o);
	assert_non_null(strstr(read_file(w->file), "\"green\":null"));
}

static void
test_broken(void **state)
{
	struct world *w = *state;
	struct registered_environment seen;
	struct registry_reading *r = look(w->file, &seen);

	write_file(w->file, "{\"slots\": {");
	struct outcome o = do_as_seen(w, SLOT_PROMOTE, &seen, 0);
	check_says(&o, WROTE_FAILED, "it ends before all brackets and quotes are closed");
	assert_string_equal(read_file(w->file), "{\"slots\": {");
	/* A project that is wrong is not mended by accident. */
	write_file(w->file, "{\"slots\": {\"myapp\": {\"production\": {\"blue\": 7}}}}");
	o = do_as_seen(w, SLOT_PROMOTE, &seen, 0);
	check_says(&o, WROTE_FAILED, "slots.myapp.production.blue");
	registry_reading_destroy(r);
}

/* One that is half written is waited for. */
static void
test_half_written(void **state)
{
	struct world *w = *state;
	struct registered_environment seen;
	struct registry_reading *r = look(w->file, &seen);

	write_file(w->file, "{\"slots\": {");
	pid_t child = fork();
	if (child == 0) {
		usleep(200000);
		write_file(w->file, codeb);
		_exit(0);
	}
	struct outcome o = do_as_seen(w, SLOT_PROMOTE, &seen, 0);
	waitpid(child, NULL, 0);
	check_done(&o);
	registry_reading_destroy(r);
}

/* CodeB's API read before and writes after: seen by the second look. */
static void
test_written_over(void **state)
{
	struct world *w = *state;
	struct registered_environment seen;
	struct registry_reading *r = look(w->file, &seen);
	pid_t child = fork();

	if (child == 0) {
		/* As soon as it is there. */
		while (strcmp(read_file(w->file), codeb) == 0)
			usleep(1000);
		write_file(w->file, codeb);
		_exit(0);
	}
	struct outcome o = do_as_seen(w, SLOT_PROMOTE, &seen, 1500);
	waitpid(child, NULL, 0);
	check_says(&o, WROTE_FAILED, "another program has written over the change");
	/* What others make of it later is theirs. */
	o = do_as_seen(w, SLOT_PROMOTE, &seen, 50);
	check_done(&o);
	registry_reading_destroy(r);
}

/* -- a deploy taken back -- */

static struct outcome
do_now(const struct world *w, const struct slot_request *r)
{
	struct registered_environment seen;
	struct registry_reading *reading = look(w->file, &seen);
	struct outcome o = do_request(w, r, &seen, 0);
	registry_reading_destroy(reading);
	return o;
}

static void
check_green(const struct world *w, enum slot_state state, uint64_t since_ms, uint64_t until_ms)
{
	struct registered_environment e;
	struct registry_reading *r = look(w->file, &e);
	const struct registered_slot *green = registered_slot_find(&e, "green");

	assert_int_equal(green ? green->state : SLOT_EMPTY, state);
	assert_int_equal(green ? green->since_ms : 0, since_ms);
	assert_int_equal(green ? green->until_ms : 0, until_ms);
	assert_string_equal(e.active, "blue");
	registry_reading_destroy(r);
}

static void
check_restored(const struct world *w, enum slot_state state)
{
	struct slot_request r = request_of(SLOT_DEPLOY);
	struct registered_environment before;
	struct registry_reading *reading = look(w->file, &before);
	const struct registered_slot empty = {.name = "green"};
	const struct registered_slot *was = registered_slot_find(&before, "green");

	r.slot = "green";
	r.discard_rollback = true;
	struct outcome o = do_now(w, &r);
	check_done(&o);
	check_green(w, SLOT_RESERVED, r.now_ms, r.now_ms + SLOT_RESERVATION_MS);
	r.restore = was ? was : &empty;
	o = do_now(w, &r);
	check_done(&o);
	check_green(w, state, r.restore->since_ms, r.restore->until_ms);
	assert_null(strstr(read_file(w->file), ID));
	/* It is not ours any more. */
	o = do_now(w, &r);
	check_says(&o, WROTE_REFUSED, "slot green is not reserved by " ID " any more");
	registry_reading_destroy(reading);
}

static void
test_restore(void **state)
{
	struct world *w = *state;
	static const char *const slots[][2] = {
		{"\"status\":\"deployed\",\"deployedAt\":\"2026-01-02T03:04:05.678Z\"",
			"{\"state\": \"deployed\", \"since\": \"2026-01-02T03:04:05Z\"}"},
		{"\"status\":\"grace\",\"gracePeriodStart\":\"2026-01-02T03:04:05.678Z\","
		 "\"scheduledCleanup\":\"2026-01-04T03:04:05.678Z\"",
			"{\"state\": \"grace\", \"since\": \"2026-01-02T03:04:05Z\", \"until\": "
			"\"2026-01-04T03:04:05Z\"}"},
	};
	static const enum slot_state states[] = {SLOT_DEPLOYED, SLOT_GRACE};
	char text[1024];

	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof(text),
			"{\"slots\":{\"myapp:production\":{\"activeSlot\":\"blue\",\"slots\":{"
			"\"blue\":{\"status\":\"active\"},\"green\":{\"image\":\"i:1\",%s}}}}}",
			slots[i][0]);
		write_file(w->file, text);
		check_restored(w, states[i]);
		assert_non_null(strstr(read_file(w->file), "\"image\":\"i:1\""));
		snprintf(text, sizeof(text),
			"{\"version\": 1, \"slots\": {\"myapp\": {\"production\": {\"active\": "
			"\"blue\", \"blue\": {\"state\": \"active\"}, \"green\": %s}}}}",
			slots[i][1]);
		write_file(w->file, text);
		check_restored(w, states[i]);
	}
	write_file(w->file, "{\"slots\":{\"myapp:production\":{\"activeSlot\":\"blue\",\"slots\":{"
			    "\"blue\":{\"status\":\"active\"},\"green\":null}}}}");
	check_restored(w, SLOT_EMPTY);
	assert_non_null(strstr(read_file(w->file), "\"green\":null"));
}

static void
test_locked(void **state)
{
	struct world *w = *state;
	char path[96];
	struct registered_environment seen;
	struct registry_reading *r = look(w->file, &seen);
	struct slot_request rq = request_of(SLOT_PROMOTE);
	struct slot_change c;
	struct slot_refusal refusal;
	struct err e;
	struct arena a = {0};

	snprintf(path, sizeof(path), "%s/.lock", w->directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	struct registry_write rw = {
		.settings = w->settings, .request = &rq, .seen = &seen, .lock_ms = 100};
	assert_int_equal(registry_write_directory(&a, &rw, &c, &refusal, &e), WROTE_FAILED);
	assert_non_null(strstr(e.text, "locked"));
	close(fd);
	/* A dry run writes nothing. */
	rw.dry_run = true;
	assert_int_equal(registry_write_directory(&a, &rw, &c, &refusal, &e), WROTE_DONE);
	assert_string_equal(c.slot, "green");
	assert_string_equal(read_file(w->file), codeb);
	arena_finish(&a);
	registry_reading_destroy(r);
}

/* -- two at once -- */

static pid_t
start_promote(const struct world *w, const struct registered_environment *seen, int gate)
{
	pid_t child = fork();
	char byte;

	assert_true(child >= 0);
	if (child > 0)
		return child;
	if (read(gate, &byte, 1) < 0)
		_exit(99);
	_exit((int)do_as_seen(w, SLOT_PROMOTE, seen, 0).wrote);
}

static void
test_two_at_once(void **state)
{
	struct world *w = *state;
	struct registered_environment seen;
	struct registry_reading *r = look(w->file, &seen);

	for (int i = 0; i < ROUNDS; i++) {
		int gate[2], outcomes[3] = {0};
		pid_t children[2];
		write_file(w->file, codeb);
		assert_int_equal(pipe(gate), 0);
		for (int k = 0; k < 2; k++)
			children[k] = start_promote(w, &seen, gate[0]);
		assert_int_equal(write(gate[1], "go", 2), 2);
		for (int k = 0; k < 2; k++) {
			int status;
			waitpid(children[k], &status, 0);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= WROTE_FAILED);
			outcomes[WEXITSTATUS(status)]++;
		}
		close(gate[0]);
		close(gate[1]);
		assert_int_equal(outcomes[WROTE_DONE], 1);
		assert_int_equal(outcomes[WROTE_REFUSED], 1);
	}
	registry_reading_destroy(r);
}

/* -- kill -9 -- */

static void
go_on_and_on(const struct world *w)
{
	for (;;)
		if (do_command(w, SLOT_ROLLBACK).wrote != WROTE_DONE &&
			do_command(w, SLOT_PROMOTE).wrote != WROTE_DONE)
			_exit(1);
}

/* Blue is active and green in its grace period, or the other way round, and the rest is there. */
static void
check_old_or_new(const struct world *w)
{
	struct registered_environment e;
	struct registry_reading *r = look(w->file, &e);

	assert_int_equal(r->nprojects, 2);
	assert_int_equal(e.nslots, 2);
	bool blue = e.slot[0].state == SLOT_ACTIVE;
	assert_int_equal(e.slot[blue ? 1 : 0].state, SLOT_GRACE);
	assert_int_equal(e.slot[blue ? 0 : 1].state, SLOT_ACTIVE);
	assert_string_equal(e.active, blue ? "blue" : "green");
	assert_non_null(strstr(read_file(w->file), "\"image\":\"i:1\""));
	registry_reading_destroy(r);
}

static void
test_killed(void **state)
{
	struct world *w = *state;
	struct outcome o = do_command(w, SLOT_PROMOTE);
	unsigned seed = 5;
	check_done(&o);

	for (int i = 0; i < KILLS; i++) {
		pid_t child = fork();
		int status;
		if (child == 0)
			go_on_and_on(w);
		usleep((useconds_t)(rand_r(&seed) % 20000));
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		assert_true(WIFSIGNALED(status));
		check_old_or_new(w);
		/* Neither its lock nor what it left stands in the way. */
		o = do_command(w, SLOT_ROLLBACK);
		check_done(&o);
		check_old_or_new(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_promote, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compare, setup, teardown),
		cmocka_unit_test_setup_teardown(test_weights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_written_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
