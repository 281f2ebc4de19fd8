"""What a visitor gets where nothing serves: pages of Waymark's own, through Traefik and directly."""

import socket
import time

import pytest

import http_unix
import labels
import ports
import registry
import wait
import waymark as waymark_module

SECOND = 1.0
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
STATIC = {"site.test": {"upstreams": ["http://127.0.0.1:1"]}}


def ask(port, host, method="GET", path="/", body=None, headers=None, timeout=5):
    """(status, headers, text)"""
    status, head, octets = http_unix.ask(port, method, path, body, {"Host": host, **(headers or {})},
                                         timeout)
    return status, head, octets.decode()


def write_page(directory, name, text):
    with open(f"{directory}/{name}", "w") as f:
        f.write(text)


@pytest.fixture
def world(dockerd, waymark, traefik):
    """dockerd, Waymark with pages, its pages' port, Traefik."""
    port = ports.free()
    one = waymark(dockerd, pages={"listen": f"127.0.0.1:{port}"})
    return dockerd, one, port, traefik(waymark=one.port)


@pytest.fixture
def alone(waymark):
    """Waymark without engines: (it, its pages' port).  site.test has a server, so who asks the pages
    for it was led there a moment too late."""
    def make(**pages):
        port = ports.free()
        pages.setdefault("listen", f"127.0.0.1:{port}")
        return waymark(engines=[], static=STATIC, pages=pages), port
    return make


# through Traefik

def wait_page(traefik, host, status):
    """Traefik has a 503 of its own, without Retry-After."""
    def reached():
        got, head, text = ask(traefik.port, host)
        return got == status and (status != 503 or head["Retry-After"]) and host in text
    return wait.until(reached, 5, f"the page with {status} for {host}")


def chunks(total, size=4096):
    for _ in range(total // size):
        yield b"x" * size


def test_starting_then_ready(world):
    engine, waymark, port, traefik = world
    # nobody runs the first check for some seconds, so it is `starting` all that time
    engine.run("web", labels.waymark("web"), health={"Interval": 5, "Timeout": 1, "Retries": 1})
    wait_page(traefik, "web.test", 503)
    assert waymark.route("web.test")["answer"] == "starting"

    requests = [("GET", None, {}), ("POST", b"x" * 100, {}), ("PUT", b"x" * 60000, {}),
                ("POST", chunks(40000), {}), ("DELETE", None, {}),
                ("OPTIONS", None, {}), ("GET", None, UPGRADE)]
    for method, body, headers in requests:
        status, head, text = ask(traefik.port, "web.test", method, "/a/b?c=d", body, headers)
        assert (status, head["Retry-After"], head["Cache-Control"], head["X-Robots-Tag"]) == (
            503, "5", "no-store", "noindex"), (method, headers)
        assert "web.test" in text and 'http-equiv="refresh"' in text
    status, head, text = ask(traefik.port, "web.test", "HEAD")
    assert (status, head["Retry-After"], text) == (503, "5", "")
    status, head, text = ask(traefik.port, "web.test", headers={"Accept": "application/json"})
    assert (status, text) == (503, '{"error":"this site is starting"}\n')

    traefik.wait_answers("web.test", ["web"], timeout=15)
    assert waymark.route("web.test")["answer"] == "served"


def test_uploads_get_their_page(world):
    """A proxy makes a 502 of a reply that comes with a reset while it still writes."""
    engine, waymark, port, traefik = world
    engine.run("web", labels.waymark("web"), health={"Interval": 60, "Timeout": 1, "Retries": 1})
    wait_page(traefik, "web.test", 503)
    for size in (4096, 65536, 204800, 2048000):
        for _ in range(20):
            assert ask(traefik.port, "web.test", "POST", body=b"x" * size)[0] == 503
            assert ask(traefik.port, "web.test", "POST", body=chunks(size))[0] == 503


def test_nothing_is_well(world):
    engine, waymark, port, traefik = world
    web = engine.run("web", labels.waymark("web"), health={"Interval": 1, "Timeout": 1,
                                                           "Retries": 1}, env={"HEALTH": "bad"})
    wait.until(lambda: web.health() == "unhealthy", 20)
    wait.until(lambda: ask(traefik.port, "web.test")[1]["Retry-After"] == "30", 5)
    assert waymark.route("web.test")["answer"] == "down"


def test_expired_preview(dockerd, waymark, traefik, directory):
    files = registry.Directory(f"{directory}/registry", {
        "shop": {"environments": {"production": {"port": 8080},
                                  "preview": {"port": 8080, "expires": "4s"}}}}).write()
    port = ports.free()
    one = waymark(dockerd, registry={"directory": files.path},
                  pages={"listen": f"127.0.0.1:{port}"})
    proxy = traefik(waymark=one.port)
    dockerd.run("new-cart", labels.waymark("shop", branch="new-cart"))
    host = wait.until(lambda: next((h for h in one.hosts() if "new-cart" in h), None), 5)
    proxy.wait_answers(host, ["new-cart"], timeout=3)

    wait_page(proxy, host, 410)
    status, head, text = ask(proxy.port, host, "POST", body=b"x" * 1000)
    assert (status, head["Retry-After"]) == (410, None)
    assert one.route(host)["answer"] == "gone"


# asked directly

def test_hosts(alone):
    waymark, port = alone()
    status, head, text = ask(port, "Site.TEST.:80", path="/x")
    assert (status, head["Retry-After"], "site.test" in text) == (503, "1", True)
    assert ask(port, "other.test")[0] == 404
    for hostile in ('"><script>alert(1)</script>', "<script>.test", "site.test<script>", "[::1]:80",
                    "x" * 300, "{{host}}"):
        status, head, text = ask(port, hostile, path="/<script>")
        assert status == 404 and "<" not in text and "{{" not in text, hostile


def test_first_look(waymark, dockerd):
    """Before it nobody knows which hosts there are: no 404 then."""
    port = ports.free()
    one = waymark(start=False, engines=[{"name": "e", "host": "unix:///nonexistent.sock"}],
                  pages={"listen": f"127.0.0.1:{port}"})
    one.start(ready=False)
    assert wait.until(lambda: ask(port, "any.test"), 5)[0] == 503


def test_own_pages(alone, directory):
    write_page(directory, "503.html", "<p>Patience, {{host}}: {{retry}}</p>")
    waymark, port = alone(directory=str(directory))
    assert ask(port, "site.test")[2] == "<p>Patience, site.test: 1</p>"

    write_page(directory, "503.html", "<p>\n{{hots}}</p>")
    waymark.reload()
    wait.until(lambda: "{{hots}}" in waymark.process.text(), 5)
    assert ask(port, "site.test")[2] == "<p>Patience, site.test: 1</p>"
    run = waymark_module.command("check", config=waymark.file)
    assert run.returncode == 1
    assert f"{directory}/503.html: unknown placeholder '{{{{hots}}}}' (line 2); write" in run.stdout

    write_page(directory, "503.html", "Back: {{host}}")
    waymark.reload()
    wait.until(lambda: ask(port, "site.test")[2] == "Back: site.test", 5)
    assert waymark_module.command("check", config=waymark.file).returncode == 0


def test_start_with_a_broken_page(alone, directory):
    """It is named, and is not worth an outage."""
    write_page(directory, "503.html", "{{project}}")
    waymark, port = alone(directory=str(directory))
    assert f"{directory}/503.html" in waymark.process.text()
    status, head, text = ask(port, "site.test")
    assert status == 503 and "site.test" in text


def test_busy_address(waymark, alone):
    """It stops nothing else, and is tried again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        one, _ = alone(listen=f"127.0.0.1:{port}")
        assert one.ready() and one.hosts() == ["site.test"]
        assert f"127.0.0.1:{port}" in one.process.text()
    wait.until(lambda: ask(port, "site.test")[0] == 503, 5)


def test_reload(alone):
    waymark, port = alone()
    other = ports.free()
    waymark.config["pages"] = {"listen": f"127.0.0.1:{other}"}
    waymark.reload()
    wait.until(lambda: ask(other, "site.test")[0] == 503, 5)
    with pytest.raises(ConnectionRefusedError):
        ask(port, "site.test")
    del waymark.config["pages"]
    waymark.reload()
    wait.until(lambda: ports.is_free(other), 5)
    assert waymark.ready()


def test_slow_clients(alone):
    """Two hundred who send half a request, or a body bit by bit, delay nobody."""
    waymark, port = alone()
    slow = []
    try:
        for i in range(200):
            slow.append(socket.create_connection(("127.0.0.1", port)))
            slow[-1].sendall(b"GET / HT" if i % 2 else b"POST / HTTP/1.1\r\nHost: site.test\r\n"
                             b"Content-Length: 9\r\n\r\nx")
        took = []
        for _ in range(100):
            began = time.monotonic()
            assert ask(port, "site.test")[0] == 503
            took.append(time.monotonic() - began)
        assert sorted(took)[98] < 0.1
        began = time.monotonic()
        assert waymark.ready() and time.monotonic() - began < SECOND
    finally:
        for s in slow:
            s.close()
