"""Sites in a real Caddy, of both versions: written, loaded, and put aside where it does not take them."""

import os
import time

import pytest

import caddy as caddy_module
import counts
import figures
import registry
import wait


@pytest.fixture(params=caddy_module.VERSIONS)
def stage(request, dockerd, caddy, waymark):
    return Stage(dockerd, caddy(version=request.param), waymark)


class Stage:
    def __init__(self, engine, caddy, waymark, registry=None, **more):
        self.engine, self.caddy = engine, caddy
        self.waymark = waymark(engine, base_domain="test", registry=registry or {},
                               caddy={"sites": caddy.sites, "caddyfile": caddy.caddyfile,
                                      "admin": caddy.admin, "tls": False, **more})

    def run(self, project):
        return self.engine.create(f"{project}-1", {"waymark.project": project,
                                                   "waymark.port": "8080"}).start()

    def answer(self, project):
        return self.caddy.get(f"{project}.test")

    def serves(self, project, timeout=10):
        wait.until(lambda: self.answer(project)[1].startswith(f"{project}-1 ".encode()), timeout,
                   f"{project} is served", every=0.005)

    def file(self, name):
        return os.path.join(self.caddy.sites, name)

    def problems(self, code):
        return {p["object"]: p["what"] for p in self.waymark.problems(code)}


def test_containers_come_and_go(stage):
    shop = stage.run("shop")
    stage.serves("shop")
    assert stage.answer("nobody")[0] == 404
    wait.until(lambda: stage.waymark.status()["converged"], 10, "it is converged")
    assert [o["kind"] for o in stage.waymark.status()["outputs"]] == ["caddy"]

    shop.remove()
    wait.until(lambda: stage.answer("shop")[0] == 503, 10, "the host is held")
    assert os.path.exists(stage.file("waymark.caddy"))


def test_a_restart_changes_nothing(stage, waymark):
    stage.run("shop")
    stage.serves("shop")
    wait.until(lambda: stage.waymark.status()["converged"], 10, "it is converged")
    before = {name: os.stat(stage.file(name)).st_mtime_ns for name in os.listdir(stage.caddy.sites)}
    stage.waymark.restart()
    wait.until(lambda: stage.waymark.status()["converged"], 10, "it is converged again")
    assert before == {name: os.stat(stage.file(name)).st_mtime_ns
                      for name in os.listdir(stage.caddy.sites)}
    stage.caddy.restart()
    stage.serves("shop")


def test_one_that_is_refused_stops_nobody(stage):
    """Somebody else's site has the host already: Caddy takes no two of them, and names no file."""
    stage.run("shop")
    stage.serves("shop")
    with open(stage.file("another.caddy"), "w") as f:
        f.write("http://wiki.test {\n\trespond another\n}\n")
    for project in ("wiki", "blog", "docs"):
        stage.run(project)
    for project in ("blog", "docs", "shop"):
        stage.serves(project, 30)
    wait.until(lambda: "wiki-production.caddy" in stage.problems("site-refused"), 10, "it is told")
    assert not os.path.exists(stage.file("wiki-production.caddy"))
    with open(stage.file("another.caddy")) as f:
        assert f.read() == "http://wiki.test {\n\trespond another\n}\n"


def test_a_few_of_many_are_refused(caddy, waymark, dockerd, directory):
    """Of many sites some have hosts that another's file has already; all others are current soon."""
    one = caddy(version="2.11")
    names = [f"p{i:04}" for i in range(counts.SITES)]
    taken = names[::len(names) // counts.SITES_REFUSED][:counts.SITES_REFUSED]
    with open(os.path.join(one.sites, "another.caddy"), "w") as f:
        f.writelines(f"http://{name}.test {{\n\trespond another\n}}\n" for name in taken)
    files = registry.Directory(f"{directory}/registry", {name: {} for name in names}).write()
    began = time.monotonic()
    stage = Stage(dockerd, one, waymark, registry={"directory": files.path})
    wait.until(lambda: stage.waymark.status()["converged"], 120, "all that can be is in force", every=0.05)
    seconds = time.monotonic() - began
    assert set(stage.problems("site-refused")) == {f"{name}-production.caddy" for name in taken}
    assert all(stage.answer(name) == (200, b"another") for name in taken)
    assert all(stage.answer(name)[0] == 503 for name in names if name not in taken)
    figures.note("Caddy", "sites that Caddy does not take, among others", sites=len(names), refused=len(taken),
                 until_all_others_are_current=f"{seconds:.1f} s")


def test_a_foreign_file_is_left_alone(stage):
    with open(stage.file("shop-production.caddy"), "w") as f:
        f.write("http://mine.test {\n\trespond mine\n}\n")
    stage.run("shop")
    stage.run("blog")
    stage.serves("blog")
    wait.until(lambda: "shop-production.caddy" in stage.problems("site-foreign"), 10, "it is told")
    with open(stage.file("shop-production.caddy")) as f:
        assert f.read().startswith("http://mine.test")


def test_drift_is_undone(stage):
    """Somebody loads something else."""
    stage.run("shop")
    stage.serves("shop")
    wait.until(lambda: stage.waymark.status()["converged"], 10, "it is converged")
    text = stage.caddy.text().replace(f"import {stage.caddy.sites}/*.caddy",
                                      "http://shop.test {\n\trespond another\n}")
    stage.caddy.ask("POST", "/load", text.encode())
    wait.until(lambda: stage.answer("shop")[1] == b"another", 5, "it is another's")
    began = time.monotonic()
    stage.serves("shop", 30)
    figures.note("Caddy", f"somebody else's load is undone, {stage.caddy.version}",
                 after=figures.milliseconds(time.monotonic() - began))


def test_a_caddy_that_is_away(stage):
    stage.run("shop")
    stage.serves("shop")
    stage.caddy.stop()
    stage.run("blog")
    wait.until(lambda: stage.waymark.problems("output-failed"), 30, "it is told")
    assert not stage.waymark.status()["converged"]
    stage.caddy.start()
    stage.serves("blog", 40)
    stage.serves("shop")
    wait.until(lambda: not stage.waymark.problems("output-failed"), 30, "all is well again")


def test_a_directory_that_is_not_there(stage):
    """Nothing is said to be in force that could not be written."""
    stage.run("shop")
    stage.serves("shop")
    os.rename(stage.caddy.sites, stage.caddy.sites + ".away")
    stage.run("blog")
    told = wait.until(lambda: stage.waymark.problems("output-failed"), 10, "it is told")
    assert stage.caddy.sites in told[0]["what"] and not stage.waymark.status()["converged"]
    os.rename(stage.caddy.sites + ".away", stage.caddy.sites)
    stage.serves("blog", 40)
    stage.serves("shop")


def test_a_main_caddyfile_that_imports_nothing(dockerd, caddy, waymark):
    one = caddy(sites=None)
    text = one.text()
    with open(one.caddyfile, "w") as f:
        f.write(text.replace("import ", "# import "))
    stage = Stage(dockerd, one, waymark)
    stage.run("shop")
    told = wait.until(lambda: stage.waymark.problems("output-failed"), 10, "it is told")
    assert "does not import the sites" in told[0]["what"]
    with open(one.caddyfile, "w") as f:
        f.write(text)
    stage.serves("shop", 40)


def test_what_others_do_to_the_files(dockerd, caddy, waymark):
    """A file of ours is edited or removed, and one that stood in the way goes."""
    stage = Stage(dockerd, caddy(version="2.6"), waymark)
    with open(stage.file("another.caddy"), "w") as f:
        f.write("http://wiki.test {\n\trespond another\n}\n")
    stage.run("shop")
    stage.run("wiki")
    stage.serves("shop", 30)
    wait.until(lambda: stage.problems("site-refused"), 10, "wiki is refused")
    time.sleep(6)  # a look at the files
    os.unlink(stage.file("another.caddy"))
    stage.serves("wiki", 30)
    wait.until(lambda: not stage.problems("site-refused"), 10, "all is well")

    time.sleep(6)
    with open(stage.file("shop-production.caddy"), "a") as f:
        f.write("# edited\n")
    os.unlink(stage.file("wiki-production.caddy"))
    wait.until(lambda: os.path.exists(stage.file("wiki-production.caddy")), 20, "it is written again")
    with open(stage.file("shop-production.caddy")) as f:
        assert "# edited" not in f.read()
