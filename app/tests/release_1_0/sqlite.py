"""The session store for one host: a SQLite file that all its workers share."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask_jwt_keys.background import Background

from .store import Grant

_SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (
    digest BLOB PRIMARY KEY, session TEXT NOT NULL, claims TEXT NOT NULL, jti BLOB NOT NULL,
    access_until INTEGER NOT NULL, until INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS grants_session ON grants (session);
CREATE INDEX IF NOT EXISTS grants_jti ON grants (jti);
CREATE TABLE IF NOT EXISTS revoked (jti BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
"""
_LEEWAY = 3600  # seconds that expired rows stay: more than any clock is off
_BUSY = 10.0  # seconds to wait for another worker's write


class SQLiteStore:
    """Sessions in a SQLite file (write-ahead log, so it must not lie on a network drive).

    Writes wait for the disk in a thread of their own; reads take microseconds and do not.

    :param path: the file; its directory is made if need be
    """

    shared = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._begin()
        self._writer = Background(1)
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        with self._connection() as connection:
            connection.executescript(_SCHEMA)
        self.close()  # none is carried over a fork

    def close(self) -> None:
        """Close the connections that nobody uses; the next use opens one."""
        _close(self._idle, self._process)

    def add(self, grant: Grant) -> None:
        """Keep the first grant of a session."""
        self._writer.run(self._add, grant)

    def rotate(self, digest: bytes, successor: Grant) -> bool:
        """Mark a grant as used and keep its successor; False if it was used or is gone."""
        return self._writer.run(self._rotate, digest, successor)

    def end(self, jti: str, until: int) -> None:
        """Revoke an access token until it expires, and all tokens of its session."""
        self._writer.run(self._end, _blob(jti), until)

    def find(self, digest: bytes) -> Grant | None:
        """The grant of a refresh token, unless its session has ended."""
        query = (
            "SELECT digest, session, claims, jti, access_until, until, used FROM grants"
            " WHERE digest = ? AND until > ?"
        )
        with self._connection() as connection:
            row = connection.execute(query, (digest, time.time())).fetchone()
        if row is None:
            return None
        digest, session, claims, jti, access_until, until, used = row
        return Grant(
            digest, session, json.loads(claims), _text(jti), access_until, until, bool(used)
        )

    def ended(self, jti: str) -> bool:
        """Whether an access token is revoked."""
        query = "SELECT 1 FROM revoked WHERE jti = ?"
        with self._connection() as connection:
            return connection.execute(query, (_blob(jti),)).fetchone() is not None

    def _add(self, grant: Grant) -> None:
        long_over = (time.time() - _LEEWAY,)
        with self._transaction() as connection:
            _insert(connection, grant)
            connection.execute("DELETE FROM grants WHERE until < ?", long_over)
            connection.execute("DELETE FROM revoked WHERE until < ?", long_over)

    def _rotate(self, digest: bytes, successor: Grant) -> bool:
        with self._transaction() as connection:
            marked = connection.execute(
                "UPDATE grants SET used = 1 WHERE digest = ? AND used = 0", (digest,)
            )
            if marked.rowcount:
                _insert(connection, successor)
            return bool(marked.rowcount)

    def _end(self, jti: bytes, until: int) -> None:
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO revoked VALUES (?, ?)", (jti, until))
            query = "SELECT session FROM grants WHERE jti = ?"
            for session in connection.execute(query, (jti,)).fetchall():
                connection.execute(
                    "INSERT OR REPLACE INTO revoked"
                    " SELECT jti, access_until FROM grants WHERE session = ?",
                    session,
                )
                connection.execute("DELETE FROM grants WHERE session = ?", session)

    def _begin(self) -> None:
        """Hold no connections yet; those of this process are closed when the store goes."""
        self._idle: list[sqlite3.Connection] = []
        self._process = os.getpid()
        weakref.finalize(self, _close, self._idle, self._process)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """An open connection that nobody else uses meanwhile."""
        if self._process != os.getpid():  # after a fork the parent's are not ours
            self._begin()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def _close(connections: list[sqlite3.Connection], process: int) -> None:
    """Close connections, unless they are of the process that this one was forked from."""
    while connections and process == os.getpid():
        connections.pop().close()


def _insert(connection: sqlite3.Connection, grant: Grant) -> None:
    connection.execute(
        "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            grant.digest,
            grant.session,
            json.dumps(dict(grant.claims)),
            _blob(grant.jti),
            grant.access_until,
            grant.until,
            grant.used,
        ),
    )


def _blob(text: str) -> bytes:
    """Any text, also one that UTF-8 cannot hold, as JSON allows."""
    return text.encode("utf-8", "surrogatepass")


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")
