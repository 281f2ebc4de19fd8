#include "reconciler/base/clock.h"

#include <time.h>

#include <uv.h>

uint64_t
clock_wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t
clock_jittered(uint64_t ms)
{
	return ms * 3 / 4 + uv_hrtime() / 1000 % (ms / 2 + 1);
}
