"""What the renderer writes for Caddy, as real Caddys read it: each host, dial and handler of theirs
is the model's, whatever stands in the fields that reach a template."""

import json
import os
import random
import subprocess
import tempfile

import native
import pytest

HASH = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
CANARY = "canary-5f1d"
NAME = "abcdefghijklmnopqrstuvwxyz0123456789-_."
ENVIRONMENT = {"X": CANARY, "HOME": "/tmp", "SECRET": CANARY, "PATH": os.environ["PATH"],
               "XDG_CONFIG_HOME": "/tmp", "XDG_DATA_HOME": "/tmp"}


def render_all(worlds):
    """{"files": …, "problems": …} of each; tests/unit/site_world.h says what may stand in it."""
    run = subprocess.run([native.sites()], input="\n".join(map(json.dumps, worlds)).encode(),
                         capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def render(**world):
    return render_all([world])[0]["files"]


@pytest.fixture(params=native.caddys())
def caddy(request):
    return request.param


@pytest.fixture
def adapt(caddy, run_directory):
    """What Caddy makes of files, as JSON; they lie where a Caddyfile imports them."""
    def run(files):
        directory = tempfile.mkdtemp(dir=run_directory)
        os.mkdir(f"{directory}/sites")
        for name, text in files.items():
            assert set(name) <= set(NAME) and len(name) < 200 and name.endswith(".caddy"), name
            assert text.isascii() and all(c in "\n\t" or c.isprintable() for c in text), text
            with open(f"{directory}/sites/{name}", "w") as f:
                f.write(text)
        for name, text in ("Caddyfile", "import sites/*.caddy\n"), ("canary", CANARY):
            with open(f"{directory}/{name}", "w") as f:
                f.write(text)
        done = subprocess.run([caddy, "adapt", "--config", "Caddyfile"], cwd=directory,
                              capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        assert CANARY not in done.stdout and "passwd" not in done.stdout
        return json.loads(done.stdout)
    return run


def handlers(routes):
    """Every handler below, as (matchers that lead there, handler)."""
    for route in routes:
        for handler in route["handle"]:
            if handler["handler"] == "subroute":
                for match, inner in handlers(handler["routes"]):
                    yield route.get("match", []) + match, inner
            else:
                yield route.get("match", []), handler


def paths_of(match):
    return next((m["path"] for m in match if "path" in m), None)


def seen(config):
    """{host: {path: [handler…]}} of what was adapted; "" is the rest, None is the catch-all."""
    hosts = {}
    for server in config["apps"]["http"]["servers"].values():
        assert server["listen"] in ([":443"], [":80"])
        for route in server["routes"]:
            found = [m for m in route.get("match", [])]
            assert all(set(m) == {"host"} and len(m["host"]) == 1 for m in found), found
            host = found[0]["host"][0] if found else None
            assert host not in hosts
            paths = hosts.setdefault(host, {})
            for match, handler in handlers([{"handle": route["handle"]}]):
                where = paths_of(match)
                assert where is None or (len(where) == 2 and where[1] == where[0] + "/*")
                paths.setdefault(where[0] if where else "", []).append(handler)
    return hosts


def dials(handler_list):
    return [u["dial"] for h in handler_list if h["handler"] == "reverse_proxy"
            for u in h["upstreams"]]


def kinds(handler_list):
    return [h["handler"] for h in handler_list]


# every shape

def golden(name):
    with open(f"{native.ROOT}/tests/golden/sites/{name}.json") as f:
        return json.load(f)


@pytest.mark.parametrize("name", ["plain", "previews", "slots", "pages", "problems"])
def test_adapts(adapt, caddy, name):
    world = golden(name)
    if "2.6" in version(caddy):
        world.pop("stream_close_delay", None)
    got = seen(adapt(render(**world)))
    wanted = {r["host"] for p in world["projects"].values() for r in p["routes"]
              if r.get("kind") != "static" or r.get("urls")}
    assert kinds(got.pop(None)[""]) == ["static_response"]
    if name == "problems":
        assert set(got) == {"h.kr", "i.kr", "ok.kr"}
    else:
        assert set(got) == wanted


def version(caddy):
    return subprocess.run([caddy, "version"], capture_output=True, text=True, check=True).stdout


def test_version_of_each():
    """Without the second one nothing of Caddy's future is tested."""
    versions = [version(c) for c in native.caddys()]
    assert any(v.lstrip("v").startswith("2.6") for v in versions), versions
    assert any(v.lstrip("v").startswith("2.11") for v in versions), versions


@pytest.mark.parametrize("name", ["plain", "previews", "slots", "pages", "problems"])
def test_formatted(caddy, directory, name):
    """`caddy fmt` has nothing to say."""
    for file, text in render(**golden(name)).items():
        with open(f"{directory}/{file}", "w") as f:
            f.write(text)
        done = subprocess.run([caddy, "fmt", f"{directory}/{file}"], capture_output=True, text=True,
                              env=ENVIRONMENT)
        assert done.stdout == text


def test_what_is_said_of_a_route(adapt):
    slots = golden("slots")
    del slots["stream_close_delay"]
    got = seen(adapt(render(**slots)))
    assert kinds(got["shop.codeb.kr"][""]) == ["encode", "headers", "reverse_proxy"]
    assert got["shop.codeb.kr"][""][1]["response"] == {
        "deferred": True, "set": {"X-Slot": ["blue"], "X-Deploy-Time": ["2026-01-02T03:04:05Z"]}}
    shared = got["shop.codeb.kr"]["/w"]
    assert [dials(shared).count(f"172.17.0.{n}:80") for n in (2, 3, 4)] == [9, 9, 2]
    assert shared[-1]["load_balancing"]["selection_policy"]["policy"] == "cookie"
    assert shared[-1]["health_checks"]["passive"]["fail_duration"] == 2_000_000_000


def test_guards(adapt):
    previews = golden("previews")
    del previews["stream_close_delay"]
    got = seen(adapt(render(**previews)))
    for path, last in ("/x", ["rewrite", "reverse_proxy"]), ("", ["headers", "static_response"]):
        found = got["shop-preview-x.codi.local"][path]
        assert kinds(found) == ["static_response", "authentication", "headers", "headers"] + last
        assert found[0]["status_code"] == 403
        accounts = found[1]["providers"]["http_basic"]["accounts"]
        assert [a["username"] for a in accounts] == ["anna", "bob.b@c+d-e_f"]
        assert found[2]["request"] == {"delete": ["Authorization"]}
        assert found[3]["response"]["set"] == {"X-Robots-Tag": ["noindex"]}
    assert got["shop-preview-y.codi.local"][""][-1]["status_code"] == 410


# hostile values

BITS = ['"', "`", "'", "\\", "\\\n", "\n", "\r\n", "\t", " ", "\u00a0", "\u2003", "\u2028", "\u3000",
        "\ufeff", "\x00", "\x0b", "\x1b[31m", "\x7f", "\x85", "{", "}", "{{", "}}", "{{{address}}}",
        "{$X}", "{$X:y}", "{$HOME}", "{env.X}", "{$", "{env.SECRET}", "{file./etc/passwd}",
        "{file.canary}", "{http.request.host}", "{system.hostname}", "{args[0]}", "{block}", "{>X}",
        "#", " #", "<<EOT", "<<EOT\nx\nEOT", "import", "\nimport /etc/passwd\n", "(snippet)", "@x",
        "*", "*.", "/", "//", "..", "../../x", ",", ";", ":", ":80", "$", "$(id)", "%", "%00", "%2e",
        "é", "\u202e", "\U0001f4af", "ﬁ", "İ", "K", "xn--", "-", "_", ".", "~", "\\\"", "x" * 300,
        "\"\n}\nevil.test {\n\trespond \"{$X}\"\n}\n", "}\nevil.test {\n", " 6.6.6.6:80", "?", "&", "="]


def good(i):
    """What is good in each field, and no other world's."""
    return {"project": f"shop{i}", "host": f"a{i}.test", "path": "/x", "environment": "production",
            "slot": "blue", "branch": "b", "url": f"http://10.0.{i // 250}.{i % 250}:80",
            "share": "blue", "middleware": "m@file", "user": "anna", "hash": HASH,
            "network": "10.0.0.0/8", "pages_url": f"http://10.1.{i // 250}.{i % 250}:80",
            "plan_slot": "blue"}


FIELDS = list(good(0))
# of these nothing is printed, or nothing but what is somebody else's: no value refuses the site
NEVER_PRINTED = {"project", "branch", "share", "middleware", "plan_slot"}


def hostile_values():
    """500 and more: each bit alone, before, behind and inside what is good, and two of them."""
    dice = random.Random(6)
    for bit in BITS:
        yield from (lambda g, b=bit: b, lambda g, b=bit: b + g, lambda g, b=bit: g + b,
                    lambda g, b=bit: g[:len(g) // 2] + b + g[len(g) // 2:])
    for _ in range(520 - 4 * len(BITS)):
        yield lambda g, a=dice.choice(BITS), b=dice.choice(BITS): g[:1] + a + b + g[1:]


def world_of(v, field):
    route = {"host": v["host"], "path": v["path"], "environment": v["environment"],
             "slot": v["slot"], "branch": v["branch"], "sticky": True, "strip": True,
             "middlewares": [v["middleware"]], "urls": [v["url"], "http://10.9.0.2:80"],
             "guarded": field in ("user", "hash", "network")}
    if field == "share":
        route["shares"] = [[v["share"], 1, 1], ["green", 1, 1]]
    if field == "pages_url":
        route.update(urls=[], answer="down")
    project = {"name": v["project"], "routes": [route],
               "slots": [{"slot": v["plan_slot"], "since": 1767323045000}]}
    return {"preview": {"users": [f"{v['user']}:{v['hash']}"], "allow": [v["network"]]},
            "pages_url": v["pages_url"], "projects": {"": project}}


def worlds_of(field):
    for i, make in enumerate(hostile_values()):
        v = good(i)
        v[field] = make(v[field])
        yield v, world_of(v, field)


def printed(v, field):
    """(host, path, dials) that the model says; a C string ends at its NUL."""
    v = {k: text.split("\0")[0] for k, text in v.items()}
    urls = [v["pages_url"]] if field == "pages_url" else [v["url"], "http://10.9.0.2:80"]
    return v["host"], v["path"].rstrip("/"), [dial_of(url) for url in urls]


def dial_of(url):
    scheme, _, rest = url.lower().partition("://")
    rest = rest.rstrip("/")
    port = {"http": 80, "https": 443, "h2c": 80}[scheme]
    return rest if ":" in rest else f"{rest}:{port}"


def batches(accepted):
    """What can lie in one directory: each host and each file once."""
    made = []
    for v, files in accepted:
        key = {v["host"].split("\0")[0], *files} - {"waymark.caddy"}
        for taken, batch in made:
            if not taken & key:
                break
        else:
            taken, batch = set(), []
            made.append((taken, batch))
        taken |= key
        batch.append((v, files))
    return [batch for _, batch in made]


@pytest.mark.parametrize("field", FIELDS)
def test_hostile_values(adapt, field):
    """Of 520 values of a field each site comes out as the model says, or not at all with a problem;
    its neighbour is there in any case."""
    worlds = list(worlds_of(field))
    rendered = render_all([world for _, world in worlds])
    accepted = []
    for (v, world), one in zip(worlds, rendered):
        if set(one["files"]) == {"waymark.caddy"}:
            assert one["problems"], v
        else:
            accepted.append((v, one["files"]))
    assert len(worlds) >= 500
    assert len(accepted) == len(worlds) or field not in NEVER_PRINTED

    neighbour = render(projects={"neighbour": {"routes": [{"host": "n.test",
                                                           "urls": ["http://10.0.0.9:80"]}]}})
    for batch in batches(accepted) or [[]]:
        files = dict(neighbour)
        for _, more in batch:
            files.update(more)
        got = seen(adapt(files))
        assert kinds(got.pop(None)[""]) == ["static_response"]
        assert dials(got.pop("n.test")[""]) == ["10.0.0.9:80"]
        check_batch(got, [printed(v, field) for v, _ in batch])


KINDS = {"static_response", "authentication", "headers", "encode", "rewrite", "reverse_proxy"}


def check_batch(got, wanted):
    assert set(got) == {host for host, _, _ in wanted}
    for host, path, addresses in wanted:
        assert set(got[host]) == {path}
        found = got[host][path]
        assert set(kinds(found)) <= KINDS and kinds(found)[-1] == "reverse_proxy"
        assert dials(found) == addresses
