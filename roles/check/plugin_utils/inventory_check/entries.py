"""Checks of variables that give names to entries with fields, such as app_processes."""

from __future__ import annotations

import difflib
import re
from typing import Any

from .exact import INT
from .values import Check


def entries(names: re.Pattern[str], fields: dict[str, Check], required: tuple[str, ...], example: str) -> Check:
    """Return a check of a map of maps.

    :param fields: {field: check of a value of whatever type}.
    """

    def check(values: dict[Any, Any]) -> str | None:
        for name, entry in values.items():
            if not isinstance(name, str) or not names.fullmatch(name):
                return f"{name!r} is not a name for it; example: {example}"
            if said := _entry(entry, fields, required):
                return f"{name}: {said}" if "example: " in said else f"{name}: {said}; example: {example}"
        return None

    return check


def _entry(entry: Any, fields: dict[str, Check], required: tuple[str, ...]) -> str | None:
    if not isinstance(entry, dict):
        return f"{entry!r} is not a map of {', '.join(fields)}"
    for field, value in entry.items():
        if field not in fields:
            near = difflib.get_close_matches(str(field), fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"supported are {', '.join(fields)}"
            return f"there is no {field!r} here; {hint}"
        if said := fields[field](value):
            return f"{field}: {said}"
    return next((f"{field} is missing" for field in required if field not in entry), None)


def whole(low: int, high: int) -> Check:
    """Return a check: a whole number within bounds."""

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not INT.fullmatch(str(value)):
            return f"{value!r} is not an int"
        return None if low <= int(value) <= high else f"{value} is not between {low} and {high}"

    return check


def text(check: Check) -> Check:
    """Return a check of what must be text first."""
    return lambda value: check(value) if isinstance(value, str) else f"{value!r} is not text"
