"""Real container engines of the test's own: dockerd and Podman behind one interface.

Each lives in a directory of its own, with its own socket, images, networks and subnet, changes no
firewall rule of the machine (dockerd), and leaves nothing behind.  `Engine` itself works with any
engine that answers on a unix socket; the demo uses it for one that was there before.
"""

import glob
import io
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import tarfile
import urllib.parse

import http_unix
import native
import process
import wait

IMAGE = "waymark-backend:latest"
NETWORK = "waymark-e2e"
HEALTH = ["CMD", "/backend", "--health"]


class EngineError(LookupError):
    def __init__(self, status, what, text):
        super().__init__(f"{what}: {status}: {text}")
        self.status = status


class Container:
    """A handle; the container itself is the engine's."""

    def __init__(self, engine, id, name):
        self.engine, self.id, self.name = engine, id, name

    def _post(self, verb, **query):
        self.engine.call("POST", f"/containers/{self.id}/{verb}", query=query)

    def start(self):
        self._post("start")
        return self

    def stop(self, timeout=10):
        self._post("stop", t=timeout)

    def kill(self, signal="KILL"):
        self._post("kill", signal=signal)

    def restart(self, timeout=10):
        self._post("restart", t=timeout)

    def pause(self):
        self._post("pause")

    def unpause(self):
        self._post("unpause")

    def rename(self, name):
        self._post("rename", name=name)
        self.name = name

    def remove(self):
        self.engine.call("DELETE", f"/containers/{self.id}", query={"force": 1, "v": 1})

    def connect(self, network):
        self.engine.call("POST", f"/networks/{network}/connect", {"Container": self.id})

    def disconnect(self, network):
        self.engine.call("POST", f"/networks/{network}/disconnect",
                         {"Container": self.id, "Force": True})

    def inspect(self):
        return self.engine.call("GET", f"/containers/{self.id}/json")

    def running(self):
        return self.inspect()["State"]["Running"]

    def address(self, network=None):
        networks = self.inspect()["NetworkSettings"]["Networks"]
        return networks[network or self.engine.network]["IPAddress"]

    def health(self):
        state = self.inspect()["State"]
        return (state.get("Health") or state.get("Healthcheck") or {}).get("Status")

    def say(self, path, port=8080, network=None):
        """Asks the backend itself, past every proxy: /health/good, /health/bad."""
        with_port = (self.address(network), port)
        connection = http_unix.http.client.HTTPConnection(*with_port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().read()

    def check_health(self):
        """Has the engine run the health check now, where it does not do so by itself."""
        self.engine.run_health_check(self)


class Engine:
    kind = "docker"
    ulimits = []
    # for Podman, whose defaults are above the hard limits of many machines
    modest = [{"Name": n, "Soft": 1024, "Hard": 1024} for n in ("nofile", "nproc")]

    def __init__(self, socket, network=NETWORK):
        self.socket = socket
        self.network = network  # which containers join unless told otherwise

    @property
    def host(self):
        return "unix://" + self.socket

    def call(self, method, path, body=None, query=None, timeout=60):
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        headers = {}
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body), {"Content-Type": "application/json"}
        elif body is not None:
            headers = {"Content-Type": "application/x-tar"}
        status, _, octets = http_unix.ask(self.socket, method, path, body, headers, timeout)
        if status >= 400:
            raise EngineError(status, f"{method} {path}", octets.decode(errors="replace").strip())
        try:
            return json.loads(octets)
        except ValueError:
            return octets

    def answers(self):
        return self.call("GET", "/_ping", timeout=5) is not None

    def is_podman(self):
        return "Podman" in json.dumps(self.call("GET", "/version").get("Components", ""))

    # images and networks

    def image_make(self, tag=IMAGE):
        """The backend and nothing else."""
        self.image_import(tag, {"backend": native.backend()}, ["/backend"])

    def image_import(self, tag, files, command, links=None, env=None):
        """As `docker import` does it: {path in it: file here}, what it runs, {path in it: where it
        points}, its environment."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as t:
            for name, path in files.items():
                t.add(os.path.realpath(path), name)
            for name, target in (links or {}).items():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, target
                t.addfile(link)
        name, version = tag.split(":")
        changes = [f"CMD {json.dumps(command)}",
                   *(f"ENV {k}={json.dumps(v)}" for k, v in (env or {}).items())]
        self.call("POST", "/images/create", tar.getvalue(), query={
            "fromSrc": "-", "repo": name, "tag": "latest", "changes": changes})
        if version != "latest":  # which is all that Podman 4.3 takes there
            self.call("POST", f"/images/{name}:latest/tag", query={"repo": name, "tag": version})
        self.call("GET", f"/images/{tag}/json")

    def network_create(self, name):
        """Returns the name that it got, which may be longer."""
        self.call("POST", "/networks/create", {"Name": name, "CheckDuplicate": True})
        return name

    def network_remove(self, name):
        self.call("DELETE", f"/networks/{name}")

    def networks(self):
        return [n["Name"] for n in self.call("GET", "/networks")]

    # containers

    def create(self, name, labels=None, env=None, networks=None, expose=(8080,), publish=None,
               health=None, image=IMAGE, network_mode=None, command=("/backend",), restart=None):
        """publish: {container port: port on 127.0.0.1}; health: {"Interval": seconds, …}, with the
        backend's own check as Test; command=None: what the image runs; restart: "always"."""
        networks = networks or [self.network]
        body = {
            "Image": image,
            **({"Cmd": list(command)} if command else {}),
            "Labels": labels or {},
            "Env": [f"{k}={v}" for k, v in {"NAME": name, **(env or {})}.items()],
            "ExposedPorts": {f"{p}/tcp": {} for p in expose},
            "HostConfig": {
                "NetworkMode": network_mode or networks[0],
                "Ulimits": self.ulimits,
                **({"RestartPolicy": {"Name": restart}} if restart else {}),
                "PortBindings": {f"{c}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(h)}]
                                 for c, h in (publish or {}).items()},
            },
        }
        if health is not None:
            body["Healthcheck"] = {"Test": HEALTH, **{
                k: v if k == "Retries" else int(v * 1e9) for k, v in health.items()}}
        made = self.call("POST", "/containers/create", body, query={"name": name})
        container = Container(self, made["Id"], name)
        for other in networks[1:]:
            container.connect(other)
        return container

    def run(self, name, labels=None, **how):
        return self.create(name, labels, **how).start()

    def containers(self):
        return [Container(self, c["Id"], c["Names"][0].lstrip("/"))
                for c in self.call("GET", "/containers/json", query={"all": 1})]

    def run_health_check(self, container):
        """dockerd does it by itself."""

    def clean(self, keep=()):
        """Removes every container but those of the list, and every network but its own."""
        kept = {c.id for c in keep}
        for container in self.containers():
            if container.id not in kept:
                try:
                    container.remove()
                except EngineError as e:
                    if e.status not in (404, 409):
                        raise
        for name in self.networks():
            if name not in (self.network, "bridge", "host", "none", "podman"):
                self.network_remove(name)


def _free_subnet():
    """A /20 of 10.192.0.0/11 that no route of this machine touches."""
    routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True).stdout
    while True:
        second, third = random.randint(192, 223), 16 * random.randint(0, 15)
        if not any(f"10.{second}.{third + i}." in routes for i in range(16)):
            return f"10.{second}.{third}"


class _Own(Engine):
    """What both engines that the tests start have in common."""

    def __init__(self, directory):
        os.makedirs(directory)
        super().__init__(os.path.join(directory, "s.sock"))
        self.directory = str(directory)
        self.subnet = _free_subnet()
        self.process = None
        self.bridges = set()

    def argv(self):
        raise NotImplementedError

    def start(self):
        """Returns when it answers; it has image and network after the first time."""
        self.process = process.Process(self.argv(), os.path.join(self.directory, "log"),
                                       env=self.env()).start()
        wait.until(lambda: self.process.running is False or self.answers(), 60,
                   f"{self.kind} answers", every=0.05)
        if not self.process.running:
            raise RuntimeError(f"{self.kind} did not start:\n{self.process.tail()}")
        if self.network not in self.networks():
            self.image_make()
            self.network_create(self.network)
        return self

    def env(self):
        return {}

    def kill(self):
        self.process.kill()

    def stop(self):
        """Only the engine; what it runs is another matter."""
        self.process.stop(30)

    def destroy(self):
        """Everything away: containers, networks, processes, mounts, directory; where the engine is
        dead it is started once more, because it knows best what it has made."""
        try:
            if not self.process.running:
                self.start()
            self.clean()
            self.network_remove(self.network)
        except (RuntimeError, OSError, LookupError, wait.TimedOut) as e:
            print(f"{self.kind} does not clean up ({e}); taking it away by force")
        finally:
            self.stop()
            process.end_all(self.directory)
            process.unmount_all(self.directory)
            for bridge in self.bridges:
                subprocess.run(["ip", "link", "del", bridge], stderr=subprocess.DEVNULL)
            shutil.rmtree(self.directory)


class Dockerd(_Own):
    kind = "docker"

    def argv(self):
        d = self.directory
        with open(f"{d}/daemon.json", "w") as f:
            f.write("{}")
        return ["dockerd", "--config-file", f"{d}/daemon.json", "--data-root", f"{d}/data",
                "--exec-root", f"{d}/exec", "-H", self.host, "-p", f"{d}/pid",
                # no default bridge and no firewall rules: both would be shared with the machine's
                # own dockerd; containers are reached by their addresses all the same
                "--bridge=none", "--iptables=false", "--ip-masq=false", "--ip-forward=false",
                "--default-address-pool", f"base={self.subnet}.0/20,size=24",
                "--live-restore", "--shutdown-timeout=5"]

    def kill(self):
        """Its containerd dies with it, a moment later; a dockerd that came back before would wait
        for it in vain."""
        super().kill()
        pids = [f"{self.directory}/pid", f"{self.directory}/exec/containerd/containerd.pid"]
        with open(pids[1]) as f:
            containerd = f.read().strip()
        wait.until(lambda: process.ended(containerd), 10, "containerd ends")
        for pid in pids:
            os.unlink(pid)

    def network_create(self, name):
        super().network_create(name)
        self.bridges.add("br-" + self.call("GET", f"/networks/{name}")["Id"][:12])
        return name


def nat(*words):
    """What iptables says of the table in which published ports are."""
    command = shutil.which("iptables") or "/usr/sbin/iptables"
    return subprocess.run([command, "-w", "-t", "nat", *words], check=True, capture_output=True,
                          text=True).stdout


def forget_ports(suffix):
    """Published ports are rules of the machine's, which lead nowhere when a Podman was taken away by
    force: those of the networks with this suffix, and the chains that are theirs alone."""
    rules = [shlex.split(line) for line in nat("-S").splitlines()]
    mine = [r for r in rules if r[0] == "-A" and any(f'{suffix}"' in word for word in r)]
    chains = {c for r in mine for c in (r[1], r[r.index("-j") + 1])
              if re.fullmatch("CNI-(DN-)?[0-9a-f]{20,}", c)}
    for rule in mine:
        nat("-D", *rule[1:])
    for verb in ("-F", "-X"):
        for chain in chains:
            nat(verb, chain)


def forget_namespaces(path):
    """What CNI keeps of a container that was not stopped says where its network namespace is."""
    with open(path) as f:
        places = {i.get("sandbox") for i in json.load(f)["result"].get("interfaces", [])}
    for place in filter(None, places):
        if os.path.exists(place):
            subprocess.run(["umount", "-l", place], stderr=subprocess.DEVNULL)
            os.unlink(place)
    os.unlink(path)


class Podman(_Own):
    kind = "podman"
    ulimits = Engine.modest

    def __init__(self, directory):
        super().__init__(directory)
        # CNI keeps leases by network name for the whole machine: ours have names of their own
        self.suffix = "-" + os.path.basename(os.path.dirname(self.directory))
        self.network += self.suffix

    def env(self):
        return {"CONTAINERS_CONF": f"{self.directory}/containers.conf"}

    def flags(self):
        d = self.directory
        # crun refuses machines with hybrid cgroups
        return ["--runtime", shutil.which("runc") or "/usr/sbin/runc", "--root", f"{d}/r",
                "--runroot", f"{d}/rr", "--tmpdir", f"{d}/tmp", "--network-config-dir", f"{d}/net",
                "--cgroup-manager=cgroupfs", "--events-backend=file"]

    def argv(self):
        with open(f"{self.directory}/containers.conf", "w") as f:
            ulimits = json.dumps([f"{u['Name']}={u['Soft']}:{u['Hard']}" for u in self.modest])
            f.write('[engine]\nlock_type = "file"\n'
                    f'[containers]\ndefault_ulimits = {ulimits}\n'
                    f'[network]\nnetwork_backend = "cni"\n'
                    f'default_subnet_pools = [{{"base" = "{self.subnet}.0/20", "size" = 24}}]\n')
        return ["podman", *self.flags(), "system", "service", "-t", "0", self.host]

    def command(self, *args):
        return subprocess.run(["podman", *self.flags(), *args], env={**os.environ, **self.env()},
                              capture_output=True, text=True, timeout=60)

    def write_command(self, path):
        """A `podman` that is this one, for scripts that give no flags."""
        with open(path, "w") as f:
            f.write(f"#!/bin/sh\nCONTAINERS_CONF={self.directory}/containers.conf "
                    f"exec {shutil.which('podman')} {' '.join(self.flags())} \"$@\"\n")
        os.chmod(path, 0o755)

    def network_create(self, name):
        name = name if name.endswith(self.suffix) else name + self.suffix
        super().network_create(name)
        shown = self.command("network", "inspect", name).stdout
        self.bridges |= {n["network_interface"] for n in json.loads(shown)}
        return name

    def destroy(self):
        try:
            super().destroy()
        finally:
            forget_ports(self.suffix)
            for leases in glob.glob("/var/lib/cni/networks/*" + self.suffix):
                shutil.rmtree(leases)
            for result in glob.glob(f"/var/lib/cni/results/*{self.suffix}-*"):
                forget_namespaces(result)

    def run_health_check(self, container):
        """Without systemd Podman has nobody to run them."""
        self.command("healthcheck", "run", container.id)
