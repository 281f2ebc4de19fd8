#include "tests/bench/fake_render.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/bench/fake_shape.h"

#define NS_PER_S 1000000000u

/* The shapes stand in files, where they can be read; the program carries them with it. */
#define EMBED(symbol, file)                                                                        \
	__asm__(".section .rodata\n" #symbol ": .incbin \"" file "\"\n" #symbol                    \
		"_end: .byte 0\n.previous\n");                                                     \
	extern const char symbol[], symbol##_end[]

EMBED(shape_list_json, "tests/bench/shapes/list.json");
EMBED(shape_inspect_json, "tests/bench/shapes/inspect.json");
EMBED(shape_version_json, "tests/bench/shapes/version.json");

static struct shape *list_shape, *inspect_shape, *version_shape;

/* ---- times ---- */

static void
print_time(struct buf *b, uint64_t ns)
{
	char text[32] = "0001-01-01T00:00:00";
	time_t s = (time_t)(ns / NS_PER_S);
	struct tm tm;

	if (!ns) {
		buf_addf(b, "%sZ", text);
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
	buf_addf(b, "%s.%09lluZ", text, (unsigned long long)(ns % NS_PER_S));
}

/* As units.HumanDuration says it (https://github.com/docker/go-units/blob/master/duration.go). */
static void
print_duration(struct buf *b, uint64_t s)
{
	if (s < 1)
		buf_adds(b, "Less than a second");
	else if (s == 1)
		buf_adds(b, "1 second");
	else if (s < 60)
		buf_addf(b, "%u seconds", (unsigned)s);
	else if (s < 120)
		buf_adds(b, "About a minute");
	else if (s < 3600)
		buf_addf(b, "%u minutes", (unsigned)(s / 60));
	else if (s < 5400)
		buf_adds(b, "About an hour");
	else if (s < 48 * 3600)
		buf_addf(b, "%u hours", (unsigned)((s + 1800) / 3600));
	else
		buf_addf(b, "%u days", (unsigned)(s / 86400));
}

static void
print_since(struct buf *b, uint64_t ns)
{
	uint64_t now = (uint64_t)time(NULL);
	uint64_t then = ns / NS_PER_S;
	print_duration(b, now > then ? now - then : 0);
}

/* ---- the holes ---- */

static void
fill_id(struct buf *b, const struct fake_container *c)
{
	buf_adds(b, c->id);
}

static void
fill_id12(struct buf *b, const struct fake_container *c)
{
	buf_add(b, c->id, 12);
}

static void
fill_name(struct buf *b, const struct fake_container *c)
{
	buf_adds(b, c->name);
}

/* Digests of the container's own: any 64 digits of its will do. */
static void
fill_layer(struct buf *b, const struct fake_container *c)
{
	buf_add(b, c->id + 32, 32);
	buf_add(b, c->id, 32);
}

static void
fill_sandbox(struct buf *b, const struct fake_container *c)
{
	if (c->state != FAKE_CREATED)
		fill_layer(b, c);
}

static void
fill_created_unix(struct buf *b, const struct fake_container *c)
{
	buf_addf(b, "%llu", (unsigned long long)(c->created_ns / NS_PER_S));
}

static void
fill_created(struct buf *b, const struct fake_container *c)
{
	print_time(b, c->created_ns);
}

static void
fill_started(struct buf *b, const struct fake_container *c)
{
	print_time(b, c->started_ns);
}

static void
fill_finished(struct buf *b, const struct fake_container *c)
{
	print_time(b, c->finished_ns);
}

static void
fill_state(struct buf *b, const struct fake_container *c)
{
	buf_adds(b, fake_state_text[c->state]);
}

static void
print_up(struct buf *b, const struct fake_container *c)
{
	static const char *const suffix[] = {
		[FAKE_NO_CHECK] = "",
		[FAKE_STARTING] = " (health: starting)",
		[FAKE_HEALTHY] = " (healthy)",
		[FAKE_UNHEALTHY] = " (unhealthy)",
	};
	buf_adds(b, "Up ");
	print_since(b, c->started_ns);
	buf_adds(b, c->state == FAKE_PAUSED ? " (Paused)" : suffix[c->health]);
}

static void
fill_status(struct buf *b, const struct fake_container *c)
{
	if (fake_is_up(c)) {
		print_up(b, c);
	} else if (c->state == FAKE_CREATED) {
		buf_adds(b, "Created");
	} else {
		buf_addf(b, "Exited (%d) ", c->exit_code);
		print_since(b, c->finished_ns);
		buf_adds(b, " ago");
	}
}

static void
fill_running(struct buf *b, const struct fake_container *c)
{
	buf_adds(b, fake_is_up(c) ? "true" : "false");
}

static void
fill_paused(struct buf *b, const struct fake_container *c)
{
	buf_adds(b, c->state == FAKE_PAUSED ? "true" : "false");
}

static void
fill_pid(struct buf *b, const struct fake_container *c)
{
	unsigned digits;
	sscanf(c->id, "%4x", &digits);
	buf_addf(b, "%u", fake_is_up(c) ? 1000 + digits : 0);
}

static void
fill_exit_code(struct buf *b, const struct fake_container *c)
{
	buf_addf(b, "%d", c->exit_code);
}

static void
fill_network_mode(struct buf *b, const struct fake_container *c)
{
	buf_adds(b, c->nnetworks ? c->networks[0].name : "none");
}

static void
fill_labels(struct buf *b, const struct fake_container *c)
{
	for (size_t i = 0; i < c->nlabels; i++) {
		buf_adds(b, i ? "," : "{");
		buf_json(b, c->labels[i].name);
		buf_adds(b, ":");
		buf_json(b, c->labels[i].value);
	}
	buf_adds(b, c->nlabels ? "}" : "{}");
}

static const char *
exposed_port(const struct fake_container *c)
{
	const char *port = fake_label(c, "waymark.port");
	return port && strspn(port, "0123456789") == strlen(port) && *port ? port : "8080";
}

static void
fill_list_ports(struct buf *b, const struct fake_container *c)
{
	if (fake_is_up(c))
		buf_addf(b, "[{\"PrivatePort\":%s,\"Type\":\"tcp\"}]", exposed_port(c));
	else
		buf_adds(b, "[]");
}

static void
fill_ports(struct buf *b, const struct fake_container *c)
{
	if (fake_is_up(c))
		buf_addf(b, "{\"%s/tcp\":null}", exposed_port(c));
	else
		buf_adds(b, "{}");
}

static void
fill_exposed_ports(struct buf *b, const struct fake_container *c)
{
	buf_addf(b, "{\"%s/tcp\":{}}", exposed_port(c));
}

static void
print_mac(struct buf *b, const char *ip)
{
	unsigned a[4] = {0};
	sscanf(ip, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]);
	buf_addf(b, "02:42:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3]);
}

static void
print_network_ids(struct buf *b, const struct fake_container *c, const struct fake_network *n)
{
	char id[65];

	world_network_id(n->name, id);
	buf_addf(b, "\"NetworkID\":\"%s\",\"EndpointID\":\"", c->state == FAKE_CREATED ? "" : id);
	if (fake_is_up(c))
		buf_addf(b, "%.32s%.32s", c->id, id);
	buf_adds(b, "\",");
}

static void
print_network_addresses(struct buf *b, bool up, const char *ip)
{
	bool v6 = strchr(ip, ':');

	buf_addf(b, "\"Gateway\":\"%s\",", up && !v6 ? "10.64.0.1" : "");
	buf_addf(b, "\"IPAddress\":\"%s\",", up && !v6 ? ip : "");
	buf_addf(b, "\"IPPrefixLen\":%d,", up && !v6 ? 10 : 0);
	buf_addf(b, "\"IPv6Gateway\":\"%s\",", up && v6 ? "fd00:64::1" : "");
	buf_addf(b, "\"GlobalIPv6Address\":\"%s\",", up && v6 ? ip : "");
	buf_addf(b, "\"GlobalIPv6PrefixLen\":%d,", up && v6 ? 64 : 0);
	buf_adds(b, "\"MacAddress\":\"");
	if (up)
		print_mac(b, ip);
	buf_adds(b, "\",\"DriverOpts\":null}");
}

static void
print_networks(struct buf *b, const struct fake_container *c, bool aliases)
{
	buf_adds(b, "{");
	for (size_t i = 0; i < c->nnetworks; i++) {
		const struct fake_network *n = &c->networks[i];
		if (i)
			buf_adds(b, ",");
		buf_json(b, n->name);
		buf_adds(b, ":{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":");
		if (aliases)
			buf_addf(b, "[\"%.12s\"],", c->id);
		else
			buf_adds(b, "null,");
		print_network_ids(b, c, n);
		print_network_addresses(b, fake_is_up(c), n->ip);
	}
	buf_adds(b, "}");
}

static void
fill_list_networks(struct buf *b, const struct fake_container *c)
{
	print_networks(b, c, false);
}

static void
fill_networks(struct buf *b, const struct fake_container *c)
{
	print_networks(b, c, c->state != FAKE_CREATED);
}

static void
print_probe(struct buf *b, uint64_t at_ns, bool good)
{
	buf_adds(b, "{\"Start\":\"");
	print_time(b, at_ns);
	buf_adds(b, "\",\"End\":\"");
	print_time(b, at_ns + 41260000);
	buf_addf(b, "\",\"ExitCode\":%d,\"Output\":\"%s\"}", good ? 0 : 1, good ? "ok" : "refused");
}

/* A dockerd keeps the last five probes. */
static void
fill_health(struct buf *b, const struct fake_container *c)
{
	bool good = c->health == FAKE_HEALTHY;

	if (c->health == FAKE_NO_CHECK || c->state == FAKE_CREATED)
		return;
	buf_addf(b, "{\"Status\":\"%s\",\"FailingStreak\":%d,\"Log\":[",
		fake_health_text[c->health], c->health == FAKE_UNHEALTHY ? 5 : 0);
	for (unsigned i = 0; i < 5 && c->health != FAKE_STARTING; i++) {
		if (i)
			buf_adds(b, ",");
		print_probe(b, c->started_ns + (i + 1) * 10ull * NS_PER_S, good);
	}
	buf_adds(b, "]}");
}

static void
fill_healthcheck(struct buf *b, const struct fake_container *c)
{
	if (c->health == FAKE_NO_CHECK)
		return;
	buf_adds(b, "{\"Test\":[\"CMD-SHELL\",\"wget -q -O- http://127.0.0.1:8080/health || "
		    "exit 1\"],\"Interval\":10000000000,\"Timeout\":5000000000,\"Retries\":3}");
}

#define HOLES(X)                                                                                   \
	X(id)                                                                                      \
	X(id12)                                                                                    \
	X(name)                                                                                    \
	X(layer)                                                                                   \
	X(sandbox)                                                                                 \
	X(created_unix)                                                                            \
	X(created)                                                                                 \
	X(started)                                                                                 \
	X(finished)                                                                                \
	X(state)                                                                                   \
	X(status)                                                                                  \
	X(running)                                                                                 \
	X(paused)                                                                                  \
	X(pid)                                                                                     \
	X(exit_code)                                                                               \
	X(network_mode)                                                                            \
	X(labels)                                                                                  \
	X(list_ports)                                                                              \
	X(ports)                                                                                   \
	X(exposed_ports)                                                                           \
	X(list_networks)                                                                           \
	X(networks)                                                                                \
	X(health)                                                                                  \
	X(healthcheck)

static const char *const hole_names[] = {
#define X(name) #name,
	HOLES(X)
#undef X
		NULL};

static void (*const hole_fills[])(struct buf *b, const struct fake_container *c) = {
#define X(name) fill_##name,
	HOLES(X)
#undef X
};

static void
fill(struct buf *b, const void *arg, int hole)
{
	hole_fills[hole](b, arg);
}

/* ---- the documents ---- */

void
fake_render_init(void)
{
	list_shape = shape_create(
		shape_list_json, (size_t)(shape_list_json_end - shape_list_json), hole_names);
	inspect_shape = shape_create(shape_inspect_json,
		(size_t)(shape_inspect_json_end - shape_inspect_json), hole_names);
	version_shape = shape_create(shape_version_json,
		(size_t)(shape_version_json_end - shape_version_json), hole_names);
}

void
fake_render_finish(void)
{
	shape_destroy(list_shape);
	shape_destroy(inspect_shape);
	shape_destroy(version_shape);
}

void
fake_render_version(struct buf *b)
{
	shape_render(version_shape, b, fill, NULL);
	buf_adds(b, "\n");
}

void
fake_render_list(struct buf *b, const struct world *w, bool all)
{
	size_t printed = 0;

	buf_adds(b, "[");
	for (size_t i = w->n; i--;) {
		if (!all && !fake_is_up(w->containers[i]))
			continue;
		if (printed++)
			buf_adds(b, ",");
		shape_render(list_shape, b, fill, w->containers[i]);
	}
	buf_adds(b, "]\n");
}

void
fake_render_inspect(struct buf *b, const struct fake_container *c)
{
	shape_render(inspect_shape, b, fill, c);
	buf_adds(b, "\n");
}
