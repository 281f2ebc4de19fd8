"""`waymark slot` beside a running Waymark, which says what is ready and what carries traffic."""

import json
import os

import registry
import wait
import waymark as waymark_module


class Deployer:
    """What a deploy script does, step by step."""

    def __init__(self, engine, waymark, directory, **slots):
        self.engine = engine
        self.files = registry.Directory(f"{directory}/registry", {
            "shop": {"environments": {"production": {"port": 8080, "slots": True}}}}).write()
        self.waymark = waymark(engine, registry={"directory": self.files.path}, slots={"drain": "1s", **slots})
        self.config = f"{directory}/slots.yaml"
        with open(self.config, "w") as f:
            json.dump({"base_domain": "test", "registry": {"directory": self.files.path}}, f)

    def slot(self, command, *options):
        return waymark_module.command("slot", command, "shop", "production", *options,
                                      "-s", f"127.0.0.1:{self.waymark.port}", config=self.config, timeout=60)

    def done(self, command, *options):
        done = self.slot(command, "--json", *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, command, *options):
        done = self.slot(command, *options)
        assert done.returncode == 1 and not done.stdout
        return done.stderr

    def deploy(self):
        said = self.done("deploy")
        return said, self.engine.create(said["container"], said["labels"])

    def bring(self):
        """A deploy and its promote, to the end; the container."""
        said, container = self.deploy()
        container.start()
        self.done("promote", "--id", said["id"], "--timeout", "20s")
        self.wait_serving(said["container"])
        return container

    def state(self, slot):
        with open(self.files.slots_file) as f:
            return json.load(f)["slots"]["shop"]["production"].get(slot, {}).get("state", "empty")

    def wait_serving(self, name):
        wait.until(lambda: self.waymark.serving("shop.test") == [name], 10, f"{name} serves")


def test_deploy_promote_rollback_cleanup(dockerd, waymark, traefik, directory):
    shop = Deployer(dockerd, waymark, directory)
    proxy = traefik(waymark=shop.waymark.port)
    said, blue = shop.deploy()
    assert said["slot"] == "blue"
    assert "no container" in shop.refused("promote")
    blue.start()
    shop.done("promote", "--id", said["id"], "--timeout", "20s")
    shop.wait_serving("shop-production-blue")

    said, green = shop.deploy()
    assert said["slot"] == "green"
    green.start()
    shop.done("promote", "--timeout", "20s")
    shop.wait_serving("shop-production-green")
    assert "rollback goes back to" in shop.refused("deploy")

    assert shop.done("rollback")["left"] == "green"
    shop.wait_serving("shop-production-blue")
    slots = {s["slot"]: s for s in shop.done("list")["slots"]}
    assert slots["blue"]["traffic"] and slots["blue"]["ready"] == 1
    assert not slots["green"]["traffic"] and slots["green"]["ready"] == 1
    own = "shop-production-green.test"
    wait.until(lambda: proxy.status(own) == 200, 10, "green's own URL leads to it")
    assert shop.done("cleanup")["remove"] == "shop-production-green"
    # it runs yet, and nothing leads to it
    assert proxy.status(own) == 503 and green.running
    assert "nothing is left to do" in shop.refused("cleanup")


def test_what_carries_traffic_is_left_alone(dockerd, waymark, directory):
    """Somebody makes a slot active by hand that has no container: the route stays, and so does the slot."""
    shop = Deployer(dockerd, waymark, directory)
    _, blue = shop.deploy()
    blue.start()
    shop.done("promote", "--timeout", "20s")
    shop.wait_serving("shop-production-blue")
    shop.files.activate("shop", "green")
    wait.until(lambda: shop.waymark.problems("slot-waiting"), 10, "the route waits for green")
    assert "carries traffic" in shop.refused("deploy")
    assert "carries traffic" in shop.refused("cleanup", "blue")
    shop.wait_serving("shop-production-blue")


def test_without_a_running_one(dockerd, waymark, directory):
    shop = Deployer(dockerd, waymark, directory)
    shop.waymark.stop()
    assert shop.slot("deploy").returncode == 3
    assert shop.slot("deploy", "--offline").returncode == 0


def test_without_a_proxy_nothing_is_applied(dockerd, waymark, directory):
    """Nobody knows what a proxy that does not ask still does."""
    shop = Deployer(dockerd, waymark, directory)
    shop.bring()
    shop.bring()
    said = shop.refused("cleanup", "--timeout", "2s")
    assert "output traefik has not applied it" in said and shop.state("blue") == "grace-period"
    assert shop.waymark.problems("slot-due")
    assert shop.done("cleanup", "--offline")["remove"] == "shop-production-blue"


def test_a_deploy_is_known_when_it_returns(dockerd, waymark, directory):
    shop = Deployer(dockerd, waymark, directory)
    for _ in range(5):
        said = shop.done("deploy")
        slots = shop.waymark.api("/api/v1/slots?project=shop&environment=production")
        assert {s["slot"]: s["id"] for s in slots}[said["slot"]] == said["id"]
        assert shop.done("cleanup", "--offline")["state"] == "empty"
    assert shop.waymark.api("/api/v1/slots?project=nobody") == []
    assert shop.waymark.api("/api/v1/slots?project=shop&environment=qa") == []
    assert [s["project"] for s in shop.waymark.api("/api/v1/slots")] == ["shop"]


# what Waymark writes by itself


def test_a_grace_period_that_ends_is_cleaned_up(dockerd, waymark, traefik, directory):
    shop = Deployer(dockerd, waymark, directory, grace="3s", cleanup="auto")
    proxy = traefik(waymark=shop.waymark.port)
    # the command has a configuration of its own
    with open(shop.config, "w") as f:
        json.dump({"base_domain": "test", "registry": {"directory": shop.files.path}, "slots": {"grace": "3s"}}, f)
    blue = shop.bring()
    shop.bring()
    wait.stays(lambda: shop.state("blue") == "grace-period", 2, "its time is not over")
    wait.until(lambda: shop.state("blue") == "empty", 15, "it is cleaned up")
    assert proxy.status("shop-production-blue.test") == 503 and blue.running
    shop.wait_serving("shop-production-green")
    assert not shop.waymark.problems("slot-unwritten")


def test_what_cannot_be_written_is_a_problem(dockerd, waymark, traefik, directory):
    shop = Deployer(dockerd, waymark, directory, cleanup="auto")
    traefik(waymark=shop.waymark.port)
    with open(shop.config, "w") as f:
        json.dump({"base_domain": "test", "registry": {"directory": shop.files.path}, "slots": {"grace": "1s"}}, f)
    shop.bring()
    shop.bring()
    lock = f"{shop.files.path}/.lock"
    os.unlink(lock)
    os.mkdir(lock)
    problem, = wait.until(lambda: shop.waymark.problems("slot-unwritten"), 20, "it says so")
    assert "slot blue of shop production" in problem["object"] and ".lock" in problem["what"]
    assert "waymark slot cleanup shop production blue" in problem["remedy"] and problem["project"] == "shop"
    assert shop.state("blue") == "grace-period"
    os.rmdir(lock)
    wait.until(lambda: shop.state("blue") == "empty", 20, "it is tried again")
    wait.until(lambda: not shop.waymark.problems("slot-unwritten"), 10, "no problem is left")


def test_a_fallback_is_recorded(dockerd, waymark, directory):
    shop = Deployer(dockerd, waymark, directory, auto_rollback="record")
    shop.bring()
    green = shop.bring()
    green.kill()
    shop.wait_serving("shop-production-blue")
    wait.until(lambda: (shop.state("blue"), shop.state("green")) == ("active", "grace-period"), 10, "it is written")
    # and stays so, whoever comes back
    green.start()
    wait.until(lambda: {s["slot"]: s["ready"] for s in shop.done("list")["slots"]}["green"] == 1, 10, "green is back")
    wait.stays(lambda: shop.waymark.serving("shop.test") == ["shop-production-blue"], 1, "blue serves")
    assert not shop.waymark.problems("slot-fallback") and not shop.waymark.problems("slot-unwritten")


def test_a_fallback_is_not_deployed_over(dockerd, waymark, directory):
    """The slot that serves is nobody's to take, whatever the registry says."""
    shop = Deployer(dockerd, waymark, directory, auto_rollback="route")
    shop.bring()
    green = shop.bring()
    green.kill()
    shop.wait_serving("shop-production-blue")
    assert shop.waymark.problems("slot-fallback") and shop.state("blue") == "grace-period"
    assert "carries traffic" in shop.refused("deploy", "--discard-rollback")
    assert "carries traffic" in shop.refused("cleanup", "blue")
    assert shop.done("rollback")["active"] == "blue"
    wait.until(lambda: not shop.waymark.problems("slot-fallback"), 10, "it is as the registry says")
