"""The tests' own tools: they count what fails, notice what is broken, and leave nothing behind."""

import os
import subprocess
import time

import pytest

import engines
import http_unix
import load
import native
import ports
import postgres
import process
import wait
import waymark as waymark_module
import websockets


def links():
    out = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
    return {line.split(": ")[1].split("@")[0] for line in out.splitlines()}


def mounts():
    with open("/proc/self/mounts") as f:
        return {line.split()[1] for line in f}


@pytest.mark.parametrize("cls, ending", [
    (engines.Dockerd, "in good order"), (engines.Dockerd, "killed"),
    (engines.Dockerd, "killed, and broken for good"),
    (engines.Podman, "in good order"), (engines.Podman, "killed")])
def test_an_engine_leaves_nothing_behind(directory, cls, ending):
    engine = cls(f"{directory}/e")
    engine.start()
    bridges = set(engine.bridges)
    one = engine.run("one")
    two = engine.run("two", networks=[engine.network, engine.network_create("second")])
    pids = [c.inspect()["State"]["Pid"] for c in (one, two)]
    two.pause()
    bridges |= engine.bridges
    assert bridges <= links()
    assert any(m.startswith(engine.directory) for m in mounts())
    if ending != "in good order":
        engine.kill()
    if "broken" in ending:
        engine.argv = lambda: ["false"]
    engine.destroy()
    assert not bridges & links()
    assert not process.holding(engine.directory)
    assert all(process.ended(pid) for pid in pids)
    assert not [m for m in mounts() if m.startswith(engine.directory)]
    assert not os.path.exists(engine.directory)


@pytest.mark.parametrize("ending", ["in good order", "by force"])
def test_published_ports_are_forgotten(directory, ending):
    """They are rules of the machine's: of one that stayed, the next to get the port would suffer."""
    engine, port = engines.Podman(f"{directory}/e"), ports.free()
    engine.start()
    try:
        one = engine.run("one", publish={8080: port})
        namespace = one.inspect()["NetworkSettings"]["SandboxKey"]
        assert os.path.exists(namespace)
        wait.until(lambda: http_unix.ask(port, "GET", "/")[0] == 200, 5, "the port answers")
        assert engine.suffix in engines.nat("-S")
        if ending == "by force":
            engine.kill()
            engine.argv = lambda: ["false"]
    finally:
        engine.destroy()
    assert engine.suffix not in engines.nat("-S")
    assert f"--dport {port}" not in engines.nat("-S")
    assert not os.path.exists(namespace)


@pytest.fixture
def backend(directory):
    """Makes backends that are ordinary processes: (process, port)."""
    made = []

    def make(**env):
        port = ports.free()
        one = process.Process([native.backend()], f"{directory}/backend.log",
                              env={"PORT": str(port), "NAME": "b", **env}).start()
        made.append(one)
        return one, port
    yield make
    for one in made:
        one.kill()


def test_the_load_counts_every_failure(backend):
    one, port = backend()
    with load.Load(port, "x", connections=4, rate=200) as watch:
        watch.wait_first("b")
        one.kill()
        wait.stays(lambda: True, 0.5)
    result = watch.result
    assert result["failed"] > 50
    assert result["ok"] + result["failed"] == result["requests"]
    assert set(result["reasons"]) <= {"refused", "closed", "reset"}
    assert len(result["failures"]) == result["failed"]


def test_the_load_knows_when_the_last_request_began(backend):
    _, port = backend()
    with load.Load(port, "x", connections=2, rate=200) as watch:
        began = watch.wait_first("b")
        wait.stays(lambda: True, 0.3)
    asked = watch.last_sent("b")
    assert began + 0.2 < asked < watch.last("b")


def test_the_load_knows_a_bad_status(backend):
    _, port = backend(STATUS="503")
    with load.Load(port, "x", rate=200) as watch:
        wait.stays(lambda: True, 0.3)
    assert watch.result["ok"] == 0
    assert set(watch.result["reasons"]) == {"status 503"}


def test_the_backend_serves_on_after_sigterm(backend):
    one, port = backend(SERVE_AFTER_TERM="1")
    with load.Load(port, "x", connections=2, rate=200) as watch:
        watch.wait_first("b")
        one.signal(15)
        wait.stays(lambda: one.running, 0.8)
    assert watch.result["failed"] == 0
    assert one.popen.wait(5) == 0


def test_a_websocket_says_when_and_why_it_ends(backend):
    one, port = backend(SERVE_AFTER_TERM="1")
    with websockets.WebSockets(port, "x", clients=3) as sockets:
        wait.until(lambda: len(sockets.open()) == 3 and all(c.echoes > 5 for c in sockets.open()), 5)
        one.signal(15)
        told = time.monotonic()
        one.popen.wait(5)
        gone = time.monotonic()
        wait.until(lambda: not sockets.open(), 5)
    first = sockets.of("b")
    assert len(first) == 3 and all(0.9 < c.ended - told < gone - told + 0.1 for c in first), first
    assert sockets.silence() < 0.5
    refused = [c for c in sockets.ended() if c.container is None]
    assert refused and all("refused" in c.why or "Connect" in c.why for c in refused)


def test_a_websocket_that_is_not_to_be_had(backend):
    _, port = backend(STATUS="503")
    with websockets.WebSockets(port, "x", clients=1) as sockets:
        wait.until(lambda: len(sockets.ended()) > 2, 5)
    assert {c.why for c in sockets.ended()} == {"status 503"}
    assert not sockets.open()


@pytest.mark.parametrize("mess", ["==1==ERROR: AddressSanitizer: heap-use-after-free",
                                  "waymark: plan.c:12: plan_add: Assertion n failed.",
                                  "x.c:1:2: runtime error: signed integer overflow"])
def test_a_broken_waymark_is_noticed(directory, mess):
    one = waymark_module.Waymark(f"{directory}/w", {})
    one.process.argv = ["/bin/sh", "-c", f"echo '{mess}' >&2"]
    one.process.start().popen.wait()
    with pytest.raises(AssertionError, match="in Waymark's log"):
        one.stop()


def test_a_postgres_leaves_nothing_behind(directory):
    namespace = postgres.Namespace().create()
    try:
        server = postgres.Postgres(f"{directory}/pg", namespace).start()
        assert server.sql("SELECT 1") == [(1,)]
        pids = server.pids()
        assert len(pids) > 1
        server.sigstop()
        server.destroy()
        assert all(map(process.ended, pids))
        assert not os.path.exists(server.directory)
    finally:
        namespace.destroy()
    assert namespace.wire not in links()
    assert not os.path.exists(f"/run/netns/{namespace.name}")


def test_a_cut_network_says_nothing(directory):
    """A connection that is there hangs, a new one gets no answer, the tests' own goes on."""
    namespace = postgres.Namespace().create()
    server = postgres.Postgres(f"{directory}/pg", namespace)
    try:
        server.start()
        client = postgres.psycopg2.connect(server.url(tcp_user_timeout=1000))
        cursor = client.cursor()
        cursor.execute("SELECT 1")
        namespace.cut()
        assert server.sql("SELECT 2") == [(2,)]
        with pytest.raises(postgres.psycopg2.OperationalError, match="timed out|timeout"):
            cursor.execute("SELECT 3")
        with pytest.raises(postgres.psycopg2.OperationalError, match="timeout expired"):
            postgres.psycopg2.connect(server.url(connect_timeout=2))
        namespace.heal()
        postgres.psycopg2.connect(server.url(connect_timeout=2)).close()
    finally:
        server.destroy()
        namespace.destroy()


def test_a_transaction_pooler_forgets_who_listens(own_postgres, pgbouncer):
    pool = pgbouncer(own_postgres)
    client = postgres.psycopg2.connect(pool.url())
    client.autocommit = True
    cursor = client.cursor()
    cursor.execute("LISTEN news")
    assert len(own_postgres.backends()) == 1
    own_postgres.sql("NOTIFY news")
    wait.until(lambda: not own_postgres.backends(), 10, "the pooler closes what it does not need")
    cursor.execute("SELECT pg_listening_channels()")
    assert cursor.fetchall() == []
    client.close()
