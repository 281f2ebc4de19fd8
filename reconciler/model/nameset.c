#include "reconciler/model/nameset.h"

#include <string.h>

#include "reconciler/base/fnv.h"

/* With a last step that brings every bit into play. */
static uint64_t
digest(const char *text, size_t n)
{
	uint64_t h = fnv_add(FNV_BASIS, text, n);

	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdu;
	return h ^ h >> 33;
}

uint64_t
name_digest(const char *text)
{
	return digest(text, strlen(text));
}

uint64_t
name_digest_id(const char *id)
{
	return digest(id, strnlen(id, NAME_ID_DIGITS));
}

/* Two bits for each. */
static void
add(struct nameset *n, uint64_t d)
{
	size_t a = d % NAMESET_BITS, b = (d >> 32) % NAMESET_BITS;

	n->bits[a / 64] |= UINT64_C(1) << a % 64;
	n->bits[b / 64] |= UINT64_C(1) << b % 64;
}

static bool
has(const struct nameset *n, uint64_t d)
{
	size_t a = d % NAMESET_BITS, b = (d >> 32) % NAMESET_BITS;

	return n->bits[a / 64] >> a % 64 & n->bits[b / 64] >> b % 64 & 1;
}

void
nameset_add_plan(struct nameset *n, const struct project_plan *p)
{
	for (size_t i = 0; i < p->nroutes; i++) {
		const struct route *r = &p->routes[i];
		add(n, name_digest(r->host));
		for (size_t k = 0; k < r->nrouted; k++) {
			if (r->servers[k].container)
				add(n, name_digest(r->servers[k].container));
			if (r->servers[k].container_id)
				add(n, name_digest_id(r->servers[k].container_id));
		}
	}
}

bool
nameset_may_have(const struct nameset *n, const char *text)
{
	return has(n, name_digest(text)) || has(n, name_digest_id(text));
}
