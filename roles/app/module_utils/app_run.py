"""What lies in a directory that an app can write to: root neither opens nor follows anything there.

An app may put a link, a FIFO, a device or a directory at any name it can write. So its own places are looked at by
lstat(2), and changed by name, relative to a directory that was opened without following a link.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

SAID = 500  # characters that are shown of a line


class Untrusted(Exception):
    """Something lies where it must not; the message is for the person who deploys."""


@contextmanager
def opened(folder):
    """Open a directory itself, never what a link at its name points at."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def marked(folder, name):
    """Tell whether anything lies at a name."""
    return os.path.lexists(os.path.join(folder, name))


def mark(folder, name, wanted):
    """Make or remove an empty file; return whether that was done. What the app put there instead is left to it."""
    try:
        with opened(folder) as handle:
            if wanted:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(name, flags, 0o644, dir_fd=handle))
            else:
                os.unlink(name, dir_fd=handle)
    except OSError:
        return False
    return True


def plain(line):
    """Return a line that an app said as it may be shown: cut, and without what a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in line[:SAID].expandtabs(4))
