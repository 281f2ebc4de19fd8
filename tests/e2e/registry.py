"""Registries of the test's own: a directory of files, Waymark's own tables, and those of an MVP
backend."""

import json
import os

import labels
import native
import wait

EXAMPLE = os.path.join(native.ROOT, "examples", "mvp")
SCHEMA = os.path.join(native.ROOT, "schema", "registry.sql")
READER = "waymark"  # whom Waymark logs in as


class Directory:
    """ssot.json and slots.json; `projects`, `static` and `slots` are what write() writes, whole."""

    def __init__(self, path, projects=None, static=None, slots=None):
        os.makedirs(path, exist_ok=True)
        self.path = str(path)
        self.projects, self.static, self.slots = projects or {}, static or {}, slots or {}

    @property
    def ssot_file(self):
        return f"{self.path}/ssot.json"

    @property
    def slots_file(self):
        return f"{self.path}/slots.json"

    def ssot_text(self):
        return json.dumps({"version": 1, "projects": self.projects, "static": self.static}, indent=1)

    def slots_text(self):
        return json.dumps({"version": 1, "slots": self.slots}, indent=1)

    def write(self):
        """As Waymark asks for it: aside, and renamed."""
        replace(self.ssot_file, self.ssot_text())
        replace(self.slots_file, self.slots_text())
        return self

    def activate(self, project, slot, environment="production"):
        """Blue and green, of which this one is active."""
        both = {name: {"state": "active" if name == slot else "deployed"} for name in ("blue", "green")}
        self.slots.setdefault(project, {})[environment] = {"active": slot, **both}
        return self.write()


def replace(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


class Tables:
    """Waymark's own, written as anybody writes them; Waymark reads as a user that may do no more."""

    def __init__(self, database):
        self.database = database
        database.load(SCHEMA)
        if not self.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", READER):
            self.sql(f"CREATE ROLE {READER} LOGIN PASSWORD 'waymark'")
        self.sql(f"GRANT waymark_reader TO {READER}")

    def url(self, **how):
        return self.database.url(user=READER, **how)

    def sql(self, text, *values):
        return self.database.sql(text, *values)

    def add(self, project, slots=(), active=None, domains=()):
        """A project with a production."""
        self.sql("INSERT INTO waymark.project VALUES (%s)", project)
        self.sql("INSERT INTO waymark.environment (project, name, port, slots, active)"
                 " VALUES (%s, 'production', 8080, %s, %s)", project, bool(slots), active)
        for slot in slots:
            self.sql("INSERT INTO waymark.slot (project, environment, name, state)"
                     " VALUES (%s, 'production', %s, 'deployed')", project, slot)
        for host in domains:
            self.sql("INSERT INTO waymark.domain VALUES (%s, %s)", host, project)

    def remove(self, project):
        self.sql("DELETE FROM waymark.project WHERE name = %s", project)

    def activate(self, project, slot):
        self.sql("UPDATE waymark.environment SET active = %s WHERE project = %s", slot, project)

    def actives(self):
        return dict(self.sql("SELECT project, active FROM waymark.environment"))

    def set_static(self, host, upstreams):
        self.sql("INSERT INTO waymark.static_route (host, upstreams) VALUES (%s, %s)"
                 " ON CONFLICT (host) DO UPDATE SET upstreams = excluded.upstreams", host, upstreams)

    def remove_static(self, host):
        self.sql("DELETE FROM waymark.static_route WHERE host = %s", host)

    def statics(self):
        return dict(self.sql("SELECT host, upstreams FROM waymark.static_route"))


class Apps:
    """The MVP backend, as far as the world sees it: rows, and a container for each deployment."""

    # what an operator adds to be quick
    TRIGGER = """
CREATE FUNCTION tell_waymark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('deployments', a.name) FROM apps a
		WHERE a.id = coalesce(NEW.app_id, OLD.app_id);
	RETURN NULL;
END $$;
CREATE TRIGGER tell_waymark AFTER INSERT OR UPDATE OR DELETE ON deployments
	FOR EACH ROW EXECUTE FUNCTION tell_waymark();
"""
    # and how Waymark is told to read them
    SQL = """SELECT a.name AS project, d.status, d.subdomain AS container, 8080 AS port, d.created_at
FROM apps a LEFT JOIN deployments d ON d.app_id = a.id"""

    def __init__(self, database, engine, trigger=False):
        self.database, self.engine = database, engine
        database.load(f"{EXAMPLE}/schema.sql")
        if trigger:
            database.sql(self.TRIGGER)

    def add(self, name):
        return self.database.sql("INSERT INTO apps (name, repo_url) VALUES (%s, 'x') RETURNING id",
                                 name)[0][0]

    def deploy(self, app, status="building", run=True, label=True, **how):
        """A new deployment of the app; its name, and its container where there is one."""
        number, = self.database.sql(
            "INSERT INTO deployments (app_id, status) SELECT id, %s FROM apps WHERE name = %s"
            " RETURNING id", status, app)[0]
        name = f"{app}-{number}"
        container = None
        if run:
            container = self.engine.run(name, labels.mvp(name) if label else {}, **how)
            if "env" not in how:
                wait.until(lambda: container.say("/"), 5, f"{name} listens")
        self.database.sql("UPDATE deployments SET subdomain = %s, container_id = %s WHERE id = %s",
                          name, container and container.id, number)
        return name, container

    def set(self, name, status):
        self.database.sql("UPDATE deployments SET status = %s WHERE subdomain = %s", status, name)

    def delete(self, app):
        self.database.sql("DELETE FROM apps WHERE name = %s", app)
