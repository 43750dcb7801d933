"""Locks of this host: of who holds one for too long it is told who that is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from ansible.module_utils.flask_deploy.host import files

RUN = "/run/flask-deploy"  # a reboot ends every lock
LOCK_WAIT = 300  # seconds; whoever holds a lock is done in less, or hangs


class LockError(OSError):
    """A lock was not free in time; the message says who has it."""


@contextlib.contextmanager
def locked(path: str, wait: float = LOCK_WAIT) -> Iterator[None]:
    """Hold a lock whose file only root reaches: whoever may open it may hold it, and lets all others wait.

    :param wait: seconds.
    :raises LockError: somebody else had it for all that time; the message says who.
    """
    files.ensure_directory(os.path.dirname(path), 0o700)  # an earlier version let everybody in
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + wait
        while not _taken(handle):
            if time.monotonic() >= end:
                raise LockError(f"{path} was not free for {wait:g} s: {holders(handle)}")
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holders(handle: int) -> str:
    """Return in words who holds a lock, as the kernel says (proc(5), locks), and what to type."""
    info = os.fstat(handle)
    place = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    rows = [line.split() for line in (files.read("/proc/locks") or b"").decode().splitlines()]
    found = [row[4] for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5] == place]
    if not found:
        return "the kernel does not say who has it; see all locks, on the host: sudo lslocks"
    named = ", ".join(f"process {pid} ({_command(pid)})" for pid in found)
    return f"{named} has it; if that hangs, end it on the host: sudo kill {' '.join(found)}"


def _command(pid: str) -> str:
    words = (files.read(f"/proc/{pid}/cmdline") or b"").split(b"\0")
    return " ".join(word.decode(errors="replace") for word in words if word)[:120] or "it just ended"
