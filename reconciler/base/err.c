#include "reconciler/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
err_set(struct err *reterr, int code, const char *fmt, ...)
{
	if (!reterr)
		return -code;

	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reterr->text, sizeof(reterr->text), fmt, ap);
	va_end(ap);
	reterr->code = code;
	return -code;
}

int
err_wrap(struct err *reterr, const char *fmt, ...)
{
	if (!reterr)
		return -EINVAL;

	char inner[sizeof(reterr->text)];
	memcpy(inner, reterr->text, sizeof(inner));

	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(reterr->text, sizeof(reterr->text), fmt, ap);
	va_end(ap);

	if (n >= 0 && (size_t)n < sizeof(reterr->text))
		snprintf(reterr->text + n, sizeof(reterr->text) - (size_t)n, ": %s", inner);
	return -reterr->code;
}
