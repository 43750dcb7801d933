"""Addresses of databases and queues: at which of them nothing answers a container."""

from __future__ import annotations

import re

ADDRESS = re.compile(
    r"(?P<kind>rediss?|valkey|postgres(?:ql)?|mysql|mariadb|amqps?|mongodb)(?:\+\w+)*://"
    r"(?:[^@/\s]*@)?(?P<host>[\w.-]+)(?P<port>:\d+)?(?![\w.-])",
    re.ASCII,
)


def of(text: str) -> bool:
    """Tell whether a text is such an address."""
    return bool(ADDRESS.match(text))


def unreachable(text: str) -> str:
    """Return what a text names that no container reaches, without user, password and database; "" of another text.

    That is the container itself, and a name without a dot: a service of Compose, which is not there.
    """
    match = ADDRESS.search(text)
    if not match or not ("." not in match["host"] or match["host"] == "127.0.0.1"):
        return ""
    return f"{match['kind']}://{match['host']}{match['port'] or ''}"
