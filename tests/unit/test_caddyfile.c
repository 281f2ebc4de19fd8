#include "provider/caddy/caddyfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ADMIN "{\n\tadmin unix//run/caddy/admin.sock\n}\n"

static const struct {
	const char *text, *whole, *rest; /* whole NULL: as it is; rest NULL: as whole */
	bool imports_sites, admin;
} cases[] = {
	{.text = ""},
	{"import sites/*.caddy\n", "import /etc/caddy/sites/*.caddy\n", "\n", true, false},
	{"import sites/*.caddy", "import /etc/caddy/sites/*.caddy", "", true, false},
	{"import /etc/caddy/sites/*.caddy\n", NULL, "\n", true, false},
	{ADMIN "import sites/*\na {\n}\n", ADMIN "import /etc/caddy/sites/*\na {\n}\n",
		ADMIN "\na {\n}\n", true, true},
	{"import ./sites/../sites//*.caddy # ours\n", "import /etc/caddy/sites/*.caddy # ours\n",
		" # ours\n", true, false},
	{"import \"sites/*.caddy\" x \\\n\ty\na {\n}\n",
		"import \"/etc/caddy/sites/*.caddy\" x \\\n\ty\na {\n}\n", "\na {\n}\n", true,
		false},
	{"import \"sites/*.caddy\"x\n", "import \"/etc/caddy/sites/*.caddy\"x\n", "\n", true,
		false},
	{"import `sites/*.caddy`\n", "import \"/etc/caddy/sites/*.caddy\"\n", "\n", true, false},
	{"import \\\n sites/*.caddy\n", "import \\\n /etc/caddy/sites/*.caddy\n", "\n", true,
		false},
	{"\xef\xbb\xbfimport sites/*.caddy\n", "\xef\xbb\xbfimport /etc/caddy/sites/*.caddy\n",
		"\xef\xbb\xbf\n", true, false},
	{"import sites/*.caddy\r\nimport x/y\r\n",
		"import /etc/caddy/sites/*.caddy\r\nimport /etc/caddy/x/y\r\n",
		"\r\nimport /etc/caddy/x/y\r\n", true, false},

	/* Others than the sites. */
	{"import *.caddy\n", "import /etc/caddy/*.caddy\n", NULL, false, false},
	{"import sites/a*.caddy\n", "import /etc/caddy/sites/a*.caddy\n", NULL, false, false},
	{"import ../x/a.caddy\n", "import /etc/x/a.caddy\n", NULL, false, false},
	{"import {$SITES}/*.caddy\n", NULL, NULL, false, false},
	{"import \"a b/c\"\n", "import \"/etc/caddy/a b/c\"\n", NULL, false, false},
	{"import \"a\\\"b/\\c\"\n", "import `/etc/caddy/a\"b/\\c`\n", NULL, false, false},
	{"import \"a`\\\"/c\"\n", NULL, NULL, false, false},
	{"import\nsites/*.caddy\n", NULL, NULL, false, false},
	{"x import sites/*.caddy\n", NULL, NULL, false, false},
	{"\"import\" sites/*.caddy\n", NULL, NULL, false, false},
	{"# import sites/*.caddy\n", NULL, NULL, false, false},
	{"respond `\nimport sites/*.caddy\n`\n", NULL, NULL, false, false},
	{"respond \"\\\"\nimport sites/*.caddy\n\"\n", NULL, NULL, false, false},
	{"respond <<EOT\nimport sites/*.caddy\nEOT\n", NULL, NULL, false, false},
	{"respond <<EOT\nimport sites/*.caddy\n", NULL, NULL, false, false},
	{"a#b {\n\timport x.caddy\n}\n", "a#b {\n\timport /etc/caddy/x.caddy\n}\n", NULL, false,
		false},

	/* Within a block the sites are no sites. */
	{"a {\n\timport sites/*.caddy\n}\n", "a {\n\timport /etc/caddy/sites/*.caddy\n}\n", NULL,
		false, false},
	{"a { import x/y\n}\n", "a { import /etc/caddy/x/y\n}\n", NULL, false, false},

	/* Snippets. */
	{"(log) {\n\tlog\n}\na {\n\timport log\n}\n", NULL, NULL, false, false},
	{"(log.x) {\n\timport log.x 1\n}\n", NULL, NULL, false, false},
	{"import log\n", "import /etc/caddy/log\n", NULL, false, false},
	{"import snippets/*.caddy\na {\n\timport log\n}\n",
		"import /etc/caddy/snippets/*.caddy\na {\n\timport log\n}\n", NULL, false, false},

	/* Where the admin endpoint is. */
	{.text = ADMIN, .admin = true},
	{.text = "(x) {\n\ty\n}\n{\n\tdebug\n\tadmin localhost:2019 {\n\t\torigins x\n\t}\n}\n",
		.admin = true},
	{.text = "{\n\tadmin off\n}\n"},
	{.text = "{\n\tadmin {\n\t\torigins x\n\t}\n}\n"},
	{.text = "{\n\tadmin\n\tx\n}\n"},
	{.text = "{\n\tservers {\n\t\tadmin x\n\t}\n}\n"},
	{.text = "a {\n\tadmin x\n}\n"},
	{.text = "# {\n# admin x\n"},
};

static void
test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *whole = cases[i].whole ? cases[i].whole : cases[i].text;
		struct arena a = {0};
		struct caddyfile c;

		caddyfile_parse(&a, cases[i].text, "/etc/caddy", "/etc/caddy/sites", &c);
		assert_string_equal(c.whole, whole);
		assert_string_equal(c.rest, cases[i].rest ? cases[i].rest : whole);
		if (c.imports_sites != cases[i].imports_sites || c.admin != cases[i].admin)
			fail_msg("of '%s': %d %d", cases[i].text, c.imports_sites, c.admin);
		arena_finish(&a);
	}
}

static void
test_directories(void **state)
{
	(void)state;
	struct arena a = {0};
	struct caddyfile c;

	caddyfile_parse(&a, "import x/*.caddy\nimport /srv/sites/*.caddy y\n", "/etc/my caddy",
		"/srv//sites/", &c);
	assert_string_equal(
		c.whole, "import \"/etc/my caddy/x/*.caddy\"\nimport /srv/sites/*.caddy y\n");
	assert_string_equal(c.rest, "import \"/etc/my caddy/x/*.caddy\"\n\n");
	assert_true(c.imports_sites);
	arena_finish(&a);
}

/* What Caddy 2.6.2 and 2.11.7 say. */
static const struct {
	const char *error, *file;
	unsigned line;
} errors[] = {
	{"/etc/caddy/my sites/x.caddy:2: unrecognized directive: foo",
		"/etc/caddy/my sites/x.caddy", 2},
	{"parsing caddyfile tokens for 'reverse_proxy': /etc/caddy/sites/x.caddy:3 - Error during "
	 "parsing: unrecognized subdirective foo",
		"/etc/caddy/sites/x.caddy", 3},
	{"loading config: adapting config using caddyfile adapter: parsing caddyfile tokens for "
	 "'reverse_proxy': unrecognized subdirective foo, at /etc/caddy/sites/x.caddy:3 import "
	 "chain ['Caddyfile:4 (import)']",
		"/etc/caddy/sites/x.caddy", 3},
	{"parsing caddyfile tokens for 'reverse_proxy': parsing upstream 'https://1.2.3.4:80': "
	 "upstream address has conflicting scheme (https://) and port (:80, the HTTP port), at "
	 "/etc/caddy/sites/x.caddy:2 import chain ['Caddyfile:4 (import)']",
		"/etc/caddy/sites/x.caddy", 2},
	{"/etc/caddy/sites/x.caddy:12 - Syntax error: Unexpected token 'x\n', expecting '}'",
		"/etc/caddy/sites/x.caddy", 12},
	{"syntax error: unexpected token 'x\n', expecting '}', at /etc/caddy/sites/x.caddy:2 "
	 "import "
	 "chain: ['Caddyfile:4 (import)']",
		"/etc/caddy/sites/x.caddy", 2},
	{"Caddyfile:4 - Error during parsing: Could not read tokens while importing "
	 "/etc/caddy/sites/x.caddy: EOF",
		"/etc/caddy/sites/x.caddy", 1},
	{"Could not read tokens while importing /etc/caddy/sites/x.caddy: incomplete heredoc <<EOT "
	 "on "
	 "line #4, expected ending marker EOT, at Caddyfile:4",
		"/etc/caddy/sites/x.caddy", 4},
	{"Unexpected '}' because no matching opening brace, at /etc/caddy/sites/x.caddy:1 import "
	 "chain ['Caddyfile:4 (import)']",
		"/etc/caddy/sites/x.caddy", 1},
	{"Caddyfile:3: unrecognized directive: bar\nDid you mean to define a second site? If so, "
	 "you "
	 "must use curly braces around each site to separate their configurations.",
		"Caddyfile", 3},
	{"Caddyfile:17: unrecognized global option: bar", "Caddyfile", 17},
	{"parsing caddyfile tokens for 'servers': unrecognized servers option 'bar', at "
	 "Caddyfile:3",
		"Caddyfile", 3},
	{"File to import not found: nope/x.caddy, at Caddyfile:1", "Caddyfile", 1},
	{"Caddyfile:1 - Error during parsing: File to import not found: nope/x.caddy", "Caddyfile",
		1},
	{"ambiguous site definition: a.test", NULL, 0},
	{"subject does not qualify for certificate: '}'", NULL, 0},
	{"parsing caddyfile tokens for 'respond': unrecognized matcher name: @x", NULL, 0},
	{"getting matcher module 'foo': module not registered: http.matchers.foo", NULL, 0},
	{"server block 0, key 1 (a_b.test:99999): determining listener address: parsing key: port "
	 "99999 is out of range",
		NULL, 0},
	{"parsing key: port 99999 is out of range", NULL, 0},
	{"dial tcp 127.0.0.1:80", NULL, 0},
	{":3", NULL, 0},
	{"", NULL, 0},
};

static void
test_error_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(errors); i++) {
		struct arena a = {0};
		const char *file = NULL;
		unsigned line = 0;

		bool found = caddyfile_error_place(&a, errors[i].error, &file, &line);
		if (found != (errors[i].file != NULL))
			fail_msg("of '%s': %s", errors[i].error, file ? file : "nothing");
		if (found)
			assert_string_equal(file, errors[i].file);
		assert_int_equal(line, errors[i].line);
		arena_finish(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_error_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
