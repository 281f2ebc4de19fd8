#include "provider/cli/config_database.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/pgc_url.h"

#define SCHEME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+"
#define PARAMETER_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define PARAMETER_MAX 40

static bool
is_url(const char *text)
{
	return strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0;
}

/* The first parameter of a URL; NULL where it has none, or where the '?' may be of a password. */
static const char *
parameters_of(const char *url)
{
	const char *at = strchr(url, '@');
	const char *mark = is_url(url) ? strchr(at ? at : url, '?') : NULL;
	return mark && !strchr(mark, '@') ? mark + 1 : NULL;
}

/* Is there a parameter of that name?  `ssl` is JDBC's, which libpq knows, too. */
static bool
is_known(const PQconninfoOption *known, const char *name, size_t n)
{
	if (n == 3 && memcmp(name, "ssl", 3) == 0)
		return true;
	for (; known && known->keyword; known++)
		if (strlen(known->keyword) == n && memcmp(known->keyword, name, n) == 0)
			return true;
	return false;
}

/* A name that can be dropped and shown: others may be a part of a password. */
static bool
is_foreign(const PQconninfoOption *known, const char *parameter)
{
	size_t n = strspn(parameter, PARAMETER_CHARS);
	return n > 0 && n <= PARAMETER_MAX && parameter[n] == '=' && !is_known(known, parameter, n);
}

/* Where it is plain what was meant, that; else what the reader of URLs found, without its remedy.
 */
static int
refuse(const char *url, struct err *found, struct err *reterr)
{
	size_t scheme = strspn(url, SCHEME_CHARS);
	const char *dropped;
	struct arena a = {0};
	int r;
	database_url_trim(&a, url, &dropped);
	found->text[strcspn(found->text, ";")] = '\0';
	if (dropped[0])
		r = err_set(reterr, EINVAL, "libpq knows no parameter %s", dropped);
	else if (strncmp(url + scheme, "://", 3) == 0 && scheme > 0 && scheme <= PARAMETER_MAX &&
		 !is_url(url))
		r = err_set(reterr, EINVAL, "not a PostgreSQL URL: it begins with %.*s://",
			(int)scheme, url);
	else
		r = err_set(reterr, EINVAL, "not a PostgreSQL URL: %s", found->text);
	arena_finish(&a);
	return r;
}

int
database_url_check(const char *url, struct err *reterr)
{
	struct pgc_url u;
	struct err e;
	if (!url[0])
		return err_set(reterr, EINVAL, "it is empty");
	if (pgc_url_parse(url, &u, &e) < 0)
		return refuse(url, &e, reterr);
	pgc_url_finish(&u);
	return 0;
}

bool
database_url_has_password(const char *url)
{
	struct pgc_url u;
	if (pgc_url_parse(url, &u, NULL) < 0)
		return false;
	const char *password = pgc_url_value(&u, "password");
	bool has = password && password[0];
	pgc_url_finish(&u);
	return has;
}

const char *
database_url_trim(struct arena *a, const char *url, const char **ret_dropped)
{
	const char *parameter = parameters_of(url);
	struct buf kept = {0}, dropped = {0};
	PQconninfoOption *known = PQconndefaults();
	buf_add(&kept, url, parameter ? (size_t)(parameter - url - 1) : strlen(url));
	buf_adds(&dropped, "");
	for (char separator = '?'; parameter && *parameter;) {
		size_t n = strcspn(parameter, "&");
		if (is_foreign(known, parameter)) {
			buf_addf(&dropped, "%s%.*s", dropped.n ? ", " : "",
				(int)strcspn(parameter, "="), parameter);
		} else {
			buf_add(&kept, &separator, 1);
			buf_add(&kept, parameter, n);
			separator = '&';
		}
		parameter += n + (parameter[n] == '&');
	}
	const char *text = arena_strndup(a, kept.p, kept.n);
	*ret_dropped = arena_strndup(a, dropped.p, dropped.n);
	PQconninfoFree(known);
	buf_finish(&kept);
	buf_finish(&dropped);
	return text;
}
