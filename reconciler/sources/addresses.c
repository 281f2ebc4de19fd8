#include "reconciler/sources/addresses.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "reconciler/base/buf.h"

struct claimant {
	struct claimant *next;
	void *owner;
};

/* One address of one network; nearly always with one claimant. */
struct claim {
	UT_hash_handle hh;
	struct claimant *claimants;
	struct claimant first; /* the memory of one of them */
	bool first_used, disputed;
	size_t n;
	char key[];
};

void
addresses_finish(struct addresses *a)
{
	struct claim *c, *next;
	HASH_ITER(hh, a->claims, c, next)
	{
		HASH_DEL(a->claims, c);
		for (struct claimant *m = c->claimants, *more; m; m = more) {
			more = m->next;
			if (m != &c->first)
				free(m);
		}
		free(c);
	}
}

/* The i-th address of an endpoint, two for each network; NULL where there is none. */
static const char *
address_at(const struct endpoint *e, size_t i)
{
	const struct endpoint_network *net = &e->networks[i / 2];
	return i % 2 ? net->ipv6 : net->ipv4;
}

static size_t
address_count(const struct endpoint *e)
{
	bool claims = e && (e->state == ENDPOINT_RUNNING || e->state == ENDPOINT_PAUSED);
	return claims ? 2 * e->nnetworks : 0;
}

/* Does e claim what is the i-th address of another? */
static bool
has_address(const struct endpoint *e, const struct endpoint *other, size_t i)
{
	for (size_t j = i % 2; j < address_count(e); j += 2)
		if (address_at(e, j) && !strcmp(address_at(e, j), address_at(other, i)) &&
			!strcmp(e->networks[j / 2].name, other->networks[i / 2].name))
			return true;
	return false;
}

static void
make_key(struct buf *key, const struct endpoint *e, size_t i)
{
	buf_reset(key);
	buf_adds(key, address_at(e, i));
	buf_add(key, " ", 1);
	buf_adds(key, e->networks[i / 2].name);
}

static struct claim *
claim_at(const struct addresses *a, const struct endpoint *e, size_t i, struct buf *key)
{
	struct claim *c = NULL;
	if (address_at(e, i)) {
		make_key(key, e, i);
		HASH_FIND(hh, a->claims, key->p, key->n, c);
	}
	return c;
}

static struct claim *
claim_create(struct addresses *a, const struct buf *key)
{
	struct claim *c = xcalloc(1, sizeof(*c) + key->n + 1);
	memcpy(c->key, key->p, key->n);
	HASH_ADD_KEYPTR(hh, a->claims, c->key, key->n, c);
	return c;
}

static struct claimant **
claimant_find(struct claim *c, const void *owner)
{
	struct claimant **m = &c->claimants;
	while (*m && (*m)->owner != owner)
		m = &(*m)->next;
	return m;
}

static void
claim_add(struct claim *c, void *owner)
{
	struct claimant *m = &c->first;

	if (*claimant_find(c, owner))
		return;
	if (c->first_used)
		m = xmalloc(sizeof(*m));
	else
		c->first_used = true;
	*m = (struct claimant){.next = c->claimants, .owner = owner};
	c->claimants = m;
	c->n++;
}

static void
claim_remove(struct claim *c, const void *owner)
{
	struct claimant **at = claimant_find(c, owner), *m = *at;
	if (!m)
		return;
	*at = m->next;
	c->n--;
	if (m == &c->first)
		c->first_used = false;
	else
		free(m);
}

static void
claim_leave(struct addresses *a, struct claim *c, const void *owner,
	void (*left)(void *arg, void *owner), void *arg)
{
	size_t before = c->n;

	claim_remove(c, owner);
	if (c->n == 0) {
		HASH_DEL(a->claims, c);
		free(c);
	} else if (c->n == 1 && before == 2) {
		c->disputed = false;
		left(arg, c->claimants->owner);
	}
}

void
addresses_move(struct addresses *a, const struct endpoint *from, const struct endpoint *to,
	void *owner, void (*left)(void *arg, void *owner), void *arg)
{
	struct buf key = {0};

	for (size_t i = 0; i < address_count(to); i++) {
		struct claim *c = claim_at(a, to, i, &key);
		if (!c && address_at(to, i))
			c = claim_create(a, &key);
		if (c)
			claim_add(c, owner);
	}
	for (size_t i = 0; i < address_count(from); i++) {
		struct claim *c = claim_at(a, from, i, &key);
		if (c && !has_address(to, from, i))
			claim_leave(a, c, owner, left, arg);
	}
	buf_finish(&key);
}

void
addresses_others(struct addresses *a, const struct endpoint *e, const void *owner,
	void (*other)(void *arg, void *owner), void *arg)
{
	struct buf key = {0};
	for (size_t i = 0; i < address_count(e); i++) {
		struct claim *c = claim_at(a, e, i, &key);
		for (struct claimant *m = c ? c->claimants : NULL; m; m = m->next)
			if (m->owner != owner)
				other(arg, m->owner);
	}
	buf_finish(&key);
}

void
addresses_dispute(struct addresses *a, const struct endpoint *e)
{
	struct buf key = {0};
	for (size_t i = 0; i < address_count(e); i++) {
		struct claim *c = claim_at(a, e, i, &key);
		if (c && c->n > 1)
			c->disputed = true;
	}
	buf_finish(&key);
}

bool
addresses_is_disputed(const struct addresses *a, const struct endpoint *e)
{
	struct buf key = {0};
	bool disputed = false;
	for (size_t i = 0; i < address_count(e) && !disputed; i++) {
		const struct claim *c = claim_at(a, e, i, &key);
		disputed = c && c->disputed;
	}
	buf_finish(&key);
	return disputed;
}
