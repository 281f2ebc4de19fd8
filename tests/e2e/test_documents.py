"""Every shape that the renderer prints, as a real Traefik takes it and does it: shares of slots,
what stands before previews, middlewares of Traefik's own, and pages for what nobody serves."""

import base64
import collections
import json

import http_unix
import pytest
import wait
from documents import Backend, Feed, render

HASHES = {  # of "secret", as htpasswd -B and others write them
    "anna": "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
    "bob": "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
    'q"u\\o,t#e': "$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"}
USERS = [f"{name}:{hashed}" for name, hashed in HASHES.items()]


@pytest.fixture
def feed(traefik):
    """feed(projects, **settings) brings a document to Traefik, and returns that Traefik."""
    made = []

    def bring(projects, **settings):
        document = render(projects, **settings)
        if not made:
            made.append(Feed(document))
            made.append(traefik(waymark=made[0].port))
        else:
            made[0].change(document)
        names = set(json.loads(document)["http"]["routers"])
        wait.until(lambda: names == {n.split("@")[0] for n in made[1].routers()}, 5,
                   lambda: f"{sorted(names)} in {made[1].routers()}")
        return made[1]

    yield bring
    if made:
        made[0].stop()


@pytest.fixture
def backend():
    made = []

    def make(name):
        made.append(Backend(name))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def ask(proxy, host, path="/", **headers):
    """(status, name of who answered, headers, what it saw)."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    status, head, body = http_unix.ask(proxy.port, "GET", path, headers={"Host": host, **headers})
    name = head.get("X-Container")
    return status, name, head, json.loads(body) if name else {}


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def cookies(head):
    return "; ".join(c.split(";")[0] for c in head.get_all("Set-Cookie", []))


# shares

@pytest.fixture
def slots(backend):
    """Two servers of blue, one of green, and the route of a host with shares for them."""
    servers = [backend(name) for name in ("blue1", "blue2", "green1")]

    def route(blue, green, **more):
        return {"shop": [{"host": "shop.test", "urls": [s.url for s in servers],
                          "shares": [["blue", blue, 2], ["green", green, 1]], **more}]}

    route.servers = servers
    return route


def test_weights(feed, slots):
    proxy = feed(slots(75, 25))
    who = collections.Counter(ask(proxy, "shop.test")[1] for _ in range(400))
    assert sum(who.values()) == 400 and set(who) == {"blue1", "blue2", "green1"}, who
    assert 80 <= who["green1"] <= 120, who  # Traefik deals them out, it does not throw dice
    assert abs(who["blue1"] - who["blue2"]) <= 10, who

    feed(slots(1, 999))
    wait.until(lambda: all(ask(proxy, "shop.test")[1] == "green1" for _ in range(20)), 5)


def test_weights_sticky(feed, slots):
    """A visitor stays with his slot and his server, whatever the others get."""
    proxy = feed(slots(50, 50, sticky=True))
    names = set()
    for _ in range(12):
        _, name, head, _ = ask(proxy, "shop.test")
        mine = cookies(head)
        assert sorted(c.split("=")[0] for c in mine.split("; ")) == ["waymark", "waymark-slot"]
        assert {ask(proxy, "shop.test", Cookie=mine)[1] for _ in range(8)} == {name}
        names.add(name)
    assert names == {"blue1", "blue2", "green1"}


def test_sticky_from_shares_to_one_slot(feed, slots):
    """A promote at the end of a shift moves nobody who is there already; weights that change move
    nobody either."""
    proxy = feed(slots(50, 50, sticky=True))
    visitors = {}
    while set(visitors) != {"blue1", "blue2", "green1"}:
        _, name, head, _ = ask(proxy, "shop.test")
        visitors[name] = cookies(head)

    feed(slots(90, 10, sticky=True))
    for _ in range(5):
        for name, mine in visitors.items():
            assert ask(proxy, "shop.test", Cookie=mine)[1] == name

    blue = [s.url for s in slots.servers[:2]]
    feed({"shop": [{"host": "shop.test", "sticky": True, "urls": blue}]})
    wait.until(lambda: ask(proxy, "shop.test", Cookie=visitors["green1"])[1] != "green1", 5)
    for _ in range(5):
        for name in ("blue1", "blue2"):
            assert ask(proxy, "shop.test", Cookie=visitors[name])[1] == name
    # and back
    feed(slots(10, 90, sticky=True))
    wait.until(lambda: "green1" in {ask(proxy, "shop.test")[1] for _ in range(4)}, 5)


def test_shares_below_a_path(feed, slots):
    proxy = feed(slots(1, 1, path="/a_b/~c", strip=True, sticky=True))
    status, _, head, saw = ask(proxy, "shop.test", "/a_b/~c/d")
    assert (status, saw["path"]) == (200, "/d")
    assert len(cookies(head).split("; ")) == 2


# what stands before previews

def preview(one, **more):
    return {"shop": [{"host": "p.test", "environment": "preview", "guarded": True,
                      "urls": [one.url], **more},
                     {"host": "shop.test", "urls": [one.url]}]}


def test_noindex(feed, backend):
    proxy = feed(preview(backend("web")), preview={"noindex": True})
    assert ask(proxy, "p.test")[2].get_all("X-Robots-Tag") == ["noindex"]
    assert ask(proxy, "shop.test")[2]["X-Robots-Tag"] is None


@pytest.mark.parametrize("name", HASHES)
def test_basic_auth(feed, backend, name):
    proxy = feed(preview(backend("web")), preview={"users": USERS})
    status, _, head, _ = ask(proxy, "p.test")
    assert status == 401 and head["WWW-Authenticate"].startswith("Basic")
    assert ask(proxy, "p.test", Authorization=basic(name, "guess"))[0] == 401
    assert ask(proxy, "p.test", Authorization=basic("carl", "secret"))[0] == 401
    status, _, _, saw = ask(proxy, "p.test", Authorization=basic(name, "secret"))
    assert status == 200
    assert saw["authorization"] is None  # the password is for Traefik alone
    assert ask(proxy, "shop.test", Authorization="Bearer x")[3]["authorization"] == "Bearer x"


@pytest.mark.parametrize("networks, status", [
    (["127.0.0.0/8"], 200),
    (["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"], 200),
    (["::ffff:127.0.0.0/104"], 200),
    (["0.0.0.0/0"], 200),
    (["10.0.0.0/8", "::/0"], 403),
    (["::1/128"], 403),
])
def test_allow(feed, backend, networks, status):
    proxy = feed(preview(backend("web")), preview={"allow": networks})
    assert ask(proxy, "p.test")[0] == status
    assert ask(proxy, "shop.test")[0] == 200


def test_all_guards_in_their_order(feed, backend):
    """Who is not of the network is not even asked for a password."""
    guards = {"noindex": True, "users": USERS}
    proxy = feed(preview(backend("web")), preview={**guards, "allow": ["10.0.0.0/8"]})
    status, _, head, _ = ask(proxy, "p.test", Authorization=basic("anna", "secret"))
    assert status == 403 and head["WWW-Authenticate"] is None

    feed(preview(backend("web")), preview={**guards, "allow": ["127.0.0.0/8"]})
    wait.until(lambda: ask(proxy, "p.test")[0] == 401, 5)
    status, _, head, _ = ask(proxy, "p.test", Authorization=basic("anna", "secret"))
    assert (status, head["X-Robots-Tag"]) == (200, "noindex")


def test_guards_behind_the_redirect(feed, backend):
    proxy = feed(preview(backend("web")), https=["websecure"], redirect=True,
                 preview={"noindex": True, "users": USERS, "allow": ["127.0.0.0/8"]})
    status, _, head, _ = ask(proxy, "p.test")
    assert status in (301, 308) and head["Location"].startswith("https://p.test")
    found = proxy.routers()
    assert found["shop_preview_p.test@http"]["middlewares"] == ["waymark-redirect@http"]
    assert found["shop_preview_p.test_TLS@http"]["middlewares"] == [
        f"waymark_PREVIEW_{m}@http" for m in ("ALLOW", "AUTH", "NOINDEX")]


# Traefik's own

def write_middlewares(proxy, **middlewares):
    with open(f"{proxy.dynamic}/middlewares.yml", "w") as f:  # JSON is YAML
        json.dump({"http": {"middlewares": middlewares}}, f)


def test_a_middleware_of_the_file_provider(feed, backend):
    web = backend("web")
    proxy = feed({"shop": [
        {"host": "shop.test", "urls": [web.url], "middlewares": ["hello@file"]},
        {"host": "p.test", "path": "/x", "strip": True, "guarded": True, "urls": [web.url],
         "middlewares": ["hello@file", "prefix@file"]}]}, preview={"noindex": True})
    write_middlewares(
        proxy, hello={"headers": {"customResponseHeaders": {"X-Hello": "hi"}}},
        prefix={"replacePathRegex": {"regex": "^/x/(.*)", "replacement": "/x/before/$1"}})
    wait.until(lambda: ask(proxy, "shop.test")[2]["X-Hello"] == "hi", 5)
    wait.until(lambda: ask(proxy, "p.test", "/x/y")[0] == 200, 5)
    _, _, head, saw = ask(proxy, "p.test", "/x/y")
    assert (head["X-Hello"], head["X-Robots-Tag"]) == ("hi", "noindex")
    assert saw["path"] == "/before/y"  # the path was there yet for the project's own


def test_a_missing_middleware_disables_its_router_alone(feed, backend):
    web = backend("web")
    proxy = feed({"shop": [
        {"host": "shop.test", "urls": [web.url], "middlewares": ["missing@file"]},
        {"host": "other.test", "urls": [web.url]}]})
    proxy.wait_status("other.test", 200)
    assert proxy.status("shop.test") == 404
    assert proxy.routers()["shop_production_shop.test@http"]["status"] == "disabled"
    # it comes, and the document is as before
    write_middlewares(proxy, missing={"headers": {"customResponseHeaders": {"X-Hello": "hi"}}})
    proxy.wait_status("shop.test", 200)


# pages

def test_pages(feed, backend):
    """The page's server is asked as the visitor asked, with his host and path."""
    pages = backend("pages")
    proxy = feed({"shop": [
        {"host": "down.test", "path": "/x", "strip": True, "sticky": True,
         "middlewares": ["missing@file"]},
        {"host": "p.test", "guarded": True}]},
        pages_url=pages.url, preview={"users": USERS})
    status, name, head, saw = ask(proxy, "down.test", "/x/y?z=1")
    assert (status, name, head["Set-Cookie"]) == (200, "pages", None)
    assert (saw["host"], saw["path"]) == ("down.test", "/x/y?z=1")
    assert ask(proxy, "p.test")[0] == 401
    assert ask(proxy, "p.test", Authorization=basic("bob", "secret"))[1] == "pages"


def test_old_fragments_beside_new_settings(feed, backend):
    """No reference hangs in the air while not all is planned anew: the host stays."""
    web = backend("web")
    guards = {"noindex": True, "users": USERS, "allow": ["10.0.0.0/8"]}
    proxy = feed(preview(web), preview=guards)
    assert ask(proxy, "p.test")[0] == 403
    feed(preview(web), preview=guards, then={})
    wait.until(lambda: ask(proxy, "p.test")[0] == 200, 5)
    assert len(proxy.routers()["shop_preview_p.test@http"]["middlewares"]) == 3
    assert not proxy.complaints()


def test_pushed(traefik, slots):
    """The rest provider reads JSON by other rules than the HTTP provider, and takes the same."""
    proxy = traefik(rest=True)
    url = slots.servers[0].url
    document = render(
        {**slots(75, 25, sticky=True), **{"other": [
            {"host": "p.test", "guarded": True, "urls": [url]},
            {"host": "x.test", "path": "/x", "strip": True, "urls": [url]},
            {"host": "down.test"}]}},
        pages_url=url, preview={"noindex": True, "users": USERS, "allow": ["127.0.0.0/8"]})
    status, _, body = http_unix.ask(proxy.api_port, "PUT", "/api/providers/rest", document)
    assert status == 200, body
    wait.until(lambda: len(proxy.routers()) == 4, 5)
    assert {r["status"] for r in proxy.routers().values()} == {"enabled"}
    assert ask(proxy, "p.test")[0] == 401
    assert ask(proxy, "p.test", Authorization=basic('q"u\\o,t#e', "secret"))[0] == 200
    assert len(cookies(ask(proxy, "shop.test")[2]).split("; ")) == 2
    assert ask(proxy, "down.test")[0] == 200
