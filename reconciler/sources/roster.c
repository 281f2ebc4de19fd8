#include "reconciler/sources/roster.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "reconciler/base/fnv.h"
#include "reconciler/sources/addresses.h"

struct container {
	UT_hash_handle hh;
	const struct endpoint *seen; /* what was put; NULL: nothing yet */
	struct endpoint *listed; /* Podman: what the list said, until the inspect comes */
	uint64_t list; /* the last one in which it stood */
	uint64_t leaving_since; /* 0: it is not */
	uint64_t run; /* of the last inspect, as a digest; 0: none */
	int signal; /* was sent to it, when its stop signal was not known; 0: none */
	bool ended; /* an event said so, and the inspect did not yet */
	bool died; /* it is leaving since it ended, and nobody had told it to */
	bool awaited; /* new with a list, and its inspect is under way */
	bool suspect; /* its address is another's, and its inspect is under way */
	bool unanswered; /* its last inspect failed */
	bool unconfirmed; /* withheld since an earlier run, until it is seen in this one */
	char id[];
};

/* What rang since the list was asked for. */
struct touch {
	UT_hash_handle hh;
	char id[];
};

struct roster {
	const char *engine;
	struct source_sink sink;
	void (*ring)(void *arg, const char *id);
	void *ring_arg;
	bool podman;
	struct container *containers;
	struct addresses addresses;
	size_t awaited;

	uint64_t list; /* the number of the one under way, or the last */
	bool listing;
	struct touch *touches;
	struct endpoint **items; /* of the list under way: what differs from what is known */
	size_t nitems;
};

/* -- containers -- */

static struct container *
container_find(const struct roster *r, const char *id)
{
	struct container *c;
	HASH_FIND_STR(r->containers, id, c);
	return c;
}

/* Engines name containers by id; only Podman's network events may have a name. */
static struct container *
container_resolve(const struct roster *r, const char *id_or_name)
{
	struct container *c = container_find(r, id_or_name);
	if (c || strlen(id_or_name) == 64)
		return c;
	for (c = r->containers; c; c = c->hh.next)
		if (c->seen && !strcmp(c->seen->name, id_or_name))
			return c;
	return NULL;
}

static struct container *
container_obtain(struct roster *r, const char *id)
{
	struct container *c = container_find(r, id);
	if (c)
		return c;
	size_t n = strlen(id);
	c = xcalloc(1, sizeof(*c) + n + 1);
	memcpy(c->id, id, n);
	HASH_ADD_KEYPTR(hh, r->containers, c->id, n, c);
	return c;
}

static void
container_settle(struct roster *r, struct container *c)
{
	if (c->awaited)
		r->awaited--;
	c->awaited = false;
	c->listed = endpoint_unref(c->listed);
}

static void
container_free(struct roster *r, struct container *c)
{
	HASH_DEL(r->containers, c);
	container_settle(r, c);
	endpoint_unref(c->seen);
	free(c);
}

static uint64_t
run_digest(const char *run)
{
	return *run ? fnv_add(FNV_BASIS, run, strlen(run)) : 0;
}

/* -- putting -- */

static bool
is_withheld(const struct roster *r, const struct container *c, const struct endpoint *e)
{
	return c->suspect || c->unconfirmed || addresses_is_disputed(&r->addresses, e);
}

/* The same container as before, but for what we know ourselves. */
static void
container_refresh(struct roster *r, struct container *c)
{
	if (!c->seen)
		return;
	bool withheld = is_withheld(r, c, c->seen), leaving = c->leaving_since;
	if (c->seen->withheld == withheld && c->seen->leaving == leaving)
		return;
	struct endpoint *e = endpoint_copy(c->seen);
	e->withheld = withheld;
	e->leaving = leaving;
	e->died = leaving && c->died;
	endpoint_unref(c->seen);
	c->seen = e;
	r->sink.put(r->sink.arg, e);
}

static void
on_sole_owner(void *arg, void *owner)
{
	container_refresh(arg, owner);
}

static void
on_other_owner(void *arg, void *owner)
{
	struct roster *r = arg;
	struct container *c = owner;

	if (!c->suspect && !addresses_is_disputed(&r->addresses, c->seen)) {
		c->suspect = true;
		r->ring(r->ring_arg, c->id);
	}
	container_refresh(r, c);
}

static void
container_remove(struct roster *r, struct container *c)
{
	const struct endpoint *seen = c->seen;

	if (seen) {
		r->sink.remove(r->sink.arg, r->engine, c->id);
		addresses_move(&r->addresses, seen, NULL, c, on_sole_owner, r);
	}
	container_free(r, c);
}

/* Is what answered in an earlier run of ours still what is there? */
static bool
is_ready_before(const struct roster *r, const struct endpoint *before, const struct endpoint *e)
{
	return before && before->ready_before &&
	       (!*before->run || !*e->run || !strcmp(before->run, e->run)) &&
	       endpoint_lists_equal(before, e, r->podman);
}

/* Moves its claims from what was seen to what is seen now. */
static void
container_claim(struct roster *r, struct container *c, const struct endpoint *e, bool inspected)
{
	addresses_move(&r->addresses, c->seen, e, c, on_sole_owner, r);
	if (inspected && c->suspect) {
		c->suspect = false;
		addresses_dispute(&r->addresses, e);
	}
}

static void
container_adopt(struct roster *r, struct container *c, struct endpoint *e, bool inspected)
{
	const struct endpoint *before = c->seen;

	c->unconfirmed = false;
	container_claim(r, c, e, inspected);
	e->withheld = is_withheld(r, c, e);
	e->leaving = c->leaving_since;
	e->died = e->leaving && c->died;
	e->ready_before = is_ready_before(r, before, e);

	c->seen = e;
	if (!before || !endpoint_equal(before, e))
		r->sink.put(r->sink.arg, e);
	endpoint_unref(before);
	addresses_others(&r->addresses, e, c, on_other_owner, r);
}

/* -- the roster -- */

struct roster *
roster_create(const char *engine, const struct source_sink *sink,
	void (*ring)(void *arg, const char *id), void *arg)
{
	struct roster *r = xcalloc(1, sizeof(*r));
	r->engine = engine;
	r->sink = *sink;
	r->ring = ring;
	r->ring_arg = arg;
	return r;
}

void
roster_destroy(struct roster *r)
{
	struct container *c, *next;

	if (!r)
		return;
	roster_list_abandon(r);
	HASH_ITER(hh, r->containers, c, next)
	container_free(r, c);
	addresses_finish(&r->addresses);
	free(r);
}

void
roster_set_podman(struct roster *r, bool podman)
{
	r->podman = podman;
}

void
roster_restore(struct roster *r, const struct endpoint *e, uint64_t now_ms)
{
	struct container *c = container_obtain(r, e->id);
	if (c->seen)
		return;
	c->seen = endpoint_ref(e);
	c->run = run_digest(e->run);
	c->unconfirmed = e->withheld;
	c->leaving_since = e->leaving ? now_ms : 0;
	addresses_move(&r->addresses, NULL, e, c, on_sole_owner, r);
}

size_t
roster_count(const struct roster *r)
{
	return HASH_COUNT(r->containers);
}

bool
roster_has(const struct roster *r, const char *id_or_name)
{
	return container_resolve(r, id_or_name);
}

size_t
roster_awaited(const struct roster *r)
{
	return r->awaited;
}

void
roster_disconnect(struct roster *r)
{
	struct container *c, *next;

	roster_list_abandon(r);
	HASH_ITER(hh, r->containers, c, next)
	{
		container_settle(r, c);
		if (!c->seen)
			container_free(r, c);
	}
}

/* -- lists -- */

static void
touch(struct roster *r, const char *id)
{
	struct touch *t;
	size_t n = strlen(id);

	HASH_FIND(hh, r->touches, id, n, t);
	if (!r->listing || t)
		return;
	t = xcalloc(1, sizeof(*t) + n + 1);
	memcpy(t->id, id, n);
	HASH_ADD_KEYPTR(hh, r->touches, t->id, n, t);
}

static bool
is_touched(const struct roster *r, const char *id)
{
	struct touch *t;
	HASH_FIND_STR(r->touches, id, t);
	return t;
}

static void
forget_touches(struct roster *r)
{
	struct touch *t, *next;
	HASH_ITER(hh, r->touches, t, next)
	{
		HASH_DEL(r->touches, t);
		free(t);
	}
}

void
roster_list_begin(struct roster *r)
{
	assert(!r->listing);
	r->listing = true;
	r->list++;
}

/* Does the list say nothing new of it? */
static bool
is_as_seen(const struct roster *r, const struct container *c, const struct endpoint *item)
{
	return c && c->seen && !c->unconfirmed && endpoint_lists_equal(c->seen, item, r->podman) &&
	       (item->health == HEALTH_UNKNOWN || item->health == c->seen->health);
}

/* What only an inspect tells may have changed since. */
static bool
wants_inspect(const struct roster *r, const struct container *c)
{
	/* One that was told to stop may have been started again meanwhile. */
	return c->suspect || c->leaving_since || (r->podman && c->seen->health != HEALTH_NONE);
}

static void
container_await(struct roster *r, struct container *c)
{
	r->ring(r->ring_arg, c->id);
	if (!c->awaited)
		r->awaited++;
	c->awaited = true;
}

void
roster_list_item(struct roster *r, struct endpoint *item)
{
	assert(r->listing);
	struct container *c = container_find(r, item->id);

	if (item->state == ENDPOINT_STOPPED) {
		endpoint_unref(item);
		return;
	}
	if (c)
		c->list = r->list;
	if (is_as_seen(r, c, item)) {
		endpoint_unref(item);
		return;
	}
	if (!(r->nitems & (r->nitems - 1)))
		r->items = xrealloc(r->items, (r->nitems ? 2 * r->nitems : 1) * sizeof(*r->items));
	r->items[r->nitems++] = item;
}

/* Docker's list tells all but the run and the stop signal.  The latter never changes; the former
 * is the same where nothing but the health differs. */
static void
take_docker_item(struct roster *r, struct container *c, struct endpoint *item)
{
	const struct endpoint *seen = c->seen;
	struct endpoint *e = item;

	if (seen && endpoint_lists_equal(seen, item, false)) {
		e = endpoint_copy(seen);
		if (item->health != HEALTH_UNKNOWN)
			e->health = item->health;
		endpoint_unref(item);
	} else if (seen) {
		e->stop_signal = seen->stop_signal;
		if (e->health == HEALTH_UNKNOWN)
			e->health = seen->health;
		r->ring(r->ring_arg, c->id);
	} else if (e->health == HEALTH_UNKNOWN) {
		r->ring(r->ring_arg, c->id);
	}
	container_adopt(r, c, e, false);
}

static void
take_item(struct roster *r, struct endpoint *item)
{
	if (is_touched(r, item->id)) {
		endpoint_unref(item);
		return;
	}
	struct container *c = container_obtain(r, item->id);
	c->list = r->list;
	if (!r->podman) {
		take_docker_item(r, c, item);
		return;
	}
	if (c->unconfirmed && endpoint_lists_equal(c->seen, item, true)) {
		c->unconfirmed = false;
		container_refresh(r, c);
	}
	endpoint_unref(c->listed);
	c->listed = item;
	container_await(r, c);
}

static bool
is_missing(const struct roster *r, const struct container *c)
{
	return c->list != r->list && !is_touched(r, c->id);
}

static bool
loses_too_much(const struct roster *r)
{
	size_t missing = 0, all = roster_count(r);
	for (const struct container *c = r->containers; c; c = c->hh.next)
		missing += is_missing(r, c);
	return missing > LOSS_MAX && missing > all / 2;
}

static void
remove_missing(struct roster *r)
{
	struct container *c, *next;
	HASH_ITER(hh, r->containers, c, next)
	if (is_missing(r, c))
		container_remove(r, c);
}

static void
look_again(struct roster *r, uint64_t now_ms)
{
	for (struct container *c = r->containers; c; c = c->hh.next) {
		if (c->leaving_since && now_ms - c->leaving_since > LEAVING_MAX_MS) {
			c->leaving_since = 0;
			container_refresh(r, c);
		}
		if (c->list == r->list && c->seen && !c->awaited && wants_inspect(r, c))
			container_await(r, c);
	}
}

bool
roster_list_end(struct roster *r, bool believe, uint64_t now_ms)
{
	assert(r->listing);
	bool believed = believe || !loses_too_much(r);

	if (believed)
		remove_missing(r);
	for (size_t i = 0; i < r->nitems; i++)
		take_item(r, r->items[i]);
	r->nitems = 0;
	look_again(r, now_ms);
	roster_list_abandon(r);
	return believed;
}

void
roster_list_abandon(struct roster *r)
{
	for (size_t i = 0; i < r->nitems; i++)
		endpoint_unref(r->items[i]);
	free(r->items);
	r->items = NULL;
	r->nitems = 0;
	forget_touches(r);
	r->listing = false;
}

/* -- events -- */

void
roster_touch(struct roster *r, const char *id_or_name, bool started)
{
	struct container *c = container_resolve(r, id_or_name);

	touch(r, c ? c->id : id_or_name);
	if (c && started) {
		c->ended = false;
		c->leaving_since = 0;
		c->signal = 0;
	}
}

static bool
is_the_end(int signal, int stop_signal)
{
	return signal == SIGKILL || signal == stop_signal;
}

void
roster_end(struct roster *r, const char *id_or_name, uint64_t now_ms)
{
	struct container *c = container_resolve(r, id_or_name);

	if (!c || !c->seen)
		return;
	c->ended = true;
	/* Of a signal that came with no stop signal known it is not said what it meant. */
	if (!c->leaving_since)
		c->died = !c->signal;
	c->leaving_since = now_ms;
	container_refresh(r, c);
}

bool
roster_kill(struct roster *r, const char *id_or_name, int signal, uint64_t now_ms)
{
	struct container *c = container_resolve(r, id_or_name);

	if (!c || !c->seen)
		return true;
	if (!signal)
		return false;
	if (is_the_end(signal, c->seen->stop_signal)) {
		c->leaving_since = now_ms;
		c->died = false;
		container_refresh(r, c);
		return false;
	}
	if (c->seen->stop_signal)
		return false;
	c->signal = signal;
	return true;
}

/* -- inspects -- */

void
roster_inspected(struct roster *r, struct endpoint *e, uint64_t now_ms)
{
	if (e->state == ENDPOINT_STOPPED) {
		roster_gone(r, e->id);
		endpoint_unref(e);
		return;
	}

	struct container *c = container_obtain(r, e->id);
	uint64_t run = run_digest(e->run);
	if (c->run ? run != c->run : c->ended)
		c->leaving_since = 0;
	c->ended = false;
	c->run = run;
	if (c->signal && is_the_end(c->signal, e->stop_signal)) {
		c->leaving_since = now_ms;
		c->died = false;
	}
	c->signal = 0;
	c->unanswered = false;
	container_settle(r, c);
	container_adopt(r, c, e, true);
}

void
roster_gone(struct roster *r, const char *id_or_name)
{
	struct container *c = container_resolve(r, id_or_name);
	if (c)
		container_remove(r, c);
}

bool
roster_unanswered(struct roster *r, const char *id_or_name)
{
	struct container *c = container_resolve(r, id_or_name);
	if (!c)
		return true;

	bool first = !c->unanswered;
	struct endpoint *listed = c->listed;
	c->unanswered = true;
	c->listed = NULL;
	container_settle(r, c);
	if (c->seen || !listed)
		endpoint_unref(listed);
	else
		container_adopt(r, c, listed, false);
	return first;
}
