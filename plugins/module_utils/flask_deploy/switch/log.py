"""nginx's access log as a watch reads it: from a position on, over rotations, in pieces of bounded size."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible.module_utils.flask_deploy.host import nginx
from ansible.module_utils.flask_deploy.host.clock import now

LOG = "/var/log/nginx/access.log"
TAIL = 64 << 20  # bytes looked at of what lies before a position, at most
BACK = 1 << 20  # bytes by which a time is looked for
PIECE = 1 << 18  # bytes read at a time
LOOK = 32 << 20  # bytes of a file that one look reads at most
LONGEST = 1 << 16  # bytes of a line; longer ones are skipped
REOPENED = 5  # seconds after a rotation in which nginx may still write to the old file
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass
class Entry:
    """One request that the app was asked, as nginx logged its end.

    :ivar named: how its release is known: by the "answer", as the request's "start" was, or as its "end" was.
    :ivar at: wall clock at its end, or None.
    :ivar seconds: how long it took, by a clock that nobody sets where the log has one.
    :ivar first: seconds to the app's first byte; None where there was none, or an older log does not tell.
    :ivar refused: whether no connection came about: then it went through the link, never by one that nginx had kept.
    :ivar app: name of the app; "" where an older log does not tell.
    :ivar path: as nginx logged it, cut where it was long.
    :ivar own: whether the host itself asked, to see whether the app is well: that is no visitor.
    """

    release: str
    named: str
    status: int
    at: float | None
    seconds: float
    first: float | None
    refused: bool
    websocket: bool
    app: str = ""
    path: str = ""
    own: bool = False

    def asked(self, app: str) -> bool:
        """Tell whether a visitor asked this app: another one's answer may name any release, and is not believed."""
        return not self.own and self.app in ("", app)

    @property
    def failed(self) -> bool:
        return self.status >= 500

    @property
    def given_up(self) -> bool:
        """Whether its client left before an answer: that tells nothing of how it would have ended."""
        return self.status == 499 and self.first is None


def position(path: str) -> list[int] | None:
    """Return where a log ends now, as [inode, size]; None where there is none."""
    try:
        info = os.stat(path)
    except FileNotFoundError:
        return None
    return [info.st_ino, info.st_size]


def parse(line: bytes) -> Entry | None:
    """Return the Entry of a line, or None: it is none, or nginx answered without the app."""
    try:
        told = json.loads(line.decode(errors="replace"))
        release, status, upstream = told["release"], int(told["status"]), str(told.get("upstream_status", "app"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not isinstance(release, str) or not upstream:
        return None
    seconds = _seconds(told.get("upstream_seconds"))
    return Entry(
        release=release,
        named=str(told.get("named") or "end"),
        status=status,
        at=_wall(told),
        seconds=_seconds(told.get("seconds")) or 0.0 if seconds is None else seconds,
        first=_seconds(told.get("first")),
        refused="connect" in told and _seconds(told["connect"]) is None,
        websocket=bool(told.get("websocket")) or status == 101,
        app=str(told.get("app") or ""),
        path=str(told.get("path") or ""),
        own=(told.get("agent"), told.get("remote_addr")) == (nginx.AGENT, nginx.HERE),
    )


def _seconds(told: Any) -> float | None:
    """Return a time that nginx tells; of several upstreams it tells several, of none a dash."""
    found = NUMBER.findall(str(told))
    return sum(map(float, found)) if found else None


def _wall(told: dict[str, Any]) -> float | None:
    with suppress(ValueError, TypeError, KeyError):
        return float(told["at"])
    with suppress(ValueError, TypeError, KeyError):
        return datetime.fromisoformat(told["time"]).timestamp()
    return None


class _File:
    """One file of a log, read from an offset on."""

    def __init__(self, path: str, offset: int) -> None:
        self.file = open(path, "rb")  # noqa: SIM115 - stays open while it is followed
        self.inode = os.fstat(self.file.fileno()).st_ino
        self.file.seek(offset)
        self.rest, self.cut = b"", False
        self.replaced: float | None = None

    def lines(self, end: int | None = None) -> Iterator[bytes]:
        """Yield the whole lines that were added, or those up to an offset."""
        size = os.fstat(self.file.fileno()).st_size
        if size < self.file.tell():  # emptied by a rotation that copies
            self.file.seek(0)
            self.rest = b""
        left = min(LOOK, max(0, (size if end is None else end) - self.file.tell()))
        while left > 0 and (piece := self.file.read(min(PIECE, left))):
            left -= len(piece)
            *lines, self.rest = (self.rest + piece).split(b"\n")
            for line in lines:
                if not self.cut and len(line) <= LONGEST:
                    yield line
                self.cut = False
            if len(self.rest) > LONGEST:
                self.rest, self.cut = b"", True


class Log:
    """A log from a position on.

    :param since: what `position` told; None where there was no log: then all of it is new.
    """

    def __init__(self, path: str, since: list[int] | None) -> None:
        self.path = path
        self.parts: list[_File] = []
        inode, self.size = since or (None, 0)
        for name in (f"{path}.1", path):
            if self.parts or name == path or _inode(name) == inode:
                self._open(name, self.size if _inode(name) == inode else 0)
        self.inode = inode

    def close(self) -> None:
        for part in self.parts:
            part.file.close()

    def reached(self) -> list[int] | None:
        """Return the position behind the last whole line that was read, see ``position``."""
        last = self.parts[-1] if self.parts else None
        return [last.inode, last.file.tell() - len(last.rest)] if last else None

    def before(self, release: str | None, since: float = 0.0) -> Iterator[Entry]:
        """Yield the entries of a release that lie before the position, from a time on, and some that ended earlier.

        All apps write to one log: how much of it that is depends on the others. No more than some MiB are looked at.
        """
        room = TAIL
        spans: list[tuple[str, int, int]] = []
        for name in (self.path, f"{self.path}.1"):
            found = position(name)
            if found and (found[0] == self.inode or spans) and room:
                end = self.size if found[0] == self.inode else found[1]
                begin = _back(name, end, room, since)
                spans.append((name, begin, end))
                room = 0 if begin else room - end
        for name, begin, end in reversed(spans):
            with suppress(FileNotFoundError):
                part = _File(name, begin)
                part.cut = begin > 0  # in the midst of a line
                for _look in range(begin, end, LOOK):
                    yield from _entries(part.lines(end), {release})
                part.file.close()

    def entries(self, releases: Collection[str | None]) -> Iterator[Entry]:
        """Yield the entries of some releases that were written since the last look."""
        if not self.parts or _inode(self.path) not in (None, self.parts[-1].inode):
            for part in self.parts[-1:]:
                part.replaced = now()
            self._open(self.path, 0)
        for part in self.parts:
            yield from _entries(part.lines(), releases)
        for part in [one for one in self.parts if one.replaced and now() - one.replaced > REOPENED]:
            part.file.close()
            self.parts.remove(part)

    def _open(self, path: str, offset: int) -> None:
        with suppress(FileNotFoundError):
            self.parts.append(_File(path, offset))


def _back(path: str, end: int, room: int, since: float) -> int:
    """Return from where on a file tells what ended since a time; or where the room ends."""
    begin, least, told = end, max(0, end - room), math.inf
    with suppress(FileNotFoundError), open(path, "rb") as file:
        while begin > least and told >= since:
            begin = max(least, begin - BACK)
            file.seek(begin)
            if begin:
                file.readline(LONGEST)  # in the midst of a line
            told = _ended(file.readline(LONGEST))
    return begin


def _ended(line: bytes) -> float:
    """Return when a request ended, whoever answered it; of what does not tell it is not known to be long ago."""
    try:
        told = _wall(json.loads(line.decode(errors="replace")))
    except ValueError:
        return math.inf
    return math.inf if told is None else told


def _inode(path: str) -> int | None:
    found = position(path)
    return found[0] if found else None


def _entries(lines: Iterable[bytes], releases: Collection[str | None]) -> Iterator[Entry]:
    marks = [release.encode() for release in releases if release]
    for line in lines:
        if any(mark in line for mark in marks) and (entry := parse(line)) and entry.release in releases:
            yield entry
