"""Which values of role balancer's variables can work."""

from __future__ import annotations

import ipaddress
from typing import Any

from inventory_check.values import NAME

EXAMPLE = "balancer_address: 203.0.113.10/24"


def address(value: str) -> str | None:
    """Say what is no address with the length of its network."""
    if not value:
        return None
    try:
        found = ipaddress.ip_interface(value)
    except ValueError:
        return f"{value!r} is no address; example: {EXAMPLE}"
    if found.version != 4:
        return f"{value} is of IPv6, which keepalived does not move here; example: {EXAMPLE}"
    if "/" not in value:
        return f"{value} lacks the length of its network; example: {EXAMPLE}"
    return f"{value} is no address of one host; example: {EXAMPLE}" if found.is_multicast else None


def paths(values: dict[Any, Any]) -> str | None:
    for name, value in values.items():
        if not isinstance(value, str) or not (_is_address(value) or NAME.fullmatch(value)):
            return f"{name}: {value!r} is no address; example: balancer_paths: {{web1: 10.0.0.21}}"
    return None


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


CHECKS = {"balancer_address": address, "balancer_paths": paths}
EXAMPLES: dict[str, Any] = {"balancer_address": "203.0.113.10/24", "balancer_paths": {"web1": "10.0.0.21"}}


def check_groups(values: dict[str, Any], groups: dict[str, list[str]]) -> list[str]:
    """Return mistakes that show when the inventory's groups are seen."""
    own, web = groups.get("balancer", []), groups.get("web", [])
    if not own:
        unused = [name for name in CHECKS if values.get(name)]
        return [f"{name}: is for hosts of group balancer, which has none; remove it" for name in unused]
    lines = []
    if both := sorted(set(own) & set(web)):
        lines.append(f"group balancer: {both[0]} is in group web too; a balancer is a host of its own")
    if strange := sorted(set(values.get("balancer_paths", {})) - {*own, *web}):
        lines.append(f"balancer_paths: there is no host {strange[0]} in group web or balancer")
    if values.get("balancer_address") and len(own) < 2:
        lines.append(f"balancer_address: moves between two balancers, and {own[0]} is alone; add another, or remove it")
    if not values.get("site_trusted_proxies"):
        said = "write the addresses that the balancers ask from, so that logs and limits see the visitors"
        lines.append(f"site_trusted_proxies: {said}, example: site_trusted_proxies: [10.0.0.11, 10.0.0.12]")
    if values.get("site_tls_in_front"):
        lines.append("site_tls_in_front: the balancers ask the hosts by TLS; remove it")
    return lines
