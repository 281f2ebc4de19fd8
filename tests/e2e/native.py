"""The C programs of the tests, compiled when they are older than their source."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build", "e2e")


def _program(name, flags=(), libraries=()):
    source = os.path.join(HERE, name + ".c")
    binary = os.path.join(BUILD, name)
    os.makedirs(BUILD, exist_ok=True)
    if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
        mine = f"{binary}.{os.getpid()}"
        subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror",
                        *flags, "-o", mine, source, *libraries], check=True)
        os.rename(mine, binary)
    return binary


def backend():
    return _program("backend", ["-static"], ["-lnettle"])


def load():
    return _program("load")


def _pure_program(name):
    """With Waymark's own renderers in it, as make check built them."""
    built = os.path.dirname(os.path.realpath(waymark()))
    source, pure = f"{HERE}/{name}.c", f"{built}/pure.a"
    binary = f"{built}/tests/{name}"
    if os.path.exists(binary) and os.path.getmtime(binary) > max(map(os.path.getmtime, (source, pure))):
        return binary
    os.makedirs(os.path.dirname(binary), exist_ok=True)
    sanitize = ["-fsanitize=address,undefined"] if is_sanitized() else []
    mine = f"{binary}.{os.getpid()}"
    subprocess.run([os.path.basename(built).split("-")[0], "-std=c17", "-D_GNU_SOURCE", f"-I{ROOT}",
                    "-O1", "-Wall", "-Wextra", "-Werror", *sanitize, "-o", mine, source, pure,
                    "-ljansson", "-lnettle"], check=True)
    os.rename(mine, binary)
    return binary


def document():
    return _pure_program("document")


def sites():
    return _pure_program("sites")


def caddys():
    """Each Caddy that is here: Debian's, and the one that tests/install put under build/."""
    return [path for path in ("/usr/bin/caddy", os.path.join(ROOT, "build", "venv", "bin", "caddy"))
            if os.path.exists(path)]
def _from_sources(name, sources, *flags):
    """With parts of Waymark in it, compiled along: it is to run as it is, without sanitizers."""
    files = [f"{HERE}/{name}.c", *(f"{ROOT}/{s}" for s in sources)]
    binary = os.path.join(BUILD, name)
    os.makedirs(BUILD, exist_ok=True)
    if not os.path.exists(binary) or os.path.getmtime(binary) < max(map(os.path.getmtime, files)):
        mine = f"{binary}.{os.getpid()}"
        subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", '-DWAYMARK_VERSION="test"', f"-I{ROOT}",
                        "-O1", "-Wall", "-Wextra", "-Werror", "-o", mine, *files, *flags], check=True)
        os.rename(mine, binary)
    return binary


BASE = ["reconciler/base/arena.c", "reconciler/base/buf.c", "reconciler/base/err.c",
        "reconciler/base/utf8.c"]


def site_changes():
    """Static, so that it makes no system calls but its own."""
    return _from_sources("site_changes", [*BASE, "provider/caddy/site_dir.c",
                                          "provider/caddy/site_store.c"], "-static")


def caddy_admin():
    return _from_sources("caddy_admin", [*BASE, "provider/caddy/admin.c", "reconciler/base/httpc.c",
                                         "reconciler/base/json.c"],
                         "-luv", "-lcurl", "-ljansson")


def caddy(version):
    """Debian's is 2.6, the one that tests/install put under build/ is 2.11; or $CADDY_2_6, $CADDY_2_11."""
    given = os.environ.get("CADDY_" + version.replace(".", "_"))
    return given or {"2.6": "/usr/bin/caddy",
                     "2.11": os.path.join(ROOT, "build", "venv", "bin", "caddy")}[version]


def traefik():
    """$TRAEFIK, or the one that tests/install put under build/."""
    return os.environ.get("TRAEFIK") or os.path.join(ROOT, "build", "venv", "bin", "traefik")


def waymark():
    return os.environ.get("WAYMARK") or os.path.join(ROOT, "build", "waymark")


def is_sanitized():
    """Then what it takes of memory says nothing."""
    with open(waymark(), "rb") as f:
        return b"__asan_init" in f.read()


def busybox():
    """The static one, which runs in a container that has nothing else."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            return path
    raise RuntimeError("busybox is missing; tests/install demo brings busybox-static")
