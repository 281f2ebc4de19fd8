#include "provider/caddy/sites.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/text.h"

#define DEFAULT_NAME "waymark.caddy"

struct owner {
	UT_hash_handle hh;
	char *project;
	struct project_plan *plan; /* whose sites these are */
	struct arena arena;
	struct site_files files;
	struct problems problems;
	bool seen; /* in the snapshot that is being followed */
};

void
sites_init(struct sites *s, const struct settings *settings, struct site_template *template)
{
	*s = (struct sites){.settings = settings, .template = template};
}

static void
site_free(struct sites *s, struct site *site)
{
	HASH_DEL(s->list, site);
	free(site->name);
	free(site->wanted);
	free(site->good);
	free(site->disk);
	free(site->refused);
	free(site->why);
	free(site->project);
	free(site);
}

static void
owner_free(struct sites *s, struct owner *o)
{
	HASH_DEL(s->owners, o);
	project_plan_unref(o->plan);
	arena_finish(&o->arena);
	free(o->project);
	free(o);
}

void
sites_finish(struct sites *s)
{
	struct site *site, *next;
	struct owner *o, *onext;

	HASH_ITER(hh, s->list, site, next)
	site_free(s, site);
	HASH_ITER(hh, s->owners, o, onext)
	owner_free(s, o);
	snapshot_unref(s->snapshot);
	site_template_destroy(s->template);
	*s = (struct sites){0};
}

struct site *
sites_find(const struct sites *s, const char *name)
{
	struct site *site;
	HASH_FIND_STR(s->list, name, site);
	return site;
}

static struct site *
site_need(struct sites *s, const char *name)
{
	struct site *site = sites_find(s, name);

	if (!site) {
		site = xcalloc(1, sizeof(*site));
		site->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, s->list, site->name, strlen(site->name), site);
	}
	return site;
}

static void
set_text(char **text, const char *value)
{
	char *copy = value ? xstrdup(value) : NULL;
	free(*text);
	*text = copy;
}

const char *
site_target(const struct site *site)
{
	if (site->foreign || site->failed)
		return site->good;
	if (site->refused && site->wanted && strcmp(site->refused, site->wanted) == 0)
		return site->good;
	return site->wanted;
}

bool
site_is_due(const struct site *site)
{
	const char *target = site_target(site);
	return text_compare(target, site->good) != 0 || text_compare(target, site->disk) != 0;
}

void
site_store(struct site *site, const char *text)
{
	set_text(&site->disk, text);
}

void
site_refuse(struct site *site, const char *text, const char *why)
{
	set_text(&site->refused, text);
	set_text(&site->why, why);
}

void
site_settle(struct site *site, const char *text)
{
	set_text(&site->good, text);
	if (text && site->wanted && strcmp(text, site->wanted) == 0) {
		set_text(&site->refused, NULL);
		set_text(&site->why, NULL);
	}
}

void
sites_found(struct sites *s, const struct site_listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i].ours && l->list[i].text) {
			struct site *site = site_need(s, l->list[i].name);
			set_text(&site->good, l->list[i].text);
			set_text(&site->disk, l->list[i].text);
		}
}

void
sites_changed(struct sites *s, const struct site_listing *l)
{
	struct site *site;

	for (site = s->list; site; site = site->hh.next) {
		site->foreign = false;
		set_text(&site->refused, NULL);
		set_text(&site->why, NULL);
		set_text(&site->disk, NULL);
	}
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i].ours && l->list[i].text)
			set_text(&site_need(s, l->list[i].name)->disk, l->list[i].text);
}

/* -- following -- */

static void
site_want(struct sites *s, const char *name, const char *text, const char *project)
{
	struct site *site = site_need(s, name);

	site->failed = !text;
	set_text(&site->project, project);
	if (!text)
		return;
	if (!site->wanted || strcmp(site->wanted, text) != 0)
		site->foreign = false; /* to be looked at again */
	set_text(&site->wanted, text);
}

static bool
lists(const struct site_files *files, const char *name)
{
	for (size_t i = 0; i < files->n; i++)
		if (strcmp(files->list[i].name, name) == 0)
			return true;
	return false;
}

/* Sites that the plan before wanted, and this one does not. */
static void
unwant(struct sites *s, const struct site_files *before, const struct site_files *now)
{
	for (size_t i = 0; i < before->n; i++) {
		struct site *site = sites_find(s, before->list[i].name);
		if (!site || lists(now, site->name))
			continue;
		set_text(&site->wanted, NULL);
		site->failed = site->foreign = false;
	}
}

static void
owner_render(struct sites *s, struct owner *o, const struct project_plan *plan)
{
	struct arena last = o->arena;
	struct site_files before = o->files;

	o->arena = (struct arena){0};
	o->problems = (struct problems){.arena = &o->arena};
	o->files = (struct site_files){0};
	site_render(plan, s->settings, s->template, &o->arena, &o->files, &o->problems);
	for (size_t i = 0; i < o->files.n; i++)
		site_want(s, o->files.list[i].name, o->files.list[i].text, plan->project);
	unwant(s, &before, &o->files);
	arena_finish(&last);
	project_plan_unref(o->plan);
	o->plan = project_plan_ref(plan);
}

static void
plan_follow(struct sites *s, struct project_plan *plan)
{
	struct owner *o;

	HASH_FIND_STR(s->owners, plan->project, o);
	if (!o) {
		o = xcalloc(1, sizeof(*o));
		o->project = xstrdup(plan->project);
		HASH_ADD_KEYPTR(hh, s->owners, o->project, strlen(o->project), o);
	}
	o->seen = true;
	if (o->plan != plan)
		owner_render(s, o, plan);
}

static void
drop_unseen(struct sites *s)
{
	struct owner *o, *next;

	HASH_ITER(hh, s->owners, o, next)
	{
		if (!o->seen) {
			unwant(s, &o->files, &(struct site_files){0});
			owner_free(s, o);
		} else {
			o->seen = false;
		}
	}
}

/* Of an earlier run, and of projects that are no more. */
static void
drop_strangers(struct sites *s)
{
	struct site *site, *next;

	HASH_ITER(hh, s->list, site, next)
	if (!site->wanted && !site->good && !site->disk && !site->failed)
		site_free(s, site);
}

void
sites_follow(struct sites *s, struct snapshot *snapshot)
{
	struct arena a = {0};

	site_want(s, DEFAULT_NAME, site_render_default(s->settings, &a), NULL);
	arena_finish(&a);
	for (size_t i = 0; i < snapshot->nchunks; i++)
		for (size_t k = 0; k < snapshot->chunks[i]->n; k++)
			plan_follow(s, snapshot->chunks[i]->plan[k]);
	drop_unseen(s);
	drop_strangers(s);
	snapshot_ref(snapshot);
	snapshot_unref(s->snapshot);
	s->snapshot = snapshot;
}

void
sites_reload(struct sites *s, const struct settings *settings, struct site_template *template)
{
	struct owner *o, *next;

	site_template_destroy(s->template);
	s->template = template;
	s->settings = settings;
	HASH_ITER(hh, s->owners, o, next)
	o->plan = project_plan_unref(o->plan);
}

/* -- problems -- */

static void
site_problem(const struct site *site, void (*fn)(void *arg, const struct problem *p), void *arg)
{
	struct problem p = {
		.code = PROBLEM_SITE_REFUSED,
		.object = site->name,
		.what = site->why ? site->why : "",
		.remedy = "mend the template or the value; the site's last good version is served "
			  "until then",
		.project = site->project,
	};

	if (site->foreign) {
		p.code = PROBLEM_SITE_FOREIGN;
		p.what = "somebody else's file has the name of this site's";
		p.remedy = "remove it, or let its writer leave the site to Waymark";
	}
	if (site->foreign || site->why)
		fn(arg, &p);
}

void
sites_problems(const struct sites *s, void (*fn)(void *arg, const struct problem *p), void *arg)
{
	for (const struct owner *o = s->owners; o; o = o->hh.next)
		for (size_t i = 0; i < o->problems.n; i++)
			fn(arg, &o->problems.list[i]);
	for (const struct site *site = s->list; site; site = site->hh.next)
		site_problem(site, fn, arg);
}
