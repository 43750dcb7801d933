"""Releases that no longer serve: how they end, which of them stay, and which can serve again."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files, networks
from ansible.module_utils.flask_deploy.host.clock import now
from ansible.module_utils.flask_deploy.host.leftovers import Leftovers
from ansible.module_utils.flask_deploy.release import aside, containers, images, inside, processes
from ansible.module_utils.flask_deploy.release.places import App

NEVER_SERVED = ("prepared", "failed")
LEFT_FOR_CAUSE = ("rejected", "reverted")  # rolled back from, or taken back by a switch that was not confirmed
NEEDED = ("site.conf", "env.json", "gunicorn.conf.py", "exec.py")  # to run again
READ = re.compile(rb'"/release/([a-z.]+\.(?:json|py))"')  # in gunicorn.conf.py: what it takes from beside it
REMAINS = re.compile(r"(\.new-)?[0-9a-f]+")
DRAIN_FLOOR = 5  # seconds; longer than nginx keeps an idle connection to the old release
CUT_TIMEOUT = 2  # seconds a worker has to close what outlasted the drain


def retire(app: App, drain: int, stop_timeout: int, left: Leftovers | None = None) -> list[dict[str, Any]]:
    """Stop containers that no longer serve, once nothing is in flight; processes beside the web are not among them.

    :param drain: seconds that requests in flight have to finish; what lasts longer is cut.
    :param stop_timeout: seconds from the stop signal to the kill, where nothing is in flight.
    :param left: Leftovers, of what does not stop.
    :return: [{"container", "cut": requests that did not end in time, "seconds"}].
    """
    serving = app.serving()
    stays = app.container(serving) if serving else None
    leaving = [
        name
        for name, state in engine.containers(app.name).items()
        if name != stays and state not in ("exited", "created", "dead") and not processes.is_one(app, name)
    ]
    stopped = []
    for name in leaving:
        try:
            stopped.append(_stop(app, name, drain, stop_timeout))
        except engine.EngineError as error:
            engine.containers(app.name)  # where the engine is away, who asks waits for it
            (left or Leftovers()).add(
                f"container {name}", error, f"sudo docker inspect {name}; sudo journalctl -u docker"
            )
    return stopped


def _stop(app: App, name: str, drain: int, stop_timeout: int) -> dict[str, Any]:
    began = time.monotonic()
    cut = _drain(app, name, drain)
    patience = CUT_TIMEOUT if cut else stop_timeout
    with engine.perhaps_gone():
        engine.docker("stop", "-t", str(patience), name, timeout=patience + engine.QUERY)
    return {"container": name, "cut": cut, "seconds": round(time.monotonic() - began, 1)}


def _drain(app: App, name: str, drain: int) -> int:
    """Wait until nothing is in flight; return how many requests are after ``drain`` seconds."""
    found = engine.inspect("container", name)
    if not found:  # somebody else has removed it
        return 0
    moved = app.state(app.serving() or "").get("moved", 0)  # perhaps before a boot: then the clock began anew
    floor = min(moved + DRAIN_FLOOR, now() + DRAIN_FLOOR)
    deadline = now() + max(drain, DRAIN_FLOOR)
    while True:
        flying = engine.in_flight(found["State"]["Pid"], containers.SOCKET)
        if not flying and now() >= floor:
            return 0
        if now() >= deadline:
            return flying
        time.sleep(0.1)


def targets(app: App, cause: bool = True) -> list[str]:
    """Return ids of releases that can serve again, the one that served last first.

    :param cause: with those that were left for a cause.
    """
    states = {release: app.state(release) for release in app.known() if release != app.serving()}
    served = [r for r, s in states.items() if "switched" in s and (cause or s.get("state") not in LEFT_FOR_CAUSE)]
    served.sort(key=app.order, reverse=True)
    here = images_here(app, served)
    return [release for release in served if not lack(app, release, here)]


def images_here(app: App, releases: Iterable[str]) -> set[str]:
    """Return the ids of the images of releases that are on this host; the engine is asked once for all."""
    return set(engine.inspect_all("image", {app.record(release)["image"] for release in releases} - {""}))


def lack(app: App, release: str, here: set[str]) -> str | None:
    """Return what keeps a release from serving again as it is; None where nothing does.

    :param here: ids of images, see ``images_here``.
    """
    record = app.record(release)
    if not record["image"] or not record["domain"]:
        return "its release.json is damaged"
    if "switched" not in app.state(release):
        return "it never served"
    needed = [*NEEDED, *_read(app, release), *inside.contents(record["found"])]
    needed += ["static"] if record["static"]["path"] else []
    missing = [name for name in needed if not os.path.exists(app.path(release, name))]
    if missing:
        return f"its directory is damaged, it lacks {', '.join(missing)}"
    return None if record["image"] in here else "its image is gone"


def _read(app: App, release: str) -> list[str]:
    """Return the files that a release's gunicorn.conf.py reads: earlier versions had all settings in it."""
    text = files.read(app.path(release, "gunicorn.conf.py")) or b""
    return [name.decode() for name in READ.findall(text)]


def surplus(app: App, keep: int) -> list[str]:
    """Return releases beyond the newest ``keep`` that served, and all others that never did.

    One that was restarted under another id is no release to go back to.
    """
    serving = app.serving()
    restarted = app.state(serving or "").get("instead")
    states = {release: app.state(release) for release in app.known()}
    never = [r for r, s in states.items() if s.get("state") in NEVER_SERVED and r != serving]
    never += [restarted] if restarted in states else []
    served = [r for r in states if r not in never and r != serving]
    served.sort(key=app.order, reverse=True)
    return [*served[max(keep - 1, 0) :], *never]


def prune(app: App, keep: int, left: Leftovers | None = None) -> list[str]:
    """Remove surplus releases with their containers, and images that no release needs; return what went.

    :param left: Leftovers, of what does not go.
    """
    left, gone = left or Leftovers(), surplus(app, keep)
    held = aside.held(app) if gone else set()
    gone = [release for release in gone if release not in held]
    for release in gone:  # without its record it is no release: what is cut off here, the next run ends
        left.remove_file(app.path(release, "release.json"))
    for name in remains(app):
        left.remove_tree(f"{app.releases}/{name}")
    known = set(app.known())
    gone = [release for release in gone if release not in known]
    kept = {app.container(release) for release in known}
    surplus_containers = sorted(name for name in engine.containers(app.name) if not _is_of(name, kept))
    inside = networks.users() if surplus_containers else {}
    removed = [name for name in surplus_containers if left.remove_container(name)]
    gone += removed
    if removed:
        were_in = {network for name in removed for network in inside.get(name, ())}
        gone += [name for name in networks.unused(app.name, were_in) if left.remove_network(name)]
    return gone + prune_images(app, left)


def _is_of(name: str, kept: set[str]) -> bool:
    """Tell whether a container is of a release that is kept: its web, or a process beside that."""
    return name in kept or any(name.startswith(f"{web}-") and name[-1].isdigit() for web in kept)


def remains(app: App) -> list[str]:
    """Return the names of releases that are only half there: not written to their end, or not removed to it."""
    return [name for name in set(os.listdir(app.releases)) - set(app.known()) if REMAINS.fullmatch(name)]


def prune_images(app: App, left: Leftovers) -> list[str]:
    """Remove the images that no release needs and no run holds; return what went."""
    needed = {app.record(release)["image"] for release in app.known()}
    held = images.held(app.name)
    listed = engine.docker(
        *("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"),
        f"flask-deploy/{app.name}",
        timeout=engine.QUERY,
    )
    gone = []
    for line in listed.splitlines():
        image, tag = line.split()
        if image not in needed and tag.rpartition(":")[2] not in held:
            name = image if tag.endswith(":<none>") else tag
            gone += [name] if left.remove_image(name) else []
    return gone


def remove(app: App, release: str) -> None:
    """Remove a release that never served: container, directory, and its image where no other needs it.

    What does not go is tried again by the next deploy that serves, which says so.
    """
    left = Leftovers()
    left.remove_container(app.container(release))
    if release in app.known():
        left.remove_file(app.path(release, "release.json"))
    for path in filter(os.path.lexists, (app.path(release), app.path(f".new-{release}"))):
        left.remove_tree(path)
    with left.unless_gone("its image", "systemctl status docker"):
        prune_images(app, left)


def leave(app: App, release: str, reason: str, drain: int) -> None:
    """Stop a release that served once and does not get ready again, once nothing is in flight; remember why.

    It may have requests of a deploy that was interrupted while it drained.

    :param drain: seconds that requests in flight have to finish; what lasts longer is cut.
    """
    left, name = Leftovers(), app.container(release)
    with left.unless_gone("what is in flight", "systemctl status docker"):
        _drain(app, name, drain)
    left.remove_container(name)
    app.set_state(release, app.state(release).get("state", "retired"), reason=reason)


def abandon(app: App, dry: bool = False) -> list[str]:
    """Stop candidates that a killed or failed deploy left running; return their names.

    To be called by who holds the lease: nobody else prepares a release then.
    """
    serving = app.serving()
    never = [each for each in app.known() if each != serving and "switched" not in app.state(each)]
    states = engine.containers(app.name) if never else {}  # a host that has none may have no engine yet
    left = [app.container(each) for each in never if states.get(app.container(each)) == "running"]
    if not dry:
        engine.remove(*left)
    return left
