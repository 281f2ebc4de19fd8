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

	struct err inner = *reterr;

	va_list ap;
	va_start(ap, fmt);
	vsnprintf(reterr->text, sizeof(reterr->text), fmt, ap);
	va_end(ap);

	size_t n = strlen(reterr->text);
	const char *const parts[] = {": ", inner.text};
	for (size_t i = 0; i < 2; i++) {
		size_t len = strnlen(parts[i], sizeof(reterr->text) - 1 - n);
		memcpy(reterr->text + n, parts[i], len);
		n += len;
	}
	reterr->text[n] = '\0';
	return -reterr->code;
}
