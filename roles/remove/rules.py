"""Which values of role remove's variables can work."""

from __future__ import annotations

import re
from typing import Any

from inventory_check.values import APP, pattern

CHECKS = {"remove_app": pattern(re.compile(f"({APP.pattern})|"), "-e remove_app=shop")}
EXAMPLES: dict[str, Any] = {}
