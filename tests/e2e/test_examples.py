"""Each example runs as it is, from its folder, and everything on it is as it should be."""

import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

import native
import process


@pytest.mark.parametrize("name", ["codi", "mvp"])
def test_an_example_runs_as_it_is(name, dockerd_of_the_run):
    """With the engine that answers; it leaves nothing there."""
    before = set(dockerd_of_the_run.networks())
    done = subprocess.run([os.path.join(native.ROOT, "examples", name, "run")], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
                          env={**os.environ, "DOCKER_HOST": dockerd_of_the_run.host})
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "using the engine that answers" in done.stdout
    assert "✗" not in done.stdout
    assert len(re.findall("✓ http://", done.stdout)) >= 8
    assert set(dockerd_of_the_run.networks()) == before
    assert dockerd_of_the_run.containers() == []


def test_the_example_of_slots_runs_as_it_is():
    """With a Podman of its own; no request of those that it counts fails."""
    done = subprocess.run([os.path.join(native.ROOT, "examples", "codeb", "run")], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=180)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert len(re.findall("✓ http://", done.stdout)) >= 8
    assert len(re.findall(r"requests meanwhile, 0 failed", done.stdout)) == 3
    left = re.search(r"less (/tmp/\S+)/registry", done.stdout).group(1)
    assert not os.path.exists(left) and not process.holding(left)


def test_ctrl_c_takes_everything_away(dockerd_of_the_run):
    """At a terminal it waits, and then leaves nothing: no container, no network, no process."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["DOCKER_HOST"] = dockerd_of_the_run.host
        run = os.path.join(native.ROOT, "examples", "codi", "run")
        os.execv(run, [run])
    shown, deadline = b"", time.monotonic() + 90
    try:
        while b"takes everything away" not in shown:
            assert time.monotonic() < deadline, shown.decode()
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 4096)
        assert dockerd_of_the_run.containers()
        os.write(terminal, b"\x03")
        while time.monotonic() < deadline:  # until its end, which a terminal tells as an error
            shown += os.read(terminal, 4096)
    except OSError:
        pass
    finally:
        if time.monotonic() >= deadline:
            os.kill(pid, signal.SIGTERM)
        status = os.waitpid(pid, 0)[1]
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert dockerd_of_the_run.containers() == []
    assert "codi-network" not in dockerd_of_the_run.networks()
