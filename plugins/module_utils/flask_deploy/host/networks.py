"""Networks of an app: made by this role, of its present options, and never joined where they are somebody else's."""

from __future__ import annotations

from collections.abc import Iterable

from ansible.module_utils.flask_deploy.host import engine, files

# Containers reach the world from here, and one another not.
OPTIONS = ("--driver", "bridge", "--opt", "com.docker.network.bridge.enable_icc=false")
OWNER, MADE = "flask-deploy.app", "flask-deploy.network"  # labels


def ensure(app: str) -> str:
    """Return the name of the network that containers of an app join; it is made where there is none.

    One that was made with other options, or from other address pools, is left to the containers that are in it.

    :param app: the app's name.
    """
    wanted = made_now()
    fitting = sorted(name for name, made in of_app(app).items() if made == wanted)
    if fitting:
        return fitting[0]
    name = app if engine.inspect("network", app) is None else f"{app}-{wanted}"
    labels = ("--label", f"{OWNER}={app}", "--label", f"{MADE}={wanted}")
    engine.docker("network", "create", *labels, *OPTIONS, name)
    return name


def made_now() -> str:
    """Return a digest of how networks are made now, the address pools of the running engine among it."""
    pools = engine.docker("info", "--format", "{{json .DefaultAddressPools}}", timeout=engine.QUERY).strip()
    return files.digest(OPTIONS, pools)[:8]


def of_app(app: str) -> dict[str, str]:
    """Return {name: digest of how it was made} of an app's networks; those of earlier versions have no digest."""
    form = f'{{{{.Name}}}}\t{{{{.Label "{MADE}"}}}}'
    listed = engine.docker("network", "ls", "--filter", f"label={OWNER}={app}", "--format", form, timeout=engine.QUERY)
    return dict(line.split("\t") for line in listed.splitlines())


def users() -> dict[str, list[str]]:
    """Return {container: names of its networks}, of all containers, running or not."""
    listed = engine.docker("ps", "-a", "--format", "{{.Names}}\t{{.Networks}}", timeout=engine.QUERY)
    return {name: networks.split(",") for name, networks in (line.split("\t") for line in listed.splitlines())}


def stranger(app: str) -> str | None:
    """Return whose the network of an app's name is, where it is not the app's; else None.

    One without a label is the app's where containers are in it, and all of them are the app's.
    """
    found = engine.inspect("network", app)
    owner = ((found or {}).get("Labels") or {}).get(OWNER) or ""
    if not found or owner == app:
        return None
    inside = sorted(name for name, networks in users().items() if app in networks)
    if owner or not inside or set(inside) - set(engine.containers(app)):
        return f"the app {owner}'s" if owner else f"used by {', '.join(inside)}" if inside else "used by nothing"
    return None


def unused(app: str, left: Iterable[str] = ()) -> list[str]:
    """Return an app's networks that no container is in any more, without the one that the next will join.

    :param left: names of networks that removed containers of the app were in.
    """
    made, wanted = of_app(app), made_now()
    held = {network for networks in users().values() for network in networks}
    unlabelled = {app} & set(left) - set(made)
    old = {name for name in made if made[name] != wanted} | {name for name in unlabelled if _bears_no_label(name)}
    return sorted(old - held)


def _bears_no_label(name: str) -> bool:
    found = engine.inspect("network", name)
    return bool(found) and not (found.get("Labels") or {}).get(OWNER)
