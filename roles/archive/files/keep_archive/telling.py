"""How the backups of PostgreSQL are, and what of that somebody should mend."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.flask_deploy.host import files, postgres
from keep_backups import report
from keep_backups.places import Place
from keep_backups.restic import shown

from . import waiting
from .places import Archive

ENDED = (
    "PostgreSQL of this host is in no backup since app {} was removed, which kept it; type: ansible-playbook site.yml "
    "-i inventories/..."
)
KINDS = (("archive", "at", "archive"), ("archive_drill", "drill_at", "archive-drill"))


def lines(place: Place, now: float) -> list[str]:
    """Return how the backups of PostgreSQL are, for people."""
    good = report.known(place).get("good_archive")
    if not good:
        return ["PostgreSQL: no backup yet"]
    size, added = report.megabytes(good["bytes"]), report.megabytes(good["added"])
    said = [f"PostgreSQL: {report.of(good, now)}, {good['kind']}, {size}, {added} of it new, {good['set']}"]
    drill = report.known(place).get("good_archive_drill")
    said.append(
        f"PostgreSQL drill: {report.of(drill, now)}, {drill['set']} restored" if drill else "PostgreSQL drill: none yet"
    )
    return said + [
        f"  {name}: {', '.join(rows) or 'no tables'}" for name, rows in (drill or {}).get("databases", {}).items()
    ]


def problems(archive: Archive, place: Place, now: float) -> list[str]:
    """Return what somebody should mend, a line each."""
    settings, known = archive.settings(), report.known(place)
    since = known.get("archive_since", settings["since"])
    backup = (known.get("good_archive") or {}).get("began", 0)
    return waiting.problems(archive, now, backup) + report.overdue(place, {**settings, "since": since}, now, KINDS)


def tell(place: Place, now: float, archive: Archive | None = None) -> tuple[list[str], list[str]]:
    """Return (how they are, what to mend) where they are kept with an app's backups."""
    archive = archive or Archive()
    who = keeper(archive)
    if who == place.app:
        return lines(place, now), problems(archive, place, now)
    mine = postgres.has_database(place.app)
    if who:
        said = [f"PostgreSQL: its backups are kept with those of app {who}"]
        return said, problems(archive, Place(who, place.root), now) if mine else []
    ended = files.read_json(archive.ended) if mine else None
    return [], [ENDED.format(ended["app"])] if ended else []


def keeper(archive: Archive | None = None) -> str:
    """Return the app whose backups the archive is kept with; nothing where there is none."""
    return files.read_json(f"{(archive or Archive()).etc}/settings.json", {}).get("app", "")


def summary(place: Place) -> str:
    """Return what came of the last backup, in a line.

    :raises BackupError: it failed, or was cut off.
    """
    report.see(place, "archive")
    return lines(place, time.time())[0]


def described(each: dict[str, Any]) -> str:
    """Return a backup for people."""
    return f"{each['label']} {each['type']} {shown(each['timestamp']['stop'])}"
