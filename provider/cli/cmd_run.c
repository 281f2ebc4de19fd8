/* cmd_run.c - `waymark run`: the composition root.  Configuration in; sources, outputs and server
 * on one loop until SIGTERM. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <uv.h>

#include "provider/caddy/caddy.h"
#include "provider/cli/cli.h"
#include "provider/cli/config.h"
#include "provider/cli/keeper.h"
#include "provider/pages/pages.h"
#include "provider/status/api.h"
#include "provider/status/server.h"
#include "provider/traefik/traefik.h"
#include "provider/traefik/traefik_render.h"
#include "reconciler/base/httpc.h"
#include "reconciler/base/log.h"
#include "reconciler/reconcile.h"

static const int stop_signals[] = {SIGTERM, SIGINT};

#define NSIGNALS 3

struct program {
	uv_loop_t loop;
	struct config *config;
	struct config *last_config; /* what closing handles may still look at */
	struct httpc *http;
	struct traefik *traefik;
	struct caddy *caddy; /* NULL: none */
	struct output *outputs[2];
	size_t noutputs, naside; /* that count, and that do not */
	struct keeper *keeper;
	struct reconciler *reconciler;
	struct api *api;
	struct server *server;
	struct server_routes routes[2];
	struct pages *pages;
	uv_signal_t signals[NSIGNALS];
};

static struct server_config
server_config_of(struct program *p, const struct config *c)
{
	return (struct server_config){
		.loop = &p->loop,
		.nlisten = c->nlisten,
		.listen = c->listen,
		.ntokens = c->ntokens,
		.tokens = c->tokens,
		.nroutes = 2,
		.routes = p->routes,
	};
}

/* What a visitor gets from the pages. */
static bool
find_answer(void *arg, const char *host, const char *path, enum route_answer *ret)
{
	const struct program *p = arg;
	const struct route *route = reconciler_route(p->reconciler, host, path);

	/* Before the first look nobody knows which hosts there are. */
	if (!route && reconciler_ready(p->reconciler))
		return false;
	*ret = route ? route->answer : ANSWER_STARTING;
	return true;
}

static void
adopt_config(struct program *p, struct config *next)
{
	config_destroy(p->last_config);
	p->last_config = p->config;
	p->config = next;
	log_setup(next->log_format, next->log_level);
}

/* Those that count come first. */
static void
list_outputs(struct program *p)
{
	bool aside = p->config->settings->traefik.aside && p->caddy;
	size_t n = 0;

	if (p->caddy)
		p->outputs[n++] = caddy_output(p->caddy);
	p->outputs[n++] = traefik_output(p->traefik);
	p->noutputs = n - aside;
	p->naside = aside;
}

/* A Caddy comes, goes, or has other settings. */
static void
reload_caddy(struct program *p, const struct settings *next)
{
	struct caddy *gone = next->caddy ? NULL : p->caddy;

	if (gone)
		p->caddy = NULL;
	else if (p->caddy)
		caddy_reload(p->caddy, next);
	else if (next->caddy)
		p->caddy = caddy_create(&p->loop, p->http, next);
	list_outputs(p);
	reconciler_set_outputs(p->reconciler, p->noutputs, p->naside);
	caddy_destroy(gone);
}

static void
reload(struct program *p)
{
	struct config_errors errors = {0};
	struct config *next = config_load(p->config->path, &errors);

	if (!next) {
		for (size_t i = 0; i < errors.n; i++)
			LOG(LOG_ERROR, "the new configuration is bad, keeping the old one",
				LOG_S("file", errors.list[i].file),
				LOG_N("line", errors.list[i].line),
				LOG_S("path", errors.list[i].path),
				LOG_S("err", errors.list[i].what),
				LOG_S("remedy", errors.list[i].remedy));
		config_errors_finish(&errors);
		return;
	}
	config_errors_finish(&errors);

	struct err e;
	struct server_config cfg = server_config_of(p, next);
	if (server_reload(p->server, &cfg, &e) < 0) {
		LOG(LOG_ERROR, "cannot listen as the new configuration says, keeping the old one",
			LOG_S("err", e.text));
		config_destroy(next);
		return;
	}
	if (strcmp(p->config->state_dir, next->state_dir))
		LOG(LOG_WARN, "state_dir changed", LOG_S("path", next->state_dir),
			LOG_S("next", "used from the next start on"));
	adopt_config(p, next);
	config_warnings_log(next);
	reconciler_reload(p->reconciler, next->settings);
	traefik_reload(p->traefik, next->settings);
	reload_caddy(p, next->settings);
	pages_reload(p->pages, next->pages_listen, next->pages_directory);
	keeper_reload(p->keeper, next->settings, p->noutputs);
	LOG(LOG_INFO, "configuration read again");
}

static void
stop(struct program *p)
{
	pages_destroy(p->pages);
	server_destroy(p->server);
	api_destroy(p->api);
	reconciler_destroy(p->reconciler);
	keeper_destroy(p->keeper);
	traefik_destroy(p->traefik);
	caddy_destroy(p->caddy);
	httpc_destroy(p->http);
	for (size_t i = 0; i < NSIGNALS; i++)
		uv_close((uv_handle_t *)&p->signals[i], NULL);
}

static void
on_signal(uv_signal_t *handle, int number)
{
	struct program *p = handle->data;

	if (number == SIGHUP) {
		reload(p);
		return;
	}
	LOG(LOG_INFO, "stopping", LOG_S("signal", strsignal(number)));
	stop(p);
}

static void
watch_signals(struct program *p)
{
	const int numbers[NSIGNALS] = {stop_signals[0], stop_signals[1], SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < NSIGNALS; i++) {
		uv_signal_init(&p->loop, &p->signals[i]);
		p->signals[i].data = p;
		uv_signal_start(&p->signals[i], on_signal, numbers[i]);
	}
}

static void
assemble(struct program *p)
{
	p->http = httpc_create(&p->loop);
	p->traefik = traefik_create(&p->loop, p->http, p->config->settings);
	if (p->config->settings->caddy)
		p->caddy = caddy_create(&p->loop, p->http, p->config->settings);
	list_outputs(p);
	p->keeper = keeper_create(&(struct keeper_config){
		.loop = &p->loop,
		.settings = p->config->settings,
		.config_path = p->config->path,
		.noutputs = p->noutputs,
		.outputs = p->outputs,
	});
	p->reconciler = reconciler_create(&(struct reconciler_config){
		.loop = &p->loop,
		.http = p->http,
		.settings = p->config->settings,
		.state_dir = p->config->state_dir,
		.renderers = {[TRAEFIK_OUTPUT] = &traefik_renderer},
		.noutputs = p->noutputs,
		.naside = p->naside,
		.outputs = p->outputs,
		.observer = keeper_observer(p->keeper),
	});
	p->api = api_create(p->reconciler);
	p->routes[0] = traefik_routes(p->traefik);
	p->routes[1] = api_routes(p->api);
	p->pages = pages_create(
		&(struct pages_config){.loop = &p->loop, .find = find_answer, .arg = p});
	watch_signals(p);
}

static int
start(struct program *p, struct err *reterr)
{
	struct server_config cfg = server_config_of(p, p->config);

	p->server = server_create(&cfg, reterr);
	if (!p->server)
		return -reterr->code;
	for (size_t i = 0; server_address(p->server, i); i++)
		LOG(LOG_INFO, "listening", LOG_S("address", server_address(p->server, i)));
	pages_reload(p->pages, p->config->pages_listen, p->config->pages_directory);
	return reconciler_start(p->reconciler, reterr);
}

/* Large buffers live for a moment (a list, the state made anew): let them go back to the system
 * instead of into the heap, which glibc would otherwise decide by the largest one it saw. */
static void
tune_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

/* Each held poll, stream and probe is a descriptor. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int
cmd_run(int argc, char **argv)
{
	struct program p = {0};
	struct err e;
	int r = CLI_DONE;

	if (cli_config(argc, argv, &p.config) < 0)
		return CLI_USAGE;
	tune_memory();
	raise_descriptors();
	LOG(LOG_INFO, "waymark starts", LOG_S("version", WAYMARK_VERSION));

	uv_loop_init(&p.loop);
	assemble(&p);
	if (start(&p, &e) < 0) {
		LOG(LOG_ERROR, "cannot start", LOG_S("err", e.text),
			LOG_S("next", "ends; change `listen` or `state_dir`, or end what uses it"));
		r = CLI_USAGE;
		stop(&p);
	}
	uv_run(&p.loop, UV_RUN_DEFAULT);
	uv_loop_close(&p.loop);
	config_destroy(p.config);
	config_destroy(p.last_config);
	return r;
}
