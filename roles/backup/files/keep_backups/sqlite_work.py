"""SQLite databases of an app: found by their header, copied by SQLite's own backup, opened, checked and counted.

A program of its own, which needs nothing beside it: it reads a job from standard input and prints what came of it. It
runs as the app's own user: what an app wrote is not read by root, and a file that harms SQLite harms nobody else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any

HEADER = b"SQLite format 3\0"  # sqlite.org/fileformat2.html, 1.3
PATIENCE = 60  # seconds that a copy gives way to writers before it takes the database for itself
STEP = 2000  # pages
BUSY = 30  # seconds
SPARE = 64 << 20  # bytes that stay free
TAG = "CACHEDIR.TAG"
CACHE = b"Signature: 8a477f597d28d172789f06886806bc55"  # bford.info/cachedir


def find(roots: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the databases below some directories; links are not followed, and caches left out, as restic does."""
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not is_cache(os.path.join(folder, name))]
            for path in (os.path.join(folder, name) for name in sorted(names)):
                with contextlib.suppress(OSError):
                    info = os.lstat(path)
                    if stat.S_ISREG(info.st_mode) and info.st_size >= len(HEADER) and _begins(path):
                        yield path, info


def is_cache(folder: str) -> bool:
    """Tell whether restic saves nothing of a directory but its tag."""
    with contextlib.suppress(OSError):
        return _begins(os.path.join(folder, TAG), CACHE)
    return False


def _begins(path: str, header: bytes = HEADER) -> bool:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        return file.read(len(header)) == header


def copy(roots: list[str], into: str, places: list[str]) -> dict[str, Any]:
    """Copy all databases below some directories.

    :param places: directories of which it is told whether they are caches.

    :return: {"copies": {path: {"name": file in ``into``, "uid", "gid", "mode", "tables"}}, "failed": {path: why},
        "caches": [path of a place that is one]}.
    """
    copies, failed = {}, {}
    for number, (path, info) in enumerate(find(roots)):
        name = f"{number}.db"
        try:
            if shutil.disk_usage(into).free < info.st_size + SPARE:
                raise OSError(f"its copy takes {info.st_size >> 20} MB, for which {into} has no room")
            _copy(path, f"{into}/{name}")
            told = {"uid": info.st_uid, "gid": info.st_gid, "mode": stat.S_IMODE(info.st_mode)}
            copies[path] = {"name": name, **told, "tables": _tables(f"{into}/{name}")}
        except (sqlite3.Error, OSError) as error:
            failed[path] = str(error)
    return {"copies": copies, "failed": failed, "caches": [path for path in places if is_cache(path)]}


def _copy(path: str, into: str) -> None:
    """Copy a database while others write to it: in steps, or at once where writers do not wait for readers."""
    with contextlib.closing(_open(path)) as source, contextlib.closing(sqlite3.connect(into)) as target:
        wal = source.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        end = time.monotonic() + PATIENCE

        def look(_status: int, _left: int, _all: int) -> None:
            if time.monotonic() > end:
                raise TimeoutError

        try:
            source.backup(target, pages=-1 if wal else STEP, progress=None if wal else look, sleep=0.01)
        except TimeoutError:
            source.backup(target, pages=-1)


def _open(path: str) -> sqlite3.Connection:
    """Open a database, whatever its name holds (sqlite.org/uri.html)."""
    name = "".join(chr(b) if (chr(b).isalnum() and b < 128) or b in b"/._-" else f"%{b:02x}" for b in os.fsencode(path))
    return sqlite3.connect(f"file:{name}?mode=rw", uri=True, timeout=BUSY)


def _tables(path: str) -> dict[str, int | None]:
    """Return {table: its rows}; None for one that this SQLite cannot read, as some virtual ones."""
    with contextlib.closing(_open(path)) as database:
        names = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        return {name: _rows(database, name) for (name,) in names.fetchall()}


def _rows(database: sqlite3.Connection, table: str) -> int | None:
    quoted = table.replace('"', '""')
    try:
        return database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]  # noqa: S608
    except sqlite3.OperationalError:
        return None


def count(paths: list[str], check: bool) -> dict[str, Any]:
    """Return {path: {"tables"} or {"error"}}.

    :param check: let SQLite look at each page first.
    """
    told: dict[str, Any] = {}
    for path in paths:
        try:
            if check:
                with contextlib.closing(_open(path)) as database:
                    said = database.execute("PRAGMA integrity_check(5)").fetchall()
                if said != [("ok",)]:
                    raise sqlite3.DatabaseError("; ".join(str(line) for (line,) in said))
            told[path] = {"tables": _tables(path)}
        except (sqlite3.Error, OSError) as error:
            told[path] = {"error": str(error)}
    return told


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answer = {"copy": copy, "count": count}[asked.pop("do")](**asked)
    sys.stdout.write(json.dumps(answer))
