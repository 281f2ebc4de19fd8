"""Who may ask: on loopback anybody, elsewhere only with a token, each role for its own."""

import base64
import hashlib
import http.client

import pytest

import http_unix
import labels
import ports
import process
import waymark as waymark_module

TOKENS = {"edge1": ("provider", "secret-of-the-edge"), "anna": ("viewer", "secret-of-anna")}


def configured():
    return [{"name": name, "role": role, "sha256": hashlib.sha256(secret.encode()).hexdigest()}
            for name, (role, secret) in TOKENS.items()]


def bearer(name):
    return {"Authorization": "Bearer " + TOKENS[name][1]}


def basic(name):
    pair = f"{name}:{TOKENS[name][1]}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


@pytest.fixture
def gateway(dockerd):
    """An address that is not loopback and yet leads nowhere: of the test's own container network,
    where a Traefik in a container would ask."""
    config = dockerd.call("GET", f"/networks/{dockerd.network}")["IPAM"]["Config"][0]
    return config["Gateway"]


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]", "gateway"])
def test_refuses_other_than_loopback_without_tokens(dockerd, gateway, directory, address):
    listen = f"{gateway if address == 'gateway' else address}:{ports.free()}"
    one = waymark_module.Waymark(f"{directory}/w", {"engines": [{"name": "e", "host": dockerd.host}]},
                                 listen)
    one.write_config()
    run = process.Process(one.process.argv, one.process.log).start()
    try:
        assert run.popen.wait(10) == 2
        assert "token" in run.text()
    finally:
        run.kill()


@pytest.fixture
def guarded(dockerd, gateway, waymark):
    """Waymark on the gateway's address, with tokens."""
    one = waymark(dockerd, start=False, tokens=configured())
    one.config["listen"] = [f"{gateway}:{one.port}"]

    def ask(path, headers=None):
        connection = http.client.HTTPConnection(gateway, one.port, timeout=10)
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    one.alive = lambda: ask("/healthz", bearer("anna")) == 200
    one.ready = lambda: ask("/readyz", bearer("anna")) == 200
    one.start()
    one.ask = ask
    return one


PAGES = ["/", "/api/v1/status", "/api/v1/routes", "/api/v1/problems"]
FEEDS = ["/traefik"]


@pytest.mark.parametrize("path", PAGES + FEEDS)
def test_nobody_without_a_token(guarded, path):
    assert guarded.ask(path) == 401
    assert guarded.ask(path, {"Authorization": "Bearer guess"}) == 401
    assert guarded.ask(path, {"Authorization": "Bearer "}) == 401
    assert guarded.ask(path, {"Authorization": "Basic !!!"}) == 401


@pytest.mark.parametrize("proof", [bearer, basic])
def test_each_role_for_its_own(guarded, proof):
    for path in FEEDS:
        assert guarded.ask(path, proof("edge1")) == 200
        assert guarded.ask(path, proof("anna")) == 403
    for path in PAGES[1:]:
        assert guarded.ask(path, proof("anna")) == 200
        assert guarded.ask(path, proof("edge1")) == 403


def test_the_token_stands_nowhere(guarded):
    guarded.ask("/traefik", bearer("edge1"))
    for _, secret in TOKENS.values():
        assert secret not in guarded.process.text()


def test_traefik_sends_its_token(dockerd, gateway, guarded, traefik):
    """As the README has it: providers.http.headers."""
    dockerd.run("web", labels.waymark("web"))
    proxy = traefik(start=False, waymark=guarded.port, headers=bearer("edge1"))
    proxy.providers["http"]["endpoint"] = f"http://{gateway}:{guarded.port}/traefik?wait=4s"
    proxy.start()
    proxy.wait_answers("web.test", ["web"])


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "PATCH"])
def test_there_is_nothing_but_get_and_head(dockerd, waymark, verb):
    one = waymark(dockerd)
    assert http_unix.ask(one.port, verb, "/traefik", b"{}")[0] == 405
    assert http_unix.ask(one.port, "HEAD", "/healthz")[0] == 200
