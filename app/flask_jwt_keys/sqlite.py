"""The session store for one host: a SQLite file that all its workers share."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from . import sqlite_before
from .background import Background
from .errors import StoreError
from .sqlite_file import SQLiteFile
from .sqlite_purge import purge
from .store import Session

Result = TypeVar("Result")

_SCHEMA = (
    sqlite_before.SCHEMA
    + """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT NOT NULL UNIQUE, subject TEXT NOT NULL, claims TEXT NOT NULL, current BLOB NOT NULL,
    until INTEGER NOT NULL, tokens TEXT NOT NULL, access_until INTEGER NOT NULL, previous BLOB,
    seed BLOB NOT NULL, started REAL NOT NULL, changed REAL NOT NULL, nameless BLOB,
    version INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_subject ON sessions (subject);
CREATE INDEX IF NOT EXISTS sessions_over ON sessions (max(until, access_until));
CREATE INDEX IF NOT EXISTS sessions_nameless ON sessions (nameless) WHERE nameless IS NOT NULL;
CREATE INDEX IF NOT EXISTS revoked_until ON revoked (until);
CREATE INDEX IF NOT EXISTS grants_until ON grants (until);
CREATE TABLE IF NOT EXISTS believed (
    one INTEGER PRIMARY KEY CHECK (one = 1), now REAL NOT NULL, ticks REAL NOT NULL, boot TEXT
);
"""
)
_COLUMNS = (
    "id, subject, claims, current, until, tokens, access_until, previous, seed, started, changed,"
    " nameless, version"
)
_SET = ", ".join(f"{name} = ?" for name in _COLUMNS.split(", "))
_ROOM = 1024 * 1024  # bytes: below it the next write may fail


class SQLiteStore:
    """Sessions in a SQLite file (write-ahead log, so it must not lie on a network drive).

    Writes wait for the disk in a thread of their own; reads take microseconds and do not. Each
    write deletes a few rows that are long over, by :mod:`.clock`, never by the wall clock alone.

    A file that is missing is made. One that is unreadable is renamed, with an error in the log:
    everybody has to log in again, and access tokens that were logged out count until they expire.
    The file of an earlier release is read, and that release can work with the file of this one.

    :param path: the file; its directory is made if need be
    """

    shared = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._writer = Background(1)
        self._file = SQLiteFile(path, _SCHEMA)
        with suppress(StoreError):  # it is in the log, and each request tries again
            self.check()
        self.close()  # none is carried over a fork

    def close(self) -> None:
        """Close the connections that nobody uses; the next use opens one."""
        self._file.close()

    def _write(self, function: Callable[[sqlite3.Connection], Result]) -> Result:
        until = self._file.patience()  # from now on: others may wait for the thread first

        def write() -> Result:
            return self._file.write(function, until)

        return self._writer.run(write)

    def add(self, session: Session) -> None:
        """Keep a new session."""

        def add(connection: sqlite3.Connection) -> None:
            _insert(connection, session)
            purge(connection)

        self._write(add)

    def find(self, sid: str) -> Session | None:
        """The session, unless it has ended or its time is over."""
        return self._file.read(lambda connection: _find(connection, sid))

    def replace(self, session: Session) -> bool:
        """Write a session over the version before it; False if that is no longer there."""

        def write(connection: sqlite3.Connection) -> bool:
            before = (session.id, session.version - 1)
            query = f"UPDATE sessions SET {_SET} WHERE id = ? AND version = ?"  # noqa: S608
            if connection.execute(query, (*_row(session), *before)).rowcount:
                return True
            if session.version == 1 and sqlite_before.take_over(connection, session.id):
                _insert(connection, session)
                return True
            return False

        return self._write(write)

    def end(self, sid: str) -> None:
        """End a session; its id counts as ended until its last access token has expired."""

        def end(connection: sqlite3.Connection) -> None:
            _end(connection, sid)
            purge(connection)

        self._write(end)

    def end_all(self, subject: str, names: Collection[str] = ()) -> int:
        """End all sessions of a :attr:`Session.subject` in an app; gives their number."""

        def end(connection: sqlite3.Connection) -> int:
            query = f"SELECT {_COLUMNS} FROM sessions WHERE subject = ?"  # noqa: S608
            found = [_session(row) for row in connection.execute(query, (subject,)).fetchall()]
            others = {session.id for session in found if not session.is_of(names)}
            ids = [[session.id] for session in found if session.id not in others]
            for older in sqlite_before.sessions_of(connection, subject).values():
                ids = [each for each in ids if each[0] not in older]  # taken over at a refresh
                ids += [older] if others.isdisjoint(older) else []
            for sid in chain.from_iterable(ids):
                _end(connection, sid)
            purge(connection)
            return len(ids)

        return self._write(end)

    def revoke(self, jti: str, until: int, sid: str | None) -> None:
        """End an access token, and the session that it names or that knows it as ``nameless``."""

        def revoke(connection: sqlite3.Connection) -> None:
            _ban(connection, jti, until)
            query = "SELECT id FROM sessions WHERE id = ? OR nameless = ?"
            found = [row[0] for row in connection.execute(query, (sid, _blob(jti))).fetchall()]
            if sid and not found:  # its row may be gone before its last token
                _ban(connection, sid, until)
                found.append(sid)
            for each in [*found, *sqlite_before.end_by_token(connection, _blob(jti))]:
                _end(connection, each)
            purge(connection)

        self._write(revoke)

    def ended(self, *names: str) -> bool:
        """Whether any of these session ids and token ids is ended."""
        return self._file.read(lambda connection: _ended(connection, names))

    def check(self) -> None:
        """Return if sessions can be read and there is room to write them.

        :raises StoreError: otherwise
        """
        self._file.read(lambda connection: _ended(connection, ("",)))
        if shutil.disk_usage(self._path.parent).free < _ROOM:
            raise StoreError(f"{self._path}: the disk is full")


def _find(connection: sqlite3.Connection, sid: str) -> Session | None:
    query = f"SELECT {_COLUMNS} FROM sessions WHERE id = ? AND until > ?"  # noqa: S608
    row = connection.execute(query, (sid, time.time())).fetchone()
    if row is None:
        return sqlite_before.find(connection, sid)
    session = _session(row)
    # An earlier release, to which the host went back meanwhile, ends access tokens alone.
    out = _ended(connection, [sid, *(jti for jti, _ in session.tokens)])
    return None if out else session


def _session(row: tuple[Any, ...]) -> Session:
    tokens = tuple((jti, until) for jti, until in json.loads(row[5]))
    nameless = None if row[11] is None else _text(row[11])
    return replace(Session(*row), claims=json.loads(row[2]), tokens=tokens, nameless=nameless)


def _end(connection: sqlite3.Connection, sid: str) -> None:
    query = "SELECT access_until, tokens FROM sessions WHERE id = ?"
    for access_until, tokens in connection.execute(query, (sid,)).fetchall():
        _ban(connection, sid, access_until)
        for jti, until in json.loads(tokens):
            _ban(connection, jti, until)
    connection.execute("DELETE FROM sessions WHERE id = ?", (sid,))
    for other in sqlite_before.end(connection, sid):
        _end(connection, other)


def _ban(connection: sqlite3.Connection, name: str, until: int) -> None:
    query = (
        "INSERT INTO revoked VALUES (?, ?)"
        " ON CONFLICT (jti) DO UPDATE SET until = max(until, excluded.until)"
    )
    connection.execute(query, (_blob(name), until))


def _ended(connection: sqlite3.Connection, names: tuple[str, ...] | list[str]) -> bool:
    query = "SELECT 1 FROM revoked WHERE jti = ?"
    return any(connection.execute(query, (_blob(name),)).fetchone() for name in names)


def _insert(connection: sqlite3.Connection, session: Session) -> None:
    marks = ", ".join("?" for _ in _COLUMNS.split(", "))
    query = f"INSERT INTO sessions ({_COLUMNS}) VALUES ({marks})"  # noqa: S608
    connection.execute(query, _row(session))


def _row(session: Session) -> tuple[object, ...]:
    """The columns in their order."""
    nameless = session.nameless
    values = {
        **vars(session),
        "claims": json.dumps(dict(session.claims)),
        "tokens": json.dumps(session.tokens),
        "nameless": None if nameless is None else _blob(nameless),
    }
    return tuple(values.values())


def _blob(text: str) -> bytes:
    """Any text, also one that UTF-8 cannot hold, as JSON allows."""
    return text.encode("utf-8", "surrogatepass")


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")
