"""The registry directory: whatever an editor does to the files, what the last good one said is served;
and a good one counts within a second."""

import contextlib
import json
import os
import random
import shutil
import threading
import time

import pytest

import counts
import figures
import labels
import native
import ports
import registry
import wait

TABLE = "The registry's files, rewritten by a hostile editor"
DEEP = '{"version": 1, "projects": ' + "[" * 3000
PROJECTS = ["alpha", "beta", "gamma"]
STATIC = {f"static-{i}.test": {"upstreams": ["http://127.0.0.1:1"]} for i in range(12)}


def away(path):
    """Whatever is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


class Misdeeds:
    """What an editor does to a file; `good` is the text that would be right.  The ones whose name ends
    in `_well` leave a file that is right."""

    def _over(self, path, text):
        """As `echo … > file` does it."""
        self._writable(path)
        with open(path, "w") as f:
            f.write(text)

    def _writable(self, path):
        if not os.path.isfile(path) or os.path.islink(path):
            away(path)

    def half(self, path, good):
        self._over(path, good[:random.randrange(1, len(good) - 1)])

    def empty(self, path, good):
        self._over(path, "")

    def blank(self, path, good):
        self._over(path, "\n\n")

    def slowly_well(self, path, good):
        self._writable(path)
        with open(path, "w") as f:
            third = len(good) // 3
            for part in (good[:third], good[third:2 * third], good[2 * third:]):
                f.write(part)
                f.flush()
                time.sleep(0.001)

    def renamed_well(self, path, good):
        away(path) if os.path.isdir(path) else None
        registry.replace(path, good)

    def renamed_half(self, path, good):
        away(path) if os.path.isdir(path) else None
        registry.replace(path, good[:len(good) // 2])

    def linked_well(self, path, good):
        """As mounts of configuration do it: a link to a directory, swapped."""
        self._linked(path, good)

    def linked_half(self, path, good):
        self._linked(path, good[:len(good) // 2])

    def _linked(self, path, text):
        where = f"{os.path.dirname(path)}/..{random.randrange(3)}"
        os.makedirs(where, exist_ok=True)
        registry.replace(f"{where}/{os.path.basename(path)}", text)
        self._link(path, f"{os.path.basename(where)}/{os.path.basename(path)}")

    def _link(self, path, target):
        if os.path.isdir(path) and not os.path.islink(path):
            away(path)
        away(path + ".link")
        os.symlink(target, path + ".link")
        os.rename(path + ".link", path)

    def dangling(self, path, good):
        self._link(path, "nobody")

    def looping(self, path, good):
        self._link(path, os.path.basename(path))

    def endless(self, path, good):
        self._link(path, "/dev/zero")

    def removed(self, path, good):
        away(path)

    def deep(self, path, good):
        self._over(path, DEEP)

    def huge(self, path, good):
        self._over(path, good)
        os.truncate(path, 100 << 20)

    def fifo(self, path, good):
        away(path)
        os.mkfifo(path)

    def directory(self, path, good):
        away(path)
        os.mkdir(path)

    def zeros(self, path, good):
        self._over(path, "\0" * 4096)

    def noise(self, path, good):
        self._writable(path)
        with open(path, "wb") as f:
            f.write(random.randbytes(2000))

    def twice(self, path, good):
        """Duplicate keys: which one was meant?"""
        key = "projects" if '"projects"' in good else "slots"
        self._over(path, good.replace("{", f'{{"{key}": {{}}, ', 1))

    def another_kind(self, path, good):
        self._over(path, '[{"projects": 1}]')


KINDS = [name for name in vars(Misdeeds) if not name.startswith("_")]
BAD = [name for name in KINDS if not name.endswith("_well")]


@pytest.fixture
def files(directory):
    """Three projects with blue and green, blue active, and a dozen static routes."""
    projects = {name: {"environments": {"production": {"port": 8080, "slots": True}}}
                for name in PROJECTS}
    one = registry.Directory(f"{directory}/registry", projects, dict(STATIC))
    for name in PROJECTS:
        one.activate(name, "blue")
    return one


@pytest.fixture
def waymarked(files, dockerd, waymark):
    """With the containers of blue; of alpha also green."""
    for name in PROJECTS:
        dockerd.run(f"{name}-blue", labels.waymark(name, slot="blue"))
    dockerd.run("alpha-green", labels.waymark("alpha", slot="green"))
    one = waymark(dockerd, registry={"directory": files.path})
    wait.until(lambda: truth(one, files), 10, lambda: f"the registry's truth: {one.hosts()}")
    return one


def truth(waymark, files):
    """Is everything routed as the files say?"""
    routes = {r["host"]: r for r in waymark.api("/api/v1/routes")}
    static = {h for h, r in routes.items() if r["kind"] == "static"}
    return static == set(files.static) and all(
        [s["container"] for s in routes[f"{name}.test"]["servers"] if s["state"] == "serving"]
        == [f"{name}-{files.slots[name]['production']['active']}"] for name in PROJECTS)


class Watch:
    """Asks all the while whether the hosts that must be there are there, and serve."""

    def __init__(self, waymark, must):
        self.waymark, self.must = waymark, must
        self.lost, self.looks, self.peak = [], 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self.over.is_set():
            must = self.must
            try:
                routes = {r["host"]: r for r in self.waymark.api("/api/v1/routes")}
            except (OSError, LookupError, ValueError) as e:
                self.lost.append(e)
                continue
            missing = must & self.must - set(routes)
            idle = {f"{name}.test" for name in PROJECTS if f"{name}.test" in routes and not any(
                s["state"] == "serving" for s in routes[f"{name}.test"]["servers"])}
            if missing or idle:
                self.lost.append((missing, idle))
            self.looks += 1
            self.peak = max(self.peak, self.waymark.memory_kib())
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()


def always(files):
    return set(files.static) | {f"{name}.test" for name in PROJECTS}


@pytest.mark.parametrize("file, first", [("ssot", 0), ("slots", 1)])
def test_every_misdeed_is_a_problem_and_no_loss(files, waymarked, file, first):
    """Long enough to be believed: a problem that names the file and says what to do; then well again."""
    path = getattr(files, f"{file}_file")
    with watching(waymarked, files) as watch:
        for kind in BAD[first % counts.MISDEEDS_EVERY::counts.MISDEEDS_EVERY]:
            good = getattr(files, f"{file}_text")()
            getattr(Misdeeds(), kind)(path, good)
            found = wait.until(lambda: waymarked.problems(about=f"{file}.json"), 8,
                               f"a problem after: {kind}")
            assert all(p["what"] and p["remedy"] for p in found), (kind, found)
            assert not watch.lost, (kind, watch.lost[0])
            away(path)
            files.write()
            wait.until(lambda: waymarked.troubles() == [], 5,
                       lambda: f"no problem after {kind} was mended: {waymarked.troubles()}")
        assert truth(waymarked, files)
    assert not watch.lost


def watching(waymark, files):
    return Watch(waymark, always(files))


def test_a_hostile_editor(files, waymarked):
    """Rounds of misdeeds on both files; before each round one good version, which must be in force
    within a second, however the round before has left the files, and stay so all through the next."""
    editor = Misdeeds()
    start = waymarked.memory_kib()
    slowest = 0
    with watching(waymarked, files) as watch:
        for i in range(0, counts.EDITS, counts.EDITS_A_ROUND):
            for name in [h for h in files.static if h.startswith("extra-")]:
                del files.static[name]
            watch.must = always(files)
            for n in range(random.randrange(4)):
                files.static[f"extra-{i}-{n}.test"] = {"upstreams": ["http://127.0.0.1:1"]}
            for path in (files.ssot_file, files.slots_file):
                if os.path.isdir(path) and not os.path.islink(path):
                    away(path)
            files.activate("alpha", random.choice(["blue", "green"]))
            written = time.monotonic()
            wait.until(lambda: truth(waymarked, files), 1,
                       lambda: f"the truth of round {i}, not {waymarked.api('/api/v1/routes')}")
            slowest = max(slowest, time.monotonic() - written)
            watch.must = always(files)
            for _ in range(counts.EDITS_A_ROUND):
                path, good = random.choice([(files.ssot_file, files.ssot_text()),
                                            (files.slots_file, files.slots_text())])
                getattr(editor, random.choice(KINDS))(path, good)
                time.sleep(random.choice([0, 0, 0.001, 0.003, 0.02]))
            assert not watch.lost, watch.lost[0]
    assert not watch.lost
    end = waymarked.memory_kib()
    figures.note(TABLE, "both files", misdeeds=counts.EDITS, lost=len(watch.lost),
                 looks=watch.looks, slowest=figures.milliseconds(slowest),
                 memory=f"{start} KiB, at most {watch.peak} KiB, {end} KiB after")
    if not native.is_sanitized():
        assert watch.peak < 200 * 1024
        assert end < 3 * start


def test_the_directory_itself(files, waymarked):
    """Moved away, made anew, swapped by a link: as its contents."""
    path = files.path
    with watching(waymarked, files) as watch:
        os.rename(path, path + ".away")
        wait.until(lambda: stale(waymarked, "registry.directory"), 10, "the source is stale")
        assert waymarked.problems("source-stale", "registry.directory")
        os.rename(path + ".away", path)
        wait.until(lambda: waymarked.troubles() == [], 5, "all is well again")

        shutil.rmtree(path)
        wait.until(lambda: stale(waymarked, "registry.directory"), 10, "the source is stale")
        os.mkdir(path)
        files.activate("alpha", "green")
        wait.until(lambda: truth(waymarked, files), 1.5, "the truth of the directory made anew")

        for i in range(4):
            version = registry.Directory(f"{path}-{i}", files.projects, files.static, files.slots)
            version.activate("alpha", "green" if i % 2 else "blue")
            if not os.path.islink(path):
                shutil.rmtree(path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + ".link")
            os.symlink(version.path, path + ".link")
            os.rename(path + ".link", path)
            wait.until(lambda: truth(waymarked, files), 1.5, f"the truth behind link {i}")
    assert not watch.lost, watch.lost[0]


def stale(waymark, source):
    return [s for s in waymark.status()["sources"] if s["name"] == source][0]["status"] == "stale"


def test_a_file_that_shrinks_is_doubted(files, dockerd, waymark):
    """CodeB's API writes an empty one back when it could not read it."""
    one = waymark(dockerd, slots={"drain": "1s"},
                  registry={"directory": files.path, "shrink_after": "4s", "unregistered": "ignore"})
    wait.until(lambda: len(one.hosts()) >= len(STATIC), 5)
    before = one.hosts()
    projects, files.projects = files.projects, {}
    files.write()
    wait.until(lambda: one.problems("source-doubted"), 5)
    wait.stays(lambda: one.hosts() == before, 2, "nothing is believed")
    files.projects = projects
    files.write()
    wait.until(lambda: one.troubles() == [], 5)

    files.projects, files.slots = {}, {}
    files.write()
    wait.stays(lambda: {f"{n}.test" for n in PROJECTS} <= set(one.hosts()), 3, "not before its time")
    wait.until(lambda: not {f"{n}.test" for n in PROJECTS} & set(one.hosts()), 10,
               "it has said so long enough, and the drain is over")
    assert not one.problems("source-doubted")


def test_a_bad_entry_keeps_its_last_good_self(files, waymarked):
    files.projects["alpha"] = {"environments": {"production": {"port": "many"}}}
    files.projects["delta"] = {}
    files.write()
    found = wait.until(lambda: waymarked.problems(about="ssot.json"), 5)
    assert "alpha" in json.dumps(found)
    assert waymarked.serving("alpha.test") == ["alpha-blue"]
    # the entry beside it counts
    wait.until(lambda: waymarked.route("delta.test"), 2, "a good entry of the same file counts")


CODEB_SSOT = '{"projects": {"myapp": {"environments": {"production": {"port": %d}}}}}'


def codeb_slots(active, blue, green):
    """As CodeB's API writes it."""
    return json.dumps({"slots": {"myapp:production": {"activeSlot": active, "slots": {
        "blue": {"container": "myapp-production-blue", "port": blue, "image": "x",
                 "deployedAt": "2026-01-02T03:04:05.678Z", "status": "active",
                 "promotedAt": "2026-01-02T03:04:05.678Z"},
        "green": green and {
            "container": "myapp-production-green", "port": green, "image": "x", "status": "deployed",
            "deployedAt": "2026-01-02T03:04:05.678Z"}}}}})


def codeb_ports():
    """A base that CodeB could give, by which its files are known, and green's beside it."""
    return next((base, base + 1) for base in random.sample(range(4000, 4499), 100)
                if ports.is_free(base) and ports.is_free(base + 1))


def write_as_codeb(path, text):
    """echo … > slots.json: no lock, no rename."""
    with open(path, "w") as f:
        f.write(text + "\n")


def test_codebs_own_files_as_they_are(directory, dockerd, waymark, traefik):
    """Published ports, which the registry knows; its promote only writes slots.json."""
    os.makedirs(f"{directory}/registry")
    blue, green = codeb_ports()
    write_as_codeb(f"{directory}/registry/ssot.json", CODEB_SSOT % blue)
    write_as_codeb(f"{directory}/registry/slots.json", codeb_slots("blue", blue, None))
    for slot, port in (("blue", blue), ("green", green)):
        dockerd.run(f"myapp-production-{slot}", labels.codeb("myapp", slot=slot),
                    env={"PORT": "3000"}, expose=(3000,), publish={3000: port})
    one = waymark(engines=[{"name": "app", "host": dockerd.host, "reach": "published",
                            "address": "127.0.0.1"}],
                  base_domain="codeb.kr", registry={"directory": f"{directory}/registry"})
    proxy = traefik(waymark=one.port)
    proxy.wait_answers("myapp.codeb.kr", ["myapp-production-blue"])
    for active in ("green", "blue", "green"):
        write_as_codeb(f"{directory}/registry/slots.json", codeb_slots(active, blue, green))
        proxy.wait_answers("myapp.codeb.kr", [f"myapp-production-{active}"])
    assert one.troubles() == []

    # what it writes back when it could not read its own file
    write_as_codeb(f"{directory}/registry/slots.json", '{"slots": {}}')
    wait.until(lambda: one.problems("source-doubted"), 5)
    wait.stays(lambda: proxy.answers("myapp.codeb.kr", times=1) == {"myapp-production-green"}, 2)

