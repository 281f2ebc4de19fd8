"""A server of the test's own: started with a log of its own, ended by its pid."""

import os
import re
import signal
import subprocess
import time


class Process:
    def __init__(self, argv, log, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.log = log
        self.env = {**os.environ, **(env or {})}
        self.cwd = cwd
        self.popen = None

    def start(self):
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env=self.env, cwd=self.cwd, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def tail(self, lines=15):
        return "\n".join(self.text().splitlines()[-lines:])

    def signal(self, number):
        if self.running:
            self.popen.send_signal(number)

    def kill(self):
        """As power failure does it; returns when it is gone."""
        self.signal(signal.SIGKILL)
        if self.popen:
            self.popen.wait()

    def stop(self, timeout=10):
        """SIGTERM, and SIGKILL for who does not go; returns the exit status."""
        if self.popen is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.popen.returncode


def ended(pid):
    """Gone, or nothing but an entry that its parent has yet to read."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def holding(directory):
    """Pids of processes that name this directory in their command line, and their children."""
    children, named = {}, []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read()
            with open(f"/proc/{pid}/stat") as f:
                parent = int(f.read().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(pid))
        if os.fsencode(str(directory) + "/") in line:
            named.append(int(pid))
    found = []
    todo = [p for p in named if p != os.getpid()]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.append(pid)
            todo += children.get(pid, [])
    return found


def cgroups(pid):
    """The cgroups of a container's process: those that carry the container's id."""
    try:
        with open(f"/proc/{pid}/cgroup") as f:
            lines = [line.strip().split(":", 2) for line in f]
    except OSError:
        return []
    places = [f"/sys/fs/cgroup/{kind.removeprefix('name=') or 'unified'}{path}"
              for _, kind, path in lines if re.search("[0-9a-f]{64}", path)]
    return [p for p in places if os.path.isdir(p)]


def _thaw(place):
    """A paused container does not die of its signal before it is thawed."""
    for file, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        try:
            with open(f"{place}/{file}", "r+") as f:
                f.write(value)
        except OSError:
            pass


def end_all(directory, timeout=10):
    """Ends what an engine left behind in its own directory: shims, monitors, their containers."""
    deadline = time.monotonic() + timeout
    killed, places = set(), set()
    while (pids := holding(directory)) or not all(map(ended, killed)):
        for pid in pids:
            places.update(cgroups(pid))
            killed.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for place in places:
            _thaw(place)
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of {directory} will not end: {pids or killed}")
        time.sleep(0.05)
    for place in places:
        try:
            os.rmdir(place)
        except OSError:
            pass  # the engine was faster


def unmount_all(directory):
    """Takes away every mount under the directory, the deepest first."""
    for _ in range(3):
        with open("/proc/self/mounts") as f:
            points = [line.split()[1].replace("\\040", " ") for line in f]
        mine = sorted((p for p in points if p.startswith(str(directory) + "/")), reverse=True)
        if not mine:
            return
        for point in mine:
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
    raise RuntimeError(f"still mounted under {directory}: {mine}")
