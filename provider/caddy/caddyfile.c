#include "provider/caddy/caddyfile.h"

#include <stdlib.h>
#include <string.h>

#include "reconciler/base/buf.h"

/* -- tokens --
 * As Caddy's own lexer has them (caddyconfig/caddyfile/lexer.go). */

struct token {
	const char *begin, *end; /* with its quotes */
	const char *text; /* without */
	bool quoted;
	bool starts_line;
};

struct lexer {
	struct arena *arena;
	const char *at;
	bool line; /* the next token is the first of its line */
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* What is between tokens: blanks, comments, and line ends that a backslash takes back. */
static void
skip(struct lexer *l)
{
	for (;; l->at++) {
		if (*l->at == '#')
			l->at += strcspn(l->at, "\n");
		if (*l->at == '\\' && l->at[1] == '\r' && l->at[2] == '\n')
			l->at += 2;
		else if (*l->at == '\\' && l->at[1] == '\n')
			l->at++;
		else if (*l->at == '\n')
			l->line = true;
		else if (!is_space(*l->at))
			return;
	}
}

/* Within '"' a backslash takes a quote's meaning away, and stays before all else. */
static void
read_quoted(struct lexer *l, struct token *t)
{
	struct buf b = {0};
	const char *c = l->at + 1;

	buf_adds(&b, "");
	for (; *c && *c != *l->at; c++) {
		if (*l->at == '"' && *c == '\\' && c[1] == '"')
			c++;
		else if (*l->at == '"' && *c == '\\' && c[1])
			buf_add(&b, c++, 1);
		buf_add(&b, c, 1);
	}
	t->text = arena_strndup(l->arena, b.p ? b.p : "", b.n);
	t->quoted = true;
	l->at = *c ? c + 1 : c;
	buf_finish(&b);
}

/* Behind "<<EOT" and its line's end: all until "EOT" (Caddy 2.7 and later). */
static bool
read_heredoc(struct lexer *l, struct token *t)
{
	if (l->at[1] != '<')
		return false;
	size_t n = strcspn(l->at + 2, " \t\r\n<");
	const char *body = l->at + 2 + n;
	body += *body == '\r';
	if (!n || *body != '\n')
		return false;
	const char *marker = arena_strndup(l->arena, l->at + 2, n);
	const char *end = strstr(body, marker);
	if (!end)
		end = body + strlen(body); /* Caddy refuses it */
	t->text = arena_strndup(l->arena, body, (size_t)(end - body));
	t->quoted = true;
	l->at = *end ? end + n : end;
	return true;
}

/* A backslash before a line's end ends the token, and takes the line's end back. */
static void
read_word(struct lexer *l, struct token *t)
{
	while (*l->at && !is_space(*l->at)) {
		if (*l->at == '\\' && (l->at[1] == '\n' || (l->at[1] == '\r' && l->at[2] == '\n')))
			break;
		l->at += *l->at == '\\' && l->at[1] && !is_space(l->at[1]) ? 2 : 1;
	}
	t->text = arena_strndup(l->arena, t->begin, (size_t)(l->at - t->begin));
}

static bool
token_next(struct lexer *l, struct token *ret)
{
	skip(l);
	if (!*l->at)
		return false;
	*ret = (struct token){.begin = l->at, .starts_line = l->line};
	l->line = false;
	if (*l->at == '"' || *l->at == '`')
		read_quoted(l, ret);
	else if (*l->at != '<' || !read_heredoc(l, ret))
		read_word(l, ret);
	ret->end = l->at;
	return true;
}

/* -- paths -- */

/* Absolute and without "//", "/./" and "/../". */
static const char *
path_clean(struct arena *a, const char *directory, const char *path)
{
	struct buf b = {0};
	const char *at = *path == '/' ? path : arena_printf(a, "%s/%s", directory, path);

	buf_adds(&b, "");
	for (size_t n; *at; at += n) {
		at += strspn(at, "/");
		n = strcspn(at, "/");
		if (n == 2 && memcmp(at, "..", 2) == 0) {
			while (b.n && b.p[--b.n] != '/')
				;
		} else if (n && !(n == 1 && *at == '.')) {
			buf_adds(&b, "/");
			buf_add(&b, at, n);
		}
	}
	const char *clean = b.n ? arena_strndup(a, b.p, b.n) : "/";
	buf_finish(&b);
	return clean;
}

/* All .caddy files of the directory, or all files. */
static bool
pattern_covers(struct arena *a, const char *pattern, const char *sites)
{
	const char *base = strrchr(pattern, '/');

	if (!base || (strcmp(base, "/*.caddy") != 0 && strcmp(base, "/*") != 0))
		return false;
	const char *directory = arena_strndup(a, pattern, (size_t)(base - pattern));
	return strcmp(path_clean(a, "/", directory), path_clean(a, "/", sites)) == 0;
}

/* A path in a token's place.  A backslash before a closing '"' would take it away; another token
 * may follow a quoted one without a blank. */
static void
add_path(struct buf *b, const char *path, bool quoted)
{
	bool blanks = quoted || strpbrk(path, " \t\r\n\v\f#`");
	const char *quote = strpbrk(path, "\"\\") ? "`" : blanks ? "\"" : "";

	buf_adds(b, quote);
	buf_adds(b, path);
	buf_adds(b, quote);
}

/* -- the file -- */

struct names {
	struct names *next;
	const char *name;
};

struct reading {
	struct arena *arena;
	const char *text, *directory, *sites;
	struct names *snippets; /* that it defines */
	bool imports_files; /* which may define others */
	size_t depth;
	bool global; /* within the block that has no address */
	struct caddyfile *ret;
};

static bool
is_snippet(const struct reading *r, const char *name)
{
	for (const struct names *s = r->snippets; s; s = s->next)
		if (strcmp(s->name, name) == 0)
			return true;
	return false;
}

/* Not one that Caddy fills in first, or that no token could be made of. */
static bool
is_file_name(const char *pattern)
{
	if (strpbrk(pattern, "\"\\") && strchr(pattern, '`'))
		return false;
	return *pattern && !strstr(pattern, "{$") && !strstr(pattern, "{args");
}

/* Is it a file's?  A bare word may be a snippet's that an imported file defines. */
static bool
is_file_pattern(const struct reading *r, const char *pattern)
{
	if (!is_file_name(pattern) || is_snippet(r, pattern))
		return false;
	return strpbrk(pattern, "/.*?[") || !r->imports_files;
}

static bool
is_import(const struct token *t, bool after_brace)
{
	return !t->quoted && (t->starts_line || after_brace) && strcmp(t->text, "import") == 0;
}

static bool
is_brace(const struct token *t, char brace)
{
	return !t->quoted && t->text[0] == brace && !t->text[1];
}

/* "(name)" at the beginning of a line. */
static void
note_snippet(struct reading *r, const struct token *t)
{
	size_t n = strlen(t->text);

	if (!t->starts_line || n < 2 || t->text[0] != '(' || t->text[n - 1] != ')')
		return;
	struct names *s = ARENA_NEW(r->arena, struct names);
	*s = (struct names){r->snippets, arena_strndup(r->arena, t->text + 1, n - 2)};
	r->snippets = s;
}

/* What can be known of an import only when the whole was seen. */
static void
survey(struct reading *r)
{
	struct lexer l = {r->arena, r->text, true};
	struct token t;
	bool after_brace = false;

	while (token_next(&l, &t)) {
		bool import = is_import(&t, after_brace);
		after_brace = is_brace(&t, '{');
		note_snippet(r, &t);
		if (import && token_next(&l, &t) && strpbrk(t.text, "/.*?["))
			r->imports_files = true;
	}
}

/* "admin ADDRESS" among the global options. */
static void
note_admin(struct reading *r, struct lexer l)
{
	struct token t;

	if (token_next(&l, &t) && !t.starts_line && !is_brace(&t, '{') &&
		strcmp(t.text, "off") != 0)
		r->ret->admin = true;
}

static void
note_token(struct reading *r, const struct token *t, const struct lexer *l)
{
	if (is_brace(t, '{')) {
		r->global = r->depth == 0 ? t->starts_line : r->global;
		r->depth++;
	} else if (is_brace(t, '}')) {
		r->depth -= r->depth > 0;
	} else if (r->depth == 1 && r->global && t->starts_line && strcmp(t->text, "admin") == 0) {
		note_admin(r, *l);
	}
}

/* Up to where the line's tokens go. */
static const char *
line_end(struct lexer l, const struct token *last)
{
	const char *end = last->end;
	struct token t;

	while (token_next(&l, &t) && !t.starts_line)
		end = t.end;
	return end;
}

struct texts {
	struct buf whole, rest;
	const char *from; /* what is copied until now */
};

/* Copies up to the import, and writes it anew. */
static void
take_import(struct reading *r, struct texts *to, const struct token *import, struct lexer *l)
{
	struct token pattern;

	if (!token_next(l, &pattern) || pattern.starts_line || !is_file_pattern(r, pattern.text))
		return;
	const char *path = path_clean(r->arena, r->directory, pattern.text);
	bool sites = r->depth == 0 && pattern_covers(r->arena, path, r->sites);

	buf_add(&to->whole, to->from, (size_t)(pattern.begin - to->from));
	buf_add(&to->rest, to->from, (size_t)((sites ? import->begin : pattern.begin) - to->from));
	add_path(&to->whole, path, pattern.quoted);
	to->from = pattern.end;
	if (!sites) {
		add_path(&to->rest, path, pattern.quoted);
		return;
	}
	const char *end = line_end(*l, &pattern);
	buf_add(&to->whole, to->from, (size_t)(end - to->from));
	to->from = l->at = end;
	r->ret->imports_sites = true;
}

static void
rewrite(struct reading *r, struct texts *to)
{
	struct lexer l = {r->arena, r->text, true};
	struct token t;
	bool after_brace = false;

	while (token_next(&l, &t)) {
		bool import = is_import(&t, after_brace);
		after_brace = is_brace(&t, '{');
		note_token(r, &t, &l);
		if (import)
			take_import(r, to, &t, &l);
	}
	buf_adds(&to->whole, to->from);
	buf_adds(&to->rest, to->from);
}

void
caddyfile_parse(struct arena *a, const char *text, const char *directory, const char *sites,
	struct caddyfile *ret)
{
	struct reading r = {
		.arena = a, .text = text, .directory = directory, .sites = sites, .ret = ret};
	struct texts to = {.from = text};

	*ret = (struct caddyfile){0};
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		r.text += 3;
	survey(&r);
	rewrite(&r, &to);
	ret->whole = arena_strndup(a, to.whole.p, to.whole.n);
	ret->rest = arena_strndup(a, to.rest.p, to.rest.n);
	buf_finish(&to.whole);
	buf_finish(&to.rest);
}

/* -- errors -- */

/* "…:17" from its end backwards: the line, and where the colon is; NULL where it is not so. */
static const char *
place_colon(const char *begin, const char *end, unsigned *ret_line)
{
	const char *colon = end;
	unsigned line = 0;

	while (colon > begin && colon[-1] >= '0' && colon[-1] <= '9' && end - colon < 9)
		colon--;
	for (const char *c = colon; c < end; c++)
		line = line * 10 + (unsigned)(*c - '0');
	if (colon == end || colon == begin || colon[-1] != ':')
		return NULL;
	*ret_line = line;
	return colon - 1;
}

/* The file's name that ends here: it begins behind the last of the separators. */
static const char *
place_begin(const char *begin, const char *colon, const char *separator)
{
	size_t n = strlen(separator);

	for (const char *c = colon; c >= begin + n; c--)
		if (memcmp(c - n, separator, n) == 0)
			return c;
	return begin;
}

/* Only a path, or what Caddy calls a text that came over its API. */
static bool
place_take(struct arena *a, const char *begin, const char *colon, const char **ret_file)
{
	size_t n = (size_t)(colon - begin);

	if (!n || (*begin != '/' && (n != strlen("Caddyfile") || memcmp(begin, "Caddyfile", n))))
		return false;
	*ret_file = arena_strndup(a, begin, n);
	return true;
}

/* 2.6: "FILE:3 - Error during parsing: …", "FILE:3 - Syntax error: …", "FILE:3: unrecognized …",
 * each behind "…: "; its place comes before what a site says. */
static bool
place_before(struct arena *a, const char *begin, const char *end, const char *mark,
	const char **ret_file, unsigned *ret_line)
{
	for (const char *at = begin; (at = strstr(at, mark)) && at < end; at++) {
		unsigned line;
		const char *colon = place_colon(begin, at, &line);
		if (colon && place_take(a, place_begin(begin, colon, ": "), colon, ret_file)) {
			*ret_line = line;
			return true;
		}
	}
	return false;
}

/* 2.7 and later: "…, at FILE:3", with "import chain" behind it. */
static bool
place_behind(struct arena *a, const char *begin, const char *end, const char **ret_file,
	unsigned *ret_line)
{
	unsigned line;
	const char *colon = place_colon(begin, end, &line);

	if (!colon || !place_take(a, place_begin(begin, colon, ", at "), colon, ret_file))
		return false;
	*ret_line = line;
	return true;
}

/* "Could not read tokens while importing FILE: EOF", which the place of the import follows or
 * precedes; a heredoc that does not end says "on line #4". */
static bool
place_importing(struct arena *a, const char *error, const char **ret_file, unsigned *ret_line)
{
	static const char before[] = "while importing ", on[] = "on line #";
	const char *begin = strstr(error, before), *colon, *number;

	if (!begin)
		return false;
	begin += strlen(before);
	colon = strstr(begin, ": ");
	if (!colon || !place_take(a, begin, colon, ret_file))
		return false;
	*ret_line = 1;
	number = strstr(colon, on);
	if (number)
		*ret_line = (unsigned)strtoul(number + strlen(on), NULL, 10);
	return true;
}

bool
caddyfile_error_place(struct arena *a, const char *error, const char **ret_file, unsigned *ret_line)
{
	const char *end = strstr(error, " import chain");

	if (!end)
		end = error + strlen(error);
	return place_importing(a, error, ret_file, ret_line) ||
	       place_before(a, error, end, " - Error during parsing", ret_file, ret_line) ||
	       place_before(a, error, end, " - Syntax error", ret_file, ret_line) ||
	       place_behind(a, error, end, ret_file, ret_line) ||
	       place_before(a, error, end, ": unrecognized ", ret_file, ret_line);
}
