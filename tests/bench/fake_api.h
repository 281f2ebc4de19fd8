/* fake_api.h - the Docker API's GET side on a unix socket.
 *
 * /_ping, /version, /events, /containers/json and /containers/{id}/json, with or without a version
 * before them.  Anything but GET is refused with 403, as a socket proxy would.  Everything is
 * counted.
 */
#ifndef TESTS_BENCH_FAKE_API_H
#define TESTS_BENCH_FAKE_API_H

#include <stdint.h>
#include <uv.h>

#include "reconciler/base/buf.h"
#include "tests/bench/fake_world.h"

#define FAKE_COUNTS(X)                                                                             \
	X(connections)                                                                             \
	X(version)                                                                                 \
	X(ping)                                                                                    \
	X(events) /* requests for the stream */                                                    \
	X(lists)                                                                                   \
	X(inspects)                                                                                \
	X(missing) /* inspects of a container that is not there */                                 \
	X(other) /* paths that this engine does not know */                                        \
	X(refused) /* anything but GET */                                                          \
	X(failed) /* answered 500 because a script asked for it */                                 \
	X(sent) /* events written to streams */                                                    \
	X(unheard) /* events that no stream wanted */                                              \
	X(list_bytes) /* of the last list */                                                       \
	X(list_done_ns) /* CLOCK_MONOTONIC: the last list's last byte was written */               \
	X(inspect_bytes) /* of the last inspect */                                                 \
	X(inspect_done_ns) /* the last inspect was written */

struct fake_counts {
#define X(name) uint64_t name;
	FAKE_COUNTS(X)
#undef X
};

struct api;

/* Listens on a unix socket at path; world's events go to the streams. */
struct api *api_create(uv_loop_t *loop, const char *path, struct world *world);
void api_destroy(struct api *a);

struct fake_counts *api_counts(struct api *a);

/* When the first and the last event since the last call were written, and how many happened. */
struct api_batch {
	uint64_t events;
	uint64_t first_ns, last_ns; /* CLOCK_MONOTONIC; 0 where nobody heard any */
};
void api_batch_take(struct api *a, struct api_batch *ret);

/* Faults. */
void api_cut(struct api *a); /* closes every connection */
void api_listen(struct api *a, bool on); /* off: the socket is gone */
void api_fail(struct api *a, unsigned requests); /* the next lists and inspects answer 500 */
void api_delay(struct api *a, unsigned ms); /* every list and inspect answers that much later */

#endif
