/* clock.h - the wall clock, and waits that do not fall together. */
#ifndef RECONCILER_BASE_CLOCK_H
#define RECONCILER_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970. */
uint64_t clock_wall_ms(void);

/* Between 3/4 and 5/4 of it, so that many who lost the same peer do not come back all at once. */
uint64_t clock_jittered(uint64_t ms);

#endif
