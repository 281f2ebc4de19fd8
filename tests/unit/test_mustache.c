/* Templates.
 *
 *	test_mustache [FOLDER]
 *
 * With a folder it runs the cases of the Mustache specification's JSON files there instead of its
 * own: interpolation, sections, inverted, comments, delimiters and partials.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/base/mustache.h"

static const char *
partial_of(void *arg, const char *name)
{
	return json_string_value(json_object_get(arg, name));
}

/* What comes out, to be freed; an error's text where it cannot be. */
static char *
rendered(const char *template, const json_t *data, json_t *partials)
{
	const struct mustache_env env = {.partial = partial_of, .arg = partials};
	struct err e = {0};
	struct buf b = {0};
	struct mustache *m = mustache_parse(template, &e);

	buf_adds(&b, "");
	if (!m || mustache_render(m, data, &env, &b, &e) < 0) {
		buf_reset(&b);
		buf_adds(&b, e.text);
	}
	mustache_destroy(m);
	char *text = buf_steal(&b, NULL);
	return text ? text : strdup("");
}

static const struct {
	const char *template, *data, *partials, *expected;
} cases[] = {
	{"", "{}", "{}", ""},
	{"a{{b}}c", "{'b': 'x'}", "{}", "axc"},
	{"{{a}}{{{a}}}{{&a}}", "{'a': '<\\'&>'}", "{}", "&lt;&#39;&amp;&gt;<'&><'&>"},
	{"{{a}} {{b}} {{c}} {{d}}", "{'a': 7, 'b': 0.1, 'c': true, 'd': null}", "{}",
		"7 0.1 true "},
	{"{{a.b}}{{a.c}}", "{'a': {'b': 1}, 'c': 2}", "{}", "1"},
	{"{{#a}}{{b}}{{/a}}", "{'a': [{'b': 1}, {}], 'b': 9}", "{}", "19"},
	{"{{#a}}{{.}},{{/a}}", "{'a': [1, 'x', 2.5]}", "{}", "1,x,2.5,"},
	{"{{#a}}y{{/a}}{{^a}}n{{/a}}", "{'a': ''}", "{}", "y"},
	{"{{^a}}n{{/a}}{{#b}}y{{/b}}", "{'a': [], 'b': 0}", "{}", "ny"},
	{"site {\n  {{#a}}\n  tls\n  {{/a}}\n}\n", "{'a': true}", "{}", "site {\n  tls\n}\n"},
	{"site {\r\n{{#a}}\r\n  tls\r\n{{/a}}\r\n}\r\n", "{'a': true}", "{}",
		"site {\r\n  tls\r\n}\r\n"},
	{"{{=<% %>=}}<%a%>{{a}}<%={{ }}=%>{{a}}", "{'a': 1}", "{}", "1{{a}}1"},
	{"x\n  {{>p}}\ny\n", "{'a': 'm\\nn'}", "{'p': '{{{a}}}\\nz\\n'}", "x\n  m\nn\n  z\ny\n"},
	{"{{>p}}", "{'n': 2, 'in': {'n': 1}}", "{'p': '{{n}}{{#in}}[{{n}}]{{/in}}'}", "2[1]"},
	{"{{>missing}}|", "{}", "{}", "|"},
	{"{{! {{a}}", "{}", "{}", ""},
	/* No value opens a tag. */
	{"{{a}}", "{'a': '{{b}}', 'b': 'no'}", "{}", "{{b}}"},
	/* Mistakes. */
	{"a\n{{b", "{}", "{}", "line 2: a tag without its '}}'"},
	{"{{{b}}", "{}", "{}", "line 1: a tag without its '}}}'"},
	{"{{ }}", "{}", "{}", "line 1: a tag without a name"},
	{"\n{{#a}}", "{}", "{}", "line 2: {{#a}} has no end"},
	{"{{/a}}", "{}", "{}", "line 1: {{/a}} ends nothing"},
	{"{{#a}}\n{{/b}}", "{}", "{}", "line 2: {{/b}} ends {{#a}}, which began on line 1"},
	{"{{=a=}}", "{}", "{}", "line 1: two delimiters are wanted in 'a'"},
	{"{{>p}}", "{}", "{'p': '{{#x}}'}", "partial 'p': line 1: {{#x}} has no end"},
	{"{{>p}}", "{}", "{'p': '{{>q}}{{>q}}', 'q': ''}", ""},
	{"{{>p}}", "{}", "{'p': '{{>p}}'}", "more than 64 sections in each other"},
};

/* In the table ' stands for ". */
static json_t *
quoted(const char *text)
{
	char *copy = strdup(text);
	for (char *c = copy; *c; c++)
		if (*c == '\\' && c[1] == '\'')
			memmove(c, c + 1, strlen(c));
		else if (*c == '\'')
			*c = '"';
	json_t *v = json_loads(copy, 0, NULL);
	assert_non_null(v);
	free(copy);
	return v;
}

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *data = quoted(cases[i].data), *partials = quoted(cases[i].partials);
		char *got = rendered(cases[i].template, data, partials);
		if (strcmp(got, cases[i].expected) != 0)
			fail_msg("%s\n gives %s\n not   %s", cases[i].template, got,
				cases[i].expected);
		free(got);
		json_decref(data);
		json_decref(partials);
	}
}

static void
count_name(void *arg, const char *name, unsigned line)
{
	unsigned *sum = arg;
	*sum += line * (unsigned)strlen(name);
}

static void
test_names(void **state)
{
	struct err e;
	unsigned sum = 0;
	struct mustache *m = mustache_parse("{{a}}\n{{#bb}}{{{ccc}}}{{>p}}{{/bb}}{{!x}}", &e);

	(void)state;
	mustache_each_name(m, count_name, &sum);
	assert_int_equal(sum, 1 + 2 * 2 + 2 * 3);
	mustache_destroy(m);
}

/* Ten partials of ten times the next one each would be as many bytes as there are atoms. */
static void
test_output_is_bounded(void **state)
{
	struct err e;
	struct buf b = {0};
	json_t *data = json_pack("{s:[]}", "a"), *list = json_object_get(data, "a");
	struct mustache *m =
		mustache_parse("{{#a}}{{#a}}{{#a}}{{#a}}xxxxxxxxxx{{/a}}{{/a}}{{/a}}{{/a}}", &e);

	(void)state;
	for (int i = 0; i < 100; i++)
		json_array_append_new(list, json_integer(i));
	assert_true(mustache_render(m, data, NULL, &b, &e) < 0);
	assert_string_equal(e.text, "it becomes too large");
	assert_true(b.n < MUSTACHE_OUTPUT_MAX + 100);
	buf_finish(&b);
	mustache_destroy(m);
	json_decref(data);
}

/* -- the specification's files -- */

static int
run_file(const char *folder, const char *name)
{
	char path[4096];
	size_t i, failed = 0;
	json_t *one;

	snprintf(path, sizeof(path), "%s/%s.json", folder, name);
	json_t *file = json_load_file(path, 0, NULL), *tests = json_object_get(file, "tests");
	json_array_foreach(tests, i, one)
	{
		const char *expected = json_string_value(json_object_get(one, "expected"));
		char *got = rendered(json_string_value(json_object_get(one, "template")),
			json_object_get(one, "data"), json_object_get(one, "partials"));
		if (strcmp(got, expected) != 0) {
			printf("%s: %s: '%s', not '%s'\n", name,
				json_string_value(json_object_get(one, "name")), got, expected);
			failed++;
		}
		free(got);
	}
	printf("%s: %zu passed, %zu failed\n", name, json_array_size(tests) - failed, failed);
	failed += json_array_size(tests) == 0;
	json_decref(file);
	return failed != 0;
}

int
main(int argc, char **argv)
{
	static const char *const files[] = {
		"comments", "delimiters", "interpolation", "inverted", "partials", "sections"};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_output_is_bounded),
	};
	int r = 0;

	if (argc < 2)
		return cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		r |= run_file(argv[1], files[i]);
	return r;
}
