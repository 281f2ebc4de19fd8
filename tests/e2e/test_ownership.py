"""One owner for each host and path, and it stays the owner."""

import time

import labels
import wait


def taken(waymark, name):
    return [p for p in waymark.problems("host-taken") if name in p["object"]]


def test_the_first_keeps_the_host(world):
    world.engine.run("first", labels.waymark("first", host="site.test"))
    world.traefik.wait_answers("site.test", ["first"])

    world.engine.run("second", labels.waymark("second", host="site.test"))
    world.traefik.wait_answers("second.test", ["second"])  # what it has by itself, it has
    assert world.traefik.answers("site.test", times=10) == {"first"}
    problem, = taken(world.waymark, "second")
    assert problem["host"] == "site.test"
    assert "first" in problem["what"]  # says who has it


def test_of_two_first_seen_in_one_look_the_older_container_wins(dockerd, waymark):
    older = dockerd.create("zz-older", labels.waymark("one", host="site.test"))
    second = int(time.time())  # in which lists tell the age
    wait.until(lambda: int(time.time()) > second, 2)
    younger = dockerd.create("aa-younger", labels.waymark("two", host="site.test"))
    younger.start()
    older.start()
    for _ in range(2):  # each with a ledger that knows nothing
        one = waymark(dockerd)
        assert one.serving("site.test") == ["zz-older"]
        assert taken(one, "aa-younger")


def test_a_restart_keeps_the_owner(dockerd, waymark, traefik):
    """The ledger counts, not the age of the container, once Waymark has seen who came first."""
    one = waymark(dockerd)
    proxy = traefik(waymark=one.port)
    older = dockerd.create("older", labels.waymark("late", host="site.test"))
    dockerd.run("younger", labels.waymark("early", host="site.test"))
    proxy.wait_answers("site.test", ["younger"])
    older.start()
    wait.until(lambda: taken(one, "older"), 5)

    one.restart()
    assert one.serving("site.test") == ["younger"]
    wait.until(lambda: taken(one, "older"), 5)
    assert proxy.answers("site.test") == {"younger"}


def test_a_stopped_container_keeps_its_host_for_a_while(world):
    """It answers 503, not 404, and nobody else gets it meanwhile."""
    web = world.engine.run("web", labels.waymark("web", host="site.test"))
    world.traefik.wait_answers("site.test", ["web"])
    world.engine.run("waiting", labels.waymark("waiting", host="site.test"))
    world.traefik.wait_answers("waiting.test", ["waiting"])

    web.stop()
    world.traefik.wait_status("site.test", 503, timeout=1)
    assert world.traefik.status("nobody.test") == 404
    wait.stays(lambda: world.traefik.status("site.test") == 503, 2)

    web.start()
    world.traefik.wait_answers("site.test", ["web"], timeout=1)


def test_the_loser_gets_the_host_when_the_owner_has_gone(world):
    web = world.engine.run("web", labels.waymark("web", host="site.test"))
    world.traefik.wait_answers("site.test", ["web"])
    world.engine.run("waiting", labels.waymark("waiting", host="site.test"))
    world.traefik.wait_answers("waiting.test", ["waiting"])
    web.remove()
    wait.until(lambda: world.traefik.status("site.test") == 503, 2)
    wait.stays(lambda: world.traefik.status("site.test") == 503, 50)
    world.traefik.wait_answers("site.test", ["waiting"], timeout=30)
    assert taken(world.waymark, "waiting") == []


def test_one_project_may_split_a_host_by_path(world):
    front = labels.compose("codex", "frontend", port=8080, host="app.test")
    back = labels.compose("codex", "backend", port=8080, host="app.test", path="/api")
    world.engine.run("codex-frontend-1", front)
    world.engine.run("codex-backend-1", back)
    world.traefik.wait_answers("app.test", ["codex-backend-1"], path="/api/users")
    world.traefik.wait_answers("app.test", ["codex-frontend-1"], path="/")
    assert world.traefik.answers("app.test", "/api") == {"codex-backend-1"}
    # a prefix ends where a segment ends
    assert world.traefik.answers("app.test", "/apple") == {"codex-frontend-1"}
    # and the backend sees the path as it was asked for
    assert "/api/users" in world.traefik.get("app.test", "/api/users")[2]


def test_a_path_can_be_stripped(world):
    world.engine.run("files", labels.waymark("files", host="app.test", path="/files",
                                             path_strip="true"))
    world.traefik.wait_answers("app.test", ["files"], path="/files/x")
    assert world.traefik.get("app.test", "/files/x")[2].split()[-1] == "/x"


def test_another_project_may_not(world):
    """The whole host is its owner's, or a neighbour could sit under the paths of a login."""
    world.engine.run("owner", labels.waymark("owner", host="app.test"))
    world.traefik.wait_answers("app.test", ["owner"])
    world.engine.run("mallory", labels.waymark("mallory", host="app.test", path="/login"))
    wait.until(lambda: taken(world.waymark, "mallory"), 5)
    assert world.traefik.answers("app.test", "/login") == {"owner"}


def test_two_engines_are_one_world(dockerd, podman, waymark, traefik):
    one = waymark(dockerd, podman)
    proxy = traefik(waymark=one.port)
    dockerd.run("on-docker", labels.waymark("shop"))
    proxy.wait_answers("shop.test", ["on-docker"])
    podman.run("on-podman", labels.waymark("shop"))
    proxy.wait_answers("shop.test", ["on-docker", "on-podman"])

    podman.run("thief", labels.waymark("thief", host="shop.test"))
    wait.until(lambda: taken(one, "thief"), 5)
    assert proxy.answers("shop.test", times=8) == {"on-docker", "on-podman"}

    dockerd.clean()
    proxy.wait_answers("shop.test", ["on-podman"])
