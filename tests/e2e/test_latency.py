"""How long a change takes until it is served, beside Traefik's own Docker provider.

Two engines, so that the one side is idle while the other is measured; on each some containers
that have nothing to do with it.  The sides take turns, the changes come at random moments.
"""

import random
import statistics
import time

import pytest

import counts
import engines
import figures
import load
import sides

TABLE = "From a change to its effect, through real Traefik"
LEAVING_SECONDS = 1  # a container that ends well serves so long after SIGTERM


@pytest.fixture
def two_sides(directory, waymark, traefik):
    docker_a = engines.Dockerd(f"{directory}/a")
    docker_b = engines.Dockerd(f"{directory}/b")
    try:
        ours = sides.WaymarkSide(docker_a.start(), waymark, traefik)
        theirs = sides.DockerProviderSide(docker_b.start(), traefik)
        for side in (ours, theirs):
            for i in range(counts.LATENCY_BACKGROUND):
                side.engine.run(f"other-{i}", side.labels(f"other-{i}") if i % 2 else {})
            side.traefik.wait_status(sides.host("other-1"), 200, timeout=20)
        yield ours, theirs
    finally:
        for engine in (docker_a, docker_b):
            engine.destroy()


def pause():
    time.sleep(random.uniform(0.05, 0.4))  # the random moment; nothing waits for it


def one_alone(side, name):
    """A container with a host of its own starts, and stops at once when told."""
    container = side.engine.create(name, side.labels(name))
    with load.Load(side.traefik.port, sides.host(name), connections=1, rate=1000,
                   timeout=0.5) as watch:
        pause()
        container.start()
        started = time.monotonic()
        served = watch.wait_first(name)
        pause()
        stopping = time.monotonic()
        container.stop()
    container.remove()
    return {"start": served - started, "stop, exits at once": watch.last(name) - stopping}


def one_of_two(side, name):
    """Another is there already; the new one joins it, and leaves well."""
    other = side.engine.run(f"{name}-stays", side.labels(name))
    container = side.engine.create(name, side.labels(name),
                                   env={"SERVE_AFTER_TERM": LEAVING_SECONDS})
    with load.Load(side.traefik.port, sides.host(name), connections=1, rate=1000,
                   timeout=0.5) as watch:
        watch.wait_first(other.name)
        pause()
        container.start()
        started = time.monotonic()
        served = watch.wait_first(name)
        pause()
        stopping = time.monotonic()
        container.stop()
    container.remove()
    other.remove()
    return {"start of a second": served - started,
            "stop of one of two": watch.last(name) - stopping}


def measure(both, run):
    """{(side, what): seconds of each change}"""
    taken = {}
    for i in range(counts.LATENCY_CHANGES):
        for side in both if i % 2 else reversed(both):
            for what, seconds in {**one_alone(side, f"alone-{run}-{i}"),
                                  **one_of_two(side, f"pair-{run}-{i}")}.items():
                taken.setdefault((side.title, what), []).append(max(seconds, 0))
    return taken


def test_not_slower_than_traefiks_own_docker_provider(two_sides):
    runs = [measure(two_sides, run) for run in range(counts.LATENCY_RUNS)]
    slower = []
    for what in ("start", "start of a second", "stop, exits at once", "stop of one of two"):
        found = {}
        for side in two_sides:
            of_runs = [run[side.title, what] for run in runs]
            found[side.title] = [statistics.median(figures.percentile(r, p) for r in of_runs)
                                 for p in (0.50, 0.99)]
            figures.note(TABLE, f"{what}, {side.title}",
                         p50=figures.milliseconds(found[side.title][0]),
                         p99=figures.milliseconds(found[side.title][1]),
                         changes=f"{len(of_runs)} x {len(of_runs[0])}")
        for p, ours, theirs in zip(("p50", "p99"), *(found[s.title] for s in two_sides)):
            if ours > theirs + counts.LATENCY_SLACK:
                slower.append(f"{what} {p}: {ours * 1000:.1f} ms, theirs {theirs * 1000:.1f} ms")
    assert not slower
