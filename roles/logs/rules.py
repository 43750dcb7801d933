"""Which values of role logs' variables can work."""

from __future__ import annotations

import re

from inventory_check.values import number, pattern

CHECKS = {
    "logs_since": pattern(re.compile(r"[\w :.,+@-]{1,60}", re.ASCII), "logs_since: 2 hours ago"),
    "logs_grep": pattern(re.compile(r"[^\x00-\x1f\x7f]{0,500}"), "logs_grep: Traceback"),
    "logs_process": pattern(re.compile(r"([a-z][a-z0-9_-]{0,62})?", re.ASCII), "logs_process: worker"),
    "logs_release": pattern(re.compile(r"([0-9a-f]{12})?"), "logs_release: 3f9a0c41d2b7"),
    "logs_lines": number(1, 10_000),
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "logs_grep": "Traceback",
    "logs_process": "worker",
    "logs_release": "3f9a0c41d2b7",
}
