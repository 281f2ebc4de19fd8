#include "reconciler/model/endpoint.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/text.h"

/* Values are const to everybody but their maker and the counter. */
static void *
unconst(const void *p)
{
	return (void *)(uintptr_t)p;
}

/* The endpoint lives in its own arena, so that one is often one piece of memory. */
static struct endpoint *
endpoint_create_sized(size_t size)
{
	struct arena a = {0};
	/* Reserves: a first block that is asked for more than the least gets exactly that. */
	if (size) {
		a.next = arena_alloc(&a, size);
		a.left += size;
	}

	struct endpoint *e = ARENA_NEW(&a, struct endpoint);
	e->arena = a;
	e->refs = 1;
	return e;
}

struct endpoint *
endpoint_create(void)
{
	struct endpoint *e = endpoint_create_sized(0);
	e->engine = e->id = e->name = e->run = e->network_mode = "";
	return e;
}

struct endpoint *
endpoint_ref(const struct endpoint *e)
{
	struct endpoint *mine = unconst(e);
	assert(mine->refs > 0);
	mine->refs++;
	return mine;
}

struct endpoint *
endpoint_unref(const struct endpoint *e)
{
	struct endpoint *mine = unconst(e);
	if (!mine)
		return NULL;
	assert(mine->refs > 0);
	if (--mine->refs == 0) {
		struct arena a = mine->arena;
		arena_finish(&a);
	}
	return NULL;
}

static size_t
string_size(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static size_t
endpoint_strings_size(const struct endpoint *e)
{
	size_t n = string_size(e->engine) + string_size(e->id) + string_size(e->name) +
		   string_size(e->run) + string_size(e->network_mode);

	for (size_t i = 0; i < e->nnetworks; i++) {
		const struct endpoint_network *net = &e->networks[i];
		n += string_size(net->name) + string_size(net->ipv4) + string_size(net->ipv6);
	}
	for (size_t i = 0; i < e->nports; i++)
		n += string_size(e->ports[i].published_ip);
	for (size_t i = 0; i < e->nlabels; i++)
		n += string_size(e->labels[i].name) + string_size(e->labels[i].value);
	return n;
}

static size_t
endpoint_size(const struct endpoint *e)
{
	/* Arrays come before strings; each may need padding to the next aligned address. */
	size_t padding = 4 * _Alignof(max_align_t);
	return sizeof(*e) + padding + e->nnetworks * sizeof(*e->networks) +
	       e->nports * sizeof(*e->ports) + e->nlabels * sizeof(*e->labels) +
	       endpoint_strings_size(e);
}

static void
copy_arrays(struct endpoint *to, const struct endpoint *from)
{
	struct arena *a = &to->arena;
	struct endpoint_network *networks =
		ARENA_ARRAY(a, struct endpoint_network, from->nnetworks);
	struct endpoint_port *ports = ARENA_ARRAY(a, struct endpoint_port, from->nports);
	struct endpoint_label *labels = ARENA_ARRAY(a, struct endpoint_label, from->nlabels);

	for (size_t i = 0; i < from->nnetworks; i++) {
		networks[i].name = arena_strdup(a, from->networks[i].name);
		networks[i].ipv4 = arena_strdup(a, from->networks[i].ipv4);
		networks[i].ipv6 = arena_strdup(a, from->networks[i].ipv6);
	}
	for (size_t i = 0; i < from->nports; i++) {
		ports[i] = from->ports[i];
		ports[i].published_ip = arena_strdup(a, from->ports[i].published_ip);
	}
	for (size_t i = 0; i < from->nlabels; i++) {
		labels[i].name = arena_strdup(a, from->labels[i].name);
		labels[i].value = arena_strdup(a, from->labels[i].value);
	}
	to->networks = networks;
	to->ports = ports;
	to->labels = labels;
}

struct endpoint *
endpoint_copy(const struct endpoint *e)
{
	struct endpoint *copy = endpoint_create_sized(endpoint_size(e));
	struct arena a = copy->arena;

	*copy = *e;
	copy->refs = 1;
	copy->arena = a;
	copy_arrays(copy, e);
	copy->engine = arena_strdup(&copy->arena, e->engine);
	copy->id = arena_strdup(&copy->arena, e->id);
	copy->name = arena_strdup(&copy->arena, e->name);
	copy->run = arena_strdup(&copy->arena, e->run);
	copy->network_mode = arena_strdup(&copy->arena, e->network_mode);
	return copy;
}

/* NULL sorts first. */
static int
network_compare(const void *left, const void *right)
{
	const struct endpoint_network *a = left, *b = right;
	int r = strcmp(a->name, b->name);
	if (!r)
		r = text_compare(a->ipv4, b->ipv4);
	return r ? r : text_compare(a->ipv6, b->ipv6);
}

static int
port_compare(const void *left, const void *right)
{
	const struct endpoint_port *a = left, *b = right;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (a->published != b->published)
		return a->published < b->published ? -1 : 1;
	if (a->tcp != b->tcp)
		return a->tcp ? -1 : 1;
	return text_compare(a->published_ip, b->published_ip);
}

static int
label_compare(const void *left, const void *right)
{
	const struct endpoint_label *a = left, *b = right;
	int r = strcmp(a->name, b->name);
	return r ? r : strcmp(a->value, b->value);
}

void
endpoint_seal(struct endpoint *e)
{
	if (e->nnetworks > 1)
		qsort(unconst(e->networks), e->nnetworks, sizeof(*e->networks), network_compare);
	if (e->nports > 1)
		qsort(unconst(e->ports), e->nports, sizeof(*e->ports), port_compare);
	if (e->nlabels > 1)
		qsort(unconst(e->labels), e->nlabels, sizeof(*e->labels), label_compare);
}

static bool
networks_equal(const struct endpoint *a, const struct endpoint *b)
{
	if (a->nnetworks != b->nnetworks)
		return false;
	for (size_t i = 0; i < a->nnetworks; i++)
		if (network_compare(&a->networks[i], &b->networks[i]))
			return false;
	return true;
}

static bool
ports_equal(const struct endpoint *a, const struct endpoint *b)
{
	if (a->nports != b->nports)
		return false;
	for (size_t i = 0; i < a->nports; i++)
		if (port_compare(&a->ports[i], &b->ports[i]))
			return false;
	return true;
}

/* Of those that the host forwards. */
static bool
published_equal(const struct endpoint *a, const struct endpoint *b)
{
	size_t i = 0, j = 0;
	for (;; i++, j++) {
		while (i < a->nports && !a->ports[i].published)
			i++;
		while (j < b->nports && !b->ports[j].published)
			j++;
		if (i == a->nports || j == b->nports)
			return i == a->nports && j == b->nports;
		if (port_compare(&a->ports[i], &b->ports[j]))
			return false;
	}
}

static bool
labels_equal(const struct endpoint *a, const struct endpoint *b)
{
	if (a->nlabels != b->nlabels)
		return false;
	for (size_t i = 0; i < a->nlabels; i++)
		if (label_compare(&a->labels[i], &b->labels[i]))
			return false;
	return true;
}

bool
endpoint_lists_equal(const struct endpoint *a, const struct endpoint *b, bool podman)
{
	if (strcmp(a->id, b->id) || strcmp(a->name, b->name) || a->state != b->state ||
		!networks_equal(a, b) || !labels_equal(a, b))
		return false;
	if (podman)
		return published_equal(a, b);
	return a->created == b->created && !strcmp(a->network_mode, b->network_mode) &&
	       ports_equal(a, b);
}

bool
endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a == b || (!strcmp(a->engine, b->engine) && !strcmp(a->run, b->run) &&
				 a->health == b->health && a->stop_signal == b->stop_signal &&
				 a->leaving == b->leaving && a->died == b->died &&
				 a->withheld == b->withheld && a->ready_before == b->ready_before &&
				 endpoint_lists_equal(a, b, false));
}

const char *
endpoint_label(const struct endpoint *e, const char *name)
{
	size_t from = 0, to = e->nlabels;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int r = strcmp(name, e->labels[middle].name);
		if (!r)
			return e->labels[middle].value;
		if (r < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}
