/* fake_engine.c - a Docker engine with as many containers as one likes, and none at all.
 *
 *	fake_engine API_SOCKET CONTROL_SOCKET [CONTAINERS]
 *
 * Prints one line when it listens; ends with the control command "quit", a signal, or when its
 * standard input ends, so that it never outlives a test that died.  See README.md.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "tests/bench/fake_api.h"
#include "tests/bench/fake_control.h"
#include "tests/bench/fake_render.h"
#include "tests/bench/fake_world.h"

static void
stdin_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	static char room[64];

	(void)suggested;
	(void)handle;
	*ret = uv_buf_init(room, sizeof(room));
}

static void
stdin_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	(void)bytes;
	if (n < 0)
		uv_stop(stream->loop);
}

/* Only where standard input is a pipe: a terminal or /dev/null says nothing about a parent. */
static void
stdin_watch(uv_loop_t *loop, uv_pipe_t *pipe)
{
	uv_pipe_init(loop, pipe, 0);
	if (uv_guess_handle(0) == UV_NAMED_PIPE && !uv_pipe_open(pipe, 0))
		uv_read_start((uv_stream_t *)pipe, stdin_alloc, stdin_read);
}

static void
on_signal(uv_signal_t *handle, int signum)
{
	(void)signum;
	uv_stop(handle->loop);
}

static void
serve(uv_loop_t *loop, const char *api_path, const char *control_path, struct world *world)
{
	uv_signal_t term, interrupt;
	uv_pipe_t parent;
	struct api *api = api_create(loop, api_path, world);
	struct control *control = control_create(loop, control_path, world, api);

	uv_signal_init(loop, &term);
	uv_signal_start(&term, on_signal, SIGTERM);
	uv_signal_init(loop, &interrupt);
	uv_signal_start(&interrupt, on_signal, SIGINT);
	stdin_watch(loop, &parent);
	printf("listening with %zu containers\n", world->n);
	fflush(stdout);
	uv_run(loop, UV_RUN_DEFAULT);

	uv_close((uv_handle_t *)&term, NULL);
	uv_close((uv_handle_t *)&interrupt, NULL);
	uv_close((uv_handle_t *)&parent, NULL);
	control_destroy(control);
	api_destroy(api);
}

int
main(int argc, char **argv)
{
	struct world world;
	uv_loop_t loop;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: fake_engine API_SOCKET CONTROL_SOCKET [CONTAINERS]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	fake_render_init();
	world_init(&world, argc > 3 ? strtoul(argv[3], NULL, 10) : 0);
	uv_loop_init(&loop);
	serve(&loop, argv[1], argv[2], &world);
	uv_loop_close(&loop);
	world_finish(&world);
	fake_render_finish();
	return 0;
}
