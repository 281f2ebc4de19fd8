"""With a registry a host is its project's, whoever claims it, in whatever way and spelling."""

import time

import pytest

import labels
import registry
import wait

IDNA = "xn--caf-dma.kr"  # café.kr
DOMAINS = ["www.alice.kr", IDNA]


@pytest.fixture
def files(directory):
    """alice with two domains, bob with one."""
    return registry.Directory(f"{directory}/registry", {
        "alice": {"domains": list(DOMAINS)}, "bob": {"domains": ["bob.kr"]}, "carol": {}})


@pytest.fixture
def start(dockerd, waymark, traefik, files):
    """Waymark and Traefik, alice's container and bob's; bob's has the labels given."""
    def make(unregistered="route", run=True, **bob):
        files.write()
        one = waymark(dockerd, registry={"directory": files.path, "unregistered": unregistered},
                      allowed_domains=["alice.kr", "bob.kr", IDNA])
        proxy = traefik(waymark=one.port)
        if run:
            dockerd.run("bob", labels.waymark("bob", **bob))
            proxy.wait_answers("bob.test", ["bob"])
            dockerd.run("alice", labels.waymark("alice"))
            for host in ("alice.test", *DOMAINS):
                proxy.wait_answers(host, ["alice"])
        return one, proxy
    return make


SPELLINGS = {
    "as it is": "www.alice.kr",
    "in capitals": "WWW.Alice.KR",
    "with a trailing dot": "www.alice.kr.",
    "with both": "WWW.ALICE.KR.",
    "its derived host": "alice.test",
    "its derived host in capitals": "ALICE.test.",
    "in IDNA form": IDNA,
    "in IDNA form, capitals": IDNA.upper(),
    "in Unicode": "café.kr",
    "in Unicode, capitals": "CAFÉ.KR",
    "in Unicode, decomposed": "cafe\u0301.kr",
    "under it": "login.www.alice.kr",
    "under its derived host": "x.alice.test",
    "a preview of it": "alice-preview-x.test",
}


def owner_keeps_all(proxy, how):
    for host in ("alice.test", *DOMAINS):
        assert proxy.answers(host, times=4) == {"alice"}, how


def test_by_label(start, dockerd):
    """Another of bob's says that it has alice's host, in each spelling in turn."""
    one, proxy = start()
    for n, (how, spelt) in enumerate(SPELLINGS.items()):
        dockerd.run(f"mallory-{n}", labels.waymark("bob", environment=f"e{n}", host=spelt))
        proxy.wait_answers(f"bob-e{n}.test", [f"mallory-{n}"])
        problem, = wait.until(lambda: one.problems(about=f"mallory-{n}"), 5, how)
        assert "waymark.host" in problem["field"], how
        assert problem["what"] and problem["remedy"], how
        owner_keeps_all(proxy, how)
        asked = spelt.encode("idna").decode().rstrip(".")
        assert not {f"mallory-{n}", "bob"} & proxy.answers(asked, times=4), how


def test_while_the_owner_has_no_container(start, dockerd):
    """Nobody is at home: it answers 503, and is not given away."""
    one, proxy = start(run=False)
    dockerd.run("mallory", labels.waymark("bob", host="www.alice.kr,alice.test"))
    wait.until(lambda: one.problems(about="mallory"), 5)
    proxy.wait_answers("bob.test", ["mallory"])
    for host in ("www.alice.kr", "alice.test"):
        assert proxy.status(host) in (503, 404)
    dockerd.run("alice", labels.waymark("alice"))
    for host in ("www.alice.kr", "alice.test"):
        proxy.wait_answers(host, ["alice"])


REGISTERED = [name for name in SPELLINGS if not name.startswith(("under", "a preview"))]


def test_by_registry(start, files):
    """A second project is registered with a host that the first one has, in each spelling in turn,
    and in the end in all of them."""
    one, proxy = start()

    def claim(spelt, how):
        files.projects["bob"] = {"domains": [*spelt, "bob.kr"]}
        files.write()
        found = wait.until(lambda: one.problems(about="bob"), 5, how)
        assert all(p["what"] and p["remedy"] for p in found), how
        owner_keeps_all(proxy, how)
        assert proxy.answers("bob.kr") == {"bob"}, how  # what it had, it has
        files.projects["bob"] = {"domains": ["bob.kr"]}

    for how in REGISTERED:
        claim([SPELLINGS[how]], how)
        files.write()
        wait.until(lambda: one.problems(about="bob") == [], 5, how)
    claim(["www.alice.kr", IDNA, "alice.test"], "all of them")

    one.restart()
    wait.until(lambda: proxy.answers("www.alice.kr") == {"alice"}, 60)
    owner_keeps_all(proxy, "after a restart")
    assert one.problems(about="bob")


def test_one_who_had_it_by_label_yields_to_the_registry(dockerd, waymark, traefik, files):
    """Labels say what is claimed, the registry says what is true."""
    del files.projects["alice"]
    files.write()
    one = waymark(dockerd, registry={"directory": files.path}, allowed_domains=["alice.kr"])
    proxy = traefik(waymark=one.port)
    dockerd.run("squatter", labels.waymark("squatter", host="www.alice.kr"))
    proxy.wait_answers("www.alice.kr", ["squatter"])
    files.projects["alice"] = {"domains": ["www.alice.kr"]}
    files.write()
    dockerd.run("alice", labels.waymark("alice"))
    proxy.wait_answers("www.alice.kr", ["alice"])
    assert one.problems(about="squatter")


def test_unregistered_are_ignored(start, dockerd, files):
    _, proxy = start("ignore")
    dockerd.run("stranger", labels.waymark("stranger", host="www.bob.kr"))
    dockerd.run("late", labels.waymark("carol"))
    proxy.wait_answers("carol.test", ["late"])
    assert proxy.status("stranger.test") == 404
    assert proxy.status("www.bob.kr") == 404

    files.projects["stranger"] = {"domains": ["www.bob.kr"]}
    files.write()
    proxy.wait_answers("stranger.test", ["stranger"])
    proxy.wait_answers("www.bob.kr", ["stranger"])  # the registry may give away what is under bob.kr


def test_unregistered_are_routed_under_what_is_nobodys(start, dockerd):
    one, proxy = start("route")
    dockerd.run("stranger", labels.waymark("stranger", host="www.bob.kr"))
    proxy.wait_answers("stranger.test", ["stranger"])
    assert proxy.status("www.bob.kr") == 404
    assert one.problems(about="stranger")
    dockerd.run("thief", labels.waymark("thief", host="carol.test"))
    wait.until(lambda: one.problems(about="thief"), 5)
    assert proxy.status("carol.test") in (404, 503)


def test_a_label_beyond_the_projects_domains(start):
    one, proxy = start(host="bob.example.org,www.bob.kr")
    problem, = wait.until(lambda: one.problems(about="bob.example.org"), 5)
    assert problem["project"] == "bob"
    assert "bob.example.org" not in one.hosts()
    proxy.wait_answers("www.bob.kr", ["bob"])  # under its domain


def test_a_domain_that_is_not_allowed(start, files):
    one, proxy = start()
    files.projects["bob"] = {"domains": ["bank.com", "bob.kr"]}
    files.write()
    problem, = wait.until(lambda: one.problems("host-forbidden"), 5)
    assert problem["host"] == "bank.com" and problem["project"] == "bob"
    assert "bank.com" not in one.hosts()
    assert proxy.answers("bob.kr") == {"bob"}


def test_both_registries_have_one(dockerd, waymark, traefik, files, database):
    """The directory's counts; the other is a problem, until one of them is gone."""
    apps = registry.Apps(database, dockerd)
    apps.add("alice")
    apps.deploy("alice", "running")
    files.write()
    one = waymark(dockerd, registry={
        "directory": files.path,
        "postgres": {"url": database.url(), "sql": apps.SQL, "interval": "200ms"}},
        allowed_domains=["alice.kr", "bob.kr", IDNA], slots={"drain": "1s"})
    proxy = traefik(waymark=one.port)
    dockerd.run("alice", labels.waymark("alice"))
    proxy.wait_answers("www.alice.kr", ["alice"])
    problem, = wait.until(lambda: one.problems("registry-duplicate"), 5)
    assert "alice" in problem["field"] and problem["project"] == "alice"
    assert "alice-1" not in proxy.answers("alice.test")

    # where the directory has it no more, the database's counts
    del files.projects["alice"]
    files.write()
    proxy.wait_answers("alice.test", ["alice-1"], timeout=10)
    wait.until(lambda: not one.problems("registry-duplicate"), 5)

    files.projects["alice"] = {"domains": list(DOMAINS)}
    files.write()
    proxy.wait_answers("www.alice.kr", ["alice"], timeout=10)
    assert one.problems("registry-duplicate")


def test_a_project_that_is_removed_leaves_after_the_drain(dockerd, waymark, traefik, files):
    files.write()
    one = waymark(dockerd, registry={"directory": files.path, "unregistered": "ignore"},
                  allowed_domains=["alice.kr", "bob.kr", IDNA], slots={"drain": "3s"})
    proxy = traefik(waymark=one.port)
    dockerd.run("alice", labels.waymark("alice"))
    dockerd.run("bob", labels.waymark("bob"))
    proxy.wait_answers("www.alice.kr", ["alice"])
    proxy.wait_answers("bob.kr", ["bob"])
    del files.projects["alice"]
    files.write()
    gone = time.monotonic()
    wait.stays(lambda: proxy.answers("www.alice.kr", times=1) == {"alice"}, 2.5, "it drains")
    proxy.wait_status("www.alice.kr", 404, timeout=5)
    assert time.monotonic() - gone >= 2.9
    assert proxy.answers("bob.kr") == {"bob"}
