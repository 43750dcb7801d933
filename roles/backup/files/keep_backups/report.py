"""What is known of an app's backups and drills, and what of it somebody should mend."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files, process

from .places import BackupError, Place
from .restic import shown

DAY = 86400
GRACE = 3600  # seconds that a backup may take before it is late
WORDS = {
    "backup": "the backup",
    "drill": "the drill",
    "archive": "the backup of PostgreSQL",
    "archive_drill": "the drill of PostgreSQL",
}
BACKUP = ("backup", "backup")  # what, and its unit
KINDS = (("backup", "at", "backup"), ("drill", "drill_at", "drill"))  # what, its calendar's setting, its unit
ELAPSE = re.compile(
    r"^\s*(?:\(in UTC\)|Next elapse): \S+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? UTC$", re.MULTILINE
)


def known(place: Place) -> dict[str, Any]:
    return files.read_json(place.status, {})


def note(place: Place, **what: Any) -> None:
    """Write down what is known now; what is not named stays as it was."""
    files.ensure_directory(place.work, 0o711)
    files.write_json(place.status, {**known(place), **what}, 0o600)


@contextmanager
def under_way(place: Place, what: str) -> Iterator[dict[str, Any]]:
    """Write down that a backup or a drill begins, and how it ends, even by an error.

    :param what: backup or drill.
    :return: what is to be told of it; "error" in it makes it one that failed.
    """
    told: dict[str, Any] = {"began": time.time(), "error": "", "remarks": []}
    me = [os.getpid(), process.started(os.getpid())]
    note(place, running={"what": what, "began": told["began"], "process": me})
    try:
        yield told
    except BaseException as error:
        told["error"] = str(error) or type(error).__name__
        raise
    finally:
        told["ended"] = time.time()
        told["seconds"] = round(told["ended"] - told["began"], 1)
        good = {} if told["error"] else {f"good_{what}": told}
        note(place, running=None, **{what: told}, **good)


def due(at: str, after: float) -> float:
    """Return when a calendar of systemd's elapses next after a time, both in seconds since 1970 (systemd.time(7))."""
    words = ("systemd-analyze", "calendar", f"--base-time=@{int(after)}", "--", at)
    with_words = command.attempt(*words, limit=30, environment={"LC_ALL": "C"})
    found = ELAPSE.search(with_words.out.decode(errors="replace"))
    if not found:
        return after + DAY
    moment = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return moment.timestamp()


def problems(place: Place, settings: dict[str, Any], now: float) -> list[str]:
    """Return what somebody should mend, a line each; none where all is well."""
    told = known(place)
    lines = [] if told.get("running") is None else _cut_off(told["running"])
    return lines + overdue(place, settings, now, KINDS)


def runs(place: Place) -> dict[str, dict[str, Any]]:
    """Return for each kind of run that was made {"good": when the last good one began, or None, "failed": the last}."""
    told = known(place)
    return {
        what: {"good": (told.get(f"good_{what}") or {}).get("began"), "failed": bool(told[what].get("error"))}
        for what, _calendar, _unit in KINDS
        if told.get(what)
    }


def overdue(place: Place, settings: dict[str, Any], now: float, kinds: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return which of some kinds of runs failed or are late, a line each.

    :param kinds: see KINDS.
    """
    told, app, lines = known(place), place.app, []
    for what, calendar, unit in kinds:
        last, good = told.get(what) or {}, told.get(f"good_{what}") or {}
        if last.get("error"):
            lines.append(f"{WORDS[what]} of {shown(last['began'])} failed: {last['error']}")
            continue
        since = good.get("began", max(settings["since"], told.get("since", 0)))
        if since > now + GRACE:
            when = "the last good one is" if good else "its settings are"
            lines.append(f"{WORDS[what]}: {when} of {shown(since)}, which is to come: {CLOCK}")
            continue
        late = due(settings[calendar], since) + settings["jitter"] * 60 + GRACE
        if now > late and not at_work(place, what, unit):
            when = f"the last good one is of {shown(since)}" if good else "there was none yet"
            look = f"look on the host: systemctl status flask-deploy-{unit}@{app}.timer"
            lines.append(f"{WORDS[what]} is late, {when}; {look}")
    return lines


def at_work(place: Place, what: str, unit: str) -> bool:
    """Tell whether a run of a kind is under way, or waits for the end of another one.

    :param unit: see KINDS.
    """
    running = known(place).get("running") or {}
    if running.get("what") == what and _lives(running):
        return True
    words = ("systemctl", "show", "--property=ActiveState", "--value", f"flask-deploy-{unit}@{place.app}.service")
    try:
        return command.attempt(*words, limit=30).out.strip() == b"activating"  # its unit ends a run that hangs
    except FileNotFoundError:
        return False


CLOCK = "this host's clock is or was wrong; type there: sudo timedatectl set-ntp true"


def _cut_off(running: dict[str, Any]) -> list[str]:
    if _lives(running):
        return []
    return [f"{WORDS[running['what']]} that began at {shown(running['began'])} was cut off; the next one mends that"]


def _lives(running: dict[str, Any]) -> bool:
    pid, born = running["process"]
    return process.started(pid) == born


def lines(place: Place, now: float) -> list[str]:
    """Return how the backups are, for people."""
    told = known(place)
    good, drill = told.get("good_backup"), told.get("good_drill")
    said = [f"backup: {of(good, now)}" if good else "backup: none yet"]
    if good:
        added = megabytes(good["added"])
        said[0] += (
            f", {good['files']} files, {megabytes(good['bytes'])}, {added} of it new, snapshot {good['snapshot']}"
        )
    said.append(f"drill: {of(drill, now)}, snapshot {drill['snapshot']} restored" if drill else "drill: none yet")
    for name, tables in (drill or {}).get("databases", {}).items():
        said.append(f"  {name}: {', '.join(tables) or 'no tables'}")
    for what in ("backup", "drill"):
        said += [f"{what}: {remark}" for remark in (told.get(what) or {}).get("remarks", [])]
    return said


def of(told: dict[str, Any], now: float) -> str:
    """Return of when a good run is, for people."""
    hours = max(0, now - told["began"]) / 3600
    age = f"{hours / 24:.0f} days" if hours > 48 else f"{hours:.0f} hours"
    return f"good of {shown(told['began'])} ({age} ago, took {told['seconds']:.0f} s)"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def summary(place: Place, what: str) -> str:
    """Return what came of the last backup or drill, in a line.

    :raises BackupError: it failed, or was cut off.
    """
    see(place, what)
    return lines(place, time.time())[0 if what == "backup" else 1]


def see(place: Place, what: str) -> None:
    """See that the last run of a kind ended well.

    :raises BackupError: it failed, was cut off, or there was none.
    """
    told = known(place).get(what) or {}
    if not told or told["error"]:
        raise BackupError(told.get("error") or f"there was no run of {WORDS[what]} yet")
