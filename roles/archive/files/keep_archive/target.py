"""How far a database goes back: to a time, to a named restore point, or to the newest that there is."""

from __future__ import annotations

import re
import time
from calendar import timegm
from dataclasses import dataclass

from keep_backups.places import BackupError

TIME = "%Y-%m-%dT%H:%M:%SZ"
STAMP = re.compile(r"-(\d{8}T\d{6}Z)-")  # in the name of a restore point: when it was made

LABEL = re.compile(r"\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?")  # pgbackrest's name of a backup


@dataclass
class Target:
    """What to go back to.

    :ivar words: pgbackrest's.
    :ivar moment: seconds since 1970; None for the newest.
    :ivar label: the backup that is meant.
    """

    words: list[str]
    moment: float | None
    label: str = ""


def read(text: str) -> Target:
    """Return the target of a time such as 2026-11-28T03:00:00Z, of the word latest, of a restore point or of a backup.

    A backup such as 20261128-030000F leads to the end of what its server wrote.

    :raises BackupError: it is to come.
    """
    if text == "latest" or LABEL.fullmatch(text):
        return Target(["--type=default"], None, "" if text == "latest" else text)
    if found := re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?Z", text):
        moment = timegm(time.strptime(f"{found[1]}{found[2] or ':00'}Z", TIME))
        if moment > time.time():
            raise BackupError(f"restore_time: {text} is to come; times are in UTC, and now it is {shown(time.time())}")
        when = time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(moment))
        return Target(["--type=time", f"--target={when}", "--target-action=promote"], moment)
    stamp = STAMP.search(text)
    moment = timegm(time.strptime(stamp[1], "%Y%m%dT%H%M%SZ")) if stamp else None
    return Target(["--type=name", f"--target={text}", "--target-action=promote"], moment)


def shown(moment: float) -> str:
    """Return a time as restore_time takes it."""
    return time.strftime(TIME, time.gmtime(moment))
