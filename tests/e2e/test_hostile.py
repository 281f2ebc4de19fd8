"""What a tenant can write into labels: one problem each, and nobody else is touched."""

import pytest

import labels
import wait

LONG_BRANCH = "feature/" + "x" * 292  # 300 octets; Git's own limit is below

# what is wrong: (labels of the container, the label that the problem has to name)
BAD = {
    "emoji in project": ({"waymark.project": "💯", "waymark.port": "8080"}, "waymark.project"),
    "emoji in host": (labels.waymark("emoji", host="💯 .test"), "waymark.host"),
    "back-tick in host": (labels.waymark("tick", host="a`) || Host(`good-1.test"), "waymark.host"),
    "placeholder in host": (labels.waymark("brace", host="{$HOME}.test"), "waymark.host"),
    "placeholder in path": (labels.waymark("brace2", path="/{$HOME}`"), "waymark.path"),
    "line break in host": (labels.waymark("newline", host="a\nb.test"), "waymark.host"),
    "port abc": (labels.waymark("port-abc", port="abc"), "waymark.port"),
    "port 0": (labels.waymark("port-0", port="0"), "waymark.port"),
    "port 65536": (labels.waymark("port-65536", port="65536"), "waymark.port"),
    "port that wraps": (labels.waymark("port-wraps", port="4294967376"), "waymark.port"),
    "branch of 300 octets": (labels.waymark("long", branch=LONG_BRANCH), "waymark.branch"),
    "name that is taken": (labels.waymark("thief", host="good-1.test"), "waymark.host"),
    "scheme of another world": (labels.waymark("scheme", scheme="unix"), "waymark.scheme"),
}
GOOD = ["good-1", "good-2"]


@pytest.fixture(scope="module")
def neighbours(dockerd_of_the_run):
    started = [dockerd_of_the_run.run(name, labels.waymark(name)) for name in GOOD]
    yield started
    dockerd_of_the_run.clean()


@pytest.fixture
def dockerd(dockerd_of_the_run, neighbours):
    yield dockerd_of_the_run
    dockerd_of_the_run.clean(keep=neighbours)


@pytest.fixture
def good(world):
    for name in GOOD:
        world.traefik.wait_answers(f"{name}.test", [name])
    return world


def assert_all_well(world):
    for name in GOOD:
        assert world.traefik.answers(f"{name}.test") == {name}
    assert world.traefik.complaints() == []
    disabled = {n: r for n, r in world.traefik.routers().items() if r["status"] != "enabled"}
    assert not disabled


@pytest.mark.parametrize("what", BAD)
def test_one_problem_that_says_it_all(good, what):
    written, label = BAD[what]
    good.engine.run("mallory", written)
    wait.until(lambda: good.waymark.problems(about="mallory"), 5, "a problem about the container",
               every=0.05)
    # a container that comes later is proof that Traefik took the document with this in it
    good.engine.run("later", labels.waymark("later"))
    good.traefik.wait_answers("later.test", ["later"])

    problem, = good.waymark.problems(about="mallory")
    assert "mallory" in problem["object"]
    assert label in problem["field"]
    assert problem["what"] and problem["remedy"]
    assert "mallory" not in good.traefik.answers("good-1.test", times=8)
    assert_all_well(good)


def test_all_at_once(good):
    """They do not hide each other, and the long branch still has its own host."""
    for i, (written, _) in enumerate(BAD.values()):
        good.engine.run(f"mallory-{i:02}", written)
    good.engine.run("later", labels.waymark("later"))
    good.traefik.wait_answers("later.test", ["later"])
    for i, what in enumerate(BAD):
        wait.until(lambda: len(good.waymark.problems(about=f"mallory-{i:02}")) == 1, 5,
                   lambda: f"one problem for {what}: "
                           f"{good.waymark.problems(about=f'mallory-{i:02}')}")
    assert_all_well(good)

    cut, = [h for h in good.waymark.hosts() if h.startswith("long-preview-")]
    assert len(cut.split(".")[0]) <= 63
    good.traefik.wait_answers(cut, [f"mallory-{list(BAD).index('branch of 300 octets'):02}"])


def test_labels_that_nobody_reads_do_no_harm(good):
    """Anything may stand in labels of others: what Traefik's YAML reader stumbles over, and size."""
    noise = {"note": "💯 \u2028 \ufeff `}} {{ ~ << 0o7", "<<": "yes", "big": "x" * 500_000}
    good.engine.run("noisy", {**labels.waymark("noisy"), **noise})
    good.traefik.wait_answers("noisy.test", ["noisy"])
    assert good.waymark.problems(about="noisy") == []
    assert_all_well(good)
