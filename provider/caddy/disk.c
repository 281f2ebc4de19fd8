#include "provider/caddy/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/fnv.h"

#define MAIN_MAX (4 << 20) /* of the main Caddyfile */

static uint64_t
hash_file(const char *name, const struct stat *st)
{
	const uint64_t facts[] = {(uint64_t)st->st_ino, (uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec, st->st_mode};
	return fnv_add(fnv_add(FNV_BASIS, name, strlen(name)), facts, sizeof(facts));
}

/* Of all that lies in the directory, and of the file; never 0. */
static uint64_t
signature_of(const char *directory, const char *caddyfile)
{
	uint64_t sum = 1; /* a sum, for a directory has no order */
	struct stat st;
	DIR *d = opendir(directory);

	if (stat(caddyfile, &st) == 0)
		sum += hash_file("", &st);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.' &&
			fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sum += hash_file(e->d_name, &st);
	if (d)
		closedir(d);
	return sum ? sum : 1;
}

static void
write_on_pool(uv_work_t *work)
{
	struct disk_job *job = work->data;
	site_store_apply(job->directory, job->changes.list, job->changes.n);
}

static void
look_on_pool(uv_work_t *work)
{
	struct disk_job *job = work->data;
	struct err e;

	job->signature = signature_of(job->directory, job->caddyfile);
	if (job->expected && job->signature != job->expected &&
		site_store_list(job->directory, &job->found, &e) < 0)
		job->signature = job->expected; /* the next look will tell */
}

static void
on_done(uv_work_t *work, int status)
{
	struct disk_job *job = work->data;

	(void)status;
	if (job->done)
		job->done(job->arg, job);
	batch_changes_finish(&job->changes);
	site_listing_finish(&job->found);
	free(job->directory);
	free(job->caddyfile);
	free(job);
}

struct disk_job *
disk_write(uv_loop_t *loop, const char *directory, struct batch_changes changes,
	void (*done)(void *arg, struct disk_job *job), void *arg)
{
	struct disk_job *job = xcalloc(1, sizeof(*job));

	*job = (struct disk_job){.work = {.data = job},
		.done = done,
		.arg = arg,
		.directory = xstrdup(directory),
		.changes = changes};
	uv_queue_work(loop, &job->work, write_on_pool, on_done);
	return job;
}

struct disk_job *
disk_look(uv_loop_t *loop, const char *directory, const char *caddyfile, uint64_t expected,
	void (*done)(void *arg, struct disk_job *job), void *arg)
{
	struct disk_job *job = xcalloc(1, sizeof(*job));

	*job = (struct disk_job){.work = {.data = job},
		.done = done,
		.arg = arg,
		.directory = xstrdup(directory),
		.caddyfile = xstrdup(caddyfile),
		.expected = expected};
	uv_queue_work(loop, &job->work, look_on_pool, on_done);
	return job;
}

int
disk_read_main(
	struct arena *a, const struct settings_caddy *s, struct caddyfile *ret, struct err *reterr)
{
	int fd = open(s->caddyfile, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = -1;

	if (fd < 0)
		return err_set(
			reterr, errno, "%s cannot be read: %s", s->caddyfile, strerror(errno));
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = size >= 0 && size <= MAIN_MAX ? arena_alloc(a, (size_t)size + 1) : NULL;
	if (text)
		n = pread(fd, text, (size_t)size, 0);
	close(fd);
	if (n < 0 || n != size)
		return err_set(reterr, EINVAL, "%s cannot be read whole", s->caddyfile);
	text[n] = '\0';

	const char *slash = strrchr(s->caddyfile, '/');
	const char *directory =
		slash ? arena_strndup(a, s->caddyfile, (size_t)(slash - s->caddyfile)) : ".";
	caddyfile_parse(a, text, directory, s->sites, ret);
	if (!ret->imports_sites)
		return err_set(reterr, EINVAL,
			"%s does not import the sites: add `import %s/*.caddy` to it", s->caddyfile,
			s->sites);
	return 0;
}
