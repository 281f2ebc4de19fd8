#include "provider/caddy/caddy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "provider/caddy/admin.h"
#include "provider/caddy/arrivals.h"
#include "provider/caddy/batch.h"
#include "provider/caddy/caddyfile.h"
#include "provider/caddy/disk.h"
#include "provider/caddy/sites.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"

#define WATCH_MS 5000
#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 30000

enum step {
	STEP_IDLE,
	STEP_ADAPTING, /* is what is to be written a Caddyfile? */
	STEP_WRITING,
	STEP_LOADING,
	STEP_REVERTING, /* what was refused goes back to its last good version */
	STEP_READING, /* what runs now */
	STEP_LOOKING, /* has anybody changed the files? */
	STEP_WATCHING, /* does it run what was loaded still? */
};

struct caddy {
	struct output output; /* first, so that the one is the other */
	uv_loop_t *loop;
	struct httpc *http;
	const struct settings *settings;
	char *url;
	struct admin *admin;
	struct sites sites;
	struct snapshot *coming; /* NULL: none newer than what is under way */
	uint64_t published, revision; /* the newest handed over; the one under way or done */

	enum step step;
	struct arena arena; /* of the cycle under way */
	struct caddyfile main;
	struct batch batch;
	bool baseline; /* the load under way is of good versions alone: is it us? */
	bool loaded; /* this run loaded once */
	struct disk_job *job; /* on a thread of the pool; NULL: none */
	uint64_t signature; /* of the files, when they were looked at last; 0: they changed since */

	unsigned char digest[SHA256_DIGEST_SIZE]; /* of what ran after the last load */
	bool has_digest;
	uint64_t next_ms; /* no reload before then */
	uint32_t retry_ms;
	bool blocked; /* a change has to wait for the next retry */
	char error[512];
	struct arrivals arrivals;
	uint64_t loads;
	uv_timer_t timer;
	json_t *details;
};

static uint64_t
now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void on_timer(uv_timer_t *timer);

static void
wake_in(struct caddy *c, uint64_t ms)
{
	uv_timer_start(&c->timer, on_timer, ms, 0);
}

static void
error_set(struct caddy *c, const char *text)
{
	if (strcmp(c->error, text) == 0)
		return;
	if (*text)
		LOG(LOG_WARN, "Caddy cannot be brought up to date",
			LOG_S("output", c->settings->caddy->name), LOG_S("err", text),
			LOG_S("next", "it is tried again; what runs stays"));
	else
		LOG(LOG_INFO, "Caddy is up to date again",
			LOG_S("output", c->settings->caddy->name));
	snprintf(c->error, sizeof(c->error), "%s", text);
}

/* -- the end of a cycle -- */

static void
cycle_end(struct caddy *c)
{
	batch_finish(&c->batch);
	arena_finish(&c->arena);
	c->arena = (struct arena){0};
	c->step = STEP_IDLE;
}

/* It is tried again after a while. */
static void
cycle_retry(struct caddy *c, const char *why)
{
	error_set(c, why);
	cycle_end(c);
	c->retry_ms = c->retry_ms ? 2 * c->retry_ms : RETRY_FIRST_MS;
	if (c->retry_ms > RETRY_MAX_MS)
		c->retry_ms = RETRY_MAX_MS;
	wake_in(c, clock_jittered(c->retry_ms));
}

/* Nothing can be done for any site. */
static void
cycle_fail(struct caddy *c, const char *why)
{
	c->blocked = true;
	cycle_retry(c, why);
}

/* One that is not as it is to be; NULL: none. */
static const struct site *
first_due(const struct caddy *c)
{
	const struct site *s = c->sites.list;

	while (s && !site_is_due(s))
		s = s->hh.next;
	return s;
}

static void
cycle_done(struct caddy *c)
{
	const struct site *late = first_due(c);
	uint64_t now = now_ms();

	c->blocked = false;
	/* What could not be written is due still; the others are served, and do not wait for it. */
	if (late) {
		cycle_retry(c, late->why ? late->why : late->name);
		if (c->coming)
			wake_in(c, c->next_ms > now ? c->next_ms - now : 0);
		return;
	}
	error_set(c, "");
	c->retry_ms = 0;
	arrivals_add(&c->arrivals, c->revision, now);
	cycle_end(c);
	wake_in(c, !c->coming ? WATCH_MS : c->next_ms > now ? c->next_ms - now : 0);
}

/* -- reading back -- */

static void
digest_of(const struct admin_reply *r, unsigned char ret[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, r->n, (const uint8_t *)r->body);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret);
}

static void
on_read(void *arg, const struct admin_reply *r)
{
	struct caddy *c = arg;

	if (r->outcome != ADMIN_DONE) {
		cycle_fail(c, r->err ? r->err->text : r->body);
		return;
	}
	digest_of(r, c->digest);
	c->has_digest = true;
	cycle_done(c);
}

static void cycle_begin(struct caddy *c);

/* Is it still what was loaded? */
static void
on_watched(void *arg, const struct admin_reply *r)
{
	struct caddy *c = arg;
	unsigned char digest[SHA256_DIGEST_SIZE];

	c->step = STEP_IDLE;
	if (r->outcome != ADMIN_DONE) {
		cycle_fail(c, r->err ? r->err->text : r->body);
		return;
	}
	digest_of(r, digest);
	if (c->has_digest && memcmp(digest, c->digest, sizeof(digest)) == 0) {
		c->retry_ms = 0;
		c->blocked = false;
		error_set(c, "");
		wake_in(c, first_due(c) ? 0 : WATCH_MS);
		return;
	}
	LOG(LOG_WARN, "Caddy runs something else than was loaded",
		LOG_S("output", c->settings->caddy->name), LOG_S("next", "it is loaded anew"));
	c->arrivals = (struct arrivals){0};
	c->loaded = false;
	cycle_begin(c);
}

/* -- writing -- */

static void load(struct caddy *c);
static void next_group(struct caddy *c);

/* Has the output waited for it? */
static bool
job_end(struct caddy *c, const struct disk_job *job)
{
	c->job = NULL;
	if (job->stale)
		wake_in(c, 0);
	return !job->stale;
}

static void
on_written(void *arg, struct disk_job *job)
{
	struct caddy *c = arg;

	c->signature = 0;
	if (!job_end(c, job))
		return;
	batch_written(&c->batch, &job->changes, c->step == STEP_REVERTING);
	if (c->step == STEP_REVERTING && !c->baseline)
		next_group(c);
	else
		load(c);
}

static void
write_out(struct caddy *c, bool revert)
{
	struct batch_changes changes;

	c->step = revert ? STEP_REVERTING : STEP_WRITING;
	batch_changes_make(&c->batch, revert, &changes);
	c->job = disk_write(c->loop, c->settings->caddy->sites, changes, on_written, c);
}

/* -- looking -- */

static void
on_looked(void *arg, struct disk_job *job)
{
	struct caddy *c = arg;

	if (!job_end(c, job))
		return;
	bool changed = c->signature && c->signature != job->signature;
	c->signature = job->signature;
	if (changed)
		sites_changed(&c->sites, &job->found);
	c->step = STEP_WATCHING;
	admin_read(c->admin, on_watched, c);
}

static void
look(struct caddy *c)
{
	const struct settings_caddy *s = c->settings->caddy;

	c->step = STEP_LOOKING;
	c->job = disk_look(c->loop, s->sites, s->caddyfile, c->signature, on_looked, c);
}

/* -- loading -- */

static void
pace(struct caddy *c, uint64_t took_ms)
{
	uint64_t share = c->settings->caddy->reload_share;
	c->next_ms = now_ms() + took_ms * (100 - share) / share;
}

/* The next sites that are to be tried together, or the end. */
static void
next_group(struct caddy *c)
{
	if (batch_next(&c->batch)) {
		write_out(c, false);
		return;
	}
	c->step = STEP_READING;
	admin_read(c->admin, on_read, c);
}

static void
on_refused(struct caddy *c, const char *why)
{
	const char *file;
	unsigned line;
	bool placed = caddyfile_error_place(&c->arena, why, &file, &line);

	if ((placed && batch_refuse_file(&c->batch, file, why)) ||
		batch_refuse_address(&c->batch, why)) {
		/* That one goes back; the others of its group are tried again. */
		c->baseline = false;
		write_out(c, true);
		return;
	}
	/* Whose fault it is, is seen by taking all of them back. */
	batch_suspect(&c->batch, why);
	c->baseline = true;
	write_out(c, true);
}

static void
on_loaded(void *arg, const struct admin_reply *r)
{
	struct caddy *c = arg;
	bool baseline = c->baseline;

	c->baseline = false;
	pace(c, r->took_ms);
	if (r->outcome == ADMIN_FAILED) {
		cycle_fail(c, r->err->text);
	} else if (r->outcome == ADMIN_REFUSED && baseline) {
		cycle_fail(c, r->body);
	} else if (r->outcome == ADMIN_REFUSED) {
		on_refused(c, r->body);
	} else if (baseline) {
		batch_split(&c->batch);
		next_group(c);
	} else {
		c->loads++;
		c->loaded = true;
		batch_settle(&c->batch);
		next_group(c);
	}
}

static void
load(struct caddy *c)
{
	c->step = STEP_LOADING;
	admin_load(c->admin, c->main.whole, on_loaded, c);
}

/* -- adapting -- */

static void adapt(struct caddy *c);

static void
on_adapted(void *arg, const struct admin_reply *r)
{
	struct caddy *c = arg;
	const char *file;
	unsigned line = 0;

	if (r->outcome == ADMIN_FAILED) {
		cycle_fail(c, r->err->text);
		return;
	}
	if (r->outcome == ADMIN_DONE) {
		batch_adapted(&c->batch);
		adapt(c);
		return;
	}
	if (!caddyfile_error_place(&c->arena, r->body, &file, &line))
		line = 0;
	if (!batch_refuse_line(&c->batch, line, r->body)) {
		cycle_fail(c, r->body); /* it is in the main Caddyfile */
		return;
	}
	adapt(c);
}

static void
adapt(struct caddy *c)
{
	const char *text = batch_adapt_text(&c->batch, c->main.rest);

	if (text) {
		c->step = STEP_ADAPTING;
		admin_adapt(c->admin, text, on_adapted, c);
	} else if (batch_begin(&c->batch)) {
		write_out(c, false);
	} else if (!c->loaded) {
		load(c);
	} else {
		cycle_done(c);
	}
}

/* -- a cycle -- */

static void
cycle_begin(struct caddy *c)
{
	struct err e;

	if (c->coming) {
		sites_follow(&c->sites, c->coming);
		c->revision = c->coming->revision;
		c->coming = snapshot_unref(c->coming);
	}
	batch_init(&c->batch, &c->sites);
	if (disk_read_main(&c->arena, c->settings->caddy, &c->main, &e) < 0) {
		cycle_fail(c, e.text);
		return;
	}
	adapt(c);
}

static void
on_timer(uv_timer_t *timer)
{
	struct caddy *c = timer->data;

	if (c->step != STEP_IDLE || c->job || !c->published)
		return;
	if (c->coming || !c->loaded || *c->error || first_due(c)) {
		cycle_begin(c);
	} else {
		look(c);
	}
}

static void
publish(struct output *o, struct snapshot *s)
{
	struct caddy *c = (struct caddy *)o;
	uint64_t now = now_ms();

	snapshot_ref(s);
	snapshot_unref(c->coming);
	c->coming = s;
	c->published = s->revision;
	if (c->step == STEP_IDLE && !c->blocked)
		wake_in(c, c->next_ms > now ? c->next_ms - now : 0);
}

/* -- the output -- */

static void
info(struct output *o, struct output_info *ret)
{
	struct caddy *c = (struct caddy *)o;

	json_decref(c->details);
	c->details = json_pack("{s:s,s:I,s:I}", "admin", c->url, "sites",
		(json_int_t)HASH_COUNT(c->sites.list), "loads", (json_int_t)c->loads);
	*ret = (struct output_info){
		.name = c->settings->caddy->name,
		.kind = "caddy",
		.revision = arrivals_newest(&c->arrivals),
		.published = c->published,
		.converged = c->arrivals.n && arrivals_newest(&c->arrivals) == c->published,
		.error = c->error,
		.details = c->details,
	};
}

static uint64_t
applied_ago_ms(struct output *o, uint64_t revision)
{
	const struct caddy *c = (struct caddy *)o;

	return arrivals_ago_ms(&c->arrivals, revision, now_ms());
}

static void
problems(struct output *o, void (*fn)(void *arg, const struct problem *p), void *arg)
{
	const struct caddy *c = (struct caddy *)o;
	sites_problems(&c->sites, fn, arg);
}

static void
look_at_disk(struct caddy *c)
{
	struct site_listing l;
	struct err e;

	site_store_sweep(c->settings->caddy->sites);
	if (site_store_list(c->settings->caddy->sites, &l, &e) < 0)
		return; /* writing will say why */
	sites_found(&c->sites, &l);
	site_listing_finish(&l);
}

static struct site_template *
template_of(const struct settings *settings)
{
	struct err e;
	struct site_template *t = site_template_parse(settings->caddy->template, &e);
	assert(t);
	return t;
}

struct caddy *
caddy_create(uv_loop_t *loop, struct httpc *http, const struct settings *settings)
{
	struct caddy *c = xcalloc(1, sizeof(*c));
	c->output = (struct output){.publish = publish,
		.info = info,
		.applied_ago_ms = applied_ago_ms,
		.problems = problems};
	c->loop = loop;
	c->http = http;
	c->settings = settings;
	c->url = xstrdup(settings->caddy->admin);
	c->admin = admin_create(http, c->url);
	sites_init(&c->sites, settings, template_of(settings));
	look_at_disk(c);
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
	return c;
}

/* What is under way is given up: its files are written, and loaded with the next cycle. */
static void
give_up(struct caddy *c)
{
	if (c->job)
		c->job->stale = true;
	admin_destroy(c->admin);
	c->admin = NULL;
	cycle_end(c);
}

void
caddy_reload(struct caddy *c, const struct settings *settings)
{
	struct snapshot *newest = c->coming ? c->coming : c->sites.snapshot;
	give_up(c);
	free(c->url);
	c->url = xstrdup(settings->caddy->admin);
	c->admin = admin_create(c->http, c->url);
	c->settings = settings;
	sites_reload(&c->sites, settings, template_of(settings));
	look_at_disk(c);
	c->loaded = false;
	if (newest && !c->coming)
		c->coming = snapshot_ref(newest);
	wake_in(c, 0);
}

static void
on_closed(uv_handle_t *handle)
{
	struct caddy *c = handle->data;

	json_decref(c->details);
	free(c->url);
	free(c);
}

void
caddy_destroy(struct caddy *c)
{
	if (!c)
		return;
	give_up(c);
	if (c->job)
		c->job->done = NULL;
	snapshot_unref(c->coming);
	sites_finish(&c->sites);
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

struct output *
caddy_output(struct caddy *c)
{
	return &c->output;
}
