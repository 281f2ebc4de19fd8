/* The watcher: what matters rings, what does not is silent, and what cannot be watched is said. */
#include "reconciler/base/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_http.h"

static struct world {
	uv_loop_t *loop;
	char dir[64];
	struct watcher *watcher;
	struct watcher_ring all; /* of all rings together */
	unsigned rings, mounts;
} w;

static void
on_rang(void *arg, const struct watcher_ring *ring)
{
	(void)arg;
	w.rings += !ring->mounted; /* others mount as they like */
	w.mounts += ring->mounted;
	w.all.tags |= ring->tags;
	w.all.lost |= ring->lost;
	w.all.written |= ring->written;
	w.all.mounted |= ring->mounted;
}

static void
open_world(void)
{
	w = (struct world){.loop = uv_default_loop(), .dir = "/tmp/waymark-watch-XXXXXX"};
	assert_non_null(mkdtemp(w.dir));
	w.watcher = watcher_create(w.loop, on_rang, NULL);
}

static void
close_world(void)
{
	char command[128];

	watcher_destroy(w.watcher);
	uv_run(w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(w.loop), 0);
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	assert_int_equal(system(command), 0);
}

static int
set_up(void **state)
{
	(void)state;
	open_world();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close_world();
	return 0;
}

static const char *
path(const char *name)
{
	static char text[8][256];
	static unsigned i;
	char *p = text[i++ % 8];
	snprintf(p, sizeof(text[0]), "%s/%s", w.dir, name);
	return p;
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* What rang since the last time. */
static unsigned
tags(void)
{
	w.all = (struct watcher_ring){0};
	w.rings = w.mounts = 0;
	RUN_FOR(w.loop, 20);
	return w.all.tags;
}

static bool
set(const struct watch *watches, size_t n)
{
	bool news;
	struct err e = {0};
	if (watcher_set(w.watcher, watches, n, &news, &e) < 0)
		fail_msg("%s", e.text);
	return news;
}

#define SET(...)                                                                                   \
	set((const struct watch[]){__VA_ARGS__},                                                   \
		sizeof((const struct watch[]){__VA_ARGS__}) / sizeof(struct watch))

static void
only_what_matters_rings(void **state)
{
	(void)state;
	assert_true(SET({w.dir, .name = "a", .content = true, .tags = 1},
		{w.dir, .name = "b", .tags = 2},
		{w.dir, .suffix = ".json", .content = true, .tags = 4}));
	assert_int_equal(tags(), 0);
	put("x", "1");
	put(".hidden.json", "1");
	put("json", "1");
	assert_int_equal(tags(), 0);
	assert_int_equal(w.rings, 0);
	put("a", "1");
	assert_int_equal(tags(), 1);
	put("a", "2");
	assert_int_equal(tags(), 1);
	put("b", "1");
	assert_int_equal(tags(), 2); /* it came */
	put("b", "2");
	assert_int_equal(tags(), 0); /* what is in it does not matter */
	put("y.json", "1");
	assert_int_equal(tags(), 4);
	assert_int_equal(rename(path("x"), path("a")), 0);
	assert_int_equal(tags(), 1);
	assert_int_equal(unlink(path("b")), 0);
	assert_int_equal(unlink(path("y.json")), 0);
	assert_int_equal(tags(), 6);
	assert_int_equal(link(path("a"), path("b")), 0);
	assert_int_equal(chmod(path("b"), 0600), 0);
	assert_int_equal(tags() & 2, 2);
}

static void
written_and_closed_are_told_apart(void **state)
{
	(void)state;
	put("a", "1");
	SET({w.dir, .name = "a", .content = true, .tags = 1});
	int fd = open(path("a"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "2", 1), 1);
	assert_int_equal(tags(), 1);
	assert_true(w.all.written);
	close(fd);
	assert_int_equal(tags(), 1);
	assert_false(w.all.written);
}

/* The same path, another directory; then the directory that went is not watched any more. */
static void
a_watch_follows_the_path(void **state)
{
	(void)state;
	char d[128];
	snprintf(d, sizeof(d), "%s", path("d"));
	assert_int_equal(mkdir(d, 0700), 0);
	const struct watch watches[] = {
		{w.dir, .name = "d", .tags = 1}, {d, .name = "f", .content = true, .tags = 2}};
	assert_true(set(watches, 2));
	assert_false(set(watches, 2));
	assert_int_equal(tags(), 0); /* what was replaced does not ring */

	assert_int_equal(rename(d, path("old")), 0);
	assert_int_equal(mkdir(d, 0700), 0);
	assert_true(tags() & 1);
	assert_true(set(watches, 2));
	put("d/f", "1");
	assert_int_equal(tags(), 2);
	put("old/f", "1");
	assert_int_equal(tags(), 0);

	/* Gone, and made again with the same inode, as file systems like to. */
	assert_int_equal(unlink(path("d/f")), 0);
	assert_int_equal(rmdir(d), 0);
	assert_int_equal(mkdir(d, 0700), 0);
	tags();
	assert_true(w.all.lost);
	assert_true(set(watches, 2));
	put("d/f", "1");
	assert_int_equal(tags(), 2);
}

static void
an_absent_directory_is_news(void **state)
{
	(void)state;
	char d[128];
	snprintf(d, sizeof(d), "%s", path("d"));
	const struct watch watches[] = {
		{w.dir, .name = "d", .tags = 1}, {d, .name = "f", .tags = 2}};
	assert_true(set(watches, 2));
	assert_true(set(watches, 2)); /* it still may come before it is watched */
	assert_int_equal(mkdir(d, 0700), 0);
	assert_int_equal(tags(), 1);
	assert_true(set(watches, 2));
	assert_false(set(watches, 2));
}

static void
what_is_not_in_the_set_is_silent(void **state)
{
	(void)state;
	SET({w.dir, .name = "a", .content = true, .tags = 1});
	SET({w.dir, .name = "b", .content = true, .tags = 2});
	put("a", "1");
	assert_int_equal(tags(), 0);
	set(NULL, 0);
	put("b", "1");
	assert_int_equal(tags(), 0);
}

/* More than the kernel's queue takes while nobody reads. */
static void
an_overflow_rings_for_all(void **state)
{
	(void)state;
	char name[32];
	int most = 0;
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	if (!f || fscanf(f, "%d", &most) != 1 || most > 100000)
		skip();
	fclose(f);
	SET({w.dir, .name = "a", .tags = 1});
	for (int i = 0; i <= most; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		int fd = open(path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		close(fd);
	}
	put("a", "1");
	RUN_UNTIL(w.loop, w.all.lost);
	assert_int_equal(w.all.tags, ~0u);
	tags();
	assert_int_equal(unlink(path("a")), 0);
	assert_int_equal(tags(), 1); /* and goes on */
}

static void
too_many_directories(void **state)
{
	(void)state;
	static struct watch watches[WATCHER_MAX + 1];
	static char dirs[WATCHER_MAX + 1][128];
	struct err e = {0};
	bool news;
	for (int i = 0; i <= WATCHER_MAX; i++) {
		char name[16];
		snprintf(name, sizeof(name), "d%d", i);
		snprintf(dirs[i], sizeof(dirs[i]), "%s", path(name));
		assert_int_equal(mkdir(dirs[i], 0700), 0);
		watches[i] = (struct watch){dirs[i], .name = "f", .tags = 1};
	}
	assert_int_equal(watcher_set(w.watcher, watches, WATCHER_MAX + 1, &news, &e), -E2BIG);
	assert_true(news);
	assert_non_null(strstr(e.text, "too many symbolic links"));
	put("d511/f", "1");
	assert_int_equal(tags(), 1);
	put("d512/f", "1");
	assert_int_equal(tags(), 0);
}

static bool
tell_kernel(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

/* Root there is who we are here. */
static bool
enter_namespaces(void)
{
	char uids[32], gids[32];
	snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       tell_kernel("/proc/self/setgroups", "deny") &&
	       tell_kernel("/proc/self/uid_map", uids) && tell_kernel("/proc/self/gid_map", gids);
}

/* Runs in a process of its own, in namespaces of its own; skips where that is not allowed. */
static void
elsewhere(int (*fn)(void))
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* the other tests are not this process's */
		_exit(enter_namespaces() ? fn() : 77);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no namespaces here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
without_watches(void)
{
	struct err e = {0};
	bool news;
	if (!tell_kernel("/proc/sys/user/max_inotify_watches", "1"))
		return 77;
	open_world();
	assert_int_equal(mkdir(path("d"), 0700), 0);
	const struct watch watches[] = {
		{w.dir, .name = "a", .tags = 1}, {path("d"), .name = "f", .tags = 2}};
	assert_int_equal(watcher_set(w.watcher, watches, 2, &news, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "fs.inotify.max_user_watches"));
	put("a", "1");
	assert_int_equal(tags(), 1); /* what is watched rings */
	close_world();
	return 0;
}

static int
without_instances(void)
{
	struct err e = {0};
	bool news;
	if (!tell_kernel("/proc/sys/user/max_inotify_instances", "0"))
		return 77;
	open_world();
	assert_int_equal(watcher_set(w.watcher, NULL, 0, &news, &e), -EMFILE);
	assert_non_null(strstr(e.text, "fs.inotify.max_user_instances"));
	assert_true(tell_kernel("/proc/sys/user/max_inotify_instances", "1"));
	SET({w.dir, .name = "a", .tags = 1}); /* it is tried again */
	put("a", "1");
	assert_int_equal(tags(), 1);
	close_world();
	return 0;
}

static int
with_mounts(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77; /* others' mounts would ring */
	open_world();
	SET({w.dir, .name = "a", .tags = 1});
	tags();
	if (mount("tmpfs", w.dir, "tmpfs", 0, NULL) < 0)
		return 77;
	tags();
	assert_true(w.all.mounted);
	assert_int_equal(w.all.tags, 0);
	tags();
	assert_in_range(
		w.mounts, 0, 3); /* not for ever; what others remove may unmount here, too */
	/* The path is another directory now. */
	assert_true(SET({w.dir, .name = "a", .tags = 1}));
	put("a", "1");
	assert_int_equal(tags(), 1);
	assert_int_equal(umount(w.dir), 0);
	tags();
	assert_true(w.all.mounted);
	close_world();
	return 0;
}

static void
the_limit_of_watches_is_said(void **state)
{
	(void)state;
	elsewhere(without_watches);
}

static void
the_limit_of_instances_is_said(void **state)
{
	(void)state;
	elsewhere(without_instances);
}

static void
mounts_ring(void **state)
{
	(void)state;
	elsewhere(with_mounts);
}

int
main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_of_watches_is_said),
		cmocka_unit_test(the_limit_of_instances_is_said),
		cmocka_unit_test(mounts_ring),
		STORY(only_what_matters_rings),
		STORY(written_and_closed_are_told_apart),
		STORY(a_watch_follows_the_path),
		STORY(an_absent_directory_is_news),
		STORY(what_is_not_in_the_set_is_silent),
		STORY(an_overflow_rings_for_all),
		STORY(too_many_directories),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
