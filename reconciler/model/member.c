#include "reconciler/model/member.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/utf8.h"
#include "reconciler/model/entitlement.h"
#include "reconciler/model/host.h"
#include "reconciler/model/member_inside.h"
#include "reconciler/model/slug.h"
#include "reconciler/model/url.h"

/* The longest name of a Git branch that a file system can hold. */
#define BRANCH_MAX 255
#define QUOTE_MAX 60
#define NAME_MAX_OCTETS 128

const char *
text_quote(struct arena *a, const char *text)
{
	size_t n = strlen(text), at = 0;
	struct buf b = {0};

	buf_add(&b, "'", 1);
	while (at < n && at < QUOTE_MAX) {
		uint32_t c;
		size_t len = utf8_decode(text + at, n - at, &c);
		if (!len || c < 0x20 || (c >= 0x7f && c < 0xa0))
			buf_adds(&b, "\xef\xbf\xbd");
		else
			buf_add(&b, text + at, len);
		at += len ? len : 1;
	}
	buf_adds(&b, at < n ? "…'" : "'");

	const char *quoted = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return quoted;
}

const char *
member_object(struct arena *a, const struct endpoint *e)
{
	return arena_printf(a, "container %s on %s", *e->name ? e->name : e->id, e->engine);
}

const char *
origin_text(struct arena *a, const struct convention_origin *from)
{
	return arena_printf(a, "%s%s", from->kind, from->name);
}

/* A field that was not said is named by the label that would say it. */
static const char *
field_text(struct reader *r, enum convention_field f)
{
	const struct convention_origin *from = &r->reading.field[f].from;

	return from->kind
		       ? origin_text(&r->m->arena, from)
		       : arena_printf(&r->m->arena, "label waymark.%s", convention_field_text(f));
}

void
reader_complain(struct reader *r, enum problem_code code, enum convention_field f, const char *host,
	const char *what, const char *remedy)
{
	struct arena *a = &r->m->arena;
	const char *field = f == FIELD_COUNT ? NULL : field_text(r, f);

	problem_add(&r->m->problems, &(struct problem){.code = code,
					     .object = member_object(a, r->endpoint),
					     .field = field,
					     .what = what,
					     .remedy = remedy,
					     .project = r->m->group.project,
					     .host = host});
}

const char *
reader_value(const struct reader *r, enum convention_field f)
{
	return r->reading.field[f].value;
}

/* A field that must be a word of a-z and 0-9, as it stands in host names. */
static const char *
read_word(struct reader *r, enum convention_field f, const char *otherwise)
{
	const char *text = reader_value(r, f);
	if (!text || !*text)
		return otherwise;

	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
	if (!text[n] && n <= 32)
		return text;
	reader_complain(r, PROBLEM_LABEL_INVALID, f, NULL,
		arena_printf(&r->m->arena, "%s is not a name of at most 32 of a-z and 0-9",
			text_quote(&r->m->arena, text)),
		"use lower-case letters and digits only");
	r->m->claims = false;
	return otherwise;
}

/* A project or service: anything of which a host label can be made. */
static const char *
read_name(struct reader *r, enum convention_field f)
{
	const char *text = reader_value(r, f);
	char label[HOST_LABEL_MAX + 1];

	if (!text || !*text)
		return "";
	if (strlen(text) <= NAME_MAX_OCTETS && slug_name(text, label, sizeof(label)))
		return text;
	reader_complain(r, PROBLEM_LABEL_INVALID, f, NULL,
		arena_printf(&r->m->arena, "no host label of at most 63 octets can be made of %s",
			text_quote(&r->m->arena, text)),
		"use letters, digits and hyphens, and fewer of them");
	r->m->claims = false;
	return strlen(text) <= NAME_MAX_OCTETS ? text
					       : arena_strndup(&r->m->arena, text, NAME_MAX_OCTETS);
}

static bool
read_bool(struct reader *r, enum convention_field f, bool otherwise)
{
	const char *text = reader_value(r, f);
	struct err e;
	bool value = otherwise;

	if (text && *text && bool_parse(text, &value, &e) < 0)
		reader_complain(r, PROBLEM_LABEL_INVALID, f, NULL,
			arena_strdup(&r->m->arena, e.text), "write true or false");
	return value;
}

static void
read_identity(struct reader *r)
{
	struct member *m = r->m;

	m->group.project = read_name(r, FIELD_PROJECT);
	if (!*m->group.project) {
		m->group.project = *r->endpoint->name ? r->endpoint->name : r->endpoint->id;
		m->claims = false;
		reader_complain(r, PROBLEM_LABEL_INVALID, FIELD_PROJECT, NULL,
			"it cannot be told which project the container belongs to",
			"set the label waymark.project");
	}
	m->group.service = read_name(r, FIELD_SERVICE);
	m->group.environment = read_word(r, FIELD_ENVIRONMENT, "production");
	m->slot = read_word(r, FIELD_SLOT, "");
	m->group.branch = "";

	const char *branch = reader_value(r, FIELD_BRANCH);
	if (!branch || !*branch)
		return;
	m->group.branch = branch;
	m->group.environment = "preview";
	if (strlen(branch) > BRANCH_MAX)
		reader_complain(r, PROBLEM_BRANCH_TOO_LONG, FIELD_BRANCH, NULL,
			arena_printf(&m->arena,
				"%s has %zu octets, and no Git branch can have more than %d",
				text_quote(&m->arena, branch), strlen(branch), BRANCH_MAX),
			"the URL has a cut label; `waymark url` prints it; use a shorter branch "
			"name");
}

static void
read_path(struct reader *r)
{
	const char *text = reader_value(r, FIELD_PATH);
	struct err e;

	r->m->path = "";
	if (text && *text && path_parse(&r->m->arena, text, &r->m->path, &e) < 0) {
		reader_complain(r, PROBLEM_LABEL_INVALID, FIELD_PATH, NULL,
			arena_strdup(&r->m->arena, e.text),
			"write a path such as /api, of letters, digits and -._~");
		r->m->claims = false;
	}
	r->m->strip = read_bool(r, FIELD_STRIP, false);
	r->m->sticky = read_bool(r, FIELD_STICKY, false);
}

static const struct convention *
recognise(const struct settings *s, const struct endpoint *e)
{
	for (size_t i = 0; i < s->nconventions; i++)
		if (convention_recognises(s->conventions[i], e))
			return s->conventions[i];
	return NULL;
}

/* Would the registry list it as a deployment? */
static bool
is_listed(const struct reader *r)
{
	const struct settings_registry *g = &r->settings->registry;

	if (r->entry)
		return r->entry->has_deployments;
	return g->mvp && g->postgres && r->reading.convention->deployments;
}

/* The registry knows the project, and not that it has such an environment or deployment; or it
 * knows every deployment of that platform, and not the project. */
static void
check_registered(struct reader *r)
{
	struct member *m = r->m;

	if (is_listed(r) && !r->deployment) {
		m->claims = false;
		reader_complain(r, PROBLEM_DEPLOYMENT_UNKNOWN, FIELD_PROJECT, NULL,
			arena_printf(&m->arena, "the registry has no deployment of %s for it",
				text_quote(&m->arena, m->group.project)),
			"remove the container, or register its deployment");
		return;
	}
	if (r->entry && r->entry->lists_environments &&
		!registered_environment_find(r->entry, m->group.environment))
		reader_complain(r, PROBLEM_ENVIRONMENT_UNKNOWN, FIELD_ENVIRONMENT, NULL,
			arena_printf(&m->arena, "the registry does not list environment %s of %s",
				m->group.environment, text_quote(&m->arena, m->group.project)),
			"add the environment there; the container is routed meanwhile");
}

/* A deployment that does not name its container is any of its environment, branch and slot.  Of
 * several the newest that takes traffic: one that is being built, or has failed, takes nobody's. */
static const struct registered_deployment *
deployment_by_place(const struct registered_project *p, const struct member *m)
{
	const struct registered_deployment *found = NULL;

	for (size_t i = 0; p && i < p->ndeployments; i++) {
		const struct registered_deployment *d = &p->deployments[i];
		if (!d->container && strcmp(deployment_environment(d), m->group.environment) == 0 &&
			strcmp(d->branch, m->group.branch) == 0 &&
			(!*d->slot || strcmp(d->slot, m->slot) == 0) &&
			(!found || deployment_status_share(d->status) >
					   deployment_status_share(found->status)))
			found = d;
	}
	return found;
}

/* Can deployments of its place be told from each other? */
static bool
deployments_differ(const struct registered_project *p, const struct member *m)
{
	for (size_t i = 0; i < p->ndeployments; i++) {
		const struct registered_deployment *d = &p->deployments[i];
		if (strcmp(deployment_environment(d), m->group.environment) == 0 &&
			strcmp(d->branch, m->group.branch) == 0 && (d->container || *d->slot))
			return true;
	}
	return false;
}

/* Which registered project it is of, and whether it counts at all. */
static void
read_registered(struct reader *r)
{
	struct member *m = r->m;

	r->entry = registrar_project(r->registrar, m->group.project);
	if (!r->deployment)
		r->deployment = deployment_by_place(r->entry, m);
	m->ignored = !r->entry && settings_has_registry(r->settings) &&
		     r->settings->registry.ignore_unregistered;
	if (m->ignored) {
		m->claims = false;
		return;
	}
	check_registered(r);
	if (!r->deployment)
		return;
	m->supersedes = deployments_differ(r->entry, m);
	m->deployed_ms = r->deployment->created_ms;
	if (r->deployment->container)
		m->deployment = arena_strdup(&m->arena, r->deployment->container);
	if (r->deployment->status == DEPLOYMENT_PENDING ||
		r->deployment->status == DEPLOYMENT_FAILED)
		m->claims = false;
}

static void
member_read(struct reader *r)
{
	struct member *m = r->m;

	m->claims = true;
	m->deployment = m->deployment ? m->deployment : "";
	read_identity(r);
	read_registered(r);
	if (m->ignored) {
		m->problems.n = 0;
		return;
	}
	read_path(r);
	m->kind = group_kind(&m->group);
	if (m->claims)
		reader_read_hosts(r);
	/* What tells deployments apart where they have no slots. */
	if (m->supersedes && !*m->slot && (!r->deployment || r->deployment->container))
		m->slot = *m->endpoint->name ? m->endpoint->name : m->endpoint->id;
	reader_read_server(r);
	reader_read_health(r);
}

static void
set_field(struct reader *r, enum convention_field f, const char *value)
{
	r->reading.field[f].value = value;
	r->reading.field[f].from = (struct convention_origin){"registry", ""};
}

/* What the registry says of the deployment stands above the container's labels. */
static void
read_deployment(struct reader *r, const struct registered_project *p)
{
	const struct registered_deployment *d = r->deployment;

	set_field(r, FIELD_PROJECT, p->name);
	set_field(r, FIELD_ENVIRONMENT, d->environment);
	set_field(r, FIELD_BRANCH, d->branch);
	set_field(r, FIELD_SLOT, d->slot);
	set_field(r, FIELD_SERVICE, NULL);
}

/* Without a registry each container of such a platform is a deployment, as new as it is. */
static void
guess_deployment(struct reader *r)
{
	r->m->supersedes = true;
	r->m->deployment = r->endpoint->name;
	r->m->deployed_ms = r->endpoint->created > 0 ? (uint64_t)r->endpoint->created * 1000 : 0;
}

static void
complain_rival(struct reader *r, const struct registered_project *rival)
{
	struct arena *a = &r->m->arena;

	reader_complain(r, PROBLEM_REGISTRY_DUPLICATE, FIELD_COUNT, NULL,
		arena_printf(a,
			"project %s has a deployment that names it, too; it stays with project %s",
			text_quote(a, rival->name), text_quote(a, r->m->group.project)),
		"let one of them name it");
}

static const struct convention no_convention = {.name = "registry"};

static bool
member_fill(struct reader *r, const struct convention *c)
{
	struct member *m = r->m;
	const struct registered_project *p, *rival;

	convention_read(c ? c : &no_convention, r->endpoint, &m->arena, &r->reading);
	r->deployment = registrar_deployment(
		r->registrar, r->endpoint, reader_value(r, FIELD_PROJECT), &p, &rival);
	if (!c && !r->deployment) {
		m->stranger = true;
		return true;
	}
	if (!read_bool(r, FIELD_ENABLE, true))
		return false;
	m->codi_branches = c && c->codi_branches;
	if (r->deployment)
		read_deployment(r, p);
	else if (c->deployments)
		guess_deployment(r);
	member_read(r);
	if (rival)
		complain_rival(r, rival);
	return true;
}

struct member *
member_create(const struct settings *s, const struct registrar *registrar, const struct endpoint *e)
{
	const struct convention *c = recognise(s, e);
	if (!c && !s->registry.postgres)
		return NULL;

	struct member *m = xcalloc(1, sizeof(*m));
	m->endpoint = endpoint_ref(e);
	m->problems.arena = &m->arena;
	m->ready = e->ready_before ? READY_YES : READY_UNKNOWN;

	struct reader r = {.settings = s, .registrar = registrar, .endpoint = e, .m = m};
	bool enabled = member_fill(&r, c);
	arena_finish(&r.scratch);
	if (enabled)
		return m;
	member_destroy(m);
	return NULL;
}

void
member_destroy(struct member *m)
{
	if (!m)
		return;
	endpoint_unref(m->endpoint);
	arena_finish(&m->arena);
	free(m->key);
	free(m);
}

const char *
member_derived(const struct member *m, bool suffixed)
{
	return suffixed && m->derived_suffixed ? m->derived_suffixed : m->derived;
}

bool
member_wants_probe(const struct member *m, const struct settings *s)
{
	return member_is_probed(m, s) && m->url && m->endpoint->state == ENDPOINT_RUNNING &&
	       !m->endpoint->withheld;
}

static enum server_state
health_state(enum endpoint_health health)
{
	return health == HEALTH_HEALTHY     ? SERVER_SERVING
	       : health == HEALTH_UNHEALTHY ? SERVER_UNHEALTHY
					    : SERVER_STARTING;
}

enum server_state
member_condition(const struct member *m, const struct settings *s)
{
	const struct endpoint *e = m->endpoint;

	if (!m->url)
		return SERVER_BROKEN;
	if (e->withheld)
		return SERVER_WITHHELD;
	if (e->state == ENDPOINT_PAUSED)
		return SERVER_PAUSED;
	if (e->state != ENDPOINT_RUNNING)
		return SERVER_STARTING;
	if (m->unchecked)
		return SERVER_SERVING;
	if (!member_is_probed(m, s))
		return e->health == HEALTH_NONE ? SERVER_SERVING : health_state(e->health);
	return readiness_counts(m->ready) ? SERVER_SERVING : SERVER_STARTING;
}

bool
member_is_damped(const struct member *m)
{
	return m->damping && !m->damping->over;
}

enum server_state
member_state(const struct member *m, const struct settings *s)
{
	enum server_state state = member_condition(m, s);
	return state == SERVER_SERVING && member_is_damped(m) ? SERVER_DAMPED : state;
}

const char *
member_health_text(const struct member *m, const struct settings *s)
{
	static const char *const text[] = {"none", "starting", "healthy", "unhealthy", "unknown"};

	if (member_state(m, s) == SERVER_DAMPED)
		return "flapping";
	if (!member_is_probed(m, s))
		return m->unchecked ? "none" : text[m->endpoint->health];
	return m->ready == READY_NO && member_probe_path(m) ? "unhealthy"
							    : readiness_text(m->ready);
}
