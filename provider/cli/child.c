#include "provider/cli/child.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "reconciler/base/arena.h"

struct child {
	uv_process_t process;
	uv_pipe_t err;
	void (*on_end)(void *arg, const struct child_end *end); /* NULL: abandoned */
	void *arg;
	bool exited, silent; /* over when both */
	struct child_end end;
	size_t n;
	char said[CHILD_SAYS_MAX + 1];
	int nhandles;
};

static void
on_closed(uv_handle_t *handle)
{
	struct child *c = handle->data;
	if (--c->nhandles == 0)
		free(c);
}

static void
child_close(struct child *c)
{
	c->on_end = NULL;
	uv_close((uv_handle_t *)&c->process, on_closed);
	uv_close((uv_handle_t *)&c->err, on_closed);
}

static void
check_end(struct child *c)
{
	if (!c->exited || !c->silent || !c->on_end)
		return;
	c->said[c->n] = '\0';
	c->end.said = c->said;
	c->on_end(c->arg, &c->end);
	child_close(c);
}

static void
on_exit_of(uv_process_t *process, int64_t code, int signal)
{
	struct child *c = process->data;

	c->exited = true;
	c->end.code = signal ? -1 : (int)code;
	c->end.signal = signal;
	check_end(c);
}

/* What does not fit is read, too, lest it wait for a reader. */
static void
on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	static char rest[CHILD_SAYS_MAX];
	struct child *c = handle->data;

	(void)suggested;
	*ret = c->n < CHILD_SAYS_MAX
		       ? uv_buf_init(c->said + c->n, (unsigned)(CHILD_SAYS_MAX - c->n))
		       : uv_buf_init(rest, sizeof(rest));
}

static void
on_said(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct child *c = stream->data;

	if (n > 0 && buf->base == c->said + c->n)
		c->n += (size_t)n;
	if (n >= 0)
		return;
	c->silent = true;
	uv_read_stop(stream);
	check_end(c);
}

/* Libraries open connections without FD_CLOEXEC.  A proxy whose poll is held would not notice that
 * Waymark has ended as long as a child has the socket.  Linux 5.11; before it they stay open. */
static void
keep_descriptors(void)
{
	close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
}

struct child *
child_start(uv_loop_t *loop, char *const *argv,
	void (*on_end)(void *arg, const struct child_end *end), void *arg, struct err *reterr)
{
	struct child *c = xcalloc(1, sizeof(*c));
	uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE},
		{.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE)}};
	uv_process_options_t options = {
		.exit_cb = on_exit_of, .file = argv[0], .stdio_count = 3, .stdio = stdio};

	/* It does not write into them (exec(3p)). */
	options.args = (char **)(uintptr_t)argv;
	stdio[2].data.stream = (uv_stream_t *)&c->err;
	c->on_end = on_end;
	c->arg = arg;
	c->nhandles = 2;
	c->process.data = c->err.data = c;
	uv_pipe_init(loop, &c->err, 0);
	c->err.data = c;
	keep_descriptors();
	int r = uv_spawn(loop, &c->process, &options);
	c->process.data = c;
	if (r < 0) {
		err_set(reterr, -r, "%s cannot be started: %s", argv[0], uv_strerror(r));
		child_close(c);
		return NULL;
	}
	uv_read_start((uv_stream_t *)&c->err, on_room, on_said);
	return c;
}

void
child_signal(struct child *c, int number)
{
	if (!c->exited)
		uv_process_kill(&c->process, number);
}

void
child_abandon(struct child *c)
{
	if (c)
		child_close(c);
}
