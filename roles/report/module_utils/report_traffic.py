"""What nginx logged of an app's requests in some hours, by release: rotated files too, in bounded room.

Nothing is sampled. Times are counted by the millisecond, as nginx logs them, so figures of several hosts can be added.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from ansible.module_utils.flask_deploy.host.clock import now as clock
from ansible.module_utils.flask_deploy.switch import log

HOUR = 3600
LIMIT = 120  # seconds that reading may take; the newest files are read first
LOOKS = 5  # at the directory, until no rotation comes between
ERRORS = 1000  # paths that failed and are counted one by one; an app can be asked for any number of them
SHOWN = 10  # of these
NAME = re.compile(r"([.-]\d+)?(\.gz)?")  # behind the name of a log


class Figures:
    """Requests of one release on one host."""

    def __init__(self) -> None:
        self.requests = self.failed = self.given_up = self.websockets = 0
        self.times: Counter[int] = Counter()
        self.hours: dict[int, list[int]] = {}
        self.first, self.last = float("inf"), 0.0

    def add(self, entry: log.Entry, at: float) -> None:
        """Count a request that ended at a time."""
        self.requests += 1
        self.failed += entry.failed
        self.given_up += entry.given_up
        self.websockets += entry.websocket
        hour = self.hours.setdefault(int(at // HOUR), [0, 0])
        hour[0] += 1
        hour[1] += entry.failed
        self.first, self.last = min(self.first, at), max(self.last, at)
        if not entry.websocket and not entry.given_up:
            self.times[round(1000 * (entry.seconds if entry.first is None else entry.first))] += 1

    def data(self) -> dict[str, Any]:
        """Return it as JSON has it: times as [milliseconds, requests], hours as [hour, requests, failed]."""
        names = ("requests", "failed", "given_up", "websockets", "first", "last")
        return {
            **{name: getattr(self, name) for name in names},
            "times": sorted(map(list, self.times.items())),
            "hours": sorted([hour, *counts] for hour, counts in self.hours.items()),
        }


def read(app: str, hours: int = 24, path: str | None = None, now: float | None = None) -> dict[str, Any]:
    """Return what an app was asked.

    :param now: seconds since 1970, where the hours end.
    :return: {"begin", "end": seconds since 1970, "releases": {id: Figures.data}, "errors": [[release, path, status,
        how often, when last]], "uncounted": errors of further paths, "unread": files that were left out, and why}.
    """
    end = time.time() if now is None else now
    begin, over = end - hours * HOUR, clock() + LIMIT
    releases: dict[str, Figures] = {}
    errors: dict[tuple[str, str, int], list[float]] = {}
    uncounted, unread = 0, []
    for name, file in opened(log.LOG if path is None else path, begin):
        if clock() > over:
            unread.append(f"{name}: the rest took more than {LIMIT} s to read")
        with file:
            try:
                for entry, at in entries(file, app, begin, end) if clock() <= over else ():
                    releases.setdefault(entry.release, Figures()).add(entry, at)
                    if entry.failed and not _noted(errors, entry, at):
                        uncounted += 1
            except (OSError, EOFError, zlib.error) as error:
                unread.append(f"{name}: {error}")
    worst = sorted(errors.items(), key=lambda each: (-each[1][0], each[0]))
    return {
        **{"begin": begin, "end": end, "unread": unread},
        "releases": {release: figures.data() for release, figures in releases.items()},
        "errors": [[*of, *counted] for of, counted in worst[:SHOWN]],
        "uncounted": uncounted + int(sum(counted[0] for _of, counted in worst[SHOWN:])),
    }


def _noted(errors: dict[tuple[str, str, int], list[float]], entry: log.Entry, at: float) -> bool:
    """Count an error by its path; tell whether there was room for it."""
    of = (entry.release, entry.path, entry.status)
    if of not in errors and len(errors) >= ERRORS:
        return False
    times, last = errors.get(of, (0, 0.0))
    errors[of] = [times + 1, max(last, at)]
    return True


def entries(file: IO[bytes], app: str, begin: float, end: float) -> Iterator[tuple[log.Entry, float]]:
    """Yield what visitors asked an app, and when the request ended."""
    mark = json.dumps(app).encode()
    for line in lines(file):
        entry = log.parse(line) if mark in line else None
        if not entry or not entry.app or not entry.asked(app) or not entry.release or entry.at is None:
            continue
        if begin < entry.at <= end:
            yield entry, entry.at


def lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield whole lines; one that is too long is skipped, and so is the last one that nginx has not ended yet."""
    cut = False
    while piece := file.readline(log.LONGEST):
        whole = piece.endswith(b"\n")
        if whole and not cut:
            yield piece
        cut = not whole


def opened(path: str, begin: float) -> list[tuple[str, IO[bytes]]]:
    """Return the files of a log that were written to since a time, open, each once, the newest first."""
    for _look in range(LOOKS):
        found, files = listed(path, begin), []
        with contextlib.suppress(FileNotFoundError):
            for name, *_rest in found:
                file = gzip.open(name) if name.endswith(".gz") else open(name, "rb")  # noqa: SIM115 - its reader closes it
                files.append((os.path.basename(name), file))
        if listed(path, begin) == found:
            return files
        for _name, file in files:
            file.close()
    raise OSError(f"{path} is rotated again and again")


def listed(path: str, begin: float) -> list[tuple[str, int]]:
    """Return (path, inode) of a log's files, the newest first; of one that is just compressed the whole one alone."""
    folder, start = os.path.split(path)
    found = []
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        if entry.name.startswith(start) and NAME.fullmatch(entry.name[len(start) :]) and entry.is_file():
            with contextlib.suppress(FileNotFoundError):
                found.append((entry.stat().st_mtime, entry.path, entry.inode()))
    whole = {name for _at, name, _inode in found}
    kept = [
        (-at, name, inode) for at, name, inode in found if name.removesuffix(".gz") not in whole or name[-3:] != ".gz"
    ]
    return [(name, inode) for at, name, inode in sorted(kept) if -at >= begin]
