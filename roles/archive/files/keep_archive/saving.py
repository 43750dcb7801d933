"""A backup of the cluster: a full one now and then, and what changed since in between."""

from __future__ import annotations

import time
from typing import Any

from keep_backups import report
from keep_backups.places import Place

from . import pgbackrest
from .places import Archive

DAY = 86400
EARLY = 6 * 3600  # seconds; jitter must not make a weekly one an eight-day one


def save(archive: Archive, place: Place, full: bool = False) -> dict[str, Any]:
    """Back the cluster up; return what is told of it, see report.

    :raises BackupError: there is no new backup. Earlier ones stay.
    """
    with report.under_way(place, "archive") as told:
        pgbackrest.ensure(archive, place)
        kind = "full" if full or is_due(archive, time.time()) else "diff"
        pgbackrest.run(archive, f"--type={kind}", "backup")
        made = pgbackrest.newest(archive)
        told["set"], told["kind"] = made["label"], made["type"]
        told["bytes"], told["added"] = made["info"]["size"], made["info"]["repository"]["delta"]
    return told


def is_due(archive: Archive, now: float) -> bool:
    """Tell whether the newest full backup is too old to build on."""
    full = [each for each in pgbackrest.sets(archive) if each["type"] == "full"]
    limit = archive.settings()["full_days"] * DAY - EARLY
    return not full or now - full[-1]["timestamp"]["stop"] > limit
