"""Waymark is killed, and when it comes back the registry is not there: what it knew stays in force."""

import os
import shutil
import time

import pytest

import counts
import labels
import load
import registry
import wait

BACKOFF = 60  # Traefik waits longer and longer after each poll that failed
NEVER = counts.pick(8, 33)  # an engine that was never seen is waited for half a minute


class OfPostgres:
    name = "registry.postgres"

    def __init__(self, directory, server):
        self.server = server
        self.tables = registry.Tables(server)
        self.tables.add("shop", slots=("blue", "green"), active="green")
        self.tables.set_static("ws.test", ["http://127.0.0.1:1"])
        self.config = {"postgres": {"url": self.tables.url()}, "unregistered": "ignore"}

    def away(self):
        self.server.stop()

    def back(self):
        self.server.start()

    def change(self):
        self.tables.activate("shop", "blue")
        self.tables.set_static("new.test", ["http://127.0.0.1:1"])


class OfFiles:
    name = "registry.directory"

    def __init__(self, directory, server):
        self.files = registry.Directory(f"{directory}/registry", {"shop": {}}, {
            "ws.test": {"upstreams": ["http://127.0.0.1:1"]}})
        self.files.activate("shop", "green")
        self.config = {"directory": self.files.path, "unregistered": "ignore"}

    def away(self):
        os.rename(self.files.path, self.files.path + ".away")

    def back(self):
        os.rename(self.files.path + ".away", self.files.path)

    def change(self):
        self.files.static["new.test"] = {"upstreams": ["http://127.0.0.1:1"]}
        self.files.activate("shop", "blue")


class OfGarbage(OfFiles):
    """The directory is there, and its files are not JSON."""

    def away(self):
        shutil.copytree(self.files.path, self.files.path + ".away")
        for path in (self.files.ssot_file, self.files.slots_file):
            with open(path, "w") as f:
                f.write("{ oops")

    def back(self):
        shutil.rmtree(self.files.path)
        super().back()


@pytest.mark.parametrize("kind", [OfPostgres, OfFiles, OfGarbage])
def test_killed_and_the_registry_is_gone(directory, own_postgres, dockerd, waymark, traefik, kind):
    truth = kind(directory, own_postgres)
    one = waymark(dockerd, registry=truth.config)
    proxy = traefik(waymark=one.port)
    for slot in ("blue", "green"):
        dockerd.run(f"shop-{slot}", labels.waymark("shop", slot=slot))
    proxy.wait_answers("shop.test", ["shop-green"])
    proxy.wait_status("ws.test", 502)
    wait.until(lambda: {"shop-blue", "shop-green", "shop", "ws.test"} <= one.kept(), 5,
               "the state on disk has all of it")
    with load.Load(proxy.port, "shop.test", rate=200) as watch:
        one.kill()
        truth.away()
        one.start(ready=False)
        wait.until(lambda: one.get("/traefik")[0] == 200, 10, "the document from the state")
        wait.stays(lambda: proxy.answers("shop.test", times=1) == {"shop-green"}
                   and proxy.status("ws.test") == 502, 3, "all routes are there without the registry")
        wait.until(lambda: [s for s in one.status()["sources"] if s["name"] == truth.name][0]["status"]
                   == "stale", 10)
        assert one.ready()
        fresh = traefik(waymark=one.port)
        fresh.wait_answers("shop.test", ["shop-green"], timeout=10)

        truth.back()
        truth.change()
        proxy.wait_answers("shop.test", ["shop-blue"], timeout=BACKOFF)
        proxy.wait_status("new.test", 502)
        wait.until(lambda: one.problems() == [], 10)
    assert watch.result["failed"] == 0, load.failures(watch.result)


@pytest.mark.parametrize("kind", [OfPostgres, OfFiles])
def test_first_start_without_the_registry(directory, own_postgres, dockerd, waymark, kind):
    """Not knowing which projects there are is not the same as there being none."""
    truth = kind(directory, own_postgres)
    dockerd.run("shop-green", labels.waymark("shop", slot="green"))
    truth.away()
    one = waymark(dockerd, start=False, registry=truth.config)
    one.start(ready=False)
    wait.stays(lambda: one.get("/traefik")[0] == 503 and not one.ready(), NEVER,
               "503, never an empty one, nor one by labels alone")
    assert one.problems("source-stale", "nothing is published")
    truth.back()
    wait.until(lambda: one.serving("shop.test") == ["shop-green"], 10)
    assert one.ready() and one.get("/traefik")[0] == 200


@pytest.mark.parametrize("unregistered", ["ignore", "route"])
def test_a_registry_that_comes_by_reload_and_is_not_there(
        directory, own_postgres, dockerd, waymark, traefik, unregistered):
    """What was routed without it stays until it has spoken."""
    truth = OfPostgres(directory, own_postgres)
    dockerd.run("shop-green", labels.waymark("shop", slot="green"))
    one = waymark(dockerd)
    proxy = traefik(waymark=one.port)
    proxy.wait_answers("shop.test", ["shop-green"])
    truth.away()
    one.config["registry"] = {**truth.config, "unregistered": unregistered}
    one.reload()
    wait.until(lambda: len(one.status()["sources"]) == 2, 5)
    dockerd.run("thief", labels.waymark("thief", host="ws.test"))
    wait.stays(lambda: proxy.answers("shop.test", times=1) == {"shop-green"}
               and proxy.status("ws.test") == 404, NEVER, "nothing moves before it has spoken")
    truth.back()
    proxy.wait_status("ws.test", 502, timeout=BACKOFF)
    assert proxy.answers("shop.test") == {"shop-green"}


def test_killed_again_and_again_while_it_changes(directory, own_postgres, dockerd, waymark, traefik):
    """What had left, and what had come, is as the tables say, however often it was killed between."""
    truth = OfPostgres(directory, own_postgres)
    one = waymark(dockerd, registry=truth.config, slots={"drain": "1s"})
    proxy = traefik(waymark=one.port)
    for slot in ("blue", "green"):
        dockerd.run(f"shop-{slot}", labels.waymark("shop", slot=slot))
    proxy.wait_answers("shop.test", ["shop-green"])
    with load.Load(proxy.port, "shop.test", rate=100) as watch:
        for i in range(4):
            truth.tables.set_static(f"new-{i}.test", ["http://127.0.0.1:1"])
            if i:
                truth.tables.remove_static(f"new-{i - 1}.test")
            truth.tables.activate("shop", "blue" if i % 2 else "green")
            time.sleep(i * 0.3)  # before and after it has heard, and has written its state
            one.kill()
            one.start()
            wait.until(lambda: {f"new-{i}.test", "ws.test"} == {
                r["host"] for r in one.api("/api/v1/routes") if r["kind"] == "static"}, 10)
            proxy.wait_answers("shop.test", ["shop-blue" if i % 2 else "shop-green"],
                               timeout=BACKOFF)
    assert watch.result["failed"] == 0, load.failures(watch.result)


def test_another_registry_after_sighup(directory, dockerd, waymark, traefik):
    """One in the place of another, under load: what both have is never gone."""
    first = registry.Directory(f"{directory}/first", {"shop": {}, "old": {}}).write()
    second = registry.Directory(f"{directory}/second", {"shop": {}, "new": {}}).write()
    one = waymark(dockerd, registry={"directory": first.path, "unregistered": "ignore"},
                  slots={"drain": "1s"})
    proxy = traefik(waymark=one.port)
    for name in ("shop", "old", "new"):
        dockerd.run(name, labels.waymark(name))
    for name in ("shop", "old"):
        proxy.wait_answers(f"{name}.test", [name])
    with load.Load(proxy.port, "shop.test", rate=200) as watch:
        one.config["registry"]["directory"] = second.path
        one.reload()
        proxy.wait_answers("new.test", ["new"])
        proxy.wait_status("old.test", 404, timeout=10)
        del one.config["registry"]
        one.reload()
        proxy.wait_answers("old.test", ["old"])  # without a registry labels are enough
    assert watch.result["failed"] == 0, load.failures(watch.result)
