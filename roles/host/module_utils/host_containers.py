"""Containers of others: those that run, or that the engine would start."""

from __future__ import annotations

import glob
import json

from ansible.module_utils import host_before as before

LABEL = "flask-deploy.app"
CONTAINERS = "/var/lib/docker/containers"


def runs() -> bool:
    """Tell whether the engine runs; to ask its socket would start it."""
    return before.run("systemctl", "is-active", "--quiet", "docker.service")[0] == 0


def containers() -> list[str]:
    """Return the names of others' containers that run, or that the engine would start."""
    known = running() if runs() else resting()
    return sorted(name for name, state, app, policy in known if not app and (state or policy not in ("", "no")))


def running() -> list[tuple[str, bool, bool, str]]:
    """Return (name, whether it runs, our label, restart policy) of each container, as the engine says."""
    code, said = before.run("docker", "ps", "--all", "--quiet")
    if code or not said.split():
        return []
    _code, said = before.run("docker", "container", "inspect", *said.split())
    try:
        found = json.loads(said[: said.rindex("]") + 1])
    except ValueError:
        return []
    return [
        (
            each["Name"].lstrip("/"),
            each["State"]["Running"],
            LABEL in (each["Config"].get("Labels") or {}),
            each["HostConfig"]["RestartPolicy"]["Name"],
        )
        for each in found
    ]


def resting() -> list[tuple[str, bool, bool, str]]:
    """Return the same of an engine that is stopped, from its files."""
    found = []
    for path in glob.glob(f"{CONTAINERS}/*/config.v2.json"):
        try:
            known = json.loads(before.read(path) or "{}")
            host = json.loads(before.read(path.replace("config.v2", "hostconfig")) or "{}")
        except ValueError:
            continue
        labels, policy = known.get("Config", {}).get("Labels") or {}, host.get("RestartPolicy", {}).get("Name", "")
        found.append((known.get("Name", "?").lstrip("/"), False, LABEL in labels, policy))
    return found
