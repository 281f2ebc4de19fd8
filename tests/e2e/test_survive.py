"""Deaths: of Waymark, of the engine, of both; no route is lost and none is invented."""

import json
import random
import time

import counts
import figures
import labels
import load
import wait

TABLE = "Failed requests while Waymark or dockerd is killed, under constant load"
# Traefik waits longer and longer after each poll that failed; gaps of 17.6 s were seen
BACKOFF = 60
SHOPS = ["shop-1", "shop-2", "shop-3"]


def start_shops(engine, traefik):
    for name in SHOPS:
        engine.run(name, labels.waymark(name))
    for name in SHOPS:
        traefik.wait_answers(f"{name}.test", [name])


def all_answer(traefik):
    return all(traefik.status(f"{name}.test") == 200 for name in SHOPS)


def no_failure(what, watch):
    figures.note(TABLE, what, failed=watch.result["failed"], requests=watch.result["requests"])
    assert watch.result["failed"] == 0, load.failures(watch.result)


def test_waymark_killed_under_load(world):
    """SIGKILL at random moments, with containers coming and going beside it."""
    start_shops(world.engine, world.traefik)
    with load.Load(world.traefik.port, "shop-1.test", rate=300) as watch:
        for i in range(counts.KILLS):
            beside = world.engine.run(f"beside-{i}", labels.waymark("beside"))
            time.sleep(random.uniform(0, 0.3))  # the random moment of death
            world.waymark.kill()
            wait.stays(lambda: all_answer(world.traefik), 1, "all shops answer without Waymark")
            world.waymark.start()
            assert all_answer(world.traefik)
            # what came while it was dead is there, what was there still is
            world.traefik.wait_answers("beside.test", [beside.name], timeout=BACKOFF)
            beside.remove()
            world.traefik.wait_status("beside.test", 503, timeout=BACKOFF)
        assert all_answer(world.traefik)
    no_failure(f"Waymark killed {counts.KILLS} times", watch)


def test_waymark_killed_right_after_a_change(world):
    """What its state on disk does not know yet is in Traefik already, and must stay there: the
    first document that anybody can get after the start has it."""
    start_shops(world.engine, world.traefik)

    def document():
        status, _, body = world.waymark.get("/traefik")
        return status == 200 and body.decode()

    for i in range(counts.KILLS):
        new = world.engine.run(f"new-{i}", labels.waymark(f"new-{i}"))
        world.traefik.wait_answers(f"new-{i}.test", [new.name], timeout=BACKOFF)
        world.waymark.kill()
        world.waymark.process.start()
        first = wait.until(document, 10, "a document", every=0)
        for name in (*SHOPS, new.name):
            assert f"`{name}.test`" in first
        wait.until(world.waymark.ready, 10)


def test_waymark_killed_and_engine_down(own_dockerd, waymark, traefik):
    """What it knew is in force from its state, even for a Traefik that starts with nothing."""
    one = waymark(own_dockerd)
    proxy = traefik(waymark=one.port)
    start_shops(own_dockerd, proxy)
    wait.until(lambda: "shop-3" in json.dumps(one.document()), 5)
    wait.until(lambda: {"shop-1", "shop-2", "shop-3"} <= one.kept(), 5,
               "the state on disk has all of it")
    with load.Load(proxy.port, "shop-1.test", rate=300) as watch:
        one.kill()
        own_dockerd.kill()
        one.start(ready=False)
        wait.until(lambda: one.get("/traefik")[0] == 200, 10, "the document from the state")
        wait.stays(lambda: all_answer(proxy), 2, "all shops answer without the engine")
        assert one.problems("source-stale")

        fresh = traefik(waymark=one.port)
        wait.until(lambda: all_answer(fresh), 10, "all shops answer in a new Traefik")

        own_dockerd.start()
        wait.until(lambda: not one.problems("source-stale"), 10)
        own_dockerd.run("shop-4", labels.waymark("shop-4"))
        proxy.wait_answers("shop-4.test", ["shop-4"])
        assert all_answer(proxy)
    no_failure("Waymark and dockerd killed, Waymark back first", watch)


def test_first_start_with_the_engine_down(own_dockerd, waymark, traefik):
    """Nothing known yet is not the same as nothing there: Traefik keeps what it has."""
    one = waymark(own_dockerd)
    proxy = traefik(waymark=one.port)
    start_shops(own_dockerd, proxy)
    one.kill()
    own_dockerd.kill()

    newcomer = waymark(own_dockerd, start=False, listen=one.config["listen"])
    newcomer.port = one.port
    newcomer.start(ready=False)
    with load.Load(proxy.port, "shop-1.test", rate=100) as watch:
        wait.stays(lambda: newcomer.get("/traefik")[0] == 503, 6, "503, never an empty document")
        assert newcomer.get("/readyz")[0] != 200
        assert all_answer(proxy)

        own_dockerd.start()
        wait.until(newcomer.ready, 15)
        wait.until(lambda: newcomer.get("/traefik")[0] == 200, 5)
        assert all_answer(proxy)
    no_failure("first start without dockerd", watch)


def test_dockerd_killed_and_restarted(own_dockerd, waymark, traefik):
    one = waymark(own_dockerd)
    proxy = traefik(waymark=one.port)
    start_shops(own_dockerd, proxy)
    with load.Load(proxy.port, "shop-1.test", rate=300) as watch:
        for i in range(counts.KILLS):
            own_dockerd.kill()
            wait.until(lambda: one.problems("source-stale"), 10)
            wait.stays(lambda: all_answer(proxy), 1, "all shops answer without dockerd")
            own_dockerd.start()
            own_dockerd.run(f"new-{i}", labels.waymark(f"new-{i}"))
            proxy.wait_answers(f"new-{i}.test", [f"new-{i}"], timeout=10)
            assert not one.problems("source-stale")
    no_failure(f"dockerd killed {counts.KILLS} times", watch)
