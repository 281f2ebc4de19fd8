"""PostgreSQL's tables, Waymark's own and somebody else's: each thing that a row can say is in force."""

import os
import time

import pytest

import labels
import load
import registry
import waymark as waymark_module
import wait

SERVICES = """CREATE TABLE services (id serial, project text, environment text, branch text, slot text,
	status text, container text, hosts text[], port integer, created_at timestamptz DEFAULT now());
INSERT INTO services (project, status) VALUES ('one', 'failed'), ('two', 'failed'), ('three', 'failed')"""
QUERY = """SELECT project, environment, branch, slot, status, container, hosts, port, created_at
FROM services -- everything there is;"""


class Services:
    """A table that says everything, a query that reads it, containers that say nothing."""

    def __init__(self, database, engine, waymark, traefik):
        self.database, self.engine = database, engine
        database.sql(SERVICES)
        self.waymark = waymark(engine, slots={"drain": "1s"}, allowed_domains=["shop.kr"],
                               registry={"unregistered": "ignore", "postgres": {
                                   "url": database.url(), "sql": QUERY, "channel": "services"}})
        self.traefik = traefik(waymark=self.waymark.port)

    def add(self, project, name, **columns):
        """A container without a label, and its row."""
        container = self.engine.run(name)
        columns = {"project": project, "status": "running", "container": name, "port": 8080, **columns}
        marks = ", ".join(["%s"] * len(columns))
        self.tell(f"INSERT INTO services ({', '.join(columns)}) VALUES ({marks})", *columns.values())
        return container

    def tell(self, text, *values):
        self.database.sql(text, *values)
        self.database.sql("SELECT pg_notify('services', '')")


@pytest.fixture
def services(database, dockerd, waymark, traefik):
    return Services(database, dockerd, waymark, traefik)


def test_environment_and_branch(services):
    services.add("shop", "shop-a")
    services.add("shop", "shop-b", environment="staging")
    services.add("shop", "shop-c", branch="feature/x")
    services.traefik.wait_answers("shop.test", ["shop-a"])
    services.traefik.wait_answers("shop-staging.test", ["shop-b"])
    services.traefik.wait_answers("shop-preview-feature-x.test", ["shop-c"])
    assert services.waymark.route("shop-preview-feature-x.test")["kind"] == "preview"
    assert services.waymark.troubles() == []


def test_hosts(services):
    """Names, full or under base_domain; one that is not allowed is a problem, and the rest counts."""
    services.add("shop", "shop-a", hosts=["www.shop.kr", "store", "x.bank.com"])
    for host in ("shop.test", "www.shop.kr", "store.test"):
        services.traefik.wait_answers(host, ["shop-a"])
    problem, = services.waymark.problems("host-forbidden")
    assert problem["host"] == "x.bank.com"
    services.add("shop", "shop-b", hosts=["store"])
    services.traefik.wait_answers("store.test", ["shop-b"])
    services.traefik.wait_answers("shop.test", ["shop-b"])
    assert services.traefik.answers("www.shop.kr") == {"shop-a"}  # which the newer one does not name


def test_a_container_by_its_id(services):
    for n, digits in enumerate((12, 64)):
        container = services.engine.run(f"named-by-chance-{n}")
        services.tell("INSERT INTO services (project, status, container, port)"
                      " VALUES (%s, 'running', %s, 8080)", f"shop{n}", container.id[:digits])
        services.traefik.wait_answers(f"shop{n}.test", [container.name])


def test_statuses(services):
    """Only one that runs takes the project's host; one that stands by has its own."""
    services.add("shop", "shop-a")
    services.traefik.wait_answers("shop.test", ["shop-a"])
    for status in ("pending", "building", "failed", "stopped", "nonsense"):
        services.add("shop", f"is-{status}", status=status, hosts=[f"is-{status}"])
    services.add("shop", "shop-b", status="standby", hosts=["beside"])
    services.traefik.wait_answers("beside.test", ["shop-b"])
    assert services.traefik.answers("shop.test") == {"shop-a"}
    for status in ("pending", "building", "failed", "stopped", "nonsense"):
        assert services.traefik.status(f"is-{status}.test") in (404, 503)
    assert services.waymark.problems(about="nonsense")


def test_a_project_without_rows_drains(services):
    services.add("shop", "shop-a")
    services.traefik.wait_answers("shop.test", ["shop-a"])
    with load.Load(services.traefik.port, "shop.test", rate=100) as watch:
        services.tell("DELETE FROM services WHERE project = 'shop'")
        wait.stays(lambda: services.traefik.answers("shop.test", times=1) == {"shop-a"}, 0.7)
    assert watch.result["failed"] == 0, load.failures(watch.result)
    services.traefik.wait_status("shop.test", 404)


def test_two_projects_one_container(services):
    """One container cannot be two deployments; one of them has it, and it is said."""
    services.add("shop", "shop-a")
    services.traefik.wait_answers("shop.test", ["shop-a"])
    services.tell("INSERT INTO services (project, status, container, port)"
                  " VALUES ('thief', 'failed', 'shop-a', 8080)")
    wait.stays(lambda: services.traefik.answers("shop.test", times=1) == {"shop-a"}, 1.5)


@pytest.fixture
def tables(database):
    return registry.Tables(database)


def start(tables, dockerd, waymark, **postgres):
    return waymark(dockerd, slots={"drain": "1s"}, registry={
        "shrink_after": "3s", "unregistered": "ignore",
        "postgres": {"url": tables.url(), **postgres}})


def test_a_project_comes_and_goes(tables, dockerd, waymark, traefik):
    one = start(tables, dockerd, waymark)
    proxy = traefik(waymark=one.port)
    for name in ("one", "two", "three"):
        tables.add(name)
        dockerd.run(name, labels.waymark(name))
        proxy.wait_answers(f"{name}.test", [name])
    tables.remove("one")
    gone = time.monotonic()
    proxy.wait_status("one.test", 404)
    assert time.monotonic() - gone > 0.9
    tables.sql("UPDATE waymark.project SET name = 'renamed' WHERE name = 'two'")
    dockerd.run("renamed", labels.waymark("renamed"))
    proxy.wait_answers("renamed.test", ["renamed"])
    proxy.wait_status("two.test", 404)


def test_a_transaction_that_is_rolled_back_never_was(tables, dockerd, waymark):
    one = start(tables, dockerd, waymark)
    connection = tables.database.connect()
    connection.autocommit = False
    cursor = connection.cursor()
    cursor.execute("INSERT INTO waymark.project VALUES ('ghost')")
    wait.stays(lambda: "ghost.test" not in one.hosts(), 0.5)
    connection.rollback()
    cursor.execute("INSERT INTO waymark.project VALUES ('real')")
    connection.commit()
    wait.until(lambda: "real.test" in one.hosts(), 2)
    assert "ghost.test" not in one.hosts()
    connection.close()


def test_a_thousand_in_one_transaction(tables, dockerd, waymark):
    """More than notifications can name."""
    one = start(tables, dockerd, waymark)
    tables.sql("INSERT INTO waymark.project SELECT 'many-' || n FROM generate_series(1, 1000) n")
    wait.until(lambda: len(one.hosts()) == 1000, 5)
    tables.sql("INSERT INTO waymark.domain SELECT 'www.many-' || n || '.test', 'many-' || n"
               " FROM generate_series(1, 1000) n")
    wait.until(lambda: len(one.hosts()) == 2000, 5)
    tables.sql("UPDATE waymark.domain SET project = 'many-7'")
    wait.until(lambda: len(one.api("/api/v1/routes?project=many-7")) == 1001, 5)


def test_truncate_is_doubted(tables, dockerd, waymark):
    """Somebody empties the tables by mistake, and has so long to notice."""
    one = start(tables, dockerd, waymark)
    for name in ("one", "two", "three"):
        tables.add(name)
    wait.until(lambda: len(one.hosts()) == 3, 3)
    before = one.hosts()
    tables.sql("TRUNCATE waymark.project CASCADE")
    wait.until(lambda: one.problems("source-doubted"), 3)
    wait.stays(lambda: one.hosts() == before, 1)
    for name in ("one", "two", "three"):
        tables.add(name)
    wait.until(lambda: one.troubles() == [], 5)
    assert one.hosts() == before
    tables.sql("TRUNCATE waymark.project CASCADE")
    wait.stays(lambda: one.hosts() == before, 2.5)
    wait.until(lambda: one.hosts() == [], 5)
    wait.until(lambda: one.troubles() == [], 2)


def test_tables_that_come_later(database, dockerd, waymark):
    """The database is there, and nobody has run schema/registry.sql yet."""
    database.sql("SELECT 1")
    one = waymark(dockerd, start=False, registry={"postgres": {"url": database.url()}})
    one.start(ready=False)
    source, = wait.until(lambda: [s for s in one.status()["sources"] if s["error"]], 5)
    assert source["name"] == "registry.postgres"
    assert not one.ready()
    tables = registry.Tables(database)
    tables.add("shop")
    wait.until(lambda: "shop.test" in one.hosts(), 15)
    assert one.ready()


def test_render_and_check_without_an_engine(tables, directory):
    """A look at the registry alone: for a machine that is being prepared, and for CI."""
    tables.add("shop", domains=["www.shop.test"])
    tables.set_static("ws.test", ["http://10.0.0.5:8000"])
    os.makedirs(f"{directory}/c")
    one = waymark_module.Waymark(f"{directory}/c", {
        "engines": [], "registry": {"postgres": {"url": tables.url()}}})
    one.write_config()
    checked = waymark_module.command("check", config=one.file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    rendered = waymark_module.command("render", "traefik", config=one.file)
    assert rendered.returncode == 0, rendered.stderr
    for host in ("shop.test", "www.shop.test", "ws.test"):
        assert f"`{host}`" in rendered.stdout
    assert "http://10.0.0.5:8000" in rendered.stdout
