/* cmd_wait.c - waits until a host's routes are what was asked for, everywhere. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "provider/cli/cli.h"
#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"
#include "reconciler/model/host.h"

#define TIMEOUT_DEFAULT "60s"
#define EVERY_MS 50
#define ASK_LEAST_MS 1000 /* an answer gets so much time even when the time-out is near */
#define ASK_MAX_MS 15000
#define SHOWN_MAX 78 /* of a terminal */

struct waiting {
	const char *host, *slot, *container;
	bool drained;
	const char *timeout; /* as it was given */
	uint64_t timeout_ms;
	char *address;
	char *path;
	bool reached; /* Waymark has answered once */
	bool shows; /* standard error is a terminal */
	struct buf what; /* what it waits for */
	struct buf shown; /* what the terminal shows of that */
};

static uint64_t
now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ── What is missing ───────────────────────────────────────────────────────────────────────── */

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static bool
is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* "container x in slot blue" */
static void
add_object(struct waiting *w)
{
	if (w->container)
		buf_addf(&w->what, "container %s", w->container);
	if (w->slot)
		buf_addf(&w->what, "%sslot %s", w->container ? " in " : "", w->slot);
}

static void
add_servers(struct buf *b, const json_t *serves)
{
	size_t i;
	json_t *one;
	json_array_foreach(serves, i, one)
	{
		const char *name = text_of(one, "container");
		buf_addf(b, "%s%s", i ? ", " : "", *name ? name : "a static upstream");
	}
}

/* Who is to serve it does not. */
static void
say_not_routed(struct waiting *w, const json_t *answer)
{
	const json_t *serves = json_object_get(answer, "serves");

	buf_addf(&w->what, "%s ", w->host);
	if (!is_true(answer, "known")) {
		buf_adds(&w->what, "has no route: no container and no registry asks for it");
	} else if (!json_array_size(serves)) {
		buf_adds(&w->what, "has a route and no container that is ready");
	} else {
		buf_adds(&w->what, "is not served by ");
		add_object(w);
		buf_adds(&w->what, ", but by ");
		add_servers(&w->what, serves);
	}
}

static void
say_not_applied(struct waiting *w, const json_t *answer)
{
	const char *name;
	json_t *ago;
	bool first = true;

	json_object_foreach(json_object_get(answer, "applied"), name, ago)
	{
		if (!json_is_null(ago))
			continue;
		buf_addf(&w->what, "%s%s", first ? "" : ", ", name);
		first = false;
	}
	buf_addf(&w->what,
		"%s not applied revision %" JSON_INTEGER_FORMAT " yet; `waymark status` says more",
		first ? "the outputs have" : " has",
		json_integer_value(json_object_get(answer, "revision")));
}

static void
say_served(struct waiting *w, const json_t *answer)
{
	const char *comma = "";
	size_t i;
	json_t *host;

	add_object(w);
	buf_adds(&w->what, " still serves ");
	if (is_true(answer, "routed")) {
		buf_adds(&w->what, w->host);
		comma = ", ";
	}
	json_array_foreach(json_object_get(answer, "elsewhere"), i, host)
	{
		buf_addf(&w->what, "%s%s", comma, json_string_value(host));
		comma = ", ";
	}
}

static bool
is_applied(struct waiting *w, const json_t *answer)
{
	if (json_is_integer(json_object_get(answer, "applied_ago_ms")))
		return true;
	say_not_applied(w, answer);
	return false;
}

/* Requests that were under way when the last output applied it. */
static bool
is_drained(struct waiting *w, const json_t *answer)
{
	json_int_t ago = json_integer_value(json_object_get(answer, "applied_ago_ms"));
	json_int_t drain = json_integer_value(json_object_get(answer, "drain_ms"));

	if (ago >= drain)
		return true;
	buf_addf(&w->what, "requests that ");
	add_object(w);
	buf_addf(&w->what, " may still answer get %" JSON_INTEGER_FORMAT " s more (slots.drain)",
		(drain - ago + 999) / 1000);
	return false;
}

/* Is it as asked?  Else w->what says what is missing. */
static bool
judge(struct waiting *w, const json_t *answer)
{
	bool routed = is_true(answer, "routed");

	buf_reset(&w->what);
	if (!w->drained && !routed) {
		say_not_routed(w, answer);
		return false;
	}
	if (w->drained && (routed || json_array_size(json_object_get(answer, "elsewhere")))) {
		say_served(w, answer);
		return false;
	}
	return is_applied(w, answer) && (!w->drained || is_drained(w, answer));
}

/* ── The terminal ──────────────────────────────────────────────────────────────────────────── */

/* One line, rewritten in place; nothing where nobody looks. */
static void
show(struct waiting *w, const char *text)
{
	if (!w->shows || (w->shown.n && !strcmp(w->shown.p, text)))
		return;
	buf_reset(&w->shown);
	buf_adds(&w->shown, text);
	fputs("\r\033[K", stderr);
	if (*text) {
		char line[SHOWN_MAX + 1];
		snprintf(line, sizeof(line), "waits: %s", text);
		cli_print(stderr, line);
	}
	fflush(stderr);
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

static int
fail(struct waiting *w, enum cli_exit result, const char *text)
{
	show(w, "");
	fputs("waymark: ", stderr);
	cli_print(stderr, text);
	fputc('\n', stderr);
	return result;
}

/* It asked once.  CLI_NO: once more. */
static enum cli_exit
ask(struct waiting *w, uint64_t left_ms)
{
	unsigned most = left_ms < ASK_LEAST_MS ? ASK_LEAST_MS
			: left_ms > ASK_MAX_MS ? ASK_MAX_MS
					       : (unsigned)left_ms;
	json_t *answer = NULL;
	struct err e;
	enum cli_exit result = cli_ask(w->address, w->path, most, &answer, &e);

	if (result == CLI_DONE) {
		w->reached = true;
		if (!judge(w, answer))
			result = CLI_NO;
		json_decref(answer);
		return result;
	}
	if (result == CLI_USAGE || (result == CLI_UNREACHED && !w->reached))
		return (enum cli_exit)fail(w, result, e.text);
	w->reached = true;
	buf_reset(&w->what);
	buf_addf(&w->what, "%s", e.text);
	return CLI_NO;
}

static int
time_out(struct waiting *w)
{
	struct buf b = {0};
	buf_addf(&b, "not within %s: %s", w->timeout, w->what.p);
	int result = fail(w, CLI_NO, b.p);
	buf_finish(&b);
	return result;
}

static int
wait_for_it(struct waiting *w)
{
	uint64_t end = now_ms() + w->timeout_ms;

	for (;;) {
		uint64_t now = now_ms();
		enum cli_exit result = ask(w, now < end ? end - now : 0);
		if (result != CLI_NO) {
			show(w, "");
			return result;
		}
		now = now_ms();
		if (now >= end)
			return time_out(w);
		show(w, w->what.p);
		usleep(1000 * (unsigned)(end - now < EVERY_MS ? end - now : EVERY_MS));
	}
}

static void
add_parameter(struct buf *b, const char *name, const char *value)
{
	if (!value)
		return;
	char *escaped = curl_easy_escape(NULL, value, 0);
	buf_addf(b, "%s=%s&", name, escaped ? escaped : "");
	curl_free(escaped);
}

static int
waiting_run(struct waiting *w, const char *address, const char *file)
{
	struct buf path = {0};

	w->address = cli_address(address, file);
	if (!w->address)
		return CLI_USAGE;
	buf_adds(&path, "/api/v1/applied?");
	add_parameter(&path, "host", w->host);
	add_parameter(&path, "slot", w->slot);
	add_parameter(&path, "container", w->container);
	w->path = buf_steal(&path, NULL);
	w->shows = isatty(STDERR_FILENO);
	int result = wait_for_it(w);
	free(w->address);
	free(w->path);
	buf_finish(&w->what);
	buf_finish(&w->shown);
	return result;
}

/* 0, or negative after a message. */
static int
waiting_check(struct waiting *w)
{
	struct arena a = {0};
	struct err e;
	const char *host;
	int r = host_parse(&a, w->host, &host, &e);

	arena_finish(&a);
	if (r < 0)
		return cli_complain("wait", "HOST: %s", e.text);
	if (duration_parse(w->timeout, &w->timeout_ms, &e) < 0)
		return cli_complain("wait", "--timeout: %s", e.text);
	if (w->slot && !cli_is_word(w->slot))
		return cli_complain(
			"wait", "--slot: not a slot's name: '%s'", host_shown(w->slot).text);
	if (w->container && !*w->container)
		return cli_complain("wait", "--container: it is empty");
	if (w->drained && !w->slot && !w->container)
		return cli_complain("wait", "--drained: say of what, --container or --slot");
	return 0;
}

int
cmd_wait(int argc, char **argv)
{
	struct waiting w = {.timeout = TIMEOUT_DEFAULT};
	const char *file = NULL, *address = NULL;
	const struct cli_option options[] = {
		{'c', "config", &file, NULL},
		{'s', "server", &address, NULL},
		{'\0', "slot", &w.slot, NULL},
		{'\0', "container", &w.container, NULL},
		{'\0', "drained", NULL, &w.drained},
		{'\0', "timeout", &w.timeout, NULL},
		{0},
	};
	if (cli_parse(argc, argv, options, 1, &w.host) < 0 || waiting_check(&w) < 0)
		return CLI_USAGE;
	return waiting_run(&w, address, file);
}
