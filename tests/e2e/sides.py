"""Ways to the same routes, each with a Traefik of its own, to be measured side by side: Waymark and
Traefik's own Docker provider from labels; Waymark and a backend that polls from tables."""

import os
import sys

import labels
import process

HERE = os.path.dirname(os.path.abspath(__file__))


class WaymarkSide:
    title = "Waymark"

    def __init__(self, engine, make_waymark, make_traefik):
        self.engine = engine
        self.waymark = make_waymark(engine)
        self.traefik = make_traefik(waymark=self.waymark.port)

    def labels(self, project):
        return labels.waymark(project)


class DockerProviderSide:
    title = "Traefik's Docker provider"

    def __init__(self, engine, make_traefik):
        self.engine = engine
        self.traefik = make_traefik(docker=engine.host)

    def labels(self, project):
        return labels.traefik(project, f"{project}.test")


class PollingSide:
    """The backend's own tables, read every two seconds, written for Traefik's file provider."""

    title = "a backend that polls every 2 s"

    def __init__(self, engine, database, make_traefik):
        self.engine, self.database = engine, database
        self.traefik = make_traefik()
        self.process = process.Process(
            [sys.executable, f"{HERE}/polling_backend.py", database.url(), engine.socket,
             f"{self.traefik.dynamic}/apps.yml", "test"], f"{self.traefik.directory}/backend.log")

    def start(self):
        self.process.start()
        return self

    def stop(self):
        self.process.kill()


def host(project):
    return f"{project}.test"
