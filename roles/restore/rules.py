"""Which values of role restore's variables can work."""

from __future__ import annotations

import re
from typing import Any

from inventory_check.values import APP, pattern

CHECKS = {
    "restore_app": pattern(re.compile(f"({APP.pattern})|"), "-e restore_app=shop"),
    "restore_snapshot": pattern(re.compile(r"latest|[0-9a-f]{6,64}"), "-e restore_snapshot=3f9a0c41"),
    "restore_over": pattern(
        re.compile(rf"({APP.pattern}-since-\d{{4}}-\d\d-\d\dT\d\d:\d\d)|", re.ASCII),
        "-e restore_over=shop-since-2026-11-28T03:00",
    ),
}
EXAMPLES: dict[str, Any] = {"restore_over": "shop-since-2026-11-28T03:00"}
