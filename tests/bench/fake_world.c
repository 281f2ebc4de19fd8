#include "tests/bench/fake_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reconciler/base/arena.h"

#define IMAGE "registry.example.net/apps/web:2026.11.4"

const char *const fake_state_text[] = {"created", "running", "paused", "exited"};
const char *const fake_health_text[] = {"none", "starting", "healthy", "unhealthy"};

static uint64_t
wall_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* splitmix64 (https://prng.di.unimi.it/splitmix64.c) */
static uint64_t
mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void
hex_id(uint64_t seed, char ret[65])
{
	for (unsigned i = 0; i < 4; i++)
		snprintf(ret + 16 * i, 17, "%016llx", (unsigned long long)mix(seed * 4 + i));
}

void
world_network_id(const char *network, char ret[65])
{
	uint64_t seed = 1;
	for (const char *s = network; *s; s++)
		seed = mix(seed ^ (unsigned char)*s);
	hex_id(seed, ret);
}

/* ---- the table of ids ---- */

static size_t
table_slot(const struct world *w, const char *id)
{
	char head[17];
	snprintf(head, sizeof(head), "%.16s", id);
	return (size_t)mix(strtoull(head, NULL, 16)) & (w->table_size - 1);
}

static void
table_put(struct world *w, struct fake_container *c)
{
	size_t i = table_slot(w, c->id);
	while (w->table[i])
		i = (i + 1) & (w->table_size - 1);
	w->table[i] = c;
}

static void
table_rebuild(struct world *w)
{
	size_t size = 64;
	while (size < w->n * 2 + 2)
		size *= 2;
	free(w->table);
	w->table = xcalloc(size, sizeof(struct fake_container *));
	w->table_size = size;
	for (size_t i = 0; i < w->n; i++)
		table_put(w, w->containers[i]);
}

static struct fake_container *
table_find(const struct world *w, const char *id)
{
	for (size_t i = table_slot(w, id); w->table[i]; i = (i + 1) & (w->table_size - 1))
		if (!strcmp(w->table[i]->id, id))
			return w->table[i];
	return NULL;
}

struct fake_container *
world_find(const struct world *w, const char *key)
{
	size_t len = strlen(key);
	if (len == 64)
		return table_find(w, key);
	for (size_t i = 0; i < w->n; i++)
		if (!strcmp(w->containers[i]->name, key) ||
			(len >= 12 && !strncmp(w->containers[i]->id, key, len)))
			return w->containers[i];
	return NULL;
}

bool
fake_is_up(const struct fake_container *c)
{
	return c->state == FAKE_RUNNING || c->state == FAKE_PAUSED;
}

const char *
fake_label(const struct fake_container *c, const char *name)
{
	for (size_t i = 0; i < c->nlabels; i++)
		if (!strcmp(c->labels[i].name, name))
			return c->labels[i].value;
	return NULL;
}

/* ---- events ---- */

struct attribute {
	const char *name, *value;
};

static int
attribute_compare(const void *a, const void *b)
{
	const struct attribute *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void
attributes_print(struct buf *b, struct attribute *list, size_t n)
{
	qsort(list, n, sizeof(*list), attribute_compare);
	buf_adds(b, "{");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_adds(b, ",");
		buf_json(b, list[i].name);
		buf_adds(b, ":");
		buf_json(b, list[i].value);
	}
	buf_adds(b, "}");
}

static void
event_time_print(struct buf *b)
{
	uint64_t now = wall_ns();
	buf_addf(b, ",\"scope\":\"local\",\"time\":%llu,\"timeNano\":%llu}",
		(unsigned long long)(now / 1000000000u), (unsigned long long)now);
}

/* extra, value: one more attribute; NULL: none. */
static void
event_container(struct world *w, const struct fake_container *c, const char *action,
	const char *extra, const char *value)
{
	struct buf b = {0};
	size_t n = 0;
	struct attribute *list = xcalloc(c->nlabels + 3, sizeof(*list));

	for (; n < c->nlabels; n++)
		list[n] = (struct attribute){c->labels[n].name, c->labels[n].value};
	list[n++] = (struct attribute){"image", IMAGE};
	list[n++] = (struct attribute){"name", c->name};
	if (extra)
		list[n++] = (struct attribute){extra, value};
	buf_addf(&b, "{\"status\":\"%s\",\"id\":\"%s\",\"from\":\"" IMAGE "\",", action, c->id);
	buf_addf(&b, "\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",", action,
		c->id);
	buf_adds(&b, "\"Attributes\":");
	attributes_print(&b, list, n);
	buf_adds(&b, "}");
	event_time_print(&b);
	w->event(w->arg, "container", action, &b);
	buf_finish(&b);
	free(list);
}

static void
event_network(
	struct world *w, const struct fake_container *c, const char *network, const char *action)
{
	struct buf b = {0};
	char id[65];

	world_network_id(network, id);
	buf_addf(&b, "{\"Type\":\"network\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",", action,
		id);
	buf_addf(&b, "\"Attributes\":{\"container\":\"%s\",\"name\":", c->id);
	buf_json(&b, network);
	buf_adds(&b, ",\"type\":\"bridge\"}}");
	event_time_print(&b);
	w->event(w->arg, "network", action, &b);
	buf_finish(&b);
}

static void
event_networks(struct world *w, const struct fake_container *c, const char *action)
{
	for (size_t i = 0; i < c->nnetworks; i++)
		event_network(w, c, c->networks[i].name, action);
}

/* ---- making containers ---- */

static void
fresh_ip(struct world *w, char *ret, size_t size)
{
	uint32_t ip = 0x0a400000u + w->next_ip++; /* 10.64.0.0/10 */
	snprintf(ret, size, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

static int
label_compare(const void *a, const void *b)
{
	const struct fake_label *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void
label_add(struct fake_container *c, const char *name, const char *value)
{
	c->labels = xrealloc(c->labels, (c->nlabels + 1) * sizeof(*c->labels));
	c->labels[c->nlabels++] = (struct fake_label){xstrdup(name), xstrdup(value)};
	qsort(c->labels, c->nlabels, sizeof(*c->labels), label_compare);
}

static int
network_compare(const void *a, const void *b)
{
	const struct fake_network *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void
network_add(struct fake_container *c, const char *name, const char *ip)
{
	c->networks = xrealloc(c->networks, (c->nnetworks + 1) * sizeof(*c->networks));
	struct fake_network *n = &c->networks[c->nnetworks++];
	snprintf(n->name, sizeof(n->name), "%s", name);
	snprintf(n->ip, sizeof(n->ip), "%s", ip);
	qsort(c->networks, c->nnetworks, sizeof(*c->networks), network_compare);
}

static struct fake_container *
container_create(struct world *w, const char *name)
{
	struct fake_container *c = xcalloc(1, sizeof(*c));
	char ip[46];

	hex_id(1000 + w->made++, c->id);
	c->name = xstrdup(name);
	c->created_ns = wall_ns();
	c->health = FAKE_STARTING;
	fresh_ip(w, ip, sizeof(ip));
	network_add(c, WORLD_NETWORK, ip);
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 64;
		w->containers = xrealloc(w->containers, w->cap * sizeof(c));
	}
	w->containers[w->n++] = c;
	if (2 * w->n + 2 > w->table_size)
		table_rebuild(w);
	else
		table_put(w, c);
	return c;
}

static void
container_free(struct fake_container *c)
{
	for (size_t i = 0; i < c->nlabels; i++) {
		free(c->labels[i].name);
		free(c->labels[i].value);
	}
	free(c->labels);
	free(c->networks);
	free(c->name);
	free(c);
}

/* What builders put on every image (https://specs.opencontainers.org/image-spec/annotations/). */
static const struct {
	const char *name, *value;
} image_labels[] = {
	{"org.opencontainers.image.created", "2026-11-20T21:09:36.412Z"},
	{"org.opencontainers.image.revision", "10730d0a8f9a2b7c8e4d5f6a7b8c9d0e1f2a3b4c"},
	{"org.opencontainers.image.source", "https://git.example.net/apps/web"},
	{"org.opencontainers.image.title", "web"},
	{"org.opencontainers.image.version", "2026.11.4"},
};

static void
image_labels_add(struct fake_container *c)
{
	for (size_t i = 0; i < sizeof(image_labels) / sizeof(*image_labels); i++)
		label_add(c, image_labels[i].name, image_labels[i].value);
}

static struct fake_container *
row_create(struct world *w)
{
	size_t number = w->made % WORLD_PROJECT_SIZE;
	char project[32], name[64], branch[32];

	snprintf(project, sizeof(project), "p%05zu", w->made / WORLD_PROJECT_SIZE);
	snprintf(name, sizeof(name), "%s-web-%zu", project, number);
	snprintf(branch, sizeof(branch), "feature-%zu", number);
	struct fake_container *c = container_create(w, name);
	image_labels_add(c);
	label_add(c, "waymark.project", project);
	label_add(c, "waymark.port", "8080");
	if (number >= 2)
		label_add(c, "waymark.branch", branch);
	return c;
}

struct fake_container *
world_add(struct world *w, bool silent)
{
	struct fake_container *c = row_create(w);

	c->state = FAKE_RUNNING;
	c->health = FAKE_HEALTHY;
	c->started_ns = c->created_ns + 220000000;
	if (silent)
		return c;
	event_container(w, c, "create", NULL, NULL);
	event_networks(w, c, "connect");
	event_container(w, c, "start", NULL, NULL);
	event_container(w, c, "health_status: healthy", NULL, NULL);
	return c;
}

struct fake_container *
world_create(struct world *w, const char *name, size_t nlabels, char *const *labels)
{
	struct fake_container *c = container_create(w, name);

	for (size_t i = 0; i < nlabels; i++) {
		char *text = xstrdup(labels[i]);
		char *equals = strchr(text, '=');
		if (equals)
			*equals = '\0';
		label_add(c, text, equals ? equals + 1 : "");
		free(text);
	}
	event_container(w, c, "create", NULL, NULL);
	return c;
}

void
world_init(struct world *w, size_t containers)
{
	*w = (struct world){.next_ip = 2};
	table_rebuild(w);
	for (size_t i = 0; i < containers; i++) {
		struct fake_container *c = world_add(w, true);
		uint64_t age_s = 3600 + (containers - i) * 7;
		c->created_ns -= age_s * 1000000000u;
		c->started_ns -= age_s * 1000000000u;
	}
}

void
world_finish(struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		container_free(w->containers[i]);
	free(w->containers);
	free(w->table);
}

/* ---- changes ---- */

void
world_start(struct world *w, struct fake_container *c)
{
	if (fake_is_up(c))
		return;
	c->state = FAKE_RUNNING;
	c->started_ns = wall_ns();
	if (c->health != FAKE_NO_CHECK)
		c->health = FAKE_STARTING;
	event_networks(w, c, "connect");
	event_container(w, c, "start", NULL, NULL);
}

/* A dockerd calls what it does not check at the moment unhealthy, without an event, until the next
 * probe (container/health.go, CloseMonitorChannel). */
static void
health_monitor_end(struct fake_container *c)
{
	if (c->health != FAKE_NO_CHECK)
		c->health = FAKE_UNHEALTHY;
}

static void
container_down(struct world *w, struct fake_container *c, int exit_code)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", exit_code);
	c->state = FAKE_EXITED;
	c->finished_ns = wall_ns();
	c->exit_code = exit_code;
	health_monitor_end(c);
	event_container(w, c, "die", "exitCode", text);
	event_networks(w, c, "disconnect");
}

void
world_kill(struct world *w, struct fake_container *c)
{
	event_container(w, c, "kill", "signal", "15");
}

void
world_stop(struct world *w, struct fake_container *c)
{
	if (!fake_is_up(c))
		return;
	world_kill(w, c);
	container_down(w, c, 0);
	event_container(w, c, "stop", NULL, NULL);
}

void
world_die(struct world *w, struct fake_container *c)
{
	if (fake_is_up(c))
		container_down(w, c, 1);
}

void
world_remove(struct world *w, struct fake_container *c)
{
	size_t i = 0;

	if (fake_is_up(c)) {
		event_container(w, c, "kill", "signal", "9");
		container_down(w, c, 137);
	}
	while (w->containers[i] != c)
		i++;
	memmove(w->containers + i, w->containers + i + 1, (w->n - i - 1) * sizeof(c));
	w->n--;
	table_rebuild(w);
	event_container(w, c, "destroy", NULL, NULL);
	container_free(c);
}

void
world_pause(struct world *w, struct fake_container *c, bool paused)
{
	if (c->state != (paused ? FAKE_RUNNING : FAKE_PAUSED))
		return;
	c->state = paused ? FAKE_PAUSED : FAKE_RUNNING;
	if (paused)
		health_monitor_end(c);
	event_container(w, c, paused ? "pause" : "unpause", NULL, NULL);
}

void
world_rename(struct world *w, struct fake_container *c, const char *name)
{
	char old[128];

	snprintf(old, sizeof(old), "/%s", c->name);
	free(c->name);
	c->name = xstrdup(name);
	event_container(w, c, "rename", "oldName", old);
}

void
world_set_health(struct world *w, struct fake_container *c, enum fake_health health)
{
	char action[64];

	if (c->health == health)
		return;
	c->health = health;
	if (health == FAKE_NO_CHECK || health == FAKE_STARTING)
		return; /* those come with a start, and have no event */
	snprintf(action, sizeof(action), "health_status: %s", fake_health_text[health]);
	event_container(w, c, action, NULL, NULL);
}

static struct fake_network *
network_find(const struct fake_container *c, const char *network)
{
	for (size_t i = 0; i < c->nnetworks; i++)
		if (!strcmp(c->networks[i].name, network))
			return &c->networks[i];
	return NULL;
}

void
world_connect(struct world *w, struct fake_container *c, const char *network, const char *ip)
{
	char fresh[46];

	if (network_find(c, network))
		return;
	fresh_ip(w, fresh, sizeof(fresh));
	network_add(c, network, ip ? ip : fresh);
	if (fake_is_up(c))
		event_network(w, c, network, "connect");
}

void
world_disconnect(struct world *w, struct fake_container *c, const char *network)
{
	struct fake_network *n = network_find(c, network);

	if (!n)
		return;
	size_t i = (size_t)(n - c->networks);
	memmove(n, n + 1, (c->nnetworks - i - 1) * sizeof(*n));
	c->nnetworks--;
	if (!fake_is_up(c))
		return;
	event_network(w, c, network, "disconnect"); /* a dockerd 20.10 says it twice */
	event_network(w, c, network, "disconnect");
}

void
world_move(struct world *w, struct fake_container *c, const char *ip)
{
	char network[64] = WORLD_NETWORK;

	if (c->nnetworks)
		snprintf(network, sizeof(network), "%s", c->networks[0].name);
	world_disconnect(w, c, network);
	world_connect(w, c, network, ip);
}
