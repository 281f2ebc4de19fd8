"""A container with a health path is asked by Waymark itself, and gets traffic as it answers."""

import socket
import threading

import pytest

import labels
import registry
import wait

OFTEN = {"interval": "300ms", "timeout": "200ms"}
NOTICED = 3.0  # two looks of OFTEN, and a machine that is busy


@pytest.fixture
def world(dockerd, waymark, traefik):
    one = waymark(dockerd, probe=OFTEN)
    return one, traefik(waymark=one.port)


def asked(project, path, **more):
    return labels.waymark(project, health_path=path, **more)


def test_a_path_decides(dockerd, world):
    waymark, traefik = world
    web = dockerd.run("web", asked("web", "/healthz"), env={"HEALTH": "bad"})
    traefik.wait_status("web.test", 503)
    problem = wait.until(lambda: waymark.problems("not-ready", "gives 503"), NOTICED)[0]
    assert f"GET http://{web.address()}:8080/healthz gives 503" in problem["what"]

    for _ in range(2):
        web.say("/health/good")
        traefik.wait_answers("web.test", ["web"], timeout=NOTICED)
        web.say("/health/bad")
        traefik.wait_status("web.test", 503, timeout=NOTICED)


def test_it_counts_instead_of_the_engines_check(dockerd, world):
    waymark, traefik = world
    check = {"Interval": 1, "Timeout": 1, "Retries": 1}
    ill = dockerd.run("ill", asked("one", "/"), env={"HEALTH": "bad"}, health=check)
    well = dockerd.run("well", asked("two", "/none"), env={"MISSING": "/none"}, health=check)
    traefik.wait_answers("one.test", ["ill"])
    wait.until(lambda: ill.health() == "unhealthy" and well.health() == "healthy", 20)
    wait.stays(lambda: waymark.serving("one.test") == ["ill"]
               and waymark.serving("two.test") == [], 1)
    assert waymark.problems("unhealthy") == []
    assert "gives 404" in waymark.problems("not-ready", "well")[0]["what"]


def test_a_redirect_is_an_answer_and_not_followed(dockerd, world):
    waymark, traefik = world
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.05)
        lured = []

        def accept():
            while not over.is_set():
                try:
                    lured.append(elsewhere.accept())
                except TimeoutError:
                    pass

        over = threading.Event()
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/"
            dockerd.run("web", asked("web", "/up"), env={"STATUS": "302", "LOCATION": url})
            wait.until(lambda: waymark.serving("web.test") == ["web"], NOTICED)
            wait.stays(lambda: waymark.serving("web.test") == ["web"], 1)
        finally:
            over.set()
            thread.join()
        assert lured == []


def test_who_hangs_delays_nobody(dockerd, waymark, traefik):
    one = waymark(dockerd, probe={"interval": "300ms", "timeout": "5s"})
    proxy = traefik(waymark=one.port)
    for i in range(5):
        dockerd.run(f"mute{i}", asked(f"mute{i}", "/up"), env={"SILENT": "/up"})
    web = dockerd.run("web", asked("web", "/healthz"))
    proxy.wait_answers("web.test", ["web"], timeout=1)
    web.say("/health/bad")
    proxy.wait_status("web.test", 503, timeout=1)
    web.say("/health/good")
    proxy.wait_answers("web.test", ["web"], timeout=1)
    assert [one.serving(f"mute{i}.test") for i in range(5)] == [[]] * 5
    wait.until(lambda: len(one.problems("not-ready", "does not answer in time")) == 5, 10)


def test_codeb_asks_for_a_path_that_may_be_missing(dockerd, world):
    waymark, traefik = world
    for name, env in (("old", {"MISSING": "/api/health"}), ("new", {}), ("ill", {"STATUS": "500"})):
        dockerd.run(f"{name}-production-blue", labels.codeb(name), expose=(3000,),
                    env={"PORT": "3000", **env})
    for name in ("old", "new"):
        traefik.wait_answers(f"{name}.test", [f"{name}-production-blue"])
    wait.until(lambda: waymark.problems("not-ready", "/api/health gives 500"), NOTICED)
    assert waymark.serving("ill.test") == []


def test_a_path_in_the_registry(directory, dockerd, waymark, traefik):
    """It comes, changes and goes while the container serves: nothing is lost unless it fails."""
    production = {"port": 8080}
    files = registry.Directory(f"{directory}/registry", {"web": {
        "environments": {"production": production}}}).write()
    one = waymark(dockerd, probe=OFTEN, registry={"directory": files.path})
    proxy = traefik(waymark=one.port)
    dockerd.run("web", labels.waymark("web"), env={"MISSING": "/none"})
    proxy.wait_answers("web.test", ["web"])

    def serves():
        return proxy.answers("web.test", times=1) == {"web"}

    for path in ("/healthz", "/other"):
        production["health"] = {"path": path}
        files.write()
        wait.stays(serves, 1.5, f"the registry says {path}")
    one.config["probe"] = {**OFTEN, "interval": "400ms"}
    one.reload()
    wait.stays(serves, 1.5, "a reload")

    production["health"] = {"path": "/none"}
    files.write()
    proxy.wait_status("web.test", 503, timeout=NOTICED)
    del production["health"]
    files.write()
    proxy.wait_answers("web.test", ["web"], timeout=NOTICED)
