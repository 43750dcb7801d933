"""A backup of the cluster: a full one now and then, and what changed since in between."""

from __future__ import annotations

import time
from typing import Any

from keep_backups import report
from keep_backups.places import BackupError, Place
from keep_backups.restic import shown
from keep_backups.saving import SKEW

from . import pgbackrest
from .places import Archive

DAY = 86400
DAMAGED = (
    "pages of PostgreSQL on this host are damaged, and so they are in backup {}; earlier backups stay. See which, on "
    "the host: sudo -u postgres pg_amcheck --all --install-missing"
)
EARLY = 6 * 3600  # seconds; jitter must not make a weekly one an eight-day one


def save(archive: Archive, place: Place, full: bool = False) -> dict[str, Any]:
    """Back the cluster up; return what is told of it, see report.

    :raises BackupError: there is no new backup, or it is not whole. Earlier ones stay.
    """
    with report.under_way(place, "archive") as told:
        pgbackrest.ensure(archive, place)
        _see_clock(archive)
        kind = "full" if full or is_due(archive, time.time()) else "diff"
        pgbackrest.run(archive, f"--type={kind}", "backup")
        made = pgbackrest.sets(archive, damaged=True)[-1]
        if made.get("error"):
            raise BackupError(DAMAGED.format(made["label"]))
        told["set"], told["kind"] = made["label"], made["type"]
        told["bytes"], told["added"] = made["info"]["size"], made["info"]["repository"]["delta"]
    return told


def _see_clock(archive: Archive) -> None:
    newest = max((each["timestamp"]["stop"] for each in pgbackrest.sets(archive)), default=0)
    if newest - time.time() > SKEW:
        raise BackupError(f"the newest backup of PostgreSQL is of {shown(newest)}, which is to come: {report.CLOCK}")


def is_due(archive: Archive, now: float) -> bool:
    """Tell whether the newest full backup is too old to build on."""
    full = [each for each in pgbackrest.sets(archive) if each["type"] == "full"]
    limit = archive.settings()["full_days"] * DAY - EARLY
    return not full or now - full[-1]["timestamp"]["stop"] > limit
