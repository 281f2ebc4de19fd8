"""A stage for the examples: an engine, servers and containers, shown with their answers, and all of
it taken away at the end, whatever happens.

It uses the container engine that answers ($DOCKER_HOST, else the default socket) where nothing there
has the names it needs, or starts one of its own.  Everything listens on loopback.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import tty

import engines
import http_unix
import native
import ports
import process
import traefik
import wait
import waymark

FANCY = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ
KEPT = ("EXAMPLE_ONCE", "TERM", "NO_COLOR", "TRAEFIK", "WAYMARK")  # through sudo

# busybox serves one page, which says who it is
SERVE = 'mkdir -p /www && echo "$PAGE" >/www/index.html && exec httpd -f -p "$PORT" -h /www'


def colour(code, text):
    return f"\033[{code}m{text}\033[0m" if FANCY else text


def bold(text):
    return colour("1", text)


def dim(text):
    return colour("2", text)


def good(text):
    return colour("32", text)


def bad(text):
    return colour("31", text)


def say(text=""):
    print(f"  {text}" if text else "", flush=True)


def usual_port(port):
    """The one that is easy to remember, where it is free."""
    return port if ports.is_free(port) else ports.free()


def socket_of_others():
    """Of the engine that answers here; None."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        return None
    path = host.removeprefix("unix://")
    try:
        return path if http_unix.ask(path, "GET", "/_ping", timeout=3)[0] == 200 else None
    except OSError:
        return None


def remove_quietly(engine, path):
    """An image may be in use by now, a container removed by hand."""
    with contextlib.suppress(engines.EngineError):
        engine.call("DELETE", path)


class Stage:
    """What an example has on it; `names` are those of its containers."""

    def __init__(self, undo, network, names):
        self.undo = undo
        self.network, self.names = network, set(names)
        self.image = f"{network}-example:latest"
        # others may pass through: not every server runs as root
        self.directory = tempfile.mkdtemp(prefix="waymark-", dir="/tmp")
        undo.callback(shutil.rmtree, self.directory)
        self.engine = self.waymark = self.traefik = None

    @contextlib.contextmanager
    def step(self, text):
        """A line that says what takes the time."""
        began = time.monotonic()
        print(f"  {text} ", end="", flush=True)
        yield
        print(dim(f"{time.monotonic() - began:.1f} s"), flush=True)

    # the engine: the one that answers, if it will do, else one of our own

    def start_engine(self):
        path = socket_of_others()
        if path:
            attempt = contextlib.ExitStack()
            try:
                self.engine = self._borrow(path, attempt)
                self.undo.callback(attempt.close)
                say(f"using the engine that answers at {path}")
                return
            except (LookupError, OSError, wait.TimedOut) as e:
                attempt.close()
                say(f"the engine at {path} will not do: {e}")
        self._become_root()
        with self.step("starting a dockerd of our own"):
            self.engine = engines.Dockerd(f"{self.directory}/d")
            self.engine.network = self.network
            self.undo.callback(self.engine.destroy)
            self.engine.start()
            self._import_image()

    def start_podman(self):
        """One of our own in any case."""
        self._become_root()
        with self.step("starting a Podman of our own"):
            self.engine = engines.Podman(f"{self.directory}/p")
            self.undo.callback(self.engine.destroy)
            self.engine.start()

    def _become_root(self):
        if os.geteuid() != 0:
            say("an engine of our own needs root")
            self.undo.close()
            os.execvp("sudo", ["sudo", f"--preserve-env={','.join(KEPT)}",
                               os.path.abspath(sys.argv[0])])

    def _borrow(self, path, attempt):
        """Makes image and network in an engine of somebody else's; raises where it will not do."""
        self.engine = engine = engines.Engine(path, self.network)
        found = sorted({c.name for c in engine.containers()} & self.names)
        if found or self.network in engine.networks():
            raise LookupError(f"it has {(found or [self.network])[0]} already")
        engine.ulimits = engine.modest if engine.is_podman() else []
        self._import_image()
        attempt.callback(remove_quietly, engine, f"/images/{self.image}?noprune=1")
        engine.network_create(self.network)
        attempt.callback(remove_quietly, engine, f"/networks/{self.network}")
        with contextlib.ExitStack() as trial:
            probe = self._run("waymark-example-probe", {}, 80, "probe", trial)
            wait.until(lambda: http_unix.ask_host(probe.address(), 80), 5,
                       "its containers can be reached from here")
        return engine

    def _import_image(self):
        self.engine.image_import(self.image, {"bin/busybox": native.busybox()},
                                 ["/bin/sh", "-c", SERVE],
                                 {f"bin/{name}": "busybox" for name in ("sh", "httpd", "mkdir")})

    def _run(self, name, labels, port, page, undo):
        container = self.engine.create(name, labels, {"PORT": port, "PAGE": page}, expose=(port,),
                                       image=self.image, command=None)
        undo.callback(remove_quietly, self.engine, f"/containers/{container.id}?force=1&v=1")
        return container.start()

    def run(self, name, labels, port=80, page=None):
        """A container of busybox, whose page is its name unless something else is said."""
        return self._run(name, labels, port, page or name, self.undo)

    # servers

    def start_process(self, argv, log, env=None):
        one = process.Process(argv, f"{self.directory}/{log}.log", env=env)
        self.undo.callback(one.stop)
        return one.start()

    def start_waymark(self, env, file="/dev/null"):
        """Configured by `file` and the environment, as a user would do it."""
        port = usual_port(9180)
        one = self.waymark = waymark.Waymark(f"{self.directory}/waymark", file,
                                             f"127.0.0.1:{port}", env)
        one.port = port
        self.undo.callback(one.process.stop)
        one.start()
        return one

    def start_traefik(self, port=8888, api_port=None):
        self.traefik = traefik.Traefik(f"{self.directory}/traefik", waymark=self.waymark.port,
                                       port=usual_port(port))
        self.traefik.api_port = api_port or usual_port(8080)
        self.undo.callback(self.traefik.stop)
        return self.traefik.start()

    # showing

    def curl(self, host):
        return ["curl", "-s", "-H", f"Host: {host}", f"http://127.0.0.1:{self.traefik.port}/"]

    def ask(self, host):
        """(status, the first line of the page)"""
        said = subprocess.run([*self.curl(host), "-m", "5", "-w", "\n%{http_code}"], text=True,
                              capture_output=True).stdout
        page, _, status = said.rpartition("\n")
        return status, page.strip().split("\n")[0]

    def answers(self, host, status, page, timeout=15):
        def fits():
            got = self.ask(host)
            return got[0] == status and page in (None, got[1])
        with contextlib.suppress(wait.TimedOut):
            return wait.until(fits, timeout, every=0.05)
        return False

    def show(self, entries):
        """Rows of (host, status, page, why), one by one; page None: any.  True where all is as it
        should be."""
        width = max(len(self.url(host)) for host, *_ in entries)
        well = True
        for host, status, page, why in entries:
            fits = self.answers(host, status, page)
            got = self.ask(host)
            pad = " " * (width - len(self.url(host)))
            print(f"    {good('✓') if fits else bad('✗')} {bold(self.url(host))}{pad}  "
                  + (good("200") + f" {got[1]}" if got[0] == "200" else dim(f"{got[0]} no route")
                     if got[0] == "404" else f"{got[0]} {got[1]}"))
            if not fits:
                print(bad(f"      should be {status} {page or ''}"))
            if why:
                print(f"      {dim(why)}")
            well &= fits
        print(flush=True)
        return well

    def url(self, host):
        return f"http://{host}:{self.traefik.port}"

    def show_problems(self):
        for p in self.waymark.problems():
            print(f"    {colour('33', p['code'])} {p['object']}: {p['what']}")
            print(f"      {dim(p['remedy'])}")
        print(flush=True)


def pause(seconds, once):
    """For the reader; nobody reads where there is no terminal."""
    if not once:
        time.sleep(seconds)


def wait_for_key():
    say(bold("Any key, or Ctrl-C, takes everything away again."))
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        select.select([sys.stdin], [], [])
        os.read(sys.stdin.fileno(), 1)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _leave(*_):
    raise KeyboardInterrupt


@contextlib.contextmanager
def _undone_at_the_end():
    """The last first; one failure hides no other."""
    undo = contextlib.ExitStack()
    try:
        yield undo
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(OSError):  # the terminal may be gone by now
            say("taking everything away")
        undo.close()


def main(title, network, names, play):
    """play(stage, once) shows it, and returns whether all was well; then a key, or at once with
    EXAMPLE_ONCE=1 or without a terminal.  Returns the exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    for needed in (native.waymark(), native.traefik()):
        if not os.path.exists(needed):
            sys.exit(f"{os.path.relpath(needed)} is missing; `make demo` gets everything")
    once = os.environ.get("EXAMPLE_ONCE") == "1" or not sys.stdin.isatty()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    print(f"\n  {bold('Waymark')}: {title}\n")
    with _undone_at_the_end() as undo:
        stage = Stage(undo, network, names)
        try:
            well = play(stage, once)
            if not well and stage.waymark:
                say(bad("Not all is as it should be; the last lines of Waymark's log:"))
                print(stage.waymark.process.tail(10))
            if not once:
                wait_for_key()
        except KeyboardInterrupt:
            print()
            well = not once
        except (OSError, RuntimeError, LookupError, AssertionError) as e:
            print(f"\n  {bad('The example failed:')} {e}")
            well = False
    return 0 if well else 1
