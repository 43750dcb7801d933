"""What systemd and nginx were told of files that they read: a run may end after it wrote them and before it says so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ansible.module_utils.flask_deploy.host import files, locks, systemd


def tell(name: str, wanted: Mapping[str, bytes], changed: bool, *commands: tuple[str, ...]) -> bool:
    """Tell systemd of files, unless it was told since they became what they are; return whether that was due.

    That it was is known until a boot, after which systemd has read them all.

    :param name: what the files are for, in a name of a file.
    :param wanted: {path: content}, as they are now.
    :param changed: whether this run wrote any.
    :param commands: words for systemctl.
    :raises UnitError: systemd does not answer; it is told once more.
    """
    path, whole = f"{locks.RUN}/{name}.told", files.digest({key: text.hex() for key, text in wanted.items()}).encode()
    if not changed and files.read(path) == whole:
        return False
    files.ensure_directory(locks.RUN, 0o700)
    files.write(path, b"")
    for words in commands:
        systemd.ask(*words)
    files.write(path, whole)
    return True


@contextmanager
def owed(name: str, changes: bool) -> Iterator[bool]:
    """Hold within what writes files and lets them take effect; yield whether that is due, also since a killed run.

    Only a boot forgets that it is: after one all have been read.

    :param name: what the files are for, in a name of a file.
    :param changes: whether this run is to write any.
    """
    due = changes or os.path.exists(_mark(name))
    if due:
        owe(name)
    yield due
    if due:
        files.remove(_mark(name))


def owe(name: str) -> None:
    """Write down that files are to take effect, before they are written; see `owed`."""
    files.ensure_directory(locks.RUN, 0o700)
    files.write(_mark(name), b"")


def _mark(name: str) -> str:
    return f"{locks.RUN}/{name}.owed"
