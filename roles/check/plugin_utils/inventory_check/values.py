"""Checks that several variables share: each takes a value of the right type and returns what is wrong, or None."""

from __future__ import annotations

import base64
import difflib
import os
import re
from collections.abc import Callable
from typing import Any

from .exact import INT, kind, unquoted

Check = Callable[[Any], str | None]
NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
WILDCARD = re.compile(rf"(\*\.)?{NAME.pattern}")
SIZE = re.compile(r"[1-9][0-9]*[kmg]")
PATH = re.compile(r"(?!/)(?!-)(?!.*(^|/)\.\.(/|$))[^\x00-\x20\"'\\$;{}]*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CALENDAR = re.compile(r"(?=.*([0-9*]|ly))[\w*:.,/~+ -]+", re.ASCII)
CRON = re.compile(r"@\w+|[\d*/,-]+( [\w*/,-]+){4}", re.ASCII)
APP = re.compile(r"(?!(bridge|default|host|none)$)(?=.{1,31}$)[a-z](-?[a-z0-9])*")

# Named flask-deploy-<this>.service, as what switches an app is; a test finds them all.
OUR_UNITS = {"certificates", "firewall", "firewall-back", "metrics", "metrics-nginx", "metrics-node", "monitor"}
OUR_UNITS |= {"leave", "nginx-logs", "reboot", "ssh-back"}
JOB_UNIT = re.compile(r"job-.+-[a-z0-9]+")
# What packages that come with a deploy keep in /etc/<this>; what is there before, the host says itself.
PACKAGES = {"containerd", "docker", "letsencrypt", "monit", "needrestart", "nginx"}
PACKAGES |= {"postgresql", "postgresql-common", "redis", "valkey"}


def pattern(regex: re.Pattern[str], example: str) -> Check:
    """Return a check: the whole text must match."""
    return lambda value: None if regex.fullmatch(value) else f"{value!r} is not valid; example: {example}"


def app_name(value: str) -> str | None:
    """Say what is wrong with the name of an app: its form, or that it would share a unit or a directory."""
    form = "app_name: shop (a to z, digits, hyphens, 31 at most; no network of docker's own)"
    unit, place = f"flask-deploy-{value}.service", f"/etc/{value}"
    whose = {
        f"{unit} with the host": value in OUR_UNITS,
        f"{unit} with a job of another app": bool(JOB_UNIT.fullmatch(value)),
        f"{place} with a package": value in PACKAGES,
        f"{place} with flask-deploy itself": value == "flask-deploy",
    }
    shared = next((said for said, meets in whose.items() if meets), None)
    other = f"app-{value[4:]}" if JOB_UNIT.fullmatch(value) else f"{value}-web"
    said = f"an app {value} would share {shared}; example: app_name: {other}"
    return pattern(APP, form)(value) or (said if shared else None)


def number(low: float, high: float) -> Check:
    """Return a check: a number within bounds."""
    return lambda value: None if low <= value <= high else f"{value} is not between {low} and {high}"


def each(check: Check) -> Check:
    """Return a check of every element of a list."""
    return lambda values: next((said for said in map(check, values) if said), None)


def odd_name(values: dict[Any, Any]) -> str | None:
    """Say which name of a map YAML made something else of."""
    odd = [name for name in values if not isinstance(name, str)]
    return f"{odd[0]!r} is not text, as YAML reads words such as NO; put it in quotes, example: 'NO'" if odd else None


def environment(values: dict[Any, Any]) -> str | None:
    if said := odd_name(values):
        return said
    for name, value in values.items():
        if not VARIABLE.fullmatch(name):
            return f"{name!r} is not a name of an environment variable; example: DATABASE_URL"
        if value is None:
            return f'{name} has no value; write "" if it is meant to be empty'
    return unquoted(values)


def existing_file(value: str) -> str | None:
    path = os.path.expanduser(value)
    if value and not os.path.isfile(path):
        return f"there is no file {value} on the controller"
    return None if not value or os.access(path, os.R_OK) else f"{value} on the controller may not be read"


def absolute_file(value: str) -> str | None:
    if value and not os.path.isabs(os.path.expanduser(value)):
        return f'{value!r} is not an absolute path; example: "{{{{ inventory_dir }}}}/{value}"'
    return existing_file(value)


def entries(names: re.Pattern[str], fields: dict[str, Check], required: tuple[str, ...], example: str) -> Check:
    """Return a check of a map of maps.

    :param fields: {field: check of a value of whatever type}.
    """

    def check(values: dict[Any, Any]) -> str | None:
        for name, entry in values.items():
            if not isinstance(name, str) or not names.fullmatch(name):
                return f"{name!r} is not a name for it; example: {example}"
            if said := _entry(entry, fields, required):
                return f"{name}: {said}" if "example: " in said else f"{name}: {said}; example: {example}"
        return None

    return check


def _entry(entry: Any, fields: dict[str, Check], required: tuple[str, ...]) -> str | None:
    if not isinstance(entry, dict):
        return f"{entry!r} is not a map of {', '.join(fields)}"
    for field, value in entry.items():
        if field not in fields:
            near = difflib.get_close_matches(str(field), fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"supported are {', '.join(fields)}"
            return f"there is no {field!r} here; {hint}"
        if said := fields[field](value):
            return f"{field}: {said}"
    return next((f"{field} is missing" for field in required if field not in entry), None)


def some_of(*known: str) -> Check:
    """Return a check: a list of some words, each once."""

    def check(values: list[str]) -> str | None:
        for value in values:
            if value not in known:
                near = difflib.get_close_matches(value, known, 1)
                return f"{value!r} is none of {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else "")
        twice = [value for value in known if values.count(value) > 1]
        return f"{twice[0]} stands there twice" if twice else None

    return check


def whole(low: int, high: int) -> Check:
    """Return a check: a whole number within bounds."""

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not INT.fullmatch(str(value)):
            return f"{value!r} is not a whole number"
        return None if low <= int(value) <= high else f"{value} is not between {low} and {high}"

    return check


def text(check: Check) -> Check:
    """Return a check of what must be text first."""

    def judge(value: Any) -> str | None:
        if isinstance(value, str):
            return check(value)
        quotes = "; put it in quotes" if kind(value) else ""
        return f"{value!r} is not text{quotes}"

    return judge


def asks_for_passphrase(key: str) -> bool:
    """Tell whether a private key in PEM is encrypted (RFC 1421, RFC 5958, OpenSSH's PROTOCOL.key)."""
    lines = key.strip().splitlines()
    if "BEGIN ENCRYPTED " in key or any(line.startswith("Proc-Type:") and "ENCRYPTED" in line for line in lines):
        return True
    try:
        content = base64.b64decode("".join(lines[1:-1]))
    except ValueError:
        return False
    magic = b"openssh-key-v1\0"
    return content.startswith(magic) and not content.startswith(magic + b"\0\0\0\4none")


def one_of(*values: Any) -> Check:
    """Return a check: one of some values, and of its type: 1 is not true."""
    shown = " or ".join(map(str, values)).lower()

    def check(value: Any) -> str | None:
        fits = any(isinstance(value, type(each)) and value == each for each in values)
        return None if fits else f"{value!r} is not {shown}"

    return check


def calendar(value: str) -> str | None:
    """Say what cannot be a time of systemd's; the host is asked too."""
    form = 'systemd reads times; example: at: "*-*-* 03:00"'
    if CRON.fullmatch(value):
        return f"{value!r} is cron's form; {form}"
    return None if CALENDAR.fullmatch(value) else f"{value!r} is no time; {form}"
