"""The platforms that people run, as they label their containers, without renaming anything."""

import pytest

import labels
import wait


def test_codi(dockerd, waymark, traefik):
    """A project with its production and two previews, and the platform's own API."""
    one = waymark(dockerd, base_domain="codi.local", static={
        "api.codi.local": {"upstreams": ["http://127.0.0.1:1"]}})
    proxy = traefik(waymark=one.port)
    dockerd.run("codi-my-app", labels.codi("my-app"))
    dockerd.run("codi-my-app-preview-feature-x",
                labels.codi("my-app", branch="feature/x", preview=True))
    dockerd.run("codi-my-app-preview-fix-login",
                labels.codi("my-app", branch="fix_Login!", preview=True))

    proxy.wait_answers("my-app.codi.local", ["codi-my-app"])
    proxy.wait_answers("my-app-preview-feature-x.codi.local", ["codi-my-app-preview-feature-x"])
    proxy.wait_answers("my-app-preview-fix-login.codi.local", ["codi-my-app-preview-fix-login"])
    assert one.route("my-app-preview-feature-x.codi.local")["branch"] == "feature/x"
    assert one.route("my-app-preview-feature-x.codi.local")["kind"] == "preview"
    assert proxy.status("api.codi.local") == 502  # routed; nobody is there
    assert one.problems() == []


def test_codi_redeploys_by_stopping_the_old_one_first(dockerd, waymark, traefik):
    one = waymark(dockerd, base_domain="codi.local")
    proxy = traefik(waymark=one.port)
    old = dockerd.run("codi-blog", labels.codi("blog"), env={"NAME": "old"})
    proxy.wait_answers("blog.codi.local", ["old"])
    old.stop()
    old.remove()
    proxy.wait_status("blog.codi.local", 503)
    dockerd.run("codi-blog", labels.codi("blog"), env={"NAME": "new"})
    proxy.wait_answers("blog.codi.local", ["new"])


def test_codi_reports_two_branches_with_one_url(dockerd, waymark, traefik):
    one = waymark(dockerd, base_domain="codi.local")
    proxy = traefik(waymark=one.port)
    for name, branch in (("first", "fix/a"), ("second", "fix_a")):
        dockerd.run(f"codi-app-{name}", labels.codi("app", branch=branch, preview=True))
        wait.until(lambda: one.hosts(), 5)
    wait.until(one.problems, 5)
    assert one.problems(about="second")
    assert proxy.answers("app-preview-fix-a.codi.local") == {"codi-app-first"}


@pytest.fixture
def shop(dockerd, waymark, traefik):
    """docker compose up --scale web=3, beside a database that nobody asked to route."""
    one = waymark(dockerd)
    proxy = traefik(waymark=one.port)
    webs = [dockerd.run(f"shop-web-{n}", labels.compose("shop", "web", n, port=8080))
            for n in (1, 2, 3)]
    dockerd.run("shop-redis-1", labels.compose("shop", "redis"))
    proxy.wait_answers("shop-web.test", ["shop-web-1", "shop-web-2", "shop-web-3"])
    return one, proxy, webs


def test_compose_replicas_share_one_route(shop):
    one, proxy, _ = shop
    assert len(one.route("shop-web.test")["servers"]) == 3
    assert one.hosts() == ["shop-web.test"]
    assert proxy.status("shop-redis.test") == 404
    assert len([r for r in proxy.routers().values() if "shop-web" in r["rule"]]) == 1


def test_compose_scales_down_and_up(shop):
    one, proxy, webs = shop
    for container in webs[1:]:
        container.stop()
        container.remove()
    proxy.wait_answers("shop-web.test", ["shop-web-1"])
    webs[0].engine.run("shop-web-2", labels.compose("shop", "web", 2, port=8080))
    proxy.wait_answers("shop-web.test", ["shop-web-1", "shop-web-2"])


def test_a_convention_of_ones_own(dockerd, waymark, traefik):
    """The labels of a platform that Waymark has never heard of, as data in the configuration."""
    one = waymark(dockerd, conventions={"acme": {
        "recognise": {"all": ["acme.app"]},
        "fields": {"project": "acme.app", "branch": "name:{project}-pr-{branch}",
                   "port": ["acme.port", "value:8080"]}}})
    proxy = traefik(waymark=one.port)
    dockerd.run("blog", {"acme.app": "blog"})
    dockerd.run("blog-pr-new", {"acme.app": "blog", "acme.port": "8080"})
    proxy.wait_answers("blog.test", ["blog"])
    proxy.wait_answers("blog-preview-new.test", ["blog-pr-new"])
