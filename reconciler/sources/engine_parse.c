#include "reconciler/sources/engine_parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/json.h"

#define API_KNOWN_MAJOR 1
#define API_KNOWN_MINOR 52

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
/* Where the next of n elements goes.  The array doubles at powers of two; what is outgrown stays in
 * the arena, which is a scratch one. */
#define PUSH(a, array, n) ((array) = grow((a), (array), (n), sizeof(*(array))), &(array)[(n)++])

static void *
grow(struct arena *a, void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	void *more = arena_alloc(a, (n ? 2 * n : 1) * size);
	if (n)
		memcpy(more, array, n * size);
	return more;
}

/* -- small things -- */

bool
engine_parse_is_id(const char *text)
{
	size_t n =
		strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-");
	return n > 0 && n <= ENGINE_ID_MAX && !text[n] && strcmp(text, ".") && strcmp(text, "..");
}

int
engine_parse_signal(const char *text)
{
	static const struct {
		const char *name;
		int number;
	} table[] = {{"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"BUS", SIGBUS}, {"CHLD", SIGCHLD},
		{"CONT", SIGCONT}, {"FPE", SIGFPE}, {"HUP", SIGHUP}, {"ILL", SIGILL},
		{"INT", SIGINT}, {"IO", SIGIO}, {"KILL", SIGKILL}, {"PIPE", SIGPIPE},
		{"PROF", SIGPROF}, {"PWR", SIGPWR}, {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV},
		{"STKFLT", SIGSTKFLT}, {"STOP", SIGSTOP}, {"SYS", SIGSYS}, {"TERM", SIGTERM},
		{"TRAP", SIGTRAP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
		{"URG", SIGURG}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"VTALRM", SIGVTALRM},
		{"WINCH", SIGWINCH}, {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}};
	/* As the engines count them, whatever the C library keeps for itself. */
	enum { RT_MIN = 34, RT_MAX = 64 };

	const char *name = strncasecmp(text, "SIG", 3) ? text : text + 3;
	for (size_t i = 0; i < LENGTH(table); i++)
		if (!strcasecmp(name, table[i].name))
			return table[i].number;

	bool from_min = !strncasecmp(name, "RTMIN", 5), from_max = !strncasecmp(name, "RTMAX", 5);
	const char *digits = from_min || from_max ? name + 5 : text;
	if (from_min || from_max) {
		if (!*digits)
			return from_min ? RT_MIN : RT_MAX;
		if (*digits++ != (from_min ? '+' : '-'))
			return 0;
	}
	size_t n = strspn(digits, "0123456789");
	if (n == 0 || n > 2 || digits[n])
		return 0;
	int number = atoi(digits);
	number = from_min ? RT_MIN + number : from_max ? RT_MAX - number : number;
	return number >= (from_min || from_max ? RT_MIN : 1) && number <= RT_MAX ? number : 0;
}

static uint16_t
port_number(int64_t n)
{
	return n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

/* The canonical form of an address, or NULL; the zero address is the engine's word for none. */
static const char *
read_address(struct json_span s, int family, struct arena *a)
{
	char text[INET6_ADDRSTRLEN], canonical[INET6_ADDRSTRLEN];
	static const unsigned char zero[sizeof(struct in6_addr)];
	unsigned char binary[sizeof(struct in6_addr)] = {0};

	if (!json_span_copy(s, text, sizeof(text)) || inet_pton(family, text, binary) != 1 ||
		!memcmp(binary, zero, sizeof(zero)))
		return NULL;
	return arena_strdup(a, inet_ntop(family, binary, canonical, sizeof(canonical)));
}

/* Days from 1970-01-01 in the Gregorian calendar; months count from 1. */
static int64_t
days_of_date(int64_t year, int month, int day)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t past = year - 1;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	int64_t days = past * 365 + past / 4 - past / 100 + past / 400;
	return days + before[month - 1] + (leap && month > 2) + day - 1 - 719162;
}

/* RFC 3339 into seconds since 1970, without the fraction; 0 where it is none. */
static int64_t
read_time(struct json_span s)
{
	char text[64], sign = 0;
	int year, month, day, hour, minute, second, used = 0, zone_hour = 0, zone_minute = 0;

	if (!json_span_copy(s, text, sizeof(text)) ||
		sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
			&second, &used) != 6 ||
		year < 1 || month < 1 || month > 12)
		return 0;
	const char *zone = text + used;
	if (*zone == '.')
		zone += 1 + strspn(zone + 1, "0123456789");
	if (sscanf(zone, "%c%2d:%2d", &sign, &zone_hour, &zone_minute) == 3 && sign == '-') {
		zone_hour = -zone_hour;
		zone_minute = -zone_minute;
	}
	return ((days_of_date(year, month, day) * 24 + hour - zone_hour) * 60 + minute -
		       zone_minute) *
		       60 +
	       second;
}

/* -- what list and inspect have in common -- */

static int
read_id(struct endpoint *e, struct json_span id, const char *engine, struct err *reterr)
{
	char text[ENGINE_ID_MAX + 1];
	if (!json_span_copy(id, text, sizeof(text)) || !engine_parse_is_id(text))
		return err_set(reterr, EINVAL, "a container without an id");
	e->engine = arena_strdup(&e->arena, engine);
	e->id = arena_strdup(&e->arena, text);
	return 0;
}

static void
read_name(struct endpoint *e, struct json_span name)
{
	char text[ENGINE_NAME_MAX + 1];
	if (json_span_copy(name, text, sizeof(text)) && text[0] && strcmp(text, "/"))
		e->name = arena_strdup(&e->arena, text[0] == '/' ? text + 1 : text);
	else
		e->name = arena_strndup(&e->arena, e->id, strnlen(e->id, 12));
}

/* Links add names such as "/other/alias"; the container's own has one slash. */
static void
read_names(struct endpoint *e, struct json_span names)
{
	struct json_span at = {0}, key, name, own = {0};
	while (!own.p && json_span_next(names, &at, &key, &name))
		if (name.n > 2 && !memchr(name.p + 2, '/', name.n - 2))
			own = name;
	read_name(e, own);
}

static void
read_networks(struct endpoint *e, struct json_span networks)
{
	static const char *const keys[] = {"IPAddress", "GlobalIPv6Address"};
	struct json_span at = {0}, key, value, member[LENGTH(keys)];
	struct endpoint_network *list = NULL;

	while (json_span_is_object(networks) && json_span_next(networks, &at, &key, &value)) {
		const char *name = json_span_string(key, &e->arena);
		if (!name || !json_span_pick(value, keys, LENGTH(keys), member))
			continue;
		*PUSH(&e->arena, list, e->nnetworks) = (struct endpoint_network){.name = name,
			.ipv4 = read_address(member[0], AF_INET, &e->arena),
			.ipv6 = read_address(member[1], AF_INET6, &e->arena)};
	}
	e->networks = list;
}

static void
read_labels(struct endpoint *e, struct json_span labels, const struct settings *settings)
{
	struct json_span at = {0}, key, value;
	struct endpoint_label *list = NULL;
	char name[512];

	while (json_span_is_object(labels) && json_span_next(labels, &at, &key, &value)) {
		if (!json_span_copy(key, name, sizeof(name)) ||
			!settings_wants_label(settings, name))
			continue;
		const char *text = json_span_string(value, &e->arena);
		if (text)
			*PUSH(&e->arena, list, e->nlabels) =
				(struct endpoint_label){arena_strdup(&e->arena, name), text};
	}
	e->labels = list;
}

/* Growing lists of ports, while e->ports is const for everybody else. */
struct ports {
	struct endpoint *e;
	struct endpoint_port *list;
};

static void
add_port(struct ports *ports, struct endpoint_port port)
{
	*PUSH(&ports->e->arena, ports->list, ports->e->nports) = port;
	ports->e->ports = ports->list;
}

/* Podman says nothing where it means every address. */
static const char *
published_ip(struct endpoint *e, struct json_span ip)
{
	char text[INET6_ADDRSTRLEN];
	if (json_span_copy(ip, text, sizeof(text)) && !strcmp(text, "::"))
		return "::";
	const char *address = read_address(ip, AF_INET, &e->arena);
	if (!address)
		address = read_address(ip, AF_INET6, &e->arena);
	return address ? address : "0.0.0.0";
}

/* A value of its own size, without what was outgrown on the way. */
static int
finish(struct endpoint *e, struct endpoint **ret)
{
	endpoint_seal(e);
	*ret = endpoint_copy(e);
	endpoint_unref(e);
	return 0;
}

/* -- GET /containers/json -- */

/* The list is one of running containers; where it does not say otherwise they are. */
static enum endpoint_state
read_item_state(struct json_span s)
{
	char text[16];
	if (!json_span_copy(s, text, sizeof(text)) || !strcmp(text, "running"))
		return ENDPOINT_RUNNING;
	return !strcmp(text, "paused")       ? ENDPOINT_PAUSED
	       : !strcmp(text, "restarting") ? ENDPOINT_RESTARTING
					     : ENDPOINT_STOPPED;
}

static enum endpoint_health
read_item_health(struct json_span status, enum endpoint_state state, bool podman)
{
	char text[128];
	if (podman || state != ENDPOINT_RUNNING)
		return HEALTH_UNKNOWN;
	if (!json_span_copy(status, text, sizeof(text)))
		return HEALTH_NONE;
	return strstr(text, "(healthy)")            ? HEALTH_HEALTHY
	       : strstr(text, "(unhealthy)")        ? HEALTH_UNHEALTHY
	       : strstr(text, "(health: starting)") ? HEALTH_STARTING
						    : HEALTH_NONE;
}

static void
read_item_ports(struct endpoint *e, struct json_span array)
{
	static const char *const keys[] = {"PrivatePort", "PublicPort", "Type", "IP"};
	struct json_span at = {0}, key, value, m[LENGTH(keys)];
	struct ports ports = {.e = e};
	char type[8];

	while (json_span_next(array, &at, &key, &value)) {
		if (!json_span_pick(value, keys, LENGTH(keys), m))
			continue;
		struct endpoint_port port = {.port = port_number(json_span_int(m[0], 0)),
			.published = port_number(json_span_int(m[1], 0)),
			.tcp = json_span_copy(m[2], type, sizeof(type)) && !strcmp(type, "tcp")};
		if (!port.port)
			continue;
		if (port.published)
			port.published_ip = published_ip(e, m[3]);
		add_port(&ports, port);
	}
}

int
engine_parse_item(const char *json, size_t n, const char *engine, const struct settings *settings,
	bool podman, struct endpoint **ret, struct err *reterr)
{
	enum { ID, NAMES, CREATED, STATE, STATUS, PORTS, LABELS, HOST, NETWORK };
	static const char *const keys[] = {"Id", "Names", "Created", "State", "Status", "Ports",
		"Labels", "HostConfig", "NetworkSettings"};
	struct json_span m[LENGTH(keys)];

	if (!json_span_pick(json_span_of(json, n), keys, LENGTH(keys), m))
		return err_set(reterr, EINVAL, "not a container");
	struct endpoint *e = endpoint_create();
	int r = read_id(e, m[ID], engine, reterr);
	if (r < 0) {
		endpoint_unref(e);
		return r;
	}
	read_names(e, m[NAMES]);
	e->created = json_span_int(m[CREATED], 0);
	e->state = read_item_state(m[STATE]);
	e->health = read_item_health(m[STATUS], e->state, podman);
	const char *mode = json_span_string(json_span_member(m[HOST], "NetworkMode"), &e->arena);
	e->network_mode = mode ? mode : "";
	read_networks(e, json_span_member(m[NETWORK], "Networks"));
	read_item_ports(e, m[PORTS]);
	read_labels(e, m[LABELS], settings);
	return finish(e, ret);
}

/* -- GET /containers/{id}/json -- */

/* "80/tcp" */
static bool
read_port_key(struct json_span key, struct endpoint_port *ret)
{
	char text[16], *end;
	if (!json_span_copy(key, text, sizeof(text)) || !isdigit((unsigned char)text[0]))
		return false;
	uint16_t port = port_number(strtol(text, &end, 10));
	if (!port || (*end && *end != '/'))
		return false;
	*ret = (struct endpoint_port){.port = port, .tcp = !*end || !strcmp(end, "/tcp")};
	return true;
}

/* Whether the host forwards anything to it. */
static bool
read_bindings(struct ports *ports, struct endpoint_port port, struct json_span bindings)
{
	static const char *const keys[] = {"HostPort", "HostIp"};
	struct json_span at = {0}, key, value, m[LENGTH(keys)];
	char text[8];
	bool any = false;

	while (json_span_next(bindings, &at, &key, &value)) {
		if (!json_span_pick(value, keys, LENGTH(keys), m) ||
			!json_span_copy(m[0], text, sizeof(text)))
			continue;
		port.published = port_number(strtol(text, NULL, 10));
		if (!port.published)
			continue;
		port.published_ip = published_ip(ports->e, m[1]);
		add_port(ports, port);
		any = true;
	}
	return any;
}

/* Docker's list shows the ports of the network settings only, and both must say the same; Podman's
 * shows no port that is not published, so there everything counts. */
static void
read_inspect_ports(struct endpoint *e, struct json_span object, struct json_span exposed)
{
	struct json_span at = {0}, key, value;
	struct ports ports = {.e = e};
	struct endpoint_port port;
	unsigned char seen[2 * (UINT16_MAX + 1) / CHAR_BIT] = {0};

	while (json_span_is_object(object) && json_span_next(object, &at, &key, &value)) {
		if (!read_port_key(key, &port))
			continue;
		seen[port.port / 4] |= 1 << (port.port % 4 * 2 + port.tcp);
		if (!read_bindings(&ports, port, value))
			add_port(&ports, port);
	}
	at = (struct json_span){0};
	while (json_span_is_object(exposed) && json_span_next(exposed, &at, &key, &value))
		if (read_port_key(key, &port) &&
			!(seen[port.port / 4] & 1 << (port.port % 4 * 2 + port.tcp)))
			add_port(&ports, port);
}

static enum endpoint_health
read_inspect_health(struct json_span health)
{
	char text[16];
	if (!json_span_copy(json_span_member(health, "Status"), text, sizeof(text)))
		return HEALTH_NONE;
	return !strcmp(text, "healthy")     ? HEALTH_HEALTHY
	       : !strcmp(text, "unhealthy") ? HEALTH_UNHEALTHY
	       : !strcmp(text, "starting")  ? HEALTH_STARTING
					    : HEALTH_NONE;
}

static void
read_inspect_state(struct endpoint *e, struct json_span state)
{
	enum { RUNNING, PAUSED, RESTARTING, STARTED, HEALTH };
	static const char *const keys[] = {
		"Running", "Paused", "Restarting", "StartedAt", "Health"};
	struct json_span m[LENGTH(keys)];

	json_span_pick(state, keys, LENGTH(keys), m);
	/* Docker calls a container that it is about to start again a running one, too. */
	e->state = json_span_is_true(m[RESTARTING]) ? ENDPOINT_RESTARTING
		   : json_span_is_true(m[PAUSED])   ? ENDPOINT_PAUSED
		   : json_span_is_true(m[RUNNING])  ? ENDPOINT_RUNNING
						    : ENDPOINT_STOPPED;
	e->health = read_inspect_health(m[HEALTH]);
	const char *run = json_span_string(m[STARTED], &e->arena);
	e->run = run ? run : "";
}

static int
read_stop_signal(struct json_span s)
{
	char text[32];
	int number = json_span_copy(s, text, sizeof(text)) ? engine_parse_signal(text)
							   : (int)port_number(json_span_int(s, 0));
	return number ? number : SIGTERM;
}

int
engine_parse_inspect(const char *json, size_t n, const char *engine,
	const struct settings *settings, bool podman, struct endpoint **ret, struct err *reterr)
{
	enum { ID, NAME, CREATED, STATE, HOST, CONFIG, NETWORK };
	static const char *const keys[] = {
		"Id", "Name", "Created", "State", "HostConfig", "Config", "NetworkSettings"};
	enum { LABELS, EXPOSED, SIGNAL };
	static const char *const config_keys[] = {"Labels", "ExposedPorts", "StopSignal"};
	enum { NETWORKS, PORTS };
	static const char *const network_keys[] = {"Networks", "Ports"};
	struct json_span m[LENGTH(keys)], config[LENGTH(config_keys)], net[LENGTH(network_keys)];

	if (!json_span_pick(json_span_of(json, n), keys, LENGTH(keys), m) ||
		!json_span_is_object(m[STATE]))
		return err_set(reterr, EINVAL, "not a container");
	struct endpoint *e = endpoint_create();
	int r = read_id(e, m[ID], engine, reterr);
	if (r < 0) {
		endpoint_unref(e);
		return r;
	}
	json_span_pick(m[CONFIG], config_keys, LENGTH(config_keys), config);
	json_span_pick(m[NETWORK], network_keys, LENGTH(network_keys), net);
	read_name(e, m[NAME]);
	e->created = read_time(m[CREATED]);
	read_inspect_state(e, m[STATE]);
	const char *mode = json_span_string(json_span_member(m[HOST], "NetworkMode"), &e->arena);
	e->network_mode = mode ? mode : "";
	e->stop_signal = read_stop_signal(config[SIGNAL]);
	read_networks(e, net[NETWORKS]);
	read_inspect_ports(e, net[PORTS], podman ? config[EXPOSED] : (struct json_span){0});
	read_labels(e, config[LABELS], settings);
	return finish(e, ret);
}

/* -- GET /events -- */

static bool
is_one_of(const char *word, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

static bool
set_container(struct json_span s, struct engine_event *ret)
{
	return json_span_copy(s, ret->container, sizeof(ret->container)) &&
	       engine_parse_is_id(ret->container);
}

static void
read_container_event(const char *action, struct json_span id, struct json_span attributes,
	struct engine_event *ret)
{
	static const char *const words[] = {"start", "restart", "die", "died", "kill", "stop",
		"pause", "unpause", "rename", "health_status", "destroy", "remove", "update"};
	char text[32];

	if (!is_one_of(action, words, LENGTH(words)))
		return;
	ret->kind = EVENT_GAP;
	if (!set_container(id, ret))
		return;
	ret->kind = EVENT_CONTAINER;
	ret->ended = !strcmp(action, "die") || !strcmp(action, "died");
	ret->started = !strcmp(action, "start") || !strcmp(action, "restart");
	if (!strcmp(action, "kill")) {
		ret->kind = EVENT_KILL;
		if (json_span_copy(json_span_member(attributes, "signal"), text, sizeof(text)))
			ret->signal = engine_parse_signal(text);
	}
}

/* Docker names the container in an attribute.  Podman 4.3 has none, and the container's id stands
 * where Docker has the network's. */
static void
read_network_event(const char *action, struct json_span id, struct json_span attributes,
	struct engine_event *ret)
{
	static const char *const words[] = {"connect", "disconnect"};

	if (!is_one_of(action, words, LENGTH(words)))
		return;
	ret->kind = EVENT_CONTAINER;
	if (set_container(json_span_member(attributes, "container"), ret))
		return;
	ret->guessed = true;
	if (!set_container(id, ret) && !set_container(json_span_member(attributes, "name"), ret))
		ret->kind = EVENT_GAP;
}

int
engine_parse_event(const char *json, size_t n, struct engine_event *ret, struct err *reterr)
{
	static const char *const keys[] = {"Type", "Action", "Actor"};
	static const char *const actor_keys[] = {"ID", "Attributes"};
	struct json_span m[LENGTH(keys)], actor[LENGTH(actor_keys)];
	struct engine_event e = {0};
	char type[32], action[64];

	if (!json_span_pick(json_span_of(json, n), keys, LENGTH(keys), m))
		return err_set(reterr, EINVAL, "not an event");
	json_span_pick(m[2], actor_keys, LENGTH(actor_keys), actor);
	/* An action that does not fit is "exec_create: ..." with somebody's command line. */
	if (json_span_copy(m[0], type, sizeof(type)) &&
		json_span_copy(m[1], action, sizeof(action))) {
		action[strcspn(action, ":")] = '\0';
		if (!strcmp(type, "container"))
			read_container_event(action, actor[0], actor[1], &e);
		else if (!strcmp(type, "network"))
			read_network_event(action, actor[0], actor[1], &e);
	}
	*ret = e;
	return 0;
}

/* -- GET /version -- */

static bool
read_api(const char *text, int *ret_major, int *ret_minor)
{
	int used = 0;
	return text && strlen(text) < sizeof(((struct engine_version *)0)->api) &&
	       sscanf(text, "%3d.%4d%n", ret_major, ret_minor, &used) == 2 && !text[used] &&
	       *ret_major >= 0 && *ret_minor >= 0;
}

static bool
is_podman(const json_t *version)
{
	size_t i;
	json_t *component;
	json_array_foreach(json_get_array(version, "Components"), i, component)
	{
		const char *name = json_get_string(component, "Name");
		if (name && strstr(name, "Podman"))
			return true;
	}
	return false;
}

int
engine_parse_version(const char *json, size_t n, struct engine_version *ret, struct err *reterr)
{
	int major, minor, min_major, min_minor;
	json_t *v = json_read(json, n);
	const char *name = json_get_string(v, "Version");

	if (!read_api(json_get_string(v, "ApiVersion"), &major, &minor)) {
		json_decref(v);
		return err_set(reterr, EINVAL, "not an engine: no ApiVersion in its version");
	}
	if (major > API_KNOWN_MAJOR || (major == API_KNOWN_MAJOR && minor > API_KNOWN_MINOR)) {
		major = API_KNOWN_MAJOR;
		minor = API_KNOWN_MINOR;
	}
	if (read_api(json_get_string(v, "MinAPIVersion"), &min_major, &min_minor) &&
		(min_major > major || (min_major == major && min_minor > minor))) {
		major = min_major;
		minor = min_minor;
	}
	*ret = (struct engine_version){.podman = is_podman(v)};
	snprintf(ret->api, sizeof(ret->api), "%d.%d", major, minor);
	snprintf(ret->version, sizeof(ret->version), "%s", name ? name : "");
	json_decref(v);
	return 0;
}
