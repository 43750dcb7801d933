"""Which values of role host's variables can work."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from inventory_check.exact import INT
from inventory_check.values import calendar, each, entries, number, one_of

NAME = re.compile(r"(?=.{1,64}$)[a-z]([a-z0-9_-]*[a-z0-9])?")
NETWORK = re.compile(r"[0-9A-Fa-f.:/]+")  # a zone behind % could be any text
RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


def network(value: Any) -> str | None:
    """Say why a value is no address and no network of IPv4 or IPv6."""
    try:
        ipaddress.ip_network(value if isinstance(value, str) and NETWORK.fullmatch(value) else "", strict=False)
    except ValueError:
        return f"{value!r} is no address and no network; example: 10.0.0.0/8"
    return None


def networks(value: Any) -> str | None:
    if value == []:
        return "[] names nobody; leave it out to open the port to everybody; example: [10.0.0.0/8]"
    return each(network)(value) if isinstance(value, list) else f"{value!r} is not a list; example: [10.0.0.0/8]"


def targets(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return f"{value!r} is not a list; example: [10.0.0.5]"
    return each(network)([one for one in value if one != "host"])


def ports(value: Any) -> str | None:
    """Say why a value is no port, no range of ports and no list of them."""
    if isinstance(value, list) and value:
        return each(_port)(value)
    return _port(value)


def _port(value: Any) -> str | None:
    example = 'example: 5432, or "7000-7010"'
    if not isinstance(value, bool) and INT.fullmatch(str(value)):
        return None if 1 <= int(value) <= 65535 else f"{value} is not between 1 and 65535"
    bounds = RANGE.fullmatch(value) if isinstance(value, str) else None
    if bounds and 1 <= int(bounds[1]) < int(bounds[2]) <= 65535:
        return None
    return f"{value!r} is no port; {example}"


PROTOCOL = one_of("tcp", "udp")


def egress(values: dict[Any, Any]) -> str | None:
    fields = {"to": targets, "port": ports, "protocol": PROTOCOL}
    wrong = entries(NAME, fields, ("to",), "database: {to: [10.0.0.5], port: 5432}")(values)
    lacking = [name for name, entry in values.items() if wrong is None and "protocol" in entry and "port" not in entry]
    return f"{lacking[0]}: protocol goes with port, which is missing" if lacking else wrong


def reboot(value: str) -> str | None:
    return calendar(value) if value else None


def times(values: dict[str, Any]) -> dict[str, str]:
    """Return {variable: time}, for the host's systemd to judge."""
    return {"host_reboot": values["host_reboot"]} if values.get("host_reboot") else {}


CHECKS = {
    "host_ports": entries(
        NAME,
        {"port": ports, "protocol": PROTOCOL, "from": networks},
        ("port",),
        "metrics: {port: 9100, from: [10.0.0.0/8]}",
    ),
    "host_egress": egress,
    "host_ssh_from": each(network),
    "host_ssh_rate": number(5, 10_000),
    "host_reboot": reboot,
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "host_ports": {"metrics": {"port": 9100, "from": ["10.0.0.0/8"]}},
    "host_egress": {"database": {"to": ["10.0.0.5"], "port": 5432}},
    "host_ssh_from": ["198.51.100.0/24"],
    "host_reboot": "Sun 04:00",
}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return what is set and does nothing, as what it is a part of is off: who wrote it takes the host for closed."""
    mistakes, narrow = [], [name for name, port in values.get("host_ports", {}).items() if "from" in port]
    if not values.get("host_firewall"):
        on = "without the firewall {}; write host_firewall: true, or remove {}"
        if values.get("host_ssh_from"):
            mistakes.append(f"host_ssh_from: {on.format('SSH is open to everybody', 'host_ssh_from')}")
        if narrow:
            mistakes.append(f"host_ports: {narrow[0]}: {on.format('from closes nothing', 'from')}")
        if values.get("host_egress"):
            mistakes.append(f"host_egress: {on.format('containers reach every network', 'host_egress')}")
    if values.get("host_reboot") and not values.get("host_updates"):
        mistakes.append("host_reboot: does nothing without updates; write host_updates: true, or remove host_reboot")
    return mistakes
