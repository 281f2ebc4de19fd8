#include "reconciler/model/slug.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

#define HASH_DIGITS 8
#define CODI_MAX 30

/* '\0' for a byte that cannot stand in a label. */
static char
slug_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return c;
	return '\0';
}

/* Writes at most room octets, no NUL, and returns how many the whole needs, or room + 1 where that
 * is more than room. */
static size_t
slug_write(const char *s, char *ret, size_t room)
{
	size_t n = 0;
	bool gap = false;
	for (; *s; s++) {
		char c = slug_char(*s);
		if (!c) {
			gap = n > 0;
			continue;
		}
		if (gap && n < room)
			ret[n++] = '-';
		if (n >= room)
			return room + 1;
		ret[n++] = c;
		gap = false;
	}
	return n;
}

void
slug_hash(const char *s, char ret[9])
{
	struct sha256_ctx ctx;
	uint8_t digest[HASH_DIGITS / 2];
	sha256_init(&ctx);
	sha256_update(&ctx, strlen(s), (const uint8_t *)s);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

size_t
slug_branch_suffixed(const char *branch, size_t room, char ret[SLUG_MAX + 1])
{
	assert(room >= HASH_DIGITS && room <= SLUG_MAX);

	size_t left = room > HASH_DIGITS + 1 ? room - HASH_DIGITS - 1 : 0;
	size_t n = slug_write(branch, ret, left);
	if (n > left)
		n = left;
	while (n > 0 && ret[n - 1] == '-')
		n--;
	/* A label must not begin with '-': what stands before the branch in a URL brings it. */
	if (n > 0)
		ret[n++] = '-';
	slug_hash(branch, ret + n);
	return n + HASH_DIGITS;
}

size_t
slug_branch(const char *branch, size_t room, char ret[SLUG_MAX + 1])
{
	assert(room >= HASH_DIGITS && room <= SLUG_MAX);

	size_t n = slug_write(branch, ret, room);
	if (n == 0 || n > room)
		return slug_branch_suffixed(branch, room, ret);
	ret[n] = '\0';
	return n;
}

size_t
slug_branch_codi(const char *branch, char ret[SLUG_MAX + 1])
{
	size_t n = 0;
	bool gap = false;
	for (; *branch && n < CODI_MAX; branch++) {
		char c = slug_char(*branch);
		if (c) {
			if (gap)
				ret[n++] = '-';
			gap = false;
			if (n < CODI_MAX)
				ret[n++] = c;
		} else if (*branch == '/' || *branch == '_' || *branch == '-') {
			gap = n > 0;
		}
	}
	while (n > 0 && ret[n - 1] == '-')
		n--;
	ret[n] = '\0';
	return n;
}

size_t
slug_name(const char *name, char *ret, size_t size)
{
	if (size == 0)
		return 0;
	size_t n = slug_write(name, ret, size - 1);
	if (n > size - 1)
		n = 0;
	ret[n] = '\0';
	return n;
}
