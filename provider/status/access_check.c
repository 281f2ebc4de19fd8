#include "provider/status/access_check.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>

#define TOKEN_MAX 1024

bool
access_host_is_local(const char *host)
{
	char name[64];
	struct in_addr v4;

	if (!host || host[0] == '[')
		return true;
	size_t n = strcspn(host, ":");
	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = '\0';
	if (inet_pton(AF_INET, name, &v4) == 1 || !strcasecmp(name, "localhost"))
		return true;
	return n > 10 && !strcasecmp(name + n - 10, ".localhost");
}

/* The password of "user:password" in base64; its length, 0 where there is none. */
static size_t
password_read(const char *text, uint8_t *ret, size_t size)
{
	struct base64_decode_ctx ctx;
	size_t n = size;

	if (BASE64_DECODE_LENGTH(strlen(text)) > size)
		return 0;
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &n, ret, strlen(text), text) || !base64_decode_final(&ctx))
		return 0;
	uint8_t *colon = memchr(ret, ':', n);
	if (!colon)
		return 0;
	n -= (size_t)(colon + 1 - ret);
	memmove(ret, colon + 1, n);
	return n;
}

static size_t
token_read(const char *authorization, uint8_t *ret, size_t size)
{
	if (!strncasecmp(authorization, "Basic ", 6))
		return password_read(authorization + 6, ret, size);
	if (strncasecmp(authorization, "Bearer ", 7))
		return 0;
	size_t n = strlen(authorization + 7);
	if (n > size)
		return 0;
	memcpy(ret, authorization + 7, n);
	return n;
}

const struct config_token *
access_find_token(const struct config_token *tokens, size_t n, const char *authorization)
{
	struct sha256_ctx ctx;
	uint8_t token[TOKEN_MAX], digest[SHA256_DIGEST_SIZE];
	const struct config_token *found = NULL;

	size_t len = authorization ? token_read(authorization, token, sizeof(token)) : 0;
	if (!len)
		return NULL;
	sha256_init(&ctx);
	sha256_update(&ctx, len, token);
	sha256_digest(&ctx, sizeof(digest), digest);
	/* Looks at all of them, so that the time says nothing about which one it is. */
	for (size_t i = 0; i < n; i++) {
		if (memeql_sec(digest, tokens[i].sha256, sizeof(digest)))
			found = &tokens[i];
	}
	return found;
}
