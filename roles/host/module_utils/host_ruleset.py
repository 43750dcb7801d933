"""The host's firewall as a text for nft(8): one table of our own, which replaces itself in one step."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

TABLE = "inet flask_deploy"
WEB = [80, 443]
BRIDGES = ("docker0", "br-*")  # how Docker names the bridges of its networks
# Where an app has no business: networks of your own, other containers, and the addresses at which clouds tell secrets.
PRIVATE = {
    "ip": "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, "
    "192.168.0.0/16, 198.18.0.0/15",
    "ip6": "::1, 64:ff9b:1::/48, fc00::/7, fe80::/10",
}
HEAD = f"""\
# Managed by Ansible: flask-deploy
# Loaded by flask-deploy-firewall.service. Tables of others, Docker's too, are left alone.
table {TABLE}
delete table {TABLE}
"""
SSH_SETS = """\
    set ssh4 {
        type ipv4_addr
        size 65535
        flags dynamic,timeout
        timeout 2m
    }
    set ssh6 {
        type ipv6_addr
        size 65535
        flags dynamic,timeout
        timeout 2m
    }
"""
KNOWN = ("ct state established,related accept",)
# RFC 4890, 4.4: what must not be dropped. Neighbours are of one link, so nothing of theirs was routed.
ICMP = (
    "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept",
    "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept",
    "icmpv6 type { echo-request, echo-reply } accept",
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } "
    "ip6 hoplimit 255 accept",
    "icmpv6 type { ind-neighbor-solicit, ind-neighbor-advert, 148, 149 } ip6 hoplimit 255 accept",
    "icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report, 151, 152, 153 } "
    "ip6 hoplimit 1 accept",
    'udp sport 67 udp dport 68 accept comment "DHCP"',
    'ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "DHCPv6"',
)


def ruleset(
    ssh: Iterable[int],
    ssh_from: list[str],
    ssh_rate: int,
    ports: dict[str, dict[str, Any]],
    egress: dict[str, dict[str, Any]],
    uplinks: Iterable[str] = (),
) -> str:
    """Return the whole text.

    :param ssh: ports at which sshd listens.
    :param ssh_from: networks that may reach them; empty means all.
    :param ssh_rate: new connections to them a minute, from one IPv4 address or one /64 of IPv6.
    :param ports: what else is open, by name: "port", "protocol", "from".
    :param egress: what containers may reach beside the internet, by name: "to", "port", "protocol".
    :param uplinks: interfaces that lead to the world; a bridge among them is none of Docker's.
    """
    own = sorted(name for name in uplinks if name.startswith("br-"))
    chains = {
        "input": [
            "type filter hook input priority filter - 10; policy drop;",
            *KNOWN,
            'iifname "lo" accept',
            *ICMP,
            "ct state invalid drop",
            *_jumps(own, "iifname", "containers_to_host"),
            *_ssh(sorted(ssh), ssh_from, ssh_rate),
            f"tcp dport {_some(WEB)} accept",
            *(rule for name, port in ports.items() for rule in _opened(name, port)),
            "counter",
        ],
        **_of_containers(ports, egress),
        "forward": [
            "type filter hook forward priority filter - 10; policy accept;",
            *KNOWN,
            *_jumps(own, "iifname", "from_containers"),
            *_jumps(own, "oifname", "to_containers"),
        ],
    }
    return f"{HEAD}table {TABLE} {{\n{SSH_SETS}{''.join(_chain(*each) for each in chains.items())}}}\n"


def _of_containers(ports: dict[str, dict[str, Any]], egress: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Return the chains that judge what containers ask for, and what is asked of them."""
    refuse = "counter reject with icmpx admin-prohibited"
    return {
        "containers_to_host": [
            f"tcp dport {_some(WEB)} accept",
            *(rule for name, port in ports.items() if "from" not in port for rule in _opened(name, port)),
            *(rule for name, way in egress.items() if "host" in way["to"] for rule in _accept(name, way, "")),
            refuse,
        ],
        # A published port leads to its container before this is asked, so the port that was asked for counts.
        "published": [rule for name, port in ports.items() for rule in _published(name, port)],
        # What goes out by the bridge that it came in by stays in one network; the engine's own rules judge it.
        "from_containers": [
            "fib daddr . iif oif exists accept",
            "meta l4proto { tcp, udp } th dport 53 accept",
            *(rule for name, way in egress.items() for rule in _leaving(name, way)),
            "jump published",
            *(f"{family} daddr {{ {networks} }} {refuse}" for family, networks in PRIVATE.items()),
        ],
        "to_containers": ["jump published", "counter drop"],
    }


def _chain(name: str, rules: list[str]) -> str:
    return f"    chain {name} {{\n{''.join(f'        {rule.strip()}{chr(10)}' for rule in rules)}    }}\n"


def _jumps(uplinks: list[str], end: str, chain: str) -> Iterator[str]:
    """Yield the rules that lead what comes in (`iifname`) or goes out (`oifname`) by Docker's bridges to a chain."""
    not_theirs = f"{end} != {_some(map(_quoted, uplinks))} " if uplinks else ""
    yield from (f'{not_theirs}{end} "{name}" jump {chain}' for name in BRIDGES)


def _ssh(ports: list[int], sources: list[str], rate: int) -> Iterator[str]:
    """Yield the rules for sshd: who may connect, and how often."""
    limit = f"limit rate over {rate}/minute burst {rate} packets"
    where = f"tcp dport {_some(ports)}"
    yield f"{where} ct state new add @ssh4 {{ ip saddr {limit} }} counter drop"
    yield f"{where} ct state new add @ssh6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: {limit} }} counter drop"
    for match in _matches("saddr", sources or None):
        yield f"{where} {match}accept"


def _opened(name: str, port: dict[str, Any]) -> Iterator[str]:
    for match in _matches("saddr", port.get("from")):
        yield from _accept(name, port, match)


def _published(name: str, port: dict[str, Any]) -> Iterator[str]:
    protocol = port.get("protocol", "tcp")
    for match in _matches("saddr", port.get("from")):
        which = f"meta l4proto {protocol} ct original proto-dst {_some(listed(port['port']))}"
        yield f'{match}ct status dnat {which} accept comment "{name}"'


def _leaving(name: str, way: dict[str, Any]) -> Iterator[str]:
    networks = [each for each in way["to"] if each != "host"]
    for match in _matches("daddr", networks):
        yield from _accept(name, way, match)


def _accept(name: str, entry: dict[str, Any], match: str) -> Iterator[str]:
    which = f"{entry.get('protocol', 'tcp')} dport {_some(listed(entry['port']))} " if "port" in entry else ""
    yield f'{match}{which}accept comment "{name}"'


def _matches(end: str, networks: list[str] | None) -> Iterator[str]:
    """Yield what matches these networks, of each family apart; None is all there are."""
    if networks is None:
        yield ""
        return
    for family, version in (("ip", 4), ("ip6", 6)):
        own = [each for each in networks if ipaddress.ip_network(each, strict=False).version == version]
        if own:
            yield f"{family} {end} {{ {', '.join(str(ipaddress.ip_network(each, strict=False)) for each in own)} }} "


def listed(port: Any) -> list[str]:
    """Return the ports of an entry as a list of numbers and ranges."""
    return [str(each) for each in port] if isinstance(port, list) else [str(port)]


def _some(ports: Iterable[Any]) -> str:
    return f"{{ {', '.join(map(str, ports))} }}"


def _quoted(name: str) -> str:
    return f'"{name}"'
