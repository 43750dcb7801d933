"""Processes of a release beside its web, such as workers: how they are started, and which of them there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files, networks
from ansible.module_utils.flask_deploy.release import containers, inside, logged
from ansible.module_utils.flask_deploy.release.places import App

LABEL = "flask-deploy.process"
COUNT, STOP_TIMEOUT = 1, 60  # where they are not said
ALL, ONE = "all", "one"  # hosts: all of them where it is not said, or the first alone
LIMITS = ("memory", "cpus", "pids")  # as web's, where they are not said
FIELDS = {"count": int, "hosts": str, "stop_timeout": int, "command": list, "arguments": list}  # of a record
TOGETHER = 50  # containers that docker's client stops at the same time
NAME = "[a-z][a-z0-9-]*-[0-9]+"  # of one process, behind its release


def wanted(asked: dict[str, Any], web: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return processes as the inventory asks for them, with every field: what is not said is as web has it.

    :param web: limits of the web's container.
    """
    return {name: _whole(given, web) for name, given in sorted((asked or {}).items())}


def _whole(given: dict[str, Any], web: dict[str, Any]) -> dict[str, Any]:
    command = given["command"]
    return {
        "command": shlex.split(command) if isinstance(command, str) else [str(word) for word in command],
        "count": int(given.get("count", COUNT)),
        "hosts": str(given.get("hosts", ALL)),
        "memory": str(given.get("memory", web["memory"])),
        "cpus": float(given.get("cpus", web["cpus"])),
        "pids": int(given.get("pids", web["pids"])),
        "stop_timeout": int(given.get("stop_timeout", STOP_TIMEOUT)),
    }


def recorded(
    app: App | containers.Anywhere, release: str, record: dict[str, Any], asked: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return what a release's record says of its processes: what each is, and what its containers are made with."""
    return {
        name: {**process, "arguments": create_arguments(app, release, record, name, process)}
        for name, process in asked.items()
    }


def create_arguments(
    app: App | containers.Anywhere, release: str, record: dict[str, Any], name: str, process: dict[str, Any]
) -> list[str]:
    """Return docker's arguments for each container of a process, without its name: it may do what web may."""
    limits = {limit: process[limit] for limit in LIMITS}
    own = {**record, "container": {**record["container"], **limits}}
    return [
        *logged.labels(app.name, release, name),
        *("--restart", "no", "--stop-timeout", str(process["stop_timeout"])),
        *containers.places(app, release, own),
        *("--no-healthcheck", "--entrypoint", "python3", record["image"], "/release/exec.py", *process["command"]),
    ]


def start_digest(container: dict[str, Any], asked: dict[str, dict[str, Any]]) -> str:
    """Return a digest of a release's processes and of how this role starts them, see containers.start_digest."""
    record = {"container": container, "image": "image", "found": inside.ANYTHING}
    return files.digest(recorded(containers.Anywhere(), "release", record, asked))


def of(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the processes that a release's record tells of; one that is damaged is none."""
    told = record.get("processes")
    known = told if isinstance(told, dict) else {}
    whole = {name: {"hosts": ALL, **each} for name, each in known.items() if isinstance(each, dict)}
    return {
        name: each
        for name, each in whole.items()
        if all(isinstance(each.get(field), kind) for field, kind in FIELDS.items())
    }


def names(app: App, release: str | None) -> dict[str, list[str]]:
    """Return {container: what it is made with} of a release's processes beside its web that are this host's."""
    known, alone = of(app.record(release)) if release else {}, app.has_alone()
    return {
        f"{app.container(release)}-{name}-{number}": [str(word) for word in each["arguments"]]
        for name, each in known.items()
        if alone or each["hosts"] != ONE
        for number in range(1, each["count"] + 1)
    }


def any_of(app: App, release: str) -> bool:
    """Tell whether a release has such processes, on whatever host."""
    return release in app.known() and any(each["count"] for each in of(app.record(release)).values())


def whose(app: App, container: str) -> tuple[str, str]:
    """Return (release, process) of the container of a process."""
    release, _, process = container.removeprefix(app.container("")).partition("-")
    return release, process.rpartition("-")[0]


def runs_once(app: App, container: str) -> bool:
    """Tell whether a container is of a process that one host has, and that once."""
    release, process = whose(app, container)
    return of(app.record(release)).get(process, {}).get("hosts") == ONE


def any_once(app: App, release: str) -> bool:
    """Tell whether a release has processes that one host has."""
    return any(each["count"] for each in of(app.record(release)).values() if each["hosts"] == ONE)


def policy(app: App, container: str) -> str:
    """Return whether the engine starts a process again: not what another host may have taken over meanwhile."""
    return "no" if app.shares() and runs_once(app, container) else "unless-stopped"


def rivals(app: App, starting: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return those of other containers that must have ended before some start.

    Before a process that runs once starts, that are those of other releases that run once, whatever they are called,
    and those that bear its name and had all hosts.
    """
    alone = dict(reversed(whose(app, name)) for name in starting if runs_once(app, name))
    found = {name: whose(app, name) for name in others if alone}
    return [
        name
        for name, (release, process) in found.items()
        if release not in alone.values() and (process in alone or runs_once(app, name))
    ]


def is_one(app: App, container: str) -> bool:
    """Tell whether a container of an app is such a process."""
    return bool(re.fullmatch(f"{app.container('[0-9a-f]+')}-{NAME}", container))


def here(app: App) -> dict[str, str]:
    """Return {container: state} of all such processes of an app; the engine is asked where a release has any."""
    if not any(of(app.record(release)) for release in app.known()):
        return {}
    return {name: state for name, state in engine.containers(app.name).items() if is_one(app, name)}


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what differs between the processes of two records, in lines for people; of a first release nothing."""
    old, new = of(before), of(after)
    if not before:
        return []
    lines = [f"-{name}" for name in old if name not in new]
    for name, process in new.items():
        if name not in old:
            lines.append(f"+{name}, {process['count']} of it: {shlex.join(process['command'])}")
            continue
        shown = [{**each[name], "command": shlex.join(map(str, each[name]["command"]))} for each in (old, new)]
        fields = [field for field in shown[1] if field != "arguments" and shown[0].get(field) != shown[1][field]]
        lines += [f"{name}: {field} {shown[0].get(field)} -> {shown[1][field]}" for field in fields]
    return [f"app_processes: {line}" for line in lines]


def told(app: App) -> list[dict[str, Any]]:
    """Return how the processes beside the web are: of the release that serves each one, of others what is left.

    :return: [{"process", "release", "wanted", "up", "restarts", "down": a container that does not run, or ""}].
    """
    serving = app.serving()
    wanted = [*names(app, serving)]
    found = engine.inspect_all("container", {*wanted, *here(app)})
    groups: dict[tuple[str, str], list[str]] = {}
    for name in [*wanted, *sorted(set(found) - set(wanted))]:
        groups.setdefault(whose(app, name), []).append(name)
    return [
        {
            "process": process,
            "release": release,
            "wanted": len(set(group) & set(wanted)),
            "up": sum(_is_up(found.get(name)) for name in group),
            "restarts": sum(found[name].get("RestartCount", 0) for name in group if name in found),
            "down": next((name for name in group if not _is_up(found.get(name))), ""),
        }
        for (release, process), group in groups.items()
    ]


def _is_up(found: dict[str, Any] | None) -> bool:
    return bool(found) and found["State"]["Running"] and not found["State"].get("Restarting", False)


def stop_time(app: App, *releases: str | None) -> int:
    """Return the seconds that the processes of some releases may take to end: those that run once, then all others."""
    longest, before = 0, 0
    for known in (of(app.record(release)) for release in filter(None, releases)):
        turns = -(-sum(each["count"] for each in known.values()) // TOGETHER)
        longest = max([longest, *(turns * each["stop_timeout"] for each in known.values())])
        before = max([before, *(each["stop_timeout"] for each in known.values() if each["hosts"] == ONE)])
    return longest + before


def start(app: App, made_with: dict[str, list[str]]) -> None:
    """Start containers of processes, each made anew: what ended is not gone on with.

    :param made_with: see ``names``.
    """
    found = engine.inspect_all("container", made_with)
    for name, known in found.items():
        if LABEL not in (known["Config"].get("Labels") or {}):
            raise engine.EngineError(containers.STRANGER.format(name))
    engine.remove(*found)
    network = networks.ensure(app.name) if made_with else ""
    for name, arguments in made_with.items():
        label = f"{containers.MADE_WITH}={files.digest(arguments)}"
        engine.docker("create", "--name", name, "--label", label, "--network", network, *arguments)
        engine.docker("start", name)
