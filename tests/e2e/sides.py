"""Waymark and Traefik's own Docker provider, each with a Traefik, to be measured side by side."""

import labels


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


def host(project):
    return f"{project}.test"
