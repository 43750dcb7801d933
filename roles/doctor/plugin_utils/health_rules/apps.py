"""Rules for an app on its hosts: how it serves, its certificate and backups, and what differs from the inventory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import BROKEN, DEPLOY, NOTE, PLAN, SETUP, SOON, Finding

CHECK = "ansible-playbook playbooks/check.yml -i inventories/..."
DAYS = 3  # in which somebody can still act before a certificate expires; some live for six
COMMAND = re.compile(r"^(.*?)(?:;[^;:]*)?: ((?:ansible-playbook|sudo) .*)$", re.DOTALL)
JUDGED = re.compile(r" MB free; | free inodes; | MB of memory are free; ")  # by the rules for a host
POSTGRES = re.compile(r"(the \w+ of )?PostgreSQL ")
UNITS = re.compile(r"([kmg]?)b?$", re.IGNORECASE)
STEPS = {"": 0, "k": 10, "m": 20, "g": 30}
GENTLE = {  # what status says that is not broken
    "visitors see the maintenance page": NOTE,
    "a switch is under way": SOON,
    "is left and should not run": SOON,
    "it was killed": SOON,
}

TASKS = {  # those whose modules name no file
    "Set the firewall": (BROKEN, "the firewall is not loaded, or not as the inventory says"),
    "Set the kernel": (SOON, "the kernel has other settings than the inventory says"),
    "Harden SSH": (SOON, "the settings of SSH are not as the inventory says"),
    "Keep the certificate": (SOON, "what looks after certificates is not as the inventory says"),
    "Keep backups": (SOON, "what makes backups is not as the inventory says"),
    "Keep the archive of PostgreSQL": (SOON, "what backs PostgreSQL up is not as the inventory says"),
    "Give the app its database": (SOON, "PostgreSQL, or the app's database, is not as the inventory says"),
    "Give the app its Valkey": (SOON, "the app's Valkey is not as the inventory says"),
}


def judge(facts: dict[str, Any], told: dict[str, Any]) -> list[Finding]:
    """Return findings of an app on a host.

    :param facts: what module doctor_look told; "status" is what status_look did.
    :param told: what the inventory says: app, owner, backup.
    """
    if not (facts.get("engine") or {}).get("installed", True):
        return []  # that is told, and nothing of ours is there
    return [finding for rule in (serving, container, certificate, backup) for finding in rule(facts, told)]


def serving(facts: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    known = facts.get("status") or {}
    app = told["app"]
    if not known:
        return
    if not known.get("release"):
        yield Finding(BROKEN, f"{app} has no release that serves", f"/srv/{app}/current", SETUP)
        return
    for remark in known.get("remarks", []):
        parts = COMMAND.match(remark)
        severity = next((word for begin, word in GENTLE.items() if begin in remark), BROKEN)
        yield Finding(severity, parts[1] if parts else remark, app, parts[2] if parts else "")


def container(facts: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    """The container that serves, as it runs, beside what it was made with."""
    release, engine = facts.get("release") or {}, facts.get("engine") or {}
    name = f"{told['app']}-{release.get('id')}"
    mine = next((each for each in engine.get("containers", []) if each["name"] == name), None)
    if not release or engine.get("error"):
        return
    if mine is None:
        yield Finding(BROKEN, f"the container {name}, which is to serve, is not here", name, DEPLOY)
        return
    if not mine["runs"]:
        yield Finding(BROKEN, f"the container {name}, which is to serve, does not run", name, DEPLOY)
    if mine["policy"] != "unless-stopped":
        what = f"{name} does not start with the engine: its restart policy is {mine['policy'] or 'no'}"
        yield Finding(BROKEN, what, name, f"sudo docker update --restart unless-stopped {name}")
    wanted = release["container"]
    for what, given, has in (
        ("memory", size(wanted["memory"]), mine["memory"]),
        ("pids", int(wanted["pids"]), mine["pids"]),
        ("cpus", float(wanted["cpus"]), mine["cpus"]),
    ):
        if given != has:
            said = f"{name} has another limit of {what} than its release: {_shown(has)}, not {_shown(given)}"
            yield Finding(SOON, said, name, "ansible-playbook playbooks/restart.yml -i inventories/...")
    if mine["killed"]:
        times = "once" if mine["killed"] == 1 else f"{mine['killed']} times"
        what = f"the kernel ended a process of {name} {times}, for more memory than app_memory ({wanted['memory']})"
        yield Finding(SOON, what, name, f"sudo docker stats --no-stream {name}")


def _shown(number: float) -> str:
    return f"{int(number) >> 20} MB" if number >= 1 << 20 else f"{number:g}"


def size(words: str) -> int:
    """Return docker's words for a size, such as 512m, in bytes."""
    unit = UNITS.search(str(words))[1].lower()
    return int(float(re.match(r"[\d.]*", str(words))[0] or 0) * (1 << STEPS[unit]))


def certificate(facts: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    known, where = facts.get("certificate"), f"/etc/{told['owner']}/tls"
    if known is None:
        yield Finding(BROKEN, "nobody looks after certificates here", where, SETUP)
        return
    left = known.get("days_left")
    for problem in known.get("problems", []):
        early = problem.startswith(("expires at", "the last try")) and left is not None and left >= DAYS
        look = "sudo journalctl -n 50 -u flask-deploy-certificates"
        yield Finding(SOON if early else BROKEN, f"certificate: {problem}", where, look)


def backup(facts: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    known = facts.get("backup")
    if not told.get("backup"):
        return
    if known is None:
        what = "backups are not set up here, and backup_to says where to"
        yield Finding(BROKEN, what, "backup", "ansible-playbook site.yml --tags backup -i inventories/...")
        return
    for problem in known.get("problems", []):
        archive, drill = POSTGRES.match(problem), problem.startswith("the drill")
        kind = f"archive{'-drill' if drill else ''}" if archive else "drill" if drill else "backup"
        unit = f"flask-deploy-{kind}@{(archive and known.get('keeper')) or told['app']}"
        severity = SOON if problem.endswith("the next one mends that") else BROKEN
        parts = COMMAND.match(problem) if " is in no backup since " in problem else None  # no unit has a log of that
        what, look = (parts[1], parts[2]) if parts else (problem, f"sudo journalctl -n 50 -u {unit}")
        yield Finding(severity, f"backups: {what}", unit, look)


# -- what differs from the inventory -----------------------------------------------------------


def drift(notes: list[dict[str, Any]], facts: dict[str, Any], told: dict[str, Any]) -> list[Finding]:
    """Return findings of what roles would change, or refuse to.

    :param notes: of plugins/callback/doctor_drift.py: role, task, and paths, unit, packages, actions or failed.
    """
    if not (facts.get("engine") or {}).get("installed", True):
        return []  # all of it differs
    bare = not facts.get("release", True)  # what is not there cannot differ
    return [each for note in notes if not (bare and note["role"] == "app") for each in _differs(note, facts, told)]


def _differs(note: dict[str, Any], facts: dict[str, Any], told: dict[str, Any]) -> Iterator[Finding]:
    role = note["role"]
    again = DEPLOY if role in ("app", "site") else f"ansible-playbook site.yml --tags {role} -i inventories/..."
    if note.get("failed"):
        way = CHECK if role == "check" else f"{again} --check --diff"
        yield from refused(note, way)
    elif note.get("unit"):
        yield from _unit(note["unit"], again)
    elif note.get("packages"):
        yield Finding(BROKEN, f"packages are missing: {' '.join(note['packages'][:5])}", "apt", again)
    elif note.get("undeployed"):
        yield Finding(NOTE, f"the inventory says what is not deployed yet: {note['undeployed']}", told["app"], PLAN)
    elif note.get("paths") or note.get("kept"):
        known = facts.get("changed") or {}
        for path in note.get("paths") or _other(note["kept"], known):
            when = (known.get(path) or {}).get("at")
            missing = path in known and known[path] is None
            what = "is missing, or of another kind" if missing else "is not as the inventory says"
            yield Finding(SOON, f"{path} {what}", path, again, when)
    elif not note.get("actions"):  # those without a path are of containers, which other rules judge
        severity, what = TASKS.get(note["task"], (SOON, f"role {role} would change something: {note['task']}"))
        yield Finding(severity, what, role, again)


def _other(kept: dict[str, str], known: dict[str, Any]) -> list[str]:
    """Return which files have another content than they are to have; all, where that cannot be told."""
    return [path for path, digest in kept.items() if (known.get(path) or {}).get("digest") != digest] or list(kept)


def refused(note: dict[str, Any], way: str) -> Iterator[Finding]:
    """A role that stops names what is to be mended, a line each; others say why in one."""
    parts = [line.strip() for line in note["failed"].splitlines() if line.strip()]
    causes = parts[1:] if parts[1:] and parts[0].startswith("nothing was changed") else [" ".join(parts)[:300]]
    for cause in causes:
        if not JUDGED.search(cause):
            yield Finding(SOON, f"a run would stop in role {note['role']}: {cause}", note["role"], way)


def _unit(unit: dict[str, str], again: str) -> Iterator[Finding]:
    name, runs, enabled = unit["name"], unit["active"] in ("active", "activating", "reloading"), unit["enabled"]
    if not runs:
        yield Finding(BROKEN, f"{name} is {unit['active'] or 'not there'}", name, f"sudo systemctl start {name}")
    if enabled not in ("enabled", "static", "indirect", "generated", "alias", ""):
        yield Finding(
            SOON, f"{name} is {enabled}, and does not start with the host", name, f"sudo systemctl enable {name}"
        )
    elif runs:
        yield Finding(
            SOON, f"{name} is not as the inventory says ({enabled or 'unknown'}, {unit['active']})", name, again
        )


# -- what is seen from the controller, and of all hosts together ---------------------------------


def reach(seen: dict[str, Any], prints: dict[str, str]) -> list[Finding]:
    """Return findings of names and ports as the controller sees them.

    :param seen: "names": {name: {"addresses", "error", "ports": {port: why not, or ""}, "refused"}}, and
        "hosts": {host: {"ports": the same, "print": SHA-256 of the certificate that was served}}.
    :param prints: {host: SHA-256 of the certificate that is to be served}.
    """
    found = [finding for name, known in seen.get("names", {}).items() for finding in _name(name, known)]
    answered = any(known["addresses"] and not any(known["ports"].values()) for known in seen.get("names", {}).values())
    for host, known in seen.get("hosts", {}).items():
        closed = [] if answered else _closed(known)  # a load balancer may be the only one who may ask it
        if closed:
            what = f"port {', '.join(closed)} does not answer from here"
            found.append(Finding(BROKEN, what, "ports", "systemctl status nginx", host=host))
        if known.get("print") and prints.get(host) and known["print"] != prints[host]:
            what = "nginx serves another certificate than the newest one"
            found.append(Finding(BROKEN, what, "nginx", "sudo systemctl reload nginx", host=host))
    return found


def _closed(known: dict[str, Any]) -> list[str]:
    return [f"{port} ({why})" for port, why in known["ports"].items() if why]


def _name(name: str, known: dict[str, Any]) -> Iterator[Finding]:
    if not known["addresses"]:
        what = f"{name} has no address that is found from here: {known['error']}"
        yield Finding(BROKEN, what, name, f"getent ahosts {name}", here=True)
    elif closed := _closed(known):
        where = ", ".join(known["addresses"])
        what = f"{name} ({where}) does not answer from here on port {', '.join(closed)}"
        yield Finding(BROKEN, what, name, f"curl -sSI https://{name}/", here=True)
    elif known["refused"]:
        what = f"browsers refuse the certificate of {name}: {known['refused']}"
        yield Finding(BROKEN, what, name, f"curl -sSI https://{name}/", here=True)


def together(statuses: dict[str, dict[str, Any]], silent: list[str]) -> list[Finding]:
    """Return findings that only show between hosts."""
    found = [Finding(BROKEN, "nobody could look: see the error", "ssh", CHECK, host=host) for host in silent]
    serving: dict[str, list[str]] = {}
    for host, told in statuses.items():
        serving.setdefault(told.get("release") or "none", []).append(host)
    if len(serving) > 1:
        which = ", ".join(f"{release} on {' '.join(hosts)}" for release, hosts in serving.items())
        found.append(Finding(BROKEN, f"hosts serve different releases: {which}", "release", DEPLOY))
    return found
