/* How slot commands are written into other programs' files: the change, and nothing but it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/base/json_edit.h"
#include "reconciler/model/slot_table.h"
#include "reconciler/registry/registry_parse.h"
#include "reconciler/registry/registry_slots_render.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW UINT64_C(1767323045000) /* 2026-01-02T03:04:05Z */
#define GRACE UINT64_C(172800000)
#define ID "00112233445566778899aabbccddeeff"

/* -- members -- */

static void
test_edit(void **state)
{
	(void)state;
	static const struct {
		const char *text, *path[3], *value, *want;
	} cases[] = {
		{"{}", {"a"}, "1", "{\"a\": 1}"},
		{"{\"a\":1}", {"b"}, "2", "{\"a\":1,\"b\":2}"},
		{"{\"a\": 1}", {"b"}, "2", "{\"a\": 1, \"b\": 2}"},
		{"{ \"a\" : 1 }", {"b"}, "2", "{ \"a\" : 1, \"b\": 2 }"},
		{"{\n  \"a\": 1\n}\n", {"b"}, "2", "{\n  \"a\": 1,\n  \"b\": 2\n}\n"},
		{"{\r\n\t\"a\": 1\r\n}", {"b"}, "2", "{\r\n\t\"a\": 1,\r\n\t\"b\": 2\r\n}"},
		{"{\n  \"a\": {}\n}", {"a", "b"}, "2", "{\n  \"a\": {\n    \"b\": 2\n  }\n}"},
		{"{\"a\":{},\"c\":{\"d\":1}}", {"a", "b"}, "2",
			"{\"a\":{\"b\":2},\"c\":{\"d\":1}}"},
		{"{\n\"a\": {},\n\"c\": {\"d\": 1}}", {"a", "b"}, "2",
			"{\n\"a\": {\"b\": 2},\n\"c\": {\"d\": 1}}"},
		{"{\"a\": 1, \"b\": 2.50, \"c\": 3}", {"a"}, NULL, "{\"b\": 2.50, \"c\": 3}"},
		{"{\"a\": 1, \"b\": 2.50, \"c\": 3}", {"b"}, NULL, "{\"a\": 1, \"c\": 3}"},
		{"{\"a\": 1, \"b\": 2.50, \"c\": 3}", {"c"}, NULL, "{\"a\": 1, \"b\": 2.50}"},
		{"{ \"a\": 1 }", {"a"}, NULL, "{}"},
		{"{\"a\": 1}", {"b"}, NULL, "{\"a\": 1}"},
		{"\xef\xbb\xbf{\"\\u0061\":\t[1,{}]} ", {"a"}, "null",
			"\xef\xbb\xbf{\"\\u0061\":\tnull} "},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf b = {0};
		size_t n = 1;
		while (n < 3 && cases[i].path[n])
			n++;
		buf_adds(&b, cases[i].text);
		assert_true(json_edit_set(&b, cases[i].path, n, cases[i].value));
		assert_string_equal(b.p, cases[i].want);
		buf_finish(&b);
	}

	struct buf b = {0};
	const char *const path[] = {"a", "b"};
	buf_adds(&b, "{\"a\": 1}");
	assert_false(json_edit_set(&b, path, 2, "1"));
	assert_string_equal(b.p, "{\"a\": 1}");
	buf_finish(&b);
}

/* -- files -- */

static const struct registry_options options = {"s", "/r/slots.json", DIALECT_AUTO, GRACE};
static const struct registry_options options_single = {
	"s", "/r/slots/myapp-production.json", DIALECT_AUTO, GRACE};

static const struct registered_environment *
find_environment(const struct registry_reading *r, const char *project)
{
	for (size_t i = 0; i < r->nprojects; i++)
		if (strcmp(r->projects[i]->name, project) == 0)
			return registered_environment_find(r->projects[i], "production");
	return NULL;
}

/* What was written reads as what was to be written. */
static void
check_reads_back(
	const struct registered_environment *want, const struct registered_environment *got)
{
	assert_non_null(got);
	assert_int_equal(want->active != NULL, got->active != NULL);
	if (want->active)
		assert_string_equal(want->active, got->active);
	assert_int_equal(want->weighted, got->weighted);
	for (size_t i = 0; i < want->nslots; i++) {
		const struct registered_slot *w = &want->slot[i];
		const struct registered_slot *g = registered_slot_find(got, w->name);
		assert_int_equal(w->state, g ? g->state : SLOT_EMPTY);
		assert_int_equal(w->until_ms, g ? g->until_ms : 0);
		assert_int_equal(w->weight, g ? g->weight : 0);
		if (w->id)
			assert_string_equal(w->id, g->id);
		if (w->state == SLOT_ACTIVE || w->state == SLOT_GRACE)
			assert_int_equal(w->since_ms, g->since_ms);
	}
}

static void
run_command(struct buf *text, bool single, enum slot_command command, bool ending)
{
	const struct registry_options *o = single ? &options_single : &options;
	static const struct registered_environment nothing = {.name = "production"};
	struct slot_request rq = {.command = command,
		.project = "myapp",
		.id = command == SLOT_DEPLOY ? ID : NULL,
		.discard_rollback = true,
		.ending = ending,
		.now_ms = NOW,
		.grace_ms = GRACE,
		.reservation_ms = SLOT_RESERVATION_MS};
	struct slot_change c;
	struct slot_refusal refusal;
	struct arena a = {0};
	bool broken;

	struct registry_reading *r = registry_parse_slots(text->p, text->n, o, &broken);
	const struct registered_environment *e = find_environment(r, "myapp");
	assert_int_equal(r->nfaults, 0);
	if (!slot_apply(&a, e ? e : &nothing, &rq, &c, &refusal))
		fail_msg("%s: %s", refusal.what, text->p);
	assert_true(registry_slots_render(
		text, &(struct registry_slots_edit){single, "myapp", e, &c.after}));
	struct registry_reading *again = registry_parse_slots(text->p, text->n, o, &broken);
	if (again->nfaults)
		fail_msg("%s: %s: %s", again->faults[0].path, again->faults[0].what, text->p);
	check_reads_back(&c.after, find_environment(again, "myapp"));
	registry_reading_destroy(again);
	registry_reading_destroy(r);
	arena_finish(&a);
}

/* A case is a file: a text, then for each line "==== COMMANDS" (a letter each: deploy, promote,
 * rollback, cleanup, and e for the first step of a cleanup) the text as these leave it.
 * `test_slots_render update` writes what they do leave. */
#define FOLDER "tests/unit/data/slots/"
#define MARK "==== "

static bool update;

static char *
read_case(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void
run_letters(struct buf *text, bool single, const char *letters)
{
	static const char known[] = "dprc"; /* in the order of enum slot_command */
	for (; *letters; letters++) {
		bool ending = *letters == 'e';
		const char *at = strchr(known, ending ? 'c' : *letters);
		assert_non_null(at);
		run_command(text, single, (enum slot_command)(at - known), ending);
	}
}

static size_t
check_case(const char *name)
{
	char path[300], letters[16];
	struct buf got = {0}, text = {0};
	size_t steps = 0;

	snprintf(path, sizeof(path), FOLDER "%s", name);
	const char *want = read_case(path), *mark = strstr(want, MARK);
	buf_add(&text, want, (size_t)(mark - want));
	buf_add(&got, want, (size_t)(mark - want));
	for (const char *at = mark; at; at = strstr(at + 1, MARK), steps++) {
		assert_int_equal(sscanf(at, MARK "%15[a-z]", letters), 1);
		run_letters(&text, strncmp(name, "single", 6) == 0, letters);
		buf_addf(&got, MARK "%s\n%s", letters, text.p);
	}
	if (update) {
		FILE *f = fopen(path, "we");
		assert_non_null(f);
		fputs(got.p, f);
		fclose(f);
	} else if (strcmp(got.p, want) != 0) {
		fail_msg("%s:\n%s", path, got.p);
	}
	buf_finish(&got);
	buf_finish(&text);
	return steps;
}

static void
test_files(void **state)
{
	(void)state;
	DIR *dir = opendir(FOLDER);
	const struct dirent *e;
	size_t steps = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			steps += check_case(e->d_name);
	closedir(dir);
	assert_true(steps >= 20);
}

int
main(int argc, char **argv)
{
	update = argc > 1 && strcmp(argv[1], "update") == 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
