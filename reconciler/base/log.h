/* log.h - one line an event, key=value, to standard error.
 *
 *	LOG(LOG_INFO, "reconciled", LOG_N("rev", rev), LOG_S("cause", cause));
 *
 * prints  2026-11-21T12:00:00.123Z info reconciled rev=42 cause=app1
 * or one JSON object, or "<6>reconciled rev=42 cause=app1" for the journal.  Values with spaces,
 * quotes or bytes outside printable ASCII are quoted and escaped, so that a line stays a line.
 * Only the edges and the step log; a pure file never does.
 */
#ifndef RECONCILER_BASE_LOG_H
#define RECONCILER_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON, LOG_JOURNAL };

struct log_field {
	const char *key; /* NULL ends the list */
	const char *text; /* NULL: the number counts */
	long long number;
};

#define LOG_S(k, s) ((struct log_field){.key = (k), .text = (s) ? (s) : ""})
#define LOG_N(k, n) ((struct log_field){.key = (k), .number = (long long)(n)})
#define LOG(level, what, ...)                                                                      \
	log_write((level), (what), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})

void log_setup(enum log_format format, enum log_level least);
void log_write(enum log_level level, const char *what, const struct log_field *fields);

#endif
