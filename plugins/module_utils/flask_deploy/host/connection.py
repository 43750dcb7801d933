"""The SSH connection that a module came by, and where sshd listens."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ansible.module_utils.flask_deploy.host import command, files

PROC = "/proc"
SSHD = "/usr/sbin/sshd"
PATIENCE = 10  # seconds for an answer


class Connection(NamedTuple):
    """One connection, as sshd tells its children (sshd(8), SSH_CONNECTION)."""

    client: str
    client_port: int
    port: int
    user: str


def current(pid: int | None = None) -> Connection | None:
    """Return the connection that began this process; None where it was not SSH.

    sudo keeps it from its children, so their parents are asked.
    """
    pid = pid or os.getpid()
    while pid > 1:
        known = dict(
            entry.decode(errors="replace").partition("=")[::2]
            for entry in (_read(f"{PROC}/{pid}/environ") or b"").split(b"\0")
        )
        words = known.get("SSH_CONNECTION", "").split()
        if len(words) == 4:
            return Connection(words[0], int(words[1]), int(words[3]), known.get("USER", ""))
        parent = re.search(rb"^PPid:\s*(\d+)", _read(f"{PROC}/{pid}/status") or b"", re.MULTILINE)
        pid = int(parent[1]) if parent else 0
    return None


def _read(path: str) -> bytes | None:
    try:
        return files.read(path)
    except OSError:  # it ended meanwhile
        return None


def ports() -> set[int]:
    """Return the ports at which sshd listens: those it is set to, those of its socket, and the one in use."""
    said = _said(SSHD, "-T")
    found = re.findall(r"^listenaddress \S*:(\d+)$", said, re.MULTILINE) or re.findall(r"^port (\d+)$", said, re.M)
    socket = _said("systemctl", "show", "ssh.socket", "--property=ActiveState,Listen")
    if "ActiveState=active" in socket:
        found += re.findall(r":(\d+) \(Stream\)", socket)
    now = current()
    return {*map(int, found), *([now.port] if now else [])}


def _said(*words: str) -> str:
    try:
        return command.attempt(*words, limit=PATIENCE).out.decode(errors="replace")
    except FileNotFoundError:
        return ""
