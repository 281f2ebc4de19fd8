#!/usr/bin/env python3
"""Does the fake engine say what a real dockerd says?

    tests/bench/check_fake.py DOCKER_SOCKET

Takes one container through the same life in both, and compares after each step the list, the
inspect, and in the end all events: at every path that Waymark reads the same JSON types and, where
it means the container's state, the same value; with a dockerd 20.10, which the fake engine plays,
the same members everywhere.  Prints each difference; exit code 1 where there is one.
"""

import io
import json
import re
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fake import Engine, Fake, UnixHTTP  # noqa: E402

LABELS = {"waymark.project": "shop", "waymark.port": "8080"}
EVENTS = [
    "create", "start", "restart", "stop", "kill", "die", "destroy", "rename", "pause", "unpause",
    "oom", "health_status", "connect", "disconnect",
]  # fmt: skip

# Members whose names are data: the path goes on as ".*".
MAPS = re.compile(r"(Labels|Networks|ExposedPorts|NetworkSettings\.Ports|Details)$")

# What Waymark reads (reconciler/sources/engine_parse.c).
READ = {
    "list": re.compile(
        r"^\.(Id|Names(\[\])?|Created|State|Status|Labels(\.\*)?|HostConfig\.NetworkMode"
        r"|Ports(\[\](\.(PrivatePort|PublicPort|Type|IP))?)?"
        r"|NetworkSettings(\.Networks(\.\*(\.(IPAddress|GlobalIPv6Address))?)?)?)$"
    ),
    "inspect": re.compile(
        r"^\.(Id|Name|Created|Config(\.(Labels|ExposedPorts)(\.\*)?|\.StopSignal)?"
        r"|State(\.(Status|Running|Paused|Restarting|StartedAt|Health(\.Status)?))?"
        r"|HostConfig(\.NetworkMode)?"
        r"|NetworkSettings(\.(Ports(\.\*)?|Networks(\.\*(\.(IPAddress|GlobalIPv6Address))?)?))?)$"
    ),
    "version": re.compile(r"^\.(ApiVersion|MinAPIVersion|Version|Components(\[\](\.Name)?)?)$"),
    "event": re.compile(r"^\.(Type|Action|Actor(\.ID|\.Attributes.*)?)$"),
}

# The state's words, which must be equal and not only of one type.
VALUES = {
    "list": [("State",), ("Status",), ("Ports",)],
    "inspect": [
        ("State", "Status"), ("State", "Running"), ("State", "Paused"), ("State", "Restarting"),
        ("State", "Health", "Status"), ("Config", "StopSignal"), ("Config", "ExposedPorts"),
        ("NetworkSettings", "Ports"),
    ],
}  # fmt: skip


# ---- comparing ----


def kind(value):
    for name, types in (("bool", bool), ("number", (int, float)), ("string", str)):
        if isinstance(value, types):
            return name
    return {dict: "object", list: "array"}.get(type(value), "null")


def walk(value, path=""):
    """Yields (path, type) of everything in it."""
    yield path, kind(value)
    if isinstance(value, dict):
        for name, member in value.items():
            yield from walk(member, f"{path}.*" if MAPS.search(path) else f"{path}.{name}")
    if isinstance(value, list):
        for item in value:
            yield from walk(item, f"{path}[]")


def shape(value):
    ret = {}
    for path, type_name in walk(value):
        ret.setdefault(path, set()).add(type_name)
    return ret


def below_null(path, types):
    """Is the path below something that is null or an empty list there?"""
    parents = [path[:i] for i in range(len(path)) if path[i] in ".["]
    return any("null" in types.get(p, ()) or types.get(p) == {"array"} for p in parents if p)


def compare_shapes(what, real, fake, exact):
    """Yields differences.  What Waymark does not read may be null or empty on one side only."""
    a, b = shape(real), shape(fake)
    for path in sorted(a.keys() | b.keys()):
        read = READ[what].match(path)
        if a.get(path) == b.get(path) or not (read or exact):
            continue
        one, other = a.get(path, set()), b.get(path, set())
        if not read and ("null" in one | other or below_null(path, b if one else a)):
            continue
        yield f"{what}{path}: dockerd has {sorted(one) or 'nothing'}, the fake {sorted(other)}"


def member(value, path):
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def steady(value):
    """Without what differs from one moment or engine to the next."""
    text = re.sub(r"(Up|ago) ?.*?(?= \(|$|\")", r"\1", json.dumps(value, sort_keys=True))
    return re.sub(r"Exited \(\d+\).*?\"", 'Exited"', text)


def compare_values(what, real, fake):
    for path in VALUES[what]:
        a, b = steady(member(real, path)), steady(member(fake, path))
        if a != b:
            yield f"{what}.{'.'.join(path)}: dockerd has {a}, the fake {b}"


# ---- events ----


class Events(threading.Thread):
    """Collects the events of one container until it is destroyed."""

    def __init__(self, engine):
        super().__init__(daemon=True)
        filters = json.dumps({"type": ["container", "network"], "event": EVENTS})
        self.connection = UnixHTTP(engine.path)
        self.connection.request("GET", f"/v1.41/events?filters={urllib.parse.quote(filters)}")
        self.reply = self.connection.getresponse()  # the head comes before any event
        self.seen = []
        self.start()

    def run(self):
        for line in self.reply:
            self.seen.append(json.loads(line))

    def of(self, container):
        """Its events, in their order; waits for the last."""
        for _ in range(200):
            mine = [e for e in list(self.seen) if container in json.dumps(e)]
            if mine and mine[-1]["Action"] == "destroy":
                return mine
            time.sleep(0.05)
        raise TimeoutError(f"no destroy event among {[e['Action'] for e in mine]}")


def event_line(event):
    return f"{event['Type']} {event['Action']} {sorted(event['Actor']['Attributes'])}"


def compare_events(real, fake, exact):
    a, b = [event_line(e) for e in real], [event_line(e) for e in fake]
    if a != b:
        yield "events: dockerd sent\n  " + "\n  ".join(a) + "\nthe fake\n  " + "\n  ".join(b)
        return
    for one, other in zip(real, fake):
        yield from compare_shapes("event", one, other, exact)


# ---- the two lives ----


class FakeLife:
    """The container's life in the fake engine."""

    def __init__(self, fake):
        self.fake, self.engine = fake, fake.engine

    def create(self):
        labels = " ".join(f"{name}={value}" for name, value in LABELS.items())
        self.id = self.fake.tell(f"create check {labels}")[0]

    def step(self, command, *words):
        self.fake.tell(" ".join([command, self.id, *words]))

    def health(self, health):
        self.step("health", health)

    def rename(self):
        self.step("rename", "check-2")

    def connect(self):
        self.step("connect", "second")

    def disconnect(self):
        self.step("disconnect", "second")

    def finish(self):
        pass


class RealLife:
    """The same life in a dockerd, with an image of one busybox and networks of its own."""

    def __init__(self, engine, directory):
        self.engine = engine
        self.name = f"check-{uuid.uuid4().hex[:8]}"
        self.networks = [f"{self.name}-apps", f"{self.name}-second"]
        self.flag = Path(directory) / "healthy"
        self.image_make()
        for network in self.networks:
            self.post("/networks/create", {"Name": network})

    def post(self, target, body=None, method="POST"):
        status, value = self.engine.ask(method, target, body)
        assert status < 400, (target, status, value)
        return value

    def image_make(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add("/bin/busybox", "bin/busybox")
            for applet in ("sh", "sleep", "test"):
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        target = f"/images/create?fromSrc=-&repo={self.name}&tag=1"
        status, value = self.engine.ask("POST", target, packed.getvalue(), "application/x-tar")
        assert status == 200, value

    def create(self):
        body = {
            "Image": f"{self.name}:1",
            "Cmd": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"],
            "Labels": LABELS,
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["PORT=8080"],
            "StopSignal": "SIGTERM",
            "StopTimeout": 5,
            "Healthcheck": {
                "Test": ["CMD-SHELL", "test -f /flag/healthy"],
                "Interval": 500_000_000, "Timeout": 2_000_000_000, "Retries": 1,
            },
            "HostConfig": {
                "NetworkMode": self.networks[0],
                "Binds": [f"{self.name}-data:/data", f"{self.flag.parent}:/flag:ro"],
                "RestartPolicy": {"Name": "unless-stopped"},
                "LogConfig": {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}},
                "SecurityOpt": ["no-new-privileges"],
                "Tmpfs": {"/tmp": ""},
                "CapAdd": ["CHOWN"], "CapDrop": ["ALL"],
                "Ulimits": [{"Name": "nofile", "Hard": 1024, "Soft": 1024}],
                "Init": True,
            },
        }  # fmt: skip
        self.id = self.post(f"/containers/create?name={self.name}", body)["Id"]

    def step(self, command):
        if command == "remove":
            self.post(f"/containers/{self.id}?force=1", method="DELETE")
        else:
            self.post(f"/containers/{self.id}/{command}")

    def health(self, health):
        if health == "healthy":
            self.flag.touch()
        else:
            self.flag.unlink()
        for _ in range(200):
            if self.inspect_health() == health:
                return
            time.sleep(0.05)
        raise TimeoutError(f"never {health}")

    def inspect_health(self):
        return self.engine.get(f"/containers/{self.id}/json")["State"]["Health"]["Status"]

    def rename(self):
        self.post(f"/containers/{self.id}/rename?name={self.name}-2")

    def connect(self):
        self.post(f"/networks/{self.networks[1]}/connect", {"Container": self.id})

    def disconnect(self):
        self.post(f"/networks/{self.networks[1]}/disconnect", {"Container": self.id})

    def finish(self):
        for target in (
            f"/containers/{getattr(self, 'id', 'none')}?force=1", f"/volumes/{self.name}-data",
            *(f"/networks/{network}" for network in self.networks), f"/images/{self.name}:1",
        ):  # fmt: skip
            self.engine.ask("DELETE", target)


LIFE = [
    ("created", lambda life: life.create()),
    ("started", lambda life: life.step("start")),
    ("healthy", lambda life: life.health("healthy")),
    ("unhealthy", lambda life: life.health("unhealthy")),
    ("healthy again", lambda life: life.health("healthy")),
    ("paused", lambda life: life.step("pause")),
    ("unpaused", lambda life: life.step("unpause")),
    ("healthy after the pause", lambda life: life.health("healthy")),
    ("renamed", lambda life: life.rename()),
    ("on two networks", lambda life: life.connect()),
    ("on one network", lambda life: life.disconnect()),
    ("stopped", lambda life: life.step("stop")),
    ("restarted", lambda life: life.step("start")),
]


def look(life):
    """What list and inspect say of it, read as Waymark does."""
    listed = life.engine.get("/v1.41/containers/json?all=1")
    mine = [item for item in listed if item["Id"] == life.id]
    assert len(mine) == 1, f"listed {len(mine)} times"
    return {"list": mine[0], "inspect": life.engine.get(f"/v1.41/containers/{life.id}/json")}


def compare_looks(name, real, fake, exact):
    for what in real:
        for difference in (
            *compare_shapes(what, real[what], fake[what], exact),
            *compare_values(what, real[what], fake[what]),
        ):
            yield f"{name}: {difference}"


def compare_lives(real, fake, exact):
    real_events, fake_events = Events(real.engine), Events(fake.engine)
    for name, step in LIFE:
        step(real)
        step(fake)
        yield from compare_looks(name, look(real), look(fake), exact)
    real.step("remove")
    fake.step("remove")
    yield from compare_events(real_events.of(real.id), fake_events.of(fake.id), exact)


def compare_missing(real, fake):
    for method, target in (("GET", "/v1.41/containers/nope/json"), ("GET", "/v1.99/version")):
        a, b = real.ask(method, target), fake.ask(method, target)
        if (a[0], shape(a[1])) != (b[0], shape(b[1])):
            yield f"{target}: dockerd says {a}, the fake {b}"


def differences(docker_socket):
    """Every difference, as a list of text."""
    real = Engine(docker_socket)
    version = real.get("/version")
    exact = version["Version"].startswith("20.10.")
    with tempfile.TemporaryDirectory(prefix="waymark-check-") as directory:
        with Fake(directory) as fake:
            ret = list(compare_shapes("version", version, fake.engine.get("/version"), exact))
            ret += compare_missing(real, fake.engine)
            life = RealLife(real, directory)
            try:
                ret += compare_lives(life, FakeLife(fake), exact)
            finally:
                life.finish()
    return ret


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_fake.py DOCKER_SOCKET")
    found = differences(sys.argv[1].removeprefix("unix://"))
    print("\n".join(found) or "the fake engine says what dockerd says")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
