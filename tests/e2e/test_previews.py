"""What stands before previews and slots by their own URLs, what shares requests among slots, and
middlewares of Traefik's own, from the configuration and the registry to a request's answer."""

import base64
import collections
import json

import http_unix
import labels
import registry
import wait

# htpasswd -nbB anna secret
USER = "anna:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
SECRET = {"Authorization": "Basic " + base64.b64encode(b"anna:secret").decode()}
PREVIEW, SLOT = "shop-preview-f-x.test", "shop-production-blue.test"


def ask(proxy, host, headers=None):
    """(status, X-Robots-Tag)."""
    status, head, _ = http_unix.ask(proxy.port, "GET", "/", headers={"Host": host, **(headers or {})})
    return status, head["X-Robots-Tag"]


def test_guards(dockerd, waymark, traefik, directory):
    """Each is there with a SIGHUP, and gone with another; production never notices."""
    users = f"{directory}/users"
    with open(users, "w") as f:
        f.write("# who may see previews\n" + USER)
    one = waymark(dockerd)
    proxy = traefik(waymark=one.port)
    dockerd.run("preview", labels.waymark("shop", branch="f/x"))
    dockerd.run("blue", labels.waymark("shop", slot="blue"))
    for host in (PREVIEW, SLOT, "shop.test"):
        proxy.wait_status(host, 200)

    def all_are(guarded, open_, headers=None):
        wait.until(lambda: {ask(proxy, host, headers) for host in (PREVIEW, SLOT)} == {guarded}, 5,
                   lambda: f"{guarded}, not {ask(proxy, PREVIEW, headers)}")
        assert ask(proxy, "shop.test", headers) == open_

    all_are((200, "noindex"), (200, None))  # by default
    one.config["preview"] = {"noindex": False, "basic_auth_file": users}
    one.reload()
    all_are((401, None), (200, None))
    all_are((200, None), (200, None), SECRET)
    one.config["preview"] = {"basic_auth_file": users, "allow": ["10.0.0.0/8", "fd00::/8"]}
    one.reload()
    all_are((403, None), (200, None), SECRET)
    one.config["preview"] = {"basic_auth_file": users, "allow": "127.0.0.1"}
    one.reload()
    all_are((200, "noindex"), (200, None), SECRET)

    # another user, and nothing else that changed
    with open(users, "w") as f:
        f.write(USER.replace("anna", "bob"))
    one.reload()
    all_are((401, None), (200, None), SECRET)
    one.config["preview"] = {"noindex": False}
    one.reload()
    all_are((200, None), (200, None))


def test_a_preview_that_starts_tells_no_stranger(dockerd, waymark, traefik, directory):
    users = f"{directory}/users"
    with open(users, "w") as f:
        f.write(USER)
    one = waymark(dockerd, preview={"basic_auth_file": users})
    proxy = traefik(waymark=one.port)
    dockerd.run("preview", labels.waymark("shop", branch="f/x"), env={"DELAY_MS": "600000"})
    proxy.wait_status(PREVIEW, 401)
    assert ask(proxy, PREVIEW, SECRET)[0] == 503


def shop(dockerd, waymark, traefik, directory, **production):
    files = registry.Directory(f"{directory}/registry", {"shop": {"environments": {
        "production": {"port": 8080, "slots": True, **production}}}})
    files.activate("shop", "blue")
    one = waymark(dockerd, registry={"directory": files.path})
    proxy = traefik(waymark=one.port)
    for name in ("blue", "green"):
        dockerd.run(name, labels.waymark("shop", slot=name))
    proxy.wait_answers("shop.test", ["blue"])
    return files, proxy


def test_weights(dockerd, waymark, traefik, directory):
    files, proxy = shop(dockerd, waymark, traefik, directory)
    files.slots["shop"]["production"]["weights"] = {"blue": 75, "green": 25}
    files.write()
    proxy.wait_answers("shop.test", ["blue", "green"])
    who = collections.Counter(proxy.get("shop.test")[1] for _ in range(400))
    assert sum(who.values()) == 400 and 80 <= who["green"] <= 120, who
    del files.slots["shop"]["production"]["weights"]
    files.write()
    proxy.wait_answers("shop.test", ["blue"])


def test_weights_sticky(dockerd, waymark, traefik, directory):
    """Nobody who is there already is moved by a shift."""
    files, proxy = shop(dockerd, waymark, traefik, directory, sticky=True)

    def visit(mine=""):
        _, head, _ = http_unix.ask(proxy.port, "GET", "/",
                                   headers={"Host": "shop.test", **({"Cookie": mine} if mine else {})})
        return head["X-Container"], "; ".join(
            c.split(";")[0] for c in head.get_all("Set-Cookie", []))

    files.slots["shop"]["production"]["weights"] = {"blue": 1, "green": 1}
    files.write()
    proxy.wait_answers("shop.test", ["blue", "green"])
    visitors = {}
    while len(visitors) < 2:
        name, mine = visit()
        visitors[name] = mine
    files.slots["shop"]["production"]["weights"] = {"blue": 10, "green": 90}
    files.write()
    wait.stays(lambda: all(visit(mine)[0] == name for name, mine in visitors.items()), 1)
    del files.slots["shop"]["production"]["weights"]
    files.write()
    wait.until(lambda: visit(visitors["green"])[0] == "blue", 5)
    assert all(visit(visitors["blue"])[0] == "blue" for _ in range(6))


def test_middlewares(dockerd, waymark, traefik, directory):
    """A missing one takes the hosts of its environment away, and no other's."""
    files, proxy = shop(dockerd, waymark, traefik, directory)
    dockerd.run("other", labels.waymark("other"))
    proxy.wait_answers("other.test", ["other"])
    files.projects["shop"]["environments"]["production"]["middlewares"] = ["hello@file"]
    files.write()
    proxy.wait_status("shop.test", 404)
    assert proxy.status("other.test") == 200
    with open(f"{proxy.dynamic}/middlewares.yml", "w") as f:  # JSON is YAML
        json.dump({"http": {"middlewares": {
            "hello": {"headers": {"customResponseHeaders": {"X-Hello": "hi"}}}}}}, f)
    proxy.wait_answers("shop.test", ["blue"])
    _, head, _ = http_unix.ask(proxy.port, "GET", "/", headers={"Host": "shop.test"})
    assert head["X-Hello"] == "hi"
