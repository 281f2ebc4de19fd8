"""The connection to PostgreSQL is cut, in every way, while rows change: no route that was there is lost
meanwhile, and when it is whole again the routes are what the tables say."""

import json
import os
import random
import re
import signal
import threading
import time

import psycopg2
import pytest

import counts
import figures
import labels
import postgres
import registry
import wait

TABLE = "The connection to PostgreSQL is cut while rows change"
PROJECTS = ["alpha", "beta"]
KEPT = 15  # static routes that nobody touches
NOTICED = 30  # seconds until a network that swallows everything has to be noticed


class Stream:
    """Changes of the tables, one at a time, by a writer that no cut reaches but the server's own end.

    Hosts that begin with `gone-` come and go; all others stay once they are there."""

    def __init__(self, tables):
        self.tables = tables
        self.made, self.volatile = 0, set()
        for project in PROJECTS:
            tables.add(project, slots=("blue", "green"), active="blue")
        for i in range(KEPT):
            tables.set_static(f"kept-{i}.test", ["http://127.0.0.1:1"])

    def one(self):
        change = random.choice([self._new, self._change, self._come, self._go, self._switch])
        while True:
            try:
                change()
                break
            except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError):
                time.sleep(0.02)  # the server is away; it happened, or it is done again
        self.made += 1

    def _port(self):
        return [f"http://127.0.0.1:{random.randrange(1, 60000)}"]

    def _new(self):
        if self.made % 4 == 0:
            self.tables.set_static(f"new-{self.made}.test", self._port())
        else:
            self._change()

    def _change(self):
        self.tables.set_static(f"kept-{random.randrange(KEPT)}.test", self._port())

    def _come(self):
        host = f"gone-{random.randrange(10)}.test"
        self.tables.set_static(host, self._port())

    def _go(self):
        self.tables.remove_static(f"gone-{random.randrange(10)}.test")

    def _switch(self):
        self.tables.activate(random.choice(PROJECTS), random.choice(["blue", "green"]))

    def many(self, n, seconds):
        """So many, spread over about so long."""
        for _ in range(n):
            self.one()
            time.sleep(random.uniform(0, 2 * seconds / n))

    def truth(self, waymark):
        """Is everything routed as the tables say?"""
        routes = {r["host"]: r for r in waymark.api("/api/v1/routes")}
        found = {h: sorted(s["url"] for s in r["servers"]) for h, r in routes.items()
                 if r["kind"] == "static"}
        if found != {h: sorted(u) for h, u in self.tables.statics().items()}:
            return False
        return all([s["container"] for s in routes[f"{p}.test"]["servers"] if s["state"] == "serving"]
                   == [f"{p}-{active}"] for p, active in self.tables.actives().items())

    def difference(self, waymark):
        found = {r["host"]: [s["url"] for s in r["servers"]] for r in waymark.api("/api/v1/routes")}
        wanted = self.tables.statics()
        return {h: (found.get(h), wanted.get(h)) for h in {*found, *wanted}
                if found.get(h) != wanted.get(h)}


class Watch:
    """Looks at the routes and at Traefik's document all the while: what was there once stays there."""

    def __init__(self, waymark):
        self.waymark = waymark
        self.seen = {"routes": set(), "document": set()}
        self.lost, self.looks = [], 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _look(self):
        yield "routes", {r["host"] for r in self.waymark.api("/api/v1/routes")}
        yield "document", set(re.findall(r"Host\(`([^`]+)`\)", json.dumps(self.waymark.document())))

    def _watch(self):
        while not self.over.is_set():
            try:
                for where, hosts in self._look():
                    stays = {h for h in hosts if not h.startswith("gone-")}
                    if self.seen[where] - stays:
                        self.lost.append((where, sorted(self.seen[where] - stays)))
                    self.seen[where] |= stays
            except (OSError, LookupError, ValueError) as e:
                self.lost.append(e)
            self.looks += 1
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()


def source(waymark):
    return [s for s in waymark.status()["sources"] if s["name"] == "registry.postgres"][0]


def stale(waymark):
    return source(waymark)["status"] == "stale"


class World:
    """One server, Waymark on it with two projects, and a stream of changes."""

    def __init__(self, server, engine, waymark, url=None):
        self.server = server
        self.stream = Stream(registry.Tables(server))
        self.waymark = waymark(engine, registry={"postgres": {
            "url": url or self.stream.tables.url()}},
                               slots={"drain": "1s"})
        for project in PROJECTS:
            for slot in ("blue", "green"):
                engine.run(f"{project}-{slot}", labels.waymark(project, slot=slot))
        wait.until(lambda: self.stream.truth(self.waymark), 15, "the tables' truth at first")

    def is_true(self, seconds, what):
        """How long it took."""
        began = time.monotonic()
        wait.until(lambda: self.stream.truth(self.waymark), seconds,
                   lambda: f"{what}: the tables' truth; {self.stream.difference(self.waymark)}; "
                           f"{source(self.waymark)}", every=0.02)
        return time.monotonic() - began

    def note(self, what, watch, healed, noticed=None):
        figures.note(TABLE, what, changes=self.stream.made, **{
            "routes lost": len(watch.lost), "looks": watch.looks,
            "noticed after": f"{noticed:.1f} s" if noticed else "",
            "true again after": f"{healed:.2f} s"})
        assert not watch.lost, watch.lost[0]


def test_backends_terminated(own_postgres, dockerd, waymark):
    """Ten times, by the administrator."""
    world = World(own_postgres, dockerd, waymark)
    with Watch(world.waymark) as watch:
        for _ in range(10):
            world.stream.many(counts.CUT_CHANGES // 10, 0.5)
            assert own_postgres.terminate_backends() or stale(world.waymark)
            world.stream.one()
        healed = world.is_true(15, "after the last one")
    world.note("its backend terminated, 10 times", watch, healed)


@pytest.mark.parametrize("how", ["in good order", "as a crash"])
def test_server_restarted(own_postgres, dockerd, waymark, how):
    world = World(own_postgres, dockerd, waymark)
    with Watch(world.waymark) as watch:
        for _ in range(3):
            world.stream.many(counts.CUT_CHANGES // 3, 1)
            own_postgres.restart(at_once=how != "in good order")
            world.stream.one()
        healed = world.is_true(15, "after the last one")
    world.note(f"the server restarted, {how}, 3 times", watch, healed)


def test_server_down_for_a_while(own_postgres, dockerd, waymark):
    world = World(own_postgres, dockerd, waymark)
    with Watch(world.waymark) as watch:
        world.stream.many(counts.CUT_CHANGES, 2)
        world.is_true(10, "before it")
        before = world.waymark.hosts()
        stopped = time.monotonic()
        own_postgres.stop()
        wait.until(lambda: stale(world.waymark), 10, "the source is stale")
        noticed = time.monotonic() - stopped
        assert world.waymark.problems("source-stale", "registry.postgres")
        wait.stays(lambda: world.waymark.hosts() == before, counts.DOWN_SECONDS,
                   "every route is there")
        own_postgres.start()
        world.stream.one()
        healed = world.is_true(15, "after it")
        wait.until(lambda: not world.waymark.problems("source-stale"), 2)
    world.note(f"the server down for {counts.DOWN_SECONDS} s", watch, healed, noticed)


@pytest.fixture
def namespace():
    one = postgres.Namespace().create()
    yield one
    one.destroy()


@pytest.fixture
def far_postgres(directory, namespace):
    """Over the wire of a namespace."""
    server = postgres.Postgres(f"{directory}/pg", namespace)
    try:
        yield server.start()
    finally:
        server.destroy()


def test_network_that_swallows_everything(far_postgres, namespace, dockerd, waymark):
    """Nobody is told; it has to be noticed all the same, when nothing is being asked."""
    world = World(far_postgres, dockerd, waymark)
    with Watch(world.waymark) as watch:
        world.stream.many(counts.CUT_CHANGES // 2, 2)
        world.is_true(10, "before the cut")
        namespace.cut()
        cut = time.monotonic()
        world.stream.many(counts.CUT_CHANGES // 2, 5)
        wait.until(lambda: stale(world.waymark), NOTICED + 5, "the source is stale")
        noticed = time.monotonic() - cut
        assert world.waymark.problems("source-stale", "registry.postgres")
        namespace.heal()
        healed = world.is_true(20, "after it is whole again")
        wait.until(lambda: not world.waymark.problems("source-stale"), 2)
    world.note("the network swallows everything", watch, healed, noticed)
    assert noticed <= NOTICED


def test_network_cut_shortly(far_postgres, namespace, dockerd, waymark):
    """Too short to be noticed: what was said meanwhile is not lost."""
    world = World(far_postgres, dockerd, waymark)
    with Watch(world.waymark) as watch:
        for seconds in (0.5, 3):
            namespace.cut()
            world.stream.many(counts.CUT_CHANGES // 2, seconds)
            namespace.heal()
        healed = world.is_true(20, "after it is whole again")
    world.note("the network swallows everything for 0.5 s and 3 s", watch, healed)


def test_server_stands_still(own_postgres, dockerd, waymark):
    """SIGSTOP of the postmaster and of Waymark's own backends: every connection stays open, the kernel
    answers for them, and others can go on writing."""
    world = World(own_postgres, dockerd, waymark)
    with Watch(world.waymark) as watch:
        world.stream.many(counts.CUT_CHANGES // 2, 2)
        still = [own_postgres.process.pid, *(pid for pid, *_ in own_postgres.backends())]
        own_postgres.stopped = still
        for pid in still:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        world.stream.many(counts.CUT_CHANGES // 2, 5)
        wait.until(lambda: stale(world.waymark), NOTICED + 5, "the source is stale")
        noticed = time.monotonic() - began
        own_postgres.sigcont()
        healed = world.is_true(20, "after it goes on")
    world.note("the server stands still (SIGSTOP)", watch, healed, noticed)
    assert noticed <= NOTICED


def test_pooler_killed(own_postgres, pgbouncer, dockerd, waymark):
    own_postgres.sql(f"CREATE ROLE {registry.READER} LOGIN")  # PgBouncer wants a list of users
    pool = pgbouncer(own_postgres)
    world = World(own_postgres, dockerd, waymark, pool.url(user=registry.READER))
    with Watch(world.waymark) as watch:
        for _ in range(3):
            world.stream.many(counts.CUT_CHANGES // 3, 1)
            pool.kill()
            wait.until(lambda: stale(world.waymark), 10, "the source is stale")
            world.stream.one()
            pool.start()
        healed = world.is_true(15, "after the last one")
    world.note("PgBouncer killed, 3 times", watch, healed)


def test_connections_used_up(own_postgres, dockerd, waymark):
    """The server answers, and refuses."""
    world = World(own_postgres, dockerd, waymark)
    others = []

    def use_up():
        with pytest.raises(psycopg2.OperationalError):
            while True:
                others.append(own_postgres.connect(user=registry.READER))

    with Watch(world.waymark) as watch:
        use_up()
        own_postgres.sql("SELECT pg_terminate_backend(%s)", own_postgres.backends()[0][0])
        use_up()  # before it comes back, which takes it a tenth of a second
        wait.until(lambda: stale(world.waymark), 10, "the source is stale")
        for one in others:
            one.close()
        world.stream.many(counts.CUT_CHANGES // 3, 1)
        healed = world.is_true(15, "after there is room again")
    world.note("no connection left", watch, healed)
