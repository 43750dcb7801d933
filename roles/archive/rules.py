"""Which values of role archive's variables can work."""

from __future__ import annotations

from typing import Any

from inventory_check.targets import keys, place, target
from inventory_check.values import number

PLAIN = 'pgbackrest speaks to S3 by https alone; write s3:https://..., or archive_to: "" to leave PostgreSQL out'
OWN = ("archive_mode", "archive_command", "archive_library", "archive_timeout")


CHECKS = {
    "archive_to": target("archive_to"),
    "archive_full_days": number(1, 90),
    "archive_keep_days": number(1, 3650),
    "archive_queue": number(1, 1000),
}
EXAMPLES: dict[str, Any] = {"archive_to": "sftp:keeper@backup.example.com:/backups/shop"}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    to = values.get("archive_to", "")
    if not to or "postgres" not in values.get("app_needs", []):
        return []
    mistakes = []
    if not values.get("backup_to"):
        mistakes.append("archive_to: needs backup_to, whose password and keys it uses; set that too")
    if to.startswith("s3:http:"):
        mistakes.append(f"archive_to: {to}: {PLAIN}")
    if own := next((name for name in OWN if name in values.get("postgres_settings", {})), ""):
        mistakes.append(f"postgres_settings: {own} is role archive's own: backups hang on it; remove it")
    if to == values.get("backup_to"):
        return mistakes
    return mistakes + keys(to, values) + place("archive_to", to, values.get("app_name", "app"))
