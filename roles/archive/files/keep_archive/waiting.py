"""Whether what PostgreSQL writes gets away from the host: parts of its log that wait too long are an alarm."""

from __future__ import annotations

import contextlib
import os
import re
import time

from .causes import explain
from .places import Archive

PATIENCE = 900  # seconds that a part may wait
READ = 65536  # bytes of PostgreSQL's log, from its end
DROPPED = "dropped WAL file"


def oldest(archive: Archive) -> float | None:
    """Return since when the oldest part waits, in seconds since 1970; None where none does."""
    place = f"{archive.data()}/pg_wal/archive_status"
    if not os.path.isdir(place):
        return None
    with os.scandir(place) as found:
        waiting = [each for each in found if each.name.endswith(".ready")]
    times = []
    for each in waiting:
        with contextlib.suppress(FileNotFoundError):  # PostgreSQL renames it once it is archived
            times.append(each.stat().st_mtime)
    return min(times, default=None)


def problems(archive: Archive, now: float, backup: float) -> list[str]:
    """Return what is wrong with the archive, a line each.

    :param backup: when the last good backup began: what was lost before it does no harm.
    """
    since, said = oldest(archive), log_end(archive)
    lines = []
    if since is not None and now - since > PATIENCE:
        why = explain(_errors(said), archive.settings()["to"], "archive-push")
        minutes = (now - since) / 60
        lines.append(f"the archive of PostgreSQL is late: a part of its log waits for {minutes:.0f} minutes; {why}")
    if dropped := [line for line in said.splitlines() if DROPPED in line and _moment(line) > backup]:
        lines.append(
            f"PostgreSQL let go of {len(dropped)} parts of its log because more than archive_queue waited: times "
            "before the next backup cannot all be restored; back up now: flask-deploy backup"
        )
    return lines


def _moment(line: str) -> float:
    """Return when a line of pgbackrest's was written, in seconds since 1970; now where it does not say."""
    found = re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line)
    return time.mktime(time.strptime(found[0], "%Y-%m-%d %H:%M:%S")) if found else time.time()


def log_end(archive: Archive) -> str:
    """Return the end of PostgreSQL's log."""
    path = f"/var/log/postgresql/postgresql-{archive.settings()['version']}-main.log"
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - READ))
        return file.read().decode(errors="replace")


def _errors(text: str) -> str:
    """Return the last error of pgbackrest in PostgreSQL's log."""
    found = re.findall(r"ERROR: \[\d+\]: .*(?:\n {3,}.*)*", text)
    return found[-1] if found else "it does not say why"
