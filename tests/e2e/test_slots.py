"""`waymark slot` beside a running Waymark, which says what is ready and what carries traffic."""

import json

import registry
import wait
import waymark as waymark_module


class Deployer:
    """What a deploy script does, step by step."""

    def __init__(self, engine, waymark, directory):
        self.engine = engine
        self.files = registry.Directory(f"{directory}/registry", {
            "shop": {"environments": {"production": {"port": 8080, "slots": True}}}}).write()
        self.waymark = waymark(engine, registry={"directory": self.files.path})
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

    def wait_serving(self, name):
        wait.until(lambda: self.waymark.serving("shop.test") == [name], 10, f"{name} serves")


def test_deploy_promote_rollback_cleanup(dockerd, waymark, directory):
    shop = Deployer(dockerd, waymark, directory)
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
    assert shop.done("cleanup")["remove"] == "shop-production-green"
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
