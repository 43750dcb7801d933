"""HAProxy on a balancer: its files, its servers, and what both are asked and told."""

from __future__ import annotations

import csv
import errno
import os
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files, locks, systemd, told

CONF = "/etc/haproxy/haproxy.cfg"
PLACE = "/etc/haproxy/flask-deploy"
SOCKET = "/run/haproxy/admin.sock"
STATE = "/var/lib/flask-deploy/balancer/servers"
UNIT = "haproxy.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/flask-deploy.conf"
KEEPALIVED = "/etc/keepalived/keepalived.conf"
MOVES = "keepalived.service"
MOVES_DROP_IN = f"/etc/systemd/system/{MOVES}.d/flask-deploy.conf"
LOCK = f"{locks.RUN}/haproxy.lock"  # role nginx's keep_certificates takes it too
HEAD = b"Ansible managed"  # as templates say of themselves
PATIENCE = 60  # seconds for one command
ANSWERS = 5  # seconds for one answer of a running HAProxy
PORTS = (80, 443)
# Bits of srv_admin_state, HAProxy management guide, "show servers state".
MAINT, DRAIN = 0x01, 0x08
NO_STATES = b"1\n"  # the version of its format


class BalancerError(Exception):
    """A balancer does not do what it should; the message is for the person who deploys."""


def foreign() -> list[str]:
    """Return why a balancer cannot be ours: HAProxy or keepalived of somebody else, or a port that is taken."""
    lines = [
        f"{path} is somebody else's; move it away, or take another host for group balancer"
        for path, package in ((CONF, "haproxy"), (KEEPALIVED, "keepalived"))
        if not _ours(path, package)
    ]
    if lines or systemd.ask("is-active", UNIT).strip() == "active":
        return lines
    return [
        f"port {port} is taken; see by whom, there: sudo ss -ltnp 'sport = :{port}'" for port in PORTS if _taken(port)
    ]


def _ours(path: str, package: str) -> bool:
    """Tell whether a file is ours, or as its package brought it (dpkg-query(1), Conffiles), or not there."""
    content = files.read(path)
    if content is None or HEAD in content:
        return True
    done = command.attempt("dpkg", "--verify", package, limit=PATIENCE)
    known = command.attempt("dpkg-query", "--search", path, limit=PATIENCE).code == 0
    return known and path not in done.out.decode(errors="replace")


def _taken(port: int) -> bool:
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(("", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def sites(app: str, names: Iterable[str] | None) -> dict[str, list[str]]:
    """Return {app: its names} of all apps behind this balancer, with or (None) without one of them."""
    known = {}
    for entry in sorted(os.listdir(PLACE)) if os.path.isdir(PLACE) else []:
        if entry.endswith(".json"):
            known[entry.removesuffix(".json")] = files.read_json(f"{PLACE}/{entry}", {}).get("names", [])
    known.pop(app, None)
    return known | ({app: list(names)} if names is not None else {})


def shared(known: Mapping[str, list[str]]) -> dict[str, bytes]:
    """Return {path: content} of what HAProxy reads of all apps: which name is whose, and the certificates."""
    exact, suffixes = [], []
    for app, names in sorted(known.items()):
        exact += [f"{name} {app}\n" for name in names if not name.startswith("*.")]
        suffixes += [f"{name[1:]} {app}\n" for name in names if name.startswith("*.")]
    listed = [f"/etc/{app}/tls/current/fullchain.pem\n" for app in sorted(known)]
    texts = {"names.map": exact, "suffixes.map": suffixes, "certificates.list": listed}
    return {f"{PLACE}/{name}": "".join(lines).encode() for name, lines in texts.items()}


def present(app: str, options: Mapping[str, Any], dry: bool) -> list[str]:
    """Let HAProxy hand an app's requests to its hosts; return what was, or would be, done.

    :param options: ``names``, ``pages``, and the texts that library/balancer_site.py names.
    :raises BalancerError: HAProxy refuses the files, and those of before are back; or it does not start.
    """
    if said := foreign():
        raise BalancerError("; ".join(said))
    wanted = {
        CONF: options["config"].encode(),
        DROP_IN: options["unit"].encode(),
        f"{PLACE}/{app}.cfg": options["backend"].encode(),
        f"{PLACE}/{app}.pem": options["trusted"].encode(),
        f"{PLACE}/{app}.json": files.canonical({"names": options["names"]}) + b"\n",
        **{f"{PLACE}/{name}": text.encode() for name, text in options["pages"].items()},
        **shared(sites(app, options["names"])),
    }
    if options["keepalived"]:
        wanted |= {KEEPALIVED: options["keepalived"].encode(), MOVES_DROP_IN: options["moves"].encode()}
    changed = [path for path, content in wanted.items() if files.read(path) != content]
    if dry:
        return changed
    with told.owed("balancer", bool(changed)) as due:
        return changed + _write({path: wanted[path] for path in changed}, due)


def absent(app: str, dry: bool) -> list[str]:
    """Hand on an app's requests no more; return what was, or would be, done. Without an app HAProxy ends.

    :raises BalancerError: HAProxy refuses what is left.
    """
    ours = [path for path in (f"{PLACE}/{app}.{kind}" for kind in ("cfg", "json", "pem")) if os.path.exists(path)]
    if dry:
        return ours
    with told.owed("balancer", bool(ours)) as due:
        known = sites(app, None)
        if not known and due:
            systemd.ask("disable", "--now", MOVES, UNIT)
        for path in ours + ([] if known else [CONF, DROP_IN, KEEPALIVED, MOVES_DROP_IN]):
            if os.path.exists(path):
                files.remove(path)
        return ours + (_write(shared(known), due) if known else [])


def _write(texts: Mapping[str, bytes], due: bool) -> list[str]:
    before = {path: files.read(path) for path in texts}
    for folder in (PLACE, *(os.path.dirname(path) for path in (DROP_IN, MOVES_DROP_IN, STATE))):
        files.ensure_directory(folder)
    if not os.path.exists(STATE):
        files.write(STATE, NO_STATES)
    for path, content in texts.items():
        files.write(path, content)
    try:
        command.run("haproxy", "-c", "-q", "-f", CONF, "-f", PLACE, error=BalancerError, limit=PATIENCE)
    except BalancerError:
        for path, content in before.items():
            files.remove(path) if content is None else files.write(path, content)
        raise
    return _take_effect(texts, due)


def _take_effect(texts: Mapping[str, bytes], due: bool) -> list[str]:
    if due:
        systemd.ask("daemon-reload")
    units = [(UNIT, "restart" if DROP_IN in texts else "reload")]
    units += [(MOVES, "reload")] if MOVES_DROP_IN in texts or os.path.exists(MOVES_DROP_IN) else []
    done = []
    for unit, verb in units:
        if systemd.ask("is-enabled", unit).strip() != "enabled":
            command.run("systemctl", "enable", "--quiet", unit, error=BalancerError, limit=PATIENCE)
            done.append(f"{unit} enabled")
        runs = systemd.ask("is-active", unit).strip() == "active"
        if due or not runs:
            command.run("systemctl", verb if runs else "start", unit, error=BalancerError, limit=PATIENCE)
            done.append(f"{unit} {verb if runs else 'start'}ed")
    return done


def ask(words: str) -> str:
    """Return what a running HAProxy says to a command (management guide, "Unix Socket commands").

    :raises BalancerError: it does not answer.
    """
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(ANSWERS)
            door.connect(SOCKET)
            door.sendall(f"{words}\n".encode())
            return b"".join(iter(lambda: door.recv(65536), b"")).decode(errors="replace").strip()
    except OSError as error:
        raise BalancerError(
            f"HAProxy does not answer: {error.strerror}; type there: systemctl status haproxy"
        ) from error


def servers(app: str) -> dict[str, dict[str, Any]]:
    """Return {host: state} of an app's hosts: whether ``up``, ``out`` or ``drained``, and its ``sessions``.

    :raises BalancerError: HAProxy does not answer.
    """
    found: dict[str, dict[str, Any]] = {}
    rows = [line.split() for line in ask(f"show servers state {app}").splitlines()[2:]]
    for row in rows:
        flags = int(row[6])
        found[row[3]] = {"out": bool(flags & MAINT), "drained": bool(flags & DRAIN), "up": False, "sessions": 0}
    for row in csv.DictReader(ask("show stat").removeprefix("# ").splitlines()):
        if row["pxname"] in (app, f"{app}-writes") and row["svname"] in found:
            found[row["svname"]]["sessions"] += int(row["scur"] or 0)
            if row["pxname"] == app:
                found[row["svname"]]["up"] = row["status"].startswith("UP")
    return found


def tell(app: str, host: str, state: str) -> None:
    """Set a host's state: ``ready``, ``drain`` or ``maint``; a restart does not forget it.

    :raises BalancerError: HAProxy does not take it.
    """
    if said := ask(f"set server {app}/{host} state {state}"):
        raise BalancerError(f"HAProxy: {said}")
    lines = ask("show servers state").splitlines()
    kept = [line for line in lines[2:] if int(line.split()[6]) & (MAINT | DRAIN)]
    files.ensure_directory(os.path.dirname(STATE))
    files.write(STATE, "".join(f"{line}\n" for line in [*lines[:2], *kept]).encode())


def wait_until_idle(app: str, hosts: Iterable[str], seconds: float) -> dict[str, int]:
    """Wait until hosts have no sessions; return {host: sessions} of those that still have some at the end."""
    end = time.monotonic() + seconds
    while True:
        known = servers(app)
        busy = {host: known[host]["sessions"] for host in hosts if known[host]["sessions"]}
        if not busy or time.monotonic() > end:
            return busy
        time.sleep(0.5)
