"""What a registry costs: the first read, one change, and nothing at all, at few and many projects.

No engine.  One server of PostgreSQL for all of it, a fresh Waymark for each run.  The hosts are
registered, so they are in the document and answer 503.
"""

import contextlib
import random
import select
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from fake import BUILD
from registries import Files, MvpTables, OtherTables, OwnTables, Server
from subject import Cpu, Waymark

CLIENT = str(BUILD / "bench_client")
WAIT_S = 30


class Sizes(NamedTuple):
    """How much of everything."""

    few: int
    many: int
    changes: int  # of each kind
    gap_ms: tuple  # between two
    slow_changes: int  # of files
    slow_gap_ms: tuple
    starts: int
    settle_s: float
    idle_s: float


def percentile(values, p):
    """The smallest that so many of a hundred are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * p // 100) - 1)]


def minus(after, before):
    return {name: after[name] - before[name] for name in after}


class Watch:
    """Somebody who holds a poll at all times, and sees when a text has come."""

    def __init__(self, waymark, coding):
        self.process = subprocess.Popen(
            [CLIENT, "watch", "127.0.0.1", str(waymark.port), coding],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def __enter__(self):
        assert self.line() == ["ready"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        code = self.process.wait(20)
        assert code == 0, f"bench_client watch ended with {code}"

    def line(self):
        if not select.select([self.process.stdout], [], [], WAIT_S)[0]:
            raise RuntimeError("bench_client watch says nothing")
        return self.process.stdout.readline().split()

    def expect(self, text):
        self.process.stdin.write(text + "\n")

    def seen(self):
        """(first byte, last byte: CLOCK_MONOTONIC ns; bytes, came as gzip, replies)."""
        words = self.line()
        assert len(words) == 5, words
        return [int(word) for word in words]


# ---- the runs: each with a Waymark of its own ----


class Run:
    """A Waymark on a registry, from its start to its end."""

    def __init__(self, directory, registry):
        self.directory, self.registry = directory, registry

    def __enter__(self):
        self.before = self.registry.usage()
        self.waymark = Waymark(self.directory, None, **self.registry.settings())
        try:
            self.wait_first()
        except BaseException:
            self.waymark.process.kill()
            raise
        return self

    def wait_first(self):
        """Until the first document is out, which has to be whole."""
        done = subprocess.run(
            [CLIENT, "first", "127.0.0.1", str(self.waymark.port)],
            stdout=subprocess.PIPE, text=True, check=True, timeout=90,
        )  # fmt: skip
        self.cpu_ns = Cpu(self.waymark.pid).start[0]
        self.ready_ns = int(done.stdout.split()[1]) - self.waymark.started_ns
        hosts = self.waymark.document()[0].count(b"Host(`")
        expected = self.registry.count * self.registry.hosts_each
        assert hosts >= expected, f"{hosts} hosts of {expected}: {self.waymark.log_tail()}"

    def __exit__(self, *_):
        self.waymark.__exit__()

    def used(self, before):
        return minus(self.registry.usage(), before)


def start_once(directory, registry, settle_s):
    """The figures of one start."""
    with Run(directory, registry) as run:
        ret = {"ready_ms": run.ready_ns / 1e6, "cpu_ms": run.cpu_ns / 1e6}
        ret |= {name: value for name, value in run.used(run.before).items() if name != "bytes"}
        ret["bytes"] = run.registry.usage().get("bytes") or run.waymark.bytes_read()
        time.sleep(settle_s)
        ret["peak_mib"] = run.waymark.memory_mib("VmHWM")
        ret["after_mib"] = run.waymark.memory_mib("VmRSS")
        ret["document_kb"] = len(run.waymark.document()[0]) / 1e3
    return ret


def measure_start(directory, registry, sizes):
    seen = [start_once(directory, registry, sizes.settle_s) for _ in range(sizes.starts)]
    return {name: statistics.median(one[name] for one in seen) for name in seen[0]}


def changes_plan(registry, sizes, seed):
    """(kind, project, seconds to wait before) of each, mixed; of each kind no project twice."""
    chosen = random.Random(seed)
    n = sizes.slow_changes if registry.slow else sizes.changes
    gap_ms = sizes.slow_gap_ms if registry.slow else sizes.gap_ms
    plan = [(kind, number) for kind in registry.kinds for number in registry.numbers(n)]
    chosen.shuffle(plan)
    return [(*change, chosen.uniform(*gap_ms) / 1e3) for change in plan]


def run_watched(directory, registry, coding, sizes):
    """With a poll held: [first byte ms, last byte ms, bytes, came as gzip, replies] of each."""
    registry.reset()
    samples = []
    with Run(directory, registry) as run:
        time.sleep(sizes.settle_s)
        with Watch(run.waymark, coding) as watch:
            for kind, number, gap_s in changes_plan(registry, sizes, 1):
                time.sleep(gap_s)
                change = registry.change(kind, number)
                watch.expect(change.text)
                at_ns = time.monotonic_ns()
                change.commit()
                first_ns, last_ns, *rest = watch.seen()
                samples.append([(first_ns - at_ns) / 1e6, (last_ns - at_ns) / 1e6, *rest])
    return samples


def run_unwatched(directory, registry, sizes):
    """Nobody polls: what a change costs of everything, idle time's cost taken off, and how many
    changes have not come out."""
    registry.reset()
    texts = []
    with Run(directory, registry) as run:
        waymark = run.waymark
        time.sleep(2 * sizes.settle_s)  # a file is read again while it is young
        idle = Cpu(waymark.pid)
        time.sleep(sizes.settle_s)
        idle_all, idle_loop, idle_wall = idle.spent()
        before, read, busy = registry.usage(), waymark.bytes_read(), Cpu(waymark.pid)
        for kind, number, gap_s in changes_plan(registry, sizes, 2):
            change = registry.change(kind, number)
            change.commit()
            texts.append(change.text.encode())
            time.sleep(gap_s)
        time.sleep(sizes.settle_s)
        busy_all, busy_loop, wall = busy.spent()
        total = run.used(before) | {"file_bytes": waymark.bytes_read() - read}
        document, _ = waymark.document()
    total["cpu_us"] = (busy_all - idle_all * wall / idle_wall) / 1e3
    total["loop_us"] = (busy_loop - idle_loop * wall / idle_wall) / 1e3
    each = {name: value / len(texts) for name, value in total.items()}
    return each | {"lost": sum(text not in document for text in texts)}


def measure_change(directory, registry, sizes):
    """{figure: value} of a change."""
    ret = {}
    for coding in ("plain", "gzip"):
        samples = run_watched(directory, registry, coding, sizes)
        for column, what in ((0, "first"), (1, "last")):
            for p in (50, 99):
                ret[f"{coding}_{what}_p{p}"] = percentile([s[column] for s in samples], p)
        ret[f"{coding}_bytes"] = statistics.median(s[2] for s in samples)
    return ret | run_unwatched(directory, registry, sizes)


def measure_idle(directory, registries, sizes):
    """All at once, for it takes a while: [{figure: value a minute}]."""
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(Run(directory, registry)) for registry in registries]
        time.sleep(max(1, sizes.settle_s))
        before = [(Cpu(run.waymark.pid), run.registry.usage()) for run in runs]
        time.sleep(sizes.idle_s)
        ret = []
        for run, (cpu, usage) in zip(runs, before):
            spent_ns, _, wall_ns = cpu.spent()
            used = run.used(usage) | {"cpu_ms": spent_ns / 1e6}
            ret.append({name: value * 60e9 / wall_ns for name, value in used.items()})
    return ret


# ---- the report ----


def report_pairs(report, title, few, many, rows):
    """rows: (figure, what, unit, and how `pair` is told of a target)."""
    for key, what, unit, target in rows:
        if key in few:
            report.pair(f"{title}: {what}", few[key], many[key], unit, **target)


AT_MOST = {"target": ("<=", 1.5)}
START_ROWS = (
    ("ready_ms", "from the start to the first document's last byte", "ms", {}),
    ("cpu_ms", "CPU until then", "ms", {}),
    ("server_ms", "of PostgreSQL's time, in statements", "ms", {}),
    ("statements", "statements", "", {}),
    ("bytes", "bytes read", "", {}),
    ("peak_mib", "peak of memory", "MiB", {}),
    ("after_mib", "memory after it", "MiB", {}),
    ("document_kb", "the document", "kB", {}),
)
OUT_ROWS = tuple(
    (f"{coding}_{what}_p{p}", f"to the reply's {what} byte, {coding}, p{p}", "ms", {})
    for coding in ("plain", "gzip") for what in ("first", "last") for p in (50, 99)
) + (
    ("plain_bytes", "bytes of a reply, plain, median", "", {}),
    ("gzip_bytes", "bytes of a reply that could be gzip, median", "", {}),
)  # fmt: skip
LOST_ROW = ("lost", "changes that are not in the document at the end", "", {"each": ("==", 0)})
TABLE_ROWS = OUT_ROWS + (
    ("cpu_us", "CPU a change", "µs", AT_MOST),
    ("loop_us", "of that on the loop", "µs", {}),
    ("server_ms", "PostgreSQL's time a change, in statements", "ms", AT_MOST),
    ("statements", "statements a change", "", AT_MOST),
    ("rows", "rows a change", "", AT_MOST),
    ("pages", "pages a change that PostgreSQL looked at", "", {}),
    ("bytes", "bytes a change from PostgreSQL", "", AT_MOST),
    LOST_ROW,
)
FILE_ROWS = OUT_ROWS + (
    ("cpu_us", "CPU a change", "µs", {}),
    ("loop_us", "of that on the loop", "µs", {}),
    ("file_bytes", "bytes a change from files", "", {}),
    LOST_ROW,
)
IDLE_ROWS = (
    ("cpu_ms", "CPU a minute", "ms", {}),
    ("statements", "statements a minute", "", {}),
    ("server_ms", "PostgreSQL's time a minute, in statements", "ms", {}),
)


def measure_registry(report, directory, sizes):
    names = [f"{n:,} projects" for n in (sizes.few, sizes.many)]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(tempfile.mkdtemp(dir=directory) + "/postgres"))
        pairs = [
            [stack.enter_context(contextlib.closing(make(n))) for n in (sizes.few, sizes.many)]
            for make in (
                lambda n: Files(Path(directory) / f"registry-{n}", n),
                lambda n: OwnTables(server, n),
                lambda n: OtherTables(server, n),
                lambda n: MvpTables(server, n),
            )
        ]
        report_starts(report, directory, pairs, sizes, names)
        report_changes(report, directory, pairs, sizes, names)
        report_idle(report, directory, pairs, sizes, names)


def report_starts(report, directory, pairs, sizes, names):
    report.section(
        "registry-start",
        "A registry: the first read",
        "A fresh Waymark without an engine; each project has three hosts. From its start to the "
        f"first document at a client that polls from the start on; median of {sizes.starts}. "
        "Memory is VmHWM, and VmRSS "
        f"{sizes.settle_s} s later. PostgreSQL's figures are those of `pg_stat_statements` for "
        "whom Waymark connects as; bytes read are of files, libraries and configuration among them, or "
        "what TCP brought.",
        names,
    )
    for pair in pairs:
        few, many = (measure_start(directory, registry, sizes) for registry in pair)
        report_pairs(report, pair[0].title, few, many, START_ROWS)


def report_changes(report, directory, pairs, sizes, names):
    report.section(
        "registry-change",
        "A registry: one change",
        f"{sizes.changes} changes of the active slot and as many new domains (somebody else's tables: "
        "deployments whose status becomes running, and new ones), {} to {} ms apart; of files "
        "{} of each, {} to {} ms apart. ".format(
            *sizes.gap_ms, sizes.slow_changes, *sizes.slow_gap_ms)
        + "From COMMIT, or from the rename of the file, to the reply that has the new host, by one "
        "poll `/traefik?wait=4s` held over TCP. What a change costs is measured with nobody polling, "
        "CPU without what is spent when idle. With PostgreSQL one change is to cost the read of one "
        "project, however many there are: at most 1.5 times as much; pages have no target, for an "
        "index of more rows is deeper. A file is read and decoded whole, which has no target; of it "
        "only what changed is planned.",
        names,
    )
    for pair in pairs:
        if not pair[0].kinds:
            continue
        few, many = (measure_change(directory, registry, sizes) for registry in pair)
        rows = FILE_ROWS if isinstance(pair[0], Files) else TABLE_ROWS
        report_pairs(report, pair[0].title, few, many, rows)


def report_idle(report, directory, pairs, sizes, names):
    report.section(
        "registry-idle",
        "A registry: nothing changes",
        f"Measured for {sizes.idle_s} s, all of them at once. Files are watched, and so are the "
        "first two kinds of tables (LISTEN); the MVP's are asked every second. A "
        "mount, or a file made in a directory above the registry's, makes Waymark look at it again.",
        names,
    )
    flat = [registry for pair in pairs for registry in pair]
    idle = measure_idle(directory, flat, sizes)
    for i, pair in enumerate(pairs):
        report_pairs(report, pair[0].title, idle[2 * i], idle[2 * i + 1], IDLE_ROWS)
