"""The MVP backend's own tables, without a change to them: an app's host goes to the newest deployment
that is `running` and ready.  Four variables are all of the configuration."""

import time

import pytest

import labels
import load
import registry
import wait


def environment(engine, database, **more):
    return {"WAYMARK_PLATFORMS": "mvp", "DATABASE_URL": database.url(), "DOCKER_HOST": engine.host,
            "BASE_DOMAIN": "test", **more}


class Mvp:
    def __init__(self, apps, waymark, traefik):
        self.apps, self.waymark, self.traefik = apps, waymark, traefik

    def answers(self, app, name, timeout=5):
        """The app's host, and the deployment's own."""
        self.traefik.wait_answers(f"{app}.test", [name], timeout=timeout)
        self.traefik.wait_answers(f"{name}.test", [name])

    def stays(self, app, name, seconds=1.5):
        wait.stays(lambda: self.traefik.answers(f"{app}.test", times=1) == {name}, seconds,
                   f"{app}.test is {name}'s")


@pytest.fixture
def start(dockerd, waymark, traefik, database):
    def make(**more):
        apps = registry.Apps(database, dockerd)
        apps.add("shop")
        one = waymark(file="/dev/null", env=environment(dockerd, database, **more))
        return Mvp(apps, one, traefik(waymark=one.port))
    return make


def test_the_newest_that_runs_and_is_ready(start):
    mvp = start()
    first, _ = mvp.apps.deploy("shop", "running")
    mvp.answers("shop", first)

    # building: the container is there, and nobody is sent to it
    second, _ = mvp.apps.deploy("shop", "building")
    mvp.stays("shop", first)
    assert mvp.traefik.status(f"{second}.test") in (404, 503)
    mvp.apps.set(second, "running")
    mvp.answers("shop", second)

    # the one before keeps its own URL
    assert mvp.traefik.answers(f"{first}.test") == {first}


def test_running_but_not_ready_waits(start):
    mvp = start()
    first, _ = mvp.apps.deploy("shop", "running")
    mvp.answers("shop", first)
    with load.Load(mvp.traefik.port, "shop.test", rate=200) as watch:
        before = time.monotonic()
        second, _ = mvp.apps.deploy("shop", "running", env={"DELAY_MS": "3000"})
        mvp.stays("shop", first, 2)
        mvp.answers("shop", second, timeout=10)
        assert time.monotonic() - before >= 3
    assert watch.result["failed"] == 0, load.failures(watch.result)


def test_failed_never_takes_a_route(start):
    mvp = start()
    first, _ = mvp.apps.deploy("shop", "running")
    mvp.answers("shop", first)
    failed, _ = mvp.apps.deploy("shop", "building")
    mvp.apps.set(failed, "failed")
    mvp.stays("shop", first, 2)
    assert mvp.traefik.status(f"{failed}.test") in (404, 503)
    assert mvp.waymark.serving(f"{failed}.test") == []

    # one that runs, and then fails, gives it back
    second, _ = mvp.apps.deploy("shop", "running")
    mvp.answers("shop", second)
    mvp.apps.set(second, "failed")
    mvp.answers("shop", first)


def test_a_container_that_dies_gives_it_back(start):
    mvp = start()
    first, _ = mvp.apps.deploy("shop", "running")
    second, container = mvp.apps.deploy("shop", "running")
    mvp.answers("shop", second)
    container.kill()
    mvp.answers("shop", first)
    container.start()
    mvp.answers("shop", second)


def test_each_deployment_keeps_its_own_url(start):
    mvp = start()
    names = [mvp.apps.deploy("shop", "running")[0] for _ in range(4)]
    mvp.answers("shop", names[-1])
    for name in names:
        mvp.traefik.wait_answers(f"{name}.test", [name])


def test_a_deleted_app_leaves_after_the_drain(start):
    """Its container may still run: it is nobody's now."""
    mvp = start(WAYMARK_SLOTS_DRAIN="3s", WAYMARK_REGISTRY_UNREGISTERED="ignore")
    first, _ = mvp.apps.deploy("shop", "running")
    mvp.apps.add("blog")
    blog, _ = mvp.apps.deploy("blog", "running")
    mvp.apps.add("third")
    mvp.answers("shop", first)
    mvp.answers("blog", blog)
    with load.Load(mvp.traefik.port, "shop.test", rate=100) as watch:
        mvp.apps.delete("shop")
        mvp.stays("shop", first, 2.5)
    assert watch.result["failed"] == 0, load.failures(watch.result)
    mvp.traefik.wait_status("shop.test", 404, timeout=10)
    mvp.traefik.wait_status(f"{first}.test", 404)
    assert mvp.traefik.answers("blog.test") == {blog}


def test_a_deleted_app_that_returns_was_never_gone(start):
    mvp = start(WAYMARK_SLOTS_DRAIN="3s", WAYMARK_REGISTRY_UNREGISTERED="ignore")
    first, container = mvp.apps.deploy("shop", "running")
    mvp.apps.add("blog")
    mvp.apps.add("third")
    mvp.answers("shop", first)
    with load.Load(mvp.traefik.port, "shop.test", rate=100) as watch:
        mvp.apps.delete("shop")
        mvp.stays("shop", first, 1.5)
        number = mvp.apps.add("shop")
        mvp.apps.database.sql("INSERT INTO deployments (id, app_id, status, subdomain, container_id)"
                              " VALUES (1, %s, 'running', %s, %s)", number, first, container.id)
        mvp.stays("shop", first, 4)
    assert watch.result["failed"] == 0, load.failures(watch.result)


def test_without_the_database_the_newest_ready_container(dockerd, waymark, traefik):
    """No DATABASE_URL: what the containers' labels say is all there is."""
    one = waymark(file="/dev/null", env={"WAYMARK_PLATFORMS": "mvp", "DOCKER_HOST": dockerd.host,
                                         "BASE_DOMAIN": "test", "DATABASE_URL": ""})
    proxy = traefik(waymark=one.port)
    dockerd.run("shop-41", labels.mvp("shop-41"))
    proxy.wait_answers("shop.test", ["shop-41"])
    proxy.wait_answers("shop-41.test", ["shop-41"])
    second = int(time.time())  # in which lists tell the age
    wait.until(lambda: int(time.time()) > second, 2)
    dockerd.run("shop-42", labels.mvp("shop-42"))
    proxy.wait_answers("shop.test", ["shop-42"])
    proxy.wait_answers("shop-41.test", ["shop-41"])
