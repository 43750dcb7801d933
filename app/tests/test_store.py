"""The session store on one host: its file, its purge, what it survives."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from flask_jwt_keys import SQLiteStore, StoreError, clock, sqlite_purge
from flask_jwt_keys.sqlite_file import SQLiteFile
from flask_jwt_keys.testing import StoreContract
from flask_jwt_keys.testing import a_session as session

APP = Path(__file__).parents[1]
DAY = 24 * 3600


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.sqlite3"


@pytest.fixture
def store(path):
    return SQLiteStore(path)


def rows(path, table):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        connection.close()


class TestSQLite(StoreContract):
    @pytest.fixture
    def store(self, path):
        return SQLiteStore(path)

    def another(self, store):
        return SQLiteStore(store._path)


def test_processes_share_the_file(store, path):
    store.add(session())
    code = (
        "import sys; from flask_jwt_keys import SQLiteStore\n"
        "store = SQLiteStore(sys.argv[1]); store.end('s1')"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True, cwd=APP)
    assert store.ended("s1") and store.find("s1") is None


# What is over


@pytest.fixture
def every(monkeypatch):
    """Let each write delete what is over."""
    monkeypatch.setattr(sqlite_purge, "_EVERY", 1)


def test_what_is_long_over_is_deleted_by_one_write_of_some(store, path):
    """So most logins do not wait for it, and the file does not grow."""
    deletes, write = [], 0
    while write < 20 * sqlite_purge._EVERY:
        write += 1
        before = rows(path, "sessions")
        store.add(session(f"old{write}", until=1, access_until=1))
        if rows(path, "sessions") <= before:
            deletes.append(write)
    assert {later - one for one, later in pairwise(deletes)} == {sqlite_purge._EVERY}
    assert rows(path, "sessions") <= sqlite_purge._EVERY


def test_what_is_long_over_is_deleted_a_little_at_a_time(store, path, every):
    for number in range(40):
        store.add(session(f"old{number}", until=1, access_until=1))
        store.revoke(f"r{number}", 1, None)
    assert rows(path, "sessions") <= 1 and rows(path, "revoked") <= 1
    connection = sqlite3.connect(path)
    connection.executemany(
        "INSERT INTO revoked VALUES (?, 1)", [(bytes([number]),) for number in range(100)]
    )
    connection.commit()
    connection.close()
    store.add(session())
    assert rows(path, "revoked") == 100 - sqlite_purge._AT_ONCE, "no write deletes all at once"


def test_rows_that_are_over_are_found_by_an_index(store, path):
    store.add(session())
    store.close()
    connection = sqlite3.connect(path)
    for table, _, over in sqlite_purge.OVER:
        query = f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {over} < 9 ORDER BY {over} LIMIT 4"
        (plan,) = connection.execute(query).fetchall()
        assert f"SEARCH {table} USING" in plan[3] and f"{table}_" in plan[3], plan
    connection.close()


def test_a_refresh_adds_no_row(store, path):
    store.add(session())
    for version in range(2, 40):
        assert store.replace(session(version=version))
    assert rows(path, "sessions") == 1 and rows(path, "grants") == 0


def test_a_clock_ahead_for_one_login_brings_no_token_back(store, monkeypatch, every):
    store.add(session())
    store.end("s1")
    right = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: right() + 400 * DAY)
        store.add(session("ahead"))
    store.add(session("after"))
    assert store.ended("s1") and store.ended("j-s1")


def test_a_clock_that_goes_back_takes_nothing_away(path, monkeypatch, every):
    right = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: right() + 400 * DAY)
        store = SQLiteStore(path)
        store.add(session("ahead"))
    store.add(session())
    store.end("s1")
    store.add(session("after"))
    assert store.ended("s1") and store.find("after")


def test_the_believed_time_goes_on_by_twice_what_passed():
    believed = clock.first()
    late = replace(believed, now=believed.now - DAY, ticks=believed.ticks - 100)
    assert late.later().now == pytest.approx(late.now + 200, abs=5)
    assert replace(late, boot="another start").later().now == late.now
    assert replace(believed, now=believed.now + DAY).later().now <= time.time()


# The file


def test_a_session_that_was_written_survives_a_power_loss(tmp_path, monkeypatch):
    """Each connection flushes at each commit, whatever this build of SQLite does by itself."""

    class Careless(sqlite3.Connection):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.execute("PRAGMA synchronous = OFF")

    class Keeping(SQLiteFile):
        def levels(self):
            query = "PRAGMA synchronous"
            return self.read(lambda connection: connection.execute(query).fetchone()[0])

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, **options: connect(*a, factory=Careless, **options)
    )
    assert Keeping(tmp_path / "sessions.sqlite3", "").levels() == 2, "FULL"


def test_connections_are_closed_before_they_are_collected(tmp_path):
    """With the store in a ring of an older generation, the collector meets its connection first."""
    holder = {"store": SQLiteStore(tmp_path / "sessions.sqlite3")}
    holder["ring"] = holder
    gc.collect(0)
    holder["store"].ended("j1")
    del holder
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()
    assert not warned


@pytest.mark.parametrize("damage", ["deleted", "emptied", "noise", "torn", "directory gone"])
def test_a_damaged_file_heals(store, path, damage, caplog):
    store.add(session())
    store.add(session("s2", claims={"identity": "x" * 9000}))
    if damage != "torn":
        store.close()
    if damage == "deleted":
        path.unlink()
    elif damage == "emptied":
        os.truncate(path, 0)
    elif damage == "directory gone":
        for file in path.parent.iterdir():
            file.unlink()
        path.parent.rmdir()
    else:
        store.close()
        size = path.stat().st_size
        path.write_bytes(os.urandom(size) if damage == "noise" else path.read_bytes()[:4096])
    store.add(session("s3"))
    assert store.find("s3")
    store.check()
    aside = [file.name for file in path.parent.iterdir() if "unreadable" in file.name]
    assert bool(aside) == (damage in ("noise", "torn"))
    assert ("was set aside" in caplog.text) == bool(aside)


def test_a_file_deleted_under_open_connections_is_made_again(store, path):
    other = SQLiteStore(path)
    store.add(session())
    assert other.find("s1")
    path.unlink()
    other.add(session("s2"))
    assert store.find("s2") and other.find("s2")
    assert store.find("s1") is None


def test_a_locked_file_is_an_error_that_passes(store, path, monkeypatch):
    monkeypatch.setattr("flask_jwt_keys.sqlite_file._BUSY", 0.1)
    locking = sqlite3.connect(path, isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="Try again") as caught:
        store.add(session())
    assert "locked" in caught.value.reason
    assert not store.ended("s1"), "reading goes on"
    locking.rollback()
    locking.close()
    store.add(session())


def test_a_full_disk_is_an_error_and_acknowledges_nothing(store, path):
    store.add(session())
    store.close()
    code = (
        "import resource, sys\n"
        "from flask_jwt_keys import SQLiteStore, StoreError\n"
        "from flask_jwt_keys.testing import a_session as session\n"
        "store = SQLiteStore(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "try: store.add(session('big', claims={'identity': 'x' * 200_000}))\n"
        "except StoreError as error: print(error.status_code, error.headers, store.find('s1').id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=APP, capture_output=True, text=True, check=True
    )
    assert done.stdout == "503 {'Retry-After': '1'} s1\n", done.stderr
    assert store.find("big") is None and store.find("s1")
