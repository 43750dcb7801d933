"""Which values of role metrics's variables can work."""

from __future__ import annotations

import ipaddress
from typing import Any

from inventory_check.values import number

EXAMPLE = "metrics_address: 127.0.0.1"


def address(value: str) -> str | None:
    """Say what is no address of the host itself or of a private network: exporters ask for no password."""
    if not value:
        return None
    try:
        found = ipaddress.ip_address(value if "%" not in value else "")  # a zone could be any text
    except ValueError:
        return f"{value!r} is no address; example: {EXAMPLE}"
    if found.is_global or found.is_unspecified or found.is_multicast:
        return f"{value} is not private: anybody could read the metrics there; example: {EXAMPLE}"
    return None


CHECKS = {"metrics_address": address, "metrics_port": number(1024, 65533)}
EXAMPLES: dict[str, Any] = {"metrics_address": "10.0.0.5"}
