"""`waymark wait`: it returns when Traefik does what was waited for, and not before."""

import http.client
import subprocess
import threading
import time

import counts
import figures
import labels
import lossy
import native
import registry
import wait as conditions
import waymark as waymark_module

DRAIN = 0.3


class Watch:
    """Asks one host on and on, over connections that stay, and notes who answered."""

    def __init__(self, port, host, threads=2):
        self.port, self.host = port, host
        self.answers = []  # (begun, container or None)
        self.over = False
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for t in self.threads:
            t.join()

    def _run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        while not self.over:
            begun = time.monotonic()
            try:
                connection.request("GET", "/", headers={"Host": self.host})
                answer = connection.getresponse()
                answer.read()
                name = answer.getheader("X-Container") if answer.status == 200 else None
            except (OSError, http.client.HTTPException):
                connection.close()
                name = None
            self.answers.append((begun, name))
            time.sleep(0.002)

    def by(self, container, begun_after):
        return [a for a in self.answers if a[1] == container and a[0] >= begun_after]


class Both:
    """Waymark and Traefik, each knowing where the other is."""

    def __init__(self, engine, waymark, traefik, api=True, network=None, throttle=None, rest=False,
                 **config):
        self.waymark = waymark(engine, start=False, slots={"drain": f"{int(DRAIN * 1000)}ms"},
                               **config)
        self.network = network and network(self.waymark.port)
        poll = self.network.port if network else self.waymark.port
        self.traefik = traefik(start=False, **({"rest": True} if rest else {"waymark": poll}))
        settings = {"http": ["web"]}
        if api:
            settings["api"] = f"http://127.0.0.1:{self.traefik.api_port}"
        if rest:
            settings["push"] = f"http://127.0.0.1:{self.traefik.api_port}"
        if throttle:
            self.traefik.providers["providersThrottleDuration"] = throttle
        self.waymark.config["traefik"] = settings
        self.waymark.start()
        self.traefik.start()

    def command(self, *args, timeout="20s"):
        return ["wait", *args, "--timeout", timeout, "-s", f"127.0.0.1:{self.waymark.port}"]

    def wait(self, *args, timeout="20s"):
        """(exit code, what it said)."""
        done = waymark_module.command(*self.command(*args, timeout=timeout), timeout=100)
        assert not done.stdout
        return done.returncode, done.stderr

    def waited(self, *args, timeout="20s"):
        assert self.wait(*args, timeout=timeout) == (0, "")
        return time.monotonic()


def test_after_run(dockerd, waymark, traefik):
    both = Both(dockerd, waymark, traefik)
    first = dockerd.run("web", labels.waymark("web"))
    both.waited("web.test")
    assert both.traefik.answers("web.test") == {"web"}
    both.waited("web.test", "--container", "web")
    both.waited("web.test", "--container", first.id[:12])
    both.waited("WEB.test", "--container", first.id)

    second = dockerd.run("second", labels.waymark("web"))
    both.waited("web.test", "--container", second.id[:20])
    assert both.traefik.answers("web.test") == {"web", "second"}


def test_drained(dockerd, waymark, traefik):
    """The one that is told to stop serves on for a while; nothing comes any more before that ends."""
    both = Both(dockerd, waymark, traefik)
    dockerd.run("web", labels.waymark("web", host="also.test"))
    old = dockerd.run("old", labels.waymark("web", host="also.test"),
                      env={"SERVE_AFTER_TERM": "8"})
    both.waited("web.test", "--container", "old")
    code, said = both.wait("web.test", "--container", "old", "--drained", timeout="300ms")
    assert code == 1
    assert "not within 300ms: container old still serves web.test, also.test" in said, said
    with Watch(both.traefik.port, "web.test") as watch:
        stopping = threading.Thread(target=old.stop, args=(10,))
        stopping.start()
        drained = both.waited("web.test", "--container", "old", "--drained")
        assert old.running()
        assert both.traefik.answers("also.test") == {"web"}
        stopping.join()
    assert not watch.by("old", drained - DRAIN)
    assert not watch.by(None, 0)
    # it is gone, and that stays so
    assert both.waited("web.test", "--container", old.id, "--drained")


def test_what_it_waits_for(dockerd, waymark, traefik):
    both = Both(dockerd, waymark, traefik)
    dockerd.run("web", labels.waymark("web"))
    both.waited("web.test")
    for args, want in [
            (["none.test"], "none.test has no route"),
            (["web.test", "--container", "x"], "not served by container x, but by web"),
            (["web.test", "--slot", "blue"], "not served by slot blue, but by web")]:
        code, said = both.wait(*args, timeout="200ms")
        assert code == 1 and want in said and said.count("\n") == 1, said
    for args, want in [
            (["web.test", "--drained"], "--container or --slot"), (["a_b"], "HOST"),
            (["web.test", "--slot", "A b"], "--slot"), ([], "missing")]:
        code, said = both.wait(*args)
        assert code == 2 and want in said, said
    assert both.wait("web.test", timeout="soon")[0] == 2

    both.traefik.stop()
    dockerd.run("late", labels.waymark("late"))
    conditions.until(lambda: both.waymark.serving("late.test"), 10)
    code, said = both.wait("late.test", timeout="1s")
    assert code == 1 and "traefik has not applied revision" in said
    both.traefik.start()
    both.waited("late.test")
    assert both.traefik.answers("late.test") == {"late"}

    both.waymark.stop()
    code, said = both.wait("web.test")
    assert code == 3 and "cannot be reached" in said


def test_waymark_starts_anew_meanwhile(dockerd, waymark, traefik):
    both = Both(dockerd, waymark, traefik)
    argv = [native.waymark(), *both.command("web.test", timeout="30s")]
    waiting = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    both.waymark.kill()
    time.sleep(0.3)
    assert waiting.poll() is None
    both.waymark.start()
    dockerd.run("web", labels.waymark("web"))
    assert waiting.wait(30) == 0 and not waiting.stderr.read()
    assert both.traefik.answers("web.test") == {"web"}


def test_traefik_starts_anew(dockerd, waymark, traefik):
    """What it forgot has to be brought again before it counts."""
    both = Both(dockerd, waymark, traefik)
    dockerd.run("web", labels.waymark("web"))
    both.waited("web.test")
    both.traefik.stop()
    both.traefik.start()
    conditions.until(lambda: both.waymark.status()["converged"], 10)
    both.waited("web.test")
    assert both.traefik.answers("web.test") == {"web"}


def test_empty_world(dockerd, waymark, traefik):
    """The document of an empty world is in force as well as any other."""
    both = Both(dockerd, waymark, traefik)
    both.traefik.wait_status("web.test", 404)
    conditions.until(lambda: both.waymark.status()["converged"], 10)
    assert both.waymark.document()["http"].keys() == {"middlewares"}


def test_pushed(dockerd, waymark, traefik):
    both = Both(dockerd, waymark, traefik, rest=True, throttle="1s")
    for name in ("one", "two", "three"):
        dockerd.run(name, labels.waymark(name))
        both.waited(f"{name}.test")
        assert both.traefik.answers(f"{name}.test") == {name}


def test_without_the_api(dockerd, waymark, traefik):
    """Nobody can be asked: a poll and 2.5 s stand for it, even with the default throttle."""
    both = Both(dockerd, waymark, traefik, api=False, throttle="2s")
    dockerd.run("first", labels.waymark("first"))
    both.waited("first.test")
    dockerd.run("web", labels.waymark("web"))
    conditions.until(lambda: both.waymark.serving("web.test"), 10)
    served = time.monotonic()
    returned = both.waited("web.test")
    assert returned - served > 2.3
    assert both.traefik.answers("web.test") == {"web"}


def test_never_early(dockerd, waymark, traefik, directory):
    """The route switches to and fro, while polls get lost, come late and come again."""
    files = registry.Directory(f"{directory}/registry", {
        "shop": {"environments": {"production": {"port": 8080, "slots": True}}}})
    files.activate("shop", "blue")
    for slot in ("blue", "green"):
        dockerd.run(slot, labels.waymark("shop", slot=slot))
    both = Both(dockerd, waymark, traefik, network=lossy.Lossy, throttle="100ms",
                registry={"directory": files.path})
    both.waited("shop.test", "--slot", "blue", timeout="60s")
    took = []
    with Watch(both.traefik.port, "shop.test") as watch:
        for i in range(counts.WAIT_ROUNDS):
            old, new = ("blue", "green") if i % 2 == 0 else ("green", "blue")
            begun = time.monotonic()
            files.activate("shop", new)
            routed = both.waited("shop.test", "--slot", new, timeout="90s")
            assert both.traefik.answers("shop.test", times=2) == {new}, f"round {i}"
            took.append(routed - begun)
            drained = both.waited("shop.test", "--slot", old, "--drained", timeout="90s")
            assert both.traefik.answers("shop.test", times=2) == {new}, f"round {i}"
            assert not watch.by(old, routed), f"round {i}"
            assert not watch.by(old, drained - DRAIN), f"round {i}"
            watch.answers.clear()
    took.sort()
    figures.note("`waymark wait` over a network that loses, delays and repeats polls",
                 f"{counts.WAIT_ROUNDS} rounds", early=0,
                 median=figures.milliseconds(figures.percentile(took, 0.5)),
                 p99=figures.milliseconds(figures.percentile(took, 0.99)),
                 polls=str(both.network.met).strip("{}").replace("'", ""))
