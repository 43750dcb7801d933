#!/usr/bin/python
"""Restore an app's data, secrets and certificates from a backup."""

from __future__ import annotations

import contextlib
import os
import time
from contextlib import AbstractContextManager
from typing import Any

from ansible.module_utils import restore_run as runs
from ansible.module_utils.flask_deploy.host import locks
from ansible.module_utils.flask_deploy.release import places
from ansible.module_utils.flask_deploy.switch import pausing as pause
from ansible.module_utils.restore_asking import Refused, ask, word
from ansible.module_utils.restore_swap import Swap

DOCUMENTATION = r"""
module: restore_app
short_description: Restore an app's data, secrets and certificates from a backup
description:
  - The backup is fetched and checked while the app serves. Then its processes stop, what was there moves aside, and
    they start again. If that fails, all is put back.
  - Where the app has data, nothing is done without the word that names what would be lost.
options:
  app: {type: str, required: true, description: Name of the app.}
  uid: {type: int, default: 10001, description: User id it runs as.}
  owner: {type: dict, description: Who holds the app's lock, as app_lock told.}
  snapshot: {type: str, default: latest, description: Which backup.}
  over: {type: str, default: "", description: "What would be lost, in the word that the refusal names."}
  server: {type: str, default: "", description: "Name of this host, where all that the app has here is restored."}
  timeout: {type: int, default: 60, description: Seconds that the app has to answer again.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Restore
  restore_app:
    app: shop
    over: shop-since-2026-11-28T03:00
"""

RETURN = r"""
lines: {type: list, returned: success, description: What was, or would be, done.}
"""

WAIT = 900  # seconds for a backup that is under way


def there(app: places.App) -> tuple[int, float]:
    """Return (how many files an app has, when the newest was written)."""
    count, newest = 0, 0.0
    for root in (f"{app.root}/data", app.kept, app.etc):
        for folder, _folders, names in os.walk(root):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # the app is at work
                    newest = max(newest, os.lstat(os.path.join(folder, name)).st_mtime)
                    count += 1
    return count, newest


def refuse(app: places.App, found: dict[str, Any], over: str, server: str = "") -> None:
    """See that whoever restores knows what would be lost.

    :raises Refused: the word is missing, or is of another backup.
    """
    count, newest = there(app)
    wanted = word(app.name, found["time"], server)
    if count and over != wanted:
        written = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(newest))
        raise Refused(
            f"{app.name} has {count} files here, the newest of {written}. Restoring snapshot {found['snapshot'][:8]} "
            f"loses what was written since it was made. If that is meant, type: -e restore_over={wanted}"
        )


def restore(app: places.App, options: dict[str, Any], dry: bool) -> list[str]:
    """Restore; return what was, or would be, done in lines for people."""
    began, found = time.monotonic(), ask("keep_backups", "fetch", app.name, options["snapshot"])
    if not dry:
        put_back(app, options["timeout"])
    refuse(app, found, options["over"], options["server"])
    of = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found["time"]))
    if dry:
        return [f"would restore {app.name} from snapshot {found['snapshot'][:8]} of {of}"]
    swap = Swap(app)
    swap.prepare()
    try:
        fetched = ask("keep_backups", "fetch", app.name, found["snapshot"], swap.tree)
        moves = swap.moves()
        away = exchange(app, swap, moves, options["timeout"])
    finally:
        if not os.path.exists(swap.journal):
            swap.clean()
    paths = ", ".join(each["path"] for each in moves)
    said = f"restored {paths} from snapshot {found['snapshot'][:8]} of {of}"
    databases = [f"{path}: {sum(filter(None, rows.values()))} rows" for path, rows in fetched["databases"].items()]
    took = f"took {time.monotonic() - began:.0f} s, of which the app was away {away:.0f} s"
    return [said, *databases, took]


def exchange(app: places.App, swap: Swap, moves: list[dict[str, Any]], timeout: float) -> float:
    """Exchange what is there while the app's processes rest; return for how many seconds."""
    running = pause.look(app)
    swap.note([], running)
    seconds = runs.away(app, running, timeout, lambda: swap.exchange(moves, running), put_back, "the backup")
    swap.keep()
    return seconds


def put_back(app: places.App, timeout: float) -> bool:
    """Put back and start again what a run left half-way; return whether one did."""
    swap = Swap(app)
    paused = swap.paused()
    if not paused:
        return False
    runs.again(app, paused, timeout, swap.undo)
    return True


def main() -> None:
    def held(name: str) -> AbstractContextManager[None]:
        return locks.locked(f"{locks.RUN}/backup-{name}.lock", WAIT)  # or a backup would see half of it

    runs.run({"snapshot": {"type": "str", "default": "latest"}}, restore, held)


if __name__ == "__main__":
    main()
