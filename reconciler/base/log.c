#include "reconciler/base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/base/buf.h"

static enum log_format log_format = LOG_TEXT;
static enum log_level log_least = LOG_INFO;

static const char *const level_text[] = {"error", "warn", "info", "debug"};
static const int level_journal[] = {3, 4, 6, 7};

void
log_setup(enum log_format format, enum log_level least)
{
	log_format = format;
	log_least = least;
}

static int
is_plain(const char *s)
{
	if (!*s)
		return 0;
	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f || *s == '"' || *s == '=' || *s == '\\')
			return 0;
	return 1;
}

static void
add_time(struct buf *b)
{
	struct timespec now;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_addf(b, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static void
add_text_line(struct buf *b, enum log_level level, const char *what, const struct log_field *f)
{
	if (log_format == LOG_JOURNAL) {
		buf_addf(b, "<%d>", level_journal[level]);
	} else {
		add_time(b);
		buf_addf(b, " %s ", level_text[level]);
	}
	buf_adds(b, what);
	for (; f->key; f++) {
		buf_addf(b, " %s=", f->key);
		if (!f->text)
			buf_addf(b, "%lld", f->number);
		else if (is_plain(f->text))
			buf_adds(b, f->text);
		else
			buf_json(b, f->text);
	}
}

static void
add_json_line(struct buf *b, enum log_level level, const char *what, const struct log_field *f)
{
	buf_adds(b, "{\"time\":\"");
	add_time(b);
	buf_addf(b, "\",\"level\":\"%s\",\"event\":", level_text[level]);
	buf_json(b, what);
	for (; f->key; f++) {
		buf_addf(b, ",\"%s\":", f->key);
		if (f->text)
			buf_json(b, f->text);
		else
			buf_addf(b, "%lld", f->number);
	}
	buf_adds(b, "}");
}

void
log_write(enum log_level level, const char *what, const struct log_field *fields)
{
	if (level > log_least)
		return;

	struct buf line = {0};
	if (log_format == LOG_JSON)
		add_json_line(&line, level, what, fields);
	else
		add_text_line(&line, level, what, fields);
	buf_adds(&line, "\n");
	/* One write a line, so that lines of several processes do not mix; a log that cannot be
	 * written is nobody's to mend here. */
	if (write(STDERR_FILENO, line.p, line.n) < 0)
		(void)0;
	buf_finish(&line);
}
