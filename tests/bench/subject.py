"""The Waymark under test: started on a fake engine or none, looked at from outside through /proc."""

import gzip
import http.client
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

from fake import ROOT

WAYMARK = Path(os.environ.get("WAYMARK", ROOT / "build" / "waymark"))
DOMAIN = "bench.test"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_ns(pid):
    """The time that all threads of a process have run, ended ones included.

    Its CPU clock, as clock_getcpuclockid(3) makes it: exact, where /proc/PID/stat counts ticks."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def loop_ns(pid):
    """The same of its first thread, which has the loop (proc(5), schedstat)."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0])


class Cpu:
    """What a process spends from now on."""

    def __init__(self, pid):
        self.pid = pid
        self.start = self.now()

    def now(self):
        return process_ns(self.pid), loop_ns(self.pid), time.monotonic_ns()

    def spent(self):
        """(all threads, the loop's, the wall clock) in ns."""
        return tuple(b - a for a, b in zip(self.start, self.now()))


def get(port, path, packed=False):
    """(status, document as bytes, as they came) of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"} if packed else {})
    reply = connection.getresponse()
    raw = reply.read()
    connection.close()
    is_gzip = reply.getheader("Content-Encoding") == "gzip"
    return reply.status, gzip.decompress(raw) if is_gzip else raw, raw


class Waymark:
    """A running Waymark; its files are in directory.  fake: its engine, or None; more: settings."""

    def __init__(self, directory, fake, launcher=(), **more):
        self.port = free_port()
        number = len(list(Path(directory).glob("waymark-*.yaml")))
        self.config = Path(directory) / f"waymark-{number}.yaml"
        self.log_path = Path(directory) / f"waymark-{number}.log"
        engine = fake and {"name": "fake", "host": f"unix://{fake.socket}", "network": "apps"}
        # JSON is YAML
        self.config.write_text(json.dumps({
            "listen": f"127.0.0.1:{self.port}",
            "base_domain": DOMAIN,
            "state_dir": str(Path(directory) / f"state-{number}"),
            "engines": [engine] if engine else [],
            **more,
        }))  # fmt: skip
        self.started_ns = time.monotonic_ns()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*launcher, str(WAYMARK), "run", "-c", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        code = self.process.wait(20)
        assert code == 0, f"waymark ended with {code}: {self.log_tail()}"

    def log_tail(self):
        return self.log_path.read_text(errors="replace")[-3000:]

    def wait_ready(self, timeout=60):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if get(self.port, "/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"waymark is not ready: {self.log_tail()}")

    def document(self, packed=False):
        status, document, raw = get(self.port, "/traefik", packed)
        assert status == 200, status
        return document, raw

    def packed_document(self):
        """The bytes as gzip, once they are ready; they are made in the background."""
        for _ in range(100):
            document, raw = self.document(packed=True)
            if raw != document:
                return raw
            time.sleep(0.1)
        raise RuntimeError("the document never came as gzip")

    def bytes_read(self):
        """By read() and its like, which is of files; not what sockets bring (proc(5), io)."""
        return int(re.search(r"rchar: (\d+)", Path(f"/proc/{self.pid}/io").read_text()).group(1))

    def memory_mib(self, name):
        """VmRSS or VmHWM."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status).group(1)) / 1024


# ---- is the document right? ----


def host_of(container):
    branch = "" if container.branch == "-" else f"-preview-{container.branch}"
    return f"{container.project}{branch}.{DOMAIN}"


def expected_routes(world):
    """The servers that each host should have, of the hosts that have any."""
    ret = {}
    for c in world:
        if c.serves:
            ret.setdefault(host_of(c), set()).add(f"http://{c.ip}:{c.port}")
    return ret


def served_routes(document):
    """The same, read from Traefik's dynamic configuration."""
    http_part = json.loads(document).get("http", {})
    ret = {}
    for router in http_part.get("routers", {}).values():
        balancer = http_part["services"].get(router["service"], {}).get("loadBalancer", {})
        urls = {server["url"] for server in balancer.get("servers", [])}
        for host in re.findall(r"Host\(`([^`]+)`\)", router["rule"]):
            if urls:
                ret.setdefault(host, set()).update(urls)
    return ret


def wrong_hosts(document, world):
    """Hosts whose servers in the document are not those of the world."""
    expected, served = expected_routes(world), served_routes(document)
    return [h for h in expected.keys() | served.keys() if expected.get(h) != served.get(h)]
