"""Which values of role monitor's variables can work."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from inventory_check.values import number, text

WEB, MAIL = ("https", "http"), ("smtps", "smtp")
KINDS = ("ntfy", "slack", "discord")
PERSON = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*", re.ASCII)
PRINTED = re.compile(r"[!-~]+")
WEBHOOKS = "monitor_webhooks: {ntfy: https://ntfy.example.com/shop-5f0c}"
SMTP = "monitor_smtp: smtps://user:password@smtp.example.com"


def address(value: str) -> str | None:
    """Say what cannot be an address on the web; what it is, is nobody's to see."""
    try:
        parts = urllib.parse.urlsplit(value)
        good = PRINTED.fullmatch(value) and parts.scheme in WEB and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    return None if good else "is no address; it begins with https://"


def webhooks(values: dict[Any, Any]) -> str | None:
    for name, value in values.items():
        if name not in KINDS:
            return f"there is no {name!r} here; supported are {', '.join(KINDS)}; example: {WEBHOOKS}"
        if said := text(address)(value):
            # A value of another type may be part of an address, too.
            return f"{name}: {said if isinstance(value, str) else 'is not text'}; example: {WEBHOOKS}"
    return None


def mail(values: list[str]) -> str | None:
    odd = next((value for value in values if not PERSON.fullmatch(value)), None)
    return None if odd is None else f"{odd!r} is no address; example: monitor_mail: [ops@example.com]"


def smtp(value: str) -> str | None:
    try:
        parts = urllib.parse.urlsplit(value)
        good = parts.scheme in MAIL and parts.hostname and not parts.path.strip("/") and parts.port != 0
        good = good and (parts.username is None) == (parts.password is None) and PRINTED.fullmatch(value)
    except ValueError:
        good = False
    return None if good or not value else f"is no server for mail; example: {SMTP}"


def ping(value: str) -> str | None:
    said = address(value) if value else None
    return f"{said}; example: monitor_ping: https://hc-ping.com/<uuid>" if said else None


CHECKS = {
    "monitor_webhooks": webhooks,
    "monitor_mail": mail,
    "monitor_smtp": smtp,
    "monitor_ping": ping,
    "monitor_errors": number(0, 100),
    "monitor_slow": number(0, 3600),
    "monitor_limit": number(1, 3600),
}
EXAMPLES: dict[str, Any] = {
    "monitor_webhooks": {"ntfy": "https://ntfy.example.com/shop-5f0c"},
    "monitor_mail": ["ops@example.com"],
}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    if values.get("monitor_mail") and not values.get("monitor_smtp"):
        return [f"monitor_smtp: is needed with monitor_mail; example: {SMTP}"]
    return []
