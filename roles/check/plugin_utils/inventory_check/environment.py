"""What an app is told: names and values of its environment, secrets and secret files."""

from __future__ import annotations

import re
from typing import Any

from .exact import unquoted

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment(values: dict[Any, Any]) -> str | None:
    for name, value in values.items():
        if not isinstance(name, str):
            return f"{name!r} is not text, as YAML reads words such as NO; put it in quotes, example: 'NO'"
        if not VARIABLE.fullmatch(name):
            return f"{name!r} is not a name of an environment variable; example: DATABASE_URL"
        if value is None:
            return f'{name} has no value; write "" if it is meant to be empty'
    return unquoted(values)
