"""What monit is to look at on a host, and what it is to call: monit(1)."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.flask_deploy.host import condition, timed

ETC = "/etc/flask-deploy/monitor"
WORK = "/var/lib/flask-deploy/monitor"
CALL = f"{timed.PLACE}/watch"
# Those of one file system are watched once.
PLACES = ("/", "/var", "/var/log", "/srv", "/boot", "/var/lib/docker", "/var/lib/postgresql")
MONITRC = """\
# Managed by Ansible: flask-deploy. An instance of its own: /etc/monit/monitrc is Debian's, and yours.
set daemon 30
set pidfile /run/flask-deploy-monitor.pid
set idfile {work}/monit.id
set statefile {work}/monit.state
set httpd unixsocket /run/flask-deploy-monitor.sock
    allow root:root # the socket is root's alone
set limits {{ programOutput: 1 kB }}
include {etc}/*.monit
"""
PROGRAM = """\
check program "{key}" with path "{call} {word}" timeout {timeout} seconds every {every} cycles
    if status != 0 for 3 cycles then {bad} else if succeeded then {good}
"""
FOUND = """\
check file "{key}" with path "{work}/found/{key}"
    if size > 0 B for {cycles} cycles then exec "{call} note {key}"
    else if succeeded for 4 cycles then exec "{call} note {key}"
"""
CHANGED = '    if changed checksum then exec "{call} note {key}"\n'
PROCESS = """\
check process "{key}" {which}
    if not exist for 2 cycles then {bad} else if succeeded then {good}
"""
SOCKET = """\
    if failed unixsocket {path} protocol {protocol} timeout 5 seconds for 2 cycles then {bad}
    else if succeeded for 2 cycles then {good}
"""
FILESYSTEM = """\
check filesystem "host.{what}.{path}" with path {path}
    if {measure} usage > 90% for 2 cycles then {bad} else if succeeded for 4 cycles then {good}
"""
MEMORY = """\
check system "host.memory"
    if memory usage > 95% for 2 cycles then {bad} else if succeeded for 4 cycles then {good}
"""


def of_monit() -> str:
    """Return monit's own settings."""
    return MONITRC.format(etc=ETC, work=WORK)


def calls(key: str) -> dict[str, str]:
    """Return what monit is to do when a key goes wrong, and when it is good again."""
    return {"bad": f'exec "{CALL} failed {key}"', "good": f'exec "{CALL} good {key}"'}


def found(key: str, cycles: int = 1, several: bool = False) -> str:
    """Return a check of what ``watch look`` finds.

    :param several: whether one thing may go wrong while another is wrong already.
    """
    told = {"key": key, "work": WORK, "call": CALL, "cycles": cycles}
    return FOUND.format(**told) + (CHANGED.format(**told) if several else "")


def of_host(mounts: list[str]) -> str:
    """Return monit's checks of a host, the same for all apps."""
    look = {"key": "host.look", "call": CALL, "word": "look", "timeout": 55, "every": 1, **calls("host.look")}
    tell = {
        "key": "host.tell",
        "call": CALL,
        "word": "tell",
        "timeout": 55,
        "every": 2,
        "bad": "alert",
        "good": "alert",
    }
    texts = [PROGRAM.format(**look), PROGRAM.format(**tell), MEMORY.format(**calls("host.memory"))]
    for path in mounts:
        for what, measure in (("disk", "space"), ("inodes", "inode")):
            key = f"host.{what}.{path}"
            texts.append(FILESYSTEM.format(what=what, path=path, measure=measure, **calls(key)))
    for name in ("nginx", "docker"):
        texts.append(PROCESS.format(key=f"host.{name}", which=f"with pidfile /run/{name}.pid", **calls(f"host.{name}")))
    texts += [found(f"host.{what}", several=True) for what in ("units", "asleep")]
    return "".join([*texts, found("host.clock", cycles=2)])


def of_app(settings: dict[str, Any]) -> str:
    """Return monit's checks of one app."""
    app, needs = settings["app"], settings["needs"]
    texts = [found(f"{app}.answers", cycles=2)]
    texts += [found(f"{app}.{what}") for what in ("errors", "slow", "certificate")]
    texts += [found(f"{app}.{what}", several=True) for what in ("jobs", "backup", "processes")]
    texts.append(found(f"{app}.release").splitlines(keepends=True)[0])
    texts.append(CHANGED.format(call=CALL, key=f"{app}.release"))
    if "postgres" in needs:
        key = f"{app}.postgres"
        texts.append(PROCESS.format(key=key, which='matching "/usr/lib/postgresql/[0-9]+/bin/postgres"', **calls(key)))
        path = "/run/postgresql/.s.PGSQL.5432"
        texts.append(SOCKET.format(path=path, protocol="pgsql", **calls(key)))
    if "valkey" in needs:
        key, path = f"{app}.valkey", settings["valkey"]
        texts.append(PROCESS.format(key=key, which=f'matching "{path}"', **calls(key)))
        texts.append(SOCKET.format(path=path, protocol="redis", **calls(key)))
    return "".join(texts)


def mounts(places: tuple[str, ...] = PLACES) -> list[str]:
    """Return those of some places, and of the disks mounted below, that lie on file systems of their own."""
    devices: dict[int, str] = {}
    for path in filter(os.path.isdir, (*places, *condition.mounted())):
        devices.setdefault(os.stat(path).st_dev, path)
    return list(devices.values())
