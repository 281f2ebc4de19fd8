/* fake_control.h - scripts drive the fake engine by lines on a second unix socket.
 *
 * Each line is a command and gets one line back: "ok …" or "error WHY".  Where more lines follow,
 * the first says how many.  tests/bench/README.md lists the commands.
 */
#ifndef TESTS_BENCH_FAKE_CONTROL_H
#define TESTS_BENCH_FAKE_CONTROL_H

#include <uv.h>

#include "tests/bench/fake_api.h"
#include "tests/bench/fake_world.h"

struct control;

struct control *control_create(
	uv_loop_t *loop, const char *path, struct world *world, struct api *api);
void control_destroy(struct control *c);

#endif
