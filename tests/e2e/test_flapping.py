"""A container that is ready and not ready all the time makes a bounded number of documents, and one
that does nothing unusual is not taken for such a one."""

import hashlib
import http.client
import os
import sys
import threading
import time

import pytest

import counts
import figures
import labels
import wait

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "bench"))
import fake  # noqa: E402

TABLE = "Documents while a container swings"
# one without the host, then five times there and five times not; the rest is for slow machines
DOCUMENTS_MAX = 40


class Documents:
    """Counts the documents that a proxy gets which holds its polls."""

    def __init__(self, waymark):
        self.waymark, self.seen, self.over = waymark, [], False
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def _follow(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.waymark.port, timeout=10)
        while not self.over:
            connection.request("GET", "/traefik?wait=1s&edge=counting")
            answer = connection.getresponse()
            digest = hashlib.sha256(answer.read()).digest()
            if answer.status == 200 and digest != (self.seen or [None])[-1]:
                self.seen.append(digest)
        connection.close()

    def __enter__(self):
        self.began = self.waymark.process.text().count(" reconciled rev=")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.snapshots = self.waymark.process.text().count(" reconciled rev=") - self.began

    def judge(self, what, **values):
        figures.note(TABLE, what, seconds=counts.FLAPPING_SECONDS, **values,
                     documents=len(self.seen), snapshots=self.snapshots)
        assert 2 <= len(self.seen) <= DOCUMENTS_MAX


def until_over():
    """Numbers, as long as it is to go on."""
    deadline, n = time.monotonic() + counts.FLAPPING_SECONDS, 0
    while time.monotonic() < deadline:
        yield n
        n += 1


def is_damped(waymark, host="web.test"):
    route = waymark.route(host)
    return waymark.problems("flapping") and not any(
        s["state"] == "serving" for s in route["servers"])


def test_dies_every_second(directory, waymark):
    """A true second: engines wait longer and longer before they restart a container."""
    with fake.Fake(directory) as engine:
        words = " ".join(f"{k}={v}" for k, v in labels.waymark("web").items())
        web, = engine.tell(f"create web {words}")
        steady, = engine.tell("create steady waymark.project=steady waymark.port=8080")
        one = waymark(engines=[{"name": "e", "host": f"unix://{engine.socket}"}])
        for command in (f"start {steady}", f"health {steady} healthy"):
            engine.tell(command)
        wait.until(lambda: one.serving("steady.test") == ["steady"], 5)
        with Documents(one) as documents:
            for n in until_over():
                began = time.monotonic()
                engine.tell(f"start {web}")
                engine.tell(f"health {web} healthy")
                time.sleep(max(0, 0.8 - (time.monotonic() - began)))
                engine.tell(f"die {web}")
                time.sleep(max(0, 1 - (time.monotonic() - began)))
                if n == 10:
                    assert is_damped(one)
                    problem, = one.problems("flapping")
                    assert "web" in problem["object"]
                assert one.serving("steady.test") == ["steady"]
        documents.judge("dies every second (an engine that restarts it at once)", deaths=n + 1)


def test_crash_loop(engine, waymark):
    one = waymark(engine)
    with Documents(one) as documents:
        web = engine.run("web", labels.waymark("web"), env={"END_AFTER_MS": 1000},
                         restart="always")
        wait.until(lambda: is_damped(one), 25, "it is damped")
        first, = one.problems("flapping")
        for _ in until_over():
            time.sleep(1)
        restarts = web.inspect()["RestartCount"]
    documents.judge(f"exits after a second, {engine.kind} restarts it", deaths=restarts)
    assert restarts >= 5 and first["object"] == one.problems("flapping")[0]["object"]


def wait_health(container, status):
    wait.until(lambda: container.health() == status, 20, f"{container.name} is {status}",
               every=0.05)


def test_health_swings(dockerd, waymark):
    """And it serves again when it has been well for a while."""
    one = waymark(dockerd)
    web = dockerd.run("web", labels.waymark("web"),
                      health={"Interval": 1, "Timeout": 1, "Retries": 1})
    wait_health(web, "healthy")
    with Documents(one) as documents:
        for n in until_over():
            web.say("/health/bad")
            wait_health(web, "unhealthy")
            web.say("/health/good")
            wait_health(web, "healthy")
            if n == 5:
                wait.until(lambda: is_damped(one), 1)
                server, = one.route("web.test")["servers"]
                assert (server["state"], server["health"]) == ("damped", "flapping")
    documents.judge("its health swings, docker", deaths=n + 1)
    assert is_damped(one)
    one.restart()
    assert is_damped(one)


def test_it_comes_back(dockerd, waymark, traefik):
    one = waymark(dockerd)
    front = traefik(waymark=one.port)
    web = dockerd.run("web", labels.waymark("web"),
                      health={"Interval": 1, "Timeout": 1, "Retries": 1})
    for _ in range(5):
        wait_health(web, "healthy")
        front.wait_status("web.test", 200)
        web.say("/health/bad")
        wait_health(web, "unhealthy")
        front.wait_status("web.test", 503)
        web.say("/health/good")
    wait_health(web, "healthy")
    wait.until(lambda: is_damped(one), 2)
    assert front.status("web.test") == 503
    front.wait_answers("web.test", ["web"], timeout=12)
    assert one.problems("flapping") == []


@pytest.mark.parametrize("how", ["restart", "stop and start", "redeploy"])
def test_what_is_told_is_no_fault(dockerd, waymark, how):
    one = waymark(dockerd)
    web = dockerd.run("web", labels.waymark("web"))
    for _ in range(8):
        wait.until(lambda: one.serving("web.test") == ["web"], 5)
        if how == "restart":
            web.restart(timeout=1)
        elif how == "stop and start":
            web.stop(1)
            web.start()
        else:
            web.remove()
            web = dockerd.run("web", labels.waymark("web"))
    wait.until(lambda: one.serving("web.test") == ["web"], 5)
    assert one.problems("flapping") == []
