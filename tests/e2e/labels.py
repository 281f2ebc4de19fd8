"""The labels that make a container's route, in each platform's way of saying it."""


def waymark(project, port=8080, **more):
    """waymark(project, path="/api", health_path="/x"): one `waymark.…` label each."""
    labels = {"waymark.project": project, "waymark.port": str(port)}
    labels.update({"waymark." + k.replace("_", "."): str(v) for k, v in more.items()})
    return labels


def codi(slug, branch="main", preview=False, port=8080):
    """What Codi v2 writes on every container; the router's name is the container's."""
    name = f"codi-{slug}".replace("-", "_")
    return {
        "codi.project.slug": slug,
        "codi.deployment.preview": "true" if preview else "false",
        "codi.deployment.branch": branch,
        "traefik.enable": "true",
        f"traefik.http.routers.{name}.rule": f"Host(`{slug}.codi.local`)",
        f"traefik.http.routers.{name}.entrypoints": "web",
        f"traefik.http.services.{name}.loadbalancer.server.port": str(port),
    }


def compose(project, service, number=1, port=None, **more):
    """What docker compose writes, and `waymark.port` where the service asks for a route."""
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        "com.docker.compose.oneoff": "False",
    }
    if port:
        labels["waymark.port"] = str(port)
    labels.update({"waymark." + k.replace("_", "."): str(v) for k, v in more.items()})
    return labels


def traefik(name, host, port=8080):
    """For Traefik's own Docker provider, in comparisons."""
    return {
        "traefik.enable": "true",
        f"traefik.http.routers.{name}.rule": f"Host(`{host}`)",
        f"traefik.http.routers.{name}.entrypoints": "web",
        f"traefik.http.services.{name}.loadbalancer.server.port": str(port),
    }


def mvp(subdomain, base="test", port=8080):
    """What the MVP backend writes on each deployment's container, which is called as the subdomain."""
    return {
        "traefik.enable": "true",
        f"traefik.http.routers.{subdomain}.rule": f"Host(`{subdomain}.{base}`)",
        f"traefik.http.services.{subdomain}.loadbalancer.server.port": str(port),
    }


def codeb(project, environment="production", slot="blue"):
    """CodeB's; the container's port is always 3000."""
    return {"codeb.project": project, "codeb.environment": environment, "codeb.slot": slot}
