/* err.h - how a function that can fail says what went wrong.
 *
 * A fallible function returns 0 or a positive number when it worked and a negative errno value
 * when it did not; the words are in a struct err on the caller's stack.  The text grows outwards:
 * the innermost function says what is wrong, each caller adds where.
 *
 *	if (!port)
 *		return err_set(reterr, EINVAL, "not a port: '%s'", text);
 *	...
 *	if (r < 0)
 *		return err_wrap(reterr, "label '%s'", name);
 *
 * gives "label 'waymark.port': not a port: 'abc'".  Pure.
 */
#ifndef RECONCILER_BASE_ERR_H
#define RECONCILER_BASE_ERR_H

struct err {
	int code; /* a positive errno value */
	char text[512];
};

/* Fills *reterr (which may be NULL) and returns -code. */
int err_set(struct err *reterr, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "WHERE: " before the text and returns -reterr->code (-EINVAL where reterr is NULL). */
int err_wrap(struct err *reterr, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
