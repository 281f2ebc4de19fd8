#include "reconciler/registry/registry_trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uthash.h>

#include "reconciler/base/arena.h"

#define AGAIN_MS 100
#define PATIENCE_MS 1000 /* until what is broken counts */
#define LATER_MS 2000 /* afterwards, for not all that is mended rings */

/* Something that may pass by itself. */
struct trouble {
	struct registry_reading *why; /* by its one fault; NULL: there is none */
	uint64_t since_ms;
	bool counts;
};

struct held {
	UT_hash_handle hh; /* of those in slots/ */
	char *path;
	struct registry_file_id id;
	bool has_id;
	struct registry_reading *good; /* NULL: never, or not in this run */
	struct trouble trouble;
	struct registry_reading *doubt; /* by its one fault; NULL: it is believed */
	uint64_t doubt_ends_ms;
	bool listed; /* in the look that is absorbed */
	char name[];
};

struct registry_trust {
	char *directory;
	struct held *ssot, *slots, *own;
	struct trouble missing; /* the directory cannot be used, or has none of the files */
	struct trouble own_trouble; /* slots/ */
	bool slots_expected; /* slots.json was there, or may have been in an earlier run */
};

/* -- troubles -- */

/* A fault's texts are copied. */
static struct registry_reading *
reading_of(const struct registry_fault *fault)
{
	struct registry_reading *r = registry_reading_create();
	registry_reading_fault(r, fault);
	return r;
}

static void
trouble_clear(struct trouble *t)
{
	registry_reading_destroy(t->why);
	*t = (struct trouble){0};
}

/* Takes the reason, or leaves the one that is there where it is NULL. */
static void
trouble_set(struct trouble *t, struct registry_reading *why, uint64_t now_ms)
{
	if (!t->why)
		t->since_ms = now_ms;
	if (why) {
		registry_reading_destroy(t->why);
		t->why = why;
	}
	t->counts = now_ms - t->since_ms >= PATIENCE_MS;
}

/* -- life -- */

static struct held *
held_create(const char *directory, const char *name)
{
	size_t n = strlen(name) + 1;
	struct held *h = xcalloc(1, sizeof(*h) + n);
	struct buf path = {0};

	memcpy(h->name, name, n);
	buf_addf(&path, "%s/%s", directory, name);
	h->path = buf_steal(&path, &n);
	return h;
}

static void
held_destroy(struct held *h)
{
	trouble_clear(&h->trouble);
	registry_reading_destroy(h->doubt);
	registry_reading_destroy(h->good);
	free(h->path);
	free(h);
}

struct registry_trust *
registry_trust_create(const char *directory)
{
	struct registry_trust *t = xcalloc(1, sizeof(*t));
	t->directory = xstrdup(directory);
	t->ssot = held_create(directory, "ssot.json");
	t->slots = held_create(directory, "slots.json");
	t->slots_expected = true;
	return t;
}

static void
own_drop(struct registry_trust *t, struct held *h)
{
	HASH_DEL(t->own, h);
	held_destroy(h);
}

void
registry_trust_destroy(struct registry_trust *t)
{
	struct held *h, *next;

	if (!t)
		return;
	HASH_ITER(hh, t->own, h, next)
	own_drop(t, h);
	held_destroy(t->ssot);
	held_destroy(t->slots);
	trouble_clear(&t->missing);
	trouble_clear(&t->own_trouble);
	free(t->directory);
	free(t);
}

static struct held *
held_find(const struct registry_trust *t, const char *name)
{
	struct held *h;

	if (strcmp(name, t->ssot->name) == 0)
		return t->ssot;
	if (strcmp(name, t->slots->name) == 0)
		return t->slots;
	HASH_FIND_STR(t->own, name, h);
	return h;
}

/* What is doubted was not kept, so it is read again. */
const struct registry_file_id *
registry_trust_known(const void *arg, const char *name)
{
	const struct held *h = held_find(arg, name);
	return h && h->has_id && !h->doubt ? &h->id : NULL;
}

/* -- what is in force -- */

/* Of a file in slots/ that was never read in this run its name says what it is about. */
static size_t
slots_of_unread(const struct held *h, const struct registry_book *book)
{
	const char *name = h->name + strlen("slots/"), *dash = strrchr(name, '-');
	struct arena scratch = {0};
	size_t n = 0;

	if (!dash)
		return 0;
	const struct registered_project *p =
		registry_book_find(book, arena_strndup(&scratch, name, (size_t)(dash - name)));
	const char *environment =
		arena_strndup(&scratch, dash + 1, strlen(dash + 1) - strlen(".json"));
	const struct registered_environment *e =
		p ? registered_environment_find(p, environment) : NULL;
	if (e)
		n = registry_environment_nslots(e);
	arena_finish(&scratch);
	return n;
}

/* What a file in slots/ has had, be it that its entry is wrong now and the book's stays in force.
 */
static size_t
slots_of_own(const struct held *h, const struct registry_book *book)
{
	return h->good && !h->good->nbad_projects ? h->good->nslots : slots_of_unread(h, book);
}

/* Those in the book that slots.json answers for: what no file in slots/ has. */
static size_t
slots_of_main(const struct registry_trust *t, const struct registry_book *book)
{
	size_t all = registry_book_nslots(book), own = 0;

	for (const struct held *h = t->own; h; h = h->hh.next)
		own += h->good ? registry_book_nslots_of(book, h->good) +
					 registry_book_nslots_kept(book, h->good)
			       : slots_of_unread(h, book);
	return own < all ? all - own : 0;
}

/* -- doubt -- */

static void
time_text(uint64_t wall_ms, char *ret, size_t size)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(ret, size, "%H:%M:%S", &tm);
}

static void
end_doubt(struct held *h)
{
	registry_reading_destroy(h->doubt);
	h->doubt = NULL;
}

/* Is what speaks against it old enough to be believed?  Else it is doubted from now on. */
static bool
is_believed(struct held *h, const struct registry_moment *m, const char *what)
{
	char until[16], remedy[128];

	if (h->doubt && m->now_ms >= h->doubt_ends_ms)
		return true;
	if (!h->doubt)
		h->doubt_ends_ms = m->now_ms + m->shrink_after_ms;
	time_text(m->wall_ms + h->doubt_ends_ms - m->now_ms, until, sizeof(until));
	snprintf(remedy, sizeof(remedy),
		"put back what is missing, or wait: it is believed at %s UTC, until then what "
		"was there stays in force",
		until);
	/* A text that says the same stays: its time would tremble. */
	if (!h->doubt || strcmp(h->doubt->faults[0].what, what) != 0) {
		end_doubt(h);
		h->doubt = reading_of(&(struct registry_fault){
			.file = h->path, .path = "", .what = what, .remedy = remedy});
	}
	return m->now_ms >= h->doubt_ends_ms;
}

/* -- one file -- */

static void
held_accept(struct held *h, struct registry_reading *r)
{
	end_doubt(h);
	registry_reading_destroy(h->good);
	h->good = r;
}

/* Takes the reason.  A doubt outlives what passes by itself: whoever writes the same few things
 * again and again would be doubted for ever. */
static void
held_fail(struct held *h, struct registry_reading *why, const struct registry_moment *m)
{
	trouble_set(&h->trouble, why, m->now_ms);
	if (h->trouble.counts)
		end_doubt(h);
}

static void
held_missing(struct held *h, const struct registry_moment *m)
{
	held_fail(h,
		reading_of(&(struct registry_fault){.file = h->path,
			.path = "",
			.what = "is not there",
			.remedy = "put it back; what it had stays in force"}),
		m);
}

/* was and is: how much is in force, and how much the reading has. */
static bool
held_read(struct held *h, struct registry_file *f, const struct registry_moment *m, size_t was,
	size_t is, const char *things)
{
	char what[128];

	trouble_clear(&h->trouble);
	snprintf(what, sizeof(what), "it lost %zu of %zu %s", was - (is < was ? is : was), was,
		things);
	if (is * 2 < was && !is_believed(h, m, what))
		return false;
	held_accept(h, f->reading);
	f->reading = NULL;
	return true;
}

/* Everything but a whole reading of it.  True where that was all. */
static bool
held_unread(struct held *h, struct registry_file *f, const struct registry_moment *m)
{
	h->has_id = f->state != FILE_ABSENT;
	if (h->has_id)
		h->id = f->id;
	if (f->state == FILE_BROKEN || (f->state == FILE_SAME && h->trouble.why)) {
		held_fail(h, f->reading, m);
		f->reading = NULL;
	}
	return f->state != FILE_WHOLE;
}

/* -- ssot.json -- */

static void
note_identity(void *arg, const struct registered_project *p)
{
	bool *ret = arg;
	/* slots.json says nothing but environments. */
	*ret = *ret || p->lists_environments || p->ndomains || !p->nenvironments;
}

static bool
is_of_ssot(const struct registry_book *book)
{
	bool found = registry_book_nstatics(book) > 0;
	registry_book_each(book, note_identity, &found);
	return found;
}

static bool
absorb_ssot(struct held *h, struct registry_file *f, const struct registry_moment *m)
{
	const struct registry_reading *r = f->reading;

	if (f->state == FILE_ABSENT) {
		h->has_id = false;
		if (h->good || is_of_ssot(m->book)) {
			held_missing(h, m);
		} else {
			trouble_clear(&h->trouble);
			end_doubt(h);
		}
		return false;
	}
	if (held_unread(h, f, m))
		return false;

	/* Many static routes must not hide that the projects are gone. */
	size_t was = registry_book_nprojects(m->book), is = r->nprojects + r->nbad_projects;
	if (is * 2 < was)
		return held_read(h, f, m, was, is, "projects");
	return held_read(h, f, m, was + registry_book_nstatics(m->book),
		is + r->nstatics + r->nbad_statics, "projects and static routes");
}

/* -- slots.json -- */

/* It may go where slots/ has all that it had. */
static void
slots_absent(struct registry_trust *t, const struct registry_moment *m)
{
	struct held *h = t->slots;

	h->has_id = false;
	t->slots_expected = t->slots_expected && slots_of_main(t, m->book) > 0;
	if (t->slots_expected) {
		held_missing(h, m);
		return;
	}
	trouble_clear(&h->trouble);
	held_accept(h, NULL);
}

static bool
absorb_slots(struct registry_trust *t, struct registry_file *f, const struct registry_moment *m)
{
	struct held *h = t->slots;
	size_t was = 0;

	if (f->state == FILE_ABSENT) {
		slots_absent(t, m);
		return false;
	}
	t->slots_expected = true;
	if (held_unread(h, f, m))
		return false;
	was = slots_of_main(t, m->book);
	if (h->good && h->good->nslots > was)
		was = h->good->nslots;
	return held_read(h, f, m, was,
		f->reading->nslots + registry_book_nslots_kept(m->book, f->reading),
		"slots that are not empty");
}

/* -- slots/ -- */

static bool
absorb_own(struct registry_trust *t, struct registry_file *f, const struct registry_moment *m)
{
	struct held *h = held_find(t, f->name);
	size_t was;

	if (!h) {
		h = held_create(t->directory, f->name);
		HASH_ADD_STR(t->own, name, h);
	}
	h->listed = true;
	if (held_unread(h, f, m))
		return false;
	was = h->good ? slots_of_own(h, m->book) : registry_book_nslots_of(m->book, f->reading);
	return held_read(h, f, m, was, f->reading->nbad_projects ? was : f->reading->nslots,
		"slots that are not empty");
}

/* A file that went takes its slots along, after a while. */
static bool
own_absent(struct registry_trust *t, struct held *h, const struct registry_moment *m)
{
	size_t n = slots_of_own(h, m->book);
	char what[64];

	h->has_id = false;
	trouble_clear(&h->trouble);
	snprintf(what, sizeof(what), "is not there; it had %zu slots", n);
	if (n && !is_believed(h, m, what))
		return false;
	own_drop(t, h);
	return true;
}

/* What could not be looked at has not stayed so.  Its text was not kept, so it is read again. */
static void
forget_doubt(struct held *h)
{
	if (h->doubt)
		h->has_id = false;
	end_doubt(h);
}

static void
forget_own_doubts(struct registry_trust *t)
{
	for (struct held *h = t->own; h; h = h->hh.next)
		forget_doubt(h);
}

static bool
absorb_all_own(
	struct registry_trust *t, struct registry_look *look, const struct registry_moment *m)
{
	struct held *h, *next;
	bool news = false;

	if (look->own_trouble) {
		trouble_set(&t->own_trouble, look->own_trouble, m->now_ms);
		look->own_trouble = NULL;
		if (t->own_trouble.counts)
			forget_own_doubts(t);
		return false;
	}
	trouble_clear(&t->own_trouble);
	for (h = t->own; h; h = h->hh.next)
		h->listed = false;
	for (size_t i = 0; i < look->nown; i++)
		news = absorb_own(t, &look->own[i], m) || news;
	HASH_ITER(hh, t->own, h, next)
	if (!h->listed)
		news = own_absent(t, h, m) || news;
	return news;
}

/* -- all -- */

static enum registry_part_kind
kind_of(const struct held *h)
{
	if (h->good)
		return PART_READING;
	/* Neither there, nor known to have been there, is not the same as not known. */
	return h->trouble.why || h->doubt ? PART_BOOK : PART_NONE;
}

static void
check_nothing(struct registry_trust *t, const struct registry_moment *m)
{
	if (kind_of(t->ssot) != PART_NONE || kind_of(t->slots) != PART_NONE || t->own ||
		t->own_trouble.why) {
		trouble_clear(&t->missing);
		return;
	}
	trouble_set(&t->missing,
		reading_of(&(struct registry_fault){.file = t->directory,
			.path = "",
			.what = "has neither ssot.json nor slots.json",
			.remedy = "put ssot.json there, or correct registry.directory"}),
		m->now_ms);
}

bool
registry_trust_absorb(
	struct registry_trust *t, struct registry_look *look, const struct registry_moment *m)
{
	enum registry_part_kind ssot = kind_of(t->ssot), slots = kind_of(t->slots);
	bool news;

	if (look->missing) {
		trouble_set(&t->missing, look->missing, m->now_ms);
		look->missing = NULL;
		if (t->missing.counts) {
			forget_doubt(t->ssot);
			forget_doubt(t->slots);
			forget_own_doubts(t);
		}
		return false;
	}
	news = absorb_ssot(t->ssot, &look->main[0], m);
	news = absorb_all_own(t, look, m) || news;
	news = absorb_slots(t, &look->main[1], m) || news;
	check_nothing(t, m);
	return news || ssot != kind_of(t->ssot) || slots != kind_of(t->slots);
}

static struct registry_part
part_of(const struct held *h)
{
	return (struct registry_part){.kind = kind_of(h), .file = h->path, .reading = h->good};
}

bool
registry_trust_merge(const struct registry_trust *t, struct registry_merge *m, bool whole)
{
	struct registry_part ssot = part_of(t->ssot), slots = part_of(t->slots);

	bool unknown = ssot.kind == PART_BOOK || slots.kind == PART_BOOK || t->own_trouble.why;

	if (t->missing.why || (unknown && !whole))
		return false;
	m->ssot = ssot;
	m->slots = xcalloc(HASH_COUNT(t->own) + 1, sizeof(*m->slots));
	m->slots[m->nslots++] = slots;
	for (const struct held *h = t->own; h; h = h->hh.next)
		m->slots[m->nslots++] = part_of(h);
	return true;
}

/* -- how it stands -- */

static uint64_t
trouble_next(const struct trouble *t)
{
	return !t->why ? UINT64_MAX : t->counts ? LATER_MS : AGAIN_MS;
}

static uint64_t
held_next(const struct held *h, uint64_t now_ms)
{
	if (h->trouble.why || !h->doubt)
		return trouble_next(&h->trouble);
	return h->doubt_ends_ms > now_ms ? h->doubt_ends_ms - now_ms : 0;
}

static uint64_t
sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
registry_trust_next(const struct registry_trust *t, uint64_t now_ms)
{
	uint64_t ms = sooner(trouble_next(&t->missing), trouble_next(&t->own_trouble));

	ms = sooner(ms, held_next(t->ssot, now_ms));
	ms = sooner(ms, held_next(t->slots, now_ms));
	for (const struct held *h = t->own; h; h = h->hh.next)
		ms = sooner(ms, held_next(h, now_ms));
	return ms;
}

bool
registry_trust_is_doubted(const struct registry_trust *t)
{
	for (const struct held *h = t->own; h; h = h->hh.next)
		if (h->doubt)
			return true;
	return t->ssot->doubt || t->slots->doubt;
}

static void
print_trouble(const struct trouble *t, bool at_once, struct buf *b)
{
	if (!b->n && t->why && (t->counts || at_once))
		registry_fault_print(&t->why->faults[0], b);
}

void
registry_fault_print(const struct registry_fault *f, struct buf *b)
{
	buf_adds(b, f->file);
	if (f->line)
		buf_addf(b, ":%u", f->line);
	buf_addf(b, ": %s%s%s", f->path, *f->path ? ": " : "", f->what);
}

void
registry_trust_error(const struct registry_trust *t, bool at_once, struct buf *b)
{
	print_trouble(&t->missing, at_once, b);
	print_trouble(&t->ssot->trouble, at_once, b);
	print_trouble(&t->slots->trouble, at_once, b);
	print_trouble(&t->own_trouble, at_once, b);
}

static void
tell(const struct registry_reading *r, void (*fn)(void *arg, const struct registry_fault *f),
	void *arg)
{
	for (size_t i = 0; r && i < r->nfaults; i++)
		fn(arg, &r->faults[i]);
}

static void
tell_held(const struct held *h, void (*fn)(void *arg, const struct registry_fault *f), void *arg)
{
	tell(h->trouble.counts ? h->trouble.why : NULL, fn, arg);
	tell(h->doubt, fn, arg);
	tell(h->good, fn, arg);
}

void
registry_trust_faults(const struct registry_trust *t,
	void (*fn)(void *arg, const struct registry_fault *f), void *arg)
{
	tell(t->missing.counts ? t->missing.why : NULL, fn, arg);
	tell_held(t->ssot, fn, arg);
	tell_held(t->slots, fn, arg);
	tell(t->own_trouble.counts ? t->own_trouble.why : NULL, fn, arg);
	for (const struct held *h = t->own; h; h = h->hh.next)
		tell_held(h, fn, arg);
}
