"""The engine lies, stalls and forgets; routes stay, and the truth is found again."""

import json
import random
import time

import pytest

import counts
import labels
import load
import proxy as liar
import wait

SHOPS = [f"shop-{i:02}" for i in range(16)]  # a loss of ten or fewer is believed at once


@pytest.fixture(scope="module")
def shops(dockerd_of_the_run):
    started = [dockerd_of_the_run.run(name, labels.waymark(name)) for name in SHOPS]
    yield started
    dockerd_of_the_run.clean()


@pytest.fixture
def dockerd(dockerd_of_the_run, shops):
    yield dockerd_of_the_run
    dockerd_of_the_run.clean(keep=shops)


@pytest.fixture
def proxy(dockerd, directory):
    one = liar.Proxy(f"{directory}/liar.sock", dockerd)
    yield one
    one.close()


@pytest.fixture
def world(dockerd, proxy, waymark, traefik):
    """All shops that answer, seen through the liar."""
    one = waymark(proxy)
    front = traefik(waymark=one.port)
    front.wait_answers("shop-11.test", ["shop-11"])
    return one, front


def all_answer(traefik):
    return all(traefik.status(f"{n}.test") == 200 for n in SHOPS)


def relist(proxy):
    """Has Waymark look at everything again: its stream of events ends."""
    before = len(proxy.asked(r"^GET .*/containers/json"))
    proxy.cut_streams()
    wait.until(lambda: len(proxy.asked(r"^GET .*/containers/json")) > before, 15, "a new list")


def test_changes_between_subscribing_and_listing(dockerd, proxy, waymark, traefik):
    """A1: the first list is held for as long as one container starts and one stops."""
    stops = dockerd.run("stops", labels.waymark("stops"))
    undo = proxy.on(r"/containers/json", liar.held)
    one = waymark(proxy, start=False).start(ready=False)
    front = traefik(waymark=one.port)
    wait.until(lambda: proxy.asked(r"/containers/json"), 10, "Waymark asks for the list")
    wait.until(lambda: proxy.asked(r"/events"), 1, "it has subscribed before it lists")
    stops.stop()
    dockerd.run("starts", labels.waymark("starts"))
    undo()
    front.wait_answers("starts.test", ["starts"], timeout=2)
    wait.until(lambda: one.serving("stops.test") == [], 2)


@pytest.mark.parametrize("what", ["lost half", "lost all", "doubled", "torn"])
def test_events_that_are_lost_doubled_torn(dockerd, proxy, world, what):
    """A2: after any loss the next whole look finds the truth, without a restart of anything."""
    one, front = world
    proxy.event_filter = {"lost half": liar.losing(0.5), "lost all": liar.losing(1.0),
                          "doubled": liar.doubled, "torn": liar.torn}[what]
    random.seed(4)
    running = {}
    for i in range(counts.EVENT_CHANGES):
        if len(running) > 4 or running and random.random() < 0.4:
            running.pop(random.choice(list(running))).remove()
        else:
            running[f"new-{i}"] = dockerd.run(f"new-{i}", labels.waymark(f"new-{i}"))
    proxy.event_filter = None
    if what.startswith("lost"):
        relist(proxy)
    expected = set(SHOPS) | set(running)
    wait.until(lambda: {h.split(".")[0] for h in one.hosts() if one.serving(h)} == expected, 5)
    assert all_answer(front)


LIES = {
    "refused": liar.drop,
    "500": liar.gives(b'{"message":"boom"}', 500),
    "null": liar.gives(b"null"),
    "an object": liar.gives(b"{}"),
    "HTML": liar.gives(b"<html>wait</html>", type="text/html"),
    "empty body": liar.gives(b""),
    "empty list": liar.gives(b"[]"),
    "cut at half": liar.cut_short,
    "quarter of the list": liar.quarter_of_the_list,
    "garbled": liar.garbled,
    "never": liar.never,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_list_that_lies_withdraws_nothing(proxy, world, lie):
    """A3, and A5's doubt: a valid list that lost most is believed only when a second one agrees."""
    one, front = world
    with load.Load(front.port, "shop-01.test", rate=100) as watch:
        undo = proxy.on(r"/containers/json", LIES[lie])
        relist(proxy)
        wait.stays(lambda: all_answer(front), 1.5, "all shops answer")
        undo()
        wait.until(lambda: not one.problems("source-stale") and not one.problems("source-doubted"),
                   25, "the source is well again")
        assert all_answer(front)
    assert watch.result["failed"] == 0, load.failures(watch.result)


def test_a_true_loss_is_believed_in_the_end(shops, proxy, world):
    """Most really go while nobody says so."""
    one, front = world
    stay = SHOPS[:4]
    proxy.event_filter = liar.losing(1.0)
    gone = [c for c in shops if c.name not in stay]
    for container in gone:
        container.stop()
    proxy.event_filter = None
    relist(proxy)
    wait.until(lambda: {h for h in one.hosts() if one.serving(h)} == {f"{n}.test" for n in stay},
               30, "the routes of those that went are empty")
    for container in gone:
        container.start()


def test_no_empty_document_at_the_start(dockerd, proxy, waymark):
    """A4: whatever the engine answers, nothing is published before it is known."""
    dockerd.run("web", labels.waymark("web"))
    for lie in ("500", "null", "HTML", "empty body", "cut at half", "refused"):
        undo = proxy.on(r"/containers/json", LIES[lie])
        one = waymark(proxy, start=False).start(ready=False)
        wait.until(lambda: proxy.asked(r"/containers/json"), 10)
        wait.stays(lambda: one.get("/traefik")[0] == 503, 0.5, lie)
        undo()
        wait.until(one.ready, 10)
        assert one.serving("web.test") == ["web"]
        one.stop()
        proxy.forget()


def test_engine_of_tomorrow(dockerd, proxy, waymark):
    """A6: an engine that speaks from 1.44 on, whose events have no id and status on top."""
    def newer(event):
        said = json.loads(event)
        for key in ("status", "id", "from"):
            said.pop(key, None)
        return [json.dumps(said).encode() + b"\n"]

    proxy.api = ("1.44", "1.52")
    proxy.event_filter = newer
    one = waymark(proxy)
    web = dockerd.run("web", labels.waymark("web"))
    wait.until(lambda: one.serving("web.test") == ["web"], 2)
    web.stop()
    wait.until(lambda: one.serving("web.test") == [], 2)


def test_one_container_that_hangs(dockerd, proxy, world):
    """A10: its inspect never comes; the others go on, and requests do not pile up."""
    one, front = world
    stuck = dockerd.create("stuck", labels.waymark("stuck"))
    proxy.on(rf"/containers/{stuck.id}/json", liar.never)
    stuck.start()
    wait.until(lambda: proxy.asked(rf"/containers/{stuck.id}/json"), 5)
    for i in range(3):
        dockerd.run(f"new-{i}", labels.waymark(f"new-{i}"))
        front.wait_answers(f"new-{i}.test", [f"new-{i}"], timeout=2)
    assert all_answer(front)
    assert len(proxy.asked(rf"/containers/{stuck.id}/json")) <= 4


def test_garbage_on_the_event_stream(dockerd, proxy, world):
    """A15: the stream is given up and taken anew; nothing is lost and nothing swells."""
    one, front = world
    before = one.memory_kib()
    for garbage in (b"\x00\xff\xfe garbage\n", b'{"Type":}\n', b"[]\n", b"x" * (1 << 20),
                    b'{"Type":"container","Action":"start","Actor":{"ID":"","Attributes":null}}\n',
                    b'{"Type":1,"Action":{},"Actor":[]}\n'):
        proxy.event_filter = lambda event: [garbage, event]
        dockerd.run("once", labels.waymark("once")).remove()
        proxy.event_filter = None
        new = dockerd.run("new", labels.waymark("new"))
        front.wait_answers("new.test", ["new"], timeout=10)
        new.remove()
        wait.until(lambda: one.serving("new.test") == [], 10)
    assert all_answer(front)
    assert one.memory_kib() < before + 16 * 1024


def test_socket_discipline(dockerd, proxy, world):
    """K1: GET only, few paths, one inspect for one event, and no list for it."""
    one, front = world
    time.sleep(1)  # what the start asked for has been asked by then
    proxy.forget()
    web = dockerd.run("web", labels.waymark("web"))
    front.wait_answers("web.test", ["web"])
    web.stop()
    front.wait_status("web.test", 503)
    web.remove()
    wait.stays(lambda: not proxy.asked("/containers/json"), 1, "no list for an event")
    inspects = proxy.asked(r"/containers/[0-9a-f]{64}/json")
    assert 1 <= len(inspects) <= 6  # start, kill, die, disconnect, stop, destroy
    allowed = r"^GET (/v1\.\d+)?/(_ping|version|events|containers/json|containers/[^/]+/json|networks)"
    strange = [r for r in proxy.requests if not liar.re.search(allowed, " ".join(r))]
    assert not strange
