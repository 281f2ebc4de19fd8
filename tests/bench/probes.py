"""What probes cost, and how punctual they are: with nobody that hangs, with one, with hundreds."""

import subprocess
import tempfile
import time
from typing import NamedTuple

from fake import BUILD, Fake, numbers
from subject import Cpu, Waymark

PATH = "/health"
SPREAD = 0.1  # of the interval, so much earlier or later is a look due


class Sizes(NamedTuple):
    """How much of everything."""

    containers: int  # that answer
    hanging: tuple  # that do not, beside them; the first of these is what the others are compared to
    interval_s: float
    settle_s: float
    measured_s: float


class Backends:
    """What answers, or does not, at 127.10.x.y."""

    def __init__(self, count, hanging):
        self.process = subprocess.Popen(
            [str(BUILD / "bench_backends"), str(count), str(hanging)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def ask(self, line):
        self.process.stdin.write(f"{line}\n")
        return self.process.stdout.readline().strip()

    def stats(self):
        return numbers(self.ask("stats").split())


def fill(fake, count, port):
    """That many containers with a health path, each a project, at the backends' addresses."""
    for i in range(count):
        fake.tell(f"create p{i} waymark.project=p{i} waymark.port={port} waymark.health.path={PATH}")
        fake.tell(f"start p{i}")
        fake.tell(f"move p{i} 127.10.{i // 256}.{i % 256}")


def measure_one(directory, sizes, hanging):
    """(CPU seconds a second, what the backends saw)."""
    count = sizes.containers + hanging
    probe = {"interval": f"{int(sizes.interval_s * 1000)}ms"}
    with Backends(count, hanging) as backends, Fake(tempfile.mkdtemp(dir=directory)) as fake:
        fill(fake, count, backends.port)
        with Waymark(directory, fake, probe=probe) as waymark:
            waymark.wait_ready()
            time.sleep(sizes.settle_s)
            backends.ask("reset")
            cpu = Cpu(waymark.pid)
            time.sleep(sizes.measured_s)
            spent, _, wall = cpu.spent()
            return spent / wall, backends.stats()


def measure_probes(report, directory, sizes):
    report.section(
        "probes",
        "Probes",
        f"{sizes.containers:,} containers that answer `GET {PATH}`, asked every {sizes.interval_s:g} s, "
        "and beside them some that accept and say nothing until the time-out of 2 s; "
        f"{sizes.measured_s:g} s. A look is due at the latest {1 + SPREAD:g} intervals after the last "
        "one began; what is over that is its delay, of those that answer. CPU is that of all threads.",
    )
    due_ms = sizes.interval_s * (1 + SPREAD) * 1000
    first = None
    for hanging in sizes.hanging:
        who = f"{hanging} hang" if hanging else "nobody hangs"
        cpu, seen = measure_one(directory, sizes, hanging)
        first = first or (cpu, seen)
        looks = seen["connections"] / sizes.measured_s
        report.row(f"{who}: CPU a second", cpu, "s")
        report.row(f"{who}: CPU a look at one that answers", cpu / looks * 1e6, "µs")
        report.row(f"{who}: looks a second", looks)
        report.row(f"{who}: containers not looked at", seen["missed"], "", ("==", 0))
        report.row(f"{who}: interval, median", seen["p50_us"] / 1e6, "s")
        report.row(f"{who}: delay, p99", max(0, seen["p99_us"] / 1e3 - due_ms), "ms", ("<=", 100))
        report.row(f"{who}: delay, longest", max(0, seen["max_us"] / 1e3 - due_ms), "ms",
                   ("<=", 500))  # fmt: skip
        if hanging:
            report.row(f"{who}: CPU, to that with nobody", cpu / first[0], "times", ("<=", 1.5))
            report.row(f"{who}: looks, to those with nobody",
                       seen["connections"] / first[1]["connections"], "times", (">=", 0.95))  # fmt: skip
