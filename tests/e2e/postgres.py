"""A real PostgreSQL of the test's own, a real PgBouncer before it, and a network to cut.

The server lives in a directory of its own, as an unprivileged user, on loopback or in a network
namespace, and on a unix socket; nothing of the machine's own cluster is touched.
"""

import contextlib
import glob
import os
import pwd
import random
import shutil
import signal
import subprocess

try:
    import psycopg2
except ImportError:  # examples/codi has no use for it
    psycopg2 = None

import ports
import process
import wait

TESTS = "waymark-tests"  # the application name of whoever asks here


def _binary(name):
    """Of version 15 where Debian keeps it, else what the path has."""
    found = glob.glob(f"/usr/lib/postgresql/15/bin/{name}") or [shutil.which(name)]
    if not found[0]:
        raise RuntimeError(f"{name} is missing; tests/install test brings it")
    return found[0]


def _unprivileged():
    """(uid, gid, the argv that becomes it); root may run neither server."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid(), []
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid, [
                "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    raise RuntimeError("neither a user postgres nor a user nobody")


def _make_directory(path):
    """For that user, who has to get through the directories above, which are the test's own."""
    os.makedirs(path, 0o700)
    uid, gid, _ = _unprivileged()
    os.chown(path, uid, gid)
    above = os.path.dirname(path)
    while os.stat(above).st_uid == os.geteuid() and above not in ("/", "/tmp"):
        os.chmod(above, os.stat(above).st_mode | 0o011)
        above = os.path.dirname(above)


class Postgres:
    def __init__(self, directory, namespace=None):
        self.directory = str(directory)
        self.namespace = namespace
        self.address = namespace.inside if namespace else "127.0.0.1"
        self.port = ports.free()
        self.process = None
        self.stopped = []
        self.connections = {}
        _make_directory(self.directory)
        self._run(_binary("initdb"), "-D", f"{self.directory}/data", "-U", "owner", "-A", "trust",
                  "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
        with open(f"{self.directory}/data/pg_hba.conf", "w") as f:
            f.write("local all all trust\n"
                    "host all secretive all scram-sha-256\n"  # the one that needs its password
                    "host all all all trust\n")

    def _run(self, *argv):
        done = subprocess.run([*_unprivileged()[2], *argv], capture_output=True, text=True,
                              cwd=self.directory, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{argv[0]}: {done.stdout}{done.stderr}")

    def argv(self):
        settings = {
            "listen_addresses": self.address, "port": self.port,
            "unix_socket_directories": self.directory, "max_connections": 40,
            # quick, but what was committed is there after a crash
            "fsync": "off", "full_page_writes": "off",
            "shared_buffers": "16MB", "autovacuum": "off", "max_wal_senders": 0, "wal_level": "minimal",
        }
        where = ["ip", "netns", "exec", self.namespace.name] if self.namespace else []
        return [*where, *_unprivileged()[2], _binary("postgres"), "-D", f"{self.directory}/data",
                *(x for k, v in settings.items() for x in ("-c", f"{k}={v}"))]

    def start(self):
        self.process = process.Process(self.argv(), f"{self.directory}/log").start()
        wait.until(lambda: not self.process.running or self._answers(), 30, "PostgreSQL answers")
        if not self.process.running:
            raise RuntimeError(f"PostgreSQL did not start:\n{self.process.tail()}")
        return self

    def _answers(self):
        try:
            return self.sql("SELECT 1") == [(1,)]
        except psycopg2.OperationalError:
            return False

    def stop(self, at_once=False):
        """Clients are cut off in good order, or with `at_once` as a crash does it."""
        self.sigcont()
        self._forget()
        if not self.process:
            return
        pids = self.pids()
        self.process.signal(signal.SIGQUIT if at_once else signal.SIGINT)
        try:
            self.process.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        # the children of one that had to be killed see it, and end
        wait.until(lambda: all(map(process.ended, pids)), 10, "PostgreSQL's processes end")

    def restart(self, at_once=False):
        self.stop(at_once)
        return self.start()

    def destroy(self):
        self.stop()
        shutil.rmtree(self.directory)

    # asking it: always over the socket, which no cut reaches

    def connect(self, database="postgres", user="owner"):
        """Another connection, which commits by itself."""
        connection = psycopg2.connect(host=self.directory, port=self.port, dbname=database, user=user,
                                      application_name=TESTS, connect_timeout=5)
        connection.autocommit = True
        return connection

    def sql(self, text, *values, database="postgres"):
        """The rows, as tuples; [] for what has none."""
        connection = self.connections.get(database)
        if connection is None or connection.closed:
            connection = self.connections[database] = self.connect(database)
        with connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall() if cursor.description else []

    def load(self, path, database="postgres"):
        """Runs a file of SQL, as psql does it."""
        done = subprocess.run([_binary("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h",
                               self.directory, "-p", str(self.port), "-U", "owner", "-d", database,
                               "-f", path], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{path}: {done.stderr}")

    def _forget(self):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}

    def url(self, database="postgres", user="owner", port=None, **parameters):
        """Over TCP, as an operator writes it; port: PgBouncer's."""
        query = "&".join(f"{k}={v}" for k, v in parameters.items())
        return f"postgres://{user}@{self.address}:{port or self.port}/{database}" + (
            "?" + query if query else "")

    def database(self, name):
        """A fresh one, with a handle."""
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return Database(self, name)

    # making it suffer

    def pids(self):
        """The postmaster and its children."""
        if not self.process or not self.process.running:
            return []
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            return [self.process.pid, *map(int, f.read().split())]

    def sigstop(self):
        """All of it stands still, and every connection stays open."""
        self._forget()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self.stopped.append(pid)

    def sigcont(self):
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.stopped = []

    def backends(self):
        """Connections of others: [(pid, application name, last statement)]."""
        return self.sql("SELECT pid, application_name, query FROM pg_stat_activity"
                        " WHERE backend_type = 'client backend' AND application_name <> %s", TESTS)

    def terminate_backends(self, application_name=None):
        """Those of this name, else all that are not the tests'; returns how many."""
        return len(self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE backend_type = 'client backend' AND application_name <> %s"
                            " AND application_name = coalesce(%s, application_name)",
                            TESTS, application_name))


class Database:
    """One of a server's, for a test that shares the server with others."""

    def __init__(self, server, name):
        self.server, self.name = server, name

    def sql(self, text, *values):
        return self.server.sql(text, *values, database=self.name)

    def connect(self):
        return self.server.connect(self.name)

    def url(self, **parameters):
        return self.server.url(self.name, **parameters)

    def load(self, path):
        self.server.load(path, self.name)
        return self

    def drop(self):
        connection = self.server.connections.pop(self.name, None)
        if connection:
            connection.close()
        self.server.sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


class PgBouncer:
    """In transaction mode unless told otherwise: a client has a server only while it is in one."""

    def __init__(self, directory, server, mode="transaction"):
        self.directory = str(directory)
        self.port = ports.free()
        self.server = server
        _make_directory(self.directory)
        with open(f"{self.directory}/users", "w") as f:
            f.writelines(f'"{name}" ""\n' for (name,) in server.sql("SELECT rolname FROM pg_roles"))
        with open(f"{self.directory}/pgbouncer.ini", "w") as f:
            f.write(f"""[databases]
* = host={server.directory} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {self.directory}/users
pool_mode = {mode}
default_pool_size = 3
server_login_retry = 1
server_idle_timeout = 1
""")
        self.process = process.Process(
            [*_unprivileged()[2], _binary("pgbouncer"), f"{self.directory}/pgbouncer.ini"],
            f"{self.directory}/log")

    def start(self):
        self.process.start()
        wait.until(lambda: not self.process.running or self._answers(), 10, "PgBouncer answers")
        if not self.process.running:
            raise RuntimeError(f"PgBouncer did not start:\n{self.process.tail()}")
        return self

    def _answers(self):
        try:
            psycopg2.connect(host="127.0.0.1", port=self.port, dbname="postgres", user="owner",
                             application_name=TESTS, connect_timeout=5).close()
            return True
        except psycopg2.OperationalError:
            return False

    def kill(self):
        self.process.kill()

    def url(self, database="postgres", **how):
        return self.server.url(database, port=self.port, **how)


class Namespace:
    """A network of one machine, behind a wire that can swallow everything without a word.

    Its addresses are 10.190.x.1 here and .2 inside, of a /30 that no route of this machine has.
    """

    def __init__(self):
        routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True).stdout
        while True:
            octet = random.randint(0, 255)
            if f"10.190.{octet}." not in routes:
                break
        self.name = f"wm-{os.getpid()}-{octet}"
        self.wire = f"wm{os.getpid() % 1000000}x{octet}"
        self.outside, self.inside = f"10.190.{octet}.1", f"10.190.{octet}.2"

    def _ip(self, *argv):
        subprocess.run(["ip", *argv], check=True, capture_output=True, text=True)

    def _within(self, *argv):
        self._ip("netns", "exec", self.name, *argv)

    def create(self):
        try:
            self._ip("netns", "add", self.name)
            self._ip("link", "add", self.wire, "type", "veth", "peer", "name", "wire", "netns",
                     self.name)
            self._ip("addr", "add", self.outside + "/30", "dev", self.wire)
            self._ip("link", "set", self.wire, "up")
            for argv in (["addr", "add", self.inside + "/30", "dev", "wire"],
                         ["link", "set", "wire", "up"], ["link", "set", "lo", "up"]):
                self._within("ip", *argv)
        except subprocess.CalledProcessError as e:
            self.destroy()
            raise RuntimeError(f"no network namespace: {e.stderr}") from e
        return self

    def cut(self):
        """Packets vanish, both ways; nobody is told."""
        for chain in ("INPUT", "OUTPUT"):
            self._within("iptables", "-A", chain, "-i" if chain == "INPUT" else "-o", "wire",
                         "-j", "DROP")

    def heal(self):
        self._within("iptables", "-F")

    def destroy(self):
        subprocess.run(["ip", "link", "del", self.wire], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "del", self.name], stderr=subprocess.DEVNULL)
