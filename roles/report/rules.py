"""Which values of role report's variables can work."""

from __future__ import annotations

import re
from typing import Any

from inventory_check.values import pattern

CHECKS = {"report_file": pattern(re.compile(r"[^\x00-\x1f\x7f]{1,500}\.html"), "report_file: report.html")}
EXAMPLES: dict[str, Any] = {"report_file": "report.html"}
