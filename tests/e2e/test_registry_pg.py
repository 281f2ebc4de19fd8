"""PostgreSQL as a registry: how long a COMMIT takes until it is served, and which ways of reaching the
server there are."""

import random
import time

import pytest

import counts
import figures
import labels
import load
import registry
import sides
import wait

TABLE = "From COMMIT to the first 200, through real Traefik"


def measured(title, seconds):
    figures.note(TABLE, title, p50=figures.milliseconds(figures.percentile(seconds, 0.5)),
                 p99=figures.milliseconds(figures.percentile(seconds, 0.99)), changes=len(seconds))
    return figures.percentile(seconds, 0.5)


def random_moment():
    """In the two seconds of whoever polls; nothing waits for it."""
    time.sleep(random.uniform(0.1, 2.1))


def deployments(apps, traefik):
    """Each: the container is ready, its row is `building`; then the row is changed to `running`.
    Measured from before the COMMIT, so that the server's own part is in it."""
    apps.add("shop")
    name, old = apps.deploy("shop", "running", label=False)
    traefik.wait_answers("shop.test", [name], timeout=10)
    taken = []
    for _ in range(counts.REGISTRY_CHANGES):
        name, container = apps.deploy("shop", label=False)
        with load.Load(traefik.port, "shop.test", connections=1, rate=1000, timeout=0.5) as watch:
            random_moment()
            committed = time.monotonic()
            apps.set(name, "running")
            taken.append(watch.wait_first(name) - committed)
        assert watch.result["failed"] == 0, load.failures(watch.result)
        old.remove()
        old = container
    return taken


@pytest.fixture
def fresh(postgres_of_the_run, directory):
    """Makes databases."""
    made = []

    def make():
        made.append(postgres_of_the_run.database(f"{directory.rpartition('/')[2]}-{len(made)}"))
        return made[-1]
    yield make
    for one in made:
        one.drop()


def side_of_waymark(engine, database, waymark, traefik, trigger, **postgres):
    apps = registry.Apps(database, engine, trigger)
    one = waymark(engine, registry={"postgres": {"url": database.url(), "sql": apps.SQL, **postgres}})
    return apps, traefik(waymark=one.port)


def test_quicker_than_a_backend_that_polls(dockerd, waymark, traefik, fresh):
    ours = measured("Waymark, a query of the operator's and a NOTIFY", deployments(*side_of_waymark(
        dockerd, fresh(), waymark, traefik, True, channel="deployments")))
    dockerd.clean()
    if counts.SOAK:
        measured("Waymark, the query alone, every 1 s", deployments(*side_of_waymark(
            dockerd, fresh(), waymark, traefik, False, interval="1s")))
        dockerd.clean()

    apps = registry.Apps(fresh(), dockerd)
    side = sides.PollingSide(dockerd, apps.database, traefik).start()
    try:
        theirs = measured(side.title, deployments(apps, side.traefik))
    finally:
        side.stop()
    assert ours < theirs


def test_slots_of_waymarks_own_tables(dockerd, waymark, traefik, database):
    """Both slots are ready; the row says which one counts."""
    tables = registry.Tables(database)
    tables.add("shop", slots=("blue", "green"), active="blue")
    one = waymark(dockerd, registry={"postgres": {"url": tables.url()}})
    proxy = traefik(waymark=one.port)
    for slot in ("blue", "green"):
        dockerd.run(f"shop-{slot}", labels.waymark("shop", slot=slot))
        proxy.wait_answers(f"shop-production-{slot}.test", [f"shop-{slot}"])
    proxy.wait_answers("shop.test", ["shop-blue"])
    taken = []
    with load.Load(proxy.port, "shop.test", rate=200) as whole:
        for i in range(counts.REGISTRY_CHANGES):
            slot = "blue" if i % 2 else "green"
            with load.Load(proxy.port, "shop.test", connections=1, rate=1000, timeout=0.5) as watch:
                time.sleep(random.uniform(0.1, 0.5))  # the random moment
                committed = time.monotonic()
                tables.activate("shop", slot)
                taken.append(watch.wait_first(f"shop-{slot}") - committed)
            proxy.wait_answers("shop.test", [f"shop-{slot}"])
    assert whole.result["failed"] == 0, load.failures(whole.result)
    measured("Waymark, its own tables: the active slot", taken)


def source(waymark, name="registry.postgres"):
    return [s for s in waymark.status()["sources"] if s["name"] == name][0]


def test_a_transaction_pooler_is_noticed_and_polled(own_postgres, pgbouncer, dockerd, waymark):
    """LISTEN works there now and then, which is worse than never: it is said, and asked instead."""
    tables = registry.Tables(own_postgres)
    tables.set_static("first.test", ["http://127.0.0.1:1"])
    one = waymark(dockerd, registry={"postgres": {
        "url": pgbouncer(own_postgres).url(user=registry.READER), "interval": "500ms"}})
    wait.until(lambda: "first.test" in one.hosts(), 5)
    began = time.monotonic()
    # that notifications do not arrive may be seen before why
    found = wait.until(lambda: [p for p in one.problems(about="registry.postgres")
                                if "pool" in p["what"] + p["remedy"]], 60)
    print(f"noticed after {time.monotonic() - began:.1f} s: {found}")
    assert all(p["remedy"] for p in found)
    assert source(one)["status"] == "ready"
    for i in range(5):
        tables.set_static(f"later-{i}.test", ["http://127.0.0.1:1"])
        wait.until(lambda: f"later-{i}.test" in one.hosts(), 3, "it is asked every 0.5 s")


def test_a_session_pooler_is_as_good_as_none(own_postgres, pgbouncer, dockerd, waymark):
    tables = registry.Tables(own_postgres)
    one = waymark(dockerd, registry={"postgres": {
        "url": pgbouncer(own_postgres, mode="session").url(user=registry.READER), "interval": "1h"}})
    for i in range(5):
        tables.set_static(f"later-{i}.test", ["http://127.0.0.1:1"])
        wait.until(lambda: f"later-{i}.test" in one.hosts(), 3)
    assert one.problems() == []


def test_a_password_in_a_file(own_postgres, directory, dockerd, waymark):
    """Wrong at first: the source says so, and the right one is taken without a restart."""
    own_postgres.sql("CREATE USER secretive PASSWORD 'open sesame'")
    tables = registry.Tables(own_postgres)
    own_postgres.sql("GRANT waymark_reader TO secretive")
    tables.set_static("first.test", ["http://127.0.0.1:1"])
    with open(f"{directory}/password", "w") as f:
        f.write("guess\n")
    one = waymark(dockerd, start=False, registry={"postgres": {
        "url": own_postgres.url(user="secretive"), "password_file": f"{directory}/password"}})
    one.start(ready=False)
    wait.until(lambda: "password" in source(one)["error"], 5, lambda: f"{source(one)}")
    assert "guess" not in one.process.text()
    with open(f"{directory}/password", "w") as f:
        f.write("open sesame\n")
    wait.until(lambda: "first.test" in one.hosts(), 10)
    assert "sesame" not in one.process.text() + str(one.status())


def test_a_query_that_is_wrong_is_a_problem(dockerd, waymark, database):
    """What it read before stays; mended by whoever owns the tables, it goes on."""
    apps = registry.Apps(database, dockerd)
    apps.add("shop")
    name, _ = apps.deploy("shop", "running", label=False)
    one = waymark(dockerd, registry={"postgres": {
        "url": database.url(), "sql": apps.SQL, "interval": "200ms"}})
    wait.until(lambda: one.serving("shop.test") == [name], 5)
    database.sql("ALTER TABLE deployments RENAME COLUMN subdomain TO host")
    wait.until(lambda: one.problems(about="subdomain"), 10, "a problem that names the column")
    assert one.serving("shop.test") == [name]
    database.sql("ALTER TABLE deployments RENAME COLUMN host TO subdomain")
    wait.until(lambda: one.problems() == [], 10)
