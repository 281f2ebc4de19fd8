"""Deploy, promote, clean up, again and again, by the scripts of examples/codeb, with real Podman and
Traefik: nobody who keeps asking, or holds a WebSocket, may notice."""

import os
import signal
import subprocess
import time

import pytest

import codeb
import counts
import figures
import load
import native
import ports
import wait
import websockets

TABLE = "Rounds of deploy, promote and cleanup, under load"
IMAGE = "myapp:any"  # who answers says the container's id
RATE = 300
SOCKETS = 20


@pytest.fixture
def machine(podman, waymark, traefik, directory):
    """Version 1 runs in blue, behind Traefik."""
    podman.image_import(IMAGE, {"backend": native.backend()}, ["/backend"], env={"PORT": "3000"})
    proxy = traefik(start=False)
    one = codeb.Machine(podman, directory, proxy.api_port)
    one.run_blue(IMAGE)
    one.waymark = waymark(file=codeb.CONFIG, env=one.settings)
    one.uses(one.waymark)
    proxy.take_from(one.waymark.port)
    one.traefik = proxy.start()
    one.traefik.wait_answers(one.host, [id_of(one, "blue")], timeout=20)
    return one


def id_of(machine, slot):
    """What the container of a slot answers with."""
    name = f"{machine.project}-{machine.environment}-{slot}"
    return machine.podman.call("GET", f"/containers/{name}/json")["Id"][:12]


def keep_journal(machine, path):
    """Of every call of podman, with its time; its reader gives the last stop's, in the time of
    time.monotonic()."""
    podman = f"{machine.bin}/podman"
    os.rename(podman, podman + ".real")
    with open(podman, "w") as f:
        f.write(f'#!/bin/sh\necho "$(date +%s.%N) $1" >>{path}\nexec {podman}.real "$@"\n')
    os.chmod(podman, 0o755)

    def stopped():
        with open(path) as f:
            told = [line.split() for line in f if line.endswith(" stop\n")]
        return float(told[-1][0]) - (time.time() - time.monotonic())
    return stopped


def play_round(machine, old, stopped):
    """(the new slot, when the container of the old one was told to stop, seconds)"""
    began = time.monotonic()
    machine.deploy(IMAGE)
    machine.cleanup()
    return "green" if old == "blue" else "blue", stopped(), time.monotonic() - began


def early(sockets, told):
    """WebSockets that ended before their container was told to, or that were never open."""
    return [c for c in sockets.ended() if c.container is None or c.ended < told[c.container]]


def late(result, served):
    """Pairs of which the old one still answered a request that began after the new one's first
    answer."""
    of = result["containers"]
    return [(old, new, of[old]["last_sent"] - of[new]["first"])
            for old, new in zip(served, served[1:]) if of[old]["last_sent"] > of[new]["first"]]


def test_rounds_that_nobody_notices(machine, directory):
    stopped, slot, told, taken = keep_journal(machine, f"{directory}/podman.log"), "blue", {}, []
    served = [id_of(machine, slot)]
    with load.Load(machine.traefik.port, machine.host, connections=8, rate=RATE) as watch, \
            websockets.WebSockets(machine.traefik.port, machine.host, SOCKETS) as sockets:
        wait.until(lambda: len(sockets.open()) == SOCKETS, 10, "every WebSocket is open")
        for _ in range(counts.ROUNDS):
            slot, told[served[-1]], seconds = play_round(machine, slot, stopped)
            taken.append(seconds)
            served.append(id_of(machine, slot))
            wait.until(lambda: len(sockets.open()) == SOCKETS and
                       {c.container for c in sockets.open()} == {served[-1]}, 10,
                       lambda: f"every WebSocket is at {served[-1]}: {sockets.open()}")
    figures.note(TABLE, f"{RATE} requests a second, {SOCKETS} WebSockets", rounds=counts.ROUNDS,
                 requests=watch.result["requests"], failed=watch.result["failed"],
                 websockets=len(sockets.connections), early=len(early(sockets, told)),
                 a_round=f"{figures.percentile(taken, 0.5):.1f} s",
                 slowest_answer=f"{watch.result['max_ms']:.0f} ms",
                 longest_silence=figures.milliseconds(sockets.silence()))
    assert watch.result["failed"] == 0, load.failures(watch.result)
    assert set(watch.result["containers"]) == set(served)
    assert late(watch.result, served) == []
    assert early(sockets, told) == []


def unchanged(machine, before):
    """Production is where it was, and nothing is left of the deploy."""
    machine.traefik.wait_answers(machine.host, [before])
    names = [c.name for c in machine.podman.containers()]
    assert names == ["myapp-production-blue"], names
    assert "green  empty" in machine.slot("list")


def test_a_deploy_that_fails_changes_nothing(machine):
    """The image listens nowhere: the script gives up, and leaves nothing; also when it is told to end."""
    before = id_of(machine, "blue")
    machine.podman.image_import("myapp:deaf", {"backend": native.backend()}, ["/backend"],
                                env={"PORT": str(ports.free())})
    machine.env["PATIENCE"] = "2s"
    said = machine.command("deploy", machine.project, machine.environment, "myapp:deaf")
    assert said.returncode and "giving up" in said.stderr, said
    unchanged(machine, before)

    machine.env["PATIENCE"] = "60s"
    script = subprocess.Popen(["deploy", machine.project, machine.environment, "myapp:deaf"],
                              env=machine.env, start_new_session=True)
    wait.until(lambda: id_of(machine, "green"), 20, "it has started the container")
    os.killpg(script.pid, signal.SIGTERM)
    assert script.wait(30)
    unchanged(machine, before)


def test_a_way_back_is_not_thrown_away(machine):
    """A second deploy is refused until somebody says `cleanup`; a rollback goes to what still runs."""
    first = id_of(machine, "blue")
    machine.deploy(IMAGE)
    second = id_of(machine, "green")
    said = machine.command("deploy", machine.project, machine.environment, IMAGE)
    assert said.returncode and "rollback goes back to" in said.stderr, said
    assert (id_of(machine, "blue"), id_of(machine, "green")) == (first, second)
    machine.slot("rollback")
    machine.traefik.wait_answers(machine.host, [first])
    machine.cleanup()
    assert [c.id[:12] for c in machine.podman.containers()] == [first]
