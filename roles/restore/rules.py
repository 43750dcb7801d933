"""Which values of role restore's variables can work."""

from __future__ import annotations

import re
import time
from typing import Any

from inventory_check.values import APP, pattern

TIME = re.compile(r"latest|\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z|", re.ASCII)
TIME_EXAMPLE = "-e restore_time=2026-11-28T03:00:00Z"
POINT = re.compile(r"[A-Za-z0-9][\w.-]{0,62}|", re.ASCII)
POINT_EXAMPLE = "-e restore_point=shop-20261128T030000Z-5f0c"
STAMP = re.compile(r"-(\d{8}T\d{6})Z-")  # of a restore point, as role archive reads it


def moment(value: str) -> str | None:
    """Say what is no time of a calendar, or not written as one."""
    if said := pattern(TIME, TIME_EXAMPLE)(value):
        return said
    if value in ("", "latest") or any(_is_time(value, form) for form in ("%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ")):
        return None
    return f"{value!r} is no time of a calendar; example: {TIME_EXAMPLE}"


def point(value: str) -> str | None:
    """Say what is no name of a restore point."""
    stamp = STAMP.search(value)
    if stamp and not _is_time(stamp[1], "%Y%m%dT%H%M%S"):
        return f"{value!r} has no time of a calendar in it; example: {POINT_EXAMPLE}"
    return pattern(POINT, POINT_EXAMPLE)(value)


def _is_time(text: str, form: str) -> bool:
    try:
        time.strptime(text, form)
    except ValueError:
        return False
    return True


CHECKS = {
    "restore_app": pattern(re.compile(f"({APP.pattern})|"), "-e restore_app=shop"),
    "restore_snapshot": pattern(re.compile(r"latest|[0-9a-f]{6,64}"), "-e restore_snapshot=3f9a0c41"),
    "restore_time": moment,
    "restore_point": point,
    "restore_over": pattern(
        re.compile(r"([a-z](-?[a-z0-9])*-(since-\d{4}-\d\d-\d\dT\d\d:\d\d|on-[\w.:-]+))|", re.ASCII),
        "-e restore_over=shop-since-2026-11-28T03:00",
    ),
}
EXAMPLES: dict[str, Any] = {
    "restore_time": "2026-11-28T03:00:00Z",
    "restore_point": "shop-20261128T030000Z-5f0c",
    "restore_over": "shop-since-2026-11-28T03:00",
}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    if not (values.get("restore_time") or values.get("restore_point")):
        return []
    mistakes = []
    if values.get("restore_time") and values.get("restore_point"):
        mistakes.append("restore_point: is there beside restore_time; keep one of them")
    if "postgres" not in values.get("app_needs", []) or not values.get("archive_to"):
        said = "needs a database of app_needs: [postgres], and its backups; for files write restore_snapshot"
        mistakes.append(f"{'restore_time' if values.get('restore_time') else 'restore_point'}: {said}")
    return mistakes
