"""The fake engine as a Python object, and a small HTTP client for unix sockets.

    with Fake(directory, 1000) as fake:
        fake.tell("health p00042-web-1 unhealthy")
        fake.counts()["inspects"]
"""

import http.client
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("WAYMARK_BUILD", "build/gcc")


class FakeError(Exception):
    """The fake engine refused a command."""


class UnixHTTP(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout=30):
        super().__init__("engine", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """The API of an engine, real or fake, by its socket."""

    def __init__(self, path):
        self.path = path

    def ask(self, method, target, body=None, content_type="application/json"):
        """(status, value): the reply's JSON where it is some, else its bytes."""
        connection = UnixHTTP(self.path)
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, target, data, {"Content-Type": content_type} if data else {})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        try:
            return reply.status, json.loads(text)
        except ValueError:
            return reply.status, text

    def get(self, target):
        status, value = self.ask("GET", target)
        assert status == 200, (target, status, value)
        return value


class Container(NamedTuple):
    """A line of the command `world`."""

    id: str
    name: str
    state: str
    health: str
    ip: str
    project: str
    branch: str
    port: str

    @property
    def serves(self):
        return self.state == "running" and self.health in ("healthy", "none")


def numbers(words):
    """["a=1", …] as a dictionary."""
    return {name: int(value) for name, value in (word.split("=") for word in words)}


class Fake:
    """A running fake engine; its sockets are in directory."""

    def __init__(self, directory, containers=0, launcher=()):
        self.socket = Path(directory) / "engine.sock"
        self.control_path = Path(directory) / "control.sock"
        command = [*launcher, BUILD / "fake_engine", self.socket, self.control_path, containers]
        # It ends when its standard input does, so it never outlives this process.
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline().startswith("listening")
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(str(self.control_path))
        self.lines = self.control.makefile("r")
        self.engine = Engine(self.socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.lines.close()
        self.control.close()
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        assert code == 0, f"fake_engine ended with {code}"

    def send(self, command):
        self.control.sendall(f"{command}\n".encode())

    def reply(self):
        """The words after "ok" of the next line."""
        status, *words = self.lines.readline().split() or ["closed"]
        if status != "ok":
            raise FakeError(" ".join([status, *words]))
        return words

    def tell(self, command):
        self.send(command)
        return self.reply()

    def add(self, count):
        """The ids of that many new containers."""
        return [self.lines.readline().strip() for _ in range(int(self.tell(f"add {count}")[0]))]

    def world(self):
        count = int(self.tell("world")[0])
        return [Container(*self.lines.readline().split()) for _ in range(count)]

    def counts(self):
        return numbers(self.tell("counts"))

    def storm(self, rate, seconds, seed):
        """Waits for its end; storm_start and storm_end do it in two steps."""
        self.storm_start(rate, seconds, seed)
        return self.storm_end()

    def storm_start(self, rate, seconds, seed):
        self.send(f"storm {rate} {seconds} {seed}")

    def storm_end(self):
        return numbers(self.reply())
