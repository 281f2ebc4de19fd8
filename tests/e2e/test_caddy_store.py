"""The directory of site files while changes to it are cut short in every way, as real Caddys see it:
each file under the glob is absent, old or new, and whole; and what is not Waymark's stays as it is."""

import collections
import os
import random
import re
import shutil
import socket
import stat
import subprocess

import caddy as caddy_module
import counts
import figures
import native
import process
import pytest

TABLE = "A change of the site files is cut short"
MARK = "# Written by Waymark\n"
# what stays, what changes in the order of CHANGES, and what is not Waymark's
FOREIGN = "http://foreign.test {\n\trespond foreign\n}\n"


def site(name, says, pad=0):
    return f"{MARK}http://{name}.test {{\n\trespond {says}\n}}\n" + "# padding\n" * (pad // 10)


BEFORE = {"waymark.caddy": site("waymark", "old"), "foreign.caddy": FOREIGN,
          "changed.caddy": site("changed", "old"), "gone.caddy": site("gone", "old"),
          "large.caddy": site("large", "old", 50000), "same.caddy": site("same", "old")}
CHANGES = [("new.caddy", site("new", "new")), ("changed.caddy", site("changed", "new")),
           ("same.caddy", BEFORE["same.caddy"]), ("foreign.caddy", site("foreign", "new")),
           ("gone.caddy", None), ("large.caddy", site("large", "new", 50000)),
           ("never.caddy", None)]
# of those that a change of files is made of, with what a file system may say
ERRORS = {"openat": ["EIO", "ENOSPC", "EMFILE", "EINTR"], "newfstatat": ["EIO"], "read": ["EIO", "EINTR"],
          "write": ["EIO", "ENOSPC", "EINTR"], "fchown": ["EPERM"], "fchmod": ["EIO"],
          "fsync": ["EIO", "ENOSPC"], "renameat2": ["EIO", "ENOSPC", "EXDEV", "ENOSYS", "EINVAL"],
          "unlinkat": ["EIO"], "mkdirat": ["ENOSPC", "EACCES"], "getdents64": ["EIO"],
          "close": ["EIO", "EINTR"]}
STRUCK = re.compile(r"^(\w+)\(", re.M)


def after(n):
    """What is there after the first n changes."""
    files = dict(BEFORE)
    for name, text in CHANGES[:n]:
        if name != "foreign.caddy":
            files[name] = text
    return {name: text for name, text in files.items() if text is not None}


class Sites:
    def __init__(self, base, place="beside"):
        self.place = place
        self.path = f"{base}/sites"
        self.aside = f"{self.path}.waymark"
        self.texts = f"{base}/texts"
        os.makedirs(self.path)
        os.makedirs(self.texts)
        for i, (_, text) in enumerate(CHANGES):
            if text:
                with open(f"{self.texts}/{i}", "w") as f:
                    f.write(text)
        if place == "inside":
            with open(self.aside, "w"):
                pass  # so that there can be no directory of that name
        self.argv = [native.site_changes(), self.path,
                     *(f"{name}={f'{self.texts}/{i}' if text else ''}"
                       for i, (name, text) in enumerate(CHANGES))]

    def reset(self):
        for where in (self.path, self.aside):
            if os.path.isdir(where):
                for name in os.listdir(where):
                    os.unlink(f"{where}/{name}")
        if os.path.isdir(self.aside):
            os.rmdir(self.aside)
        for name, text in BEFORE.items():
            with open(f"{self.path}/{name}", "w") as f:
                f.write(text)

    def files(self):
        """As the glob finds them."""
        found = {}
        for name in os.listdir(self.path):
            if name.endswith(".caddy"):
                with open(f"{self.path}/{name}", newline="") as f:
                    found[name] = f.read()
        return found

    def leftovers(self):
        inside = [n for n in os.listdir(self.path) if not n.endswith(".caddy")]
        return inside + (os.listdir(self.aside) if os.path.isdir(self.aside) else [])

    def change(self, *tracing, user=None):
        done = subprocess.run([*tracing, *self.argv], capture_output=True, text=True, user=user)
        return done.returncode, done.stdout, done.stderr

    def strike(self, call, when, how):
        """The changes, of which the so-and-so-many-th such call is struck."""
        return self.change("strace", "-qq", "-o", f"{self.texts}/trace", "-e", f"trace={call}",
                           "-e", f"inject={call}:{how}:when={when}")

    def calls(self):
        """Every system call that all of it makes, but for its own start: name to how often."""
        self.reset()
        status, _, _ = self.change("strace", "-qq", "-o", f"{self.texts}/trace")
        assert status == 0
        with open(f"{self.texts}/trace") as f:
            made = collections.Counter(STRUCK.findall(f.read()))
        del made["execve"]
        return made


def report(text):
    """Name to (error, standing, why), of the changes."""
    lines = [line.split(" ", 3) for line in text.splitlines()]
    return {w[0]: (int(w[1]), w[2], w[3]) for w in lines if w[0].endswith(".caddy")}


@pytest.fixture(params=["beside", "inside"])
def sites(request, directory):
    return Sites(directory, request.param)


@pytest.fixture
def caddys(caddy):
    """caddys(sites): both of them on it."""
    made = []

    def make(sites):
        if not made:
            sites.reset()
            made.extend(caddy(version=v, sites=sites.path) for v in caddy_module.VERSIONS)
        return made

    return make


def is_loadable(both, files):
    """By each Caddy, and it has the hosts of the files."""
    wanted = {name.replace(".caddy", ".test") for name in files}
    for one in both:
        assert caddy_module.hosts(one.adapt()) == wanted, one.version


def test_killed_at_every_system_call(sites, caddys):
    both = caddys(sites)
    made = sites.calls()
    states = [after(n) for n in range(len(CHANGES) + 1)]
    seen, kills, restarts = collections.Counter(), 0, 0
    for call, times in sorted(made.items()):
        for when in range(1, times + 1):
            sites.reset()
            status, _, _ = sites.strike(call, when, "signal=KILL")
            assert status == -9 or status == 137, f"{call} {when}: {status}"
            files = sites.files()
            assert files in states, f"{call} {when}: {sorted(files)}"
            seen[states.index(files)] += 1
            is_loadable(both, files)
            kills += 1
            if kills % counts.SITE_RESTARTS_EVERY == 0:
                for one in both:
                    restarts += 1
                    assert caddy_module.hosts(one.restart().config()) == {
                        name.replace(".caddy", ".test") for name in files}
            # and who comes after it finishes it, and takes away what it left
            assert sites.change()[0] == 0
            assert sites.files() == states[-1]
            assert not sites.leftovers(), f"{call} {when}"
    figures.note(TABLE, f"SIGKILL at every system call, {sites.place} the directory", kills=kills,
                 **{"restarts of Caddy": restarts, "states seen": len(seen), "broken files": 0})
    assert len(seen) == len({str(s) for s in states})


def check_report(sites, text, what):
    """Each file is as the report says: changed where it says so, else as it was."""
    files, said = sites.files(), report(text)
    done = after(len(CHANGES))
    for name, _ in CHANGES:
        error, standing, why = said[name]
        wanted = BEFORE if error or standing == "foreign" else done
        assert files.get(name) == wanted.get(name), f"{what}: {name}: {said[name]}"
        if error or standing == "foreign":
            assert sites.path in why, f"{what}: {name}: {said[name]}"
    return sum(1 for error, _, _ in said.values() if error)


def test_every_system_call_fails(sites, caddys):
    """It says so, for just that file; and the next time all is well."""
    both = caddys(sites)
    made = sites.calls()
    struck = errors = 0
    for call, ways in ERRORS.items():
        for when in range(1, made[call] + 1):
            for way in ways:
                sites.reset()
                status, text, _ = sites.strike(call, when, f"error={way}")
                if status != 0:  # it could not read its texts, or not print what it had done
                    assert call in ("openat", "write", "read", "close"), f"{call} {when} {way}"
                    continue
                errors += check_report(sites, text, f"{call} {when} {way}")
                struck += 1
                if struck % 10 == 0:
                    is_loadable(both, sites.files())
                assert sites.change()[0] == 0
                assert sites.files() == after(len(CHANGES)), f"{call} {when} {way}"
                assert not sites.leftovers(), f"{call} {when} {way}"
    figures.note(TABLE, f"one system call fails, {sites.place} the directory", calls=struck,
                 **{"errors told": errors, "broken files": 0})
    assert errors


def test_no_exchange_on_this_file_system(sites):
    """As NFS has it: a plain rename then."""
    for error in ("EINVAL", "ENOSYS"):
        sites.reset()
        status, text, _ = sites.strike("renameat2", "1+", f"error={error}")
        assert status == 0
        assert check_report(sites, text, error) == 0
        assert not sites.leftovers()


# -- no room --

@pytest.fixture
def tmpfs(directory):
    """tmpfs(options): one of its own, mounted."""
    def mount(options):
        where = f"{directory}/small"
        os.makedirs(where)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", where], check=True)
        return where

    yield mount
    process.unmount_all(directory)


def fill(where):
    """To the last byte, and the last file."""
    try:
        with open(f"{where}/filler", "wb", buffering=0) as f:
            while f.write(bytes(4096)):
                pass
    except OSError:
        pass
    try:
        for i in range(1000):
            os.mkdir(f"{where}/filler-{i}")
    except OSError:
        pass


def make_room(where):
    for name in os.listdir(where):
        if name == "filler":
            os.unlink(f"{where}/{name}")
        elif name.startswith("filler-"):
            os.rmdir(f"{where}/{name}")


@pytest.mark.parametrize("options", ["size=1m", "size=1m,nr_inodes=24", "size=400k"])
@pytest.mark.parametrize("place", ["beside", "inside"])
def test_disk_full(tmpfs, caddys, options, place):
    sites = Sites(tmpfs(options), place)
    both = caddys(sites)
    base = os.path.dirname(sites.path)
    fill(base)
    status, text, _ = sites.change()
    said = report(text)
    assert status == 0
    check_report(sites, text, options)
    for name in ("new.caddy", "changed.caddy", "large.caddy"):
        assert said[name][0] == -28, said[name]
        assert said[name][2].startswith(f"{sites.path}/{name} cannot be written: No space left")
        assert "make room" in said[name][2]
    assert said["gone.caddy"][:2] == (0, "absent")  # what goes needs no room
    assert not sites.leftovers()
    is_loadable(both, sites.files())
    make_room(base)
    assert sites.change()[0] == 0
    assert sites.files() == after(len(CHANGES))
    is_loadable(both, sites.files())


def test_no_room_half_way(tmpfs, caddys):
    """The disk is full in the middle of a file, at whichever page."""
    sites = Sites(tmpfs("size=1m"))
    both = caddys(sites)
    base = os.path.dirname(sites.path)
    failed = 0
    for left in range(0, 40):
        sites.reset()
        fill(base)
        os.truncate(f"{base}/filler", os.path.getsize(f"{base}/filler") - 4096 * left)
        status, text, _ = sites.change()
        assert status == 0
        failed += check_report(sites, text, left) > 0
        assert not sites.leftovers()
        is_loadable(both, sites.files())
        make_room(base)
    assert 5 < failed < 40


@pytest.mark.parametrize("alone", [False, True])
def test_read_only(tmpfs, caddys, alone):
    """The file system, or the directory as a mount of its own."""
    base = tmpfs("size=4m")
    sites = Sites(base)
    both = caddys(sites)
    if alone:
        subprocess.run(["mount", "--bind", sites.path, sites.path], check=True)
    subprocess.run(["mount", "-o", "remount,ro" + (",bind" if alone else ""),
                    sites.path if alone else base], check=True)
    status, text, _ = sites.change()
    assert status == 0
    said = report(text)
    for name in ("new.caddy", "changed.caddy", "gone.caddy", "large.caddy"):
        assert said[name][0] == -30, said[name]
        assert f"{sites.path}/{name} cannot be" in said[name][2]
        assert "Read-only file system; mount it" in said[name][2]
    assert sites.files() == BEFORE
    assert not sites.leftovers()
    is_loadable(both, sites.files())
    for one in both:
        one.restart()


def test_sites_is_a_mount(tmpfs, caddys, directory):
    """As in a container: what is beside it is on another file system, or cannot be renamed from."""
    sites = Sites(f"{directory}/own")
    subprocess.run(["mount", "--bind", sites.path, sites.path], check=True)
    try:
        both = caddys(sites)
        status, text, _ = sites.change()
        assert status == 0
        assert check_report(sites, text, "bind") == 0
        assert sites.files() == after(len(CHANGES))
        assert not sites.leftovers()
        is_loadable(both, sites.files())
    finally:
        process.unmount_all(f"{directory}/own")


# -- what is not Waymark's --

def look(path):
    """Everything that can be told of a file without touching it, and when it was read last."""
    st = os.lstat(path)
    read = st.st_atime_ns
    content = None
    if stat.S_ISREG(st.st_mode):
        fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
        content = os.read(fd, 8 << 20)
        os.close(fd)
    elif stat.S_ISLNK(st.st_mode):
        content, read = os.readlink(path), None  # now
    elif stat.S_ISDIR(st.st_mode):
        content, read = sorted(os.listdir(path)), None
    return (st.st_mode, st.st_ino, st.st_nlink, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns,
            st.st_ctime_ns, content), read


def make_foreign(path, outside):
    """One of every kind; some of them would be ours or wanted, were they files of their own."""
    texts = {"empty": b"", "text": FOREIGN.encode(), "crlf": FOREIGN.replace("\n", "\r\n").encode(),
             "nul": b"\0" * 4096, "latin": b"# \xe9\xff\n", "late": b"\n" + MARK.encode(),
             "spaced": b" " + MARK.encode(), "bom": b"\xef\xbb\xbf" + MARK.encode(),
             "cut": MARK.encode()[:10], "lower": MARK.lower().encode(),
             "large": b"# large\n" * 200000, "wanted": site("x", "new").encode()[len(MARK):],
             "secret": b"http://secret.test\n", "linked": b"# has two names\n"}
    for name, text in texts.items():
        with open(f"{path}/{name}.caddy", "wb") as f:
            f.write(text)
    os.chmod(f"{path}/secret.caddy", 0)
    os.link(f"{path}/linked.caddy", f"{path}/linked-too.caddy")
    with open(outside, "w") as f:
        f.write(site("outside", "old"))
    os.symlink(outside, f"{path}/link.caddy")
    os.symlink("text.caddy", f"{path}/near.caddy")
    os.symlink("nowhere", f"{path}/dangling.caddy")
    os.symlink("loop.caddy", f"{path}/loop.caddy")
    os.mkdir(f"{path}/directory.caddy")
    os.mkfifo(f"{path}/fifo.caddy")
    os.mknod(f"{path}/device.caddy", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"{path}/socket.caddy")
    names = [n for n in os.listdir(path)]
    for name in ("text.caddy.bak", "caddy", ".hidden.caddy", ".waymark-0123456789abcdef.tmp", "sub"):
        if name == "sub":
            os.mkdir(f"{path}/sub")
        else:
            with open(f"{path}/{name}", "w") as f:
                f.write("somebody's\n")
        names.append(name)
    return names


@pytest.mark.parametrize("user", [None, 65534])
def test_foreign_files(directory, user):
    """Whatever Waymark wants to write or remove under their names: not a byte, not a time."""
    path, outside = f"{directory}/sites", f"{directory}/outside"
    program = f"{directory}/site_changes"  # where anybody may run it
    shutil.copy(native.site_changes(), program)
    os.mkdir(path)
    names = make_foreign(path, outside)
    everything = [*(f"{path}/{n}" for n in names), outside]
    for one in everything:
        os.utime(one, ns=(10**18, 10**18 + 1), follow_symlinks=False)
    for where in (os.path.dirname(directory), directory):
        os.chmod(where, 0o755)
    os.chmod(path, 0o777)
    texts = {}
    for i, text in enumerate([site("x", "new"), site("x", "old"), MARK, site("x", "new", 30000)]):
        texts[i] = f"{directory}/text-{i}"
        with open(texts[i], "w") as f:
            f.write(text)
    before = {one: look(one) for one in everything}
    chosen = random.Random(6)
    could_be = [n for n in names if n.endswith(".caddy") and not n.startswith(".")]
    made = refused = 0
    for _ in range(counts.FOREIGN_ROUNDS):
        wanted = chosen.sample(could_be + [f"ours-{i}.caddy" for i in range(10)], 12)
        argv = [f"{n}={chosen.choice(['', *texts.values()])}" for n in wanted]
        done = subprocess.run([program, path, *argv], capture_output=True, text=True, user=user,
                              group=user)
        assert done.returncode == 0, done.stderr
        made += int(done.stdout.split()[-1])
        refused += sum(1 for _, standing, _ in report(done.stdout).values() if standing == "foreign")
        for line in report(done.stdout).values():
            assert line[0] == 0, line
    assert made > counts.FOREIGN_ROUNDS and refused > counts.FOREIGN_ROUNDS
    for one in everything:
        known, read = look(one)
        assert known == before[one][0], one
        if user is None:  # who does not own a file cannot read it without that being noted
            assert read == before[one][1], one
    assert set(names) == {n for n in os.listdir(path) if not n.startswith("ours-")}
    figures.note(TABLE, f"foreign files, as {'root' if user is None else 'another user'}",
                 files=len(names), changes=made, refused=refused, touched=0)
