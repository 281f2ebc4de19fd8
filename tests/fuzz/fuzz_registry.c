/* The registry's files.  Any bytes go to both decoders, in each dialect; what comes out whole is
 * printed and read again, and has to be equal. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

#include "reconciler/base/json.h"
#include "reconciler/registry/registry_parse.h"

static const struct registry_options state = {"s", "state", DIALECT_AUTO, 1};

static json_t *
read_printed(struct buf *b)
{
	json_t *entry = json_loadb(b->p, b->n, JSON_REJECT_DUPLICATES, NULL);
	assert(entry);
	buf_finish(b);
	return entry;
}

static void
check_project(const struct registered_project *p)
{
	struct registry_reading *r = registry_reading_create();
	struct buf b = {0};

	registry_print_project(p, &b);
	json_t *entry = read_printed(&b);
	struct registered_project *again = registry_parse_project(p->name, entry, &state, r);
	assert(again && r->nfaults == 0 && registered_project_equal(p, again));
	struct registered_project *copy = registered_project_combine(p, again);
	assert(registered_project_equal(p, copy));
	registered_project_unref(copy);
	registered_project_unref(again);
	json_decref(entry);
	registry_reading_destroy(r);
}

static void
check_static(const struct registered_static *s)
{
	struct registry_reading *r = registry_reading_create();
	struct buf b = {0};

	registry_print_static(s, &b);
	json_t *entry = read_printed(&b);
	struct registered_static *again = registry_parse_static(s->route.host, entry, &state, r);
	assert(again && r->nfaults == 0 && registered_static_equal(s, again));
	registered_static_unref(again);
	json_decref(entry);
	registry_reading_destroy(r);
}

/* Slots: an active one is there, no other says so, and only reservations and grace periods end. */
static void
check_slots(const struct registered_project *p)
{
	for (size_t i = 0; i < p->nenvironments; i++) {
		const struct registered_environment *e = &p->environments[i];
		assert(!e->active || registered_slot_find(e, e->active));
		for (size_t k = 0; k < e->nslots; k++) {
			const struct registered_slot *s = &e->slot[k];
			bool active = e->active && !strcmp(e->active, s->name);
			assert((s->state == SLOT_ACTIVE) == active);
			assert(s->state == SLOT_GRACE || s->state == SLOT_RESERVED || !s->until_ms);
			assert(s->state == SLOT_RESERVED || !s->id);
		}
	}
}

/* Nothing is silent: what is not whole has a fault that says what and where. */
static void
check_reading(struct registry_reading *r, bool broken)
{
	for (size_t i = 0; i < r->nprojects; i++) {
		check_slots(r->projects[i]);
		check_project(r->projects[i]);
	}
	for (size_t i = 0; i < r->nstatics; i++)
		check_static(r->statics[i]);
	for (size_t i = 0; i < r->nfaults; i++) {
		const struct registry_fault *f = &r->faults[i];
		assert(*f->what && *f->remedy && strlen(f->what) < 1024 && strlen(f->path) < 2048);
		for (const char *c = f->path; *c; c++)
			assert((unsigned char)*c >= 0x20 && *c != 0x7f);
		for (const char *c = f->what; *c; c++)
			assert((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
	assert(!(broken || r->nbad_projects || r->nbad_statics) || r->nfaults);
	assert(!broken || (!r->nprojects && !r->nstatics));
	registry_reading_destroy(r);
}

/* As an entry of a table or of the state. */
static void
check_entry(const uint8_t *data, size_t n)
{
	struct registry_reading *r = registry_reading_create();
	json_t *entry = json_read((const char *)data, n);

	if (entry) {
		struct registered_project *p = registry_parse_project("p", entry, &state, r);
		assert(p || r->nfaults);
		if (p)
			check_project(p);
		registered_project_unref(p);
		registered_static_unref(registry_parse_static("a.kr", entry, &state, r));
	}
	json_decref(entry);
	registry_reading_destroy(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const files[] = {"slots.json", "/x/slots/my-app.json"};
	const char *text = (const char *)data;
	bool broken;

	for (int d = DIALECT_AUTO; d <= DIALECT_CODEB; d++) {
		struct registry_options o = {"s", "ssot.json", (enum settings_dialect)d, 172800000};
		struct registry_reading *r = registry_parse_ssot(text, n, &o, &broken);
		check_reading(r, broken);
	}
	for (size_t i = 0; i < 2; i++) {
		struct registry_options o = {"s", files[i], DIALECT_AUTO, 172800000};
		struct registry_reading *r = registry_parse_slots(text, n, &o, &broken);
		check_reading(r, broken);
	}
	check_entry(data, n);
	return 0;
}
