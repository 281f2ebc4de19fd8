/* fake_shape.h - a JSON template: what a real dockerd said, with holes.
 *
 * The files in shapes/ are JSON with holes in their strings: "/{{name}}" takes text, "{{*ports}}"
 * gives way to a whole value with its quotes, and a member "Health": "{{?health}}" is there only
 * where its hole prints something.
 */
#ifndef TESTS_BENCH_FAKE_SHAPE_H
#define TESTS_BENCH_FAKE_SHAPE_H

#include <stddef.h>

#include "reconciler/base/buf.h"

struct shape;

/* names is NULL-terminated; a hole's number is its place there.  Ends the program where the
 * template has a hole of another name. */
struct shape *shape_create(const char *json, size_t n, const char *const *names);
void shape_destroy(struct shape *s);

/* Prints the template without white space; fill prints what goes into a hole. */
void shape_render(const struct shape *s, struct buf *b,
	void (*fill)(struct buf *b, const void *arg, int hole), const void *arg);

#endif
