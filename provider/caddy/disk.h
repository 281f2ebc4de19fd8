/* disk.h - the site files on a thread of libuv's pool: written, and looked at.
 *
 * One job at a time for each owner, who is told on the loop when it is done; an owner that does not
 * care any more waits for its end all the same before the next one, for two jobs are not to meet in
 * one directory.
 */
#ifndef PROVIDER_CADDY_DISK_H
#define PROVIDER_CADDY_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "provider/caddy/batch.h"
#include "provider/caddy/caddyfile.h"
#include "provider/caddy/site_store.h"

struct disk_job {
	uv_work_t work;
	/* On the loop, once, before the job is freed; NULL: nobody is told. */
	void (*done)(void *arg, struct disk_job *job);
	void *arg;
	bool stale; /* for the owner: it was given up meanwhile */
	char *directory, *caddyfile;
	struct batch_changes changes; /* of a write */
	/* Of a look.  Signatures tell by names, sizes and times whether files are others: the one
	 * that is expected (0: none), and the one found; where they differ, what lies there. */
	uint64_t expected, signature;
	struct site_listing found;
};

/* The changes are the job's from now on. */
struct disk_job *disk_write(uv_loop_t *loop, const char *directory, struct batch_changes changes,
	void (*done)(void *arg, struct disk_job *job), void *arg);
struct disk_job *disk_look(uv_loop_t *loop, const char *directory, const char *caddyfile,
	uint64_t expected, void (*done)(void *arg, struct disk_job *job), void *arg);

/* The main Caddyfile, at once.  -EINVAL and others: it cannot be read, or does not import the
 * sites. */
int disk_read_main(
	struct arena *a, const struct settings_caddy *s, struct caddyfile *ret, struct err *reterr);

#endif
