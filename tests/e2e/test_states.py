"""Every state a container can be in leads to the right route within a second, on both engines."""

import pytest

import labels
import wait

SECOND = 1.0


@pytest.fixture
def world(engine, waymark, traefik):
    one = waymark(engine)
    return one, traefik(waymark=one.port)


def wait_health(container, status):
    def reached():
        container.check_health()
        return container.health() == status
    wait.until(reached, 20, f"{container.name} is {status}", every=0.05)


def slow_to_judge():
    """A check that dockerd runs often, and that fails at once."""
    return {"Interval": 1, "Timeout": 1, "Retries": 1}


def test_starting_then_healthy_then_unhealthy(engine, world):
    waymark, traefik = world
    # nobody runs the first check for some seconds, so it is `starting` all that time
    web = engine.run("web", labels.waymark("web"), health={"Interval": 3, "Timeout": 1,
                                                           "Retries": 1})
    traefik.wait_status("web.test", 503, timeout=SECOND)
    assert web.health() == "starting"

    wait_health(web, "healthy")
    traefik.wait_status("web.test", 200, timeout=SECOND)

    web.say("/health/bad")
    wait_health(web, "unhealthy")
    traefik.wait_status("web.test", 503, timeout=SECOND)

    web.say("/health/good")
    wait_health(web, "healthy")
    traefik.wait_status("web.test", 200, timeout=SECOND)


def test_unhealthy_gets_nothing_while_another_is_well(engine, world):
    waymark, traefik = world
    good = engine.run("good", labels.waymark("web"), health=slow_to_judge())
    bad = engine.run("bad", labels.waymark("web"), health=slow_to_judge())
    for container in (good, bad):
        wait_health(container, "healthy")
    traefik.wait_answers("web.test", ["good", "bad"], timeout=SECOND)

    bad.say("/health/bad")
    wait_health(bad, "unhealthy")
    traefik.wait_answers("web.test", ["good"], timeout=SECOND)
    assert waymark.serving("web.test") == ["good"]


def test_pause_and_unpause(engine, world):
    waymark, traefik = world
    one, two = (engine.run(n, labels.waymark("web")) for n in ("one", "two"))
    traefik.wait_answers("web.test", ["one", "two"])

    one.pause()
    traefik.wait_answers("web.test", ["two"], timeout=SECOND)
    one.unpause()
    traefik.wait_answers("web.test", ["one", "two"], timeout=SECOND)

    two.stop()
    traefik.wait_answers("web.test", ["one"], timeout=SECOND)
    one.pause()
    traefik.wait_status("web.test", 503, timeout=SECOND)
    one.unpause()
    traefik.wait_answers("web.test", ["one"], timeout=SECOND)


def test_rename(engine, waymark, traefik):
    """Where a Codi container has the slug alone, its name says the rest."""
    one = waymark(engine, base_domain="codi.local")
    proxy = traefik(waymark=one.port)
    label = {"codi.project.slug": "blog", "waymark.port": "8080"}
    container = engine.run("codi-blog", label, env={"NAME": "blog"})
    proxy.wait_answers("blog.codi.local", ["blog"])

    container.rename("codi-blog-preview-new")
    proxy.wait_answers("blog-preview-new.codi.local", ["blog"], timeout=SECOND)
    proxy.wait_status("blog.codi.local", 503, timeout=SECOND)  # still the project's, for a while

    container.rename("codi-blog")
    proxy.wait_answers("blog.codi.local", ["blog"], timeout=SECOND)


def test_network_disconnect_and_connect(engine, world):
    """Its address goes to another container meanwhile: neither host may lead to the other."""
    waymark, traefik = world
    spare = engine.network_create("spare")
    web = engine.run("web", labels.waymark("web"), networks=[engine.network, spare])
    traefik.wait_answers("web.test", ["web"])

    web.disconnect(engine.network)
    traefik.wait_status("web.test", 503, timeout=SECOND)
    problem, = waymark.problems("network-missing")
    assert "web" in problem["object"]

    engine.run("other", labels.waymark("other"))
    traefik.wait_answers("other.test", ["other"])

    web.connect(engine.network)
    traefik.wait_answers("web.test", ["web"], timeout=SECOND)
    traefik.wait_answers("other.test", ["other"], timeout=SECOND)
    assert waymark.problems("network-missing") == []


def test_three_networks(engine, waymark, traefik):
    """The configured network's address is used, whatever the order in which it joined them."""
    chosen, *others = [engine.network_create(n) for n in ("middle", "alpha", "zulu")]
    one = waymark(engines=[{"name": "e", "host": engine.host, "network": chosen}])
    proxy = traefik(waymark=one.port)
    for i, order in enumerate(([chosen, *others], [*others, chosen], [others[0], chosen, others[1]])):
        web = engine.run(f"web{i}", labels.waymark(f"web{i}"), networks=order)
        proxy.wait_answers(f"web{i}.test", [f"web{i}"], timeout=SECOND)
        assert [s["url"] for s in one.route(f"web{i}.test")["servers"]] == [
            f"http://{web.address(chosen)}:8080"]


def test_three_networks_and_none_configured(engine, waymark):
    """A fixed order: every start of Waymark, and every start of the container, choose the same."""
    networks = [engine.network_create(n) for n in ("middle", "alpha", "zulu")]
    one = waymark(engines=[{"name": "e", "host": engine.host}])
    web = engine.run("web", labels.waymark("web"), networks=networks)
    wait.until(lambda: one.serving("web.test") == ["web"], 5)

    def network():
        url = one.route("web.test")["servers"][0]["url"]
        return next((n for n in networks if url == f"http://{web.address(n)}:8080"), None)

    first = network()
    for _ in range(3):
        one.restart()
        assert network() == first
    for _ in range(3):
        web.restart(timeout=1)
        wait.until(lambda: one.serving("web.test") == ["web"], 5)
        wait.until(lambda: network() == first, SECOND)
