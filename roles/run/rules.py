"""Which values of role run's variables can work; the command itself is judged as it was typed, by its module."""

from __future__ import annotations

from typing import Any

from inventory_check.values import number

CHECKS = {"run_command": lambda value: None, "run_timeout": number(1, 604_800)}
EXAMPLES: dict[str, Any] = {"run_command": "flask create-admin"}
