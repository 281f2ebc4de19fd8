"""`waymark slot` in the moments that are hard to meet: what it asks the running Waymark stands still, changes, lies."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import time

import pytest

import native
import pretender
import registry
import wait

HOUR = 3600
LINE = re.compile(r"\r\x1b\[K")


def when(seconds):
    """So many seconds from now, as a registry writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class Shop:
    def __init__(self, directory):
        self.files = registry.Directory(f"{directory}/registry", {
            "shop": {"environments": {"production": {"port": 8080, "slots": True}}}})
        self.set(blue={"state": "active", "since": when(-HOUR)})
        self.peer = pretender.Pretender(self.files.slots_file)
        self.config = f"{directory}/slots.yaml"
        with open(self.config, "w") as f:
            json.dump({"base_domain": "test", "registry": {"directory": self.files.path}}, f)

    def set(self, **slots):
        self.files.slots = {"shop": {"production": {"active": "blue", **slots}}}
        self.files.write()

    def slots(self):
        with open(self.files.slots_file) as f:
            return json.load(f)["slots"]["shop"]["production"]

    def start(self, command, *options, **how):
        argv = [native.waymark(), "slot", command, "shop", "production", *options,
                "-s", f"127.0.0.1:{self.peer.port}", "-c", self.config]
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        return subprocess.Popen(argv, text=True, **how)

    def end(self, process):
        out, err = process.communicate(timeout=60)
        process.out, process.err = out, err
        return process

    def slot(self, command, *options):
        return self.end(self.start(command, *options))

    def done(self, command, *options):
        one = self.slot(command, "--json", *options)
        assert one.returncode == 0 and one.err == "", one.err
        return json.loads(one.out)

    def refused(self, command, *options, code=1):
        one = self.slot(command, *options)
        assert one.returncode == code and one.out == "", one.out + one.err
        return one.err


@pytest.fixture
def shop(directory):
    one = Shop(directory)
    yield one
    one.peer.stop()


# deploy


def test_a_deploy_is_confirmed(shop):
    """It returns when the running Waymark has the reservation, not before."""
    shop.peer.sees = shop.peer.registered()
    deploy = shop.start("deploy", "--json")
    wait.until(lambda: shop.slots().get("green", {}).get("state") == "reserved", 5, "reserved")
    wait.stays(lambda: deploy.poll() is None, 2, "the deploy waits")
    shop.peer.sees = None
    shop.end(deploy)
    assert deploy.returncode == 0 and deploy.err == ""
    assert json.loads(deploy.out)["id"] == shop.slots()["green"]["id"]


@pytest.mark.parametrize("before", [
    {"state": "grace-period", "port": 4052, "since": when(-HOUR), "until": when(HOUR)},
    {"state": "grace-period", "since": when(-HOUR), "until": when(-1)},
    {"state": "deployed", "since": when(-HOUR)},
    {"state": "reserved", "id": "0" * 32, "since": when(-HOUR), "until": when(-1)},
    None,
])
def test_a_fallback_while_it_is_reserved(shop, before):
    """The slot came to carry traffic in that moment: it stands as it did."""
    shop.set(blue={"state": "active", "since": when(-HOUR)}, **({"green": before} if before else {}))
    was = shop.slots().get("green") or {"state": "empty"}
    deploy = shop.start("deploy", "--discard-rollback")
    wait.until(lambda: (shop.slots().get("green") or {}).get("id") not in (None, "0" * 32), 5, "reserved")
    shop.peer.facts["green"] = {"traffic": True, "fallback": True}
    shop.end(deploy)
    assert deploy.returncode == 1 and deploy.out == ""
    assert "has come to carry traffic while it was being reserved, so it was put back as it was" in deploy.err
    now = shop.slots().get("green") or {"state": "empty"}
    assert {k: now.get(k) for k in ("state", "id", "since", "until")} == \
        {k: was.get(k) for k in ("state", "id", "since", "until")}
    assert shop.slots()["active"] == "blue"


def test_what_was_promoted_meanwhile_is_not_put_back(shop):
    deploy = shop.start("deploy", "--timeout", "20s")
    wait.until(lambda: shop.slots().get("green", {}).get("id"), 5, "reserved")
    said = shop.slots()["green"]["id"]
    # what the running one says is old, and the registry is newer
    shop.peer.sees = [{**one, "id": said, "traffic": True} for one in shop.peer.registered()]
    shop.set(blue={"state": "grace-period", "since": when(0), "until": when(HOUR)},
             green={"state": "active", "since": when(0)})
    shop.end(deploy)
    assert deploy.returncode == 1 and "could not be put back" in deploy.err
    assert shop.slots()["green"]["state"] == "active"


def test_a_reservation_that_nobody_sees(shop):
    """It stands, and the message says how to go on."""
    shop.peer.sees = shop.peer.registered()
    began = time.monotonic()
    said = shop.refused("deploy", "--timeout", "1s")
    assert time.monotonic() - began < 5
    green = shop.slots()["green"]
    assert green["state"] == "reserved" and green["id"] in said
    assert "has not seen that in time" in said and "waymark slot cleanup shop production green" in said
    shop.peer.sees = None
    assert shop.done("promote", "--id", green["id"])["active"] == "green"


def test_offline_confirms_nothing(shop):
    assert shop.done("deploy", "--offline")["slot"] == "green"
    assert shop.peer.asked == []


# cleanup


def graced(shop):
    shop.set(blue={"state": "active", "since": when(-HOUR)},
             green={"state": "grace-period", "since": when(-HOUR), "until": when(HOUR)})


@pytest.mark.parametrize("green", [
    {"state": "grace-period", "since": when(-HOUR), "until": when(HOUR)},
    {"state": "deployed", "since": when(-HOUR)},
    {"state": "reserved", "id": "1" * 32, "since": when(-60), "until": when(HOUR)},
])
def test_a_cleanup_in_two_steps(shop, green):
    """Its time ends, its URL goes, requests in flight end, and only then it is empty."""
    shop.set(blue={"state": "active", "since": when(-HOUR)}, green=green)
    shop.peer.routed, shop.peer.applied = True, {"traefik": None}
    cleanup = shop.start("cleanup", "--json")
    state = "reserved" if green["state"] == "reserved" else "grace-period"
    wait.until(lambda: shop.peer.ended_at, 5, "its time ends")
    wait.stays(lambda: shop.slots()["green"]["state"] == state and cleanup.poll() is None, 1.5, "routed")
    shop.peer.routed = False
    wait.stays(lambda: shop.slots()["green"]["state"] == state and cleanup.poll() is None, 1, "not applied")
    shop.peer.applied = {"traefik": 299}
    wait.stays(lambda: shop.slots()["green"]["state"] == state and cleanup.poll() is None, 1, "not drained")
    shop.peer.applied = {"traefik": 300}
    shop.end(cleanup)
    assert cleanup.returncode == 0 and cleanup.err == "", cleanup.err
    said = json.loads(cleanup.out)
    assert said["remove"] == "shop-production-green" and said["state"] == "empty"
    assert shop.slots().get("green", {"state": "empty"})["state"] == "empty"
    path, query = [(p, q) for _, p, q in shop.peer.asked if p == "/api/v1/applied"][0]
    assert query == {"host": "shop-production-green.test", "slot": "green"}


def test_a_slot_without_a_host_of_its_own_is_told_by_its_project(shop):
    graced(shop)
    with open(shop.config, "w") as f:
        json.dump({"base_domain": "test", "registry": {"directory": shop.files.path},
                   "urls": {"slot": "{project}-" + "x" * 48 + "-{environment}-{slot}.{base}"}}, f)
    assert shop.done("cleanup", "--timeout", "5s")["remove"] == "shop-production-green"
    asked = [query for _, path, query in shop.peer.asked if path == "/api/v1/applied"]
    assert asked[0] == {"project": "shop", "slot": "green"}


def test_where_nothing_runs_nothing_is_drained(shop):
    graced(shop)
    shop.peer.drain_ms = 10**9
    shop.peer.facts["green"] = {"servers": 0, "ready": 0, "container": None}
    assert shop.done("cleanup")["remove"] == "shop-production-green"


@pytest.mark.parametrize("change, says", [
    ({"applied": {"traefik": None, "caddy": 5}}, "output traefik has not applied it"),
    ({"applied": {"traefik": 5}, "drain_ms": 30000}, "requests in flight may take 30 s yet"),
    ({"routed": True}, "its own URL still leads to it"),
    ({"facts": {"green": {"ended": False}}}, "the running Waymark has not seen that its time is over"),
    ({"answers": {"/api/v1/applied": (500, b"")}}, "the running Waymark does not answer"),
])
def test_a_cleanup_that_takes_too_long(shop, change, says):
    graced(shop)
    for name, value in change.items():
        setattr(shop.peer, name, value)
    said = shop.refused("cleanup", "--timeout", "1s")
    assert says in said and "grace-period, and its time is over" in said and "--offline" in said
    assert shop.slots()["green"]["state"] == "grace-period"
    assert shop.done("cleanup", "--offline")["state"] == "empty"


def test_traffic_stops_a_cleanup(shop):
    graced(shop)
    shop.peer.applied = {"traefik": None}
    cleanup = shop.start("cleanup")
    wait.until(lambda: shop.peer.ended_at, 5, "its time ends")
    shop.peer.facts["green"] = {"ended": False, "traffic": True, "fallback": True}
    shop.end(cleanup)
    assert cleanup.returncode == 1 and "slot green carries traffic now, so it stays" in cleanup.err
    assert shop.slots()["green"]["state"] == "grace-period"


def test_a_cleanup_that_was_killed_is_run_again(shop):
    graced(shop)
    shop.peer.applied = {"traefik": None}
    cleanup = shop.start("cleanup")
    wait.until(lambda: shop.peer.ended_at, 5, "its time ends")
    cleanup.kill()
    shop.end(cleanup)
    ended = shop.slots()["green"]
    assert ended["state"] == "grace-period"
    shop.peer.applied = {"traefik": 60000}
    again = shop.start("cleanup")
    while again.poll() is None:
        # the clock of its drain does not begin anew
        assert shop.slots().get("green", {}).get("until") in (None, ended["until"])
        time.sleep(0.005)
    assert shop.end(again).returncode == 0
    assert shop.slots().get("green", {"state": "empty"})["state"] == "empty"


def test_who_takes_the_slot_meanwhile_has_it(shop):
    graced(shop)
    shop.peer.applied = {"traefik": None}
    cleanup = shop.start("cleanup")
    wait.until(lambda: shop.peer.ended_at, 5, "its time ends")
    wait.until(lambda: cleanup.poll() is None and shop.done("deploy", "--offline"), 10, "it is reserved")
    shop.peer.sees = [{**one, "ended": True} for one in shop.peer.registered()]
    shop.peer.applied = {"traefik": 60000}
    shop.end(cleanup)
    assert cleanup.returncode == 1 and "somebody else has taken slot green meanwhile: it is reserved" in cleanup.err
    assert shop.slots()["green"]["state"] == "reserved"


def test_who_empties_the_slot_meanwhile_does_no_harm(shop):
    """As the running Waymark itself does, where it cleans up."""
    graced(shop)
    shop.peer.applied = {"traefik": None}
    cleanup = shop.start("cleanup", "--json")
    wait.until(lambda: shop.peer.ended_at, 5, "its time ends")
    assert shop.done("cleanup", "--offline")["state"] == "empty"
    shop.peer.sees = [{**one, "ended": True} for one in shop.peer.registered()]
    shop.peer.applied = {"traefik": 60000}
    shop.end(cleanup)
    assert cleanup.returncode == 0 and json.loads(cleanup.out)["remove"] == "shop-production-green"


# a peer that is restarted, or none


def test_a_restart_is_waited_for(shop):
    graced(shop)
    shop.peer.applied = {"traefik": None}
    cleanup = shop.start("cleanup")
    wait.until(lambda: shop.peer.ended_at, 5, "its time ends")
    for answers in ({"/api/v1/slots": (503, b"")}, {"/api/v1/slots": (200, b"[")}, {"/api/v1/slots": (200, b"{}")}):
        shop.peer.answers = answers
        wait.stays(lambda: cleanup.poll() is None, 0.6, "it goes on")
    shop.peer.answers, shop.peer.ready = {}, False
    wait.stays(lambda: cleanup.poll() is None, 0.6, "it goes on")
    shop.peer.ready, shop.peer.applied = True, {"traefik": 60000}
    shop.end(cleanup)
    assert cleanup.returncode == 0 and cleanup.err == "", cleanup.err


def test_a_promote_waits_through_a_restart(shop):
    shop.set(blue={"state": "active"}, green={"state": "deployed"})
    shop.peer.facts["green"] = {"ready": 0}
    promote = shop.start("promote", "--timeout", "30s")
    wait.until(lambda: shop.peer.asked, 5, "it asks")
    shop.peer.ready = False
    wait.stays(lambda: promote.poll() is None, 1, "it goes on")
    shop.peer.facts, shop.peer.ready = {}, True
    shop.end(promote)
    assert promote.returncode == 0 and promote.err == "", promote.err
    assert shop.slots()["active"] == "green"


@pytest.mark.parametrize("path, answer, says", [
    ("/api/v1/slots", (200, b"<html>"), "is no Waymark"),
    ("/api/v1/slots", (503, b'{"error": "there was no complete look yet"}'), "has not seen everything yet"),
    ("/api/v1/slots", (503, b"<html>"), "is no Waymark"),
    ("/api/v1/slots", (200, b'{"slots": []}'), "no Waymark of this version"),
    ("/api/v1/slots", (404, b""), "is no Waymark"),
    ("/api/v1/slots", (401, b""), "wants a token"),
])
def test_a_peer_that_is_none(shop, path, answer, says):
    shop.peer.answers = {path: answer}
    for command in ("deploy", "cleanup"):
        assert says in shop.refused(command, code=2 if answer[0] == 401 else 3)
    assert "green" not in shop.slots()


def test_what_it_says_may_be_odd(shop):
    """Members of other types count as absent."""
    shop.peer.sees = [7, None, {"slot": 7}, {"environment": "production"},
                      {"environment": "production", "slot": "green", "traffic": "yes", "ready": -1, "until": 7}]
    said = {s["slot"]: s for s in shop.done("list")["slots"]}
    assert said["green"]["ready"] == 0 and said["green"]["traffic"] is False


# what is shown


def test_a_grace_clock_that_stood_still(shop):
    graced(shop)
    later = when(5 * HOUR)
    shop.peer.facts["green"] = {"until": later}
    assert {s["slot"]: s["until"] for s in shop.done("list")["slots"]}["green"] == later


def on_terminal(shop, *words):
    """What standard error looks like on one."""
    master, slave = pty.openpty()
    text = []

    def read():
        try:
            while piece := os.read(master, 4096):
                text.append(piece.decode())
        except OSError:
            pass

    process = shop.start(*words, stderr=slave)
    os.close(slave)
    reader = threading.Thread(target=read)
    reader.start()
    out, _ = process.communicate(timeout=60)
    reader.join()
    os.close(master)
    return process.returncode, out, "".join(text)


def test_progress_on_a_terminal(shop):
    graced(shop)
    shop.peer.applied = {"traefik": None}
    code, out, text = on_terminal(shop, "cleanup", "--timeout", "1s")
    assert code == 1 and out == ""
    lines = LINE.split(text)
    assert "waiting: output traefik has not applied it (0 of 1 s)" in lines
    # the last one is taken away before anything else is said
    assert lines[-1].startswith("waymark: slot: slot green is not empty yet")
    assert "\n" not in "".join(lines[:-1])


def test_silence_elsewhere(shop):
    graced(shop)
    shop.peer.applied = {"traefik": None}
    assert "waiting" not in shop.refused("cleanup", "--timeout", "1s")


def test_a_command_that_is_told_to_stop(shop):
    graced(shop)
    shop.peer.applied = {"traefik": None}
    cleanup = shop.start("cleanup")
    wait.until(lambda: shop.peer.ended_at, 5, "its time ends")
    cleanup.send_signal(signal.SIGTERM)
    shop.end(cleanup)
    assert cleanup.returncode == -signal.SIGTERM and shop.slots()["green"]["state"] == "grace-period"


def test_only_the_grace_period_that_is_meant(shop):
    """What Waymark writes by itself it writes only where nothing has changed meanwhile."""
    graced(shop)
    since = shop.slots()["green"]["since"]
    for command in ("cleanup", "rollback"):
        assert "any more" in shop.refused(command, "green", "--offline", "--since", when(-60))
        assert "any more" in shop.refused(command, "green", "--offline", "--since", "none")
    assert shop.slot("promote", "--since", since).returncode == 2
    assert shop.slot("cleanup", "--since", "yesterday").returncode == 2
    assert shop.done("cleanup", "green", "--offline", "--since", since)["state"] == "empty"
