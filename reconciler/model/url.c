#include "reconciler/model/url.h"

#include <errno.h>
#include <string.h>

#include "reconciler/base/buf.h"
#include "reconciler/model/host.h"
#include "reconciler/model/slug.h"

#define BRANCH_ROOM_MIN 8
/* Stands for the branch until its room is known; never part of a host name. */
#define BRANCH_MARK "{"

/* A placeholder. */
enum url_part { PART_PROJECT, PART_ENVIRONMENT, PART_BASE, PART_BRANCH, PART_SLOT, PART_SERVICE };

#define PARTS (PART_SERVICE + 1)

static const char *const part_texts[PARTS] = {
	[PART_PROJECT] = "project",
	[PART_ENVIRONMENT] = "environment",
	[PART_BASE] = "base",
	[PART_BRANCH] = "branch",
	[PART_SLOT] = "slot",
	[PART_SERVICE] = "service",
};

static int
part_find(const char *text, size_t n)
{
	for (int i = 0; i < PARTS; i++)
		if (strlen(part_texts[i]) == n && memcmp(part_texts[i], text, n) == 0)
			return i;
	return -1;
}

/* What stands in for the placeholders; NULL where there is none. */
struct fill {
	const char *value[PARTS];
};

/* Replaces the placeholders.  Refuses those that are unknown or have no value. */
static int
fill_template(struct arena *a, const char *template, const struct fill *fill, char **ret,
	struct err *reterr)
{
	struct buf b = {0};
	int r = 0;
	buf_adds(&b, "");
	for (const char *p = template; *p && r == 0;) {
		size_t n = strcspn(p, "{}");
		buf_add(&b, p, n);
		p += n;
		if (!*p)
			break;
		size_t len = strcspn(p, "}");
		int part = *p == '{' && p[len] ? part_find(p + 1, len - 1) : -1;
		if (*p == '}' || !p[len])
			r = err_set(reterr, EINVAL, "a brace has no partner");
		else if (part < 0)
			r = err_set(reterr, EINVAL, "unknown placeholder %.*s",
				(int)(len < 40 ? len + 1 : 40), p);
		else if (!fill->value[part])
			r = err_set(reterr, EINVAL, "{%s} has no value here", part_texts[part]);
		else
			buf_adds(&b, fill->value[part]);
		p += p[len] ? len + 1 : len;
	}
	if (r == 0)
		*ret = arena_strndup(a, b.p, b.n);
	buf_finish(&b);
	return r;
}

/* One of the names as a part of a label. */
static int
part_slug(
	struct arena *a, enum url_part part, const char *name, const char **ret, struct err *reterr)
{
	static const char usable[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	char slug[HOST_LABEL_MAX + 1];
	size_t n = slug_name(name, slug, sizeof(slug));
	if (n == 0)
		return err_set(reterr, EINVAL, "the %s '%s' %s", part_texts[part],
			host_shown(name).text,
			strpbrk(name, usable)
				? "is too long: a label of a host name has at most 63 octets"
				: "has no letter or digit that a host name could have");
	*ret = arena_strndup(a, slug, n);
	return 0;
}

static bool
has(const char *text)
{
	return text && text[0];
}

static const char *
environment_of(const struct url_parts *u)
{
	return has(u->environment) ? u->environment : "production";
}

static const char *
template_of(const struct settings *s, const struct url_parts *u)
{
	const char *environment = environment_of(u);
	if (has(u->slot))
		return s->urls.slot;
	if (has(u->branch))
		return s->urls.preview;
	if (strcmp(environment, "production") == 0)
		return has(u->service) ? s->urls.service : s->urls.production;
	if (strcmp(environment, "staging") == 0)
		return s->urls.staging;
	for (size_t i = 0; i < s->urls.nothers; i++)
		if (strcmp(s->urls.others[i].environment, environment) == 0)
			return s->urls.others[i].template;
	return "{project}-{environment}.{base}";
}

static int
fill_parts(struct arena *a, const struct settings *s, const struct url_parts *u,
	const char *template, struct fill *ret, struct err *reterr)
{
	const struct {
		enum url_part part;
		const char *name;
	} names[] = {
		{PART_PROJECT, u->project},
		{PART_ENVIRONMENT, environment_of(u)},
		{PART_SLOT, u->slot},
		{PART_SERVICE, u->service},
	};

	struct fill fill = {.value[PART_BASE] = s->base_domain};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char **value = &fill.value[names[i].part];
		if (!has(names[i].name))
			continue;
		int r = part_slug(a, names[i].part, names[i].name, value, reterr);
		if (r < 0)
			return r;
	}
	if (has(u->branch))
		fill.value[PART_BRANCH] = BRANCH_MARK;
	/* Only production has a template for services; elsewhere they go with their project. */
	if (has(u->service) && fill.value[PART_PROJECT] && !strstr(template, "{service}"))
		fill.value[PART_PROJECT] = arena_printf(
			a, "%s-%s", fill.value[PART_PROJECT], fill.value[PART_SERVICE]);
	*ret = fill;
	return 0;
}

/* The label of n octets does not leave enough room: which part is to blame? */
static int
too_long(const struct fill *fill, size_t n, struct err *reterr)
{
	enum url_part longest = PART_PROJECT;
	for (int i = 0; i < PARTS; i++)
		if (i != PART_BASE && fill->value[i] &&
			strlen(fill->value[i]) > strlen(fill->value[longest]))
			longest = (enum url_part)i;
	return err_set(reterr, EINVAL,
		"the %s '%s' is too long: it makes a label of %zu octets, and a host name can have "
		"63 in a label and 253 in all",
		part_texts[longest], host_shown(fill->value[longest]).text, n);
}

static size_t
longest_label(const char *host)
{
	size_t max = 0;
	for (;;) {
		size_t n = strcspn(host, ".");
		if (n > max)
			max = n;
		if (!host[n])
			return max;
		host += n + 1;
	}
}

/* Octets that the label around the mark, and the name, leave for what the mark stands for. */
static size_t
room_at(const char *text, const char *mark)
{
	const char *start = mark;
	while (start > text && start[-1] != '.')
		start--;
	size_t label = (size_t)(mark - start) + strcspn(mark, ".") - 1, whole = strlen(text) - 1;
	size_t room = label < HOST_LABEL_MAX ? HOST_LABEL_MAX - label : 0;
	size_t rest = whole < HOST_MAX ? HOST_MAX - whole : 0;
	return room < rest ? room : rest;
}

/* Puts the branch's label where the mark stands. */
static int
fill_branch(struct arena *a, const struct url_parts *u, const struct fill *fill, char *text,
	const char **ret, struct err *reterr)
{
	char slug[SLUG_MAX + 1];
	char *mark = strchr(text, BRANCH_MARK[0]);
	if (!mark) {
		*ret = text;
		return 0;
	}

	size_t room = room_at(text, mark), n;
	if (u->codi) {
		n = slug_branch_codi(u->branch, slug);
		if (n == 0)
			return err_set(reterr, EINVAL,
				"the branch '%s' has no letter or digit that a host name could "
				"have",
				host_shown(u->branch).text);
	} else {
		if (room < BRANCH_ROOM_MIN)
			return too_long(fill, HOST_LABEL_MAX - room + BRANCH_ROOM_MIN, reterr);
		n = u->suffixed ? slug_branch_suffixed(u->branch, room, slug)
				: slug_branch(u->branch, room, slug);
	}
	if (n > room)
		return too_long(fill, HOST_LABEL_MAX - room + n, reterr);
	*mark = '\0';
	*ret = arena_printf(a, "%s%s%s", text, slug, mark + 1);
	return 0;
}

int
url_host(struct arena *a, const struct settings *s, const struct url_parts *u, const char **ret,
	struct err *reterr)
{
	const char *template = template_of(s, u), *host = NULL;
	struct fill fill;
	char *text;
	int r = fill_parts(a, s, u, template, &fill, reterr);
	if (r < 0)
		return r;
	if (!fill.value[PART_PROJECT])
		return err_set(reterr, EINVAL, "the project has no name");
	r = fill_template(a, template, &fill, &text, reterr);
	if (r < 0)
		return err_wrap(reterr, "URL template '%s'", template);
	r = fill_branch(a, u, &fill, text, &host, reterr);
	if (r < 0)
		return r;
	if (longest_label(host) > HOST_LABEL_MAX)
		return too_long(&fill, longest_label(host), reterr);
	return host_parse(a, host, ret, reterr);
}

/* {base} brings labels of its own, so a dot or an end has to stand on both sides. */
static bool
base_stands_alone(const char *template)
{
	const char *base = template;
	for (; (base = strstr(base, "{base}")); base++) {
		char after = base[strlen("{base}")];
		if ((base != template && base[-1] != '.') || (after != '\0' && after != '.'))
			return false;
	}
	return true;
}

static bool
branch_stands_twice(const char *template)
{
	const char *branch = strstr(template, "{branch}");
	return branch && strstr(branch + 1, "{branch}");
}

/* The first placeholder that is needed and not there; NULL where none is missing. */
static const char *
part_missing(struct arena *a, const char *template, const char *needs)
{
	for (int i = 0; i < PARTS; i++) {
		const char *placeholder = arena_printf(a, "{%s}", part_texts[i]);
		if (strstr(needs, part_texts[i]) && !strstr(template, placeholder))
			return placeholder;
	}
	return NULL;
}

static int
check_filled(struct arena *a, const char *template, const char *needs, struct err *reterr)
{
	static const char *const samples[PARTS] = {
		[PART_PROJECT] = "p",
		[PART_ENVIRONMENT] = "e",
		[PART_BASE] = "b.example",
		[PART_BRANCH] = "12345678",
		[PART_SLOT] = "s",
		[PART_SERVICE] = "s",
	};

	struct fill fill = {0};
	for (int i = 0; i < PARTS; i++)
		if (i <= PART_BASE || strstr(needs, part_texts[i]))
			fill.value[i] = samples[i];

	char *text;
	const char *host;
	int r = fill_template(a, template, &fill, &text, reterr);
	if (r == 0 && (r = host_parse(a, text, &host, reterr)) < 0)
		err_wrap(reterr, "filled with samples");
	return r;
}

int
url_template_check(const char *template, const char *needs, struct err *reterr)
{
	struct arena a = {0};
	int r = check_filled(&a, template, needs, reterr);
	const char *missing = part_missing(&a, template, needs);
	if (r == 0 && missing)
		r = err_set(reterr, EINVAL, "%s is missing, so different things would get one host",
			missing);
	if (r == 0 && branch_stands_twice(template))
		r = err_set(reterr, EINVAL, "{branch} stands twice");
	if (r == 0 && !base_stands_alone(template))
		r = err_set(reterr, EINVAL, "{base} needs a dot between it and the rest");
	arena_finish(&a);
	return r;
}
