#include "provider/cli/cli_look.h"

#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "reconciler/base/httpc.h"
#include "reconciler/base/log.h"
#include "reconciler/registry/registry_parse.h"

/* Longer than the 10 s that a query is given, so that the server's own words are heard. */
#define LOOK_MS 12000
#define TICK_MS 20
/* A registry that says it cannot be read may be a server that just starts, or a file half written,
 * which is read again for a second before it counts as broken. */
#define SETTLE_MS 1500

struct look {
	uv_loop_t loop;
	uv_timer_t tick;
	struct reconciler *reconciler;
	bool has_slot_files; /* one of them may be broken without holding up the others */
	uint64_t started_ms;
	uint64_t answered_ms; /* since when every source is there or has failed; 0: it is not so */
};

/* -- what is wrong -- */

struct search {
	const struct source_info *info;
	bool found;
};

/* Faults are named by files, or "postgres" and where it is. */
static void
compare_fault(void *arg, const struct registry_fault *f)
{
	struct search *search = arg;
	const char *address = search->info->address, *file = f->file;
	size_t kind = strlen(search->info->kind), n = strlen(address);
	if (strncmp(file, search->info->kind, kind) == 0 && file[kind] == ' ')
		file += kind + 1;
	search->found = search->found || (n && strncmp(file, address, n) == 0);
}

/* Has the source a fault, which says more than that it cannot be used? */
static bool
has_fault(const struct reconciler *r, const struct source_info *info)
{
	struct search search = {info, false};
	reconciler_each_fault(r, compare_fault, &search);
	return search.found;
}

static void
add_fault(void *arg, const struct registry_fault *f)
{
	config_errors_add(arg, f->file, f->line, f->path, f->what, f->remedy);
}

static void
add_source(struct config_errors *faults, const struct source_info *info, const char *file)
{
	char what[1024];
	snprintf(what, sizeof(what), "%s: %s", info->address,
		info->error[0] ? info->error : "it did not answer in time");
	config_errors_add(faults, file, 0, info->name, what, "mend it there, or name another");
}

bool
cli_look_report(const struct reconciler *r, const struct config *c, FILE *to)
{
	struct config_errors faults = {0};
	reconciler_each_fault(r, add_fault, &faults);
	for (size_t i = 0; i < reconciler_nsources(r); i++) {
		struct source_info info;
		reconciler_source(r, i, &info);
		if (info.status != SOURCE_READY && !has_fault(r, &info))
			add_source(&faults, &info, c->path ? c->path : "environment");
	}
	config_errors_show(&faults, to);
	bool any = faults.n > 0;
	config_errors_finish(&faults);
	return any;
}

/* -- the look -- */

/* Has every source been seen, or said why not? */
static bool
all_have_answered(const struct look *l)
{
	for (size_t i = 0; i < reconciler_nsources(l->reconciler); i++) {
		struct source_info info;
		reconciler_source(l->reconciler, i, &info);
		if (info.status != SOURCE_READY && !info.error[0] &&
			!has_fault(l->reconciler, &info))
			return false;
	}
	return true;
}

static bool
has_slot_files(const struct settings *s)
{
	struct arena a = {0};
	const char *directory = s->registry.directory;
	bool has = directory && access(arena_printf(&a, "%s/slots", directory), F_OK) == 0;
	arena_finish(&a);
	return has;
}

static void
on_tick(uv_timer_t *timer)
{
	struct look *l = timer->data;
	uint64_t now = uv_now(&l->loop);
	if (!all_have_answered(l))
		l->answered_ms = 0;
	else if (!l->answered_ms)
		l->answered_ms = now;
	bool seen = reconciler_ready(l->reconciler) && !l->has_slot_files;
	bool settled = l->answered_ms && now - l->answered_ms >= SETTLE_MS;
	if (seen || settled || now - l->started_ms >= LOOK_MS)
		uv_stop(&l->loop);
}

void
cli_look(const struct settings *s, void (*fn)(void *arg, const struct reconciler *r, bool whole),
	void *arg)
{
	struct settings without_engines = *s;
	struct look l = {.has_slot_files = has_slot_files(s)};
	struct err e;

	without_engines.nengines = 0;
	log_setup(LOG_TEXT, LOG_ERROR);
	uv_loop_init(&l.loop);
	struct httpc *http = httpc_create(&l.loop);
	l.reconciler = reconciler_create(&(struct reconciler_config){
		.loop = &l.loop, .http = http, .settings = &without_engines});
	uv_timer_init(&l.loop, &l.tick);
	l.tick.data = &l;
	l.started_ms = uv_now(&l.loop);
	uv_timer_start(&l.tick, on_tick, TICK_MS, TICK_MS);
	reconciler_start(l.reconciler, &e);
	uv_run(&l.loop, UV_RUN_DEFAULT);

	fn(arg, l.reconciler, reconciler_ready(l.reconciler));
	reconciler_destroy(l.reconciler);
	httpc_destroy(http);
	uv_close((uv_handle_t *)&l.tick, NULL);
	uv_run(&l.loop, UV_RUN_DEFAULT);
	uv_loop_close(&l.loop);
}
