#include "provider/caddy/batch.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/arena.h"
#include "reconciler/base/buf.h"

void
batch_init(struct batch *b, struct sites *s)
{
	*b = (struct batch){0};
	b->list = xcalloc(HASH_COUNT(s->list) + 1, sizeof(*b->list));
	for (struct site *site = s->list; site; site = site->hh.next) {
		const char *target = site_target(site);
		if (site_is_due(site))
			b->list[b->n++] = (struct batch_item){
				.site = site, .text = target ? xstrdup(target) : NULL};
	}
}

void
batch_finish(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->list[i].text);
	free(b->list);
	free(b->why);
	free(b->text);
	*b = (struct batch){0};
}

static void
item_refuse(struct batch_item *item, const char *why)
{
	item->out = true;
	if (item->text)
		site_refuse(item->site, item->text, why);
}

/* -- adapting -- */

static bool
wants_adapting(const struct batch_item *item)
{
	return item->text && !item->adapted && !item->out;
}

static size_t
lines_of(const char *text, size_t n)
{
	size_t lines = 0;
	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

const char *
batch_adapt_text(struct batch *b, const char *rest)
{
	struct buf text = {0};
	size_t n = 0, line;

	buf_adds(&text, rest);
	buf_adds(&text, "\n");
	line = 1 + lines_of(text.p, text.n);
	for (size_t i = 0; i < b->n; i++) {
		struct batch_item *item = &b->list[i];
		item->first_line = item->end_line = 0;
		if (!wants_adapting(item) || (b->alone && (n || !b->cleared)))
			continue;
		item->first_line = line;
		buf_adds(&text, item->text);
		buf_adds(&text, "\n");
		item->end_line = line += lines_of(item->text, strlen(item->text)) + 1;
		n++;
	}
	free(b->text);
	b->text = buf_steal(&text, NULL);
	return n || (b->alone && !b->cleared) ? b->text : NULL;
}

void
batch_adapted(struct batch *b)
{
	b->cleared = true;
	for (size_t i = 0; i < b->n; i++)
		b->list[i].adapted = b->list[i].adapted || b->list[i].first_line;
}

bool
batch_refuse_line(struct batch *b, unsigned line, const char *why)
{
	struct batch_item *only = NULL;
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct batch_item *item = &b->list[i];
		if (!item->first_line)
			continue;
		only = item;
		n++;
		if (line >= item->first_line && line < item->end_line) {
			item_refuse(item, why);
			return true;
		}
	}
	if (line || !n)
		return false;
	if (b->alone)
		item_refuse(only, why);
	b->alone = true;
	return true;
}

/* -- groups -- */

static bool
is_of_group(const struct batch *b, const struct batch_item *item)
{
	return item->group == b->group && !item->out && !item->settled;
}

bool
batch_begin(struct batch *b)
{
	b->ngroups = 1;
	for (size_t i = 0; i < b->n; i++)
		b->list[i].group = 1;
	return batch_next(b);
}

bool
batch_next(struct batch *b)
{
	b->group = 0;
	for (size_t i = 0; i < b->n; i++) {
		const struct batch_item *item = &b->list[i];
		if (!item->out && !item->settled && (!b->group || item->group < b->group))
			b->group = item->group;
	}
	return b->group;
}

/* What answers for everything else comes first, what goes comes last. */
static int
rank(const struct site_change *c)
{
	return !c->text ? 2 : strcmp(c->name, "waymark.caddy") == 0 ? 0 : 1;
}

static void
changes_add(struct batch_changes *c, struct batch_item *item, const char *text)
{
	c->item[c->n] = item;
	c->list[c->n++] = (struct site_change){
		.name = xstrdup(item->site->name), .text = text ? xstrdup(text) : NULL};
}

void
batch_changes_make(struct batch *b, bool revert, struct batch_changes *ret)
{
	*ret = (struct batch_changes){.list = xcalloc(b->n + 1, sizeof(*ret->list)),
		.item = xcalloc(b->n + 1, sizeof(struct batch_item *))};
	for (int r = 0; r < 3; r++)
		for (size_t i = 0; i < b->n; i++) {
			struct batch_item *item = &b->list[i];
			const char *text = revert ? item->site->good : item->text;
			const struct site_change c = {.name = item->site->name, .text = text};
			if (rank(&c) == r && (revert ? item->reverted : is_of_group(b, item)))
				changes_add(ret, item, text);
		}
}

void
batch_changes_finish(struct batch_changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free((char *)(uintptr_t)c->list[i].name);
		free((char *)(uintptr_t)c->list[i].text);
	}
	free(c->list);
	free(c->item);
	*c = (struct batch_changes){0};
}

static void
item_written(struct batch_item *item, const struct site_change *c, bool revert)
{
	struct site *site = item->site;

	if (c->error) {
		free(site->why);
		site->why = xstrdup(c->why.text);
		item->out = true;
		return;
	}
	if (c->standing == SITE_FOREIGN && c->text && !revert) {
		site->foreign = true;
		item->out = true;
		return;
	}
	site_store(site, c->text);
}

void
batch_written(struct batch *b, const struct batch_changes *c, bool revert)
{
	(void)b;
	for (size_t i = 0; i < c->n; i++) {
		item_written(c->item[i], &c->list[i], revert);
		if (revert)
			c->item[i]->reverted = false;
	}
}

void
batch_settle(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct batch_item *item = &b->list[i];
		if (!is_of_group(b, item))
			continue;
		site_settle(item->site, item->text);
		item->settled = true;
	}
}

bool
batch_refuse_file(struct batch *b, const char *file, const char *why)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;

	for (size_t i = 0; i < b->n; i++) {
		struct batch_item *item = &b->list[i];
		if (!is_of_group(b, item) || !item->text || strcmp(item->site->name, name) != 0)
			continue;
		item_refuse(item, why);
		item->reverted = true;
		return true;
	}
	return false;
}

/* Does a site of the text have the address? */
static bool
has_address(const char *text, const char *address, size_t n)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, address, n) == 0 && line[n] == ' ')
			return true;
	}
	return false;
}

bool
batch_refuse_address(struct batch *b, const char *why)
{
	static const char words[] = "ambiguous site definition: ";
	const char *at = strstr(why, words);
	const char *address = at ? at + strlen(words) : "";
	size_t n = strcspn(address, " ,\"\n");

	for (size_t i = 0; n && i < b->n; i++) {
		struct batch_item *item = &b->list[i];
		if (!is_of_group(b, item) || !item->text || !has_address(item->text, address, n))
			continue;
		item_refuse(item, why);
		item->reverted = true;
		return true;
	}
	return false;
}

void
batch_suspect(struct batch *b, const char *why)
{
	free(b->why);
	b->why = xstrdup(why);
	for (size_t i = 0; i < b->n; i++)
		b->list[i].reverted = is_of_group(b, &b->list[i]);
}

void
batch_split(struct batch *b)
{
	size_t n = 0, k = 0;

	for (size_t i = 0; i < b->n; i++)
		n += is_of_group(b, &b->list[i]);
	b->ngroups++;
	for (size_t i = 0; i < b->n; i++) {
		struct batch_item *item = &b->list[i];
		if (!is_of_group(b, item))
			continue;
		if (n == 1)
			item_refuse(item, b->why ? b->why : "Caddy does not take it");
		else if (k++ >= n / 2)
			item->group = b->ngroups;
	}
}
