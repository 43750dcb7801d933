"""Whether a host's web ports answer from the controller, or a firewall swallows what is sent there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

WEB = (80, 443)
SECONDS = 3.0  # a refusal comes at once, also from far away
WAY_OUT = (
    "a firewall keeps visitors out, the host's own or your provider's. Open it there; on the host type: "
    "sudo ufw allow 80,443/tcp, or sudo nft list ruleset"
)


def swallowed(address: str, ports: Iterable[int] = WEB) -> list[str]:
    """Return a warning where ports of a host do not even refuse a connection; a refusal means nothing serves yet.

    Names that only the SSH client knows are skipped, and so are private addresses, which a bastion may be before.
    """
    if not is_public(address):
        return []
    silent = [str(port) for port in ports if is_silent(address, port)]
    return [f"{address} gives no answer from here at port {' and '.join(silent)}: {WAY_OUT}"] if silent else []


def is_public(address: str) -> bool:
    try:
        found = {each[4][0] for each in socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(str(each).partition("%")[0]).is_global for each in found)


def is_silent(address: str, port: int) -> bool:
    """Tell whether nothing comes back within SECONDS."""
    try:
        socket.create_connection((address, port), SECONDS).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return False
