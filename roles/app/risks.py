"""Settings of role app that work and are seldom meant: one line each, which shows no value and stops nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SECRET = re.compile(r"(?!.*(PUBLIC|PUBLISHABLE|SITE_KEY))(\w*_)?(KEY|SECRET|PASS|PASSWORD|PASSWD|PWD|TOKEN|SALT)_?\d*")
OPEN = 8  # characters; a shorter value is a word such as "email", and no secret
INSIDE = re.compile(r"[\w+]+://[^/\s:@]*:[^/\s@]+@")  # a password in an address
DEBUG = re.compile("(FLASK|APP)_DEBUG|DEBUG")
OFF = re.compile("|0|false|no|off|none|f|n", re.IGNORECASE)
STORE = re.compile("(FLASK_)?JWT_STORE_PATH")
WORKER = 40 << 20  # bytes; a worker with an empty Flask app takes 36 MB
GOOD = 64  # MB for a worker of a small app, in what to write
UNITS = {"k": 10, "m": 20, "g": 30}


def warnings(values: dict[str, Any], hosts: list[str], processors: int) -> list[str]:
    """Return the lines on an inventory that has no mistakes.

    :param processors: of the host that is looked at.
    """
    return [*exposed(values["app_env"]), *apart(values, len(hosts)), *crowded(values, processors)]


def exposed(environment: Mapping[str, Any]) -> list[str]:
    """Return what of an environment others should not see, or would see by it."""
    texts = {name: str(value) for name, value in environment.items()}
    secret = [name for name, text in texts.items() if _secret(name, text)]
    debug = [name for name, text in texts.items() if DEBUG.fullmatch(name) and not OFF.fullmatch(text.strip())]
    debug += [name for name in ("FLASK_ENV", "APP_ENV") if texts.get(name, "").lower().startswith("dev")]
    lines = []
    if secret:
        lines.append(
            f"app_env: these look secret: {', '.join(secret)}; write them into app_secrets, which no release keeps"
        )
    if debug:
        lines.append(f"app_env: debugging is on by {', '.join(debug)}: errors show the app's code; remove it")
    return lines


def _secret(name: str, text: str) -> bool:
    plain = text.startswith("/") or len(text) < OPEN
    return bool(INSIDE.search(text)) or (bool(SECRET.fullmatch(name.upper())) and not plain)


def apart(values: Mapping[str, Any], hosts: int) -> list[str]:
    """Return the databases of which each host would have one of its own."""
    lines = []
    for variable in ("app_env", "app_secrets") if hosts > 1 else ():
        for name, value in values[variable].items():
            if STORE.fullmatch(name) and value:
                way_out = f'give JWT(store=…) one that they share, or write {name}: ""'
            elif "sqlite" in str(value).lower():
                way_out = "write the address of one that they share, such as PostgreSQL's"
            else:
                continue
            lines.append(f"{variable}: {name} is a file, and each of the {hosts} hosts has its own; {way_out}")
    return lines


def crowded(values: Mapping[str, Any], processors: int) -> list[str]:
    """Return a line where gunicorn's workers cannot fit into the app's memory."""
    workers = values["app_workers"] or max(2, processors)
    size = values["app_memory"]
    memory = int(size[:-1]) << UNITS[size[-1]]
    if values["app_server"].startswith("port:") or memory >= workers * WORKER:
        return []
    why = "" if values["app_workers"] else f" (one for each of the {processors} processors)"
    fits = max(1, (memory >> 20) // GOOD)
    return [
        f"app_workers: {workers} workers{why} have {(memory >> 20) // workers} MB each of app_memory, and a small app "
        f"needs {GOOD} MB; write app_workers: {fits}, or app_memory: {workers * GOOD}m"
    ]
