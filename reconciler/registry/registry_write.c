#include "reconciler/registry/registry_write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/registry/registry_dir.h"
#include "reconciler/registry/registry_files.h"
#include "reconciler/registry/registry_parse.h"
#include "reconciler/registry/registry_slots_render.h"
#include "reconciler/registry/registry_trust.h"

#define LOCK_NAME ".lock"
#define STEP_MS 20
/* A file that does not parse may be half written. */
#define BROKEN_MS 1000
/* How often somebody may write between our reading and our renaming. */
#define TRIES 20

struct writing {
	struct arena *arena;
	const struct registry_write *w;
	const char *directory;
	const char *path; /* of the file, as configured */
	bool single; /* it is one of slots/ */
	struct buf text; /* as it was read; empty where there is no file yet */
	bool there;
	struct registry_reading *reading;
	struct registered_environment now; /* with what only ssot.json says as it was seen */
	const struct registered_environment *before; /* as the file has it; NULL: not at all */
};

static void
wait_ms(uint32_t ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* -- deciding -- */

enum registry_wrote
registry_write_decide(struct arena *a, const struct registry_write *w,
	const struct registered_environment *now, struct slot_change *ret,
	struct slot_refusal *retrefusal)
{
	struct slot_change c;

	/* Whoever holds the id need not care what became of the other slots. */
	if (w->request->restore)
		return slot_restore(a, now, w->request, ret, retrefusal) ? WROTE_DONE
									 : WROTE_REFUSED;
	if (!slot_apply(a, now, w->request, &c, retrefusal))
		return WROTE_REFUSED;
	if (!registered_slots_equal(now, w->seen)) {
		*retrefusal = (struct slot_refusal){
			.what = "somebody else has changed the slots just now",
			.remedy = "see how they stand with `waymark slot list`, and try again",
		};
		return WROTE_REFUSED;
	}
	*ret = c;
	return WROTE_DONE;
}

/* -- the lock -- */

/* A descriptor, which holds it until it is closed. */
static int
take_lock(const struct writing *g, struct err *reterr)
{
	const char *path = arena_printf(g->arena, "%s/" LOCK_NAME, g->directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);

	if (fd < 0)
		return err_set(reterr, errno, "%s cannot be opened: %s", path, strerror(errno));
	for (uint32_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += STEP_MS) {
		if (errno != EINTR && errno != EWOULDBLOCK) {
			int code = errno;
			close(fd);
			return err_set(
				reterr, code, "%s cannot be locked: %s", path, strerror(code));
		}
		if (waited >= g->w->lock_ms) {
			close(fd);
			return err_set(reterr, EBUSY, "somebody else has had %s locked for %u s",
				path, waited / 1000);
		}
		wait_ms(STEP_MS);
	}
	return fd;
}

/* -- reading -- */

static const struct registry_file_id *
known_nothing(const void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return NULL;
}

static const struct registered_environment *
find_environment(const struct registry_reading *r, const char *project, const char *environment)
{
	for (size_t i = 0; r && i < r->nprojects; i++)
		if (strcmp(r->projects[i]->name, project) == 0)
			return registered_environment_find(r->projects[i], environment);
	return NULL;
}

static bool
is_bad(const struct registry_reading *r, const char *project)
{
	for (size_t i = 0; r && i < r->nbad_projects; i++)
		if (strcmp(r->bad_projects[i], project) == 0)
			return true;
	return false;
}

static int
fail_by_fault(const struct registry_reading *r, struct err *reterr)
{
	struct buf b = {0};

	registry_fault_print(&r->faults[0], &b);
	err_set(reterr, EINVAL, "%s; %s", b.p, r->faults[0].remedy);
	buf_finish(&b);
	return -EINVAL;
}

/* Is the project wrong in it, or the whole file? */
static int
check_file(const struct writing *g, const struct registry_file *f, struct err *reterr)
{
	if (f->reading && f->reading->nfaults &&
		(f->state == FILE_BROKEN || is_bad(f->reading, g->w->request->project)))
		return fail_by_fault(f->reading, reterr);
	return 0;
}

static bool
has_it(const struct writing *g, const struct registry_file *f)
{
	return f->state == FILE_WHOLE &&
	       find_environment(f->reading, g->w->request->project, g->w->seen->name);
}

static void
aim(struct writing *g, const char *path, bool single)
{
	g->path = arena_strdup(g->arena, path);
	g->single = single;
}

/* Which file has the environment, or is to have it. */
static int
choose_file(struct writing *g, const struct registry_look *l, struct err *reterr)
{
	const struct slot_request *r = g->w->request;
	const char *own = arena_printf(
		g->arena, "%s/slots/%s-%s.json", g->directory, r->project, g->w->seen->name);
	const struct registry_file *found = has_it(g, &l->main[1]) ? &l->main[1] : NULL;
	int e = check_file(g, &l->main[1], reterr);

	for (size_t i = 0; e == 0 && i < l->nown; i++) {
		const struct registry_file *f = &l->own[i];
		if (strcmp(f->path, own) == 0)
			e = check_file(g, f, reterr);
		if (e < 0 || !has_it(g, f))
			continue;
		if (found)
			return err_set(reterr, EINVAL,
				"the slots of %s %s stand in %s and in %s; take them out of one",
				r->project, g->w->seen->name, found->path, f->path);
		found = f;
	}
	if (e < 0)
		return e;
	if (found)
		aim(g, found->path, found != &l->main[1]);
	else if (l->main[1].state == FILE_ABSENT && l->nown)
		aim(g, own, true);
	else
		aim(g, l->main[1].path, false);
	return 0;
}

static int
look_for_file(struct writing *g, struct err *reterr)
{
	struct registry_look l = {
		.directory = g->directory,
		.dialect = g->w->settings->registry.dialect,
		.grace_ms = g->w->settings->grace_ms,
		.known = known_nothing,
	};
	registry_look_run(&l);
	int r = l.missing ? fail_by_fault(l.missing, reterr) : choose_file(g, &l, reterr);
	registry_look_finish(&l);
	return r;
}

/* 0 also where there is no file: then *ret_there is false. */
static int
read_text(const char *path, struct buf *ret, bool *ret_there, struct err *reterr)
{
	char bytes[32768];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	buf_reset(ret);
	buf_adds(ret, "");
	*ret_there = fd >= 0;
	if (fd < 0)
		return errno == ENOENT ? 0
				       : err_set(reterr, errno, "%s cannot be read: %s", path,
						 strerror(errno));
	while ((n = read(fd, bytes, sizeof(bytes))) != 0 && ret->n <= REGISTRY_FILE_MAX) {
		if (n < 0 && errno != EINTR) {
			int code = errno;
			close(fd);
			return err_set(reterr, code, "%s cannot be read: %s", path, strerror(code));
		}
		if (n > 0)
			buf_add(ret, bytes, (size_t)n);
	}
	close(fd);
	return 0;
}

/* The reading of a text; NULL where it or the project in it is wrong. */
static struct registry_reading *
decode(const struct writing *g, const struct buf *text, struct err *reterr)
{
	const struct registry_options o = {
		.source = REGISTRY_DIR_NAME,
		.file = g->path,
		.dialect = g->w->settings->registry.dialect,
		.grace_ms = g->w->settings->grace_ms,
	};
	bool broken;
	struct registry_reading *r = registry_parse_slots(text->p, text->n, &o, &broken);

	if (broken || is_bad(r, g->w->request->project)) {
		fail_by_fault(r, reterr);
		registry_reading_destroy(r);
		return NULL;
	}
	return r;
}

static void
forget(struct writing *g)
{
	registry_reading_destroy(g->reading);
	g->reading = NULL;
	buf_finish(&g->text);
}

static int
read_once(struct writing *g, struct err *reterr)
{
	forget(g);
	int r = look_for_file(g, reterr);
	if (r < 0 || (r = read_text(g->path, &g->text, &g->there, reterr)) < 0)
		return r;
	if (!g->there)
		buf_adds(&g->text, registry_slots_least(g->single));
	/* Known by its folder; one that is new has yet to get what tells whose it is. */
	g->reading = decode(g, &g->text, reterr);
	if (!g->reading)
		return -EINVAL;
	g->before = find_environment(g->reading, g->w->request->project, g->w->seen->name);
	g->now = *g->w->seen;
	g->now.active = g->before ? g->before->active : NULL;
	g->now.weighted = g->before && g->before->weighted;
	g->now.nslots = g->before ? g->before->nslots : 0;
	g->now.slot = g->before ? g->before->slot : NULL;
	return 0;
}

static int
read_file(struct writing *g, struct err *reterr)
{
	int r = read_once(g, reterr);
	for (uint32_t waited = 0; r < 0 && waited < BROKEN_MS; waited += STEP_MS) {
		wait_ms(STEP_MS);
		r = read_once(g, reterr);
	}
	return r;
}

/* -- writing -- */

static int
fail_write(const char *path, struct err *reterr)
{
	return err_set(reterr, errno, "%s cannot be written: %s", path, strerror(errno));
}

static int
write_all(int fd, const struct buf *text)
{
	for (size_t at = 0; at < text->n;) {
		ssize_t n = write(fd, text->p + at, text->n - at);
		if (n < 0 && errno != EINTR)
			return -1;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A file beside it, which nobody reads: it has its owner and mode, and is on the disk. */
static int
write_aside(const char *aside, const char *path, const struct buf *text, struct err *reterr)
{
	struct stat st;
	bool had = stat(path, &st) == 0;
	unlink(aside);
	int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return fail_write(aside, reterr);
	if (had) {
		/* Whose it was it may not be any more, where we may not give files away. */
		int ignored = fchown(fd, st.st_uid, st.st_gid);
		(void)ignored;
	}
	if ((had && fchmod(fd, st.st_mode & 07777) < 0) || write_all(fd, text) < 0 ||
		fsync(fd) < 0) {
		int r = fail_write(aside, reterr);
		close(fd);
		unlink(aside);
		return r;
	}
	close(fd);
	return 0;
}

static int
sync_directory(const char *path, struct err *reterr)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? fail_write(path, reterr) : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

/* -EAGAIN: somebody has written the file meanwhile. */
static int
replace(struct writing *g, const struct buf *text, struct err *reterr)
{
	/* A link stays one: what it leads to is replaced. */
	char *real = realpath(g->path, NULL);
	const char *path = real ? arena_strdup(g->arena, real) : g->path;
	const char *slash = strrchr(path, '/');
	const char *folder = slash ? arena_strndup(g->arena, path, (size_t)(slash - path)) : ".";
	const char *aside =
		arena_printf(g->arena, "%s/.%s.waymark", folder, slash ? slash + 1 : path);
	struct buf now = {0};
	bool there;

	free(real);
	int r = write_aside(aside, path, text, reterr);
	if (r < 0)
		return r;
	r = read_text(g->path, &now, &there, reterr);
	if (r == 0 && (there != g->there ||
			      (there && (now.n != g->text.n || memcmp(now.p, g->text.p, now.n)))))
		r = -EAGAIN;
	if (r == 0 && rename(aside, path) < 0)
		r = err_set(reterr, errno, "%s cannot be replaced: %s%s", path, strerror(errno),
			errno == EBUSY ? "; mount its directory, never the file itself" : "");
	buf_finish(&now);
	if (r < 0) {
		unlink(aside);
		return r;
	}
	return sync_directory(*folder ? folder : "/", reterr);
}

/* Does the new text say what was decided? */
static int
check_text(const struct writing *g, const struct buf *text, const struct slot_change *c,
	struct err *reterr)
{
	struct registry_reading *r = decode(g, text, reterr);
	if (!r)
		return -EINVAL;
	const struct registered_environment *e =
		find_environment(r, g->w->request->project, g->w->seen->name);
	bool same = e && e->weighted == c->after.weighted && (!e->active == !c->after.active) &&
		    (!e->active || strcmp(e->active, c->after.active) == 0);
	for (size_t i = 0; same && i < c->after.nslots; i++) {
		const struct registered_slot *want = &c->after.slot[i];
		const struct registered_slot *got = registered_slot_find(e, want->name);
		same = got ? got->state == want->state && got->until_ms == want->until_ms &&
				       got->weight == want->weight
			   : want->state == SLOT_EMPTY;
	}
	registry_reading_destroy(r);
	return same ? 0
		    : err_set(reterr, EINVAL,
			      "%s: its spelling cannot take this change, so nothing was written; "
			      "write it by hand",
			      g->path);
}

static int
write_change(struct writing *g, const struct slot_change *c, struct err *reterr)
{
	struct buf text = {0};
	int r = 0;

	buf_add(&text, g->text.p, g->text.n);
	if (!registry_slots_render(&text, &(struct registry_slots_edit){g->single,
						  g->w->request->project, g->before, &c->after}))
		r = err_set(reterr, EINVAL, "%s: it is not JSON", g->path);
	if (r == 0)
		r = check_text(g, &text, c, reterr);
	if (r == 0)
		r = replace(g, &text, reterr);
	buf_finish(&text);
	return r;
}

/* Is what was there before there again?  What others made of it later is theirs. */
static int
look_again(struct writing *g, const struct registered_environment *before, struct err *reterr)
{
	struct err unused;

	wait_ms(g->w->settle_ms);
	if (read_file(g, &unused) < 0 || !registered_slots_equal(&g->now, before))
		return 0;
	return err_set(reterr, ESTALE,
		"%s: another program has written over the change, without the lock; make it "
		"again, and see which program it was",
		g->path);
}

static enum registry_wrote
write_locked(struct writing *g, struct slot_change *ret, struct slot_refusal *retrefusal,
	struct err *reterr)
{
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < TRIES; i++) {
		struct slot_change c;
		if (read_file(g, reterr) < 0)
			return WROTE_FAILED;
		enum registry_wrote decided =
			registry_write_decide(g->arena, g->w, &g->now, &c, retrefusal);
		if (decided != WROTE_DONE)
			return decided;
		r = g->w->dry_run ? 0 : write_change(g, &c, reterr);
		if (r == 0)
			*ret = c;
	}
	if (r == -EAGAIN)
		err_set(reterr, EBUSY, "%s is being written all the time", g->path);
	return r < 0 ? WROTE_FAILED : WROTE_DONE;
}

enum registry_wrote
registry_write_directory(struct arena *a, const struct registry_write *w, struct slot_change *ret,
	struct slot_refusal *retrefusal, struct err *reterr)
{
	struct writing g = {.arena = a, .w = w, .directory = w->settings->registry.directory};
	struct slot_change c = {0};
	/* A dry run locks, too, lest it decide on what is half done; but it needs no right to. */
	int lock = take_lock(&g, reterr);
	if (lock < 0 && !w->dry_run)
		return WROTE_FAILED;
	enum registry_wrote result = write_locked(&g, &c, retrefusal, reterr);
	if (lock >= 0)
		close(lock);
	if (result == WROTE_DONE && !w->dry_run && w->settle_ms &&
		look_again(&g, w->seen, reterr) < 0)
		result = WROTE_FAILED;
	if (result == WROTE_DONE)
		*ret = c;
	forget(&g);
	return result;
}
