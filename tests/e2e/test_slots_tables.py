"""`waymark slot` on Waymark's own tables, in one transaction."""

import contextlib
import json

import psycopg2
import pytest

import registry
import wait
import waymark as waymark_module

WRITER = "waymark_test_writer"
STEPS = [("deploy", "active reserved"), ("promote", "grace-period active"),
         ("rollback", "active grace-period"), ("cleanup", "active empty")]


class Slots:
    def __init__(self, database, directory):
        self.tables = registry.Tables(database)
        self.tables.add("shop", ["blue"], "blue")
        self.tables.sql("UPDATE waymark.slot SET state = 'active'")
        if not self.tables.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", WRITER):
            self.tables.sql(f"CREATE ROLE {WRITER} LOGIN")
        self.tables.sql(f"GRANT waymark_reader, waymark_writer TO {WRITER}")
        self.configs, self.url = {}, database.server.url(database.name, WRITER)
        for user, url in (("writer", database.server.url(database.name, WRITER)),
                          ("reader", self.tables.url(password="waymark"))):
            self.configs[user] = f"{directory}/{user}.yaml"
            with open(self.configs[user], "w") as f:
                json.dump({"base_domain": "test", "registry": {"postgres": {"url": url}}}, f)

    def do(self, command, *options, user="writer", environment="production"):
        return waymark_module.command("slot", command, "shop", environment, "--offline", *options,
                                      config=self.configs[user], timeout=40)

    def as_writer(self, text):
        with contextlib.closing(psycopg2.connect(
                self.tables.database.server.url(self.tables.database.name, WRITER))) as connection:
            with connection, connection.cursor() as cursor:
                cursor.execute(text)

    def check(self):
        done = waymark_module.command("check", config=self.configs["reader"], timeout=40)
        return done.stdout + done.stderr if done.returncode else ""

    def entry(self):
        return self.tables.sql("SELECT entry FROM waymark.entry WHERE name = 'shop'")[0][0]

    def weights(self):
        return [w for w, in self.tables.sql("SELECT weight FROM waymark.slot ORDER BY name")]

    def states(self):
        return " ".join(s for s, in self.tables.sql("SELECT state FROM waymark.slot ORDER BY name"))


@pytest.fixture
def slots(database, directory):
    return Slots(database, directory)


def test_a_round(slots):
    for command, states in STEPS:
        before = slots.states()
        dry = slots.do(command, "--dry-run")
        assert dry.returncode == 0, dry.stderr
        assert slots.states() == before
        done = slots.do(command, "--json")
        assert done.returncode == 0, done.stderr
        assert slots.states() == states
    assert slots.tables.actives() == {"shop": "blue"}


def test_a_deploy_says_what_to_start(slots):
    done = slots.do("deploy", "--json")
    said = json.loads(done.stdout)
    assert sorted(said) == ["container", "environment", "id", "labels", "port", "project", "slot", "url"]
    assert said["slot"] == "green" and said["container"] == "shop-production-green"
    again = slots.do("deploy")
    assert again.returncode == 1 and said["id"] in again.stderr and "until" in again.stderr
    stale = slots.do("promote", "--id", "0" * 32)
    assert stale.returncode == 1 and slots.states() == "active reserved"
    assert slots.do("promote", "--id", said["id"]).returncode == 0


def test_who_may_only_read(slots):
    done = slots.do("deploy", user="reader")
    assert done.returncode == 1 and "GRANT waymark_writer" in done.stderr
    assert slots.states() == "active"


def test_what_is_not_there(slots):
    done = slots.do("deploy", environment="qa")
    assert done.returncode == 1 and "has no environment qa" in done.stderr


def test_what_is_said_of_serving(slots):
    """Each column, as it would stand in ssot.json and slots.json; what is not said is not there."""
    plain = slots.entry()
    assert plain["project"]["environments"]["production"] == {"port": 8080, "slots": True}
    assert sorted(plain["slots"]["production"]) == ["active", "slots"]
    slots.tables.sql("UPDATE waymark.environment SET health_path = '/up', health_interval = '1.5s',"
                     " health_timeout = '10ms', health_rise = 1, health_fall = 100, sticky = true,"
                     " middlewares = '{headers@file,Limit_2.x-y@docker}'")
    slots.tables.sql("INSERT INTO waymark.slot VALUES ('shop', 'production', 'green', 'deployed')")
    slots.as_writer("UPDATE waymark.slot SET weight = CASE name WHEN 'blue' THEN 1000 ELSE 0 END")
    said = slots.entry()
    assert said["project"]["environments"]["production"] == {
        "port": 8080, "slots": True, "sticky": True, "middlewares": ["headers@file", "Limit_2.x-y@docker"],
        "health": {"path": "/up", "interval": "1500ms", "timeout": "10ms", "rise": 1, "fall": 100}}
    assert said["slots"]["production"]["weights"] == {"blue": 1000}
    assert slots.check() == ""


@pytest.mark.parametrize("change", [
    "environment SET health_interval = '99ms'", "environment SET health_interval = '61 min'",
    "environment SET health_timeout = '9ms'", "environment SET health_timeout = '61s'",
    "environment SET health_rise = 0", "environment SET health_fall = 101",
    "environment SET middlewares = '{headers}'", "environment SET middlewares = '{a@file,\"\"}'",
    "environment SET middlewares = '{a@file,NULL}'", "environment SET middlewares = '{{a@file},{b@file}}'",
    "environment SET middlewares = '{a b@file}'", "environment SET middlewares = array_fill('a@b'::text, '{17}')",
    "environment SET middlewares = array[repeat('a', 124) || '@file']",
    "slot SET weight = -1", "slot SET weight = 1001"])
def test_what_the_decoder_would_refuse_the_tables_do(slots, change):
    with pytest.raises(psycopg2.errors.CheckViolation):
        slots.tables.sql(f"UPDATE waymark.{change}")


def test_weights_are_taken_away(slots):
    """A deploy leaves them; whatever decides between the slots ends the trial."""
    give = "UPDATE waymark.slot SET weight = 10"
    slots.as_writer(give)
    assert slots.do("deploy").returncode == 0
    assert slots.weights() == [10, None]
    for command in ("promote", "rollback", "cleanup"):
        slots.as_writer(give)
        dry = slots.do(command, "--dry-run")
        assert dry.returncode == 0 and slots.weights() == [10, 10], dry.stderr
        done = slots.do(command)
        assert done.returncode == 0 and slots.weights() == [None, None], done.stderr


def test_the_schema_of_before_is_brought_up_to_date(slots):
    slots.tables.sql("ALTER TABLE waymark.environment DROP COLUMN sticky CASCADE,"
                     " DROP COLUMN middlewares, DROP COLUMN health_interval, DROP COLUMN health_timeout,"
                     " DROP COLUMN health_rise, DROP COLUMN health_fall")
    slots.tables.sql("ALTER TABLE waymark.slot DROP COLUMN id CASCADE, DROP COLUMN weight,"
                     " DROP CONSTRAINT slot_state_is_known, ADD CONSTRAINT slot_state_is_known"
                     " CHECK (state IN ('empty', 'deployed', 'active', 'grace-period'))")
    old = slots.do("deploy")
    assert old.returncode == 1
    for _ in range(2):
        slots.tables.database.load(registry.SCHEMA)
    assert slots.do("deploy").returncode == 0
    slots.as_writer("UPDATE waymark.slot SET weight = 1")
    slots.tables.sql("UPDATE waymark.environment SET middlewares = '{a@file}', health_rise = 3")
    with pytest.raises(psycopg2.errors.CheckViolation):
        slots.tables.sql("UPDATE waymark.slot SET weight = 1001")
    assert slots.entry()["slots"]["production"]["weights"] == {"blue": 1, "green": 1}


def test_what_has_ended_is_cleaned_up(slots, dockerd, waymark, traefik):
    """By Waymark itself, which needs the right to; the row does not say since when."""
    one = waymark(dockerd, registry={"postgres": {"url": slots.url}}, slots={"cleanup": "auto", "drain": "0s"})
    traefik(waymark=one.port)
    slots.tables.sql("INSERT INTO waymark.slot (project, environment, name, state, until)"
                     " VALUES ('shop', 'production', 'green', 'grace-period', now() + interval '1 s')")
    wait.until(lambda: slots.states() == "active empty", 20, "it is empty")
    assert not one.problems("slot-unwritten")
