"""Whatever is sent: never an uncontrolled error, never a wrong token accepted.

A few cases of each property; ``python app/tests/properties.py 1000000`` runs as many as it is told.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import cases_settings
import cases_stores
import cases_tokens
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import KINDS, Property
from valkey_server import Server
from verdicts import agree, modest

from flask_jwt_keys import SQLiteStore, ValkeyStore

CHECK = settings(max_examples=60, deadline=None, database=None)


def checks(*tables):
    return pytest.mark.parametrize(
        ("check", "cases"),
        [pytest.param(*item, id=item[0].__name__) for table in tables for item in table.items()],
    )


@pytest.fixture(scope="module")
def worlds(tmp_path_factory, signers, strangers):
    """The app of each algorithm, and of each store."""
    directory = tmp_path_factory.mktemp("w")
    found = {}
    for algorithm, signer in signers.items():
        place = directory / algorithm
        place.mkdir()
        found[algorithm] = cases_tokens.World(place, signer, strangers[algorithm])
    server = Server(directory)
    server.start()
    found["sqlite"] = cases_stores.World(SQLiteStore(directory / "sessions.sqlite3"))
    found["valkey"] = cases_stores.World(ValkeyStore(server.url))
    yield found
    server.stop()


def holds(check, cases, world):
    CHECK(given(cases)(lambda case: check(world, case)))()


@checks(cases_tokens.PROPERTIES)
def test_tokens(worlds, algorithm, check, cases):
    holds(check, cases, worlds[algorithm])


@checks(cases_tokens.BODIES)
def test_bodies(worlds, check, cases):
    holds(check, cases, worlds["HS256"])


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
@checks(cases_settings.PROPERTIES)
def test_settings(check, cases):
    holds(check, cases, None)


@pytest.mark.parametrize("store", ["sqlite", "valkey"])
@checks(cases_stores.PROPERTIES)
def test_stores(worlds, store, check, cases):
    holds(check, cases, worlds[store])


# The command


class Answer:
    status_code = 503


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("wrong accepts", lambda world, case: agree(True, case > 5)),
        ("wrong refusals", lambda world, case: agree(False, case <= 5)),
        ("statuses from 500 on", lambda world, case: case > 5 or modest(Answer)),
        ("uncontrolled exceptions", lambda world, case: 1 / max(0, case - 5)),
    ],
)
def test_what_is_wrong_is_counted_by_its_kind(kind, check, capsys):
    seen = Counter()
    Property("tried", check, st.integers(0, 9), None).run(100, 1, seen)
    assert seen == {"cases": 10, kind: 6}
    assert f"tried: {kind}: " in capsys.readouterr().err


def test_the_command_runs_as_many_as_it_is_told():
    command = [sys.executable, Path(__file__).parent / "properties.py", "100", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    first, second = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert 100 <= int(first.split()[0]) < 200
    assert second == "seed 1: " + ", ".join(f"0 {kind}" for kind in KINDS.values())
