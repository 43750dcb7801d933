"""Which values of role backup's variables can work."""

from __future__ import annotations

import re
from typing import Any

from inventory_check.targets import keys, place, target
from inventory_check.values import asks_for_passphrase, calendar, environment, number, whole

SHORTEST = 16  # characters of a password
UNITS = ("daily", "weekly", "monthly")
READ = re.compile(r"[1-9][0-9]?(\.[0-9]+)?%|100%|1/[1-9][0-9]{0,3}|[1-9][0-9]*[KMGT]", re.ASCII)
HOST_KEY = re.compile(r"\S+ (ssh-[a-z0-9-]+|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/]+=*( [^\n]*)?", re.ASCII)
KEY = re.compile(r"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END ([A-Z]+ )?PRIVATE KEY-----\n?")
DELETE = "\x7f"
OURS = ("RESTIC_REPOSITORY", "RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE", "RESTIC_CACHE_DIR")


def password(value: str) -> str | None:
    if value and (len(value) < SHORTEST or "\n" in value):
        return f"is shorter than {SHORTEST} characters, or has several lines; make one: openssl rand -hex 32"
    return None


def credentials(values: dict[Any, Any]) -> str | None:
    odd = next((name for name in values if name in OURS), None)
    if said := f"{odd} is set by the role; remove it" if odd else environment(values):
        return said
    for name, value in values.items():  # a line's end would begin a line of pgbackrest's file
        if not isinstance(value, str):
            return f"{name} is a list or map, and a credential is text; write it in one line, from the vault"
        if any(ord(letter) < ord(" ") or letter == DELETE for letter in value):
            return f"{name} holds a line's end, or another character that is none of a credential; remove it"
    return None


def ssh_key(value: str) -> str | None:
    good = not value or (KEY.fullmatch(value) and not asks_for_passphrase(value))
    return (
        None if good else "is not a private key without a passphrase; make one: ssh-keygen -t ed25519 -N '' -f backup"
    )


def host_key(value: str) -> str | None:
    if all(HOST_KEY.fullmatch(line) for line in value.strip("\n").split("\n") if line):
        return None
    return "is no line of known_hosts; make one: ssh-keyscan -t ed25519 backup.example.com"


def keep(values: dict[Any, Any]) -> str | None:
    example = "example: backup_keep: {daily: 7, weekly: 5, monthly: 12}"
    for name, value in values.items():
        if name not in UNITS:
            return f"there is no {name!r} here; supported are {', '.join(UNITS)}; {example}"
        if said := whole(0, 1000)(value):
            return f"{name}: {said}; {example}"
    return None if any(int(value) for value in values.values()) else f"keeps no backup at all; {example}"


def read(value: str) -> str | None:
    return None if READ.fullmatch(value) else f"{value!r} is no share; example: backup_drill_read: 10%"


CHECKS = {
    "backup_to": target("backup_to"),
    "backup_password": password,
    "backup_env": credentials,
    "backup_ssh_key": ssh_key,
    "backup_host_key": host_key,
    "backup_at": calendar,
    "backup_jitter": number(0, 1440),
    "backup_keep": keep,
    "backup_bandwidth": number(0, 10_000_000),
    "backup_drill_at": calendar,
    "backup_drill_read": read,
}
EXAMPLES: dict[str, Any] = {"backup_to": "sftp:keeper@backup.example.com:/backups/shop"}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    to = values.get("backup_to", "")
    if not to:
        return []
    mistakes = []
    if not values.get("backup_password"):
        mistakes.append("backup_password: is needed with backup_to; make one for the vault: openssl rand -hex 32")
    return mistakes + keys(to, values) + place("backup_to", to, values.get("app_name", "app"))


def times(values: dict[str, Any]) -> dict[str, str]:
    """Return {what: a time of systemd's} for the host to look at; none without backups."""
    names = ("backup_at", "backup_drill_at") if values.get("backup_to") else ()
    return {name: values[name] for name in names}
