#include "reconciler/registry/registry_time_parse.h"

#include <string.h>

/* Days from 1970-01-01, by eras of 400 years
 * (https://howardhinnant.github.io/date_algorithms.html#days_from_civil). */
static int64_t
days_of(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = year / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static unsigned
month_length(unsigned year, unsigned month)
{
	static const unsigned char length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month == 2 && leap ? 29 : length[month - 1];
}

/* n digits and, where it is not '\0', what follows them. */
static bool
take_number(const char **p, size_t n, const char *follow, unsigned *ret)
{
	unsigned value = 0;
	for (size_t i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		value = value * 10 + (unsigned)(**p - '0');
	}
	*ret = value;
	if (!*follow)
		return true;
	return **p && strchr(follow, *(*p)++);
}

/* ".678", to milliseconds; what is finer is dropped. */
static bool
take_fraction(const char **p, unsigned *ret)
{
	unsigned scale = 100;
	*ret = 0;
	if (**p != '.')
		return true;
	if (*++*p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++, scale /= 10)
		*ret += scale * (unsigned)(**p - '0');
	return true;
}

static bool
take_offset(const char **p, int *ret_minutes)
{
	unsigned hours, minutes;
	char sign = **p;

	*ret_minutes = 0;
	if (!sign)
		return false;
	(*p)++;
	if (sign == 'Z' || sign == 'z')
		return true;
	if ((sign != '+' && sign != '-') || !take_number(p, 2, ":", &hours) ||
		!take_number(p, 2, "", &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_minutes = (int)(hours * 60 + minutes) * (sign == '-' ? -1 : 1);
	return true;
}

bool
registry_time_parse(const char *text, uint64_t *ret_ms)
{
	unsigned year, month, day, hour, minute, second, fraction;
	int offset;
	const char *p = text;

	if (!take_number(&p, 4, "-", &year) || !take_number(&p, 2, "-", &month) ||
		!take_number(&p, 2, "Tt ", &day) || !take_number(&p, 2, ":", &hour) ||
		!take_number(&p, 2, ":", &minute) || !take_number(&p, 2, "", &second) ||
		!take_fraction(&p, &fraction) || !take_offset(&p, &offset) || *p)
		return false;
	if (month < 1 || month > 12 || day < 1 || day > month_length(year, month) || hour > 23 ||
		minute > 59 || second > 60)
		return false;

	int64_t days = days_of(year, month, day);
	int64_t minutes = (days * 24 + hour) * 60 + minute - offset;
	int64_t ms = (minutes * 60 + second) * 1000 + fraction;
	bool is_zero = year == 1 && month == 1 && day == 1; /* Go's time.Time{} */
	if ((ms < 0 && !is_zero) || ms > (int64_t)REGISTRY_TIME_MAX)
		return false;
	*ret_ms = is_zero ? 0 : (uint64_t)ms;
	return true;
}

void
registry_time_print(struct buf *b, uint64_t ms)
{
	uint64_t of_day = ms % 86400000;
	/* The inverse of days_of. */
	uint64_t days = ms / 86400000 + 719468, era = days / 146097, day_of_era = days % 146097;
	uint64_t year =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	uint64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
	uint64_t shifted = (5 * day_of_year + 2) / 153;
	uint64_t month = shifted < 10 ? shifted + 3 : shifted - 9;

	buf_addf(b, "\"%04u-%02u-%02uT%02u:%02u:%02u.%03uZ\"",
		(unsigned)(year + era * 400 + (month <= 2)), (unsigned)month,
		(unsigned)(day_of_year - (153 * shifted + 2) / 5 + 1), (unsigned)(of_day / 3600000),
		(unsigned)(of_day / 60000 % 60), (unsigned)(of_day / 1000 % 60),
		(unsigned)(of_day % 1000));
}
