"""`waymark slot` on both registries: what the table allows and nothing else, one winner, and SIGKILL at any moment."""

import concurrent.futures
import json
import random
import subprocess
import time

import pytest

import counts
import figures
import native
import registry
import waymark as waymark_module

COMMANDS = ("deploy", "promote", "rollback", "cleanup")
STATES = ("empty", "reserved", "deployed", "active", "grace-period")
IN_AN_HOUR = 3600
AT_ONCE = 4  # projects, so that a thousand races do not take an hour
WRITER = "waymark_test_writer"


def until(state):
    at = time.gmtime(time.time() + IN_AN_HOUR)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", at) if state in ("reserved", "grace-period") else None


class Files:
    def __init__(self, directory, request):
        self.files = registry.Directory(f"{directory}/registry", {
            f"shop{i}": {"environments": {"production": {"port": 8080, "slots": True}}} for i in range(AT_ONCE)})
        self.files.write()
        self.settings = {"directory": self.files.path}

    def set(self, project, states, active):
        slots = {name: {"state": state, **({"until": until(state)} if until(state) else {})}
                 for name, state in states.items()}
        self.files.slots[project] = {"production": {"active": active, **slots}}
        self.files.write()

    def dump(self, project):
        with open(self.files.slots_file) as f:
            entry = json.load(f)["slots"][project]["production"]
        return entry.get("active"), {name: entry.get(name, {"state": "empty"}) for name in ("blue", "green")}


class Rows:
    def __init__(self, directory, request):
        database = request.getfixturevalue("database")
        self.tables = registry.Tables(database)
        if not self.tables.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", WRITER):
            self.tables.sql(f"CREATE ROLE {WRITER} LOGIN")
        self.tables.sql(f"GRANT waymark_reader, waymark_writer TO {WRITER}")
        for i in range(AT_ONCE):
            self.tables.add(f"shop{i}", ["blue", "green"])
        self.settings = {"postgres": {"url": database.server.url(database.name, WRITER)}}

    def set(self, project, states, active):
        for name, state in states.items():
            self.tables.sql("UPDATE waymark.slot SET state = %s, until = %s, since = NULL, id = NULL"
                            " WHERE project = %s AND name = %s", "empty", None, project, name)
        for name, state in states.items():
            self.tables.sql("UPDATE waymark.slot SET state = %s, until = %s WHERE project = %s AND name = %s",
                            state, until(state), project, name)
        self.tables.sql("UPDATE waymark.environment SET active = %s WHERE project = %s", active, project)

    def dump(self, project):
        rows = self.tables.sql("SELECT name, state, until::text, since::text, id FROM waymark.slot"
                               " WHERE project = %s ORDER BY name", project)
        return self.tables.actives()[project], {r[0]: dict(zip(("state", "until", "since", "id"), r[1:])) for r in rows}


class Shops:
    def __init__(self, registry_of_the_test, directory):
        self.registry, self.kind = registry_of_the_test, type(registry_of_the_test).__name__.lower()
        self.config = f"{directory}/slots.yaml"
        with open(self.config, "w") as f:
            json.dump({"base_domain": "test", "registry": self.registry.settings}, f)

    def argv(self, command, project="shop0", slot=None, *options):
        return ["slot", command, project, "production", *([slot] if slot else []), "--offline", *options]

    def do(self, *words):
        return waymark_module.command(*self.argv(*words), config=self.config, timeout=60)

    def states(self, project="shop0"):
        active, slots = self.registry.dump(project)
        return active, slots["blue"]["state"], slots["green"]["state"]


@pytest.fixture(params=[Files, Rows])
def shops(request, directory):
    return Shops(request.param(directory, request), directory)


def manual():
    """What `waymark help slots` says: (command, state) -> the state it leads to, or None."""
    out = waymark_module.command("help", "slots").stdout
    found = {}
    for line in out.splitlines():
        words = line.split()
        if len(words) > 2 and words[0] in COMMANDS and words[1] in STATES:
            to = words[2].rstrip(":")
            found[words[0], words[1]] = (None if to == "refused" else to, line)
    assert len(found) == len(COMMANDS) * len(STATES)
    return found


def test_the_table_and_nothing_else(shops):
    """Each command on a slot in each state: done as the manual says, or refused with nothing changed."""
    for (command, state), (to, line) in manual().items():
        beside = "deployed" if state == "active" else "active"
        shops.registry.set("shop0", {"blue": beside, "green": state}, "green" if state == "active" else "blue")
        before = shops.registry.dump("shop0")
        # neither the reservation nor the grace period has ended
        if command == "deploy" and state in ("reserved", "grace-period"):
            to = None
        done = shops.do(command, "shop0", "green")
        if to:
            assert done.returncode == 0, f"{line}: {done.stderr}"
            assert shops.registry.dump("shop0")[1]["green"]["state"] == to, line
        else:
            assert done.returncode == 1 and done.stdout == "" and "; " in done.stderr, line
            assert shops.registry.dump("shop0") == before, line


def test_two_promotes_at_once(shops):
    """One wins, the other one is told why not."""
    for i in range(0, counts.SLOT_RACES, AT_ONCE):
        for k in range(AT_ONCE):  # the file is written whole
            shops.registry.set(f"shop{k}", {"blue": "active", "green": "deployed"}, "blue")
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE * 2) as pool:
            both = {k: [pool.submit(shops.do, "promote", f"shop{k}", "green") for _ in range(2)]
                    for k in range(AT_ONCE)}
        for k, promotes in both.items():
            done = [one.result() for one in promotes]
            assert sorted(one.returncode for one in done) == [0, 1], [one.stderr for one in done]
            lost = next(one for one in done if one.returncode)
            assert "is active already" in lost.stderr or "changed the slots just now" in lost.stderr, lost.stderr
            assert shops.states(f"shop{k}") == ("green", "grace-period", "active")
    figures.note("Slot commands", f"two promotes at once, {shops.kind}", rounds=counts.SLOT_RACES, winners=counts.SLOT_RACES)


ROUND = {  # command -> what it makes of (active, blue, green), whichever it is
    "deploy": {("blue", "active", "empty"): ("blue", "active", "reserved"),
               ("green", "empty", "active"): ("green", "reserved", "active")},
    "promote": {("blue", "active", "reserved"): ("green", "grace-period", "active"),
                ("green", "reserved", "active"): ("blue", "active", "grace-period")},
    "rollback": {("green", "grace-period", "active"): ("blue", "active", "grace-period"),
                 ("blue", "active", "grace-period"): ("green", "grace-period", "active")},
    "cleanup": {("blue", "active", "grace-period"): ("blue", "active", "empty"),
                ("green", "grace-period", "active"): ("green", "empty", "active")},
}


def test_killed_at_any_moment(shops):
    """The registry is the old or the new one, and nothing that is left stands in the way of the next command."""
    shops.registry.set("shop0", {"blue": "active", "green": "empty"}, "blue")
    chance = random.Random(5)
    longest = {}
    outcomes = {"old": 0, "new": 0, "done": 0}
    for i in range(counts.SLOT_KILLS):
        command = COMMANDS[i % len(COMMANDS)]
        before = shops.states()
        after = ROUND[command][before]
        began = time.monotonic()
        process = subprocess.Popen([native.waymark(), *shops.argv(command), "-c", shops.config],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # the first of each kind is not killed, and shows how long it takes
        try:
            process.wait(chance.random() ** 2 * longest[command] if command in longest else 30)
            outcomes["done"] += 1
            longest.setdefault(command, time.monotonic() - began)
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            outcomes["old" if shops.states() == before else "new"] += 1
        assert shops.states() in (before, after), command
        if shops.states() == before:
            again = shops.do(command)
            assert again.returncode == 0, again.stderr
        assert shops.states() == after
    assert outcomes["old"] and outcomes["new"] + outcomes["done"], outcomes
    figures.note("Slot commands", f"SIGKILL at any moment, {shops.kind}", rounds=counts.SLOT_KILLS, **outcomes)
