"""Many cases of headers, claims, bodies, settings, stores: ``app/tests/properties.py 1000000``.

Each property gets an equal share, each algorithm and both stores too. At the end stand the number
of cases, and of what was wrong with their answers; the status is 1 if anything was. ``--seed``
begins elsewhere, so that several runs beside each other try different cases.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

sys.path.insert(0, str(Path(__file__).parents[1]))

import cases_settings
import cases_stores
import cases_tokens
from signers import ALGORITHMS, make_signer
from valkey_server import Server
from verdicts import ServerError, WrongAccept, WrongRefusal

from flask_jwt_keys import SQLiteStore, ValkeyStore

AT_ONCE = 200  # cases of one strategy: it remembers all that it has tried
SHOWN = 20  # cases that were answered wrongly
KINDS = {
    WrongAccept: "wrong accepts",
    WrongRefusal: "wrong refusals",
    ServerError: "statuses from 500 on",
    AssertionError: "other wrong answers",
    Exception: "uncontrolled exceptions",
}


@dataclass(frozen=True)
class Property:
    """What must hold in a world, whatever the case."""

    name: str
    check: Callable[[Any, Any], None]
    cases: SearchStrategy
    world: Any

    def run(self, count: int, start: int, seen: Counter[str]) -> None:
        """Count what becomes of so many cases."""
        quiet = settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

        @seed(start)
        @quiet
        @given(self.cases)
        def cases(case):
            seen["cases"] += 1
            try:
                self.check(self.world, case)
            except Exception as error:
                kind = next(name for known, name in KINDS.items() if isinstance(error, known))
                seen[kind] += 1
                if sum(seen.values()) - seen["cases"] <= SHOWN:
                    print(f"{self.name}: {kind}: {error!r}\n  {case!r}", file=sys.stderr)

        cases()


@contextmanager
def properties(directory: Path) -> Iterator[list[Property]]:
    """All properties, with the worlds that they need."""
    found = []

    def add(kind, checks, world):
        found.extend(
            Property(f"{check.__name__}[{kind}]", check, checks[check], world) for check in checks
        )

    for algorithm in ALGORITHMS:
        place = directory / algorithm
        place.mkdir()
        world = cases_tokens.World(place, make_signer(algorithm), make_signer(algorithm))
        add(algorithm, cases_tokens.PROPERTIES, world)
    add("bodies", cases_tokens.BODIES, world)
    add("settings", cases_settings.PROPERTIES, None)
    server = Server(directory)
    server.start()
    try:
        for name, store in (
            ("sqlite", SQLiteStore(directory / "sessions.sqlite3")),
            ("Valkey", ValkeyStore(server.url)),
        ):
            add(name, cases_stores.PROPERTIES, cases_stores.World(store))
        yield found
    finally:
        server.stop()


def main() -> int:
    """Run the cases and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="default: by the clock")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    seen: Counter[str] = Counter()
    began = time.monotonic()
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as name, properties(Path(name)) as found:
        start = options.seed
        while seen["cases"] < options.count:
            missing = options.count - seen["cases"]
            for each in found:
                start += 1
                each.run(max(1, min(AT_ONCE, missing // len(found))), start, seen)
            print(f"{time.monotonic() - began:.0f} s: {dict(seen)}", file=sys.stderr, flush=True)
    print(f"{seen['cases']} cases of {len(found)} properties in {time.monotonic() - began:.0f} s, ")
    print(f"seed {options.seed}: " + ", ".join(f"{seen[kind]} {kind}" for kind in KINDS.values()))
    return int(any(seen[kind] for kind in KINDS.values()))


if __name__ == "__main__":
    sys.exit(main())
