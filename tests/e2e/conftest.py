"""What every test of this folder can ask for.

The engines live as long as the run, everything else as long as its test.  `world` is what most
tests want: an engine, Waymark on it, and Traefik on Waymark.
"""

import glob
import os
import shutil
import signal
import tempfile

import pytest

import caddy as caddy_module
import engines
import postgres as postgres_module
import traefik as traefik_module
import waymark as waymark_module


def pytest_configure():
    """A run that is told to end takes everything away first, as after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def run_directory():
    """Short, because the paths of unix sockets are."""
    directory = tempfile.mkdtemp(prefix="wm-", dir="/tmp")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def directory(run_directory):
    return tempfile.mkdtemp(prefix="t", dir=run_directory)


def _engine(cls, directory):
    engine = cls(directory)
    try:
        engine.start()
        yield engine
    finally:
        engine.destroy()


@pytest.fixture(scope="session")
def dockerd_of_the_run(run_directory):
    yield from _engine(engines.Dockerd, f"{run_directory}/d")


@pytest.fixture(scope="session")
def podman_of_the_run(run_directory):
    yield from _engine(engines.Podman, f"{run_directory}/p")


@pytest.fixture
def dockerd(dockerd_of_the_run):
    yield dockerd_of_the_run
    dockerd_of_the_run.clean()


@pytest.fixture
def podman(podman_of_the_run):
    yield podman_of_the_run
    podman_of_the_run.clean()


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    """Each of the two in turn."""
    return request.getfixturevalue("dockerd" if request.param == "docker" else "podman")


@pytest.fixture
def own_dockerd(directory):
    """One that the test may kill."""
    yield from _engine(engines.Dockerd, f"{directory}/d")


@pytest.fixture(scope="session")
def postgres_of_the_run(run_directory):
    server = postgres_module.Postgres(f"{run_directory}/pg")
    try:
        yield server.start()
    finally:
        server.destroy()


@pytest.fixture
def database(postgres_of_the_run, directory):
    """A fresh one on the server of the run, which nobody may stop."""
    one = postgres_of_the_run.database(os.path.basename(directory))
    yield one
    one.drop()


@pytest.fixture
def own_postgres(directory):
    """One that the test may stop; its database `postgres` is the test's."""
    server = postgres_module.Postgres(f"{directory}/pg")
    try:
        yield server.start()
    finally:
        server.destroy()


@pytest.fixture
def pgbouncer(directory):
    """Makes PgBouncers: pgbouncer(server, mode="session"), started."""
    made = []

    def make(server, **how):
        made.append(postgres_module.PgBouncer(f"{directory}/b{len(made)}", server, **how))
        return made[-1].start()

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def waymark(directory):
    """Makes Waymarks: waymark(engine, base_domain="x", …), started unless start=False; with `file`
    that is all of its configuration beside `env`."""
    made = []

    def make(*on, start=True, listen=None, env=None, file=None, **config):
        config.setdefault("engines", [
            {"name": f"{e.kind}{i or ''}", "host": e.host, "network": e.network}
            for i, e in enumerate(on)])
        one = waymark_module.Waymark(f"{directory}/w{len(made)}", file or config, listen, env)
        made.append(one)
        return one.start() if start else one

    yield make
    errors = []
    for one in made:
        try:
            one.stop()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture
def traefik(directory):
    """Makes Traefiks: traefik(waymark=port) or traefik(docker=host), started."""
    made = []

    def make(start=True, **how):
        one = traefik_module.Traefik(f"{directory}/x{len(made)}", **how)
        made.append(one)
        return one.start() if start else one

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def caddy(directory):
    """Makes Caddys: caddy(version="2.6", sites=…, admin=…), started."""
    made = []

    def make(start=True, **how):
        made.append(caddy_module.Caddy(f"{directory}/c{len(made)}", **how))
        return made[-1].start() if start else made[-1]

    yield make
    for one in made:
        one.stop()


class World:
    def __init__(self, engine, waymark, traefik):
        self.engine, self.waymark, self.traefik = engine, waymark, traefik


@pytest.fixture
def world(dockerd, waymark, traefik):
    """dockerd, Waymark with the default settings on base domain `test`, Traefik."""
    one = waymark(dockerd)
    return World(dockerd, one, traefik(waymark=one.port))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of the logs of what it ran."""
    report = (yield).get_result()
    if report.when != "call" or not report.failed or "directory" not in item.funcargs:
        return
    base = item.funcargs["directory"]
    for path in sorted(glob.glob(f"{base}/*/*.log") + glob.glob(f"{base}/*/log")):
        with open(path, errors="replace") as f:
            report.sections.append((os.path.relpath(path, base), "".join(f.readlines()[-25:])))
