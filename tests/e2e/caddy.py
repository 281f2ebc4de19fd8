"""A real Caddy, Debian's or the newest, on loopback, with an admin socket and a home of its own.

Its main Caddyfile imports the files of `sites`, which may be another's; `globals` and `rest` are
lines of the operator's, before and behind that import."""

import json
import os

import http_unix
import native
import ports
import process
import wait

VERSIONS = ("2.6", "2.11")
TCP = "tcp"  # as admin: an endpoint on loopback instead of a socket


class Caddy:
    def __init__(self, directory, version="2.11", sites=None, admin=None, admin_options="", globals=(),
                 rest=()):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.version = version
        self.sites = str(sites or f"{self.directory}/sites")
        os.makedirs(self.sites, exist_ok=True)
        self.caddyfile = f"{self.directory}/Caddyfile"
        self.port = ports.free()  # http
        if admin == TCP:
            self.admin_port = ports.free()
            self.admin_address = self.admin_port
            self.admin = f"localhost:{self.admin_port}"  # in Caddy's own words
            self.admin_url = f"http://{self.admin}"  # as the configuration's decoder gives it
        else:
            self.admin_address = f"{self.directory}/admin.sock"
            self.admin = f"unix/{self.admin_address}"
            self.admin_url = f"unix://{self.admin_address}"
        self.admin_options = f" {{\n\t\t{admin_options}\n\t}}" if admin_options else ""
        self.globals, self.rest = list(globals), list(rest)
        self.write()
        home = {"HOME": self.directory, "XDG_DATA_HOME": f"{self.directory}/data",
                "XDG_CONFIG_HOME": f"{self.directory}/config"}
        self.process = process.Process(
            [native.caddy(version), "run", "--config", self.caddyfile, "--adapter", "caddyfile"],
            f"{self.directory}/caddy.log", env=home, cwd=self.directory)

    def text(self):
        """The main Caddyfile."""
        lines = [f"admin {self.admin}{self.admin_options}",
                 "auto_https off", f"http_port {self.port}", "default_bind 127.0.0.1", *self.globals]
        return "\n".join(["{", *(f"\t{line}" for line in lines), "}", "",
                          f"import {self.sites}/*.caddy", *self.rest, ""])

    def write(self):
        with open(self.caddyfile, "w") as f:
            f.write(self.text())

    def start(self):
        self.process.start()
        wait.until(lambda: not self.process.running or self.config() is not None, 30,
                   "Caddy's admin endpoint answers")
        if not self.process.running:
            raise RuntimeError(f"Caddy {self.version} did not start:\n{self.process.tail()}")
        return self

    def stop(self):
        """At once: asked politely it waits for the connections that are open."""
        self.process.kill()

    def restart(self):
        """As after a crash; it loads its files."""
        self.stop()
        return self.start()

    # its admin endpoint, as others use it

    def ask(self, method, path, body=None, timeout=30):
        """(status, octets)"""
        headers = {"Content-Type": "text/caddyfile"} if body is not None else {}
        if not isinstance(self.admin_address, int):
            headers["Host"] = ""
        status, _, answer = http_unix.ask(self.admin_address, method, path, body, headers, timeout)
        return status, answer

    def config(self):
        status, answer = self.ask("GET", "/config/")
        if status != 200:
            raise LookupError(f"GET /config/: {status}: {answer[:300]!r}")
        return json.loads(answer)

    def adapt(self, text=None):
        """What it makes of its main Caddyfile, or of another; an error's text is a LookupError."""
        status, answer = self.ask("POST", "/adapt", (text or self.text()).encode())
        answer = json.loads(answer)
        if status != 200:
            raise LookupError(answer["error"])
        return answer["result"]

    def load(self):
        """As `caddy reload` does it; an error's text is a LookupError."""
        status, answer = self.ask("POST", "/load", self.text().encode())
        if status != 200 or b'{"error"' in answer:
            raise LookupError(answer.decode(errors="replace"))

    # asking through it

    def get(self, host, path="/", headers=None, timeout=2):
        """(status, octets); status 0: nothing came in time."""
        try:
            status, _, body = http_unix.ask(self.port, "GET", path, timeout=timeout,
                                            headers={"Host": host, **(headers or {})})
        except TimeoutError:
            return 0, b""
        return status, body


def hosts(config):
    """All that any matcher of an adapted configuration names."""
    found = set()
    todo = [config]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            found.update(h for m in one.get("match") or [] for h in m.get("host", []))
            todo += one.values()
        elif isinstance(one, list):
            todo += one
    return found
