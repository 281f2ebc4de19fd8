/* What `waymark slot` waits for, and tells while it does. */
#include <string.h>
#include <unistd.h>

#include "provider/cli/cli_progress.h"
#include "provider/cli/slot_job.h"

#define POLL_MS 100
/* One that hangs is asked again. */
#define ANSWER_LEAST_MS 1000
#define ANSWER_MAX_MS 5000
#define CONFIRM_MS 10000
#define DRAIN_SLACK_MS 60000

static const char silent[] = "the running Waymark does not answer";

static struct cli_deadline
deadline_of(const struct slot_job *j, uint64_t usual_ms)
{
	return cli_deadline_in(j->timeout_ms == SLOT_TIMEOUT_USUAL ? usual_ms : j->timeout_ms);
}

static void
pause_for(const struct cli_deadline *d, const char *what)
{
	uint64_t left = cli_deadline_left_ms(d);

	cli_progress_show(what, d);
	usleep((useconds_t)((left < POLL_MS ? left : POLL_MS) * 1000));
}

/* Without a message: one that is being restarted is waited for. */
static struct cli_peer
quiet_peer(const struct slot_job *j, const struct cli_deadline *d)
{
	uint64_t left = cli_deadline_left_ms(d);

	return (struct cli_peer){
		.address = j->address,
		.timeout_ms = left < ANSWER_LEAST_MS ? ANSWER_LEAST_MS
			      : left > ANSWER_MAX_MS ? ANSWER_MAX_MS
						     : (unsigned)left,
		.quiet = true,
	};
}

static bool
ask_quietly(struct slot_job *j, const struct cli_deadline *d)
{
	const struct cli_peer peer = quiet_peer(j, d);
	return cli_slots_ask(&j->arena, &peer, j->project, j->environment, &j->seen) == CLI_DONE;
}

/* Whether the request is allowed, or refused for good; else what it waits for. */
static bool
is_decided(struct slot_job *j, const struct slot_request *r, const char **ret_what)
{
	struct slot_change c;
	struct slot_refusal refusal = {0};
	bool decided = slot_apply(&j->arena, &j->e, r, &c, &refusal) || !refusal.unready;

	*ret_what = decided ? NULL : refusal.what;
	return decided;
}

enum cli_exit
slot_wait_ready(struct slot_job *j, const struct slot_request *r)
{
	struct cli_deadline d = deadline_of(j, 0);
	const char *what;
	bool answers = true;

	while (!answers || !is_decided(j, r, &what)) {
		if (cli_deadline_left_ms(&d) == 0)
			break;
		pause_for(&d, answers ? what : silent);
		answers = ask_quietly(j, &d);
	}
	cli_progress_clear();
	return answers ? CLI_DONE : slot_job_ask(j);
}

enum slot_waited
slot_wait_reserved(struct slot_job *j, const char *slot, const char *id)
{
	struct cli_deadline d = deadline_of(j, CONFIRM_MS);
	enum slot_waited waited = WAITED_TIMEOUT;

	for (;;) {
		const struct cli_slot *s =
			ask_quietly(j, &d) ? cli_slot_find(&j->seen, slot) : NULL;
		if (s && s->id && strcmp(s->id, id) == 0) {
			waited = s->fact->traffic ? WAITED_TRAFFIC : WAITED_DONE;
			break;
		}
		if (cli_deadline_left_ms(&d) == 0)
			break;
		pause_for(&d, s ? "the running Waymark has not seen the reservation" : silent);
	}
	cli_progress_clear();
	return waited;
}

/* -- drained -- */

static const char *
why_not_drained(struct slot_job *j, const struct cli_slot *s, const struct cli_applied *a)
{
	/* Where nothing runs there are no requests in flight. */
	uint64_t drain_ms = s->fact->servers ? a->drain_ms : 0;

	if (a->routed)
		return "its own URL still leads to it";
	if (!a->applied)
		return *a->missing
			       ? arena_printf(&j->arena, "output %s has not applied it", a->missing)
			       : "no output has applied it";
	if (a->ago_ms < drain_ms)
		return arena_printf(&j->arena,
			"requests in flight may take %llu s yet (slots.drain)",
			(unsigned long long)(drain_ms - a->ago_ms + 999) / 1000);
	return NULL;
}

/* NULL where it is drained, or carries traffic. */
static const char *
look_drained(struct slot_job *j, const struct cli_deadline *d, const char *slot, const char *host,
	bool *ret_traffic)
{
	struct cli_applied a;

	if (!ask_quietly(j, d))
		return silent;
	const struct cli_slot *s = cli_slot_find(&j->seen, slot);
	*ret_traffic = s->fact->traffic;
	if (s->fact->traffic)
		return NULL;
	if (!s->ended)
		return "the running Waymark has not seen that its time is over";
	/* What it says now is not older than that. */
	const struct cli_peer peer = quiet_peer(j, d);
	if (cli_applied_ask(&j->arena, &peer, j->project, host, slot, &a) != CLI_DONE)
		return silent;
	return why_not_drained(j, s, &a);
}

enum slot_waited
slot_wait_drained(struct slot_job *j, const char *slot, const char **ret_why)
{
	struct cli_deadline d =
		deadline_of(j, DRAIN_SLACK_MS + (uint64_t)j->config->settings->drain_ms);
	const char *host = slot_job_host(j, slot), *why;
	bool traffic = false;

	while ((why = look_drained(j, &d, slot, host, &traffic)) && cli_deadline_left_ms(&d) > 0)
		pause_for(&d, why);
	cli_progress_clear();
	if (why)
		*ret_why = why;
	return why ? WAITED_TIMEOUT : traffic ? WAITED_TRAFFIC : WAITED_DONE;
}
