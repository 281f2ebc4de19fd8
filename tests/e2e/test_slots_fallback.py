"""Who serves when a slot will not: a promote to one that never becomes ready, and an active one that
loses its containers while the other could be gone back to."""

import json
import subprocess
import time

import pytest

import counts
import figures
import labels
import load
import native
import registry
import wait
import waymark as waymark_module

TABLE = "The active slot is killed, the one in grace serves"
HOST = "shop.test"
LATER = "2099-01-01T00:00:00Z"
OTHER = {"blue": "green", "green": "blue"}


class Shop:
    """A project with two slots, in a registry that the test writes as any program may."""

    def __init__(self, engine, make_waymark, make_traefik, directory, **slots):
        self.engine = engine
        self.files = registry.Directory(f"{directory}/registry", {
            "shop": {"environments": {"production": {"port": 8080, "slots": True}}}}).write()
        self.waymark = make_waymark(engine, registry={"directory": self.files.path}, slots=slots)
        self.traefik = make_traefik(waymark=self.waymark.port)
        self.since = 0

    def run(self, slot, **how):
        return self.engine.run(f"shop-production-{slot}", labels.waymark("shop", slot=slot), **how)

    def register(self, active, other="grace-period"):
        """`active` since now, and the other slot in this state."""
        self.since += 1
        left = {"state": other}
        if other == "grace-period":
            left["until"] = LATER
        self.files.slots["shop"] = {"production": {
            "active": active, OTHER[active]: left,
            active: {"state": "active", "since": f"2026-01-01T00:00:00.{self.since:03}Z"}}}
        self.files.write()

    def wait_serving(self, slot):
        self.traefik.wait_answers(HOST, [f"shop-production-{slot}"], timeout=20)

    def is_served_by(self, slot):
        serving, = self.waymark.serving(HOST) or [""]
        return serving.startswith(f"shop-production-{slot}")

    def slot_argv(self, command, *options):
        return [native.waymark(), "slot", command, "shop", "production", *options,
                "-s", self.waymark.listen, "-c", self.waymark.file]

    def slot(self, command, *options):
        return subprocess.run(self.slot_argv(command, *options), capture_output=True, text=True,
                              timeout=60)

    def slots(self):
        said = self.slot("list", "--json")
        return {s["slot"]: s for s in json.loads(said.stdout)["slots"]}


# how a slot's container never gets ready
NEVER = {"listens nowhere": {"env": {"PORT": "1234"}},
         "says that it is not healthy": {"env": {"HEALTH": "bad"},
                                         "health": {"Interval": 0.5, "Timeout": 1, "Retries": 1}}}


@pytest.mark.parametrize("how", NEVER)
def test_a_slot_that_never_becomes_healthy(dockerd, waymark, traefik, directory, how):
    """`slot promote` refuses it; made active by hand, the route stays, and a problem says why."""
    shop = Shop(dockerd, waymark, traefik, directory)
    shop.run("blue")
    shop.register("blue", other="empty")
    shop.wait_serving("blue")
    with load.Load(shop.traefik.port, HOST, rate=200) as watch:
        said = shop.slot("deploy", "--json")
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout)["slot"] == "green"
        green = shop.run("green", **NEVER[how])
        said = shop.slot("promote", "green", "--timeout", "3s")
        assert said.returncode == 1 and "slot green" in said.stderr, said
        assert shop.slots()["green"]["state"] == "reserved"

        shop.register("green")
        problem, = wait.until(lambda: shop.waymark.problems("slot-waiting"), 5)
        assert "slot green is active" in problem["what"] and "slot blue serves" in problem["what"]
        assert shop.waymark.problems(about="shop") and problem["remedy"]
        wait.stays(lambda: shop.is_served_by("blue"), 3, "blue serves")
    assert watch.result["failed"] == 0, load.failures(watch.result)
    assert set(watch.result["containers"]) == {"shop-production-blue"}
    assert "carries traffic" in shop.slot("cleanup", "blue").stderr

    green.remove()  # and one that is well is all that it waits for
    shop.run("green")
    shop.wait_serving("green")
    wait.until(lambda: not shop.waymark.problems("slot-waiting"), 5)


class Falls(Shop):
    """The active slot's container is killed again and again, each time a new one: by another name,
    for one that dies so often would be damped."""

    def run(self, slot, **how):
        self.made = getattr(self, "made", 0) + 1
        return self.engine.run(f"shop-production-{slot}-{self.made}", labels.waymark("shop", slot=slot),
                               env={"NAME": f"shop-production-{slot}"}, **how)

    def start(self, active):
        self.containers = {slot: self.run(slot) for slot in OTHER}
        self.killed = set()
        self.register(active)
        self.wait_serving(active)
        wait.until(lambda: self.slots()[OTHER[active]]["ready"] == 1, 10, "the other one is ready")

    def kill(self, slot):
        """When."""
        now = time.monotonic()
        self.killed.add(slot)
        self.containers[slot].kill()
        return now

    def replace(self, active, other="grace-period"):
        """A new container for each that was killed, and `active` is promoted."""
        for slot in self.killed:
            self.containers[slot].remove()
            self.containers[slot] = self.run(slot)
        self.killed.clear()
        self.register(active, other)
        self.wait_serving(active)
        wait.until(lambda: all(s["ready"] == 1 for s in self.slots().values()), 10, "both are ready")


@pytest.fixture
def shop(engine, waymark, traefik, directory):
    return Falls(engine, waymark, traefik, directory, auto_rollback="route")


def test_the_slot_in_grace_serves_within_a_second(shop):
    taken, active = [], "blue"
    shop.start(active)
    for _ in range(counts.FALLBACKS):
        other = OTHER[active]
        # requests that are on their way to a container that is gone hang: others must be free
        with load.Load(shop.traefik.port, HOST, connections=400, rate=500, timeout=1) as watch:
            watch.wait_first(f"shop-production-{active}")
            killed = shop.kill(active)
            taken.append(watch.wait_first(f"shop-production-{other}") - killed)
        problem, = wait.until(lambda: shop.waymark.problems("slot-fallback"), 5)
        assert f"slot {other} serves instead" in problem["what"], problem
        # the slot that was killed is back, and does not get its traffic back by that
        shop.containers[active].start()
        wait.until(lambda: shop.slots()[active]["ready"] == 1, 10, f"{active} is ready again")
        wait.stays(lambda: shop.is_served_by(other), 0.5, f"{other} serves until a promote")
        shop.replace(other)
        assert not shop.waymark.problems("slot-fallback")
        active = other
    figures.note(TABLE, f"{shop.engine.kind}, from the kill to the first 200",
                 p50=figures.milliseconds(figures.percentile(taken, 0.5)),
                 p99=figures.milliseconds(figures.percentile(taken, 0.99)), rounds=len(taken))
    assert figures.percentile(taken, 0.99) < 1


def judge_deploy(shop, said, done_at, watch, other):
    """It has the slot, and that never served afterwards; or it has not, and that serves."""
    name = f"shop-production-{other}"
    if said.returncode == 0:
        assert json.loads(said.stdout)["slot"] == other
        wait.stays(lambda: not shop.is_served_by(other), 0.5, "a reserved slot serves nobody")
        result = watch.stop()
        assert name not in result["containers"] or watch.last_sent(name) <= done_at, result
        return "reserved"
    assert said.returncode == 1 and not said.stdout, said
    wait.until(lambda: shop.is_served_by(other), 5, f"{other} serves: {said.stderr}")
    assert shop.slots()[other]["state"] == "grace-period", said
    watch.wait_first(name)
    watch.stop()
    return "put back" if "put back" in said.stderr else "refused"


def test_a_deploy_at_that_moment(dockerd, waymark, traefik, directory):
    """It gives the way back up, just when that is needed: one of the two gets the slot, never both."""
    shop = Falls(dockerd, waymark, traefik, directory, auto_rollback="route")
    active, outcomes = "blue", {}
    shop.start(active)
    for i in range(counts.DEPLOYS_AT_FALLBACK):
        other = OTHER[active]
        # most of them before anything is confirmed, some long after
        delay = 0.2 * (i / (counts.DEPLOYS_AT_FALLBACK - 1)) ** 2
        with load.Load(shop.traefik.port, HOST, connections=200, rate=200, timeout=1) as watch:
            watch.wait_first(f"shop-production-{active}")
            deploy = subprocess.Popen(
                shop.slot_argv("deploy", "--json", "--discard-rollback"), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(delay)  # the moment is what is varied
            shop.kill(active)
            out, err = deploy.communicate(timeout=60)
            said = subprocess.CompletedProcess("deploy", deploy.returncode, out, err)
            outcome = judge_deploy(shop, said, time.monotonic(), watch, other)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        shop.replace(other)
        active = other
    figures.note(TABLE, "a deploy at that moment", **{k.replace(" ", "_"): v
                                                      for k, v in outcomes.items()})
