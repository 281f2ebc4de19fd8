"""A real Traefik, with the settings that the README recommends, and everything on loopback."""

import json
import os
import subprocess

import http_unix
import native
import ports
import process
import wait


class Traefik:
    """Takes its routes from Waymark (`waymark`: its port), from its own Docker provider (`docker`:
    the engine's host), by `rest` from whoever pushes, and always from the files of `dynamic`."""

    def __init__(self, directory, waymark=None, docker=None, rest=False, headers=None, port=None):
        os.makedirs(directory, exist_ok=True)
        self.directory = str(directory)
        self.dynamic = f"{self.directory}/dynamic"
        os.makedirs(self.dynamic, exist_ok=True)
        self.port = port or ports.free()  # http
        self.tls_port = ports.free()
        self.api_port = ports.free()
        self.providers = {"providersThrottleDuration": "0s",
                          "file": {"directory": self.dynamic, "watch": True}}
        if waymark is not None:
            self.take_from(waymark)
            if headers:
                self.providers["http"]["headers"] = headers
        if docker is not None:
            self.providers["docker"] = {"endpoint": docker, "exposedByDefault": False}
        if rest:
            self.providers["rest"] = {"insecure": True}
        self.process = process.Process(
            [native.traefik(), f"--configFile={self.directory}/traefik.yml"],
            f"{self.directory}/traefik.log", cwd=self.directory)

    def take_from(self, waymark):
        """For who has to know the ports of this one before Waymark is there."""
        self.providers["http"] = {"endpoint": f"http://127.0.0.1:{waymark}/traefik?wait=4s",
                                  "pollInterval": "10ms", "pollTimeout": "5s"}

    def _configure(self):
        with open(f"{self.directory}/traefik.yml", "w") as f:  # JSON is YAML
            json.dump({
                "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
                "log": {"level": "INFO", "noColor": True},
                "api": {"insecure": True},
                "entryPoints": {
                    "web": {"address": f"127.0.0.1:{self.port}"},
                    "websecure": {"address": f"127.0.0.1:{self.tls_port}"},
                    "traefik": {"address": f"127.0.0.1:{self.api_port}"}},
                "providers": self.providers}, f, indent=1)
        # with a default certificate Traefik does not make a new one at every change
        with open(f"{self.dynamic}/tls.yml", "w") as f:
            cert, key = self._certificate()
            json.dump({"tls": {"stores": {"default": {
                "defaultCertificate": {"certFile": cert, "keyFile": key}}}}}, f)

    def _certificate(self):
        cert, key = f"{self.directory}/cert.pem", f"{self.directory}/key.pem"
        if not os.path.exists(cert):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                            "/CN=localhost", "-keyout", key, "-out", cert],
                           check=True, stderr=subprocess.DEVNULL)
        return cert, key

    def start(self):
        self._configure()
        self.process.start()
        wait.until(lambda: not self.process.running or self.routers() is not None, 30,
                   "Traefik's API answers", every=0.02)
        if not self.process.running:
            raise RuntimeError(f"Traefik did not start:\n{self.process.tail()}")
        return self

    def stop(self):
        """At once: asked politely it waits for the poll that is being held."""
        self.process.kill()

    # what it runs

    def api(self, path):
        return http_unix.get_json(self.api_port, path)

    def routers(self):
        """Name (with @provider) to what Traefik says of it; without its own routers."""
        found = self.api("/api/http/routers?per_page=10000")
        return {r["name"]: r for r in found if r.get("provider") != "internal"}

    def hosts(self):
        """The rules in force, of routers that are enabled."""
        return sorted(r["rule"] for r in self.routers().values() if r["status"] == "enabled")

    def knows(self, host):
        return any(f"`{host}`" in rule for rule in self.hosts())

    # asking through it

    def get(self, host, path="/", headers=None, timeout=2):
        """(status, name of the container that answered, body); status 0: nothing came in time."""
        try:
            status, head, body = http_unix.ask(self.port, "GET", path, timeout=timeout,
                                               headers={"Host": host, **(headers or {})})
        except TimeoutError:
            return 0, None, ""
        return status, head.get("X-Container"), body.decode(errors="replace")

    def status(self, host, path="/", timeout=2):
        return self.get(host, path, timeout=timeout)[0]

    def answers(self, host, path="/", times=6, timeout=2):
        """The containers that answer with 200 now, as a set; None stands for any other answer."""
        found = set()
        for _ in range(times):
            status, name, _ = self.get(host, path, timeout=timeout)
            found.add(name if status == 200 else None)
            if not status:
                break
        return found

    # while a condition is being waited for, one request that hangs must not be all of the time

    def wait_answers(self, host, names, path="/", timeout=5):
        """Until exactly these containers answer."""
        names = set(names)
        return wait.until(lambda: self.answers(host, path, 3 * len(names), 0.25) == names, timeout,
                          lambda: f"{sorted(names)} at {host}{path}, but "
                                  f"{self.answers(host, path)}; rules {self.hosts()}")

    def wait_status(self, host, status, path="/", timeout=5):
        return wait.until(lambda: self.status(host, path, 0.25) == status, timeout,
                          lambda: f"status {status} at {host}{path}, not {self.get(host, path)}; "
                                  f"rules {self.hosts()}")

    def complaints(self):
        """Lines of its log that are errors, without those about a Waymark that is not there."""
        lines = self.process.text().splitlines()
        return [line for line in lines if " ERR " in line and "connection refused" not in line
                and "EOF" not in line and "reset by peer" not in line]
