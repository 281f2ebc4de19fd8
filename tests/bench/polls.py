"""How many polls a second: Waymark, Go's net/http and Caddy's file server with the same bytes.

All three serve from one processor, wrk asks from another; they take turns, and each starts a round
once.
"""

import gzip
import os
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from fake import BUILD
from subject import Cpu, Waymark, free_port, get

CONNECTIONS = 32
ROUNDS = 3
CADDYFILE = """{{
	admin off
	auto_https off
	log {{
		level ERROR
	}}
}}
http://127.0.0.1:{port} {{
	root * {root}
	rewrite /traefik /document.json
	file_server {{
		precompressed gzip
	}}
}}
"""


def processors():
    """(the server's, the load's) as taskset takes them; nothing where there is only one."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        return (), ()
    return ("taskset", "-c", str(mine[0])), ("taskset", "-c", ",".join(map(str, mine[1:])))


class Server:
    """One of those that Waymark is compared with."""

    def __init__(self, name, port, command, directory):
        self.name, self.port = name, port
        environment = {**os.environ, "HOME": directory, "XDG_DATA_HOME": directory,
                       "XDG_CONFIG_HOME": directory}  # fmt: skip
        self.process = subprocess.Popen(
            [*processors()[0], *map(str, command)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        self.pid = self.process.pid

    def __enter__(self):
        for _ in range(500):
            try:
                if get(self.port, "/traefik")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def go_server(directory):
    port = free_port()
    files = [f"{directory}/document.json", f"{directory}/document.json.gz"]
    return Server("Go", port, [BUILD / "bench_baseline", f"127.0.0.1:{port}", *files], directory)


def caddy_server(directory):
    port = free_port()
    caddyfile = Path(directory) / "Caddyfile"
    caddyfile.write_text(CADDYFILE.format(port=port, root=directory))
    caddy = os.environ.get("CADDY") or shutil.which("caddy")
    command = [caddy, "run", "--config", caddyfile, "--adapter", "caddyfile"]
    return Server("Caddy", port, command, directory)


def wrk(server, seconds, packed):
    """(polls a second, µs of the server's processor for one)."""
    header = ["-H", "Accept-Encoding: gzip"] if packed else []
    command = [*processors()[1], "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *header,
               f"http://127.0.0.1:{server.port}/traefik"]  # fmt: skip
    cpu = Cpu(server.pid)
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent = cpu.spent()[0]
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    assert requests and "Non-2xx" not in out and "Socket errors" not in out, out
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), spent / requests / 1e3


def bytes_write(waymark, directory):
    """Puts the document that Waymark serves where the others find it: the very same bytes."""
    document, _ = waymark.document()
    packed = waymark.packed_document()
    assert gzip.decompress(packed) == document
    (Path(directory) / "document.json").write_bytes(document)
    (Path(directory) / "document.json.gz").write_bytes(packed)
    return len(document), len(packed)


def check_bytes(server, directory):
    """All serve the same, and as gzip to who takes it."""
    for packed, name in ((False, "document.json"), (True, "document.json.gz")):
        _, _, raw = get(server.port, "/traefik", packed)
        assert raw == (Path(directory) / name).read_bytes(), f"{server.name} serves other bytes"


def measure(fake, directory, seconds):
    """({kind: {server: (polls a second, µs)}}, sizes), medians of the rounds."""
    seen = {}
    with Waymark(directory, fake, processors()[0]) as waymark:
        waymark.wait_ready()
        waymark.name = "Waymark"
        sizes = bytes_write(waymark, directory)
        with go_server(directory) as go, caddy_server(directory) as caddy:
            servers = [waymark, go, caddy]
            for server in servers:
                check_bytes(server, directory)
            for i in range(ROUNDS):
                for server in servers[i:] + servers[:i]:
                    for kind in ("plain", "gzip"):
                        result = wrk(server, seconds, kind == "gzip")
                        seen.setdefault(kind, {}).setdefault(server.name, []).append(result)
    return {
        kind: {
            name: tuple(statistics.median(values) for values in zip(*results))
            for name, results in by_server.items()
        }
        for kind, by_server in seen.items()
    }, sizes


def report_one(report, containers, kinds, sizes):
    for kind, size in zip(kinds, sizes):
        report.row(f"{containers:,} containers, {kind}: the document", size / 1e3, "kB")
        for name, (rate, cpu_us) in kinds[kind].items():
            report.row(f"{containers:,} containers, {kind}: {name}", rate, "polls/s")
            report.row(f"{containers:,} containers, {kind}: {name}, its CPU", cpu_us, "µs a poll")


def report_ratios(report, containers, kinds, targets):
    plain_target, gzip_target = ((">=", 1), (">=", 5)) if targets else (None, None)
    ours = {kind: kinds[kind]["Waymark"][0] for kind in kinds}
    for name in ("Go", "Caddy"):
        plain, packed = kinds["plain"][name][0], kinds["gzip"][name][0]
        prefix = f"{containers:,} containers"
        report.row(f"{prefix}: Waymark plain : {name} plain", ours["plain"] / plain, "", plain_target)
        report.row(f"{prefix}: Waymark gzip : {name} plain", ours["gzip"] / plain, "", gzip_target)
        report.row(f"{prefix}: Waymark gzip : {name} gzip made before", ours["gzip"] / packed)


def measure_polls(report, fakes, directory, seconds):
    report.section(
        "polls",
        "Polls a second",
        f"`GET /traefik` of the same bytes by `wrk -t1 -c{CONNECTIONS} -d{seconds}s`, each server "
        f"alone on one processor and wrk on another; median of {ROUNDS} rounds that begin with "
        "another server each. Go is a `net/http` server with the document in memory "
        "(tests/bench/baseline), Caddy its file server; both have gzip made before.",
    )
    largest = max(containers for containers, _ in fakes)
    for containers, make_fake in fakes:
        with make_fake() as fake:
            kinds, sizes = measure(fake, directory, seconds)
            report_one(report, containers, kinds, sizes)
            report_ratios(report, containers, kinds, containers == largest)
