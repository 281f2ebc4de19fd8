/* fake_render.h - containers in the words of a dockerd 20.10: the shapes filled in. */
#ifndef TESTS_BENCH_FAKE_RENDER_H
#define TESTS_BENCH_FAKE_RENDER_H

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "tests/bench/fake_world.h"

/* Reads the shapes, which are part of the program. */
void fake_render_init(void);
void fake_render_finish(void);

void fake_render_version(struct buf *b);
/* all: those that do not run, too.  The newest first. */
void fake_render_list(struct buf *b, const struct world *w, bool all);
void fake_render_inspect(struct buf *b, const struct fake_container *c);

#endif
