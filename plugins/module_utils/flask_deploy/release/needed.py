"""Services of the host that an app needs: their sockets lie in directories, which each of its processes sees.

A directory is mounted, never the socket in it: a service that starts anew makes another socket.
"""

from __future__ import annotations

from typing import Any


def folders(record: dict[str, Any]) -> list[str]:
    """Return the directories on the host that hold sockets a release needs."""
    return str(record["container"].get("needs", "")).split()


def arguments(record: dict[str, Any]) -> list[str]:
    """Return docker's arguments for those directories, each found in a container where the host has it."""
    mounts = [f"type=bind,source={folder},target={folder},readonly" for folder in folders(record)]
    return [word for mount in mounts for word in ("--mount", mount)]
