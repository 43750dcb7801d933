"""A SQLite file that workers share, and that heals: connections, schema, errors."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

from .errors import StoreError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Identity = tuple[int, int] | None  # of a file; None for one that is not there

_BUSY = 5.0  # seconds to wait for another worker's write
_UNREADABLE = ("file is not a database", "malformed", "unsupported file format")


class SQLiteFile:
    """A file that is made when it is missing and set aside when it cannot be read.

    :param path: the file, on a local disk (write-ahead log); its directory is made if need be
    :param schema: statements that make what is not there yet
    """

    def __init__(self, path: str | os.PathLike[str], schema: str) -> None:
        self._path = Path(path)
        self._schema = schema
        self._begin()

    def read(self, function: Callable[[sqlite3.Connection], Result]) -> Result:
        """What the function finds.

        :raises StoreError: if the file is locked too long, or cannot be read or written
        """
        return self._healed(self._connection, function)

    def write(
        self, function: Callable[[sqlite3.Connection], Result], until: float | None = None
    ) -> Result:
        """The function's result, after all that it wrote is on the disk; or nothing is written.

        :param until: when to wait no more for others' writes, by :meth:`patience`; None for that
            of now
        :raises StoreError: if the file is locked too long, the disk is full, …
        """
        until = self.patience() if until is None else until
        return self._healed(lambda: self._transaction(until), function)

    @staticmethod
    def patience() -> float:
        """How long a write that comes now waits for others, by the monotonic clock."""
        return time.monotonic() + _BUSY

    def close(self) -> None:
        """Close the connections that nobody uses; the next use opens one."""
        _close(self._idle, self._process)

    def _healed(
        self,
        opened: Callable[[], AbstractContextManager[sqlite3.Connection]],
        function: Callable[[sqlite3.Connection], Result],
    ) -> Result:
        for again in (True, True, False):
            try:
                with opened() as connection:
                    return function(connection)
            except (sqlite3.Error, OSError) as error:
                if not (again and self._heal(error)):
                    logger.error("the session store %s cannot answer: %s", self._path, error)
                    raise StoreError(f"{self._path}: {error}") from error
        raise AssertionError

    def _heal(self, error: Exception) -> bool:
        """Whether trying again can help; the file is set aside if it cannot be read."""
        text = str(error)
        if any(each in text for each in _UNREADABLE):
            self.close()
            self._set_aside()
            return True
        if "no such table" in text:  # the file was emptied
            self.close()
            return True
        # The file was taken away under an open connection.
        return isinstance(error, FileNotFoundError) or "readonly database" in text

    def _set_aside(self) -> None:
        with self._lock():
            if _is_readable(self._path):
                return  # another worker was here first
            stamp = time.strftime("%Y%m%dT%H%M%S")
            for suffix in ("-wal", "-shm", ""):
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    part.rename(part.with_name(f"{self._path.name}.unreadable-{stamp}{suffix}"))
            logger.error(
                "the session store %s could not be read. It was set aside as %s.unreadable-%s, "
                "and everybody has to log in again",
                self._path,
                self._path.name,
                stamp,
            )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """What only one worker does at a time."""
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def _begin(self) -> None:
        """Hold no connections yet; those of this process are closed when the file goes."""
        self._idle: list[tuple[Identity, sqlite3.Connection]] = []
        self._process = os.getpid()
        weakref.finalize(self, _close, self._idle, self._process)

    @contextmanager
    def _transaction(self, until: float) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection, connection:
            _wait(connection, until - time.monotonic())
            connection.execute("BEGIN IMMEDIATE")
            _wait(connection, _BUSY)
            yield connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """An open connection to the file that is there now, which nobody else uses meanwhile."""
        if self._process != os.getpid():  # after a fork the parent's are not ours
            self._begin()
        identity, connection = self._taken() or self._open()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append((identity, connection))

    def _taken(self) -> tuple[Identity, sqlite3.Connection] | None:
        """An idle connection; those to a file that was since replaced are closed."""
        while True:
            try:
                identity, connection = self._idle.pop()
            except IndexError:
                return None
            if identity == _identity(self._path):
                return identity, connection
            connection.close()

    def _open(self) -> tuple[Identity, sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if not self._path.exists():
                for suffix in ("-wal", "-shm"):  # those of a file that somebody deleted
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._path.touch(mode=0o600)
            connection = sqlite3.connect(
                self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.executescript(self._schema)
                return _identity(self._path), connection
            except BaseException:
                connection.close()
                raise


def _wait(connection: sqlite3.Connection, seconds: float) -> None:
    """So long from now on for others' locks."""
    connection.execute(f"PRAGMA busy_timeout = {max(0, int(1000 * seconds))}")


def _identity(path: Path) -> Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_readable(path: Path) -> bool:
    try:
        connection = sqlite3.connect(path, timeout=_BUSY)
        try:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return True  # locked: it is no proof
    except sqlite3.DatabaseError:
        return False


def _close(connections: list[tuple[Identity, sqlite3.Connection]], process: int) -> None:
    """Close connections, unless they are of the process that this one was forked from."""
    while connections and process == os.getpid():
        connections.pop()[1].close()
