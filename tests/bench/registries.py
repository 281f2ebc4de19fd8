"""Registries to measure with: so many projects in files or in PostgreSQL, and changes to one of them.

Each project has a host by its name, a domain, and production with blue and green, of which blue is
active; in somebody else's tables an app with two deployments that run.
"""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

from fake import ROOT
from subject import DOMAIN

sys.path.append(str(ROOT / "tests" / "e2e"))
import postgres  # noqa: E402

DOMAINS = "domains.test"
READER = "waymark"  # whom Waymark connects as; nobody else does
SLOTS = ("blue", "green")


def project_name(number):
    return f"p{number:05}"


class Change:
    """One project's change: prepared at once, made by commit(); host is in the document then."""

    def __init__(self, host, commit):
        self.host, self.commit = host, commit
        self.text = f"Host(`{host}`)"  # as it stands in the document


class Registry:
    """What all of them can do."""

    kinds = ()  # of changes
    slow = False  # to be changed now and then
    hosts_each = 3

    def __init__(self, count):
        self.count = count
        self.made = 0  # changes
        self.flipped = {}  # project: the slot that is active
        self.chosen = random.Random(1)

    def settings(self):
        """Of Waymark's configuration."""
        return {
            "allowed_domains": [DOMAINS],
            "registry": self.registry_settings(),
        }

    def numbers(self, n):
        """That many projects, none of them twice."""
        return self.chosen.sample(range(self.count), n)

    def next_slot(self, project):
        """The slot that becomes active."""
        slot = SLOTS[self.flipped.get(project, "blue") == "blue"]
        self.flipped[project] = slot
        return slot

    def next_domain(self, project):
        self.made += 1
        return f"n{self.made}.{project}.{DOMAINS}"

    def reset(self):
        """Before a run: what the last one added goes away, or its projects would be larger."""

    def usage(self):
        """What has been asked of it so far, by name."""
        return {}

    def close(self):
        pass


def slot_host(project, slot):
    return f"{project}-production-{slot}.{DOMAIN}"


class Files(Registry):
    """ssot.json and slots.json, each written anew aside and renamed for every change."""

    title = "files"
    kinds = ("slot", "domain")
    slow = True

    def __init__(self, directory, count):
        super().__init__(count)
        self.domains = {}  # that changes have added
        self.directory = Path(directory)
        self.directory.mkdir()
        names = [project_name(i) for i in range(count)]
        self.projects = {name: self.project_text(name) for name in names}
        self.slots = {name: self.slots_text(name, "blue") for name in names}
        for file in ("ssot", "slots"):
            self.write_aside(file)()

    def registry_settings(self):
        return {"directory": str(self.directory)}

    @staticmethod
    def project_text(name, domains=()):
        return json.dumps({
            "domains": [f"www.{name}.{DOMAINS}", *domains],
            "environments": {"production": {"port": 3000, "slots": True}},
        })  # fmt: skip

    @staticmethod
    def slots_text(name, active):
        port = 4000 + int(name[1:]) * 2
        slots = {
            slot: {"state": "active" if slot == active else "empty", "port": port + i}
            for i, slot in enumerate(SLOTS)
        }
        return json.dumps({"production": {"active": active, **slots}})

    def write_aside(self, file):
        """What renames the new one to its place."""
        key, entries = {"ssot": ("projects", self.projects), "slots": ("slots", self.slots)}[file]
        lines = ",\n".join(f'  "{name}": {text}' for name, text in entries.items())
        aside, place = self.directory / f"{file}.json.new", self.directory / f"{file}.json"
        aside.write_text(f'{{"version": 1, "{key}": {{\n{lines}\n}}}}\n')
        return lambda: os.rename(aside, place)

    def reset(self):
        self.projects |= {name: self.project_text(name) for name in self.domains}
        self.domains = {}
        self.write_aside("ssot")()

    def change(self, kind, number):
        name = project_name(number)
        if kind == "slot":
            slot = self.next_slot(name)
            self.slots[name] = self.slots_text(name, slot)
            return Change(slot_host(name, slot), self.write_aside("slots"))
        domain = self.next_domain(name)
        self.domains[name] = domain
        self.projects[name] = self.project_text(name, [domain])
        return Change(domain, self.write_aside("ssot"))


# ---- PostgreSQL ----


class Server(postgres.Postgres):
    """A server of the bench's own that counts who asks what."""

    def argv(self):
        return [*super().argv(), "-c", "shared_preload_libraries=pg_stat_statements"]

    def __enter__(self):
        self.start()
        self.sql("CREATE EXTENSION pg_stat_statements")
        self.sql(f"CREATE ROLE {READER} LOGIN")
        return self

    def __exit__(self, *_):
        self.destroy()

    def bytes_received(self):
        """By those who are connected over TCP, which only Waymark is."""
        done = subprocess.run(["ss", "-tinH", "dport", "=", f":{self.port}"], capture_output=True,
                              text=True, check=True)  # fmt: skip
        return sum(int(n) for n in re.findall(r"bytes_received:(\d+)", done.stdout))


class Tables(Registry):
    """Those of a database; schema() and fill() make them."""

    def __init__(self, server, count):
        super().__init__(count)
        self.server = server
        self.database = server.database(f"{self.name}_{count}")
        self.schema()
        self.writer = self.database.connect()
        self.writer.autocommit = False
        self.commit_of(*self.fill())()
        self.database.sql("VACUUM ANALYZE")  # as autovacuum would, in time

    def registry_settings(self):
        url = self.server.url(self.database.name, user=READER)
        return {"postgres": {"url": url, **self.postgres_settings()}}

    def commit_of(self, *statements):
        """Runs them; they count when what is returned is called."""
        with self.writer.cursor() as cursor:
            for text, *values in statements:
                cursor.execute(text, values or None)
        return self.writer.commit

    def usage(self):
        """Of whom Waymark connects as, in this database; pages are of 8 kB.

        Without the notifications that it sends itself every 10 s to see whether they arrive."""
        row = self.server.sql(
            "SELECT coalesce(sum(calls), 0)::bigint, coalesce(sum(rows), 0)::bigint,"
            " coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint,"
            " coalesce(sum(total_exec_time), 0)::float8"
            " FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
            " JOIN pg_database d ON d.oid = s.dbid"
            " WHERE query !~ 'pg_notify' AND r.rolname = %s AND d.datname = %s",
            READER, self.database.name,
        )[0]  # fmt: skip
        found = dict(zip(("statements", "rows", "pages", "server_ms"), row))
        return {**found, "bytes": self.server.bytes_received()}

    def close(self):
        self.writer.close()
        self.database.drop()


class OwnTables(Tables):
    """Those of schema/registry.sql."""

    name, title = "own", "own tables"
    kinds = ("slot", "domain")

    def postgres_settings(self):
        return {}

    def schema(self):
        self.database.load(str(ROOT / "schema" / "registry.sql"))
        self.database.sql(f"GRANT waymark_reader TO {READER}")

    def fill(self):
        numbers = ("(SELECT i, 'p' || lpad(i::text, 5, '0') AS p"
                   f" FROM generate_series(0, {self.count - 1}) i) n")  # fmt: skip
        return (
            [f"INSERT INTO waymark.project SELECT p FROM {numbers}"],
            [f"INSERT INTO waymark.domain SELECT 'www.' || p || '.{DOMAINS}', p FROM {numbers}"],
            ["INSERT INTO waymark.environment (project, name, port, slots, active)"
             f" SELECT p, 'production', 3000, true, 'blue' FROM {numbers}"],
            ["INSERT INTO waymark.slot (project, environment, name, state, port)"
             f" SELECT p, 'production', 'blue', 'active', 4000 + 2 * i FROM {numbers}"],
            ["INSERT INTO waymark.slot (project, environment, name, state, port)"
             f" SELECT p, 'production', 'green', 'empty', 4001 + 2 * i FROM {numbers}"],
        )  # fmt: skip

    def reset(self):
        self.database.sql("DELETE FROM waymark.domain WHERE position = 1")

    def change(self, kind, number):
        name = project_name(number)
        if kind == "slot":
            slot = self.next_slot(name)
            commit = self.commit_of(
                ["UPDATE waymark.environment SET active = %s WHERE project = %s", slot, name],
                ["UPDATE waymark.slot SET state = CASE WHEN name = %s THEN 'active' ELSE 'empty' END"
                 " WHERE project = %s", slot, name],
            )  # fmt: skip
            return Change(slot_host(name, slot), commit)
        domain = self.next_domain(name)
        commit = self.commit_of(["INSERT INTO waymark.domain VALUES (%s, %s, 1)", domain, name])
        return Change(domain, commit)


class OtherTables(Tables):
    """Somebody else's, read by a query and heard of on a channel, as docs/registry.md has it."""

    name, title = "other", "another's tables"
    kinds = ("status", "deployment")
    SQL = """
SELECT a.slug AS project, d.env AS environment, d.state AS status,
       d.container_name AS container, d.host AS hosts, d.created_at
FROM deployments d JOIN apps a ON a.id = d.app_id
"""
    SCHEMA = """
CREATE TABLE apps (id serial PRIMARY KEY, slug text NOT NULL UNIQUE, repo_url text NOT NULL);
CREATE TABLE deployments (
	id serial PRIMARY KEY,
	app_id integer NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	env text NOT NULL DEFAULT 'production',
	state text NOT NULL DEFAULT 'pending',
	container_name text,
	host text,
	build_log text NOT NULL DEFAULT '',
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deployments_of_app ON deployments (app_id, created_at DESC);
CREATE FUNCTION notify_waymark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('deployments',
		(SELECT slug FROM apps WHERE id = coalesce(NEW.app_id, OLD.app_id)));
	RETURN NULL;
END $$;
"""
    TRIGGER = """
CREATE TRIGGER notify_waymark AFTER INSERT OR UPDATE OR DELETE ON deployments
	FOR EACH ROW EXECUTE FUNCTION notify_waymark();
"""

    def postgres_settings(self):
        return {"sql": self.SQL, "channel": "deployments"}

    def schema(self):
        self.database.sql(self.SCHEMA)
        self.database.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")

    def fill(self):
        """Two deployments that run; a third is being built, which changes make run."""
        return (
            ["INSERT INTO apps (slug, repo_url) SELECT 'p' || lpad(i::text, 5, '0'), 'x'"
             f" FROM generate_series(0, {self.count - 1}) i"],
            ["INSERT INTO deployments (app_id, state, container_name, host, created_at)"
             " SELECT id, CASE n WHEN 3 THEN 'building' ELSE 'running' END, slug || '-' || n,"
             " slug || '-' || n, now() + n * interval '1 s' FROM apps, generate_series(1, 3) n"
             " ORDER BY n, id"],
            [self.TRIGGER],
        )  # fmt: skip

    def reset(self):
        self.database.sql("DELETE FROM deployments WHERE container_name LIKE '%-x%'")
        self.database.sql("UPDATE deployments SET state = 'building'"
                          " WHERE state = 'running' AND container_name LIKE '%-3'")  # fmt: skip

    def change(self, kind, number):
        name = project_name(number)
        if kind == "status":
            commit = self.commit_of(
                ["UPDATE deployments SET state = 'running' WHERE container_name = %s"
                 " AND app_id = %s", f"{name}-3", number + 1])  # fmt: skip
            return Change(f"{name}-3.{DOMAIN}", commit)
        self.made += 1
        new = f"{name}-x{self.made}"
        commit = self.commit_of(
            ["INSERT INTO deployments (app_id, state, container_name, host)"
             " VALUES (%s, 'running', %s, %s)", number + 1, new, new])  # fmt: skip
        return Change(f"{new}.{DOMAIN}", commit)


class MvpTables(Tables):
    """Those of examples/mvp, asked every second: nothing notifies."""

    name, title = "mvp", "the MVP's tables"

    def settings(self):
        return {"platforms": ["mvp"], **super().settings()}

    def postgres_settings(self):
        return {}

    def schema(self):
        self.database.load(str(ROOT / "examples" / "mvp" / "schema.sql"))
        self.database.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")

    def fill(self):
        return (
            ["INSERT INTO apps (name, repo_url) SELECT 'p' || lpad(i::text, 5, '0'), 'x'"
             f" FROM generate_series(0, {self.count - 1}) i"],
            ["INSERT INTO deployments (app_id, status, subdomain)"
             " SELECT a.id, 'running', a.name || '-' || n FROM apps a, generate_series(1, 2) n"
             " ORDER BY n, a.id"],
        )  # fmt: skip
