#include <stdio.h>
#include <string.h>

#include "reconciler/model/host.h"
#include "reconciler/registry/registry_reader.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Brackets, commas and colons: jansson takes up to 250 octets for what is three in the file. */
#define MARKS_MAX 2000000

/* -- what is wrong with the JSON -- */

/* jansson says where it stopped, which is behind the token that it did not want. */
static size_t
token_begin(const char *text, size_t end)
{
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	size_t at = end - 1;

	if (text[at] == '"') {
		while (at > 0 && (text[at - 1] != '"' || (at > 1 && text[at - 2] == '\\')))
			at--;
		return at ? at - 1 : end - 1;
	}
	while (at > 0 && strchr(word, text[at]) && text[at - 1] && strchr(word, text[at - 1]))
		at--;
	return at;
}

static char
before(const char *text, size_t at)
{
	while (at > 0 && strchr(" \t\r\n", text[at - 1]))
		at--;
	return at ? text[at - 1] : '\0';
}

/* What people get wrong; end is behind the token. */
static const char *
syntax_words(const char *text, size_t end)
{
	if (end == 0)
		return "it does not begin like JSON";
	size_t at = token_begin(text, end);
	char c = text[at], previous = before(text, at);

	if (c == '\'')
		return "a text is in single quotes; only double ones will do";
	if (c == '/' || c == '#')
		return "there is a comment, and JSON has none";
	if (c == '}' || c == ']')
		return previous == ',' ? "a comma stands before the closing bracket"
				       : "a bracket closes what is not complete";
	if (c == ',')
		return "there is a comma too many, or what belongs before it is missing";
	if (c == '"' || c == '{' || c == '[')
		return "a comma or a colon is missing before this";
	if ((unsigned char)c >= 0x80)
		return "a character that may stand only in double quotes (these are '\"')";
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return "a word is not in double quotes";
	if (c >= '0' && c <= '9')
		return "a number begins with 0, or a comma is missing before it";
	return "something stands here that is no part of JSON";
}

static const char *
json_words(const json_error_t *e, const char *text, size_t n)
{
	static const struct {
		const char *theirs;
		const char *ours;
	} words[] = {
		{"control character", "a text has a control character in it"},
		{"unexpected newline", "a text is not closed on its line"},
		{"invalid escape", "a backslash begins no escape that JSON has"},
		{"invalid Unicode", "an escape \\u is half a character"},
	};
	static const struct {
		enum json_error_code code;
		const char *ours;
	} codes[] = {
		{json_error_premature_end_of_input,
			"it ends before all brackets and quotes are closed"},
		{json_error_end_of_input_expected, "something follows behind its end"},
		{json_error_invalid_utf8, "it is not UTF-8"},
		{json_error_stack_overflow, "it is nested too deeply"},
		{json_error_null_character, "a text has the character U+0000"},
		{json_error_null_byte_in_key, "a name has the character U+0000"},
		{json_error_numeric_overflow, "a number is too large"},
	};

	for (size_t i = 0; i < COUNT(codes); i++)
		if (json_error_code(e) == codes[i].code)
			return codes[i].ours;
	for (size_t i = 0; i < COUNT(words); i++)
		if (strncmp(e->text, words[i].theirs, strlen(words[i].theirs)) == 0)
			return words[i].ours;
	size_t end = e->position > 0 ? (size_t)e->position : 0;
	return syntax_words(text, end < n ? end : n);
}

/* jansson stops behind the name that stands there again. */
static void
refuse_duplicate(struct registry_reader *r, const json_error_t *e, const char *text, size_t n)
{
	size_t end = (size_t)e->position < n ? (size_t)e->position : n;
	size_t at = end ? token_begin(text, end) : 0;
	struct arena scratch = {0};
	const char *key = json_span_string((struct json_span){text + at, end - at}, &scratch);

	reader_refuse_line(r, NULL, (unsigned)e->line,
		"put what belongs to it into one, and take the other away",
		arena_printf(&scratch, "the name '%s' stands twice in one object",
			host_shown(key ? key : "?").text));
	arena_finish(&scratch);
}

static void
refuse_json(struct registry_reader *r, const json_error_t *e, const char *text, size_t n)
{
	char what[256];

	if (json_error_code(e) == json_error_duplicate_key) {
		refuse_duplicate(r, e, text, n);
		return;
	}
	snprintf(
		what, sizeof(what), "not JSON at column %d: %s", e->column, json_words(e, text, n));
	reader_refuse_line(
		r, NULL, e->line > 0 ? (unsigned)e->line : 0, "mend the file there", what);
}

static bool
too_many_marks(const char *text, size_t n)
{
	size_t marks = 0;
	bool quoted = false;

	for (size_t i = 0; i < n && marks <= MARKS_MAX; i++) {
		char c = text[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted)
			marks += c == ',' || c == ':' || c == '{' || c == '[';
	}
	return marks > MARKS_MAX;
}

/* What nobody needs to parse to refuse; NULL where there is nothing.  The remedy stays as it is
 * where the file says nothing. */
static const char *
text_fault(const char *text, size_t n, const char **remedy)
{
	size_t space = 0;

	while (space < n && text[space] && strchr(" \t\r\n", text[space]))
		space++;
	if (space == n)
		return n ? "nothing but white space is in the file" : "the file is empty";
	while (space < n && !text[space])
		space++;
	if (space == n)
		return "nothing but zero bytes is in the file, as a crash leaves it";

	*remedy = "take away what does not belong in it";
	if (n > REGISTRY_FILE_MAX)
		return "the file is larger than 16 MiB";
	if (too_many_marks(text, n))
		return "more than two million brackets, commas and colons are in the file";
	*remedy = "save it as UTF-8";
	if (n >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
		return "the file is UTF-16";
	return NULL;
}

json_t *
reader_load(struct registry_reader *r, const char *text, size_t n, const char *least)
{
	struct arena scratch = {0};
	json_error_t e;
	json_t *root = NULL;
	const char *anew = arena_printf(
		&scratch, "write it anew, or %s where nothing is meant to be in it", least);
	const char *remedy = anew;

	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		n -= 3;
	}
	const char *fault = text_fault(text, n, &remedy);
	if (fault)
		reader_refuse_line(r, NULL, 0, remedy, fault);
	else if (!(root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e)))
		refuse_json(r, &e, text, n);
	else
		r->text = (struct json_span){text, n};

	if (root && !json_is_object(root)) {
		reader_refuse_kind(r, NULL, root, "an object", anew);
		json_decref(root);
		root = NULL;
	}
	arena_finish(&scratch);
	return root;
}

/* -- version and dialect -- */

enum version {
	VERSION_NONE,
	VERSION_ONE, /* 1 or "1" */
	VERSION_ONE_DOTTED, /* "1.0": nobody's in particular */
	VERSION_HIGHER, /* 2 or "2" */
	VERSION_HIGHER_DOTTED, /* "7.0": CodeB's alone */
	VERSION_WRONG,
};

static enum version
version_of_text(const char *text)
{
	size_t n = strspn(text, "0123456789");
	bool one = n == 1 && *text == '1';

	if (n == 0 || *text == '0')
		return VERSION_WRONG;
	if (text[n] == '\0')
		return one ? VERSION_ONE : VERSION_HIGHER;
	while (text[n] == '.' && strspn(text + n + 1, "0123456789"))
		n += 1 + strspn(text + n + 1, "0123456789");
	if (text[n] != '\0')
		return VERSION_WRONG;
	return one ? VERSION_ONE_DOTTED : VERSION_HIGHER_DOTTED;
}

static enum version
version_of(const json_t *v)
{
	if (!v)
		return VERSION_NONE;
	if (json_is_string(v))
		return version_of_text(json_string_value(v));
	if (!json_is_number(v) || !(json_number_value(v) >= 1))
		return VERSION_WRONG;
	return json_number_value(v) == 1 ? VERSION_ONE : VERSION_HIGHER;
}

/* What is not said to be one's is, by its version and looks; AUTO: neither's. */
static enum settings_dialect
version_dialect(enum version v, bool looks_codeb)
{
	static const enum settings_dialect by_version[][2] = {
		[VERSION_NONE] = {DIALECT_WAYMARK, DIALECT_CODEB},
		[VERSION_ONE] = {DIALECT_WAYMARK, DIALECT_WAYMARK},
		[VERSION_ONE_DOTTED] = {DIALECT_WAYMARK, DIALECT_CODEB},
		[VERSION_HIGHER] = {DIALECT_AUTO, DIALECT_CODEB},
		[VERSION_HIGHER_DOTTED] = {DIALECT_CODEB, DIALECT_CODEB},
		[VERSION_WRONG] = {DIALECT_AUTO, DIALECT_AUTO},
	};
	return by_version[v][looks_codeb];
}

bool
reader_dialect(
	struct registry_reader *r, const json_t *root, bool looks_codeb, enum settings_dialect *ret)
{
	const json_t *v = reader_member(root, "version");
	const struct registry_at at = {NULL, "version", 0};
	enum version version = version_of(v);
	enum settings_dialect told = r->options->dialect;
	bool is_text_or_number = !v || json_is_string(v) || json_is_number(v);
	bool known = version <= VERSION_ONE_DOTTED;

	if (told == DIALECT_CODEB ? is_text_or_number : told == DIALECT_WAYMARK ? known : false) {
		*ret = told;
		return true;
	}
	enum settings_dialect found = version_dialect(version, looks_codeb);
	if (told == DIALECT_AUTO && found != DIALECT_AUTO) {
		*ret = found;
		return true;
	}
	reader_refuse(r, &at,
		"write \"version\": 1, or set registry.dialect to codeb where the file is CodeB's",
		"%s is no version that is known", registry_shown(v).text);
	return false;
}
