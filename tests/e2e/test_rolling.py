"""Scaling down and rolling replacement under load: how many requests fail.

Backends that serve on for 2 s after SIGTERM lose nothing behind Waymark, which takes a container
out of its route at the signal; for those that exit at once the count is only noted.
"""

import pytest

import counts
import figures
import load
import sides

TABLE = "Failed requests while containers go, under constant load"
ENDINGS = {"serves 2 s after SIGTERM": {"SERVE_AFTER_TERM": 2}, "exits at once": {}}


@pytest.fixture(params=["waymark", "docker provider"])
def side(request, dockerd, waymark, traefik):
    if request.param == "waymark":
        return sides.WaymarkSide(dockerd, waymark, traefik)
    return sides.DockerProviderSide(dockerd, traefik)


@pytest.fixture(params=ENDINGS)
def ending(request):
    return request.param


def replicas(side, ending, version, n):
    return [side.engine.run(f"shop-web-{version}-{i}", side.labels("shop"), env=ENDINGS[ending])
            for i in range(1, n + 1)]


def under_load(side):
    return load.Load(side.traefik.port, sides.host("shop"), rate=counts.ROLLING_RATE, timeout=3)


def judge(side, ending, what, results):
    failed = sum(r["failed"] for r in results)
    reasons = {}
    for r in results:
        for reason, n in r["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + n
    figures.note(TABLE, f"{what}, {ending}, {side.title}", failed=failed,
                 requests=sum(r["requests"] for r in results),
                 reasons=", ".join(f"{n} x {reason}" for reason, n in reasons.items()))
    if side.title == "Waymark" and ENDINGS[ending]:
        assert failed == 0, results


def test_scale_from_three_to_one(side, ending):
    results = []
    for _ in range(counts.ROLLING_ROUNDS):
        first, *others = replicas(side, ending, "v1", 3)
        side.traefik.wait_answers("shop.test", ["shop-web-v1-1", "shop-web-v1-2", "shop-web-v1-3"])
        with under_load(side) as watch:
            for container in others:
                watch.wait_first(container.name)
            for container in reversed(others):
                container.stop()
                container.remove()
            side.traefik.wait_answers("shop.test", [first.name])
        results.append(watch.result)
        side.engine.clean()
    judge(side, ending, "scale 3 to 1", results)


def test_rolling_replacement(side, ending):
    results = []
    for _ in range(counts.ROLLING_ROUNDS):
        old = replicas(side, ending, "v1", 2)
        side.traefik.wait_answers("shop.test", [c.name for c in old])
        with under_load(side) as watch:
            for container in old:
                watch.wait_first(container.name)
            for i, container in enumerate(old, 1):
                new = side.engine.run(f"shop-web-v2-{i}", side.labels("shop"), env=ENDINGS[ending])
                watch.wait_first(new.name)
                container.stop()
                container.remove()
            side.traefik.wait_answers("shop.test", ["shop-web-v2-1", "shop-web-v2-2"])
        results.append(watch.result)
        side.engine.clean()
    judge(side, ending, "rolling replacement", results)
