"""The fake engine of the bench: true to dockerd, and true to itself; and the bench's counts."""

import json
import os
import re
import subprocess
import sys

import pytest

BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench")
sys.path.insert(0, BENCH)
import check_fake  # noqa: E402
import fake  # noqa: E402


@pytest.fixture
def engine_of(directory):
    """Makes a fake engine with so many containers."""
    made = []

    def make(containers):
        made.append(fake.Fake(directory, containers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def listed(one, query=""):
    return {c["Id"]: c for c in one.engine.get(f"/v1.41/containers/json{query}")}


def test_says_what_dockerd_says(dockerd):
    assert check_fake.differences(dockerd.socket) == []


def test_sizes_are_realistic(engine_of):
    """1.5 kB in the list and 6 kB and more in an inspect, as the issue has it."""
    one = engine_of(100)
    containers = list(listed(one).values())
    assert len(json.dumps(containers, separators=(",", ":"))) / 100 >= 1500
    inspect = one.engine.get(f"/containers/{containers[0]['Id']}/json")
    assert len(json.dumps(inspect, separators=(",", ":"))) >= 6000


def test_only_get(engine_of):
    one = engine_of(1)
    container = one.world()[0].id
    for method in ("POST", "DELETE", "PUT", "HEAD"):
        assert one.engine.ask(method, f"/v1.41/containers/{container}/stop")[0] == 403
    assert one.counts()["refused"] == 4
    assert one.world()[0].state == "running"


def test_unknown(engine_of):
    one = engine_of(1)
    assert one.engine.ask("GET", "/v1.41/containers/nope/json")[0] == 404
    assert one.engine.ask("GET", "/v1.41/nope")[0] == 404
    counts = one.counts()
    assert (counts["inspects"], counts["missing"], counts["other"]) == (1, 1, 1)


def test_lists_what_the_world_is_after_a_storm(engine_of):
    """Of every container the list, the inspect and the control connection say the same."""
    one = engine_of(200)
    events = check_fake.Events(one.engine)
    storm = one.storm(2000, 0.5, 11)
    assert storm["events"] >= 1000
    up, everything = listed(one), listed(one, "?all=1")
    assert len(everything) == 200
    for c in one.world():
        assert (c.id in up) == (c.state == "running")
        said = one.engine.get(f"/containers/{c.id}/json")
        assert said["State"]["Status"] == c.state == everything[c.id]["State"]
        assert said["State"]["Health"]["Status"] == c.health
        if c.state == "running":
            assert re.search(r"\((health: )?" + c.health + r"\)", up[c.id]["Status"])
            assert said["NetworkSettings"]["Networks"]["apps"]["IPAddress"] == c.ip
    one.tell(f"remove {c.id}")
    assert events.of(c.id)[-1]["Action"] == "destroy"
    assert len(events.seen) == one.counts()["sent"]


def test_a_seed_gives_the_same_storm(directory):
    worlds = []
    for i in (1, 2):
        here = os.path.join(directory, str(i))
        os.mkdir(here)
        with fake.Fake(here, 50) as one:
            one.storm(2000, 0.2, 5)
            worlds.append(one.world())
    assert worlds[0] == worlds[1]


def test_faults(engine_of):
    one = engine_of(4)
    one.tell("fail 1")
    assert one.engine.ask("GET", "/containers/json")[0] == 500
    assert one.engine.ask("GET", "/containers/json")[0] == 200
    one.tell("down")
    with pytest.raises(OSError):
        one.engine.get("/_ping")
    one.tell("up")
    assert one.engine.get("/_ping") == b"OK"
    assert len(one.add(2)) == 2 and len(listed(one)) == 6


def test_bench_counts():
    """One inspect an event, no list, nothing lost: the bench in short, without its times."""
    done = subprocess.run(
        [os.path.join(BENCH, "bench.py")], env={**os.environ, "BENCH_QUICK": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
