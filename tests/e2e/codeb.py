"""A machine that runs CodeB, as examples/codeb has it: its registry, Podman, and the scripts that
deploy to it."""

import os
import random
import shutil
import subprocess

import native
import ports

EXAMPLE = os.path.join(native.ROOT, "examples", "codeb")
CONFIG = f"{EXAMPLE}/waymark.yaml"
BASE = 4051  # the port of the example's project, as its name gives it


def base_port():
    """Blue's, which CodeB could give, with green's free beside it; the example's where that is.  All
    are odd, so that no two overlap, whichever of its slots is empty now."""
    return next(base for base in [BASE, *random.sample(range(4001, 4498, 2), 200)]
                if ports.is_free(base) and ports.is_free(base + 1))


class Machine:
    """`podman`: an engine that is started; `api_port`: Traefik's API will listen there."""

    project, environment, host = "myapp", "production", "myapp.codeb.kr"

    def __init__(self, podman, directory, api_port):
        self.podman, self.base = podman, base_port()
        self.registry = f"{directory}/registry"
        os.mkdir(self.registry)
        self._write_registry()
        self.bin = f"{directory}/bin"
        self._write_commands()
        # what waymark.yaml wants to know
        self.settings = {"CODEB_ENGINE": podman.host, "CODEB_REGISTRY": self.registry,
                         "CODEB_TRAEFIK_API": f"http://127.0.0.1:{api_port}"}
        self.env = {**os.environ, **self.settings, "PATH": f"{self.bin}:{os.environ['PATH']}",
                    "CODEB_NETWORK": podman.network, "WAYMARK_CONFIG": CONFIG}

    def _write_registry(self):
        for name in ("ssot.json", "slots.json"):
            with open(f"{EXAMPLE}/registry/{name}") as f:
                text = f.read()
            with open(f"{self.registry}/{name}", "w") as f:
                f.write(text.replace(str(BASE), str(self.base)))

    def _write_commands(self):
        """The scripts know no flags and no paths."""
        os.mkdir(self.bin)
        self.podman.write_command(f"{self.bin}/podman")
        os.symlink(os.path.abspath(native.waymark()), f"{self.bin}/waymark")
        for script in ("deploy", "cleanup"):
            shutil.copy(f"{EXAMPLE}/{script}", self.bin)

    def uses(self, waymark):
        self.env["WAYMARK_ADDRESS"] = waymark.listen

    def run_blue(self, image):
        """As CodeB started what its registry has active."""
        name = f"{self.project}-{self.environment}-blue"
        return self.done("podman", "run", "--detach", "--name", name,
                         "--label", f"codeb.project={self.project}",
                         "--label", f"codeb.environment={self.environment}",
                         "--label", "codeb.slot=blue", "--network", self.podman.network,
                         "--publish", f"127.0.0.1:{self.base}:3000", "--restart", "always", image)

    # commands, as somebody types them or CI runs them

    def command(self, *argv, timeout=120):
        return subprocess.run(argv, env=self.env, text=True, capture_output=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)

    def done(self, *argv):
        """What it printed; it has to succeed."""
        said = self.command(*argv)
        if said.returncode:
            raise RuntimeError(f"{' '.join(argv)}: exit status {said.returncode}\n"
                               f"{said.stdout}{said.stderr}")
        return said.stdout

    def deploy(self, image):
        return self.done("deploy", self.project, self.environment, image)

    def cleanup(self):
        return self.done("cleanup", self.project, self.environment)

    def slot(self, command, *more):
        return self.done("waymark", "slot", command, self.project, self.environment, *more)
