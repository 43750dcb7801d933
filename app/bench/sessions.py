"""Login and refresh with no session and with many: ``python app/bench/sessions.py [COUNT]``.

Times are those of the store alone, with the flush to the disk that each write waits for, and
medians and 99th percentiles in milliseconds. Each round takes turns, so that what else the machine
does meets both alike. Then ``--refreshes`` follow, of any of the many sessions, for ``--minutes``
at most. ``--store valkey`` starts two servers with ``appendfsync always``; their size is that of
their memory, of which a million sessions take more than a gigabyte.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from valkey_server import Server

from flask_jwt_keys import SQLiteStore, Store, Token, ValkeyStore, refresh_tokens, sqlite, valkey
from flask_jwt_keys.making import asked
from flask_jwt_keys.sessions import Sessions
from flask_jwt_keys.store import Session
from flask_jwt_keys.strict import segment

UNSIGNED = segment({"alg": "none"}).decode()
LIFETIME, GRACE = 30 * 24 * 3600, 10
FIRST = "0"  # the changing part of the refresh tokens that made sessions have
OVER = 3  # each third session of the file is over; Valkey forgets such by itself
AT_ONCE = 1000  # sessions that are written to Valkey in one go


@dataclass
class Kept:
    """Sessions in a store of their own.

    :param fill: writes many without waiting for the disk
    :param size: how large the store is, in bytes
    """

    sessions: Sessions
    fill: Callable[[int], None]
    size: Callable[[], int]


def main() -> None:
    """Print one line for each step, and the size of the store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--refreshes", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--store", choices=STORES, default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as directory, ExitStack() as stack:
        kept = {}
        for name in ("empty", "full"):
            place = Path(directory, name).resolve()
            place.mkdir()
            kept[name] = stack.enter_context(STORES[options.store](place))
        full = kept["full"]
        full.fill(options.count)
        each = full.size() / options.count
        print(f"{options.count} sessions: {full.size() / 1e6:.0f} MB, {each:.0f} bytes each")
        compare({name: each.sessions for name, each in kept.items()}, options.rounds)
        before = full.size()
        refresh_any(full.sessions, options)
        print(f"the store grew by {full.size() - before} bytes")


@contextmanager
def in_sqlite(place: Path) -> Iterator[Kept]:
    """Sessions in a file."""
    path = place / "sessions"
    store = SQLiteStore(path)

    def fill(count: int) -> None:
        connection = sqlite3.connect(path)
        for session in made(count, over=OVER):
            sqlite._insert(connection, session)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def size() -> int:
        return sum(file.stat().st_size for file in place.iterdir())

    yield Kept(opened(store), fill, size)


@contextmanager
def in_valkey(place: Path) -> Iterator[Kept]:
    """Sessions in a server that waits for its disk."""
    server = Server(place, fsync="always")
    server.start()
    store = ValkeyStore(server.url)

    def fill(count: int) -> None:
        server.client.config_set("appendfsync", "no")
        sessions = made(count)
        while some := list(islice(sessions, AT_ONCE)):
            pipeline = server.client.pipeline(transaction=False)
            for session in some:
                sent = ["add", valkey._MARGIN, *valkey._arguments(session)]
                store._script(keys=[store._prefix], args=sent, client=pipeline)
            pipeline.execute()
        server.client.config_set("appendfsync", "always")

    try:
        yield Kept(opened(store), fill, lambda: server.client.info("memory")["used_memory"])
    finally:
        store.close()
        server.stop()


STORES = {"sqlite": in_sqlite, "valkey": in_valkey}


def opened(store: Store) -> Sessions:
    """Sessions in a store."""
    return Sessions(store, LIFETIME, lambda: 3600.0, GRACE)


def issue(identity: object = None) -> Token:
    """An access token that is not signed, so it costs little to make."""
    claims = {"identity": identity, "jti": secrets.token_urlsafe(16), "sid": asked().sid}
    return Token(f"{UNSIGNED}.{segment(claims).decode()}.")


def made(count: int, over: int = 0) -> Iterator[Session]:
    """Sessions, the lasting part of whose refresh tokens is their number.

    :param over: every so many sessions one is over; 0 for none
    """
    now, current = int(time.time()), refresh_tokens.digest(FIRST)
    for number in range(count):
        until = now - 3 * 24 * 3600 if over and number % over == 0 else now + LIFETIME
        sid, claims = refresh_tokens.id_of(str(number)), {"identity": number}
        yield Session(sid, str(number), claims, current, until, seed=bytes(32), version=1)


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


def refresh_any(sessions: Sessions, options: argparse.Namespace) -> None:
    """Refresh sessions at random, those that are not over; print the first times and the last."""
    tokens: dict[int, str | None] = {}
    times, end = [], time.monotonic() + 60 * options.minutes
    while len(times) < options.refreshes and time.monotonic() < end:
        number = random.randrange(options.count)
        if number % OVER:
            token = tokens.get(number, f"{number}.{FIRST}")
            renewed, spent = timed(lambda t=token: sessions.renew(t, lambda c: c, issue)[1])
            tokens[number] = renewed.refresh_token
            times.append(spent)
    tenth = len(times) // 10
    first, last = times[:tenth], times[-tenth:]
    print(
        f"{len(times)} refreshes of {len(tokens)} sessions: "
        f"first tenth {median(first):.3f} (p99 {quantiles(first, n=100)[-1]:.3f})   "
        f"last tenth {median(last):.3f} (p99 {quantiles(last, n=100)[-1]:.3f})"
    )


def timed(function: Callable[[], Token]) -> tuple[Token, float]:
    """The result, and the milliseconds that it took."""
    begin = time.perf_counter()
    result = function()
    return result, (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    main()
