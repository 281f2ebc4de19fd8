#include "reconciler/sources/probe.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/text.h"
#include "reconciler/sources/probe_attempt.h"
#include "reconciler/sources/probe_verdict.h"

/* A rate is kept evenly: so many hundredths of a second's attempts may be begun at a time. */
#define BURSTS_PER_S 100

enum probe_state {
	PROBE_WAITING, /* its timer runs until the next attempt */
	PROBE_QUEUED,
	PROBE_TRYING, /* its timer runs until the attempt has taken too long */
};

/* As what it waits for its turn, and takes a place. */
enum probe_class {
	CLASS_FRESH, /* nothing is known of it */
	CLASS_RETRY, /* it was not ready */
	CLASS_ROUTINE, /* it was */
	CLASS_SLOW, /* the last attempt came to no end in time, or had to give up its place */
	CLASSES
};

/* Places: the slow have theirs, all others share the rest, and of that the fresh may take all. */
#define SLOW_AT_ONCE 96
#define QUICK_AT_ONCE (PROBE_AT_ONCE - SLOW_AT_ONCE)
#define KNOWN_AT_ONCE (QUICK_AT_ONCE - PROBE_AT_ONCE / 4)

struct probe {
	uv_timer_t timer;
	struct prober *prober;
	UT_hash_handle hh;
	struct probe *prev, *next; /* in a queue, or among those under way that are not slow */
	enum probe_state state;
	enum probe_class class;
	struct attempt *attempt;
	int error; /* why there is none */
	uint64_t began_ms; /* the last attempt */
	bool slow, overdue;

	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} where;
	struct probe_target target; /* its strings are the probe's own */
	char *request; /* NULL: a connection is enough */

	bool up; /* it counts as ready */
	unsigned streak; /* attempts in a row that say otherwise */
	uint64_t since_ms; /* not up since then */
	enum readiness told;
	unsigned told_why;
	uint64_t told_ms;
	const char *engine, *id; /* both in key */
	char key[];
};

struct prober {
	uv_timer_t pace; /* runs while something waits for its turn */
	struct attempts attempts;
	struct prober_settings settings;
	prober_result_fn *result;
	void *arg;
	struct probe *probes;
	struct probe *queue[CLASSES];
	struct probe *quick; /* under way and not slow, oldest first */
	unsigned nrunning[CLASSES], nquick;
	unsigned turn;
	uint64_t credit, credited_ms; /* attempts that may be begun, in thousandths */
};

static void run_queues(struct prober *p);
static void on_due(uv_timer_t *timer);

static uint64_t
now_ms(const struct prober *p)
{
	return uv_now(p->attempts.loop);
}

struct prober *
prober_create(uv_loop_t *loop, const struct prober_settings *s, prober_result_fn *result, void *arg)
{
	struct prober *p = xcalloc(1, sizeof(*p));

	p->attempts.loop = loop;
	p->result = result;
	p->arg = arg;
	uv_timer_init(loop, &p->pace);
	p->pace.data = p;
	prober_configure(p, s);
	return p;
}

static uint32_t
at_least_one(uint32_t n)
{
	return n ? n : 1;
}

static uint64_t
interval_of(const struct probe *b)
{
	uint32_t own = b->target.interval_ms;
	return own ? own : b->prober->settings.interval_ms;
}

static uint64_t
timeout_of(const struct probe *b)
{
	uint32_t own = b->target.timeout_ms;
	return own ? own : b->prober->settings.timeout_ms;
}

/* Who would wait for longer than it is to any more.  What is left is spread, and stays so. */
static void
probe_hurry(struct probe *b)
{
	uint64_t interval = interval_of(b), left = uv_timer_get_due_in(&b->timer);

	if (b->state == PROBE_WAITING && left > interval + interval / 5)
		uv_timer_start(&b->timer, on_due, left % interval, 0);
}

void
prober_configure(struct prober *p, const struct prober_settings *s)
{
	struct probe *b, *next;

	p->settings = (struct prober_settings){.interval_ms = at_least_one(s->interval_ms),
		.timeout_ms = at_least_one(s->timeout_ms),
		.rise = at_least_one(s->rise),
		.fall = at_least_one(s->fall),
		.rate = at_least_one(s->rate)};
	HASH_ITER(hh, p->probes, b, next)
	probe_hurry(b);
}

/* -- what an attempt found -- */

static void
leave_running(struct probe *b)
{
	struct prober *p = b->prober;

	p->nrunning[b->class]--;
	if (b->class == CLASS_SLOW)
		return;
	p->nquick--;
	DL_DELETE(p->quick, b);
}

/* The attempt is over, or nobody wants to know any more. */
static void
probe_rest(struct probe *b)
{
	if (b->state == PROBE_QUEUED)
		DL_DELETE(b->prober->queue[b->class], b);
	if (b->state == PROBE_TRYING)
		leave_running(b);
	if (b->attempt)
		attempt_drop(b->attempt);
	b->attempt = NULL;
	b->state = PROBE_WAITING;
	uv_timer_stop(&b->timer);
}

static void
probe_count(struct probe *b, enum readiness found)
{
	const struct prober_settings *s = &b->prober->settings;
	bool counts = readiness_counts(found);
	uint32_t own = counts ? b->target.rise : b->target.fall;

	if (counts == b->up) {
		b->streak = 0;
		return;
	}
	if (++b->streak < (own ? own : counts ? s->rise : s->fall))
		return;
	b->up = counts;
	b->streak = 0;
	b->since_ms = now_ms(b->prober);
}

static uint64_t
next_delay(const struct probe *b)
{
	uint64_t interval = interval_of(b);

	if (b->streak)
		return interval / 10;
	if (!b->up) {
		uint64_t ms = (now_ms(b->prober) - b->since_ms) / 8;
		return ms < 1 ? 1 : ms < interval ? ms : interval;
	}
	/* Spread, for many may have begun at once. */
	return interval - interval / 10 + uv_hrtime() / 1000 % (interval / 5 + 1);
}

/* Whoever is told may drop this probe. */
static void
probe_tell(struct probe *b, enum readiness found, unsigned why)
{
	struct prober *p = b->prober;

	if (readiness_counts(found) != b->up)
		return;
	if (b->told == found && (b->told_why == why || now_ms(p) - b->told_ms < interval_of(b)))
		return;
	b->told = found;
	b->told_why = why;
	b->told_ms = now_ms(p);
	p->result(p->arg, b->engine, b->id, found, why);
}

static void
probe_settle(struct probe *b, int said, bool connected)
{
	struct prober *p = b->prober;
	unsigned why;
	enum readiness found = probe_verdict(&b->target, said, connected, &why);
	bool said_nothing = probe_says_nothing(said) && b->told != READY_UNKNOWN;

	b->slow = said == UV_ETIMEDOUT;
	probe_rest(b);
	if (!said_nothing)
		probe_count(b, found);
	uv_timer_start(&b->timer, on_due, said_nothing ? interval_of(b) / 10 : next_delay(b), 0);
	run_queues(p);
	if (!said_nothing)
		probe_tell(b, found, why);
}

/* -- attempts -- */

static void
on_done(void *arg, int said)
{
	struct probe *b = arg;

	b->attempt = NULL;
	probe_settle(b, said, false);
}

/* Where the loop itself was held up, what came meanwhile has not been looked at: it is, before
 * somebody is blamed. */
static void
on_timeout(uv_timer_t *timer)
{
	struct probe *b = timer->data;

	if (!b->attempt) {
		probe_settle(b, b->error, false);
	} else if (!b->overdue) {
		b->overdue = true;
		uv_timer_start(&b->timer, on_timeout, 1, 0);
	} else {
		probe_settle(b, UV_ETIMEDOUT, attempt_is_connected(b->attempt));
	}
}

/* What fails at once is told from the loop, too. */
static void
probe_try(struct probe *b)
{
	struct prober *p = b->prober;
	const struct question q = {
		.where = &b->where.any, .request = b->request, .any = !b->target.path};

	b->state = PROBE_TRYING;
	b->began_ms = now_ms(p);
	b->overdue = false;
	b->error = UV_EINVAL;
	p->nrunning[b->class]++;
	if (b->class != CLASS_SLOW) {
		p->nquick++;
		DL_APPEND(p->quick, b);
	}
	if (b->where.any.sa_family != AF_UNSPEC)
		b->attempt = attempt_start(&p->attempts, &q, on_done, b, &b->error);
	uv_timer_start(&b->timer, on_timeout, b->attempt ? timeout_of(b) : 0, 0);
}

/* -- turns -- */

static void
probe_queue_up(struct probe *b)
{
	b->class = b->slow                    ? CLASS_SLOW
		   : b->told == READY_UNKNOWN ? CLASS_FRESH
		   : b->up                    ? CLASS_ROUTINE
					      : CLASS_RETRY;
	b->state = PROBE_QUEUED;
	DL_APPEND(b->prober->queue[b->class], b);
}

static bool
has_place(const struct prober *p, enum probe_class class)
{
	if (class == CLASS_SLOW)
		return p->nrunning[CLASS_SLOW] < SLOW_AT_ONCE;
	return p->nquick < QUICK_AT_ONCE &&
	       (class == CLASS_FRESH || p->nquick - p->nrunning[CLASS_FRESH] < KNOWN_AT_ONCE);
}

/* Whose turn it is; NULL: nobody's who could have a place. */
static struct probe *
next_in_turn(struct prober *p)
{
	if (p->queue[CLASS_FRESH] && has_place(p, CLASS_FRESH))
		return p->queue[CLASS_FRESH];
	for (unsigned i = 0; i < CLASSES - 1; i++) {
		enum probe_class class = CLASS_RETRY + (p->turn + i) % (CLASSES - 1);
		if (p->queue[class] && has_place(p, class)) {
			p->turn = class - CLASS_RETRY + 1;
			return p->queue[class];
		}
	}
	return NULL;
}

/* Does somebody wait who is not slow, and has no place? */
static bool
is_crowded(const struct prober *p)
{
	return p->queue[CLASS_FRESH] || p->queue[CLASS_RETRY] || p->queue[CLASS_ROUTINE];
}

/* The one that has been under way for longest becomes a slow one, where it has been so for long.
 * With no place left among those it starts again when it has one, and nothing was found out. */
static bool
make_place(struct prober *p)
{
	struct probe *b = p->quick;

	if (now_ms(p) - b->began_ms < PROBE_PATIENCE_MS)
		return false;
	b->slow = true;
	if (has_place(p, CLASS_SLOW)) {
		leave_running(b);
		b->class = CLASS_SLOW;
		p->nrunning[CLASS_SLOW]++;
	} else {
		probe_rest(b);
		probe_queue_up(b);
	}
	return true;
}

/* As many at a time as keep the rate within any second. */
static bool
credit_take(struct prober *p, uint64_t *ret_wait_ms)
{
	uint64_t rate = p->settings.rate, now = now_ms(p);
	uint64_t burst = rate > BURSTS_PER_S ? rate / BURSTS_PER_S : 1;
	uint64_t flow = rate - (burst - 1), most = burst * 1000;

	p->credit += (now - p->credited_ms) * flow;
	p->credit = p->credit < most ? p->credit : most;
	p->credited_ms = now;
	if (p->credit < 1000) {
		*ret_wait_ms = (1000 - p->credit + flow - 1) / flow;
		return false;
	}
	p->credit -= 1000;
	return true;
}

static void
on_pace(uv_timer_t *timer)
{
	run_queues(timer->data);
}

static void
run_queues(struct prober *p)
{
	uint64_t wait_ms = 0;

	for (;;) {
		struct probe *b = next_in_turn(p);
		if (!b && !is_crowded(p))
			return;
		if (!b) {
			if (make_place(p))
				continue;
			wait_ms = p->quick->began_ms + PROBE_PATIENCE_MS - now_ms(p);
			break;
		}
		if (!credit_take(p, &wait_ms))
			break;
		DL_DELETE(p->queue[b->class], b);
		probe_try(b);
	}
	uv_timer_start(&p->pace, on_pace, wait_ms, 0);
}

static void
on_due(uv_timer_t *timer)
{
	struct probe *b = timer->data;

	probe_queue_up(b);
	run_queues(b->prober);
}

/* -- probes -- */

static struct probe *
probe_find(const struct prober *p, const char *engine, const char *id)
{
	char key[1024];
	struct probe *b;
	size_t nengine = strlen(engine) + 1, nid = strlen(id);

	assert(nengine + nid <= sizeof(key));
	memcpy(key, engine, nengine);
	memcpy(key + nengine, id, nid);
	HASH_FIND(hh, p->probes, key, nengine + nid, b);
	return b;
}

static struct probe *
probe_create(struct prober *p, const char *engine, const char *id)
{
	size_t nengine = strlen(engine) + 1, nid = strlen(id);
	struct probe *b = xcalloc(1, sizeof(*b) + nengine + nid + 1);

	b->prober = p;
	memcpy(b->key, engine, nengine);
	memcpy(b->key + nengine, id, nid);
	b->engine = b->key;
	b->id = b->key + nengine;
	uv_timer_init(p->attempts.loop, &b->timer);
	b->timer.data = b;
	HASH_ADD(hh, p->probes, key, nengine + nid, b);
	return b;
}

/* The strings of the target, which are the probe's. */
static void
probe_forget(struct probe *b)
{
	free((char *)(uintptr_t)b->target.address);
	free((char *)(uintptr_t)b->target.run);
	free((char *)(uintptr_t)b->target.path);
	free(b->request);
}

static void
on_probe_closed(uv_handle_t *handle)
{
	struct probe *b = handle->data;

	probe_forget(b);
	free(b);
}

static void
probe_destroy(struct probe *b)
{
	probe_rest(b);
	HASH_DEL(b->prober->probes, b);
	uv_close((uv_handle_t *)&b->timer, on_probe_closed);
}

static bool
has_target(const struct probe *b, const struct probe_target *t)
{
	const struct probe_target *own = &b->target;

	return own->address && own->port == t->port && own->published == t->published &&
	       !strcmp(own->address, t->address) && !strcmp(own->run, t->run ? t->run : "") &&
	       !text_compare(own->path, t->path) && own->missing_counts == t->missing_counts &&
	       own->interval_ms == t->interval_ms && own->timeout_ms == t->timeout_ms &&
	       own->rise == t->rise && own->fall == t->fall;
}

/* Does whoever sets the target still know what was told? */
static bool
agrees(const struct probe *b, const struct probe_target *t)
{
	return b->told == READY_UNKNOWN || readiness_counts(b->told) == t->ready_before;
}

static char *
request_make(const struct probe_target *t, bool v6)
{
	char text[1024];
	int n = snprintf(text, sizeof(text),
		"%s %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: waymark\r\n"
		"Accept: */*\r\nConnection: close\r\n\r\n",
		t->path ? "GET" : "HEAD", t->path ? t->path : "/", v6 ? "[" : "", t->address,
		v6 ? "]" : "", t->port);

	assert(n > 0 && (size_t)n < sizeof(text));
	return xstrdup(text);
}

static void
probe_aim(struct probe *b, const struct probe_target *t)
{
	probe_forget(b);
	b->target = *t;
	b->target.address = xstrdup(t->address);
	b->target.run = xstrdup(t->run ? t->run : "");
	b->target.path = t->path ? xstrdup(t->path) : NULL;
	memset(&b->where, 0, sizeof(b->where));
	if (uv_ip4_addr(t->address, t->port, &b->where.v4) < 0 &&
		uv_ip6_addr(t->address, t->port, &b->where.v6) < 0)
		b->where.any.sa_family = AF_UNSPEC;
	b->request = t->path || t->published ? request_make(t, b->where.any.sa_family == AF_INET6)
					     : NULL;
	b->up = t->ready_before;
	b->streak = 0;
	b->slow = false;
	b->since_ms = now_ms(b->prober);
	b->told = READY_UNKNOWN;
	b->told_why = WHY_UNKNOWN;
}

void
prober_set(struct prober *p, const char *engine, const char *id, const struct probe_target *target)
{
	struct probe *b = probe_find(p, engine, id);

	if (!target) {
		if (b)
			probe_destroy(b);
		return;
	}
	if (b && has_target(b, target) && agrees(b, target))
		return;
	if (!b)
		b = probe_create(p, engine, id);
	probe_rest(b);
	probe_aim(b, target);
	probe_queue_up(b);
	run_queues(p);
}

void
prober_each(struct prober *p, void (*fn)(void *arg, const char *engine, const char *id), void *arg)
{
	struct probe *b, *next;

	HASH_ITER(hh, p->probes, b, next)
	fn(arg, b->engine, b->id);
}

static void
on_prober_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
prober_destroy(struct prober *p)
{
	struct probe *b, *next;

	if (!p)
		return;
	HASH_ITER(hh, p->probes, b, next)
	probe_destroy(b);
	attempts_finish(&p->attempts);
	uv_close((uv_handle_t *)&p->pace, on_prober_closed);
}
