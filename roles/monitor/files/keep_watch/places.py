"""Where the watch has its settings and its notes on the host."""

from __future__ import annotations

import glob
import os
from typing import Any

from ansible.module_utils.flask_deploy.host import files, locks

ETC = "/etc/flask-deploy/monitor"  # a file of settings for each app, and monit's own
WORK = "/var/lib/flask-deploy/monitor"
SPARE = f"{locks.RUN}/monitor-record.json"  # of what was told, while the disk takes nothing
PID = "/run/flask-deploy-monitor.pid"  # of monit
LOCKS = {name: f"{locks.RUN}/monitor-{name}.lock" for name in ("record", "tell")}
HOST = "host"  # what is not one app's; no app has that name
EVENTS = "release"  # what happens, and is not well or ill


def settings() -> dict[str, dict[str, Any]]:
    """Return {app: its settings} of the apps that are watched here."""
    paths = sorted(glob.glob(f"{ETC}/*.json"))
    return {os.path.basename(path)[:-5]: known for path in paths if (known := files.read_json(path))}


def found(key: str) -> str:
    """Return the path of what was last found for a key; it is empty where all is well, and monit looks at its size."""
    return f"{WORK}/found/{key}"


def items(key: str) -> dict[str, str]:
    """Return {item: what is wrong with it} of what was last found for a key."""
    lines = (files.read(found(key)) or b"").decode(errors="replace").splitlines()
    return {item: text for item, _, text in (line.partition("\t") for line in lines)}


def line(text: str) -> str:
    """Return a text as one line that everybody can take: a program may have printed anything."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def keep(key: str, known: dict[str, str], now: float) -> None:
    """Write down what was found for a key, where that is another than before; the file's time is that of the look."""
    text = "".join(f"{item}\t{line(text)}\n" for item, text in sorted(known.items()))
    path = found(key)
    if files.read(path) != text.encode():
        files.write(path, text.encode(), 0o600)
    os.utime(path, (now, now))
