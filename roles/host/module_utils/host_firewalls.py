"""Firewalls of others on a host, what ours would close, and which interfaces lead to the world."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ansible.module_utils import host_before as before
from ansible.module_utils.host_containers import runs
from ansible.module_utils.host_ruleset import TABLE, WEB, listed

# Programs that put rules of their own beside a firewall, and are none.
HELPERS = re.compile(r"docker|f2b|fail2ban|crowdsec|sshguard|libvirt|^ts-|tailscale|^wg|podman|netavark|cni|KUBE", re.I)
OURS = "; or leave it in charge, open ports 80 and 443 there, and set host_firewall: false"
ALWAYS = {*(("tcp", port) for port in WEB), ("udp", 68), ("udp", 546)}  # that is the web, and DHCP


def others() -> list[str]:
    """Return a line for each firewall that is there already, with the way out."""
    if before.run("systemctl", "is-active", "--quiet", "firewalld.service")[0] == 0:
        return [f"firewalld is active; type there: sudo systemctl disable --now firewalld{OURS}"]
    if "Status: active" in before.run("ufw", "status")[1]:
        return [f"ufw is active; type there: sudo ufw disable{OURS}"]
    lines = [
        f"the nftables table {table} filters what comes in; type there: sudo nft delete table {table}, and take it out "
        f"of the file that loads it{OURS}"
        for table in filtering()
    ]
    if re.search(r"^-P INPUT DROP|^-A INPUT .*-j (DROP|REJECT)", before.run("iptables-legacy", "-S", "INPUT")[1], re.M):
        lines.append(f"iptables-legacy filters what comes in; type there: sudo iptables-legacy -F{OURS}")
    return lines


def filtering() -> list[str]:
    """Return the tables of others that drop some of what comes in to the host."""
    code, said = before.run("nft", "--json", "--stateless", "--terse", "list", "ruleset")
    try:
        parts = [] if code else json.loads(said[said.index("{") :])["nftables"]
    except ValueError:
        return []
    return sorted(set(_filtering(parts)))


def _filtering(parts: list[dict[str, Any]]) -> Iterator[str]:
    chains = [part["chain"] for part in parts if "chain" in part]
    base = {(c["family"], c["table"]) for c in chains if c.get("hook") == "input"}
    for chain in chains:
        if chain.get("hook") == "input" and chain.get("policy") == "drop":
            yield from _named(chain, chain["name"])
    for rule in (part["rule"] for part in parts if "rule" in part):
        drops = any(verdict in expression for expression in rule["expr"] for verdict in ("drop", "reject"))
        reached = (rule["family"], rule["table"]) in base and not _elsewhere(chains, rule)
        if drops and reached:
            yield from _named(rule, rule["chain"])


def _elsewhere(chains: list[dict[str, Any]], rule: dict[str, Any]) -> bool:
    """Tell whether a rule's chain is one that other traffic begins in, such as what is forwarded."""
    own = (rule["family"], rule["table"], rule["chain"])
    return any((c["family"], c["table"], c["name"]) == own and c.get("hook", "input") != "input" for c in chains)


def _named(part: dict[str, Any], chain: str) -> Iterator[str]:
    table = f"{part['family']} {part['table']}"
    if table != TABLE and not HELPERS.search(part["table"]) and not HELPERS.search(chain):
        yield table


def closed(ports: dict[str, dict[str, Any]]) -> list[str]:
    """Return a line where something that others can reach now would be closed.

    :param ports: as host_ports.
    """
    found = {**dict(_sockets()), **dict(_published())}
    shut = [f"{which[1]}/{which[0]} ({found[which]})" for which in sorted(found) if not is_open(*which, ports)]
    way_out = "open what others need, example: host_ports: {metrics: {port: 9100, from: [10.0.0.0/8]}}"
    return [f"the firewall closes {', '.join(shut)}; {way_out}"] if shut else []


def changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return a line for each thing that is open as the last run wrote, and would not be so any more.

    :param before: "ports", "egress" and "ssh_from" of the last run; empty where it did not write them down.
    """
    lines = []
    for what in ("ports", "egress"):
        for name, entry in before.get(what, {}).items():
            new = now[what].get(name)
            if new is None:
                lines.append(f"takes back host_{what}: {name}: {json.dumps(entry)}")
            elif _plain(new) != _plain(entry):
                lines.append(f"changes host_{what}: {name}: {json.dumps(entry)} to {json.dumps(new)}")
    if before.get("ssh_from", now["ssh_from"]) != now["ssh_from"]:
        lines.append(f"changes host_ssh_from: {json.dumps(before['ssh_from'])} to {json.dumps(now['ssh_from'])}")
    way_out = "if the environment of another app on this server needs it, write the same in both"
    return [f"the firewall {line}; {way_out}" for line in lines]


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry in the one way of several that say the same."""
    return {"protocol": "tcp", **entry, "port": listed(entry.get("port", []))}


def is_open(protocol: str, port: int, ports: dict[str, dict[str, Any]]) -> bool:
    """Tell whether a port is open to anybody."""
    own = [entry for entry in ports.values() if entry.get("protocol", "tcp") == protocol]
    return (protocol, port) in ALWAYS or any(_within(port, listed(entry["port"])) for entry in own)


def _within(port: int, ranges: Iterable[str]) -> bool:
    bounds = (each.partition("-")[::2] for each in ranges)
    return any(int(low) <= port <= int(high or low) for low, high in bounds)


def _sockets() -> Iterator[tuple[tuple[str, int], str]]:
    """Yield what listens beyond the host itself: ((protocol, port), program); sshd's is open anyway."""
    for line in before.run("ss", "-Hltunp")[1].splitlines():
        columns = line.split()
        address, _, port = columns[4].rpartition(":") if len(columns) > 4 else ("", "", "")
        local = re.match(r"\[?(127\.|::1|::ffff:127\.)|.*%lo$", address)
        program = re.search(r'\("([^"]+)"', line)
        name = program[1] if program else "?"
        if port.isdigit() and not local and not name.startswith("sshd") and (columns[0], int(port)) != ("tcp", 22):
            yield (columns[0], int(port)), name


def _published() -> Iterator[tuple[tuple[str, int], str]]:
    """Yield the ports of containers that the engine opens to the world."""
    if not runs():
        return
    for line in before.run("docker", "ps", "--format", "{{.Names}} {{.Ports}}")[1].splitlines():
        name, _, ports = line.partition(" ")
        for address, low, high, protocol in re.findall(r"(\S+):(\d+)(?:-(\d+))?->[\d-]+/(\w+)", ports):
            for port in range(int(low), int(high or low) + 1) if not address.startswith("127.") else ():
                yield (protocol, port), f"container {name}"


def uplinks() -> list[str]:
    """Return the interfaces that lead to the world, by the host's default routes."""
    said = before.run("ip", "-4", "route", "show", "default")[1] + before.run("ip", "-6", "route", "show", "default")[1]
    return sorted(set(re.findall(r"\bdev (\S+)", said)))
