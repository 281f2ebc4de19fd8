/* What says that a container is ready: its health path, the engine's check, a connection, or that
 * it runs. */
#include <string.h>

#include "reconciler/model/host.h"
#include "reconciler/model/member_inside.h"

/* A path as it stands in a request; NULL where it cannot be used. */
static const char *
parse_path(struct reader *r, const char *text)
{
	const char *path;
	struct err e;

	if (path_parse(&r->m->arena, text, &path, &e) == 0)
		return *path ? path : "/";
	reader_complain(r, PROBLEM_LABEL_INVALID, FIELD_HEALTH_PATH, NULL,
		arena_strdup(&r->m->arena, e.text),
		"write a path such as /health, of letters, digits and -._~; without one, the "
		"engine's health check counts, or a connection");
	return NULL;
}

/* The registry's, for the environment. */
static bool
read_registered_path(struct reader *r)
{
	struct member *m = r->m;
	const struct registered_environment *e =
		r->entry ? registered_environment_find(r->entry, m->group.environment) : NULL;

	if (!e || !e->health_path)
		return false;
	m->health_path = *e->health_path ? arena_strdup(&m->arena, e->health_path) : "/";
	m->health_interval_ms = e->health_interval_ms;
	m->health_timeout_ms = e->health_timeout_ms;
	m->health_rise = e->health_rise;
	m->health_fall = e->health_fall;
	return true;
}

/* A label's, else the registry's, else what the convention takes for granted.  Returns whether it
 * is the registry's. */
static bool
read_path(struct reader *r)
{
	const char *text = reader_value(r, FIELD_HEALTH_PATH);
	const char *kind = r->reading.field[FIELD_HEALTH_PATH].from.kind;
	bool constant = text && kind && strcmp(kind, "convention ") == 0;

	if (text && *text && !constant)
		r->m->health_path = parse_path(r, text);
	if (r->m->health_path)
		return false;
	if (read_registered_path(r))
		return true;
	r->m->health_path = constant ? parse_path(r, text) : NULL;
	r->m->health_guessed = constant;
	return false;
}

/* Of certificates nothing is known here, and HTTP/2 is not spoken. */
static void
drop_unspoken(struct reader *r, bool registered)
{
	struct member *m = r->m;

	if (!m->url || !m->health_path || strncmp(m->url, "http://", 7) == 0)
		return;
	if (!m->health_guessed)
		reader_complain(r, registered ? PROBLEM_REGISTRY_IMPAIRED : PROBLEM_LABEL_INVALID,
			registered ? FIELD_COUNT : FIELD_HEALTH_PATH, NULL,
			arena_printf(&m->arena,
				"the health path %s%s is not asked for: Waymark speaks plain "
				"HTTP/1 alone",
				m->url, m->health_path),
			"give the container a health check in the engine, which counts now, or "
			"let it speak http");
	m->health_path = NULL;
}

void
reader_read_health(struct reader *r)
{
	const char *health = reader_value(r, FIELD_HEALTH);

	r->m->unchecked = health && strcmp(health, "none") == 0;
	if (r->m->unchecked)
		return;
	drop_unspoken(r, read_path(r));
}

/* A guess is better than a connection, and not than what somebody has said. */
const char *
member_probe_path(const struct member *m)
{
	if (m->unchecked || (m->health_guessed && m->endpoint->health != HEALTH_NONE))
		return NULL;
	return m->health_path;
}

bool
member_is_probed(const struct member *m, const struct settings *s)
{
	if (m->unchecked)
		return false;
	return member_probe_path(m) || (s->probe && m->endpoint->health == HEALTH_NONE);
}

/* "GET http://172.17.0.2:80/health gives 500" */
static const char *
path_fault(struct arena *a, const struct member *m)
{
	static const char *const text[] = {
		[WHY_UNKNOWN] = "does not answer with 2xx or 3xx",
		[WHY_REFUSED] = "cannot be asked: the connection is refused",
		[WHY_CLOSED] = "does not answer: the connection is cut",
		[WHY_LATE] = "does not answer in time",
		[WHY_GARBAGE] = "does not answer in HTTP/1",
	};
	const char *path = member_probe_path(m);

	if (m->why < sizeof(text) / sizeof(*text))
		return arena_printf(a, "GET %s%s %s", m->url, path, text[m->why]);
	return arena_printf(a, "GET %s%s gives %u", m->url, path, m->why);
}

const char *
member_probe_fault(struct arena *a, const struct member *m, const char **ret_remedy)
{
	const char *path = member_probe_path(m);

	if (m->ready == READY_CANNOT_TELL) {
		*ret_remedy = path ? "join Waymark to that network, or set the label "
				     "waymark.health=none"
				   : "join Waymark to that network, or set `probe.default: none`";
		return arena_printf(a, "%s cannot be reached from here", m->url);
	}
	if (path) {
		*ret_remedy = m->health_guessed ? "see the container's log; it gets traffic when "
						  "that answers with 2xx, 3xx or 404"
						: "see the container's log; it gets traffic when "
						  "that answers with 2xx or 3xx";
		return path_fault(a, m);
	}
	*ret_remedy = "check that it listens on that port and on all addresses, not on 127.0.0.1 "
		      "alone";
	return arena_printf(a, "nothing accepts connections at %s", m->url);
}
