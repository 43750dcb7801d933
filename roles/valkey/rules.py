"""Which values of role valkey's variables can work."""

from __future__ import annotations

import re
from typing import Any

from inventory_check import given
from inventory_check.values import SIZE, VARIABLE, pattern

CHECKS = {
    "valkey_memory": pattern(SIZE, "valkey_memory: 128m"),
    "valkey_variable": pattern(VARIABLE, "valkey_variable: REDIS_URL"),
    "valkey_celery_variable": pattern(
        re.compile(f"({VARIABLE.pattern})?"), "valkey_celery_variable: CELERY_BROKER_URL"
    ),
}
EXAMPLES: dict[str, Any] = {}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    celery = ("valkey_celery_variable",) if values.get("valkey_use") == "queue" else ()
    lines = given.mistakes(values, "valkey", ("valkey_variable", *celery), hosts)
    names = [values.get(variable) for variable in ("valkey_variable", "valkey_celery_variable", "postgres_variable")]
    if len(set(names)) < len(names) and values.get("app_needs"):
        lines.append("valkey_variable: two addresses cannot have one name; example: valkey_variable: REDIS_URL")
    return lines
