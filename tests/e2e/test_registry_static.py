"""What is no container here: hosts of other servers, and names that only resolve."""

import pytest

import labels
import native
import ports
import process
import registry
import wait


@pytest.fixture
def other_server(directory):
    """Makes servers that are no containers: (their name, their port)."""
    made = []

    def make(name):
        port = ports.free()
        one = process.Process([native.backend()], f"{directory}/{name}.log",
                              env={"PORT": str(port), "NAME": name}).start()
        made.append(one)
        return f"http://127.0.0.1:{port}"
    yield make
    for one in made:
        one.kill()


def test_static_routes(directory, dockerd, waymark, traefik, other_server):
    first, second, third = (other_server(name) for name in ("one", "two", "three"))
    files = registry.Directory(f"{directory}/registry", {"shop": {}}, {
        "ws.codeb.kr": {"upstreams": [first]},
        "both.codeb.kr": {"upstreams": [first, second]},
        "db.codeb.kr": {"address": ["64.176.226.119", "2001:db8::1"]}}).write()
    one = waymark(dockerd, base_domain="codeb.kr", registry={"directory": files.path})
    proxy = traefik(waymark=one.port)
    proxy.wait_answers("ws.codeb.kr", ["one"])
    proxy.wait_answers("both.codeb.kr", ["one", "two"])

    # a name that only resolves is in the list, and is not routed
    assert proxy.status("db.codeb.kr") == 404
    assert one.route("db.codeb.kr")["kind"] == "static"
    assert one.route("db.codeb.kr")["servers"] == []
    assert not proxy.knows("db.codeb.kr")
    assert one.troubles() == []

    # they come, change and go with the file
    files.static["both.codeb.kr"] = {"upstreams": [second, third]}
    files.static["new.codeb.kr"] = {"upstreams": [third]}
    del files.static["ws.codeb.kr"]
    files.write()
    proxy.wait_answers("both.codeb.kr", ["two", "three"])
    proxy.wait_answers("new.codeb.kr", ["three"])
    proxy.wait_status("ws.codeb.kr", 404)


def test_a_reserved_name_may_be_static(directory, dockerd, waymark, traefik, other_server):
    """Being reserved binds branches and labels."""
    files = registry.Directory(f"{directory}/registry", {"shop": {}}, {
        "api.test": {"upstreams": [other_server("api")]}}).write()
    one = waymark(dockerd, registry={"directory": files.path})
    traefik(waymark=one.port).wait_answers("api.test", ["api"])
    assert one.troubles() == []


def test_static_of_both_kinds(directory, dockerd, waymark, traefik, other_server):
    """The configuration's and the registry's stand beside each other."""
    files = registry.Directory(f"{directory}/registry", {"shop": {}}, {
        "two.test": {"upstreams": [other_server("two")]}}).write()
    one = waymark(dockerd, registry={"directory": files.path},
                  static={"one.test": {"upstreams": [other_server("one")]}})
    proxy = traefik(waymark=one.port)
    proxy.wait_answers("one.test", ["one"])
    proxy.wait_answers("two.test", ["two"])


def test_nobody_takes_a_static_host(directory, dockerd, waymark, traefik, other_server):

    files = registry.Directory(f"{directory}/registry", {"shop": {"domains": ["ws.test"]}}, {
        "ws.test": {"upstreams": [other_server("ws")]}}).write()
    one = waymark(dockerd, registry={"directory": files.path})
    proxy = traefik(waymark=one.port)
    dockerd.run("shop", labels.waymark("shop", host="ws.test"))
    proxy.wait_answers("shop.test", ["shop"])
    wait.until(lambda: one.problems(about="ws.test"), 5)
    assert proxy.answers("ws.test") == {"ws"}
