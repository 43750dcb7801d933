"""Services of the host that an app needs: their sockets lie in directories, which each of its processes sees.

A directory is mounted, never the socket in it: a service that starts anew makes another socket.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.flask_deploy.host import engine


def folders(record: dict[str, Any]) -> list[str]:
    """Return the directories on the host that hold sockets a release needs."""
    return str(record["container"].get("needs", "")).split()


def arguments(record: dict[str, Any]) -> list[str]:
    """Return docker's arguments for those directories, each found in a container where the host has it."""
    return [word for folder in folders(record) for word in engine.bind(folder, folder, fixed=True)]
