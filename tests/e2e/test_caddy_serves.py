"""What the renderer writes for Caddy, as real Caddys do it: slots, guards, pages, what nobody
serves, shares, retries, and WebSockets through all of it."""

import base64
import collections
import os
import socket
import threading
import time

import http_unix
import native
import ports
import process
import pytest
import wait
from documents import Backend, Served
from test_caddy_sites import HASH, golden, render

USERS = [f"anna:{HASH}"]  # "secret"


@pytest.fixture(params=native.caddys())
def serve(request, directory):
    """serve(routes, **world) is a Caddy with a project's sites; what it has to answer is asked of
    its port."""
    started = []

    def run(routes, slots=(), **world):
        files = render(tls=False, projects={"shop": {"routes": routes, "slots": list(slots)}}, **world)
        port = ports.free()
        os.mkdir(f"{directory}/sites")
        for name, text in files.items():
            with open(f"{directory}/sites/{name}", "w") as f:
                f.write(text)
        with open(f"{directory}/Caddyfile", "w") as f:
            f.write(f"{{\n\tadmin off\n\thttp_port {port}\n}}\nimport sites/*.caddy\n")
        home = {"HOME": directory, "XDG_CONFIG_HOME": directory, "XDG_DATA_HOME": directory}
        caddy = process.Process([request.param, "run", "--config", f"{directory}/Caddyfile"],
                                f"{directory}/caddy.log", env=home).start()
        started.append(caddy)
        caddy.port = port
        wait.until(lambda: answers(port), 10, caddy.tail)
        return caddy

    yield run
    for caddy in started:
        caddy.stop()


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


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
    """(status, name of who answered, headers, body)."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    status, head, body = http_unix.ask(proxy.port, "GET", path, headers={"Host": host, **headers})
    return status, head.get("X-Container"), head, body


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_paths(serve, backend):
    web, api = backend("web"), backend("api")
    proxy = serve([
        {"host": "shop.test", "path": "/api/v1", "urls": [api.url], "strip": True},
        {"host": "shop.test", "path": "/api", "urls": [api.url]},
        {"host": "shop.test", "urls": [web.url]}])
    for path, name, got in [("/", "web", "/"), ("/api", "api", "/api"), ("/apis", "web", "/apis"),
                            ("/api/v1/x?y=1", "api", "/x?y=1"), ("/api/v1", "api", "/"),
                            ("/api/v12", "api", "/api/v12"), ("/API/x", "api", "/API/x")]:
        status, who, _, body = ask(proxy, "shop.test", path)
        assert (status, who) == (200, name) and f'"path": "{got}"' in body.decode(), (path, body)
    assert ask(proxy, "SHOP.test")[1] == "web"
    assert ask(proxy, "other.test")[0] == 404
    assert f'"host": "shop.test:{proxy.port}"' in ask(proxy, f"shop.test:{proxy.port}")[3].decode()


def test_nobody_serves(serve):
    proxy = serve([{"host": "a.test", "answer": "starting"}, {"host": "b.test", "answer": "down"},
                   {"host": "c.test", "answer": "gone", "kind": "preview"}])
    status, _, head, body = ask(proxy, "a.test")
    assert (status, head["Retry-After"]) == (503, "5") and b"starting" in body
    status, _, head, _ = ask(proxy, "b.test", "/x")
    assert (status, head["Retry-After"]) == (503, "5")
    status, _, head, body = ask(proxy, "c.test")
    assert (status, head["Retry-After"]) == (410, None) and b"expired" in body


def test_pages(serve, backend):
    pages = backend("pages")
    proxy = serve([{"host": "a.test", "path": "/x", "answer": "down", "strip": True, "sticky": True},
                   {"host": "p.test", "answer": "gone", "guarded": True}],
                  pages_url=pages.url, preview={"users": USERS})
    status, name, head, body = ask(proxy, "a.test", "/x/y")
    assert (status, name, head["Set-Cookie"]) == (200, "pages", None)
    assert b'"host": "a.test"' in body and b'"path": "/x/y"' in body
    assert ask(proxy, "p.test")[0] == 401
    assert ask(proxy, "p.test", Authorization=basic("anna", "secret"))[1] == "pages"


def test_guards(serve, backend):
    """Who is not of the network is not even asked for a password; the password is Caddy's alone."""
    web = backend("web")
    guarded = {"host": "p.test", "guarded": True, "urls": [web.url]}
    proxy = serve([guarded, {"host": "q.test", "urls": [web.url]}],
                  preview={"noindex": True, "users": USERS, "allow": ["::ffff:127.0.0.0/104"]})
    status, _, head, _ = ask(proxy, "p.test")
    assert status == 401 and head["WWW-Authenticate"].startswith("Basic")
    assert ask(proxy, "p.test", Authorization=basic("anna", "guess"))[0] == 401
    status, _, head, body = ask(proxy, "p.test", Authorization=basic("anna", "secret"))
    assert (status, head["X-Robots-Tag"]) == (200, "noindex") and b'"authorization": null' in body
    status, _, head, body = ask(proxy, "q.test", Authorization="Bearer x")
    assert (status, head["X-Robots-Tag"]) == (200, None) and b'"Bearer x"' in body


def test_guards_outside(serve, backend):
    proxy = serve([{"host": "p.test", "guarded": True, "urls": [backend("web").url]}],
                  preview={"users": USERS, "allow": ["10.0.0.0/8", "fd00::/8"]})
    status, _, head, _ = ask(proxy, "p.test", Authorization=basic("anna", "secret"))
    assert status == 403 and head["WWW-Authenticate"] is None


def test_slot_headers(serve, backend):
    """CodeB's, whatever the container says of itself."""
    def answer(_):
        return 200, {"X-Slot": "mine", "Content-Type": "text/plain"}, b"x" * 5000
    served = Served(answer)
    try:
        proxy = serve([{"host": "shop.test", "slot": "green", "urls": [served.url]}],
                      slots=[{"slot": "green", "since": 1767323045000}])
        _, _, head, body = ask(proxy, "shop.test", Accept_Encoding="gzip")
        assert head.get_all("X-Slot") == ["green"]
        assert head["X-Deploy-Time"] == "2026-01-02T03:04:05Z"
        assert head["Content-Encoding"] == "gzip" and len(body) < 200
        assert len(ask(proxy, "shop.test")[3]) == 5000
    finally:
        served.stop()


def test_shares(serve, backend):
    servers = [backend(name) for name in ("blue1", "blue2", "green1")]
    proxy = serve([{"host": "shop.test", "urls": [s.url for s in servers],
                    "shares": [["blue", 80, 2], ["green", 20, 1]]}])
    who = collections.Counter(ask(proxy, "shop.test")[1] for _ in range(500))
    assert 60 <= who["green1"] <= 145 and abs(who["blue1"] - who["blue2"]) < 100, who


def test_sticky(serve, backend):
    servers = [backend(name) for name in ("one", "two", "three")]
    proxy = serve([{"host": "shop.test", "path": "/x", "sticky": True, "urls": [s.url for s in servers]}])
    names = set()
    for _ in range(12):
        _, name, head, _ = ask(proxy, "shop.test", "/x")
        cookie = head["Set-Cookie"].split(";")[0]
        assert cookie.startswith("waymark-")
        assert {ask(proxy, "shop.test", "/x", Cookie=cookie)[1] for _ in range(8)} == {name}
        names.add(name)
    assert len(names) > 1


def test_one_of_two_is_gone(serve, backend):
    """Until the sites are written anew every request goes to the one that is there."""
    servers = [backend("one"), backend("two")]
    proxy = serve([{"host": "shop.test", "urls": [s.url for s in servers]}])
    servers[0].stop()
    assert {ask(proxy, "shop.test")[:2] for _ in range(50)} == {(200, "two")}


def test_a_moment_of_nobody(serve):
    """A container that is stopped and started loses no request in between."""
    port = ports.free()
    proxy = serve([{"host": "shop.test", "urls": [f"http://127.0.0.1:{port}"]}])
    got = []
    asking = threading.Thread(target=lambda: got.append(ask(proxy, "shop.test")[0]))
    asking.start()
    time.sleep(0.5)  # it is refused meanwhile
    listener = socket.create_server(("127.0.0.1", port))
    client, _ = listener.accept()
    client.recv(4096)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    asking.join(10)
    listener.close()
    assert got == [200]


def upgraded(listener):
    client, _ = listener.accept()
    client.recv(4096)
    client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   b"Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
    client.sendall(client.recv(100).upper())
    client.close()


def test_websocket(serve):
    """Behind all that a guarded slot has before it."""
    listener = socket.create_server(("127.0.0.1", 0))
    there = threading.Thread(target=upgraded, args=(listener,), daemon=True)
    there.start()
    proxy = serve([{"host": "p.test", "guarded": True, "slot": "blue", "sticky": True,
                    "urls": [f"http://127.0.0.1:{listener.getsockname()[1]}"]}],
                  slots=[{"slot": "blue", "since": 1767323045000}],
                  preview={"noindex": True, "users": USERS, "allow": ["127.0.0.0/8"]})
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as s:
        s.sendall(f"GET /ws HTTP/1.1\r\nHost: p.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  f"Accept-Encoding: gzip\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
                  f"Authorization: {basic('anna', 'secret')}\r\n\r\n".encode())
        head = s.recv(4096)
        assert head.startswith(b"HTTP/1.1 101"), head
        s.sendall(b"hello")
        assert s.makefile("rb").read(5) == b"HELLO"
    there.join(10)
    listener.close()


def test_every_shape_runs(serve):
    """What is adapted is also taken: modules are provisioned only then."""
    world = golden("previews")
    world.pop("stream_close_delay")
    serve(world["projects"]["shop"]["routes"], preview=world["preview"])


def test_every_scheme_runs(serve):
    serve([{"host": "a.test", "urls": ["h2c://127.0.0.1:443"]},
           {"host": "b.test", "urls": ["https://127.0.0.1:80"]},
           {"host": "c.test", "urls": ["http://[::1]:443", "http://x.test:80"]}])
