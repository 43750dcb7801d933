"""Delete rows of the sessions' file whose time is over."""

from __future__ import annotations

import sqlite3

from . import clock

OVER = (
    ("sessions", "rowid", "max(until, access_until)"),  # by a row, end_all knows the tokens
    ("revoked", "jti", "until"),
    ("grants", "digest", "until"),
)
"""Tables, their keys, and when a row is over."""
_MARGIN = 24 * 3600  # seconds that rows stay after their time: more than clocks are off
_AT_ONCE = 4  # rows that a write deletes: each write takes the same time, however many are over


def purge(connection: sqlite3.Connection) -> None:
    """Delete a few rows that are long over, and go on with the time that the file believes in."""
    row = connection.execute("SELECT now, ticks, boot FROM believed").fetchone()
    believed = clock.Believed(*row).later() if row else clock.first()
    now = (1, believed.now, believed.ticks, believed.boot)
    connection.execute("INSERT OR REPLACE INTO believed VALUES (?, ?, ?, ?)", now)
    for table, key, over in OVER:
        connection.execute(
            f"DELETE FROM {table} WHERE {key} IN"  # noqa: S608
            f" (SELECT {key} FROM {table} WHERE {over} < ? ORDER BY {over} LIMIT {_AT_ONCE})",
            (believed.now - _MARGIN,),
        )
