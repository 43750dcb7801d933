"""What lies in a directory that an app can write to: root neither opens nor follows anything there.

An app may put a link, a FIFO, a device or a directory at any name it can write. So its own places are looked at by
lstat(2), and changed by name, relative to a directory that was opened without following a link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ansible.module_utils.flask_deploy.host import files

SAID = 500  # characters that are shown of a line


LINK = "sock/gunicorn.sock"  # in run/: where the app's socket is
PROTECTION = "/proc/sys/fs/protected_symlinks"
SETTING = "/etc/sysctl.d/99-flask-deploy.conf"
TEXT = """\
# Managed by Ansible: flask-deploy
# Nobody follows a link that an app puts where its socket should be (proc(5)).
fs.protected_symlinks = 1
"""


class Untrusted(OSError):
    """Something lies where it must not; the message is for the person who deploys."""


@contextmanager
def opened(folder: str) -> Iterator[int]:
    """Open a directory itself, never what a link at its name points at."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def marked(folder: str, name: str) -> bool:
    """Tell whether anything lies at a name."""
    return os.path.lexists(os.path.join(folder, name))


def mark(folder: str, name: str, wanted: bool) -> bool:
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


def refuse_false_socket(path: str) -> None:
    """Refuse what is no socket where nginx looks for one: a link might lead to another app's.

    :param path: what nginx uses; there may be a link of root's, which no app can change.
    :raises Untrusted: with what lies there. Where nothing does, whoever connects will be told.
    """
    with suppress(FileNotFoundError):
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode) and info.st_uid == os.geteuid() and os.readlink(path) == LINK:
            path = os.path.join(os.path.dirname(path), LINK)
            info = os.lstat(path)
        if not stat.S_ISSOCK(info.st_mode):
            put = f"{path} is no socket: the app put {_kind(info.st_mode)} there"
            raise Untrusted(f"{put}; find what in the app changes /release/run, take it out and deploy again")


def _kind(mode: int) -> str:
    return "a link" if stat.S_ISLNK(mode) else "a directory" if stat.S_ISDIR(mode) else "something else"


def ensure_links_refused(dry: bool = False) -> list[str]:
    """Let the kernel refuse an app's links in a sticky directory, as Debian does; return what changed or would.

    :raises Untrusted: this host cannot be told to.
    """
    if (files.read(PROTECTION) or b"").strip() not in (b"", b"0"):
        return []
    if not dry:
        try:
            with open(PROTECTION, "w", encoding="ascii") as file:
                file.write("1\n")
        except OSError as error:
            raise Untrusted(
                f"fs.protected_symlinks is off on this host; type there: sudo sysctl fs.protected_symlinks=1 ({error})"
            ) from None
        files.ensure_file(SETTING, TEXT.encode())
    return ["fs.protected_symlinks"]


def plain(line: str) -> str:
    """Return a line that an app said as it may be shown: cut, and without what a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in line[:SAID].expandtabs(4))
