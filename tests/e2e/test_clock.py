"""A machine whose clock is set while Waymark runs: registries and commands go by the new time."""

import os
import subprocess

from test_slots import Deployer

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* As many seconds off as a file says; right where there is none. */
int
clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	long off = 0;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(id, t);
	FILE *f = id == CLOCK_REALTIME ? fopen(getenv("CLOCK_OFF"), "re") : NULL;
	if (f && fscanf(f, "%ld", &off) != 1)
		off = 0;
	if (f)
		fclose(f);
	t->tv_sec += off;
	return r;
}
"""


class Clock:
    """The clock of whoever is started with its environment."""

    def __init__(self, directory):
        self.file = f"{directory}/clock"
        library = f"{directory}/clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", "-o", library], input=CLOCK, text=True, check=True)
        self.env = {"LD_PRELOAD": library, "CLOCK_OFF": self.file,
                    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:verify_asan_link_order=0"}

    def set(self, seconds):
        """Off by so many seconds."""
        with open(f"{self.file}.new", "w") as f:
            f.write(str(seconds))
        os.rename(f"{self.file}.new", self.file)


def test_a_clock_that_was_wrong_at_the_start(dockerd, waymark, traefik, directory):
    clock = Clock(directory)
    clock.set(-7200)
    shop = Deployer(dockerd, lambda engine, **config: waymark(engine, env=clock.env, **config), directory)
    traefik(waymark=shop.waymark.port)
    shop.bring()
    shop.bring()
    clock.set(0)
    # which ends the slot's time now, and waits until Waymark sees that it has ended
    assert shop.done("cleanup")["slot"] == "blue"
    assert shop.state("blue") == "empty"
