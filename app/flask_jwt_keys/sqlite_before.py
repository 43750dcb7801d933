"""What releases before 2.0 keep in the same file: a row for each refresh token.

During a deploy both releases run for some seconds, and a rollback goes back to the old one. So
their tables stay as they are: ``revoked`` serves both, ``grants`` is read, and its tokens are
taken over at their first refresh. After a rollback those who logged in or refreshed since have to
log in again; nobody who was logged out comes back.
"""

from __future__ import annotations

import json
import sqlite3
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from .kept_claims import subject_of
from .store import Session

SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (
    digest BLOB PRIMARY KEY,
    session TEXT NOT NULL,
    claims TEXT NOT NULL,
    jti BLOB NOT NULL,
    access_until INTEGER NOT NULL,
    until INTEGER NOT NULL,
    used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS grants_session ON grants (session);
CREATE INDEX IF NOT EXISTS grants_jti ON grants (jti);
CREATE TABLE IF NOT EXISTS revoked (jti BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
"""
_WHOLE = sha256(b"").digest()  # the changing part of their refresh tokens, which have none
_USED = b""  # no token's hash: whoever shows it, shows an outdated one


def find(connection: sqlite3.Connection, sid: str) -> Session | None:
    """The session that a refresh token of an earlier release belongs to."""
    query = (
        "SELECT claims, jti, access_until, until, used FROM grants"
        " WHERE digest BETWEEN ? AND ? AND until > ?"
    )
    row = connection.execute(query, (*_range(sid), time.time())).fetchone()
    if row is None:
        return None
    claims, jti, access_until, until, used = row
    token = (jti.decode("utf-8", "surrogatepass"), access_until)
    members = json.loads(claims)
    subject = subject_of(members)
    current = _USED if used else _WHOLE
    return Session(sid, subject, members, current, until, (token,), access_until)


def take_over(connection: sqlite3.Connection, sid: str) -> bool:
    """Whether the refresh token was not used yet; it is from now on."""
    query = "UPDATE grants SET used = 1 WHERE used = 0 AND digest BETWEEN ? AND ?"
    return bool(connection.execute(query, _range(sid)).rowcount)


def end(connection: sqlite3.Connection, sid: str) -> list[str]:
    """End the session of a refresh token; gives the ids that its tokens have now."""
    query = "SELECT session FROM grants WHERE digest BETWEEN ? AND ?"
    return _end(connection, connection.execute(query, _range(sid)).fetchall())


def end_by_token(connection: sqlite3.Connection, jti: bytes) -> list[str]:
    """End the session of an access token; gives the ids that its refresh tokens have now."""
    query = "SELECT session FROM grants WHERE jti = ?"
    return _end(connection, connection.execute(query, (jti,)).fetchall())


def sessions_of(connection: sqlite3.Connection, subject: str) -> dict[str, list[str]]:
    """The ids of a user's refresh tokens by session; it reads all that earlier releases left."""
    found: dict[str, list[str]] = {}
    for session, digest, claims in connection.execute("SELECT session, digest, claims FROM grants"):
        if subject_of(json.loads(claims)) == subject:
            found.setdefault(session, []).append(_id(digest))
    return found


def _end(connection: sqlite3.Connection, sessions: list[tuple[str]]) -> list[str]:
    ids = []
    for session in sessions:
        query = "SELECT digest FROM grants WHERE session = ?"
        ids += [_id(digest) for (digest,) in connection.execute(query, session).fetchall()]
        connection.execute(
            "INSERT OR REPLACE INTO revoked SELECT jti, access_until FROM grants WHERE session = ?",
            session,
        )
        connection.execute("DELETE FROM grants WHERE session = ?", session)
    return ids


def _range(sid: str) -> tuple[bytes, bytes]:
    """The first and the last hash that begin with an id."""
    try:
        begin = urlsafe_b64decode(sid + "=" * (-len(sid) % 4))
    except ValueError:
        begin = b""
    if len(begin) != 16:
        return b"\xff", b""  # no hash at all
    return begin + bytes(16), begin + b"\xff" * 16


def _id(digest: bytes) -> str:
    return urlsafe_b64encode(digest[:16]).decode().rstrip("=")
