#!/usr/bin/python
"""Restore an app's database of PostgreSQL to a point in time."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils import restore_run as runs
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import places
from ansible.module_utils.flask_deploy.switch import pausing as pause
from ansible.module_utils.restore_asking import Refused, ask, word

DOCUMENTATION = r"""
module: restore_database
short_description: Restore an app's database of PostgreSQL to a point in time
description:
  - The backup is restored into a throw-away cluster and the app's database copied beside the one that serves, while the
    app serves. Then its processes stop, the databases change names, and they start again. If that fails, the database
    of before serves on.
  - Other apps' databases are not touched.
  - Nothing is done without the word that names what would be lost, unless the database is empty.
options:
  app: {type: str, required: true, description: Name of the app.}
  uid: {type: int, default: 10001, description: User id it runs as.}
  to: {type: str, required: true, description: "A time in UTC, the word latest, or the name of a restore point."}
  over: {type: str, default: "", description: "What would be lost, in the word that the refusal names."}
  server: {type: str, default: "", description: "Name of this host, where all that the app has here is restored."}
  timeout: {type: int, default: 60, description: Seconds that the app has to answer again.}
  owner: {type: dict, description: Who holds the app's lock, as app_lock told.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Restore the database
  restore_database:
    app: shop
    to: 2026-11-28T03:00:00Z
    over: shop-since-2026-11-28T03:00
"""

RETURN = r"""
lines: {type: list, returned: success, description: What was, or would be, done.}
"""

PLACE = "/var/lib/flask-deploy/restore"


def journal(app: places.App) -> str:
    """Return the file that says, while databases are exchanged, what was stopped for it."""
    return f"{PLACE}/{app.name}.json"


def refuse(app: places.App, found: dict[str, Any], to: str, over: str, server: str = "") -> None:
    """See that whoever restores knows what would be lost.

    :raises Refused: the word is missing, or is of another time.
    """
    count, wanted = sum(found["here"].values()), word(app.name, found["moment"], server)
    if count and over != wanted:
        raise Refused(
            f"the database of {app.name} has {count} rows in {len(found['here'])} tables here. Restoring it to {to} "
            f"loses what was written since. If that is meant, type: -e restore_over={wanted}"
        )


def restore(app: places.App, options: dict[str, Any], dry: bool) -> list[str]:
    """Restore; return what was, or would be, done in lines for people."""
    began, to = time.monotonic(), options["to"]
    if not dry:
        put_back(app, options["timeout"])
    found = ask("keep_archive", "plan", app.name, to)
    refuse(app, found, to, options["over"], options["server"])
    if dry:
        return [f"would restore the database of {app.name} to {to} from backup {found['set']}"]
    fetched = ask("keep_archive", "load", app.name, to)
    away, before = exchange(app, options["timeout"])
    rows = [
        f"  {table}: {number} rows (before: {found['here'].get(table, 0)})"
        for table, number in fetched["tables"].items()
    ]
    source = f"backup {fetched['set']}; its last change is of {fetched['until']}"
    said = f"restored the database of {app.name} to {to} from {source}"
    took = f"took {time.monotonic() - began:.0f} s, of which the app was away {away:.0f} s"
    return [said, *rows, took, f"what was there before can be had again: -e restore_time={before}"]


def exchange(app: places.App, timeout: float) -> tuple[float, str]:
    """Exchange the databases while the app's processes rest.

    Return for how many seconds, and the time to which all that was written before can be had again.
    """
    running = pause.look(app)
    files.ensure_directory(PLACE, 0o700)
    files.write_json(journal(app), running, 0o600)
    times, swapped = [], "the restored database"

    def swap() -> None:
        times.append(next_second())
        ask("keep_archive", "exchange", app.name)

    seconds = runs.away(app, running, timeout, swap, put_back, swapped)
    files.remove(journal(app))
    ask("keep_archive", "keep", app.name)
    return seconds, times[-1]


def next_second() -> str:
    """Wait for the next second to begin, as restore_time takes whole ones; return it."""
    time.sleep(1 - time.time() % 1)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def put_back(app: places.App, timeout: float) -> bool:
    """Put back and start again what a run left half-way; return whether one did."""
    paused = files.read_json(journal(app))
    if paused is None:
        return False
    runs.again(app, paused, timeout, lambda: ask("keep_archive", "settle", app.name))
    files.remove(journal(app))
    return True


def main() -> None:
    runs.run({"to": {"type": "str", "required": True}}, restore)


if __name__ == "__main__":
    main()
