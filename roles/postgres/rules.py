"""Which values of role postgres's variables can work."""

from __future__ import annotations

import re
from typing import Any

from inventory_check import given
from inventory_check.values import VARIABLE, pattern

DRIVER = re.compile(r"(postgres|postgresql|postgresql\+[a-z0-9_]+|postgis)")
EXTENSION = re.compile(r"[a-z][a-z0-9_-]{0,62}")
SETTING = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
OURS = {  # apps are let in by these alone
    *("listen_addresses", "unix_socket_directories", "unix_socket_group", "unix_socket_permissions", "port"),
    *("hba_file", "ident_file", "config_file", "data_directory", "include", "include_dir", "include_if_exists"),
}
ADDRESS = re.compile(r"([0-9A-Za-z][0-9A-Za-z.:-]*[0-9A-Za-z])?")
OVER = re.compile(r"without-backup|postgres-since-\d{4}-\d\d-\d\dT\d\d:\d\d|", re.ASCII)
LIBPQ = frozenset({"PGHOST", "PGUSER", "PGDATABASE"})  # what the role gives beside the address
APART = frozenset({"PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT"})  # and beside them, of a database elsewhere
UNSAVED = (
    "backups and restore points of PostgreSQL are made beside the app alone, and here it is on {}; back it up there "
    'yourself, and write archive_to: ""'
)
NAMES = {"postgres", "template0", "template1", "public"}  # roles and databases of PostgreSQL's own


def extensions(values: list[str]) -> str | None:
    odd = [value for value in values if not EXTENSION.fullmatch(value)]
    return f"{odd[0]!r} is not the name of an extension; example: postgres_extensions: [pg_trgm]" if odd else None


def settings(values: dict[Any, Any]) -> str | None:
    for name, value in values.items():
        if not isinstance(name, str) or not SETTING.fullmatch(name):
            return f"{name!r} is not the name of a setting; example: postgres_settings: {{work_mem: 16MB}}"
        if name in OURS:
            return f"{name} is role postgres's own: it decides who gets in; remove it"
        if isinstance(value, dict | list) or value is None or not TEXT.fullmatch(str(value)):
            return f"{name}: {value!r} is not one value; example: postgres_settings: {{work_mem: 16MB}}"
    return None


CHECKS = {
    "postgres_variable": pattern(VARIABLE, "postgres_variable: DATABASE_URL"),
    "postgres_driver": pattern(DRIVER, "postgres_driver: postgresql+psycopg"),
    "postgres_extensions": extensions,
    "postgres_settings": settings,
    "postgres_address": pattern(ADDRESS, "postgres_address: 10.0.0.5"),
    "postgres_upgrade_over": pattern(OVER, "-e postgres_upgrade_over=without-backup"),
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "postgres_extensions": ["pg_trgm"],
    "postgres_settings": {"work_mem": "16MB"},
    "postgres_address": "10.0.0.5",
    "postgres_upgrade_over": "without-backup",
}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    lines = given.mistakes(values, "postgres", ("postgres_variable",), hosts[:1], LIBPQ)
    if "postgres" in values.get("app_needs", []) and values["postgres_variable"] in LIBPQ:
        name = values["postgres_variable"]
        lines.append(f"postgres_variable: {name} is what libpq reads, and no address; example: DATABASE_URL")
    if "postgres" in values.get("app_needs", []) and values["app_name"] in NAMES:
        name = values["app_name"]
        lines.append(f"app_name: {name} is a name of PostgreSQL's own; choose another, example: {name}-web")
    return lines


def check_groups(values: dict[str, Any], groups: dict[str, list[str]]) -> list[str]:
    """Return mistakes that show when the inventory's groups are seen: the database may have a host of its own."""
    own, web = groups.get("postgres", []), groups.get("web", [])
    if "postgres" not in values.get("app_needs", []):
        return []
    if not own:
        alone = ["postgres_address: names the host of group postgres, which has none; remove it"]
        return given.several("postgres", web) + (alone if values.get("postgres_address") else [])
    lines = [
        f"{place}: {name} is what app_needs: [postgres] gives; remove it from {place}" for place, name in taken(values)
    ]
    if len(own) > 1:
        lines.append(f"group postgres: one host holds the databases, and there are {len(own)}: {', '.join(own)}")
    if both := sorted(set(own) & set(web)):
        lines.append(
            f"group postgres: {both[0]} is in group web too; empty the group, and the database is beside the app"
        )
    if values.get("archive_to"):
        lines.append(f"archive_to: {UNSAVED.format(own[0])}")
    return lines


def taken(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (variable, name) of what a user gives, and a database elsewhere gives too."""
    places = ("app_env", "app_secrets")
    return [(place, name) for place in places for name in sorted(APART & set(values.get(place, {})))]
