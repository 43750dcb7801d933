"""A drill: the newest backup is restored to a throw-away directory, opened and compared. It proves that it would do."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.flask_deploy.host import files

from . import databases, report
from .fetching import fetch
from .places import BackupError, Place, prepare
from .restic import Restic, moment, shown


def drill(place: Place) -> dict[str, Any]:
    """Restore the newest backup, look at it, and remove it again; return what is told of it, see report.

    :raises BackupError: it does not restore as it was saved.
    """
    with report.under_way(place, "drill") as told:
        restic = Restic(place)
        if restic.identity() is None:
            raise BackupError(f"there is no repository at {restic.settings['to']}: no backup was made there yet")
        restic.unlock()
        newest = restic.snapshot("latest")
        told["snapshot"], told["of"] = newest["id"][:8], moment(newest["time"])
        restic.run("check", f"--read-data-subset={restic.settings['drill_read']}")
        try:
            prepare(place.drill)
            saved = fetch(place, restic, newest, place.drill)
            told["files"] = sum(len(names) for _folder, _folders, names in os.walk(place.drill))
        finally:
            if os.path.lexists(place.drill):
                files.remove_tree(place.drill)
        told["databases"] = _beside_live(saved, restic.settings["uid"])
        late = report.due(restic.settings["at"], told["of"]) + restic.settings["jitter"] * 60 + report.GRACE
        # What was to come since this began waits for its end.
        if told["began"] > late and not report.at_work(place, *report.BACKUP):
            raise BackupError(f"it restores, but the newest backup is of {shown(told['of'])}: backups are late")
    return told


def _beside_live(saved: dict[str, Any], uid: int) -> dict[str, list[str]]:
    """Return {database: [table with its rows in the backup and now]}."""
    found = databases.ask({"do": "count", "paths": [p for p in saved if os.path.exists(p)], "check": False}, uid)
    live = {path: found.get(path, {}).get("tables") or {} for path in saved}
    return {
        path: [
            f"{name} {_rows(rows)} rows (live {_rows(live[path].get(name))})" for name, rows in sorted(tables.items())
        ]
        for path, tables in saved.items()
    }


def _rows(number: int | None) -> str:
    return "?" if number is None else str(number)
