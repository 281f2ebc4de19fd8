#include "reconciler/sources/probe_verdict.h"

#include <uv.h>

static enum readiness
verdict_of_status(const struct probe_target *t, int status, unsigned *ret_why)
{
	if ((status >= 200 && status < 400) || (status == 404 && t->missing_counts))
		return READY_YES;
	*ret_why = (unsigned)status;
	return READY_NO;
}

/* Silence says something only where somebody should have spoken. */
static enum readiness
verdict_of_silence(const struct probe_target *t, bool connected, unsigned *ret_why)
{
	if (!t->path || (t->missing_counts && !connected))
		return READY_CANNOT_TELL;
	*ret_why = WHY_LATE;
	return READY_NO;
}

static enum readiness
verdict_of_error(int error, unsigned *ret_why)
{
	switch (error) {
	case UV_ECONNREFUSED:
		*ret_why = WHY_REFUSED;
		return READY_NO;
	case UV_EPROTO:
		*ret_why = WHY_GARBAGE;
		return READY_NO;
	case UV_ECONNRESET:
	case UV_EPIPE:
	case UV_EOF:
		*ret_why = WHY_CLOSED;
		return READY_NO;
	default:
		return READY_CANNOT_TELL;
	}
}

enum readiness
probe_verdict(const struct probe_target *t, int said, bool connected, unsigned *ret_why)
{
	*ret_why = WHY_UNKNOWN;
	if (said > 0)
		return verdict_of_status(t, said, ret_why);
	if (said == UV_ETIMEDOUT)
		return verdict_of_silence(t, connected, ret_why);
	return said < 0 ? verdict_of_error(said, ret_why) : READY_YES;
}

bool
probe_says_nothing(int error)
{
	return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM ||
	       error == UV_ENOBUFS || error == UV_EADDRNOTAVAIL;
}
