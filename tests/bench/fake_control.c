#include "tests/bench/fake_control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "tests/bench/fake_storm.h"

#define WORDS_MAX 32
#define LINE_MAX_BYTES 65536

struct control {
	uv_loop_t *loop;
	uv_pipe_t listener;
	struct world *world;
	struct api *api;
	struct client *clients;
	struct storm *storm;
	struct client *stormed; /* who waits for the storm's end; NULL: gone */
};

struct client {
	uv_pipe_t pipe;
	struct control *control;
	struct client *next, **place;
	struct buf in;
};

/* A line cut at its spaces. */
struct words {
	size_t n;
	char *word[WORDS_MAX];
};

/* ---- replies ---- */

struct reply {
	uv_write_t req;
	char *bytes;
};

static void
reply_written(uv_write_t *req, int status)
{
	struct reply *r = req->data;

	(void)status;
	free(r->bytes);
	free(r);
}

/* Takes the buffer's bytes. */
static void
client_reply(struct client *c, struct buf *b)
{
	struct reply *r = xcalloc(1, sizeof(*r));
	size_t n;

	r->bytes = buf_steal(b, &n);
	r->req.data = r;
	uv_buf_t piece = uv_buf_init(r->bytes, (unsigned)n);
	if (uv_write(&r->req, (uv_stream_t *)&c->pipe, &piece, 1, reply_written) < 0)
		reply_written(&r->req, -1);
}

/* ---- commands ----
 *
 * Each prints its reply; an empty reply is the plain "ok" of a change: "ok EVENTS FIRST_NS
 * LAST_NS". One that returns text failed, and this is why. */

typedef const char *command_fn(struct client *c, const struct words *w, struct buf *reply);

static const char unknown_container[] = "no such container";

static struct fake_container *
found(struct client *c, const struct words *w)
{
	return world_find(c->control->world, w->word[1]);
}

static const char *
run_add(struct client *c, const struct words *w, struct buf *reply)
{
	unsigned long n = strtoul(w->word[1], NULL, 10);
	struct buf ids = {0};

	for (unsigned long i = 0; i < n; i++)
		buf_addf(&ids, "%s\n", world_add(c->control->world, false)->id);
	buf_addf(reply, "ok %lu\n", n);
	buf_add(reply, ids.p, ids.n);
	buf_finish(&ids);
	return NULL;
}

static const char *
run_create(struct client *c, const struct words *w, struct buf *reply)
{
	struct world *world = c->control->world;

	if (world_find(world, w->word[1]))
		return "there is one of that name";
	buf_addf(reply, "ok %s\n", world_create(world, w->word[1], w->n - 2, w->word + 2)->id);
	return NULL;
}

#define SIMPLE(name, call)                                                                         \
	static const char *run_##name(struct client *c, const struct words *w, struct buf *reply)  \
	{                                                                                          \
		struct world *world = c->control->world;                                           \
		struct fake_container *f = found(c, w);                                            \
		(void)reply;                                                                       \
		if (!f)                                                                            \
			return unknown_container;                                                  \
		call;                                                                              \
		return NULL;                                                                       \
	}

SIMPLE(start, world_start(world, f))
SIMPLE(stop, world_stop(world, f))
SIMPLE(kill, world_kill(world, f))
SIMPLE(die, world_die(world, f))
SIMPLE(remove, world_remove(world, f))
SIMPLE(pause, world_pause(world, f, true))
SIMPLE(unpause, world_pause(world, f, false))
SIMPLE(rename, world_rename(world, f, w->word[2]))
SIMPLE(move, world_move(world, f, w->n > 2 ? w->word[2] : NULL))
SIMPLE(connect, world_connect(world, f, w->word[2], w->n > 3 ? w->word[3] : NULL))
SIMPLE(disconnect, world_disconnect(world, f, w->word[2]))

static const char *
run_health(struct client *c, const struct words *w, struct buf *reply)
{
	struct fake_container *f = found(c, w);

	(void)reply;
	if (!f)
		return unknown_container;
	for (int i = FAKE_NO_CHECK; i <= FAKE_UNHEALTHY; i++) {
		if (!strcmp(fake_health_text[i], w->word[2])) {
			world_set_health(c->control->world, f, (enum fake_health)i);
			return NULL;
		}
	}
	return "health is none, starting, healthy or unhealthy";
}

static const char *
text_or_dash(const char *s)
{
	return s && *s ? s : "-";
}

static const char *
run_world(struct client *c, const struct words *w, struct buf *reply)
{
	const struct world *world = c->control->world;

	(void)w;
	buf_addf(reply, "ok %zu\n", world->n);
	for (size_t i = 0; i < world->n; i++) {
		const struct fake_container *f = world->containers[i];
		buf_addf(reply, "%s %s %s %s %s %s %s %s\n", f->id, f->name,
			fake_state_text[f->state], fake_health_text[f->health],
			f->nnetworks ? f->networks[0].ip : "-",
			text_or_dash(fake_label(f, "waymark.project")),
			text_or_dash(fake_label(f, "waymark.branch")),
			text_or_dash(fake_label(f, "waymark.port")));
	}
	return NULL;
}

static const char *
run_counts(struct client *c, const struct words *w, struct buf *reply)
{
	const struct fake_counts *n = api_counts(c->control->api);

	(void)w;
	buf_adds(reply, "ok");
#define X(name) buf_addf(reply, " " #name "=%llu", (unsigned long long)n->name);
	FAKE_COUNTS(X)
#undef X
	buf_adds(reply, "\n");
	return NULL;
}

static const char *
run_reset(struct client *c, const struct words *w, struct buf *reply)
{
	(void)w;
	(void)reply;
	*api_counts(c->control->api) = (struct fake_counts){0};
	return NULL;
}

static void
storm_done(void *arg, const struct storm_result *r)
{
	struct control *control = arg;
	struct buf reply = {0};

	control->storm = NULL;
	buf_addf(&reply, "ok events=%llu changes=%llu first_ns=%llu last_ns=%llu late_ns=%llu\n",
		(unsigned long long)r->events, (unsigned long long)r->changes,
		(unsigned long long)r->first_ns, (unsigned long long)r->last_ns,
		(unsigned long long)r->late_ns);
	if (control->stormed)
		client_reply(control->stormed, &reply);
	buf_finish(&reply);
}

/* Replies at the storm's end. */
static const char *
run_storm(struct client *c, const struct words *w, struct buf *reply)
{
	struct control *control = c->control;
	double rate = strtod(w->word[1], NULL), seconds = strtod(w->word[2], NULL);

	(void)reply;
	if (control->storm || !control->world->n || rate <= 0 || seconds <= 0)
		return "one storm at a time, over some containers, at a rate, for some seconds";
	control->stormed = c;
	control->storm = storm_create(control->loop, control->world, control->api, rate, seconds,
		strtoull(w->word[3], NULL, 10), storm_done, control);
	return NULL;
}

static const char *
run_cut(struct client *c, const struct words *w, struct buf *reply)
{
	(void)w;
	(void)reply;
	api_cut(c->control->api);
	return NULL;
}

static const char *
run_down(struct client *c, const struct words *w, struct buf *reply)
{
	api_listen(c->control->api, false);
	return run_cut(c, w, reply);
}

static const char *
run_up(struct client *c, const struct words *w, struct buf *reply)
{
	(void)w;
	(void)reply;
	api_listen(c->control->api, true);
	return NULL;
}

static const char *
run_fail(struct client *c, const struct words *w, struct buf *reply)
{
	(void)reply;
	api_fail(c->control->api, (unsigned)strtoul(w->word[1], NULL, 10));
	return NULL;
}

static const char *
run_delay(struct client *c, const struct words *w, struct buf *reply)
{
	(void)reply;
	api_delay(c->control->api, (unsigned)strtoul(w->word[1], NULL, 10));
	return NULL;
}

static const char *
run_quit(struct client *c, const struct words *w, struct buf *reply)
{
	(void)w;
	(void)reply;
	uv_stop(c->control->loop);
	return NULL;
}

static const struct {
	const char *name;
	size_t words; /* at least, with its name */
	command_fn *run;
} commands[] = {
	{"add", 2, run_add},
	{"connect", 3, run_connect},
	{"counts", 1, run_counts},
	{"create", 2, run_create},
	{"cut", 1, run_cut},
	{"delay", 2, run_delay},
	{"die", 2, run_die},
	{"disconnect", 3, run_disconnect},
	{"down", 1, run_down},
	{"fail", 2, run_fail},
	{"health", 3, run_health},
	{"kill", 2, run_kill},
	{"move", 2, run_move},
	{"pause", 2, run_pause},
	{"quit", 1, run_quit},
	{"remove", 2, run_remove},
	{"rename", 3, run_rename},
	{"reset", 1, run_reset},
	{"start", 2, run_start},
	{"stop", 2, run_stop},
	{"storm", 4, run_storm},
	{"unpause", 2, run_unpause},
	{"up", 1, run_up},
	{"world", 1, run_world},
};

/* ---- lines ---- */

static void
words_split(char *line, struct words *ret)
{
	char *rest = NULL;

	ret->n = 0;
	for (char *s = strtok_r(line, " \r", &rest); s && ret->n < WORDS_MAX;
		s = strtok_r(NULL, " \r", &rest))
		ret->word[ret->n++] = s;
}

static const char *
words_run(struct client *c, const struct words *w, struct buf *reply)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, w->word[0]))
			return w->n < commands[i].words ? "too few words"
							: commands[i].run(c, w, reply);
	return "no such command";
}

static void
client_line(struct client *c, char *line)
{
	struct control *control = c->control;
	struct buf reply = {0};
	struct words words;
	struct api_batch batch;

	words_split(line, &words);
	if (!words.n)
		return;
	api_batch_take(control->api, &batch);
	const char *why = words_run(c, &words, &reply);
	if (why) {
		buf_reset(&reply);
		buf_addf(&reply, "error %s\n", why);
	} else if (!reply.n && strcmp(words.word[0], "storm")) {
		api_batch_take(control->api, &batch);
		buf_addf(&reply, "ok %llu %llu %llu\n", (unsigned long long)batch.events,
			(unsigned long long)batch.first_ns, (unsigned long long)batch.last_ns);
	}
	if (reply.n)
		client_reply(c, &reply);
	buf_finish(&reply);
}

static void
client_lines(struct client *c)
{
	char *start = c->in.p, *end;
	struct buf rest = {0};

	while ((end = strchr(start, '\n'))) {
		*end = '\0';
		client_line(c, start);
		start = end + 1;
	}
	buf_adds(&rest, start);
	buf_finish(&c->in);
	c->in = rest;
}

/* ---- connections ---- */

static void
client_free(uv_handle_t *handle)
{
	struct client *c = handle->data;

	buf_finish(&c->in);
	free(c);
}

static void
client_close(struct client *c)
{
	if (c->control->stormed == c)
		c->control->stormed = NULL;
	*c->place = c->next;
	if (c->next)
		c->next->place = c->place;
	uv_close((uv_handle_t *)&c->pipe, client_free);
}

static void
client_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	static char room[LINE_MAX_BYTES];

	(void)handle;
	(void)suggested;
	*ret = uv_buf_init(room, sizeof(room));
}

static void
client_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct client *c = stream->data;

	if (n < 0 || c->in.n > LINE_MAX_BYTES) {
		client_close(c);
		return;
	}
	buf_add(&c->in, bytes->base, (size_t)n);
	client_lines(c);
}

static void
control_accept(uv_stream_t *listener, int status)
{
	struct control *control = listener->data;
	struct client *c = xcalloc(1, sizeof(*c));

	(void)status;
	c->control = control;
	c->place = &control->clients;
	c->next = control->clients;
	if (c->next)
		c->next->place = &c->next;
	control->clients = c;
	uv_pipe_init(control->loop, &c->pipe, 0);
	c->pipe.data = c;
	uv_accept(listener, (uv_stream_t *)&c->pipe);
	uv_read_start((uv_stream_t *)&c->pipe, client_alloc, client_read);
}

struct control *
control_create(uv_loop_t *loop, const char *path, struct world *world, struct api *api)
{
	struct control *control = xcalloc(1, sizeof(*control));

	control->loop = loop;
	control->world = world;
	control->api = api;
	uv_pipe_init(loop, &control->listener, 0);
	control->listener.data = control;
	unlink(path);
	if (uv_pipe_bind(&control->listener, path) < 0 ||
		uv_listen((uv_stream_t *)&control->listener, 16, control_accept) < 0) {
		fprintf(stderr, "fake_engine: cannot listen on %s\n", path);
		exit(1);
	}
	return control;
}

void
control_destroy(struct control *control)
{
	storm_destroy(control->storm);
	while (control->clients)
		client_close(control->clients);
	uv_close((uv_handle_t *)&control->listener, NULL);
	uv_run(control->loop, UV_RUN_NOWAIT);
	uv_run(control->loop, UV_RUN_NOWAIT);
	free(control);
}
