"""The same document by PUT to Traefik's `rest` provider, again after Traefik has forgotten it."""

import labels
import wait


def test_pushed_and_pushed_again(dockerd, waymark, traefik):
    proxy = traefik(rest=True)
    one = waymark(dockerd, traefik={"http": ["web"], "push": f"http://127.0.0.1:{proxy.api_port}"})
    dockerd.run("web", labels.waymark("web"))
    proxy.wait_answers("web.test", ["web"])
    assert all(name.endswith("@rest") for name in proxy.routers())

    dockerd.run("second", labels.waymark("web"))
    proxy.wait_answers("web.test", ["web", "second"])

    proxy.stop()
    wait.until(lambda: one.problems("output-failed"), 15, "a problem about the push")
    proxy.start()  # it knows nothing now
    proxy.wait_answers("web.test", ["web", "second"], timeout=15)
    wait.until(lambda: not one.problems("output-failed"), 15)


def test_traefik_restarts_faster_than_anybody_notices(dockerd, waymark, traefik):
    """No request of Waymark's failed, and yet it has to find out."""
    proxy = traefik(rest=True)
    waymark(dockerd, traefik={"http": ["web"], "push": f"http://127.0.0.1:{proxy.api_port}"})
    dockerd.run("web", labels.waymark("web"))
    proxy.wait_answers("web.test", ["web"])
    proxy.stop()
    proxy.start()
    proxy.wait_answers("web.test", ["web"], timeout=20)


def test_nothing_is_pushed_that_is_not_known(own_dockerd, waymark, traefik):
    """A first start with the engine down leaves in Traefik what is there."""
    proxy = traefik(rest=True)
    config = {"http": ["web"], "push": f"http://127.0.0.1:{proxy.api_port}"}
    one = waymark(own_dockerd, traefik=config)
    own_dockerd.run("web", labels.waymark("web"))
    proxy.wait_answers("web.test", ["web"])
    one.kill()
    own_dockerd.kill()
    waymark(own_dockerd, start=False, traefik=config).start(ready=False)
    wait.stays(lambda: proxy.status("web.test") == 200, 3)
