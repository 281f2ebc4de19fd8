"""`waymark slot` on Waymark's own tables: one transaction, and of two at once one wins."""

import concurrent.futures
import json

import pytest

import counts
import registry
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
        self.configs = {}
        for user, url in (("writer", database.server.url(database.name, WRITER)),
                          ("reader", self.tables.url(password="waymark"))):
            self.configs[user] = f"{directory}/{user}.yaml"
            with open(self.configs[user], "w") as f:
                json.dump({"base_domain": "test", "registry": {"postgres": {"url": url}}}, f)

    def do(self, command, *options, user="writer", environment="production"):
        return waymark_module.command("slot", command, "shop", environment, "--offline", *options,
                                      config=self.configs[user], timeout=40)

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


def test_two_at_once(slots):
    slots.do("deploy")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for i in range(counts.SLOT_RACES):
            command = "promote" if i == 0 else "rollback"
            both = [pool.submit(slots.do, command) for _ in range(2)]
            codes = sorted(one.result().returncode for one in both)
            # the second may come late enough to see what the first one did, and go back again
            assert codes == [0, 1] or (command == "rollback" and codes == [0, 0])
            assert sorted(slots.states().split()) == ["active", "grace-period"]


def test_the_schema_of_before_is_brought_up_to_date(slots):
    slots.tables.sql("ALTER TABLE waymark.slot DROP COLUMN id CASCADE,"
                     " DROP CONSTRAINT slot_state_is_known, ADD CONSTRAINT slot_state_is_known"
                     " CHECK (state IN ('empty', 'deployed', 'active', 'grace-period'))")
    old = slots.do("deploy")
    assert old.returncode == 1
    slots.tables.database.load(registry.SCHEMA)
    assert slots.do("deploy").returncode == 0
