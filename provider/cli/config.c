#include "provider/cli/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "provider/cli/config_decode.h"
#include "provider/cli/config_shape.h"
#include "provider/cli/config_yaml.h"
#include "provider/traefik/traefik_check.h"

void
config_errors_add(struct config_errors *e, const char *file, unsigned line, const char *path,
	const char *what, const char *remedy)
{
	e->list = xrealloc(e->list, (e->n + 1) * sizeof(*e->list));
	e->list[e->n++] = (struct config_error){
		.file = arena_strdup(&e->arena, file),
		.line = line,
		.path = arena_strdup(&e->arena, path),
		.what = arena_strdup(&e->arena, what),
		.remedy = arena_strdup(&e->arena, remedy),
	};
}

/* Control characters do not reach a terminal. */
static void
print_text(struct buf *b, const char *text)
{
	for (const char *c = text; *c; c++)
		buf_adds(
			b, (unsigned char)*c < 0x20 || *c == 0x7f ? "?" : (const char[]){*c, '\0'});
}

void
config_error_print(const struct config_error *e, struct buf *b)
{
	print_text(b, e->file);
	if (e->path[0]) {
		buf_adds(b, ": ");
		print_text(b, e->path);
	}
	buf_adds(b, ": ");
	print_text(b, e->what);
	if (e->line)
		buf_addf(b, " (line %u)", e->line);
	buf_adds(b, "; ");
	print_text(b, e->remedy);
}

void
config_errors_show(const struct config_errors *e, FILE *to)
{
	struct buf b = {0};
	for (size_t i = 0; i < e->n; i++) {
		config_error_print(&e->list[i], &b);
		buf_adds(&b, "\n");
	}
	if (b.n)
		fwrite(b.p, 1, b.n, to);
	buf_finish(&b);
}

void
config_errors_finish(struct config_errors *e)
{
	arena_finish(&e->arena);
	free(e->list);
	*e = (struct config_errors){0};
}

char *
config_file_read(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	char *text = xmalloc(CONFIG_SIZE_MAX + 1);
	size_t n = fread(text, 1, CONFIG_SIZE_MAX + 1, f);
	int code = ferror(f) ? errno : n > CONFIG_SIZE_MAX ? EFBIG : 0;
	fclose(f);
	if (code) {
		free(text);
		errno = code;
		return NULL;
	}
	*ret_n = n;
	return text;
}

static const char *
read_remedy(int code)
{
	switch (code) {
	case ENOENT:
		return "name another with -c or WAYMARK_CONFIG, or create it";
	case EACCES:
		return "let the user that Waymark runs as read it";
	case EFBIG:
		return "a configuration has at most 1 MiB";
	default:
		return "name a file that can be read";
	}
}

/* A line that stopped the YAML parser: the usual slip is a variable among braces. */
static const char *
yaml_remedy(const char *text, size_t n, unsigned line)
{
	const char *end = text + n, *at = text;
	while (line > 1 && (at = memchr(at, '\n', (size_t)(end - at)))) {
		at++;
		line--;
	}
	const char *stop = at ? memchr(at, '\n', (size_t)(end - at)) : NULL;
	if (line == 1 && memmem(at, (size_t)((stop ? stop : end) - at), "${", 2))
		return "inside { } and [ ], write \"${NAME}\" with its quotes";
	return "mend the file there";
}

/* What the file says, as it stands there; NULL with an error where that cannot be told. */
static struct yaml_node *
tree_read(struct config_reader *r, bool optional, struct config *c)
{
	size_t n;
	char *text = config_file_read(r->file, &n);
	if (!text) {
		int code = errno;
		if (code == ENOENT && optional)
			return yaml_collection(r->arena, YAML_MAP);
		config_errors_add(r->errors, r->file, 0, "",
			arena_printf(r->arena, "cannot be read: %s", strerror(code)),
			read_remedy(code));
		return NULL;
	}

	struct yaml_node *root = NULL;
	struct err e;
	unsigned line = 0;
	c->path = arena_strdup(&c->arena, r->file);
	if (yaml_read(r->arena, text, n, &root, &line, &e) < 0)
		config_errors_add(r->errors, r->file, line, "", e.text, yaml_remedy(text, n, line));
	free(text);
	return root;
}

/* What an output could not print would empty its document: refuse it here. */
static void
check_outputs(struct config_reader *r, const struct settings *s)
{
	struct err e;
	if (traefik_check_settings(s, &e) < 0)
		config_errors_add(r->errors, r->file, 0, "", e.text,
			"use what Traefik takes: names of letters, digits, '-', '_' and '.'");
}

struct config *
config_load(const char *path, struct config_errors *reterrors)
{
	*reterrors = (struct config_errors){0};
	const char *env = getenv("WAYMARK_CONFIG");
	bool optional = !path && !(env && env[0]);
	if (!path)
		path = optional ? CONFIG_PATH : env;

	struct config *c = xcalloc(1, sizeof(*c));
	c->settings = settings_create();

	struct arena arena = {0};
	struct config_reader r = {path, &arena, reterrors, &c->warnings};
	struct yaml_node *root = tree_read(&r, optional, c);
	if (root) {
		config_overlay(&r, root);
		config_decode(&r, config_shape(&r, root), c);
		if (reterrors->n == 0)
			check_outputs(&r, c->settings);
	}
	arena_finish(&arena);
	if (reterrors->n > 0) {
		config_destroy(c);
		return NULL;
	}
	return c;
}

void
config_warnings_log(const struct config *c)
{
	for (size_t i = 0; i < c->warnings.n; i++) {
		const struct config_error *w = &c->warnings.list[i];
		LOG(LOG_WARN, "configuration", LOG_S("file", w->file), LOG_S("path", w->path),
			LOG_S("what", w->what), LOG_S("next", w->remedy));
	}
}

void
config_destroy(struct config *c)
{
	if (!c)
		return;
	settings_destroy(c->settings);
	config_errors_finish(&c->warnings);
	arena_finish(&c->arena);
	free(c);
}
