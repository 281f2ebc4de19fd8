#!/usr/bin/python3
"""Measures build/waymark on the fake engine; tests/bench/README.md says what and how.

    tests/bench/bench.py [--only latency,events,memory,polls,storm,registry,probes]
                         [--json FILE] [--markdown FILE]

With BENCH_QUICK=1 it only looks that everything runs and that nothing is lost and no request is
one too many, never at a time; exit code 1 where it is not so.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fake import BUILD, Fake  # noqa: E402
from polls import bytes_write, go_server, measure_polls  # noqa: E402
import probes  # noqa: E402
import registry_costs  # noqa: E402
from report import Report  # noqa: E402
from subject import Cpu, Waymark, get, wrong_hosts  # noqa: E402

CLIENT = str(BUILD / "bench_client")
QUICK = os.environ.get("BENCH_QUICK") == "1"


class Sizes:
    """How much of everything: enough for figures, or enough to see that it runs."""

    few = 100
    many = 500 if QUICK else 10_000
    latency_events = 40 if QUICK else 500
    gap_ms = (2, 5) if QUICK else (5, 60)
    slow_gap_ms = (10, 50) if QUICK else (200, 800)
    counted_events = 100 if QUICK else 2_000
    memory_events = 200 if QUICK else 5_000
    storm = (200, 1) if QUICK else (1_000, 5)
    wrk_seconds = 5
    starts = 1 if QUICK else 3
    settle_s = 0.5 if QUICK else 3


def fake_maker(directory, containers):
    return lambda: Fake(tempfile.mkdtemp(dir=directory), containers)


def percentile(values, p):
    """The smallest that so many of a hundred are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)]


def client(*arguments):
    done = subprocess.run(
        [CLIENT, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.splitlines()


# ---- latency ----


def latency_samples(fake, waymark, coding):
    """[first byte µs, last byte µs, bytes, came as gzip, replies] of each event."""
    gap_min, gap_max = Sizes.gap_ms
    lines = client(
        "latency", fake.control_path, "127.0.0.1", waymark.port,
        Sizes.latency_events, gap_min, gap_max, 1, coding,
    )  # fmt: skip
    return [[float(word) for word in line.split()] for line in lines]


def latency_report(report, containers, coding, samples):
    prefix = f"{containers:,} containers, {coding}"
    for column, what in ((0, "first byte"), (1, "last byte")):
        for p, limit in ((50, 1.0), (99, 5.0)):
            value = percentile([s[column] for s in samples], p) / 1e3
            report.row(f"{prefix}: {what}, p{p}", value, "ms", ("<", limit))
    report.row(f"{prefix}: bytes of a reply, median", statistics.median(s[2] for s in samples))
    if coding == "gzip":
        share = sum(s[3] for s in samples) / len(samples)
        report.row(f"{prefix}: replies that came as gzip", share * 100, "%")
    extra = sum(s[4] - 1 for s in samples)
    report.row(f"{prefix}: replies before the one with the change", int(extra))


def measure_floor(report, directory, containers, waymark):
    """The same bytes out of a Go server's memory, with no event and nothing to decide."""
    bytes_write(waymark, directory)
    with go_server(directory) as go:
        for coding in ("plain", "gzip"):
            lines = client("fetch", "127.0.0.1", go.port, Sizes.latency_events, coding)
            last_ms = [float(line.split()[1]) / 1e3 for line in lines]
            for p in (50, 99):
                what = f"{containers:,} containers, {coding}: Go, asked to answered, last byte, p{p}"
                report.row(what, percentile(last_ms, p), "ms")


def measure_latency(report, directory):
    report.section(
        "latency",
        "From an event to the new document",
        f"{Sizes.latency_events} health events {Sizes.gap_ms[0]} to {Sizes.gap_ms[1]} ms apart, one "
        "poll `/traefik?wait=4s` held over TCP; from the write of the event to the reply's bytes, "
        "each reply looked through for the change. Go's rows are the same bytes on request out of a "
        "`net/http` server's memory: what this machine takes to move them.",
    )
    for containers in (Sizes.few, Sizes.many):
        for coding in ("plain", "gzip"):
            with fake_maker(directory, containers)() as fake, Waymark(directory, fake) as waymark:
                waymark.wait_ready()
                time.sleep(Sizes.settle_s)
                samples = latency_samples(fake, waymark, coding)
                assert len(samples) == Sizes.latency_events
                latency_report(report, containers, coding, samples)
                if coding == "plain" and not QUICK:
                    measure_floor(report, directory, containers, waymark)


# ---- what an event costs ----


class Poller:
    """Somebody who holds a poll at all times; coding None: nobody."""

    def __init__(self, waymark, coding):
        self.process = coding and subprocess.Popen(
            [CLIENT, "hold", "127.0.0.1", str(waymark.port), coding],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self):
        if self.process:
            time.sleep(0.5)
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.communicate(timeout=20)


def events_send(fake, count, every_s):
    """That many single health events; what goes away comes back."""
    ids = [c.id for c in fake.world() if c.serves]
    chosen = random.Random(1)
    due = time.monotonic()
    for i in range(count):
        if i % 2 == 0:
            container = chosen.choice(ids)
        fake.tell(f"health {container} {'healthy' if i % 2 else 'unhealthy'}")
        due += every_s
        time.sleep(max(0, due - time.monotonic()))


def events_cost(fake, waymark):
    """(all threads, loop thread) in µs an event above idle, and what was asked of the engine."""
    every_s = 0.005
    idle = Cpu(waymark.pid)
    time.sleep(Sizes.settle_s)
    idle_all, idle_loop, idle_wall = idle.spent()
    fake.tell("reset")
    busy = Cpu(waymark.pid)
    events_send(fake, Sizes.counted_events, every_s)
    time.sleep(0.2)
    busy_all, busy_loop, wall = busy.spent()
    counts = fake.counts()
    assert counts["sent"] == Sizes.counted_events
    scale = wall / idle_wall
    per_event = [
        (spent - idle_spent * scale) / 1e3 / Sizes.counted_events
        for spent, idle_spent in ((busy_all, idle_all), (busy_loop, idle_loop))
    ]
    return per_event, counts


def measure_events(report, directory):
    report.section(
        "events",
        "What an event costs",
        f"{Sizes.counted_events} health events 5 ms apart over {Sizes.many:,} containers; requests as "
        "the fake engine counted them; CPU of all threads by the process's CPU clock, what it spends "
        "when idle taken off.",
    )
    for coding in (None, "plain", "gzip"):
        who = f"one poller ({coding})" if coding else "no poller"
        with fake_maker(directory, Sizes.many)() as fake, Waymark(directory, fake) as waymark:
            waymark.wait_ready()
            time.sleep(Sizes.settle_s)
            with Poller(waymark, coding):
                (all_us, loop_us), counts = events_cost(fake, waymark)
            wrong = wrong_hosts(waymark.document()[0], fake.world())
        inspects = counts["inspects"] / Sizes.counted_events
        report.row(f"{who}: inspects an event", inspects, "", ("==", 1))
        report.row(f"{who}: lists", counts["lists"], "", ("==", 0))
        report.row(f"{who}: CPU an event", all_us, "µs", ("<", 150))
        report.row(f"{who}: of that on the loop", loop_us, "µs")
        report.row(f"{who}: hosts that are wrong after all events", len(wrong), "", ("==", 0))
    report.row("an inspect's size", counts["inspect_bytes"], "bytes")


# ---- memory and the start ----


def start_once(directory, fake):
    """A fresh start: (waymark, ms from the list's last byte to the document's first and last)."""
    fake.tell("reset")
    waymark = Waymark(directory, fake)
    first_ns, last_ns, _ = map(int, client("first", "127.0.0.1", waymark.port)[0].split())
    done_ns = fake.counts()["list_done_ns"]
    return waymark, (first_ns - done_ns) / 1e6, (last_ns - done_ns) / 1e6


def measure_starts(report, directory, fake):
    firsts, lasts = [], []
    for _ in range(Sizes.starts):
        waymark, first_ms, last_ms = start_once(directory, fake)
        with waymark:
            firsts.append(first_ms)
            lasts.append(last_ms)
    what = "from the list's last byte to the first document's"
    report.row(f"{what} first byte, median", statistics.median(firsts), "ms", ("<=", 300))
    report.row(f"{what} last byte, worst of {Sizes.starts}", max(lasts), "ms", ("<=", 300))


def measure_memory(report, directory):
    report.section(
        "memory",
        "Memory, and the first document",
        f"{Sizes.many:,} containers. VmRSS {Sizes.settle_s} s after the first document, and after "
        f"{Sizes.memory_events:,} events with a poller that takes gzip; VmHWM is the peak of both.",
    )
    with fake_maker(directory, Sizes.many)() as fake:
        measure_starts(report, directory, fake)
        waymark, _, _ = start_once(directory, fake)
        with waymark:
            time.sleep(Sizes.settle_s)
            report.row("steady, nobody polls", waymark.memory_mib("VmRSS"), "MiB", ("<=", 40))
            report.row("peak until then", waymark.memory_mib("VmHWM"), "MiB", ("<=", 64))
            with Poller(waymark, "gzip"):
                events_send(fake, Sizes.memory_events, 0.002)
                time.sleep(Sizes.settle_s)
                report.row("after the events", waymark.memory_mib("VmRSS"), "MiB", ("<=", 40))
                report.row("peak of all", waymark.memory_mib("VmHWM"), "MiB", ("<=", 64))
        counts = fake.counts()
    report.row("a container in the list", counts["list_bytes"] / Sizes.many, "bytes")


# ---- storm ----


def right_after_ms(fake, waymark, end_ns):
    """(hosts wrong 50 ms after the end, ms after the end when the document was right)."""
    world = fake.world()
    time.sleep(max(0, (end_ns + 50_000_000 - time.monotonic_ns()) / 1e9))
    wrong_at_50 = None
    while True:
        asked_ns = time.monotonic_ns()
        wrong = len(wrong_hosts(get(waymark.port, "/traefik")[1], world))
        if wrong_at_50 is None:
            wrong_at_50 = wrong
        if not wrong or asked_ns > end_ns + 10_000_000_000:
            return wrong_at_50, (asked_ns - end_ns) / 1e6, wrong
        time.sleep(0.02)


def storm_run(report, who, fake, waymark):
    rate, seconds = Sizes.storm
    fake.tell("reset")
    cpu = Cpu(waymark.pid)
    storm = fake.storm(rate, seconds, 7)
    spent, _, wall = cpu.spent()
    wrong_at_50, right_ms, lost = right_after_ms(fake, waymark, storm["last_ns"])
    counts = fake.counts()
    assert storm["events"] == counts["sent"], "a storm that nobody heard"
    report.row(f"{who}: CPU a second", spent / wall, "s", ("<", 0.15))
    report.row(f"{who}: hosts wrong 50 ms after its end", wrong_at_50, "", ("==", 0))
    report.row(f"{who}: first seen right, after its end", right_ms, "ms")
    report.row(f"{who}: hosts wrong for good", lost, "", ("==", 0))
    report.row(f"{who}: inspects an event", counts["inspects"] / storm["events"], "", ("<=", 1))
    report.row(f"{who}: lists", counts["lists"], "", ("==", 0))
    report.row(f"{who}: the fake engine's worst delay", storm["late_ns"] / 1e6, "ms")


def measure_storm(report, directory):
    rate, seconds = Sizes.storm
    report.section(
        "storm",
        "A storm of events",
        f"{rate:,} events a second for {seconds} s over {Sizes.many:,} containers: health changes, "
        "moves to other addresses, stops and starts. The document is compared with the fake engine's "
        "world, host by host.",
    )
    for coding in (None, "plain", "gzip"):
        who = f"one poller ({coding})" if coding else "no poller"
        with fake_maker(directory, Sizes.many)() as fake, Waymark(directory, fake) as waymark:
            waymark.wait_ready()
            time.sleep(Sizes.settle_s)
            with Poller(waymark, coding):
                storm_run(report, who, fake, waymark)


# ---- all of it ----


def measure_polls_of_both(report, directory):
    if QUICK:
        return  # nothing but times
    fakes = [(n, fake_maker(directory, n)) for n in (Sizes.few, Sizes.many)]
    measure_polls(report, fakes, directory, Sizes.wrk_seconds)


def measure_registry(report, directory):
    registry_costs.measure_registry(report, directory, registry_costs.Sizes(
        few=Sizes.few, many=Sizes.many, changes=10 if QUICK else 60, gap_ms=Sizes.gap_ms,
        slow_changes=3 if QUICK else 20, slow_gap_ms=Sizes.slow_gap_ms,
        starts=Sizes.starts, settle_s=0.2 if QUICK else Sizes.settle_s, idle_s=2 if QUICK else 40,
    ))  # fmt: skip


def measure_probes(report, directory):
    probes.measure_probes(report, directory, probes.Sizes(
        containers=300 if QUICK else 5_000, hanging=(0, 20) if QUICK else (0, 1, 300),
        interval_s=0.5 if QUICK else 5, settle_s=1 if QUICK else 15,
        measured_s=2 if QUICK else 30,
    ))  # fmt: skip


PARTS = {
    "latency": measure_latency,
    "events": measure_events,
    "memory": measure_memory,
    "polls": measure_polls_of_both,
    "storm": measure_storm,
    "registry": measure_registry,
    "probes": measure_probes,
}

# Which targets are about what is done and not about how fast.
EXACT = (
    "lists", "inspects an event", "hosts that are wrong", "hosts wrong for good",
    "statements a change", "rows a change", "changes that are not in the document",
    "containers not looked at",
)  # fmt: skip


def failures(report):
    """In a quick run only counts can fail, in a full one nothing does: the page says it all."""
    return [r for r in report.missed() if any(words in r["what"] for words in EXACT)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    report = Report()
    with tempfile.TemporaryDirectory(prefix="wmb-", dir="/tmp") as directory:
        for name in arguments.only.split(","):
            PARTS[name](report, directory)
    if arguments.json:
        arguments.json.write_text(report.json())
    if arguments.markdown:
        arguments.markdown.write_text(report.markdown())
    found = failures(report)
    for row in found:
        print(f"wrong: {row['what']}: {row['value']}, not {row['target']}", file=sys.stderr)
    sys.exit(1 if found and QUICK else 0)


if __name__ == "__main__":
    main()
