#include "reconciler/model/slot_table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reconciler/model/ports.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const command_texts[SLOT_COMMANDS] = {
	[SLOT_DEPLOY] = "deploy",
	[SLOT_PROMOTE] = "promote",
	[SLOT_ROLLBACK] = "rollback",
	[SLOT_CLEANUP] = "cleanup",
};

static const struct slot_transition transitions[] = {
#define X(command, from, to, needs, why, remedy)                                                   \
	{SLOT_##command, SLOT_##from, SLOT_##to, (needs), why, remedy},
	SLOT_TRANSITIONS(X)
#undef X
};

static const struct {
	unsigned bit;
	const char *means;
} needs_table[] = {
#define X(bit, name, means) {bit, means},
	SLOT_NEEDS(X)
#undef X
};

const char *
slot_command_text(enum slot_command command)
{
	return command_texts[command];
}

bool
slot_command_parse(const char *text, enum slot_command *ret)
{
	for (size_t i = 0; i < COUNT(command_texts); i++)
		if (strcmp(text, command_texts[i]) == 0) {
			*ret = (enum slot_command)i;
			return true;
		}
	return false;
}

const struct slot_transition *
slot_transition_find(enum slot_command command, enum slot_state from)
{
	for (size_t i = 0; i < COUNT(transitions); i++)
		if (transitions[i].command == command && transitions[i].from == from)
			return &transitions[i];
	abort();
}

/* -- the manual -- */

/* The sentence up to what only a slot can fill in. */
static int
plain_length(const char *why)
{
	size_t n = strcspn(why, "{");
	while (n && strchr(", ", why[n - 1]))
		n--;
	return (int)n;
}

static void
print_row(struct buf *b, const struct slot_transition *t)
{
	const char *between = ": when ";

	buf_addf(b, "  %-9s %-14s", slot_command_text(t->command), slot_state_text(t->from));
	if (t->needs & SLOT_NEVER) {
		buf_addf(b, "refused: it %.*s\n", plain_length(t->why), t->why);
		return;
	}
	buf_addf(b, "%s", slot_state_text(t->to));
	for (size_t i = 0; i < COUNT(needs_table); i++)
		if (t->needs & needs_table[i].bit) {
			buf_addf(b, "%s%s", between, needs_table[i].means);
			between = ", and ";
		}
	buf_adds(b, "\n");
}

static const char beside_the_table[] =
	"\nA cleanup is two steps.  The first one ends the slot's time: a reservation and a grace\n"
	"period end now, and a deployed slot comes into a grace period that ends now.  When no\n"
	"request can reach it any more, the second one makes it empty.\n"
	"A promote, a rollback and a cleanup take the environment's weights away.\n";

void
slot_table_print(struct buf *b)
{
	buf_addf(b, "  %-9s %-14s%s\n", "command", "of a slot", "makes it");
	for (size_t i = 0; i < COUNT(transitions); i++)
		print_row(b, &transitions[i]);
	buf_adds(b, beside_the_table);
}

/* -- looking -- */

const struct slot_fact *
slot_fact_find(const struct slot_facts *facts, const char *slot)
{
	static const struct slot_fact nothing = {.slot = ""};

	for (size_t i = 0; facts && i < facts->n; i++)
		if (strcmp(facts->list[i].slot, slot) == 0)
			return &facts->list[i];
	return &nothing;
}

const char *
slot_container(struct arena *a, const char *project, const struct registered_environment *e,
	const char *slot)
{
	const struct registered_slot *s = registered_slot_find(e, slot);
	if (s && s->container)
		return s->container;
	return arena_printf(a, "%s-%s-%s", project, e->name, slot);
}

uint64_t
slot_end_ms(const struct registered_slot *s, const struct slot_fact *f)
{
	return s->until_ms && f && f->until_ms > s->until_ms ? f->until_ms : s->until_ms;
}

bool
slot_has_ended(const struct registered_slot *s, const struct slot_fact *f, uint64_t now_ms)
{
	uint64_t end = slot_end_ms(s, f);
	return end && end <= now_ms;
}

/* -- one request -- */

struct applying {
	struct arena *arena;
	const struct registered_environment *e;
	const struct slot_request *r;
	/* The slots, blue and green among them in any case, sorted by name. */
	size_t n;
	struct registered_slot *slots;
	struct slot_refusal *refusal;
};

static int
slot_compare(const void *left, const void *right)
{
	const struct registered_slot *a = left, *b = right;
	return strcmp(a->name, b->name);
}

static void
collect(struct applying *ap)
{
	static const char *const usual[] = {"blue", "green"};
	const struct registered_environment *e = ap->e;

	ap->slots = ARENA_ARRAY(ap->arena, struct registered_slot, e->nslots + COUNT(usual));
	for (size_t i = 0; i < e->nslots; i++) {
		struct registered_slot *s = &ap->slots[ap->n++];
		*s = e->slot[i];
		s->name = arena_strdup(ap->arena, s->name);
		s->id = arena_strdup(ap->arena, s->id);
		s->container = arena_strdup(ap->arena, s->container);
	}
	for (size_t i = 0; i < COUNT(usual); i++)
		if (!registered_slot_find(e, usual[i]))
			ap->slots[ap->n++] = (struct registered_slot){.name = usual[i]};
	qsort(ap->slots, ap->n, sizeof(*ap->slots), slot_compare);
}

static struct registered_slot *
find(const struct applying *ap, const char *name)
{
	for (size_t i = 0; name && i < ap->n; i++)
		if (strcmp(ap->slots[i].name, name) == 0)
			return &ap->slots[i];
	return NULL;
}

static bool
carries_traffic(const struct applying *ap, const struct registered_slot *s)
{
	return slot_fact_find(ap->r->facts, s->name)->traffic;
}

static uint64_t
end_of(const struct applying *ap, const struct registered_slot *s)
{
	return slot_end_ms(s, slot_fact_find(ap->r->facts, s->name));
}

static bool
has_ended(const struct applying *ap, const struct registered_slot *s)
{
	return slot_has_ended(s, slot_fact_find(ap->r->facts, s->name), ap->r->now_ms);
}

static const char *
when_text(struct arena *a, uint64_t ms, uint64_t now_ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	if (!ms || !gmtime_r(&seconds, &tm))
		return "without an end";
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return arena_printf(a, "until %s%s", text, ms <= now_ms ? ", which has passed" : "");
}

/* -- refusing -- */

/* The slot beside it: the one that is active, else any other. */
static const char *
other_slot(const struct applying *ap, const struct registered_slot *s)
{
	const char *other = "";
	for (size_t i = 0; i < ap->n; i++) {
		if (&ap->slots[i] == s)
			continue;
		if (!*other || ap->slots[i].state == SLOT_ACTIVE)
			other = ap->slots[i].name;
	}
	return other;
}

static const char *
fill(const struct applying *ap, const struct registered_slot *s, const char *template)
{
	const struct {
		const char *name, *value;
	} words[] = {
		{"{p}", ap->r->project},
		{"{e}", ap->e->name},
		{"{s}", s->name},
		{"{other}", other_slot(ap, s)},
		{"{id}", s->id ? s->id : "which gives no id"},
		{"{until}", when_text(ap->arena, end_of(ap, s), ap->r->now_ms)},
	};
	struct buf b = {0};

	buf_adds(&b, "");
	while (*template) {
		size_t plain = strcspn(template, "{"), i = 0;
		buf_add(&b, template, plain);
		template += plain;
		while (*template && i < COUNT(words) &&
			strncmp(template, words[i].name, strlen(words[i].name)) != 0)
			i++;
		if (*template && i < COUNT(words)) {
			buf_adds(&b, words[i].value);
			template += strlen(words[i].name);
		} else if (*template) {
			buf_add(&b, template ++, 1);
		}
	}
	const char *text = arena_strndup(ap->arena, b.p, b.n);
	buf_finish(&b);
	return text;
}

/* Of a slot: "slot blue …". */
static bool
refuse(struct applying *ap, const struct registered_slot *s, const char *why, const char *remedy)
{
	*ap->refusal = (struct slot_refusal){
		.slot = s->name,
		.what = arena_printf(ap->arena, "slot %s %s", s->name, fill(ap, s, why)),
		.remedy = fill(ap, s, remedy),
	};
	return false;
}

static bool
refuse_all(struct applying *ap, const char *what, const char *remedy)
{
	*ap->refusal = (struct slot_refusal){.what = what, .remedy = remedy};
	return false;
}

static bool
refuse_unready(struct applying *ap, const struct registered_slot *s)
{
	const struct slot_fact *f = slot_fact_find(ap->r->facts, s->name);
	const char *container = slot_container(ap->arena, ap->r->project, ap->e, s->name);

	if (f->servers)
		return refuse(ap, s,
			arena_printf(ap->arena, "has no container that is ready (%s is not)",
				f->container ? f->container : container),
			"see what it says, and try again when it is");
	return refuse(ap, s, "has no container",
		arena_printf(ap->arena, "start %s, and try again when it is ready", container));
}

/* What is asked of a slot beside its state. */
static bool
check_needs(struct applying *ap, const struct registered_slot *s, const struct slot_transition *t)
{
	const struct slot_request *r = ap->r;
	bool ended = has_ended(ap, s);

	if (t->needs & SLOT_NEVER)
		return refuse(ap, s, t->why, t->remedy);
	if (r->grace_since_ms && (s->state != SLOT_GRACE || s->since_ms != *r->grace_since_ms))
		return refuse(ap, s, "is not in the grace period that is meant any more",
			"see how it stands: waymark slot list {p} {e}");
	if ((t->needs & SLOT_NEEDS_IDLE) && carries_traffic(ap, s))
		return refuse(ap, s,
			s->state == SLOT_EMPTY ? "carries traffic, though the registry says that "
						 "it is empty"
					       : "carries traffic",
			"promote the slot that is to have it, and try again when its route has "
			"moved");
	if ((t->needs & SLOT_NEEDS_ENDED) && !ended)
		return refuse(ap, s, t->why, t->remedy);
	if ((t->needs & SLOT_NEEDS_LIVE) && ended)
		return refuse(ap, s, t->why, t->remedy);
	if ((t->needs & SLOT_NEEDS_ID) && r->command == SLOT_PROMOTE && r->id &&
		(!s->id || strcmp(r->id, s->id) != 0))
		return refuse(ap, s,
			arena_printf(ap->arena, "is not reserved by %s any more", r->id),
			"deploy again: waymark slot deploy {p} {e}");
	if ((t->needs & SLOT_NEEDS_DISCARD) && !ended && !r->discard_rollback)
		return refuse(ap, s, t->why, t->remedy);
	if ((t->needs & SLOT_NEEDS_READY) && r->facts &&
		!slot_fact_find(r->facts, s->name)->ready) {
		refuse_unready(ap, s);
		ap->refusal->unready = true;
		return false;
	}
	return true;
}

/* -- which slot -- */

/* Who reserves first has it, even where there is a second slot to be had. */
static struct registered_slot *
holder(const struct applying *ap)
{
	for (size_t i = 0; i < ap->n; i++) {
		struct registered_slot *s = &ap->slots[i];
		if (s->state == SLOT_RESERVED && !has_ended(ap, s))
			return s;
	}
	return NULL;
}

/* How well a deploy may take a slot; 0: not. */
static int
deploy_fitness(const struct applying *ap, const struct registered_slot *s)
{
	static const int fitness[] = {
		[SLOT_EMPTY] = 4, [SLOT_RESERVED] = 4, [SLOT_DEPLOYED] = 3, [SLOT_GRACE] = 2};

	if (s->state == SLOT_ACTIVE)
		return 0;
	return carries_traffic(ap, s) ? 1 : fitness[s->state];
}

static struct registered_slot *
deploy_target(const struct applying *ap)
{
	struct registered_slot *best = holder(ap);
	int fitness = 0;

	for (size_t i = 0; i < ap->n && (!best || fitness); i++) {
		int f = deploy_fitness(ap, &ap->slots[i]);
		if (f > fitness) {
			best = &ap->slots[i];
			fitness = f;
		}
	}
	return best;
}

/* The only one in a state that the command leads out of; NULL where none is, or several are. */
static struct registered_slot *
only_target(const struct applying *ap, size_t *ret_n)
{
	struct registered_slot *found = NULL;
	*ret_n = 0;
	for (size_t i = 0; i < ap->n; i++) {
		struct registered_slot *s = &ap->slots[i];
		if (slot_transition_find(ap->r->command, s->state)->needs & SLOT_NEVER)
			continue;
		found = s;
		++*ret_n;
	}
	return *ret_n == 1 ? found : NULL;
}

static struct registered_slot *
target_by_id(const struct applying *ap)
{
	for (size_t i = 0; i < ap->n; i++)
		if (ap->slots[i].id && strcmp(ap->slots[i].id, ap->r->id) == 0)
			return &ap->slots[i];
	return NULL;
}

static struct registered_slot *
refuse_none(struct applying *ap, size_t n)
{
	static const struct {
		const char *none, *remedy;
	} texts[SLOT_COMMANDS] = {
		[SLOT_DEPLOY] = {"no slot can be deployed to", "name one"},
		[SLOT_PROMOTE] = {"no slot is reserved or deployed",
			"deploy first: waymark slot deploy"},
		[SLOT_ROLLBACK] = {"no slot is in its grace period, so there is no way back",
			"deploy what is to run: waymark slot deploy"},
		[SLOT_CLEANUP] = {"no slot is there to be cleaned up", "nothing is left to do"},
	};
	enum slot_command c = ap->r->command;

	if (n > 1)
		refuse_all(ap, arena_printf(ap->arena, "%zu slots could be meant", n),
			"name the slot, after the environment");
	else
		refuse_all(ap, texts[c].none,
			c == SLOT_CLEANUP ? texts[c].remedy
					  : arena_printf(ap->arena, "%s %s %s", texts[c].remedy,
						    ap->r->project, ap->e->name));
	return NULL;
}

static struct registered_slot *
choose_target(struct applying *ap)
{
	const struct slot_request *r = ap->r;
	struct registered_slot *s = NULL;
	size_t n = 0;

	if (r->command == SLOT_DEPLOY && holder(ap))
		return holder(ap);
	if (r->slot) {
		s = find(ap, r->slot);
		if (!s)
			refuse_all(ap, arena_printf(ap->arena, "there is no slot %s", r->slot),
				"name one of those that `waymark slot list` shows");
		return s;
	}
	if (r->command == SLOT_DEPLOY) {
		s = deploy_target(ap);
	} else if (r->command == SLOT_PROMOTE && r->id) {
		s = target_by_id(ap);
		if (!s) {
			refuse_all(ap,
				arena_printf(
					ap->arena, "no slot is reserved by %s any more", r->id),
				arena_printf(ap->arena, "deploy again: waymark slot deploy %s %s",
					r->project, ap->e->name));
			return NULL;
		}
	} else {
		s = only_target(ap, &n);
	}
	return s ? s : refuse_none(ap, n);
}

/* -- what becomes of them -- */

/* The published port of a slot: as the registry has it, else by the formula. */
static uint16_t
port_of(const struct applying *ap, const char *slot)
{
	struct slot_ports ports = {.arena = ap->arena};

	ports_add(&ports, NULL, ap->r->project, ap->e->name, ap->e);
	for (size_t i = 0; i < ports.n; i++)
		if (strcmp(ports.list[i].slot, slot) == 0)
			return ports.list[i].port;
	return 0;
}

static void
enter(struct applying *ap, struct registered_slot *s, enum slot_state state)
{
	const struct slot_request *r = ap->r;

	s->state = state;
	s->since_ms = state == SLOT_EMPTY ? 0 : r->now_ms;
	s->until_ms = state == SLOT_GRACE      ? r->now_ms + r->grace_ms
		      : state == SLOT_RESERVED ? r->now_ms + r->reservation_ms
					       : 0;
	s->id = state == SLOT_RESERVED ? arena_strdup(ap->arena, r->id) : NULL;
	if (state == SLOT_RESERVED)
		s->port = port_of(ap, s->name);
	if (state == SLOT_EMPTY)
		s->container = NULL;
}

/* The first step of a cleanup.  What is killed after it leaves a slot whose time is over, which
 * may be cleaned up again. */
static void
end_time(const struct applying *ap, struct registered_slot *s)
{
	if (s->state == SLOT_DEPLOYED) {
		s->state = SLOT_GRACE;
		s->since_ms = ap->r->now_ms;
	}
	s->until_ms = ap->r->now_ms;
}

static void
drop_weights(struct applying *ap, struct registered_environment *e)
{
	for (size_t i = 0; i < ap->n; i++)
		ap->slots[i].weight = 0;
	e->weighted = false;
}

bool
slot_apply(struct arena *a, const struct registered_environment *e, const struct slot_request *r,
	struct slot_change *ret, struct slot_refusal *retrefusal)
{
	struct applying ap = {.arena = a, .e = e, .r = r, .refusal = retrefusal};

	collect(&ap);
	struct registered_slot *s = choose_target(&ap), *left = NULL;
	if (!s)
		return false;
	const struct slot_transition *t = slot_transition_find(r->command, s->state);
	if (!check_needs(&ap, s, t))
		return false;

	const char *active = arena_strdup(a, e->active);
	if (t->to == SLOT_ACTIVE) {
		left = find(&ap, active);
		active = s->name;
	}
	if (r->command == SLOT_CLEANUP && r->ending)
		end_time(&ap, s);
	else
		enter(&ap, s, t->to);
	if (left)
		enter(&ap, left, SLOT_GRACE);
	*ret = (struct slot_change){
		.after = *e,
		.slot = s->name,
		.left = left ? left->name : NULL,
	};
	ret->after.slots = true;
	ret->after.active = active;
	ret->after.nslots = ap.n;
	ret->after.slot = ap.slots;
	if (r->command != SLOT_DEPLOY)
		drop_weights(&ap, &ret->after);
	return true;
}
