#include "reconciler/sources/probe_parse.h"

#include <errno.h>
#include <stdbool.h>

/* A status line's beginning; 0 stands for any digit.  RFC 9112, 4. */
static const char form[] = "HTTP/1.0 000";

enum {
	AT_CODE = sizeof("HTTP/1.0 ") - 1,
	AT_SEPARATOR = sizeof(form) - 1,
	IN_LINE, /* of an interim answer's head */
	AT_LINE, /* at the beginning of one */
};

static bool
is_final(int code)
{
	return code >= 200 || code == 101; /* after 101 it is another protocol that speaks */
}

static int
take_form(struct probe_status *s, char c)
{
	char wanted = form[s->at];
	bool digit = c >= '0' && c <= '9';

	if (wanted == '0' ? !digit : c != wanted)
		return -EPROTO;
	if (s->at >= AT_CODE)
		s->code = s->code * 10 + (c - '0');
	s->at++;
	return 0;
}

/* Some leave out the reason phrase, and even the space before it. */
static int
take_separator(struct probe_status *s, char c)
{
	if ((c != ' ' && c != '\r' && c != '\n') || s->code < 100)
		return -EPROTO;
	s->at = c == '\n' ? AT_LINE : IN_LINE;
	return is_final(s->code) ? s->code : 0;
}

static int
take_head(struct probe_status *s, char c)
{
	if (c == '\n' && s->at == AT_LINE)
		*s = (struct probe_status){.n = s->n};
	else if (c == '\n')
		s->at = AT_LINE;
	else if (c != '\r')
		s->at = IN_LINE;
	return 0;
}

int
probe_status_parse(struct probe_status *s, const char *octets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = s->at < AT_SEPARATOR    ? take_form(s, octets[i])
			: s->at == AT_SEPARATOR ? take_separator(s, octets[i])
						: take_head(s, octets[i]);
		if (r)
			return r;
		if (++s->n >= PROBE_STATUS_MAX)
			return -EPROTO;
	}
	return 0;
}
