"""Login and refresh with no session and with many: ``python app/bench/sessions.py [COUNT]``.

Times are those of the store alone, with the flush to the disk that each write waits for, and
medians and 99th percentiles in milliseconds. Each round takes turns, so that what else the machine
does meets both alike.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parents[1]))

from flask_jwt_keys import SQLiteStore, Token
from flask_jwt_keys.sessions import Sessions
from flask_jwt_keys.store import Session

LIFETIME, GRACE = 30 * 24 * 3600, 10
PAYLOAD = "eyJpZGVudGl0eSI6MSwianRpIjoiaiJ9"  # {"identity":1,"jti":"j"}


def main() -> None:
    """Print one line for each step, and the size of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as directory:
        paths = {"empty": Path(directory, "empty"), "full": Path(directory, "full")}
        sessions = {name: opened(path) for name, path in paths.items()}
        fill(paths["full"], options.count)
        size = sum(file.stat().st_size for file in Path(directory).glob("full*"))
        each = size / options.count
        print(f"{options.count} sessions: {size / 1e6:.0f} MB, {each:.0f} bytes each")
        compare(sessions, options.rounds)
        grow(sessions["full"], paths["full"], 10 * options.rounds)


def opened(path: Path) -> Sessions:
    """Sessions in a file."""
    return Sessions(SQLiteStore(path), LIFETIME, lambda: 3600.0, GRACE)


def issue(identity: object = None) -> Token:
    """An access token that costs nothing to make."""
    return Token(f"eyJhbGciOiJub25lIn0.{PAYLOAD}.")


def fill(path: Path, count: int) -> None:
    """Write sessions without waiting for the disk; a third of them is over."""
    from flask_jwt_keys import sqlite

    now = int(time.time())
    connection = sqlite3.connect(path)
    for number in range(count):
        until = now - 3 * 24 * 3600 if number % 3 == 0 else now + LIFETIME
        sid = f"{number * 2654435761 % 2**64:022x}"
        session = Session(
            sid, str(number), {"identity": number}, bytes(32), until, seed=bytes(32), version=1
        )
        sqlite._insert(connection, session)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def compare(sessions: dict[str, Sessions], rounds: int) -> None:
    """Login and refresh in turns."""
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name, each in sessions.items():
            token, spent = timed(lambda each=each: each.begin(issue))
            times.setdefault(("login", name), []).append(spent)
            refresh = token.refresh_token
            _, spent = timed(lambda each=each, r=refresh: each.renew(r, lambda c: c, issue))
            times.setdefault(("refresh", name), []).append(spent)
            _, spent = timed(lambda each=each: each.ended({"jti": "j", "sid": "x"}))
            times.setdefault(("look", name), []).append(spent)
    for step in ("login", "refresh", "look"):
        empty, full = times[step, "empty"], times[step, "full"]
        print(
            f"{step:8} empty {median(empty):7.3f} (p99 {quantiles(empty, n=100)[-1]:7.3f})   "
            f"full {median(full):7.3f} (p99 {quantiles(full, n=100)[-1]:7.3f})   "
            f"{median(full) / median(empty):.2f} times"
        )


def grow(sessions: Sessions, path: Path, count: int) -> None:
    """Refresh one session again and again."""
    before = path.stat().st_size
    token = sessions.begin(issue).refresh_token
    for _ in range(count):
        token = sessions.renew(token, lambda claims: claims, issue)[1].refresh_token
    print(f"{count} refreshes: the file grew by {path.stat().st_size - before} bytes")


def timed(function: Callable[[], Token]) -> tuple[Token, float]:
    """The result, and the milliseconds that it took."""
    begin = time.perf_counter()
    result = function()
    return result, (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    main()
