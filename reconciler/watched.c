#include "reconciler/watched.h"

#include "reconciler/base/log.h"

void
watched_info(const struct watched *w, struct source_info *ret)
{
	if (w->engine)
		engine_info(w->engine, ret);
	else
		w->registry->ops->info(w->registry, ret);
}

void
watched_restored(struct watched *w)
{
	if (w->engine)
		engine_restored(w->engine);
	else
		w->registry->ops->restored(w->registry);
}

void
watched_start(struct watched *w)
{
	if (w->engine)
		engine_start(w->engine);
	else
		w->registry->ops->start(w->registry);
}

void
watched_finish(struct watched *w)
{
	engine_destroy(w->engine);
	if (w->registry)
		w->registry->ops->destroy(w->registry);
}

static void
log_status(const struct source_info *info)
{
	if (info->status == SOURCE_READY)
		LOG(LOG_INFO, "source ready", LOG_S("source", info->name),
			LOG_S("kind", info->kind), LOG_S("version", info->version),
			LOG_N("objects", info->objects));
	else if (info->status == SOURCE_STALE)
		LOG(LOG_WARN, "source does not answer, keeping what it last said",
			LOG_S("source", info->name), LOG_S("err", info->error));
	else
		LOG(LOG_WARN, "source does not answer, trying again", LOG_S("source", info->name),
			LOG_S("err", info->error));
}

bool
watched_note(struct watched *w)
{
	struct source_info info;

	watched_info(w, &info);
	bool failed = *info.error;
	if (info.status != w->status || (info.status == SOURCE_NEW && failed && !w->failed))
		log_status(&info);
	w->status = info.status;
	w->failed = failed;
	if (info.status != SOURCE_READY)
		return false;

	bool first = !w->seen;
	w->seen = w->looked = true;
	return first;
}
