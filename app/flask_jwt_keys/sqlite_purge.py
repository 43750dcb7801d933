"""Delete rows of the sessions' file whose time is over."""

from __future__ import annotations

import sqlite3
from itertools import count

from . import clock

OVER = (
    ("sessions", "rowid", "max(until, access_until)"),  # by a row, end_all knows the tokens
    ("revoked", "jti", "until"),
    ("grants", "digest", "until"),
)
"""Tables, their keys, and when a row is over."""
_MARGIN = 24 * 3600  # seconds that rows stay after their time: more than clocks are off
_EVERY = 8  # writes of a process, of which one deletes rows: the others wait for nothing
_AT_ONCE = 16  # rows that it deletes: it takes the same time, however many are over
_writes = count()


def purge(connection: sqlite3.Connection) -> None:
    """Go on with the time that the file believes in, and at times delete rows that are over."""
    row = connection.execute("SELECT now, ticks, boot FROM believed").fetchone()
    believed = clock.Believed(*row).later() if row else clock.first()
    now = (1, believed.now, believed.ticks, believed.boot)
    connection.execute("INSERT OR REPLACE INTO believed VALUES (?, ?, ?, ?)", now)
    if next(_writes) % _EVERY:
        return
    for table, key, over in OVER:
        connection.execute(
            f"DELETE FROM {table} WHERE {key} IN"  # noqa: S608
            f" (SELECT {key} FROM {table} WHERE {over} < ? ORDER BY {over} LIMIT {_AT_ONCE})",
            (believed.now - _MARGIN,),
        )
