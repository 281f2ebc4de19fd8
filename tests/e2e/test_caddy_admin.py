"""Waymark's client of the admin API, and what real Caddys say to it."""

import json
import signal
import socket
import subprocess
import threading

import caddy as caddy_module
import native
import pytest
import wait

REFUSED_BY_ADAPTER = "http://bad.test {\n\tnonsense\n}\n"
# nobody has this address, which is found out only when the configuration is put in force
REFUSED_BY_LOAD = "http://bad.test {\n\tbind 192.0.2.1\n\trespond bad\n}\n"


def ask(url, what, text=None, timeout=20):
    """(outcome, what is said)"""
    done = subprocess.run([native.caddy_admin(), url, str(timeout * 1000), what], capture_output=True,
                          input=(text or "").encode(), timeout=timeout + 10, check=True)
    outcome, _, said = done.stdout.decode().partition("\n")
    return outcome, said


def write_site(one, name, text):
    with open(f"{one.sites}/{name}.caddy", "w") as f:
        f.write(text)


@pytest.fixture(params=caddy_module.VERSIONS)
def version(request):
    return request.param


@pytest.fixture(params=["unix", "tcp"])
def one(request, version, caddy):
    """On a socket, or a port of loopback, with one site."""
    made = caddy(version=version, admin=request.param, start=False)
    write_site(made, "a", "http://a.test {\n\trespond a\n}\n")
    return made.start()


def test_adapt_load_read(one):
    write_site(one, "b", "http://b.test {\n\trespond b\n}\n")
    outcome, said = ask(one.admin_url, "adapt", one.text())
    assert outcome == "done", said
    assert caddy_module.hosts(json.loads(said)) == {"a.test", "b.test"}
    assert json.loads(said) == one.adapt()
    assert one.get("b.test")[1] == b""  # nothing was loaded by that

    outcome, said = ask(one.admin_url, "read")
    assert outcome == "done" and caddy_module.hosts(json.loads(said)) == {"a.test"}
    assert ask(one.admin_url, "load", one.text()) == ("done", "")
    assert one.get("b.test") == (200, b"b")
    outcome, said = ask(one.admin_url, "read")
    assert outcome == "done"
    assert json.loads(said) == one.adapt()
    # once more the same
    assert ask(one.admin_url, "load", one.text())[0] == "done"


def test_refused(one):
    before = one.config()
    write_site(one, "bad", REFUSED_BY_ADAPTER)
    for what in ("adapt", "load"):
        outcome, said = ask(one.admin_url, what, one.text())
        assert outcome == "refused"
        assert f"{one.sites}/bad.caddy:2" in said and "nonsense" in said
    write_site(one, "bad", "http://bad.test {\n")
    assert ask(one.admin_url, "load", one.text())[0] == "refused"
    assert ask(one.admin_url, "load", "")[0] == "refused"
    assert one.config() == before
    assert one.get("a.test") == (200, b"a")


@pytest.mark.parametrize("neat", [True, False])
def test_refused_in_the_end(one, neat):
    """Caddy 2.6 answers 200 to that where it has warnings, too: it is a refusal all the same."""
    before = one.config()
    write_site(one, "bad", REFUSED_BY_LOAD)
    text = one.text().replace("default_bind 127.0.0.1", "grace_period 1s")
    if not neat:
        text = text.replace("\tgrace", " grace")
    outcome, said = ask(one.admin_url, "adapt", text)
    assert outcome == "done", said
    outcome, said = ask(one.admin_url, "load", text)
    assert outcome == "refused", said
    assert "listen tcp 192.0.2.1:" in said and "warnings" not in said
    assert caddy_module.hosts(one.config()) == caddy_module.hosts(before)


def test_warned(one):
    text = one.text().replace("\tauto", " auto")
    outcome, said = ask(one.admin_url, "load", text)
    assert outcome == "done" and "not formatted" in said
    outcome, said = ask(one.admin_url, "adapt", text)
    assert outcome == "done" and json.loads(said) == one.adapt()


def test_hostile_site(one):
    """What Caddy says of it is not always text."""
    for text in (b"http://x.test {\n\t\0\n}\n", b"http://x.test {\n\t\xff\xfe\n}\n",
                 b"http://x.test {\n\t\"\\\x1b[31m\n}\n", "http://x.test {\n\t\u2028ü\n}\n".encode()):
        with open(f"{one.sites}/bad.caddy", "wb") as f:
            f.write(text)
        outcome, said = ask(one.admin_url, "load", one.text())
        assert outcome == "refused" and said, text


def test_no_sites(version, caddy):
    one = caddy(version=version)
    outcome, said = ask(one.admin_url, "read")
    assert outcome == "done" and not caddy_module.hosts(json.loads(said))
    assert ask(one.admin_url, "load", one.text()) == ("done", "")


def lets_in(one):
    outcome, said = ask(one.admin_url, "read")
    assert outcome == "done", said
    return True


@pytest.mark.parametrize("admin", ["unix", "tcp"])
def test_origin_enforced(version, caddy, admin):
    """On a socket Caddy 2.11 knows no origin by itself."""
    options = "enforce_origin" + ("\n\t\torigins localhost" if (admin, version) == ("unix", "2.11") else "")
    one = caddy(version=version, admin=admin, admin_options=options, start=False)
    one.process.start()
    wait.until(lambda: lets_in(one), 10)
    assert ask(one.admin_url, "load", one.text())[0] == "done"
    assert ask(one.admin_url, "adapt", one.text())[0] == "done"


def test_other_origins(version, caddy):
    """Not let in, and told why."""
    one = caddy(version=version, admin=caddy_module.TCP, admin_options="origins caddy.example",
                start=False)
    one.process.start()
    wait.until(lambda: "host not allowed" in ask(one.admin_url, "read")[1], 10, "a clear error")
    outcome, said = ask(one.admin_url, "load", one.text())
    assert outcome == "failed" and "admin block names as origins" in said


def test_away_and_back(one):
    one.stop()
    for what in ("adapt", "load", "read"):
        outcome, said = ask(one.admin_url, what, one.text())
        assert outcome == "failed" and one.admin_url in said and "cannot connect" in said
    one.start()
    assert ask(one.admin_url, "load", one.text())[0] == "done"


def test_stands_still(one):
    """The kernel answers for it."""
    one.process.signal(signal.SIGSTOP)
    for what in ("adapt", "load", "read"):
        outcome, said = ask(one.admin_url, what, one.text(), timeout=1)
        assert outcome == "failed" and "timed out after 1" in said
    one.process.signal(signal.SIGCONT)
    wait.until(lambda: ask(one.admin_url, "read")[0] == "done", 10)


def load_and_kill(one):
    got = []
    begun = one.process.text().count('"uri":"/load"')
    thread = threading.Thread(target=lambda: got.append(ask(one.admin_url, "load", one.text(), 60)))
    thread.start()
    wait.until(lambda: one.process.text().count('"uri":"/load"') > begun, 20, "it has begun")
    one.stop()
    thread.join(70)
    return got[0]


def test_killed_while_it_loads(one):
    """Two thousand sites take long enough to be killed in, on most days."""
    for i in range(2000):
        write_site(one, f"s{i}", f"http://s{i}.test {{\n\treverse_proxy 127.0.0.1:{1000 + i}\n}}\n")
    for _ in range(5):
        outcome, said = load_and_kill(one)
        one.start()
        if outcome == "failed":
            break
    assert outcome == "failed" and "it may have been loaded all the same" in said
    outcome, said = ask(one.admin_url, "read")
    assert outcome == "done" and len(caddy_module.hosts(json.loads(said))) == 2001


def test_not_caddy():
    """Something else on the port that Caddy has by default."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        url = f"http://localhost:{server.getsockname()[1]}"

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>It works!")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        for what in ("adapt", "load", "read"):
            outcome, said = ask(url, what, "x")
            assert outcome == "failed" and "not as Caddy does: <h1>It works!" in said
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
