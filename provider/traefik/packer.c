#include "provider/traefik/packer.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "provider/traefik/pack.h"
#include "reconciler/base/arena.h"

#define REST 9 /* times the duration of the last job */

struct packer {
	uv_loop_t *loop;
	struct document *(*newest)(void *arg);
	void *arg;
	uv_work_t work;
	uv_timer_t timer;
	bool working, wanted, closing, closed;
	uint64_t next_ns; /* the next job not before then */
	uint64_t took_ns;
	size_t n; /* of the job under way */
	struct snapshot_chunk **chunks;
	struct pack **packs;
};

static void
packer_free(struct packer *p)
{
	if (p->closed && !p->working)
		free(p);
}

/* In the pool: touches nothing but the chunks' text, which never changes. */
static void
on_work(uv_work_t *work)
{
	struct packer *p = work->data;
	uint64_t start = uv_hrtime();
	for (size_t i = 0; i < p->n; i++)
		p->packs[i] = pack_create(p->chunks[i]);
	p->took_ns = uv_hrtime() - start;
}

static void packer_go(struct packer *p);

static void
on_worked(uv_work_t *work, int status)
{
	struct packer *p = work->data;
	(void)status; /* never cancelled */

	for (size_t i = 0; i < p->n; i++) {
		pack_attach(p->chunks[i], p->packs[i]);
		snapshot_chunk_unref(p->chunks[i]);
	}
	free(p->chunks);
	free(p->packs);
	p->working = false;
	p->next_ns = uv_hrtime() + REST * p->took_ns;
	if (p->closing) {
		packer_free(p);
		return;
	}
	struct document *d = p->newest(p->arg);
	if (d)
		document_repack(d);
	packer_go(p);
}

static bool
chunk_wants(const struct snapshot_chunk *c)
{
	const struct pack *pack = pack_of(c);
	return !pack || pack->stored;
}

/* Takes what is not compressed yet as the next job. */
static bool
job_take(struct packer *p)
{
	struct document *d = p->newest(p->arg);
	if (!d || document_is_packed(d))
		return false;
	const struct snapshot *s = document_snapshot(d);
	p->n = 0;
	p->chunks = xmalloc(s->nchunks * sizeof(struct snapshot_chunk *));
	p->packs = xmalloc(s->nchunks * sizeof(struct pack *));
	for (size_t i = 0; i < s->nchunks; i++) {
		if (chunk_wants(s->chunks[i]))
			p->chunks[p->n++] = snapshot_chunk_ref(s->chunks[i]);
	}
	return true;
}

static void
on_timer(uv_timer_t *timer)
{
	packer_go(timer->data);
}

static void
packer_go(struct packer *p)
{
	uint64_t now = uv_hrtime();
	if (p->working || !p->wanted)
		return;
	if (now < p->next_ns) {
		uv_timer_start(&p->timer, on_timer, (p->next_ns - now) / 1000000 + 1, 0);
		return;
	}
	p->wanted = false;
	if (!job_take(p))
		return;
	p->working = true;
	int r = uv_queue_work(p->loop, &p->work, on_work, on_worked);
	assert(r == 0);
}

void
packer_want(struct packer *p)
{
	p->wanted = true;
	packer_go(p);
}

struct packer *
packer_create(uv_loop_t *loop, struct document *(*newest)(void *arg), void *arg)
{
	struct packer *p = xcalloc(1, sizeof(*p));
	p->loop = loop;
	p->newest = newest;
	p->arg = arg;
	uv_timer_init(loop, &p->timer);
	p->timer.data = p->work.data = p;
	return p;
}

static void
on_closed(uv_handle_t *handle)
{
	struct packer *p = handle->data;
	p->closed = true;
	packer_free(p);
}

void
packer_destroy(struct packer *p)
{
	if (!p)
		return;
	p->closing = true;
	uv_close((uv_handle_t *)&p->timer, on_closed);
}
