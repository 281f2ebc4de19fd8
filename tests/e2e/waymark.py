"""Waymark itself, run as a user runs it; it must end without a trace of a mistake of its own."""

import json
import os
import re
import signal
import subprocess

import http_unix
import native
import ports
import process
import wait

BROKEN = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:"
                    r"|Assertion|assertion failed|Sanitizer:|panic")


class Waymark:
    """`config` is its configuration, without `listen` and `state_dir`, which are made up here; or
    the path of a file that is used as it is, /dev/null for none.  `env` is added to the environment,
    which says the two where the file is somebody else's."""

    def __init__(self, directory, config, listen=None, env=None):
        os.makedirs(directory, exist_ok=True)
        self.directory = str(directory)
        self.port = ports.free()
        self.listen = listen or f"127.0.0.1:{self.port}"
        env = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
               "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", **(env or {})}
        if isinstance(config, dict):
            self.config = {"listen": self.listen, "state_dir": f"{self.directory}/state",
                           "base_domain": "test", **config}
            self.file = f"{self.directory}/waymark.yaml"
        else:
            self.config, self.file = None, str(config)
            env.setdefault("WAYMARK_STATE_DIR", f"{self.directory}/state")
            env.setdefault("WAYMARK_LISTEN", self.listen)
        self.process = process.Process([native.waymark(), "run", "-c", self.file],
                                       f"{self.directory}/waymark.log", env=env)

    def write_config(self):
        if self.config is None:
            return
        with open(self.file, "w") as f:  # JSON is YAML
            json.dump(self.config, f, indent=1)

    def reload(self):
        """SIGHUP, with what `config` says now."""
        self.write_config()
        self.process.signal(signal.SIGHUP)

    def kept(self):
        """Names in the state on disk: containers that were found ready, projects, static routes."""
        names = set()
        with open(f"{self.directory}/state/journal") as f:
            lines = f.read().split("\n")[:-1]  # the last one may be on its way
        for row in map(json.loads, lines):
            good = row["row"] in ("project", "static") or row.get("ready")
            if "name" in row:
                (names.add if good and not row.get("gone") else names.discard)(row["name"])
        return names

    def start(self, ready=True):
        """With ready=False it returns when Waymark listens."""
        self.write_config()
        self.process.start()
        wait.until(lambda: not self.process.running or (self.ready() if ready else self.alive()),
                   30, lambda: f"Waymark is {'ready' if ready else 'alive'}:\n{self.process.tail()}")
        if not self.process.running:
            raise RuntimeError(f"Waymark did not start:\n{self.process.tail()}")
        return self

    def kill(self):
        self.process.kill()

    def stop(self):
        """Ends it in good order, and complains about anything that its log should not hold."""
        was_running = self.process.running
        status = self.process.stop()
        found = BROKEN.search(self.process.text())
        assert not found, f"{found.group()} in Waymark's log:\n{self.process.tail(60)}"
        assert not was_running or status == 0, f"Waymark exited {status}:\n{self.process.tail(30)}"

    def restart(self):
        self.stop()
        return self.start()

    # asking it

    def get(self, path, headers=None):
        return http_unix.ask(self.port, "GET", path, headers=headers)

    def alive(self):
        return self.get("/healthz")[0] == 200

    def ready(self):
        return self.get("/readyz")[0] == 200

    def api(self, path, headers=None):
        return http_unix.get_json(self.port, path, headers)

    def document(self):
        return self.api("/traefik")

    def status(self):
        return self.api("/api/v1/status")

    def problems(self, code=None, about=""):
        """Those with this code, or that mention this text anywhere."""
        return [p for p in self.api("/api/v1/problems")
                if code in (None, p["code"]) and about in json.dumps(p, ensure_ascii=False)]

    def troubles(self):
        """Problems, but for what is registered and has no container."""
        return [p for p in self.problems() if p["code"] != "no-servers"]

    def route(self, host):
        """The route of a host, with its servers; None."""
        found = self.api(f"/api/v1/routes?host={host}")
        return found[0] if found else None

    def hosts(self):
        return sorted({r["host"] for r in self.api("/api/v1/routes")})

    def serving(self, host):
        """Names of the containers that serve the host now."""
        route = self.route(host)
        return sorted(s["container"] for s in route["servers"]
                      if s["state"] == "serving") if route else []

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def command(*args, config=None, env=None, timeout=20):
    """Runs a subcommand to its end."""
    argv = [native.waymark(), *args] + (["-c", config] if config else [])
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})})
